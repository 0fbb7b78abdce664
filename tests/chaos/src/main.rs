// SPDX-License-Identifier: Apache-2.0
//! Kills workers at every step of a job, and shows that nothing is lost: the real producer and workers on an
//! AWS on 127.0.0.1 that fails in many ways.
//!
//! [`accounts`] is the accounts, [`truth`] what is in their buckets and must be in their reports, [`services`] the same of
//! their services, and [`subject`] what a job is about. [`steps`] plans where
//! workers die, [`trap`] catches one there by faults of that AWS, [`workers`] starts and kills them, and [`worker_log`]
//! reads their logs. [`rounds`] keeps them in work, [`mix`] breaks other things meanwhile. [`findings`] looks at each
//! account's end and lets [`judge`] compare its report; [`deliveries`] holds the documents in an OpenSearch to the reports; [`history`] reads the log of all calls, [`payments`] what was paid
//! for twice, and [`figures`] is the outcome.
//!
//! `truth`, `services`, `subject`, `steps`, `judge`, `history` and `payments` are plain functions over values.

mod accounts;
mod cli;
mod deliveries;
mod figures;
mod findings;
mod history;
mod judge;
mod mix;
mod payments;
mod rounds;
mod services;
mod steps;
mod subject;
mod trap;
mod truth;
mod worker_log;
mod workers;

use std::{
    collections::HashMap,
    env,
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use ::cli::{
    output::{self, Format},
    terminal::say,
};
use anyhow::{Context, ensure};
use clap::Parser;
use futures::future::try_join_all;
use kit::{Fleet, Setup, finish};
use local_aws::{Fault, OpenSearch, Options};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    accounts::Accounts,
    cli::{Cli, Plant},
    deliveries::Deliveries,
    figures::Run,
    findings::Findings,
    history::History,
    mix::Mix,
    rounds::Rounds,
    steps::KillPlan,
    workers::{Toll, VISIBILITY, Workforce, lock},
};

/// What the key of every report begins with, by its dataset.
const REPORT_PREFIXES: [&str; 2] = ["s3_daily_storage/", "ecs_service/"];

/// After how many receives the queue gives a job up: SQS's maximum, and not the twelve of docs/setup-by-hand.md. Kills are
/// all that these jobs suffer from for long, and a few meet more than twelve: the queue would move those without a reason.
/// What is to be shown is that no number of kills costs a report.
const MAX_RECEIVES: u32 = 1000;

/// How long every call takes, so that a kill can come in between.
const LATENCY: Duration = Duration::from_millis(10);

/// More calls than any run makes; the figures are read off the log.
const LOG: usize = 20_000_000;

/// What a shell takes for the end of a program by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// How many problems are reported one by one.
const REPORTED: usize = 20;

