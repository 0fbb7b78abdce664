// SPDX-License-Identifier: Apache-2.0
//! How fast an account's CloudWatch may be asked: AWS's quotas for each account and region, less
//! what is left to the account's owners.
//!
//! A throttled call is tried again by the SDK; these limits are there so that there are few.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use fleet::AccountId;

use super::turns::Turns;

/// `GetMetricData` calls a second, by account and region.
/// Source, of this and those below:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html>
const GET_METRIC_DATA_CALLS: f64 = 50.0;

/// Datapoints a second where the window begins more than three hours ago, as that of a day that is over does;
/// counted on the estimate.
const GET_METRIC_DATA_DATAPOINTS: f64 = 396_000.0;

/// `ListMetrics` calls a second, by account and region.
const LIST_METRICS_CALLS: f64 = 25.0;

/// The limits of every account and region that this process asks.
#[derive(Debug, Default)]
pub struct Limits {
    regions: Mutex<HashMap<Place, Arc<RegionLimits>>>,
}

/// What AWS counts a quota by.
type Place = (AccountId, Arc<str>);

/// The limits of an account in one region.
#[derive(Debug)]
pub struct RegionLimits {
    /// `ListMetrics` calls.
    pub list_metrics: Arc<Turns>,
    /// `GetMetricData` calls, each at the cost of its datapoints.
    pub get_metric_data: Arc<Turns>,
}

/// How many turns a `GetMetricData` call costs that may give so many datapoints: one, or more where the quota
/// of datapoints lets fewer such calls through than that of calls.
#[must_use]
pub fn cost(datapoints: u32) -> f64 {
    (f64::from(datapoints) * GET_METRIC_DATA_CALLS / GET_METRIC_DATA_DATAPOINTS).max(1.0)
}

impl Limits {
    /// The limits of an account in a region, shared by all who ask there. `quota_share` is the
    /// part of the quota to use; the first to ask sets it.
    #[must_use]
    pub fn of(&self, account: &AccountId, region: &Arc<str>, quota_share: f64) -> Arc<RegionLimits> {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        regions
            .entry((account.clone(), region.clone()))
            .or_insert_with(|| Arc::new(RegionLimits::new(quota_share)))
            .clone()
    }
}

impl RegionLimits {
    fn new(share: f64) -> Self {
        Self {
            list_metrics: Arc::new(Turns::new(LIST_METRICS_CALLS * share)),
            get_metric_data: Arc::new(Turns::new(GET_METRIC_DATA_CALLS * share)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_and_region_has_one_limiter_and_shares_it_with_no_other() {
        let limits = Limits::default();
        let ids: [AccountId; 2] = ["111111111111", "222222222222"].map(|id| id.parse().expect("an id"));
        let regions: [Arc<str>; 2] = ["eu-west-1", "us-east-1"].map(Arc::from);
        let first = limits.of(&ids[0], &regions[0], 0.5);
        assert!(Arc::ptr_eq(&first, &limits.of(&ids[0], &regions[0], 0.5)));
        assert!(!Arc::ptr_eq(&first, &limits.of(&ids[0], &regions[1], 0.5)));
        assert!(!Arc::ptr_eq(&first, &limits.of(&ids[1], &regions[0], 0.5)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_for_its_datapoints_where_they_take_longer_than_the_call() {
        for (calls, datapoints, milliseconds) in [(90, 500 * 3, 1000), (19, 100_000, 3998)] {
            let (limits, begun) = (RegionLimits::new(1.0), tokio::time::Instant::now());
            for _ in 0..calls {
                limits.get_metric_data.wait(cost(datapoints)).await;
            }
            // 90 calls at 50 a second, or 1,900,000 datapoints at 396,000, less what is let through at once.
            let elapsed = begun.elapsed();
            assert!(elapsed.as_millis().abs_diff(milliseconds) <= 20, "{datapoints}: {elapsed:?}");
        }
    }
}
