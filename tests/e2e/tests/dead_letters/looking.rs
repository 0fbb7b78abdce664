// SPDX-License-Identifier: Apache-2.0
//! Looking at the dead-letter queue: `failed` and `status`.

use std::time::Duration;

use anyhow::Result;
use kit::{DEAD, Fleet, HOME_REGION, JOBS, days_ago, end, finish, says, until};
use local_aws::{Fault, QueueOptions};
use serde_json::json;

use super::{
    after_receives, all_visible, body, bury, failed, give_up, jobs, letters, name, producer, signal, with,
};

/// What is said as soon as a look is interrupted.
const STOPPING: &str = "stopping; returning messages to the dead-letter queue; press Ctrl-C again to leave them hidden for a minute";

#[tokio::test]
async fn sequential_reads_see_all_and_leave_all() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let mut run = vec!["run".to_owned(), "--date".to_owned(), days_ago(4).to_string()];
    for nth in 0..23 {
        let _ = fleet.account(&name(nth), &format!("{:012}", 100_000_000_000_u64 + nth as u64));
        run.extend(["--account-name".to_owned(), name(nth)]);
    }
    let run: Vec<&str> = run.iter().map(String::as_str).collect();
    producer(&fleet, &run).await?.status(0);
    give_up(&fleet)?;
    all_visible(&fleet, 23);
    for _ in 0..2 {
        let reported = failed(&fleet).await?;
        assert_eq!((letters(&reported), &reported["in_flight_elsewhere"]), (23, &json!(0)));
        assert_eq!(reported["counts"], json!({"access_denied": 23}));
        all_visible(&fleet, 23);
        let status = producer(&fleet, &["status", "--format", "json"]).await?.status(3).json()?;
        assert_eq!((&status["counts"]["failed"], &status["counts"]["missing"]), (&json!(23), &json!(0)));
        assert_eq!(status["accounts"][0]["failure_reason"], "access_denied");
        all_visible(&fleet, 23);
        let watch = producer(&fleet, &["status", "--watch"]).await?.status(3);
        assert!(watch.stdout.contains("producer replay --run-id "), "{}", watch.stdout);
        all_visible(&fleet, 23);
        let none = producer(&fleet, &["replay", "--account-name", "absent"]).await?.status(1);
        assert!(none.stderr.contains("jobs-dead has 23 dead letters, none of absent"), "{}", none.stderr);
        all_visible(&fleet, 23);
    }
    assert!(jobs(&fleet).is_empty());
    producer(&fleet, &["replay", "--all"]).await?.status(0);
    assert_eq!((jobs(&fleet).len(), fleet.home.messages(DEAD).len()), (23, 0));
    let reported = producer(&fleet, &["failed"]).await?.status(0);
    assert_eq!(reported.stdout, "nothing has failed: the dead-letter queue jobs-dead is empty\n");
    Ok(())
}

