//! What becomes of dead letters in the producer's hands: each look leaves the queue as it was, and a replay
//! moves what it says and nothing else.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{DEAD, Ended, Fleet, HOME_REGION, JOBS, days_ago, end, finish, until};
use local_aws::{Fault, FaultHandle, Message, QueueOptions};
use serde_json::{Value, json};
use tokio::process::Child;

const RUN: &str = "019a0000-0000-7000-8000-000000000000";

fn body(account: &str) -> String {
    format!(
        r#"{{"account_name":"{account}","date":"2026-11-01","dataset":"s3_daily_storage","run_id":"{RUN}"}}"#
    )
}

fn name(nth: usize) -> String {
    format!("account-{nth:03}")
}

/// Puts a dead letter of an account into the dead-letter queue, as a worker would.
fn bury(fleet: &Fleet, account: &str, body: &str, replays: u32) -> Result<String> {
    let attributes = [
        ("account_name", account),
        ("run_id", RUN),
        ("dataset", "s3_daily_storage"),
        ("failure_reason", "access_denied"),
        ("failure_message", "s3:ListAllMyBuckets: AccessDenied: no"),
        ("failure_step", "discover"),
        ("failure_attempts", "2"),
        ("failure_first_seen", "2026-11-21T10:00:00.000Z"),
        ("failure_worker_version", "0.1.0"),
        ("replay_count", &replays.to_string()),
    ];
    fleet.home.send_with(DEAD, body, &attributes)
}

/// A fleet with so many dead letters.
async fn with(count: usize) -> Result<Fleet> {
    let fleet = Fleet::start().await?;
    for nth in 0..count {
        bury(&fleet, &name(nth), &body(&name(nth)), 0)?;
    }
    Ok(fleet)
}

/// Makes the work queue anew, without what is in it.
fn empty_the_work_queue(fleet: &Fleet) {
    let redrive = Some((DEAD.to_owned(), 3));
    fleet
        .home
        .queue(JOBS, QueueOptions { region: HOME_REGION.to_owned(), redrive, ..QueueOptions::default() });
}

/// Moves all jobs to the dead-letter queue, as workers that give them up would.
fn give_up(fleet: &Fleet) -> Result<()> {
    for job in fleet.home.messages(JOBS) {
        let replays = job.attributes.get("replay_count").map_or(Ok(0), |count| count.parse())?;
        bury(fleet, &job.attributes["account_name"], &job.body, replays)?;
    }
    empty_the_work_queue(fleet);
    Ok(())
}

#[track_caller]
fn all_visible(fleet: &Fleet, count: usize) {
    let counts = fleet.home.counts(DEAD);
    assert_eq!((counts.visible, counts.in_flight, counts.delayed), (count, 0, 0));
}

fn signal(process: &Child, signal: &str) -> Result<()> {
    let id = process.id().context("it runs")?.to_string();
    assert!(std::process::Command::new("kill").args([signal, &id]).status()?.success());
    Ok(())
}

async fn producer(fleet: &Fleet, arguments: &[&str]) -> Result<Ended> {
    finish(fleet.producer(arguments)).await
}

async fn failed(fleet: &Fleet) -> Result<Value> {
    producer(fleet, &["failed", "--format", "json"]).await?.status(0).json()
}

fn letters(told: &Value) -> usize {
    told["dead_letters"].as_array().map_or(0, Vec::len)
}

fn jobs(fleet: &Fleet) -> Vec<Message> {
    fleet.home.messages(JOBS)
}

/// Lets the first receives of the dead-letter queue pass, and strikes the next.
fn after_receives(fleet: &Fleet, fault: Fault, receives: u64) -> FaultHandle {
    fleet.aws.fault(fault.on("ReceiveMessage").queue(DEAD).after(receives))
}

