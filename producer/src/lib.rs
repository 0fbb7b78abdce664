// SPDX-License-Identifier: Apache-2.0
//! The producer of cloudwatch-fleet: turns a request into one job per account on the work queue, and
//! reports the outcome of each.
//!
//! The steps of a run, in order: `request` parses and checks what is asked for, `expand` makes the jobs
//! and their report keys, `todo` skips what is already complete if asked to, `manifests` records the
//! jobs in S3, and `publish` sends them. After that, `reports` looks up what the workers have written,
//! `status` derives the run's status from it, and `follow` repeats this until the run is decided.
//! `dead_letters` reads the jobs that failed, and `replay` sends them again. `history` and `estimate`
//! tell the cost of a run before it is sent.
//!
//! `request`, `attributes`, `expand`, `todo`, `status` and `estimate` are pure functions; the other
//! modules call AWS and make no decisions.

// No input may cause a panic.
#![warn(clippy::indexing_slicing, clippy::string_slice)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice, reason = "a test may fail"))]

mod attributes;
mod catalogue;
mod commands;
mod dead_letters;
mod estimate;
mod expand;
mod follow;
mod history;
mod manifests;
mod policy;
mod progress;
mod publish;
mod replay;
mod reports;
mod request;
mod status;
mod todo;
mod wake;
mod when;

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
