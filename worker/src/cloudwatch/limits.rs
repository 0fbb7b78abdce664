// SPDX-License-Identifier: Apache-2.0
//! The rate limits of CloudWatch calls, and of those that read tags and functions: AWS's quotas for each account and region, less the share that is left to the
//! account's owners.
//!
//! The SDK retries throttled calls; these limits keep them few.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::TimeDelta;
use fleet::AccountId;

use super::rate_limiter::RateLimiter;

/// `GetMetricData` calls a second, by account and region.
///
/// Source of this and the other quotas:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html>
const GET_METRIC_DATA_CALLS: f64 = 50.0;

/// Datapoints a second for calls whose time begins more than three hours ago, as any past day does. AWS counts an estimate
/// of the datapoints.
const OLDER_DATAPOINTS: f64 = 396_000.0;

/// Datapoints a second for calls whose time begins later.
const RECENT_DATAPOINTS: f64 = 180_000.0;

/// How long ago a call's time begins at most for the lower quota, with some minutes more, since AWS's clock decides.
const RECENT: TimeDelta = TimeDelta::minutes(3 * 60 + 5);

/// `ListMetrics` calls a second, by account and region.
const LIST_METRICS_CALLS: f64 = 25.0;

/// `GetResources` calls a second, by account and region: <https://docs.aws.amazon.com/general/latest/gr/arg.html>
const GET_RESOURCES_CALLS: f64 = 15.0;

/// `ListFunctions` calls a second, by account and region: all calls that manage functions share 15, of
/// which deployments need the larger part.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html#api-requests>
const LIST_FUNCTIONS_CALLS: f64 = 14.0;

/// The limits of all accounts and regions that this process queries.
#[derive(Debug, Default)]
pub struct Limits {
    regions: Mutex<HashMap<QuotaKey, Arc<RegionLimits>>>,
}

/// What a quota applies to.
type QuotaKey = (AccountId, Arc<str>);

/// The limits of an account in one region.
#[derive(Debug)]
pub struct RegionLimits {
    pub list_metrics: Arc<RateLimiter>,
    /// A call counts by its datapoints ([`cost`]).
    pub get_metric_data: Arc<RateLimiter>,
    pub get_resources: Arc<RateLimiter>,
    pub list_functions: Arc<RateLimiter>,
}

/// How many calls a `GetMetricData` call with up to this many datapoints, whose time began so long ago, counts as: one, or
/// more if the quota of datapoints allows fewer such calls than the quota of calls.
#[must_use]
pub fn cost(datapoints: u32, age: TimeDelta) -> f64 {
    let quota = if age <= RECENT { RECENT_DATAPOINTS } else { OLDER_DATAPOINTS };
    (f64::from(datapoints) * GET_METRIC_DATA_CALLS / quota).max(1.0)
}

impl Limits {
    /// The limits of an account in a region, shared by all jobs. `quota_share` is the part of the quota to use; the
    /// first caller sets it.
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
            list_metrics: Arc::new(RateLimiter::new(LIST_METRICS_CALLS * share)),
            get_metric_data: Arc::new(RateLimiter::new(GET_METRIC_DATA_CALLS * share)),
            get_resources: Arc::new(RateLimiter::new(GET_RESOURCES_CALLS * share)),
            list_functions: Arc::new(RateLimiter::new(LIST_FUNCTIONS_CALLS * share)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_and_region_has_its_own_limiter() {
        let limits = Limits::default();
        let ids: [AccountId; 2] = ["111111111111", "222222222222"].map(|id| id.parse().expect("an id"));
        let regions: [Arc<str>; 2] = ["eu-west-1", "us-east-1"].map(Arc::from);
        let first = limits.of(&ids[0], &regions[0], 0.5);
        assert!(Arc::ptr_eq(&first, &limits.of(&ids[0], &regions[0], 0.5)));
        assert!(!Arc::ptr_eq(&first, &limits.of(&ids[0], &regions[1], 0.5)));
        assert!(!Arc::ptr_eq(&first, &limits.of(&ids[1], &regions[0], 0.5)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_for_its_datapoints_if_they_take_longer_than_the_call() {
        let [older, recent] = [TimeDelta::days(1), TimeDelta::hours(3)];
        for (calls, datapoints, age, milliseconds) in
            [(90, 500 * 3, older, 1000), (19, 100_000, older, 3998), (19, 100_000, recent, 9756)]
        {
            let (limits, begun) = (RegionLimits::new(1.0), tokio::time::Instant::now());
            for _ in 0..calls {
                limits.get_metric_data.wait(cost(datapoints, age)).await;
            }
            // 90 calls at 50 a second, or 1,900,000 datapoints at 396,000 or 180,000, less the burst.
            let elapsed = begun.elapsed();
            assert!(elapsed.as_millis().abs_diff(milliseconds) <= 20, "{datapoints}: {elapsed:?}");
        }
    }
}
