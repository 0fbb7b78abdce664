//! The demo from its first line to its last.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use fleet::{output::count, report::ReportMetadata};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

use crate::{
    cli::Cli,
    csv_report::{self, Row},
    program::{Running, Shell},
    screen::Screen,
    tables::{self, seconds},
    worker_log::{self, Event, Stored},
    world::{LATENCY, World},
};

/// How long the workers may take in all.
const PATIENCE: Duration = Duration::from_mins(5);

/// What each worker is told: one account at a time, so that all of them get something to do.
const WORKER: [&str; 4] = ["run", "--concurrency", "1", "--exit-when-empty"];

/// A report that was fetched.
struct Fetched {
    path: PathBuf,
    columns: usize,
    rows: Vec<Row>,
    result: tables::Result,
}

/// Tells the whole story.
pub(crate) async fn tell(cli: &Cli) -> anyhow::Result<()> {
    let begun = Instant::now();
    let output = &cli.output;
    fs::create_dir_all(output).with_context(|| format!("could not make the folder {}", output.display()))?;
    let mut screen = Screen::new();
    let world = World::start(cli.buckets).await?;
    let shell = Shell::new(world.environment().concat())?;

    introduce(&mut screen, &world)?;
    request(&mut screen, &world, &shell).await?;
    let (stored, workers, took) = work(&mut screen, &world, &shell, cli.workers.into()).await?;
    status(&mut screen, &shell).await?;
    reports(&mut screen, &world, output, &stored, took)?;
    close(&mut screen, workers, begun).await
}

fn introduce(screen: &mut Screen, world: &World) -> anyhow::Result<()> {
    screen.explain("*cloudwatch-fleet*: what every S3 bucket of many AWS accounts holds, for any day.")?;
    screen.explain("The producer and the workers below are the real programs. The AWS is make-believe:")?;
    screen.explain(&format!(
        "it runs on 127.0.0.1, takes {} ms for each call, and throttles CloudWatch as AWS does.",
        LATENCY.as_millis()
    ))?;

    screen.step("Accounts")?;
    screen.explain("An *account* is an AWS account under a name of yours. Here are four:")?;
    screen.gap()?;
    screen.indented(&tables::accounts(&world.accounts))?;
    screen.gap()?;
    screen
        .explain("The programs learn from their environment which AWS they use, where the *queue* and the")?;
    screen.explain(
        "*report bucket* are, and with which keys to become each account (on AWS, better a role):",
    )?;
    screen.gap()?;
    for line in world.environment() {
        let pairs: Vec<String> = line.iter().map(|(name, value)| format!("{name}={value}")).collect();
        screen.command(&format!("export {}", pairs.join(" ")))?;
    }
    Ok(())
}

async fn request(screen: &mut Screen, world: &World, shell: &Shell) -> anyhow::Result<()> {
    screen.step("A request")?;
    screen
        .explain("A *request* names a day, some accounts, and whatever else is to travel with them. The")?;
    screen.explain("*producer* makes a *job* of each account. All the jobs of a request are a *run*.")?;
    screen.gap()?;
    let (names, date) = (world.account_names(), world.date.to_string());
    let arguments = ["run", "--account-name", &names, "--date", &date, "--attribute", "ticket=OPS-7"];
    screen.command(&format!("producer {}", arguments.join(" ")))?;
    screen.indented(&shell.producer(&arguments).await?)?;
    screen.gap()?;
    screen.explain("A job is a message on the queue. The first of them:")?;
    screen.gap()?;
    let job = world.first_job().context("the producer left no job on the queue")?;
    screen.indented(&job)
}

/// Lets the workers do all jobs; gives what they stored, the workers, which are about to leave, and
/// how long it took.
async fn work(
    screen: &mut Screen,
    world: &World,
    shell: &Shell,
    workers: usize,
) -> anyhow::Result<(Vec<Stored>, Vec<Running>, Duration)> {
    screen.step("Workers")?;
    screen.explain(
        "A *worker* takes a job, becomes its account, finds the buckets, asks CloudWatch within the",
    )?;
    screen.explain(
        "account's quotas and stores the *report*. Then it deletes the job, and not before: what a",
    )?;
    screen.explain(
        "worker leaves undone comes back. A job that keeps failing goes to the *dead-letter queue*.",
    )?;
    screen.gap()?;
    let begun = Instant::now();
    let (lines, mut heard) = unbounded_channel();
    let mut running = Vec::new();
    for number in 1..=workers {
        screen.command(&format!("worker {} &", WORKER.join(" ")))?;
        running.push(shell.worker(number, &WORKER, lines.clone())?);
    }
    // The workers hold the other ends: when all have left, nothing more is heard.
    drop(lines);
    screen.gap()?;
    screen.begin_bar("reports", world.accounts.len());
    let listened = timeout(PATIENCE, listen(screen, &mut heard, world.accounts.len())).await;
    screen.end_bar();
    match listened.unwrap_or_else(|_| Err(anyhow!("the workers take longer than {PATIENCE:?}"))) {
        Ok(stored) => Ok((stored, running, begun.elapsed())),
        Err(error) => {
            let mut logs = String::new();
            for (at, worker) in running.into_iter().enumerate() {
                logs.push_str(&log_of(at + 1, &worker.kill().await));
            }
            Err(anyhow!("{error:#}{logs}"))
        }
    }
}

