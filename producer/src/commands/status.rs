// SPDX-License-Identifier: Apache-2.0
//! `producer status`: the status of a run.

use std::{fmt::Display, time::Duration};

use anyhow::anyhow;
use chrono::{DateTime, Utc};
use clap::{Args, builder::BoolishValueParser};
use cli::{
    config_file::ConfigFile,
    deployment::{self, Deployment, Opened},
    exit::{CommandError, Outcome},
    faults::Faults,
    output::{self, Format, count},
};
use engine::{Queue, queue::QueueAttributes};
use fleet::{ReportDate, RunId, RunQuery, aws, manifest::Manifest, report_bucket::ReportBucket};
use requests::{
    manifests,
    undelivered::{self, Delivered},
};
use serde_json::{Map, json};
use tokio::time::Instant;

use super::interrupted::interrupted_look;
use crate::{
    dead_letters,
    follow::{COUNTS_LAG, Ended, Follower},
    progress::Progress,
    status::{RunStatus, text},
};

/// Shows which accounts of a run are complete, partial, failed, in progress or missing.
///
/// An account is complete when the report bucket has a complete report of the run's day that was
/// written for this run or a later one, or that no later run can replace; for a run with
/// --only-incomplete, any complete report of the day. It failed when there is none and its job is in
/// the dead-letter queue, with the reason. It is missing when there is neither and the work queue was
/// empty at two readings some seconds apart.
///
/// A complete report is provisional if it was collected while CloudWatch may still publish the day,
/// which it does until 60 hours after the day's end, and settled after that. So a month costs two
/// collections: one that is there early, and one that is final.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct StatusArgs {
    /// The run: its id, or an unambiguous beginning of eight characters or more [default: latest].
    #[arg(value_name = "RUN_ID", value_parser = run_query)]
    run: Option<RunQuery>,

    /// The run, as a flag; if both are given, the one without a flag counts.
    #[arg(long, env = "FLEET_RUN_ID", value_name = "ID", value_parser = run_query)]
    run_id: Option<RunQuery>,

    /// Show the latest run of the current month's first day, even if other days were run since.
    ///
    /// Fails if there is none: a month that was forgotten is not complete.
    #[arg(long, env = "FLEET_THIS_MONTH", value_parser = BoolishValueParser::new(), conflicts_with = "run")]
    this_month: bool,

    /// Follow the run until nothing more is expected to happen.
    #[arg(long, env = "FLEET_WATCH", value_parser = BoolishValueParser::new())]
    watch: bool,

    /// Count provisional reports as incomplete.
    #[arg(long, env = "FLEET_SETTLED", value_parser = BoolishValueParser::new())]
    settled: bool,

    /// Count reports that a sink of the configuration file lacks as incomplete.
    #[arg(long, env = "FLEET_DELIVERED", value_parser = BoolishValueParser::new())]
    delivered: bool,

    /// Show only failed, partial and missing accounts, and provisional ones with --settled.
    #[arg(long, env = "FLEET_FAILED_ONLY", value_parser = BoolishValueParser::new())]
    failed_only: bool,

    /// How the answer is written to standard output.
    #[arg(long, env = "FLEET_FORMAT", value_name = "FORMAT", default_value = "text")]
    format: Format,

    #[command(flatten)]
    config: ConfigFile,

    #[command(flatten)]
    deployment: Deployment,
}

const AFTER_HELP: &str = "\
Examples:
  producer status                                # the latest run
  producer status --this-month                   # the latest of the first of this month
  producer status --this-month --settled         # is the month final?
  producer status --watch                        # follow it to the end
  producer status 019a6b0c-… --failed-only       # what has to be fixed
  producer status --config fleet.toml --delivered   # do the sinks have it all?
  producer status --format json | jq .counts

What to do next:
  failed        fix what the reason names, then producer replay --run-id RUN_ID
  missing       producer run --only-incomplete, with the same request, sends it again
  partial       worker check --account-name NAME names the permission that is missing
  provisional   CloudWatch may still publish the day; producer run --only-incomplete settles it,
                from the time that is shown

Reads the dead-letter queue as `producer failed` does, and needs what that needs; where it may not,
failed accounts are shown as missing.

