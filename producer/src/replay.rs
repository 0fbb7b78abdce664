//! Replays dead letters: sends each to the work queue once more, and deletes it from the
//! dead-letter queue after that.
//!
//! All that is to be replayed is received before the first of it is sent. What fails again meanwhile
//! comes back to the dead-letter queue and is not looked at any more, so that a replay always ends.
//! A crash between a send and its delete leaves a duplicate, and duplicates are harmless.

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
use tokio::time::timeout;

use crate::{
    dead_letters::{
        self, Letter,
        hold::{GRACE, Hold, Refused},
        selection::Selection,
        text::is_to_replay,
    },
    publish::{self, BATCH_BYTES, BATCH_ENTRIES},
};

/// What became of a dead letter that was selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is on the work queue, and no longer in the dead-letter queue.
    Replayed,
    /// It was replayed too often already.
    WornOut,
    /// It would fail in the same way.
    Hopeless,
    /// It is still in the dead-letter queue, and why.
    Left(String),
    /// It is on the work queue, and in the dead-letter queue too, and why.
    NotDeleted(String),
}

/// What a replay did.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// The dead letters that were selected: those that are refused, then the others, the oldest first.
    pub(crate) letters: Vec<(Letter, Fate)>,
    /// The accounts that were named and of which there is none.
    pub(crate) unmatched: Vec<AccountName>,
    /// How many dead letters there are that were not selected.
    pub(crate) others: usize,
    /// How many more somebody else has in hand, approximately.
    pub(crate) elsewhere: u64,
    /// Whether it was stopped before its end.
    pub(crate) interrupted: bool,
    /// What stopped it, or what it could not give back.
    pub(crate) problem: Option<anyhow::Error>,
}

/// A dead letter to be sent once more.
#[derive(Debug)]
struct Selected {
    letter: Letter,
    body: String,
    attributes: Attributes,
}

impl Letter {
    /// Why it is not replayed unless that is forced; none if it is.
    fn refused_replay(&self) -> Option<Fate> {
        if !is_to_replay(self.dead.reason()) {
            Some(Fate::Hopeless)
        } else if self.is_worn_out() {
            Some(Fate::WornOut)
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
                "a replay has no room for attributes of its dead letter"
            );
        }
        Self { letter, body: message.body, attributes }
    }
}

/// Replays what is selected and, if that is forced, also of it what was replayed too often already or
/// would fail in the same way.
/// The counts of the dead-letter queue were read just before. `progress` is told how far it is.
pub(crate) async fn replay<S: Future<Output = ()>>(
    work: &Queue,
    dead: &Queue,
    counts: QueueCounts,
    (selection, force): (&Selection, bool),
    mut stop: Pin<&mut S>,
    progress: impl Fn(Step),
) -> anyhow::Result<Replayed> {
    let mut hold = Hold::new(dead);
    let (mut selected, mut others) = (Vec::new(), 0);
    let received = hold
        .receive_all(counts.visible, stop.as_mut(), |message: Message| {
            let letter = Letter::from_message(&message);
            if selection.takes(&letter) {
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
            selected.retain(|selected| selection.takes(&selected.letter));
            others += all - selected.len();
        }
        Err(ambiguous) if matches!(received, Ok(None)) => {
            if let Err(error) = hold.give_all_back().await {
                tracing::warn!("{:#}", dead_letters::not_given_back(error, dead));
            }
            return Err(ambiguous.into());
        }
        // Not all was seen, which is told below.
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
                    Some(fate) => replayed.letters.push((selected.letter, fate)),
                    None => to_send.push(selected),
                }
            }
            // What is not sent need not stay hidden for as long as sending takes.
            let ids: HashSet<&str> =
                to_send.iter().map(|selected| selected.letter.message_id.as_str()).collect();
            if let Err(error) = hold.give_back(|id| !ids.contains(id)).await {
                tracing::warn!("{:#}", dead_letters::not_given_back(error, dead));
            }
            drop(ids);
            progress(Step::Begin(to_send.len()));
            send_all(work, &mut hold, to_send, stop, progress, &mut replayed, dead).await;
        }
        // Nobody knows yet what all there is.
        Ok(Some(())) => replayed = Replayed { interrupted: true, ..Replayed::default() },
        Err(error) => {
            if let Err(error) = hold.give_all_back().await {
                tracing::warn!("{:#}", dead_letters::not_given_back(error, dead));
            }
            return Err(dead_letters::explain(error, dead));
        }
    }
    if let Err(error) = hold.give_all_back().await {
        let error = dead_letters::not_given_back(error, dead);
        match &replayed.problem {
            None => replayed.problem = Some(error),
            Some(_) => tracing::warn!("{error:#}"),
        }
    }
    Ok(replayed)
}

/// How far a replay is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// So many are to be sent.
    Begin(usize),
    /// So many more are done with.
    More(usize),
}

/// Sends and deletes in slices, until all is done, a call fails or `stop` is ready.
async fn send_all<S: Future<Output = ()>>(
    work: &Queue,
    hold: &mut Hold,
    to_send: Vec<Selected>,
    mut stop: Pin<&mut S>,
    progress: impl Fn(Step),
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
            let left = slice.into_iter().map(|selected| (selected.letter, Fate::Left("not tried".into())));
            replayed.letters.extend(left);
            continue;
        }
        let number = slice.len();
        send_slice(work, hold, slice, stop.as_mut(), replayed, dead).await;
        progress(Step::More(number));
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
    hold.make_sure(&ids).await;
    let (mut letters, mut entries) = (Vec::new(), Vec::new());
    for Selected { letter, body, attributes } in slice {
        if hold.is_sure(&letter.message_id) {
            entries.push(entry(entries.len(), body, &attributes));
            letters.push(letter);
        } else {
            let why = "it could not be kept hidden; somebody else may have it";
            replayed.letters.push((letter, Fate::Left(why.into())));
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
                // What is under way is waited for: else nobody knew what was sent.
                () = stop => (timeout(GRACE, &mut sending).await.unwrap_or(Ok(())), true),
            }
        })
        .await;
    replayed.interrupted |= stopped;
    if let Err(error) = sent {
        let advice = if error.kind == ErrorKind::Denied {
            "; allow sqs:SendMessage on it to whoever runs the producer"
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
            "; allow sqs:DeleteMessage on it to whoever runs the producer"
        } else {
            ""
        };
        let context = format!("could not delete from the dead-letter queue {}{advice}", dead.url);
        replayed.problem.get_or_insert(anyhow::Error::new(error.clone()).context(context));
    }
    for (letter, why) in letters.into_iter().zip(unsent) {
        let fate = match (why, refused.get(&letter.message_id)) {
            (Some(why), _) => Fate::Left(why),
            (None, Some(why)) => Fate::NotDeleted(why.to_string()),
            (None, None) => Fate::Replayed,
        };
        replayed.letters.push((letter, fate));
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

/// How many messages of these sizes go into each batch, in order: as many as it takes.
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
