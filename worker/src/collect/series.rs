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

use fleet::{AwsError, aws, datasets::Regions};
use futures::future;

use self::region::{CollectedRegion, Region};
pub use self::{
    layout::Layout,
    plan::{Call, Group, Listing, Plan},
    reading::{Grid, Reading},
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

/// Collects the series of the session's account, in the configured regions and in those that are `enabled`. Resources that
/// are complete in `checkpoint` are not queried again.
///
/// # Errors
///
/// The error of a region, if no region answered.
pub(super) async fn collect(
    session: &Session,
    limits: &Limits,
    scope: &Scope<'_>,
    enabled: &[String],
    checkpoint: Option<Checkpoint>,
) -> Result<Collection, AwsError> {
    let (metadata, mut rows) = match checkpoint {
        Some(Checkpoint { metadata, table: Table::Series(rows) }) => (Some(metadata), rows),
        _ => (None, SeriesRows::default()),
    };
    let layout = Layout::new(scope.dataset);
    let mut regions: BTreeSet<Arc<str>> = match &scope.dataset.regions {
        Regions::Named(regions) => regions.iter().map(|region| Arc::from(region.as_str())).collect(),
        Regions::Configured | Regions::OfResources | Regions::Enabled => {
            let configured = scope.regions.iter().chain(enabled).map(String::as_str);
            configured.chain([session.home_region()]).map(Arc::from).collect()
        }
    };
    // What an earlier attempt has left incomplete, even if it is not configured any more.
    let lacking = rows.0.iter().filter(|(_, rows)| rows.status.lacks_something());
    let lacking = lacking.map(|((_, region), _)| region.clone());
    let pending = metadata.iter().flat_map(|metadata| &metadata.regions_pending);
    let pending = pending.filter(|region| aws::is_region(region)).map(|region| Arc::from(region.as_str()));
    regions.extend(lacking.chain(pending));
    let kept = |region: &str| -> HashSet<Arc<str>> {
        let rows = rows.0.iter().filter(|((_, of), rows)| **of == *region && !rows.status.lacks_something());
        rows.map(|((resource, _), _)| resource.clone()).collect()
    };
    let queried = regions.into_iter().map(|name| {
        let was_listed = metadata.as_ref().is_some_and(|metadata| !metadata.is_pending(&name));
        let kept = kept(&name);
        let cloudwatch = CloudWatch::new(
            session,
            &name,
            limits.of(scope.account_id, &name, session.account().quota_share),
        );
        let region = Region::new(name, was_listed, kept, &layout, scope);
        async move { region.collect(&cloudwatch).await }
    });
    let collected: Vec<CollectedRegion> = future::join_all(queried).await;
    let knows_rows = !rows.0.is_empty();
    let mut outcomes = Vec::with_capacity(collected.len());
    for CollectedRegion { rows: new_rows, outcome, is_listed } in collected {
        if is_listed {
            // Incomplete rows have been queried again, or their resources are no longer listed.
            rows.0.retain(|(_, of), rows| *of != outcome.name || !rows.status.lacks_something());
        }
        rows.0.extend(new_rows.0);
        outcomes.push(outcome);
    }
    let regions_denied = metadata.map(|metadata| metadata.regions_denied).unwrap_or_default();
    conclude(
        outcomes,
        knows_rows,
        Collection { table: Table::Series(rows), regions_denied, ..Collection::default() },
    )
}
