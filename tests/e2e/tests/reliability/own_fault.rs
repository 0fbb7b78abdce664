// SPDX-License-Identifier: Apache-2.0
//! A misconfigured worker does not blame accounts: it returns its jobs to the queue and exits.

use std::time::Duration;

use anyhow::Result;
use kit::{Fleet, HOME, HOME_REGION, JOBS, end, finish, report_key, until};
use local_aws::{Fault, Trust};

use super::{LONG_LEASE, day, job, put_off, reports_of_the_day};

/// Accounts that are entered by a role, and their jobs. Some have no such role.
async fn with_roles(count: usize, has_role: impl Fn(usize) -> bool) -> Result<Fleet> {
    let mut fleet = Fleet::with_visibility_timeout(LONG_LEASE).await?;
    let mut accounts = "[defaults]\nrole_name = 'reader'\n".to_owned();
    for nth in 0..count {
        let id = format!("{:012}", 100_000_000_000u64 + nth as u64);
        accounts += &format!("[[account]]\nname = 'account-{nth}'\nid = '{id}'\n");
        let account = fleet.aws.account(&id);
        account.bucket("b", HOME_REGION).size("StandardStorage", day(), 7.0);
        if has_role(nth) {
            account.role("reader", Trust::default());
        }
        fleet.home.send(JOBS, &job(&format!("account-{nth}")));
    }
    let accounts = fleet.file("accounts.toml", &accounts)?;
    fleet.variable("FLEET_ACCOUNTS", &accounts);
    Ok(fleet)
}

#[tokio::test]
async fn a_worker_that_may_not_write_reports_takes_no_job_however_often_it_is_started() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.send_small_jobs(50).await?;
    fleet.home.deny("s3:PutObject");
    for _ in 0..20 {
        let worker = finish(fleet.worker(&["run"])).await?.status(1);
        assert!(worker.stderr.contains("its role needs s3:GetObject and s3:PutObject"), "{}", worker.stderr);
    }
    assert_eq!(fleet.aws.calls().operation("PutObject").outcome("AccessDenied").count(), 20);
    assert_eq!(fleet.aws.calls().operation("ReceiveMessage").count(), 0);
    let counts = fleet.home.counts(JOBS);
    assert_eq!((counts.visible, counts.in_flight, fleet.dead_letters().len()), (50, 0, 0));
    Ok(())
}

#[tokio::test]
async fn a_worker_that_may_no_longer_write_reports_returns_its_jobs_and_exits() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.send_small_jobs(12).await?;
    // Its proof and four reports pass. With its hands full it has no poll in flight, which might be answered
    // when no process listens any more.
    let held = fleet.aws.fault(Fault::hold().on("PutObject").account(HOME).after(1 + 4));
    let worker = fleet.worker(&["run", "--concurrency", "4"]).spawn()?;
    until("four more are about to be stored", || held.fired() == 4).await?;
    fleet.home.deny("s3:PutObject");
    held.stop();
    let worker = end(worker).await?.status(1);
    assert!(fleet.aws.calls().operation("PutObject").outcome("AccessDenied").count() > 0);
    assert!(worker.stderr.contains("this worker can't do any job and stops"), "{}", worker.stderr);
    let counts = fleet.home.counts(JOBS);
    assert_eq!((counts.visible, counts.in_flight), (8, 0), "{}", worker.stderr);
    assert!(fleet.dead_letters().is_empty());
    for _ in 0..20 {
        finish(fleet.worker(&["run"])).await?.status(1);
    }
    assert_eq!((fleet.home.counts(JOBS).visible, fleet.dead_letters().len()), (8, 0));
    fleet.home.allow("s3:PutObject");
    fleet.work(&[]).await?;
    finish(fleet.producer(&["status"])).await?.status(0);
    Ok(())
}

#[tokio::test]
async fn a_worker_that_may_write_but_not_with_the_buckets_key_blames_itself() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.send_small_jobs(6).await?;
    // The proof is not encrypted, since it is not written.
    let denied = fleet.aws.fault(Fault::deny().on("PutObject").key_prefix(&reports_of_the_day()));
    let worker = finish(fleet.worker(&["run"])).await?.status(1);
    assert!(denied.fired() > 0);
    assert!(worker.stderr.contains("the use of that key"), "{}", worker.stderr);
    let counts = fleet.home.counts(JOBS);
    assert_eq!((counts.visible, counts.in_flight, fleet.dead_letters().len()), (6, 0, 0));
    Ok(())
}

