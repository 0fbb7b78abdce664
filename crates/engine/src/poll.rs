// SPDX-License-Identifier: Apache-2.0
//! Receives messages by sequential long polls, and tolerates outages of the queue.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until, timeout_at},
};

use crate::{AwsError, ErrorKind, Message, Queue};

/// How long receives may fail before the worker stops.
const MAX_OUTAGE: Duration = Duration::from_mins(5);

/// The time after which a receive counts as hung. Each has a far shorter timeout, so a longer one will
/// never end by itself.
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

    /// Up to `most` messages, or none after a while. If the future is dropped before it completes, its
    /// poll continues, and the next call returns that poll's messages.
    ///
    /// # Errors
    ///
    /// If the queue can't be polled: access is denied or, for five minutes, it does not exist or can't
    /// be reached.
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
                bail!("queue {}: a poll has not returned in three minutes", self.queue.url);
            };
            self.in_flight = None;
            match received.context("a poll panicked")? {
                Ok(messages) => {
                    self.outage = None;
                    return Ok(messages);
                }
                Err(error) => self.wait_out(error, since)?,
            }
        }
    }

    /// Ends the poll in flight, and returns the messages that it has brought and no caller has received.
    /// What the queue sends at this moment becomes visible when its visibility timeout ends: waiting up
    /// to 20 s for that would delay every deployment, and receive returned messages again.
    pub(crate) async fn close(&mut self) -> Vec<Message> {
        let Some(in_flight) = self.in_flight.take() else { return Vec::new() };
        in_flight.receiving.abort();
        in_flight.receiving.await.unwrap_or_else(|_| Ok(Vec::new())).unwrap_or_default()
    }

    /// Starts a pause after a receive that was begun at `since` and failed, unless the error is
    /// permanent.
    fn wait_out(&mut self, error: AwsError, since: Instant) -> anyhow::Result<()> {
        let url = &self.queue.url;
        if !is_transient(&error) {
            return Err(error).with_context(|| format!("queue {url}: can't be polled"));
        }
        let outage =
            self.outage.get_or_insert_with(|| Outage { since, pauses: pauses(), pause_until: since });
        let left = MAX_OUTAGE.saturating_sub(outage.since.elapsed());
        if left.is_zero() {
            return Err(anyhow!("queue {url}: no poll has succeeded in five minutes: {error}"));
        }
        let pause = outage.pauses.next().expect("cannot fail: the pauses have no end").min(left);
        outage.pause_until = Instant::now() + pause;
        tracing::warn!(error = %error, pause_s = pause.as_secs(), "could not poll; retrying");
        Ok(())
    }
}

/// Whether a failed receive may succeed later. A queue that does not exist may be recreated by a
/// deployment that is replacing it.
fn is_transient(error: &AwsError) -> bool {
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
