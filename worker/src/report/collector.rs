//! Collects accounts: enters one, finds what it has, and makes a report of what CloudWatch says about it.

use aws_config::SdkConfig;
use chrono::{DateTime, Utc};
use cli::telemetry::STEP;
use engine::Attempt;
use fleet::{
    Account, AccountId, Dataset, Job, accounts::KeptAccounts, aws, credentials::CredentialSource,
    environment, identity::Identity, report::ReportMetadata,
};
use futures::{FutureExt, future};

use super::{draft::Report, step};
use crate::{
    account::breaker::Breaker,
    account::entering,
    account::session::{self, Session},
    cloudwatch::{limits::Limits, plan::Window},
    collect::{self, Discovered, Interruption, Subject},
    failure::Failure,
    table::checkpoint::Checkpoint,
};

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

/// An account that is entered, and what it has.
#[derive(Debug)]
pub struct Entered {
    pub(crate) identity: Identity,
    regions: Vec<String>,
    discovered: Discovered,
}

impl Collector {
    /// What is known of the account of a job.
    pub async fn account(&self, job: &Job) -> Result<Account, Failure> {
        let account = self.accounts.find(&job.account_name).await?;
        account.ok_or_else(|| Failure::UnknownAccount(job.account_name.clone()))
    }

    /// The regions that are asked in an account whether or not a bucket is left there. Those for all accounts mean those of
    /// the account's own partition: no other takes its keys.
    pub(crate) fn regions_of(&self, session: &Session) -> Vec<String> {
        let partition = aws::partition(session.home_region());
        let everywhere = self.regions.iter().filter(|region| aws::partition(region) == partition);
        everywhere.chain(&session.account().regions).cloned().collect()
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

    /// Enters the account of a session, and finds what it has. Nothing is paid for.
    pub async fn enter(
        &self,
        dataset: &'static Dataset,
        session: &Session,
        attempt: &Attempt,
    ) -> Result<Entered, Failure> {
        attempt.enter(step::AUTHENTICATE);
        let regions = self.regions_of(session);
        let discovering = collect::discover(session, dataset, &regions, attempt.is_last());
        // What may be done there matters only in the right account: its identity is the first thing to be refused.
        let entered = future::try_join(entering::identity(session), discovering.map(Ok)).await;
        let (identity, discovered) = entered.map_err(|failure| entering::blame(session, failure))?;
        self.entering.succeeded();
        attempt.enter(step::DISCOVER);
        let discovered = discovered.map_err(|error| entering::blame(session, error.into()))?;
        tracing::info!(target: STEP, arn = identity.arn, account_id = %identity.account_id, "acting in the account");
        Ok(Entered { identity, regions, discovered })
    }

    /// Collects the report of a job, from where `checkpoint` left off, and says why it ended early, if it did. `now` is the
    /// time by the clock that the fleet shares.
    pub async fn collect(
        &self,
        job: &Job,
        session: &Session,
        Entered { identity, regions, discovered }: Entered,
        checkpoint: Option<Checkpoint>,
        now: DateTime<Utc>,
        attempt: &Attempt,
    ) -> Result<(Report, Option<Interruption>), Failure> {
        attempt.enter(step::COLLECT);
        let earlier = checkpoint.as_ref().map(|checkpoint| checkpoint.metadata.clone());
        let metadata = describe(job, identity.account_id, now, earlier.as_ref());
        let (lookback_days, period) = match job.dataset.period_of_rows(job.date, now) {
            Some(period) => (0, period),
            None => (self.lookback_days, job.dataset.period),
        };
        let subject = Subject {
            dataset: job.dataset,
            window: Window::new(job.date, lookback_days),
            period,
            account_name: &job.account_name,
            account_id: &metadata.account_id,
            is_listed: job.date.is_listed_at(now),
            is_settled: metadata.is_settled(),
            regions: &regions,
            is_last: attempt.is_last(),
            stop: attempt.stop().clone(),
        };
        let collected = collect::collect(session, &self.limits, &subject, discovered, checkpoint).await;
        let collected = collected.map_err(|error| entering::blame(session, error.into()))?;
        attempt.enter(step::RENDER);
        let interruption = collected.interruption.clone();
        let usage = session.usage().clone();
        Ok((Report::new(job.dataset, metadata, earlier.as_ref(), usage, collected), interruption))
    }
}

/// The metadata of a report that is collected from `now` on, from where an earlier try left off.
fn describe(
    job: &Job,
    account_id: AccountId,
    now: DateTime<Utc>,
    earlier: Option<&ReportMetadata>,
) -> ReportMetadata {
    let metadata = ReportMetadata::new(job, account_id, now);
    let Some(earlier) = earlier else { return metadata };
    ReportMetadata {
        collected_at: earlier.collected_at.min(now),
        is_listed: metadata.is_listed && earlier.is_listed,
        rows_carried: earlier.rows_carried,
        ..metadata
    }
}
