// SPDX-License-Identifier: Apache-2.0
//! Sending dead letters once more.

use std::{collections::HashSet, time::Duration};

use anyhow::{Context, Result};
use chrono::{Datelike, Days, NaiveDate};
use kit::{DEAD, Fleet, HOME_REGION, JOBS, days_ago, end, finish, until};
use local_aws::{Fault, QueueOptions};
use serde_json::json;

use super::{
    RUN, after_receives, all_visible, body, bury, failed, give_up, jobs, letters, name, producer, signal,
    with,
};

#[tokio::test]
async fn a_replay_needs_a_selection() -> Result<()> {
    let fleet = with(1).await?;
    let ended = producer(&fleet, &["replay"]).await?.status(2);
    for flag in ["--account-name NAME", "--run-id ID", "--reason CODE", "--all"] {
        assert!(ended.stderr.contains(flag), "{}", ended.stderr);
    }
    let ended = producer(&fleet, &["replay", "--all", "--run-id", RUN]).await?.status(2);
    assert!(ended.stderr.contains("pass one or the other"), "{}", ended.stderr);
    let ended = producer(&fleet, &["replay", "--run-id", "r-9"]).await?.status(1);
    assert!(ended.stderr.contains("jobs-dead has 1 dead letter, none of run r-9"), "{}", ended.stderr);
    all_visible(&fleet, 1);
    Ok(())
}

#[tokio::test]
async fn a_replay_takes_what_is_selected_and_leaves_the_rest() -> Result<()> {
    let fleet = with(12).await?;
    let select = ["replay", "--account-name", "account-003, account-007", "--account-name", "absent"];
    let ended = producer(&fleet, &select).await?.status(1);
    assert!(ended.stderr.contains("no matching dead letter of absent"), "{}", ended.stderr);
    assert!(ended.stdout.contains("2 dead letters replayed, 10 not selected"), "{}", ended.stdout);
    assert!(ended.stdout.contains(&format!("Next: producer status {RUN} --watch")), "{}", ended.stdout);
    let mut bodies: Vec<String> = jobs(&fleet).into_iter().map(|job| job.body).collect();
    bodies.sort();
    assert_eq!(bodies, [body("account-003"), body("account-007")]);
    all_visible(&fleet, 10);
    for message in fleet.home.messages(DEAD) {
        assert_eq!(message.receive_count, 1, "a look, and not one for each of the others");
    }
    Ok(())
}

#[tokio::test]
async fn a_replay_for_a_reason_takes_no_other() -> Result<()> {
    let fleet = with(3).await?;
    fleet.home.send(DEAD, "not a job");
    let reported = producer(&fleet, &["failed", "--reason", "max_receives", "--format", "json"]).await?;
    let reported = reported.status(0).json()?;
    assert_eq!((letters(&reported), &reported["not_selected"]), (1, &json!(3)));
    assert_eq!(reported["dead_letters"][0]["body"], "not a job");
    let ended = producer(&fleet, &["replay", "--reason", "panic,deadline"]).await?.status(1);
    let none = "jobs-dead has 4 dead letters, none with the reason panic, deadline";
    assert!(ended.stderr.contains(none), "{}", ended.stderr);
    let select = ["replay", "--reason", "access_denied", "--account-name", "account-001", "--run-id", RUN];
    producer(&fleet, &select).await?.status(0);
    assert_eq!(jobs(&fleet).len(), 1);
    producer(&fleet, &["replay", "--reason", "access_denied"]).await?.status(0);
    assert_eq!(jobs(&fleet).len(), 3);
    all_visible(&fleet, 1);
    Ok(())
}

#[tokio::test]
async fn a_replay_of_what_another_look_hides_has_failed() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    producer(&fleet, &["run", "--account-name", "data", "--date", &days_ago(4).to_string()]).await?.status(0);
    for nth in 0..10 {
        bury(&fleet, &name(nth), &body(&name(nth)), 0)?;
    }
    let hang = after_receives(&fleet, Fault::hang(), 1);
    let mut killed = fleet.producer(&["failed"]).spawn()?;
    until("the second receive hangs", || hang.fired() > 0).await?;
    killed.start_kill()?;
    assert_eq!(end(killed).await?.code, None);
    hang.stop();
    for select in [&["--all"][..], &["--run-id", RUN], &["--account-name", "account-001"]] {
        for format in ["text", "json"] {
            let ended =
                producer(&fleet, &[&["replay", "--format", format], select].concat()).await?.status(1);
            let reported = "nothing replayed: all 10 dead letters of jobs-dead are hidden, by another failed, status or \
                        replay, or by one that was killed within the last minute; run it again in a minute";
            assert!(ended.stderr.contains(reported), "{}", ended.stderr);
            assert_eq!(format == "text", ended.stdout.is_empty(), "{}", ended.stdout);
        }
    }
    let status = producer(&fleet, &["status"]).await?.status(3);
    let reported = "10 dead letters can't be seen now (another command is reading them, or was a minute ago); some of the \
                accounts in progress may have failed; look again in a minute";
    assert!(status.stdout.contains(reported), "{}", status.stdout);
    let run_id =
        status.stdout.split_whitespace().skip_while(|word| *word != "run").nth(1).context("a run")?;
    let status =
        producer(&fleet, &["status", "--run-id", run_id, "--format", "json"]).await?.status(3).json()?;
    assert_eq!(status["dead_letters_hidden"], json!(10));
    fleet.home.pass_time(DEAD, Duration::from_secs(61));
    producer(&fleet, &["replay", "--all"]).await?.status(0);
    Ok(())
}

