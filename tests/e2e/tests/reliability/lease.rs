// SPDX-License-Identifier: Apache-2.0
//! The lease on a job.

use std::time::Duration;

use anyhow::Result;
use futures::future::try_join_all;
use kit::{Fleet, JOBS, days_ago, end, finish, report_key, says, terminate, until};
use local_aws::Fault;
use tokio::try_join;

use super::{day, job, reports_of_the_day};

#[tokio::test]
async fn work_longer_than_the_visibility_timeout_runs_once() -> Result<()> {
    let mut reported = String::new();
    // A machine that pauses for a second and a half makes a job lose its lease, but not three times in a row.
    for _ in 0..3 {
        let mut fleet = Fleet::with_visibility_timeout(Duration::from_secs(3)).await?;
        let account = fleet.account("slow", "111111111111");
        account.bucket("b", "eu-west-1").size("StandardStorage", day(), 7.0);
        let slow = fleet.aws.fault(Fault::slow(Duration::from_secs(10)).on("GetMetricData"));
        fleet.home.send(JOBS, &job("slow"));
        let worker = || fleet.worker(&["run", "--exit-when-empty"]).spawn();
        let (one, two) = (worker()?, worker()?);
        let (one, two) = try_join!(end(one), end(two))?;
        let said = one.status(0).stderr + &two.status(0).stderr;
        assert_eq!(said.matches("the report is stored").count(), 1, "{said}");
        let renewals = fleet.aws.calls().operation("ChangeMessageVisibility").count();
        if slow.fired() == 1 && renewals >= 7 {
            return Ok(());
        }
        reported += &format!("begun {} times, renewed {renewals} times; ", slow.fired());
    }
    panic!("{reported}")
}

