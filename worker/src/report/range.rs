// SPDX-License-Identifier: Apache-2.0
//! A job for several windows: each report is decided and stored as that of a job for its window alone. What is missing is
//! collected together, so that each metric is billed once.

use engine::{Attempt, attempt::LONGEST};
use fleet::{
    AccountId, Job,
    existing::Existing,
    report::{ReportMetadata, ReportStatus},
    report_key::fill,
    window::parts::{may_be_cut_for_memory, parts},
};
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    draft::{Cost, Report, Share},
    reporter::{Done, EarlierReports, Reporter},
    step,
};
use crate::{
    account::authenticate, account::session::Session, collect::Interruption, failure::Failure, usage::Usage,
};

/// The maximum number of reports that are looked up, or stored, at once.
const AT_ONCE: usize = 16;

/// A window of a job, and the object under its key.
struct Place {
    /// The job for this window alone.
    job: Job,
    key: String,
    existing: Existing,
}

/// A collected report, and where to store it.
struct Collected {
    place: Place,
    report: Report,
    /// What exists under the key for unfinished attempts beside a complete report.
    aside: Existing,
}

/// The results of the windows so far.
#[derive(Default)]
struct Tally {
    /// The keys of all reports that exist.
    keys: Vec<String>,
    stored: Vec<ReportMetadata>,
    duplicates: usize,
    kept: usize,
    /// Why one window failed, which does not keep the others from being done.
    failure: Option<Failure>,
}

impl Reporter {
    /// Does a job for several windows.
    pub(super) async fn store_range(
        &self,
        job: &Job,
        usage: &Usage,
        attempt: &Attempt,
    ) -> Result<Done, Failure> {
        attempt.enter(step::CHECK_EXISTING);
        let account = self.collector.account(job).await?;
        let mut tally = Tally::default();
        let places = self.places(job, account.id.as_ref()).await?;
        // Decisions before the first call in the account cost nothing.
        let places = self.open(places, account.id.as_ref(), &mut tally)?;
        if places.is_empty() {
            return Ok(tally.done(job));
        }
        let session = Session::open(account, &self.collector.base, Some(&job.run_id), usage.clone()).await?;
        let entered = Box::pin(self.collector.enter(job.dataset, &session, attempt)).await?;
        let account_id = entered.identity.account_id.clone();
        let mut places = self.open(places, Some(&account_id), &mut tally)?;
        let now = self.bucket.now();
        let windows: Vec<_> = places.iter().map(|place| place.job.window()).collect();
        let resources = if may_be_cut_for_memory(&windows, job.dataset, now) {
            Box::pin(self.collector.count(job, &session, &entered, now, attempt)).await
        } else {
            0
        };
        let mut since = Cost::default();
        for part in parts(windows, job.dataset, resources, now) {
            let rest = places.split_off(part.len().min(places.len()));
            let part = std::mem::replace(&mut places, rest);
            let earlier: Vec<_> = part
                .iter()
                .map(|place| self.earlier(&place.job, &account_id, &place.key, &place.existing))
                .collect();
            let earlier: Vec<EarlierReports> = stream::iter(earlier).buffered(AT_ONCE).try_collect().await?;
            let (mut checkpoints, mut others) = (Vec::new(), Vec::new());
            for EarlierReports { checkpoint, to_carry, aside } in earlier {
                checkpoints.push(checkpoint);
                others.push((to_carry, aside));
            }
            let jobs: Vec<&Job> = part.iter().map(|place| &place.job).collect();
            let collecting =
                self.collector.collect_windows(&jobs, &session, &entered, checkpoints, now, attempt);
            let (reports, interruption) = Box::pin(collecting).await?;
            let shares = Share::each(part.len(), since);
            let collected = part.into_iter().zip(reports).zip(others).zip(shares).map(
                |(((place, mut report), (to_carry, aside)), share)| {
                    for table in to_carry {
                        report.carry(table);
                    }
                    Collected { place, report: report.sharing(share), aside }
                },
            );
            let collected: Vec<Collected> = collected.collect();
            since = Cost::so_far(usage);
            attempt.enter(step::UPLOAD);
            match interruption {
                None => self.store_all(collected, &mut tally).await?,
                Some(interruption) => {
                    let missing = collected.iter().map(|it| it.report.what_is_missing()).next();
                    // An attempt that has been billed for nothing has nothing to keep.
                    if usage.dollars() > 0.0 {
                        self.store_all_unfinished(collected, &mut tally).await?;
                    }
                    return Err(match interruption {
                        Interruption::Aws(error) => authenticate::classify(&session, error.into()),
                        Interruption::Stopped => {
                            Failure::Deadline { longest: LONGEST, missing: missing.unwrap_or_default() }
                        }
                    });
                }
            }
        }
        Ok(tally.done(job))
    }

