use aws_sdk_sqs::{
    primitives::Blob,
    types::{MessageSystemAttributeName, builders::MessageBuilder},
};
use proptest::prelude::*;

use super::*;
use crate::message_attributes::{MAX_BYTES, size};

/// As version 0.1.0 wrote them, for a job that was sent by hand.
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

/// A job that names its account alone, and one that names everything.
const BY_HAND: &str = r#"{"account_name":"data"}"#;
const WHOLE: &str =
    r#"{"account_name":"data","date":"2026-11-01","dataset":"s3_daily_storage","run_id":"r-1"}"#;

fn failure(message: &str) -> Failure {
    Failure {
        reason: "access_denied".into(),
        message: message.into(),
        step: "discover".into(),
        attempts: 2,
        first_seen: Some("2026-11-21T10:00:00.123Z".parse().expect("a moment")),
        worker_version: "0.2.0".into(),
    }
}

/// A message that was sent at noon of a day.
fn sent(day: &str, body: &str) -> MessageBuilder {
    let at: DateTime<Utc> = format!("{day}T12:00:00Z").parse().expect("a moment");
    let sent_at = at.timestamp_millis().to_string();
    Message::builder()
        .message_id(format!("{}-4e5f", day.replace('-', "")))
        .body(body)
        .attributes(MessageSystemAttributeName::SentTimestamp, sent_at)
}

fn with<'a>(
    message: MessageBuilder,
    attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> MessageBuilder {
    attributes
        .into_iter()
        .fold(message, |message, (name, value)| message.message_attributes(name, text(value)))
}

fn foreign_ones(count: usize) -> Vec<(String, MessageAttributeValue)> {
    (0..count).map(|nth| (format!("foreign-{nth}"), text("x"))).collect()
}

fn typed(data_type: &str) -> MessageAttributeValue {
    let value = MessageAttributeValue::builder().data_type(data_type);
    let value = if data_type.starts_with("Binary") {
        value.binary_value(Blob::new([0, 255, 7]))
    } else {
        value.string_value("7")
    };
    value.build().expect("its type is set")
}

/// The dead letter of a message, as it comes off the dead-letter queue.
fn dead_letter(message: &Message) -> Message {
    let (attributes, _) =
        failure("denied").attributes(message, &Labels::of_message(message)).expect("it fits");
    assert!(attributes.len() <= 10, "{attributes:?}");
    copy(message, "2026-11-21", attributes)
}

/// A copy of a message that is sent on another day, and has another id.
fn copy(message: &Message, day: &str, attributes: Attributes) -> Message {
    sent(day, message.body().expect("a body")).set_message_attributes(Some(attributes)).build()
}

