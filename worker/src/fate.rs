//! What becomes of a job that is not done: a plain function of why, and of how often it was tried.

use std::time::Duration;

use fleet::ErrorKind;

use crate::failure::Failure;

/// The longest pause before a job is tried again.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);

/// The pause that the first one is a part of; each later one may be twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// The pause before the second try of what will most likely fail again. IAM is eventually consistent.
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>
const SECOND_TRY: Duration = Duration::from_secs(30);

/// What becomes of a job that is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays on the queue, and may be received again after this.
    Later(Duration),
    /// It goes to the dead-letter queue with its reason.
    DeadLetter,
    /// It goes back to the queue at once, and the worker leaves.
    StopWorker,
}

/// How often a job was received, and how often it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receives {
    /// How often, this time included.
    pub count: u32,
    /// After how many the queue gives it up; none where it never does.
    pub most: Option<u32>,
}

impl Receives {
    /// Whether there may be no other try. One receive is kept in reserve, for a worker that dies of
    /// what has nothing to do with the job.
    #[must_use]
    pub fn are_nearly_spent(self) -> bool {
        self.most.is_some_and(|most| self.count.saturating_add(1) >= most)
    }

    fn are_spent(self) -> bool {
        self.most.is_some_and(|most| self.count >= most)
    }
}

impl Fate {
    /// Decides. `random` is any number from 0 to 1, for the jitter of the pause.
    #[must_use]
    pub fn of(failure: &Failure, receives: Receives, random: f64) -> Self {
        let later = || {
            // The queue would move it next time, and could not say why.
            if receives.are_spent() { Self::DeadLetter } else { Self::Later(pause(receives.count, random)) }
        };
        let second_try = || if receives.count > 1 { Self::DeadLetter } else { Self::Later(SECOND_TRY) };
        match failure {
            Failure::BadMessage(_)
            | Failure::UnknownAccount(_)
            | Failure::NoCredentials(_)
            | Failure::WrongAccount { .. }
            | Failure::Key(_)
            | Failure::Partial { .. }
            | Failure::Superseded(_)
            | Failure::ForeignObject(_)
            | Failure::Deadline { .. } => Self::DeadLetter,
            Failure::RoleRefused(_) | Failure::RegionDisabled { .. } => second_try(),
            Failure::Aws(error) => match error.kind {
                ErrorKind::Transient => later(),
                ErrorKind::Expired => Self::DeadLetter,
                // Keys that were made just now are not known everywhere at once.
                ErrorKind::Denied
                | ErrorKind::Identity
                | ErrorKind::NoCredentials
                | ErrorKind::RegionDisabled
                | ErrorKind::NotFound
                | ErrorKind::PreconditionFailed
                | ErrorKind::Permanent => second_try(),
            },
            Failure::ReportBucket(error) => match error.kind {
                // Those of the worker's own credentials, where they were good again a moment later.
                ErrorKind::Transient
                | ErrorKind::Identity
                | ErrorKind::NoCredentials
                | ErrorKind::Expired => later(),
                ErrorKind::Denied
                | ErrorKind::RegionDisabled
                | ErrorKind::NotFound
                | ErrorKind::PreconditionFailed
                | ErrorKind::Permanent => second_try(),
            },
            Failure::Contended(_) | Failure::Panic(_) => later(),
            Failure::Own(_) => Self::StopWorker,
        }
    }
}

/// The pause after so many receives: any time at all up to `min(900, 30·2^(n−1))` seconds, so that jobs
/// that failed together do not come back together.
/// Source: <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>
fn pause(receives: u32, random: f64) -> Duration {
    let doublings = receives.saturating_sub(1).min(16);
    let most = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    most.mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use fleet::{AwsError, Reason, job::JobError};

    use super::*;
    use crate::failure::OwnFault;

    fn aws(kind: ErrorKind) -> AwsError {
        AwsError::coded("s3:ListAllMyBuckets", "Code", String::new(), kind)
    }

    fn fate(failure: &Failure, count: u32) -> Fate {
        Fate::of(failure, Receives { count, most: Some(12) }, 1.0)
    }

    #[test]
    fn pauses_double_and_end_at_fifteen_minutes() {
        let longest = |receives| pause(receives, 1.0).as_secs();
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 1000].map(longest), [30, 60, 120, 240, 480, 900, 900, 900]);
        assert_eq!(pause(3, 0.0), Duration::ZERO);
        assert_eq!(pause(3, 0.25).as_secs(), 30);
    }

    #[test]
    fn each_failure_has_its_fate() {
        use Fate::{DeadLetter, Later, StopWorker};
        let second = Later(SECOND_TRY);
        let soon = Later(FIRST_PAUSE);
        let key = || "k".to_owned();
        let cases = [
            // The failure, and its fate at the first, second and twelfth receive.
            (Failure::BadMessage(JobError::NoAccountName), [DeadLetter; 3]),
            (Failure::UnknownAccount("x".parse().expect("a name")), [DeadLetter; 3]),
            (Failure::RoleRefused(aws(ErrorKind::Denied)), [second, DeadLetter, DeadLetter]),
            (Failure::Aws(aws(ErrorKind::Denied)), [second, DeadLetter, DeadLetter]),
            (Failure::Aws(aws(ErrorKind::Permanent)), [second, DeadLetter, DeadLetter]),
            (Failure::Aws(aws(ErrorKind::Identity)), [second, DeadLetter, DeadLetter]),
            (Failure::Aws(aws(ErrorKind::NoCredentials)), [second, DeadLetter, DeadLetter]),
            (Failure::Aws(aws(ErrorKind::Expired)), [DeadLetter; 3]),
            (Failure::Aws(aws(ErrorKind::Transient)), [soon, Later(FIRST_PAUSE * 2), DeadLetter]),
            (Failure::ReportBucket(aws(ErrorKind::Transient)), [soon, Later(FIRST_PAUSE * 2), DeadLetter]),
            (Failure::ReportBucket(aws(ErrorKind::Denied)), [second, DeadLetter, DeadLetter]),
            (Failure::ReportBucket(aws(ErrorKind::Expired)), [soon, Later(FIRST_PAUSE * 2), DeadLetter]),
            (Failure::Partial { key: key(), missing: key() }, [DeadLetter; 3]),
            (Failure::Superseded(key()), [DeadLetter; 3]),
            (Failure::Contended(key()), [soon, Later(FIRST_PAUSE * 2), DeadLetter]),
            (Failure::ForeignObject(key()), [DeadLetter; 3]),
            (Failure::Deadline { longest: Duration::ZERO, missing: key() }, [DeadLetter; 3]),
            (Failure::Panic(key()), [soon, Later(FIRST_PAUSE * 2), DeadLetter]),
            (Failure::Own(OwnFault::Credentials(aws(ErrorKind::Expired))), [StopWorker; 3]),
        ];
        for (failure, expected) in cases {
            assert_eq!([1, 2, 12].map(|count| fate(&failure, count)), expected, "{failure:?}");
        }
    }

    #[test]
    fn what_becomes_a_dead_letter_has_a_reason_that_one_may_have() {
        let failures = [
            Failure::BadMessage(JobError::NoAccountName),
            Failure::Aws(aws(ErrorKind::Transient)),
            Failure::Own(OwnFault::Credentials(aws(ErrorKind::Expired))),
        ];
        for failure in failures {
            let is_dead = fate(&failure, 12) == Fate::DeadLetter;
            assert_eq!(is_dead, !failure.reason().is_of_the_worker(), "{failure:?}");
            assert_ne!(failure.reason(), Reason::MaxReceives);
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
