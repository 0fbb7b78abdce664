// SPDX-License-Identifier: Apache-2.0
//! What a dataset is: its metrics, its columns, and how its resources are found.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    discovery::{Class, Discovery, LIST_REGIONS, Regions},
    formula::Formula,
    function_facts::Fact,
    period::Period,
    selection::Selection,
    tags::{GET_RESOURCES, Tags},
};
use crate::{ReportDate, WindowLength};

/// The permission to list the series that there are.
pub const LIST_METRICS: &str = "cloudwatch:ListMetrics";

/// The permission to ask for values.
pub const GET_METRIC_DATA: &str = "cloudwatch:GetMetricData";

/// One kind of report: what is asked of CloudWatch, about which resources, and the table it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// What requests, jobs and report keys call it: `[a-z0-9_]+`.
    pub name: &'static str,
    /// The datasets that a request can ask for together share it.
    pub group: String,
    /// What it is, for people.
    pub title: String,
    pub namespace: String,
    /// The dimensions whose values tell one resource from another; none if the account itself is what is measured.
    pub resource: Vec<String>,
    pub discovery: Discovery,
    pub regions: Regions,
    pub shape: Shape,
    pub layout: Layout,
    pub period: Period,
    /// How long the window of a report is, unless a request says it.
    pub window: WindowLength,
    /// How long after the end of a day its values are final: CloudWatch may publish, or correct, values of the day until
    /// then.
    pub settle: TimeDelta,
    pub metrics: Vec<Metric>,
    pub derived: Vec<Derived>,
    /// The columns of the table, in order.
    pub columns: Vec<Column>,
    /// The column whose sum a report's metadata has as `bytes`.
    pub bytes: Option<String>,
    /// The column whose sum a report's metadata has as `objects`.
    pub objects: Option<String>,
    /// What it is a selection of, if it is one.
    pub selection: Option<Selection>,
    /// How the tags of its resources are found, if they have any.
    pub tags: Option<Tags>,
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One resource, with the values of the newest day that has any.
    NewestDay,
    /// One resource in one period.
    Series,
}

/// How the values of a resource in a period are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// In one row, with a column for each.
    Wide,
    /// In a row for each that is known.
    Long,
}

/// One CloudWatch metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    pub name: String,
    /// As CloudWatch calls it.
    pub unit: String,
    pub statistics: Vec<String>,
    /// Whether its sum is what is read, so that a value that is counted twice is wrong.
    pub is_counter: bool,
    pub missing: Missing,
    /// The dimension that it has besides the resource's.
    pub split: Option<Split>,
    /// If it is another than the dataset's.
    pub namespace: Option<String>,
    /// The dimensions of the resource, if this namespace calls them otherwise, in the order of the dataset's.
    pub resource: Option<Vec<String>>,
    /// What its columns begin with, if it has no split.
    pub column: String,
    /// Statistics whose columns have a name of their own, with that name.
    pub columns: Vec<(String, String)>,
}

/// A column that is made of others of its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    pub name: String,
    pub formula: Formula,
}

/// What a value means that CloudWatch does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// It is not known.
    Empty,
    /// It is 0 if the metric of this name has a datapoint in the same period, which shows that the resource was there.
    ZeroWith(String),
}

/// A dimension that tells the series of one metric of a resource apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    pub dimension: String,
    /// The values that are known by name.
    pub values: Vec<SplitValue>,
    /// The column for values that are not known by name; without one they are left out.
    pub other: Option<String>,
    /// About how many of the values a resource has.
    pub typical: u32,
}

/// A value of a split dimension that is known by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitValue {
    pub value: String,
    /// The column that it is summed into.
    pub column: String,
    pub holders: Holders,
}

/// Which resources can have a series. What a resource can't have is never asked for: it would be paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holders {
    All,
    Only(Class),
}

