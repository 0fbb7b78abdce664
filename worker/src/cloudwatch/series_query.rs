// SPDX-License-Identifier: Apache-2.0
//! One query of `GetMetricData`, as the plans of both dataset shapes contain it.

use fleet::datasets::Metric;

/// A query for one statistic of a series.
#[derive(Debug, Clone, Copy)]
pub struct SeriesQuery<'a> {
    pub metric: &'static Metric,
    /// The values of the resource's dimensions, as [`dimensions::values`](super::dimensions::values) has them.
    pub resource: &'a str,
    /// The value of the metric's split; empty if it has none.
    pub value: &'a str,
    pub statistic: &'a str,
}

impl SeriesQuery<'_> {
    /// Whether both are statistics of one series, which AWS bills together.
    pub(crate) fn is_same_series(&self, other: &Self) -> bool {
        std::ptr::eq(self.metric, other.metric)
            && (self.resource, self.value) == (other.resource, other.value)
    }
}
