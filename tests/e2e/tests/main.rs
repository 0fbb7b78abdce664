// SPDX-License-Identifier: Apache-2.0
//! The end-to-end tests, in one binary: most of them wait, and so they wait together.

mod catalogue;
mod check;
mod configuration;
mod configured;
mod credentials;
mod datasets;
mod days;
mod dead_letters;
mod derived;
mod described;
mod functions;
mod long;
mod metrics;
mod reliability;
mod reports;
mod runs;
mod series;
mod sinks;
mod sinks_cloudwatch;
mod structure;
mod tags;
mod terminal;
mod terraform_and_code;
mod windows;
