//! One try at a job: what it is doing at the moment, what it asked so far, and whether there may be another.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::usage::Usage;

/// How long a job may take: far longer than any does, and far shorter than the twelve hours for which SQS
/// hides a message at most.
pub const LONGEST: Duration = Duration::from_hours(2);

/// What is being done for a job. A dead letter says where it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Reading the message.
    Receive,
    /// Looking at what stands under the report's key.
    Look,
    /// Becoming the account.
    Become,
    /// Finding what there is.
    Discover,
    /// Asking CloudWatch.
    Collect,
    /// Making the table.
    Render,
    /// Writing the report.
    Upload,
}

const STEPS: [Step; 7] =
    [Step::Receive, Step::Look, Step::Become, Step::Discover, Step::Collect, Step::Render, Step::Upload];

impl Step {
    /// Its name in logs and dead letters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Look => "look",
            Self::Become => "become",
            Self::Discover => "discover",
            Self::Collect => "collect",
            Self::Render => "render",
            Self::Upload => "upload",
        }
    }
}

/// One try at a job.
#[derive(Debug, Default)]
pub struct Attempt {
    step: AtomicUsize,
    usage: Usage,
    is_last: bool,
    stop: CancellationToken,
}

impl Attempt {
    /// A try, which may be the last one.
    #[must_use]
    pub fn new(is_last: bool) -> Self {
        Self { is_last, ..Self::default() }
    }

    /// Whether there may be no other. What can't be had for a passing cause is then left out of the
    /// report, and the report partial, rather than all lost.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// Cancelled if the try is to store what it has, and end.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// What is being done, or was when it ended.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "cannot fail: a step is all that is stored")]
    pub fn step(&self) -> Step {
        STEPS[self.step.load(Ordering::Relaxed)]
    }

    /// What the account was asked so far: made and paid for, whatever becomes of the try.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Asks the try to store what it has and end, and waits for that so long. `None` if it has nothing that was paid
    /// for, or takes longer.
    pub async fn wrap_up<T>(&self, work: impl Future<Output = T>, longest: Duration) -> Option<T> {
        self.stop.cancel();
        let has_paid = self.usage.dollars() > 0.0;
        timeout(if has_paid { longest } else { Duration::ZERO }, work).await.ok()
    }

    /// Goes on to a step.
    pub fn enter(&self, step: Step) {
        self.step.store(step as usize, Ordering::Relaxed);
        tracing::debug!(step = step.name(), "goes on");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_at_the_step_that_it_entered() {
        let attempt = Attempt::default();
        assert_eq!(attempt.step(), Step::Receive);
        for step in STEPS {
            attempt.enter(step);
            assert_eq!(attempt.step(), step);
        }
    }
}
