// SPDX-License-Identifier: Apache-2.0
//! What collecting a dataset costs, by AWS's list price.

use super::{Dataset, Metric};

/// What `GetMetricData` costs for each metric asked for, in US dollars: $0.01 per 1,000.
/// Source: <https://aws.amazon.com/cloudwatch/pricing/>
pub const DOLLARS_PER_METRIC: f64 = 0.01 / 1000.0;

/// What any other CloudWatch call costs, in US dollars: $0.01 per 1,000.
/// Source: <https://aws.amazon.com/cloudwatch/pricing/>
pub const DOLLARS_PER_CALL: f64 = 0.01 / 1000.0;

/// How many metrics are paid for each resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsPerResource {
    /// The least, if those are asked that exist.
    pub fewest: u32,
    /// About how many, if those are asked that exist.
    pub typical: u32,
    /// If it is not known which exist, and all are asked that may.
    pub all: u32,
}

impl Dataset {
    /// How many metrics are paid for each resource, of the class that nearly all are of.
    #[must_use]
    pub fn metrics_per_resource(&self) -> MetricsPerResource {
        let class = self.discovery.usual_class();
        let possible = |metric: &Metric| {
            let values = metric.known_values().filter(|known| known.holders.include(class));
            if metric.split.is_some() { as_u32(values.count()) } else { 1 }
        };
        let paid = |metric: &Metric| as_u32(paid(metric.statistics.len()));
        let sum = |of: &dyn Fn(&Metric) -> u32| self.metrics.iter().map(of).sum::<u32>();
        let typical = sum(&|metric| paid(metric) * metric.split.as_ref().map_or(1, |split| split.typical));
        let all = sum(&|metric| paid(metric) * possible(metric));
        let all = if self.discovery.asks_for_unlisted() { all } else { typical };
        let fewest = sum(&|metric| if metric.is_of_lambda_insights() { 0 } else { paid(metric) });
        MetricsPerResource { fewest, typical: typical.min(all), all }
    }
}

/// How many metrics are paid for so many statistics of one, asked in one call: one for each five.
/// Source: <https://aws.amazon.com/cloudwatch/pricing/>
#[must_use]
pub fn paid(statistics: usize) -> usize {
    statistics.div_ceil(5)
}

fn as_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::paid;
    use crate::datasets::{DEFAULT, Dataset, MetricsPerResource};

    #[test]
    fn a_function_need_not_have_insights() {
        let functions = Dataset::find("lambda_function").expect("it is there");
        assert_eq!(functions.metrics_per_resource(), MetricsPerResource { fewest: 18, typical: 22, all: 22 });
    }

    #[test]
    fn a_bucket_has_its_objects_and_the_bytes_of_one_or_two_storage_classes() {
        assert_eq!([1, 5, 6].map(paid), [1, 1, 2]);
        assert_eq!(DEFAULT.metrics_per_resource(), MetricsPerResource { fewest: 2, typical: 3, all: 28 });
    }
}
