// SPDX-License-Identifier: Apache-2.0
//! What to collect: the request that both shapes of dataset take.

use fleet::{AccountId, AccountName, Dataset, datasets::Period};
use tokio_util::sync::CancellationToken;

use crate::cloudwatch::plan::Window;

/// What to collect.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The dataset.
    pub dataset: &'static Dataset,
    /// The days that a value may be of.
    pub window: Window,
    /// How far apart values are.
    pub period: Period,
    /// The account's name and id, which each row has.
    pub account_name: &'a AccountName,
    /// See `account_name`.
    pub account_id: &'a AccountId,
    /// Whether the series are found by `ListMetrics`.
    pub is_listed: bool,
    /// Whether the values of the day are final.
    pub is_settled: bool,
    /// Regions asked whether or not a bucket is there.
    pub regions: &'a [String],
    /// Whether there may be no other try, so that what fails for a transient cause is left out.
    pub is_last: bool,
    /// Cancelled if the collection is to end with what it has.
    pub stop: CancellationToken,
}
