// SPDX-License-Identifier: Apache-2.0
//! Collects an account: authenticates, discovers its resources, and builds a report from CloudWatch's
//! data.

use std::sync::Arc;

use aws_config::SdkConfig;
use chrono::{DateTime, Utc};
use cli::telemetry::STEP;
use engine::Attempt;
use fleet::{
    Account, AccountId, Dataset, Job, Window, Windows, accounts::KeptAccounts, aws,
    credentials::CredentialSource, environment, identity::Identity, report::ReportMetadata,
};
use futures::{FutureExt, future};

use super::{draft::Report, step};
use crate::{
    account::authenticate,
    account::breaker::Breaker,
    account::session::{self, Session},
    cloudwatch::{limits::Limits, plan},
    collect::{self, Collected, Discovered, Interruption, Known, Scope},
    failure::Failure,
    table::checkpoint::Checkpoint,
    usage::Usage,
};

/// Collects accounts. One per process, so that all jobs share an account's limits.
#[derive(Debug)]
pub struct Collector {
    /// The process's own configuration.
    pub base: SdkConfig,
    pub accounts: KeptAccounts,
    /// How many days before the requested one a value may be from.
    pub lookback_days: u32,
    /// Regions to query in every account.
    pub regions: Vec<String>,
    /// The rate limits for each account.
    pub limits: Limits,
    /// Tracks whether authentication to accounts succeeds.
    pub authentication: Breaker,
}

/// An account with an authenticated session, and its resources.
#[derive(Debug, Clone)]
pub struct AuthenticatedAccount {
    pub(crate) identity: Identity,
    regions: Vec<String>,
    discovered: Discovered,
}

/// What has been collected for some windows, of which each makes a report.
#[derive(Debug)]
pub struct Collecting {
    account_id: AccountId,
    now: DateTime<Utc>,
    collected: Collected,
    usage: Usage,
}

impl Collector {
    /// The account of a job.
    pub async fn account(&self, job: &Job) -> Result<Account, Failure> {
        let account = self.accounts.find(&job.account_name).await?;
        account.ok_or_else(|| Failure::UnknownAccount(job.account_name.clone()))
    }

    /// The regions to query in an account even if they have no bucket any more. Regions configured for
    /// all accounts apply only in the account's own partition: no other accepts its keys.
    pub(crate) fn regions_of(&self, session: &Session) -> Vec<String> {
        let partition = aws::partition(session.home_region());
        let everywhere = self.regions.iter().filter(|region| aws::partition(region) == partition);
        everywhere.chain(&session.account().regions).cloned().collect()
    }

    /// The listed accounts whose role the process's own credentials assume.
    pub(crate) fn accounts_by_own_role(&self) -> Vec<Account> {
        let partition = aws::partition(aws::region(&self.base));
        let is_by_own_role = |account: &&Account| {
            let source = CredentialSource::choose(account, partition, environment::variable);
            source.is_ok_and(|source| session::is_by_own_role(&source))
        };
        let listed = self.accounts.current();
        listed.iter().filter(is_by_own_role).cloned().collect()
    }

    /// Authenticates to the account of a session, and discovers its resources. None of this is billed.
    pub async fn enter(
        &self,
        dataset: &'static Dataset,
        session: &Session,
        attempt: &Attempt,
    ) -> Result<AuthenticatedAccount, Failure> {
        attempt.enter(step::AUTHENTICATE);
        let regions = self.regions_of(session);
        let discovering = collect::discover(session, dataset, &regions, attempt.is_last());
        // Permissions matter only in the right account, so its identity is checked first.
        let entered = future::try_join(authenticate::identity(session), discovering.map(Ok)).await;
        let (identity, discovered) = entered.map_err(|failure| authenticate::classify(session, failure))?;
        self.authentication.succeeded();
        attempt.enter(step::DISCOVER);
        let discovered = discovered.map_err(|error| authenticate::classify(session, error.into()))?;
        tracing::info!(target: STEP, arn = identity.arn, account_id = %identity.account_id, "acting in the account");
        Ok(AuthenticatedAccount { identity, regions, discovered })
    }

    /// Collects the windows of `known` for a job, without what earlier attempts have of them. `now` is the time by the
    /// clock that the fleet shares.
    pub async fn collect(
        &self,
        job: &Job,
        session: &Session,
        AuthenticatedAccount { identity, regions, discovered }: AuthenticatedAccount,
        known: &Known,
        now: DateTime<Utc>,
        attempt: &Attempt,
    ) -> Result<Collecting, Failure> {
        attempt.enter(step::COLLECT);
        let account_id = identity.account_id;
        let scope = self.scope(job, known.windows(), &account_id, &regions, now, attempt);
        let collected = collect::collect(session, &self.limits, &scope, discovered, known).await;
        let collected = collected.map_err(|error| authenticate::classify(session, error.into()))?;
        attempt.enter(step::RENDER);
        let usage = session.usage().clone();
        Ok(Collecting { account_id, now, collected, usage })
    }

    /// The number of resources of a job.
    pub(super) async fn count(
        &self,
        job: &Job,
        session: &Session,
        entered: &AuthenticatedAccount,
        now: DateTime<Utc>,
        attempt: &Attempt,
    ) -> usize {
        attempt.enter(step::DISCOVER);
        let AuthenticatedAccount { identity, regions, discovered } = entered;
        let scope = self.scope(job, &[job.window()], &identity.account_id, regions, now, attempt);
        collect::count(session, &self.limits, &scope, discovered).await
    }

    /// What to collect for the reports of some windows of a job, in order.
    fn scope<'a>(
        &self,
        job: &'a Job,
        reports: &[Window],
        account_id: &'a AccountId,
        regions: &'a [String],
        now: DateTime<Utc>,
        attempt: &Attempt,
    ) -> Scope<'a> {
        let all = reports.first().zip(reports.last());
        let all = all.and_then(|(first, last)| Windows::part(*first, *last)).unwrap_or(job.windows);
        let date = all.first().date();
        let (lookback_days, period) = match job.dataset.period_of_rows(date, now) {
            Some(period) => (0, period),
            None => (self.lookback_days, job.dataset.period),
        };
        Scope {
            dataset: job.dataset,
            window: plan::Window::of(all, lookback_days),
            lookback_days,
            reports: reports.to_vec(),
            period,
            account_name: &job.account_name,
            account_id,
            now,
            is_listed: date.is_listed_at(now),
            spool: Arc::default(),
            regions,
            is_last: attempt.is_last(),
            stop: attempt.stop().clone(),
        }
    }
}

impl Collecting {
    /// The report of a job for one of the windows, continuing from its checkpoint. A window is asked for once.
    pub fn report(&mut self, job: &Job, checkpoint: Option<Checkpoint>) -> Report {
        let earlier = checkpoint.as_ref().map(|checkpoint| checkpoint.metadata.clone());
        let metadata = describe(job, self.account_id.clone(), self.now, earlier.as_ref());
        let collection = self.collected.report(job.window(), metadata.is_settled(), checkpoint);
        Report::new(job.dataset, metadata, earlier.as_ref(), self.usage.clone(), collection)
    }

    /// About how many resources each report has.
    #[must_use]
    pub fn resources(&self) -> usize {
        self.collected.resources()
    }

    /// Why it ended early, if it did.
    #[must_use]
    pub fn interruption(&self) -> Option<Interruption> {
        self.collected.interruption()
    }
}

/// The metadata of a report whose collection begins at `now` or, if continued, began earlier.
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
