// SPDX-License-Identifier: Apache-2.0
//! Makes each new run later than every earlier one: run IDs decide which of two reports replaces the
//! other.

use std::time::Duration;

use anyhow::anyhow;
use chrono::{DateTime, TimeDelta, Utc};
use cli::exit::CommandError;
use fleet::{RunId, manifest::Manifest, report_bucket::ReportBucket};
use requests::{
    manifests,
    todo::{moment, timestamp},
};

/// The maximum difference between two producers that both use the report bucket's clock. Its `Date`
/// header has whole seconds, and a difference of two seconds is not followed.
const CLOCKS_APART: TimeDelta = TimeDelta::seconds(10);

/// When a run may begin that must be later than the newest one.
#[derive(Debug, PartialEq, Eq)]
enum Start {
    Now,
    In(Duration),
    /// Not before this time. A clock that was ahead by more than a moment made a run ID with it.
    NotBefore(DateTime<Utc>),
}

fn turn(newest: Option<&RunId>, now: DateTime<Utc>) -> Start {
    let Some(began_at) = newest.and_then(RunId::time) else { return Start::Now };
    match began_at - now {
        ahead if ahead > CLOCKS_APART => Start::NotBefore(began_at),
        // One millisecond more, the resolution of a run ID.
        ahead => (ahead + TimeDelta::milliseconds(1)).to_std().map_or(Start::Now, Start::In),
    }
}

/// Waits until a new run ID is later than that of every run in the bucket.
///
/// # Errors
///
/// If that would take more than a moment: a machine whose clock was ahead began a run in the future.
pub(super) async fn after_every_run(bucket: &ReportBucket) -> Result<(), CommandError> {
    let newest = manifests::newest(bucket, 1).await?.pop();
    match turn(newest.as_ref(), bucket.now()) {
        Start::Now => Ok(()),
        Start::In(pause) => {
            tokio::time::sleep(pause).await;
            Ok(())
        }
        Start::NotBefore(began_at) => {
            let run_id = newest.ok_or_else(|| anyhow!("cannot fail: it has a time"))?;
            Err(CommandError::Failed(anyhow!(
                "run {run_id} is of {}, and it is {} by the clock of bucket {}: a machine whose clock was ahead began it. \
                 Its reports would count as newer than those of a run that begins now. Wait until then, or remove its \
                 manifest, s3://{}/{}, and the reports whose metadata has run-id {run_id}",
                timestamp(began_at),
                moment(bucket.now()),
                bucket.name,
                bucket.name,
                Manifest::key(&run_id)
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use requests::testing::run_at;

    use super::*;

    #[test]
    fn a_run_in_the_future_is_waited_for_if_clocks_may_differ_by_it_and_refused_otherwise() {
        let now: DateTime<Utc> = "2026-11-04T12:00:00Z".parse().expect("a moment");
        let at = |ahead: i64| {
            let newest = now + TimeDelta::milliseconds(ahead);
            assert_eq!(run_at(newest).time(), Some(newest));
            turn(Some(&run_at(newest)), now)
        };
        assert_eq!(turn(None, now), Start::Now);
        assert_eq!(turn(Some(&RunId::manual("0a1b2c3d")), now), Start::Now);
        assert_eq!(at(-3_600_000), Start::Now);
        assert_eq!(at(0), Start::In(Duration::from_millis(1)));
        assert_eq!(at(10_000), Start::In(Duration::from_millis(10_001)));
        assert_eq!(at(10_001), Start::NotBefore(now + TimeDelta::milliseconds(10_001)));
        assert_eq!(at(3_600_000), Start::NotBefore(now + TimeDelta::hours(1)));
    }
}
