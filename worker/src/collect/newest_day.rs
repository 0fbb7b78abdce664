// SPDX-License-Identifier: Apache-2.0
//! Collects the newest day of each bucket: those that S3 lists, and others that CloudWatch lists.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use fleet::{AwsError, aws};
use futures::future;

use super::{
    buckets::{self, Buckets},
    collection::{Collection, conclude},
    region::{Region, RegionPlan},
    scope::Scope,
};
use crate::{
    account::session::Session,
    cloudwatch::{
        calls::CloudWatch,
        limits::Limits,
        rows::{self, Resource, Row},
    },
    table::Table,
    table::checkpoint::Checkpoint,
};

pub(super) async fn collect(
    session: &Session,
    limits: &Limits,
    scope: &Scope<'_>,
    buckets: Buckets,
    checkpoint: Option<Checkpoint>,
) -> Result<Collection, AwsError> {
    let account_id = scope.account_id;
    let regions_denied = checkpoint.as_ref().map(|it| it.metadata.regions_denied.clone()).unwrap_or_default();
    let (known, mut plans) = region_plans(scope, &buckets, checkpoint);
    let (lacks_directories, with_directories) = (buckets.lacks_directories, buckets.with_directories);
    let kept: HashSet<Arc<str>> = known.iter().map(|row| row.resource.name.clone()).collect();
    let lost: Vec<_> =
        buckets.lost.into_iter().filter(|(resource, _)| !kept.contains(&resource.name)).collect();
    let lost_names: HashSet<&str> = lost.iter().map(|(resource, _)| &*resource.name).collect();
    for resource in buckets.found {
        let region = resource.region.clone().expect("cannot fail: found means that the region is known");
        let plan = plans.entry(region).or_default();
        if !plan.kept.contains(&resource.name) {
            plan.resources.push(resource);
        }
    }
    let queried = plans.into_iter().filter(|(_, plan)| plan.is_needed()).map(|(region, plan)| {
        let share = session.account().quota_share;
        let cloudwatch = CloudWatch::new(session, &region, limits.of(account_id, &region, share));
        let (lost, with_directories) = (&lost_names, &with_directories);
        async move {
            let directories = async {
                let is_known = with_directories.contains(&region);
                if is_known {
                    None
                } else {
                    Some(buckets::list_directories(session, &region, scope.is_last).await)
                }
            };
            let mut queried = Region::new(region.clone(), plan);
            let querying = async {
                if scope.is_listed {
                    // Directory buckets that are not listed yet may exist.
                    let lacks_directories = lacks_directories || !with_directories.contains(&region);
                    queried.query_listed(&cloudwatch, scope, lost, lacks_directories).await
                } else {
                    queried.query_all(&cloudwatch, scope).await;
                    false
                }
            };
            let (is_known, directories) = future::join(querying, directories).await;
            let lacks_directories =
                matches!(&directories, Some(Ok(directories)) if directories.is_incomplete);
            let mut late =
                directories.and_then(|directories| queried.add_directory_buckets(directories, is_known));
            if let Some(late) = &mut late {
                late.query_all(&cloudwatch, scope).await;
            }
            ([Some(queried), late], lacks_directories)
        }
    });
    let (regions, lacking): (Vec<_>, Vec<bool>) = future::join_all(queried).await.into_iter().unzip();
    let regions: Vec<Region> = regions.into_iter().flatten().flatten().collect();
    let lacks_directory_buckets = lacks_directories || lacking.contains(&true);

    let knows_rows = !known.is_empty();
    let mut rows = known;
    let mut outcomes = Vec::with_capacity(regions.len());
    for region in regions {
        let (collected, outcome) = region.finish(scope);
        rows.extend(collected);
        outcomes.push(outcome);
    }
    rows.extend(lost.into_iter().map(|(resource, problem)| Row::without_values(resource, problem)));
    rows::sort(&mut rows);
    let table = Table::NewestDay(rows);
    conclude(
        &outcomes,
        knows_rows,
        Collection { table, regions_denied, lacks_directory_buckets, ..Collection::default() },
    )
}

/// The rows that are known from earlier attempts, and what else to query in each region, without the resources that this
/// attempt has discovered.
fn region_plans(
    scope: &Scope<'_>,
    buckets: &Buckets,
    checkpoint: Option<Checkpoint>,
) -> (Vec<Row>, BTreeMap<Arc<str>, RegionPlan>) {
    let mut plans: BTreeMap<Arc<str>, RegionPlan> = BTreeMap::new();
    for region in scope.regions {
        plans.entry(Arc::from(region.as_str())).or_default();
    }
    let Some(Checkpoint { metadata, table: Table::NewestDay(rows) }) = checkpoint else {
        return (Vec::new(), plans);
    };
    let found: HashMap<&str, Option<&Arc<str>>> =
        buckets.found.iter().map(|resource| (&*resource.name, resource.region.as_ref())).collect();
    let mut known = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(region) = row.resource.region.clone() else { continue };
        let is_found = found.get(&*row.resource.name) == Some(&Some(&region));
        let plan = plans.entry(region.clone()).or_default();
        if !row.status.lacks_something() {
            plan.kept.insert(row.resource.name.clone());
            known.push(row);
        } else if !is_found {
            // Deleted since, or never listed: only the checkpoint has it.
            let Resource { name, .. } = row.resource;
            let lacks_directories = buckets.lacks_directories || !buckets.with_directories.contains(&region);
            plan.resources.push(buckets::not_listed(name, region, lacks_directories));
        }
    }
    let found = buckets.found.iter().filter_map(|resource| resource.region.clone());
    let pending = metadata.regions_pending.iter().filter(|region| aws::is_region(region));
    for region in found.chain(pending.map(|region| region.as_str().into())) {
        plans.entry(region).or_default();
    }
    for (region, plan) in &mut plans {
        plan.was_listed = !metadata.is_pending(region);
    }
    (known, plans)
}
