// SPDX-License-Identifier: Apache-2.0
//! A rate limiter for one operation: calls wait in the order in which they come, and start at a limited rate.
//! Low-priority calls leave a part of the burst to the others.
//!
//! The rate is the share of the quota that the fleet may use. If the account's owners use more than the rest, AWS
//! throttles both; the rate then falls until no call is throttled, and recovers slowly.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// The burst, as the time in which the rate allows as many calls. AWS allows a whole second's calls at once, but by
/// its own clock: calls that were sent a little apart may arrive together.
const BURST: Duration = Duration::from_millis(800);

/// The calls of the burst that a low-priority call leaves to the others.
const RESERVED_BURST: u32 = 4;

/// The largest factor by which the rate falls. Do not slow down further, or a greedy client would starve this one.
const MAX_SLOWDOWN: f64 = 4.0;

/// How long after the last call that started before a fall of the rate its responses arrive.
const EFFECT: Duration = Duration::from_millis(500);

/// How much the slowdown falls in a second: a halved rate has recovered after ten.
const RECOVERY: f64 = 0.1;

/// The rate limiter of one operation.
#[derive(Debug)]
pub struct RateLimiter {
    /// The time that one call takes at the full rate.
    interval: Duration,
    pace: Mutex<Pace>,
}

/// The state of a rate limiter. A plain value.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Pace {
    /// When the time of all calls so far is used up.
    busy_until: Option<Instant>,
    /// When the last call starts.
    last: Option<Instant>,
    fall: Option<Fall>,
}

/// A fall of the rate.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Fall {
    at: Instant,
    /// The slowdown at that time.
    slowdown: f64,
    /// When all calls that were started before it have been answered. Throttling before that does not mean that the
    /// new rate is too high.
    effective_from: Instant,
}

