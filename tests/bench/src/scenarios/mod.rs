// SPDX-License-Identifier: Apache-2.0
//! The scenarios, one file each.

mod account;
mod ceiling;
mod deliver;
mod exporters;
mod fleet;
mod mixed;
pub(crate) mod peers;
mod polling;
mod range;
mod series;
mod start;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::bail;
use kit::{Fleet, JOBS};
use tokio::{process::Child, time::sleep};

use ::cli::terminal::say;

use self::exporters::Exporters;
use crate::{
    cli::Command,
    outcome::{Bar, Case, Outcome},
    program::{Programs, tail},
};

/// How many accounts 8 workers have where all scenarios are run.
const ALL_ACCOUNTS: u16 = 3000;

/// The scenarios that a command asks for, in the order in which they are run: of all, the fleet is last,
/// since it is idle for most of an hour.
pub(crate) fn of(command: &Command) -> Vec<Command> {
    let Command::All { without_peers } = command else {
        return vec![command.clone()];
    };
    let mut all =
        vec![Command::Ceiling, Command::Start, Command::Account { only: String::new() }, Command::Mixed];
    all.push(Command::Series { only: String::new() });
    all.push(Command::Range);
    all.push(Command::Deliver { without_peer: *without_peers });
    if !without_peers {
        all.push(Command::Peers { only: String::new(), yace: None, telegraf: None });
    }
    all.push(Command::Fleet { accounts: ALL_ACCOUNTS });
    all
}

pub(crate) async fn measure(scenario: &Command, programs: &Programs, short: bool) -> anyhow::Result<Outcome> {
    match scenario {
        Command::Ceiling => ceiling::measure(short).await,
        Command::Account { only } => account::measure(programs, short, only).await,
        Command::Fleet { accounts } => fleet::measure(programs, short, *accounts).await,
        Command::Mixed => mixed::measure(programs, short).await,
        Command::Series { only } => series::measure(programs, short, only).await,
        Command::Range => range::measure(programs, short).await,
        Command::Deliver { without_peer } => deliver::measure(programs, short, *without_peer).await,
        Command::Peers { only, yace, telegraf } => {
            let exporters = Exporters { yace: yace.clone(), telegraf: telegraf.clone() };
            peers::measure(programs, &exporters, short, only).await
        }
        Command::Start => start::measure(programs, short).await,
        other => bail!("{} is no scenario", other.name()),
    }
}

/// Adds a case, or the bar of one that could not be measured: what the others gave is not lost with it.
fn add(outcome: &mut Outcome, name: &str, case: anyhow::Result<Case>) {
    match case {
        Ok(case) => outcome.cases.push(case),
        Err(error) => {
            say(&format!("{name}: {error:#}"));
            outcome.bars.push(Bar::not_done().of(name));
        }
    }
}

/// Workers on the queue of a fleet.
struct Crew<'a> {
    fleet: &'a Fleet,
    workers: Vec<(Child, PathBuf)>,
}

impl<'a> Crew<'a> {
    /// Starts so many workers, each with the arguments after `run`.
    fn start(
        programs: &Programs,
        fleet: &'a Fleet,
        count: usize,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let arguments = [&["run"], arguments].concat();
        let mut workers = Vec::new();
        for nth in 0..count {
            let log = fleet.folder.path().join(format!("worker-{nth}.log"));
            workers.push((programs.start_worker(fleet, &arguments, &log)?, log));
        }
        Ok(Self { fleet, workers })
    }

    /// Waits until no job is left, and ends the workers.
    async fn finish(mut self, patience: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.fleet.home.counts(JOBS).total() > 0 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_all_scenarios_the_longest_is_the_last() {
        let names =
            |without_peers| of(&Command::All { without_peers }).iter().map(Command::name).collect::<Vec<_>>();
        assert_eq!(
            names(false),
            ["ceiling", "start", "account", "mixed", "series", "range", "deliver", "peers", "fleet"]
        );
        assert_eq!(
            names(true),
            ["ceiling", "start", "account", "mixed", "series", "range", "deliver", "fleet"]
        );
        assert_eq!(of(&Command::Start).iter().map(Command::name).collect::<Vec<_>>(), ["start"]);
    }
}
