// SPDX-License-Identifier: Apache-2.0
//! One query of `GetMetricData`, as the plans of both shapes make it.

use fleet::datasets::Metric;

/// One query: a statistic of a series.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The metric.
    pub metric: &'static Metric,
    /// The values of the resource's dimensions, as [`dimensions::values`](super::dimensions::values) has them.
    pub resource: &'a str,
    /// The value of the metric's split; empty if it has none.
    pub value: &'a str,
    /// The statistic.
    pub statistic: &'a str,
}

impl Asked<'_> {
    /// Whether both are statistics of one series: such are paid for together.
    pub(crate) fn is_same_series(&self, other: &Self) -> bool {
        std::ptr::eq(self.metric, other.metric)
            && (self.resource, self.value) == (other.resource, other.value)
    }
}
