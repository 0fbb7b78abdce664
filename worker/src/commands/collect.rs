// SPDX-License-Identifier: Apache-2.0
//! `worker collect`: collects accounts directly, without a queue or a bucket.

use std::path::PathBuf;

use anyhow::anyhow;
use bytes::Bytes;
use chrono::Utc;
use clap::Args;
use cli::{
    config_file::ConfigFile,
    destination::Destination,
    exit::{CommandError, Outcome},
    faults::Faults,
    signals::Signals,
    terminal,
};
use engine::Attempt;
use fleet::{
    AccountName, Accounts, Job, ReportDate, RunId, aws, datasets,
    report::{ReportMetadata, ReportStatus},
};
use futures::{StreamExt, stream};
use tracing::Instrument;

use super::{
    chosen::Chosen,
    collecting::{Collecting, dataset},
};
use crate::{account::session::Session, collect::Known, failure::Failure, report::Collector, usage::Usage};

const AT_ONCE: usize = 4;

/// Collects accounts now, without a queue, to a file or standard output.
///
/// Writes the same table that `worker run` stores; several accounts share one table. The exit status
/// is 1 if a part of it is missing; the message says which.
#[derive(Debug, Args)]
pub(crate) struct Collect {
    #[command(flatten)]
    chosen: Chosen,

    /// The UTC day to report [default: the first of the current month].
    #[arg(long, env = "FLEET_DATE", value_name = "YYYY-MM-DD")]
    date: Option<ReportDate>,

    /// The dataset to report.
    #[arg(long, env = "FLEET_DATASET", value_name = "NAME", default_value = datasets::DEFAULT.name)]
    dataset: String,

    /// Where to write the table; - is standard output. A file is replaced atomically.
    #[arg(long, short, env = "FLEET_OUTPUT", value_name = "FILE", default_value = "-")]
    output: PathBuf,

    #[command(flatten)]
    config: ConfigFile,

    #[command(flatten)]
    collecting: Collecting,
}

impl Collect {
    pub(super) async fn execute(self, mut faults: Faults) -> Result<Outcome, CommandError> {
        let now = Utc::now();
        self.config.read(&mut faults).await;
        let dataset = faults.take(dataset(&self.dataset).map_err(CommandError::usage));
        let date = match self.date {
            Some(date) => date.check(now),
            None => ReportDate::default_at(now),
        };
        let date =
            if faults.left_out("date") { None } else { faults.take(date.map_err(CommandError::usage)) };
        if self.chosen.account_name.is_empty()
            && !self.chosen.uses_own_credentials()
            && !faults.left_out("account_name")
        {
            faults.usage(
                "no account is named; pass --account-name NAME, --profile NAME or --current-credentials",
            );
        }
        let base = faults.at_start(aws::base().await);
        let Collecting { file, regions, .. } = &self.collecting;
        let accounts = self.chosen.accounts(&mut faults, file, regions, base.as_ref()).await;
        for name in accounts.iter().flat_map(|accounts| unknown(accounts, &self.chosen.account_name)) {
            faults.take(Err::<(), _>(CommandError::configuration(Failure::UnknownAccount(name))));
        }
        // Before any call is made or billed.
        let destination = faults.take(Destination::open(&self.output).map_err(CommandError::Usage));
        let all = date.zip(dataset).zip(accounts).zip(destination).zip(base);
        let ((((date, dataset), accounts), destination), base) = faults.end(all)?;
        let job = Job {
            account_name: "unnamed".parse().expect("cannot fail: it is well-formed"),
            windows: date.into(),
            dataset,
            run_id: RunId::generate(),
            only_incomplete: false,
            settle: None,
            attributes: serde_json::Map::new(),
        };
        let collected = async {
            let accounts = if self.chosen.uses_own_credentials() {
                self.chosen.reach(&base).await?.into()
            } else {
                accounts
            };
            let names = match &self.chosen.account_name[..] {
                [] => accounts.iter().map(|account| account.name.clone()).collect(),
                names => names.to_vec(),
            };
            let collector = self.collecting.collector(base, accounts.into());
            let jobs = names.into_iter().map(|account_name| Job { account_name, ..job.clone() });
            collect_all(&collector, jobs.collect(), destination).await
        };
        let mut signals = Signals::install()?;
        tokio::select! {
            ended = collected => ended,
            () = signals.next() => Err(CommandError::Failed(anyhow!("interrupted; nothing is written"))),
        }
    }
}