    /// Each window of a job, with the object under its key.
    async fn places(&self, job: &Job, account_id: Option<&AccountId>) -> Result<Vec<Place>, Failure> {
        let pattern = self.template.pattern(job, account_id)?;
        let look = |window| {
            let key = fill(&pattern, window);
            async move {
                let existing = self.look(&key).await?;
                Ok(Place { job: job.of(window), key, existing })
            }
        };
        stream::iter(job.windows.iter()).map(look).buffered(AT_ONCE).try_collect().await
    }

    /// The windows that must be collected.
    fn open(
        &self,
        places: Vec<Place>,
        account_id: Option<&AccountId>,
        tally: &mut Tally,
    ) -> Result<Vec<Place>, Failure> {
        let mut open = Vec::with_capacity(places.len());
        for place in places {
            match self.settled_by(&place.existing, &place.job, &place.key, account_id) {
                Ok(None) => open.push(place),
                Ok(Some(done)) => tally.add(done),
                Err(failure) => tally.fail(failure)?,
            }
        }
        Ok(open)
    }

    /// Stores the reports of finished windows.
    async fn store_all(&self, collected: Vec<Collected>, tally: &mut Tally) -> Result<(), Failure> {
        let store = |Collected { place: Place { job, key, existing }, mut report, aside }| async move {
            let done = self.store(&job, &key, existing, &mut report).await?;
            if !matches!(aside, Existing::Nothing) {
                self.remove_aside(&key).await;
            }
            Ok(done)
        };
        let mut stored = stream::iter(collected).map(store).buffered(AT_ONCE);
        while let Some(stored) = stored.next().await {
            match stored {
                Ok(done) => tally.add(done),
                Err(failure) => tally.fail(failure)?,
            }
        }
        Ok(())
    }

    /// Stores what was collected of unfinished windows, each as the checkpoint of its report.
    async fn store_all_unfinished(
        &self,
        collected: Vec<Collected>,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let store = |Collected { place: Place { job, key, existing }, mut report, aside }| async move {
            report.metadata.is_unfinished = true;
            self.store_unfinished(&job, &key, existing, aside, &mut report).await
        };
        let mut stored = stream::iter(collected).map(store).buffered(AT_ONCE);
        while let Some(stored) = stored.next().await {
            match stored {
                Ok(done) => done.into_iter().for_each(|done| tally.add(done)),
                Err(failure) => tally.fail(failure)?,
            }
        }
        Ok(())
    }
}

impl Tally {
    fn add(&mut self, done: Done) {
        self.keys.extend_from_slice(done.keys());
        match done {
            Done::Stored { metadata, .. } => self.stored.push(*metadata),
            Done::Duplicate { .. } => self.duplicates += 1,
            Done::Kept { .. } => self.kept += 1,
            Done::Several { .. } => {}
        }
    }

    /// Records the failure of a window.
    ///
    /// # Errors
    ///
    /// The failure, if it concerns all windows.
    fn fail(&mut self, failure: Failure) -> Result<(), Failure> {
        match failure {
            Failure::Partial { .. } | Failure::Superseded(_) | Failure::ForeignObject(_) => {
                self.failure.get_or_insert(failure);
                Ok(())
            }
            failure => Err(failure),
        }
    }

    /// How the job is done, once all its windows are.
    fn done(self, job: &Job) -> Done {
        let is_partial = |report: &ReportMetadata| report.status == ReportStatus::Partial;
        Done::Several {
            windows: job.windows.to_string(),
            stored: self.stored.len(),
            partial: self.stored.iter().filter(|report| is_partial(report)).count(),
            duplicates: self.duplicates,
            kept: self.kept,
            rows: self.stored.iter().map(|report| report.rows).sum(),
            keys: self.keys,
            failure: self.failure,
        }
    }
}
