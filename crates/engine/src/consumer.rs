// SPDX-License-Identifier: Apache-2.0
//! The worker's main loop: takes as many messages as there are free slots, runs their work, and shuts
//! down gracefully.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use anyhow::anyhow;
use tokio::{
    sync::watch,
    task::{Id, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Kind, Message,
    delivery::{Outcome, Settled, WorkQueue, deliver, release},
    metrics::WorkerMetrics,
    poll::Poller,
    protection::Protection,
};

/// The maximum wait of `ReceiveMessage`, in seconds.
///
/// Source:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>
pub const LONG_POLL_SECONDS: i32 = 20;

/// The wait of a poll if the worker stops once the queue is empty. Any wait makes SQS query all of its
/// servers; a shorter one lets the worker stop sooner.
const LEAVING_POLL_SECONDS: i32 = 1;

/// The timeout for returning messages to the queue. Others become visible when their visibility timeout
/// ends.
const RELEASING: Duration = Duration::from_secs(5);

/// The timeout for ending the task's protection at shutdown.
const UNPROTECTING: Duration = Duration::from_secs(1);

/// A worker on a queue.
pub struct Consumer {
    pub queue: Arc<WorkQueue>,
    /// The kinds of messages it can process.
    pub kinds: Vec<Box<dyn Kind>>,
    /// The maximum number of messages in flight.
    pub concurrency: usize,
    /// Whether to stop when nothing is left to do.
    pub exit_when_empty: bool,
    /// How long work in flight may take once the worker is asked to stop.
    pub drain_timeout: Duration,
    /// Keeps ECS from stopping this task during long work, if available.
    pub protection: Option<Protection>,
    pub metrics: Option<Arc<WorkerMetrics>>,
}

/// The number of messages by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub done: u64,
    pub dead_lettered: u64,
    /// They stay on the queue for another attempt.
    pub retried: u64,
    pub returned: u64,
    /// They return to the queue when their visibility timeout ends.
    pub abandoned: u64,
}

/// The messages in flight, and the outcomes of earlier ones.
#[derive(Debug)]
struct InFlight {
    deliveries: JoinSet<Outcome>,
    tally: Tally,
    fault: Option<anyhow::Error>,
    /// Cancelled if everything in flight is to be dropped and returned to the queue.
    release: CancellationToken,
    /// When each was taken.
    taken: HashMap<Id, Instant>,
    /// When the oldest was taken, for the task's protection; `None` if none is in flight.
    oldest: watch::Sender<Option<Instant>>,
}

impl InFlight {
    fn new(oldest: watch::Sender<Option<Instant>>) -> Self {
        Self {
            deliveries: JoinSet::new(),
            tally: Tally::default(),
            fault: None,
            release: CancellationToken::new(),
            taken: HashMap::new(),
            oldest,
        }
    }

    /// Waits for a delivery to end; forever if none is in flight.
    async fn one_ends(&mut self) {
        let (delivery, outcome) = match self.deliveries.join_next_with_id().await {
            Some(Ok(ended)) => ended,
            Some(Err(error)) => (error.id(), Outcome::Abandoned),
            None => std::future::pending().await,
        };
        self.taken.remove(&delivery);
        self.oldest.send_replace(self.taken.values().min().copied());
        self.count(outcome);
    }

    fn take(&mut self, delivery: impl Future<Output = Outcome> + Send + 'static) {
        let delivery = self.deliveries.spawn(delivery);
        self.taken.insert(delivery.id(), Instant::now());
        self.oldest.send_replace(self.taken.values().min().copied());
    }

    fn count(&mut self, outcome: Outcome) {
        let tally = &mut self.tally;
        match outcome {
            Outcome::Done(_) => tally.done += 1,
            Outcome::DeadLettered => tally.dead_lettered += 1,
            Outcome::Retried => tally.retried += 1,
            Outcome::Returned => tally.returned += 1,
            Outcome::Abandoned => tally.abandoned += 1,
            Outcome::WorkerFault(fault) => {
                tally.returned += 1;
                self.fault.get_or_insert(fault);
                self.release.cancel();
            }
        }
    }
}

