//! One job from its account to its report: collect, encode, describe, and (for a job off the
//! queue) store.

use std::fmt::Write;

use aws_config::SdkConfig;
use chrono::Utc;
use fleet::{
    Account, AwsError, Job, KeyTemplate, ReportDate,
    accounts::KeptAccounts,
    aws,
    credentials::CredentialSource,
    environment,
    report::{ReportMetadata, ReportStatus},
    report_bucket::ReportBucket,
    telemetry::STEP,
};
use sha2::{Digest, Sha256};

use crate::{
    attempt::{Attempt, Step},
    breaker::{Breaker, Streak},
    cloudwatch::{limits::Limits, plan::Window, rows::Status},
    collect::{self, Collection, Subject},
    failure::{Failure, OwnFault},
    own_role::{self, Entry},
    session::{self, Identity, Session},
    sinks::{
        csv,
        s3::{self, Candidate, Decision},
    },
    usage::Usage,
};

/// How many accounts one after the other may not be entered by a worker that has entered none, before it
/// takes the fault for its own. A few without a role or keys are common, on a small fleet all of them.
const LONGEST_FIRST_STREAK: usize = 10;

/// How many may fail one after the other where others did not: what the worker could do once may have been
/// taken from it.
const LONGEST_STREAK: usize = 20;

/// Collects accounts. One for a process, so that all its jobs share the limits on an account.
#[derive(Debug)]
pub struct Collector {
    /// How AWS is reached, and as whom where an account does not say.
    pub base: SdkConfig,
    /// What is known of the accounts.
    pub accounts: KeptAccounts,
    /// How many days before the one asked for a value may be of.
    pub lookback_days: u32,
    /// Regions that are asked in every account.
    pub regions: Vec<String>,
    /// How fast each account may be asked.
    pub limits: Limits,
    /// Whether accounts can be entered.
    pub entering: Breaker,
}

/// A report that is not stored yet.
#[derive(Debug)]
pub struct Report {
    /// What it says of itself.
    pub metadata: ReportMetadata,
    /// The table.
    pub body: Vec<u8>,
}

/// Makes reports of jobs, in the report bucket.
#[derive(Debug)]
pub struct Reporter {
    /// What collects.
    pub collector: Collector,
    /// Where reports lie.
    pub bucket: ReportBucket,
    /// Under which keys.
    pub template: KeyTemplate,
    /// Whether reports can be written.
    pub storing: Breaker,
}

/// How a job was done.
#[derive(Debug)]
pub enum Done {
    /// Its report is stored.
    Stored {
        /// Where.
        key: String,
        /// What it says of itself.
        metadata: Box<ReportMetadata>,
    },
    /// The report of its run, or of a later one, stood already.
    Duplicate {
        /// Where.
        key: String,
    },
}

impl Collector {
    /// What is known of the account of a job.
    pub async fn account(&self, job: &Job) -> Result<Account, Failure> {
        let account = self.accounts.find(&job.account_name).await?;
        account.ok_or_else(|| Failure::UnknownAccount(job.account_name.clone()))
    }

    /// The listed accounts that are entered through a role by the process's own credentials.
    pub(crate) fn accounts_by_own_role(&self) -> Vec<Account> {
        let partition = aws::partition(aws::region(&self.base));
        let is_by_own_role = |account: &&Account| {
            let source = CredentialSource::choose(account, partition, environment::variable);
            source.is_ok_and(|source| session::is_by_own_role(&source))
        };
        let listed = self.accounts.current();
        listed.iter().filter(is_by_own_role).cloned().collect()
    }

    /// Collects the report of a job.
    pub async fn report(&self, job: &Job, session: &Session, attempt: &Attempt) -> Result<Report, Failure> {
        // Who we are and what there is are asked beside each other; nothing is paid for until both
        // are known.
        attempt.enter(Step::Become);
        let discovering = collect::discover(session, job.dataset, attempt.is_last());
        let (identity, discovered) = tokio::join!(session.identity(), discovering);
        // In this order: what may be done there matters only in the right account.
        let identity = identity.map_err(|failure| session.blame(failure))?;
        self.entering.succeeded();
        attempt.enter(Step::Discover);
        let discovered = discovered.map_err(|failure| session.blame(failure))?;
        tracing::info!(target: STEP, arn = identity.arn, account_id = %identity.account_id, "acting in the account");

        // Regions for all accounts mean those of the account's own partition: no other takes its keys.
        let partition = aws::partition(session.home_region());
        let everywhere = self.regions.iter().filter(|region| aws::partition(region) == partition);
        let regions: Vec<String> = everywhere.chain(&session.account().regions).cloned().collect();
        let subject = Subject {
            dataset: job.dataset,
            window: Window::new(job.date, self.lookback_days),
            today: ReportDate::today(Utc::now()),
            regions: &regions,
            is_last: attempt.is_last(),
        };
        attempt.enter(Step::Collect);
        let collected = collect::collect(session, &identity.account_id, &self.limits, &subject, discovered);
        let collected = collected.await.map_err(|failure| session.blame(failure))?;
        attempt.enter(Step::Render);
        Ok(describe(job, &identity, session.usage(), &subject, collected))
    }
}

