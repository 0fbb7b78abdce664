// SPDX-License-Identifier: Apache-2.0
//! What the command lines of the `producer` and the `worker` share: parsing arguments and collecting faults, standard
//! output and standard error, signals, and the exit status.
//!
//! The commands of a program implement [`Program`], and [`main_with`] runs them.

// No input may cause a panic.
#![warn(clippy::indexing_slicing, clippy::string_slice)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice, reason = "a test may fail"))]

pub mod config_file;
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

pub use parse::Hints;
pub use program::{Program, check_command_line, command, main_with};

/// What `--version` prints after the program's name: the version, and the commit if it is known.
pub const VERSION: &str = env!("CLI_VERSION");
