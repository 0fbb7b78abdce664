// SPDX-License-Identifier: Apache-2.0
//! What a run sends, and what it does if that fails half way.

use anyhow::Result;
use chrono::{TimeDelta, Utc};
use futures::future::try_join_all;
use kit::{DEAD, Fleet, HOME_REGION, JOBS, REPORTS, days_ago, end, finish, until};
use local_aws::Fault;

use super::{borrowed, day};

#[tokio::test]
async fn a_producer_killed_at_any_batch_is_completed_by_the_next() -> Result<()> {
    try_join_all((0..3).map(a_producer_killed_at_batch)).await?;
    Ok(())
}

async fn a_producer_killed_at_batch(batch: usize) -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let arguments = fleet.small_accounts(25, days_ago(4));
    let arguments = borrowed(&arguments);

    let hang = fleet.aws.fault(Fault::hang().on("SendMessageBatch").after(batch as u64));
    let mut killed = fleet.producer(&[&["run"][..], &arguments].concat()).spawn()?;
    until("the batch hangs", || hang.fired() > 0).await?;
    killed.start_kill()?;
    assert_eq!(end(killed).await?.code, None, "killed");
    hang.stop();
    let sent = batch * 10;
    assert_eq!(fleet.home.messages(JOBS).len(), sent);

    finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    let status = finish(fleet.producer(&["status", "--format", "json"])).await?.status(3).json()?;
    let state = |wanted: &str| {
        let accounts = status["accounts"].as_array().expect("accounts");
        accounts.iter().filter(|account| account["state"] == wanted).count()
    };
    assert_eq!((state("complete"), state("missing")), (sent, 25 - sent), "{status}");

    let rerun = [&["run", "--only-incomplete", "--format", "json"][..], &arguments].concat();
    let run = finish(fleet.producer(&rerun)).await?.status(0).json()?;
    assert_eq!((&run["sent"], &run["already_complete"]), (&(25 - sent).into(), &sent.into()), "{run}");
    assert_eq!(fleet.home.messages(JOBS).len(), 25 - sent, "nothing is sent that need not be");

    finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    finish(fleet.producer(&["status"])).await?.status(0);
    let calls = |operation: &str| fleet.aws.calls().operation(operation).ok().count();
    assert_eq!(
        calls("PutObject") - calls("DeleteObject"),
        25 + 3,
        "reports, a manifest each, and that all jobs of the second were sent; claims are deleted"
    );
    Ok(())
}

