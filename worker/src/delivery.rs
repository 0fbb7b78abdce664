//! One delivery of a job: the message is held while the job is done, and then it is settled: deleted,
//! put off, given up with a reason, or given back.
//!
//! A message is deleted only after its report, or its dead-letter copy, is safe.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use aws_sdk_sqs::{Client, types::Message};
use chrono::Utc;
use fleet::{
    AwsError, Job, Labels, Reason, dead_letter,
    job::{Envelope, JobError},
    queue,
};
use futures::FutureExt;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    attempt::{Attempt, LONGEST},
    failure::Failure,
    fate::{Fate, Receives},
    lease::{Held, Lease},
    report::Done,
    usage::Usage,
};

/// How long a job that has to end may take to store what it has: the largest report is some megabytes.
const STORING: Duration = Duration::from_mins(2);

/// How long it may take if the worker is leaving: the rest of the time that giving back has is for SQS.
const STORING_IN_HASTE: Duration = Duration::from_secs(1);

/// How long a job is put off that has nowhere to go: it is paid for each time.
const NOWHERE: Duration = Duration::from_hours(2);

/// How long the end of a poll may take to be known to SQS.
const POLL_ENDS: Duration = Duration::from_millis(200);

/// How long a job is put off whose dead letter could not be sent.
const UNSENT: Duration = Duration::from_secs(30);

/// The work queue, as far as a message of it goes.
#[derive(Debug, Clone)]
pub struct WorkQueue {
    /// SQS, in the queue's region.
    pub client: Client,
    /// The queue.
    pub url: String,
    /// How long a received message stays hidden, and how long each renewal lasts.
    pub visibility_timeout: Duration,
    /// Where jobs go that can't be done; none where the queue has no redrive policy.
    pub dead_letters: Option<DeadLetterQueue>,
}

/// Where jobs go that can't be done.
#[derive(Debug, Clone)]
pub struct DeadLetterQueue {
    /// The dead-letter queue.
    pub url: String,
    /// After how many receives the work queue moves a message there by itself.
    pub max_receive_count: u32,
}

/// How a delivery ended.
#[derive(Debug)]
pub enum Ended {
    /// The report stands.
    Done(Done),
    /// It is on the dead-letter queue, with its reason.
    DeadLettered,
    /// It stays on the queue, to be tried again later.
    PutOff,
    /// It is back on the queue.
    GivenBack,
    /// It is left as it is, and comes back when its visibility ends.
    Left,
    /// It is back on the queue, and this worker can't do any job.
    OwnFault(Failure),
}

/// A delivery that is over.
#[derive(Debug)]
pub struct Settled {
    /// How it ended.
    pub ended: Ended,
    /// Why the job is not done, where something is wrong.
    pub reason: Option<Reason>,
    /// The account, dataset and run, as far as the message tells.
    pub labels: Labels,
    /// What SQS knows the message by.
    pub message_id: String,
    /// How often the message was received, this time included.
    pub receives: u32,
    /// What the account was asked, whatever came of it.
    pub usage: Usage,
    /// The time from when the message came until it was settled.
    pub took: Duration,
}

/// A message in hand.
struct Delivery {
    queue: Arc<WorkQueue>,
    message: Message,
    lease: Lease,
    labels: Labels,
    receives: Receives,
    attempt: Arc<Attempt>,
}

/// What is to be done with the message.
enum Verdict {
    /// What it was for is safe.
    Delete(Ended),
    Hide(Duration),
    /// Nothing is wrong with the job; and where this worker can't do any, why.
    GiveBack(Option<Failure>),
}

/// Takes a message that came just now, does its job by `perform` and settles it. Once `let_go` is
/// cancelled, the job is dropped where it stands and its message given back.
pub fn deliver<Perform, Performing>(
    queue: Arc<WorkQueue>,
    message: Message,
    let_go: CancellationToken,
    perform: Perform,
) -> impl Future<Output = Settled> + Send
where
    Perform: FnOnce(Job, Arc<Attempt>) -> Performing + Send,
    Performing: Future<Output = Result<Done, Failure>> + Send,
{
    let lease = Lease::on(&message, &queue.client, &queue.url, queue.visibility_timeout);
    let span = tracing::info_span!(
        "job",
        message_id = message.message_id(),
        attempt = queue::receive_count(&message),
        account_name = tracing::field::Empty,
        dataset = tracing::field::Empty,
        run_id = tracing::field::Empty,
    );
    async move {
        let job = parse(&message);
        let labels = job.as_ref().map_or_else(|_| Labels::of_message(&message), Labels::of_job);
        let delivery = Delivery::new(queue, message, lease, labels);
        let work = delivery.judge(job, &let_go, perform);
        let (ended, reason) = match delivery.lease.while_held(Box::pin(work), &let_go).await {
            Held::Ended((verdict, reason)) | Held::EndedLate((verdict @ Verdict::Delete(_), reason)) => {
                (settle(&delivery.lease, verdict).await, reason)
            }
            // The message is left as it is, and the worker leaves all the same.
            Held::EndedLate((Verdict::GiveBack(Some(failure)), reason)) => (Ended::OwnFault(failure), reason),
            Held::EndedLate(_) | Held::Lost => {
                let reason = Reason::LeaseLost;
                tracing::error!(
                    reason = reason.code(),
                    "the job is dropped: its visibility could not be renewed in time, and another worker may have it"
                );
                (Ended::Left, Some(reason))
            }
        };
        delivery.over(ended, reason)
    }
    .instrument(span)
}

