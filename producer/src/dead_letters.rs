// SPDX-License-Identifier: Apache-2.0
//! Reads the dead-letter queue without changing it: receives every message, then makes it visible again.
//!
//! `hold` receives, hides, releases and deletes; `text` formats. A look releases its messages at its
//! end, on an error and when interrupted, so that the next command sees all of them. If the process is
//! killed, they stay hidden for a minute at most.

pub(crate) mod hold;
pub(crate) mod selection;
pub(crate) mod text;

use std::pin::Pin;

use anyhow::anyhow;
use chrono::{DateTime, Utc};
use cli::exit::CommandError;
use engine::{
    AwsError, ErrorKind, Message, Queue,
    queue::{QueueAttributes, QueueCounts},
    redact,
};
use fleet::{dead_letter::DeadLetter, job};

use self::hold::Hold;

/// After this many replays without success, a further one needs `--force`.
pub(crate) const MOST_REPLAYS: u32 = 3;

/// How many characters to show of a message that is not a job.
const BEGINNING: usize = 80;

/// A dead letter to show. Its body is mostly left out, since it may be near 1 MiB.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Letter {
    pub(crate) message_id: String,
    /// Which job it is, and why it was dead-lettered.
    pub(crate) dead: DeadLetter,
    /// When it was sent to the dead-letter queue or, if SQS moved it, when its job was sent.
    pub(crate) sent_at: Option<DateTime<Utc>>,
    /// The redacted body, if it was asked for and may be a job's.
    pub(crate) body: Option<String>,
    /// The beginning of a body that does not name its account.
    pub(crate) beginning: Option<String>,
}

/// What a look at the dead-letter queue found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The selected dead letters, oldest first.
    pub(crate) letters: Vec<Letter>,
    /// Those that are not selected.
    pub(crate) others: Vec<Letter>,
    /// How many more are in flight in other commands, approximately.
    pub(crate) elsewhere: u64,
    /// Why some messages may stay hidden for up to a minute, if they could not be released.
    pub(crate) not_released: Option<anyhow::Error>,
}

/// How a look at the dead-letter queue ended.
#[derive(Debug)]
pub(crate) enum ReadOutcome<S> {
    /// It read every message.
    All(Found),
    /// It was interrupted and released its messages.
    Stopped(S),
}

impl Letter {
    pub(crate) fn from_message(message: &Message) -> Self {
        let dead = DeadLetter::from_message(message);
        Self {
            message_id: message.id.clone(),
            sent_at: message.sent_at,
            body: None,
            beginning: dead.labels.account_name.is_none().then(|| beginning(&message.body)),
            dead,
        }
    }

    /// Like [`Self::from_message`], with the body.
    pub(crate) fn with_body(message: &Message) -> Self {
        let body = (message.body.len() <= job::MAX_BYTES).then(|| redact(&message.body));
        Self { body, ..Self::from_message(message) }
    }

    /// Whether it has been replayed so often that a further replay needs `--force`.
    pub(crate) fn reached_replay_limit(&self) -> bool {
        self.dead.replay_count >= MOST_REPLAYS
    }

    /// The failure message on one line; empty if there is none.
    pub(crate) fn message(&self) -> String {
        self.dead.cause.as_ref().map(|cause| one_line(&cause.message)).unwrap_or_default()
    }
}

/// The dead-letter queue of a work queue. A work queue without one is a configuration error.
pub(crate) fn required_queue(queue: &Queue, attributes: &QueueAttributes) -> Result<Queue, CommandError> {
    let dead_letters = attributes.redrive.as_ref().and_then(|redrive| queue.dead_letters(redrive));
    dead_letters.ok_or_else(|| CommandError::Configuration(anyhow!(no_redrive_policy(queue))))
}

/// The message that a work queue has no dead-letter queue, and what to do about it.
pub(crate) fn no_redrive_policy(queue: &Queue) -> String {
    format!(
        "queue {} has no redrive policy and therefore no dead-letter queue; set its RedrivePolicy, with a \
         deadLetterTargetArn and a maxReceiveCount of 12 (step 3 of docs/setup-by-hand.md creates both queues)",
        queue.url
    )
}

pub(crate) fn name(queue: &Queue) -> &str {
    queue.url.rsplit_once('/').map_or(queue.url.as_str(), |(_, name)| name)
}

pub(crate) async fn counts(queue: &Queue) -> anyhow::Result<QueueCounts> {
    match Box::pin(queue.attributes()).await {
        Ok(attributes) => Ok(attributes.counts),
        Err(error) => Err(explain(error.into(), queue)),
    }
}

