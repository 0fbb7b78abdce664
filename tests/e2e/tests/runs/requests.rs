// SPDX-License-Identifier: Apache-2.0
//! Requests that come by the queue, as a schedule sends them: the same run as the command line makes of them, whatever is
//! killed or delivered twice.

use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use fleet::manifest::{JobState, Manifest};
use futures::future::try_join_all;
use kit::{DEAD, Fleet, JOBS, REPORTS, Setup, days_ago, end, finish, until};
use local_aws::{Fault, Message};
use serde_json::{Value, json};

use super::windows::{bodies, fleet, fleet_with, producer, times, yesterday};

const REQUEST: &str =
    r#"{"account_name":"data","dataset":"ecs_service","last":"6h","only_incomplete":true,"ticket":7}"#;

/// The message of a schedule.
fn tick(at: DateTime<Utc>, request: &str) -> String {
    // As EventBridge Scheduler writes its time.
    format!(r#"{{"kind":"request","at":"{}","request":{request}}}"#, at.format("%Y-%m-%dT%H:%M:%SZ"))
}

/// The manifests that there are, without the times at which they were written.
fn manifests(fleet: &Fleet) -> Result<Vec<Manifest>> {
    let keys = fleet.home.keys(REPORTS, "runs/");
    let read = |key: String| Ok(serde_json::from_slice(&fleet.object(&key).expect("it is there").body)?);
    keys.into_iter().map(read).collect()
}

/// The jobs on the queue, each as its body and its attributes.
fn jobs(fleet: &Fleet) -> Vec<(String, Vec<(String, String)>)> {
    let messages = fleet.home.messages(JOBS).into_iter();
    let jobs = messages.filter(|message| !message.body.contains(r#""kind""#));
    jobs.map(|Message { body, attributes, .. }| (body, attributes.into_iter().collect())).collect()
}

#[tokio::test]
async fn a_tick_by_the_queue_makes_the_run_that_the_command_line_makes() -> Result<()> {
    let at = yesterday(9, 15);
    let (by_hand, _) = fleet().await?;
    by_hand.aws.set_clock(yesterday(9, 16));
    let request = by_hand.file("request.json", REQUEST)?;
    let sent = producer(&by_hand, &["run", "--at", &at.to_rfc3339(), "--request", &request], 0).await?;
    let expected = jobs(&by_hand);
    assert_eq!((&sent["sent"], expected.len()), (&json!(1), 1), "{sent}");
    by_hand.work(&[]).await?;

    let (by_queue, _) = fleet().await?;
    by_queue.aws.set_clock(yesterday(9, 16));
    by_queue.home.send(JOBS, &tick(at, &REQUEST.replace(':', ": ")));
    let held = by_queue.aws.fault(Fault::hold().on("GetCallerIdentity").times(2));
    let worker = by_queue.worker(&["run", "--exit-when-empty"]).spawn()?;
    until("the job is sent", || jobs(&by_queue).len() == 1).await?;
    assert_eq!(jobs(&by_queue), expected);
    held.stop();
    end(worker).await?.status(0);

    let bare = |fleet: &Fleet| -> Result<Vec<Manifest>> {
        let manifests = manifests(fleet)?.into_iter();
        assert!(manifests.clone().all(|manifest| manifest.sent_at.is_some()), "all jobs were sent");
        Ok(manifests.map(|it| Manifest { created_at: at, sent_at: None, ..it }).collect())
    };
    assert_eq!(bare(&by_queue)?, bare(&by_hand)?);
    assert_eq!(bodies(&by_queue), bodies(&by_hand));
    assert_eq!(times(&by_queue).len(), 6);
    assert!(by_queue.dead_letters().is_empty() && by_queue.home.messages(JOBS).is_empty());
    let run_id = sent["run_id"].as_str().expect("a run id");
    finish(by_queue.producer(&["status", run_id])).await?.status(0);

    // A tick that finds nothing to send leaves nothing behind.
    let before = by_queue.home.keys(REPORTS, "");
    by_queue.home.send(JOBS, &tick(yesterday(9, 16), REQUEST));
    let worker = by_queue.work(&[]).await?;
    assert!(worker.stderr.contains("the request has nothing to send"), "{}", worker.stderr);
    assert_eq!((by_queue.home.keys(REPORTS, ""), jobs(&by_queue).len()), (before, 0));

    // Nor does the command line.
    let request = by_queue.file("request.json", &REQUEST.replace(r#""only_incomplete":true,"#, ""))?;
    let flagged = ["run", "--at", &at.to_rfc3339(), "--request", &request, "--only-incomplete"];
    let again = producer(&by_queue, &flagged, 0).await?;
    assert_eq!((&again["sent"], &again["already_complete"]), (&json!(0), &json!(1)), "{again}");
    Ok(())
}

#[tokio::test]
async fn a_tick_that_is_delivered_twice_sends_once() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let at = Utc::now() - TimeDelta::hours(1);
    let request = format!(r#"{{"account_name":"data","date":"{}"}}"#, days_ago(4));
    for _ in 0..2 {
        fleet.home.send(JOBS, &tick(at, &request));
    }
    let worker = fleet.work(&["--concurrency", "1"]).await?;
    assert_eq!(fleet.aws.calls().operation("SendMessageBatch").count(), 1);
    let [manifest] = &manifests(&fleet)?[..] else { panic!("one run") };
    assert!(manifest.sent_at.is_some());
    assert!(worker.stderr.contains("were sent before; nothing is sent again"), "{}", worker.stderr);

    // Without a time it is the run of when it was sent.
    let timeless = format!(r#"{{"kind":"request","request":{request}}}"#);
    fleet.home.send(JOBS, &timeless);
    let sent = fleet.home.messages(JOBS)[0].sent;
    fleet.work(&[]).await?;
    let newest = manifests(&fleet)?.pop().expect("a run");
    assert_eq!(newest.run_id.time().map(|at| at.timestamp_millis()), Some(sent.timestamp_millis()));
    assert!(fleet.dead_letters().is_empty());

    // A dead letter of such a message keeps that time, and so does its replay.
    let at = Utc::now() - TimeDelta::hours(2);
    let at = at.format("%Y-%m-%dT%H:%M:%S.007Z").to_string();
    let attributes = [("failure_reason", "unavailable"), ("at", &at)];
    fleet.home.send_with(DEAD, &timeless, &attributes)?;
    finish(fleet.producer(&["replay", "--all"])).await?.status(0);
    fleet.work(&[]).await?;
    let runs = manifests(&fleet)?;
    assert!(runs.iter().any(|run| run.run_id.time() == at.parse().ok()), "{at}: {runs:?}");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_is_killed_before_all_jobs_are_sent_leaves_them_to_the_next() -> Result<()> {
    try_join_all((0..2).map(a_worker_killed_at_batch)).await?;
    Ok(())
}

async fn a_worker_killed_at_batch(batch: usize) -> Result<()> {
    let mut fleet = Fleet::with_visibility_timeout(Duration::from_secs(3)).await?;
    let accounts = fleet.small_accounts(12, days_ago(4));
    let accounts: Vec<&String> = accounts.iter().filter(|name| name.starts_with("account-")).collect();
    // Nothing is known of their price. What is known later does not refuse a run that was begun.
    let request = json!({ "account_name": accounts, "date": days_ago(4).to_string(), "max_usd": 0.000_001 });
    fleet.home.send(JOBS, &tick(Utc::now() - TimeDelta::hours(1), &request.to_string()));

    let held = fleet.aws.fault(Fault::hold().on("SendMessageBatch").after(batch as u64));
    let mut worker = fleet.worker(&["run", "--concurrency", "1"]).spawn()?;
    until("the batch is held", || held.fired() > 0).await?;
    worker.kill().await?;
    held.stop();
    let [manifest] = &manifests(&fleet)?[..] else { panic!("one run") };
    assert_eq!(manifest.sent_at, None, "it is not known that all jobs were sent");
    assert_eq!(jobs(&fleet).len(), 10 * batch);

    fleet.work(&[]).await?;
    let [manifest] = &manifests(&fleet)?[..] else { panic!("the same run") };
    assert!(manifest.sent_at.is_some() && manifest.jobs.iter().all(|job| job.state == JobState::Sent));
    finish(fleet.producer(&["status", manifest.run_id.as_str()])).await?.status(0);
    assert_eq!(fleet.home.keys(REPORTS, "s3_daily_storage/").len(), 12);
    assert!(fleet.dead_letters().is_empty() && fleet.home.messages(JOBS).is_empty());
    Ok(())
}

#[tokio::test]
async fn a_faulty_request_is_a_dead_letter_that_names_all_its_faults() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let accounts = fleet.file("accounts.toml", "[[account]]\nname = 'data'\n")?;
    fleet.variable("FLEET_ACCOUNTS", &accounts);
    let now = Utc::now();
    let ahead = (now + TimeDelta::hours(1)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let cases = [
        (
            tick(
                now,
                r#"{"account_name":"dta","dataset":"ecs","max_usd":"5","only_incomplete":1,"kind":"x"}"#,
            ),
            vec![
                "account dta: is not in the accounts file",
                "max_usd is a string, not a number of dollars such as 2.5",
                "only_incomplete is a number, not true or false",
                "\"kind\" is not an attribute",
            ],
        ),
        (
            format!(
                r#"{{"kind":"request","at":"{ahead}","request":{{"date":"2999-01-01"}},"dataset":"ecs"}}"#
            ),
            vec!["is in the future", "\"dataset\" is no key of this message", "is not over yet in UTC"],
        ),
        (
            tick(yesterday(9, 5), r#"{"dataset":"ecs_service","last":"1h"}"#),
            vec!["no window from", "add provisional"],
        ),
    ];
    for (body, _) in &cases {
        fleet.home.send(JOBS, body);
    }
    fleet.work(&[]).await?;
    let letters = fleet.dead_letters();
    assert_eq!(letters.len(), cases.len());
    for (body, faults) in cases {
        let letter = letters.iter().find(|letter| letter.body == body).expect("a dead letter");
        assert_eq!(letter.attributes["failure_reason"], "bad_message");
        for fault in faults {
            let message = &letter.attributes["failure_message"];
            assert!(message.contains(fault), "{message}\nshould say {fault}");
        }
    }
    assert_eq!(fleet.aws.calls().operation("SendMessageBatch").count(), 0);
    assert!(fleet.home.keys(REPORTS, "").is_empty(), "nothing was recorded");
    let failed = finish(fleet.producer(&["failed"])).await?.status(0);
    assert!(failed.stdout.contains("account dta: is not in the accounts file"), "{}", failed.stdout);
    Ok(())
}

#[tokio::test]
async fn a_request_that_would_cost_too_much_sends_nothing() -> Result<()> {
    let (fleet, _) = fleet().await?;
    fleet.aws.set_clock(yesterday(9, 15));
    let mut request: Value = serde_json::from_str(REQUEST)?;
    // Nothing is known of the account yet.
    request["max_usd"] = json!(0.000_001);
    fleet.home.send(JOBS, &tick(yesterday(9, 15), &request.to_string()));
    let worker = fleet.work(&[]).await?;
    assert!(worker.stderr.contains("max_usd takes no account of what they cost"), "{}", worker.stderr);
    assert_eq!(times(&fleet).len(), 6);

    fleet.aws.set_clock(yesterday(12, 15));
    fleet.home.send(JOBS, &tick(yesterday(12, 15), &request.to_string()));
    let runs = manifests(&fleet)?.len();
    fleet.work(&[]).await?;
    let [letter] = &fleet.dead_letters()[..] else { panic!("a dead letter") };
    let message = &letter.attributes["failure_message"];
    assert_eq!(letter.attributes["failure_reason"], "over_budget");
    assert!(message.starts_with("the run would cost about $0.00"), "{message}");
    assert_eq!((times(&fleet).len(), manifests(&fleet)?.len()), (6, runs), "nothing more");

    // The command line refuses it too, and a higher limit allows it.
    let file = fleet.file("request.json", &request.to_string())?;
    let ended = finish(fleet.producer(&["run", "--request", &file])).await?.status(2);
    assert!(ended.stderr.contains("and max_usd allows $0.0000010; nothing was sent"), "{}", ended.stderr);
    let sent = producer(&fleet, &["run", "--request", &file, "--max-usd", "1"], 0).await?;
    assert_eq!(sent["sent"], 1, "{sent}");
    Ok(())
}

#[tokio::test]
async fn a_request_is_retried_while_aws_fails_and_its_message_waits() -> Result<()> {
    for (operation, prefix) in [("PutObject", Some("runs/")), ("SendMessageBatch", None)] {
        let (fleet, _) = fleet().await?;
        fleet.aws.set_clock(yesterday(9, 15));
        let fault = Fault::unavailable().on(operation);
        let fault = fleet.aws.fault(prefix.into_iter().fold(fault, Fault::key_prefix));
        fleet.home.send(JOBS, &tick(yesterday(9, 15), REQUEST));
        let mut worker = fleet.worker(&["run"]).spawn()?;
        until("the message waits", || {
            let messages = fleet.home.messages(JOBS);
            fault.fired() > 0 && messages.iter().any(|it| it.receive_count == 1 && it.body.contains("kind"))
        })
        .await?;
        until("its pause is over or forgone", || {
            fleet.home.pass_time(JOBS, Duration::from_secs(1));
            fleet.home.messages(JOBS).iter().any(|message| message.receive_count > 1)
        })
        .await?;
        fault.stop();
        until("all reports exist", || {
            fleet.home.pass_time(JOBS, Duration::from_secs(1));
            times(&fleet).len() == 6
        })
        .await?;
        worker.kill().await?;
        assert!(fleet.dead_letters().is_empty(), "{operation}");
        assert_eq!(manifests(&fleet)?.len(), 1, "{operation}");
    }
    Ok(())
}

/// Ticks of 40 minutes without a worker, and then one: every window has its report. Gives the fleet, and how many metrics
/// the worker paid for.
async fn outage(concurrency: &str) -> Result<(Fleet, u64)> {
    let setup = Setup { max_receives: 12, ..Setup::default() };
    let (fleet, _) = fleet_with(setup).await?;
    let request =
        r#"{"account_name":"data","dataset":"ecs_service","last":"1h","window":"5m","only_incomplete":true}"#;
    for minute in (0..40).step_by(5) {
        let at = yesterday(9, 15 + minute);
        fleet.aws.set_clock(at);
        fleet.home.send(JOBS, &tick(at, request));
    }
    fleet.aws.set_clock(yesterday(9, 55));
    fleet.aws.latency(Duration::from_millis(20));
    let worker = fleet.work(&["--concurrency", concurrency, "--metrics-namespace", "fleet"]).await?;
    let lines = worker.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let paid = lines.filter_map(|line| line["MetricsRequested"].as_u64()).sum();
    assert!(fleet.dead_letters().is_empty() && fleet.home.messages(JOBS).is_empty());

    // Windows of another length than the dataset's have a folder of their own.
    let keys = fleet.home.keys(REPORTS, "ecs_service__5m/");
    let expected = (0..17).map(|nth| yesterday(8, 15 + 5 * nth));
    let expected: Vec<String> = expected.map(|at| at.format("T%H%MZ.csv").to_string()).collect();
    let found: Vec<&str> = keys.iter().filter_map(|key| key.rsplit('/').next()).collect();
    assert_eq!(found, expected, "every window has its report");
    Ok((fleet, paid))
}

#[tokio::test]
async fn after_an_outage_every_window_has_its_report_and_none_is_paid_twice() -> Result<()> {
    let (fleet, paid) = outage("1").await?;
    let runs = manifests(&fleet)?.len() as u64;
    let calls = |operation: &str| fleet.aws.calls().operation(operation).ok().count();
    // Each window was claimed once, and its claim deleted.
    let written = calls("PutObject") - calls("DeleteObject");
    assert_eq!(written, 17 + 2 * runs, "each report is written once, each manifest twice");
    // Two series, once for each job that finds a window that lacks its report.
    assert_eq!((paid, calls("GetMetricData")), (2 * runs, runs));
    Ok(())
}

#[tokio::test]
async fn after_an_outage_a_worker_with_several_slots_leaves_every_report_too() -> Result<()> {
    let (fleet, paid) = outage("4").await?;
    let runs = manifests(&fleet)?.len() as u64;
    let calls = |operation: &str| fleet.aws.calls().operation(operation).ok().count();
    // Who finds a window claimed waits, and then finds its report.
    assert_eq!(calls("PutObject") - calls("DeleteObject"), 17 + 2 * runs, "each report is written once");
    assert!(paid <= 2 * runs, "{paid}");
    Ok(())
}
