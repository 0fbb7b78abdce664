// SPDX-License-Identifier: Apache-2.0
//! Keeps jobs from waiting for a sink that fails: after some failures in a row it is left alone for a while.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::anyhow;
use tokio::time::Instant;

/// After how many failures in a row a sink is left alone.
const FAILURES: u32 = 3;

/// For how long.
const PAUSE: Duration = Duration::from_mins(2);

/// The failures of one sink since its last success.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    failures: u32,
    paused_until: Option<Instant>,
    last: String,
}

impl Breaker {
    /// Why the sink is left alone now; `None` if it is not.
    pub(crate) fn refusal(&self) -> Option<anyhow::Error> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = known.paused_until?.checked_duration_since(Instant::now())?;
        let (failures, seconds, last) = (known.failures, left.as_secs().max(1), &known.last);
        Some(anyhow!("it failed {failures} times in a row and is tried again in {seconds} s: {last}"))
    }

    /// Records how a delivery ended.
    pub(crate) fn record<T>(&self, delivered: &anyhow::Result<T>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(error) = delivered else {
            *known = Known::default();
            return;
        };
        known.failures += 1;
        known.last = format!("{error:#}");
        known.paused_until = (known.failures >= FAILURES).then(|| Instant::now() + PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_fails_is_left_alone_for_a_while() {
        let breaker = Breaker::default();
        let fail = || breaker.record::<()>(&Err(anyhow!("no route")));
        fail();
        fail();
        assert!(breaker.refusal().is_none());
        fail();
        let refusal = breaker.refusal().expect("left alone").to_string();
        assert_eq!(refusal, "it failed 3 times in a row and is tried again in 120 s: no route");
        tokio::time::advance(PAUSE + Duration::from_secs(1)).await;
        assert!(breaker.refusal().is_none(), "it is tried again");
        fail();
        assert!(breaker.refusal().is_some(), "one more failure is enough");
        tokio::time::advance(PAUSE + Duration::from_secs(1)).await;
        breaker.record(&Ok(()));
        fail();
        assert!(breaker.refusal().is_none());
    }
}