/// How many messages are counted but can be neither received nor found: another command has them in
/// flight.
pub(crate) fn elsewhere(counts: QueueCounts, found: usize) -> u64 {
    let all = counts.visible.saturating_add(counts.in_flight);
    counts.in_flight.min(all.saturating_sub(found.try_into().unwrap_or(u64::MAX)))
}

/// Reads every message in the dead-letter queue and releases it. The caller has just read `counts`.
/// `letter` decides what is kept of each message.
pub(crate) async fn look<S: Future>(
    queue: &Queue,
    counts: QueueCounts,
    stop: Pin<&mut S>,
    letter: fn(&Message) -> Letter,
) -> anyhow::Result<ReadOutcome<S::Output>> {
    let mut hold = Hold::new(queue);
    let mut letters = Vec::new();
    let received = hold.receive_all(counts.visible, stop, |message| letters.push(letter(&message))).await;
    let released = hold.release_all().await.map_err(|error| not_released(error, queue));
    match received {
        Err(error) => {
            if let Err(error) = released {
                tracing::warn!("{error:#}");
            }
            Err(explain(error, queue))
        }
        Ok(Some(stopped)) => {
            if let Err(error) = released {
                tracing::warn!("{error:#}");
            }
            Ok(ReadOutcome::Stopped(stopped))
        }
        Ok(None) => {
            letters.sort_by_key(|letter| letter.sent_at);
            let elsewhere = elsewhere(counts, letters.len());
            Ok(ReadOutcome::All(Found {
                letters,
                elsewhere,
                not_released: released.err(),
                ..Found::default()
            }))
        }
    }
}

/// Adds what to do to an error from the dead-letter queue.
pub(crate) fn explain(error: AwsError, queue: &Queue) -> anyhow::Error {
    let advice = match error.kind {
        ErrorKind::Denied => {
            "; allow sqs:GetQueueAttributes, sqs:ReceiveMessage, sqs:ChangeMessageVisibility and, for replay, \
             sqs:DeleteMessage on it to the producer's role"
        }
        ErrorKind::NotFound => {
            "; the work queue's redrive policy names it: create it, or correct the redrive policy"
        }
        _ => "",
    };
    let context = format!("could not read the dead-letter queue {}{advice}", queue.url);
    anyhow::Error::new(error).context(context)
}

/// The error for messages that stay hidden longer than they should, with what to do about it.
pub(crate) fn not_released(error: AwsError, queue: &Queue) -> anyhow::Error {
    let advice = if error.kind == ErrorKind::Denied {
        "; allow sqs:ChangeMessageVisibility on it to the producer's role"
    } else {
        ""
    };
    anyhow::Error::new(error).context(format!(
        "could not return dead letters to {}: they stay hidden for up to a minute{advice}",
        queue.url
    ))
}

/// The beginning of a body, safe to print on a terminal.
fn beginning(body: &str) -> String {
    // Redacts before cutting: half a secret would not be recognized.
    let (start, _) = body.split_at(body.floor_char_boundary(4 * 1024));
    let line = one_line(&redact(start));
    match line.char_indices().nth(BEGINNING) {
        Some((end, _)) => format!("{}…", line.split_at(end).0),
        None if start.len() < body.len() => line + "…",
        None => line,
    }
}

/// A text on one line, without characters that control a terminal.
pub(crate) fn one_line(text: &str) -> String {
    let shown = text.chars().filter(|c| !is_invisible(*c)).map(|c| if c.is_whitespace() { ' ' } else { c });
    shown.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a character moves the cursor or changes the text direction.
fn is_invisible(c: char) -> bool {
    (c.is_control() && !c.is_whitespace())
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A hint that other commands have more messages in flight.
pub(crate) fn hidden_hint(elsewhere: u64) -> Option<String> {
    match elsewhere {
        0 => None,
        1 => Some(
            "1 more is in flight: another command is reading it, or was a minute ago; look again in a minute"
                .into(),
        ),
        more => Some(format!(
            "{more} more are in flight: another command is reading them, or was a minute ago; look again in a minute"
        )),
    }
}

/// Reads the counts of the dead-letter queue, then every message in it.
pub(crate) async fn look_now<S: Future>(
    queue: &Queue,
    stop: Pin<&mut S>,
    letter: fn(&Message) -> Letter,
) -> anyhow::Result<ReadOutcome<S::Output>> {
    let counts = counts(queue).await?;
    look(queue, counts, stop, letter).await
}

#[cfg(test)]
pub(crate) mod tests;
