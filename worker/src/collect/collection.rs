// SPDX-License-Identifier: Apache-2.0
//! The result of a collection, from the outcomes of its regions.

use std::sync::Arc;

use fleet::{AwsError, ErrorKind};

use super::region_health::{Interruption, RegionHealth};
use crate::table::Table;

/// The result of a collection.
#[derive(Debug, Default)]
pub struct Collection {
    /// The rows, in the order of the report.
    pub table: Table,
    /// Regions whose listing is incomplete.
    pub regions_pending: Vec<String>,
    /// Regions that a policy denies and in which nothing is known to exist.
    pub regions_denied: Vec<String>,
    /// Whether directory buckets could not be listed.
    pub lacks_directory_buckets: bool,
    /// Whether the account's regions could not be listed.
    pub lacks_regions: bool,
    /// The first error, if a row lacks something or a region is pending.
    pub first_error: Option<String>,
    /// Why it ended early; a retry may collect more.
    pub interruption: Option<Interruption>,
}

/// The outcome of querying a region.
#[derive(Debug)]
pub(super) struct RegionOutcome {
    pub(super) name: Arc<str>,
    pub(super) health: RegionHealth,
    /// Whether CloudWatch answered at least one query, or there was nothing to query.
    pub(super) answered: bool,
    /// Whether its listing is incomplete, so that its rows are unknown.
    pub(super) is_pending: bool,
    /// Whether no resource is known to exist there.
    pub(super) is_empty: bool,
}

impl RegionOutcome {
    /// Whether a policy denies the region and no resource is known to exist there, so that no row lacks anything.
    fn is_denied_and_empty(&self) -> bool {
        let errors = &self.health.errors;
        self.is_empty && !errors.is_empty() && errors.iter().all(|error| error.kind == ErrorKind::Denied)
    }
}

/// Adds the outcomes of all regions to a collection.
///
/// # Errors
///
/// The error of a region, if no region answered and no rows were known before.
pub(super) fn conclude(
    outcomes: &[RegionOutcome],
    knows_rows: bool,
    mut collection: Collection,
) -> Result<Collection, AwsError> {
    // A region that the account has not enabled refuses credentials that STS accepts. That concerns only the region; any
    // other error, if no region answered, concerns the account.
    let mut errors = outcomes.iter().flat_map(|region| &region.health.errors);
    if let Some(error) = errors.find(|error| error.kind != ErrorKind::Identity)
        && !knows_rows
        && !outcomes.iter().any(|region| region.answered)
    {
        return Err(error.clone());
    }
    for region in outcomes {
        if region.is_denied_and_empty() {
            collection.regions_denied.push(region.name.to_string());
            continue;
        }
        let first_error = region.health.errors.first().map(ToString::to_string);
        collection.first_error = collection.first_error.or(first_error);
        collection.interruption = collection.interruption.or(region.health.interruption.clone());
        if region.is_pending {
            collection.regions_pending.push(region.name.to_string());
        }
    }
    collection.first_error = match collection.table.first_lacking() {
        None if collection.regions_pending.is_empty() => None,
        first => collection.first_error.or(first),
    };
    Ok(collection)
}