impl RateLimiter {
    /// A limit of `rate` calls a second, with a burst of four fifths of a second's calls, but at least one.
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self { interval: Duration::from_secs_f64(1.0 / rate), pace: Mutex::default() }
    }

    /// Waits until a call may start that counts as `cost` calls.
    pub async fn wait(&self, cost: f64) {
        let at = self.pace().next(self.interval, cost, 0, Instant::now());
        sleep_until(at).await;
    }

    /// Waits until a low-priority call may start. It leaves a part of the burst to other calls, which then start at
    /// once.
    pub async fn wait_with_low_priority(&self) {
        let at = self.pace().next(self.interval, 1.0, RESERVED_BURST, Instant::now());
        sleep_until(at).await;
    }

    /// Counts a call that did not wait, such as a retry of the SDK. Later calls wait longer for it.
    pub fn count_retry(&self, cost: f64) {
        self.pace().take(self.interval, cost, Instant::now());
    }

    /// Slows down, since a call was throttled.
    pub fn throttled(&self) {
        self.pace().fall(Instant::now());
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    /// When a call may start that counts as `cost` calls and leaves `reserved` calls of the burst to others.
    fn next(&mut self, interval: Duration, cost: f64, reserved: u32, now: Instant) -> Instant {
        let busy_until = self.take(interval, cost, now);
        let reserved = (interval * reserved).mul_f64(self.slowdown(now));
        let at = busy_until.checked_sub(BURST.saturating_sub(reserved).max(interval));
        let at = at.map_or(now, |at| at.max(now));
        self.last = self.last.max(Some(at));
        at
    }

    /// Counts a call, and returns when the time of all calls so far is used up.
    fn take(&mut self, interval: Duration, cost: f64, now: Instant) -> Instant {
        let taken = interval.mul_f64(cost * self.slowdown(now));
        let busy_until = self.busy_until.map_or(now, |until| until.max(now)) + taken;
        self.busy_until = Some(busy_until);
        busy_until
    }

    /// The factor by which the rate is reduced.
    fn slowdown(&self, now: Instant) -> f64 {
        let Some(Fall { at, slowdown, .. }) = self.fall else { return 1.0 };
        (slowdown - RECOVERY * now.saturating_duration_since(at).as_secs_f64()).max(1.0)
    }

    fn fall(&mut self, now: Instant) {
        if self.fall.is_none_or(|fall| fall.effective_from <= now) {
            let slowdown = (2.0 * self.slowdown(now)).min(MAX_SLOWDOWN);
            let effective_from = self.last.map_or(now, |last| last.max(now)) + EFFECT;
            self.fall = Some(Fall { at: now, slowdown, effective_from });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::{StreamExt, stream::FuturesUnordered};

    use super::*;

    /// When each of `calls` concurrent calls started, in milliseconds.
    async fn moments(limiter: &RateLimiter, calls: usize) -> Vec<u128> {
        let begun = Instant::now();
        let wait = || async {
            limiter.wait(1.0).await;
            begun.elapsed().as_millis()
        };
        (0..calls).map(|_| wait()).collect::<FuturesUnordered<_>>().collect().await
    }

    #[tokio::test(start_paused = true)]
    async fn the_burst_is_four_fifths_of_a_second_and_the_rest_follows_at_the_rate() {
        let moments = moments(&RateLimiter::new(50.0), 90).await;
        assert!(moments[..40].iter().all(|moment| *moment == 0), "{moments:?}");
        assert!((1..=50).all(|nth| moments[39 + nth].abs_diff(20 * nth as u128) <= 1), "{moments:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_call_does_not_wait_at_any_rate() {
        let moments = moments(&RateLimiter::new(0.05), 3).await;
        assert_eq!((moments[0], moments[1] / 1000, moments[2] / 1000), (0, 20, 40));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_costs_more_than_the_burst_waits_for_the_rest() {
        let (limiter, begun) = (RateLimiter::new(396.0), Instant::now());
        limiter.wait(500.0).await;
        // The burst is 316.8 calls.
        assert!(begun.elapsed().as_millis().abs_diff(463) <= 1, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn later_calls_wait_for_the_retries_of_the_sdk() {
        let limiter = RateLimiter::new(25.0);
        assert_eq!(moments(&limiter, 20).await[19], 0);
        for _ in 0..5 {
            limiter.count_retry(1.0);
        }
        let moments = moments(&limiter, 2).await;
        assert!(moments[0].abs_diff(240) <= 1 && moments[1].abs_diff(280) <= 1, "{moments:?}");
    }

    /// Two loops, each of which makes a call once its last one is answered: how many calls one has made when the other
    /// has made `until`, and the rate of both together.
    async fn pages_of_two(limiter: &RateLimiter, until: usize, has_low_priority: bool) -> (usize, f64) {
        const ANSWER: Duration = Duration::from_millis(55);
        let (begun, pages) = (Instant::now(), AtomicUsize::new(0));
        let longer = async {
            for _ in 0..until {
                limiter.wait(1.0).await;
                tokio::time::sleep(ANSWER).await;
            }
        };
        let shorter = async {
            loop {
                if has_low_priority {
                    limiter.wait_with_low_priority().await;
                } else {
                    limiter.wait(1.0).await;
                }
                pages.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(ANSWER).await;
            }
        };
        tokio::select! {
            () = longer => {}
            () = shorter => unreachable!("it never ends"),
        }
        let pages = pages.into_inner();
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let rate = (pages + until) as f64 / begun.elapsed().as_secs_f64();
        (pages, rate)
    }

    #[tokio::test(start_paused = true)]
    async fn low_priority_calls_use_what_the_others_leave_and_no_less() {
        let (pages, rate) = pages_of_two(&RateLimiter::new(25.0), 400, false).await;
        assert!((380..=401).contains(&pages), "of equal priority: {pages}");
        assert!((24.5..25.8).contains(&rate), "{rate}");
        // The other is as fast as its responses, at 18 a second.
        let (pages, rate) = pages_of_two(&RateLimiter::new(25.0), 400, true).await;
        assert!((150..=180).contains(&pages), "of low priority: {pages}");
        assert!((24.5..25.8).contains(&rate), "{rate}");
        // If one alone could use the whole rate, the other still makes progress.
        let (pages, rate) = pages_of_two(&RateLimiter::new(12.5), 400, true).await;
        assert!((60..=200).contains(&pages), "of half the rate: {pages}");
        assert!((12.2..13.0).contains(&rate), "{rate}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_low_priority_call_does_not_wait_without_other_calls() {
        for rate in [0.05, 3.0, 25.0] {
            let (limiter, begun) = (RateLimiter::new(rate), Instant::now());
            limiter.wait_with_low_priority().await;
            assert_eq!(begun.elapsed(), Duration::ZERO, "at {rate} a second");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_call_overtakes_one_that_waits() {
        let limiter = RateLimiter::new(25.0);
        let others = (0..11).map(|_| async {
            loop {
                limiter.wait(1.0).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let mut others = others.collect::<FuturesUnordered<_>>();
        let one = async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            limiter.throttled();
            limiter.count_retry(1.0);
            let begun = Instant::now();
            limiter.wait(2.0).await;
            begun.elapsed()
        };
        let waited = tokio::select! {
            waited = one => waited,
            () = others.select_next_some() => unreachable!("they never end"),
        };
        assert!(waited < Duration::from_secs(1), "{waited:?}");
    }

    #[test]
    fn the_rate_halves_for_the_throttles_of_half_a_second_and_never_falls_below_a_quarter() {
        let now = Instant::now();
        let mut pace = Pace::default();
        for (milliseconds, slowdown) in
            [(0, 2.0), (400, 1.96), (500, 3.9), (900, 3.86), (1000, 4.0), (1500, 4.0)]
        {
            let then = now + Duration::from_millis(milliseconds);
            pace.fall(then);
            pace.fall(then);
            assert!((pace.slowdown(then) - slowdown).abs() < 1e-9, "after {milliseconds} ms: {pace:?}");
        }
    }

    #[test]
    fn throttling_of_calls_from_before_a_fall_causes_no_other() {
        let (now, interval) = (Instant::now(), Duration::from_millis(200));
        let mut pace = Pace::default();
        let last = (0..16).map(|_| pace.next(interval, 1.0, 0, now)).last().expect("sixteen");
        assert_eq!(last - now, Duration::from_millis(2400), "four did not wait");
        pace.fall(now);
        for (milliseconds, slowdown) in [(0, 2.0), (2400, 1.76), (2899, 1.7101), (2900, 2.0 * 1.71)] {
            let then = now + Duration::from_millis(milliseconds);
            pace.fall(then);
            assert!((pace.slowdown(then) - slowdown).abs() < 1e-9, "after {milliseconds} ms: {pace:?}");
        }
    }

    #[test]
    fn throttling_of_low_priority_calls_from_before_a_fall_causes_no_other() {
        let (now, interval) = (Instant::now(), Duration::from_millis(200));
        let mut pace = Pace::default();
        for _ in 0..4 {
            assert_eq!(pace.next(interval, 1.0, 0, now), now);
        }
        let last = pace.next(interval, 1.0, RESERVED_BURST, now);
        assert_eq!(last - now, Duration::from_millis(800), "the others would wait for 200 ms");
        pace.fall(now);
        pace.fall(last + EFFECT - Duration::from_millis(1));
        assert!(pace.slowdown(last) < 2.0, "{pace:?}");
    }

    #[test]
    fn the_rate_recovers_to_its_full_value_and_no_higher() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.fall(now);
        for (seconds, slowdown) in [(0, 2.0), (1, 1.9), (5, 1.5), (10, 1.0), (60, 1.0)] {
            let then = now + Duration::from_secs(seconds);
            assert!((pace.slowdown(then) - slowdown).abs() < 1e-9, "after {seconds} s: {pace:?}");
        }
    }
}
