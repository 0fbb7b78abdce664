// SPDX-License-Identifier: Apache-2.0
//! The messages of the dead-letter queue that this process has received. They are hidden from other
//! consumers until it releases or deletes them.
//!
//! SQS has no peek. A received message is hidden for a minute. A longer look must renew that, or it
//! would receive its first messages again under new receipt handles.

use std::{collections::HashMap, pin::Pin, time::Duration};

use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
};
use backon::{BackoffBuilder, ExponentialBuilder};
use engine::{AwsError, ErrorKind, Message, Queue, queue::is_receipt_lost};
use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The visibility timeout. What a killed process leaves behind is visible again after this time.
const HIDDEN: Duration = Duration::from_mins(1);

/// A message with less than the first left is renewed, together with all that have less than the second.
const RENEW_BELOW: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(45));

/// The minimum time left for a message to be acted on: more than a batch takes while AWS works normally.
const MIN_TIME_LEFT: Duration = Duration::from_secs(20);

/// The pause before a failed renewal is tried again.
const RENEW_RETRY: Duration = Duration::from_secs(10);

/// The long-poll wait. Any wait makes SQS query all of its servers; without one, an answer may be empty
/// although there are messages. Source:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>
const WAIT_SECONDS: i32 = 1;

/// How many receives in a row must be empty before the queue counts as empty.
const EMPTY_RECEIVES: usize = 2;

/// How long a look continues after it has seen as many messages as it counted at its beginning. What
/// still comes is mostly new, and a look would never end while workers dead-letter job after job.
const EXTRA_TIME: Duration = Duration::from_secs(10);

/// How long to wait for an in-flight call after an interruption: an abandoned receive hides the messages
/// it would have returned.
pub(crate) const GRACE: Duration = Duration::from_secs(3);

/// The timeout of a release. Messages not released by then become visible by themselves soon after.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum number of entries in a batch, and how many batches run concurrently.
const BATCH: usize = 10;
const CONCURRENCY: usize = 16;

/// How failed entries of a batch are retried: for about 3 to 6 s in all.
const AGAIN: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(200))
    .with_max_delay(Duration::from_secs(2))
    .with_max_times(4)
    .with_jitter();

#[derive(Debug)]
pub(crate) struct Hold {
    queue: Queue,
    held: HashMap<String, HeldMessage>,
    /// When the first message is due for renewal, or a little earlier.
    renewed_at: Option<Instant>,
    /// The permanent error that prevents renewals, if there is one.
    broken: Option<AwsError>,
}

#[derive(Debug)]
struct HeldMessage {
    /// The newest receipt handle: older ones have no effect, and SQS does not always report that.
    handle: String,
    /// Until when it is hidden for certain.
    until: Instant,
    renewed_at: Instant,
}

/// A change to held messages.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// Sets the visibility timeout, in seconds from now.
    Visibility(i32),
    Delete,
}

/// Why a change was not made.
#[derive(Debug, Clone)]
pub(crate) enum Refused {
    /// The receipt handle is no longer valid.
    ReceiptLost,
    Entry(String),
    Call(AwsError),
}

impl Hold {
    pub(crate) fn new(queue: &Queue) -> Self {
        Self { queue: queue.clone(), held: HashMap::new(), renewed_at: None, broken: None }
    }

    /// Receives all messages, each once, and holds them. `expected` is how many the queue has just
    /// counted. If `stop` completes first, returns its output; the messages received until then are held
    /// all the same.
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
            if self.held.len() >= expected && begun - *seen_since.get_or_insert(begun) >= EXTRA_TIME {
                tracing::warn!("dead letters keep arriving; the next look will read the newest");
                return Ok(None);
            }
            let receiving = self.queue.clone();
            // Boxed, as each call below: the state of an SDK call takes kilobytes.
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
                // SQS returns no more at its limit of messages in flight.
                Err(error) if error.code.ends_with("OverLimit") => {
                    tracing::warn!(
                        "SQS allows at most 120,000 messages in flight; there may be more dead letters"
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
            // Otherwise the held messages would be received again each minute, without end.
            if let Some(error) = self.broken.take() {
                return Err(error);
            }
        }
        Ok(None)
    }

    /// Holds a message that was received after `begun`, and passes it on if it is new. A message that is
    /// held already came back because a renewal failed: its newest handle is the valid one.
    fn take_in(&mut self, message: Message, begun: Instant, take: &mut impl FnMut(Message)) {
        let held = HeldMessage {
            handle: message.receipt.clone(),
            until: begun + HIDDEN,
            renewed_at: begun + HIDDEN - RENEW_BELOW.0,
        };
        self.renewed_at = Some(self.renewed_at.map_or(held.renewed_at, |first| first.min(held.renewed_at)));
        if self.held.insert(message.id.clone(), held).is_none() {
            take(message);
        }
    }

    /// Runs `work` and keeps the held messages hidden meanwhile.
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

