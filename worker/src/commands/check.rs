// SPDX-License-Identifier: Apache-2.0
//! `worker check`: the worker's identity in each account, and its permissions there.

mod checked;
mod shown;

use std::iter;

use std::{collections::BTreeSet, panic::AssertUnwindSafe, pin::pin};

use anyhow::anyhow;
use aws_config::SdkConfig;
use chrono::Utc;
use clap::{Args, builder::BoolishValueParser};
use cli::{
    config_file::ConfigFile,
    exit::{CommandError, Outcome},
    faults::Faults,
    output::{self, Format},
    terminal,
};
use engine::delivery::panic_text;
use fleet::{
    AccountName, AwsError, Dataset, ErrorKind, ReportDate, aws,
    datasets::{self, GET_METRIC_DATA, GET_RESOURCES, LIST_METRICS},
    identity::Identity,
};
use futures::{FutureExt, StreamExt, future::join_all, stream};
use sinks::Configured;
use tracing::Instrument;

use self::checked::{Answer, Checked, CheckedSink};
use super::{
    chosen::Chosen,
    collecting::{self, AccountsFile},
};
use crate::{
    account::authenticate,
    account::breaker::Breaker,
    account::session::Session,
    account::{functions::Functions, tags::Tagging},
    cloudwatch::{
        calls::{CloudWatch, Query},
        dimensions,
        limits::Limits,
        plan::Window,
        series_query::SeriesQuery,
    },
    collect,
    failure::Failure,
    report::Collector,
    usage::Usage,
};

const AT_ONCE: usize = 8;

/// Shows the worker's identity in each account, and which permissions are missing there.
///
/// Makes each call of a job once, in the account's home region and in each configured one; this costs
/// less than a cent. Without --account-name, all accounts of the accounts file are checked. With
/// --config, so is each sink. The exit status is 1 if something is missing.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct Check {
    #[command(flatten)]
    chosen: Chosen,

    /// The dataset whose permissions are checked.
    #[arg(long, env = "FLEET_DATASET", value_name = "NAME", default_value = datasets::DEFAULT.name)]
    dataset: String,

    /// Show only accounts with a fault.
    #[arg(long, env = "FLEET_FAILED_ONLY", value_parser = BoolishValueParser::new())]
    failed_only: bool,

    /// The format of standard output.
    #[arg(long, env = "FLEET_FORMAT", value_name = "FORMAT", default_value = "text")]
    format: Format,

    #[command(flatten)]
    config: ConfigFile,

    #[command(flatten)]
    file: AccountsFile,

    /// Regions to query in all accounts.
    #[arg(long, env = "FLEET_REGIONS", value_name = "REGION,…", value_delimiter = ',', value_parser = collecting::region)]
    regions: Vec<String>,
}

const AFTER_HELP: &str = "\
Examples:
  worker check --account-name data,web
  worker check --profile prod                # the account of one of your profiles
  worker check --accounts accounts.toml --failed-only
  worker check --format json | jq '.accounts[] | select(.advice != [])'

