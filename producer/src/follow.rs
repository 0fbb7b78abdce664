//! Follows a run: reads the queue, looks at the reports that are not complete yet and, where it
//! matters, at the dead letters, and says how the run stands, once or until all is decided.

use std::{pin::Pin, time::Duration};

use anyhow::Context;
use chrono::{DateTime, Utc};
use engine::{AwsError, Queue, queue::QueueCounts};
use fleet::{existing::Existing, manifest::Manifest, report_bucket::ReportBucket};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    dead_letters::{self, Letter, Looked},
    progress::Progress,
    reports,
    status::{Dead, Observed, QueueState, RunStatus, State},
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

/// How long somebody else's look at the dead letters is waited for, where something seems to be missing:
/// what a killed one left hidden is back by then.
const HIDDEN_FOR: Duration = Duration::from_secs(70);

/// A run that is being looked at.
#[derive(Debug)]
pub(crate) struct Follower<'a> {
    manifest: &'a Manifest,
    bucket: &'a ReportBucket,
    queue: &'a Queue,
    /// What is stored under each job's report key; `None` until it was looked at.
    existing: Vec<Option<Existing>>,
    wants_settled: bool,
    drain: Drain,
    /// The last reading of the work queue.
    counts: Option<QueueCounts>,
    /// When a reading last had a job in flight.
    taken_at: Option<DateTime<Utc>>,
    graveyard: Graveyard<'a>,
}

