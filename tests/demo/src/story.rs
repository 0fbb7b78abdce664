//! The demo from its first line to its last.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;

use crate::{
    cast::CAST,
    cli::Cli,
    fetched,
    program::Shell,
    screen::Screen,
    tables::{self, seconds},
    words,
    worker_log::Stored,
    workforce,
    world::World,
};

/// Tells the whole story.
pub(crate) async fn tell(cli: &Cli) -> anyhow::Result<()> {
    let begun = Instant::now();
    let folder = &cli.output;
    fs::create_dir_all(folder).with_context(|| format!("could not make the folder {}", folder.display()))?;
    let mut screen = Screen::new();
    let world = World::start(cli.buckets).await?;
    let shell = Shell::new(world.environment().concat())?;

    screen.explain(words::PRODUCT)?;
    accounts(&mut screen, &world, cli.buckets)?;
    request(&mut screen, &world, &shell).await?;
    screen.step("Workers")?;
    screen.explain(words::WORKER)?;
    screen.gap()?;
    let work = workforce::work(&mut screen, &shell, cli.workers.into()).await?;
    status(&mut screen, &shell).await?;
    reports(&mut screen, &world, folder, &work.stored, work.took)?;
    next(&mut screen)?;
    // By now the workers have seen that nothing is left to do, or are about to.
    work.end(&screen).await?;
    screen.aside(&format!("Done in {} s.", seconds(begun.elapsed())))
}

fn accounts(screen: &mut Screen, world: &World, largest: u32) -> anyhow::Result<()> {
    screen.step("Accounts")?;
    screen.explain(words::ACCOUNT)?;
    screen.gap()?;
    screen.indented(&tables::accounts(&CAST, largest))?;
    screen.gap()?;
    screen.explain(words::ENVIRONMENT)?;
    screen.gap()?;
    for line in world.environment() {
        let pairs: Vec<String> = line.iter().map(|(name, value)| format!("{name}={value}")).collect();
        screen.command(&format!("export {}", pairs.join(" ")))?;
    }
    Ok(())
}

async fn request(screen: &mut Screen, world: &World, shell: &Shell) -> anyhow::Result<()> {
    screen.step("A request")?;
    screen.explain(words::REQUEST)?;
    screen.gap()?;
    let names = CAST.each_ref().map(|account| account.name).join(",");
    let date = world.date.to_string();
    let arguments = ["run", "--account-name", &names, "--date", &date, "--attribute", "ticket=OPS-7"];
    screen.command(&format!("producer {}", arguments.join(" ")))?;
    screen.indented(&shell.producer(&arguments).await?)?;
    screen.gap()?;
    screen.explain(words::JOB)?;
    screen.gap()?;
    let job = world.first_job().context("the producer left no job on the queue")?;
    // As it is, but for line breaks.
    let job: serde_json::Value = serde_json::from_str(&job).context("the job is not JSON")?;
    screen.indented(&format!("{job:#}"))
}

async fn status(screen: &mut Screen, shell: &Shell) -> anyhow::Result<()> {
    screen.step("How the run stands")?;
    screen.explain(words::STATUS)?;
    screen.gap()?;
    screen.command("producer status")?;
    screen.indented(&shell.producer(&["status"]).await?)
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
    screen.indented(&tables::results(&lines, took))?;
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
    screen.indented(&tables::peek(&first.rows))
}

fn next(screen: &mut Screen) -> anyhow::Result<()> {
    screen.step("Next")?;
    screen.explain(words::NEXT)?;
    screen.gap()?;
    screen.indented(&tables::commands(&words::COMMANDS))?;
    screen.gap()?;
    screen.explain(words::README)?;
    screen.gap()
}
