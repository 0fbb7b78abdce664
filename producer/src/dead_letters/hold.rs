//! Messages of the dead-letter queue that this process has received, and hides from everybody else
//! until it gives them back or deletes them.
//!
//! SQS has no peek. What is received is hidden for a minute; a look that takes longer has to renew
//! that, or it would meet its first messages again, under other receipt handles than it knows.

use std::{collections::HashMap, pin::Pin, time::Duration};

use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
};
use backon::{BackoffBuilder, ExponentialBuilder};
use engine::{AwsError, ErrorKind, Message, Queue, queue::is_receipt_lost};
use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// For how long a received message is hidden: what a killed process leaves behind is back by then.
const HIDDEN: Duration = Duration::from_mins(1);

/// With less than this left, a message is renewed, and with it all that have less than the second.
const RENEWED_BELOW: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(45));

/// What a message must have left to be acted on: more than a batch takes, unless AWS is ill.
const SURE: Duration = Duration::from_secs(20);

/// How soon a renewal that failed is tried again.
const RENEWED_AGAIN: Duration = Duration::from_secs(10);

/// How many seconds a receive waits for a message. Any wait at all makes SQS ask all of its servers;
/// without one an answer may be empty while there is something.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>
const WAIT_SECONDS: i32 = 1;

/// How many receives in a row must bring nothing before a queue is believed to be empty.
const EMPTY_RECEIVES: usize = 2;

/// How long a look goes on once it has seen as many as there were at its beginning: what still comes
/// then is mostly new, and with workers that give up job after job there would be no end of it.
const GOING_ON: Duration = Duration::from_secs(10);

/// How long what is under way may still take once somebody stops it: a receive that is dropped half-way
/// hides what it would have brought.
pub(crate) const GRACE: Duration = Duration::from_secs(3);

/// How long giving back may take; what is left then comes back by itself soon after.
const GIVING_BACK: Duration = Duration::from_secs(30);

/// The most entries of a batch, and how many batches run beside each other.
const BATCH: usize = 10;
const CONCURRENCY: usize = 16;

/// How often, and after which pauses, failed entries of a batch are tried again: about 3 to 6 s in all.
const AGAIN: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(200))
    .with_max_delay(Duration::from_secs(2))
    .with_max_times(4)
    .with_jitter();

/// The messages that are held.
#[derive(Debug)]
pub(crate) struct Hold {
    queue: Queue,
    held: HashMap<String, Held>,
    /// When the first of them is to be renewed, or a little earlier.
    renewed_at: Option<Instant>,
    /// Why nothing can be renewed, where it is for good.
    broken: Option<AwsError>,
}

/// A message that is held.
#[derive(Debug)]
struct Held {
    /// The newest receipt handle: older ones do nothing, and SQS does not always say so.
    handle: String,
    /// Until when it is hidden for sure.
    until: Instant,
    /// When to renew that.
    renewed_at: Instant,
}

/// What is to be done to messages that are held.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// Hide them for so many seconds from now.
    Visibility(i32),
    /// Delete them.
    Delete,
}

/// Why a change was not made.
#[derive(Debug, Clone)]
pub(crate) enum Refused {
    /// The message is not ours any more.
    NotOurs,
    /// SQS refused this entry.
    Entry(String),
    /// The whole call failed.
    Call(AwsError),
}

impl Hold {
    /// Holds nothing yet.
    pub(crate) fn new(queue: &Queue) -> Self {
        Self { queue: queue.clone(), held: HashMap::new(), renewed_at: None, broken: None }
    }

