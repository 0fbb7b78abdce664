// SPDX-License-Identifier: Apache-2.0
//! What becomes of a job that is not done.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use futures::future::try_join_all;
use kit::{DEAD, Fleet, JOBS, end, report_key};
use local_aws::{Fault, Message};

use super::{LONG_LEASE, day, job, put_off};

fn reason(letter: &Message) -> &str {
    &letter.attributes["failure_reason"]
}

#[tokio::test]
async fn an_invalid_job_is_a_dead_letter_at_its_first_receive_and_stops_no_worker() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let named = |name: &str| serde_json::json!({"account_name": name}).to_string();
    let mut bodies = vec![
        "not a job".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "{}".to_owned(),
        r#"{"account_name":7}"#.to_owned(),
        r#"{"account_name":"data","date":"2026-13-01"}"#.to_owned(),
        r#"{"account_name":"data","date":"2001-01-01"}"#.to_owned(),
        r#"{"account_name":"data","date":"2999-01-01"}"#.to_owned(),
        r#"{"account_name":"data","dataset":"nobody_knows"}"#.to_owned(),
        r#"{"account_name":"data","run_id":"a/b"}"#.to_owned(),
        "[".repeat(10_000),
        format!(r#"{{"account_name":"data","x":{}1{}}}"#, "[".repeat(5_000), "]".repeat(5_000)),
        format!(r#"{{"account_name":"data","x":"{}"}}"#, "x".repeat(64 * 1024)),
        r#"{"account_name":"data","account_name":"two"}"#.to_owned(),
        r#"{"account_name":"data","owner":{"team":1,"team":1}}"#.to_owned(),
        r#"{"account_name":"data"} {}"#.to_owned(),
        r#"{"account_name":"data","x":"\ud800"}"#.to_owned(),
    ];
    for name in ["", "../../etc", "a\nb", "${AWS_SECRET_ACCESS_KEY}", "a\0b", "dàta", &"x".repeat(2048)] {
        bodies.push(named(name));
    }
    for body in &bodies {
        fleet.home.send(JOBS, body);
    }
    fleet.home.send(JOBS, &format!("\u{feff}{}", job("data")));
    let worker = fleet.work(&[]).await?;
    assert!(fleet.object(&report_key("data", day())).is_some(), "the good job is done");
    let letters = fleet.dead_letters();
    let mut dead: Vec<_> = letters.iter().map(|letter| letter.body.clone()).collect();
    dead.sort();
    bodies.sort();
    assert_eq!(dead, bodies, "bodies are unchanged");
    for letter in &letters {
        let of = |name: &str| letter.attributes[name].as_str();
        // CloudWatch had that day once.
        let expected = if letter.body.contains("2001") { "too_old" } else { "bad_message" };
        assert_eq!((reason(letter), of("failure_step")), (expected, "receive"), "{}", letter.body);
        assert_eq!((of("failure_attempts"), of("replay_count")), ("1", "0"));
        assert!((1..=1024).contains(&of("failure_message").len()), "{}", of("failure_message"));
        assert!(of("failure_first_seen").starts_with("20"), "{}", of("failure_first_seen"));
    }
    let unknown = letters.iter().find(|letter| letter.body.contains("nobody_knows")).expect("it is one");
    assert_eq!(unknown.attributes["account_name"], "data");
    assert!(!unknown.attributes.contains_key("dataset"));
    let twice = letters.iter().find(|letter| letter.body.contains("two")).expect("it is one");
    let reported = &twice.attributes["failure_message"];
    assert!(reported.starts_with("the job has the key \"account_name\" twice, at line 1"), "{reported}");
    assert!(!twice.attributes.contains_key("account_name"), "neither of the two is known to be meant");
    assert!(worker.stderr.contains("\"dead_lettered\":24"), "{}", worker.stderr);
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_keeps_what_its_message_had_as_far_as_there_is_room() -> Result<()> {
    let fleet = Fleet::start().await?;
    let foreign: Vec<String> = (0..10).map(|nth| format!("foreign{nth}")).collect();
    let foreign: Vec<(&str, &str)> = foreign.iter().map(|name| (name.as_str(), "x")).collect();
    fleet.home.send_with(JOBS, "not a job", &foreign)?;
    // No room for more than the reason, and no room at all.
    let most = 1024 * 1024;
    fleet.home.send_with(JOBS, &"a".repeat(most - 100), &[])?;
    fleet.home.send_with(JOBS, &"b".repeat(most), &[])?;
    let worker = fleet.work(&[]).await?;
    let letters = fleet.dead_letters();
    assert_eq!(letters.len(), 3, "{}", worker.stderr);
    let names = |begin: &str| {
        let letter = letters.iter().find(|letter| letter.body.starts_with(begin)).expect("a letter");
        letter.attributes.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        names("not"),
        [
            "failure_attempts",
            "failure_first_seen",
            "failure_message",
            "failure_reason",
            "failure_step",
            "failure_worker_version",
            "foreign0",
            "foreign1",
            "foreign2",
            "replay_count"
        ]
    );
    let no_job = letters.iter().find(|letter| letter.body == "not a job").expect("a letter");
    let note = "; no room for the message's attributes foreign3, foreign4, foreign5, foreign6, foreign7, foreign8, \
                foreign9";
    let reported = &no_job.attributes["failure_message"];
    assert!(reported.ends_with(note), "{reported}");
    assert!(worker.stderr.contains("the dead letter drops attributes"), "{}", worker.stderr);
    assert_eq!(names("a"), ["failure_reason"]);
    assert_eq!(names("b"), [""; 0], "the queue moved it, after its third receive");
    Ok(())
}

#[tokio::test]
async fn an_account_that_is_not_known_or_not_had_or_another_is_a_dead_letter_at_once() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", "111111111111");
    let accounts = "[[account]]\nname = 'data'\nid = '222222222222'\n[[account]]\nname = 'bare'\n";
    let accounts = fleet.file("accounts.toml", accounts)?;
    fleet.variable("FLEET_ACCOUNTS", &accounts);
    for account in ["data", "bare", "nobody"] {
        fleet.home.send(JOBS, &job(account));
    }
    fleet.work(&[]).await?;
    let letters = fleet.dead_letters();
    let reasons: BTreeMap<&str, &str> =
        letters.iter().map(|letter| (letter.attributes["account_name"].as_str(), reason(letter))).collect();
    let expected = [("bare", "no_credentials"), ("data", "wrong_account"), ("nobody", "unknown_account")];
    assert_eq!(reasons, BTreeMap::from(expected));
    assert!(letters.iter().all(|letter| letter.attributes["failure_attempts"] == "1"));
    assert_eq!(fleet.aws.calls().operation("GetMetricData").count(), 0, "nothing is paid for");
    Ok(())
}

#[tokio::test]
async fn an_account_that_denies_has_a_second_try_after_a_while() -> Result<()> {
    let mut fleet = Fleet::with_visibility_timeout(LONG_LEASE).await?;
    let account = fleet.account("data", "111111111111");
    account.deny("s3:ListAllMyBuckets");
    fleet.home.send(JOBS, &job("data"));
    let worker = fleet.worker(&["run", "--exit-when-empty"]).spawn()?;
    let pause = put_off(&fleet, 1).await?;
    assert_eq!(pause, Duration::from_secs(30));
    assert!(fleet.dead_letters().is_empty());
    fleet.home.pass_time(JOBS, pause);
    end(worker).await?.status(0);
    let [letter] = &fleet.dead_letters()[..] else { panic!("one dead letter") };
    assert_eq!((reason(letter), &*letter.attributes["failure_attempts"]), ("access_denied", "2"));
    assert_eq!(letter.attributes["failure_step"], "discover");
    let message = &letter.attributes["failure_message"];
    assert!(message.contains("s3:ListAllMyBuckets in eu-west-1: AccessDenied"), "{message}");
    Ok(())
}

#[tokio::test]
async fn an_account_that_allows_meanwhile_is_collected_at_its_second_try() -> Result<()> {
    let mut fleet = Fleet::with_visibility_timeout(LONG_LEASE).await?;
    let account = fleet.account("data", "111111111111");
    account.deny("s3:ListAllMyBuckets");
    fleet.home.send(JOBS, &job("data"));
    let worker = fleet.worker(&["run", "--exit-when-empty"]).spawn()?;
    let pause = put_off(&fleet, 1).await?;
    account.allow("s3:ListAllMyBuckets");
    fleet.home.pass_time(JOBS, pause);
    end(worker).await?.status(0);
    assert!(fleet.object(&report_key("data", day())).is_some() && fleet.dead_letters().is_empty());
    Ok(())
}

#[tokio::test]
async fn an_account_that_always_throttles_is_retried_later_each_time_and_then_dead_lettered() -> Result<()> {
    let mut fleet = Fleet::with_visibility_timeout(LONG_LEASE).await?;
    let _ = fleet.account("data", "111111111111");
    let throttle = fleet.aws.fault(Fault::throttle().on("ListBuckets").account("111111111111"));
    fleet.home.send(JOBS, &job("data"));
    let worker = fleet.worker(&["run", "--exit-when-empty"]).spawn()?;
    for (receive, most) in [(1, 30), (2, 60)] {
        let pause = put_off(&fleet, receive).await?;
        assert!(pause <= Duration::from_secs(most), "{pause:?} after {receive} receives");
        fleet.home.pass_time(JOBS, pause);
    }
    end(worker).await?.status(0);
    assert_eq!(throttle.fired(), 3 * 5, "five tries of a request, three of the job");
    let [letter] = &fleet.dead_letters()[..] else { panic!("one dead letter") };
    assert_eq!((reason(letter), &*letter.attributes["failure_attempts"]), ("unavailable", "3"));
    Ok(())
}

#[tokio::test]
async fn a_job_whose_dead_letter_can_not_be_sent_is_kept() -> Result<()> {
    let faults = vec![Fault::unavailable(), Fault::deny(), Fault::error("QueueDoesNotExist", 400)];
    try_join_all(faults.into_iter().map(a_job_that_can_not_be_given_up)).await?;
    Ok(())
}

async fn a_job_that_can_not_be_given_up(fault: Fault) -> Result<()> {
    let fleet = Fleet::with_visibility_timeout(LONG_LEASE).await?;
    let unsent = fleet.aws.fault(fault.on("SendMessage").queue(DEAD));
    fleet.home.send(JOBS, "not a job");
    let worker = fleet.worker(&["run", "--exit-when-empty"]).spawn()?;
    let pause = put_off(&fleet, 1).await?;
    assert_eq!(pause, Duration::from_secs(30));
    assert!(unsent.fired() > 0);
    assert_eq!(fleet.aws.calls().operation("DeleteMessage").count(), 0);
    assert!(fleet.dead_letters().is_empty());
    unsent.stop();
    fleet.home.pass_time(JOBS, pause);
    end(worker).await?.status(0);
    assert_eq!(fleet.dead_letters().len(), 1);
    assert_eq!(fleet.aws.calls().operation("DeleteMessage").ok().count(), 1);
    Ok(())
}
