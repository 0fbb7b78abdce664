//! The file of a dataset: what its keys mean, and what is wrong with them.

mod columns;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use chrono::TimeDelta;
use toml::de::DeTable;

pub use self::table::Faults;
use self::{
    columns::{is_column, is_name, snake_case},
    table::{Source, Table, Value},
};
use super::{Cell, Class, Dataset, Discovery, Holders, Metric, Period, Regions, Shape, Split, SplitValue};
use crate::account::shorten;

/// The most dimensions that a CloudWatch metric has.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Metric.html>
const MOST_DIMENSIONS: usize = 30;

/// The longest settle time; a longer one is a slip, and no date overflows by it.
const LONGEST_SETTLE: TimeDelta = TimeDelta::days(60);

/// The units that CloudWatch has.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>
const UNITS: [&str; 27] = [
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

pub(super) fn parse(text: &str) -> Result<Dataset, Faults> {
    let source = Source::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in &errors {
            source.refuse(error);
        }
        source.end()?;
    }
    let dataset = dataset(&source.table(&document));
    source.end()?;
    Ok(dataset.expect("cannot fail: what is missing is a fault"))
}

/// The dataset; `None` only if a fault says why.
fn dataset(file: &Table<'_>) -> Option<Dataset> {
    let name = file.required("name").and_then(|value| name_of(&value));
    let group = file.optional("group").map_or_else(|| name.clone(), |value| name_of(&value));
    let title = file.required("title").and_then(|value| value.text()).map(str::to_owned);
    let namespace = file.required("namespace").and_then(|value| name_in_cloudwatch(&value));
    let shape =
        file.required("shape").and_then(|value| value.one_of(&Shape::ALL.map(|shape| (shape.name(), shape))));
    if let Some(layout) = file.optional("layout") {
        layout.one_of(&[("wide", ())]);
    }
    let period = file.required("period").and_then(|value| period(&value));
    if let Some(window) = file.optional("window") {
        // Reports of shorter windows need a key and a job that name one.
        window.one_of(&[("1d", ())]);
    }
    let settle = file.required("settle").and_then(|value| settle(&value));
    let discovery = file
        .required("discovery")
        .and_then(|value| value.one_of(&Discovery::ALL.map(|discovery| (discovery.name(), discovery))));
    let regions = file.required("regions");
    let regions =
        regions.and_then(|value| value.one_of(&[("of_resources", ())])).map(|()| Regions::OfResources);
    for (key, why) in [
        ("derived", "derived columns are not in this version"),
        ("tags", "columns of tags are not in this version"),
    ] {
        if let Some(value) = file.optional(key) {
            value.fault(why);
        }
    }
    let resource = file.required("resource").map(|value| dimensions(&value)).unwrap_or_default();
    if let (Some(shape), Some(value)) = (shape, file.optional("resource"))
        && shape == Shape::NewestDay
        && resource.len() > 1
    {
        value.fault("is one dimension in a dataset of shape newest_day");
    }
    let measured_in = file.required("metric");
    let measured: Vec<Measured<'_>> = measured_in
        .iter()
        .flat_map(Value::tables)
        .filter_map(|table| metric(&table, discovery, &resource))
        .collect();
    let sums = ["bytes", "objects"].map(|key| file.optional(key));
    file.end();
    repeated(&measured);

    let (totals, metrics): (Vec<_>, Vec<_>) =
        measured.into_iter().map(|measured| (measured.total, measured.metric)).unzip();
    let columns = columns::of_newest_day(&resource, discovery?, &metrics, &totals);
    let mut known: HashMap<&str, Cell> = HashMap::new();
    for column in &columns {
        if known.insert(&column.name, column.cell).is_some() {
            let said = format!("two columns are {}", column.name);
            measured_in.iter().for_each(|metrics| metrics.fault(said.clone()));
        }
    }
    let [bytes, objects] = sums.map(|value| {
        let value = value?;
        let name = value.text()?;
        let is_sum = matches!(known.get(name), Some(Cell::Measure | Cell::Total(_)));
        if !is_sum {
            value.fault(format!("{:?} is no column of measured values", shorten(name)));
        }
        is_sum.then(|| name.to_owned())
    });
    Some(Dataset {
        // Jobs, labels and spans have it; it is kept as long as the program runs, as the datasets are.
        name: String::leak(name?),
        group: group?,
        title: title?,
        namespace: namespace?,
        resource,
        discovery: discovery?,
        regions: regions?,
        shape: shape?,
        period: period?,
        settle: settle?,
        metrics,
        columns,
        bytes,
        objects,
    })
}

/// A metric, and where its name is in the file.
struct Measured<'a> {
    metric: Metric,
    total: Option<String>,
    name: Value<'a>,
}

