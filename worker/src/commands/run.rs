// SPDX-License-Identifier: Apache-2.0
//! `worker run`: takes jobs from the queue until it is stopped.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::anyhow;
use aws_config::SdkConfig;
use clap::{
    Args,
    builder::{BoolishValueParser, NonEmptyStringValueParser},
};
use cli::{
    deployment::{self, Deployment, Opened},
    exit::{CommandError, Outcome},
    faults::Faults,
    signals::Signals,
};
use engine::{
    Queue,
    consumer::{Consumer, Tally},
    delivery::{DeadLetters, WorkQueue},
    metrics::{Namespace, WorkerMetrics},
    protection::{self, Protection},
};
use fleet::{AwsError, ErrorKind, KeyTemplate, aws, configuration::Configuration, report_key};
use sinks::{Configured, Delivery};
use tokio_util::sync::CancellationToken;

use super::collecting::Collecting;
use crate::{
    account::breaker::Breaker,
    collect, connections,
    failure::Misconfiguration,
    kinds,
    preflight::{self, RoleCheck},
    report::Reporter,
};

/// The minimum visibility timeout that leaves time for renewals, which are due at a third of it.
const SHORTEST_VISIBILITY_SECONDS: u32 = 3;

/// The maximum in SQS: twelve hours.
///
/// Source:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>
const LONGEST_VISIBILITY_SECONDS: i64 = 43_200;

/// With fewer receives, a job becomes a dead letter because of unrelated errors.
const FEWEST_RECEIVES: u32 = 4;

/// Takes jobs from the work queue until stopped.
///
/// A message of kind request is expanded into the jobs of a run, as producer run --at does. Before it
/// takes the first job, the worker verifies that it can write reports. After SIGTERM or
/// Ctrl-C it takes no more jobs, and finishes those in flight; they return to the queue if that takes
/// too long, or at a second signal. A job that fails goes to the dead-letter queue with its reason:
/// `producer failed` shows it. On Amazon ECS a busy task is protected from scale-in.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[arg(long, env = "FLEET_KEY_TEMPLATE", value_name = "TEMPLATE", default_value_t, help = report_key::HELP, help_heading = "Deployment")]
    key_template: KeyTemplate,

    /// How many accounts are collected concurrently, at most 256.
    #[arg(
        long,
        env = "FLEET_CONCURRENCY",
        value_name = "N",
        default_value_t = 4,
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    concurrency: u16,

    /// For how many seconds, 3 to 43200, a received job is hidden from other workers; the worker renews
    /// it while the job runs [default: the queue's].
    #[arg(
        long,
        env = "FLEET_VISIBILITY_TIMEOUT",
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(i64::from(SHORTEST_VISIBILITY_SECONDS)..=LONGEST_VISIBILITY_SECONDS)
    )]
    visibility_timeout: Option<u32>,

    /// For how many seconds, at most 7200, jobs in flight may continue once the worker is stopped; then
    /// they return to the queue. Fargate kills a task 120 s after that at the latest.
    #[arg(
        long,
        env = "FLEET_DRAIN_TIMEOUT",
        value_name = "SECONDS",
        default_value_t = 110,
        value_parser = clap::value_parser!(u32).range(0..=7200)
    )]
    drain_timeout: u32,

    /// Exit once the queue is empty and no job is in flight.
    #[arg(long, env = "FLEET_EXIT_WHEN_EMPTY", value_parser = BoolishValueParser::new())]
    exit_when_empty: bool,

    /// The CloudWatch namespace of the worker's metrics, such as cloudwatch-fleet: each job is then a
    /// line on standard output, which CloudWatch Logs turns into metrics (embedded metric format)
    /// [default: no metrics].
    #[arg(long, env = "FLEET_METRICS_NAMESPACE", value_name = "NAMESPACE")]
    metrics_namespace: Option<Namespace>,

    /// Replace an object that is not a report under a report's key [default: the job becomes a dead
    /// letter].
    #[arg(long, env = "FLEET_REPLACE_FOREIGN", value_parser = BoolishValueParser::new())]
    replace_foreign: bool,

    /// The configuration file: datasets of your own, selections of others, and where reports go besides
    /// the bucket. A path, or an s3:// URL; it is read again when it has changed.
    #[arg(long, env = "FLEET_CONFIG", value_name = "FILE", value_parser = NonEmptyStringValueParser::new())]
    config: Option<String>,

    /// The accounts of a request from the queue that names none, with commas [default: the accounts file's].
    #[arg(long, env = "FLEET_DEFAULT_ACCOUNTS", value_name = "NAMES", value_delimiter = ',', value_parser = trimmed)]
    default_accounts: Vec<String>,

    // Last, since their headings apply to all that follows.
    #[command(flatten)]
    deployment: Deployment,

    #[command(flatten)]
    collecting: Collecting,
}

