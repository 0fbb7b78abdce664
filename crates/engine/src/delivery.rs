// SPDX-License-Identifier: Apache-2.0
//! One delivery of a message: the lease is held while the work runs, then the message is settled:
//! deleted, hidden until its next attempt, dead-lettered with a reason, or returned to the queue.
//!
//! A message is deleted only after the result of its work, or its dead-letter copy, is safe.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use anyhow::anyhow;
use chrono::Utc;
use futures::FutureExt;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::{
    Attempt, BadMessage, Completed, Failed, Kind, Label, Measures, Message, Queue, Retry, Work,
    attempt::LONGEST,
    dead_letter::Cause,
    kind::span,
    lease::{Lease, Leased},
    redact,
    retry::{Disposition, Receives},
};

/// How long work that must end may take to store its results: the largest result has some megabytes.
const STORING: Duration = Duration::from_mins(2);

/// The same if the worker is stopping: the rest of the time for returning messages is reserved for SQS.
const STORING_IN_HASTE: Duration = Duration::from_secs(1);

/// The pause of a message without a dead-letter queue: each attempt may cost something.
const NOWHERE: Duration = Duration::from_hours(2);

/// How long SQS may take to register that a poll has ended.
const POLL_ENDS: Duration = Duration::from_millis(200);

/// The pause of a message whose dead letter could not be sent.
const UNSENT: Duration = Duration::from_secs(30);

/// The reasons that the engine itself gives. All others are those of the kinds.
pub const BAD_MESSAGE: &str = "bad_message";
pub const DEADLINE: &str = "deadline";
pub const PANIC: &str = "panic";
pub const LEASE_LOST: &str = "lease_lost";

/// The queue that a worker takes messages from.
#[derive(Debug, Clone)]
pub struct WorkQueue {
    pub queue: Queue,
    /// How long a received message stays hidden, and how long each renewal lasts.
    pub visibility_timeout: Duration,
    /// Where failed messages go; `None` if the queue has no redrive policy.
    pub dead_letters: Option<DeadLetters>,
}

/// The dead-letter queue of a work queue.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    pub queue: Queue,
    /// After how many receives SQS moves a message there itself.
    pub max_receive_count: u32,
}

/// How a delivery ended.
#[derive(Debug)]
pub enum Outcome {
    /// The result is stored.
    Done(Completed),
    /// It is on the dead-letter queue, with its reason.
    DeadLettered,
    /// It stays on the queue for a later attempt.
    Retried,
    /// It was returned to the queue.
    Returned,
    /// It becomes visible when its visibility timeout ends.
    Abandoned,
    /// It was returned to the queue, and this worker can't do any work.
    WorkerFault(anyhow::Error),
}

/// The record of a settled delivery.
#[derive(Debug)]
pub struct Settled {
    pub outcome: Outcome,
    /// The reason code, if the work failed.
    pub reason: Option<&'static str>,
    pub labels: Vec<Label>,
    pub message_id: String,
    /// How often the message has been received, this time included.
    pub receive_count: u32,
    /// What the work has spent, whatever the outcome.
    pub spent: Option<Measures>,
    /// The time from the receipt of the message until it was settled.
    pub took: Duration,
}

/// A message in flight.
struct Delivery {
    queue: Arc<WorkQueue>,
    message: Message,
    lease: Lease,
    receives: Receives,
    attempt: Attempt,
    work: Result<Box<dyn Work>, BadMessage>,
}

/// How to end the delivery.
enum Verdict {
    /// The purpose of the message is fulfilled or safely recorded.
    Delete(Outcome),
    Hide(Duration),
    /// The message is not at fault; `Some` if this worker can't do any work.
    Release(Option<anyhow::Error>),
}

/// Runs the work of a message that has just been received, and settles it. Once `release` is cancelled,
/// the work is dropped and the message returned to the queue.
pub fn deliver(
    queue: Arc<WorkQueue>,
    kinds: &[Box<dyn Kind>],
    message: Message,
    release: CancellationToken,
) -> impl Future<Output = Settled> + Send + use<> {
    let delivery = Delivery::new(queue, kinds, message);
    let span = delivery.span();
    async move {
        let run = delivery.run(&release);
        let (outcome, reason) = match delivery.lease.while_held(Box::pin(run), &release).await {
            Leased::Ended((verdict, reason)) | Leased::EndedLate((verdict @ Verdict::Delete(_), reason)) => {
                (settle(&delivery.lease, verdict).await, reason)
            }
            // The message stays untouched, and the worker stops anyway.
            Leased::EndedLate((Verdict::Release(Some(fault)), reason)) => (Outcome::WorkerFault(fault), reason),
            Leased::EndedLate(_) | Leased::Lost => {
                tracing::error!(
                    reason = LEASE_LOST,
                    "the job is dropped: its visibility could not be renewed in time, so another worker may have it"
                );
                (Outcome::Abandoned, Some(LEASE_LOST))
            }
        };
        delivery.over(outcome, reason)
    }
    .instrument(span)
}