--format json, one object:
  run_id, date, created_at, complete, counts (complete, provisional and late, both of the complete
  ones, partial, failed, in_progress, missing, other_dead_letters: those of no failed account of the
  run, or null), queue (waiting and in_flight: jobs of this and other runs; no_worker_for_seconds:
  for how long no worker is known to have had a job, or null), totals (rows, bytes, objects,
  estimated_cost_usd), dead_letters_hidden (how many another process is reading, so that they can't
  be seen), and accounts: account_name, dataset, state (complete, partial, failed, in_progress or
  missing), report_key, windows (total, complete and provisional, of a job that has windows), detail
  (what is missing and why, or null), failure_reason and failure_message (null unless it failed)
  and, if a report exists, settled, collected_at, settles_at, rows, rows_late, rows_denied,
  rows_error, bytes, objects, api_calls, metrics_requested, estimated_cost_usd. Bytes and objects
  are null if a report of an earlier version does not say; and undelivered: how many complete
  reports each sink lacks; changed_after_delivery: how many were replaced after a sink of CloudWatch
  had them; unknown: how many values such a sink may have and may not. These three are null without
  --config.

Exit status: 0 every account is complete; 1 failed; 2 wrong usage; 3 not every account is. A
provisional report is complete, but with --settled, and one that a sink lacks, but with --delivered.";

impl StatusArgs {
    pub(crate) async fn execute(self, mut faults: Faults) -> Result<Outcome, CommandError> {
        let sinks = self.config.take(&mut faults, sinks::names).await;
        if self.delivered && sinks.is_none() && faults.is_empty() {
            faults.usage("--delivered needs the sinks; pass --config, or set FLEET_CONFIG");
        }
        let base = faults.at_start(aws::at_start().await);
        let named = self.deployment.queue_and_bucket(&mut faults);
        let (named, base) = faults.end(named.zip(base))?;
        let Opened { queue, attributes, bucket } = deployment::open(&base, named).await?;
        let dead = dead_letter_queue(&queue, &attributes);
        let manifest = match self.run.as_ref().or(self.run_id.as_ref()) {
            Some(query) => manifest_for_query(&bucket, query).await?,
            None if self.this_month => manifest_for_this_month(&bucket).await?,
            None => latest(&bucket).await?,
        };
        let lag = still_lagging(&manifest, bucket.now());
        let trusted_from = Instant::now() + if self.watch { lag } else { Duration::ZERO };
        let mut follower =
            Follower::new(&manifest, &bucket, &queue, dead.as_ref(), trusted_from).with_settled(self.settled);
        let status = if self.watch {
            watch(&mut follower, &manifest).await?
        } else {
            let Some(status) = follower.once(interrupted_look()).await? else {
                return Err(CommandError::Failed(anyhow!("interrupted; nothing was changed")));
            };
            if status.counts.missing > 0 && lag > Duration::ZERO {
                tracing::warn!(
                    run_id = %manifest.run_id,
                    "the run began less than a minute ago, and SQS may not count its jobs yet; \
                     run the command again before sending what is missing"
                );
            }
            status
        };
        let outcome = outcome_from_status(&status);
        let delivered = match &sinks {
            Some(sinks) => {
                let datasets: Vec<&str> = manifest.jobs.iter().map(|job| &*job.dataset).collect();
                let reports: Vec<_> = follower.reports().collect();
                Some(undelivered::by_sink(&bucket, &datasets, &reports, sinks).await?)
            }
            None => None,
        };
        match self.format {
            Format::Text => {
                let mut text = text::painted(&text::render(&status, self.failed_only));
                for (sink, delivered) in delivered.iter().flatten() {
                    text.push_str(&lines(sink, *delivered));
                }
                output::print(&text)?;
            }
            Format::Json => {
                let status = if self.failed_only { status.failed_only() } else { status };
                let mut object = as_json(&status)?;
                if let Some(object) = object.as_object_mut() {
                    let each = |number: fn(&Delivered) -> u64| {
                        let numbers =
                            delivered.iter().flatten().map(|(sink, of)| (sink.clone(), json!(number(of))));
                        delivered.as_ref().map(|_| numbers.collect::<Map<_, _>>())
                    };
                    object.insert("undelivered".to_owned(), json!(each(|of| of.lacking as u64)));
                    object.insert("changed_after_delivery".to_owned(), json!(each(|of| of.changed as u64)));
                    object.insert("unknown".to_owned(), json!(each(|of| of.unknown)));
                }
                output::print_json(&object)?;
            }
        }
        let is_lacking = delivered.iter().flatten().any(|(_, delivered)| delivered.lacking > 0);
        Ok(if self.delivered && is_lacking { Outcome::Incomplete } else { outcome })
    }
}