#[tokio::test]
async fn looks_one_after_the_other_see_all_and_leave_all() -> Result<()> {
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
        let told = failed(&fleet).await?;
        assert_eq!((letters(&told), &told["in_flight_elsewhere"]), (23, &json!(0)));
        assert_eq!(told["counts"], json!({"access_denied": 23}));
        all_visible(&fleet, 23);
        let status = producer(&fleet, &["status", "--format", "json"]).await?.status(3).json()?;
        assert_eq!((&status["counts"]["failed"], &status["counts"]["missing"]), (&json!(23), &json!(0)));
        assert_eq!(status["accounts"][0]["failure_reason"], "access_denied");
        all_visible(&fleet, 23);
        let watch = producer(&fleet, &["status", "--watch"]).await?.status(3);
        assert!(watch.stdout.contains("producer replay --run-id "), "{}", watch.stdout);
        all_visible(&fleet, 23);
        let none = producer(&fleet, &["replay", "--account-name", "nobody"]).await?.status(1);
        assert!(
            none.stderr.contains("none of the 23 dead letters in jobs-dead is of nobody"),
            "{}",
            none.stderr
        );
        all_visible(&fleet, 23);
    }
    assert!(jobs(&fleet).is_empty());
    producer(&fleet, &["replay", "--all"]).await?.status(0);
    assert_eq!((jobs(&fleet).len(), fleet.home.messages(DEAD).len()), (23, 0));
    let told = producer(&fleet, &["failed"]).await?.status(0);
    assert_eq!(told.stdout, "nothing has failed: the dead-letter queue jobs-dead is empty\n");
    Ok(())
}

#[tokio::test]
async fn a_look_that_is_interrupted_gives_everything_back() -> Result<()> {
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
        all_visible(&fleet, 25);
        assert!(jobs(&fleet).is_empty());
        hang.stop();
        assert_eq!(letters(&failed(&fleet).await?), 25);
    }
    Ok(())
}

#[tokio::test]
async fn a_status_that_is_interrupted_gives_everything_back() -> Result<()> {
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
        // What is watched tells how it stands, as far as it knows.
        end(looking).await?.status(if watch { 3 } else { 1 });
        all_visible(&fleet, 25);
    }
    Ok(())
}

#[tokio::test]
async fn a_receive_that_brings_something_after_the_interruption_is_given_back_too() -> Result<()> {
    let fleet = with(25).await?;
    let slow = after_receives(&fleet, Fault::slow(Duration::from_secs(1)), 1);
    let looking = fleet.producer(&["failed"]).spawn()?;
    until("the second receive is under way", || slow.fired() > 0).await?;
    signal(&looking, "-INT")?;
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
    let looking = fleet.producer(&["failed"]).spawn()?;
    until("giving back hangs", || hang.fired() > 0).await?;
    let begun = std::time::Instant::now();
    signal(&looking, "-INT")?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // The first may have found nobody who listens any more.
    signal(&looking, "-INT")?;
    end(looking).await?.status(1);
    assert!(begun.elapsed() < Duration::from_secs(10));
    Ok(())
}