fn unknown(accounts: &Accounts, names: &[AccountName]) -> Vec<AccountName> {
    names.iter().filter(|name| accounts.get(name).is_none()).cloned().collect()
}

/// Collects accounts into one table. A failed account does not affect the others.
async fn collect_all(
    collector: &Collector,
    jobs: Vec<Job>,
    destination: Destination,
) -> Result<Outcome, CommandError> {
    let bar =
        (jobs.len() > 1).then(|| terminal::bar("accounts [{bar:30}] {pos}/{len} {elapsed}", jobs.len()));
    let collected: Vec<_> = stream::iter(&jobs)
        .map(|job| {
            let span = tracing::error_span!("account", account_name = %job.account_name);
            Box::pin(collect(collector, job).instrument(span))
        })
        .buffered(AT_ONCE)
        .inspect(|_| bar.iter().for_each(|bar| bar.inc(1)))
        .collect()
        .await;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let (mut table, mut missing) = (Vec::new(), Vec::new());
    for (job, collected) in jobs.iter().zip(collected) {
        let name = &job.account_name;
        match collected {
            Ok((metadata, body)) => {
                missing.extend(what_is_missing(name, &metadata));
                // The table of a single account is not copied.
                if table.is_empty() {
                    table = body.into();
                } else {
                    table.extend_from_slice(rows(&body));
                }
            }
            // Nothing can go wrong before the first call.
            Err(failure @ Failure::NoCredentials(_)) if jobs.len() == 1 => {
                return Err(CommandError::configuration(failure));
            }
            Err(failure) => {
                let hint = failure.hint();
                let message = format!("{:#}", anyhow!(failure));
                let message = message.trim_end_matches('.');
                missing.push(format!("account {name} could not be collected: {message}{hint}"));
            }
        }
    }
    if !table.is_empty() {
        destination.write(&table)?;
    }
    match &missing[..] {
        [] => Ok(Outcome::Done),
        [one] => Err(CommandError::Failed(anyhow!("{one}"))),
        all => Err(CommandError::Failed(anyhow!(
            "{} of {} accounts are missing or incomplete:\n  {}",
            all.len(),
            jobs.len(),
            all.join("\n  ")
        ))),
    }
}

/// The table of an account, and its metadata. The rows are dropped here: they take more memory than the
/// table, which waits for those of the other accounts.
async fn collect(collector: &Collector, job: &Job) -> Result<(ReportMetadata, Bytes), Failure> {
    // There is no further attempt: regions that fail are skipped, and the rest is written.
    let attempt = Attempt::new(true);
    let account = collector.account(job).await?;
    let session = Session::open(account, &collector.base, Some(&job.run_id), Usage::default()).await?;
    let entered = Box::pin(collector.enter(job.dataset, &session, &attempt)).await?;
    let mut known = Known::new(job.dataset.shape);
    known.add(job.window(), None);
    let collecting = collector.collect(job, &session, entered, &known, Utc::now(), &attempt);
    let mut report = Box::pin(collecting).await?.report(job, None);
    let body = report.render().await?.read().map_err(Failure::TemporaryFile)?;
    let metadata = report.metadata;
    tracing::info!(
        date = %job.windows,
        rows = metadata.rows,
        rows_late = metadata.rows_late,
        api_calls = metadata.api_calls,
        metrics_requested = metadata.metrics_requested,
        estimated_cost_usd = metadata.estimated_cost_usd,
        "collected"
    );
    Ok((metadata, body))
}

/// What a report lacks.
fn what_is_missing(name: &AccountName, metadata: &ReportMetadata) -> Option<String> {
    (metadata.status == ReportStatus::Partial).then(|| {
        format!(
            "account {name}: the report is partial: {} rows denied, {} in error; the first: {}",
            metadata.rows_denied,
            metadata.rows_error,
            metadata.first_error.as_deref().unwrap_or_default()
        )
    })
}

/// A table without its header.
fn rows(table: &[u8]) -> &[u8] {
    let header = table.iter().position(|byte| *byte == b'\n').map_or(table.len(), |end| end + 1);
    table.split_at_checked(header).map_or(&[], |(_, rows)| rows)
}