    /// Receives all that there is, each message once, and holds it. `expected` is how many the queue
    /// counted just before. Where `stop` is ready before the end, gives what it says; what was received until then is held all the same.
    pub(crate) async fn receive_all<S: Future>(
        &mut self,
        expected: u64,
        mut stop: Pin<&mut S>,
        mut take: impl FnMut(Message),
    ) -> Result<Option<S::Output>, AwsError> {
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        let mut empty = 0;
        let mut seen_since = None;
        while empty < EMPTY_RECEIVES {
            let begun = Instant::now();
            if self.held.len() >= expected && begun - *seen_since.get_or_insert(begun) >= GOING_ON {
                tracing::warn!("dead letters keep coming; the newest are left for the next look");
                return Ok(None);
            }
            let receiving = self.queue.clone();
            // On the heap, as each call below: the state of an SDK call takes kilobytes.
            let mut receive = Box::pin(receiving.receive(BATCH, HIDDEN, WAIT_SECONDS));
            let stop = stop.as_mut();
            let (messages, stopped) = self
                .holding(async {
                    tokio::select! {
                        biased;
                        stopped = stop => {
                            let last = timeout(GRACE, receive).await;
                            (last.unwrap_or_else(|_| Ok(Vec::new())), Some(stopped))
                        }
                        messages = &mut receive => (messages, None),
                    }
                })
                .await;
            let messages = match messages {
                Ok(messages) => messages,
                Err(_) if stopped.is_some() => return Ok(stopped),
                // So many are in flight that SQS gives no more.
                Err(error) if error.code.ends_with("OverLimit") => {
                    tracing::warn!(
                        "SQS lets no more than 120,000 dead letters be seen at once; there may be more"
                    );
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            empty = if messages.is_empty() { empty + 1 } else { 0 };
            for message in messages {
                self.take_in(message, begun, &mut take);
            }
            if stopped.is_some() {
                return Ok(stopped);
            }
            // Else what is held would come again each minute, and there were no end of it.
            if let Some(error) = self.broken.take() {
                return Err(error);
            }
        }
        Ok(None)
    }

    /// Holds a message that was received after `begun`, and passes it on where it is new. One that is
    /// held already came back because a renewal failed: its newest handle is the one that counts.
    fn take_in(&mut self, message: Message, begun: Instant, take: &mut impl FnMut(Message)) {
        let held = Held {
            handle: message.receipt.clone(),
            until: begun + HIDDEN,
            renewed_at: begun + HIDDEN - RENEWED_BELOW.0,
        };
        self.renewed_at = Some(self.renewed_at.map_or(held.renewed_at, |first| first.min(held.renewed_at)));
        if self.held.insert(message.id.clone(), held).is_none() {
            take(message);
        }
    }

    /// Does something that takes its time, and keeps what is held hidden meanwhile.
    pub(crate) async fn holding<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            let next = self.renewed_at;
            let due = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = due => self.renew().await,
            }
        }
    }

    /// Hides for another minute what is soon not hidden any more.
    async fn renew(&mut self) {
        let begun = Instant::now();
        let is_soon = |held: &Held| held.until > begun && held.until <= begun + RENEWED_BELOW.1;
        let is_due = |held: &Held| held.renewed_at <= begun || is_soon(held);
        let ids: Vec<String> =
            self.held.iter().filter(|(_, held)| is_due(held)).map(|(id, _)| id.clone()).collect();
        let seconds = i32::try_from(HIDDEN.as_secs()).unwrap_or(i32::MAX);
        let refused = self.change(&ids, Change::Visibility(seconds), None).await;
        if !refused.is_empty() {
            let why = refused.values().next().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(dead_letters = refused.len(), why, "could not keep all dead letters hidden");
        }
        self.broken = refused.values().find_map(|why| match why {
            Refused::Call(error) if !error.is_transient() => Some(error.clone()),
            _ => None,
        });
        for id in ids {
            let Some(held) = self.held.get_mut(&id) else { continue };
            (held.until, held.renewed_at) = match refused.get(&id) {
                None => (begun + HIDDEN, begun + HIDDEN - RENEWED_BELOW.0),
                // Nothing renews it any more.
                Some(Refused::NotOurs) => (begun, begun + Duration::from_hours(24)),
                Some(_) => (held.until, Instant::now() + RENEWED_AGAIN),
            };
        }
        self.renewed_at = self.held.values().map(|held| held.renewed_at).min();
    }

    /// Whether a message is hidden from others for long enough to do something with it.
    pub(crate) fn is_sure(&self, id: &str) -> bool {
        self.held.get(id).is_some_and(|held| held.until > Instant::now() + SURE)
    }

    /// Renews what is about to become visible, so that as much as possible [is sure](Self::is_sure).
    pub(crate) async fn make_sure(&mut self, ids: &[&str]) {
        if ids.iter().any(|id| !self.is_sure(id)) {
            self.renew().await;
        }
    }

    /// Deletes messages, and holds them no longer. Gives those that are not deleted with why: they are
    /// still held.
    pub(crate) async fn delete(&mut self, ids: &[String]) -> HashMap<String, Refused> {
        let refused = self.change(ids, Change::Delete, Some(AGAIN)).await;
        for id in ids.iter().filter(|id| !refused.contains_key(*id)) {
            self.held.remove(id);
        }
        refused
    }

    /// Makes messages visible again, and holds them no longer.
    pub(crate) async fn give_back(&mut self, wanted: impl Fn(&str) -> bool) -> Result<(), AwsError> {
        let ids: Vec<String> = self.held.keys().filter(|id| wanted(id)).cloned().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let refused = timeout(GIVING_BACK, self.change(&ids, Change::Visibility(0), Some(AGAIN))).await;
        self.held.retain(|id, _| !wanted(id));
        let refused = refused.map_err(|_| {
            AwsError::new(ErrorKind::Transient, "sqs:ChangeMessageVisibility", "Timeout")
                .message(format!("not done in {} s", GIVING_BACK.as_secs()))
        })?;
        let mut failed = Ok(());
        for (message_id, why) in refused {
            match why {
                // It is visible already, or somebody else has it.
                Refused::NotOurs => {}
                Refused::Entry(why) => {
                    tracing::warn!(
                        message_id,
                        why,
                        "a dead letter is not given back; it shows again in a minute"
                    );
                }
                // One call that fails is told once, and not for each message.
                Refused::Call(error) => failed = Err(error),
            }
        }
        failed
    }

    /// Makes all messages visible again that are held.
    pub(crate) async fn give_all_back(&mut self) -> Result<(), AwsError> {
        self.give_back(|_| true).await
    }

    /// Changes messages in batches; gives those that were not changed, after the tries, with why.
    async fn change(
        &self,
        ids: &[String],
        change: Change,
        again: Option<ExponentialBuilder>,
    ) -> HashMap<String, Refused> {
        let mut pauses = again.map(BackoffBuilder::build);
        let mut left = ids.to_vec();
        let mut refused = HashMap::new();
        loop {
            let batches: Vec<Vec<(String, String)>> = left
                .chunks(BATCH)
                .map(|ids| ids.iter().filter_map(|id| Some((id.clone(), self.held.get(id)?.handle.clone()))))
                .map(Iterator::collect)
                .collect();
            let answers = stream::iter(batches).map(|batch| Box::pin(one_batch(&self.queue, batch, change)));
            let answers: Vec<_> = answers.buffer_unordered(CONCURRENCY).collect().await;
            let (again, for_good): (Vec<_>, Vec<_>) =
                answers.into_iter().flatten().partition(|(_, why)| matches!(why, Refused::Entry(_)));
            refused.extend(for_good);
            let pause = pauses.as_mut().and_then(Iterator::next).filter(|_| !again.is_empty());
            let Some(pause) = pause else {
                refused.extend(again);
                return refused;
            };
            left = again.into_iter().map(|(id, _)| id).collect();
            sleep(pause).await;
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotOurs => f.write_str("it is visible again, or somebody else has it"),
            Self::Entry(why) => f.write_str(why),
            Self::Call(error) => error.fmt(f),
        }
    }
}

