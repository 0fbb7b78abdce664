// SPDX-License-Identifier: Apache-2.0
//! Runs one job up to the report in the bucket: checks for an existing report, reuses what earlier
//! attempts collected, stores the result, and decides who is at fault if that fails.

use std::slice;

use engine::{Attempt, attempt::LONGEST};
use fleet::{
    Account, AccountId, AwsError, Dataset, Job, KeyTemplate,
    datasets::Period,
    existing::{Existing, ExistingReport},
    from_sdk,
    report::{Remaining, ReportMetadata, ReportStatus},
    report_bucket::ReportBucket,
    report_key,
};

use super::{
    Collector,
    claims::Claims,
    draft::Report,
    step,
    store::{self, Candidate, Decision, Precondition, Put},
};
use crate::{
    account::authenticate,
    account::breaker::{Breaker, Streak},
    account::session::Session,
    collect::{Interruption, Known},
    failure::{Failure, Misconfiguration},
    preflight::{self, RoleCheck},
    table::{Table, checkpoint::Checkpoint},
    usage::Usage,
};

/// The number of accounts in a row that may fail authentication in a worker that has never succeeded,
/// before the worker counts as misconfigured. A few accounts without a role or keys are common, and in a
/// small fleet they may be all.
const LONGEST_FIRST_STREAK: usize = 10;

/// The same number in a worker that has succeeded before: its access may have been revoked.
const LONGEST_STREAK: usize = 20;

/// Makes the reports of jobs and stores them in the report bucket.
#[derive(Debug)]
pub struct Reporter {
    pub collector: Collector,
    pub bucket: ReportBucket,
    pub template: KeyTemplate,
    /// Whether to replace objects of other programs under a report's key.
    pub replaces_foreign: bool,
    /// Tracks whether reports can be written.
    pub storing: Breaker,
}

/// How a job was done.
#[derive(Debug)]
pub enum Done {
    Stored {
        key: String,
        metadata: Box<ReportMetadata>,
    },
    /// A report of its run or of a later one already existed.
    Duplicate {
        key: String,
    },
    /// A final report exists that a collection could no longer reproduce.
    Kept {
        key: String,
    },
    /// The windows of a job for several.
    Several {
        /// All windows, as text.
        windows: String,
        /// The keys of all reports that exist now.
        keys: Vec<String>,
        stored: usize,
        /// How many stored reports are partial.
        partial: usize,
        duplicates: usize,
        kept: usize,
        /// The rows of the stored reports.
        rows: u64,
        /// Why the report of a window could not be stored; the job fails once the others are delivered.
        failure: Option<Failure>,
    },
}

impl Done {
    /// The keys of the reports that exist now.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        match self {
            Self::Stored { key, .. } | Self::Duplicate { key } | Self::Kept { key } => slice::from_ref(key),
            Self::Several { keys, .. } => keys,
        }
    }
}