#[tokio::test]
async fn failed_entries_of_a_batch_are_sent_again_and_they_alone() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let arguments = fleet.small_accounts(10, days_ago(4));
    let failed = fleet.aws.fault(Fault::failed_entries([1, 4, 7]).on("SendMessageBatch").times(1));
    finish(fleet.producer(&[&["run"][..], &borrowed(&arguments)].concat())).await?.status(0);
    assert_eq!(failed.fired(), 1);
    let mut names: Vec<_> = fleet
        .home
        .messages(JOBS)
        .into_iter()
        .map(|message| message.attributes["account_name"].clone())
        .collect();
    names.sort();
    assert_eq!(names, (0..10).map(|nth| format!("account-{nth:02}")).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn jobs_are_sent_even_if_nothing_can_be_written_and_a_queue_that_gives_up_nothing_is_warned_of()
-> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let mut producer = fleet.producer(&["run", "--account-name", "data", "--date", &day()]);
    producer.stdout(std::fs::File::options().write(true).open("/dev/full")?);
    let ended = finish(producer).await?.status(1);
    assert!(ended.stderr.contains("could not write to standard output"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("has no dead-letter queue"), "{}", ended.stderr);
    assert_eq!(fleet.home.messages(JOBS).len(), 1);
    fleet.work(&[]).await?;
    finish(fleet.producer(&["status"])).await?.status(0);

    let mut producer = fleet.producer(&["run", "--account-name", "data", "--date", &day()]);
    producer.env("FLEET_QUEUE_URL", fleet.queue_url.replace(JOBS, DEAD));
    let ended = finish(producer).await?.status(0);
    assert!(ended.stderr.contains("has no dead-letter queue; is it the work queue?"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_scheduled_start_that_is_delivered_twice_is_one_run() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let arguments = fleet.small_accounts(12, days_ago(4));
    let at = (Utc::now() - TimeDelta::hours(1)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let arguments = [&["run", "--at", &at, "--format", "json"][..], &borrowed(&arguments)].concat();

    // The first delivery is cut off between its manifest and its second batch.
    let hang = fleet.aws.fault(Fault::hang().on("SendMessageBatch").after(1));
    let mut killed = fleet.producer(&arguments).spawn()?;
    until("the batch hangs", || hang.fired() > 0).await?;
    killed.start_kill()?;
    end(killed).await?;
    hang.stop();
    assert_eq!(fleet.home.messages(JOBS).len(), 10);

    let second = finish(fleet.producer(&arguments)).await?.status(0).json()?;
    assert_eq!((&second["sent"], &second["sent_before"]), (&12.into(), &serde_json::Value::Null), "{second}");
    assert_eq!(fleet.home.messages(JOBS).len(), 10 + 12, "all its jobs again");
    assert_eq!(fleet.home.keys(REPORTS, "runs/").len(), 1, "and one run");
    let ids: std::collections::HashSet<_> =
        fleet.home.messages(JOBS).iter().map(|job| job.attributes["run_id"].clone()).collect();
    assert_eq!(ids.len(), 1);

    let third = finish(fleet.producer(&arguments)).await?.status(0).json()?;
    assert_eq!((&third["sent"], &third["run_id"]), (&0.into(), &second["run_id"]), "{third}");
    assert!(third["sent_before"].is_string(), "{third}");
    assert_eq!(fleet.home.messages(JOBS).len(), 22, "nothing is sent again");

    // Another request at the same time is another run.
    let other = [&arguments[..], &["--attribute", "ticket=OPS-7"]].concat();
    let other = finish(fleet.producer(&other)).await?.status(0).json()?;
    assert_ne!(other["run_id"], second["run_id"]);
    finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    let run_id = second["run_id"].as_str().expect("a run id");
    finish(fleet.producer(&["status", run_id])).await?.status(0);

    let ahead = (Utc::now() + TimeDelta::hours(1)).to_rfc3339();
    let ended = finish(fleet.producer(&["run", "--account-name", "a", "--at", &ahead])).await?.status(2);
    assert!(ended.stderr.contains("is in the future"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_run_with_nothing_to_send_leaves_no_manifest() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let arguments = fleet.small_accounts(1, days_ago(4));
    fleet.run(&borrowed(&arguments), &[]).await?;
    let manifests = fleet.home.keys(REPORTS, "runs/");
    let again = [&["run", "--only-incomplete", "--format", "json"][..], &borrowed(&arguments)].concat();
    let again = finish(fleet.producer(&again)).await?.status(0).json()?;
    assert_eq!((&again["run_id"], &again["sent"]), (&serde_json::Value::Null, &0.into()), "{again}");
    assert_eq!(fleet.home.keys(REPORTS, "runs/"), manifests);
    finish(fleet.producer(&["status"])).await?.status(0);
    Ok(())
}

#[tokio::test]
async fn the_workers_are_woken_once_jobs_are_sent_if_there_are_none() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let arguments = fleet.small_accounts(1, days_ago(4));
    let arn = fleet.home.ecs_service("fleet", "fleet-worker", HOME_REGION, 0);
    let desired = |fleet: &Fleet| fleet.home.desired_count("fleet", "fleet-worker", HOME_REGION);
    let run = [&["run"][..], &borrowed(&arguments)].concat();
    fleet.variable("FLEET_SERVICE", "fleet/fleet-worker");
    finish(fleet.producer(&run)).await?.status(0);
    assert_eq!(desired(&fleet), Some(0), "only --wake wakes");

    let wake = [&run[..], &["--wake"]].concat();
    let ended = finish(fleet.producer(&wake)).await?.status(0);
    assert_eq!(desired(&fleet), Some(1));
    assert!(ended.stderr.contains("service fleet/fleet-worker starts a worker"), "{}", ended.stderr);
    fleet.home.ecs_service("fleet", "fleet-worker", HOME_REGION, 3);
    finish(fleet.producer(&wake)).await?.status(0);
    assert_eq!(desired(&fleet), Some(3), "those that there are stay");
    assert_eq!(fleet.aws.calls().operation("UpdateService").count(), 1);

    // Nothing is woken if nothing is sent.
    fleet.home.ecs_service("fleet", "fleet-worker", HOME_REGION, 0);
    fleet.work(&[]).await?;
    finish(fleet.producer(&[&wake[..], &["--only-incomplete"]].concat())).await?.status(0);
    assert_eq!(desired(&fleet), Some(0));

    // A replay wakes too, by the service's ARN.
    fleet.variable("FLEET_SERVICE", &arn);
    fleet.home.send(DEAD, &format!(r#"{{"account_name":"account-00","date":"{}"}}"#, day()));
    finish(fleet.producer(&["replay", "--all", "--wake"])).await?.status(0);
    assert_eq!(desired(&fleet), Some(1));

    // The jobs are sent, whatever becomes of the waking.
    fleet.home.ecs_service("fleet", "fleet-worker", HOME_REGION, 0);
    fleet.home.deny("ecs:UpdateService");
    let before = fleet.home.messages(JOBS).len();
    let ended = finish(fleet.producer(&wake)).await?.status(1);
    assert_eq!(fleet.home.messages(JOBS).len(), before + 1);
    assert!(ended.stderr.contains("allow ecs:UpdateService on this service"), "{}", ended.stderr);
    fleet.variable("FLEET_SERVICE", "fleet/other");
    let ended = finish(fleet.producer(&wake)).await?.status(1);
    assert!(ended.stderr.contains("service fleet/other: MISSING; correct FLEET_SERVICE"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_dry_run_that_cannot_read_the_bucket_has_a_price_all_the_same() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let arguments = ["run", "--dry-run", "--account-name", "data", "--date", &day()];
    let seen = finish(fleet.producer(&arguments)).await?.status(0);
    assert!(seen.stdout.contains("no report of the account was found"), "{}", seen.stdout);
    fleet.home.deny("s3:ListBucket");
    let unseen = finish(fleet.producer(&arguments)).await?.status(0);
    assert!(fleet.aws.calls().outcome("AccessDenied").count() > 0, "it was denied");
    assert!(unseen.stdout.contains("past reports could not be read: report bucket"), "{}", unseen.stdout);
    assert!(!unseen.stdout.contains("was found"), "{}", unseen.stdout);
    assert!(unseen.stdout.contains("cost: $0.00 to $0.03"), "{}", unseen.stdout);
    Ok(())
}