/// The dead-letter queue, and what was last seen in it.
#[derive(Debug)]
struct Graveyard<'a> {
    /// None where the work queue has none, or where it may not be looked at.
    queue: Option<&'a Queue>,
    seen: Dead,
    /// How many messages it had when it was last looked at, and whether the work queue was drained.
    seen_at: Option<(u64, bool)>,
    /// Since when somebody else has some of it in hand.
    hidden_since: Option<Instant>,
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
    /// Begins to look at a run. Before `trusted_from` an empty queue is not believed. `dead_letters` is
    /// the dead-letter queue, where there is one.
    pub(crate) fn new(
        manifest: &'a Manifest,
        bucket: &'a ReportBucket,
        queue: &'a Queue,
        dead_letters: Option<&'a Queue>,
        trusted_from: Instant,
    ) -> Self {
        Self {
            manifest,
            bucket,
            queue,
            existing: vec![None; manifest.jobs.len()],
            wants_settled: false,
            drain: Drain { trusted_from, empty_since: None },
            counts: None,
            taken_at: None,
            graveyard: Graveyard {
                queue: dead_letters,
                seen: Dead::NotSeen,
                seen_at: None,
                hidden_since: None,
            },
        }
    }

    /// The same, with provisional reports counted as incomplete if that is wanted.
    pub(crate) fn wanting_settled(self, wants_settled: bool) -> Self {
        Self { wants_settled, ..self }
    }

    /// How the run stands now: with a second reading of the queue, where the first was empty and
    /// something is neither decided nor a dead letter. None where `stopped` was ready first; dead letters
    /// that can't be looked at are told in the log.
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
                // Mostly, all that is open is a dead letter, and nothing has to be waited for. What goes
                // wrong here is told below.
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
            // The last, so that a job that is given up meanwhile is seen.
            return match self.look_at_dead_letters(drained, stopped.as_mut()).await {
                Ok(None) => Ok(Some(self.status(drained))),
                Ok(Some(())) => Ok(None),
                Err(error) => {
                    tracing::warn!("{error:#}; accounts that failed are shown as missing");
                    self.graveyard.seen = Dead::Unreadable;
                    Ok(Some(self.status(drained)))
                }
            };
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
            let looked = tokio::select! {
                biased;
                ended = &mut ending => return Ok((latest, ended)),
                looked = self.look() => looked,
            };
            // Not dropped half-way: it gives back what it has in hand.
            let looked = match looked {
                Err(error) => Err(error),
                Ok(drained) => match self.look_at_dead_letters(drained, ending.as_mut()).await {
                    Err(error) => Err(error),
                    Ok(Some(ended)) => return Ok((self.status(false), ended)),
                    Ok(None) => Ok(self.status(drained)),
                },
            };
            match looked {
                Ok(status) => latest = status,
                Err(error) if is_passing(&error) => {
                    tracing::warn!("{error:#}; will look again");
                }
                Err(error) => return Err(error),
            }
            progress.set(&latest);
            if latest.is_decided() && !(latest.counts.missing > 0 && self.graveyard.is_partly_hidden()) {
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
            dead: &self.graveyard.seen,
            now: self.bucket.now(),
            wants_settled: self.wants_settled,
            queue: self.counts.map(|counts| QueueState::of(counts, self.last_taken_at(), self.bucket.now())),
        };
        RunStatus::of(self.manifest, observed)
    }

    /// When a worker is known to have had a job last: in flight, done or given up since the run was sent. Else when it was
    /// sent.
    fn last_taken_at(&self) -> DateTime<Utc> {
        let sent_at = self.manifest.sent_at.unwrap_or(self.manifest.created_at);
        let reports = self.existing.iter().flatten().filter_map(Existing::report);
        let done_at = reports.map(|report| report.written_at).max();
        let given_up_at = match &self.graveyard.seen {
            Dead::Seen { letters, .. } => letters.iter().filter_map(|letter| letter.sent_at).max(),
            Dead::NotSeen | Dead::Unreadable => None,
        };
        done_at.into_iter().chain(given_up_at).chain(self.taken_at).fold(sent_at, DateTime::max)
    }

    /// Reads the queue, and after it the reports: a job that leaves the queue between the two has
    /// its report by then. Gives whether the queue is empty for good.
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
        // A partial report too is looked at again: a complete one may have replaced it.
        let open: Vec<usize> = self
            .status(false)
            .accounts
            .iter()
            .enumerate()
            .filter(|(_, account)| account.state != State::Complete)
            .map(|(index, _)| index)
            .collect();
        let keys: Vec<&str> =
            open.iter().map(|&index| self.manifest.jobs[index].report_key.as_str()).collect();
        let found = reports::look(self.bucket, &keys).await?;
        for (index, existing) in open.into_iter().zip(found) {
            self.existing[index] = Some(existing);
        }
        Ok(drained)
    }

    /// Looks at the dead letters where that can tell something new: their number is another one, or
    /// the work queue is drained and something is missing. Gives what `stop` says, where it was ready
    /// first.
    async fn look_at_dead_letters<S: Future>(
        &mut self,
        drained: bool,
        stop: Pin<&mut S>,
    ) -> anyhow::Result<Option<S::Output>> {
        let Some(queue) = self.graveyard.queue else { return Ok(None) };
        match self.look_into(queue, drained, stop).await {
            // What is not allowed will not be a moment later.
            Err(error) if !is_passing(&error) => {
                tracing::warn!("{error:#}; accounts that failed are shown as missing");
                self.graveyard.queue = None;
                self.graveyard.seen = Dead::Unreadable;
                Ok(None)
            }
            other => other,
        }
    }

    async fn look_into<S: Future>(
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
        let looks_new = match self.graveyard.seen_at {
            None => number > 0,
            Some((seen, _)) => number != seen,
        };
        let was_drained = self.graveyard.seen_at.is_some_and(|(_, drained)| drained);
        if !looks_new && (!is_missing || was_drained) {
            if self.graveyard.seen_at.is_none() {
                self.graveyard.seen = Dead::Seen { letters: Vec::new(), elsewhere: 0 };
            }
            return Ok(None);
        }
        match dead_letters::look(queue, counts, stop, Letter::from_message).await? {
            Looked::Stopped(stopped) => return Ok(Some(stopped)),
            Looked::All(found) => {
                if let Some(error) = found.not_given_back {
                    tracing::warn!("{error:#}");
                }
                self.graveyard.seen = Dead::Seen { letters: found.letters, elsewhere: found.elsewhere };
                self.graveyard.hidden_since = match found.elsewhere {
                    0 => None,
                    _ => self.graveyard.hidden_since.or(Some(Instant::now())),
                };
                // What is hidden is looked for again.
                self.graveyard.seen_at = Some((number, drained && found.elsewhere == 0));
            }
        }
        Ok(None)
    }
}

impl Graveyard<'_> {
    /// Whether a job that seems to be missing may be in somebody else's hands, who looks as well.
    fn is_partly_hidden(&self) -> bool {
        self.hidden_since.is_some_and(|since| since.elapsed() < HIDDEN_FOR)
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
