// SPDX-License-Identifier: Apache-2.0
//! `producer deliver`: sends jobs that give reports which exist to a sink.

use anyhow::anyhow;
use chrono::Utc;
use clap::{
    Args,
    builder::{BoolishValueParser, NonEmptyStringValueParser},
};
use cli::{
    config_file::ConfigFile,
    deployment::{Deployment, open_queue},
    exit::{CommandError, Outcome},
    faults::Faults,
    output::{self, Format, count},
};
use fleet::{Dataset, Job, RunId, aws};
use requests::{
    deliver::Order,
    plan::{Fault, Plan},
    publish::publish_as,
    request::Flags,
};
use serde_json::json;
use sinks::Named;

use super::{
    expand::{ExpandArgs, trimmed},
    interrupted::interrupted,
    wake::WakeArgs,
    when::WhenArgs,
};
use crate::progress::Progress;

/// Delivers reports that exist to a sink, once more if need be.
///
/// A worker delivers each report as soon as it is stored. This is for a sink that was added later, was
/// away for too long, or has lost what it had: its indices can be rebuilt from the report bucket, which
/// costs no call of CloudWatch. The workers need the same configuration file. A sink of CloudWatch gets
/// only windows that it has not got yet, since it would add what is put twice.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub(crate) struct DeliverArgs {
    /// The sink, by its name in the configuration file.
    #[arg(long, env = "FLEET_SINK", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    sink: String,

    /// An account whose reports are delivered; may be repeated, or be a list with commas.
    #[arg(long, env = "FLEET_ACCOUNT_NAME", value_name = "NAME", value_delimiter = ',', value_parser = trimmed())]
    account_name: Vec<String>,

    /// A dataset of the sink; may be repeated [default: all that the configuration file names].
    #[arg(long, env = "FLEET_DATASET", value_name = "NAME", value_delimiter = ',', value_parser = trimmed())]
    dataset: Vec<String>,

    #[command(flatten)]
    when: WhenArgs,

    /// Also put what a sink of CloudWatch may have and may not: sums may be doubled by it.
    #[arg(long, env = "FLEET_FORCE", value_parser = BoolishValueParser::new())]
    force: bool,

    #[command(flatten)]
    wake: WakeArgs,

    /// How the answer is written to standard output.
    #[arg(long, env = "FLEET_FORMAT", value_name = "FORMAT", default_value = "text")]
    format: Format,

    #[command(flatten)]
    config: ConfigFile,

    #[command(flatten)]
    deployment: Deployment,

    #[command(flatten)]
    expand: ExpandArgs,
}

const AFTER_HELP: &str = "\
Examples:
  producer deliver --sink search --last 30d                 # after an outage of the sink
  producer deliver --sink search --from 2026-01-01 --to 2026-12-01 --dataset lambda
  producer deliver --sink files --date 2026-11-01 --account-name data

What to do next:
  producer failed --reason not_delivered   what could not be delivered, and why

Sends one job for each account and dataset, for all its windows. A window without a complete report
is passed over.

--format json, one object: sink, sent, and jobs: account_name, dataset, from, to.

Exit status: 0 all jobs are sent; 1 failed; 2 wrong usage or configuration.";

impl DeliverArgs {
    pub(crate) async fn execute(self, mut faults: Faults) -> Result<Outcome, CommandError> {
        let sinks = self.config.take(&mut faults, sinks::names).await;
        let datasets = self.datasets(sinks, &mut faults);
        self.wake.check(&mut faults);
        let url = self.deployment.queue(&mut faults);
        let base = faults.at_start(aws::at_start().await);
        let accounts = self.expand.accounts(base.as_ref(), &mut faults).await;
        let planning = self.expand.planning(accounts.as_ref(), Utc::now(), None);
        let plan = datasets.and_then(|datasets| {
            let mut when = self.when.flags();
            // What is there can be delivered, whether it is settled or not.
            when.provisional = true;
            let account_names = self.account_name.clone();
            let flags = Flags { account_names, when, datasets, ..Flags::default() };
            let plan = Plan::new(None, &flags, planning, RunId::generate());
            let report = |all: Vec<Fault>| {
                for Fault::Request(fault) | Fault::Setting(fault) in all {
                    faults.usage(fault);
                }
            };
            plan.map_err(report).ok()
        });
        let ((url, base), plan) = faults.end(url.zip(base).zip(plan))?;
        let (queue, _) = open_queue(&base, url).await?;
        let jobs: Vec<&Job> = plan.jobs.iter().map(|planned| &planned.job).collect();
        let progress = Progress::begin("jobs sent", jobs.len());
        let body = |job: &Job| {
            let (sink, force, job) = (self.sink.clone(), self.force, job.clone());
            Order { sink, again: true, force, job }.body()
        };
        let published = publish_as(&queue, &jobs, body, |sent| progress.add(sent), interrupted()).await;
        drop(progress);
        self.print(&jobs, published.sent())?;
        if let Some(why) = published.explain(&jobs) {
            return Err(CommandError::Failed(anyhow!(
                "{why}; run the same command again, which repeats nothing"
            )));
        }
        let woken = self.wake.wake(&base, published.sent()).await;
        woken.map(|()| Outcome::Done).map_err(CommandError::Failed)
    }

    /// The names of the datasets: those of the flag, or all of the sink's.
    fn datasets(&self, sinks: Option<Vec<Named>>, faults: &mut Faults) -> Option<Vec<String>> {
        let named = self.dataset.clone();
        let Some(sinks) = sinks else {
            if named.is_empty() && faults.is_empty() {
                faults.usage("nothing says which datasets the sink has; pass --config, or --dataset");
            }
            return (!named.is_empty()).then_some(named);
        };
        let Some(sink) = sinks.iter().find(|sink| sink.name == self.sink) else {
            let known: Vec<&str> = sinks.iter().map(|sink| &*sink.name).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            faults.usage(format!(
                "--sink {:?} is no sink of the configuration file, which has {known}",
                self.sink
            ));
            return None;
        };
        if named.is_empty() {
            return Some(sink.datasets.iter().map(|dataset| dataset.name.to_owned()).collect());
        }
        for name in &named {
            let meant = Dataset::named(name);
            if let Some(other) = meant.iter().find(|meant| !sink.takes(meant)) {
                faults.usage(format!("--dataset {}: the sink {} does not take it", other.name, self.sink));
            }
        }
        Some(named)
    }

    fn print(&self, jobs: &[&Job], sent: usize) -> anyhow::Result<()> {
        match self.format {
            Format::Json => {
                let jobs = jobs.iter().map(|job| {
                    let (from, to) = (job.windows.start(), job.windows.end());
                    json!({
                        "account_name": job.account_name, "dataset": job.dataset.name,
                        "from": fleet::window::moment(from), "to": fleet::window::moment(to),
                    })
                });
                output::print_json(
                    &json!({"sink": self.sink, "sent": sent, "jobs": jobs.collect::<Vec<_>>()}),
                )
            }
            Format::Text => {
                let windows: usize = jobs.iter().map(|job| job.windows.count()).sum();
                let (sent, windows) = (count(sent, "job"), count(windows, "report"));
                output::print(&format!("{sent} sent, to deliver up to {windows} to {}\n", self.sink))
            }
        }
    }
}
