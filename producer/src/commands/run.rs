// SPDX-License-Identifier: Apache-2.0
//! `producer run`: expands a request, sends its jobs and, if asked to, follows the run.

mod cost;
mod dry;
mod forwarded;
mod month;
mod order;
mod sent;

use std::time::Duration;

use anyhow::{Context, anyhow};
use aws_config::SdkConfig;
use chrono::{DateTime, TimeDelta, Utc};
use clap::{
    Args,
    builder::{BoolishValueParser, NonEmptyStringValueParser},
};
use cli::{
    config_file::ConfigFile,
    deployment::{self, Deployment, Opened},
    exit::{CommandError, Outcome},
    faults::Faults,
    output::Format,
};
use engine::{Queue, queue::QueueAttributes};
use fleet::{Accounts, Job, RunId, VERSION, aws, manifest::Manifest, report_bucket::ReportBucket};
use requests::{
    budget::{self, OverBudget},
    plan::{Fault, Plan},
    publish::{Published, publish},
    request::{Flags, Request, Source, check_max_usd},
    run::{self, Recorded},
    scheduled,
};
use sinks::Named;
use tokio::time::Instant;

use self::{
    dry::{Asked, Seen},
    sent::Ran,
};
use super::{
    expand::{ExpandArgs, trimmed},
    interrupted::interrupted,
    status::{dead_letter_queue, outcome_from_status},
    wake::WakeArgs,
    when::WhenArgs,
};
use crate::{
    follow::{COUNTS_LAG, Ended, Follower},
    progress::Progress,
    status::RunStatus,
};

/// Sends one job for each account and dataset of a request.
///
/// A request is a JSON object, such as {"account_name": ["data"], "date": "2026-11-01", "ticket":
/// "OPS-7"}; without one it is {}. Absent keys mean the default accounts, the first day of the
/// current month (of a dataset of series the newest window that is settled) and s3_daily_storage;
/// the flags below that are about what is collected are keys too, such as only_incomplete and
/// max_usd, and any other key is an attribute that every job carries unchanged. Flags override the
/// request.
/// Nothing is sent unless all of it is valid.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
#[expect(
    clippy::doc_markdown,
    clippy::doc_link_with_quotes,
    reason = "these comments are the help that people read in a terminal"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct RunArgs {
    /// The file with the request; - is standard input.
    #[arg(long, env = "FLEET_REQUEST", value_name = "FILE|-", value_parser = NonEmptyStringValueParser::new())]
    request: Option<String>,

    /// An account to report on; may be repeated, or be a list with commas.
    #[arg(long, env = "FLEET_ACCOUNT_NAME", value_name = "NAME", value_delimiter = ',', value_parser = trimmed())]
    account_name: Vec<String>,

    #[command(flatten)]
    when: WhenArgs,

    /// What to report of each account; may be repeated [default: s3_daily_storage].
    #[arg(long, env = "FLEET_DATASET", value_name = "NAME", value_delimiter = ',', value_parser = trimmed())]
    dataset: Vec<String>,

    /// An attribute that every job carries: KEY=VALUE is a string, KEY:=JSON any JSON; may be
    /// repeated, while the variable holds one.
    #[arg(long, env = "FLEET_ATTRIBUTE", value_name = "KEY=VALUE|KEY:=JSON")]
    attribute: Vec<String>,

    /// Send jobs only for accounts without a complete report of the day, or of a window, and for
    /// provisional reports once they can be settled, 60 hours after the day's end: what completes a run
    /// that was interrupted, and settles a month from its fourth day, 12:00 UTC, on. What is settled, or
    /// can't be yet, is not paid for again.
    #[arg(long, env = "FLEET_ONLY_INCOMPLETE", value_parser = BoolishValueParser::new())]
    only_incomplete: bool,

    /// Show the jobs and what they cost; send nothing, write nothing. Needs no queue; without a report
    /// bucket, or credentials for it, prices are those of accounts that have no report yet.
    #[arg(long, env = "FLEET_DRY_RUN", value_parser = BoolishValueParser::new())]
    dry_run: bool,

    /// With --dry-run or --max-usd: how many buckets an account without a report has [default: up to 1000].
    #[arg(long, env = "FLEET_BUCKETS", value_name = "N")]
    buckets: Option<u32>,

    /// With --dry-run: the price of a month, 30 days, of a schedule that starts such a run so often, as 5m.
    #[arg(long, env = "FLEET_EVERY", value_name = "DURATION", value_parser = month::every)]
    every: Option<TimeDelta>,

    /// Refuse a run whose estimate is above so many dollars, each statistic counted, before anything is
    /// sent. Accounts without a report are not in it, unless --buckets says how many buckets they have.
    #[arg(long, env = "FLEET_MAX_USD", value_name = "DOLLARS", value_parser = max_usd)]
    max_usd: Option<f64>,

    /// Follow the run until nothing more is expected, and show its status; the run survives Ctrl-C.
    #[arg(long, env = "FLEET_WAIT", value_parser = BoolishValueParser::new())]
    wait: bool,

    /// With --wait: how long at most, such as 30m or 2h; the run continues after that.
    #[arg(
        long,
        env = "FLEET_WAIT_TIMEOUT",
        value_name = "DURATION",
        value_parser = duration
    )]
    wait_timeout: Option<Duration>,

    /// With --wait: count provisional reports as incomplete.
    #[arg(long, env = "FLEET_SETTLED", value_parser = BoolishValueParser::new())]
    settled: bool,

    /// The time that a schedule meant, such as 2026-12-02T18:00:00Z, in place of the clock. A start that is
    /// delivered twice, with the same request, is one run: the second delivery sends nothing unless the
    /// first one was cut off.
    #[arg(long, env = "FLEET_AT", value_name = "TIME", value_parser = scheduled::parse)]
    at: Option<DateTime<Utc>>,

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
  producer run --dry-run                                  # the default accounts: jobs and dollars
  producer run --dry-run --account-name data --buckets 400 # needs nothing of AWS
  producer run --account-name data,opra-dev --date 2026-11-01 --wait
  echo '{\"account_name\": \"data\", \"ticket\": \"OPS-7\"}' | producer run --request -
  producer run --attribute ticket=OPS-7 --attribute 'priority:=2'
  producer run --only-incomplete                          # what is still missing of the month
  producer run --dataset ecs --last 6h --only-incomplete  # every few minutes: it catches up
  producer run --dataset ecs --last 6h --only-incomplete --dry-run --every 5m # dollars a month
  producer run --dataset ecs --month 2026-10 --window 1d  # a report a day
  producer run --at 2026-12-02T18:00:00Z                  # the start that was scheduled then

