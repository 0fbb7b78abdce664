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

use super::turns::Turns;

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
    recent_datapoints: Turns,
    older_datapoints: Turns,
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
            recent_datapoints: Turns::new(RECENT_DATAPOINTS * share),
            older_datapoints: Turns::new(OLDER_DATAPOINTS * share),
        }
    }

    /// Waits for the turn of a `GetMetricData` call that may give `datapoints` datapoints from
    /// `start` on.
    pub async fn get_metric_data(&self, datapoints: u32, start: DateTime<Utc>) {
        let recent = Utc::now() - start <= TimeDelta::hours(3);
        let of_datapoints = if recent { &self.recent_datapoints } else { &self.older_datapoints };
        of_datapoints.wait(datapoints).await;
        self.get_metric_data.wait(1).await;
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
    async fn datapoints_are_limited_as_calls_are_and_by_the_age_of_the_first() {
        for (hours, milliseconds) in [(1, 9756), (4, 3998)] {
            let limits = RegionLimits::new(1.0);
            let (begun, start) = (tokio::time::Instant::now(), Utc::now() - TimeDelta::hours(hours));
            for _ in 0..19 {
                limits.get_metric_data(100_000, start).await;
            }
            // 1,900,000 at 180,000 or 396,000 a second, less what is let through at once.
            assert!(begun.elapsed().as_millis().abs_diff(milliseconds) <= 20, "{:?}", begun.elapsed());
        }
    }
}