#[tokio::test]
async fn a_replayed_job_has_its_body_its_day_what_others_said_and_one_replay_more() -> Result<()> {
    let fleet = Fleet::start().await?;
    // Odd, and yet as it came: two spaces, an escape, a key that the fleet does not know.
    let odd = r#"{"account_name":  "data","run_id":"r-1","x":"\u00e9é"}"#;
    bury(&fleet, "data", odd, 1)?;
    let foreign: Vec<(String, String)> = (0..10).map(|nth| (format!("foreign-{nth}"), "x".into())).collect();
    let foreign: Vec<(&str, &str)> =
        foreign.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fleet.home.send_with(DEAD, &body("web"), &foreign)?;
    let whole = "x".repeat(1024 * 1024);
    fleet.home.send_with(DEAD, &whole, &[])?;
    let ended = producer(&fleet, &["replay", "--all", "--format", "json"]).await?.status(0);
    let no_room = "attributes=foreign-8, foreign-9";
    assert!(ended.stderr.contains(no_room), "{}", ended.stderr);
    let replayed = ended.json()?;
    assert_eq!((&replayed["replayed"], &replayed["left"]), (&json!(3), &json!(0)), "{replayed}");
    all_visible(&fleet, 0);
    let jobs = jobs(&fleet);
    let of = |body: &str| jobs.iter().find(|job| job.body == body).map(|job| json!(job.attributes));
    assert_eq!(
        of(odd),
        Some(
            json!({"account_name": "data", "date": "2026-11-01", "dataset": "s3_daily_storage", "run_id": "r-1", "replay_count": "2"})
        ),
        "the day is that of when it was first seen"
    );
    let mut kept = json!({"date": "2026-11-01", "replay_count": "1"});
    for (name, value) in &foreign[..8] {
        kept[*name] = json!(value);
    }
    assert_eq!(of(&body("web")), Some(kept));
    assert_eq!(of(&whole), Some(json!({})), "there is no room for more");
    Ok(())
}

