// SPDX-License-Identifier: Apache-2.0
//! One job, from its account to its report in the bucket. The [`Reporter`] checks for an existing report, the
//! [`Collector`] collects what is missing into a [`draft`], and [`store`] decides what the report may replace.

mod claims;
mod collector;
pub mod draft;
mod range;
mod reporter;
pub mod step;
pub mod store;

pub use collector::Collector;
pub use reporter::{Done, Reporter};
