// SPDX-License-Identifier: Apache-2.0
//! Collects the newest day of each bucket, or each of many days: those that S3 lists, and others that CloudWatch lists.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use fleet::AwsError;
use futures::future;

use super::{
    buckets::{self, Buckets},
    collected::{Collected, Found, Values},
    known::Known,
    region::{Region, RegionPlan},
    scope::Scope,
};
use crate::{
    account::session::Session,
    cloudwatch::{calls::CloudWatch, limits::Limits},
};

pub(super) async fn collect(
    session: &Session,
    limits: &Limits,
    scope: &Scope<'_>,
    mut buckets: Buckets,
    known: &Known,
) -> Result<Collected, AwsError> {
    buckets.found.retain(|resource| scope.dataset.has([&*resource.name]));
    buckets.lost.retain(|(resource, _)| scope.dataset.has([&*resource.name]));
    let account_id = scope.account_id;
    let none = Values::of(scope.reports.len());
    let mut plans = region_plans(scope, &buckets, known);
    let (lacks_directories, with_directories) = (buckets.lacks_directories, buckets.with_directories);
    let kept: HashSet<&str> = known.complete().map(|(resource, _)| &**resource).collect();
    let lost: Vec<_> =
        buckets.lost.into_iter().filter(|(resource, _)| !kept.contains(&*resource.name)).collect();
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
        let none = none.clone();
        async move {
            let directories = async {
                let is_known = with_directories.contains(&region);
                if is_known {
                    None
                } else {
                    Some(buckets::list_directories(session, &region, scope.is_last).await)
                }
            };
            let mut queried = Region::new(region.clone(), plan, none);
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
            let mut late = directories
                .and_then(|directories| queried.add_directory_buckets(scope.dataset, directories, is_known));
            if let Some(late) = &mut late {
                late.query_all(&cloudwatch, scope).await;
            }
            ([Some(queried), late], lacks_directories)
        }
    });
    let (regions, lacking): (Vec<_>, Vec<bool>) = future::join_all(queried).await.into_iter().unzip();
    let regions: Vec<Region> = regions.into_iter().flatten().flatten().collect();
    let mut resources = Vec::new();
    let mut outcomes = Vec::with_capacity(regions.len());
    for region in regions {
        let (found, outcome) = region.finish();
        resources.extend(found);
        outcomes.push(outcome);
    }
    resources.sort_unstable_by(|(a, _), (b, _)| (&a.name, &a.region).cmp(&(&b.name, &b.region)));
    let found = Found::NewestDay { lookback_days: scope.lookback_days, resources, lost };
    let lacks_directory_buckets = lacks_directories || lacking.contains(&true);
    Collected {
        outcomes,
        found,
        lacks_directory_buckets,
        lacks_regions: false,
        lacks_tags: false,
        lacks_facts: false,
    }
    .check(known.has_rows())
}

/// What to query in each region, without what is known from earlier attempts and without the resources that this attempt
/// has discovered.
fn region_plans(scope: &Scope<'_>, buckets: &Buckets, known: &Known) -> BTreeMap<Arc<str>, RegionPlan> {
    let mut plans: BTreeMap<Arc<str>, RegionPlan> = BTreeMap::new();
    for region in scope.regions {
        plans.entry(Arc::from(region.as_str())).or_default();
    }
    if !known.has_begun() {
        return plans;
    }
    let found: HashMap<&str, Option<&Arc<str>>> =
        buckets.found.iter().map(|resource| (&*resource.name, resource.region.as_ref())).collect();
    for (resource, region) in known.complete() {
        plans.entry(region.clone()).or_default().kept.insert(resource.clone());
    }
    for (resource, region) in known.incomplete() {
        let plan = plans.entry(region.clone()).or_default();
        if found.get(&**resource) != Some(&Some(region)) {
            // Deleted since, or never listed: only the checkpoint has it.
            let lacks_directories = buckets.lacks_directories || !buckets.with_directories.contains(region);
            plan.resources.push(buckets::not_listed(resource.clone(), region.clone(), lacks_directories));
        }
    }
    let found = buckets.found.iter().filter_map(|resource| resource.region.clone());
    for region in found.chain(known.incomplete_regions()) {
        plans.entry(region).or_default();
    }
    for (region, plan) in &mut plans {
        plan.was_listed = known.has_listed(region);
    }
    plans
}
