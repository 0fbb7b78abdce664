//! The scenarios, one file each.

mod account;
mod ceiling;
mod fleet;
mod mixed;
mod peers;
mod start;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::bail;
use tokio::{process::Child, time::sleep};

use crate::{
    cli::Command,
    outcome::Outcome,
    program::{Shell, Variables, tail},
    world::World,
};

/// How many accounts 8 workers have where all scenarios are run.
const ALL_ACCOUNTS: u16 = 3000;

/// Measures a scenario, or all of them.
pub(crate) async fn run(command: &Command, shell: &Shell, short: bool) -> anyhow::Result<Vec<Outcome>> {
    Ok(match command {
        Command::Ceiling => vec![ceiling::measure(shell, short).await?],
        Command::Account { only } => vec![account::measure(shell, short, only).await?],
        Command::Fleet { accounts } => vec![fleet::measure(shell, short, *accounts).await?],
        Command::Mixed => vec![mixed::measure(shell, short).await?],
        Command::Peers => vec![peers::measure(shell, short).await?],
        Command::Start => vec![start::measure(shell, short).await?],
        Command::All { without_peers } => {
            let mut outcomes = vec![
                ceiling::measure(shell, short).await?,
                start::measure(shell, short).await?,
                account::measure(shell, short, "").await?,
                mixed::measure(shell, short).await?,
                fleet::measure(shell, short, ALL_ACCOUNTS).await?,
            ];
            if !without_peers {
                outcomes.push(peers::measure(shell, short).await?);
            }
            outcomes
        }
        Command::Plot { .. } => Vec::new(),
    })
}

/// Workers on the queue of a world.
struct Crew {
    workers: Vec<(Child, PathBuf)>,
}

impl Crew {
    /// Starts so many workers, each with the arguments after `run`.
    fn start(
        shell: &Shell,
        world: &World,
        count: usize,
        variables: &Variables,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let arguments = [&["run"], arguments].concat();
        let mut workers = Vec::new();
        for nth in 0..count {
            let log = world.folder.path().join(format!("worker-{nth}.log"));
            workers.push((shell.start_worker(variables, &arguments, &log)?, log));
        }
        Ok(Self { workers })
    }

    /// Waits until no job is left, and ends the workers.
    async fn finish(mut self, world: &World, patience: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !world.is_done() {
            for (worker, log) in &mut self.workers {
                if let Some(status) = worker.try_wait()? {
                    bail!("a worker left with {status}:\n{}", tail(&std::fs::read(log)?));
                }
            }
            if begun.elapsed() > patience {
                let log = std::fs::read(&self.workers[0].1)?;
                bail!("the workers do not end; the first one's log:\n{}", tail(&log));
            }
            sleep(Duration::from_millis(50)).await;
        }
        for (worker, _) in &mut self.workers {
            worker.kill().await?;
        }
        Ok(())
    }
}
