// SPDX-License-Identifier: Apache-2.0
//! The file of a dataset: what its keys mean, and what is wrong with them.

pub(super) mod columns;
mod derived;
mod metric;
mod names;
pub(super) mod select;
pub(super) mod tags;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use self::{
    columns::{is_column, is_name},
    metric::{About, Measured},
    names::name_in_cloudwatch,
};
use super::{Cell, Dataset, Derived, Discovery, Layout, Period, Regions, Shape, snake_case};
use crate::{
    WindowLength,
    account::shorten,
    aws::regions::is_region,
    settings::{self, Faults, Table, Value},
};
use chrono::TimeDelta;

/// The most dimensions that a CloudWatch metric has.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Metric.html>
const MOST_DIMENSIONS: usize = 30;

/// The longest settle time; a longer one is a slip, and no date overflows by it.
const LONGEST_SETTLE: TimeDelta = TimeDelta::days(60);

/// The maximum length of a title, so that lists of datasets fit into 80 columns.
const MAX_TITLE: usize = 37;

impl Dataset {
    /// Reads the file of a dataset.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Faults> {
        settings::read(text, dataset)
    }
}

/// The dataset; `None` only if a fault says why.
pub(super) fn dataset(file: &Table<'_>) -> Option<Dataset> {
    let name = file.required("name").and_then(|value| name_of(&value));
    let group = file.optional("group").map_or_else(|| name.clone(), |value| name_of(&value));
    let title = file.required("title").and_then(|value| title_of(&value));
    let namespace = file.required("namespace").and_then(|value| name_in_cloudwatch(&value));
    let shape =
        file.required("shape").and_then(|value| value.one_of(&Shape::ALL.map(|shape| (shape.name(), shape))));
    let layout = file.optional("layout").map_or(Some(Layout::Wide), |value| layout_of(&value, shape));
    let window_in = file.optional("window");
    let window = window_in.as_ref().map_or(Some(WindowLength::DAY), window_of);
    let settle = file.required("settle").and_then(|value| settle(&value));
    let resource = file.required("resource").map(|value| dimensions(&value, shape)).unwrap_or_default();
    let discovery = file.required("discovery").and_then(|value| discovery_of(&value, shape, &resource));
    let regions = file.required("regions").and_then(|value| regions_of(&value, discovery));
    let tags = tags::of_dataset(file, shape, &resource);
    let period = file.required("period").and_then(|value| {
        let period = period(&value)?;
        if shape == Some(Shape::NewestDay) && period != Period::DAY {
            value.fault("is 1d in a dataset of shape newest_day");
        }
        Some(period)
    });
    if let (Some(value), Some(window)) = (&window_in, window) {
        if shape == Some(Shape::NewestDay) && !window.is_day() {
            value.fault("is 1d in a dataset of shape newest_day");
        } else if period.is_some_and(|period| window.seconds() < period.seconds()) {
            value.fault("is shorter than the period");
        }
    }
    if let (Some(Shape::NewestDay), Some(value)) = (shape, file.optional("resource"))
        && resource.len() > 1
    {
        value.fault("is one dimension in a dataset of shape newest_day");
    }
    let about = About { shape, layout, discovery, resource: &resource };
    let measured_in = file.required("metric");
    let tables: Vec<Table<'_>> = measured_in.iter().flat_map(Value::tables).collect();
    let measured: Vec<Measured<'_>> =
        tables.iter().filter_map(|table| metric::metric(table, &about)).collect();
    let made = derived::derived(file, shape, layout, discovery);
    let sums = ["bytes", "objects"].map(|key| file.optional(key));
    file.end();
    metric::compare(&measured, layout);

    let derived: Vec<Derived> = made.iter().map(|made| made.derived.clone()).collect();
    let (totals, metrics): (Vec<_>, Vec<_>) =
        measured.into_iter().map(|measured| (measured.total, measured.metric)).unzip();
    let columns = match shape? {
        Shape::NewestDay => columns::of_newest_day(&resource, discovery?, &metrics, &totals),
        Shape::Series if layout? == Layout::Long => columns::of_long(&resource, discovery?),
        Shape::Series => columns::of_series(&resource, discovery?, &metrics, &derived),
    };
    if layout? == Layout::Wide {
        derived::compare(&made, &columns, metrics.len() == tables.len());
    }
    let mut known: HashMap<&str, Cell> = HashMap::new();
    for column in columns.iter().filter(|column| !column.cell.is_derived()) {
        if known.insert(&column.name, column.cell).is_some() {
            let said = format!("two columns are {}", column.name);
            if let Some(metrics) = &measured_in {
                metrics.fault(said);
            }
        }
    }
    let [bytes, objects] = sums.map(|value| {
        let value = value?;
        let name = value.text()?;
        let is_sum = matches!(known.get(name), Some(Cell::Measure | Cell::Total(_)));
        if !is_sum {
            value.fault(format!("{:?} is no column of whole numbers that are measured", shorten(name)));
        }
        is_sum.then(|| name.to_owned())
    });
    Some(Dataset {
        group: group?,
        title: title?,
        namespace: namespace?,
        resource,
        discovery: discovery?,
        regions: regions?,
        shape: shape?,
        layout: layout?,
        period: period?,
        window: window?,
        settle: settle?,
        metrics,
        derived,
        columns,
        bytes,
        objects,
        selection: None,
        tags,
        // Jobs, labels and spans have it; it is kept as long as the program runs, as the datasets are.
        name: String::leak(name?),
    })
}

