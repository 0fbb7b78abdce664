//! The worker of cloudwatch-fleet: takes jobs off the work queue and turns each into a report.
//!
//! A job's way through the modules: `poll` receives it, [`consumer`] takes it, [`delivery`] has it done and settles
//! it while its [`lease`] keeps it, [`report`] does it: [`session`] becomes its account, [`entering`] makes sure of its
//! [`identity`], [`collector`] has [`collect`] find what there is and ask [`cloudwatch`] about it, counted by [`usage`],
//! and [`sinks`] encode and store the [`draft`] that comes of it; what an earlier try has left is its [`checkpoint`].
//! Each try is an [`attempt`]. [`failure`] names why a job is not done, and [`fate`] decides what becomes of it.
//!
//! The worker itself: [`own_role`] shows at the start that it may write reports, [`breaker`] keeps it
//! from blaming the accounts for its own fault, `connections` bounds what it opens at once, [`protection`] keeps it from being stopped while busy, and
//! [`own_metrics`] writes what it did as metrics of its own.
//!
//! Planning calls, assembling rows, encoding CSV and deciding what a write may replace and what
//! becomes of a failed job are plain functions over values.

// Nothing that comes from outside may end the program.
#![warn(clippy::indexing_slicing, clippy::string_slice)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice, reason = "a test may fail"))]

pub mod attempt;
pub mod breaker;
pub mod checkpoint;
pub mod cloudwatch;
pub mod collect;
pub mod collector;
mod connections;
pub mod consumer;
pub mod delivery;
pub mod draft;
pub mod entering;
pub mod failure;
pub mod fate;
pub mod identity;
pub mod lease;
pub mod own_metrics;
pub mod own_role;
mod poll;
pub mod protection;
pub mod report;
pub mod session;
pub mod sinks;
pub mod usage;

mod cli;
mod commands;

use std::{ffi::OsString, process::ExitCode};

use anyhow::Context;
use fleet::{
    command_line, descriptors, environment,
    exit::{self, CommandError},
    telemetry::LastWords,
};
use tokio::runtime;

/// Runs the worker on a command line, the program's name first, and says how it ended: 0 done,
/// 1 failed, 2 wrong usage or configuration.
///
/// Starts logging and a runtime of its own, hence once in a process and outside of any other
/// runtime.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    if let Err(error) = environment::unset_empty() {
        return exit::status(Err(CommandError::Configuration(error)), LastWords::PLAIN);
    }
    let (cli, mut faults) = match command_line::parse::<cli::Cli>(args, &[]) {
        Ok(parsed) => parsed,
        Err(status) => return status,
    };
    let words = cli.logging.start(cli.command.speaker());
    faults.take(environment::check().map_err(CommandError::Configuration));
    descriptors::raise_limit();
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match runtime.context("could not start the async runtime") {
        Ok(runtime) => {
            let ended = runtime.block_on(cli.command.execute(faults));
            // What was interrupted may still wait for a name server, which can't be stopped.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(error.into()),
    };
    exit::status(ended, words)
}
