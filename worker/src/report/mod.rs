// SPDX-License-Identifier: Apache-2.0
//! One job, from its account to its report in the bucket. The [`Reporter`] looks at what exists, has the [`Collector`]
//! collect what is lacking, and stores the [`draft`] that comes of it. [`store`] decides what a report may replace.

mod collector;
pub mod draft;
mod reporter;
pub mod step;
pub mod store;

pub use collector::Collector;
pub use reporter::{Done, Reporter};
