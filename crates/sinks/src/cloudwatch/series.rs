// SPDX-License-Identifier: Apache-2.0
//! Which metrics of a dataset can be put, and as which series. Pure.

use std::collections::{BTreeMap, BTreeSet};

use fleet::{
    Dataset,
    datasets::{Layout, Metric, Shape},
};

/// The statistics that make a statistic set, in the order of [`Measured::columns`]. The average is made of them.
pub(super) const STATISTICS: [&str; 4] = ["SampleCount", "Sum", "Minimum", "Maximum"];

/// The dimensions that every series has besides those of its resource.
pub(super) const ACCOUNT_ID: &str = "AccountId";
pub(super) const REGION: &str = "Region";

/// The most dimensions of a metric.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html>
const MAX_DIMENSIONS: usize = 30;

/// A metric of which a dataset has all that a statistic set needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) is_counter: bool,
    /// The columns of [`STATISTICS`].
    pub(super) columns: [String; 4],
}

/// The metrics of a dataset that are put, and the names of those that are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Series {
    pub(super) measured: Vec<Measured>,
    pub(super) left_out: Vec<String>,
}

impl Series {
    /// # Errors
    ///
    /// Why no report of the dataset can be put.
    pub(super) fn new(dataset: &Dataset) -> Result<Self, String> {
        let name = dataset.name;
        if dataset.shape == Shape::NewestDay {
            return Err(format!(
                "has {name}, whose numbers are sums of several series; a statistic set is of one"
            ));
        }
        if dataset.layout == Layout::Long {
            return Err(format!(
                "has {name}, which has a row for each statistic; use a dataset of layout wide, whose rows have all of them"
            ));
        }
        // None of them is one of the resource's: it would make a column that every table has.
        let own = [ACCOUNT_ID, REGION];
        if dataset.resource.len() + own.len() > MAX_DIMENSIONS {
            return Err(format!(
                "has {name}, which has {} dimensions; with {ACCOUNT_ID} and {REGION} they are more than {MAX_DIMENSIONS}",
                dataset.resource.len()
            ));
        }
        let (mut measured, mut left_out) = (Vec::new(), Vec::new());
        for metric in &dataset.metrics {
            match Measured::new(metric) {
                Some(metric) => measured.push(metric),
                None => left_out.push(metric.name.clone()),
            }
        }
        if measured.is_empty() {
            return Err(format!(
                "has {name}, of which no metric has the statistics {}; write a [[dataset]] like it in which the metrics that you need have them",
                STATISTICS.join(", ")
            ));
        }
        Ok(Self { measured, left_out })
    }
}

impl Measured {
    fn new(metric: &Metric) -> Option<Self> {
        // Several series of a split may be one column.
        if metric.split.is_some() {
            return None;
        }
        let names: BTreeMap<&str, String> =
            metric.statistics.iter().map(String::as_str).zip(metric.columns_of(&metric.column)).collect();
        let [count, sum, minimum, maximum] = STATISTICS.map(|statistic| names.get(statistic).cloned());
        Some(Self {
            name: metric.name.clone(),
            unit: metric.unit.clone(),
            is_counter: metric.is_counter,
            columns: [count?, sum?, minimum?, maximum?],
        })
    }
}

/// Two datasets that would put the same series, if there are any: CloudWatch would add their values up.
pub(super) fn clash(all: &[(&Dataset, Series)]) -> Option<String> {
    let mut known = BTreeMap::new();
    for (dataset, Series { measured, .. }) in all {
        let dimensions: BTreeSet<&str> = dataset.resource.iter().map(String::as_str).collect();
        for metric in measured {
            let Some(other) = known.insert((&*metric.name, dimensions.clone()), dataset.name) else {
                continue;
            };
            let name = &metric.name;
            return Some(if other == dataset.name {
                format!(
                    "has {other}, which has two metrics {name}; in one namespace their values would be added up"
                )
            } else {
                format!(
                    "has {other} and {}, which both have {name} of the same resources; give each a sink with a namespace of its own",
                    dataset.name
                )
            });
        }
    }
    None
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::cloudwatch) const FILE: &str = "\
name      = 'forwarded'
title     = 'ECS services'
namespace = 'AWS/ECS'
resource  = ['ClusterName', 'ServiceName']
shape     = 'series'
period    = '1m'
window    = '5m'
settle    = '3m'
discovery = 'list_metrics'
regions   = 'enabled'

