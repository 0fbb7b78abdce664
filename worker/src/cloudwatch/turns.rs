// SPDX-License-Identifier: Apache-2.0
//! Turns: how long something waits so that no more than so much of it happens in a second. Whoever comes
//! first goes first, but for those who give way.
//!
//! The rate is that of the quota's share. Where the account's owners spend more than what is left to them,
//! AWS throttles both; then the rate falls until it does no more, and rises again slowly.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// How much of a second's worth is let through at once. AWS lets through a whole second's, but by its own
/// clock: calls that were sent a little apart may come together.
const BURST: Duration = Duration::from_millis(800);

/// How many of those that are let through at once whoever gives way leaves to the others.
const ROOM: u32 = 4;

/// How many times slower the rate is at the slowest. Any less would give way to whoever asks without
/// restraint.
const SLOWEST: f64 = 4.0;

/// How long after the last turn that was given before a fall of the rate its effect shows.
const EFFECT: Duration = Duration::from_millis(500);

/// How much less slow the rate gets in a second: from half of it, it is whole again after ten.
const RECOVERY: f64 = 0.1;

/// The turns of one operation, or of whatever else has a rate.
#[derive(Debug)]
pub struct Turns {
    /// How long one takes.
    each: Duration,
    pace: Mutex<Pace>,
}

/// Whose turn is when. A plain value.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Pace {
    /// When all that was let through has had its time.
    busy_until: Option<Instant>,
    /// When the last turn is that was given.
    last: Option<Instant>,
    fall: Option<Fall>,
}

/// A fall of the rate.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Fall {
    /// When it was.
    at: Instant,
    /// How many times slower the rate was then.
    slowness: f64,
    /// When what was given its turn before it is answered: what is throttled until then says nothing of it.
    shows_from: Instant,
}