/// Returns a message that has just been received, and that this worker will not process.
pub fn release(
    queue: Arc<WorkQueue>,
    kinds: &[Box<dyn Kind>],
    message: Message,
) -> impl Future<Output = Settled> + Send + use<> {
    let delivery = Delivery::new(queue, kinds, message);
    async move {
        let outcome = release_to(&delivery.lease).await;
        delivery.over(outcome, None)
    }
}

impl Delivery {
    fn new(queue: Arc<WorkQueue>, kinds: &[Box<dyn Kind>], message: Message) -> Self {
        let lease = Lease::new(&queue.queue, &message, queue.visibility_timeout);
        let most = queue.dead_letters.as_ref().map(|dead_letters| dead_letters.max_receive_count);
        let receives = Receives { count: message.receive_count, most };
        let attempt = Attempt::new(receives.are_nearly_spent());
        let work = read(kinds, &message);
        Self { queue, message, lease, receives, attempt, work }
    }

    fn span(&self) -> Span {
        self.work.as_ref().map_or_else(|_| span(&self.message), |work| work.span(&self.message))
    }

    fn labels(&self) -> Vec<Label> {
        match &self.work {
            Ok(work) => work.labels(),
            Err(bad) => bad.labels.clone(),
        }
    }

    fn spent(&self) -> Option<Measures> {
        self.work.as_ref().ok()?.spent()
    }

    /// How long to wait for a run that was asked to end: not at all if it has spent nothing.
    fn patience(&self, longest: Duration) -> Duration {
        let has_paid = self.spent().is_some_and(|spent| spent.dollars > 0.0);
        if has_paid { longest } else { Duration::ZERO }
    }

    /// Runs the work, and decides how to settle the delivery, with the reason if the work failed. A dead
    /// letter is sent by then.
    async fn run(&self, release: &CancellationToken) -> (Verdict, Option<&'static str>) {
        let ended = match &self.work {
            Err(BadMessage { reason, source, .. }) => {
                Err(Failed { reason, retry: Retry::Never, source: anyhow!("{source:#}") })
            }
            Ok(work) => {
                let run = self.bounded(work.as_ref());
                tokio::pin!(run);
                tokio::select! {
                    biased;
                    ended = &mut run => ended,
                    // Only the work is dropped: a dead letter in flight would be sent twice.
                    () = release.cancelled() => {
                        match self.attempt.wrap_up(run, self.patience(STORING_IN_HASTE)).await {
                            Some(Ok(done)) => Ok(done),
                            Some(Err(_)) | None => return (Verdict::Release(None), None),
                        }
                    }
                }
            }
        };
        let Failed { reason, retry, source } = match ended {
            Ok(done) => return (Verdict::Delete(Outcome::Done(done)), None),
            Err(failed) => failed,
        };
        let step = self.attempt.step();
        let verdict = match Disposition::new(retry, self.receives, fastrand::f64()) {
            Disposition::StopWorker => {
                release.cancel();
                Verdict::Release(Some(source))
            }
            Disposition::RetryAfter(pause) => {
                let pause_s = pause.as_secs();
                tracing::warn!(reason, step, pause_s, "the job failed and will be retried: {source:#}");
                Verdict::Hide(pause)
            }
            Disposition::DeadLetter => {
                tracing::error!(reason, step, "the job can't be done: {source:#}");
                let first_received_at = self.message.first_received_at;
                self.send_dead_letter(Cause {
                    reason: reason.to_owned(),
                    message: format!("{source:#}"),
                    step: step.to_owned(),
                    receive_count: self.receives.count,
                    first_seen: Some(first_received_at.unwrap_or_else(Utc::now)),
                    worker_version: crate::VERSION.to_owned(),
                })
                .await
            }
        };
        (verdict, Some(reason))
    }