fn layout_of(value: &Value<'_>, shape: Option<Shape>) -> Option<Layout> {
    let layout = value.one_of(&[("wide", Layout::Wide), ("long", Layout::Long)])?;
    if layout == Layout::Long && shape == Some(Shape::NewestDay) {
        value.fault("is wide in a dataset of shape newest_day");
    }
    Some(layout)
}

fn discovery_of(value: &Value<'_>, shape: Option<Shape>, resource: &[String]) -> Option<Discovery> {
    let discovery = value.one_of(&Discovery::ALL.map(|discovery| (discovery.name(), discovery)))?;
    let wanted = |shape| match shape {
        Shape::NewestDay => &[Discovery::ListBuckets][..],
        Shape::Series => &[Discovery::ListMetrics, Discovery::ListFunctions],
    };
    if let Some(shape) = shape.filter(|shape| !wanted(*shape).contains(&discovery)) {
        let names: Vec<_> = wanted(shape).iter().map(|wanted| wanted.name()).collect();
        value.fault(format!("is {} in a dataset of shape {}", names.join(" or "), shape.name()));
    }
    if discovery == Discovery::ListFunctions && resource.len() != 1 {
        value.fault("needs a resource of one dimension, whose value is the name of a function");
    }
    Some(discovery)
}

fn regions_of(value: &Value<'_>, discovery: Option<Discovery>) -> Option<Regions> {
    let regions = if value.is_text() {
        let words = [
            ("of_resources", &Regions::OfResources),
            ("enabled", &Regions::Enabled),
            ("configured", &Regions::Configured),
        ];
        value.one_of(&words)?.clone()
    } else {
        let regions = value.texts();
        for (value, region) in &regions {
            if !is_region(region) {
                value.fault("is no region; write it as eu-west-1");
            }
        }
        Regions::Named(regions.into_iter().map(|(_, region)| region.to_owned()).collect())
    };
    let finds_regions = discovery? == Discovery::ListBuckets;
    if finds_regions != (regions == Regions::OfResources) {
        let wanted = if finds_regions { "of_resources" } else { "enabled, configured, or a list of regions" };
        value.fault(format!("is {wanted} if the discovery is {}", discovery?.name()));
    }
    Some(regions)
}

/// The dimensions of a resource, which become columns. A series without any is of the account in its region.
fn dimensions(value: &Value<'_>, shape: Option<Shape>) -> Vec<String> {
    if shape == Some(Shape::Series) && value.is_empty_list() {
        return Vec::new();
    }
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

fn title_of(value: &Value<'_>) -> Option<String> {
    let title = value.text()?;
    if title.chars().count() > MAX_TITLE {
        value.fault(format!("is longer than {MAX_TITLE} characters"));
    }
    Some(title.to_owned())
}

fn name_of(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if !is_name(text) {
        value.fault("is not of small letters, digits and _, 64 at most");
    }
    Some(text.to_owned())
}

fn period(value: &Value<'_>) -> Option<Period> {
    let period = duration(value)?.num_seconds();
    let period = u32::try_from(period).ok().and_then(Period::new);
    if period.is_none() {
        value.fault("is no period: whole minutes that divide a day");
    }
    period
}

fn window_of(value: &Value<'_>) -> Option<WindowLength> {
    let window = u32::try_from(duration(value)?.num_seconds()).ok().and_then(WindowLength::new);
    if window.is_none() {
        value.fault("is no window: whole minutes that divide a day");
    }
    window
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
