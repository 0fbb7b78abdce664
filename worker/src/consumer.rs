//! The loop of a worker: take as many jobs as there are free slots, have them done, and leave in good
//! order.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::anyhow;
use aws_sdk_sqs::types::Message;
use fleet::{aws::LONG_POLL_SECONDS, queue};
use tokio::{
    sync::watch,
    task::{Id, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    delivery::{Ended, Settled, WorkQueue, deliver, give_back},
    failure::Failure,
    own_metrics::OwnMetrics,
    poll::Poller,
    protection::Protection,
    report::Reporter,
};

/// How long a poll waits where the worker leaves once the queue is empty. Any wait at all asks
/// every server of the queue; a shorter one lets the worker leave sooner.
const LEAVING_POLL_SECONDS: i32 = 1;

/// How long giving back what is in hand may take, before the rest is left to its visibility.
const GIVING_BACK: Duration = Duration::from_secs(5);

/// How long ending the task's protection may take at the end.
const UNPROTECTING: Duration = Duration::from_secs(1);

/// A worker on a queue.
#[derive(Debug)]
pub struct Consumer {
    /// The queue.
    pub queue: Arc<WorkQueue>,
    /// How many jobs run beside each other.
    pub concurrency: usize,
    /// Whether to leave when nothing is left to do.
    pub exit_when_empty: bool,
    /// How long what is in hand may take once the worker is told to stop.
    pub drain_timeout: Duration,
    /// What keeps a worker with a long job from being chosen to stop, if there is such a thing.
    pub protection: Option<Protection>,
    /// What does the jobs.
    pub reporter: Arc<Reporter>,
    /// Where the worker's own metrics go; none where nobody asked for them.
    pub own_metrics: Option<Arc<OwnMetrics>>,
}

/// What a worker did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Jobs whose report stands, duplicates included.
    pub done: u64,
    /// Jobs that went to the dead-letter queue.
    pub dead: u64,
    /// Jobs that stay on the queue for another try.
    pub put_off: u64,
    /// Jobs that were dropped in hand and are back on the queue.
    pub given_back: u64,
    /// Jobs that come back to the queue when their visibility ends.
    pub left: u64,
}

/// What is in hand, and what became of what was.
#[derive(Debug)]
struct Hand {
    jobs: JoinSet<Ended>,
    tally: Tally,
    fault: Option<Failure>,
    /// Cancelled where all in hand is to be dropped and given back.
    let_go: CancellationToken,
    /// When each was taken.
    taken: HashMap<Id, Instant>,
    /// When the oldest was taken, for the task's protection; `None` if none is in flight.
    oldest: watch::Sender<Option<Instant>>,
}

impl Hand {
    fn new(oldest: watch::Sender<Option<Instant>>) -> Self {
        let (jobs, tally, taken) = (JoinSet::new(), Tally::default(), HashMap::new());
        Self { jobs, tally, fault: None, let_go: CancellationToken::new(), taken, oldest }
    }

    /// Waits for a job to end; for ever, where none is in hand.
    async fn one_ends(&mut self) {
        let (job, ended) = match self.jobs.join_next_with_id().await {
            Some(Ok(ended)) => ended,
            Some(Err(error)) => (error.id(), Ended::Left),
            None => std::future::pending().await,
        };
        self.taken.remove(&job);
        self.oldest.send_replace(self.taken.values().min().copied());
        self.count(ended);
    }

    /// Takes on a job.
    fn take(&mut self, job: impl Future<Output = Ended> + Send + 'static) {
        let job = self.jobs.spawn(job);
        self.taken.insert(job.id(), Instant::now());
        self.oldest.send_replace(self.taken.values().min().copied());
    }

    fn count(&mut self, ended: Ended) {
        let tally = &mut self.tally;
        match ended {
            Ended::Done(_) => tally.done += 1,
            Ended::DeadLettered => tally.dead += 1,
            Ended::PutOff => tally.put_off += 1,
            Ended::GivenBack => tally.given_back += 1,
            Ended::Left => tally.left += 1,
            Ended::OwnFault(fault) => {
                tally.given_back += 1;
                self.fault.get_or_insert(fault);
                self.let_go.cancel();
            }
        }
    }
}