fn main() -> ExitCode {
    // First of all: this very binary is also the producer and the workers that it starts.
    let parts = kit::play_part(&[
        ("producer", &|| producer::main_with(env::args_os())),
        ("worker", &|| worker::main_with(env::args_os())),
    ]);
    if let Some(ended) = parts {
        return ended;
    }
    let cli = Cli::parse();
    match run(&cli) {
        Ok(ended) => ended,
        Err(error) => {
            say(&format!("chaos: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let cannot_listen = "could not listen for signals";
    let mut interrupt = signal(SignalKind::interrupt()).context(cannot_listen)?;
    let mut terminate = signal(SignalKind::terminate()).context(cannot_listen)?;
    let folder = tempfile::Builder::new().prefix("chaos-").tempdir().context("could not make a folder")?;
    // Dropping the run kills its processes and stops its AWS.
    let ended = tokio::select! {
        ended = wreak(cli, folder.path()) => ended,
        _ = interrupt.recv() => return Ok(ExitCode::from(INTERRUPTED)),
        _ = terminate.recv() => return Ok(ExitCode::FAILURE),
    };
    let is_right = *ended.as_ref().unwrap_or(&false);
    if !is_right || cli.keep {
        say(&format!("the workers' logs, and what differs: {}", folder.keep().display()));
    }
    ended.map(|is_right| if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Does it all; says whether all was right.
async fn wreak(cli: &Cli, folder: &Path) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let aws = Options { latency: LATENCY, log_capacity: LOG, ..Options::default() };
    let mut fleet =
        Fleet::new(Setup { aws, visibility_timeout: VISIBILITY, max_receives: MAX_RECEIVES }).await?;
    fleet.aws.keep_asks();
    let accounts = Accounts::new(cli.accounts, cli.seed);
    accounts.build(&fleet.aws);
    // A panic must not go unnoticed.
    fleet.variable("RUST_BACKTRACE", "1");
    let (logs, differs) = (folder.join("logs"), folder.join("differs"));
    for path in [&logs, &differs] {
        std::fs::create_dir(path).with_context(|| format!("could not make the folder {}", path.display()))?;
    }
    std::fs::write(folder.join("accounts.toml"), accounts.file())
        .context("could not write the accounts file")?;
    let search = fleet.aws.opensearch()?;
    // Reports that can't be read can't be delivered.
    let delivers = cli.plant != Some(Plant::LostCheckpoint);
    if delivers {
        set_up_sink(&mut fleet, &search).await?;
    }
    let mix = Mix::begin(&fleet.aws, &accounts.members[2].id, cli.seed, cli.plant);
    let workforce = Workforce {
        fleet,
        accounts,
        logs,
        plan: Mutex::new(KillPlan::new(cli.kills, cli.seed)),
        toll: Mutex::new(Toll::default()),
        log: Arc::default(),
    };
    let workers = usize::from(cli.workers);
    let rounds = Rounds::new(&workforce, Findings::into(differs), workers);
    let over = CancellationToken::new();
    let places = try_join_all((0..workers).map(|_| workforce.fill_place(&over)));
    let work = async {
        let ended = rounds.all(&mix).await;
        over.cancel();
        ended
    };
    tokio::try_join!(places, work)?;

    let sent = rounds.sent();
    let mut begun_at: HashMap<_, Vec<_>> = HashMap::new();
    for (nth, round) in sent.iter().enumerate() {
        round.reports().for_each(|report| begun_at.entry(report).or_default().push((round.begun, nth)));
    }
    let members =
        || workforce.accounts.members.iter().map(|member| (member.id.as_str(), member.name.as_str()));
    let (names, ids) =
        (members().collect(), members().map(|(id, name)| (name, id)).collect::<HashMap<_, _>>());
    let calls = workforce.fleet.aws.calls().records();
    let (toll, findings, log) = (lock(&workforce.toll), lock(&rounds.findings), lock(&workforce.log));
    let history = History::read(&calls, &toll.kills, &begun_at, &names);
    let subjects: HashMap<_, _> = sent.iter().map(|round| (round.run_id.as_str(), round.subject)).collect();
    let jobs = log.jobs.iter().filter_map(|(message, (name, run_id))| {
        Some((message.as_str(), (*ids.get(name.as_str())?, *subjects.get(run_id.as_str())?)))
    });
    let asked = workforce.fleet.aws.asked_series();
    let paid_again = payments::paid_again(&asked, &calls, &jobs.collect(), &ids);
    let deliveries =
        if delivers { Deliveries::look(&workforce.fleet, &search)? } else { Deliveries::default() };
    let figures = Run {
        seed: cli.seed,
        rounds: sent.len(),
        took: begun.elapsed(),
        toll: &toll,
        findings: &findings,
        history: &history,
        paid_again: &paid_again,
        deliveries: &deliveries,
        mix: &mix,
        log: &log,
    }
    .figures();
    match cli.format {
        Format::Json => output::print_json(&figures)?,
        Format::Text => output::print(&figures::text(&figures))?,
    }
    for problem in findings.problems.iter().take(REPORTED) {
        let (account, run_id, what) = (&problem.account, &problem.run_id, &problem.what);
        say(&format!("{:?}: account {account:?} of run {run_id}: {what}", problem.ill));
    }
    if let Some(more) = findings.problems.len().checked_sub(REPORTED).filter(|more| *more > 0) {
        say(&format!("and {more} more"));
    }
    let Deliveries { lost, doubled, stale, .. } = &deliveries;
    for (what, rows) in [
        ("paid for again", &paid_again),
        ("without a document", lost),
        ("with two documents", doubled),
        ("of no report as it is now", stale),
    ] {
        for row in rows.iter().take(REPORTED) {
            say(&format!("{what}: {row}"));
        }
    }
    Ok(figures["faults"] == serde_json::json!([]))
}

/// Lets the workers deliver all reports to an OpenSearch.
async fn set_up_sink(fleet: &mut Fleet, search: &OpenSearch) -> anyhow::Result<()> {
    let (name, url) = ("search", search.url());
    let sink = format!(
        "[[sink]]\nname = '{name}'\ntype = 'opensearch'\ndatasets = ['s3_daily_storage', 'ecs_service']\nurl = '{url}'\n"
    );
    let path = fleet.file("fleet.toml", &sink)?;
    fleet.variable("FLEET_CONFIG", &path);
    let ended = finish(fleet.producer(&["setup", name])).await?;
    ensure!(ended.code == Some(0), "`producer setup` failed:\n{}{}", ended.stdout, ended.stderr);
    Ok(())
}

/// Narrows a fault to calls for reports.
fn of_reports(fault: Fault) -> Fault {
    REPORT_PREFIXES.into_iter().fold(fault, Fault::key_prefix)
}
