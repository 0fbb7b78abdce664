//! A new run is later than every run before it: run ids say which of two reports replaces the other.

use std::time::Duration;

use anyhow::anyhow;
use chrono::{DateTime, TimeDelta, Utc};
use cli::exit::CommandError;
use fleet::{RunId, manifest::Manifest, report_bucket::ReportBucket};

use crate::{
    manifests,
    todo::{moment, timestamp},
};

/// How far apart the clocks of two producers may be that both go by the report bucket's: its `Date` header has whole
/// seconds, and a difference of two is not followed.
const CLOCKS_APART: TimeDelta = TimeDelta::seconds(10);

/// When a run can begin that has to be later than the newest one.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Now,
    In(Duration),
    /// Not before that time, which a clock that is wrong by more than a moment has named.
    NotBefore(DateTime<Utc>),
}

fn turn(newest: Option<&RunId>, now: DateTime<Utc>) -> Turn {
    let Some(began_at) = newest.and_then(RunId::time) else { return Turn::Now };
    match began_at - now {
        ahead if ahead > CLOCKS_APART => Turn::NotBefore(began_at),
        // One millisecond more, which is as exact as a run id is.
        ahead => (ahead + TimeDelta::milliseconds(1)).to_std().map_or(Turn::Now, Turn::In),
    }
}

/// Waits until a new run is later than every run in the bucket.
///
/// # Errors
/// If that takes more than a moment: a machine whose clock was ahead began a run in the future.
pub(super) async fn after_every_run(bucket: &ReportBucket) -> Result<(), CommandError> {
    let newest = manifests::newest(bucket, 1).await?.pop();
    match turn(newest.as_ref(), bucket.now()) {
        Turn::Now => Ok(()),
        Turn::In(pause) => {
            tokio::time::sleep(pause).await;
            Ok(())
        }
        Turn::NotBefore(began_at) => {
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
    use super::*;
    use crate::manifests::tests::run_at;

    #[test]
    fn a_run_in_the_future_is_waited_for_if_clocks_may_differ_by_it_and_refused_otherwise() {
        let now: DateTime<Utc> = "2026-11-04T12:00:00Z".parse().expect("a moment");
        let at = |ahead: i64| {
            let newest = now + TimeDelta::milliseconds(ahead);
            assert_eq!(run_at(newest).time(), Some(newest));
            turn(Some(&run_at(newest)), now)
        };
        assert_eq!(turn(None, now), Turn::Now);
        assert_eq!(turn(Some(&RunId::manual("0a1b2c3d")), now), Turn::Now);
        assert_eq!(at(-3_600_000), Turn::Now);
        assert_eq!(at(0), Turn::In(Duration::from_millis(1)));
        assert_eq!(at(10_000), Turn::In(Duration::from_millis(10_001)));
        assert_eq!(at(10_001), Turn::NotBefore(now + TimeDelta::milliseconds(10_001)));
        assert_eq!(at(3_600_000), Turn::NotBefore(now + TimeDelta::hours(1)));
    }
}
