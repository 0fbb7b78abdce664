// SPDX-License-Identifier: Apache-2.0
//! CloudWatch's quotas, by account and region: token buckets with a burst of one second.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html>

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::reply::ServiceError;

/// Datapoints a second where the start is at most three hours ago.
const RECENT_DATAPOINTS: u32 = 180_000;

/// Datapoints a second where the start lies further back.
const OLDER_DATAPOINTS: u32 = 396_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Meter {
    Calls(&'static str),
    /// Datapoints estimated for a `GetMetricData` that starts at most three hours ago.
    RecentDatapoints,
    /// Datapoints estimated for a `GetMetricData` that starts earlier.
    OlderDatapoints,
}

impl Meter {
    /// The meter of an operation's calls, where AWS has a quota that matters here.
    pub(crate) fn calls(operation: &str) -> Option<Self> {
        ["GetMetricData", "ListMetrics", "GetMetricStatistics", "PutMetricData", "GetResources"]
            .into_iter()
            .find(|name| *name == operation)
            .map(Self::Calls)
    }

    fn per_second(self) -> u32 {
        match self {
            Self::Calls("GetMetricData") => 50,
            Self::Calls("ListMetrics") => 25,
            Self::Calls("GetMetricStatistics") => 400,
            // https://docs.aws.amazon.com/general/latest/gr/arg.html
            Self::Calls("GetResources") => 15,
            Self::Calls(_) => 500,
            Self::RecentDatapoints => RECENT_DATAPOINTS,
            Self::OlderDatapoints => OLDER_DATAPOINTS,
        }
    }
}

/// The quotas of every account and region.
#[derive(Default)]
pub(crate) struct Quotas {
    enforced: AtomicBool,
    buckets: Mutex<HashMap<(Meter, String, String), TokenBucket>>,
}

impl Quotas {
    pub(crate) fn enforce(&self, enforce: bool) {
        self.enforced.store(enforce, Ordering::Relaxed);
    }

    /// Takes `amount` of a quota, or answers the throttle that AWS does.
    pub(crate) fn take(
        &self,
        meter: Meter,
        account: &str,
        region: &str,
        amount: u64,
    ) -> Result<(), ServiceError> {
        if !self.enforced.load(Ordering::Relaxed) {
            return Ok(());
        }
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets
            .entry((meter, account.to_owned(), region.to_owned()))
            .or_insert_with(|| TokenBucket::full(f64::from(meter.per_second()), now));
        #[expect(clippy::cast_precision_loss, reason = "datapoints of one call are far below 2^52")]
        let amount = amount as f64;
        if bucket.take(amount, now) { Ok(()) } else { Err(throttled()) }
    }
}

/// The throttle: HTTP 400 with the code that the SDKs retry.
pub(crate) fn throttled() -> ServiceError {
    ServiceError::new("Throttling", "Rate exceeded")
}

/// Refills at `rate` a second up to one second's worth.
#[derive(Debug)]
struct TokenBucket {
    rate: f64,
    level: f64,
    at: Instant,
}

impl TokenBucket {
    fn full(rate: f64, at: Instant) -> Self {
        Self { rate, level: rate, at }
    }

    /// One call may ask for more than a second's worth: a full bucket lets it through and then owes the rest.
    fn take(&mut self, amount: f64, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + elapsed * self.rate).min(self.rate);
        self.at = now;
        if self.level < amount.min(self.rate) {
            return false;
        }
        self.level -= amount;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_one_second_of_the_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(50.0, start);
        assert!((0..50).all(|_| bucket.take(1.0, start)));
        assert!(!bucket.take(1.0, start));
        assert!(bucket.take(1.0, start + Duration::from_millis(20)));
        assert!(!bucket.take(1.0, start + Duration::from_millis(20)));
        let later = start + Duration::from_mins(1);
        assert_eq!((0..100).filter(|_| bucket.take(1.0, later)).count(), 50, "idle time is not saved up");
    }

    #[test]
    fn a_call_above_the_rate_passes_a_full_bucket_and_is_owed() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(100.0, start);
        assert!(bucket.take(250.0, start));
        assert!(!bucket.take(1.0, start + Duration::from_secs(1)));
        assert!(bucket.take(1.0, start + Duration::from_millis(1600)));
    }

    #[test]
    fn accounts_and_regions_do_not_share() {
        let quotas = Quotas::default();
        quotas.enforce(true);
        // It owes so much that no pause in here pays it back.
        let take = |account, region| quotas.take(Meter::Calls("ListMetrics"), account, region, 2500).is_ok();
        assert!(take("1", "eu-west-1"));
        assert!(!take("1", "eu-west-1"));
        assert!(take("1", "eu-west-2"));
        assert!(take("2", "eu-west-1"));
    }
}
