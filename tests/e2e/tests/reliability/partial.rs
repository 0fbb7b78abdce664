// SPDX-License-Identifier: Apache-2.0
//! Partial reports, and reports that are cut off.

use anyhow::Result;
use kit::{Fleet, JOBS, end, expected::cells, finish, report_key, until};
use local_aws::{Account, Fault};
use tokio::process::Child;

use super::{LONG_LEASE, day, job, put_off, reports_of_the_day};

const DENIED: &str = "cloudwatch:ListMetrics";
const FAR: &str = "me-south-1";

/// An account with a bucket in each of two regions.
async fn two_regions() -> Result<(Fleet, Account)> {
    let mut fleet = Fleet::with_visibility_timeout(LONG_LEASE).await?;
    let account = fleet.account("data", "111111111111");
    for region in ["eu-west-1", FAR] {
        account.bucket(&format!("b-{region}"), region).size("StandardStorage", day(), 7.0);
    }
    Ok((fleet, account))
}

async fn send(fleet: &Fleet) -> Result<()> {
    finish(fleet.producer(&["run", "--account-name", "data", "--date", &day().to_string()])).await?.status(0);
    Ok(())
}

fn worker(fleet: &Fleet) -> Result<Child> {
    Ok(fleet.worker(&["run", "--exit-when-empty", "--concurrency", "1"]).spawn()?)
}

#[tokio::test]
async fn a_partial_report_leaves_a_complete_one_of_its_day_as_it_is() -> Result<()> {
    let (fleet, account) = two_regions().await?;
    send(&fleet).await?;
    fleet.work(&[]).await?;
    let complete = fleet.object(&report_key("data", day())).expect("a report");
    account.deny_in(DENIED, FAR);
    send(&fleet).await?;
    fleet.work(&[]).await?;
    let existing = fleet.object(&report_key("data", day())).expect("a report");
    assert_eq!((existing.body, existing.metadata), (complete.body, complete.metadata));
    let [letter] = &fleet.dead_letters()[..] else { panic!("one dead letter") };
    assert_eq!(letter.attributes["failure_reason"], "partial");
    assert!(letter.attributes["failure_message"].contains("ListMetrics"), "{letter:?}");
    Ok(())
}

#[tokio::test]
async fn a_complete_report_takes_the_place_of_a_partial_one() -> Result<()> {
    let (fleet, account) = two_regions().await?;
    account.deny_in(DENIED, FAR);
    send(&fleet).await?;
    fleet.work(&[]).await?;
    assert_eq!(fleet.metadata("data", day(), "status")?, "partial");
    account.allow(DENIED);
    send(&fleet).await?;
    fleet.work(&[]).await?;
    assert_eq!(fleet.metadata("data", day(), "status")?, "complete");
    assert!(fleet.dead_letters().is_empty());
    finish(fleet.producer(&["status"])).await?.status(0);
    Ok(())
}

/// Who writes first, where both have looked and found nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
enum First {
    Partial,
    Complete,
    AtOnce,
}

#[tokio::test]
async fn of_a_partial_and_a_complete_report_that_race_the_complete_one_stays() -> Result<()> {
    for (first, partial_is_older) in [
        (First::Partial, true),
        (First::Partial, false),
        (First::Complete, true),
        (First::Complete, false),
        (First::AtOnce, true),
        (First::AtOnce, false),
    ] {
        let (fleet, account) = two_regions().await?;
        let upload = || Fault::hold().on("PutObject").key_prefix(&reports_of_the_day()).times(1);
        let collect = |partial: bool| {
            if partial { account.deny_in(DENIED, FAR) } else { account.allow(DENIED) }
        };
        collect(partial_is_older);
        send(&fleet).await?;
        let older_upload = fleet.aws.fault(upload());
        let older = worker(&fleet)?;
        until("the older is about to write", || older_upload.fired() == 1).await?;
        collect(!partial_is_older);
        send(&fleet).await?;
        let newer_upload = fleet.aws.fault(upload());
        let newer = worker(&fleet)?;
        until("the newer is about to write", || newer_upload.fired() == 1).await?;
        let older_is_first = (first == First::Partial) == partial_is_older;
        let (one, two) =
            if older_is_first { (&older_upload, &newer_upload) } else { (&newer_upload, &older_upload) };
        one.release();
        if first != First::AtOnce {
            let report = || fleet.object(&report_key("data", day()));
            until("the first is written", || report().is_some()).await?;
        }
        two.release();
        for worker in [older, newer] {
            end(worker).await?.status(0);
        }
        let reported = format!("{first:?} first, partial is older: {partial_is_older}");
        assert_eq!(fleet.metadata("data", day(), "status")?, "complete", "{reported}");
        assert_eq!(cells(&fleet.table("data", day())?).len(), 2, "{reported}");
        assert!(fleet.home.messages(JOBS).is_empty(), "{reported}");
        for letter in fleet.dead_letters() {
            assert_eq!(letter.attributes["failure_reason"], "partial", "{reported}");
        }
        let lost = fleet.aws.calls().operation("PutObject").outcome("PreconditionFailed").count();
        assert_eq!(lost, 1, "{reported}");
    }
    Ok(())
}

