//! A dead letter: a message that was given up, with its reason in its attributes. The worker writes
//! it, the producer reads it, and its body is the job's own, unchanged.
//!
//! Beside the reason go the day and the run that the job had, then the attributes of the message that are not the
//! fleet's, and then what a reader finds in the body as well.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use chrono::{DateTime, SecondsFormat, Utc};

use crate::{
    Reason,
    labels::{FIRST_SEEN, Labels, first_seen},
    message_attributes::{Attributes, MAX_BYTES, Packing, size, text, text_of},
    queue,
    redact::redact,
};

const REASON: &str = "failure_reason";
const MESSAGE: &str = "failure_message";
const STEP: &str = "failure_step";
const ATTEMPTS: &str = "failure_attempts";
const WORKER_VERSION: &str = "failure_worker_version";
const REPLAY_COUNT: &str = "replay_count";

/// What a dead letter says of its failure. A copy of a message that had one has its own, or none.
const OURS: [&str; 7] = [REASON, MESSAGE, STEP, ATTEMPTS, FIRST_SEEN, WORKER_VERSION, REPLAY_COUNT];

/// The most bytes of a failure message, and of it those that name attributes which found no room.
const MAX_FAILURE_MESSAGE: usize = 1024;
const MAX_LEFT_OUT: usize = 384;

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
        let said = |name| text_of(message, name).map(str::to_owned);
        // One that the queue moved may still say why an earlier copy of it was dead-lettered.
        let reason = said(REASON).filter(|_| !queue::was_moved(message));
        let failure = reason.map(|reason| Failure {
            reason,
            message: said(MESSAGE).unwrap_or_default(),
            step: said(STEP).unwrap_or_default(),
            attempts: said(ATTEMPTS).and_then(|count| count.parse().ok()).unwrap_or_default(),
            first_seen: first_seen(message),
            worker_version: said(WORKER_VERSION).unwrap_or_default(),
        });
        Self { labels: Labels::of_message(message), failure, replay_count: replay_count(message) }
    }

    /// The code of its reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.failure.as_ref().map_or(Reason::MaxReceives.code(), |failure| &failure.reason)
    }
}

impl Failure {
    /// The attributes of the dead letter of a message, and the names of those of the message that there is no room
    /// for: the failure, and of the rest what fits. The reason alone if the body leaves no room for more; `None` if
    /// it can't be sent even so.
    #[must_use]
    pub fn attributes(&self, message: &Message, labels: &Labels) -> Option<(Attributes, Vec<String>)> {
        let body = message.body().unwrap_or_default();
        let what = allowed(&redact(&self.message));
        let what = match within(&what, MAX_FAILURE_MESSAGE) {
            // There must be one, for the note below.
            "" => "it does not say",
            what => what,
        };
        let failure = [
            (REASON, self.reason.clone()),
            (MESSAGE, what.to_owned()),
            (STEP, self.step.clone()),
            (ATTEMPTS, self.attempts.to_string()),
            (WORKER_VERSION, self.worker_version.clone()),
            (FIRST_SEEN, self.first_seen.map(written).unwrap_or_default()),
            (REPLAY_COUNT, replay_count(message).to_string()),
        ];
        let mut packing = Packing::beside(body);
        // SQS takes no attribute without a value.
        let mut failure = failure.iter().filter(|(_, value)| !value.is_empty());
        if !failure.all(|(name, value)| packing.put(name, text(value))) {
            let mut packing = Packing::beside(body);
            let is_put = packing.put(REASON, text(&self.reason));
            packing.close();
            let left_out = put_the_rest(&mut packing, message, labels);
            return is_put.then_some((packing.attributes, left_out));
        }
        packing.keep_free(MAX_LEFT_OUT);
        let left_out = put_the_rest(&mut packing, message, labels);
        let note = format!("; no room for the message's attributes {}", names(&left_out));
        let room = MAX_BYTES.saturating_sub(size(body, &packing.attributes)) + what.len();
        // Without room for the note the worker's log alone has the names.
        if !left_out.is_empty()
            && let Some(room) = room.min(MAX_FAILURE_MESSAGE).checked_sub(note.len())
        {
            packing.attributes.insert(MESSAGE.into(), text(&format!("{}{note}", within(what, room))));
        }
        Some((packing.attributes, left_out))
    }
}

/// How often a message was replayed, by its own account.
#[must_use]
pub fn replay_count(message: &Message) -> u32 {
    text_of(message, REPLAY_COUNT).and_then(|count| count.parse().ok()).unwrap_or_default()
}

/// The attributes of a job that is sent once more, and the names of those of its dead letter that there is no room
/// for: how often it was replayed by then, its day and its run, and all that is not about its failure.
#[must_use]
pub fn replay_attributes(message: &Message) -> (Attributes, Vec<String>) {
    let labels = Labels::of_message(message);
    let mut packing = Packing::beside(message.body().unwrap_or_default());
    let replays = replay_count(message).saturating_add(1);
    if !packing.put(REPLAY_COUNT, text(&replays.to_string())) {
        packing.close();
    } else if labels.date.is_none()
        && let Some(seen) = text_of(message, FIRST_SEEN)
    {
        // Else it would have another day, now that it is sent on another.
        packing.put(FIRST_SEEN, text(seen));
    }
    let left_out = put_the_rest(&mut packing, message, &labels);
    (packing.attributes, left_out)
}

/// Puts in what there is room for: labels that are not in the body, and the day; then what the message has that is
/// not ours; then the other labels. Gives the names of what would be lost.
fn put_the_rest(packing: &mut Packing, message: &Message, labels: &Labels) -> Vec<String> {
    let (needed, spare): (Vec<_>, Vec<_>) = labels
        .beside(message.body().unwrap_or_default())
        .into_iter()
        .partition(|label| !label.is_in_body || label.is_the_day());
    let needed = needed.into_iter().map(|label| (label.name, text(&label.value)));
    let foreign = foreign(message, labels).into_iter().map(|(name, value)| (name, value.clone()));
    let put = |(name, value)| if packing.put(name, value) { None } else { Some(name.to_owned()) };
    let left_out = needed.chain(foreign).filter_map(put).collect();
    for label in spare {
        packing.put(label.name, text(&label.value));
    }
    left_out
}

/// The attributes of a message that the fleet does not write itself.
fn foreign<'a>(message: &'a Message, labels: &Labels) -> BTreeMap<&'a str, &'a MessageAttributeValue> {
    let is_label = |name: &str| labels.beside("").iter().any(|label| label.name == name);
    let all = message.message_attributes().into_iter().flatten().map(|(name, value)| (name.as_str(), value));
    all.filter(|(name, _)| !OURS.contains(name) && !is_label(name)).collect()
}

/// The names of attributes, as many as fit into a failure message.
fn names(left_out: &[String]) -> String {
    // Room for what is around them, and for how many more there are.
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

/// The longest beginning of a text that has at most so many bytes.
fn within(text: &str, most: usize) -> &str {
    text.split_at(text.floor_char_boundary(most)).0
}

#[cfg(test)]
mod tests;