    /// Runs the work with a time limit, and catches panics. Work that exceeds the limit is asked to
    /// store its results.
    async fn bounded(&self, work: &dyn Work) -> Result<Completed, Failed> {
        let run = AssertUnwindSafe(work.run(&self.attempt)).catch_unwind();
        tokio::pin!(run);
        let ended = match timeout(LONGEST, &mut run).await {
            Ok(ended) => Some(ended),
            Err(_) => self.attempt.wrap_up(run, self.patience(STORING)).await,
        };
        let source = match ended {
            Some(Ok(ended)) => return ended,
            Some(Err(panic)) => {
                let source = anyhow!("the worker panicked: {}", panic_text(panic.as_ref()));
                return Err(Failed { reason: PANIC, retry: Retry::Backoff, source });
            }
            None => anyhow!("the job was not done in {} minutes", LONGEST.as_secs() / 60),
        };
        Err(Failed { reason: DEADLINE, retry: Retry::Never, source })
    }

    /// Sends the dead letter. The message may be deleted only if that succeeds.
    async fn send_dead_letter(&self, cause: Cause) -> Verdict {
        let Some(dead_letters) = &self.queue.dead_letters else {
            tracing::error!(
                "the queue has no dead-letter queue; the job stays on the queue and will be retried"
            );
            return Verdict::Hide(NOWHERE);
        };
        let Some((attributes, left_out)) = cause.attributes(&self.message, &self.labels()) else {
            tracing::error!(
                bytes = self.message.body.len(),
                "the message is too large to add a reason; SQS will move it"
            );
            return Verdict::Hide(Duration::ZERO);
        };
        if !left_out.is_empty() {
            tracing::warn!(
                attributes = left_out.join(", "),
                "the dead letter drops attributes of its message"
            );
        }
        match dead_letters.queue.send(&self.message.body, &attributes).await {
            Ok(()) => Verdict::Delete(Outcome::DeadLettered),
            Err(error) => {
                tracing::error!(
                    error = %error,
                    dead_letter_queue = dead_letters.queue.url,
                    "the dead letter could not be sent; the job stays on the queue and will be retried"
                );
                Verdict::Hide(UNSENT)
            }
        }
    }

    fn over(self, outcome: Outcome, reason: Option<&'static str>) -> Settled {
        Settled {
            outcome,
            reason,
            spent: self.spent(),
            labels: self.labels(),
            message_id: self.message.id,
            receive_count: self.receives.count,
            took: self.lease.received_at.elapsed(),
        }
    }
}

/// Reads a message with the first kind that accepts it.
fn read(kinds: &[Box<dyn Kind>], message: &Message) -> Result<Box<dyn Work>, BadMessage> {
    kinds.iter().find_map(|kind| kind.read(message)).unwrap_or_else(|| {
        let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        let source = anyhow!("the message has no kind that this worker knows: {}", names.join(", "));
        Err(BadMessage { reason: BAD_MESSAGE, source, labels: Vec::new() })
    })
}

async fn settle(lease: &Lease, verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Delete(outcome) => {
            if let Err(error) = lease.delete().await {
                // It will be received again and settled in the same way.
                tracing::warn!(error = %error, "the message of a settled job could not be deleted");
            }
            outcome
        }
        Verdict::Hide(pause) => match lease.hide(pause).await {
            Ok(()) => Outcome::Retried,
            Err(error) => {
                tracing::warn!(error = %error, "the job's pause could not be set; it becomes visible when its visibility timeout ends");
                Outcome::Abandoned
            }
        },
        Verdict::Release(fault) => {
            let outcome = release_to(lease).await;
            fault.map_or(outcome, Outcome::WorkerFault)
        }
    }
}

async fn release_to(lease: &Lease) -> Outcome {
    // A poll in flight would receive the message at once.
    sleep(POLL_ENDS).await;
    match lease.release().await {
        Ok(()) => {
            tracing::info!("the job is returned to the queue");
            Outcome::Returned
        }
        Err(error) => {
            tracing::warn!(error = %error, "the job could not be returned to the queue; it becomes visible when its visibility timeout ends");
            Outcome::Abandoned
        }
    }
}

/// The message of a panic.
#[must_use]
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.map_or_else(|| "no panic message".to_owned(), |text| redact(&text))
}

#[cfg(test)]
mod tests;
