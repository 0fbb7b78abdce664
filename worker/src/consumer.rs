//! The loop of a worker: receive as many jobs as there are free slots, do them, delete what is
//! done.
//!
//! A message is deleted only after its report is safe. One that fails is left as it is: it comes
//! back when its visibility ends, and the queue's redrive policy moves it to the dead-letter queue
//! when it has come back too often.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use aws_sdk_sqs::{
    Client,
    types::{Message, MessageSystemAttributeName},
};
use backon::{BackoffBuilder, ExponentialBuilder};
use chrono::Utc;
use fleet::{
    AwsError, ErrorKind, Job,
    aws::LONG_POLL_SECONDS,
    job::{Envelope, JobError},
    queue,
};
use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    failure::Failure,
    lease::{Lease, LeaseLost},
    report::{Done, Reporter},
};

/// The most messages that one receive gives.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
const MESSAGES_A_RECEIVE: usize = 10;

/// How long a poll waits where the worker leaves once the queue is empty. Any wait at all asks
/// every server of the queue; a shorter one lets the worker leave sooner.
const LEAVING_POLL_SECONDS: i32 = 1;

/// How long receives may fail before the worker gives up.
const PATIENCE: Duration = Duration::from_mins(5);

/// A worker on a queue.
#[derive(Debug)]
pub struct Consumer {
    /// SQS, in the queue's region.
    pub client: Client,
    /// The queue.
    pub queue_url: String,
    /// How long a received message stays hidden, and how long each renewal lasts.
    pub visibility_timeout: Duration,
    /// How many jobs run beside each other.
    pub concurrency: usize,
    /// Whether to leave when nothing is left to do.
    pub exit_when_empty: bool,
    /// What does the jobs.
    pub reporter: Arc<Reporter>,
}

/// What a worker did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Jobs whose report stands, duplicates included.
    pub done: u64,
    /// Jobs that failed and were left on the queue.
    pub failed: u64,
    /// Jobs that were dropped in hand, which come back to the queue.
    pub left: u64,
}

/// What a poll brought.
struct Polled {
    messages: Vec<Message>,
    /// Whether no message came, no job is in hand and the queue's counts are at 0.
    nothing_left: bool,
}

impl Tally {
    /// Counts the jobs that have ended.
    fn reap(&mut self, jobs: &mut JoinSet<bool>) {
        while let Some(job) = jobs.try_join_next() {
            self.count(job);
        }
    }

    fn count(&mut self, job: Result<bool, JoinError>) {
        match job {
            Ok(true) => self.done += 1,
            Ok(false) => self.failed += 1,
            Err(error) => {
                tracing::error!(
                    reason = "panic",
                    "a job ended in a fault of the worker and stays on the queue: {error}"
                );
                self.failed += 1;
            }
        }
    }
}

impl Consumer {
    /// Works until `stop`, or until the queue is empty where that is asked for; then finishes what
    /// it has in hand, unless `leave` says to drop it.
    ///
    /// # Errors
    /// Where the queue can't be polled, be it gone, forbidden or out of reach for five minutes.
    pub async fn run(&self, stop: &CancellationToken, leave: &CancellationToken) -> anyhow::Result<Tally> {
        let mut jobs = JoinSet::new();
        let mut tally = Tally::default();
        let polled = self.poll(stop, &mut jobs, &mut tally).await;
        tally.reap(&mut jobs);
        if !jobs.is_empty() {
            tracing::info!(jobs = jobs.len(), "no longer polling; finishing what is in hand");
        }
        loop {
            tokio::select! {
                job = jobs.join_next() => match job {
                    Some(job) => tally.count(job),
                    None => break,
                },
                () = leave.cancelled() => {
                    tally.left = jobs.len() as u64;
                    jobs.shutdown().await;
                    break;
                }
            }
        }
        polled.map(|()| tally)
    }

