// SPDX-License-Identifier: Apache-2.0
//! Collecting series: the resources that `ListMetrics` names, each with a row for each period. What it names is asked
//! resource by resource, and a resource's rows are encoded once it is answered.

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

use self::region::{Answered, Region};
pub use self::{
    layout::Layout,
    plan::{Call, Group, Listing, Plan},
    reading::{Grid, Reading},
};
use super::{
    collection::{Collection, conclude},
    subject::Subject,
};
use crate::{
    account::session::Session,
    cloudwatch::{calls::CloudWatch, limits::Limits},
    table::checkpoint::Checkpoint,
    table::{SeriesRows, Table},
};

/// Collects the series of a dataset of the account that the session is in. Resources of which `checkpoint` has all rows are
/// not asked for.
///
/// # Errors
/// What a region said, if none answered.
pub(super) async fn collect(
    session: &Session,
    limits: &Limits,
    subject: &Subject<'_>,
    checkpoint: Option<Checkpoint>,
) -> Result<Collection, AwsError> {
    let (metadata, mut rows) = match checkpoint {
        Some(Checkpoint { metadata, table: Table::Series(rows) }) => (Some(metadata), rows),
        _ => (None, SeriesRows::default()),
    };
    let layout = Layout::new(subject.dataset);
    let mut regions: BTreeSet<Arc<str>> = match &subject.dataset.regions {
        Regions::Named(regions) => regions.iter().map(|region| Arc::from(region.as_str())).collect(),
        Regions::Configured | Regions::OfResources => {
            let configured = subject.regions.iter().map(String::as_str);
            configured.chain([session.home_region()]).map(Arc::from).collect()
        }
    };
    // What an earlier try has left, whatever is configured now.
    let lacking = rows.0.iter().filter(|(_, rows)| rows.status.lacks_something());
    let lacking = lacking.map(|((_, region), _)| region.clone());
    let pending = metadata.iter().flat_map(|metadata| &metadata.regions_pending);
    let pending = pending.filter(|region| aws::is_region(region)).map(|region| Arc::from(region.as_str()));
    regions.extend(lacking.chain(pending));
    let kept = |region: &str| -> HashSet<Arc<str>> {
        let rows = rows.0.iter().filter(|((_, of), rows)| **of == *region && !rows.status.lacks_something());
        rows.map(|((resource, _), _)| resource.clone()).collect()
    };
    let asked = regions.into_iter().map(|name| {
        let was_listed = metadata.as_ref().is_some_and(|metadata| !metadata.is_pending(&name));
        let kept = kept(&name);
        let cloudwatch = CloudWatch::new(
            session,
            &name,
            limits.of(subject.account_id, &name, session.account().quota_share),
        );
        let region = Region::new(name, was_listed, kept, &layout, subject);
        async move { region.ask(&cloudwatch).await }
    });
    let asked: Vec<Answered> = future::join_all(asked).await;
    let knows_rows = !rows.0.is_empty();
    let mut ended = Vec::with_capacity(asked.len());
    for Answered { rows: collected, ended: region, is_listed } in asked {
        if is_listed {
            // What lacked something has been asked for anew, or is no longer named.
            rows.0.retain(|(_, of), rows| *of != region.name || !rows.status.lacks_something());
        }
        rows.0.extend(collected.0);
        ended.push(region);
    }
    let regions_denied = metadata.map(|metadata| metadata.regions_denied).unwrap_or_default();
    conclude(
        ended,
        knows_rows,
        Collection { table: Table::Series(rows), regions_denied, ..Collection::default() },
    )
}
