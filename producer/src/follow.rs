// SPDX-License-Identifier: Apache-2.0
//! Follows a run, once or until it is decided: reads the queue, the reports that are not complete yet
//! and, if needed, the dead letters, and derives the run's status.

use std::{pin::Pin, time::Duration};

use anyhow::Context;
use chrono::{DateTime, Utc};
use engine::{AwsError, Queue, queue::QueueCounts};
use fleet::{
    existing::{Existing, ExistingReport},
    manifest::Manifest,
    report_bucket::ReportBucket,
};
use requests::reports;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    dead_letters::{self, Letter, ReadOutcome},
    progress::Progress,
    status::{Dead, Observed, QueueState, RunStatus, State},
};

/// The time between the two readings after which a queue counts as empty. The second reading sees a
/// message that one SQS server had not counted yet, or that was between two states.
const READINGS_APART: Duration = Duration::from_secs(3);

/// How long after the last send the counts may omit what was sent.
///
/// Source:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>
pub(crate) const COUNTS_LAG: Duration = Duration::from_mins(1);

/// The minimum and maximum pause between looks. Each pause is a fifth of the time waited so far: a short
/// run is followed closely, and a long one costs few calls.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// How long to wait for dead letters in flight in another command if something seems to be missing. What
/// a killed command left hidden is visible again by then.
const HIDDEN_FOR: Duration = Duration::from_secs(70);

/// Reads the state of one run, as often as needed.
#[derive(Debug)]
pub(crate) struct Follower<'a> {
    manifest: &'a Manifest,
    bucket: &'a ReportBucket,
    queue: &'a Queue,
    /// Of each report, job by job and window by window: the job, which window of it, and the key.
    reports: Vec<(usize, usize, String)>,
    /// What is stored under each report's key; `None` until it has been looked up.
    existing: Vec<Option<Existing>>,
    wants_settled: bool,
    drain: Drain,
    /// The last reading of the work queue.
    counts: Option<QueueCounts>,
    /// When a reading last had a job in flight.
    taken_at: Option<DateTime<Utc>>,
    dead_letters: DeadLetterView<'a>,
}

/// The dead-letter queue, and what was last seen in it.
#[derive(Debug)]
struct DeadLetterView<'a> {
    /// `None` if the work queue has no dead-letter queue, or if access to it is denied.
    queue: Option<&'a Queue>,
    seen: Dead,
    /// How many messages it had at the last look, and whether the work queue was drained then.
    seen_at: Option<(u64, bool)>,
    /// Since when another command has some of its messages in flight.
    hidden_since: Option<Instant>,
}

/// Why following a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Decided,
    TimedOut,
    /// A signal stopped it.
    Stopped,
}

impl<'a> Follower<'a> {
    /// Starts following a run. Until `trusted_from`, an empty queue is not trusted. `dead_letters` is
    /// the dead-letter queue, if there is one.
    pub(crate) fn new(
        manifest: &'a Manifest,
        bucket: &'a ReportBucket,
        queue: &'a Queue,
        dead_letters: Option<&'a Queue>,
        trusted_from: Instant,
    ) -> Self {
        let jobs = manifest.jobs.iter().enumerate();
        let reports: Vec<_> = jobs
            .flat_map(|(nth, job)| {
                let each = job.each(manifest.date).enumerate();
                each.map(move |(window, report)| (nth, window, report.report_key))
            })
            .collect();
        Self {
            manifest,
            bucket,
            queue,
            existing: vec![None; reports.len()],
            reports,
            wants_settled: false,
            drain: Drain { trusted_from, empty_since: None },
            counts: None,
            taken_at: None,
            dead_letters: DeadLetterView {
                queue: dead_letters,
                seen: Dead::NotSeen,
                seen_at: None,
                hidden_since: None,
            },
        }
    }

    /// Sets whether provisional reports count as incomplete.
    pub(crate) fn with_settled(self, wants_settled: bool) -> Self {
        Self { wants_settled, ..self }
    }