impl Consumer {
    /// Works until `stop`, or until the queue is empty where that is asked for; then finishes what
    /// it has in hand, gives back what does not end in time, or at once where `leave` says so.
    ///
    /// # Errors
    /// Where the worker itself is at fault, and where the queue can't be polled, be it forbidden or,
    /// for five minutes, gone or out of reach. What is in hand is finished, or given back, before.
    pub async fn run(&self, stop: &CancellationToken, leave: &CancellationToken) -> anyhow::Result<Tally> {
        let (taking, oldest) = watch::channel(None);
        let protecting = self.protection.clone().map(|protection| tokio::spawn(protection.follow(oldest)));
        let mut hand = Hand::new(taking);
        let wait = if self.exit_when_empty { LEAVING_POLL_SECONDS } else { LONG_POLL_SECONDS };
        let mut poller = Poller::new(self.queue.clone(), wait);
        let ended = self.poll(&mut poller, stop, &mut hand).await;
        self.drain(&mut poller, &mut hand, leave).await;
        let Hand { tally, fault, oldest, .. } = hand;
        drop(oldest);
        if let Some(protecting) = protecting {
            // It ends by itself, now that nothing is in hand; and if not, with the process.
            let _ = timeout(UNPROTECTING, protecting).await;
        }
        if let Some(fault) = fault {
            let told = anyhow!("this worker can't do any job, and leaves; {} given back", tally.given_back);
            return Err(anyhow::Error::new(fault).context(told));
        }
        ended.map(|()| tally)
    }

    /// Takes jobs until something says to leave.
    async fn poll(
        &self,
        poller: &mut Poller,
        stop: &CancellationToken,
        hand: &mut Hand,
    ) -> anyhow::Result<()> {
        let let_go = hand.let_go.clone();
        let mut empty_readings = 0;
        while !let_go.is_cancelled() {
            let free = self.concurrency.saturating_sub(hand.jobs.len());
            if free == 0 {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = hand.one_ends() => {}
                }
                continue;
            }
            let messages = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = let_go.cancelled() => return Ok(()),
                () = hand.one_ends() => continue,
                messages = poller.next(free) => messages?,
            };
            let is_empty = tokio::select! {
                () = stop.cancelled(), if messages.is_empty() => return Ok(()),
                is_empty = self.is_empty(&messages, hand) => is_empty,
            };
            empty_readings = if is_empty { empty_readings + 1 } else { 0 };
            if empty_readings == 2 {
                tracing::info!("the queue is empty; leaving");
                return Ok(());
            }
            for message in messages {
                let reporter = self.reporter.clone();
                let perform = |job, attempt: Arc<_>| async move { reporter.perform(&job, &attempt).await };
                let delivery = deliver(self.queue.clone(), message, hand.let_go.clone(), perform);
                hand.take(self.measured(delivery));
            }
        }
        Ok(())
    }

    /// Finishes what is in hand, and gives back what does not end in time.
    async fn drain(&self, poller: &mut Poller, hand: &mut Hand, leave: &CancellationToken) {
        // First, or it would be given what is given back.
        for message in poller.close().await {
            hand.take(self.measured(give_back(self.queue.clone(), message)));
        }
        if !hand.jobs.is_empty() && !hand.let_go.is_cancelled() {
            tracing::info!(
                jobs = hand.jobs.len(),
                drain_timeout_s = self.drain_timeout.as_secs(),
                "no longer taking jobs; finishing what is in hand"
            );
        }
        let deadline = Instant::now() + self.drain_timeout;
        let let_go = hand.let_go.clone();
        while !hand.jobs.is_empty() && !let_go.is_cancelled() {
            tokio::select! {
                () = hand.one_ends() => {}
                () = leave.cancelled() => let_go.cancel(),
                () = sleep_until(deadline) => {
                    tracing::warn!(jobs = hand.jobs.len(), "what is in hand did not end in time");
                    let_go.cancel();
                }
            }
        }
        let all_end = async {
            while !hand.jobs.is_empty() {
                hand.one_ends().await;
            }
        };
        if timeout(GIVING_BACK, all_end).await.is_err() {
            hand.tally.left += hand.jobs.len() as u64;
            hand.jobs.shutdown().await;
        }
    }

    /// A delivery that is told in the worker's own metrics once it is settled.
    fn measured(
        &self,
        delivery: impl Future<Output = Settled> + Send + 'static,
    ) -> impl Future<Output = Ended> + Send + 'static {
        let own_metrics = self.own_metrics.clone();
        async move {
            let settled = delivery.await;
            if let Some(own_metrics) = own_metrics {
                own_metrics.write(&settled);
            }
            settled.ended
        }
    }

    /// Whether nothing is left to do, where the worker is to leave then: no message came, none is in
    /// hand, and the queue's counts are at 0.
    async fn is_empty(&self, messages: &[Message], hand: &Hand) -> bool {
        if !self.exit_when_empty || !messages.is_empty() || !hand.jobs.is_empty() {
            return false;
        }
        match queue::attributes(&self.queue.client, &self.queue.url).await {
            Ok(attributes) => attributes.counts.is_empty(),
            Err(error) => {
                tracing::warn!("{:#}; looking again", anyhow!(error));
                false
            }
        }
    }
}
