//! How fast, how lean and how fair the fleet is: the real worker on an AWS on 127.0.0.1 that has the quotas and the
//! latency of the real one, each figure beside the least that AWS's rules allow.
//!
//! [`scenarios`] has a file for each scenario. [`world`] is the AWS and its accounts, [`truth`] what is in them,
//! [`floor`] the least calls and seconds. [`program`] starts the worker and the peers as processes of their own,
//! which [`stopwatch`] times; [`load`] is the client that finds local-aws' own ceiling. [`outcome`] is what came of it:
//! cases, and bars that are met or missed. [`plot`] draws it.
//!
//! `floor`, `statistics`, `outcome` and `plot` are plain functions over values.

mod cli;
mod floor;
mod load;
mod outcome;
mod plot;
mod program;
mod python;
mod scenarios;
mod statistics;
mod stopwatch;
mod truth;
mod world;

use std::process::ExitCode;

use clap::Parser;
use fleet::output::{self, Format};

use crate::{
    cli::{Cli, Command},
    outcome::Outcome,
    program::Shell,
};

fn main() -> ExitCode {
    // First of all: this very binary is also the worker and the stopwatch that it starts.
    if let Some(ended) = program::play_part() {
        return ended;
    }
    match run(&Cli::parse()) {
        Ok(ended) => ended,
        Err(error) => {
            tell(&format!("bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    if let Command::Plot { files } = &cli.command {
        let outcomes = files.iter().map(|file| Outcome::read(file)).collect::<anyhow::Result<Vec<_>>>()?;
        output::print(&plot::svg(&outcomes.concat()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let outcomes = measure(cli)?;
    match cli.format {
        Format::Text => {
            for outcome in &outcomes {
                output::print(&outcome.text())?;
            }
        }
        Format::Json if outcomes.len() == 1 => output::print_json(&serde_json::to_value(&outcomes[0])?)?,
        Format::Json => output::print_json(&serde_json::to_value(&outcomes)?)?,
    }
    let missed: Vec<_> = outcomes.iter().flat_map(Outcome::missed).collect();
    for bar in &missed {
        tell(&format!("missed: {bar}"));
    }
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[tokio::main]
async fn measure(cli: &Cli) -> anyhow::Result<Vec<Outcome>> {
    let shell = Shell::new(cli.worker.as_deref())?;
    scenarios::run(&cli.command, &shell, cli.short).await
}

/// Writes a line to standard error.
#[expect(clippy::print_stderr, reason = "what is no figure goes to standard error")]
fn tell(text: &str) {
    eprintln!("{text}");
}
