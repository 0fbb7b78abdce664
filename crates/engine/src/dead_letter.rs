// SPDX-License-Identifier: Apache-2.0
//! A dead letter: a copy of a message on the dead-letter queue, with the cause in its attributes and the body unchanged.
//!
//! After the cause come the labels that would be lost, then the attributes of other programs, then the
//! labels that the body contains as well.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::{
    Label, Message,
    attributes::{MAX_BYTES, Packing, size},
    message::{Attribute, Attributes},
    redact::redact,
};

const REASON: &str = "failure_reason";
const MESSAGE: &str = "failure_message";
const STEP: &str = "failure_step";
const RECEIVE_COUNT: &str = "failure_attempts";
const FIRST_SEEN: &str = "failure_first_seen";
const WORKER_VERSION: &str = "failure_worker_version";
const REPLAY_COUNT: &str = "replay_count";

/// The attributes of a cause. A copy of a message with a cause has its own cause or none.
const OURS: [&str; 7] = [REASON, MESSAGE, STEP, RECEIVE_COUNT, FIRST_SEEN, WORKER_VERSION, REPLAY_COUNT];

/// The maximum size of a cause's message in bytes, and of the part of it that names attributes without
/// room.
const MAX_MESSAGE: usize = 1024;
const MAX_LEFT_OUT: usize = 384;

/// Why a message was dead-lettered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The stable code.
    pub reason: String,
    /// What happened, and what to do next.
    pub message: String,
    /// The step at which the work failed.
    pub step: String,
    pub receive_count: u32,
    pub first_seen: Option<DateTime<Utc>>,
    pub worker_version: String,
}

impl Cause {
    /// The cause in a dead letter's attributes. `None` if there is none, or if SQS itself moved the
    /// message, which may then still have the cause of an earlier copy.
    #[must_use]
    pub fn from_message(message: &Message) -> Option<Self> {
        let text = |name| message.text(name).map(str::to_owned);
        let reason = text(REASON).filter(|_| !message.was_moved)?;
        Some(Self {
            reason,
            message: text(MESSAGE).unwrap_or_default(),
            step: text(STEP).unwrap_or_default(),
            receive_count: text(RECEIVE_COUNT).and_then(|count| count.parse().ok()).unwrap_or_default(),
            first_seen: first_seen(message),
            worker_version: text(WORKER_VERSION).unwrap_or_default(),
        })
    }

    /// The attributes of the dead letter for a message with these labels, and the names of the message's
    /// attributes that do not fit. Only the reason if the body leaves no more room; `None` if not even
    /// that fits.
    #[must_use]
    pub fn attributes(&self, message: &Message, labels: &[Label]) -> Option<(Attributes, Vec<String>)> {
        let text = allowed(&redact(&self.message));
        let text = match within(&text, MAX_MESSAGE) {
            // Without a text there would be nothing to append the note to.
            "" => "no message",
            text => text,
        };
        let cause = [
            (REASON, self.reason.clone()),
            (MESSAGE, text.to_owned()),
            (STEP, self.step.clone()),
            (RECEIVE_COUNT, self.receive_count.to_string()),
            (WORKER_VERSION, self.worker_version.clone()),
            (FIRST_SEEN, self.first_seen.map(written).unwrap_or_default()),
            (REPLAY_COUNT, replay_count(message).to_string()),
        ];
        let mut packing = Packing::for_body(&message.body);
        // SQS accepts no attribute without a value.
        let mut cause = cause.iter().filter(|(_, value)| !value.is_empty());
        if !cause.all(|(name, value)| packing.put(name, value.as_str().into())) {
            let mut packing = Packing::for_body(&message.body);
            let is_put = packing.put(REASON, self.reason.as_str().into());
            packing.close();
            let left_out = put_the_rest(&mut packing, message, labels);
            return is_put.then_some((packing.attributes, left_out));
        }
        packing.keep_free(MAX_LEFT_OUT);
        let left_out = put_the_rest(&mut packing, message, labels);
        let note = format!("; no room for the message's attributes {}", names(&left_out));
        let room = MAX_BYTES.saturating_sub(size(&message.body, &packing.attributes)) + text.len();
        // Without room for the note, only the worker's log has the names.
        if !left_out.is_empty()
            && let Some(room) = room.min(MAX_MESSAGE).checked_sub(note.len())
        {
            let noted = format!("{}{note}", within(text, room));
            packing.attributes.insert(MESSAGE.into(), noted.as_str().into());
        }
        Some((packing.attributes, left_out))
    }
}

/// When a message was first received, according to an earlier copy.
#[must_use]
pub fn first_seen(message: &Message) -> Option<DateTime<Utc>> {
    message.text(FIRST_SEEN)?.parse().ok()
}

/// How often a message has been replayed, according to its attributes.
#[must_use]
pub fn replay_count(message: &Message) -> u32 {
    message.text(REPLAY_COUNT).and_then(|count| count.parse().ok()).unwrap_or_default()
}

