// SPDX-License-Identifier: Apache-2.0
//! From a request to a run: what both the producer's command line and the worker's kind `request` do.
//!
//! The steps, in order: `plan` parses and checks what is asked for (`request`) and expands it into jobs and
//! their report keys (`expand`), `todo` skips what is already complete if asked to, `run` records the jobs in
//! S3 (`manifests`), and `publish` sends them. `history` and `estimate` tell the cost of a run before it is sent,
//! and `budget` refuses one that may not cost so much.
//!
//! `deliver` is the message that asks for reports that exist to be delivered to a sink, and `undelivered` finds those that
//! a sink lacks.
//!
//! `request`, `when`, `scheduled`, `attributes`, `expand`, `plan`, `todo`, `estimate` and `deliver` are pure functions;
//! the other modules call AWS and make no decisions.

// No input may cause a panic.
#![warn(clippy::indexing_slicing, clippy::string_slice)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice, reason = "a test may fail"))]

pub mod attributes;
pub mod budget;
pub mod deliver;
pub mod estimate;
pub mod expand;
pub mod history;
pub mod manifests;
pub mod plan;
pub mod publish;
pub mod reports;
pub mod request;
pub mod run;
pub mod scheduled;
#[cfg(any(test, feature = "testing"))]
#[allow(clippy::indexing_slicing, clippy::string_slice, reason = "a test may fail")]
pub mod testing;
pub mod todo;
pub mod undelivered;
pub mod when;