A report that is made while CloudWatch may still publish the day is provisional, so a month costs
two collections: an early one, and from day 4, 12:00 UTC, on the one that settles it.

What to do next:
  producer status RUN_ID --watch   follows the run whose id is printed

--format json, one object at the end:
  run_id (null if there was nothing to send), date, sent_before (when an earlier delivery of the
  same --at sent all jobs, or null), accounts_from (who chose the accounts: request,
  default_accounts or accounts_file), attributes, sent, deliveries (of what sinks lack, with
  --only-incomplete and --config), already_complete, provisional (how many of
  these are), settles_at (from when on --only-incomplete settles them, or null), settled (the
  settled reports that are requested again, or null: collected_again, cost_usd, and kept, which cost
  nothing), and jobs:
  account_name, dataset, report_key, windows (from, to and window, unless it is the day) and state,
  which is sent, not_sent (or not known to be) or already_complete; after --wait also status, which
  is what `producer status --format json` gives.
  With --dry-run: dry_run, accounts_from, attributes,
  already_complete, provisional, settles_at, settled, estimated_cost_usd (of the accounts whose
  price is known), at_least (some are not), collections (2 if the day has to be collected once more
  to be settled), cost_usd_least and cost_usd_most (of all collections), the same with
  each_statistic (if each statistic is paid, and not up to five of a metric as one), max_usd,
  over_budget (whether the run would be refused, or null), past_reports_error (why past reports
  could not be looked at, or null), datasets (for each: dataset, jobs, the metrics and costs of one
  collection, and month: collections and costs), month (with --every: every_seconds, days, runs and
  costs; else null), sinks (of each of CloudWatch: custom metrics, and what they cost a month),
  and jobs: account_name, dataset, date, report_key, api_calls,
  metrics_requested, estimated_cost_usd (null if not known), the costs, scaled,
  cost_usd_per_1000_resources (also with each_statistic) and, of windows, from, to, window, windows
  (how many) and times_paid (how often each metric is paid for).

Exit status: 0 done; 1 failed; 2 wrong usage or configuration; 3 --wait: not all are complete.";

/// What a run is planned from. Read once, since standard input can be read only once.
struct Inputs {
    source: Option<Source>,
    /// None if the accounts file could not be read.
    accounts: Option<Accounts>,
}