impl Delivery {
    fn new(queue: Arc<WorkQueue>, message: Message, lease: Lease, labels: Labels) -> Self {
        let receives = Receives {
            count: queue::receive_count(&message),
            most: queue.dead_letters.as_ref().map(|dead_letters| dead_letters.max_receive_count),
        };
        let attempt = Arc::new(Attempt::new(receives.are_nearly_spent()));
        Self { queue, message, lease, labels, receives, attempt }
    }

    /// Does the job, and says what is to be done with its message, and why where the job is not done. A
    /// dead letter is sent by then.
    async fn judge<Perform, Performing>(
        &self,
        job: Result<Job, JobError>,
        let_go: &CancellationToken,
        perform: Perform,
    ) -> (Verdict, Option<Reason>)
    where
        Perform: FnOnce(Job, Arc<Attempt>) -> Performing,
        Performing: Future<Output = Result<Done, Failure>>,
    {
        let ended = match job {
            Err(error) => Err(error.into()),
            Ok(job) => {
                let work = bounded(perform(job, self.attempt.clone()), &self.attempt);
                tokio::pin!(work);
                tokio::select! {
                    biased;
                    ended = &mut work => ended,
                    // Only the job is dropped: a dead letter that is being sent would come twice.
                    () = let_go.cancelled() => {
                        match self.attempt.wrap_up(work, STORING_IN_HASTE).await {
                            Some(Ok(done)) => Ok(done),
                            Some(Err(_)) | None => return (Verdict::GiveBack(None), None),
                        }
                    }
                }
            }
        };
        let failure = match ended {
            Ok(done) => {
                log(&done, self.lease.received_at.elapsed());
                return (Verdict::Delete(Ended::Done(done)), None);
            }
            Err(failure) => failure,
        };
        let (why, step) = (failure.reason(), self.attempt.step().name());
        let reason = why.code();
        let verdict = match Fate::of(&failure, self.receives, fastrand::f64()) {
            Fate::StopWorker => {
                let_go.cancel();
                Verdict::GiveBack(Some(failure))
            }
            Fate::Later(pause) => {
                let (pause_s, error) = (pause.as_secs(), anyhow::Error::new(failure));
                tracing::warn!(reason, step, pause_s, "the job failed and is tried again later: {error:#}");
                Verdict::Hide(pause)
            }
            Fate::DeadLetter => {
                let error = anyhow::Error::new(failure);
                tracing::error!(reason, step, "the job can't be done: {error:#}");
                self.give_up(dead_letter::Failure {
                    reason: reason.to_owned(),
                    message: format!("{error:#}"),
                    step: step.to_owned(),
                    attempts: self.receives.count,
                    first_seen: Some(queue::first_received_at(&self.message).unwrap_or_else(Utc::now)),
                    worker_version: fleet::VERSION.to_owned(),
                })
                .await
            }
        };
        (verdict, Some(why))
    }

    /// Sends the dead letter. Only where it is sent is the message to be deleted.
    async fn give_up(&self, why: dead_letter::Failure) -> Verdict {
        let Some(dead_letters) = &self.queue.dead_letters else {
            tracing::error!("the queue has no dead-letter queue; the job stays, and is tried again later");
            return Verdict::Hide(NOWHERE);
        };
        let body = self.message.body().unwrap_or_default();
        let Some((attributes, left_out)) = why.attributes(&self.message, &self.labels) else {
            tracing::error!(
                bytes = body.len(),
                "the message is too large for a reason beside it; the queue moves it"
            );
            return Verdict::Hide(Duration::ZERO);
        };
        if !left_out.is_empty() {
            tracing::warn!(
                attributes = left_out.join(", "),
                "the dead letter has no room for attributes of its message"
            );
        }
        let sent = self
            .queue
            .client
            .send_message()
            .queue_url(&dead_letters.url)
            .message_body(body)
            .set_message_attributes(Some(attributes))
            .send()
            .await;
        let sent = sent.map_err(|error| AwsError::new("sqs:SendMessage", error)).and_then(|sent| {
            sent.message_id.ok_or_else(|| AwsError::unconfirmed("sqs:SendMessage", "MessageId"))
        });
        match sent {
            Ok(_) => Verdict::Delete(Ended::DeadLettered),
            Err(error) => {
                tracing::error!(
                    error = %error,
                    dead_letter_queue = dead_letters.url,
                    "the dead letter could not be sent; the job stays on the queue, and is tried again"
                );
                Verdict::Hide(UNSENT)
            }
        }
    }