/// A column of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// What the header calls it.
    pub name: String,
    pub cell: Cell,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// The value of the resource's dimension at this place.
    Resource(usize),
    AccountName,
    AccountId,
    /// The day on which the resource says it was created.
    CreationDate,
    /// The region that the resource lies in.
    Region,
    /// The day asked for.
    ReportDate,
    /// The day of the values in the row.
    DatapointDate,
    /// How the row came about: `ok`, `late`, `no_data`, `deleted`, `denied` or `error:<code>`.
    Status,
    /// The sum of the series that a metric puts under this column's name.
    Measure,
    /// The sum of all series of the metric at this place.
    Total(usize),
    /// The value of the tag whose key is at this place.
    Tag(usize),
    /// When the period of the row begins.
    PeriodStart,
    /// How long the period of the row is.
    PeriodSeconds,
    /// A statistic of a metric, with its fraction.
    Value,
    /// The name of the metric whose value the row has.
    Metric,
    /// The unit of that metric.
    Unit,
    /// The statistic of that metric.
    Statistic,
    /// What one value divided by another is, by their places among the values.
    Ratio(usize, usize),
    /// What is known of a function.
    Fact(Fact),
    /// A part of the function's timeout, by the place of the milliseconds among the values.
    OfTimeout(usize),
    /// What a function cost by its list price, by the places of its invocations and of its milliseconds.
    LambdaCost(usize, usize),
    /// What the milliseconds at this place would cost less on arm64.
    Arm64Saving(usize),
    /// Why the row has no values of Lambda Insights, if it has none.
    Insights,
    /// Whether the values of the row are final, by the function's timeout.
    Settled,
}

impl Dataset {
    /// The period of a report of a day that is collected at `now`; `None` if its rows have none.
    #[must_use]
    pub fn period_of_rows(&self, date: ReportDate, now: DateTime<Utc>) -> Option<Period> {
        match self.shape {
            Shape::NewestDay => None,
            Shape::Series => Some(self.period.kept_for(date.days_until(now))),
        }
    }

    /// What the folder of its reports is called: those of other windows than its own have one of their own, so that no table
    /// has a moment twice.
    #[must_use]
    pub fn folder(&self, window: WindowLength) -> String {
        if window == self.window { self.name.to_owned() } else { format!("{}__{window}", self.name) }
    }

    /// Whether a resource belongs to it, by the values of its dimensions.
    pub fn has<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> bool {
        self.selection.as_ref().is_none_or(|selection| selection.has(values))
    }

    /// Whether tags decide which resources it has.
    #[must_use]
    pub fn selects_by_tags(&self) -> bool {
        self.selection.as_ref().is_some_and(|selection| !selection.tags.is_empty())
    }

    /// The namespace of a metric.
    #[must_use]
    pub fn namespace_of<'a>(&'a self, metric: &'a Metric) -> &'a str {
        metric.namespace.as_ref().unwrap_or(&self.namespace)
    }

    /// The dimensions of a resource, as a metric has them.
    #[must_use]
    pub fn resource_of<'a>(&'a self, metric: &'a Metric) -> &'a [String] {
        metric.resource.as_ref().unwrap_or(&self.resource)
    }

    /// What its values are of, as a short text that changes with it, if the columns of its table do not say it. A build with
    /// another Rust may give another text; rows of earlier attempts are then collected again.
    #[must_use]
    pub fn hidden_measures(&self) -> Option<String> {
        let are_hidden = self.layout == Layout::Long || !self.derived.is_empty();
        are_hidden.then(|| {
            let mut hasher = DefaultHasher::new();
            format!("{:?} {:?}", self.metrics, self.derived).hash(&mut hasher);
            format!("{:016x}", hasher.finish())
        })
    }

    /// How many rows a resource has in a period at most.
    #[must_use]
    pub fn rows_per_period(&self) -> usize {
        match self.layout {
            Layout::Wide => 1,
            Layout::Long => self.metrics.iter().flat_map(Metric::measures).count(),
        }
    }

    /// How long after the end of a day its values are final.
    #[must_use]
    pub fn settle_time(&self) -> TimeDelta {
        self.settle
    }

    /// The IAM actions without which it can't be collected, all of them on `*`.
    pub fn permissions(&self) -> impl Iterator<Item = &'static str> {
        let tags = self.selects_by_tags().then_some(GET_RESOURCES);
        self.discovery.permissions().iter().copied().chain([LIST_METRICS, GET_METRIC_DATA]).chain(tags)
    }

    /// The IAM actions without which less is found, all of them on `*`.
    pub fn optional_permissions(&self) -> impl Iterator<Item = &'static str> {
        let regions = (self.regions == Regions::Enabled).then_some(LIST_REGIONS);
        let has_columns = self.tags.as_ref().is_some_and(|tags| !tags.keys.is_empty());
        let tags = (has_columns && !self.selects_by_tags()).then_some(GET_RESOURCES);
        self.discovery.optional_permissions().iter().copied().chain(regions).chain(tags)
    }
}

