// SPDX-License-Identifier: Apache-2.0
//! Collecting the newest day of each bucket: those that S3 names, and those that CloudWatch names besides.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use fleet::{AwsError, aws};
use futures::future;

use super::{
    buckets::{self, Buckets},
    collection::{Collection, conclude},
    region::{Place, Region},
    subject::Subject,
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

/// Collects the newest day of each bucket.
pub(super) async fn collect(
    session: &Session,
    limits: &Limits,
    subject: &Subject<'_>,
    buckets: Buckets,
    checkpoint: Option<Checkpoint>,
) -> Result<Collection, AwsError> {
    let account_id = subject.account_id;
    let regions_denied = checkpoint.as_ref().map(|it| it.metadata.regions_denied.clone()).unwrap_or_default();
    let (known, mut places) = places(subject, &buckets, checkpoint);
    let (lacks_directories, with_directories) = (buckets.lacks_directories, buckets.with_directories);
    let kept: HashSet<Arc<str>> = known.iter().map(|row| row.resource.name.clone()).collect();
    let lost: Vec<_> =
        buckets.lost.into_iter().filter(|(resource, _)| !kept.contains(&resource.name)).collect();
    let lost_names: HashSet<&str> = lost.iter().map(|(resource, _)| &*resource.name).collect();
    for resource in buckets.found {
        let region = resource.region.clone().expect("cannot fail: found means that the region is known");
        let place = places.entry(region).or_default();
        if !place.kept.contains(&resource.name) {
            place.resources.push(resource);
        }
    }
    let asked = places.into_iter().filter(|(_, place)| place.is_to_ask()).map(|(region, place)| {
        let share = session.account().quota_share;
        let cloudwatch = CloudWatch::new(session, &region, limits.of(account_id, &region, share));
        let (lost, with_directories) = (&lost_names, &with_directories);
        async move {
            let directories = async {
                let is_known = with_directories.contains(&region);
                if is_known {
                    None
                } else {
                    Some(buckets::list_directories(session, &region, subject.is_last).await)
                }
            };
            let mut asked = Region::new(region.clone(), place);
            let asking = async {
                if subject.is_listed {
                    // Of what is not listed yet, no one can say that it would be.
                    let lacks_directories = lacks_directories || !with_directories.contains(&region);
                    asked.ask_for_listed(&cloudwatch, subject, lost, lacks_directories).await
                } else {
                    asked.ask_for_everything(&cloudwatch, subject).await;
                    false
                }
            };
            let (is_known, directories) = future::join(asking, directories).await;
            let lacks_directories =
                matches!(&directories, Some(Ok(directories)) if directories.is_incomplete);
            let mut late = directories.and_then(|directories| asked.learn(directories, is_known));
            if let Some(late) = &mut late {
                late.ask_for_everything(&cloudwatch, subject).await;
            }
            ([Some(asked), late], lacks_directories)
        }
    });
    let (regions, lacking): (Vec<_>, Vec<bool>) = future::join_all(asked).await.into_iter().unzip();
    let regions: Vec<Region> = regions.into_iter().flatten().flatten().collect();
    let lacks_directory_buckets = lacks_directories || lacking.contains(&true);

    let knows_rows = !known.is_empty();
    let mut rows = known;
    let mut ended = Vec::with_capacity(regions.len());
    for region in regions {
        let (of_it, end) = region.end(subject);
        rows.extend(of_it);
        ended.push(end);
    }
    rows.extend(lost.into_iter().map(|(resource, problem)| Row::without_values(resource, problem)));
    rows::sort(&mut rows);
    let table = Table::NewestDay(rows);
    conclude(
        ended,
        knows_rows,
        Collection { table, regions_denied, lacks_directory_buckets, ..Collection::default() },
    )
}

/// The rows that are known from earlier tries, and what is left to ask in each region, but for the resources that this
/// try has found.
fn places(
    subject: &Subject<'_>,
    buckets: &Buckets,
    checkpoint: Option<Checkpoint>,
) -> (Vec<Row>, BTreeMap<Arc<str>, Place>) {
    let mut places: BTreeMap<Arc<str>, Place> = BTreeMap::new();
    for region in subject.regions {
        places.entry(Arc::from(region.as_str())).or_default();
    }
    let Some(Checkpoint { metadata, table: Table::NewestDay(rows) }) = checkpoint else {
        return (Vec::new(), places);
    };
    let found: HashMap<&str, Option<&Arc<str>>> =
        buckets.found.iter().map(|resource| (&*resource.name, resource.region.as_ref())).collect();
    let mut known = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(region) = row.resource.region.clone() else { continue };
        let is_found = found.get(&*row.resource.name) == Some(&Some(&region));
        let place = places.entry(region.clone()).or_default();
        if !row.status.lacks_something() {
            place.kept.insert(row.resource.name.clone());
            known.push(row);
        } else if !is_found {
            // Deleted since, or never listed: only the checkpoint still names it.
            let Resource { name, .. } = row.resource;
            let lacks_directories = buckets.lacks_directories || !buckets.with_directories.contains(&region);
            place.resources.push(buckets::unnamed(name, region, lacks_directories));
        }
    }
    let found = buckets.found.iter().filter_map(|resource| resource.region.clone());
    let pending = metadata.regions_pending.iter().filter(|region| aws::is_region(region));
    for region in found.chain(pending.map(|region| region.as_str().into())) {
        places.entry(region).or_default();
    }
    for (region, place) in &mut places {
        place.was_listed = !metadata.is_pending(region);
    }
    (known, places)
}
