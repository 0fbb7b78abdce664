// SPDX-License-Identifier: Apache-2.0
//! A metric of a dataset's file, with its statistics and its split.

use super::{
    columns::is_column,
    names::{is_in_cloudwatch, name_in_cloudwatch},
};
use crate::{
    account::shorten,
    datasets::{Class, Discovery, Holders, Layout, Metric, Missing, Shape, Split, SplitValue, snake_case},
    settings::{Table, Value},
};

/// The units that CloudWatch has.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>
pub(super) const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// The statistics that are always there. Percentiles have a number in their name.
const STATISTICS: [&str; 5] = ["Average", "Minimum", "Maximum", "Sum", "SampleCount"];

/// What the rest of the file says that a metric must agree with; `None` if a fault says what is wrong there.
pub(super) struct About<'a> {
    pub(super) shape: Option<Shape>,
    pub(super) layout: Option<Layout>,
    pub(super) discovery: Option<Discovery>,
    pub(super) resource: &'a [String],
}

/// A metric, and where it is in the file.
pub(super) struct Measured<'a> {
    pub(super) metric: Metric,
    pub(super) total: Option<String>,
    name: Value<'a>,
    missing: Option<Value<'a>>,
}

pub(super) fn metric<'a>(table: &Table<'a>, about: &About<'_>) -> Option<Measured<'a>> {
    let name = table.required("name");
    let in_cloudwatch = name.as_ref().and_then(name_in_cloudwatch);
    let namespace = table.optional("namespace").map(|value| name_in_cloudwatch(&value));
    let unit = table.required("unit").and_then(|value| {
        let unit = value.one_of(&UNITS.map(|unit| (unit, unit)))?;
        if about.shape == Some(Shape::NewestDay) && !["Bytes", "Count"].contains(&unit) {
            value.fault("is Bytes or Count in a dataset of shape newest_day, which has whole numbers");
        }
        Some(unit)
    });
    let statistics = table.required("statistics").map(|value| statistics(&value, about.shape));
    let is_counter = table.optional("counter").map_or(Some(false), |value| value.flag());
    let missing = table.optional("missing");
    let meaning = missing.as_ref().map_or(Some(Missing::Empty), |value| meaning_of(value, about.shape));
    let resource = table.optional("resource").map(|value| resource_of(&value, about));
    let split = match table.optional("split") {
        Some(value) if about.layout == Some(Layout::Long) => {
            value.fault("is not in a dataset of layout long; put its dimension into resource");
            None
        }
        Some(value) => value.table().and_then(|table| split_of(&table, about)).map(Some),
        None if about.shape == Some(Shape::NewestDay) => {
            table.fault("split", "is missing: a dataset of shape newest_day has a split for each metric");
            None
        }
        None => Some(None),
    };
    let base = table.optional("column").map(|value| {
        if about.layout == Some(Layout::Long) {
            value.fault("is not in a dataset of layout long, whose rows have the metric's name");
        }
        column(&value)
    });
    let base = base.unwrap_or_else(|| {
        if about.layout == Some(Layout::Long) {
            return in_cloudwatch.clone();
        }
        let base = name.as_ref().and_then(Value::plain).map(snake_case)?;
        if !is_column(&base) {
            table.fault("column", format!("is needed, since {base} is no name of a column"));
        }
        Some(base)
    });
    let named =
        table.optional("columns").map(|value| columns_of(&value, statistics.as_deref(), about.layout));
    table.end();
    let statistics = statistics?;
    let (split, total) = split?.unzip();
    if split.as_ref().is_some_and(shares_columns)
        && about.shape == Some(Shape::Series)
        && !statistics.iter().all(|statistic| is_additive(statistic))
    {
        table.fault("split", "puts several values into one column, which only Sum and SampleCount add up");
    }
    Some(Measured {
        metric: Metric {
            name: in_cloudwatch?,
            unit: unit?.to_owned(),
            statistics,
            is_counter: is_counter?,
            missing: meaning?,
            split,
            namespace: namespace.map_or(Some(None), |namespace| namespace.map(Some))?,
            resource: resource.map_or(Some(None), |resource| resource.map(Some))?,
            column: base?,
            columns: named.unwrap_or_default(),
        },
        total: total.flatten(),
        name: name?,
        missing,
    })
}

