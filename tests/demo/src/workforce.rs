//! The workers: started, listened to, and seen off.

use std::{
    mem,
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use anyhow::{anyhow, bail};
use cli::output::count;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

use crate::{
    program::{Running, Shell},
    screen::Screen,
    tables::seconds,
    worker_log::{self, Event, GivenUp, Stored},
};

/// How long the workers may take in all.
const PATIENCE: Duration = Duration::from_mins(5);

/// What each worker is told: one account at a time, so that all of them get something to do.
const ARGUMENTS: [&str; 3] = ["run", "--concurrency", "1"];

/// Until when workers stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stay {
    /// Until the queue is empty.
    UntilEmpty,
    /// Until they are told to stop.
    UntilStopped,
}

/// Workers that were started.
#[derive(Debug)]
pub(crate) struct Crew {
    /// Each with its number.
    workers: Vec<(usize, Running)>,
    heard: UnboundedReceiver<(usize, String)>,
    stay: Stay,
    begun: Instant,
}

/// What the workers did.
#[derive(Debug)]
pub(crate) struct Work {
    /// The reports that they stored.
    pub(crate) stored: Vec<Stored>,
    /// How long it took by the clock, their start included.
    pub(crate) took: Duration,
}

impl Crew {
    /// Starts workers of these numbers.
    pub(crate) fn start(
        screen: &Screen,
        shell: &Shell,
        numbers: RangeInclusive<usize>,
        stay: Stay,
    ) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let mut arguments = ARGUMENTS.to_vec();
        if stay == Stay::UntilEmpty {
            arguments.push("--exit-when-empty");
        }
        // The workers hold the other ends: when all have left, nothing more is heard.
        let (lines, heard) = unbounded_channel();
        let mut workers = Vec::new();
        for number in numbers {
            screen.command(&format!("worker {} &", arguments.join(" ")))?;
            workers.push((number, shell.worker(number, &arguments, lines.clone())?));
        }
        Ok(Self { workers, heard, stay, begun })
    }

    /// Lets them do so many jobs, and tells of each. Only one of the account `to_fail` may fail.
    pub(crate) async fn work(
        &mut self,
        screen: &mut Screen,
        jobs: usize,
        to_fail: Option<&str>,
    ) -> anyhow::Result<Work> {
        screen.begin_bar("jobs", jobs);
        let listened = timeout(PATIENCE, self.listen(screen, jobs, to_fail)).await;
        screen.end_bar();
        match listened.unwrap_or_else(|_| Err(anyhow!("the workers take longer than {PATIENCE:?}"))) {
            Ok(stored) => Ok(Work { stored, took: self.begun.elapsed() }),
            Err(error) => {
                let mut logs = String::new();
                for (number, worker) in mem::take(&mut self.workers) {
                    logs.push_str(&log_of(number, &worker.kill().await));
                }
                Err(anyhow!("{error:#}{logs}"))
            }
        }
    }

    /// Hears what becomes of each job, and tells of it.
    async fn listen(
        &mut self,
        screen: &Screen,
        jobs: usize,
        to_fail: Option<&str>,
    ) -> anyhow::Result<Vec<Stored>> {
        let mut stored = Vec::new();
        let mut ended = 0;
        while ended < jobs {
            let Some((number, line)) = self.heard.recv().await else {
                bail!("the workers left with {} stored", count(stored.len(), "report"));
            };
            let sentence = match worker_log::parse(&line) {
                Some(Event::Stored(report)) => {
                    let sentence = of_report(&report);
                    stored.push(report);
                    sentence
                }
                Some(Event::GivenUp(job)) if to_fail == Some(&job.account) => of_dead_letter(&job),
                Some(Event::GivenUp(GivenUp { why, .. }) | Event::Failed(why)) => {
                    bail!("worker {number}: {why}")
                }
                Some(Event::Leaves(_)) | None => continue,
            };
            screen.indented(&format!("worker {number}  {sentence}"))?;
            screen.advance_bar();
            ended += 1;
        }
        Ok(stored)
    }

    /// Waits until all workers have left, which some must be told to, and tells of each.
    pub(crate) async fn end(self, screen: &Screen) -> anyhow::Result<()> {
        for (number, worker) in self.workers {
            let cause = match self.stay {
                Stay::UntilEmpty => "found the queue empty and left",
                Stay::UntilStopped => {
                    worker.stop().await?;
                    "was told to stop by SIGTERM and left"
                }
            };
            let (ended, log) = worker.end().await?;
            let farewell = log.iter().rev().find_map(|line| match worker_log::parse(line) {
                Some(Event::Leaves(done)) => Some(done),
                _ => None,
            });
            let Some(done) = farewell.filter(|_| ended.success()) else {
                bail!("worker {number} failed, {ended}{}", log_of(number, &log));
            };
            let jobs = count(usize::try_from(done)?, "job");
            screen.aside(&format!("worker {number} {cause}, with {jobs} done."))?;
        }
        Ok(())
    }
}

fn of_report(stored: &Stored) -> String {
    format!(
        "{:<9} {:>5} buckets {:>6} metrics {:>4} calls {:>4} s  {}",
        stored.account,
        stored.rows,
        stored.metrics,
        stored.calls,
        seconds(Duration::from_millis(stored.milliseconds)),
        stored.status
    )
}

fn of_dead_letter(job: &GivenUp) -> String {
    format!("{:<9}  can't be done, to the dead-letter queue: {}", job.account, job.reason)
}

/// A worker's log, to stand after an error.
fn log_of(number: usize, log: &[String]) -> String {
    format!("\n-- the log of worker {number}\n{}", log.join("\n"))
}