    /// Renews the messages that would soon become visible.
    async fn renew(&mut self) {
        let begun = Instant::now();
        let is_soon = |held: &HeldMessage| held.until > begun && held.until <= begun + RENEW_BELOW.1;
        let is_due = |held: &HeldMessage| held.renewed_at <= begun || is_soon(held);
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
                None => (begun + HIDDEN, begun + HIDDEN - RENEW_BELOW.0),
                // A lost receipt can't be renewed.
                Some(Refused::ReceiptLost) => (begun, begun + Duration::from_hours(24)),
                Some(_) => (held.until, Instant::now() + RENEW_RETRY),
            };
        }
        self.renewed_at = self.held.values().map(|held| held.renewed_at).min();
    }

    /// Whether a message stays hidden long enough to act on it.
    pub(crate) fn has_time_left(&self, id: &str) -> bool {
        self.held.get(id).is_some_and(|held| held.until > Instant::now() + MIN_TIME_LEFT)
    }

    /// Renews messages that are about to become visible, so that as many as possible [have time
    /// left](Self::has_time_left).
    pub(crate) async fn ensure_time_left(&mut self, ids: &[&str]) {
        if ids.iter().any(|id| !self.has_time_left(id)) {
            self.renew().await;
        }
    }

    /// Deletes messages and stops holding them. Returns those that could not be deleted, with the
    /// reason: they are still held.
    pub(crate) async fn delete(&mut self, ids: &[String]) -> HashMap<String, Refused> {
        let refused = self.change(ids, Change::Delete, Some(AGAIN)).await;
        for id in ids.iter().filter(|id| !refused.contains_key(*id)) {
            self.held.remove(id);
        }
        refused
    }

    /// Makes messages visible again and stops holding them.
    pub(crate) async fn release(&mut self, wanted: impl Fn(&str) -> bool) -> Result<(), AwsError> {
        let ids: Vec<String> = self.held.keys().filter(|id| wanted(id)).cloned().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let refused = timeout(RELEASE_TIMEOUT, self.change(&ids, Change::Visibility(0), Some(AGAIN))).await;
        self.held.retain(|id, _| !wanted(id));
        let refused = refused.map_err(|_| {
            AwsError::new(ErrorKind::Transient, "sqs:ChangeMessageVisibility", "Timeout")
                .message(format!("not done in {} s", RELEASE_TIMEOUT.as_secs()))
        })?;
        let mut failed = Ok(());
        for (message_id, why) in refused {
            match why {
                // It is visible already, or another consumer has it.
                Refused::ReceiptLost => {}
                Refused::Entry(why) => {
                    tracing::warn!(
                        message_id,
                        why,
                        "could not release a dead letter; it becomes visible in a minute"
                    );
                }
                // A failed call is logged once, not once per message.
                Refused::Call(error) => failed = Err(error),
            }
        }
        failed
    }

    pub(crate) async fn release_all(&mut self) -> Result<(), AwsError> {
        self.release(|_| true).await
    }

    /// Changes messages in batches. Returns those that were not changed after all retries, with the
    /// reason.
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
            let (again, permanent): (Vec<_>, Vec<_>) =
                answers.into_iter().flatten().partition(|(_, why)| matches!(why, Refused::Entry(_)));
            refused.extend(permanent);
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
            Self::ReceiptLost => f.write_str("it is visible again, or another consumer has it"),
            Self::Entry(why) => f.write_str(why),
            Self::Call(error) => error.fmt(f),
        }
    }
}

/// Changes up to ten messages, given by ID and receipt handle. Returns those that were not changed.
async fn one_batch(queue: &Queue, batch: Vec<(String, String)>, change: Change) -> Vec<(String, Refused)> {
    let entries = batch.iter().enumerate().map(|(index, (_, handle))| (index.to_string(), handle));
    let answer = match change {
        Change::Visibility(seconds) => {
            let entries = entries.map(|(id, handle)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder();
                let entry = entry.id(id).receipt_handle(handle).visibility_timeout(seconds).build();
                entry.expect("cannot fail: id and handle are set")
            });
            let call = queue.client.change_message_visibility_batch().queue_url(&queue.url);
            let sent = call.set_entries(Some(entries.collect())).send().await;
            let answer = sent.map_err(|error| queue.failed("sqs:ChangeMessageVisibility", error));
            answer.map(|answer| (names(answer.successful(), |done| done.id()), answer.failed))
        }
        Change::Delete => {
            let entries = entries.map(|(id, handle)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build();
                entry.expect("cannot fail: id and handle are set")
            });
            let call = queue.client.delete_message_batch().queue_url(&queue.url);
            let sent = call.set_entries(Some(entries.collect())).send().await;
            let answer = sent.map_err(|error| queue.failed("sqs:DeleteMessage", error));
            answer.map(|answer| (names(answer.successful(), |done| done.id()), answer.failed))
        }
    };
    let (done, failed) = match answer {
        Ok(answer) => answer,
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
        return Refused::Entry("SQS's response does not list it".into());
    };
    if is_receipt_lost(failed.code()) {
        return Refused::ReceiptLost;
    }
    Refused::Entry(format!("{}: {}", failed.code(), failed.message().unwrap_or_default()))
}

#[cfg(test)]
mod tests;
