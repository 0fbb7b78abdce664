//! The turns of one operation in one account and region: how long a call waits before it is made.
//!
//! The rate is that of the quota's share. Where the account's owners spend more than what is left to them, AWS throttles
//! both; then the rate falls until it does no more, and rises again slowly.

use std::{
    mem,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// How much of a second's worth is let through at once. AWS lets through a whole second's, but by its own clock: calls that
/// were sent a little apart may come together.
const BURST: f64 = 0.8;

/// What a call takes of the limiter at full rate: the rate falls and rises by a part of a call.
const FULL_RATE: u32 = 20;

/// What it takes at the slowest, a quarter of the full rate. Less would give way to whoever asks without restraint.
const SLOWEST: u32 = 4 * FULL_RATE;

/// How long a fall of the rate is left to show its effect: the calls that were under way before it may still be throttled.
const EFFECT: Duration = Duration::from_millis(500);

/// How long a rate is kept before it rises by a step.
const CALM: Duration = Duration::from_millis(500);

/// The turns of one operation.
#[derive(Debug)]
pub struct Turns {
    limiter: DefaultDirectRateLimiter,
    pace: Mutex<Pace>,
}

/// What a call takes of the limiter, and why. A plain value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Pace {
    /// When the rate fell, and what a call took from then on.
    fell: Option<(Instant, u32)>,
    /// What tries took that did not wait for their turn.
    owed: u32,
}

impl Turns {
    /// Turns at `rate` calls a second; four fifths of a second's worth are let through at once, or one call.
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self { limiter: limiter(rate * f64::from(FULL_RATE), FULL_RATE), pace: Mutex::default() }
    }

    /// Waits for the turn of a call.
    pub async fn wait(&self) {
        let taken = self.pace.lock().unwrap_or_else(PoisonError::into_inner).next(Instant::now());
        take(&self.limiter, taken).await;
    }

    /// Counts a try that the SDK repeats by itself, which goes out without waiting for its turn: the next call waits
    /// the longer.
    pub fn repeated(&self) {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).repeated(Instant::now());
    }

    /// Takes in that a try failed: throttled, or else a server is in trouble. The calls to come are made more slowly.
    pub fn failed(&self) {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).failed(Instant::now());
    }
}

impl Pace {
    /// What a call takes at a moment.
    fn price(&self, now: Instant) -> u32 {
        let Some((at, price)) = self.fell else { return FULL_RATE };
        let steps = now.saturating_duration_since(at).as_millis() / CALM.as_millis();
        price.saturating_sub(u32::try_from(steps).unwrap_or(u32::MAX)).max(FULL_RATE)
    }

    /// What the next call takes: its price, and what is owed.
    fn next(&mut self, now: Instant) -> u32 {
        self.price(now) + mem::take(&mut self.owed)
    }

    fn repeated(&mut self, now: Instant) {
        self.owed = self.owed.saturating_add(self.price(now));
    }

    fn failed(&mut self, now: Instant) {
        if self.fell.is_none_or(|(at, _)| now.saturating_duration_since(at) >= EFFECT) {
            self.fell = Some((now, (2 * self.price(now)).min(SLOWEST)));
        }
    }
}

/// A limiter of `rate` a second, that lets through `least` at once at least.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is positive and small")]
pub(super) fn limiter(rate: f64, least: u32) -> DefaultDirectRateLimiter {
    let burst = NonZeroU32::new(least.max((rate * BURST) as u32)).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::with_period(Duration::from_secs_f64(1.0 / rate))
        .expect("cannot fail: a share of at most 1 of at most 396,000 is above a nanosecond each");
    RateLimiter::direct(quota.allow_burst(burst))
}

/// Takes so much of a limiter, and waits until it is there: piece by piece where it is more than is let through at once.
pub(super) async fn take(limiter: &DefaultDirectRateLimiter, amount: u32) {
    let mut left = NonZeroU32::new(amount);
    while let Some(wanted) = left {
        let Err(most) = limiter.until_n_ready(wanted).await else { return };
        let most = NonZeroU32::new(most.0).unwrap_or(NonZeroU32::MIN);
        let _ = limiter.until_n_ready(most).await;
        left = NonZeroU32::new(wanted.get() - most.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_fifths_of_a_second_are_let_through_at_once_and_one_call_at_least() {
        for (rate, expected) in [(50.0, 40), (25.0, 20), (0.05, 1)] {
            let turns = Turns::new(rate);
            let call = NonZeroU32::new(FULL_RATE).expect("not 0");
            let let_through =
                (0..100).take_while(|_| turns.limiter.check_n(call).is_ok_and(|it| it.is_ok())).count();
            // The limiter may refill by one while it is counted.
            assert!((expected..=expected + 1).contains(&let_through), "{rate}: {let_through}");
        }
    }

    #[test]
    fn what_the_sdk_repeats_is_made_up_for_by_the_next_call() {
        let now = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.next(now), 20);
        pace.repeated(now);
        pace.repeated(now);
        assert_eq!((pace.next(now), pace.next(now)), (20 + 2 * 20, 20), "and no other");
    }

    #[test]
    fn the_rate_halves_for_the_failures_of_half_a_second_and_never_falls_below_a_quarter() {
        let now = Instant::now();
        let mut pace = Pace::default();
        for (milliseconds, price) in [(0, 40), (400, 40), (500, 78), (900, 78), (1000, 80), (1500, 80)] {
            let then = now + Duration::from_millis(milliseconds);
            pace.failed(then);
            pace.failed(then);
            assert_eq!(pace.price(then), price, "after {milliseconds} ms");
        }
    }

    #[test]
    fn the_rate_rises_again_step_by_step_to_what_it_was() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.failed(now);
        let prices = [0, 1, 5, 10, 60].map(|seconds| pace.price(now + Duration::from_secs(seconds)));
        assert_eq!(prices, [40, 38, 30, 20, 20]);
    }

    #[tokio::test]
    async fn a_call_that_is_owed_for_waits() {
        let turns = Turns::new(25.0);
        let all = NonZeroU32::new(400).expect("not 0");
        turns.limiter.check_n(all).expect("not above the burst").expect("not taken yet");
        for _ in 0..5 {
            turns.repeated();
        }
        let begun = Instant::now();
        turns.wait().await;
        // Five tries and its own turn, 25 a second.
        assert!(begun.elapsed() > Duration::from_millis(200), "{:?}", begun.elapsed());
    }
}