/// Changes up to ten messages, given by id and receipt handle; gives those that were not changed.
async fn one_batch(queue: &Queue, batch: Vec<(String, String)>, change: Change) -> Vec<(String, Refused)> {
    let entries = batch.iter().enumerate().map(|(index, (_, handle))| (index.to_string(), handle));
    let answered = match change {
        Change::Visibility(seconds) => {
            let entries = entries.map(|(id, handle)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder();
                let entry = entry.id(id).receipt_handle(handle).visibility_timeout(seconds).build();
                entry.expect("cannot fail: id and handle are set")
            });
            let call = queue.client.change_message_visibility_batch().queue_url(&queue.url);
            let answer = call.set_entries(Some(entries.collect())).send().await;
            let answer = answer.map_err(|error| queue.failed("sqs:ChangeMessageVisibility", error));
            answer.map(|answer| (names(answer.successful(), |done| done.id()), answer.failed))
        }
        Change::Delete => {
            let entries = entries.map(|(id, handle)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build();
                entry.expect("cannot fail: id and handle are set")
            });
            let call = queue.client.delete_message_batch().queue_url(&queue.url);
            let answer = call.set_entries(Some(entries.collect())).send().await;
            let answer = answer.map_err(|error| queue.failed("sqs:DeleteMessage", error));
            answer.map(|answer| (names(answer.successful(), |done| done.id()), answer.failed))
        }
    };
    let (done, failed) = match answered {
        Ok(answered) => answered,
        Err(error) => {
            return batch.into_iter().map(|(id, _)| (id, Refused::Call(error.clone()))).collect();
        }
    };
    let refused = batch.into_iter().enumerate().map(|(index, (id, _))| (index.to_string(), id));
    let refused = refused.filter(|(index, _)| !done.contains(index));
    refused.map(|(index, id)| (id, why(failed.iter().find(|failed| failed.id() == index)))).collect()
}

fn names<T>(done: &[T], id: fn(&T) -> &str) -> Vec<String> {
    done.iter().map(|done| id(done).to_owned()).collect()
}

fn why(failed: Option<&BatchResultErrorEntry>) -> Refused {
    let Some(failed) = failed else {
        return Refused::Entry("SQS's answer does not name it".into());
    };
    if is_receipt_lost(failed.code()) {
        return Refused::NotOurs;
    }
    Refused::Entry(format!("{}: {}", failed.code(), failed.message().unwrap_or_default()))
}

#[cfg(test)]
mod tests;
