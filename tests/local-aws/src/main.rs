// SPDX-License-Identifier: Apache-2.0
//! `local-aws`: the AWS on loopback as a program, with a synthetic world, a work queue and a report bucket.

mod seed;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use local_aws::{LocalAws, Options, QueueOptions, Synthetic, SyntheticAccount, SyntheticSeries};

const REGION: &str = "us-east-1";
const QUEUE: &str = "fleet-jobs";
const DEAD_LETTER_QUEUE: &str = "fleet-jobs-dead";
const MAX_RECEIVES: u32 = 12;

/// How often to check for requests for a namespace that does not exist.
const GLANCE: Duration = Duration::from_millis(200);

const EXAMPLE: &str = "\
Example:
  local-aws --accounts 3 --buckets 200 --regions 4 > aws.env &
  source aws.env
  aws s3 ls
  aws cloudwatch list-metrics --namespace AWS/S3 --region eu-west-1

With a dataset's series, each minute up to now:
  local-aws --dataset datasets/sqs.toml --resources 50 > aws.env &
  source aws.env
  producer run --dataset sqs --last 2d
  worker run --exit-when-empty
  producer status

It prints what a shell needs to use it, and serves on 127.0.0.1 until Ctrl-C.
The access key is the account's id, and any secret will do: signatures are not
verified. Use --quotas and --latency-ms to see how a program fares with
CloudWatch's quotas and with a network in between. If ListMetrics is asked for a
namespace of which the account has no series, it says so on standard error.";

