// SPDX-License-Identifier: Apache-2.0
//! How fast, how lean and how fair the fleet is: the real worker on an AWS on 127.0.0.1 that has the quotas
//! and the latency of the real one, each figure beside the least that AWS's rules allow.
//!
//! [`scenarios`] has a file for each scenario. [`world`] is the AWS and its accounts, [`truth`] what is in them, [`floor`]
//! the least calls and seconds. [`program`] starts the worker and the peers, which [`stopwatch`] times; [`queued`] is a job
//! from the queue, and [`load`] is the
//! client that finds local-aws' own ceiling. [`outcome`] is what came of it: cases, bars that are met or missed, and on what
//! it was [`made`]. [`table`] and [`plot`] show it, [`document`] puts both into the documents.

mod cli;
mod document;
mod floor;
mod load;
mod made;
mod outcome;
mod plot;
mod program;
mod python;
mod queued;
mod scenarios;
mod statistics;
mod stopwatch;
mod table;
mod truth;
mod world;

use std::{path::PathBuf, process::ExitCode};

use ::cli::output::{self, Format};
use clap::Parser;

use ::cli::terminal::say;

use crate::{
    cli::{Cli, Command},
    made::Made,
    outcome::{Bar, Outcome},
    program::Programs,
};

fn main() -> ExitCode {
    // First of all: this very binary is also the worker and the stopwatch that it starts.
    if let Some(ended) = program::play_part() {
        return ended;
    }
    match run(&Cli::parse()) {
        Ok(ended) => ended,
        Err(error) => {
            say(&format!("bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let bars = match &cli.command {
        Command::Table { files } => {
            output::print(table::markdown(&read(files)?).trim_end())?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Document => document::write()?,
        _ => measure(cli)?,
    };
    let missed: Vec<_> = bars.iter().filter(|bar| !bar.met).collect();
    for bar in &missed {
        say(&format!("missed: {bar}"));
    }
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(files: &[PathBuf]) -> anyhow::Result<Vec<Outcome>> {
    let outcomes = files.iter().map(|file| Outcome::read(file)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(outcomes.concat())
}

/// How often the short form of several scenarios measures one that misses a bar: whatever else a shared
/// machine has to do makes it miss one once, a change for the worse each time.
const SHORT_TRIES: usize = 3;

/// Measures, writes what comes of each scenario as soon as it is there, and gives the bars of all. Of
/// several, one that fails does not keep the others from being measured.
#[tokio::main]
async fn measure(cli: &Cli) -> anyhow::Result<Vec<Bar>> {
    let (scenarios, made) = (scenarios::of(&cli.command), Made::here());
    let programs = Programs::new(cli.worker.as_deref())?;
    let mut bars = Vec::new();
    for (nth, scenario) in scenarios.iter().enumerate() {
        let left: Vec<_> = scenarios[nth + 1..].iter().map(Command::name).collect();
        if scenarios.len() > 1 {
            let then = if left.is_empty() { String::new() } else { format!("; then {}", left.join(", ")) };
            say(&format!("{} of {}: {}{then}", nth + 1, scenarios.len(), scenario.name()));
        }
        let mut tries = if cli.short && scenarios.len() > 1 { SHORT_TRIES } else { 1 };
        let mut outcome = loop {
            let outcome = match scenarios::measure(scenario, &programs, cli.short).await {
                Err(error) if scenarios.len() > 1 => {
                    say(&format!("{}: {error:#}", scenario.name()));
                    Outcome::not_done(scenario.name(), cli.short)
                }
                other => other?,
            };
            tries -= 1;
            let Some(missed) = outcome.bars.iter().find(|bar| !bar.met && tries > 0) else { break outcome };
            say(&format!("{}: measured once more, since it missed: {missed}", scenario.name()));
        };
        outcome.made = Some(made.clone());
        let place = (scenarios.len() > 1).then_some((nth == 0, left.is_empty()));
        output::print(&written(&outcome, cli.format, place)?)?;
        bars.append(&mut outcome.bars);
    }
    Ok(bars)
}

/// How an outcome is written. Of several, which are a list in JSON, it says whether it is the first and
/// whether it is the last; of a run that is cut short, all is there but the list's end.
fn written(outcome: &Outcome, format: Format, place: Option<(bool, bool)>) -> anyhow::Result<String> {
    if format == Format::Text {
        return Ok(table::text(outcome));
    }
    let (before, after) = match place {
        None => ("", ""),
        Some((first, last)) => (if first { "[" } else { "," }, if last { "]" } else { "" }),
    };
    Ok(format!("{before}{:#}{after}", serde_json::to_value(outcome)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_outcomes_are_a_list_that_is_written_piece_by_piece() {
        let outcome = Outcome::not_done("start", false);
        let all = [(true, false), (false, false), (false, true)];
        let all = all.map(|place| written(&outcome, Format::Json, Some(place)).expect("JSON")).concat();
        assert_eq!(serde_json::from_str::<Vec<Outcome>>(&all).expect("a list"), vec![outcome.clone(); 3]);
        let one = written(&outcome, Format::Json, None).expect("JSON");
        assert_eq!(serde_json::from_str::<Outcome>(&one).expect("one"), outcome);
    }
}
