//! The producer of cloudwatch-fleet: turns a request into one job an account on the work queue,
//! and tells what became of each.
//!
//! A run, in the order of its steps:
//! `request` reads and checks what is asked for, `expand` makes the jobs and the keys of their
//! reports, `todo` leaves out what is complete already if that is wanted, `manifests` records them in S3, `publish`
//! sends them. From then on `reports`
//! looks at what the workers have written, `status` says what it means for the run, and
//! `follow` repeats that until all is decided. `dead_letters` looks at the jobs that were given up, and
//! `replay` sends them once more. `history` and `estimate` say what a run will cost before it is sent.
//!
//! `request`, `attributes`, `expand`, `todo`, `status` and `estimate` are plain functions over values; the
//! others call AWS and decide nothing.

// Nothing that comes from outside may end the program.
#![warn(clippy::indexing_slicing, clippy::string_slice)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice, reason = "a test may fail"))]

mod attributes;
mod cli;
mod commands;
mod dead_letters;
mod estimate;
mod expand;
mod follow;
mod history;
mod manifests;
mod progress;
mod publish;
mod replay;
mod reports;
mod request;
mod status;
mod todo;
mod wake;

use std::{ffi::OsString, process::ExitCode};

use anyhow::Context;
use fleet::{
    command_line, descriptors, environment,
    exit::{self, CommandError},
    telemetry::{LastWords, Speaker},
};
use tokio::runtime;

/// Runs the producer on a command line, the program's name first, and says how it ended: 0 done,
/// 1 failed, 2 wrong usage or configuration, 3 not every account is complete.
///
/// Starts logging and a runtime of its own, hence once in a process and outside of any other
/// runtime.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    if let Err(error) = environment::unset_empty() {
        return exit::status(Err(CommandError::Configuration(error)), LastWords::PLAIN);
    }
    let (cli, mut faults) = match command_line::parse::<cli::Cli>(args, cli::HINTS) {
        Ok(parsed) => parsed,
        Err(status) => return status,
    };
    let words = cli.logging.start(Speaker::OneShot);
    faults.take(environment::check().map_err(CommandError::Configuration));
    descriptors::raise_limit();
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match runtime.context("could not start the async runtime") {
        Ok(runtime) => runtime.block_on(cli.command.execute(faults)),
        Err(error) => Err(error.into()),
    };
    exit::status(ended, words)
}