/// Hears of so many reports, and tells of each.
async fn listen(
    screen: &Screen,
    heard: &mut UnboundedReceiver<(usize, String)>,
    accounts: usize,
) -> anyhow::Result<Vec<Stored>> {
    let mut all = Vec::new();
    while all.len() < accounts {
        let Some((number, line)) = heard.recv().await else {
            bail!("the workers left with {} stored", count(all.len(), "report"));
        };
        match worker_log::parse(&line) {
            Some(Event::Stored(stored)) => {
                screen.indented(&format!(
                    "worker {number}  {:<9}  {:>5} buckets  {:>6} metrics  {:>4} calls  {:>4} s  {}",
                    stored.account,
                    stored.rows,
                    stored.metrics,
                    stored.calls,
                    seconds(Duration::from_millis(stored.milliseconds)),
                    stored.status
                ))?;
                screen.advance_bar();
                all.push(stored);
            }
            Some(Event::Failed(why)) => bail!("worker {number}: {why}"),
            Some(Event::Leaves(_)) | None => {}
        }
    }
    Ok(all)
}

async fn status(screen: &mut Screen, shell: &Shell) -> anyhow::Result<()> {
    screen.step("How the run stands")?;
    screen.explain(
        "Each account ends in a complete report, a partial one that says what is missing, or a dead",
    )?;
    screen.explain("letter that says why. *status* exits with 0 only where all are complete.")?;
    screen.gap()?;
    screen.command("producer status")?;
    screen.indented(&shell.producer(&["status"]).await?)
}

fn reports(
    screen: &mut Screen,
    world: &World,
    output: &Path,
    stored: &[Stored],
    took: Duration,
) -> anyhow::Result<()> {
    let mut fetched = Vec::new();
    for account in &world.accounts {
        let stored = stored.iter().find(|stored| stored.account == account.name);
        let stored = stored.with_context(|| format!("no report of {}", account.name))?;
        fetched.push(fetch(world, output, stored)?);
    }
    screen.step("Reports")?;
    screen
        .explain("A report is a CSV file with a row for each bucket. Its object in S3 says what it took.")?;
    screen.gap()?;
    let results: Vec<_> = fetched.iter().map(|report| report.result.clone()).collect();
    screen.indented(&tables::results(&results, took))?;
    screen.gap()?;
    screen.explain(
        "Dollars are what CloudWatch would charge. The seconds of all are by the clock, since the",
    )?;
    screen.explain("workers run beside each other. The files are here, under their keys in the bucket:")?;
    screen.gap()?;
    for report in &fetched {
        screen.indented(&report.path.display().to_string())?;
    }
    let first = fetched.first().context("cannot fail: there are accounts")?;
    screen.gap()?;
    screen.explain(&format!(
        "Some of the {} columns of the first file, and a row of each kind:",
        first.columns
    ))?;
    screen.gap()?;
    screen.indented(&tables::peek(&first.rows))
}

/// Takes a report out of the bucket into the folder, and reads it there.
fn fetch(world: &World, output: &Path, stored: &Stored) -> anyhow::Result<Fetched> {
    let key = &stored.key;
    let object = world.object(key).with_context(|| format!("no object {key}"))?;
    let path = output.join(key);
    let write = || {
        fs::create_dir_all(path.parent().unwrap_or(output))?;
        fs::write(&path, &object.body)
    };
    write().with_context(|| format!("could not write {}", path.display()))?;
    let rows = csv_report::rows(&object.body).with_context(|| format!("{key} is not a table"))?;
    let headers: HashMap<String, String> = object.metadata.into_iter().collect();
    let metadata = ReportMetadata::from_headers(&headers)
        .with_context(|| format!("{key} does not say what it is: {headers:?}"))?;
    Ok(Fetched {
        path,
        columns: csv_report::columns(&object.body)?,
        result: tables::Result {
            account: stored.account.clone(),
            sums: csv_report::sums(&rows),
            api_calls: metadata.api_calls,
            dollars: metadata.estimated_cost_usd,
            took: Duration::from_millis(stored.milliseconds),
        },
        rows,
    })
}

async fn close(screen: &mut Screen, workers: Vec<Running>, begun: Instant) -> anyhow::Result<()> {
    screen.step("Next")?;
    screen.explain("On AWS the commands are the same, without AWS_ENDPOINT_URL:")?;
    screen.gap()?;
    screen.indented(
        "worker check --account-name NAME           who the worker becomes there, and what it may do",
    )?;
    screen.indented(
        "worker collect --account-name NAME         one account now, to the screen, with no queue",
    )?;
    screen
        .indented("producer run --account-name NAME --dry-run  what a run would cost, before it is sent")?;
    screen.gap()?;
    screen.explain(
        "README.md tells how to put the fleet into an account of yours, and what to do day by day.",
    )?;
    screen.gap()?;
    for (at, worker) in workers.into_iter().enumerate() {
        let (ended, log) = worker.end().await?;
        if !ended.success() {
            bail!("worker {} failed, {ended}{}", at + 1, log_of(at + 1, &log));
        }
        let done = log.iter().rev().find_map(|line| match worker_log::parse(line) {
            Some(Event::Leaves(done)) => Some(done),
            _ => None,
        });
        let jobs = count(usize::try_from(done.unwrap_or_default())?, "job");
        screen.aside(&format!("worker {} found the queue empty and left, with {jobs} done.", at + 1))?;
    }
    screen.aside(&format!("Done in {} s.", seconds(begun.elapsed())))
}

/// A worker's log, to stand after an error.
fn log_of(number: usize, log: &[String]) -> String {
    format!("\n-- the log of worker {number}\n{}", log.join("\n"))
}
