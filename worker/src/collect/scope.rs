// SPDX-License-Identifier: Apache-2.0
//! What to collect, for both shapes of datasets.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use fleet::{AccountId, AccountName, Dataset, datasets::Period};
use tokio_util::sync::CancellationToken;

use crate::{cloudwatch::plan::Window, table::content::Spool};

/// What to collect.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    pub dataset: &'static Dataset,
    /// When a value may be of.
    pub window: Window,
    /// How many days older than its window a value of a report may be.
    pub lookback_days: u32,
    /// The windows of the reports, in order.
    pub reports: Vec<fleet::Window>,
    pub period: Period,
    pub account_name: &'a AccountName,
    pub account_id: &'a AccountId,
    /// When the collection began, by the report bucket's clock.
    pub now: DateTime<Utc>,
    /// Whether `ListMetrics` still lists all series of the day.
    pub is_listed: bool,
    /// Where rows are kept that are complete before the others.
    pub spool: Arc<Spool>,
    /// Regions to query even if they have no bucket.
    pub regions: &'a [String],
    /// Whether this is the last attempt, so that the report is stored without what fails with a transient error.
    pub is_last: bool,
    /// Cancelled if the collection must end with what it has.
    pub stop: CancellationToken,
}
