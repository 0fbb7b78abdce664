//! One job, from its account to its report in the bucket. The [`Reporter`] looks at what exists, has the [`Collector`]
//! collect what is lacking, and stores the [`draft`] that comes of it, encoded as [`csv`]. [`store`] decides what a report
//! may replace; what an earlier try has left is its [`checkpoint`].

pub mod checkpoint;
mod collector;
pub mod csv;
pub mod draft;
mod reporter;
pub mod step;
pub mod store;

pub use collector::Collector;
pub use reporter::{Done, Reporter};