    fn over(self, ended: Ended, reason: Option<Reason>) -> Settled {
        Settled {
            ended,
            reason,
            labels: self.labels,
            message_id: self.message.message_id.unwrap_or_default(),
            receives: self.receives.count,
            usage: self.attempt.usage().clone(),
            took: self.lease.received_at.elapsed(),
        }
    }
}

async fn settle(lease: &Lease, verdict: Verdict) -> Ended {
    match verdict {
        Verdict::Delete(ended) => {
            if let Err(error) = lease.delete().await {
                // It comes back, and ends the same way once more.
                tracing::warn!(error = %error, "the message of a job that is settled was not deleted");
            }
            ended
        }
        Verdict::Hide(pause) => match lease.hide(pause).await {
            Ok(()) => Ended::PutOff,
            Err(error) => {
                tracing::warn!(error = %error, "the job could not be put off; it comes back when its visibility ends");
                Ended::Left
            }
        },
        Verdict::GiveBack(fault) => {
            let ended = give_back_to(lease).await;
            fault.map_or(ended, Ended::OwnFault)
        }
    }
}

/// Gives back a message that came just now, and that nobody will work on.
pub fn give_back(queue: Arc<WorkQueue>, message: Message) -> impl Future<Output = Settled> + Send {
    let lease = Lease::on(&message, &queue.client, &queue.url, queue.visibility_timeout);
    let labels = Labels::of_message(&message);
    let delivery = Delivery::new(queue, message, lease, labels);
    async move {
        let ended = give_back_to(&delivery.lease).await;
        delivery.over(ended, None)
    }
}

async fn give_back_to(lease: &Lease) -> Ended {
    // By then nobody polls any more, who would be given it at once.
    sleep(POLL_ENDS).await;
    match lease.give_back().await {
        Ok(()) => {
            tracing::info!("the job is given back");
            Ended::GivenBack
        }
        Err(error) => {
            tracing::warn!(error = %error, "the job could not be given back; it comes back when its visibility ends");
            Ended::Left
        }
    }
}

fn parse(message: &Message) -> Result<Job, JobError> {
    let envelope = Envelope::from_message(message);
    let job = Job::parse(message.body().ok_or(JobError::NoAccountName)?, envelope)?;
    job.check(envelope.sent_at, Utc::now())?;
    let span = tracing::Span::current();
    span.record("account_name", job.account_name.as_str());
    span.record("dataset", job.dataset.name);
    span.record("run_id", job.run_id.as_str());
    Ok(job)
}

/// Does the job, unless it takes too long or the program fails in it. What takes too long stores what it has.
async fn bounded(
    performing: impl Future<Output = Result<Done, Failure>>,
    attempt: &Attempt,
) -> Result<Done, Failure> {
    let performing = AssertUnwindSafe(performing).catch_unwind();
    tokio::pin!(performing);
    let ended = match timeout(LONGEST, &mut performing).await {
        Ok(ended) => Some(ended),
        Err(_) => attempt.wrap_up(performing, STORING).await,
    };
    match ended {
        None => Err(Failure::Deadline { longest: LONGEST, missing: String::new() }),
        Some(Err(panic)) => Err(Failure::from_panic(panic.as_ref())),
        Some(Ok(ended)) => ended,
    }
}

fn log(done: &Done, took: Duration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match done {
        Done::Duplicate { key } => {
            tracing::info!(key, duration_ms, "the report exists already; nothing to do");
        }
        Done::Kept { key } => tracing::info!(
            key,
            duration_ms,
            "a settled report exists that saw more than a collection could now; it is kept"
        ),
        Done::Stored { key, metadata } => tracing::info!(
            key,
            duration_ms,
            status = metadata.status.as_str(),
            rows = metadata.rows,
            rows_late = metadata.rows_late,
            rows_denied = metadata.rows_denied,
            rows_error = metadata.rows_error,
            api_calls = metadata.api_calls,
            metrics_requested = metadata.metrics_requested,
            estimated_cost_usd = metadata.estimated_cost_usd,
            first_error = metadata.first_error,
            "the report is stored"
        ),
    }
}

#[cfg(test)]
mod tests;
