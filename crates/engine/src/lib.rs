// SPDX-License-Identifier: Apache-2.0
//! Processes SQS messages from receipt until they are settled, whatever their work is.
//!
//! [`consumer`] takes as many [messages](message) as there are free slots, `poll` receives them, and [`delivery`]
//! runs the work of each under its `lease`: one of the [kinds](kind) parses it into a piece of work, and each run of
//! the work is an [`attempt`]. [`retry`] decides what follows a failure: a later attempt, a [dead letter](dead_letter)
//! or, if the worker itself is misconfigured, the end of the worker. [`protection`] keeps ECS from stopping a busy
//! worker, and [`metrics`] records the outcome of each message.
//!
//! The engine knows [queues](queue) and nothing else of AWS. It depends on no other crate of this workspace.

// No input may cause a panic.
#![warn(clippy::indexing_slicing, clippy::string_slice)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice, reason = "a test may fail"))]

pub mod attempt;
pub mod attributes;
mod aws_error;
pub mod consumer;
pub mod dead_letter;
pub mod delivery;
pub mod kind;
mod lease;
pub mod message;
pub mod metrics;
mod poll;
pub mod protection;
pub mod queue;
mod redact;
pub mod retry;
#[cfg(test)]
mod testing;

pub use attempt::Attempt;
pub use aws_error::{AwsError, ErrorKind, NOT_FROM_AWS};
pub use kind::{BadMessage, Completed, Failed, Kind, Measure, Measures, Work};
pub use message::{Label, Message};
pub use queue::Queue;
pub use redact::redact;
pub use retry::Retry;

/// The version in manifests, the first line of a log, dead letters and worker metrics.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