    /// The run's status now. If the first reading of the queue is empty and an account is neither
    /// decided nor a dead letter, a second one follows. `None` if `stopped` completed first. If the dead
    /// letters can't be read, a warning says so.
    pub(crate) async fn once(
        &mut self,
        stopped: impl Future<Output = ()>,
    ) -> anyhow::Result<Option<RunStatus>> {
        tokio::pin!(stopped);
        loop {
            let drained = tokio::select! {
                biased;
                () = &mut stopped => return Ok(None),
                drained = self.look() => drained?,
            };
            if let Some(since) = self.drain.empty_since.filter(|_| !self.status(drained).is_decided()) {
                // Usually only a dead letter is open, so there is nothing to wait for. An error is
                // logged by the later look.
                if let Ok(Some(())) = self.look_at_dead_letters(drained, stopped.as_mut()).await {
                    return Ok(None);
                }
                if self.status(drained).is_decided() {
                    return Ok(Some(self.status(drained)));
                }
                tokio::select! {
                    biased;
                    () = &mut stopped => return Ok(None),
                    () = sleep_until(since + READINGS_APART) => continue,
                }
            }
            // Read last, so that a job dead-lettered meanwhile is seen.
            return match self.look_at_dead_letters(drained, stopped.as_mut()).await {
                Ok(None) => Ok(Some(self.status(drained))),
                Ok(Some(())) => Ok(None),
                Err(error) => {
                    tracing::warn!("{error:#}; accounts that failed are shown as missing");
                    self.dead_letters.seen = Dead::Unreadable;
                    Ok(Some(self.status(drained)))
                }
            };
        }
    }

