// SPDX-License-Identifier: Apache-2.0
//! Collects series: each resource that `ListMetrics` lists has a row for each period. Resources are queried one by one,
//! and the rows of a resource are encoded once all its queries are answered.

mod layout;
mod plan;
mod reading;
mod region;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use fleet::{AwsError, aws, datasets::Regions, report::ReportMetadata};
use futures::future;

use self::region::{CollectedRegion, Region};
pub use self::{
    layout::Layout,
    plan::{Call, Group, Listing, Plan},
    reading::{Grid, Part, Reading},
};
use super::{
    collection::{Collection, conclude},
    scope::Scope,
};
use crate::{
    account::session::Session,
    cloudwatch::{calls::CloudWatch, limits::Limits},
    table::checkpoint::Checkpoint,
    table::{SeriesRows, Table},
};

/// Collects the series of the session's account, in the configured regions and in those that are `enabled`, for each report
/// of the scope, with its checkpoint. Resources that are complete in all checkpoints are not queried again.
///
/// # Errors
///
/// The error of a region, if no region answered.
pub(super) async fn collect(
    session: &Session,
    limits: &Limits,
    scope: &Scope<'_>,
    enabled: &[String],
    checkpoints: Vec<Option<Checkpoint>>,
) -> Result<Vec<Collection>, AwsError> {
    let mut known: Vec<Known> = checkpoints.into_iter().map(Known::from).collect();
    let layout = Layout::new(scope.dataset);
    let mut regions = regions(session, scope, enabled);
    // What an earlier attempt has left incomplete, even if it is not configured any more.
    regions.extend(known.iter().flat_map(Known::incomplete_regions));
    let queried = regions.into_iter().map(|name| {
        let was_listed = known.iter().all(|known| known.has_listed(&name));
        let kept = kept(&known, &name);
        let cloudwatch = cloudwatch(session, limits, scope, &name);
        let region = Region::new(name, was_listed, kept, &layout, scope);
        async move { region.collect(&cloudwatch).await }
    });
    let collected: Vec<CollectedRegion> = future::join_all(queried).await;
    let knows_rows = known.iter().any(|known| !known.rows.0.is_empty());
    let mut outcomes = Vec::with_capacity(collected.len());
    for CollectedRegion { rows, outcome, is_listed } in collected {
        for (known, new_rows) in known.iter_mut().zip(rows) {
            if is_listed {
                // Incomplete rows have been queried again, or their resources are no longer listed.
                known.rows.0.retain(|(_, of), rows| *of != outcome.name || !rows.status.lacks_something());
            }
            for (key, rows) in new_rows.0 {
                // A resource that is complete in one report is queried again if another lacks it.
                known.rows.0.entry(key).or_insert(rows);
            }
        }
        outcomes.push(outcome);
    }
    let collections = known.into_iter().map(|Known { metadata, rows }| {
        let regions_denied = metadata.map(|metadata| metadata.regions_denied).unwrap_or_default();
        let collection = Collection { table: Table::Series(rows), regions_denied, ..Collection::default() };
        conclude(&outcomes, knows_rows, collection)
    });
    collections.collect()
}

/// The number of resources that `ListMetrics` lists in all regions; regions that do not answer count as empty.
pub(super) async fn count(
    session: &Session,
    limits: &Limits,
    scope: &Scope<'_>,
    enabled: &[String],
) -> usize {
    let layout = Layout::new(scope.dataset);
    let counted = regions(session, scope, enabled).into_iter().map(|name| {
        let cloudwatch = cloudwatch(session, limits, scope, &name);
        let mut region = Region::new(name, false, HashSet::new(), &layout, scope);
        async move { region.list(&cloudwatch).await.map_or(0, |plan| plan.resources.len()) }
    });
    future::join_all(counted).await.into_iter().sum()
}

/// The regions in which a dataset is queried.
fn regions(session: &Session, scope: &Scope<'_>, enabled: &[String]) -> BTreeSet<Arc<str>> {
    match &scope.dataset.regions {
        Regions::Named(regions) => regions.iter().map(|region| Arc::from(region.as_str())).collect(),
        Regions::Configured | Regions::OfResources | Regions::Enabled => {
            let configured = scope.regions.iter().chain(enabled).map(String::as_str);
            configured.chain([session.home_region()]).map(Arc::from).collect()
        }
    }
}

fn cloudwatch(session: &Session, limits: &Limits, scope: &Scope<'_>, region: &Arc<str>) -> CloudWatch {
    let limits = limits.of(scope.account_id, region, session.account().quota_share);
    CloudWatch::new(session, region, limits)
}

/// What earlier attempts have collected for a report.
struct Known {
    metadata: Option<ReportMetadata>,
    rows: SeriesRows,
}

impl From<Option<Checkpoint>> for Known {
    fn from(checkpoint: Option<Checkpoint>) -> Self {
        match checkpoint {
            Some(Checkpoint { metadata, table: Table::Series(rows) }) => {
                Self { metadata: Some(metadata), rows }
            }
            _ => Self { metadata: None, rows: SeriesRows::default() },
        }
    }
}

impl Known {
    /// The regions that are pending or have incomplete rows.
    fn incomplete_regions(&self) -> impl Iterator<Item = Arc<str>> {
        let lacking = self.rows.0.iter().filter(|(_, rows)| rows.status.lacks_something());
        let lacking = lacking.map(|((_, region), _)| region.clone());
        let pending = self.metadata.iter().flat_map(|metadata| &metadata.regions_pending);
        let pending = pending.filter(|region| aws::is_region(region));
        lacking.chain(pending.map(|region| Arc::from(region.as_str())))
    }

    fn has_listed(&self, region: &str) -> bool {
        self.metadata.as_ref().is_some_and(|metadata| !metadata.is_pending(region))
    }

    /// The resources of a region with complete rows.
    fn complete(&self, region: &str) -> impl Iterator<Item = &Arc<str>> {
        let rows = self.rows.0.iter();
        let complete = rows.filter(move |((_, of), rows)| **of == *region && !rows.status.lacks_something());
        complete.map(|((resource, _), _)| resource)
    }
}

/// The resources of a region that have complete rows in all reports.
fn kept(known: &[Known], region: &str) -> HashSet<Arc<str>> {
    let Some((first, others)) = known.split_first() else { return HashSet::new() };
    let others: Vec<HashSet<&Arc<str>>> =
        others.iter().map(|known| known.complete(region).collect()).collect();
    let complete =
        first.complete(region).filter(|resource| others.iter().all(|other| other.contains(resource)));
    complete.cloned().collect()
}