/// The attributes of a dead letter that is sent to its work queue again, and the names of those that do
/// not fit. They include the replay count, and everything that is not about the cause.
/// `keeps_first_seen` if the work depends on when the message was first sent.
#[must_use]
pub fn replay_attributes(
    message: &Message,
    labels: &[Label],
    keeps_first_seen: bool,
) -> (Attributes, Vec<String>) {
    let mut packing = Packing::for_body(&message.body);
    let replays = replay_count(message).saturating_add(1);
    if !packing.put(REPLAY_COUNT, replays.to_string().as_str().into()) {
        packing.close();
    } else if keeps_first_seen && let Some(seen) = message.text(FIRST_SEEN) {
        packing.put(FIRST_SEEN, seen.into());
    }
    let left_out = put_the_rest(&mut packing, message, labels);
    (packing.attributes, left_out)
}

/// Adds what fits: needed labels, then attributes of other programs, then the other labels. Returns the
/// names of what would be lost.
fn put_the_rest(packing: &mut Packing, message: &Message, labels: &[Label]) -> Vec<String> {
    let is_foreign = |name: &str| !OURS.contains(&name) && !labels.iter().any(|label| label.name == name);
    let foreign = message.attributes.iter().filter(|(name, _)| is_foreign(name));
    let foreign = foreign.map(|(name, value)| (name.as_str(), value.clone()));
    let (needed, spare): (Vec<_>, Vec<_>) = labels.iter().partition(|label| label.is_needed);
    let needed = needed.into_iter().map(|label| (label.name, Attribute::from(label.value.as_str())));
    let put = |(name, value)| if packing.put(name, value) { None } else { Some(name.to_owned()) };
    let left_out = needed.chain(foreign).filter_map(put).collect();
    for label in spare {
        packing.put(label.name, label.value.as_str().into());
    }
    left_out
}

