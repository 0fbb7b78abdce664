// SPDX-License-Identifier: Apache-2.0
//! The result of a collection for one window, from the outcomes of its regions.

use std::sync::Arc;

use fleet::ErrorKind;

use super::region_health::RegionHealth;
use crate::table::Table;

/// The result of a collection for one window.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is of a permission of its own")]
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
    /// Whether the tags of some resources may not be read.
    pub lacks_tags: bool,
    /// Whether the functions of a region may not be listed.
    pub lacks_facts: bool,
    /// The first error, if a row lacks something or a region is pending.
    pub first_error: Option<String>,
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
    pub(super) fn is_denied_and_empty(&self) -> bool {
        let errors = &self.health.errors;
        self.is_empty && !errors.is_empty() && errors.iter().all(|error| error.kind == ErrorKind::Denied)
    }
}

impl Collection {
    /// The same, with the outcomes of all regions.
    pub(super) fn concluded(mut self, outcomes: &[RegionOutcome]) -> Self {
        for region in outcomes {
            if region.is_denied_and_empty() {
                self.regions_denied.push(region.name.to_string());
                continue;
            }
            let first_error = region.health.errors.first().map(ToString::to_string);
            self.first_error = self.first_error.or(first_error);
            if region.is_pending {
                self.regions_pending.push(region.name.to_string());
            }
        }
        self.first_error = match self.table.first_lacking() {
            None if self.regions_pending.is_empty() => None,
            first => self.first_error.or(first),
        };
        self
    }
}
