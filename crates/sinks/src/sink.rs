// SPDX-License-Identifier: Apache-2.0
//! What a sink is to a delivery.

use std::fmt;

use fleet::{Dataset, existing::ExistingReport};
use futures::future::BoxFuture;

use crate::{
    marker::{Counts, Marker},
    setup::{Change, SetUp},
    transfer::Transfer,
};

/// A further destination of reports.
pub trait Sink: Send + Sync + fmt::Debug {
    /// Checks, before the first job, that reports can be delivered.
    fn check(&self) -> BoxFuture<'_, anyhow::Result<()>>;

    /// Sets up what it needs before reports can be delivered, and deletes what is past its retention. Most need nothing.
    fn set_up<'a>(&'a self, _how: &'a SetUp) -> BoxFuture<'a, anyhow::Result<Vec<Change>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// A dashboard of Grafana's over what it has, if it is something that Grafana reads.
    fn grafana(&self) -> Option<serde_json::Value> {
        None
    }

    /// Delivers a report, whose rows are read as they are needed. It may have been delivered before, or a part of it. An
    /// error says what went wrong, and is tried again.
    fn deliver<'a>(&'a self, transfer: &'a mut Transfer<'_>) -> BoxFuture<'a, anyhow::Result<Counts>>;
}

/// What a second delivery of a window does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repetition {
    /// It changes nothing, or replaces what was delivered. Each version of a complete report is delivered.
    Harmless,
    /// It adds to what was delivered. Only a settled report is delivered, once, by one worker at a time.
    Adds,
}

/// A sink of a configuration file, as far as everyone has to know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    pub name: String,
    pub datasets: Vec<&'static Dataset>,
    pub repetition: Repetition,
}

/// A sink of a configuration file.
#[derive(Debug)]
pub struct Configured {
    pub named: Named,
    pub sink: Box<dyn Sink>,
}

impl Named {
    /// Whether the reports of a dataset are for it.
    #[must_use]
    pub fn takes(&self, dataset: &Dataset) -> bool {
        self.datasets.iter().any(|known| known.name == dataset.name)
    }

    /// Whether a complete report is to be delivered to it now, by what is recorded of its delivery.
    #[must_use]
    pub fn lacks(&self, marker: Option<&Marker>, report: &ExistingReport) -> bool {
        match self.repetition {
            Repetition::Harmless => marker.is_none_or(|marker| !marker.has(&report.etag)),
            // What was delivered of a report that is replaced stays.
            Repetition::Adds => report.metadata.is_settled() && marker.is_none_or(|marker| !marker.is_done()),
        }
    }
}