fn names(attributes: &Attributes) -> Vec<&str> {
    let mut names: Vec<&str> = attributes.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

fn day_and_run(message: &Message) -> (String, String) {
    let labels = Labels::of_message(message);
    (labels.date.expect("a day").to_string(), labels.run_id.expect("a run").to_string())
}

#[test]
fn what_is_written_is_read() {
    for body in [WHOLE, BY_HAND] {
        let message = with(sent("2026-11-05", body), [("replay_count", "1")]).build();
        let letter = DeadLetter::of_message(&dead_letter(&message));
        let labels = Labels::of_message(&message);
        assert_eq!(letter, DeadLetter { labels, failure: Some(failure("denied")), replay_count: 1 });
    }
}

#[test]
fn a_message_without_a_reason_was_received_too_often() {
    let letter = DeadLetter::of_message(&Message::builder().body("x").build());
    assert_eq!((letter.reason(), letter.replay_count), ("max_receives", 0));
}

#[test]
fn a_message_that_the_queue_moved_does_not_have_the_reason_of_an_earlier_copy() {
    let redriven = with(sent("2026-11-22", WHOLE), OF_0_1_0);
    let source = "arn:aws:sqs:eu-west-1:111111111111:jobs";
    let moved = redriven.attributes(MessageSystemAttributeName::DeadLetterQueueSourceArn, source).build();
    let letter = DeadLetter::of_message(&moved);
    assert_eq!((letter.reason(), &letter.failure, letter.replay_count), ("max_receives", &None, 1));
}

#[test]
fn dead_letters_of_the_first_version_are_read() {
    let message = with(sent("2026-12-01", BY_HAND), OF_0_1_0).build();
    let letter = DeadLetter::of_message(&message);
    let read = letter.failure.clone().expect("a failure");
    assert_eq!((letter.reason(), letter.replay_count), ("access_denied", 1));
    assert_eq!(
        read,
        Failure { worker_version: "0.1.0".into(), message: read.message.clone(), ..failure("") }
    );
    assert_eq!(read.message, "s3:ListAllMyBuckets: AccessDenied: no");
    // It does not name the day, and was dead-lettered in another month than it was seen in.
    assert_eq!(day_and_run(&message), ("2026-11-01".into(), "manual-0a1b2c3d".into()));
    let (attributes, left_out) = replay_attributes(&message);
    assert_eq!(left_out, [""; 0]);
    assert_eq!(names(&attributes), ["account_name", "dataset", "date", "replay_count", "run_id"]);
    assert_eq!(attributes["date"].string_value(), Some("2026-11-01"));
}

#[test]
fn the_day_and_the_run_of_a_job_sent_by_hand_outlive_every_copy() {
    let message = sent("2026-11-05", BY_HAND).build();
    let expected = ("2026-11-01".to_owned(), "manual-20261105".to_owned());
    assert_eq!(day_and_run(&message), expected);
    let letter = dead_letter(&message);
    assert_eq!(day_and_run(&letter), expected);
    // Replayed, and dead-lettered and replayed once more, in later months.
    let replayed = copy(&letter, "2026-12-05", replay_attributes(&letter).0);
    assert_eq!(day_and_run(&replayed), expected);
    let again = dead_letter(&replayed);
    let again = copy(&again, "2027-02-01", replay_attributes(&again).0);
    assert_eq!(day_and_run(&again), expected);
    assert_eq!(replay_count(&again), 2);
    // The console's redrive copies attributes as they are.
    let redriven = copy(&letter, "2027-01-01", letter.message_attributes().cloned().expect("attributes"));
    assert_eq!(day_and_run(&redriven), expected);
    assert_eq!(day_and_run(&dead_letter(&redriven)), expected);
    // SQS itself moves the message, which keeps its id and its time.
    assert_eq!(day_and_run(&copy(&message, "2026-12-05", replay_attributes(&message).0)), expected);
}

#[test]
fn a_job_without_a_day_does_not_get_one_by_a_replay() {
    let message = sent("2026-11-01", BY_HAND).build();
    let failure = Failure { first_seen: crate::queue::sent_at(&message), ..failure("no day") };
    let (attributes, _) = failure.attributes(&message, &Labels::of_message(&message)).expect("it fits");
    assert!(!attributes.contains_key("date"), "{attributes:?}");
    let letter = copy(&message, "2026-11-01", attributes);
    let replayed = copy(&letter, "2026-12-05", replay_attributes(&letter).0);
    assert_eq!(Labels::of_message(&replayed).date, None);
}

#[test]
fn a_body_that_leaves_little_room_takes_the_reason_alone() {
    let with_reason = MAX_BYTES - "failure_reason".len() - "String".len() - "access_denied".len();
    let of = |length: usize| {
        let message = Message::builder()
            .body("x".repeat(length))
            .set_message_attributes(Some(foreign_ones(2).into_iter().collect()));
        failure("denied").attributes(&message.build(), &Labels::default())
    };
    let all = of(with_reason - 2000).expect("it fits");
    assert_eq!((all.0.len(), all.1), (9, Vec::new()));
    let lost = ["foreign-0".to_owned(), "foreign-1".to_owned()];
    let (no_room, left_out) = of(with_reason - 500).expect("it fits");
    assert_eq!(left_out, lost);
    assert_eq!(no_room.len(), 7);
    assert_eq!(
        no_room[MESSAGE].string_value(),
        Some("denied; no room for the message's attributes foreign-0, foreign-1")
    );
    assert!(size(&"x".repeat(with_reason - 500), &no_room) <= MAX_BYTES);
    let (alone, left_out) = of(with_reason).expect("it fits");
    assert_eq!((names(&alone), left_out), (vec!["failure_reason"], lost.to_vec()));
    assert_eq!(of(with_reason + 1), None);

    let full = with(Message::builder().body("x".repeat(MAX_BYTES)), [("sender", "me")]).build();
    assert_eq!(replay_attributes(&full), (Attributes::new(), vec!["sender".to_owned()]));
}

#[test]
fn attributes_of_another_program_are_kept_whatever_their_type() {
    let types = ["String", "Number", "Binary"].map(|kind| [kind.to_owned(), format!("{kind}.x")]).concat();
    for chosen in types.chunks(3) {
        let attributes: Attributes = chosen.iter().map(|kind| (format!("of-{kind}"), typed(kind))).collect();
        let message = sent("2026-11-05", "no job").set_message_attributes(Some(attributes.clone())).build();
        let letter = dead_letter(&message);
        let (replayed, left_out) = replay_attributes(&letter);
        assert_eq!(left_out, [""; 0]);
        for copied in [letter.message_attributes().expect("some"), &replayed] {
            for (name, value) in &attributes {
                assert_eq!(copied.get(name), Some(value), "{name}");
            }
        }
    }
}

#[test]
fn the_day_comes_first_then_attributes_of_others_by_name_then_what_the_body_says() {
    let of = |body: &str, count| {
        let message = sent("2026-11-05", body);
        dead_letter(&message.set_message_attributes(Some(foreign_ones(count).into_iter().collect())).build())
    };
    let rest = |letter: &Message| -> Vec<String> {
        let attributes = letter.message_attributes().expect("some");
        let names = names(attributes).into_iter().filter(|name| !OURS.contains(name));
        names.map(str::to_owned).collect()
    };
    let note = |letter: &Message| text_of(letter, MESSAGE).expect("a message").to_owned();
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
fn what_a_replay_has_no_room_for_is_named() {
    let foreign: Attributes = foreign_ones(10).into_iter().collect();
    let by_hand = sent("2026-11-05", BY_HAND).set_message_attributes(Some(foreign)).build();
    let (attributes, left_out) = replay_attributes(&by_hand);
    assert_eq!(left_out, ["foreign-7", "foreign-8", "foreign-9"]);
    assert_eq!(attributes.len(), 10);
    assert!(["date", "run_id", "replay_count"].iter().all(|name| attributes.contains_key(*name)));
}

#[test]
fn a_label_that_is_not_valid_is_kept_as_it_came() {
    let odd = [("date", "soon"), ("account_name", "../x"), ("AWS.x", "y")];
    let message = with(sent("2026-11-05", "no job"), odd).build();
    let letter = dead_letter(&message);
    assert_eq!(text_of(&letter, "date"), Some("soon"));
    assert_eq!(text_of(&letter, "account_name"), Some("../x"));
    let told = text_of(&letter, MESSAGE).expect("a message");
    assert_eq!(told, "denied; no room for the message's attributes AWS.x", "SQS would refuse it");
    assert_eq!(DeadLetter::of_message(&letter).labels, Labels::default());
}

#[test]
fn nothing_that_must_not_be_seen_is_in_the_message() {
    let failure = failure("key AKIAIOSFODNN7EXAMPLE of \u{0}\u{b}\u{fffe}data");
    let attributes = failure.attributes(&sent("2026-11-05", "{}").build(), &Labels::default());
    assert_eq!(attributes.expect("it fits").0[MESSAGE].string_value(), Some("key … of data"));
}

#[test]
fn a_failure_that_says_nothing_sqs_takes_still_has_room_for_a_note() {
    let message =
        sent("2026-11-05", "no job").set_message_attributes(Some(foreign_ones(4).into_iter().collect()));
    let (attributes, _) =
        failure("\u{0}\u{ffff}").attributes(&message.build(), &Labels::default()).expect("it fits");
    assert_eq!(attributes.len(), 10);
    let told = attributes[MESSAGE].string_value();
    assert_eq!(told, Some("it does not say; no room for the message's attributes foreign-3"));
}

proptest! {
    #[test]
    fn any_failure_message_is_one_that_sqs_takes(
        what in ".{0,2000}",
        lengths in prop::collection::vec(1..=256_usize, 0..=10),
        body in "no job|\\{\"account_name\":\"data\"\\}",
    ) {
        let names = lengths.iter().enumerate().map(|(nth, length)| format!("{nth}{}", "n".repeat(length - 1)));
        let foreign: Attributes = names.map(|name| (name, text("x"))).collect();
        let message = sent("2026-11-05", &body).set_message_attributes(Some(foreign.clone())).build();
        let written = failure(&what).attributes(&message, &Labels::of_message(&message));
        let (attributes, left_out) = written.expect("it fits");
        prop_assert!(attributes.len() <= 10);
        let written = attributes.get(MESSAGE).and_then(|value| value.string_value()).unwrap_or_default();
        prop_assert!(written.len() <= MAX_FAILURE_MESSAGE);
        prop_assert_eq!(allowed(written), written);
        // Nothing is lost in silence.
        let is_kept = |name: &String| attributes.contains_key(name);
        prop_assert_eq!(foreign.keys().filter(|name| !is_kept(name)).count(), left_out.len());
        prop_assert_eq!(left_out.is_empty(), !written.contains("; no room for the message's attributes "));
    }
}
