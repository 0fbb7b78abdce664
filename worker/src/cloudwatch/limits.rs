//! How fast an account's CloudWatch may be asked: AWS's quotas for each account and region, less
//! what is left to the account's owners.
//!
//! A throttled call is tried again by the SDK; these limits are there so that there are few.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use fleet::AccountId;
use governor::DefaultDirectRateLimiter;

use super::turns::{self, Turns};

/// `GetMetricData` calls a second, by account and region.
/// Source, of this and those below:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html>
const GET_METRIC_DATA_CALLS: f64 = 50.0;

/// Datapoints a second where the window begins at most three hours ago; counted on the estimate.
const RECENT_DATAPOINTS: f64 = 180_000.0;

/// Datapoints a second where it begins earlier.
const OLDER_DATAPOINTS: f64 = 396_000.0;

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
    /// `GetMetricData` calls.
    pub get_metric_data: Arc<Turns>,
    recent_datapoints: DefaultDirectRateLimiter,
    older_datapoints: DefaultDirectRateLimiter,
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
            recent_datapoints: turns::limiter(RECENT_DATAPOINTS * share, 1),
            older_datapoints: turns::limiter(OLDER_DATAPOINTS * share, 1),
        }
    }

    /// Waits for the turn of a `GetMetricData` call that may give `datapoints` datapoints from
    /// `start` on.
    pub async fn get_metric_data(&self, datapoints: u32, start: DateTime<Utc>) {
        let recent = Utc::now() - start <= TimeDelta::hours(3);
        let limiter = if recent { &self.recent_datapoints } else { &self.older_datapoints };
        turns::take(limiter, datapoints).await;
        self.get_metric_data.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

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

    #[tokio::test]
    async fn a_call_above_the_burst_is_let_through_piece_by_piece() {
        let limits = RegionLimits::new(0.001);
        let start = Utc::now() - TimeDelta::days(1);
        // 316 at once, and 396 a second: 500 take about half a second.
        limits.get_metric_data(500, start).await;
        assert!(
            limits
                .older_datapoints
                .check_n(NonZeroU32::new(100).expect("not 0"))
                .expect("in the burst")
                .is_err()
        );
    }
}
