//! The workers: started, listened to, and seen off.

use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use fleet::output::count;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

use crate::{
    cast::CAST,
    program::{Running, Shell},
    screen::Screen,
    tables::seconds,
    worker_log::{self, Event, Stored},
};

/// How long the workers may take in all.
const PATIENCE: Duration = Duration::from_mins(5);

/// What each worker is told: one account at a time, so that all of them get something to do.
const ARGUMENTS: [&str; 4] = ["run", "--concurrency", "1", "--exit-when-empty"];

/// What the workers did.
pub(crate) struct Work {
    /// The reports that they stored.
    pub(crate) stored: Vec<Stored>,
    /// How long it took by the clock, their start included.
    pub(crate) took: Duration,
    /// The workers, which are about to find the queue empty.
    workers: Vec<Running>,
}

/// Lets so many workers do all jobs, and tells of each report.
pub(crate) async fn work(screen: &mut Screen, shell: &Shell, workers: usize) -> anyhow::Result<Work> {
    let begun = Instant::now();
    let (lines, mut heard) = unbounded_channel();
    let mut running = Vec::new();
    for number in 1..=workers {
        screen.command(&format!("worker {} &", ARGUMENTS.join(" ")))?;
        running.push(shell.worker(number, &ARGUMENTS, lines.clone())?);
    }
    // The workers hold the other ends: when all have left, nothing more is heard.
    drop(lines);
    screen.gap()?;
    screen.begin_bar("reports", CAST.len());
    let listened = timeout(PATIENCE, listen(screen, &mut heard)).await;
    screen.end_bar();
    match listened.unwrap_or_else(|_| Err(anyhow!("the workers take longer than {PATIENCE:?}"))) {
        Ok(stored) => Ok(Work { stored, took: begun.elapsed(), workers: running }),
        Err(error) => {
            let mut logs = String::new();
            for (number, worker) in (1..).zip(running) {
                logs.push_str(&log_of(number, &worker.kill().await));
            }
            Err(anyhow!("{error:#}{logs}"))
        }
    }
}

/// Hears of the report of each account, and tells of it.
async fn listen(
    screen: &Screen,
    heard: &mut UnboundedReceiver<(usize, String)>,
) -> anyhow::Result<Vec<Stored>> {
    let mut all = Vec::new();
    while all.len() < CAST.len() {
        let Some((number, line)) = heard.recv().await else {
            bail!("the workers left with {} stored", count(all.len(), "report"));
        };
        match worker_log::parse(&line) {
            Some(Event::Stored(stored)) => {
                screen.indented(&sentence(number, &stored))?;
                screen.advance_bar();
                all.push(stored);
            }
            Some(Event::Failed(why)) => bail!("worker {number}: {why}"),
            Some(Event::Leaves(_)) | None => {}
        }
    }
    Ok(all)
}

fn sentence(number: usize, stored: &Stored) -> String {
    format!(
        "worker {number}  {:<9}  {:>5} buckets  {:>6} metrics  {:>4} calls  {:>4} s  {}",
        stored.account,
        stored.rows,
        stored.metrics,
        stored.calls,
        seconds(Duration::from_millis(stored.milliseconds)),
        stored.status
    )
}

impl Work {
    /// Waits until all workers have left, and tells of each.
    pub(crate) async fn end(self, screen: &Screen) -> anyhow::Result<()> {
        for (number, worker) in (1..).zip(self.workers) {
            let (ended, log) = worker.end().await?;
            let farewell = log.iter().rev().find_map(|line| match worker_log::parse(line) {
                Some(Event::Leaves(done)) => Some(done),
                _ => None,
            });
            let Some(done) = farewell.filter(|_| ended.success()) else {
                bail!("worker {number} failed, {ended}{}", log_of(number, &log));
            };
            let jobs = count(usize::try_from(done)?, "job");
            screen.aside(&format!("worker {number} found the queue empty and left, with {jobs} done."))?;
        }
        Ok(())
    }
}

/// A worker's log, to stand after an error.
fn log_of(number: usize, log: &[String]) -> String {
    format!("\n-- the log of worker {number}\n{}", log.join("\n"))
}