#[tokio::test]
async fn a_single_refused_report_is_a_dead_letter_and_stops_no_worker() -> Result<()> {
    let mut fleet = Fleet::with_visibility_timeout(LONG_LEASE).await?;
    for (nth, name) in ["one", "two", "three"].into_iter().enumerate() {
        let _ = fleet.account(name, &format!("{:012}", 100_000_000_000u64 + nth as u64));
        fleet.home.send(JOBS, &job(name));
    }
    let denied = fleet.aws.fault(Fault::deny().on("PutObject").key_prefix(&report_key("two", day())));
    let worker = fleet.worker(&["run", "--exit-when-empty", "--concurrency", "1"]).spawn()?;
    let pause = put_off(&fleet, 1).await?;
    fleet.home.pass_time(JOBS, pause);
    end(worker).await?.status(0);
    assert!(denied.fired() > 1);
    let [letter] = &fleet.dead_letters()[..] else { panic!("one dead letter") };
    assert_eq!(
        (&*letter.attributes["account_name"], &*letter.attributes["failure_reason"]),
        ("two", "report_bucket")
    );
    assert_eq!(letter.attributes["failure_step"], "upload");
    for name in ["one", "three"] {
        assert!(fleet.object(&report_key(name, day())).is_some(), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_that_no_account_lets_in_takes_the_fault_for_its_own() -> Result<()> {
    let fleet = with_roles(40, |_| false).await?;
    for _ in 0..20 {
        let worker = finish(fleet.worker(&["run", "--concurrency", "8"])).await?.status(1);
        assert!(worker.stderr.contains("allow it sts:AssumeRole"), "{}", worker.stderr);
    }
    assert!(fleet.aws.calls().operation("AssumeRole").failed().count() >= 20 * 40);
    assert_eq!(fleet.aws.calls().operation("ReceiveMessage").count(), 0);
    assert_eq!((fleet.home.counts(JOBS).visible, fleet.dead_letters().len()), (40, 0));
    Ok(())
}

#[tokio::test]
async fn a_worker_whose_permission_is_revoked_returns_its_jobs_and_exits() -> Result<()> {
    let fleet = with_roles(40, |_| true).await?;
    let taken = fleet.aws.fault(Fault::deny().on("AssumeRole").after(6));
    let worker = finish(fleet.worker(&["run", "--concurrency", "2"])).await?.status(1);
    assert!(taken.fired() > 20);
    assert!(worker.stderr.contains("allow it sts:AssumeRole"), "{}", worker.stderr);
    let stored = fleet.home.keys(kit::REPORTS, "s3_daily_storage/").len();
    assert!(stored > 0);
    assert_eq!((fleet.home.messages(JOBS).len(), fleet.dead_letters().len()), (40 - stored, 0));
    Ok(())
}

#[tokio::test]
async fn many_accounts_without_a_role_do_not_stop_a_worker_that_others_let_in() -> Result<()> {
    let fleet = with_roles(30, |nth| nth == 29).await?;
    // Its log is read meanwhile, since there is much of it.
    let worker = fleet.worker(&["run", "--exit-when-empty", "--concurrency", "3"]).spawn()?;
    let worker = tokio::spawn(end(worker));
    until("each has had its first try", || fleet.home.messages(JOBS).iter().all(|job| job.receive_count > 0))
        .await?;
    until("all are put off", || fleet.aws.calls().operation("ChangeMessageVisibility").ok().count() >= 29)
        .await?;
    fleet.home.pass_time(JOBS, Duration::from_secs(30));
    worker.await??.status(0);
    let letters = fleet.dead_letters();
    assert_eq!(letters.len(), 29);
    assert!(letters.iter().all(|letter| letter.attributes["failure_reason"] == "access_denied"));
    assert!(fleet.object(&report_key("account-29", day())).is_some());
    Ok(())
}

#[tokio::test]
async fn a_worker_without_the_accounts_variables_stops_before_it_has_blamed_them_all() -> Result<()> {
    let fleet = Fleet::start().await?;
    for nth in 0..60 {
        fleet.home.send(JOBS, &job(&format!("account-{nth}")));
    }
    let worker = finish(fleet.worker(&["run"])).await?.status(1);
    assert!(worker.stderr.contains("check this worker's environment variables"), "{}", worker.stderr);
    let letters = fleet.dead_letters();
    assert!(letters.len() < 10, "{} dead letters", letters.len());
    assert!(letters.iter().all(|letter| letter.attributes["failure_reason"] == "no_credentials"));
    // A poll in flight may have been answered without being read; those jobs become visible again by themselves.
    let counts = fleet.home.counts(JOBS);
    assert_eq!(counts.visible + counts.in_flight + letters.len(), 60, "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn one_account_that_does_not_let_the_worker_in_is_a_dead_letter() -> Result<()> {
    let fleet = with_roles(3, |nth| nth != 1).await?;
    let worker = fleet.worker(&["run", "--exit-when-empty", "--concurrency", "1"]).spawn()?;
    let pause = put_off(&fleet, 1).await?;
    fleet.home.pass_time(JOBS, pause);
    end(worker).await?.status(0);
    let [letter] = &fleet.dead_letters()[..] else { panic!("one dead letter") };
    let of = |name: &str| letter.attributes[name].as_str();
    assert_eq!((of("account_name"), of("failure_reason")), ("account-1", "access_denied"));
    assert!(of("failure_message").contains("sts:AssumeRole"), "{letter:?}");
    for account in ["account-0", "account-2"] {
        assert!(fleet.object(&report_key(account, day())).is_some(), "{account}");
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_whose_own_credentials_are_over_leaves() -> Result<()> {
    for fault in [Fault::expired_token(), Fault::error("InvalidClientTokenId", 403)] {
        let fleet = with_roles(3, |_| true).await?;
        let expired = fleet.aws.fault(fault.on("AssumeRole"));
        let worker = finish(fleet.worker(&["run"])).await?.status(1);
        assert!(expired.fired() > 0);
        assert!(
            worker.stderr.contains("the worker's own credentials are missing or not valid"),
            "{}",
            worker.stderr
        );
        let counts = fleet.home.counts(JOBS);
        assert_eq!((counts.visible, counts.in_flight, fleet.dead_letters().len()), (3, 0, 0));
    }
    Ok(())
}

#[tokio::test]
async fn credentials_that_expire_during_a_run_are_fetched_again_and_the_job_continues() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let accounts = "[[account]]\nname = 'data'\nrole_arn = 'arn:aws:iam::111111111111:role/reader'\n";
    let accounts = fleet.file("accounts.toml", accounts)?;
    fleet.variable("FLEET_ACCOUNTS", &accounts);
    let account = fleet.aws.account("111111111111");
    account.role("reader", Trust::default());
    // An old day: many calls of GetMetricData, concurrently.
    let old = kit::days_ago(100);
    for nth in 0..200 {
        account.bucket(&format!("bucket-{nth:03}"), HOME_REGION).size("StandardStorage", old, 7.0);
    }
    let body = format!(r#"{{"account_name":"data","date":"{old}"}}"#);
    for (operation, after) in [("GetMetricData", 5), ("ListBuckets", 0)] {
        let expired = fleet.aws.fault(Fault::expired_token().on(operation).after(after).times(1));
        let before = [
            fleet.aws.calls().operation("AssumeRole").count(),
            fleet.aws.calls().operation("GetMetricData").count(),
        ];
        fleet.home.send(JOBS, &body);
        let worker = fleet.work(&[]).await?;
        assert_eq!(expired.fired(), 1);
        assert!(worker.stderr.contains("\"status\":\"complete\""), "{}", worker.stderr);
        assert!(worker.stderr.contains("\"attempt\":1"), "{}", worker.stderr);
        assert_eq!(fleet.aws.calls().operation("AssumeRole").count() - before[0], 2);
        let needed = u64::from(200u32 * 29).div_ceil(500);
        let again = u64::from(operation == "GetMetricData");
        assert_eq!(fleet.aws.calls().operation("GetMetricData").count() - before[1], needed + again);
    }
    assert_eq!(fleet.table("data", old)?.lines().filter(|line| line.ends_with(",ok")).count(), 200);
    Ok(())
}
