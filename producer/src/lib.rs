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
mod catalogue;
mod command_line;
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

/// The command line, for what documents it.
#[must_use]
pub fn command() -> clap::Command {
    <command_line::CommandLine as clap::CommandFactory>::command()
}

/// Runs the producer on a command line, the program's name first, and gives its exit status ([`cli::main_with`]).
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    cli::main_with::<command_line::CommandLine>(args)
}
