// SPDX-License-Identifier: Apache-2.0
//! The least calls and seconds that AWS's rules allow for an account. Plain functions over values.

use std::time::Duration;

/// Series on a page of `ListMetrics`, and queries of a `GetMetricData`.
const SERIES_A_CALL: u64 = 500;

/// Buckets on a page of `ListBuckets`.
const BUCKETS_A_PAGE: u64 = 10_000;

/// Calls a second, by account and region.
const LIST_METRICS_A_SECOND: f64 = 25.0;
const GET_METRIC_DATA_A_SECOND: f64 = 50.0;

/// Datapoints on a page of `GetMetricData`, and a second by account and region if they are older than three hours.
const DATAPOINTS_A_CALL: u64 = 100_800;
const DATAPOINTS_A_SECOND: f64 = 396_000.0;

/// The series that a bucket may have, which an old day asks for one and all.
pub(crate) const KNOWN_SERIES: u64 = 28;

/// What a reader must know of floors and days.
pub(crate) fn definition() -> String {
    format!(
        "The *floor* of an account is arithmetic: the seconds and calls that CloudWatch's lasting rates allow \
         ({GET_METRIC_DATA_A_SECOND} GetMetricData and {LIST_METRICS_A_SECOND} ListMetrics a second in each region, \
         {SERIES_A_CALL} metrics a call), with three latencies on top. CloudWatch also lets about one second's worth through \
         at once, which the floor leaves out, so that small accounts are faster than it. A recent day is one of the last \
         eleven, an old one any before. Of series, the floor also has the quota of 396,000 datapoints a second in \
         each region, and as many queries a call as have 100,800 datapoints; it takes series as asked for while others \
         are still listed."
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// `ListMetrics` knows its series.
    Recent,
    /// It does not any more.
    Old,
}

impl Age {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Recent => "recent",
            Self::Old => "old",
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Series {
    pub(crate) buckets: u64,
    /// Series of `BucketSizeBytes`.
    pub(crate) sizes: u64,
    /// Series of `NumberOfObjects`.
    pub(crate) counts: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Floor {
    /// Calls, those of the report bucket left out.
    pub(crate) api_calls: u64,
    /// Pages of `ListMetrics`, which are among the calls.
    pub(crate) list_pages: u64,
    pub(crate) metrics: u64,
    pub(crate) wall_s: f64,
    /// Seconds where a region's listing must be over before its first metric is asked for.
    pub(crate) wall_in_turn_s: f64,
}

impl Floor {
    /// The floor of an account with these regions, where a call takes `latency`.
    pub(crate) fn of(regions: &[Series], age: Age, latency: Duration) -> Self {
        let latency = latency.as_secs_f64();
        let buckets: u64 = regions.iter().map(|region| region.buckets).sum();
        let bucket_pages = buckets.div_ceil(BUCKETS_A_PAGE).max(1);
        let mut floor =
            Self { api_calls: 1 + bucket_pages, list_pages: 0, metrics: 0, wall_s: 0.0, wall_in_turn_s: 0.0 };
        for region in regions {
            let [sizes, counts] =
                [region.sizes, region.counts].map(|series| series.div_ceil(SERIES_A_CALL).max(1));
            let (pages, chain, metrics) = match age {
                Age::Recent => (sizes + counts, sizes.max(counts), region.sizes + region.counts),
                Age::Old => (0, 0, KNOWN_SERIES * region.buckets),
            };
            let calls = metrics.div_ceil(SERIES_A_CALL);
            floor.api_calls += pages + calls;
            floor.list_pages += pages;
            floor.metrics += metrics;
            let listing = (real(pages) / LIST_METRICS_A_SECOND).max(real(chain) * latency);
            let asking = real(calls) / GET_METRIC_DATA_A_SECOND;
            floor.wall_s = floor.wall_s.max(listing.max(asking));
            floor.wall_in_turn_s = floor.wall_in_turn_s.max(listing + asking);
        }
        floor.wall_s += 3.0 * latency;
        floor.wall_in_turn_s += (2.0 + real(bucket_pages)) * latency;
        floor
    }
}

/// What a region has to be asked for datapoints of many periods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Series of each metric that is listed.
    pub(crate) listed: u64,
    /// How many metrics are listed, and how many of them there are none of.
    pub(crate) metrics: u64,
    pub(crate) metrics_in_vain: u64,
    /// What is asked for: a statistic of a series each.
    pub(crate) queries: u64,
    /// Datapoints of a query.
    pub(crate) periods: u64,
}

impl Floor {
    /// The floor of regions that are asked for datapoints, where a call takes `latency`, besides `others`: the calls that are
    /// no region's.
    pub(crate) fn of_datapoints(regions: &[Demand], others: u64, latency: Duration) -> Self {
        let latency = latency.as_secs_f64();
        let mut floor =
            Self { api_calls: others, list_pages: 0, metrics: 0, wall_s: 0.0, wall_in_turn_s: 0.0 };
        for region in regions {
            let pages_of_one = region.listed.div_ceil(SERIES_A_CALL);
            let pages = (region.metrics - region.metrics_in_vain) * pages_of_one + region.metrics_in_vain;
            let queries_a_call = (DATAPOINTS_A_CALL / region.periods.max(1)).clamp(1, SERIES_A_CALL);
            let calls = region.queries.div_ceil(queries_a_call);
            floor.api_calls += pages + calls;
            floor.list_pages += pages;
            floor.metrics += (region.metrics - region.metrics_in_vain) * region.listed;
            let listing = (real(pages) / LIST_METRICS_A_SECOND).max(real(pages_of_one) * latency);
            let datapoints = real(region.queries) * real(region.periods);
            let asking = (real(calls) / GET_METRIC_DATA_A_SECOND).max(datapoints / DATAPOINTS_A_SECOND);
            floor.wall_s = floor.wall_s.max(listing.max(asking));
            floor.wall_in_turn_s = floor.wall_in_turn_s.max(listing + asking);
        }
        floor.wall_s += 3.0 * latency;
        floor.wall_in_turn_s += 3.0 * latency;
        floor
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of calls")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENCY: Duration = Duration::from_millis(50);

    #[test]
    fn an_old_day_takes_a_call_for_each_500_of_28_series_a_bucket() {
        let region = Series { buckets: 1000, sizes: 1, counts: 1 };
        let floor = Floor::of(&[region], Age::Old, LATENCY);
        assert_eq!((floor.api_calls, floor.list_pages, floor.metrics), (2 + 56, 0, 28_000));
        assert!((floor.wall_s - (56.0 / 50.0 + 0.15)).abs() < 1e-9);
    }

    #[test]
    fn a_recent_day_takes_the_pages_of_two_listings() {
        let region = Series { buckets: 1000, sizes: 2001, counts: 1000 };
        let floor = Floor::of(&[region], Age::Recent, LATENCY);
        assert_eq!((floor.list_pages, floor.api_calls, floor.metrics), (7, 2 + 7 + 7, 3001));
        assert!((floor.wall_s - (7.0 / 25.0 + 0.15)).abs() < 1e-9, "the quota of ListMetrics is the longest");
        assert!((floor.wall_in_turn_s - (7.0 / 25.0 + 7.0 / 50.0 + 0.15)).abs() < 1e-9);
        let slow = Floor::of(&[region], Age::Recent, Duration::from_secs(1));
        assert!((slow.wall_s - 8.0).abs() < 1e-9, "five pages sequentially");
    }

    #[test]
    fn datapoints_are_bound_by_calls_or_by_their_own_quota() {
        // An hour by the minute: 500 queries a call, and 780,000 datapoints.
        let hour = Demand { listed: 1000, metrics: 14, metrics_in_vain: 2, queries: 13_000, periods: 60 };
        let floor = Floor::of_datapoints(&[hour], 1, LATENCY);
        assert_eq!((floor.list_pages, floor.api_calls, floor.metrics), (26, 1 + 26 + 26, 12_000));
        assert!((floor.wall_s - (780_000.0 / 396_000.0 + 0.15)).abs() < 1e-9, "the datapoints");
        assert!((floor.wall_in_turn_s - (26.0 / 25.0 + 780_000.0 / 396_000.0 + 0.15)).abs() < 1e-9);
        // A day by the minute: 70 queries a call.
        let day = Demand { periods: 1440, ..hour };
        let floor = Floor::of_datapoints(&[day, Demand::default()], 1, LATENCY);
        assert_eq!(floor.api_calls, 1 + 26 + 186);
        let sparse = Floor::of_datapoints(&[Demand { periods: 1, ..hour }], 1, LATENCY);
        assert!((sparse.wall_s - (26.0 / 25.0 + 0.15)).abs() < 1e-9, "the listing");
    }

    #[test]
    fn regions_run_concurrently_and_an_empty_one_is_listed() {
        let region = Series { buckets: 1000, sizes: 2000, counts: 1000 };
        let one = Floor::of(&[region], Age::Recent, LATENCY);
        let two = Floor::of(&[region, Series::default()], Age::Recent, LATENCY);
        assert!((two.wall_s - one.wall_s).abs() < 1e-9);
        assert_eq!(two.api_calls, one.api_calls + 2);
    }
}
