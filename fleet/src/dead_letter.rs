//! A dead letter: a message that was given up, with its reason in its attributes. The worker writes
//! it, the producer reads it, and its body is the job's own, unchanged.

use std::collections::HashMap;

use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use chrono::{DateTime, SecondsFormat, Utc};

use crate::{
    Reason,
    labels::{Labels, attribute, text},
    redact::redact,
};

const REASON: &str = "failure_reason";
const MESSAGE: &str = "failure_message";
const STEP: &str = "failure_step";
const ATTEMPTS: &str = "failure_attempts";
const FIRST_SEEN: &str = "failure_first_seen";
const WORKER_VERSION: &str = "failure_worker_version";
const REPLAY_COUNT: &str = "replay_count";

/// The most bytes of a message: its body, and the names, types and values of its attributes.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
const MAX_BYTES: usize = 1024 * 1024;

/// The most bytes of a failure message.
const MAX_FAILURE_MESSAGE: usize = 1024;

/// Why a job was given up, as a dead letter tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stable code. As text, since another version may have written it.
    pub reason: String,
    /// What happened, and what to do next.
    pub message: String,
    /// What the worker was doing.
    pub step: String,
    /// How often the job was received.
    pub attempts: u32,
    /// When the job was received first.
    pub first_seen: Option<DateTime<Utc>>,
    /// The version of the worker.
    pub worker_version: String,
}

/// What the attributes of a dead letter say.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// Whose it is.
    pub labels: Labels,
    /// Why it was given up; none where the queue itself did.
    pub failure: Option<Failure>,
    /// How often it was replayed.
    pub replay_count: u32,
}

impl DeadLetter {
    /// Reads a message of the dead-letter queue, whoever wrote it.
    #[must_use]
    pub fn of_message(message: &Message) -> Self {
        let said = |name| attribute(message, name).map(str::to_owned);
        let failure = said(REASON).map(|reason| Failure {
            reason,
            message: said(MESSAGE).unwrap_or_default(),
            step: said(STEP).unwrap_or_default(),
            attempts: said(ATTEMPTS).and_then(|count| count.parse().ok()).unwrap_or_default(),
            first_seen: said(FIRST_SEEN).and_then(|moment| moment.parse().ok()),
            worker_version: said(WORKER_VERSION).unwrap_or_default(),
        });
        Self { labels: Labels::of_message(message), failure, replay_count: replay_count(message) }
    }

    /// The code of its reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.failure.as_ref().map_or(Reason::MaxReceives.code(), |failure| &failure.reason)
    }

    /// The attributes of the dead letter for a message with this body: all of them; the reason alone
    /// where the body leaves no room for more; none at all where it can't be sent even so.
    #[must_use]
    pub fn attributes(&self, body: &str) -> Option<HashMap<String, MessageAttributeValue>> {
        let mut all = self.labels.attributes();
        if let Some(failure) = &self.failure {
            all.insert(REASON.into(), text(&failure.reason));
            let rest = [
                (MESSAGE, within(&allowed(&redact(&failure.message)), MAX_FAILURE_MESSAGE).to_owned()),
                (STEP, failure.step.clone()),
                (ATTEMPTS, failure.attempts.to_string()),
                (WORKER_VERSION, failure.worker_version.clone()),
                (FIRST_SEEN, failure.first_seen.map(written).unwrap_or_default()),
            ];
            // SQS takes no attribute without a value.
            let rest = rest.into_iter().filter(|(_, value)| !value.is_empty());
            all.extend(rest.map(|(name, value)| (name.to_owned(), text(&value))));
        }
        all.insert(REPLAY_COUNT.into(), text(&self.replay_count.to_string()));
        if fits(body, &all) {
            return Some(all);
        }
        all.retain(|name, _| name == REASON);
        fits(body, &all).then_some(all)
    }
}

/// How often a message was replayed, by its own account.
#[must_use]
pub fn replay_count(message: &Message) -> u32 {
    attribute(message, REPLAY_COUNT).and_then(|count| count.parse().ok()).unwrap_or_default()
}

