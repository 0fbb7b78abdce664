// SPDX-License-Identifier: Apache-2.0
//! The worker of cloudwatch-fleet: takes messages from the work queue and does their work.
//!
//! The crate [`engine`] receives a message and settles it; [`kinds`] lists what a message may ask for. A job of the kind
//! `collect` becomes a [`report`]: [`account`] assumes the role of its account, and [`collect`] finds what is there and asks
//! [`cloudwatch`] about it, counted by [`usage`]. Once it is stored, it is delivered to its [`sinks`]. [`failure`]
//! names why a job is not done, and whether a retry may help.
//!
//! The worker itself: [`preflight`] checks at the start that it may write reports, and `connections` limits what it opens at
//! once.
//!
//! Planning calls, assembling rows, encoding CSV and deciding what a write may replace are pure functions.

// No input may cause a panic.
#![warn(clippy::indexing_slicing, clippy::string_slice)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice, reason = "a test may fail"))]

pub mod account;
pub mod cloudwatch;
pub mod collect;
mod connections;
pub mod failure;
pub mod kinds;
pub mod preflight;
pub mod report;
pub mod table;
pub mod usage;

mod commands;

use std::{ffi::OsString, process::ExitCode};

/// The command line, to generate documentation from.
#[must_use]
pub fn command() -> clap::Command {
    cli::command::<commands::Command>()
}

/// Runs the worker with a command line, the program's name first, and returns its exit status
/// ([`cli::main_with`]).
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    cli::main_with::<commands::Command>(args)
}