#[tokio::test]
async fn an_error_in_the_middle_gives_everything_back() -> Result<()> {
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
async fn failed_entries_are_given_back_again() -> Result<()> {
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
async fn what_a_killed_look_leaves_hidden_is_told_and_back_in_a_minute() -> Result<()> {
    let fleet = with(25).await?;
    let hang = after_receives(&fleet, Fault::hang(), 1);
    let mut killed = fleet.producer(&["failed"]).spawn()?;
    until("the second receive hangs", || hang.fired() > 0).await?;
    killed.start_kill()?;
    assert_eq!(end(killed).await?.code, None);
    hang.stop();
    let told = failed(&fleet).await?;
    assert_eq!((letters(&told), &told["in_flight_elsewhere"]), (15, &json!(10)));
    let told = producer(&fleet, &["failed"]).await?.status(0);
    let hint = "10 more are being looked at by somebody else, or were a minute ago; look again in a minute";
    assert!(told.stdout.contains(hint), "{}", told.stdout);
    fleet.home.pass_time(DEAD, Duration::from_secs(61));
    let told = failed(&fleet).await?;
    assert_eq!((letters(&told), &told["in_flight_elsewhere"]), (25, &json!(0)));
    all_visible(&fleet, 25);
    Ok(())
}

#[tokio::test]
async fn who_may_not_look_is_told_what_to_allow() -> Result<()> {
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
    fleet.home.allow("sqs:ReceiveMessage");

    // All is seen, and can't be given back.
    fleet.home.deny_on("sqs:ChangeMessageVisibility", DEAD);
    let ended = producer(&fleet, &["failed", "--format", "json"]).await?.status(1);
    assert_eq!(letters(&ended.json()?), 1);
    assert!(ended.stderr.contains("they are hidden for up to a minute; allow"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_queue_without_a_dead_letter_queue_is_told_how_to_get_one() -> Result<()> {
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
async fn a_replay_needs_a_selection() -> Result<()> {
    let fleet = with(1).await?;
    let ended = producer(&fleet, &["replay"]).await?.status(2);
    for flag in ["--account-name NAME", "--run-id ID", "--all"] {
        assert!(ended.stderr.contains(flag), "{}", ended.stderr);
    }
    let ended = producer(&fleet, &["replay", "--all", "--run-id", RUN]).await?.status(2);
    assert!(ended.stderr.contains("pass one or the other"), "{}", ended.stderr);
    let ended = producer(&fleet, &["replay", "--run-id", "r-9"]).await?.status(1);
    assert!(
        ended.stderr.contains("none of the 1 dead letter in jobs-dead is of run r-9"),
        "{}",
        ended.stderr
    );
    all_visible(&fleet, 1);
    Ok(())
}

#[tokio::test]
async fn a_replay_takes_what_is_selected_and_leaves_the_rest() -> Result<()> {
    let fleet = with(12).await?;
    let select = ["replay", "--account-name", "account-003, account-007", "--account-name", "nobody"];
    let ended = producer(&fleet, &select).await?.status(1);
    assert!(ended.stderr.contains("no such dead letter of nobody"), "{}", ended.stderr);
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
async fn a_replayed_job_has_its_body_its_labels_and_one_replay_more() -> Result<()> {
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
    let replayed = producer(&fleet, &["replay", "--all", "--format", "json"]).await?.status(0).json()?;
    assert_eq!((&replayed["replayed"], &replayed["left"]), (&json!(3), &json!(0)), "{replayed}");
    all_visible(&fleet, 0);
    let jobs = jobs(&fleet);
    let of = |body: &str| jobs.iter().find(|job| job.body == body).map(|job| json!(job.attributes));
    assert_eq!(
        of(odd),
        Some(
            json!({"account_name": "data", "dataset": "s3_daily_storage", "run_id": "r-1", "replay_count": "2"})
        )
    );
    assert_eq!(
        of(&body("web")),
        Some(
            json!({"account_name": "web", "dataset": "s3_daily_storage", "run_id": RUN, "replay_count": "1"})
        )
    );
    assert_eq!(of(&whole), Some(json!({})), "there is no room for more");
    Ok(())
}

#[tokio::test]
async fn what_a_worker_gave_up_is_told_mended_and_replayed() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let run = ["run", "--account-name", "data", "--date", &days_ago(4).to_string()];
    producer(&fleet, &run).await?.status(0);
    finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    for expected in ["no_credentials", "producer replay --run-id "] {
        let status = producer(&fleet, &["status"]).await?.status(3);
        assert!(status.stdout.contains("1 failed") && status.stdout.contains(expected), "{}", status.stdout);
    }
    let told = failed(&fleet).await?;
    assert_eq!(told["dead_letters"][0]["account_name"], "data");
    let run_id = told["dead_letters"][0]["run_id"].as_str().context("a run")?;

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
        let told = failed(&fleet).await?;
        assert_eq!((letters(&told), &told["dead_letters"][0]["replay_count"]), (1, &json!(replays)));
    }
    bury(&fleet, "web", &body("web"), 0)?;
    let ended = producer(&fleet, &["replay", "--all"]).await?.status(1);
    assert!(
        ended.stderr.contains("3 replays did not help: account-000; mend the cause, then add --force"),
        "{}",
        ended.stderr
    );
    assert_eq!(jobs(&fleet).len(), 1, "the other is replayed");
    all_visible(&fleet, 1);
    let told = producer(&fleet, &["failed"]).await?.status(0);
    assert!(told.stdout.contains("--force   # 1 of them failed again after 3 replays"), "{}", told.stdout);
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
    let mut back = 0;
    until("all is replayed", || {
        for job in jobs(&fleet) {
            if bury(&fleet, &job.attributes["account_name"], &job.body, 1).is_ok() {
                back += 1;
            }
        }
        if back > 0 && !jobs(&fleet).is_empty() {
            empty_the_work_queue(&fleet);
        }
        slow.fired() == 3
    })
    .await?;
    let ended = end(replaying).await?.status(0);
    assert_eq!(ended.json()?["replayed"], json!(25));
    assert!(back >= 20, "{back} came back meanwhile");
    assert_eq!(fleet.home.messages(DEAD).len(), back, "and are left for the next look");
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
    let line = "1 dead letter of other runs or of none; `producer failed` shows them.\n";
    assert!(status.stdout.ends_with(line), "{}", status.stdout);
    all_visible(&fleet, 1);
    Ok(())
}