    /// Looks until the run is decided, the timeout ends, or `stopped` completes, and returns the status
    /// then. A transient AWS error does not end it.
    pub(crate) async fn until_decided(
        &mut self,
        timeout: Option<Duration>,
        progress: &Progress,
        stopped: impl Future<Output = ()>,
    ) -> anyhow::Result<(RunStatus, Ended)> {
        let begun = Instant::now();
        let deadline = timeout.and_then(|timeout| begun.checked_add(timeout));
        let mut latest = self.status(false);
        let ending = async {
            let late = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stopped => Ended::Stopped,
                () = late => Ended::TimedOut,
            }
        };
        tokio::pin!(ending);
        loop {
            let drained = tokio::select! {
                biased;
                ended = &mut ending => return Ok((latest, ended)),
                drained = self.look() => drained,
            };
            // Not dropped half-way: it must release the messages in flight.
            let outcome = match drained {
                Err(error) => Err(error),
                Ok(drained) => match self.look_at_dead_letters(drained, ending.as_mut()).await {
                    Err(error) => Err(error),
                    Ok(Some(ended)) => return Ok((self.status(false), ended)),
                    Ok(None) => Ok(self.status(drained)),
                },
            };
            match outcome {
                Ok(status) => latest = status,
                Err(error) if is_transient(&error) => {
                    tracing::warn!("{error:#}; will retry");
                }
                Err(error) => return Err(error),
            }
            progress.set(&latest);
            if latest.is_decided() && !(latest.counts.missing > 0 && self.dead_letters.is_partly_hidden()) {
                return Ok((latest, Ended::Decided));
            }
            let pause = (begun.elapsed() / 5).clamp(PAUSE.0, PAUSE.1);
            tokio::select! {
                biased;
                ended = &mut ending => return Ok((latest, ended)),
                () = sleep(pause) => {}
            }
        }
    }

    fn status(&self, drained: bool) -> RunStatus {
        let observed = Observed {
            existing: &self.existing,
            drained,
            dead: &self.dead_letters.seen,
            now: self.bucket.now(),
            wants_settled: self.wants_settled,
            queue: self
                .counts
                .map(|counts| QueueState::from_counts(counts, self.last_taken_at(), self.bucket.now())),
        };
        RunStatus::from_observed(self.manifest, observed)
    }

    /// The reports that have been found: the dataset of each, its key, and what is stored under it.
    pub(crate) fn reports(&self) -> impl Iterator<Item = (&str, &str, &ExistingReport)> {
        let found = self.reports.iter().zip(&self.existing);
        found.filter_map(|((job, _, key), existing)| {
            Some((&*self.manifest.jobs.get(*job)?.dataset, &**key, existing.as_ref()?.report()?))
        })
    }

    /// When a worker is last known to have had a job: in flight, done or dead-lettered since the run was
    /// sent. Otherwise, when the run was sent.
    fn last_taken_at(&self) -> DateTime<Utc> {
        let sent_at = self.manifest.sent_at.unwrap_or(self.manifest.created_at);
        let reports = self.existing.iter().flatten().filter_map(Existing::report);
        let done_at = reports.map(|report| report.written_at).max();
        let dead_lettered_at = match &self.dead_letters.seen {
            Dead::Seen { letters, .. } => letters.iter().filter_map(|letter| letter.sent_at).max(),
            Dead::NotSeen | Dead::Unreadable => None,
        };
        done_at.into_iter().chain(dead_lettered_at).chain(self.taken_at).fold(sent_at, DateTime::max)
    }

    /// Reads the queue, then the reports: a job that leaves the queue between the two has written its
    /// report by then. Returns whether the queue is reliably empty.
    #[expect(
        clippy::indexing_slicing,
        reason = "cannot fail: a status has an account for each job of the manifest"
    )]
    async fn look(&mut self) -> anyhow::Result<bool> {
        let attributes = self.queue.attributes().await.context("could not read the work queue's counts")?;
        let counts = attributes.counts;
        self.counts = Some(counts);
        if counts.in_flight > 0 {
            self.taken_at = Some(self.bucket.now());
        }
        let drained = self.drain.read(counts, Instant::now());
        // A partial report is read again too: a complete one may have replaced it.
        let accounts = self.status(false).accounts;
        let is_open = |(job, window, _): &(usize, usize, String)| {
            let account = &accounts[*job];
            account.state != State::Complete
                && account.windows.as_ref().and_then(|windows| windows.each.get(*window)) != Some(&true)
        };
        let reports = self.reports.iter().enumerate();
        let open: Vec<usize> =
            reports.filter(|(_, report)| is_open(report)).map(|(index, _)| index).collect();
        let keys: Vec<&str> = open.iter().map(|&index| self.reports[index].2.as_str()).collect();
        let found = reports::look(self.bucket, &keys).await?;
        for (index, existing) in open.into_iter().zip(found) {
            self.existing[index] = Some(existing);
        }
        Ok(drained)
    }

    /// Reads the dead letters if that can show something new: their number changed, or the work queue is
    /// drained and a report is missing. Returns the output of `stop` if that completed first.
    async fn look_at_dead_letters<S: Future>(
        &mut self,
        drained: bool,
        stop: Pin<&mut S>,
    ) -> anyhow::Result<Option<S::Output>> {
        let Some(queue) = self.dead_letters.queue else { return Ok(None) };
        match self.read_dead_letters(queue, drained, stop).await {
            // A denied call will be denied again.
            Err(error) if !is_transient(&error) => {
                tracing::warn!("{error:#}; accounts that failed are shown as missing");
                self.dead_letters.queue = None;
                self.dead_letters.seen = Dead::Unreadable;
                Ok(None)
            }
            other => other,
        }
    }

    async fn read_dead_letters<S: Future>(
        &mut self,
        queue: &Queue,
        drained: bool,
        mut stop: Pin<&mut S>,
    ) -> anyhow::Result<Option<S::Output>> {
        let counts = tokio::select! {
            biased;
            stopped = stop.as_mut() => return Ok(Some(stopped)),
            counts = dead_letters::counts(queue) => counts?,
        };
        let number = counts.visible + counts.in_flight + counts.delayed;
        let is_missing = drained && self.status(drained).counts.missing > 0;
        let looks_new = match self.dead_letters.seen_at {
            None => number > 0,
            Some((seen, _)) => number != seen,
        };
        let was_drained = self.dead_letters.seen_at.is_some_and(|(_, drained)| drained);
        if !looks_new && (!is_missing || was_drained) {
            if self.dead_letters.seen_at.is_none() {
                self.dead_letters.seen = Dead::Seen { letters: Vec::new(), elsewhere: 0 };
            }
            return Ok(None);
        }
        match dead_letters::look(queue, counts, stop, Letter::from_message).await? {
            ReadOutcome::Stopped(stopped) => return Ok(Some(stopped)),
            ReadOutcome::All(found) => {
                if let Some(error) = found.not_released {
                    tracing::warn!("{error:#}");
                }
                self.dead_letters.seen = Dead::Seen { letters: found.letters, elsewhere: found.elsewhere };
                self.dead_letters.hidden_since = match found.elsewhere {
                    0 => None,
                    _ => self.dead_letters.hidden_since.or(Some(Instant::now())),
                };
                // Hidden messages are looked for again.
                self.dead_letters.seen_at = Some((number, drained && found.elsewhere == 0));
            }
        }
        Ok(None)
    }
}

impl DeadLetterView<'_> {
    /// Whether a job that seems to be missing may be in flight in another command.
    fn is_partly_hidden(&self) -> bool {
        self.hidden_since.is_some_and(|since| since.elapsed() < HIDDEN_FOR)
    }
}

fn is_transient(error: &anyhow::Error) -> bool {
    let mut causes = error.chain();
    causes.any(|cause| cause.downcast_ref::<AwsError>().is_some_and(AwsError::is_transient))
}

/// Decides from successive readings whether the queue is reliably empty.
#[derive(Debug)]
struct Drain {
    trusted_from: Instant,
    empty_since: Option<Instant>,
}

impl Drain {
    /// Adds a reading. Returns `true` once the queue was empty at two readings far enough apart, and at
    /// each between them.
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