impl Consumer {
    /// Runs until `stop`, or until the queue is empty if requested. Then finishes what is in flight, and
    /// returns to the queue what does not finish in time, or everything at once if `leave` is cancelled.
    ///
    /// # Errors
    ///
    /// If the worker itself is misconfigured, or if the queue can't be polled: access is denied or, for
    /// five minutes, it does not exist or can't be reached. Work in flight is finished or returned
    /// first.
    pub async fn run(&self, stop: &CancellationToken, leave: &CancellationToken) -> anyhow::Result<Tally> {
        let (taking, oldest) = watch::channel(None);
        let protecting = self.protection.clone().map(|protection| tokio::spawn(protection.follow(oldest)));
        let mut in_flight = InFlight::new(taking);
        let wait = if self.exit_when_empty { LEAVING_POLL_SECONDS } else { LONG_POLL_SECONDS };
        let mut poller = Poller::new(self.queue.queue.clone(), self.queue.visibility_timeout, wait);
        let ended = self.poll(&mut poller, stop, &mut in_flight).await;
        self.drain(&mut poller, &mut in_flight, leave).await;
        let InFlight { tally, fault, oldest, .. } = in_flight;
        drop(oldest);
        if let Some(protecting) = protecting {
            // It ends by itself now that nothing is in flight; otherwise with the process.
            let _ = timeout(UNPROTECTING, protecting).await;
        }
        if let Some(fault) = fault {
            return Err(fault.context(format!(
                "this worker can't do any job and stops; {} returned to the queue",
                tally.returned
            )));
        }
        ended.map(|()| tally)
    }

    /// Takes messages until there is a reason to stop.
    async fn poll(
        &self,
        poller: &mut Poller,
        stop: &CancellationToken,
        in_flight: &mut InFlight,
    ) -> anyhow::Result<()> {
        let release = in_flight.release.clone();
        let mut empty_readings = 0;
        while !release.is_cancelled() {
            let free = self.concurrency.saturating_sub(in_flight.deliveries.len());
            if free == 0 {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = in_flight.one_ends() => {}
                }
                continue;
            }
            let messages = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = release.cancelled() => return Ok(()),
                () = in_flight.one_ends() => continue,
                messages = poller.next(free) => messages?,
            };
            let is_empty = tokio::select! {
                () = stop.cancelled(), if messages.is_empty() => return Ok(()),
                is_empty = self.is_empty(&messages, in_flight) => is_empty,
            };
            empty_readings = if is_empty { empty_readings + 1 } else { 0 };
            if empty_readings == 2 {
                tracing::info!("the queue is empty; stopping");
                return Ok(());
            }
            for message in messages {
                let delivery = deliver(self.queue.clone(), &self.kinds, message, in_flight.release.clone());
                in_flight.take(self.measured(delivery));
            }
        }
        Ok(())
    }

    /// Finishes what is in flight, and returns to the queue what does not finish in time.
    async fn drain(&self, poller: &mut Poller, in_flight: &mut InFlight, leave: &CancellationToken) {
        // Must come first: the poll would receive what is returned.
        for message in poller.close().await {
            in_flight.take(self.measured(release(self.queue.clone(), &self.kinds, message)));
        }
        if !in_flight.deliveries.is_empty() && !in_flight.release.is_cancelled() {
            tracing::info!(
                jobs = in_flight.deliveries.len(),
                drain_timeout_s = self.drain_timeout.as_secs(),
                "no longer taking jobs; finishing what is in flight"
            );
        }
        let deadline = Instant::now() + self.drain_timeout;
        let release = in_flight.release.clone();
        while !in_flight.deliveries.is_empty() && !release.is_cancelled() {
            tokio::select! {
                () = in_flight.one_ends() => {}
                () = leave.cancelled() => release.cancel(),
                () = sleep_until(deadline) => {
                    tracing::warn!(jobs = in_flight.deliveries.len(), "jobs in flight did not finish in time");
                    release.cancel();
                }
            }
        }
        let all_end = async {
            while !in_flight.deliveries.is_empty() {
                in_flight.one_ends().await;
            }
        };
        if timeout(RELEASING, all_end).await.is_err() {
            in_flight.tally.abandoned += in_flight.deliveries.len() as u64;
            in_flight.deliveries.shutdown().await;
        }
    }

    /// Records a delivery in the worker's metrics once it is settled.
    fn measured(
        &self,
        delivery: impl Future<Output = Settled> + Send + 'static,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        let metrics = self.metrics.clone();
        async move {
            let settled = delivery.await;
            if let Some(metrics) = metrics {
                metrics.write(&settled);
            }
            settled.outcome
        }
    }

    /// Whether nothing is left to do, for a worker that stops then: no message came, none is in flight,
    /// and the queue's counts are 0.
    async fn is_empty(&self, messages: &[Message], in_flight: &InFlight) -> bool {
        if !self.exit_when_empty || !messages.is_empty() || !in_flight.deliveries.is_empty() {
            return false;
        }
        match self.queue.queue.attributes().await {
            Ok(attributes) => attributes.counts.is_empty(),
            Err(error) => {
                tracing::warn!("{:#}; retrying", anyhow!(error));
                false
            }
        }
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<_> = self.kinds.iter().map(|kind| kind.name()).collect();
        f.debug_struct("Consumer").field("queue", &self.queue).field("kinds", &kinds).finish_non_exhaustive()
    }
}