impl Reporter {
    /// Does a job. Its reports exist when this returns.
    ///
    /// # Errors
    ///
    /// [`Failure::WorkerMisconfigured`] if the job is not at fault.
    pub async fn perform(&self, job: &Job, usage: &Usage, attempt: &Attempt) -> Result<Done, Failure> {
        let done = if job.windows.is_one() {
            self.store_report(job, usage, attempt).await
        } else {
            Box::pin(self.store_range(job, usage, attempt)).await
        };
        let failure = match done {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        Err(match failure {
            Failure::ReportBucket(error) if !error.is_transient() => {
                self.classify_write_failure(job, error).await
            }
            failure if is_of_authentication(&failure, attempt) => {
                self.classify_authentication_failure(job, failure).await
            }
            failure => failure,
        })
    }

    /// Decides whether the bucket refuses only this report. A successful write check does not rule out
    /// the worker: the report is encrypted with a key that may be denied, and the check writes nothing.
    async fn classify_write_failure(&self, job: &Job, error: AwsError) -> Failure {
        match preflight::check_writing(&self.bucket, &self.template).await {
            Err(own) if own.is_transient() => Failure::ReportBucket(own),
            Err(own) => Misconfiguration::ReportBucket(own).into(),
            Ok(()) => match self.storing.failed(&job.account_name) {
                Streak { has_succeeded: true, accounts } if accounts < LONGEST_STREAK => {
                    Failure::ReportBucket(error)
                }
                _ => Misconfiguration::ReportBucket(error).into(),
            },
        }
    }

    /// Decides whether this worker can authenticate to any account.
    async fn classify_authentication_failure(&self, job: &Job, failure: Failure) -> Failure {
        let Streak { accounts, has_succeeded } = self.collector.authentication.failed(&job.account_name);
        if !has_succeeded && accounts >= LONGEST_FIRST_STREAK {
            return Misconfiguration::EveryAccount { accounts, source: Box::new(failure) }.into();
        }
        // Variables and files don't change, but a permission may be revoked.
        if matches!(failure, Failure::RoleRefused(_)) && accounts >= LONGEST_STREAK {
            match preflight::check_roles(&self.collector).await {
                Ok(RoleCheck::Passed) => self.collector.authentication.succeeded(),
                Ok(RoleCheck::Inconclusive) => {}
                Err(fault) => return fault.into(),
            }
        }
        failure
    }

    async fn store_report(&self, job: &Job, usage: &Usage, attempt: &Attempt) -> Result<Done, Failure> {
        attempt.enter(step::CHECK_EXISTING);
        let account = self.collector.account(job).await?;
        let key = self.template.key(job, account.id.as_ref())?;
        let existing = self.look(&key).await?;
        // Decisions before the first call in the account cost nothing.
        if let Some(done) = self.settled_by(&existing, job, &key, account.id.as_ref())? {
            return Ok(done);
        }
        if !job.only_incomplete {
            return self.make_report(job, account, key, existing, usage, attempt).await;
        }
        loop {
            let claims = Claims::new(&self.bucket);
            if claims.take(vec![key.clone()]).await?.contains(&false) {
                Claims::wait(&self.bucket, &key, attempt).await?;
                continue;
            }
            // What another job has made until now is enough.
            let existing = self.look(&key).await?;
            let done = match self.settled_by(&existing, job, &key, account.id.as_ref()) {
                Ok(None) => {
                    let making = self.make_report(job, account, key, existing, usage, attempt);
                    Box::pin(claims.during(making)).await
                }
                Ok(Some(done)) => Ok(done),
                Err(failure) => Err(failure),
            };
            claims.release().await;
            return done;
        }
    }

    async fn make_report(
        &self,
        job: &Job,
        account: Account,
        key: String,
        existing: Existing,
        usage: &Usage,
        attempt: &Attempt,
    ) -> Result<Done, Failure> {
        let session = Session::open(account, &self.collector.base, Some(&job.run_id), usage.clone()).await?;
        let entered = Box::pin(self.collector.enter(job.dataset, &session, attempt)).await?;
        let account_id = entered.identity.account_id.clone();
        if let Some(done) = self.settled_by(&existing, job, &key, Some(&account_id))? {
            return Ok(done);
        }
        let EarlierReports { checkpoint, to_carry, aside } =
            self.earlier(job, &account_id, &key, &existing).await?;
        let mut known = Known::new(job.dataset.shape);
        known.add(job.window(), checkpoint.as_ref());
        let now = self.bucket.now();
        let collecting = self.collector.collect(job, &session, entered, &known, now, attempt);
        let mut collected = Box::pin(collecting).await?;
        drop(known);
        let interruption = collected.interruption();
        let mut report = collected.report(job, checkpoint);
        drop(collected);
        for table in to_carry {
            report.carry(table);
        }
        attempt.enter(step::UPLOAD);
        let Some(interruption) = interruption else {
            let done = self.store(job, &key, existing, &mut report).await?;
            if !matches!(aside, Existing::Nothing) {
                self.remove_aside(&key).await;
            }
            return Ok(done);
        };
        report.metadata.is_unfinished = true;
        // An attempt that has been billed for nothing has nothing to keep.
        if usage.dollars() > 0.0
            && let Some(done) = self.store_unfinished(job, &key, existing, aside, &mut report).await?
        {
            return Ok(done);
        }
        Err(match interruption {
            Interruption::Aws(error) => authenticate::classify(&session, error.into()),
            Interruption::Stopped => {
                Failure::Deadline { longest: LONGEST, missing: report.what_is_missing() }
            }
        })
    }

    pub(super) async fn look(&self, key: &str) -> Result<Existing, Failure> {
        self.bucket.look(key).await.map_err(Failure::ReportBucket)
    }

    /// How the job ends without a collection, given what exists under its key; `None` if it must
    /// collect.
    pub(super) fn settled_by(
        &self,
        existing: &Existing,
        job: &Job,
        key: &str,
        account_id: Option<&AccountId>,
    ) -> Result<Option<Done>, Failure> {
        let now = self.bucket.now();
        let key = || key.to_owned();
        let best = Candidate {
            run_id: &job.run_id,
            dataset: job.dataset.name,
            window: job.window(),
            account_id,
            status: ReportStatus::Complete,
            is_listed: job.window().date().is_listed_at(now),
            period_seconds: job.dataset.period_of_rows(job.window().date(), now).map(Period::seconds),
            replaces_foreign: self.replaces_foreign,
        };
        match store::decide(existing, best) {
            Decision::Duplicate => return Ok(Some(Done::Duplicate { key: key() })),
            Decision::Keep => return Ok(Some(Done::Kept { key: key() })),
            Decision::Superseded => return Err(Failure::Superseded(key())),
            Decision::Foreign => return Err(Failure::ForeignObject(key())),
            Decision::Create | Decision::Replace(_) | Decision::KeepComplete => {}
        }
        let remaining = existing.report().filter(|_| job.only_incomplete);
        let remaining = remaining
            .map(|report| report.metadata.remaining(job.dataset.name, job.window(), account_id, now));
        Ok(match remaining {
            Some(Remaining::Nothing | Remaining::UntilSettled(_)) => Some(Done::Duplicate { key: key() }),
            Some(Remaining::Collection) | None => None,
        })
    }

    /// The parts of earlier reports to reuse: rows that an earlier attempt of the job has collected, and
    /// rows that this collection can't see.
    pub(super) async fn earlier(
        &self,
        job: &Job,
        account_id: &AccountId,
        key: &str,
        existing: &Existing,
    ) -> Result<EarlierReports, Failure> {
        let aside_key = report_key::aside(key);
        // A complete report stays in place while a job is unfinished.
        let aside = match existing {
            Existing::Report(report) if report.metadata.status == ReportStatus::Complete => {
                self.look(&aside_key).await?
            }
            _ => Existing::Nothing,
        };
        let mut earlier = EarlierReports { checkpoint: None, to_carry: Vec::new(), aside };
        for (key, place) in [(key, existing), (&*aside_key, &earlier.aside)] {
            let Some(ExistingReport { metadata, .. }) = place.report() else { continue };
            if Checkpoint::may_be_of(metadata, job, account_id, self.bucket.now()) {
                earlier.checkpoint = self.read(key, job.dataset, metadata).await?;
            } else if metadata.is_of(job.dataset.name, job.window(), Some(account_id))
                && !job.window().date().is_listed_at(self.bucket.now())
                && (metadata.is_listed || metadata.rows_carried > 0)
            {
                let report = self.read(key, job.dataset, metadata).await?;
                earlier.to_carry.extend(report.map(Checkpoint::into_carried).transpose()?);
            }
        }
        Ok(earlier)
    }

    async fn read(
        &self,
        key: &str,
        dataset: &'static Dataset,
        metadata: &ReportMetadata,
    ) -> Result<Option<Checkpoint>, Failure> {
        Checkpoint::read(&self.bucket, key, dataset, metadata.clone()).await
    }

    /// Stores the report of a finished job.
    pub(super) async fn store(
        &self,
        job: &Job,
        key: &str,
        existing: Existing,
        report: &mut Report,
    ) -> Result<Done, Failure> {
        let mut attempts = store::Attempts::new(existing);
        loop {
            match store::decide(&attempts.existing, self.candidate(job, report)) {
                Decision::Create | Decision::Replace(_) => {}
                Decision::Duplicate => return Ok(Done::Duplicate { key: key.to_owned() }),
                Decision::Keep => return Ok(Done::Kept { key: key.to_owned() }),
                Decision::KeepComplete => {
                    let missing = report.metadata.first_error.clone().unwrap_or_default();
                    return Err(Failure::Partial { key: key.to_owned(), missing });
                }
                Decision::Superseded => return Err(Failure::Superseded(key.to_owned())),
                Decision::Foreign => return Err(Failure::ForeignObject(key.to_owned())),
            }
            let body = report.render().await?;
            let precondition = Precondition::unchanged(&attempts.existing);
            let metadata =
                report.metadata.for_run(store::run_to_credit(&attempts.existing, &report.metadata));
            match store::put(&self.bucket, key, precondition, &metadata, body).await? {
                Put::Stored => {
                    self.storing.succeeded();
                    return Ok(Done::Stored { key: key.to_owned(), metadata: Box::new(metadata) });
                }
                Put::Changed => attempts.look_again(&self.bucket, key).await?,
            }
            self.merge(job, key, &attempts.existing, report).await?;
        }
    }

    /// Stores what an unfinished job has collected: under its key, unless a complete report exists
    /// there, which is kept. Returns how the job ended if another worker has finished it, or if both
    /// have collected everything together.
    pub(super) async fn store_unfinished(
        &self,
        job: &Job,
        key: &str,
        existing: Existing,
        aside: Existing,
        report: &mut Report,
    ) -> Result<Option<Done>, Failure> {
        let mut attempts = store::Attempts::new(existing);
        while let Decision::Create | Decision::Replace(_) =
            store::decide(&attempts.existing, self.candidate(job, report))
            && !attempts.existing.report().is_some_and(|it| it.metadata.status == ReportStatus::Complete)
        {
            let body = report.render().await?;
            let precondition = Precondition::unchanged(&attempts.existing);
            match store::put(&self.bucket, key, precondition, &report.metadata, body).await? {
                Put::Stored => {
                    self.storing.succeeded();
                    tracing::info!(key, rows = report.metadata.rows, "the collected part is stored");
                    return Ok(None);
                }
                Put::Changed => attempts.look_again(&self.bucket, key).await?,
            }
            self.merge(job, key, &attempts.existing, report).await?;
            if report.metadata.status == ReportStatus::Complete {
                return self.store(job, key, attempts.existing, report).await.map(Some);
            }
        }
        if let done @ Some(_) =
            self.settled_by(&attempts.existing, job, key, Some(&report.metadata.account_id))?
        {
            return Ok(done);
        }
        let aside_key = report_key::aside(key);
        let mut attempts = store::Attempts::new(aside);
        loop {
            let body = report.render().await?;
            let precondition = Precondition::unchanged(&attempts.existing);
            match store::put(&self.bucket, &aside_key, precondition, &report.metadata, body).await? {
                Put::Stored => {
                    tracing::info!(
                        key = aside_key,
                        rows = report.metadata.rows,
                        "the collected part is stored"
                    );
                    return Ok(None);
                }
                Put::Changed => attempts.look_again(&self.bucket, &aside_key).await?,
            }
            self.merge(job, &aside_key, &attempts.existing, report).await?;
            if report.metadata.status == ReportStatus::Complete {
                let existing = self.look(key).await?;
                return self.store(job, key, existing, report).await.map(Some);
            }
        }
    }

    /// Merges what another worker has stored meanwhile, if both reports are partial.
    async fn merge(
        &self,
        job: &Job,
        key: &str,
        existing: &Existing,
        report: &mut Report,
    ) -> Result<(), Failure> {
        if let Some(theirs) = existing.report()
            && report.metadata.status == ReportStatus::Partial
            && Checkpoint::may_be_of(&theirs.metadata, job, &report.metadata.account_id, self.bucket.now())
            && let Some(theirs) = self.read(key, job.dataset, &theirs.metadata).await?
        {
            report.merge(theirs);
        }
        Ok(())
    }

    fn candidate<'a>(&self, job: &'a Job, report: &'a Report) -> Candidate<'a> {
        Candidate {
            run_id: &job.run_id,
            dataset: job.dataset.name,
            window: job.window(),
            account_id: Some(&report.metadata.account_id),
            status: report.metadata.status,
            is_listed: report.metadata.is_listed,
            period_seconds: report.metadata.period_seconds,
            replaces_foreign: self.replaces_foreign,
        }
    }

    /// Deletes what an unfinished attempt stored beside a complete report. If that fails, it expires.
    pub(super) async fn remove_aside(&self, key: &str) {
        let key = report_key::aside(key);
        let removed = self.bucket.client.delete_object().bucket(&self.bucket.name).key(&key).send().await;
        if let Err(error) = removed {
            let error = from_sdk("s3:DeleteObject", error);
            tracing::warn!(key, error = %error, "the unfinished report of an earlier attempt could not be deleted");
        }
    }
}

/// The parts of earlier reports that a job reuses.
pub(super) struct EarlierReports {
    /// What an earlier attempt has collected.
    pub(super) checkpoint: Option<Checkpoint>,
    /// Rows to keep if the collection can't see them.
    pub(super) to_carry: Vec<Table>,
    /// What exists under the key for unfinished attempts beside a complete report.
    pub(super) aside: Existing,
}

/// Whether authentication to the account failed.
fn is_of_authentication(failure: &Failure, attempt: &Attempt) -> bool {
    match failure {
        Failure::UnknownAccount(_)
        | Failure::NoCredentials(_)
        | Failure::WrongAccount { .. }
        | Failure::RoleRefused(_) => true,
        Failure::Aws(error) => attempt.step() == step::AUTHENTICATE && !error.is_transient(),
        _ => false,
    }
}
