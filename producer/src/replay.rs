// SPDX-License-Identifier: Apache-2.0
//! Replays dead letters: sends each to the work queue again, then deletes it from the dead-letter queue.
//!
//! All selected messages are received before the first is sent. A job that fails again meanwhile returns
//! to the dead-letter queue and is not read again, so a replay always ends. A crash between a send and
//! its delete leaves a duplicate, and duplicates are harmless.

pub(crate) mod text;

use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
};

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use engine::{
    ErrorKind, Message, Queue, attributes,
    message::{Attributes, to_sdk},
    queue::QueueCounts,
};
use fleet::{AccountName, dead_letter};
use futures::FutureExt;
use requests::publish::{self, BATCH_BYTES, BATCH_ENTRIES};
use tokio::time::timeout;

use crate::dead_letters::{
    self, Letter,
    hold::{GRACE, Hold, Refused},
    selection::Selection,
    text::is_to_replay,
};

/// What a replay did with a selected dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReplayOutcome {
    /// It is on the work queue, and no longer in the dead-letter queue.
    Replayed,
    /// It has been replayed too often already.
    LimitReached,
    /// It would fail in the same way.
    WouldFailAgain,
    /// It is still in the dead-letter queue, with the reason.
    NotReplayed(String),
    /// It is on the work queue and still in the dead-letter queue, with the reason.
    NotDeleted(String),
}

/// The result of a replay.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// The selected dead letters: the refused ones, then the others, oldest first.
    pub(crate) letters: Vec<(Letter, ReplayOutcome)>,
    /// The named accounts that have no dead letter.
    pub(crate) unmatched: Vec<AccountName>,
    /// How many dead letters were not selected.
    pub(crate) others: usize,
    /// How many more are in flight in other commands, approximately.
    pub(crate) elsewhere: u64,
    pub(crate) interrupted: bool,
    /// The error that stopped it, or that prevented a release.
    pub(crate) problem: Option<anyhow::Error>,
}

/// A dead letter to send again.
#[derive(Debug)]
struct Selected {
    letter: Letter,
    body: String,
    attributes: Attributes,
}

impl Letter {
    /// Why it is replayed only with `--force`; `None` if it is replayed anyway.
    fn refused_replay(&self) -> Option<ReplayOutcome> {
        if !is_to_replay(self.dead.reason()) {
            Some(ReplayOutcome::WouldFailAgain)
        } else if self.reached_replay_limit() {
            Some(ReplayOutcome::LimitReached)
        } else {
            None
        }
    }
}

impl Selected {
    fn from_message(letter: Letter, message: Message) -> Self {
        let (attributes, left_out) = dead_letter::replay_attributes(&message);
        if !left_out.is_empty() {
            tracing::warn!(
                message_id = letter.message_id,
                attributes = left_out.join(", "),
                "a replay drops attributes of its dead letter, since a message takes only ten"
            );
        }
        Self { letter, body: message.body, attributes }
    }
}

/// Replays the selected dead letters. With `force`, includes those that were replayed too often already
/// or would fail in the same way. The caller has just read `counts`. `progress` is called with the
/// progress made.
pub(crate) async fn replay<S: Future<Output = ()>>(
    work: &Queue,
    dead: &Queue,
    counts: QueueCounts,
    (selection, force): (&Selection, bool),
    mut stop: Pin<&mut S>,
    progress: impl Fn(ReplayStep),
) -> anyhow::Result<Replayed> {
    let mut hold = Hold::new(dead);
    let (mut selected, mut others) = (Vec::new(), 0);
    let received = hold
        .receive_all(counts.visible, stop.as_mut(), |message: Message| {
            let letter = Letter::from_message(&message);
            if selection.matches(&letter) {
                selected.push(Selected::from_message(letter, message));
            } else {
                others += 1;
            }
        })
        .await;
    selected.sort_by_key(|selected| selected.letter.sent_at);
    let resolved = selection.resolved(selected.iter().map(|selected| &selected.letter));
    match resolved {
        Ok(selection) => {
            let all = selected.len();
            selected.retain(|selected| selection.matches(&selected.letter));
            others += all - selected.len();
        }
        Err(ambiguous) if matches!(received, Ok(None)) => {
            if let Err(error) = hold.release_all().await {
                tracing::warn!("{:#}", dead_letters::not_released(error, dead));
            }
            return Err(ambiguous.into());
        }
        // Not all were read, which the result reports.
        Err(_) => {}
    }
    let mut replayed = Replayed {
        unmatched: unmatched(selection, &selected),
        others,
        elsewhere: dead_letters::elsewhere(counts, selected.len() + others),
        ..Replayed::default()
    };
    match received {
        Ok(None) => {
            let mut to_send = Vec::new();
            for selected in selected {
                match selected.letter.refused_replay().filter(|_| !force) {
                    Some(outcome) => replayed.letters.push((selected.letter, outcome)),
                    None => to_send.push(selected),
                }
            }
            // What is not sent need not stay hidden for as long as sending takes.
            let ids: HashSet<&str> =
                to_send.iter().map(|selected| selected.letter.message_id.as_str()).collect();
            if let Err(error) = hold.release(|id| !ids.contains(id)).await {
                tracing::warn!("{:#}", dead_letters::not_released(error, dead));
            }
            drop(ids);
            progress(ReplayStep::Begin(to_send.len()));
            send_all(work, &mut hold, to_send, stop, progress, &mut replayed, dead).await;
        }
        // An incomplete look does not know what there is.
        Ok(Some(())) => replayed = Replayed { interrupted: true, ..Replayed::default() },
        Err(error) => {
            if let Err(error) = hold.release_all().await {
                tracing::warn!("{:#}", dead_letters::not_released(error, dead));
            }
            return Err(dead_letters::explain(error, dead));
        }
    }
    if let Err(error) = hold.release_all().await {
        let error = dead_letters::not_released(error, dead);
        match &replayed.problem {
            None => replayed.problem = Some(error),
            Some(_) => tracing::warn!("{error:#}"),
        }
    }
    Ok(replayed)
}

