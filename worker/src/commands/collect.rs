//! `worker collect`: one account, now, with no queue and no bucket.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use chrono::Utc;
use clap::Args;
use fleet::{
    AccountName, Dataset, Job, ReportDate, RunId, aws,
    command_line::Faults,
    datasets,
    destination::Destination,
    exit::{CommandError, Outcome},
    report::ReportStatus,
};

use super::{Collecting, signals::Signals};
use crate::{attempt::Attempt, failure::Failure, report::Collector, session::Session};

/// Collects one account now, with no queue, to a file or standard output.
///
/// Writes the same table as `worker run` stores. Ends with 1 where a part of it is missing, and
/// says which.
#[derive(Debug, Args)]
pub(crate) struct Collect {
    /// The account.
    #[arg(long, env = "FLEET_ACCOUNT_NAME", value_name = "NAME")]
    account_name: Option<AccountName>,

    /// The UTC day to report [default: the first of the current month].
    #[arg(long, env = "FLEET_DATE", value_name = "YYYY-MM-DD")]
    date: Option<ReportDate>,

    /// What to report.
    #[arg(long, env = "FLEET_DATASET", value_name = "NAME", default_value = datasets::DEFAULT.name, value_parser = dataset)]
    dataset: &'static Dataset,

    /// Where to write the table; - is standard output. A file is replaced at the end, or stays as it is.
    #[arg(long, short, env = "FLEET_OUTPUT", value_name = "FILE", default_value = "-")]
    output: PathBuf,

    #[command(flatten)]
    collecting: Collecting,
}

impl Collect {
    pub(super) async fn execute(self, mut faults: Faults) -> Result<Outcome, CommandError> {
        let now = Utc::now();
        let date = match self.date {
            Some(date) => date.check(now),
            None => ReportDate::default_at(now),
        };
        let date =
            if faults.left_out("date") { None } else { faults.take(date.map_err(CommandError::usage)) };
        if self.account_name.is_none() && !faults.left_out("account_name") {
            faults.usage("no account is named; pass --account-name NAME");
        }
        let base = faults.take(aws::base().await);
        let accounts = faults.take_accounts(self.collecting.file.accounts.as_deref(), base.as_ref()).await;
        if let Some((name, accounts)) = self.account_name.as_ref().zip(accounts.as_ref())
            && accounts.get(name).is_none()
        {
            faults.take(Err::<(), _>(CommandError::configuration(Failure::UnknownAccount(name.clone()))));
        }
        // Before anything is asked and paid for.
        let destination = faults.take(Destination::open(&self.output).map_err(CommandError::Usage));
        let all = self.account_name.zip(date).zip(accounts).zip(destination).zip(base);
        let ((((account_name, date), accounts), destination), base) = faults.end(all)?;
        let collector = self.collecting.collector(base, accounts);
        let job = Job {
            account_name,
            date,
            dataset: self.dataset,
            run_id: RunId::generate(),
            only_incomplete: false,
            attributes: serde_json::Map::new(),
        };
        let mut signals = Signals::install()?;
        tokio::select! {
            ended = collect(&collector, &job, destination) => ended,
            () = signals.next() => Err(CommandError::Failed(anyhow!("interrupted; nothing is written"))),
        }
    }
}

async fn collect(
    collector: &Collector,
    job: &Job,
    destination: Destination,
) -> Result<Outcome, CommandError> {
    let account = collector.account(job).map_err(CommandError::configuration)?;
    let collected = async {
        // No other try comes after it: what a region can't answer is left out, and the rest is written.
        let attempt = Attempt::new(true);
        let session =
            Session::open(account, &collector.base, Some(&job.run_id), attempt.usage().clone()).await?;
        Box::pin(collector.report(job, &session, &attempt)).await
    };
    let report = match collected.await {
        Err(failure @ Failure::NoCredentials(_)) => return Err(CommandError::configuration(failure)),
        collected => {
            collected.with_context(|| format!("account {} could not be collected", job.account_name))?
        }
    };
    destination.write(&report.body)?;
    let metadata = &report.metadata;
    tracing::info!(
        account_name = %job.account_name,
        date = %job.date,
        rows = metadata.rows,
        rows_late = metadata.rows_late,
        api_calls = metadata.api_calls,
        metrics_requested = metadata.metrics_requested,
        estimated_cost_usd = metadata.estimated_cost_usd,
        "collected"
    );
    if metadata.status == ReportStatus::Partial {
        return Err(CommandError::Failed(anyhow!(
            "account {}: the report is partial: {} rows denied, {} in error; the first: {}",
            job.account_name,
            metadata.rows_denied,
            metadata.rows_error,
            metadata.first_error.as_deref().unwrap_or_default()
        )));
    }
    Ok(Outcome::Done)
}

fn dataset(name: &str) -> anyhow::Result<&'static Dataset> {
    Dataset::find(name)
        .ok_or_else(|| anyhow!("dataset {name:?} is not known; this version has {}", datasets::names()))
}
