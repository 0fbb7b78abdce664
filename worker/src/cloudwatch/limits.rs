//! How fast an account's CloudWatch may be asked: AWS's quotas for each account and region, less
//! what is left to the account's owners.
//!
//! A throttled call is tried again by the SDK; these limits are there so that there are few.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use fleet::AccountId;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

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

/// The limits of one account in one region. Each lets a burst of one second through at first.
#[derive(Debug)]
pub struct RegionLimits {
    list_metrics: DefaultDirectRateLimiter,
    get_metric_data: DefaultDirectRateLimiter,
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
            list_metrics: per_second(LIST_METRICS_CALLS * share),
            get_metric_data: per_second(GET_METRIC_DATA_CALLS * share),
            recent_datapoints: per_second(RECENT_DATAPOINTS * share),
            older_datapoints: per_second(OLDER_DATAPOINTS * share),
        }
    }

    /// Waits for the turn of a `ListMetrics` call.
    pub async fn list_metrics(&self) {
        self.list_metrics.until_ready().await;
    }

    /// Waits for the turn of a `GetMetricData` call that may give `datapoints` datapoints from
    /// `start` on.
    pub async fn get_metric_data(&self, datapoints: u32, start: DateTime<Utc>) {
        let recent = Utc::now() - start <= TimeDelta::hours(3);
        let limiter = if recent { &self.recent_datapoints } else { &self.older_datapoints };
        if let Some(mut left) = NonZeroU32::new(datapoints) {
            // A call that is larger than the burst waits for it piece by piece.
            while let Err(capacity) = limiter.until_n_ready(left).await {
                let capacity = NonZeroU32::new(capacity.0).unwrap_or(NonZeroU32::MIN);
                let _ = limiter.until_n_ready(capacity).await;
                match NonZeroU32::new(left.get() - capacity.get()) {
                    Some(rest) => left = rest,
                    None => break,
                }
            }
        }
        self.get_metric_data.until_ready().await;
    }
}

/// A limiter of `rate` a second, which lets a second's worth through at once.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is positive and small")]
fn per_second(rate: f64) -> DefaultDirectRateLimiter {
    let burst = NonZeroU32::new(rate as u32).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::with_period(Duration::from_secs_f64(1.0 / rate))
        .expect("cannot fail: a share of at most 1 of at most 396,000 is above a nanosecond each");
    RateLimiter::direct(quota.allow_burst(burst))
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

    #[test]
    fn a_share_of_the_quota_is_let_through_at_once_and_no_more() {
        for (share, expected) in [(1.0, 50), (0.5, 25), (0.001, 1)] {
            let limits = RegionLimits::new(share);
            let let_through = (0..100).take_while(|_| limits.get_metric_data.check().is_ok()).count();
            // The limiter may refill by one while it is counted.
            assert!((expected..=expected + 1).contains(&let_through), "{share}: {let_through}");
        }
    }

    #[tokio::test]
    async fn a_call_above_the_burst_is_let_through_piece_by_piece() {
        let limits = RegionLimits::new(0.001);
        let start = Utc::now() - TimeDelta::days(1);
        // 396 at once, and 396 a second: 500 take about a quarter of a second.
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
