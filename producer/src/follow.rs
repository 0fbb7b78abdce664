//! Follows a run: reads the queue, looks at the reports that are not complete yet, and says how the
//! run stands, once or until all is decided.

use std::time::Duration;

use fleet::{
    AwsError, deployment::Queue, manifest::Manifest, queue::QueueCounts, report_bucket::ReportBucket,
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    progress::Progress,
    reports::{self, Standing},
    status::{RunStatus, State},
};

/// How far apart the two readings are after which a queue is taken to be empty. A count that one of
/// SQS's servers has not heard of yet, or a job between two states, is seen by the second.
const READINGS_APART: Duration = Duration::from_secs(3);

/// How long after the last send the counts may still leave out what was sent.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>
pub(crate) const COUNTS_LAG: Duration = Duration::from_mins(1);

/// Each pause is a fifth of the time waited so far, within these: a short run is followed closely,
/// and a long one costs few calls.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// A run that is being looked at.
#[derive(Debug)]
pub(crate) struct Follower<'a> {
    manifest: &'a Manifest,
    bucket: &'a ReportBucket,
    queue: &'a Queue,
    standings: Vec<Standing>,
    drain: Drain,
}

/// How the following ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nothing more is expected to happen.
    Decided,
    /// The time was up.
    TimedOut,
    /// Somebody stopped it.
    Stopped,
}

impl<'a> Follower<'a> {
    /// Begins to look at a run. Before `trusted_from` an empty queue is not believed.
    pub(crate) fn new(
        manifest: &'a Manifest,
        bucket: &'a ReportBucket,
        queue: &'a Queue,
        trusted_from: Instant,
    ) -> Self {
        Self {
            manifest,
            bucket,
            queue,
            standings: vec![Standing::Unknown; manifest.jobs.len()],
            drain: Drain { trusted_from, empty_since: None },
        }
    }

    /// How the run stands now: with a second reading of the queue, where the first was empty and
    /// something is undecided.
    pub(crate) async fn once(&mut self) -> anyhow::Result<RunStatus> {
        loop {
            let status = self.look().await?;
            if status.is_decided() || self.drain.empty_since.is_none() {
                return Ok(status);
            }
            sleep(READINGS_APART).await;
        }
    }

    /// Looks until all is decided, the time is up, or `stopped` is ready; says how the run stands
    /// then. A passing failure of AWS does not end it.
    pub(crate) async fn until_decided(
        &mut self,
        timeout: Option<Duration>,
        progress: &Progress,
        stopped: impl Future<Output = ()>,
    ) -> anyhow::Result<(RunStatus, Ended)> {
        let begun = Instant::now();
        let deadline = timeout.and_then(|timeout| begun.checked_add(timeout));
        let mut latest = RunStatus::of(self.manifest, &self.standings, false);
        tokio::pin!(stopped);
        let late = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(late);
        loop {
            let looked = tokio::select! {
                biased;
                () = &mut stopped => return Ok((latest, Ended::Stopped)),
                looked = self.look() => looked,
                () = &mut late => return Ok((latest, Ended::TimedOut)),
            };
            match looked {
                Ok(status) => latest = status,
                Err(error) if is_passing(&error) => {
                    tracing::warn!("{error:#}; will look again");
                }
                Err(error) => return Err(error),
            }
            progress.set(&latest);
            if latest.is_decided() {
                return Ok((latest, Ended::Decided));
            }
            let pause = (begun.elapsed() / 5).clamp(PAUSE.0, PAUSE.1);
            tokio::select! {
                biased;
                () = &mut stopped => return Ok((latest, Ended::Stopped)),
                () = &mut late => return Ok((latest, Ended::TimedOut)),
                () = sleep(pause) => {}
            }
        }
    }

    /// Reads the queue, and after it the reports: a job that leaves the queue between the two has
    /// its report by then.
    async fn look(&mut self) -> anyhow::Result<RunStatus> {
        let drained = self.drain.read(self.queue.counts().await?, Instant::now());
        // A partial report too is looked at again: a complete one may have replaced it.
        let open: Vec<usize> = RunStatus::of(self.manifest, &self.standings, false)
            .accounts
            .iter()
            .enumerate()
            .filter(|(_, account)| account.state != State::Complete)
            .map(|(index, _)| index)
            .collect();
        let keys: Vec<&str> =
            open.iter().map(|&index| self.manifest.jobs[index].report_key.as_str()).collect();
        let found = reports::look(self.bucket, &keys).await?;
        for (index, standing) in open.into_iter().zip(found) {
            self.standings[index] = standing;
        }
        Ok(RunStatus::of(self.manifest, &self.standings, drained))
    }
}

fn is_passing(error: &anyhow::Error) -> bool {
    let mut causes = error.chain();
    causes.any(|cause| cause.downcast_ref::<AwsError>().is_some_and(AwsError::is_transient))
}

/// Whether the queue is empty for good, by its readings so far.
#[derive(Debug)]
struct Drain {
    trusted_from: Instant,
    empty_since: Option<Instant>,
}

impl Drain {
    /// Takes in a reading; true once the queue was empty at two of them, far enough apart, and at
    /// each between.
    fn read(&mut self, counts: QueueCounts, now: Instant) -> bool {
        if !counts.is_empty() || now < self.trusted_from {
            self.empty_since = None;
            return false;
        }
        let since = *self.empty_since.get_or_insert(now);
        now.duration_since(since) >= READINGS_APART
    }
}

#[cfg(test)]
mod tests;