async fn watch(follower: &mut Follower<'_>, manifest: &Manifest) -> anyhow::Result<RunStatus> {
    let progress = Progress::begin("reports", manifest.jobs.len());
    let (status, ended) = follower.until_decided(None, &progress, interrupted_look()).await?;
    drop(progress);
    if ended == Ended::Stopped {
        tracing::warn!(run_id = %manifest.run_id, "stopped watching; the run continues");
    }
    Ok(status)
}

/// What a sink lacks, and what it has otherwise than the reports, as lines.
fn lines(sink: &str, Delivered { lacking, changed, unknown }: Delivered) -> String {
    let mut lines = String::new();
    if lacking > 0 {
        lines += &format!("\n{} not delivered to {sink} yet", count(lacking, "complete report"));
    }
    if changed > 0 {
        let changed = count(changed, "report");
        lines += &format!("\n{changed} changed after delivery to {sink}, which keeps what it has");
    }
    if unknown > 0 {
        let unknown = count(usize::try_from(unknown).unwrap_or(usize::MAX), "value");
        lines +=
            &format!("\n{unknown} may be in {sink} and may not; producer deliver --force puts them again");
    }
    lines
}

async fn latest(bucket: &ReportBucket) -> Result<Manifest, CommandError> {
    let newest = manifests::newest(bucket, 1).await?;
    let run_id = newest.first().ok_or_else(|| {
        CommandError::Configuration(anyhow!(
            "bucket {} has no run yet; begin one with `producer run`, or correct FLEET_REPORT_BUCKET",
            bucket.name
        ))
    })?;
    manifest_for_run(bucket, run_id).await
}

/// The manifest of the run that the query matches.
async fn manifest_for_query(bucket: &ReportBucket, query: &RunQuery) -> Result<Manifest, CommandError> {
    let known = manifests::beginning_with(bucket, query).await?;
    match query.choose(&known).map_err(CommandError::configuration)? {
        Some(run_id) => manifest_for_run(bucket, &run_id).await,
        None => Err(unknown(bucket, query)),
    }
}

fn run_query(text: &str) -> Result<RunQuery, String> {
    text.parse::<RunQuery>().map_err(|error| error.to_string())?.require_producer_run()
}

async fn manifest_for_run(bucket: &ReportBucket, run_id: &RunId) -> Result<Manifest, CommandError> {
    manifests::read(bucket, run_id).await?.ok_or_else(|| unknown(bucket, run_id))
}

fn unknown(bucket: &ReportBucket, run: impl Display) -> CommandError {
    CommandError::Configuration(anyhow!(
        "bucket {} has no run {run}; `producer status` without a run id shows the latest",
        bucket.name
    ))
}

async fn manifest_for_this_month(bucket: &ReportBucket) -> Result<Manifest, CommandError> {
    let date = ReportDate::default_at(bucket.now()).map_err(|_| {
        CommandError::Configuration(anyhow!(
            "the first of this month is not over; name a run, or look tomorrow"
        ))
    })?;
    manifests::newest_for_date(bucket, date).await?.ok_or_else(|| {
        CommandError::Failed(anyhow!(
            "bucket {} has no run of {date}; `producer run` sends it, or correct FLEET_REPORT_BUCKET",
            bucket.name
        ))
    })
}

/// The dead-letter queue of the work queue. If there is none, a warning says so: no account can be
/// reported as failed.
pub(super) fn dead_letter_queue(queue: &Queue, attributes: &QueueAttributes) -> Option<Queue> {
    let dead = attributes.redrive.as_ref().and_then(|redrive| queue.dead_letters(redrive));
    if dead.is_none() {
        tracing::warn!(
            "{}; accounts whose job is dead-lettered are shown as in progress or missing",
            dead_letters::no_redrive_policy(queue)
        );
    }
    dead
}

/// How much longer SQS's counts may omit what the run sent.
fn still_lagging(manifest: &Manifest, now: DateTime<Utc>) -> Duration {
    let age = now - manifest.created_at;
    COUNTS_LAG.saturating_sub(age.to_std().unwrap_or_default())
}

/// The exit status for a run's status.
pub(super) fn outcome_from_status(status: &RunStatus) -> Outcome {
    if status.complete { Outcome::Done } else { Outcome::Incomplete }
}

/// A run's status as JSON.
pub(super) fn as_json(status: &RunStatus) -> anyhow::Result<serde_json::Value> {
    Ok(serde_json::to_value(status)?)
}
