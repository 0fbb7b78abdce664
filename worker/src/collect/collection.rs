// SPDX-License-Identifier: Apache-2.0
//! What was collected, and what came of each region.

use std::sync::Arc;

use fleet::{AwsError, ErrorKind};

use super::trouble::{Interruption, Trouble};
use crate::table::Table;

/// What was collected.
#[derive(Debug, Default)]
pub struct Collection {
    /// The rows, sorted as the report has them.
    pub table: Table,
    /// Regions that were not listed to the end.
    pub regions_pending: Vec<String>,
    /// Regions that a policy denies and in which nothing is known to exist.
    pub regions_denied: Vec<String>,
    /// Whether directory buckets could not be listed.
    pub lacks_directory_buckets: bool,
    /// What went wrong first, if a row lacks something or a region is pending.
    pub first_error: Option<String>,
    /// Why it ended before all was asked for; a later try may give more.
    pub interruption: Option<Interruption>,
}

/// How asking a region ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) name: Arc<str>,
    pub(super) trouble: Trouble,
    /// Whether CloudWatch gave an answer to all that there was to ask, or a part of it.
    pub(super) answered: bool,
    /// Whether it is not known which rows it has.
    pub(super) is_pending: bool,
    /// Whether nothing is known to exist there.
    pub(super) is_empty: bool,
}

impl Ended {
    /// Whether a policy denies the region, and nothing is known to exist there: no row lacks anything for it.
    fn is_denied_and_empty(&self) -> bool {
        let errors = &self.trouble.errors;
        self.is_empty && !errors.is_empty() && errors.iter().all(|error| error.kind == ErrorKind::Denied)
    }
}

/// Takes in how asking each region ended.
///
/// # Errors
/// What a region said, if none answered and no rows were known before.
pub(super) fn conclude(
    ended: Vec<Ended>,
    knows_rows: bool,
    mut collection: Collection,
) -> Result<Collection, AwsError> {
    // Credentials that STS took are refused in a region that the account has not enabled, which is that
    // region's own affair. Anything else, if no region answered, is the account's.
    let mut errors = ended.iter().flat_map(|region| &region.trouble.errors);
    if let Some(error) = errors.find(|error| error.kind != ErrorKind::Identity)
        && !knows_rows
        && !ended.iter().any(|region| region.answered)
    {
        return Err(error.clone());
    }
    for region in ended {
        if region.is_denied_and_empty() {
            collection.regions_denied.push(region.name.to_string());
            continue;
        }
        let first_error = region.trouble.errors.first().map(ToString::to_string);
        collection.first_error = collection.first_error.or(first_error);
        collection.interruption = collection.interruption.or(region.trouble.interruption);
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
