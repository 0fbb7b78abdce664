//! The worker of cloudwatch-fleet: takes jobs off the work queue and turns each into a report.
//!
//! A job's way through the modules: [`consumer`] receives it, [`lease`] keeps it,
//! [`session`] becomes its account, [`collect`] finds what there is and asks [`cloudwatch`] about
//! it, counted by [`usage`], [`report`] makes the report of it and [`sinks`] encode and store it. [`failure`] names why
//! one is not done.
//!
//! Planning calls, assembling rows, encoding CSV and deciding what a write may replace are plain
//! functions over values.

pub mod cloudwatch;
pub mod collect;
pub mod consumer;
pub mod failure;
pub mod lease;
pub mod report;
pub mod session;
pub mod sinks;
pub mod usage;

mod cli;
mod commands;

use std::{ffi::OsString, process::ExitCode};

use anyhow::Context;
use clap::Parser;
use fleet::exit;
use tokio::runtime;

/// Runs the worker on a command line, the program's name first, and says how it ended: 0 done,
/// 1 failed, 2 wrong usage or configuration.
///
/// Starts logging and a runtime of its own, hence once in a process and outside of any other
/// runtime.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match cli::Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return exit::of_clap(&error),
    };
    fleet::telemetry::init(cli.log_format);
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match runtime.context("could not start the async runtime") {
        Ok(runtime) => runtime.block_on(cli.command.execute()),
        Err(error) => Err(error.into()),
    };
    exit::status(ended)
}