/// A long poll may bring its message at its very end; the lease begins then, and not with the poll.
#[tokio::test]
async fn a_job_that_comes_late_in_a_long_poll_is_done_at_its_first_receipt() -> Result<()> {
    let mut fleet = Fleet::with_visibility_timeout(Duration::from_secs(6)).await?;
    let _ = fleet.account("data", "111111111111");
    let mut worker = fleet.worker(&["run"]).spawn()?;
    says(&mut worker, "the worker is ready").await?;
    // Longer than the lease, and far shorter than the poll.
    tokio::time::sleep(Duration::from_secs(8)).await;
    fleet.home.send(JOBS, &job("data"));
    until("the report is there", || fleet.object(&report_key("data", days_ago(4))).is_some()).await?;
    until("the job is deleted", || fleet.home.messages(JOBS).is_empty()).await?;
    terminate(&worker)?;
    let ended = end(worker).await?.status(0);
    assert!(ended.stderr.contains("\"attempt\":1"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("lease_lost"), "{}", ended.stderr);
    assert_eq!(fleet.aws.calls().operation("ReceiveMessage").ok().count(), 1, "one poll brought it");
    Ok(())
}

#[tokio::test]
async fn a_job_whose_lease_can_not_be_renewed_is_dropped_before_it_uploads_or_deletes() -> Result<()> {
    let refused = |code| Fault::error(code, 400);
    let faults = vec![
        refused("ReceiptHandleIsInvalid"),
        refused("MessageNotInflight"),
        refused("InvalidParameterValue"),
        Fault::unavailable(),
        Fault::server_error(),
        Fault::hang(),
        Fault::reset(),
    ];
    try_join_all(faults.into_iter().map(a_job_that_is_not_renewed)).await?;
    Ok(())
}

async fn a_job_that_is_not_renewed(fault: Fault) -> Result<()> {
    let reported = format!("{fault:?}");
    // The first renewal is due after 3 s: each try has that long to begin, and the second to end.
    let mut fleet = Fleet::with_visibility_timeout(Duration::from_secs(9)).await?;
    let account = fleet.account("slow", "111111111111");
    account.bucket("b", "eu-west-1").size("StandardStorage", day(), 7.0);
    // The first try would take longer than its lease; the second does not.
    let slow = fleet.aws.fault(Fault::slow(Duration::from_secs(14)).on("GetMetricData").times(1));
    let unrenewed = fleet.aws.fault(fault.on("ChangeMessageVisibility"));
    fleet.home.send(JOBS, &job("slow"));
    let worker = fleet.work(&[]).await?;
    assert!(slow.fired() == 1 && unrenewed.fired() > 0, "{reported}");
    assert_eq!(
        worker.stderr.matches("\"reason\":\"lease_lost\"").count(),
        1,
        "{reported}: {}",
        worker.stderr
    );
    let uploads = fleet.aws.calls().operation("PutObject").ok().records();
    let deletes = fleet.aws.calls().operation("DeleteMessage").records();
    let receives = fleet.aws.calls().operation("ReceiveMessage").records();
    let receives: Vec<_> = receives.iter().filter(|call| call.items > 0).collect();
    assert_eq!((receives.len(), uploads.len(), deletes.len()), (2, 1, 1), "{reported}");
    assert!(uploads[0].time > receives[1].time && deletes[0].time > receives[1].time, "{reported}");
    assert!(fleet.home.messages(JOBS).is_empty(), "{reported}");
    Ok(())
}

#[tokio::test]
async fn a_renewal_in_flight_ends_before_the_job_is_deleted_or_retried() -> Result<()> {
    try_join!(a_job_that_ends_during_a_renewal(false), a_job_that_ends_during_a_renewal(true))?;
    Ok(())
}

async fn a_job_that_ends_during_a_renewal(fails: bool) -> Result<()> {
    // A renewal is due at 8 s, and may take 4 s.
    let mut fleet = Fleet::with_visibility_timeout(Duration::from_secs(24)).await?;
    let account = fleet.account("slow", "111111111111");
    account.bucket("b", "eu-west-1").size("StandardStorage", day(), 7.0);
    let work = fleet.aws.fault(Fault::hold().on("ListBuckets"));
    let renewal = fleet.aws.fault(Fault::hold().on("ChangeMessageVisibility").times(1));
    if fails {
        account.deny("s3:ListAllMyBuckets");
    }
    fleet.home.send(JOBS, &job("slow"));
    let worker = fleet.worker(&["run"]).spawn()?;
    until("a renewal is in flight", || renewal.fired() == 1).await?;
    work.stop();
    let refused = || fleet.aws.calls().operation("ListBuckets").failed().count() > 0;
    let stored = || fleet.object(&report_key("slow", day())).is_some();
    until("the work is done", || if fails { refused() } else { stored() }).await?;
    // Long enough to settle the job.
    tokio::time::sleep(Duration::from_millis(500)).await;
    renewal.stop();
    let call =
        |operation: &str, nth: usize| fleet.aws.calls().operation(operation).ok().records().get(nth).cloned();
    let (operation, nth) = if fails { ("ChangeMessageVisibility", 1) } else { ("DeleteMessage", 0) };
    until("the job is settled", || call(operation, nth).is_some()).await?;
    terminate(&worker)?;
    end(worker).await?.status(0);
    assert_eq!(work.fired(), 1);
    let renewed = call("ChangeMessageVisibility", 0).expect("a renewal");
    let settled = call(operation, nth).expect("it is settled");
    assert_eq!(renewed.visibility, Some(24));
    assert!(settled.time >= renewed.time + renewed.duration, "{renewed:?} {settled:?}");
    Ok(())
}

#[tokio::test]
async fn two_deliveries_of_one_job_at_once_end_in_one_report() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.send_small_jobs(1).await?;
    let body = fleet.home.messages(JOBS)[0].body.clone();
    fleet.home.send(JOBS, &body);
    // Both have looked, found nothing, and are about to write.
    let held = fleet.aws.fault(Fault::hold().on("PutObject").key_prefix(&reports_of_the_day()).times(2));
    let worker = || fleet.worker(&["run", "--exit-when-empty", "--concurrency", "1"]).spawn();
    let (one, two) = (worker()?, worker()?);
    until("both are about to write", || held.fired() == 2).await?;
    held.release();
    let (one, two) = try_join!(end(one), end(two))?;
    let said = one.status(0).stderr + &two.status(0).stderr;
    assert_eq!(said.matches("the report is stored").count(), 1, "{said}");
    assert_eq!(said.matches("the report exists already").count(), 1, "{said}");
    assert_eq!(fleet.aws.calls().operation("PutObject").outcome("PreconditionFailed").count(), 1);
    assert!(fleet.home.messages(JOBS).is_empty() && fleet.dead_letters().is_empty());
    finish(fleet.producer(&["status"])).await?.status(0);
    Ok(())
}