[[metric]]
name       = 'CPUUtilization'
unit       = 'Percent'
statistics = ['Maximum', 'Average', 'SampleCount', 'Sum', 'Minimum']

[[metric]]
name       = 'RequestCount'
unit       = 'Count'
statistics = ['SampleCount', 'Sum', 'Minimum', 'Maximum']
counter    = true
column     = 'requests'

[[metric]]
name       = 'LiveTaskCount'
unit       = 'Count'
statistics = ['Average', 'Maximum', 'p99']
";

    fn with_series(dataset: &Dataset) -> (&Dataset, Series) {
        (dataset, Series::new(dataset).expect("it can be put"))
    }

    fn dataset(text: &str) -> Dataset {
        Dataset::parse(text).expect("a dataset")
    }

    #[test]
    fn a_metric_with_all_four_statistics_is_put_and_others_are_named() {
        let Series { measured, left_out } = Series::new(&dataset(FILE)).expect("it can be put");
        assert_eq!(left_out, ["LiveTaskCount"]);
        let [cpu, requests] = &measured[..] else { panic!("two: {measured:?}") };
        assert_eq!((&*cpu.name, &*cpu.unit, cpu.is_counter), ("CPUUtilization", "Percent", false));
        assert_eq!(
            cpu.columns,
            ["sample_count", "sum", "minimum", "maximum"].map(|name| format!("cpu_utilization_{name}"))
        );
        assert_eq!((requests.is_counter, &*requests.columns[1]), (true, "requests_sum"));
    }

    #[test]
    fn a_dataset_that_has_no_statistic_sets_is_refused_with_the_reason() {
        let dimensions: Vec<String> = (0..29).map(|nth| format!("'D{nth}'")).collect();
        let wide = format!("[{}]", dimensions.join(", "));
        let resource = "['ClusterName', 'ServiceName']";
        for (dataset, expected) in [
            (
                dataset(&FILE.replace("'Minimum'", "'p50'")),
                "no metric has the statistics SampleCount, Sum, Minimum, Maximum; write a [[dataset]]",
            ),
            (
                dataset(
                    &FILE
                        .replace("period ", "layout = 'long'\nperiod ")
                        .replace("column     = 'requests'\n", ""),
                ),
                "a row for each statistic",
            ),
            (
                dataset(&FILE.replace(resource, &wide)),
                "has 29 dimensions; with AccountId and Region they are more than 30",
            ),
            (
                (*fleet::datasets::DEFAULT).clone(),
                "has s3_daily_storage, whose numbers are sums of several series",
            ),
        ] {
            let said = Series::new(&dataset).expect_err(expected);
            assert!(said.contains(expected), "{said}");
        }
        let dimensions = wide.replacen("'D0', ", "", 1);
        Series::new(&dataset(&FILE.replace(resource, &dimensions))).expect("30 are not too many");
    }

    #[test]
    fn what_would_be_added_up_is_refused() {
        let (one, mut other) = (dataset(FILE), dataset(&FILE.replace("'forwarded'", "'again'")));
        assert_eq!(clash(&[with_series(&one)]), None);
        let said = clash(&[with_series(&one), with_series(&other)]).expect("the same series");
        assert!(
            said.starts_with("has forwarded and again, which both have CPUUtilization of the same"),
            "{said}"
        );
        // The order of dimensions means nothing.
        other.resource.reverse();
        assert!(clash(&[with_series(&one), with_series(&other)]).is_some());
        other.resource.pop();
        assert_eq!(clash(&[with_series(&one), with_series(&other)]), None);
        let two = FILE.replace("name       = 'RequestCount'", "name = 'CPUUtilization'\nnamespace = 'Other'");
        let said = clash(&[with_series(&dataset(&two))]).expect("two of a name");
        assert!(said.starts_with("has forwarded, which has two metrics CPUUtilization"), "{said}");
    }
}
