// SPDX-License-Identifier: Apache-2.0
//! The body of a message, from any bytes. Twin: `crates/fleet/src/job.rs`.

#![no_main]

use std::collections::HashSet;

use engine::{
    Message,
    attributes::size,
    dead_letter::Cause,
    message::{Attribute, Attributes},
};
use fleet::{
    Labels,
    dead_letter::{DeadLetter, replay_attributes},
    job::{Envelope, Job, JobError, MAX_BYTES, RESERVED_KEYS},
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const NOTE: &str = "no room for the message's attributes";

fn parse(body: &str) -> Result<Job, JobError> {
    let sent_at = Some("2026-11-21T10:00:00Z".parse().expect("a moment"));
    Job::parse(body, Envelope { message_id: "0a1b2c3d-4e5f", sent_at, date: None, run_id: None })
}

/// A message that was sent on the 21st of November, or on a later day with these attributes.
fn message(body: &str, attributes: Option<Attributes>) -> Message {
    let (id, sent_at) = match attributes {
        None => ("0a1b2c3d-4e5f", "2026-11-21T10:00:00Z"),
        Some(_) => ("f-1", "2027-01-30T10:00:00Z"),
    };
    Message {
        id: id.into(),
        body: body.into(),
        sent_at: Some(sent_at.parse().expect("a moment")),
        attributes: attributes.unwrap_or_default(),
        ..Message::default()
    }
}

/// A copy keeps what the message was, however often it is made, and stays within SQS's limits.
fn survives_copies(body: &str, labels: &Labels) {
    let cause = Cause {
        reason: "bad_message".into(),
        message: body.into(),
        step: "receive".into(),
        receive_count: 1,
        first_seen: Some("2026-11-21T10:00:00Z".parse().expect("a moment")),
        worker_version: "0.2.0".into(),
    };
    let foreign = (0..body.len() % 8).map(|nth| (format!("foreign-{nth}"), Attribute::from("x")));
    let first = Message { attributes: foreign.collect(), ..message(body, None) };
    let (attributes, left_out) =
        cause.attributes(&first, &labels.to_attach_to(body)).expect("a body this short leaves room");
    let written = attributes["failure_message"].text().expect("a text").to_owned();
    assert!(written.len() <= 1024 && written.contains(NOTE) || left_out.is_empty(), "{written}");
    let letter = message(body, Some(attributes));
    assert_eq!(DeadLetter::from_message(&letter).labels, *labels);
    let replayed = message(body, Some(replay_attributes(&letter).0));
    assert_eq!(Labels::from_message(&replayed), *labels);
    for copy in [&letter, &replayed] {
        assert!(copy.attributes.len() <= 10 && size(body, &copy.attributes) <= 1024 * 1024);
    }
}

/// Whether no object in a text has a key twice, told by another reader.
fn has_each_key_once(body: &str, read: &Job) -> bool {
    fn keys(value: &Value) -> usize {
        match value {
            Value::Array(values) => values.iter().map(keys).sum(),
            Value::Object(members) => members.len() + members.values().map(keys).sum::<usize>(),
            _ => 0,
        }
    }
    let value: Value = serde_json::from_str(body.trim_start_matches('\u{feff}')).expect("JSON");
    let own: HashSet<&str> = RESERVED_KEYS.into();
    let given = value.as_object().expect("an object").keys().filter(|key| own.contains(key.as_str())).count();
    // A colon outside of strings for each key.
    let (mut colons, mut quoted, mut escaped) = (0, false, false);
    for c in body.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ':' if !quoted => colons += 1,
            _ => {}
        }
    }
    let attributes = keys(&Value::Object(read.attributes.clone()));
    colons == keys(&value) && colons == given + attributes
}

fn is_name(text: &str, longest: usize, also: &str) -> bool {
    (1..=longest).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
}

fuzz_target!(|data: &[u8]| {
    let body = String::from_utf8_lossy(data);
    let job = match parse(&body) {
        Ok(job) => job,
        Err(error) => {
            let reported = error.to_string();
            assert!(reported.len() < 1500, "{} bytes of message", reported.len());
            assert!(!reported.contains(char::is_control), "{reported:?}");
            if !body.is_empty() {
                survives_copies(&body, &Labels::from_message(&message(&body, None)));
            }
            return;
        }
    };
    assert!(body.len() <= MAX_BYTES, "{} bytes were taken", body.len());
    assert!(is_name(job.account_name.as_str(), 63, "_-"), "{}", job.account_name);
    assert!(!job.account_name.as_str().starts_with(['_', '-']), "{}", job.account_name);
    assert!(is_name(job.run_id.as_str(), 64, "._-"), "{}", job.run_id);

    assert!(has_each_key_once(&body, &job), "a key was lost");
    survives_copies(&body, &Labels::from_job(&job));

    // Escapes may make what is written longer than what was read.
    let written = job.body();
    match parse(&written) {
        Ok(again) => {
            assert_eq!(again.body(), written);
            assert_eq!(again, job);
        }
        Err(error) => assert_eq!(error, JobError::TooLarge(written.len())),
    }
});
