//! The datasets that a report can be about. Each is one file of the folder `datasets/`, which says what is asked of
//! CloudWatch; the producer takes names and prices from it, the worker all the rest.

#![allow(missing_docs, reason = "the fields are keys of a dataset's file")]

mod builtin;
mod discovery;
mod file;
mod period;
mod price;

use chrono::TimeDelta;

pub use self::{
    builtin::{DATASETS, DEFAULT, names},
    discovery::{Class, Discovery, LIST_BUCKETS, LIST_DIRECTORY_BUCKETS, Regions},
    file::Faults,
    period::Period,
    price::{DOLLARS_PER_CALL, DOLLARS_PER_METRIC, MetricsPerResource},
};

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
    /// The dimensions whose values tell one resource from another.
    pub resource: Vec<String>,
    pub discovery: Discovery,
    pub regions: Regions,
    pub shape: Shape,
    pub period: Period,
    /// How long after the end of a day its values are final: CloudWatch may publish, or correct, values of the day until
    /// then.
    pub settle: TimeDelta,
    pub metrics: Vec<Metric>,
    /// The columns of the table, in order.
    pub columns: Vec<Column>,
    /// The column whose sum a report's metadata has as `bytes`.
    pub bytes: Option<String>,
    /// The column whose sum a report's metadata has as `objects`.
    pub objects: Option<String>,
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One resource, with the values of the newest day that has any.
    NewestDay,
}

/// One CloudWatch metric, which has a series for each value of a further dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    pub name: String,
    /// As CloudWatch calls it.
    pub unit: String,
    pub statistic: String,
    pub split: Split,
}

/// The dimension that tells the series of one metric of a resource apart.
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
    /// The resource's name.
    Resource,
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
}

impl Dataset {
    /// The dataset of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        DATASETS.iter().find(|dataset| dataset.name == name)
    }

    /// Reads the file of a dataset.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Faults> {
        file::parse(text)
    }

    /// How long after the end of a day its values are final.
    #[must_use]
    pub fn settle_time(&self) -> TimeDelta {
        self.settle
    }

    /// The IAM actions without which it can't be collected, all of them on `*`.
    pub fn permissions(&self) -> impl Iterator<Item = &'static str> {
        self.discovery.permissions().iter().copied().chain([LIST_METRICS, GET_METRIC_DATA])
    }
}

impl Shape {
    pub(in crate::datasets) const ALL: [Self; 1] = [Self::NewestDay];

    /// What a dataset's file calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NewestDay => "newest_day",
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
    /// The type of its column, in the words of Athena and Glue. A year of creation can have five digits, which their
    /// dates can't.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Measure | Self::Total(_) => "bigint",
            Self::ReportDate | Self::DatapointDate => "date",
            Self::Resource
            | Self::AccountName
            | Self::AccountId
            | Self::CreationDate
            | Self::Region
            | Self::Status => "string",
        }
    }
}
