//! `worker check`: who the worker becomes in each account, and what it may do there.

mod shown;

use std::{panic::AssertUnwindSafe, pin::pin};

use anyhow::anyhow;
use chrono::Utc;
use clap::{Args, builder::BoolishValueParser};
use fleet::{
    AccountName, AwsError, ReportDate, aws,
    command_line::Faults,
    datasets::{self, Class},
    exit::{CommandError, Outcome},
    output::{self, Format},
    terminal,
};
use futures::{FutureExt, StreamExt, stream};
use tracing::Instrument;

use super::{AccountsFile, chosen::Chosen};
use crate::{
    breaker::Breaker,
    cloudwatch::{
        calls::{CloudWatch, Query},
        limits::Limits,
        plan::{self, Window},
    },
    collect,
    failure::Failure,
    report::Collector,
    session::{Identity, Session},
    usage::Usage,
};

/// How many accounts are checked beside each other.
const AT_ONCE: usize = 8;

/// Shows who the worker becomes in each account, and which permission is missing there.
///
/// Asks each account what a job would ask, once each and in its home region, for less than a cent in all. Without
/// --account-name, every account of the accounts file is checked. Ends with 1 where something is
/// missing.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Check {
    #[command(flatten)]
    chosen: Chosen,

    /// Show only accounts that something is wrong with.
    #[arg(long, env = "FLEET_FAILED_ONLY", value_parser = BoolishValueParser::new())]
    failed_only: bool,

    /// How the answer is written to standard output.
    #[arg(long, env = "FLEET_FORMAT", value_name = "FORMAT", default_value = "text")]
    format: Format,

    #[command(flatten)]
    file: AccountsFile,
}

const AFTER_HELP: &str = "\
Examples:
  worker check --account-name data,web
  worker check --profile prod                # the account that a profile of yours is of
  worker check --accounts accounts.toml --failed-only
  worker check --format json | jq '.accounts[] | select(.advice != [])'

--format json, one object:
  checked, failed (how many), and accounts: account_name, account_id and arn (null if the account was
  not reached), reason (why not, or null), permissions (action, and answer: ok, denied or an error's
  code) and advice (what to do, a sentence for each thing that is wrong).";