impl Run {
    pub(super) async fn execute(self, faults: Faults) -> Result<Outcome, CommandError> {
        let mut signals = Signals::install()?;
        let consumer = tokio::select! {
            ready = self.ready(faults) => ready?,
            () = signals.next() => return Ok(Outcome::Done),
        };
        let (stop, leave) = (CancellationToken::new(), CancellationToken::new());
        let working = consumer.run(&stop, &leave);
        tokio::pin!(working);
        let tally = tokio::select! {
            tally = &mut working => tally?,
            () = signals.next() => {
                tracing::info!("stopping; a second signal returns jobs in flight to the queue");
                stop.cancel();
                tokio::select! {
                    tally = &mut working => tally?,
                    () = signals.next() => {
                        leave.cancel();
                        working.await?
                    }
                }
            }
        };
        let Tally { done, dead_lettered, retried, returned, abandoned } = tally;
        tracing::info!(done, dead_lettered, retried, returned, abandoned, "the worker stops");
        Ok(Outcome::Done)
    }

    /// Opens everything needed, and checks that it exists.
    async fn ready(self, mut faults: Faults) -> Result<Consumer, CommandError> {
        connections::warn_if_too_few(self.concurrency.into(), collect::CALLS_IN_A_REGION);
        let named = self.deployment.queue_and_bucket(&mut faults);
        let base = faults.at_start(aws::base().await);
        let Collecting { file, regions, .. } = &self.collecting;
        let accounts = file.take(regions, |_| true, base.as_ref(), &mut faults).await;
        if let Some(accounts) = &accounts {
            // Of which datasets jobs are, each of them says: one that the template does not fit is refused then.
            faults.take(self.key_template.check(&accounts.current(), &[]).map_err(CommandError::usage));
        }
        let configured = match (&self.config, &base) {
            (Some(location), Some(base)) => faults.at_start(configured(location, base).await),
            _ => Some((None, Vec::new())),
        };
        let protection = std::env::var(protection::AGENT_VARIABLE).ok();
        let protection = protection.map(|agent| Protection::new(&agent).map_err(CommandError::usage));
        let protection = protection.and_then(|protection| faults.take(protection));
        let (((named, accounts), base), configured) =
            faults.end(named.zip(accounts).zip(base).zip(configured))?;
        let (configuration, sinks) = configured;
        let collector = self.collecting.collector(base.clone(), accounts);
        let Opened { queue, attributes, bucket } = deployment::open(&base, named).await?;
        let visibility_timeout = match self.visibility_timeout {
            Some(seconds) => Duration::from_secs(seconds.into()),
            None => attributes.visibility_timeout,
        };
        if visibility_timeout < Duration::from_secs(SHORTEST_VISIBILITY_SECONDS.into()) {
            return Err(CommandError::Configuration(anyhow!(
                "queue {}: its visibility timeout of {} s is too short to renew; set at least {SHORTEST_VISIBILITY_SECONDS} s, on the queue or by --visibility-timeout",
                queue.url,
                visibility_timeout.as_secs()
            )));
        }
        let dead_letters = attributes.redrive.and_then(|redrive| {
            let max_receive_count = redrive.max_receive_count;
            Some(DeadLetters { queue: queue.dead_letters(&redrive)?, max_receive_count })
        });
        if let Some(dead_letters) = &dead_letters {
            refuse_missing(&dead_letters.queue).await?;
        }
        warn_of_few_receives(&queue, dead_letters.as_ref());
        let (writing, entry) = tokio::join!(
            preflight::check_writing(&bucket, &self.key_template),
            preflight::check_roles(&collector)
        );
        writing.map_err(Misconfiguration::ReportBucket).map_err(CommandError::at_start)?;
        if entry.map_err(|fault| CommandError::Failed(fault.into()))? == RoleCheck::Passed {
            collector.authentication.succeeded();
        }
        let delivery = Arc::new(Delivery::new(bucket.clone(), sinks));
        delivery.check().await;
        if let Some(configuration) = configuration {
            let delivery = delivery.clone();
            tokio::spawn(Arc::new(configuration).follow(move |sinks| delivery.renew(sinks)));
        }
        tracing::info!(
            version = fleet::VERSION,
            queue_url = queue.url,
            report_bucket = bucket.name,
            key_template = %self.key_template,
            region = aws::region(&base),
            accounts_file = self.collecting.file.accounts,
            regions = self.collecting.regions.join(","),
            lookback_days = self.collecting.lookback_days,
            concurrency = self.concurrency,
            visibility_timeout_s = visibility_timeout.as_secs(),
            drain_timeout_s = self.drain_timeout,
            exit_when_empty = self.exit_when_empty,
            metrics_namespace = self.metrics_namespace.as_ref().map(Namespace::as_str),
            dead_letter_queue = dead_letters.as_ref().map(|dead_letters| &dead_letters.queue.url),
            max_receive_count = dead_letters.as_ref().map(|dead_letters| dead_letters.max_receive_count),
            is_protected = protection.is_some(),
            sinks = delivery.names(),
            "the worker is ready"
        );
        let reporter = Reporter {
            collector,
            bucket,
            template: self.key_template,
            replaces_foreign: self.replace_foreign,
            storing: Breaker::default(),
        };
        Ok(Consumer {
            kinds: kinds::all(reporter, delivery, queue.clone(), self.default_accounts.into()),
            queue: Arc::new(WorkQueue { queue, visibility_timeout, dead_letters }),
            concurrency: self.concurrency.into(),
            exit_when_empty: self.exit_when_empty,
            drain_timeout: Duration::from_secs(self.drain_timeout.into()),
            protection,
            metrics: self.metrics_namespace.map(|namespace| Arc::new(WorkerMetrics::new(namespace))),
        })
    }
}