#[tokio::test]
async fn the_last_try_writes_what_it_has() -> Result<()> {
    let (fleet, _) = two_regions().await?;
    let throttle = fleet.aws.fault(Fault::throttle().on("ListMetrics").region(FAR));
    fleet.home.send(JOBS, &job("data"));
    let worker = fleet.worker(&["run", "--exit-when-empty"]).spawn()?;
    // The SDK's seven tries of a call may take half a minute, and the last three most of it.
    until("it tries again", || throttle.fired() >= 7).await?;
    let pause = put_off(&fleet, 1).await?;
    fleet.home.pass_time(JOBS, pause);
    end(worker).await?.status(0);
    let put_off = &fleet.aws.calls().operation("ChangeMessageVisibility").ok().records()[0];
    let uploads = fleet.aws.calls().operation("PutObject").ok().records();
    let [first, last] = &uploads[..] else { panic!("one upload for each try: {uploads:?}") };
    assert!(first.time < put_off.time && last.time > put_off.time);
    let object = fleet.object(&report_key("data", day())).expect("a report");
    assert!(!object.metadata.contains_key("unfinished"), "no other try comes");
    let asked: Vec<_> = fleet.aws.calls().operation("GetMetricData").records();
    assert_eq!(asked.len(), 1, "the last try asks for nothing that the first one got: {asked:?}");
    let rows = cells(&fleet.table("data", day())?);
    assert_eq!((&*rows[0]["status"], &*rows[0]["size_total"]), ("ok", "7"));
    assert_eq!((&*rows[1]["status"], &*rows[1]["size_total"]), ("error:Throttling", ""));
    assert_eq!(fleet.metadata("data", day(), "status")?, "partial");
    assert!(fleet.home.messages(JOBS).is_empty() && fleet.dead_letters().is_empty());
    Ok(())
}

#[tokio::test]
async fn an_upload_that_breaks_half_way_leaves_nothing_and_is_made_again() -> Result<()> {
    let (fleet, _) = two_regions().await?;
    // Once: the SDK's to repeat. More often: the worker's, which has paid for the body.
    for (times, is_ended) in [(1, false), (u64::MAX, true)] {
        fleet.aws.reset_calls();
        fleet.home.delete_object(kit::REPORTS, &report_key("data", day()));
        let broken = Fault::reset_upload().on("PutObject").key_prefix(&reports_of_the_day());
        let broken = fleet.aws.fault(broken.times(times));
        fleet.home.send(JOBS, &job("data"));
        let worker = worker(&fleet)?;
        if is_ended {
            until("it is broken each time", || broken.fired() >= 6).await?;
            assert!(fleet.object(&report_key("data", day())).is_none());
            broken.stop();
        }
        end(worker).await?.status(0);
        assert!(broken.fired() > 0);
        assert_eq!(fleet.aws.calls().operation("GetMetricData").count(), 2, "one in each region");
        assert_eq!(cells(&fleet.table("data", day())?).len(), 2);
        assert_eq!(fleet.metadata("data", day(), "status")?, "complete");
    }
    Ok(())
}