/// What came of one account.
struct Checked {
    account_name: AccountName,
    identity: Result<Identity, Failure>,
    /// Each permission, with what asking for it failed of.
    permissions: Vec<(&'static str, Option<AwsError>)>,
}

impl Check {
    pub(super) async fn execute(self, mut faults: Faults) -> Result<Outcome, CommandError> {
        let base = faults.take(aws::base().await);
        let accounts = self.chosen.accounts(&mut faults, self.file.accounts.as_deref(), base.as_ref()).await;
        let (base, accounts) = faults.end(base.zip(accounts))?;
        let accounts =
            if self.chosen.is_at_hand() { self.chosen.reach(&base).await?.into() } else { accounts };
        let collector = Collector {
            base,
            accounts: accounts.into(),
            lookback_days: 0,
            regions: Vec::new(),
            limits: Limits::default(),
            entering: Breaker::default(),
        };
        let names = if self.chosen.account_name.is_empty() || self.chosen.is_at_hand() {
            collector.accounts.current().iter().map(|account| account.name.clone()).collect()
        } else {
            self.chosen.account_name
        };
        if names.is_empty() {
            return Err(CommandError::Usage(if collector.accounts.current().is_listed() {
                anyhow!("the accounts file names no account; add one, or name one with --account-name")
            } else {
                anyhow!(
                    "no account to check; name one with --account-name or --profile, or an accounts file with --accounts"
                )
            }));
        }
        let checked = check_all(&collector, names).await;
        match self.format {
            Format::Text => output::print(&shown::text(&checked, self.failed_only))?,
            Format::Json => output::print_json(&shown::json(&checked, self.failed_only))?,
        }
        match checked.iter().filter(|account| account.is_failed()).count() {
            0 => Ok(Outcome::Done),
            failed => Err(CommandError::Failed(anyhow!(
                "{failed} of {} accounts can't be collected as they are",
                checked.len()
            ))),
        }
    }
}

/// What came of each account, in their order.
async fn check_all(collector: &Collector, names: Vec<AccountName>) -> Vec<Checked> {
    let bar =
        (names.len() > 1).then(|| terminal::bar("accounts [{bar:30}] {pos}/{len} {elapsed}", names.len()));
    let checked = stream::iter(names)
        .map(|account_name| {
            let span = tracing::error_span!("account", %account_name);
            Box::pin(caught(account_name.clone(), check(collector, account_name)).instrument(span))
        })
        .buffered(AT_ONCE)
        .inspect(|_| bar.iter().for_each(|bar| bar.inc(1)))
        .collect()
        .await;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    checked
}

impl Checked {
    /// Whether something is wrong with the account.
    fn is_failed(&self) -> bool {
        self.identity.is_err() || self.permissions.iter().any(|(_, error)| error.is_some())
    }
}

/// What comes of checking an account, if it is that the program has a fault: the others' results stay.
async fn caught(account_name: AccountName, checking: impl Future<Output = Checked>) -> Checked {
    AssertUnwindSafe(checking).catch_unwind().await.unwrap_or_else(|panic| Checked {
        account_name,
        identity: Err(Failure::from_panic(panic.as_ref())),
        permissions: Vec::new(),
    })
}

async fn check(collector: &Collector, account_name: AccountName) -> Checked {
    let opened = async {
        let account = collector.accounts.find(&account_name).await?;
        let account = account.ok_or_else(|| Failure::UnknownAccount(account_name.clone()))?;
        let session = Session::open(account, &collector.base, None, Usage::default()).await?;
        let identity = session.identity().await?;
        Ok((session, identity))
    };
    match opened.await {
        Err(failure) => Checked { account_name, identity: Err(failure), permissions: Vec::new() },
        Ok((session, identity)) => {
            let permissions = Box::pin(permissions(collector, &session, &identity)).await;
            Checked { account_name, identity: Ok(identity), permissions }
        }
    }
}

/// Asks what a job asks, in the account's home region, and one metric instead of all.
async fn permissions(
    collector: &Collector,
    session: &Session,
    identity: &Identity,
) -> Vec<(&'static str, Option<AwsError>)> {
    let dataset = datasets::DEFAULT;
    let region = session.home_region().into();
    let limits = collector.limits.of(&identity.account_id, &region, session.account().quota_share);
    let cloudwatch = CloudWatch::new(session, &region, limits);
    let yesterday = ReportDate::today(Utc::now()).days_before(1);
    let query = Query { dataset, window: Window::new(yesterday, 0) };
    let listing = async {
        // The first page tells, or that there is none.
        let mut pages = pin!(cloudwatch.list_metrics(dataset, dataset.metrics.first()?));
        pages.next().await.and_then(Result::err)
    };
    let asking = async {
        let mut series =
            plan::everything(dataset, [("cloudwatch-fleet-check".into(), Class::General)]).flatten();
        cloudwatch.get_metric_data(query, &[series.next()?]).await.error
    };
    let buckets = async {
        match collect::discover(session, dataset, &[], false).await {
            Err(Failure::Aws(error)) => Some(error),
            _ => None,
        }
    };
    let (buckets, listed, values) = tokio::join!(buckets, listing, asking);
    vec![
        ("s3:ListAllMyBuckets", buckets),
        ("cloudwatch:ListMetrics", listed),
        ("cloudwatch:GetMetricData", values),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_account_on_which_the_program_fails_is_told_with_the_others() {
        let name: AccountName = "data".parse().expect("a name");
        let checked = caught(name.clone(), async { panic!("the fault") }).await;
        let advice = shown::advice(&checked);
        assert!(advice[0].starts_with("the worker has a fault: the fault"), "{advice:?}");
        assert_eq!(checked.account_name, name);
    }
}
