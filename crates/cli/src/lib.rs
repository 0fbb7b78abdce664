// SPDX-License-Identifier: Apache-2.0
//! What the command lines of the `producer` and the `worker` share: how arguments are read and faults gathered, what
//! goes to standard output and to standard error, what a signal does, and the exit status.
//!
//! A program is a [`Program`], and [`main_with`] runs it.

// Nothing that comes from outside may end the program.
#![warn(clippy::indexing_slicing, clippy::string_slice)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice, reason = "a test may fail"))]

pub mod deployment;
pub mod destination;
pub mod exit;
pub mod faults;
pub mod generate;
pub mod output;
mod parse;
mod program;
pub mod signals;
pub mod telemetry;
pub mod terminal;

pub use parse::{Hints, parse};
pub use program::{Program, main_with};

/// What `--version` prints after the program's name: the version, and the commit if it is known.
pub const VERSION: &str = env!("CLI_VERSION");
