//! Looks at the dead-letter queue and leaves it as it was: everything is received, so that it can be
//! seen, and given back.
//!
//! `hold` receives, keeps hidden, gives back and deletes; `text` shows. What a look has in hand goes
//! back at its end, on an error and when somebody stops it, so that the next command sees all of it.
//! A process that is killed leaves it hidden for a minute at most.

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

/// How many replays are enough to show that one more will not help.
pub(crate) const MOST_REPLAYS: u32 = 3;

/// How many characters of a message that is no job are shown.
const BEGINNING: usize = 80;

/// A dead letter, as far as it is shown; its body is mostly left out, since it may be near 1 MiB.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Letter {
    /// SQS's id of the message.
    pub(crate) message_id: String,
    /// Whose it is, and why it was given up.
    pub(crate) dead: DeadLetter,
    /// When it was sent to the dead-letter queue or, where it was redriven, as a job.
    pub(crate) sent_at: Option<DateTime<Utc>>,
    /// The body, where it was asked for and could be a job's, as it may be shown.
    pub(crate) body: Option<String>,
    /// The beginning of a body that does not say which account it is of.
    pub(crate) beginning: Option<String>,
}

/// What a look found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The dead letters that are meant, the oldest first.
    pub(crate) letters: Vec<Letter>,
    /// Those that are not.
    pub(crate) others: Vec<Letter>,
    /// How many more somebody else has in hand, approximately.
    pub(crate) elsewhere: u64,
    /// Why some of it may be hidden for up to a minute, where it could not be given back.
    pub(crate) not_given_back: Option<anyhow::Error>,
}

/// How a look ended.
#[derive(Debug)]
pub(crate) enum Looked<S> {
    /// It saw everything.
    All(Found),
    /// It was stopped, and gave back what it had.
    Stopped(S),
}

impl Letter {
    /// What is shown of a message.
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

    /// What is shown of a message, with its body.
    pub(crate) fn with_body(message: &Message) -> Self {
        let body = (message.body.len() <= job::MAX_BYTES).then(|| redact(&message.body));
        Self { body, ..Self::from_message(message) }
    }

    /// Whether it was replayed so often that one more replay needs to be forced.
    pub(crate) fn is_worn_out(&self) -> bool {
        self.dead.replay_count >= MOST_REPLAYS
    }

    /// What it failed of, on one line; empty where nothing says so.
    pub(crate) fn message(&self) -> String {
        self.dead.cause.as_ref().map(|cause| one_line(&cause.message)).unwrap_or_default()
    }
}

/// The queue that a work queue's dead letters go to; one without is a wrong configuration.
pub(crate) fn of_queue(queue: &Queue, attributes: &QueueAttributes) -> Result<Queue, CommandError> {
    let dead_letters = attributes.redrive.as_ref().and_then(|redrive| queue.dead_letters(redrive));
    dead_letters.ok_or_else(|| CommandError::Configuration(anyhow!(no_redrive_policy(queue))))
}

/// That a work queue has no dead-letter queue, and what to do about it.
pub(crate) fn no_redrive_policy(queue: &Queue) -> String {
    format!(
        "queue {} has no redrive policy, hence no dead-letter queue; set its RedrivePolicy, with a \
         deadLetterTargetArn and a maxReceiveCount of 12 (step 3 of docs/setup-by-hand.md creates both queues)",
        queue.url
    )
}

/// The name of a queue.
pub(crate) fn name(queue: &Queue) -> &str {
    queue.url.rsplit_once('/').map_or(queue.url.as_str(), |(_, name)| name)
}

/// How many messages the dead-letter queue has.
pub(crate) async fn counts(queue: &Queue) -> anyhow::Result<QueueCounts> {
    match Box::pin(queue.attributes()).await {
        Ok(attributes) => Ok(attributes.counts),
        Err(error) => Err(explain(error.into(), queue)),
    }
}