impl Reporter {
    /// Does a job: its report stands when this returns.
    ///
    /// # Errors
    /// [`Failure::Own`] where what failed is no fault of the job's.
    pub async fn perform(&self, job: &Job, attempt: &Attempt) -> Result<Done, Failure> {
        let failure = match self.store_report(job, attempt).await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        Err(match failure {
            Failure::ReportBucket(error) if !error.is_transient() => self.blame_for_writing(job, error).await,
            failure if is_of_entering(&failure, attempt) => self.blame_for_entering(job, failure).await,
            failure => failure,
        })
    }

    /// It may be this report alone that the bucket refuses. That the worker may write is no proof: what
    /// is written is encrypted, with a key that may be refused, and the proof is not.
    async fn blame_for_writing(&self, job: &Job, error: AwsError) -> Failure {
        match own_role::show_writing(&self.bucket, &self.template).await {
            Err(own) if own.is_transient() => Failure::ReportBucket(own),
            Err(own) => OwnFault::ReportBucket(own).into(),
            Ok(()) => match self.storing.failed(&job.account_name) {
                Streak { has_succeeded: true, accounts } if accounts < LONGEST_STREAK => {
                    Failure::ReportBucket(error)
                }
                _ => OwnFault::ReportBucket(error).into(),
            },
        }
    }

    /// It may be that this worker can enter no account.
    async fn blame_for_entering(&self, job: &Job, failure: Failure) -> Failure {
        let Streak { accounts, has_succeeded } = self.collector.entering.failed(&job.account_name);
        if !has_succeeded && accounts >= LONGEST_FIRST_STREAK {
            return OwnFault::EveryAccount { accounts, source: Box::new(failure) }.into();
        }
        // Variables and files stay as they are, but a permission may be taken away.
        if matches!(failure, Failure::RoleRefused(_)) && accounts >= LONGEST_STREAK {
            match own_role::show_entry(&self.collector).await {
                Ok(Entry::Shown) => self.collector.entering.succeeded(),
                Ok(Entry::Unknown) => {}
                Err(fault) => return fault.into(),
            }
        }
        failure
    }

    async fn store_report(&self, job: &Job, attempt: &Attempt) -> Result<Done, Failure> {
        attempt.enter(Step::Look);
        let account = self.collector.account(job).await?;
        let key = self.template.key(job, account.id.as_ref())?;
        let before = s3::existing(&self.bucket, &key).await?;
        match s3::decide(&before, Candidate::of(job)) {
            Decision::Duplicate => return Ok(Done::Duplicate { key }),
            Decision::Superseded => return Err(Failure::Superseded(key)),
            Decision::Create | Decision::Replace(_) | Decision::KeepComplete => {}
        }
        let session =
            Session::open(account, &self.collector.base, Some(&job.run_id), attempt.usage().clone()).await?;
        let Report { metadata, body } = Box::pin(self.collector.report(job, &session, attempt)).await?;
        attempt.enter(Step::Upload);
        if s3::store(&self.bucket, &key, before, &metadata, body).await? {
            self.storing.succeeded();
            Ok(Done::Stored { key, metadata: Box::new(metadata) })
        } else {
            Ok(Done::Duplicate { key })
        }
    }
}

/// Whether it is the account that could not be entered.
fn is_of_entering(failure: &Failure, attempt: &Attempt) -> bool {
    match failure {
        Failure::UnknownAccount(_)
        | Failure::NoCredentials(_)
        | Failure::WrongAccount { .. }
        | Failure::RoleRefused(_) => true,
        Failure::Aws(error) => attempt.step() == Step::Become && !error.is_transient(),
        _ => false,
    }
}

/// The report of what was collected.
fn describe(
    job: &Job,
    identity: &Identity,
    usage: &Usage,
    subject: &Subject<'_>,
    collected: Collection,
) -> Report {
    let Collection { rows, first_error } = collected;
    let count = |test: &dyn Fn(&Status) -> bool| rows.iter().filter(|row| test(&row.status)).count() as u64;
    let body = csv::encode(
        &csv::Subject {
            dataset: job.dataset,
            account_name: &job.account_name,
            account_id: &identity.account_id,
            date: subject.window.date(),
        },
        &rows,
    );
    let metadata = ReportMetadata {
        status: if first_error.is_none() { ReportStatus::Complete } else { ReportStatus::Partial },
        rows: rows.len() as u64,
        rows_late: rows.iter().filter(|row| row.is_late(subject.window)).count() as u64,
        rows_denied: count(&|status| matches!(status, Status::Denied)),
        rows_error: count(&|status| matches!(status, Status::Error(_))),
        first_error,
        sha256: hex(&Sha256::digest(&body)),
        api_calls: usage.calls(),
        metrics_requested: usage.metrics(),
        estimated_cost_usd: usage.dollars(),
        ..ReportMetadata::new(job, identity.account_id.clone(), Utc::now())
    };
    Report { metadata, body }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
