// SPDX-License-Identifier: Apache-2.0
//! Collects series: each resource that is listed has a row for each period with values. Resources are queried one by one,
//! and the rows of a resource are encoded once all its queries are answered.

mod clients;
#[cfg(test)]
mod function_tests;
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

use fleet::{AwsError, datasets::Regions};
use futures::future;

use self::{
    clients::Clients,
    region::{CollectedRegion, Region},
};
pub use self::{
    layout::Layout,
    plan::{Call, Group, Listing, Plan},
    reading::{Grid, Part, Reading},
};
use super::{
    collected::{Collected, Found},
    known::Known,
    scope::Scope,
};
use crate::{account::session::Session, cloudwatch::limits::Limits, table::SeriesRows};

/// Collects the series of the session's account, in the configured regions and in those that are `enabled`, for each report
/// of the scope. Resources that earlier attempts have completed are not queried again.
///
/// # Errors
///
/// The error of a region, if no region answered, or if the tags by which resources are selected may not be read.
pub(super) async fn collect(
    session: &Session,
    limits: &Limits,
    scope: &Scope<'_>,
    enabled: &[String],
    known: &Known,
) -> Result<Collected, AwsError> {
    let layout = Layout::new(scope.dataset);
    let mut regions = regions(session, scope, enabled);
    // What an earlier attempt has left incomplete, even if it is not configured any more.
    regions.extend(known.incomplete_regions());
    let queried = regions.into_iter().map(|name| {
        let (was_listed, kept) = (known.has_listed(&name), known.complete_in(&name));
        let clients = Clients::new(session, limits, scope, &name);
        let region = Region::new(name, was_listed, kept, &layout, scope);
        async move { Box::pin(region.collect(&clients)).await }
    });
    let collected: Vec<CollectedRegion> = future::try_join_all(queried).await?;
    let mut windows: Vec<_> = scope.reports.iter().map(|window| (*window, SeriesRows::default())).collect();
    let mut listed = HashSet::new();
    let mut outcomes = Vec::with_capacity(collected.len());
    let (mut lacks_tags, mut lacks_facts) = (false, false);
    for CollectedRegion { rows, outcome, is_listed, lacks_tags: tags, lacks_facts: facts } in collected {
        lacks_tags |= tags;
        lacks_facts |= facts;
        for ((_, known), mut rows) in windows.iter_mut().zip(rows) {
            known.0.append(&mut rows.0);
        }
        if is_listed {
            listed.insert(outcome.name.clone());
        }
        outcomes.push(outcome);
    }
    let found = Found::Series { windows, listed };
    Collected {
        outcomes,
        found,
        lacks_directory_buckets: false,
        lacks_regions: false,
        lacks_tags,
        lacks_facts,
    }
    .check(known.has_rows())
}

/// The number of resources that are listed in all regions; regions that do not answer count as empty.
pub(super) async fn count(
    session: &Session,
    limits: &Limits,
    scope: &Scope<'_>,
    enabled: &[String],
) -> usize {
    let layout = Layout::new(scope.dataset);
    let counted = regions(session, scope, enabled).into_iter().map(|name| {
        let clients = Clients::new(session, limits, scope, &name);
        let mut region = Region::new(name, false, HashSet::new(), &layout, scope);
        async move {
            let plan = region.list(&clients).await.ok().flatten();
            plan.map_or(0, |plan| plan.resources.len())
        }
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