/// Finds the faults of metrics that only a comparison with the others shows.
pub(super) fn compare(measured: &[Measured<'_>], layout: Option<Layout>) {
    for (place, one) in measured.iter().enumerate() {
        let is_same = |other: &Metric| {
            other.name == one.metric.name
                && (other.namespace == one.metric.namespace || layout == Some(Layout::Long))
                && other.split.as_ref().map(|split| &split.dimension)
                    == one.metric.split.as_ref().map(|split| &split.dimension)
        };
        if measured.iter().take(place).any(|other| is_same(&other.metric)) {
            one.name.fault("is the name of two metrics");
        }
        if let (Missing::ZeroWith(with), Some(value)) = (&one.metric.missing, &one.missing)
            && (*with == one.metric.name || !measured.iter().any(|other| other.metric.name == *with))
        {
            value.fault(format!("{:?} is no other metric of this file", shorten(with)));
        }
    }
}

/// What the metric's namespace calls the dimensions of the resource.
fn resource_of(value: &Value<'_>, about: &About<'_>) -> Option<Vec<String>> {
    let texts = value.texts();
    if texts.len() != about.resource.len() {
        let own = about.resource.join(", ");
        value.fault(format!("has not a name for each dimension of the resource, which are {own}"));
    }
    if about.shape == Some(Shape::NewestDay) {
        value.fault("is not in a dataset of shape newest_day");
    }
    texts.into_iter().map(|(value, _)| name_in_cloudwatch(&value)).collect()
}

/// The statistics whose columns have names of their own, with these names.
fn columns_of(
    value: &Value<'_>,
    statistics: Option<&[String]>,
    layout: Option<Layout>,
) -> Vec<(String, String)> {
    if layout == Some(Layout::Long) {
        value.fault("is not in a dataset of layout long, whose rows have the metric's name");
    }
    let Some(table) = value.table() else { return Vec::new() };
    let named = table.entries().into_iter().filter_map(|(statistic, value)| {
        if statistics.is_some_and(|known| !known.iter().any(|known| known == statistic)) {
            value.fault(format!("is none of the metric's statistics: {}", statistics?.join(", ")));
        }
        Some((statistic.to_owned(), column(&value)?))
    });
    named.collect()
}

fn meaning_of(value: &Value<'_>, shape: Option<Shape>) -> Option<Missing> {
    if !value.is_table() {
        return value.one_of(&[("empty", ())]).map(|()| Missing::Empty);
    }
    if shape == Some(Shape::NewestDay) {
        value.fault("is empty in a dataset of shape newest_day");
    }
    let table = value.table()?;
    let with = table.required("zero_with").and_then(|value| name_in_cloudwatch(&value));
    table.end();
    with.map(Missing::ZeroWith)
}

/// Whether values of several series are one value.
fn shares_columns(split: &Split) -> bool {
    let mut columns: Vec<&str> = split.values.iter().map(|known| &*known.column).collect();
    columns.sort_unstable();
    split.other.is_some() || columns.array_windows().any(|[one, other]| one == other)
}

/// Whether values of several series add up to one of their sum.
fn is_additive(statistic: &str) -> bool {
    ["Sum", "SampleCount"].contains(&statistic)
}

/// A split, and the column of its total.
fn split_of(table: &Table<'_>, about: &About<'_>) -> Option<(Split, Option<String>)> {
    let dimension = table.required("dimension").and_then(|value| {
        let dimension = name_in_cloudwatch(&value)?;
        if about.resource.contains(&dimension) {
            value.fault("is a dimension of the resource already");
        }
        Some(dimension)
    });
    let values = table.required("values").and_then(|value| value.table());
    let values: Vec<_> = values.iter().flat_map(Table::entries).collect();
    let values: Vec<_> =
        values.iter().filter_map(|(value, column)| split_value(value, column, about.discovery)).collect();
    if values.is_empty() {
        table.fault("values", "names no value with its column");
    }
    let [other, total] = ["other", "total"].map(|key| table.optional(key).and_then(|value| column(&value)));
    if let (Some(Shape::Series), Some(_)) = (about.shape, &total) {
        table.fault("total", "is not in a dataset of shape series");
    }
    let typical = table.optional("typical").map_or(Some(1), |value| value.count());
    table.end();
    Some((Split { dimension: dimension?, values, other, typical: typical? }, total))
}

/// A value with its column, or a table that says besides which class of resources has it.
fn split_value(value: &str, entry: &Value<'_>, discovery: Option<Discovery>) -> Option<SplitValue> {
    if !is_in_cloudwatch(value) {
        entry.fault("is no value that a dimension can have");
    }
    let (column, holders) = if entry.is_table() {
        let table = entry.table()?;
        let column = table.required("column").and_then(|value| column(&value));
        let class = table.required("class").and_then(|value| value.one_of::<Class>(discovery?.classes()));
        table.end();
        (column?, Holders::Only(class?))
    } else {
        (column(entry)?, Holders::All)
    };
    Some(SplitValue { value: value.to_owned(), column, holders })
}

/// The most statistics of a metric: all of them are asked in one call, which has 100,800 datapoints at most, and a day has
/// 1,440 minutes.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>
const MOST_STATISTICS: usize = 100_800 / 1_440;

fn statistics(value: &Value<'_>, shape: Option<Shape>) -> Vec<String> {
    let texts = value.texts();
    if texts.len() > MOST_STATISTICS {
        value.fault(format!("has {} statistics; at most {MOST_STATISTICS} fit into one call", texts.len()));
    }
    for (value, text) in &texts {
        if !is_statistic(text) {
            let known = STATISTICS.join(", ");
            value.fault(format!("{:?} is none of {known}, and no percentile such as p99.9", shorten(text)));
        }
    }
    if texts.len() > 1 && shape == Some(Shape::NewestDay) {
        value.fault("is one statistic in a dataset of shape newest_day");
    }
    texts.into_iter().map(|(_, text)| text.to_owned()).collect()
}

/// Whether CloudWatch has a statistic: one of the plain ones, or a percentile.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html>
fn is_statistic(text: &str) -> bool {
    let is_percentile = || {
        let digits = text.strip_prefix('p')?;
        let number: f64 = digits.parse().ok()?;
        let is_plain = digits.len() <= 13 && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        (is_plain && (0.0..=100.0).contains(&number)).then_some(())
    };
    STATISTICS.contains(&text) || is_percentile().is_some()
}

pub(super) fn column(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if !is_column(text) {
        value.fault("is no name of a column: small letters, digits and _, the first a letter");
    }
    Some(text.to_owned())
}