#[tokio::test]
async fn an_interrupted_read_releases_all_messages() -> Result<()> {
    for (signal_name, command) in [
        ("-INT", &["failed"][..]),
        ("-TERM", &["failed"]),
        ("-INT", &["replay", "--all"]),
        ("-TERM", &["replay", "--account-name", "account-001"]),
    ] {
        let fleet = with(25).await?;
        let hang = after_receives(&fleet, Fault::hang(), 1);
        let looking = fleet.producer(command).spawn()?;
        until("the second receive hangs", || hang.fired() > 0).await?;
        assert_eq!(fleet.home.counts(DEAD).in_flight, 10, "it holds what it received");
        signal(&looking, signal_name)?;
        let ended = end(looking).await?.status(1);
        assert!(ended.stderr.contains("interrupted"), "{command:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(STOPPING), "{command:?}: {}", ended.stderr);
        all_visible(&fleet, 25);
        assert!(jobs(&fleet).is_empty());
        hang.stop();
        assert_eq!(letters(&failed(&fleet).await?), 25);
    }
    Ok(())
}

#[tokio::test]
async fn an_interrupted_status_releases_all_messages() -> Result<()> {
    for (signal_name, watch) in [("-INT", false), ("-TERM", true)] {
        let mut fleet = Fleet::start().await?;
        let _ = fleet.account("data", "111111111111");
        let date = days_ago(4).to_string();
        producer(&fleet, &["run", "--account-name", "data", "--date", &date]).await?.status(0);
        for nth in 0..25 {
            bury(&fleet, &name(nth), &body(&name(nth)), 0)?;
        }
        let hang = after_receives(&fleet, Fault::hang(), 1);
        let looking = fleet.producer(if watch { &["status", "--watch"] } else { &["status"] }).spawn()?;
        until("the second receive hangs", || hang.fired() > 0).await?;
        assert_eq!(fleet.home.counts(DEAD).in_flight, 10);
        signal(&looking, signal_name)?;
        // The watched status is shown as far as it is known.
        end(looking).await?.status(if watch { 3 } else { 1 });
        all_visible(&fleet, 25);
    }
    Ok(())
}

#[tokio::test]
async fn messages_received_after_the_interruption_are_released_too() -> Result<()> {
    let fleet = with(25).await?;
    let held = after_receives(&fleet, Fault::hold(), 1);
    let mut looking = fleet.producer(&["failed"]).spawn()?;
    until("the second receive is in flight", || held.fired() > 0).await?;
    signal(&looking, "-INT")?;
    says(&mut looking, STOPPING).await?;
    held.release();
    end(looking).await?.status(1);
    all_visible(&fleet, 25);
    let received: u32 = fleet.home.messages(DEAD).iter().map(|message| message.receive_count).sum();
    assert_eq!(received, 20, "the receive under way was waited for");
    Ok(())
}

#[tokio::test]
async fn a_second_interruption_does_not_wait_for_aws() -> Result<()> {
    let fleet = with(1).await?;
    let hang = fleet.aws.fault(Fault::hang().on("ChangeMessageVisibilityBatch").queue(DEAD));
    let mut looking = fleet.producer(&["failed"]).spawn()?;
    until("the release hangs", || hang.fired() > 0).await?;
    let begun = std::time::Instant::now();
    signal(&looking, "-INT")?;
    says(&mut looking, STOPPING).await?;
    signal(&looking, "-INT")?;
    end(looking).await?.status(1);
    assert!(begun.elapsed() < Duration::from_secs(10), "a release may take half a minute");
    Ok(())
}

#[tokio::test]
async fn an_error_half_way_releases_all_messages() -> Result<()> {
    for command in [&["failed"][..], &["replay", "--all"]] {
        let fleet = with(25).await?;
        let denied = after_receives(&fleet, Fault::deny(), 2);
        let ended = producer(&fleet, command).await?.status(1);
        assert_eq!(denied.fired(), 1);
        assert!(
            ended.stderr.contains("allow sqs:GetQueueAttributes, sqs:ReceiveMessage"),
            "{}",
            ended.stderr
        );
        all_visible(&fleet, 25);
        assert!(jobs(&fleet).is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn failed_entries_are_released_again() -> Result<()> {
    let fleet = with(25).await?;
    let failing = fleet
        .aws
        .fault(Fault::failed_entries([0, 3]).on("ChangeMessageVisibilityBatch").queue(DEAD).times(2));
    assert_eq!(letters(&failed(&fleet).await?), 25);
    assert_eq!(failing.fired(), 2);
    all_visible(&fleet, 25);
    Ok(())
}

#[tokio::test]
async fn messages_hidden_by_a_killed_read_are_reported_and_visible_after_a_minute() -> Result<()> {
    let fleet = with(25).await?;
    let hang = after_receives(&fleet, Fault::hang(), 1);
    let mut killed = fleet.producer(&["failed"]).spawn()?;
    until("the second receive hangs", || hang.fired() > 0).await?;
    killed.start_kill()?;
    assert_eq!(end(killed).await?.code, None);
    hang.stop();
    let reported = failed(&fleet).await?;
    assert_eq!((letters(&reported), &reported["in_flight_elsewhere"]), (15, &json!(10)));
    let reported = producer(&fleet, &["failed"]).await?.status(0);
    let hint =
        "10 more are in flight: another command is reading them, or was a minute ago; look again in a minute";
    assert!(reported.stdout.contains(hint), "{}", reported.stdout);
    fleet.home.pass_time(DEAD, Duration::from_secs(61));
    let reported = failed(&fleet).await?;
    assert_eq!((letters(&reported), &reported["in_flight_elsewhere"]), (25, &json!(0)));
    all_visible(&fleet, 25);
    Ok(())
}

#[tokio::test]
async fn without_permission_the_missing_action_is_reported() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let date = days_ago(4).to_string();
    producer(&fleet, &["run", "--account-name", "data", "--date", &date]).await?.status(0);
    give_up(&fleet)?;
    fleet.home.deny_on("sqs:ReceiveMessage", DEAD);
    let needed = "allow sqs:GetQueueAttributes, sqs:ReceiveMessage, sqs:ChangeMessageVisibility and, for replay, \
                  sqs:DeleteMessage on it";
    for command in [&["failed"][..], &["replay", "--all"]] {
        let ended = producer(&fleet, command).await?.status(1);
        assert!(ended.stderr.contains(needed), "{}", ended.stderr);
    }
    let ended = producer(&fleet, &["status", "--format", "json"]).await?.status(3);
    assert!(ended.stderr.contains(needed), "{}", ended.stderr);
    let account = &ended.json()?["accounts"][0];
    assert_eq!(account["state"], "missing");
    let detail = account["detail"].as_str().unwrap_or_default();
    assert!(detail.ends_with("and the dead-letter queue can't be read"), "{detail}");
    let ended = producer(&fleet, &["status"]).await?.status(3);
    let first = "Check first: the dead-letter queue could not be read, so these may have failed";
    assert!(ended.stdout.contains(first), "{}", ended.stdout);
    fleet.home.allow("sqs:ReceiveMessage");

    // All are read, and can't be returned to the queue.
    fleet.home.deny_on("sqs:ChangeMessageVisibility", DEAD);
    let ended = producer(&fleet, &["failed", "--format", "json"]).await?.status(1);
    assert_eq!(letters(&ended.json()?), 1);
    assert!(ended.stderr.contains("they stay hidden for up to a minute; allow"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_wrong_access_key_is_not_taken_for_a_missing_permission() -> Result<()> {
    let fleet = Fleet::start().await?;
    // The two are opened at once, and the first refusal is reported.
    for (command, opened) in [("status", &["report bucket ", "queue "][..]), ("failed", &["queue "])] {
        let mut producer = fleet.producer(&[command]);
        producer.env("AWS_ACCESS_KEY_ID", "AKIANOBODYKNOWSTHIS1");
        let ended = finish(producer).await?;
        assert_ne!(ended.code, Some(0));
        let fix =
            "these credentials are not valid: renew or correct AWS_PROFILE, AWS_ACCESS_KEY_ID or the role";
        assert!(
            opened.iter().any(|what| ended.stderr.contains(what)) && ended.stderr.contains(fix),
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("this role needs"), "{}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn without_a_dead_letter_queue_the_fix_is_reported() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    fleet.home.queue(JOBS, QueueOptions { region: HOME_REGION.to_owned(), ..QueueOptions::default() });
    for command in [&["failed"][..], &["replay", "--all"]] {
        let ended = producer(&fleet, command).await?.status(2);
        assert!(ended.stderr.contains("has no redrive policy"), "{}", ended.stderr);
    }
    let date = days_ago(4).to_string();
    producer(&fleet, &["run", "--account-name", "data", "--date", &date]).await?.status(0);
    let ended = producer(&fleet, &["status"]).await?.status(3);
    assert_eq!(ended.stderr.matches("has no redrive policy").count(), 1, "{}", ended.stderr);
    assert!(ended.stdout.contains("1 in progress"), "{}", ended.stdout);
    Ok(())
}

#[tokio::test]
async fn a_message_that_is_no_job_is_shown_and_does_nothing_to_the_terminal() -> Result<()> {
    let fleet = Fleet::start().await?;
    fleet.home.send(DEAD, "not a job\u{1b}[2J\nsecond line");
    let ended = producer(&fleet, &["failed"]).await?.status(0);
    assert!(ended.stdout.contains("the body begins: not a job[2J second line"), "{}", ended.stdout);
    assert!(ended.stdout.contains("max_receives"), "{}", ended.stdout);
    Ok(())
}

#[tokio::test]
async fn a_status_looks_at_the_dead_letters_only_where_they_matter() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    account.bucket("b", "eu-west-1").size("StandardStorage", days_ago(4), 7.0);
    fleet.run(&["--account-name", "data", "--date", &days_ago(4).to_string()], &[]).await?;
    fleet.aws.reset_calls();
    let status = producer(&fleet, &["status", "--format", "json"]).await?.status(0).json()?;
    assert_eq!(status["counts"]["other_dead_letters"], json!(0));
    producer(&fleet, &["status", "--watch"]).await?.status(0);
    assert_eq!(fleet.aws.calls().operation("ReceiveMessage").count(), 0);

    // Those of other runs are counted, and do not change the exit status.
    bury(&fleet, "data", &body("data"), 0)?;
    let status = producer(&fleet, &["status"]).await?.status(0);
    let line = "1 dead letter of other runs or without a run; `producer failed` shows them.\n";
    assert!(status.stdout.ends_with(line), "{}", status.stdout);
    all_visible(&fleet, 1);
    Ok(())
}
