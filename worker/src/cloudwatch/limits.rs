//! How fast an account's CloudWatch may be asked: AWS's quotas for each account and region, less
//! what is left to the account's owners.
//!
//! A throttled call is tried again by the SDK; these limits are there so that there are few.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
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
    /// Tries of `GetMetricData` that went out without waiting for their turn: the SDK's own.
    owed: AtomicU32,
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
            owed: AtomicU32::new(0),
        }
    }

    /// Counts a try of `GetMetricData` that the SDK repeats by itself, which goes out without waiting for its turn: the calls to
    /// come wait the longer, or what is asked would stay above the quota for good.
    pub fn owe(&self) {
        self.owed.fetch_add(1, Ordering::Relaxed);
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
        while self.owed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |owed| owed.checked_sub(1)).is_ok()
        {
            self.get_metric_data.until_ready().await;
        }
    }
}

/// How much of a second's worth is let through at once. AWS lets through a whole second's, but by its own clock: calls that
/// were sent a little apart may come together.
const BURST: f64 = 0.8;

/// A limiter of `rate` a second.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is positive and small")]
fn per_second(rate: f64) -> DefaultDirectRateLimiter {
    let burst = NonZeroU32::new((rate * BURST) as u32).unwrap_or(NonZeroU32::MIN);
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
    fn four_fifths_of_the_share_of_a_second_are_let_through_at_once_and_no_more() {
        for (share, expected) in [(1.0, 40), (0.5, 20), (0.001, 1)] {
            let limits = RegionLimits::new(share);
            let let_through = (0..100).take_while(|_| limits.get_metric_data.check().is_ok()).count();
            // The limiter may refill by one while it is counted.
            assert!((expected..=expected + 1).contains(&let_through), "{share}: {let_through}");
        }
    }

    #[tokio::test]
    async fn what_the_sdk_repeats_is_made_up_for_by_the_next_call() {
        let limits = RegionLimits::new(0.5);
        let recent = Utc::now();
        while limits.get_metric_data.check().is_ok() {}
        for _ in 0..5 {
            limits.owe();
        }
        let begun = std::time::Instant::now();
        limits.get_metric_data(1, recent).await;
        // Its own turn and those of five others, 25 a second.
        assert!(begun.elapsed() > Duration::from_millis(200), "{:?}", begun.elapsed());
        let begun = std::time::Instant::now();
        limits.get_metric_data(1, recent).await;
        assert!(begun.elapsed() < Duration::from_millis(150), "and no other: {:?}", begun.elapsed());
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
