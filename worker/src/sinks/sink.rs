// SPDX-License-Identifier: Apache-2.0
//! What a sink is to a delivery.

use std::fmt;

use fleet::Dataset;
use futures::future::BoxFuture;

use crate::table::stored::StoredReport;

/// A further destination of reports.
pub trait Sink: Send + Sync + fmt::Debug {
    /// Checks, before the first job, that reports can be delivered.
    fn check(&self) -> BoxFuture<'_, anyhow::Result<()>>;

    /// Delivers a report, whose rows are read as they are needed. It may have been delivered before, or a part of it: a
    /// repetition must change nothing. An error says what went wrong, and is tried again.
    fn deliver<'a>(&'a self, report: &'a mut StoredReport) -> BoxFuture<'a, anyhow::Result<()>>;
}

/// A sink of a configuration file.
#[derive(Debug)]
pub struct Configured {
    pub name: String,
    pub datasets: Vec<&'static Dataset>,
    pub sink: Box<dyn Sink>,
}

impl Configured {
    /// Whether the reports of a dataset are for it.
    #[must_use]
    pub fn takes(&self, dataset: &Dataset) -> bool {
        self.datasets.iter().any(|known| known.name == dataset.name)
    }
}
