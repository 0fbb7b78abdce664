// SPDX-License-Identifier: Apache-2.0
//! A job for several windows: each report is decided and stored as that of a job for its window alone. What is missing is
//! collected together, so that each metric is billed once.

use engine::{Attempt, attempt::LONGEST};
use fleet::{
    Account, AccountId, Job, Window,
    existing::Existing,
    report::{ReportMetadata, ReportStatus},
    report_key::fill,
    window::parts::{may_be_cut_for_memory, parts},
};
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    claims::Claims,
    collector::Collecting,
    draft::{Cost, Report, Share},
    reporter::{Done, EarlierReports, Reporter},
    step,
};
use crate::{
    account::{authenticate, session::Session},
    collect::{Interruption, Known},
    failure::Failure,
    usage::Usage,
};

/// The maximum number of reports that are looked up at once.
const AT_ONCE: usize = 32;

/// About how many resources the reports have together that are held at once, to be stored.
const RESOURCES_AT_ONCE: usize = 100_000;

/// A window of a job, and the object under its key.
#[derive(Clone)]
struct Place {
    /// The job for this window alone.
    job: Job,
    key: String,
    existing: Existing,
}

/// The report of a window, and where to store it.
struct Made {
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
        let windows: Vec<Window> = job.windows.iter().collect();
        let places = self.places(job, windows, account.id.as_ref()).await?;
        // Decisions before the first call in the account cost nothing.
        let mut places = self.open(places, account.id.as_ref(), &mut tally)?;
        if !job.only_incomplete {
            self.make_range(job, &account, places, usage, attempt, &mut tally).await?;
            return Ok(tally.done(job));
        }
        while let Some(first) = places.first() {
            let claims = Claims::new(&self.bucket);
            let taken = claims.take(places.iter().map(|place| place.key.clone()).collect()).await?;
            let key = first.key.clone();
            let windows = places.iter().map(|place| place.job.window());
            let (mine, theirs): (Vec<_>, Vec<_>) = windows.zip(taken).partition(|(_, is_taken)| *is_taken);
            let [mine, theirs] =
                [mine, theirs].map(|windows| windows.into_iter().map(|(window, _)| window).collect());
            // What other jobs have made until now is enough.
            let made = async {
                let mine = self.places(job, mine, account.id.as_ref()).await?;
                let mine = self.open(mine, account.id.as_ref(), &mut tally)?;
                self.make_range(job, &account, mine, usage, attempt, &mut tally).await
            };
            let made = Box::pin(claims.during(made)).await;
            claims.release().await;
            made?;
            places = self.places(job, theirs, account.id.as_ref()).await?;
            places = self.open(places, account.id.as_ref(), &mut tally)?;
            if let Some(place) = places.first().filter(|place| place.key == key) {
                Claims::wait(&self.bucket, &place.key, attempt).await?;
            }
        }
        Ok(tally.done(job))
    }

    /// Collects these windows of a job, and stores their reports.
    async fn make_range(
        &self,
        job: &Job,
        account: &Account,
        places: Vec<Place>,
        usage: &Usage,
        attempt: &Attempt,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        if places.is_empty() {
            return Ok(());
        }
        let session =
            Session::open(account.clone(), &self.collector.base, Some(&job.run_id), usage.clone()).await?;
        let entered = Box::pin(self.collector.enter(job.dataset, &session, attempt)).await?;
        let account_id = entered.identity.account_id.clone();
        let mut places = self.open(places, Some(&account_id), tally)?;
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
            let (known, checkpoints) = self.known(job, &part, &account_id).await?;
            let collecting = self.collector.collect(job, &session, entered.clone(), &known, now, attempt);
            let collected = Box::pin(collecting).await?;
            drop(known);
            let interruption = collected.interruption();
            attempt.enter(step::UPLOAD);
            // An attempt that has been billed for nothing has nothing to keep.
            let is_kept = interruption.is_none() || usage.dollars() > 0.0;
            let shares = Share::each(part.len(), since);
            let part = part.into_iter().zip(checkpoints).zip(shares).take_while(|_| is_kept);
            let missing = self.store_each(part.collect(), collected, &account_id, tally).await?;
            since = Cost::so_far(usage);
            match interruption {
                None => {}
                Some(Interruption::Aws(error)) => {
                    return Err(authenticate::classify(&session, error.into()));
                }
                Some(Interruption::Stopped) => {
                    return Err(Failure::Deadline { longest: LONGEST, missing });
                }
            }
        }
        Ok(())
    }

    /// What earlier attempts have of some windows, and the digest of each one's checkpoint.
    async fn known(
        &self,
        job: &Job,
        places: &[Place],
        account_id: &AccountId,
    ) -> Result<(Known, Vec<Option<String>>), Failure> {
        let mut known = Known::new(job.dataset.shape);
        let mut digests = Vec::with_capacity(places.len());
        let read = |place: &Place| {
            let Place { job, key, existing } = place.clone();
            async move {
                let earlier = self.earlier(&job, account_id, &key, &existing).await?;
                Ok::<_, Failure>((job.window(), earlier.checkpoint))
            }
        };
        let rows = places.iter().filter_map(|place| Some(place.existing.report()?.metadata.rows)).max();
        let at_once = at_once(rows.and_then(|rows| usize::try_from(rows).ok()).unwrap_or_default());
        let mut read = stream::iter(places).map(read).buffered(at_once);
        while let Some((window, checkpoint)) = read.try_next().await? {
            known.add(window, checkpoint.as_ref());
            digests.push(checkpoint.map(|checkpoint| checkpoint.metadata.sha256));
        }
        Ok((known, digests))
    }

    /// Windows of a job, each with the object under its key.
    async fn places(
        &self,
        job: &Job,
        windows: Vec<Window>,
        account_id: Option<&AccountId>,
    ) -> Result<Vec<Place>, Failure> {
        let pattern = self.template.pattern(job, account_id)?;
        let look = |window| {
            let key = fill(&pattern, window);
            async move {
                let existing = self.look(&key).await?;
                Ok(Place { job: job.of(window), key, existing })
            }
        };
        stream::iter(windows).map(look).buffered(AT_ONCE).try_collect().await
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

    /// Makes the report of each window and stores it, or the checkpoint of it if the collection ended early. A few are
    /// held at once. Returns what the first one lacks.
    async fn store_each(
        &self,
        part: Vec<((Place, Option<String>), Share)>,
        mut collected: Collecting,
        account_id: &AccountId,
        tally: &mut Tally,
    ) -> Result<String, Failure> {
        let is_unfinished = collected.interruption().is_some();
        let at_once = at_once(collected.resources());
        let read = |((place, digest), share): ((Place, Option<String>), Share)| async move {
            let Place { job, key, existing } = &place;
            let earlier = self.earlier(job, account_id, key, existing).await?;
            // Its rows were not asked for again, so no other will do.
            if earlier.checkpoint.as_ref().map(|it| &it.metadata.sha256) != digest.as_ref() {
                return Err(Failure::Contended(key.clone()));
            }
            Ok((place, earlier, share))
        };
        let mut missing = None;
        let reports = stream::iter(part).map(read).buffered(at_once).map(|read| {
            let (place, EarlierReports { checkpoint, to_carry, aside }, share) = read?;
            let mut report = collected.report(&place.job, checkpoint);
            for table in to_carry {
                report.carry(table);
            }
            let mut report = report.sharing(share);
            report.metadata.is_unfinished = is_unfinished;
            missing.get_or_insert_with(|| report.what_is_missing());
            Ok(Made { place, report, aside })
        });
        let mut stored = reports.map(|made| self.store_made(made, is_unfinished)).buffered(at_once);
        while let Some(stored) = stored.next().await {
            match stored {
                Ok(done) => done.into_iter().for_each(|done| tally.add(done)),
                Err(failure) => tally.fail(failure)?,
            }
        }
        drop(stored);
        Ok(missing.unwrap_or_default())
    }

    /// Stores a report, or the checkpoint of one that is not finished. Returns how the job for its window is done, if it is.
    async fn store_made(
        &self,
        made: Result<Made, Failure>,
        is_unfinished: bool,
    ) -> Result<Option<Done>, Failure> {
        let Made { place: Place { job, key, existing }, mut report, aside } = made?;
        if is_unfinished {
            return self.store_unfinished(&job, &key, existing, aside, &mut report).await;
        }
        let done = self.store(&job, &key, existing, &mut report).await?;
        if !matches!(aside, Existing::Nothing) {
            self.remove_aside(&key).await;
        }
        Ok(Some(done))
    }
}

/// How many reports of so many resources are held at once.
fn at_once(resources: usize) -> usize {
    (RESOURCES_AT_ONCE / resources.max(1)).clamp(4, AT_ONCE)
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