impl RunArgs {
    pub(crate) async fn execute(self, mut faults: Faults) -> Result<Outcome, CommandError> {
        let sinks = self.config.take(&mut faults, sinks::names).await.unwrap_or_default();
        self.check_pairs(&mut faults);
        self.wake.check(&mut faults);
        if let Some(Err(fault)) = self.at.map(|at| scheduled::check("--at", at, Utc::now())) {
            faults.usage(fault);
        }
        let named = if self.dry_run { None } else { self.deployment.queue_and_bucket(&mut faults) };
        // Only a dry run works without AWS.
        let needs_aws = !self.dry_run || self.expand.is_in_s3();
        let base = match if needs_aws { aws::at_start().await } else { aws::base().await } {
            Err(error) if needs_aws => faults.at_start(Err(error)),
            base => Some(base),
        };
        let config = base.as_ref().and_then(|base| base.as_ref().ok());
        let inputs = self.inputs(config, &mut faults).await;
        let plan = self.plan(&inputs, self.at.unwrap_or_else(Utc::now), RunId::generate(), &mut faults);
        if self.dry_run {
            let (plan, base) = faults.end(plan.zip(base))?;
            let seen = Box::pin(self.see(base, &plan, &sinks)).await;
            let asked = Asked { buckets: self.buckets.map(u64::from), every: self.every, sinks: &sinks };
            return dry::show(&plan, seen, asked, self.format);
        }
        let ((named, _), base) = faults.end(named.zip(plan).zip(base.and_then(Result::ok)))?;
        let Opened { queue, attributes, bucket } = deployment::open(&base, named).await?;
        warn_without_dead_letters(&queue, &attributes);
        let (now, run_id) = match self.at {
            Some(at) => (at, RunId::scheduled(at, Request::digest(inputs.source.as_ref(), &self.flags()))),
            None => {
                order::after_every_run(&bucket).await?;
                (bucket.now(), RunId::generate_at(bucket.now()))
            }
        };
        // Checks again by the report bucket's clock, which is the one that counts.
        let mut faults = Faults::default();
        let plan = self.plan(&inputs, now, run_id, &mut faults);
        let plan = faults.end(plan)?;
        let todo = run::look(&bucket, &plan.jobs, plan.request.only_incomplete, &sinks).await?;
        budget::check(&bucket, &plan, &todo, self.buckets.map(u64::from)).await.map_err(of_the_budget)?;
        let recorded = run::record(&bucket, &plan, todo, self.at.is_some()).await?;
        let Recorded { manifest, todo, jobs } = &recorded;
        tracing::info!(
            version = VERSION,
            run_id = %manifest.run_id,
            date = %manifest.date,
            jobs = manifest.jobs.len(),
            queue_url = queue.url,
            report_bucket = bucket.name,
            key_template = %self.expand.key_template,
            "run begins"
        );
        let ran = Ran { manifest, request: &plan.request, todo };
        ran.announce(self.format);

        let jobs: Vec<&Job> = jobs.iter().collect();
        let progress = Progress::begin("jobs sent", jobs.len());
        let published = publish(&queue, &jobs, |sent| progress.add(sent), interrupted()).await;
        drop(progress);
        if let Some(why) = published.explain(&jobs) {
            ran.print(&published, None, self.format)?;
            return Err(CommandError::Failed(anyhow!(
                "{why}; once the workers have finished the others, `producer run --only-incomplete` with the same \
                 request sends what is left (run {})",
                plan.run_id
            )));
        }
        run::send_orders(&queue, &todo.undelivered).await.map_err(CommandError::Failed)?;
        run::mark_sent(&bucket, &recorded).await;
        let woken = self.wake.wake(&base, published.sent() + todo.undelivered.len()).await;
        if !self.wait {
            ran.print(&published, None, self.format)?;
            return woken.map(|()| Outcome::Done).map_err(CommandError::Failed);
        }
        if let Err(error) = woken {
            tracing::warn!("{error:#}");
        }
        let dead = dead_letter_queue(&queue, &attributes);
        match self.follow(manifest, &bucket, &queue, dead.as_ref(), &published).await {
            Ok(status) => {
                ran.print(&published, Some(&status), self.format)?;
                Ok(outcome_from_status(&status))
            }
            Err(error) => {
                ran.print(&published, None, self.format)?;
                Err(CommandError::Failed(
                    error.context(format!("run {} continues, but is no longer followed", plan.run_id)),
                ))
            }
        }
    }

    /// Refuses a flag that has no effect without another one. A variable alone is allowed: it is a
    /// deployment's setting for the runs that have that other flag.
    fn check_pairs(&self, faults: &mut Faults) {
        let pairs = [
            (self.settled && !self.wait, "--settled", "FLEET_SETTLED", "--wait"),
            (self.wait_timeout.is_some() && !self.wait, "--wait-timeout", "FLEET_WAIT_TIMEOUT", "--wait"),
            (self.every.is_some() && !self.dry_run, "--every", "FLEET_EVERY", "--dry-run"),
            (
                self.buckets.is_some() && !self.dry_run && self.max_usd.is_none(),
                "--buckets",
                "FLEET_BUCKETS",
                "--dry-run",
            ),
        ];
        for (is_alone, flag, variable, other) in pairs {
            if is_alone && std::env::var_os(variable).is_none() {
                faults.usage(format!("{flag} does nothing without {other}; add {other}"));
            }
        }
    }

