// SPDX-License-Identifier: Apache-2.0
//! Decides what to do with a message whose work failed: a pure function of the failure's retry policy
//! and of how often the message was received.

use std::time::Duration;

/// The maximum pause before a retry.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);

/// The upper bound of the first pause; it doubles with each further receive.
const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// The pause before the only retry of a failure that is probably permanent. IAM is eventually
/// consistent.
///
/// Source:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>
const SECOND_TRY: Duration = Duration::from_secs(30);

/// Whether and how to retry a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Transient: retry after growing pauses, for as long as the queue allows.
    Backoff,
    /// Probably permanent: retry once, half a minute later.
    OnceMore,
    /// Permanent.
    Never,
    /// The worker itself is misconfigured and would fail for every message: return this one, and stop
    /// the worker.
    StopWorker,
}

/// What to do with the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// Retry after this pause.
    RetryAfter(Duration),
    DeadLetter,
    /// Return it to the queue at once, and stop the worker.
    StopWorker,
}

/// How often a message has been received, and how often it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receives {
    /// This time included.
    pub(crate) count: u32,
    /// The receive count at which SQS moves it to its dead-letter queue; `None` if it never does.
    pub(crate) most: Option<u32>,
}

impl Receives {
    /// Whether this may be the last attempt. One receive is kept in reserve for a worker that dies for
    /// unrelated reasons.
    pub(crate) fn are_nearly_spent(self) -> bool {
        self.most.is_some_and(|most| self.count.saturating_add(1) >= most)
    }

    fn are_spent(self) -> bool {
        self.most.is_some_and(|most| self.count >= most)
    }
}

impl Disposition {
    /// Decides. `random` is a number from 0 to 1, for the jitter of the pause.
    pub(crate) fn new(retry: Retry, receives: Receives, random: f64) -> Self {
        match retry {
            // SQS would move it at the next receive, and could not give a reason.
            Retry::Backoff if receives.are_spent() => Self::DeadLetter,
            Retry::Backoff => Self::RetryAfter(pause(receives.count, random)),
            Retry::OnceMore if receives.count > 1 => Self::DeadLetter,
            Retry::OnceMore => Self::RetryAfter(SECOND_TRY),
            Retry::Never => Self::DeadLetter,
            Retry::StopWorker => Self::StopWorker,
        }
    }
}

/// The pause after this many receives: a random time up to `min(900, 30·2^(n−1))` seconds, so that
/// messages that failed together do not return together.
///
/// Source: <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>
fn pause(receives: u32, random: f64) -> Duration {
    let doublings = receives.saturating_sub(1).min(16);
    let most = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    most.mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_end_at_fifteen_minutes() {
        let longest = |receives| pause(receives, 1.0).as_secs();
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 1000].map(longest), [30, 60, 120, 240, 480, 900, 900, 900]);
        assert_eq!(pause(3, 0.0), Duration::ZERO);
        assert_eq!(pause(3, 0.25).as_secs(), 30);
    }

    #[test]
    fn each_policy_has_its_dispositions() {
        use Disposition::{DeadLetter, RetryAfter, StopWorker};
        let second = RetryAfter(SECOND_TRY);
        for (retry, expected) in [
            // At the first, second and twelfth receive.
            (Retry::Backoff, [RetryAfter(FIRST_PAUSE), RetryAfter(FIRST_PAUSE * 2), DeadLetter]),
            (Retry::OnceMore, [second, DeadLetter, DeadLetter]),
            (Retry::Never, [DeadLetter; 3]),
            (Retry::StopWorker, [StopWorker; 3]),
        ] {
            let after = |count| Disposition::new(retry, Receives { count, most: Some(12) }, 1.0);
            assert_eq!([1, 2, 12].map(after), expected, "{retry:?}");
        }
    }

    #[test]
    fn the_last_try_is_the_one_before_the_last_receive() {
        let nearly = |count, most| Receives { count, most }.are_nearly_spent();
        assert!(!nearly(10, Some(12)) && nearly(11, Some(12)) && nearly(12, Some(12)));
        assert!(nearly(1, Some(1)), "there is but one");
        assert!(!nearly(1000, None), "without a redrive policy there is always another");
    }
}
