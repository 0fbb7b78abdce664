// SPDX-License-Identifier: Apache-2.0
//! The producer of cloudwatch-fleet: turns a request into one job per account on the work queue, and
//! reports the outcome of each.
//!
//! How a request becomes jobs is in the crate `requests`, which the worker uses too. Here, `status` derives
//! a run's status from what the workers have written, and `follow` repeats this until the run is decided.
//! `dead_letters` reads the jobs that failed, and `replay` sends them again.
//!
//! `status` is pure functions; the other modules call AWS and make no decisions.

// No input may cause a panic.
#![warn(clippy::indexing_slicing, clippy::string_slice)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice, reason = "a test may fail"))]

mod athena;
mod catalogue;
mod commands;
mod dead_letters;
mod follow;
mod policy;
mod progress;
mod replay;
mod status;
mod wake;

use std::{ffi::OsString, process::ExitCode};

/// The command line, to generate documentation from.
#[must_use]
pub fn command() -> clap::Command {
    cli::command::<commands::Command>()
}

/// Runs the producer with a command line, the program's name first, and returns its exit status
/// ([`cli::main_with`]).
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    cli::main_with::<commands::Command>(args)
}