fn metric<'a>(table: &Table<'a>, discovery: Option<Discovery>, resource: &[String]) -> Option<Measured<'a>> {
    let name = table.required("name");
    let in_cloudwatch = name.as_ref().and_then(name_in_cloudwatch);
    let unit = table.required("unit").and_then(|value| value.one_of(&UNITS.map(|unit| (unit, unit))));
    let statistics = table.required("statistics").map(|value| statistics(&value)).unwrap_or_default();
    if let Some(missing) = table.optional("missing") {
        missing.one_of(&[("empty", ())]);
    }
    let split = table.required("split").and_then(|value| value.table());
    let split = split.and_then(|table| split_of(&table, discovery, resource));
    table.end();
    let statistic = statistics.into_iter().next()?;
    let (split, total) = split?;
    Some(Measured {
        metric: Metric { name: in_cloudwatch?, unit: unit?.to_owned(), statistic, split },
        total,
        name: name?,
    })
}

/// A split, and the column of its total.
fn split_of(
    table: &Table<'_>,
    discovery: Option<Discovery>,
    resource: &[String],
) -> Option<(Split, Option<String>)> {
    let dimension = table.required("dimension").and_then(|value| {
        let dimension = name_in_cloudwatch(&value)?;
        if resource.contains(&dimension) {
            value.fault("is a dimension of the resource already");
        }
        Some(dimension)
    });
    let values = table.required("values").and_then(|value| value.table());
    let values: Vec<_> = values.iter().flat_map(Table::entries).collect();
    let values: Vec<_> =
        values.iter().filter_map(|(value, column)| split_value(value, column, discovery)).collect();
    if values.is_empty() {
        table.fault("values", "names no value with its column");
    }
    let [other, total] = ["other", "total"].map(|key| table.optional(key).and_then(|value| column(&value)));
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

/// The dimensions of a resource, which become columns.
fn dimensions(value: &Value<'_>) -> Vec<String> {
    let texts = value.texts();
    if texts.len() > MOST_DIMENSIONS {
        value.fault(format!("has more than {MOST_DIMENSIONS} dimensions"));
    }
    let mut dimensions = Vec::new();
    for (value, text) in texts {
        let Some(name) = name_in_cloudwatch(&value) else { continue };
        if !is_column(&snake_case(text)) {
            value.fault("makes no name of a column");
        }
        dimensions.push(name);
    }
    dimensions
}

fn statistics(value: &Value<'_>) -> Vec<String> {
    let texts = value.texts();
    for (value, text) in &texts {
        if !is_statistic(text) {
            let known = STATISTICS.join(", ");
            value.fault(format!("{:?} is none of {known}, and no percentile such as p99.9", shorten(text)));
        }
    }
    if texts.len() > 1 {
        value.fault("a dataset of shape newest_day has one statistic a metric");
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

fn repeated(measured: &[Measured<'_>]) {
    for (place, one) in measured.iter().enumerate() {
        if measured.iter().take(place).any(|other| other.metric.name == one.metric.name) {
            one.name.fault("is the name of two metrics");
        }
    }
}

fn name_of(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if !is_name(text) {
        value.fault("is not of small letters, digits and _, 64 at most");
    }
    Some(text.to_owned())
}

fn column(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if !is_column(text) {
        value.fault("is no name of a column: small letters, digits and _, the first a letter");
    }
    Some(text.to_owned())
}

fn name_in_cloudwatch(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if !is_in_cloudwatch(text) {
        value.fault("is no name that CloudWatch takes: ASCII, 255 characters at most");
    }
    Some(text.to_owned())
}

/// Whether CloudWatch takes a text as a name, or as a dimension's value.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html>
fn is_in_cloudwatch(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

fn period(value: &Value<'_>) -> Option<Period> {
    let period = duration(value)?.num_seconds();
    let period = u32::try_from(period).ok().and_then(Period::new);
    if period.is_none() {
        value.fault("is no period: whole minutes that divide a day");
    }
    period.filter(|period| {
        let is_day = *period == Period::DAY;
        if !is_day {
            value.fault("is 1d in a dataset of shape newest_day");
        }
        is_day
    })
}

fn settle(value: &Value<'_>) -> Option<TimeDelta> {
    let settle = duration(value)?;
    if settle > LONGEST_SETTLE {
        value.fault(format!("is longer than {} days", LONGEST_SETTLE.num_days()));
    }
    Some(settle)
}

/// A number with its unit: `90s`, `5m`, `60h`, `1d`.
fn duration(value: &Value<'_>) -> Option<TimeDelta> {
    let text = value.text()?;
    let parsed = || {
        let mut units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)].into_iter();
        let (digits, seconds) = units.find_map(|(unit, s)| Some((text.strip_suffix(unit)?, s)))?;
        let number: u32 = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
        TimeDelta::try_seconds(i64::from(number) * seconds)
    };
    let duration = parsed();
    if duration.is_none() {
        value.fault("is no duration: a number and s, m, h or d, such as 5m");
    }
    duration
}