    async fn inputs(&self, config: Option<&SdkConfig>, faults: &mut Faults) -> Inputs {
        let source = self.source();
        Inputs { source, accounts: self.expand.accounts(config, faults).await }
    }

    /// Checks the request, which depends on the current time, and expands it.
    fn plan(
        &self,
        Inputs { source, accounts }: &Inputs,
        now: DateTime<Utc>,
        run_id: RunId,
        faults: &mut Faults,
    ) -> Option<Plan> {
        let clock = self.at.map(|_| Utc::now());
        let planning = self.expand.planning(accounts.as_ref(), now, clock);
        let of_request = if source.is_some() { CommandError::Configuration } else { CommandError::Usage };
        let planned = Plan::new(source.as_ref(), &self.flags(), planning, run_id);
        let report = |all| {
            for fault in all {
                faults.take(Err::<(), _>(match fault {
                    Fault::Request(fault) => of_request(anyhow!(fault)),
                    Fault::Setting(fault) => CommandError::Usage(anyhow!(fault)),
                }));
            }
        };
        planned.map_err(report).ok()
    }

    /// The text of the request, if there is one.
    fn source(&self) -> Option<Source> {
        let file = self.request.as_ref()?;
        let (name, text) = if file == "-" {
            ("the request on standard input".to_owned(), std::io::read_to_string(std::io::stdin()))
        } else {
            (format!("the request {file}"), std::fs::read_to_string(file))
        };
        let text = text.map_err(|error| format!("could not read {name}: {error}"));
        Some(Source { name, text })
    }

    /// Reads what a dry run needs from the report bucket.
    async fn see(
        &self,
        base: anyhow::Result<SdkConfig>,
        plan: &Plan,
        sinks: &[Named],
    ) -> anyhow::Result<Seen> {
        let base = base?;
        let named = self.deployment.named_bucket();
        let named =
            named.context("no report bucket is named; set FLEET_REPORT_BUCKET or pass --report-bucket")?;
        let bucket = ReportBucket::open(&base, named.name, named.terms).await?;
        let todo = run::look(&bucket, &plan.jobs, plan.request.only_incomplete, sinks).await?;
        Seen::read(&bucket, plan, todo).await
    }

    fn flags(&self) -> Flags {
        Flags {
            account_names: self.account_name.clone(),
            when: self.when.flags(),
            datasets: self.dataset.clone(),
            attributes: self.attribute.clone(),
            only_incomplete: self.only_incomplete,
            max_usd: self.max_usd,
        }
    }

    async fn follow(
        &self,
        manifest: &Manifest,
        bucket: &ReportBucket,
        queue: &Queue,
        dead: Option<&Queue>,
        published: &Published,
    ) -> anyhow::Result<RunStatus> {
        let is_recent = published.sent() > 0 || manifest.sent_at.is_some();
        let lag = if is_recent { COUNTS_LAG } else { Duration::ZERO };
        let mut follower =
            Follower::new(manifest, bucket, queue, dead, Instant::now() + lag).with_settled(self.settled);
        let progress = Progress::begin("reports", manifest.jobs.len());
        let (status, ended) = follower.until_decided(self.wait_timeout, &progress, interrupted()).await?;
        drop(progress);
        match ended {
            Ended::Decided => {}
            Ended::TimedOut => {
                tracing::warn!(run_id = %manifest.run_id, "the time to wait is over; the run continues");
            }
            Ended::Stopped => tracing::warn!(run_id = %manifest.run_id, "stopped waiting; the run continues"),
        }
        Ok(status)
    }
}

fn max_usd(text: &str) -> Result<f64, String> {
    let number = text.parse().map_err(|_| format!("{text:?} is not a number of dollars, such as 2.5"));
    number.and_then(check_max_usd)
}

/// A request that would cost too much is refused as one that is not valid is.
fn of_the_budget(error: anyhow::Error) -> CommandError {
    if error.is::<OverBudget>() { CommandError::Configuration(error) } else { CommandError::Failed(error) }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| format!("{text:?} is not a duration; write it as 30m or 2h"))
}

/// Warns if the queue has no dead-letter queue: it may be a dead-letter queue that was named by mistake.
fn warn_without_dead_letters(queue: &Queue, attributes: &QueueAttributes) {
    if attributes.redrive.is_none() {
        tracing::warn!(
            "queue {} has no dead-letter queue; is it the work queue? A job that can't be done stays on it until the queue \
             forgets it",
            queue.url
        );
    }
}