#[tokio::test]
async fn a_job_sent_by_hand_is_of_the_same_day_and_run_when_it_is_replayed_a_month_later() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let this_month = days_ago(0).with_day(1).expect("every month has a first day");
    let last_day = this_month - Days::new(1);
    let last_month = last_day.with_day(1).expect("every month has a first day");
    let at = |day: NaiveDate| day.and_hms_opt(12, 0, 0).expect("noon").and_utc();
    fleet.aws.set_clock(at(last_day));
    fleet.home.send(JOBS, r#"{"account_name":"data"}"#);
    let run_id = format!("manual-{}", &jobs(&fleet)[0].id[..8]);
    fleet.work(&[]).await?;
    let expected = (json!(last_month.to_string()), json!(run_id));
    let reported = failed(&fleet).await?;
    let letter = &reported["dead_letters"][0];
    assert_eq!(letter["failure_reason"], "no_credentials", "{reported}");
    assert_eq!((letter["date"].clone(), letter["run_id"].clone()), expected);
    let reported = producer(&fleet, &["failed"]).await?.status(0);
    assert!(reported.stdout.contains(&last_month.to_string()), "{}", reported.stdout);

    // A dead letter is kept for two weeks.
    let later = at(this_month + Days::new(4));
    fleet.aws.set_clock(later);
    let account = fleet.account("data", "111111111111");
    account.bucket("logs", HOME_REGION).size("StandardStorage", last_month, 7.0);
    producer(&fleet, &["replay", "--all"]).await?.status(0);
    assert!(jobs(&fleet)[0].sent >= later, "it is another message");
    assert!(!jobs(&fleet)[0].body.contains("date"), "whose body is as it was");
    fleet.work(&[]).await?;
    assert_eq!(fleet.metadata("data", last_month, "run-id")?, run_id);
    assert!(fleet.table("data", last_month)?.contains(",7,"), "{}", fleet.table("data", last_month)?);
    assert!(fleet.dead_letters().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_job_that_the_queue_moved_keeps_its_day_and_says_nothing_of_an_earlier_failure() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    bury(&fleet, "data", r#"{"account_name":"data"}"#, 0)?;
    // The console's redrive: the message as it is, on the work queue.
    let letter = fleet.dead_letters().remove(0);
    let attributes: Vec<(&str, &str)> =
        letter.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fleet.home.send_with(JOBS, &letter.body, &attributes)?;
    fleet.home.queue(DEAD, QueueOptions { region: HOME_REGION.to_owned(), ..QueueOptions::default() });
    // Workers die of it, as often as the queue allows.
    for _ in 0..3 {
        let hang = fleet.aws.fault(Fault::hang().on("ListBuckets"));
        let mut killed = fleet.worker(&["run"]).spawn()?;
        until("the job is begun", || hang.fired() > 0).await?;
        killed.start_kill()?;
        end(killed).await?;
        hang.stop();
        // Its long poll ends with its connection: until then it could be given the job.
        tokio::time::sleep(Duration::from_secs(1)).await;
        fleet.home.pass_time(JOBS, Duration::from_secs(31));
    }
    fleet.work(&[]).await?;
    let reported = failed(&fleet).await?;
    let letter = &reported["dead_letters"][0];
    assert_eq!(
        (&letter["failure_reason"], &letter["failure_message"]),
        (&json!("max_receives"), &json!(null))
    );
    assert_eq!((&letter["date"], &letter["run_id"]), (&json!("2026-11-01"), &json!(RUN)));
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_is_reported_fixed_and_replayed() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let run = ["run", "--account-name", "data", "--date", &days_ago(4).to_string()];
    producer(&fleet, &run).await?.status(0);
    finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    for expected in ["no_credentials", "producer replay --run-id "] {
        let status = producer(&fleet, &["status"]).await?.status(3);
        assert!(status.stdout.contains("1 failed") && status.stdout.contains(expected), "{}", status.stdout);
    }
    let reported = failed(&fleet).await?;
    assert_eq!(reported["dead_letters"][0]["account_name"], "data");
    let run_id = reported["dead_letters"][0]["run_id"].as_str().context("a run")?;

    let _ = fleet.account("data", "111111111111");
    producer(&fleet, &["replay", "--run-id", run_id]).await?.status(0);
    finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    let status = producer(&fleet, &["status", run_id]).await?.status(0);
    assert!(status.stdout.contains("1 complete"), "{}", status.stdout);
    Ok(())
}

#[tokio::test]
async fn what_fails_again_comes_back_and_is_refused_after_three_replays() -> Result<()> {
    let fleet = with(1).await?;
    for replays in 1..=3 {
        producer(&fleet, &["replay", "--all"]).await?.status(0);
        assert_eq!(jobs(&fleet)[0].attributes["replay_count"], replays.to_string());
        give_up(&fleet)?;
        let reported = failed(&fleet).await?;
        assert_eq!((letters(&reported), &reported["dead_letters"][0]["replay_count"]), (1, &json!(replays)));
    }
    bury(&fleet, "web", &body("web"), 0)?;
    let ended = producer(&fleet, &["replay", "--all"]).await?.status(1);
    assert!(
        ended.stderr.contains("3 replays did not help: account-000; fix the cause, then add --force"),
        "{}",
        ended.stderr
    );
    assert_eq!(jobs(&fleet).len(), 1, "the other is replayed");
    all_visible(&fleet, 1);
    let reported = producer(&fleet, &["failed"]).await?.status(0);
    let left_out = "1 of them was already replayed 3 times and is skipped; --force includes it";
    assert!(reported.stdout.contains(left_out), "{}", reported.stdout);
    producer(&fleet, &["replay", "--all", "--force"]).await?.status(0);
    assert_eq!(jobs(&fleet)[1].attributes["replay_count"], "4");
    all_visible(&fleet, 0);
    Ok(())
}

#[tokio::test]
async fn a_replay_ends_though_all_of_it_fails_again_meanwhile() -> Result<()> {
    let fleet = with(25).await?;
    // Each batch takes long enough for its jobs to be back before the next.
    let slow = fleet.aws.fault(Fault::slow(Duration::from_millis(500)).on("DeleteMessageBatch").queue(DEAD));
    let replaying = fleet.producer(&["replay", "--all", "--format", "json"]).spawn()?;
    let mut back = HashSet::new();
    until("all is replayed", || {
        // Before the jobs are looked at, all of which are sent by then.
        let is_last = slow.fired() == 3;
        for job in jobs(&fleet) {
            let account = &job.attributes["account_name"];
            if !back.contains(&job.id) && bury(&fleet, account, &job.body, 1).is_ok() {
                back.insert(job.id);
            }
        }
        is_last
    })
    .await?;
    let ended = end(replaying).await?.status(0);
    assert_eq!(ended.json()?["replayed"], json!(25));
    assert_eq!(back.len(), 25, "all came back meanwhile");
    assert_eq!(fleet.home.messages(DEAD).len(), 25, "and are left for the next look");
    Ok(())
}

#[tokio::test]
async fn entries_that_can_not_be_sent_stay_and_are_named() -> Result<()> {
    let fleet = with(12).await?;
    let failing = fleet.aws.fault(Fault::failed_entries([0]).on("SendMessageBatch").queue(JOBS).times(8));
    let ended = producer(&fleet, &["replay", "--all"]).await?.status(1);
    assert_eq!(failing.fired(), 8, "the first of the first batch, at each try");
    assert!(
        ended.stderr.contains("left in the dead-letter queue (InternalError: by a fault)"),
        "{}",
        ended.stderr
    );
    assert_eq!(jobs(&fleet).len(), 11);
    all_visible(&fleet, 1);
    let left = fleet.home.messages(DEAD)[0].attributes["account_name"].clone();
    assert!(ended.stderr.contains(&left), "{left}: {}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn entries_that_can_not_be_deleted_are_named_as_duplicates() -> Result<()> {
    let fleet = with(12).await?;
    let failing = fleet.aws.fault(Fault::failed_entries([0]).on("DeleteMessageBatch").queue(DEAD).times(5));
    let ended = producer(&fleet, &["replay", "--all"]).await?.status(1);
    assert_eq!(failing.fired(), 5);
    assert!(ended.stderr.contains("could not be deleted"), "{}", ended.stderr);
    assert_eq!(jobs(&fleet).len(), 12);
    all_visible(&fleet, 1);

    // Where none may be deleted, no more is sent: all of it would be a duplicate.
    let fleet = with(25).await?;
    fleet.home.deny_on("sqs:DeleteMessage", DEAD);
    let ended = producer(&fleet, &["replay", "--all"]).await?.status(1);
    assert!(ended.stderr.contains("allow sqs:DeleteMessage on it"), "{}", ended.stderr);
    assert_eq!(jobs(&fleet).len(), 10);
    all_visible(&fleet, 25);
    Ok(())
}

#[tokio::test]
async fn a_replay_killed_between_send_and_delete_leaves_duplicates_and_loses_nothing() -> Result<()> {
    let fleet = with(15).await?;
    let hang = fleet.aws.fault(Fault::hang().on("DeleteMessageBatch").queue(DEAD));
    let mut killed = fleet.producer(&["replay", "--all"]).spawn()?;
    until("the delete hangs", || hang.fired() > 0).await?;
    killed.start_kill()?;
    assert_eq!(end(killed).await?.code, None);
    hang.stop();
    assert_eq!((jobs(&fleet).len(), fleet.home.messages(DEAD).len()), (10, 15));
    fleet.home.pass_time(DEAD, Duration::from_secs(61));
    producer(&fleet, &["replay", "--all"]).await?.status(0);
    all_visible(&fleet, 0);
    let mut names: Vec<_> = jobs(&fleet).iter().map(|job| job.attributes["account_name"].clone()).collect();
    assert_eq!(names.len(), 25, "ten of them twice");
    names.sort();
    names.dedup();
    assert_eq!(names, (0..15).map(name).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn a_replay_that_is_interrupted_says_how_far_it_came() -> Result<()> {
    let fleet = with(25).await?;
    let hang = fleet.aws.fault(Fault::hang().on("SendMessageBatch").queue(JOBS).after(1));
    let replaying = fleet.producer(&["replay", "--all"]).spawn()?;
    until("the second batch hangs", || hang.fired() > 0).await?;
    signal(&replaying, "-INT")?;
    let ended = end(replaying).await?.status(1);
    assert!(
        ended.stderr.contains("interrupted: 10 dead letters replayed, 15 left in the dead-letter queue"),
        "{}",
        ended.stderr
    );
    assert_eq!(jobs(&fleet).len(), 10);
    all_visible(&fleet, 15);
    Ok(())
}

#[tokio::test]
async fn a_hundred_and_more_are_seen_and_replayed() -> Result<()> {
    let fleet = with(137).await?;
    assert_eq!(letters(&failed(&fleet).await?), 137);
    all_visible(&fleet, 137);
    let replayed =
        producer(&fleet, &["replay", "--run-id", RUN, "--format", "json"]).await?.status(0).json()?;
    assert_eq!(replayed["replayed"], json!(137));
    assert_eq!((jobs(&fleet).len(), fleet.home.messages(DEAD).len()), (137, 0));
    Ok(())
}