/// As many attribute names as fit into a cause's message.
fn names(left_out: &[String]) -> String {
    // Reserves room for the surrounding text and for the number of further names.
    let mut left = MAX_LEFT_OUT - 80;
    let fit = left_out.iter().take_while(|name| {
        let fits = name.len() + 2 <= left;
        left = left.saturating_sub(name.len() + 2);
        fits
    });
    let mut names: Vec<&str> = fit.map(String::as_str).collect();
    let more = format!("{} more", left_out.len() - names.len());
    if names.len() < left_out.len() {
        names.push(&more);
    }
    redact(&names.join(", "))
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

/// The longest prefix of a text with at most this many bytes.
fn within(text: &str, most: usize) -> &str {
    text.split_at(text.floor_char_boundary(most)).0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::AttributeValue;

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

    fn message(body: &str, attributes: impl IntoIterator<Item = (String, Attribute)>) -> Message {
        Message { body: body.into(), attributes: attributes.into_iter().collect(), ..Message::default() }
    }

    fn foreign_ones(count: usize) -> impl Iterator<Item = (String, Attribute)> {
        (0..count).map(|nth| (format!("foreign-{nth}"), "x".into()))
    }

    fn label(name: &'static str, is_needed: bool) -> Label {
        Label { name, value: format!("the {name}"), is_needed }
    }

    fn names(attributes: &Attributes) -> Vec<&str> {
        attributes.keys().map(String::as_str).collect()
    }

    #[test]
    fn reads_what_it_writes() {
        let original = message("{}", [("replay_count".to_owned(), "1".into())]);
        let (attributes, left_out) = cause("denied").attributes(&original, &[]).expect("it fits");
        let letter = message("{}", attributes);
        assert_eq!(left_out, [""; 0]);
        assert_eq!((Cause::from_message(&letter), replay_count(&letter)), (Some(cause("denied")), 1));
        let moved = Message { was_moved: true, ..letter };
        assert_eq!((Cause::from_message(&moved), replay_count(&moved)), (None, 1));
        assert_eq!(Cause::from_message(&message("{}", [])), None);
    }

    #[test]
    fn with_a_large_body_only_the_reason_is_kept() {
        let with_reason = MAX_BYTES - "failure_reason".len() - "String".len() - "access_denied".len();
        let of =
            |length: usize| cause("denied").attributes(&message(&"x".repeat(length), foreign_ones(2)), &[]);
        let all = of(with_reason - 2000).expect("it fits");
        assert_eq!((all.0.len(), all.1), (9, Vec::new()));
        let lost = ["foreign-0".to_owned(), "foreign-1".to_owned()];
        let (no_room, left_out) = of(with_reason - 500).expect("it fits");
        assert_eq!(left_out, lost);
        assert_eq!(no_room.len(), 7);
        assert_eq!(
            no_room[MESSAGE].text(),
            Some("denied; no room for the message's attributes foreign-0, foreign-1")
        );
        assert!(size(&"x".repeat(with_reason - 500), &no_room) <= MAX_BYTES);
        let (alone, left_out) = of(with_reason).expect("it fits");
        assert_eq!((names(&alone), left_out), (vec!["failure_reason"], lost.to_vec()));
        assert_eq!(of(with_reason + 1), None);

        let full = message(&"x".repeat(MAX_BYTES), [("sender".to_owned(), "me".into())]);
        assert_eq!(replay_attributes(&full, &[], false), (Attributes::new(), vec!["sender".to_owned()]));
    }

    #[test]
    fn attributes_of_another_program_are_kept_whatever_their_type() {
        let types =
            ["String", "Number", "Binary"].map(|kind| [kind.to_owned(), format!("{kind}.x")]).concat();
        let attribute = |data_type: &String| {
            let value = if data_type.starts_with("Binary") {
                AttributeValue::Binary(vec![0, 255, 7])
            } else {
                AttributeValue::Text("7".into())
            };
            (format!("of-{data_type}"), Attribute { data_type: data_type.clone(), value })
        };
        for chosen in types.chunks(3) {
            let original = message("no job", chosen.iter().map(attribute));
            let (attributes, _) = cause("denied").attributes(&original, &[]).expect("it fits");
            let letter = message("no job", attributes);
            let (replayed, left_out) = replay_attributes(&letter, &[], false);
            assert_eq!(left_out, [""; 0]);
            for copied in [&letter.attributes, &replayed] {
                for (name, value) in &original.attributes {
                    assert_eq!(copied.get(name), Some(value), "{name}");
                }
            }
        }
    }

    #[test]
    fn needed_labels_come_first_then_attributes_of_others_by_name_then_spare_labels() {
        let labels = [label("spare", false), label("needed", true)];
        let of = |count| {
            let (attributes, left_out) =
                cause("denied").attributes(&message("{}", foreign_ones(count)), &labels).expect("it fits");
            let rest = names(&attributes).into_iter().filter(|name| !OURS.contains(name));
            let rest: Vec<_> = rest.map(str::to_owned).collect();
            (rest, left_out, attributes[MESSAGE].text().map(str::to_owned))
        };
        assert_eq!(
            of(1),
            (vec!["foreign-0".into(), "needed".into(), "spare".into()], vec![], Some("denied".into()))
        );
        assert_eq!(of(2).0, ["foreign-0", "foreign-1", "needed"]);
        let (rest, left_out, note) = of(4);
        assert_eq!((rest, left_out), (of(2).0, vec!["foreign-2".into(), "foreign-3".into()]));
        assert_eq!(
            note.as_deref(),
            Some("denied; no room for the message's attributes foreign-2, foreign-3")
        );
    }

    #[test]
    fn an_attribute_that_only_aws_may_send_is_named() {
        let odd = message("no job", [("AWS.x".to_owned(), "y".into())]);
        let (attributes, _) = cause("denied").attributes(&odd, &[]).expect("it fits");
        assert_eq!(attributes[MESSAGE].text(), Some("denied; no room for the message's attributes AWS.x"));
    }

    #[test]
    fn the_message_is_redacted() {
        let attributes =
            cause("key AKIAIOSFODNN7EXAMPLE of \u{0}\u{b}\u{fffe}data").attributes(&message("{}", []), &[]);
        assert_eq!(attributes.expect("it fits").0[MESSAGE].text(), Some("key … of data"));
    }

    #[test]
    fn a_cause_without_allowed_characters_still_has_room_for_a_note() {
        let (attributes, _) =
            cause("\u{0}\u{ffff}").attributes(&message("no job", foreign_ones(4)), &[]).expect("it fits");
        assert_eq!(attributes.len(), 10);
        let text = attributes[MESSAGE].text();
        assert_eq!(text, Some("no message; no room for the message's attributes foreign-3"));
    }

    #[test]
    fn a_replay_is_counted_and_keeps_what_is_asked_of_it() {
        let (attributes, _) =
            cause("denied").attributes(&message("{}", foreign_ones(1)), &[]).expect("it fits");
        let letter = message("{}", attributes);
        let replayed = |keeps| replay_attributes(&letter, &[label("day", true)], keeps).0;
        assert_eq!(names(&replayed(false)), ["day", "foreign-0", "replay_count"]);
        assert_eq!(names(&replayed(true)), ["day", "failure_first_seen", "foreign-0", "replay_count"]);
        assert_eq!(replay_count(&message("{}", replayed(true))), 1);
    }

    proptest! {
        #[test]
        fn any_message_of_a_cause_is_one_that_sqs_takes(
            what in ".{0,2000}",
            lengths in prop::collection::vec(1..=256_usize, 0..=10),
            labels in 0..=2_usize,
        ) {
            let labels = &[label("needed", true), label("spare", false)][..labels];
            let names = lengths.iter().enumerate().map(|(nth, length)| format!("{nth}{}", "n".repeat(length - 1)));
            let original = message("{}", names.map(|name| (name, "x".into())));
            let (attributes, left_out) = cause(&what).attributes(&original, labels).expect("it fits");
            prop_assert!(attributes.len() <= 10);
            let written = attributes.get(MESSAGE).and_then(Attribute::text).unwrap_or_default();
            prop_assert!(written.len() <= MAX_MESSAGE);
            prop_assert_eq!(allowed(written), written);
            // Nothing is lost silently.
            let is_kept = |name: &String| attributes.contains_key(name);
            prop_assert_eq!(original.attributes.keys().filter(|name| !is_kept(name)).count(), left_out.len());
            prop_assert_eq!(left_out.is_empty(), !written.contains("; no room for the message's attributes "));
        }
    }
}