impl Turns {
    /// Turns at `rate` a second; four fifths of a second's worth are let through at once, or one.
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self { each: Duration::from_secs_f64(1.0 / rate), pace: Mutex::default() }
    }

    /// Waits for a turn that takes as long as `cost` of them.
    pub async fn wait(&self, cost: f64) {
        let at = self.pace().next(self.each, cost, 0, Instant::now());
        sleep_until(at).await;
    }

    /// Waits for the turn of one that gives way: it leaves room for a few others, which then need not wait.
    pub async fn wait_behind(&self) {
        let at = self.pace().next(self.each, 1.0, ROOM, Instant::now());
        sleep_until(at).await;
    }

    /// Counts one that did not wait for its turn, as the SDK's own tries do not: the next waits the longer.
    pub fn repeated(&self, cost: f64) {
        self.pace().take(self.each, cost, Instant::now());
    }

    /// Takes in that one was throttled: those to come are let through more slowly.
    pub fn throttled(&self) {
        self.pace().fall(Instant::now());
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    /// When a turn of this cost is that leaves room for so many others, where each takes `each` at the full rate.
    fn next(&mut self, each: Duration, cost: f64, room: u32, now: Instant) -> Instant {
        let busy_until = self.take(each, cost, now);
        let room = (each * room).mul_f64(self.slowness(now));
        let at = busy_until.checked_sub(BURST.saturating_sub(room).max(each));
        let at = at.map_or(now, |at| at.max(now));
        self.last = self.last.max(Some(at));
        at
    }

    /// Counts what one of this cost takes; gives when all that was let through has had its time.
    fn take(&mut self, each: Duration, cost: f64, now: Instant) -> Instant {
        let taken = each.mul_f64(cost * self.slowness(now));
        let busy_until = self.busy_until.map_or(now, |until| until.max(now)) + taken;
        self.busy_until = Some(busy_until);
        busy_until
    }

    /// How many times slower the rate is.
    fn slowness(&self, now: Instant) -> f64 {
        let Some(Fall { at, slowness, .. }) = self.fall else { return 1.0 };
        (slowness - RECOVERY * now.saturating_duration_since(at).as_secs_f64()).max(1.0)
    }

    fn fall(&mut self, now: Instant) {
        if self.fall.is_none_or(|fall| fall.shows_from <= now) {
            let slowness = (2.0 * self.slowness(now)).min(SLOWEST);
            let shows_from = self.last.map_or(now, |last| last.max(now)) + EFFECT;
            self.fall = Some(Fall { at: now, slowness, shows_from });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::{StreamExt, stream::FuturesUnordered};

    use super::*;

    /// When each of so many had its turn that came together, in milliseconds.
    async fn moments(turns: &Turns, calls: usize) -> Vec<u128> {
        let begun = Instant::now();
        let wait = || async {
            turns.wait(1.0).await;
            begun.elapsed().as_millis()
        };
        (0..calls).map(|_| wait()).collect::<FuturesUnordered<_>>().collect().await
    }

    #[tokio::test(start_paused = true)]
    async fn four_fifths_of_a_second_are_let_through_at_once_and_the_rest_at_the_rate() {
        let moments = moments(&Turns::new(50.0), 90).await;
        assert!(moments[..40].iter().all(|moment| *moment == 0), "{moments:?}");
        assert!((1..=50).all(|nth| moments[39 + nth].abs_diff(20 * nth as u128) <= 1), "{moments:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn however_slow_the_rate_is_the_first_does_not_wait() {
        let moments = moments(&Turns::new(0.05), 3).await;
        assert_eq!((moments[0], moments[1] / 1000, moments[2] / 1000), (0, 20, 40));
    }

    #[tokio::test(start_paused = true)]
    async fn many_at_once_wait_for_what_is_above_the_burst() {
        let (turns, begun) = (Turns::new(396.0), Instant::now());
        turns.wait(500.0).await;
        // 316.8 are let through at once.
        assert!(begun.elapsed().as_millis().abs_diff(463) <= 1, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_sdk_repeats_is_made_up_for() {
        let turns = Turns::new(25.0);
        assert_eq!(moments(&turns, 20).await[19], 0);
        for _ in 0..5 {
            turns.repeated(1.0);
        }
        let moments = moments(&turns, 2).await;
        assert!(moments[0].abs_diff(240) <= 1 && moments[1].abs_diff(280) <= 1, "{moments:?}");
    }

    /// How many turns a chain has had, each asked for once the one before is answered, when another chain has
    /// had `until`; and whether that took the whole rate.
    async fn pages_of_two(turns: &Turns, until: usize, is_behind: bool) -> (usize, f64) {
        const ANSWER: Duration = Duration::from_millis(55);
        let (begun, pages) = (Instant::now(), AtomicUsize::new(0));
        let longer = async {
            for _ in 0..until {
                turns.wait(1.0).await;
                tokio::time::sleep(ANSWER).await;
            }
        };
        let shorter = async {
            loop {
                if is_behind {
                    turns.wait_behind().await;
                } else {
                    turns.wait(1.0).await;
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
    async fn a_chain_that_gives_way_takes_what_another_leaves_and_no_less() {
        let (pages, rate) = pages_of_two(&Turns::new(25.0), 400, false).await;
        assert!((380..=401).contains(&pages), "side by side: {pages}");
        assert!((24.5..25.8).contains(&rate), "{rate}");
        // The other goes as fast as it is answered, at 18 a second.
        let (pages, rate) = pages_of_two(&Turns::new(25.0), 400, true).await;
        assert!((150..=180).contains(&pages), "behind: {pages}");
        assert!((24.5..25.8).contains(&rate), "{rate}");
        // Where one alone would take the whole rate, the other still gets on.
        let (pages, rate) = pages_of_two(&Turns::new(12.5), 400, true).await;
        assert!((60..=200).contains(&pages), "of half the rate: {pages}");
        assert!((12.2..13.0).contains(&rate), "{rate}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_way_does_not_wait_where_nobody_else_comes() {
        for rate in [0.05, 3.0, 25.0] {
            let (turns, begun) = (Turns::new(rate), Instant::now());
            turns.wait_behind().await;
            assert_eq!(begun.elapsed(), Duration::ZERO, "at {rate} a second");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_overtakes_one_who_waits() {
        let turns = Turns::new(25.0);
        let others = (0..11).map(|_| async {
            loop {
                turns.wait(1.0).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let mut others = others.collect::<FuturesUnordered<_>>();
        let one = async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            turns.throttled();
            turns.repeated(1.0);
            let begun = Instant::now();
            turns.wait(2.0).await;
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
        for (milliseconds, slowness) in
            [(0, 2.0), (400, 1.96), (500, 3.9), (900, 3.86), (1000, 4.0), (1500, 4.0)]
        {
            let then = now + Duration::from_millis(milliseconds);
            pace.fall(then);
            pace.fall(then);
            assert!((pace.slowness(then) - slowness).abs() < 1e-9, "after {milliseconds} ms: {pace:?}");
        }
    }

    #[test]
    fn what_was_let_through_before_a_fall_does_not_make_another() {
        let (now, each) = (Instant::now(), Duration::from_millis(200));
        let mut pace = Pace::default();
        let last = (0..16).map(|_| pace.next(each, 1.0, 0, now)).last().expect("sixteen");
        assert_eq!(last - now, Duration::from_millis(2400), "four did not wait");
        pace.fall(now);
        for (milliseconds, slowness) in [(0, 2.0), (2400, 1.76), (2899, 1.7101), (2900, 2.0 * 1.71)] {
            let then = now + Duration::from_millis(milliseconds);
            pace.fall(then);
            assert!((pace.slowness(then) - slowness).abs() < 1e-9, "after {milliseconds} ms: {pace:?}");
        }
    }

    #[test]
    fn what_gave_way_before_a_fall_does_not_make_another_either() {
        let (now, each) = (Instant::now(), Duration::from_millis(200));
        let mut pace = Pace::default();
        for _ in 0..4 {
            assert_eq!(pace.next(each, 1.0, 0, now), now);
        }
        let last = pace.next(each, 1.0, ROOM, now);
        assert_eq!(last - now, Duration::from_millis(800), "the others would wait for 200 ms");
        pace.fall(now);
        pace.fall(last + EFFECT - Duration::from_millis(1));
        assert!(pace.slowness(last) < 2.0, "{pace:?}");
    }

    #[test]
    fn the_rate_rises_again_to_what_it_was_and_no_higher() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.fall(now);
        for (seconds, slowness) in [(0, 2.0), (1, 1.9), (5, 1.5), (10, 1.0), (60, 1.0)] {
            let then = now + Duration::from_secs(seconds);
            assert!((pace.slowness(then) - slowness).abs() < 1e-9, "after {seconds} s: {pace:?}");
        }
    }
}