/// The progress of a replay.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReplayStep {
    /// This many are to be sent.
    Begin(usize),
    /// This many more are finished.
    More(usize),
}

/// Sends and deletes in batches, until all is done, a call fails or `stop` completes.
async fn send_all<S: Future<Output = ()>>(
    work: &Queue,
    hold: &mut Hold,
    to_send: Vec<Selected>,
    mut stop: Pin<&mut S>,
    progress: impl Fn(ReplayStep),
    replayed: &mut Replayed,
    dead: &Queue,
) {
    let size = |selected: &Selected| attributes::size(&selected.body, &selected.attributes);
    let sizes: Vec<usize> = to_send.iter().map(size).collect();
    let mut to_send = to_send.into_iter();
    for slice in slices(&sizes) {
        let slice: Vec<_> = to_send.by_ref().take(slice).collect();
        if !replayed.interrupted && stop.as_mut().now_or_never().is_some() {
            replayed.interrupted = true;
        }
        if replayed.interrupted || replayed.problem.is_some() {
            let left = slice
                .into_iter()
                .map(|selected| (selected.letter, ReplayOutcome::NotReplayed("not tried".into())));
            replayed.letters.extend(left);
            continue;
        }
        let number = slice.len();
        send_slice(work, hold, slice, stop.as_mut(), replayed, dead).await;
        progress(ReplayStep::More(number));
    }
}

async fn send_slice<S: Future<Output = ()>>(
    work: &Queue,
    hold: &mut Hold,
    slice: Vec<Selected>,
    stop: Pin<&mut S>,
    replayed: &mut Replayed,
    dead: &Queue,
) {
    let ids: Vec<&str> = slice.iter().map(|selected| selected.letter.message_id.as_str()).collect();
    hold.ensure_time_left(&ids).await;
    let (mut letters, mut entries) = (Vec::new(), Vec::new());
    for Selected { letter, body, attributes } in slice {
        if hold.has_time_left(&letter.message_id) {
            entries.push(entry(entries.len(), body, &attributes));
            letters.push(letter);
        } else {
            let why = "it could not be kept hidden; another consumer may have it";
            replayed.letters.push((letter, ReplayOutcome::NotReplayed(why.into())));
        }
    }
    if entries.is_empty() {
        return;
    }
    let mut unsent = vec![Some("not tried".to_owned()); entries.len()];
    let (sent, stopped) = hold
        .holding(async {
            let mut sending = Box::pin(publish::send(work, &entries, &mut unsent));
            tokio::select! {
                biased;
                sent = &mut sending => (sent, false),
                // Waits for the call in flight: otherwise it would be unknown what was sent.
                () = stop => (timeout(GRACE, &mut sending).await.unwrap_or(Ok(())), true),
            }
        })
        .await;
    replayed.interrupted |= stopped;
    if let Err(error) = sent {
        let advice = if error.kind == ErrorKind::Denied {
            "; allow sqs:SendMessage on it to the producer's role"
        } else {
            ""
        };
        let context = format!("could not send to the work queue {}{advice}", work.url);
        replayed.problem = Some(anyhow::Error::new(error).context(context));
    }
    let sent: Vec<String> = letters
        .iter()
        .zip(&unsent)
        .filter(|(_, why)| why.is_none())
        .map(|(letter, _)| letter.message_id.clone())
        .collect();
    let refused = if sent.is_empty() { HashMap::new() } else { hold.delete(&sent).await };
    if let Some(Refused::Call(error)) = refused.values().find(|why| matches!(why, Refused::Call(_))) {
        let advice = if error.kind == ErrorKind::Denied {
            "; allow sqs:DeleteMessage on it to the producer's role"
        } else {
            ""
        };
        let context = format!("could not delete from the dead-letter queue {}{advice}", dead.url);
        replayed.problem.get_or_insert(anyhow::Error::new(error.clone()).context(context));
    }
    for (letter, why) in letters.into_iter().zip(unsent) {
        let outcome = match (why, refused.get(&letter.message_id)) {
            (Some(why), _) => ReplayOutcome::NotReplayed(why),
            (None, Some(why)) => ReplayOutcome::NotDeleted(why.to_string()),
            (None, None) => ReplayOutcome::Replayed,
        };
        replayed.letters.push((letter, outcome));
    }
}

fn unmatched(selection: &Selection, selected: &[Selected]) -> Vec<AccountName> {
    let is_there = |name: &AccountName| {
        selected.iter().any(|selected| selected.letter.dead.labels.account_name.as_ref() == Some(name))
    };
    selection.accounts.iter().filter(|name| !is_there(name)).cloned().collect()
}

fn entry(index: usize, body: String, attributes: &Attributes) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(body)
        .set_message_attributes(Some(to_sdk(attributes)).filter(|attributes| !attributes.is_empty()))
        .build()
        .expect("cannot fail: id and body are set")
}

/// How many messages of these sizes go into each batch, in order.
fn slices(sizes: &[usize]) -> Vec<usize> {
    let mut slices = Vec::new();
    let mut bytes = 0;
    for size in sizes {
        match slices.last_mut() {
            Some(slice) if *slice < BATCH_ENTRIES && bytes + size <= BATCH_BYTES => {
                *slice += 1;
                bytes += size;
            }
            _ => {
                slices.push(1);
                bytes = *size;
            }
        }
    }
    slices
}

#[cfg(test)]
mod tests;
