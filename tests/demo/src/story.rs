//! The demo from its first line to its last.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use cli::destination::Destination;

use crate::{
    cast::{CAST, FORGOTTEN},
    cli::Cli,
    fetched,
    program::Shell,
    screen::{Screen, width},
    tables::{self, seconds},
    words,
    worker_log::Stored,
    workforce::{Crew, Stay, Work},
    world::{self, World},
};

/// Tells the whole story.
pub(crate) async fn tell(cli: &Cli) -> anyhow::Result<()> {
    let begun = Instant::now();
    let folder = &cli.output;
    fs::create_dir_all(folder).with_context(|| format!("could not make the folder {}", folder.display()))?;
    // All that is shown until then would be for nothing.
    drop(Destination::open(&folder.join("report.csv"))?);
    let mut screen = Screen::default();
    let world = World::start(cli.buckets).await?;
    let mut shell = Shell::new(world.environment().concat())?;

    screen.explain(words::PRODUCT)?;
    accounts(&mut screen, &world, cli.buckets)?;
    let run_id = request(&mut screen, &world, &shell).await?;
    screen.step("Workers")?;
    screen.explain(words::WORKER)?;
    screen.gap()?;
    let workers = cli.workers.into();
    let mut crew = Crew::start(&screen, &shell, 1..=workers, Stay::UntilEmpty)?;
    screen.gap()?;
    let Work { mut stored, mut took } = crew.work(&mut screen, CAST.len(), Some(FORGOTTEN)).await?;
    status(&mut screen, &shell).await?;
    let (late_crew, fixed) = fix(&mut screen, &mut shell, workers + 1, &run_id).await?;
    took += fixed.iter().map(|report| Duration::from_millis(report.milliseconds)).sum::<Duration>();
    stored.extend(fixed);
    reports(&mut screen, &world, folder, &stored, took)?;
    next(&mut screen)?;
    // By now the first workers have seen that nothing is left to do.
    crew.end(&screen).await?;
    late_crew.end(&screen).await?;
    screen.aside(&format!("Done in {} s.", seconds(begun.elapsed())))
}

fn accounts(screen: &mut Screen, world: &World, largest: u32) -> anyhow::Result<()> {
    screen.step("Accounts")?;
    screen.explain(words::ACCOUNT)?;
    screen.gap()?;
    screen.indented(&tables::accounts(width(), &CAST, largest))?;
    screen.gap()?;
    screen.explain(words::ENVIRONMENT)?;
    screen.gap()?;
    for line in world.environment() {
        export(screen, &line)?;
    }
    screen.gap()?;
    screen.explain(words::FORGOTTEN)
}

fn export(screen: &Screen, variables: &[(String, String)]) -> anyhow::Result<()> {
    let pairs: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    screen.command(&format!("export {}", pairs.join(" ")))
}

/// Sends the jobs, and gives the id of their run.
async fn request(screen: &mut Screen, world: &World, shell: &Shell) -> anyhow::Result<String> {
    screen.step("A request")?;
    screen.explain(words::REQUEST)?;
    screen.gap()?;
    let names = CAST.each_ref().map(|account| account.name).join(",");
    let date = world.date.to_string();
    let arguments = ["run", "--account-name", &names, "--date", &date, "--attribute", "ticket=OPS-7"];
    producer(screen, shell, &arguments, 0).await?;
    screen.gap()?;
    screen.explain(words::JOB)?;
    screen.gap()?;
    let job = world.first_job().context("the producer left no job on the queue")?;
    // As it is, but for line breaks.
    let job: serde_json::Value = serde_json::from_str(&job).context("the job is not JSON")?;
    screen.indented(&format!("{job:#}"))?;
    Ok(job["run_id"].as_str().context("the job is of no run")?.to_owned())
}

/// Runs the producer, and shows the command and what it printed.
async fn producer(screen: &Screen, shell: &Shell, arguments: &[&str], expected: i32) -> anyhow::Result<()> {
    screen.command(&format!("producer {}", arguments.join(" ")))?;
    screen.printed(&shell.producer(arguments, expected).await?)
}

async fn status(screen: &mut Screen, shell: &Shell) -> anyhow::Result<()> {
    screen.step("How the run stands")?;
    screen.explain(words::STATUS)?;
    screen.gap()?;
    // It sees at once that nothing more will happen. Without the flag, it would first make sure, by a
    // second reading of the queue, that no job is left.
    producer(screen, shell, &["status", "--watch"], 3).await?;
    screen.aside("(exit status 3: not every account is complete)")
}

/// Mends what failed: has the keys set, and its job done by a worker of this number.
async fn fix(
    screen: &mut Screen,
    shell: &mut Shell,
    number: usize,
    run_id: &str,
) -> anyhow::Result<(Crew, Vec<Stored>)> {
    screen.step("A failure, fixed")?;
    screen.explain(words::FAILED)?;
    screen.gap()?;
    producer(screen, shell, &["failed"], 0).await?;
    screen.gap()?;
    screen.explain(words::MEND)?;
    screen.gap()?;
    let keys = world::forgotten_keys();
    export(screen, &keys)?;
    shell.export(keys);
    let mut crew = Crew::start(screen, shell, number..=number, Stay::UntilStopped)?;
    producer(screen, shell, &["replay", "--run-id", run_id], 0).await?;
    screen.gap()?;
    let work = crew.work(screen, 1, None).await?;
    screen.gap()?;
    producer(screen, shell, &["status"], 0).await?;
    screen.aside("(exit status 0: every account is complete)")?;
    Ok((crew, work.stored))
}

fn reports(
    screen: &mut Screen,
    world: &World,
    folder: &Path,
    stored: &[Stored],
    took: Duration,
) -> anyhow::Result<()> {
    let fetched = fetched::fetch_all(world, folder, stored)?;
    screen.step("Reports")?;
    screen.explain(words::REPORT)?;
    screen.gap()?;
    let lines: Vec<_> = fetched.iter().map(|report| report.line.clone()).collect();
    screen.indented(&tables::results(width(), &lines, took))?;
    screen.gap()?;
    screen.explain(words::FIGURES)?;
    screen.gap()?;
    for report in &fetched {
        screen.indented(&report.path.display().to_string())?;
    }
    let first = fetched.first().context("cannot fail: there are accounts")?;
    screen.gap()?;
    let columns = first.columns;
    screen.explain(&format!("Five of the {columns} columns of the first file, and a row of each kind:"))?;
    screen.gap()?;
    screen.indented(&tables::peek(width(), &first.rows))
}

fn next(screen: &mut Screen) -> anyhow::Result<()> {
    screen.step("Next")?;
    screen.explain(words::NEXT)?;
    screen.gap()?;
    screen.indented(&tables::commands(width(), &words::COMMANDS))?;
    screen.gap()?;
    screen.explain(words::README)?;
    screen.gap()
}
