//! Kills workers at every step of a job, and shows that nothing is lost: the real producer and workers on an
//! AWS on 127.0.0.1 that fails in many ways.
//!
//! [`cast`] is the accounts, [`truth`] what is in their buckets and must be in their reports, [`world`] the AWS
//! that they lie in. [`steps`] deals out where workers die, [`trap`] catches one there by faults of that AWS,
//! [`workers`] hires and kills them, as processes of [`program`], and hears them by [`worker_log`]. [`rounds`] keeps
//! them in work, [`mix`] breaks other things meanwhile. [`findings`] looks at each account's end, with
//! the eyes of [`judge`]; [`history`] reads the log of all calls, [`payments`] what was paid for twice, and [`figures`] is
//! the outcome.
//!
//! `truth`, `steps`, `judge`, `history` and `payments` are plain functions over values.

mod cast;
mod cli;
mod figures;
mod findings;
mod history;
mod judge;
mod mix;
mod payments;
mod program;
mod progress;
mod rounds;
mod steps;
mod trap;
mod truth;
mod worker_log;
mod workers;
mod world;

use std::{
    collections::HashMap,
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Instant,
};

use anyhow::Context;
use clap::Parser;
use futures::future::try_join_all;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    cast::Cast,
    cli::Cli,
    figures::Figures,
    findings::Findings,
    history::History,
    mix::Mix,
    program::Shell,
    progress::{Progress, tell},
    rounds::Rounds,
    steps::Deck,
    workers::{Toll, Workforce, lock},
    world::World,
};

/// What a shell takes for the end of a program by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// How many problems are told one by one.
const TOLD: usize = 20;

fn main() -> ExitCode {
    // First of all: this very binary is also the producer and the workers that it starts.
    if let Some(ended) = program::play_part() {
        return ended;
    }
    let cli = Cli::parse();
    match run(&cli) {
        Ok(ended) => ended,
        Err(error) => {
            tell(&format!("chaos: {error:#}"));
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
        tell(&format!("the workers' logs, and what differs: {}", folder.keep().display()));
    }
    ended.map(|is_right| if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Does it all; says whether all was right.
async fn wreak(cli: &Cli, folder: &Path) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let world = Arc::new(World::start().await?);
    let cast = Arc::new(Cast::new(cli.accounts, cli.seed));
    cast.build(&world.aws);
    let shell = Arc::new(Shell::new(folder, world.environment())?);
    let (logs, differs) = (folder.join("logs"), folder.join("differs"));
    for path in [&logs, &differs] {
        std::fs::create_dir(path).with_context(|| format!("could not make the folder {}", path.display()))?;
    }
    std::fs::write(folder.join("accounts.toml"), cast.accounts_file())
        .context("could not write the accounts file")?;

    let workforce = Arc::new(Workforce {
        world: world.clone(),
        shell: shell.clone(),
        cast: cast.clone(),
        logs,
        deck: Mutex::new(Deck::shuffled(cli.kills, cli.seed)),
        toll: Mutex::new(Toll::default()),
        sayings: Arc::default(),
    });
    let workers = usize::from(cli.workers);
    let findings = Findings::into(differs);
    let rounds = Rounds::new(world.clone(), shell, workforce.clone(), findings, workers);
    let mix = Mix::begin(&world.aws, &cast.members[2].id, cli.seed, cli.plant);
    let progress = Progress::begin();
    let over = CancellationToken::new();
    let places = try_join_all((0..workers).map(|_| workforce.fill_place(&over)));
    let work = async {
        let ended = rounds.all(&mix, &progress).await;
        over.cancel();
        ended
    };
    tokio::try_join!(places, work)?;
    drop(progress);

    let sent = rounds.sent();
    let mut begun_at: HashMap<_, Vec<_>> = HashMap::new();
    for round in &sent {
        begun_at.entry(round.date.to_string()).or_default().push(round.begun);
    }
    let names = cast.members.iter().map(|member| (member.id.as_str(), member.name.as_str())).collect();
    let calls = world.aws.calls().records();
    let toll = lock(&workforce.toll);
    let findings = lock(&rounds.findings);
    let history = History::read(&calls, &toll.kills, &begun_at, &names);
    let ids: HashMap<_, _> =
        cast.members.iter().map(|member| (member.name.as_str(), member.id.as_str())).collect();
    let sayings = lock(&workforce.sayings);
    let days: HashMap<_, _> = sent.iter().map(|round| (round.run_id.as_str(), round.date)).collect();
    let jobs = sayings.jobs.iter().filter_map(|(message, (name, run_id))| {
        Some((message.as_str(), (*ids.get(name.as_str())?, *days.get(run_id.as_str())?)))
    });
    let paid_again = payments::paid_again(&world.aws.asked_series(), &calls, &jobs.collect(), &ids);
    let run = (cli.seed, sent.len(), begun.elapsed());
    let figures = Figures::of(run, &toll, &findings, &history, &paid_again, &mix, &sayings);
    figures.print(cli.format)?;
    for problem in findings.problems.iter().take(TOLD) {
        let (account, run_id, what) = (&problem.account, &problem.run_id, &problem.what);
        tell(&format!("{:?}: account {account:?} of run {run_id}: {what}", problem.ill));
    }
    if let Some(more) = findings.problems.len().checked_sub(TOLD).filter(|more| *more > 0) {
        tell(&format!("and {more} more"));
    }
    for row in paid_again.iter().take(TOLD) {
        tell(&format!("paid for again: {row}"));
    }
    Ok(figures.faults().is_empty())
}