/// Where Lambda Insights publishes the metrics of functions that have it.
const LAMBDA_INSIGHTS: &str = "LambdaInsights";

impl Metric {
    /// Whether only functions with Lambda Insights have it.
    #[must_use]
    pub fn is_of_lambda_insights(&self) -> bool {
        self.namespace.as_deref() == Some(LAMBDA_INSIGHTS)
    }

    /// The values of its split that are known by name.
    pub fn known_values(&self) -> impl Iterator<Item = &SplitValue> {
        self.split.iter().flat_map(|split| &split.values)
    }

    /// The column of the values of its split that are not known by name.
    #[must_use]
    pub fn other(&self) -> Option<&str> {
        self.split.as_ref()?.other.as_deref()
    }

    /// What its columns begin with: one text, or one for each value of its split.
    pub fn bases(&self) -> impl Iterator<Item = &str> {
        let split = self.split.as_ref();
        let values = self.known_values().map(|known| &*known.column).chain(self.other());
        values.chain(split.is_none().then_some(&*self.column))
    }

    /// The name of each of its values, with the statistic that it is of. In a wide table they are columns.
    pub fn measures(&self) -> impl Iterator<Item = (String, &str)> {
        let mut known = HashSet::new();
        let bases = self.bases().filter(move |base| known.insert(*base));
        bases.flat_map(|base| self.columns_of(base).zip(self.statistics.iter().map(String::as_str)))
    }

    /// The columns that begin with `base`, one for each statistic.
    pub fn columns_of<'a>(&'a self, base: &'a str) -> impl Iterator<Item = String> + 'a {
        let is_plain = self.split.is_some() && self.statistics.len() == 1;
        self.statistics.iter().map(move |statistic| {
            let named = self.columns.iter().find(|(of, _)| of == statistic);
            match named {
                Some((_, name)) => name.clone(),
                None if is_plain => base.to_owned(),
                None => format!("{base}_{}", snake_case(statistic)),
            }
        })
    }
}

impl Shape {
    pub(in crate::datasets) const ALL: [Self; 2] = [Self::NewestDay, Self::Series];

    /// What a dataset's file calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NewestDay => "newest_day",
            Self::Series => "series",
        }
    }
}

impl Holders {
    /// Whether resources of a class are among them.
    #[must_use]
    pub fn include(self, class: Class) -> bool {
        self == Self::All || self == Self::Only(class)
    }
}

impl Cell {
    /// Whether it is made of others of its row.
    #[must_use]
    pub fn is_derived(self) -> bool {
        matches!(self, Self::Ratio(..) | Self::OfTimeout(_) | Self::LambdaCost(..) | Self::Arm64Saving(_))
    }

    /// The type of its column, in the words of Athena and Glue. A year of creation can have five digits, which their
    /// dates can't.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Fact(fact) => fact.type_name(),
            Self::Settled => "boolean",
            Self::Measure | Self::Total(_) | Self::PeriodSeconds => "bigint",
            Self::Value
            | Self::Ratio(..)
            | Self::OfTimeout(_)
            | Self::LambdaCost(..)
            | Self::Arm64Saving(_) => "double",
            Self::ReportDate | Self::DatapointDate => "date",
            Self::Resource(_)
            | Self::PeriodStart
            | Self::Tag(_)
            | Self::AccountName
            | Self::AccountId
            | Self::CreationDate
            | Self::Region
            | Self::Metric
            | Self::Unit
            | Self::Statistic
            | Self::Insights
            | Self::Status => "string",
        }
    }
}

/// A name of CloudWatch's in snake case: `CPUUtilization` is `cpu_utilization`.
#[must_use]
pub fn snake_case(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (at, character) in characters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| characters.get(at));
        let begins_word = character.is_ascii_uppercase()
            && before.is_some_and(|before| {
                let next_is_small = characters.get(at + 1).is_some_and(char::is_ascii_lowercase);
                before.is_ascii_lowercase() || (before.is_ascii_alphanumeric() && next_is_small)
            });
        if (begins_word || !character.is_ascii_alphanumeric()) && !snake.is_empty() && !snake.ends_with('_') {
            snake.push('_');
        }
        if character.is_ascii_alphanumeric() {
            snake.push(character.to_ascii_lowercase());
        }
    }
    snake.trim_end_matches('_').to_owned()
}
