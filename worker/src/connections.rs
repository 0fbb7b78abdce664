// SPDX-License-Identifier: Apache-2.0
//! Limits how many calls for accounts are in flight at once: each needs a connection, and a process may
//! have only so many.
//!
//! Calls to the queue and the report bucket are not counted: leases are renewed and reports stored
//! whatever the accounts need.

use std::sync::LazyLock;

use fleet::descriptors;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many regions an account has without opting in to more.
///
/// Source: <https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html>
const USUAL_REGIONS: usize = 17;

static CALLS: LazyLock<Semaphore> = LazyLock::new(|| {
    let calls = descriptors::calls_at_once(descriptors::limit());
    Semaphore::new(calls.min(Semaphore::MAX_PERMITS))
});

/// Waits for a permit to make a call; the call is counted until the permit is dropped.
pub(crate) async fn permit() -> Option<SemaphorePermit<'static>> {
    CALLS.acquire().await.ok()
}

/// Warns if this many accounts at once, each with this many calls in a region, may need more connections
/// than this process may have.
pub(crate) fn warn_if_too_few(concurrency: usize, calls_in_a_region: usize) {
    if let Some(warning) = warning(concurrency, calls_in_a_region, descriptors::limit()) {
        tracing::warn!("{warning}");
    }
}

fn warning(concurrency: usize, calls_in_a_region: usize, limit: usize) -> Option<String> {
    let (calls, wanted) =
        (descriptors::calls_at_once(limit), concurrency * USUAL_REGIONS * calls_in_a_region);
    (calls < wanted).then(|| {
        format!(
            "this process may have {limit} files open, so it makes at most {calls} calls at once, but {concurrency} accounts of {USUAL_REGIONS} regions may want {wanted}: raise the hard limit (ulimit -Hn), or lower --concurrency"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_too_low_for_the_concurrency_is_reported_with_advice() {
        let message = warning(4, 14, 1024).expect("a warning");
        for part in [
            "1024 files",
            "480 calls",
            "4 accounts of 17 regions may want 952",
            "ulimit -Hn",
            "--concurrency",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert_eq!(warning(4, 14, 4096), None);
        assert!(warning(256, 14, 65_536).is_some());
        assert_eq!(warning(256, 14, 1_048_576), None);
    }
}
