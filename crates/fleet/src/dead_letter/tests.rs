// SPDX-License-Identifier: Apache-2.0
use chrono::{DateTime, Utc};
use engine::message::Attribute;

use super::*;

/// The attributes that version 0.1.0 wrote, for a job sent without the producer.
const OF_0_1_0: [(&str, &str); 10] = [
    ("account_name", "data"),
    ("dataset", "s3_daily_storage"),
    ("run_id", "manual-0a1b2c3d"),
    ("failure_reason", "access_denied"),
    ("failure_message", "s3:ListAllMyBuckets: AccessDenied: no"),
    ("failure_step", "discover"),
    ("failure_attempts", "2"),
    ("failure_first_seen", "2026-11-21T10:00:00.123Z"),
    ("failure_worker_version", "0.1.0"),
    ("replay_count", "1"),
];

/// A job with only its account, and one with every key.
const BY_HAND: &str = r#"{"account_name":"data"}"#;
const WHOLE: &str =
    r#"{"account_name":"data","date":"2026-11-01","dataset":"s3_daily_storage","run_id":"r-1"}"#;

fn cause(message: &str) -> Cause {
    Cause {
        reason: "access_denied".into(),
        message: message.into(),
        step: "discover".into(),
        receive_count: 2,
        first_seen: Some("2026-11-21T10:00:00.123Z".parse().expect("a moment")),
        worker_version: "0.2.0".into(),
    }
}

/// A message sent at noon of a day.
fn sent(day: &str, body: &str) -> Message {
    let at: DateTime<Utc> = format!("{day}T12:00:00Z").parse().expect("a moment");
    let id = format!("{}-4e5f", day.replace('-', ""));
    Message { id, body: body.into(), sent_at: Some(at), ..Message::default() }
}

fn with<'a>(message: Message, attributes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Message {
    let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
    Message { attributes: attributes.collect(), ..message }
}

fn with_foreign(message: Message, count: usize) -> Message {
    let attributes = (0..count).map(|nth| (format!("foreign-{nth}"), Attribute::from("x")));
    Message { attributes: attributes.collect(), ..message }
}

/// The dead letter of a message, as received from the dead-letter queue.
fn dead_letter(message: &Message) -> Message {
    let labels = Labels::from_message(message).to_attach_to(&message.body);
    let (attributes, _) = cause("denied").attributes(message, &labels).expect("it fits");
    assert!(attributes.len() <= 10, "{attributes:?}");
    copy(message, "2026-11-21", attributes)
}

/// A copy of a message, sent on another day and with another ID.
fn copy(message: &Message, day: &str, attributes: Attributes) -> Message {
    Message { attributes, ..sent(day, &message.body) }
}

fn names(attributes: &Attributes) -> Vec<&str> {
    attributes.keys().map(String::as_str).collect()
}

fn day_and_run(message: &Message) -> (String, String) {
    let labels = Labels::from_message(message);
    (labels.date.expect("a day").to_string(), labels.run_id.expect("a run").to_string())
}

#[test]
fn reads_what_it_writes() {
    for body in [WHOLE, BY_HAND] {
        let message = with(sent("2026-11-05", body), [("replay_count", "1")]);
        let letter = DeadLetter::from_message(&dead_letter(&message));
        let labels = Labels::from_message(&message);
        assert_eq!(letter, DeadLetter { labels, cause: Some(cause("denied")), replay_count: 1 });
    }
}

#[test]
fn a_message_without_a_reason_was_received_too_often() {
    let letter = DeadLetter::from_message(&Message { body: "x".into(), ..Message::default() });
    assert_eq!((letter.reason(), letter.replay_count), ("max_receives", 0));
}

#[test]
fn a_message_that_the_queue_moved_does_not_have_the_reason_of_an_earlier_copy() {
    let redriven = with(sent("2026-11-22", WHOLE), OF_0_1_0);
    let moved = Message { was_moved: true, ..redriven };
    let letter = DeadLetter::from_message(&moved);
    assert_eq!((letter.reason(), &letter.cause, letter.replay_count), ("max_receives", &None, 1));
}

#[test]
fn dead_letters_of_the_first_version_are_read() {
    let message = with(sent("2026-12-01", BY_HAND), OF_0_1_0);
    let letter = DeadLetter::from_message(&message);
    let read = letter.cause.clone().expect("a cause");
    assert_eq!((letter.reason(), letter.replay_count), ("access_denied", 1));
    assert_eq!(read, Cause { worker_version: "0.1.0".into(), message: read.message.clone(), ..cause("") });
    assert_eq!(read.message, "s3:ListAllMyBuckets: AccessDenied: no");
    // It does not name the day, and was dead-lettered in a later month than that of its first receive.
    assert_eq!(day_and_run(&message), ("2026-11-01".into(), "manual-0a1b2c3d".into()));
    let (attributes, left_out) = replay_attributes(&message);
    assert_eq!(left_out, [""; 0]);
    assert_eq!(names(&attributes), ["account_name", "dataset", "date", "replay_count", "run_id"]);
    assert_eq!(attributes["date"].text(), Some("2026-11-01"));
}

