//! Receiving: one long poll after the other, with patience for a queue that is gone or out of reach.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use backon::{BackoffBuilder, ExponentialBuilder};
use fleet::{AwsError, ErrorKind};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until, timeout_at},
};

use crate::delivery::WorkQueue;

/// The most messages that one receive gives.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
const MESSAGES_A_RECEIVE: i32 = 10;

/// How long receives may fail before the worker gives up.
const PATIENCE: Duration = Duration::from_mins(5);

/// How long a receive may take to come back at all. Each is bounded far below this; whatever hangs
/// longer will not end by itself.
const WATCHDOG: Duration = Duration::from_mins(3);

type Received = Result<Vec<Message>, AwsError>;

/// Receives messages, one poll at a time.
#[derive(Debug)]
pub(crate) struct Poller {
    queue: Arc<WorkQueue>,
    /// How long a poll waits for a message.
    wait_seconds: i32,
    underway: Option<Underway>,
    outage: Option<Outage>,
}

#[derive(Debug)]
struct Underway {
    since: Instant,
    receiving: JoinHandle<Received>,
}

/// Receives that failed, one after the other.
#[derive(Debug)]
struct Outage {
    since: Instant,
    pauses: backon::ExponentialBackoff,
    pause_until: Instant,
}

impl Poller {
    pub(crate) fn new(queue: Arc<WorkQueue>, wait_seconds: i32) -> Self {
        Self { queue, wait_seconds, underway: None, outage: None }
    }

    /// Up to `most` messages, or none after a while. Where it is dropped before it is ready, its poll goes
    /// on, and the next call gives what that one brings.
    ///
    /// # Errors
    /// Where the queue can't be polled, be it forbidden or, for five minutes, gone or out of reach.
    pub(crate) async fn next(&mut self, most: usize) -> anyhow::Result<Vec<Message>> {
        loop {
            if let Some(outage) = &self.outage {
                sleep_until(outage.pause_until).await;
            }
            let underway = self.underway.get_or_insert_with(|| Underway {
                since: Instant::now(),
                receiving: tokio::spawn(receive(self.queue.clone(), most, self.wait_seconds)),
            });
            let since = underway.since;
            let received = timeout_at(since + WATCHDOG, &mut underway.receiving).await;
            let Ok(received) = received else {
                bail!("queue {}: a poll has not come back in three minutes", self.queue.url);
            };
            self.underway = None;
            match received.context("a poll ended in a fault of the worker")? {
                Ok(messages) => {
                    self.outage = None;
                    return Ok(messages);
                }
                Err(error) => self.wait_out(error, since)?,
            }
        }
    }

    /// Ends the poll that is under way, and gives what it has brought that nobody has taken. What the queue
    /// sends at this very moment comes back when its visibility ends: waiting up to 20 s for that would
    /// cost every deployment more, and bring back what is given back.
    pub(crate) async fn close(&mut self) -> Vec<Message> {
        let Some(underway) = self.underway.take() else { return Vec::new() };
        underway.receiving.abort();
        underway.receiving.await.unwrap_or_else(|_| Ok(Vec::new())).unwrap_or_default()
    }

    /// Begins a pause after a receive that was asked for `since` then, unless there is no hope.
    fn wait_out(&mut self, error: AwsError, since: Instant) -> anyhow::Result<()> {
        let url = &self.queue.url;
        if !may_pass(&error) {
            return Err(error).with_context(|| format!("queue {url}: can't be polled"));
        }
        let outage =
            self.outage.get_or_insert_with(|| Outage { since, pauses: pauses(), pause_until: since });
        let left = PATIENCE.saturating_sub(outage.since.elapsed());
        if left.is_zero() {
            return Err(anyhow!("queue {url}: no poll has succeeded in five minutes: {error}"));
        }
        let pause = outage.pauses.next().expect("cannot fail: the pauses have no end").min(left);
        outage.pause_until = Instant::now() + pause;
        tracing::warn!(error = %error, pause_s = pause.as_secs(), "could not poll; trying again");
        Ok(())
    }
}

async fn receive(queue: Arc<WorkQueue>, most: usize, wait_seconds: i32) -> Received {
    let visibility = i32::try_from(queue.visibility_timeout.as_secs()).unwrap_or(i32::MAX);
    let most = i32::try_from(most).unwrap_or(i32::MAX).min(MESSAGES_A_RECEIVE);
    let answer = queue
        .client
        .receive_message()
        .queue_url(&queue.url)
        .max_number_of_messages(most)
        .visibility_timeout(visibility)
        .wait_time_seconds(wait_seconds)
        .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
        .message_system_attribute_names(MessageSystemAttributeName::ApproximateFirstReceiveTimestamp)
        .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
        .message_attribute_names("All")
        .send()
        .await;
    let answer = answer.map_err(|error| AwsError::new("sqs:ReceiveMessage", error))?;
    Ok(answer.messages.unwrap_or_default())
}

/// Whether a receive that failed so may succeed later. A queue that is gone may be made again, by the same
/// hand that is replacing it.
fn may_pass(error: &AwsError) -> bool {
    match error.kind {
        ErrorKind::Transient | ErrorKind::Expired | ErrorKind::NoCredentials | ErrorKind::NotFound => true,
        ErrorKind::Denied
        | ErrorKind::Identity
        | ErrorKind::RegionDisabled
        | ErrorKind::PreconditionFailed
        | ErrorKind::Permanent => false,
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

#[cfg(test)]
mod tests;
