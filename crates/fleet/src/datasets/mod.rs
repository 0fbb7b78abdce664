//! The datasets that a report can be about, each of them data: one file with one constant, and one
//! line in [`DATASETS`]. The producer takes names and prices from here, the worker all the rest.
//!
//! To add one, copy `s3_daily_storage.rs`, describe the namespace, and register it below.

mod s3_daily_storage;

use chrono::TimeDelta;

/// Every dataset, in the order in which they are shown.
pub const DATASETS: &[&Dataset] = &[&s3_daily_storage::DATASET];

/// The dataset of a request or job that names none.
pub const DEFAULT: &Dataset = &s3_daily_storage::DATASET;

/// What `GetMetricData` costs for each metric asked for, in US dollars: $0.01 per 1,000.
/// Source: <https://aws.amazon.com/cloudwatch/pricing/>
pub const DOLLARS_PER_METRIC: f64 = 0.01 / 1000.0;

/// What any other CloudWatch call costs, in US dollars: $0.01 per 1,000.
/// Source: <https://aws.amazon.com/cloudwatch/pricing/>
pub const DOLLARS_PER_CALL: f64 = 0.01 / 1000.0;

/// One kind of report: what is asked of CloudWatch, about which resources, and the table it makes.
///
/// A row of the table is one resource in one region on one day.
#[derive(Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The name in requests, jobs and report keys: `[a-z0-9_]+`.
    pub name: &'static str,
    /// The CloudWatch namespace.
    pub namespace: &'static str,
    /// How the account's resources are found.
    pub discovery: Discovery,
    /// The dimension whose value is the resource's name.
    pub resource_dimension: &'static str,
    /// What is asked about each resource.
    pub metrics: &'static [Metric],
    /// The period of every query, in seconds; a divisor or multiple of a day.
    pub period_seconds: u32,
    /// How many hours after the end of a day its values are final: CloudWatch may publish, or correct, values of the
    /// day until then.
    pub settle_hours: u32,
    /// The columns of the table, in order.
    pub columns: &'static [Column],
    /// The column whose sum a report's metadata has as `bytes`.
    pub bytes: &'static str,
    /// The column whose sum a report's metadata has as `objects`.
    pub objects: &'static str,
}

/// How the resources of an account are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discovery {
    /// S3's `ListBuckets`, asked once; the answer names each bucket's region.
    Buckets,
}

/// One CloudWatch metric, which has a series for each value of a second dimension.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// The metric's name.
    pub name: &'static str,
    /// The statistic asked for.
    pub statistic: &'static str,
    /// The dimension that tells the series of one resource apart.
    pub dimension: &'static str,
    /// The series that are known by name.
    pub series: &'static [Series],
    /// The column for values that are not known by name; without one such series are left out.
    pub other: Option<&'static str>,
}

/// A series of a metric that is known by name.
#[derive(Debug, PartialEq, Eq)]
pub struct Series {
    /// The value of the metric's dimension.
    pub value: &'static str,
    /// The column that it is summed into.
    pub column: &'static str,
    /// Which resources can have it.
    pub holders: Holders,
}

/// Which resources can have a series. What a resource can't have is never asked for: it would be paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holders {
    /// All of them.
    All,
    /// Those of this class.
    Only(Class),
}

/// The class of a resource, if the resources of a dataset differ in the series that they can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// General purpose buckets.
    General,
    /// Directory buckets, of S3 Express One Zone and of Local Zones.
    Directory,
}

/// A column of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in the header.
    pub name: &'static str,
    /// What stands in it.
    pub cell: Cell,
}

/// What stands in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// The resource's name.
    Resource,
    /// The account's name.
    AccountName,
    /// The account's id.
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
    /// The sum of all series of the metric of this name.
    Total(&'static str),
}

impl Dataset {
    /// The dataset of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        DATASETS.iter().copied().find(|dataset| dataset.name == name)
    }

    /// How long after the end of a day its values are final.
    #[must_use]
    pub fn settle_time(&self) -> TimeDelta {
        TimeDelta::hours(self.settle_hours.into())
    }

    /// How many metrics are paid for each general purpose bucket if it is not known which of them exist.
    #[must_use]
    pub fn metrics_per_resource(&self) -> usize {
        let series = self.metrics.iter().flat_map(|metric| metric.series);
        series.filter(|series| series.holders.include(Class::General)).count()
    }
}

impl Holders {
    /// Whether resources of a class are among them.
    #[must_use]
    pub fn include(self, class: Class) -> bool {
        self == Self::All || self == Self::Only(class)
    }
}

/// The names of all datasets, for messages.
#[must_use]
pub fn names() -> String {
    DATASETS.iter().map(|dataset| dataset.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_dataset_is_whole() {
        let mut names = HashSet::new();
        for dataset in DATASETS {
            assert!(names.insert(dataset.name), "two datasets are named {}", dataset.name);
            assert!(dataset.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
            assert!(86_400 % dataset.period_seconds == 0 || dataset.period_seconds % 86_400 == 0);

            let mut columns = HashSet::new();
            for column in dataset.columns {
                assert!(columns.insert(column.name), "{} has two columns {}", dataset.name, column.name);
                if let Cell::Total(metric) = column.cell {
                    assert!(
                        dataset.metrics.iter().any(|m| m.name == metric),
                        "{metric} is summed, not asked"
                    );
                }
            }
            let measures: HashSet<_> =
                dataset.columns.iter().filter(|c| c.cell == Cell::Measure).map(|c| c.name).collect();
            let fed: HashSet<_> = dataset
                .metrics
                .iter()
                .flat_map(|m| m.series.iter().map(|series| series.column).chain(m.other))
                .collect();
            assert_eq!(
                measures, fed,
                "each measured column of {} has a series, and the reverse",
                dataset.name
            );
            assert!(columns.contains(dataset.bytes) && columns.contains(dataset.objects));
        }
    }

    #[test]
    fn no_bucket_is_asked_for_what_its_class_can_not_have() {
        let has = |value: &str| {
            let series = DEFAULT.metrics.iter().flat_map(|metric| metric.series);
            let series = series.filter(|series| series.value == value).collect::<Vec<_>>();
            let [series] = series[..] else { panic!("{value} is not there once") };
            [Class::General, Class::Directory].map(|class| series.holders.include(class))
        };
        assert_eq!(has("StandardStorage"), [true, false]);
        assert_eq!(has("ExpressOneZoneStorage"), [false, true]);
        assert_eq!(has("OneZoneIAStorage"), [true, true]);
        assert_eq!(has("AllStorageTypes"), [true, true]);
        assert_eq!(DEFAULT.metrics_per_resource(), 28);
    }
}
