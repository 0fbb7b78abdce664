//! Collecting one dataset of one account: discover, plan, ask, assemble. What comes out is rows;
//! where they go is the sinks' affair.

mod buckets;
mod region;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use fleet::{AccountId, Dataset, ErrorKind, ReportDate, datasets::Discovery};
use futures::future;

use self::region::Region;
use crate::{
    cloudwatch::{
        calls::CloudWatch,
        limits::Limits,
        plan::Window,
        rows::{self, Resource, Row},
    },
    failure::Failure,
    session::Session,
};

/// How many calls are under way at once in a region, two of them listings.
pub(crate) const CALLS_IN_A_REGION: usize = region::CALLS_AT_ONCE + 2;

/// What was collected.
#[derive(Debug, Default)]
pub struct Collection {
    /// The rows, sorted as the report has them.
    pub rows: Vec<Row>,
    /// What went wrong first, where something did: the report is partial then.
    pub first_error: Option<String>,
}

/// What to collect.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The dataset.
    pub dataset: &'static Dataset,
    /// The days that a value may be of.
    pub window: Window,
    /// The day it is now.
    pub today: ReportDate,
    /// Regions asked whether or not a bucket is there.
    pub regions: &'a [String],
    /// Whether there may be no other try, so that what can't be had for a passing cause is left out.
    pub is_last: bool,
}

/// The resources of an account, before anything is asked about them.
#[derive(Debug)]
pub struct Discovered(buckets::Buckets);

/// Finds the account's resources.
pub async fn discover(
    session: &Session,
    dataset: &'static Dataset,
    is_last: bool,
) -> Result<Discovered, Failure> {
    match dataset.discovery {
        Discovery::Buckets => {
            Ok(Discovered(buckets::discover(&session.s3(), session.credentials(), is_last).await?))
        }
    }
}

/// Collects a dataset of the account that the session is in.
///
/// A region that may not be asked, or a series that CloudWatch does not give, costs its own rows
/// and no others.
///
/// # Errors
/// [`Failure::Aws`] where a later try may give more, and where nothing at all may be asked.
pub async fn collect(
    session: &Session,
    account_id: &AccountId,
    limits: &Limits,
    subject: &Subject<'_>,
    Discovered(buckets): Discovered,
) -> Result<Collection, Failure> {
    let lost: HashSet<&str> = buckets.lost.iter().map(|(resource, _)| &*resource.name).collect();
    let mut by_region: BTreeMap<Arc<str>, Vec<Resource>> =
        subject.regions.iter().map(|region| (Arc::from(region.as_str()), Vec::new())).collect();
    for resource in buckets.found {
        let region = resource.region.clone().expect("cannot fail: found means that the region is known");
        by_region.entry(region).or_default().push(resource);
    }
    let asked = by_region.into_iter().map(|(region, resources)| {
        let share = session.account().quota_share;
        let cloudwatch = CloudWatch::new(session, &region, limits.of(account_id, &region, share));
        let lost = &lost;
        async move {
            let mut region = Region::new(region, resources);
            if subject.window.is_listed(subject.today) {
                region.ask_for_listed(&cloudwatch, subject, lost).await?;
            } else {
                region.ask_for_everything(&cloudwatch, subject).await?;
            }
            Ok::<_, Failure>(region)
        }
    });
    let regions = future::try_join_all(asked).await?;

    // Credentials that STS took are refused in a region that the account has not enabled, which is that
    // region's own affair. Anything else, where no region answered, is the account's.
    let mut errors = regions.iter().flat_map(|region| &region.errors);
    if let Some(error) = errors.find(|error| error.kind != ErrorKind::Identity)
        && !regions.iter().any(|region| region.answered)
    {
        return Err(Failure::Aws(error.clone()));
    }

    let mut collection = Collection::default();
    for region in regions {
        let first_error = region.errors.first().map(ToString::to_string);
        collection.first_error = collection.first_error.or(first_error);
        collection.rows.extend(region.into_rows(subject));
    }
    for (resource, problem) in buckets.lost {
        let status = problem.into();
        collection.rows.push(Row { resource, datapoint_date: None, values: Vec::new(), status });
    }
    rows::sort(&mut collection.rows);
    if collection.first_error.is_none() {
        let failed = |row: &&Row| matches!(row.status, rows::Status::Denied | rows::Status::Error(_));
        let first = collection.rows.iter().find(failed);
        collection.first_error = first.map(|row| format!("{}: {}", row.resource.name, row.status));
    }
    Ok(collection)
}