/// An AWS on loopback, in memory: SQS, S3, CloudWatch metrics and STS on one port.
///
/// It makes accounts with buckets whose daily storage metrics follow from the seed and, in the first account, a work queue
/// with its dead-letter queue and a report bucket. Series of other datasets are made with --dataset or --series.
#[derive(Parser)]
#[command(version, after_help = EXAMPLE)]
struct Arguments {
    /// Accounts: 111111111111, 222222222222 and so on
    #[arg(long, default_value = "3")]
    accounts: NonZeroUsize,
    /// Buckets in each account
    #[arg(long, default_value_t = 200)]
    buckets: usize,
    /// Regions that the buckets are spread over, at most 12
    #[arg(long, default_value_t = 4)]
    regions: usize,
    /// The most storage types that a bucket has, of 26
    #[arg(long, default_value_t = 3)]
    storage_types: usize,
    /// Days of history; CloudWatch keeps 455
    #[arg(long, default_value_t = 455)]
    days: u32,
    /// Deleted buckets in each account: not listed, but with metrics until some days ago
    #[arg(long, default_value_t = 0)]
    deleted: usize,
    /// Buckets in each account whose newest datapoint is a day late
    #[arg(long, default_value_t = 0)]
    late: usize,
    /// Buckets in each account without any datapoint
    #[arg(long, default_value_t = 0)]
    empty: usize,
    /// Make the series of a dataset, by its file, in each account; may be repeated
    #[arg(long, value_name = "FILE")]
    dataset: Vec<PathBuf>,
    /// Make series of any namespace in each account, such as My/App:Host,Disk:Used,Free: the dimensions that name a
    /// resource, and its metrics; may be repeated
    #[arg(long, value_name = "NAMESPACE:DIMENSIONS:METRICS")]
    series: Vec<String>,
    /// Resources of each --dataset and --series in each account; a million costs no memory
    #[arg(long, value_name = "N", default_value_t = 20)]
    resources: usize,
    /// From one datapoint of --series to the next, 1m to 1d; a dataset has its own
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = seed::seconds)]
    period: u32,
    /// Decides every name and value
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Milliseconds that every call waits before it is answered
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Throttle CloudWatch as AWS does, by account and region
    #[arg(long)]
    quotas: bool,
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Threads that serve requests
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match serve(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            warn(&format!("local-aws: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Serves until Ctrl-C.
async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    let series = series(&arguments)?;
    let aws = LocalAws::start(Options {
        port: arguments.port,
        latency: Duration::from_millis(arguments.latency_ms),
        quotas: arguments.quotas,
        threads: arguments.threads,
        ..Options::default()
    })
    .await?;
    let accounts = aws.synthetic(&Synthetic {
        accounts: arguments.accounts.get(),
        buckets: arguments.buckets,
        regions: arguments.regions,
        storage_types: arguments.storage_types,
        days: arguments.days,
        seed: arguments.seed,
        deleted: arguments.deleted,
        late: arguments.late,
        empty: arguments.empty,
        today: None,
    });
    for account in &accounts {
        if let Some(first) = series.first() {
            account.account.enable_regions(first.regions());
        }
        for series in &series {
            account.account.synthetic_series(series);
        }
    }
    aws.keep_unknown_namespaces();
    print(&exports(&aws, &accounts));
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => Ok(pressed?),
        () = warn_of_unknown_namespaces(&aws) => Ok(()),
    }
}

/// The series that are asked for.
fn series(arguments: &Arguments) -> anyhow::Result<Vec<SyntheticSeries>> {
    let of_files = arguments.dataset.iter().map(|file| seed::of_file(file));
    let spelt = arguments.series.iter().map(|text| seed::of_spelling(text, arguments.period));
    let (resources, regions) = (arguments.resources, arguments.regions);
    let (days, seed) = (arguments.days, arguments.seed);
    let sized = |series: anyhow::Result<_>| Ok(SyntheticSeries { resources, regions, days, seed, ..series? });
    of_files.chain(spelt).map(sized).collect()
}

/// Says once of each namespace that `ListMetrics` is asked for in vain, until it is cancelled.
async fn warn_of_unknown_namespaces(aws: &LocalAws) {
    let mut told = BTreeSet::new();
    loop {
        tokio::time::sleep(GLANCE).await;
        for (account, namespace) in aws.unknown_namespaces() {
            let warning = format!(
                "local-aws: ListMetrics found nothing: account {account} has no series of {namespace} in any region; \
                 --dataset FILE or --series makes some"
            );
            if told.insert((account, namespace)) {
                warn(&warning);
            }
        }
    }
}

#[expect(clippy::print_stderr, reason = "what a person is to see of a program whose output a shell reads")]
fn warn(text: &str) {
    eprintln!("{text}");
}

#[expect(clippy::print_stdout, reason = "the exports are the program's data, for a shell to source")]
fn print(text: &str) {
    println!("{text}");
}

/// Makes the queue and the report bucket, and says in a shell's words where everything is.
fn exports(aws: &LocalAws, accounts: &[SyntheticAccount]) -> String {
    let home = &accounts[0].account;
    let redrive = Some((DEAD_LETTER_QUEUE.to_owned(), MAX_RECEIVES));
    let queue =
        home.queue(QUEUE, QueueOptions { region: REGION.to_owned(), redrive, ..QueueOptions::default() });
    let bucket = format!("fleet-reports-{}", home.id());
    let _ = home.bucket(&bucket, REGION);
    let mut text = format!(
        "export AWS_ENDPOINT_URL={}\nexport AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION}\nexport AWS_ACCESS_KEY_ID={}\n\
         export AWS_SECRET_ACCESS_KEY=any\nexport FLEET_QUEUE_URL={queue}\nexport FLEET_REPORT_BUCKET={bucket}\n",
        aws.endpoint(),
        home.id(),
    );
    let names: Vec<String> = (1..=accounts.len()).map(|number| format!("account{number}")).collect();
    let _ = writeln!(text, "export FLEET_DEFAULT_ACCOUNTS={}", names.join(","));
    for (name, account) in names.iter().zip(accounts) {
        let _ = writeln!(text, "export {name}_account_access_key={}", account.id());
        let _ = writeln!(text, "export {name}_secret_access_key=any");
    }
    text.pop();
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }
}
