// SPDX-License-Identifier: Apache-2.0
//! One run of a piece of work: the step that it has reached, and whether there may be another.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a run may take: far longer than any does, and far shorter than the twelve hours for which SQS
/// hides a message at most.
pub const LONGEST: Duration = Duration::from_hours(2);

/// The step of a run before its first own one.
const FIRST_STEP: &str = "receive";

/// One run of a piece of work.
#[derive(Debug)]
pub struct Attempt {
    step: Mutex<&'static str>,
    is_last: bool,
    stop: CancellationToken,
}

impl Attempt {
    #[must_use]
    pub fn new(is_last: bool) -> Self {
        Self { step: Mutex::new(FIRST_STEP), is_last, stop: CancellationToken::new() }
    }

    /// Whether there may be no other. What can't be had for a transient error is then left out of the result, which is
    /// partial, rather than all lost.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// Cancelled if the run is to store what it has, and end.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// The current step, or the one at which the run ended. A dead letter names it.
    #[must_use]
    pub fn step(&self) -> &'static str {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a step, by a name of the work's own.
    pub fn enter(&self, step: &'static str) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step;
        tracing::debug!(step, "step started");
    }

    /// Asks the run to store what it has and end, and waits for at most `longest`. `None` if it takes longer.
    pub(crate) async fn wrap_up<T>(&self, run: impl Future<Output = T>, longest: Duration) -> Option<T> {
        self.stop.cancel();
        timeout(longest, run).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_at_the_step_that_it_entered() {
        let attempt = Attempt::new(false);
        assert_eq!(attempt.step(), "receive");
        attempt.enter("upload");
        assert_eq!(attempt.step(), "upload");
    }
}