/// How many messages are neither to be received nor found: somebody else has them.
pub(crate) fn elsewhere(counts: QueueCounts, found: usize) -> u64 {
    let all = counts.visible.saturating_add(counts.in_flight);
    counts.in_flight.min(all.saturating_sub(found.try_into().unwrap_or(u64::MAX)))
}

/// Sees everything in the dead-letter queue, whose counts were read just before, and gives it back.
/// `letter` says what is kept of each message.
pub(crate) async fn look<S: Future>(
    queue: &Queue,
    counts: QueueCounts,
    stop: Pin<&mut S>,
    letter: fn(&Message) -> Letter,
) -> anyhow::Result<Looked<S::Output>> {
    let mut hold = Hold::new(queue);
    let mut letters = Vec::new();
    let received = hold.receive_all(counts.visible, stop, |message| letters.push(letter(&message))).await;
    let given_back = hold.give_all_back().await.map_err(|error| not_given_back(error, queue));
    match received {
        Err(error) => {
            if let Err(error) = given_back {
                tracing::warn!("{error:#}");
            }
            Err(explain(error, queue))
        }
        Ok(Some(stopped)) => {
            if let Err(error) = given_back {
                tracing::warn!("{error:#}");
            }
            Ok(Looked::Stopped(stopped))
        }
        Ok(None) => {
            letters.sort_by_key(|letter| letter.sent_at);
            let elsewhere = elsewhere(counts, letters.len());
            Ok(Looked::All(Found {
                letters,
                elsewhere,
                not_given_back: given_back.err(),
                ..Found::default()
            }))
        }
    }
}

/// A failure to read the dead-letter queue, with what to do about it.
pub(crate) fn explain(error: AwsError, queue: &Queue) -> anyhow::Error {
    let advice = match error.kind {
        ErrorKind::Denied => {
            "; allow sqs:GetQueueAttributes, sqs:ReceiveMessage, sqs:ChangeMessageVisibility and, for replay, \
             sqs:DeleteMessage on it to whoever runs the producer"
        }
        ErrorKind::NotFound => {
            "; the work queue's redrive policy names it: create it, or correct the redrive policy"
        }
        _ => "",
    };
    let context = format!("could not look at the dead-letter queue {}{advice}", queue.url);
    anyhow::Error::new(error).context(context)
}

/// Dead letters that are hidden for longer than they should be, and what to do about it.
pub(crate) fn not_given_back(error: AwsError, queue: &Queue) -> anyhow::Error {
    let advice = if error.kind == ErrorKind::Denied {
        "; allow sqs:ChangeMessageVisibility on it to whoever runs the producer"
    } else {
        ""
    };
    anyhow::Error::new(error).context(format!(
        "could not give dead letters back to {}: they are hidden for up to a minute{advice}",
        queue.url
    ))
}

/// The beginning of a body that somebody sent, as a terminal can show it.
fn beginning(body: &str) -> String {
    // Redacted before it is cut: half a secret would not be recognized.
    let (start, _) = body.split_at(body.floor_char_boundary(4 * 1024));
    let line = one_line(&redact(start));
    match line.char_indices().nth(BEGINNING) {
        Some((end, _)) => format!("{}…", line.split_at(end).0),
        None if start.len() < body.len() => line + "…",
        None => line,
    }
}

/// A text on one line, without characters that do something to a terminal.
pub(crate) fn one_line(text: &str) -> String {
    let shown = text.chars().filter(|c| !is_invisible(*c)).map(|c| if c.is_whitespace() { ' ' } else { c });
    shown.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a character moves the cursor, or turns the direction of what follows.
fn is_invisible(c: char) -> bool {
    (c.is_control() && !c.is_whitespace())
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// That somebody else may have more.
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

/// Reads the counts of the dead-letter queue, and then sees everything in it.
pub(crate) async fn look_now<S: Future>(
    queue: &Queue,
    stop: Pin<&mut S>,
    letter: fn(&Message) -> Letter,
) -> anyhow::Result<Looked<S::Output>> {
    let counts = counts(queue).await?;
    look(queue, counts, stop, letter).await
}

#[cfg(test)]
pub(crate) mod tests;
