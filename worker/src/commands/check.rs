//! `worker check`: who the worker becomes in each account, and what it may do there.

use std::{panic::AssertUnwindSafe, pin::pin};

use anyhow::anyhow;
use chrono::Utc;
use clap::Args;
use fleet::{
    AccountName, AwsError, ErrorKind, ReportDate,
    accounts::colliding_variables,
    aws,
    command_line::Faults,
    datasets,
    exit::{CommandError, Outcome},
    output,
};
use futures::{FutureExt, StreamExt, stream};

use super::AccountsFile;
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
pub(crate) struct Check {
    /// An account to check; may be repeated, or be a list with commas.
    #[arg(long, env = "FLEET_ACCOUNT_NAME", value_name = "NAME", value_delimiter = ',')]
    account_name: Vec<AccountName>,

    #[command(flatten)]
    file: AccountsFile,
}

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
        let accounts = faults.take_accounts(self.file.accounts.as_deref(), base.as_ref()).await;
        if let Some(collision) = colliding_variables(&self.account_name) {
            faults.usage(collision);
        }
        let (base, accounts) = faults.end(base.zip(accounts))?;
        let collector = Collector {
            base,
            accounts,
            lookback_days: 0,
            regions: Vec::new(),
            limits: Limits::default(),
            entering: Breaker::default(),
        };
        let names = if self.account_name.is_empty() {
            collector.accounts.iter().map(|account| account.name.clone()).collect()
        } else {
            self.account_name
        };
        if names.is_empty() {
            return Err(CommandError::Usage(if collector.accounts.is_listed() {
                anyhow!("the accounts file names no account; add one, or name one with --account-name")
            } else {
                anyhow!(
                    "no account to check; name one with --account-name, or an accounts file with --accounts"
                )
            }));
        }
        let collector = &collector;
        let checked: Vec<Checked> = stream::iter(names)
            .map(|account_name| Box::pin(caught(account_name.clone(), check(collector, account_name))))
            .buffered(AT_ONCE)
            .collect()
            .await;
        output::print(&table(&checked))?;
        let mends: Vec<Vec<String>> = checked.iter().map(mends).filter(|mends| !mends.is_empty()).collect();
        if mends.is_empty() {
            return Ok(Outcome::Done);
        }
        output::print(&format!("\n{}", mends.concat().join("\n")))?;
        Err(CommandError::Failed(anyhow!(
            "{} of {} accounts can't be collected as they are",
            mends.len(),
            checked.len()
        )))
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
        let account = collector.accounts.get(&account_name);
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
    let call = plan::everything(dataset, ["cloudwatch-fleet-check".into()]).next().unwrap_or_default();
    // The first page tells, or that there is none.
    let mut pages = pin!(cloudwatch.list_metrics(dataset, &dataset.metrics[0]));
    let buckets = async {
        match collect::discover(session, dataset, false).await {
            Err(Failure::Aws(error)) => Some(error),
            _ => None,
        }
    };
    let (buckets, listed, values) =
        tokio::join!(buckets, pages.next(), cloudwatch.get_metric_data(query, &call[..1]));
    vec![
        ("s3:ListAllMyBuckets", buckets),
        ("cloudwatch:ListMetrics", listed.and_then(Result::err)),
        ("cloudwatch:GetMetricData", values.error),
    ]
}

fn table(checked: &[Checked]) -> String {
    let header = ["ACCOUNT", "ID", "IDENTITY", "LIST BUCKETS", "LIST METRICS", "GET METRIC DATA"];
    let rows = checked.iter().map(|account| {
        let (id, arn) = match &account.identity {
            Ok(identity) => (identity.account_id.to_string(), identity.arn.clone()),
            Err(failure) => (String::new(), failure.reason().to_string()),
        };
        let mut row = vec![account.account_name.to_string(), id, arn];
        let answers = account.permissions.iter().map(|(_, error)| match error {
            None => "ok".to_owned(),
            Some(error) if error.kind == ErrorKind::Denied => "denied".to_owned(),
            Some(error) => error.code.clone(),
        });
        row.extend(answers);
        row.resize(header.len(), "-".to_owned());
        row
    });
    output::table(&header, &[], rows)
}

/// What to do about an account, a line for each thing that is wrong.
fn mends(account: &Checked) -> Vec<String> {
    let name = &account.account_name;
    let identity = match &account.identity {
        Err(failure) => {
            let told = failure.to_string();
            // Some failures name the account themselves.
            let told = told.trim_end_matches('.').trim_start_matches(&format!("account {name}: "));
            let told = told.trim_start_matches(&format!("account {name} "));
            return vec![format!("{name}: {told}{}", way_in(failure))];
        }
        Ok(identity) => identity,
    };
    let missing = account.permissions.iter().filter_map(|(action, error)| {
        let error = error.as_ref()?;
        Some(match error.kind {
            ErrorKind::Denied => {
                format!("{name}: allow {action} on * to {} ({})", identity.arn, error.message)
            }
            _ => format!("{name}: {action} could not be tried: {error}"),
        })
    });
    missing.collect()
}

/// Where to look when the worker could not become the account at all.
fn way_in(failure: &Failure) -> &'static str {
    let Failure::Aws(error) = failure else { return "" };
    match error.kind {
        ErrorKind::Denied if error.operation == "sts:AssumeRole" => {
            "; the role must be there, and its trust policy name who asks, with the external id of the accounts file and the organization of who asks; and who asks must be allowed sts:AssumeRole"
        }
        ErrorKind::Identity => {
            "; the access key is mistyped, deleted or of another partition, or its session token is missing"
        }
        ErrorKind::Expired => "; put new temporary credentials in their place",
        ErrorKind::NoCredentials => "; correct it, or say in the accounts file what else to use",
        ErrorKind::Transient => "; this may pass, try again",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_account_on_which_the_program_fails_is_told_with_the_others() {
        let name: AccountName = "data".parse().expect("a name");
        let checked = caught(name.clone(), async { panic!("the fault") }).await;
        assert!(
            mends(&checked)[0].starts_with("data: the worker has a fault: the fault"),
            "{:?}",
            mends(&checked)
        );
        assert_eq!(checked.account_name, name);
    }
}
