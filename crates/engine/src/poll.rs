//! Receiving: long polls in a row, with patience for a queue that is gone or out of reach.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until, timeout_at},
};

use crate::{AwsError, ErrorKind, Message, Queue};

/// How long receives may fail before the worker gives up.
const PATIENCE: Duration = Duration::from_mins(5);

/// How long a receive may take to come back at all. Each is bounded far below this; whatever hangs
/// longer will not end by itself.
const WATCHDOG: Duration = Duration::from_mins(3);

type Received = Result<Vec<Message>, AwsError>;

/// Receives messages, one poll at a time.
#[derive(Debug)]
pub(crate) struct Poller {
    queue: Queue,
    /// How long a received message is hidden.
    visibility_timeout: Duration,
    /// How long a poll waits for a message.
    wait_seconds: i32,
    in_flight: Option<InFlight>,
    outage: Option<Outage>,
}

#[derive(Debug)]
struct InFlight {
    since: Instant,
    receiving: JoinHandle<Received>,
}

/// Receives that failed in a row.
#[derive(Debug)]
struct Outage {
    since: Instant,
    pauses: backon::ExponentialBackoff,
    pause_until: Instant,
}

impl Poller {
    pub(crate) fn new(queue: Queue, visibility_timeout: Duration, wait_seconds: i32) -> Self {
        Self { queue, visibility_timeout, wait_seconds, in_flight: None, outage: None }
    }

    fn receive(&self, most: usize) -> JoinHandle<Received> {
        let Self { queue, visibility_timeout, wait_seconds, .. } = self;
        let (queue, visibility_timeout, wait_seconds) = (queue.clone(), *visibility_timeout, *wait_seconds);
        tokio::spawn(async move { queue.receive(most, visibility_timeout, wait_seconds).await })
    }

    /// Up to `most` messages, or none after a while. If it is dropped before it is ready, its poll goes
    /// on, and the next call gives what that one brings.
    ///
    /// # Errors
    /// If the queue can't be polled, be it forbidden or, for five minutes, gone or out of reach.
    pub(crate) async fn next(&mut self, most: usize) -> anyhow::Result<Vec<Message>> {
        loop {
            if let Some(outage) = &self.outage {
                sleep_until(outage.pause_until).await;
            }
            let in_flight = match &mut self.in_flight {
                Some(in_flight) => in_flight,
                None => {
                    let receiving = self.receive(most);
                    self.in_flight.insert(InFlight { since: Instant::now(), receiving })
                }
            };
            let since = in_flight.since;
            let received = timeout_at(since + WATCHDOG, &mut in_flight.receiving).await;
            let Ok(received) = received else {
                bail!("queue {}: a poll has not come back in three minutes", self.queue.url);
            };
            self.in_flight = None;
            match received.context("a poll ended in a fault of the worker")? {
                Ok(messages) => {
                    self.outage = None;
                    return Ok(messages);
                }
                Err(error) => self.wait_out(error, since)?,
            }
        }
    }

    /// Ends the poll that is in flight, and gives what it has brought that no one has taken. What the queue
    /// sends at this very moment comes back when its visibility ends: waiting up to 20 s for that would
    /// cost every deployment more, and bring back what is returned.
    pub(crate) async fn close(&mut self) -> Vec<Message> {
        let Some(in_flight) = self.in_flight.take() else { return Vec::new() };
        in_flight.receiving.abort();
        in_flight.receiving.await.unwrap_or_else(|_| Ok(Vec::new())).unwrap_or_default()
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

/// Whether a receive that failed so may succeed later. A queue that is gone may be made again, by the
/// deployment that is replacing it.
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
