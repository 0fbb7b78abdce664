// SPDX-License-Identifier: Apache-2.0
//! The whole fleet on one machine, with no AWS account: the real producer and workers on an AWS on 127.0.0.1, as processes
//! of their own. It shows the commands that a person types, and what they print, within 80 columns.

mod services;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use chrono::NaiveDate;
use clap::Parser;
use cli::{
    destination::Destination,
    output,
    terminal::{self, STRONG, TYPED, paint},
};
use kit::{Ended, Fleet, HOME_REGION, Setup, days_ago, end, expected::cells, finish};
use local_aws::{Options, Synthetic};
use tokio::{
    process::Child,
    signal::unix::{SignalKind, signal},
};

/// How wide a line is at most.
const WIDTH: usize = 80;

/// How long every call takes, as over a network.
const LATENCY: Duration = Duration::from_millis(25);

/// The accounts; the workers get the keys of the last one only after its job has failed.
const ACCOUNTS: [&str; 3] = ["data", "web", "legacy"];

/// What a shell takes for the end of a program by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// The whole fleet on this machine, with no AWS account, in twenty seconds once it is built.
///
/// It starts an imitation of AWS on 127.0.0.1 with three accounts whose S3 buckets are in several regions, runs the real
/// producer and real workers on it as processes of their own, and shows each command as you would type it: for the storage
/// of a day, and for what ECS services did in the last hours. Nothing leaves
/// this machine, and none of your AWS settings is read.
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Cli {
    /// The folder for the reports; it is made if it does not exist.
    #[arg(long, value_name = "DIR", default_value = "demo-reports")]
    output: PathBuf,

    /// How many buckets each account has.
    #[arg(long, value_name = "N", default_value_t = 800, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    buckets: u32,

    /// How many workers share the queue.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=8))]
    workers: u8,
}

fn main() -> ExitCode {
    // First of all: this very binary is also the producer and the workers that it starts.
    let parts = kit::play_part(&[
        ("producer", &|| producer::main_with(env::args_os())),
        ("worker", &|| worker::main_with(env::args_os())),
    ]);
    if let Some(ended) = parts {
        return ended;
    }
    run(&Cli::parse()).unwrap_or_else(|error| {
        terminal::say(&format!("demo: {error:#}"));
        ExitCode::FAILURE
    })
}

#[tokio::main]
async fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt()).context("could not listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("could not listen for signals")?;
    // Dropping the demo kills its processes and stops its AWS.
    tokio::select! {
        shown = show(cli) => shown.map(|()| ExitCode::SUCCESS),
        _ = interrupt.recv() => Ok(ExitCode::from(INTERRUPTED)),
        _ = terminate.recv() => Ok(ExitCode::FAILURE),
    }
}

async fn show(cli: &Cli) -> anyhow::Result<()> {
    let begun = Instant::now();
    let folder = &cli.output;
    fs::create_dir_all(folder).with_context(|| format!("could not make the folder {}", folder.display()))?;
    let aws = Options { latency: LATENCY, quotas: true, ..Options::default() };
    let mut fleet = Fleet::new(Setup { aws, ..Setup::default() }).await?;
    // CloudWatch has published the day before yesterday for nearly every bucket.
    let date = days_ago(2);
    let ids = fill(&fleet, cli.buckets, date);

    explain(&format!(
        "*cloudwatch-fleet* reports what every S3 bucket of many AWS accounts holds, for any day. The programs below are the \
         real ones; the AWS is an imitation on 127.0.0.1, with a network's latency and CloudWatch's quotas. It has three \
         accounts of {} buckets: {}.",
        cli.buckets,
        ACCOUNTS.join(", ")
    ))?;
    explain(
        "The environment says where the *queue* and the *report bucket* are, and has the access keys of each account (on AWS, \
         better a role). The keys of legacy are forgotten.",
    )?;
    for (name, id) in ACCOUNTS.iter().zip(&ids).take(2) {
        let _ = fleet.account(name, id);
    }
    for (name, value) in fleet.variables() {
        command(&format!("export {name}={value}"))?;
    }

    explain(
        "The *producer* puts one *job* for each account on the queue. All jobs of a request are a *run*.",
    )?;
    let day = date.to_string();
    producer(&fleet, &["run", "--account-name", &ACCOUNTS.join(","), "--date", &day], 0).await?;

    explain(
        "A *worker* takes a job, signs in to its account, lists its buckets, asks CloudWatch and stores the *report*. Only then \
         does it delete the job: if a worker dies, another one does its job.",
    )?;
    let without_keys = start(&fleet, cli.workers)?;

    explain("Each account now has a report, or has failed with a reason:")?;
    producer(&fleet, &["status", "--watch"], 3).await?;
    explain("A job that can't be done waits in the dead-letter queue. A *dead letter* says why:")?;
    producer(&fleet, &["failed"], 0).await?;

    wait(without_keys).await?;
    explain("So start a worker that has the keys of legacy, and send its job again:")?;
    let _ = fleet.account(ACCOUNTS[2], &ids[2]);
    for (name, value) in kit::keys(ACCOUNTS[2], &ids[2]) {
        command(&format!("export {name}={value}"))?;
    }
    producer(&fleet, &["replay", "--all"], 0).await?;
    let with_keys = start(&fleet, 1)?;
    producer(&fleet, &["status", "--watch"], 0).await?;

    explain("A report is a CSV file in the report bucket, with a row for each bucket. Copied out of it:")?;
    reports(&fleet, folder, date)?;
    wait(with_keys).await?;
    services::show(&fleet, folder, &ids).await?;
    explain(
        "On AWS the commands are the same, without AWS_ENDPOINT_URL. Next: `worker check --account-name data` says what a worker \
         may do in an account, `producer run --dry-run ...` what a run would cost, README.md how to set the fleet up.",
    )?;
    output::print(&format!("\nDone in {:.1} s.", begun.elapsed().as_secs_f64()))
}