#[test]
fn the_day_and_the_run_of_a_job_without_them_survive_every_copy() {
    let message = sent("2026-11-05", BY_HAND);
    let expected = ("2026-11-01".to_owned(), "manual-20261105".to_owned());
    assert_eq!(day_and_run(&message), expected);
    let letter = dead_letter(&message);
    assert_eq!(day_and_run(&letter), expected);
    // Replayed, and dead-lettered and replayed again, in later months.
    let replayed = copy(&letter, "2026-12-05", replay_attributes(&letter).0);
    assert_eq!(day_and_run(&replayed), expected);
    let again = dead_letter(&replayed);
    let again = copy(&again, "2027-02-01", replay_attributes(&again).0);
    assert_eq!(day_and_run(&again), expected);
    assert_eq!(dead_letter::replay_count(&again), 2);
    // The console's redrive copies attributes unchanged.
    let redriven = copy(&letter, "2027-01-01", letter.attributes.clone());
    assert_eq!(day_and_run(&redriven), expected);
    assert_eq!(day_and_run(&dead_letter(&redriven)), expected);
    // SQS itself moves the message, which keeps its ID and its time.
    assert_eq!(day_and_run(&copy(&message, "2026-12-05", replay_attributes(&message).0)), expected);
}

#[test]
fn a_job_without_a_day_does_not_get_one_by_a_replay() {
    let message = sent("2026-11-01", BY_HAND);
    let cause = Cause { first_seen: message.sent_at, ..cause("no day") };
    let labels = Labels::from_message(&message).to_attach_to(&message.body);
    let (attributes, _) = cause.attributes(&message, &labels).expect("it fits");
    assert!(!attributes.contains_key("date"), "{attributes:?}");
    let letter = copy(&message, "2026-11-01", attributes);
    let replayed = copy(&letter, "2026-12-05", replay_attributes(&letter).0);
    assert_eq!(Labels::from_message(&replayed).date, None);
}

#[test]
fn the_day_comes_first_then_attributes_of_others_by_name_then_what_the_body_says() {
    let of = |body: &str, count| dead_letter(&with_foreign(sent("2026-11-05", body), count));
    let rest = |letter: &Message| -> Vec<String> {
        let is_ours = |name: &&str| name.starts_with("failure_") || *name == "replay_count";
        let names = names(&letter.attributes).into_iter().filter(|name| !is_ours(name));
        names.map(str::to_owned).collect()
    };
    let note = |letter: &Message| letter.text("failure_message").expect("a message").to_owned();
    assert_eq!(rest(&of(WHOLE, 0)), ["account_name", "date", "run_id"]);
    assert_eq!(rest(&of(WHOLE, 1)), ["account_name", "date", "foreign-0"]);
    assert_eq!(note(&of(WHOLE, 2)), "denied");
    assert_eq!(rest(&of(WHOLE, 10)), ["date", "foreign-0", "foreign-1"]);
    assert_eq!(
        note(&of(WHOLE, 10)),
        "denied; no room for the message's attributes foreign-2, foreign-3, foreign-4, foreign-5, foreign-6, \
         foreign-7, foreign-8, foreign-9"
    );
    assert_eq!(rest(&of(BY_HAND, 0)), ["account_name", "date", "run_id"]);
    assert_eq!(rest(&of(BY_HAND, 2)), ["date", "foreign-0", "run_id"]);
    assert_eq!(note(&of(BY_HAND, 2)), "denied; no room for the message's attributes foreign-1");
    assert_eq!(rest(&of("no job", 4)), ["foreign-0", "foreign-1", "foreign-2"]);
}

#[test]
fn attributes_dropped_by_a_replay_are_named() {
    let by_hand = with_foreign(sent("2026-11-05", BY_HAND), 10);
    let (attributes, left_out) = replay_attributes(&by_hand);
    assert_eq!(left_out, ["foreign-7", "foreign-8", "foreign-9"]);
    assert_eq!(attributes.len(), 10);
    assert!(["date", "run_id", "replay_count"].iter().all(|name| attributes.contains_key(*name)));
}

#[test]
fn a_label_that_is_not_valid_is_kept_as_it_came() {
    let odd = [("date", "soon"), ("account_name", "../x"), ("AWS.x", "y")];
    let message = with(sent("2026-11-05", "no job"), odd);
    let letter = dead_letter(&message);
    assert_eq!(letter.text("date"), Some("soon"));
    assert_eq!(letter.text("account_name"), Some("../x"));
    let message_text = letter.text("failure_message").expect("a message");
    assert_eq!(message_text, "denied; no room for the message's attributes AWS.x", "SQS would refuse it");
    assert_eq!(DeadLetter::from_message(&letter).labels, Labels::default());
}
