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
            let values = metric.split.values.iter().filter(|known| known.holders.include(class));
            u32::try_from(values.count()).unwrap_or(u32::MAX)
        };
        let sum = |of: &dyn Fn(&Metric) -> u32| self.metrics.iter().map(of).sum();
        let all: u32 = sum(&possible);
        let typical: u32 = sum(&|metric| metric.split.typical);
        MetricsPerResource { fewest: sum(&|_| 1), typical: typical.min(all), all }
    }
}

#[cfg(test)]
mod tests {
    use crate::datasets::{DEFAULT, MetricsPerResource};

    #[test]
    fn a_bucket_has_its_objects_and_the_bytes_of_one_or_two_storage_classes() {
        assert_eq!(DEFAULT.metrics_per_resource(), MetricsPerResource { fewest: 2, typical: 3, all: 28 });
    }
}