--format json, one object:
  checked, failed (how many), and accounts: account_name, account_id and arn (null if the account
  was not reached), reason (why not, or null), permissions (action, and answer: ok, denied, an
  error code, or nothing to ask), lists_directory_buckets, and advice (what to do, a sentence per
  fault); and sinks: name, and fault (why it can't take reports, or null).";

impl Check {
    pub(super) async fn execute(self, mut faults: Faults) -> Result<Outcome, CommandError> {
        let base = faults.at_start(aws::base().await);
        // Without the process's configuration nothing is called, and the file's faults are reported all the same.
        let aws = base.clone().unwrap_or_else(|| SdkConfig::builder().build());
        let sinks = self.config.take(&mut faults, move |list| sinks::take(list, &aws)).await;
        let dataset = faults.take(collecting::dataset(&self.dataset).map_err(CommandError::usage));
        let accounts = self.chosen.accounts(&mut faults, &self.file, &self.regions, base.as_ref()).await;
        let ((base, accounts), dataset) = faults.end(base.zip(accounts).zip(dataset))?;
        let accounts = if self.chosen.uses_own_credentials() {
            self.chosen.reach(&base).await?.into()
        } else {
            accounts
        };
        let collector = Collector {
            base,
            accounts: accounts.into(),
            lookback_days: 0,
            regions: self.regions,
            limits: Limits::default(),
            authentication: Breaker::default(),
        };
        let names = if self.chosen.account_name.is_empty() || self.chosen.uses_own_credentials() {
            collector.accounts.current().iter().map(|account| account.name.clone()).collect()
        } else {
            self.chosen.account_name
        };
        if names.is_empty() {
            return Err(CommandError::Usage(if collector.accounts.current().is_listed() {
                anyhow!("the accounts file has no account; add one, or name one with --account-name")
            } else {
                anyhow!(
                    "no account to check; name one with --account-name or --profile, or an accounts file with --accounts"
                )
            }));
        }
        let (checked, sinks) =
            tokio::join!(check_all(&collector, dataset, names), check_sinks(sinks.unwrap_or_default()));
        match self.format {
            Format::Text => output::print(&shown::text(dataset, &checked, &sinks, self.failed_only))?,
            Format::Json => output::print_json(&shown::json(&checked, &sinks, self.failed_only))?,
        }
        let failed = checked.iter().filter(|account| account.is_failed()).count();
        let sick = sinks.iter().filter(|sink| sink.fault.is_some()).count();
        let mut faults = Vec::new();
        if failed > 0 {
            faults.push(format!("{failed} of {} accounts can't be collected", checked.len()));
        }
        if sick > 0 {
            faults.push(format!("{sick} of {} sinks can't take reports", sinks.len()));
        }
        if faults.is_empty() {
            Ok(Outcome::Done)
        } else {
            Err(CommandError::Failed(anyhow!(faults.join(", and "))))
        }
    }
}

/// The results of all sinks, in order.
async fn check_sinks(sinks: Vec<Configured>) -> Vec<CheckedSink> {
    let checked = sinks.into_iter().map(|Configured { named, sink }| async move {
        let fault = sink.check().await.err().map(|error| format!("{error:#}"));
        CheckedSink { name: named.name, fault }
    });
    join_all(checked).await
}

/// The results of all accounts, in order.
async fn check_all(
    collector: &Collector,
    dataset: &'static Dataset,
    names: Vec<AccountName>,
) -> Vec<Checked> {
    let bar =
        (names.len() > 1).then(|| terminal::bar("accounts [{bar:30}] {pos}/{len} {elapsed}", names.len()));
    let checked = stream::iter(names)
        .map(|account_name| {
            let span = tracing::error_span!("account", %account_name);
            Box::pin(caught(account_name.clone(), check(collector, dataset, account_name)).instrument(span))
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

/// Turns a panic while checking an account into its result, so that the other results are kept.
async fn caught(account_name: AccountName, checking: impl Future<Output = Checked>) -> Checked {
    let ended = AssertUnwindSafe(checking).catch_unwind().await;
    ended.unwrap_or_else(|panic| Checked::unreached(account_name, Failure::Panic(panic_text(panic.as_ref()))))
}

async fn check(collector: &Collector, dataset: &'static Dataset, account_name: AccountName) -> Checked {
    let opened = async {
        let account = collector.accounts.find(&account_name).await?;
        let account = account.ok_or_else(|| Failure::UnknownAccount(account_name.clone()))?;
        let session = Session::open(account, &collector.base, None, Usage::default()).await?;
        let identity = authenticate::identity(&session).await?;
        Ok((session, identity))
    };
    let (session, identity) = match opened.await {
        Ok(opened) => opened,
        Err(failure) => return Checked::unreached(account_name, failure),
    };
    let regions = collector.regions_of(&session);
    let home = cloudwatch(collector, &session, &identity, session.home_region());
    let (discovered, [listed, values], tags, functions, elsewhere) = tokio::join!(
        collect::discover(&session, dataset, &regions, false),
        metrics(&home, dataset),
        tags(collector, &session, &identity, dataset, session.home_region()),
        functions(collector, &session, &identity, dataset, session.home_region()),
        elsewhere(collector, &session, &identity, dataset, regions.iter()),
    );
    let (found, lacks_directory_buckets, lacks_regions) = match discovered {
        Ok(discovered) => (Answer::Allowed, discovered.lacks_directory_buckets(), discovered.lacks_regions()),
        Err(error) => (Answer::Failed(error), false, false),
    };
    // In the order of the permissions. Discovery needs none if CloudWatch lists the resources.
    let found = (!dataset.discovery.permissions().is_empty()).then_some(found);
    let answers = found.into_iter().chain([listed, values]);
    let (needed, lacks_tags) = match tags {
        tags if dataset.selects_by_tags() => (tags, false),
        tags => (None, is_denied(tags.as_ref())),
    };
    Checked {
        account_name,
        identity: Ok(identity),
        permissions: dataset.permissions().zip(answers.chain(needed)).collect(),
        elsewhere,
        lacks_directory_buckets,
        lacks_regions,
        lacks_tags,
        lacks_facts: is_denied(functions.as_ref()),
    }
}

fn is_denied(answer: Option<&Answer>) -> bool {
    matches!(answer, Some(Answer::Failed(error)) if error.kind == ErrorKind::Denied)
}

/// The failures in regions other than the home region. A region that the account has not enabled does not
/// fail a job.
async fn elsewhere(
    collector: &Collector,
    session: &Session,
    identity: &Identity,
    dataset: &'static Dataset,
    regions: impl Iterator<Item = &String>,
) -> Vec<(String, &'static str, AwsError)> {
    let regions: BTreeSet<&String> = regions.filter(|region| *region != session.home_region()).collect();
    let queried = regions.into_iter().map(async |region| {
        let cloudwatch = cloudwatch(collector, session, identity, region);
        let (answers, tags) =
            tokio::join!(metrics(&cloudwatch, dataset), tags(collector, session, identity, dataset, region));
        let needed = tags.filter(|_| dataset.selects_by_tags());
        let answers = answers.into_iter().chain(needed);
        let actions = [LIST_METRICS, GET_METRIC_DATA, GET_RESOURCES];
        actions.into_iter().zip(answers).filter_map(move |(action, answer)| match answer {
            Answer::Failed(error) if !collect::is_not_enabled(&error) => {
                Some((region.clone(), action, error))
            }
            _ => None,
        })
    });
    join_all(queried).await.into_iter().flatten().collect()
}

fn cloudwatch(collector: &Collector, session: &Session, identity: &Identity, region: &str) -> CloudWatch {
    let limits = collector.limits.of(&identity.account_id, &region.into(), session.account().quota_share);
    CloudWatch::new(session, region, limits)
}

/// Requests the first page of the tags, if the dataset asks for any.
async fn tags(
    collector: &Collector,
    session: &Session,
    identity: &Identity,
    dataset: &'static Dataset,
    region: &str,
) -> Option<Answer> {
    let region = region.into();
    let limits = collector.limits.of(&identity.account_id, &region, session.account().quota_share);
    let tagging = Tagging::new(session, &region, limits, dataset)?;
    Some(tagging.page("").await.err().into())
}

/// Requests the first page of the functions, if the dataset is about them.
async fn functions(
    collector: &Collector,
    session: &Session,
    identity: &Identity,
    dataset: &'static Dataset,
    region: &str,
) -> Option<Answer> {
    let region = region.into();
    let limits = collector.limits.of(&identity.account_id, &region, session.account().quota_share);
    let functions = Functions::new(session, &region, limits, dataset)?;
    Some(functions.page(None).await.err().into())
}

/// Requests the first page of the listing of a dataset's first metric, and the values of one of its series.
async fn metrics(cloudwatch: &CloudWatch, dataset: &'static Dataset) -> [Answer; 2] {
    let Some(metric) = dataset.metrics.first() else { return [Answer::NothingToAsk, Answer::NothingToAsk] };
    let listing = async {
        // The first page is enough.
        let mut pages = pin!(cloudwatch.list_metrics(dataset, metric));
        pages.next().await.and_then(Result::err).into()
    };
    let querying = async {
        let resource = dimensions::joined(dataset.resource.iter().map(|_| "cloudwatch-fleet-check"));
        let value = metric.known_values().next().map_or("", |known| &known.value);
        let Some(statistic) = metric.statistics.first() else { return Answer::NothingToAsk };
        let yesterday = ReportDate::today(Utc::now()).days_before(1);
        let query = Query { dataset, window: Window::new(yesterday, 0), period: dataset.period };
        let probe = SeriesQuery { metric, resource: &resource, value, statistic };
        cloudwatch.query(query, iter::once(probe)).await.error.into()
    };
    tokio::join!(listing, querying).into()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    #[tokio::test]
    async fn a_dataset_without_metrics_has_nothing_to_query() {
        static NOTHING: LazyLock<Dataset> =
            LazyLock::new(|| Dataset { metrics: Vec::new(), ..(*datasets::DEFAULT).clone() });
        let cloudwatch = crate::cloudwatch::calls::tests::cloudwatch(&[]);
        let answers = metrics(&cloudwatch, &NOTHING).await;
        assert!(matches!(answers, [Answer::NothingToAsk, Answer::NothingToAsk]), "{answers:?}");
    }

    #[tokio::test]
    async fn a_panic_in_one_account_is_reported_with_the_others() {
        let name: AccountName = "data".parse().expect("a name");
        let checked = caught(name.clone(), async { panic!("the fault") }).await;
        let advice = shown::advice(&checked);
        assert!(advice[0].starts_with("the worker panicked: the fault"), "{advice:?}");
        assert_eq!(checked.account_name, name);
    }
}