/// The attributes of a job that is sent once more: its labels, and how often it was replayed by then;
/// the count alone where the body leaves no room for more, and none where it leaves none.
#[must_use]
pub fn replay_attributes(
    labels: &Labels,
    replay_count: u32,
    body: &str,
) -> HashMap<String, MessageAttributeValue> {
    let mut all = labels.attributes();
    all.insert(REPLAY_COUNT.into(), text(&replay_count.to_string()));
    if !fits(body, &all) {
        all.retain(|name, _| name == REPLAY_COUNT);
    }
    if fits(body, &all) { all } else { HashMap::new() }
}

/// The bytes of a message, as SQS counts them.
#[must_use]
pub fn size<'a>(
    body: &str,
    attributes: impl IntoIterator<Item = (&'a String, &'a MessageAttributeValue)>,
) -> usize {
    let size = |(name, value): (&String, &MessageAttributeValue)| {
        name.len() + value.data_type().len() + value.string_value().map_or(0, str::len)
    };
    body.len() + attributes.into_iter().map(size).sum::<usize>()
}

fn fits(body: &str, attributes: &HashMap<String, MessageAttributeValue>) -> bool {
    size(body, attributes) <= MAX_BYTES
}

fn written(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The text without the characters that SQS refuses.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
fn allowed(text: &str) -> String {
    text.chars()
        .filter(
            |c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..),
        )
        .collect()
}

/// The longest beginning of a text that has at most so many bytes.
fn within(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dead_letter(message: &str) -> DeadLetter {
        DeadLetter {
            labels: Labels {
                account_name: Some("data".parse().expect("a name")),
                dataset: Some(crate::datasets::DEFAULT),
                run_id: Some("r-1".parse().expect("a run id")),
            },
            failure: Some(Failure {
                reason: "access_denied".into(),
                message: message.into(),
                step: "discover".into(),
                attempts: 2,
                first_seen: Some("2026-11-21T10:00:00.123Z".parse().expect("a moment")),
                worker_version: "0.1.0".into(),
            }),
            replay_count: 1,
        }
    }

    fn sent(body: &str, attributes: HashMap<String, MessageAttributeValue>) -> Message {
        Message::builder().body(body).set_message_attributes(Some(attributes)).build()
    }

    #[test]
    fn what_is_written_is_read() {
        let letter = dead_letter("denied");
        let body = r#"{"account_name":"data"}"#;
        let attributes = letter.attributes(body).expect("it fits");
        assert_eq!(attributes.len(), 10, "as many as SQS takes");
        assert_eq!(DeadLetter::of_message(&sent(body, attributes)), letter);
    }

    #[test]
    fn a_message_without_a_reason_was_received_too_often() {
        let letter = DeadLetter::of_message(&sent("x", HashMap::new()));
        assert_eq!((letter.reason(), letter.replay_count), ("max_receives", 0));
    }

    #[test]
    fn a_body_that_leaves_little_room_takes_the_reason_alone() {
        let letter = dead_letter("denied");
        let with_reason = MAX_BYTES - "failure_reason".len() - "String".len() - "access_denied".len();
        let names = |length: usize| {
            let attributes = letter.attributes(&"x".repeat(length))?;
            Some(attributes.into_keys().collect::<Vec<_>>())
        };
        assert_eq!(names(with_reason - 2000).map(|names| names.len()), Some(10));
        assert_eq!(names(with_reason), Some(vec!["failure_reason".to_owned()]));
        assert_eq!(names(with_reason + 1), None);
        assert!(replay_attributes(&letter.labels, 1, &"x".repeat(MAX_BYTES)).is_empty());
        assert_eq!(replay_attributes(&letter.labels, 1, "x").len(), 4);
    }

    #[test]
    fn nothing_that_must_not_be_seen_is_in_the_message() {
        let letter = dead_letter("key AKIAIOSFODNN7EXAMPLE of \u{0}\u{b}\u{fffe}data");
        let attributes = letter.attributes("{}").expect("it fits");
        assert_eq!(attributes[MESSAGE].string_value(), Some("key … of data"));
    }

    proptest! {
        #[test]
        fn any_failure_message_is_one_that_sqs_takes(message in ".{0,2000}") {
            let attributes = dead_letter(&message).attributes("{}").expect("it fits");
            let written = attributes.get(MESSAGE).and_then(|value| value.string_value()).unwrap_or_default();
            prop_assert!(written.len() <= MAX_FAILURE_MESSAGE);
            prop_assert_eq!(allowed(written), written);
        }
    }
}
