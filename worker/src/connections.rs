//! How many calls of accounts are under way at once: each has a connection, and a process may have so many.
//!
//! The queue and the report bucket are not counted: a lease is renewed and a report stored whatever the accounts ask.

use std::sync::LazyLock;

use fleet::descriptors;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many regions an account has without opting in to more.
/// Source: <https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html>
const USUAL_REGIONS: usize = 17;

static CALLS: LazyLock<Semaphore> = LazyLock::new(|| {
    let calls = descriptors::calls_at_once(descriptors::limit());
    Semaphore::new(calls.min(Semaphore::MAX_PERMITS))
});

/// Waits until another call of an account may be under way, which it is until what this gives is dropped.
pub(crate) async fn turn() -> Option<SemaphorePermit<'static>> {
    CALLS.acquire().await.ok()
}

/// Says so if as many accounts at once, of so many calls in a region each, may want more connections than this process
/// may have.
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
            "this process may have {limit} files open, and so makes {calls} calls at once, where {concurrency} accounts of {USUAL_REGIONS} regions may want {wanted}: raise the hard limit (ulimit -Hn), or lower --concurrency"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_too_low_for_the_concurrency_is_told_with_what_to_do() {
        let told = warning(4, 14, 1024).expect("a warning");
        for part in [
            "1024 files",
            "480 calls",
            "4 accounts of 17 regions may want 952",
            "ulimit -Hn",
            "--concurrency",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert_eq!(warning(4, 14, 4096), None);
        assert!(warning(256, 14, 65_536).is_some());
        assert_eq!(warning(256, 14, 1_048_576), None);
    }
}