/// Makes the accounts and their buckets, and gives the accounts' ids. In each, the newest values of three buckets are a day
/// late, two buckets have none, and one more is deleted since.
fn fill(fleet: &Fleet, buckets: u32, date: NaiveDate) -> Vec<String> {
    let plan = Synthetic {
        accounts: ACCOUNTS.len(),
        buckets: buckets as usize,
        late: 3,
        empty: 2,
        today: date.succ_opt(),
        ..Synthetic::default()
    };
    let made = fleet.aws.synthetic(&plan);
    for account in &made {
        account.account.bucket("old-exports", HOME_REGION).size("StandardStorage", date, 4096.0).deleted();
    }
    made.iter().map(|account| account.id().to_owned()).collect()
}

/// Runs the producer, and shows the command and what it prints.
async fn producer(fleet: &Fleet, arguments: &[&str], status: i32) -> anyhow::Result<()> {
    command(&format!("producer {}", arguments.join(" ")))?;
    let ended = finish(fleet.producer(arguments)).await?;
    ensure!(ended.code == Some(status), "the producer ended with {:?}: {}", ended.code, ended.stderr);
    output::print(&wrapped(ended.stdout.trim_end(), "    "))?;
    if status != 0 {
        output::print(&format!("(exit status {status})"))?;
    }
    Ok(())
}

/// Starts workers that stay until the queue is empty, with one job at a time each, so that all of them get some.
fn start(fleet: &Fleet, count: u8) -> anyhow::Result<Vec<Child>> {
    let arguments = ["run", "--concurrency", "1", "--exit-when-empty"];
    let start = |_| {
        command(&format!("worker {} 2> worker.log &", arguments.join(" ")))?;
        fleet.worker(&arguments).stdout(Stdio::null()).spawn().context("could not start a worker")
    };
    (0..count).map(start).collect()
}

async fn wait(workers: Vec<Child>) -> anyhow::Result<()> {
    for worker in workers {
        let Ended { code, stderr, .. } = end(worker).await?;
        ensure!(code == Some(0), "a worker ended with {code:?}; its log:\n{stderr}");
    }
    Ok(())
}

/// Copies the reports out of the bucket, and shows some columns of the first: a row of each status.
fn reports(fleet: &Fleet, folder: &Path, date: NaiveDate) -> anyhow::Result<()> {
    let mut first = None;
    for account in ACCOUNTS {
        let (table, path) = (fleet.table(account, date)?, folder.join(format!("{account}.csv")));
        Destination::open(&path)?.write(table.as_bytes())?;
        output::print(&format!("{}: {} rows", path.display(), table.lines().count() - 1))?;
        first.get_or_insert(table);
    }
    let rows = cells(&first.unwrap_or_default());
    let columns = ["bucket_name", "total_objects", "size_total", "datapoint_date", "status"];
    let shown = ["ok", "late", "no_data", "deleted"].into_iter().filter_map(|status| {
        let row = rows.iter().find(|row| row["status"] == status)?;
        Some(columns.map(|column| row[column].clone()).to_vec())
    });
    explain("Five of the 38 columns of the first file. A value that is not known is empty, never 0:")?;
    output::print(&output::table(&columns, &[1, 2], shown))
}

/// Explains something. A word between asterisks is one to remember.
fn explain(text: &str) -> anyhow::Result<()> {
    let bold = |(nth, part): (usize, &str)| if nth % 2 == 1 { paint(STRONG, part) } else { part.to_owned() };
    let text: String = text.split('*').enumerate().map(bold).collect();
    output::print(&format!("\n{}", wrapped(&text, "")))
}

fn command(command: &str) -> anyhow::Result<()> {
    output::print(&paint(TYPED, &wrapped(&format!("$ {command}"), "    ").replace('\n', " \\\n")))
}

/// Breaks lines between words; a word that is longer than a line, such as a path, stays whole, to be copied.
fn wrapped(text: &str, indent: &str) -> String {
    // Room for the backslash of a command.
    let options = textwrap::Options::new(WIDTH - 2)
        .subsequent_indent(indent)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .word_separator(textwrap::WordSeparator::AsciiSpace);
    let lines = text.lines().flat_map(|line| textwrap::wrap(line, &options));
    lines.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