    async fn poll(
        &self,
        stop: &CancellationToken,
        jobs: &mut JoinSet<bool>,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        let mut empty_readings = 0;
        let mut failing: Option<(Instant, backon::ExponentialBackoff)> = None;
        loop {
            tally.reap(jobs);
            let free = self.concurrency.saturating_sub(jobs.len());
            if free == 0 {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    Some(job) = jobs.join_next() => tally.count(job),
                }
                continue;
            }
            let polled_at = Instant::now();
            // A poll that is given up may have been given a message just now, which then comes
            // back when its visibility ends. Waiting up to 20 s for that would cost every
            // deployment more.
            let polled = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                polled = self.poll_once(free, jobs, tally) => polled,
            };
            match polled {
                Ok(polled) => {
                    failing = None;
                    empty_readings = if polled.nothing_left { empty_readings + 1 } else { 0 };
                    if empty_readings == 2 {
                        tracing::info!("the queue is empty; leaving");
                        return Ok(());
                    }
                    for message in polled.messages {
                        jobs.spawn(self.job(message));
                    }
                }
                Err(error) if !error.is_transient() && error.kind != ErrorKind::Expired => {
                    return Err(error).with_context(|| format!("queue {}: can't be polled", self.queue_url));
                }
                Err(error) => {
                    let (since, pauses) = failing.get_or_insert_with(|| (polled_at, pauses()));
                    if since.elapsed() > PATIENCE {
                        bail!("queue {}: no poll has succeeded in five minutes: {error}", self.queue_url);
                    }
                    let pause = pauses.next().expect("cannot fail: the pauses have no end");
                    tracing::warn!(error = %error, pause_s = pause.as_secs(), "could not poll; trying again");
                    tokio::select! {
                        () = stop.cancelled() => return Ok(()),
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
        }
    }

    /// Receives for `free` slots and, where the worker leaves an empty queue, reads whether it is
    /// empty.
    async fn poll_once(
        &self,
        free: usize,
        jobs: &mut JoinSet<bool>,
        tally: &mut Tally,
    ) -> Result<Polled, AwsError> {
        let messages = self.receive(free.min(MESSAGES_A_RECEIVE)).await?;
        tally.reap(jobs);
        let nothing_left = messages.is_empty()
            && jobs.is_empty()
            && self.exit_when_empty
            && queue::attributes(&self.client, &self.queue_url).await?.counts.is_empty();
        Ok(Polled { messages, nothing_left })
    }

    async fn receive(&self, most: usize) -> Result<Vec<Message>, AwsError> {
        let wait = if self.exit_when_empty { LEAVING_POLL_SECONDS } else { LONG_POLL_SECONDS };
        let number = |value: u64| i32::try_from(value).unwrap_or(i32::MAX);
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.queue_url)
            .max_number_of_messages(number(most as u64))
            .visibility_timeout(number(self.visibility_timeout.as_secs()))
            .wait_time_seconds(wait)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await;
        let answer = answer.map_err(|error| AwsError::new("sqs:ReceiveMessage", error))?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// Does the job of a message, and deletes the message if it is done. The future owns all that
    /// it needs. `true` where the job is done.
    fn job(&self, message: Message) -> impl Future<Output = bool> + Send + use<> {
        let lease = Lease {
            client: self.client.clone(),
            queue_url: self.queue_url.clone(),
            receipt_handle: message.receipt_handle.clone().unwrap_or_default(),
            timeout: self.visibility_timeout,
            received_at: Instant::now(),
        };
        let reporter = self.reporter.clone();
        let span = tracing::info_span!(
            "job",
            message_id = message.message_id(),
            attempt = queue::receive_count(&message),
            account_name = tracing::field::Empty,
            dataset = tracing::field::Empty,
            run_id = tracing::field::Empty,
        );
        async move {
            let worked = lease.while_held(Box::pin(work(&reporter, &message))).await;
            match worked.unwrap_or_else(|LeaseLost| Err(Failure::LeaseLost)) {
                Ok(done) => {
                    log(&done, lease.received_at.elapsed());
                    delete(&lease).await;
                    true
                }
                Err(failure) => {
                    let reason = failure.reason();
                    let error = anyhow::Error::new(failure);
                    tracing::error!(reason, "the job failed and stays on the queue: {error:#}");
                    false
                }
            }
        }
        .instrument(span)
    }
}

async fn work(reporter: &Reporter, message: &Message) -> Result<Done, Failure> {
    let envelope = Envelope {
        message_id: message.message_id().unwrap_or_default(),
        sent_at: queue::sent_at(message).unwrap_or_else(Utc::now),
    };
    let body = message.body().ok_or(JobError::NoAccountName)?;
    let job = Job::parse(body, envelope)?;
    let span = tracing::Span::current();
    span.record("account_name", job.account_name.as_str());
    span.record("dataset", job.dataset.name);
    span.record("run_id", job.run_id.as_str());
    reporter.perform(&job).await
}

fn log(done: &Done, took: Duration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match done {
        Done::Duplicate { key } => {
            tracing::info!(key, duration_ms, "the report stands already; nothing to do");
        }
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

async fn delete(lease: &Lease) {
    let deleted =
        lease.client.delete_message().queue_url(&lease.queue_url).receipt_handle(&lease.receipt_handle);
    if let Err(error) = deleted.send().await {
        let error = AwsError::new("sqs:DeleteMessage", error);
        // It comes back, finds its report, and is deleted then.
        tracing::warn!(error = %error, "the message of a job that is done was not deleted");
    }
}

fn pauses() -> backon::ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(Duration::from_secs(30))
        .without_max_times()
        .with_jitter()
        .build()
}