/// The configuration file, and the sinks that it names.
async fn configured(
    location: &str,
    base: &SdkConfig,
) -> anyhow::Result<(Option<Configuration<Vec<Configured>>>, Vec<Configured>)> {
    let configuration = Configuration::find(location, base, {
        let base = base.clone();
        Box::new(move |list| sinks::take(list, &base))
    })
    .await?;
    let sinks = configuration.read().await?.unwrap_or_default();
    Ok((Some(configuration), sinks))
}

/// Warns of a queue whose jobs are never dead-lettered, or too early.
fn warn_of_few_receives(queue: &Queue, dead_letters: Option<&DeadLetters>) {
    match dead_letters {
        None => tracing::warn!(
            "queue {} has no dead-letter queue: a job that can't be done stays on it and is retried until its retention ends; set its RedrivePolicy",
            queue.url
        ),
        Some(DeadLetters { max_receive_count: most @ ..FEWEST_RECEIVES, .. }) => tracing::warn!(
            max_receive_count = most,
            "queue {} dead-letters jobs early: each deployment and each transient AWS error costs a receive; set its maxReceiveCount to 12",
            queue.url
        ),
        Some(_) => {}
    }
}

#[expect(clippy::unnecessary_wraps, reason = "clap wants a result")]
fn trimmed(name: &str) -> Result<String, Infallible> {
    Ok(name.trim().to_owned())
}

/// Refuses a dead-letter queue that does not exist: nothing could be dead-lettered. Denied access to its
/// attributes is no problem.
async fn refuse_missing(dead_letters: &Queue) -> Result<(), CommandError> {
    match dead_letters.attributes().await {
        Err(error) if AwsError::from(error.clone()).kind == ErrorKind::NotFound => {
            Err(CommandError::Configuration(anyhow!(
                "the dead-letter queue {} does not exist; create it, or correct the work queue's RedrivePolicy",
                dead_letters.url
            )))
        }
        _ => Ok(()),
    }
}
