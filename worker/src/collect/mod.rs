//! Collecting one dataset of one account: discover, plan, ask, assemble. What comes out is rows;
//! where they go is the sinks' affair.

mod buckets;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use fleet::{AccountId, AwsError, Dataset, ErrorKind, ReportDate, datasets::Discovery};
use futures::{StreamExt, future, stream};

use crate::{
    cloudwatch::{
        calls::{CloudWatch, Query},
        limits::Limits,
        plan::{ListedSeries, Plan, Window},
        rows::{self, Problem, Reading, Resource, Row},
    },
    failure::Failure,
    session::{self, Session},
};

/// How many `GetMetricData` calls of one region wait for an answer at once. The quota sets the pace, and all of
/// it is kept up with while an answer takes up to a quarter of a second; this bounds memory where answers are slow.
const CALLS_AT_ONCE: usize = 12;

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

/// One region's part.
#[derive(Debug, Default)]
struct Region {
    name: Arc<str>,
    resources: Vec<Resource>,
    readings: Vec<Reading>,
    errors: Vec<AwsError>,
    /// Whether CloudWatch gave an answer to all that there was to ask, or a part of it.
    answered: bool,
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
    let lost: HashSet<&str> = buckets.lost.iter().map(|(resource, _)| resource.name.as_str()).collect();
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
        async move { collect_region(&cloudwatch, &region, resources, subject, lost).await }
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
        let first_error = region.errors.first().map(|error| format!("{}: {error}", region.name));
        collection.first_error = collection.first_error.or(first_error);
        let rows = region.resources.into_iter().zip(region.readings);
        collection
            .rows
            .extend(rows.filter_map(|(resource, reading)| reading.into_row(resource, subject.window)));
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

async fn collect_region(
    cloudwatch: &CloudWatch,
    region: &Arc<str>,
    mut resources: Vec<Resource>,
    subject: &Subject<'_>,
    lost: &HashSet<&str>,
) -> Result<Region, Failure> {
    let Subject { dataset, window, today, .. } = subject;
    let mut asked = Region { name: region.clone(), ..Region::default() };
    let plan = if window.is_listed(*today) {
        let listings = dataset.metrics.iter().map(|metric| cloudwatch.list_metrics(dataset, metric));
        match future::try_join_all(listings).await {
            Ok(listings) => {
                let mut listed: Vec<ListedSeries> = listings.into_iter().flatten().collect();
                // Of these it is told already that they could not be found.
                listed.retain(|series| !lost.contains(series.resource.as_str()));
                let plan = of_listed(dataset, &listed, &mut resources, region);
                // Where there is nothing to ask, the list was the answer.
                asked.answered = plan.series.is_empty();
                plan
            }
            Err(error) => {
                asked.readings.resize_with(resources.len(), Reading::default);
                fail(&mut asked.readings, region, &error, subject.is_last)?;
                asked.errors.push(error);
                asked.resources = resources;
                return Ok(asked);
            }
        }
    } else {
        Plan::of_everything(dataset, resources.len())
    };

    asked.readings.resize_with(resources.len(), Reading::default);
    let query = Query {
        dataset,
        kinds: &plan.kinds,
        resource_name: |place: u32| resources[place as usize].name.as_str(),
        window: *window,
    };
    // By number, and not by the batch itself: a closure over a borrowed batch can't be sent
    // between threads.
    let calls = (0..plan.batches().len()).map(|nth| {
        let (query, batch) = (&query, plan.batch(nth));
        async move { (batch, cloudwatch.get_metric_data(query, batch).await) }
    });
    let mut calls = stream::iter(calls).buffer_unordered(CALLS_AT_ONCE);
    while let Some((batch, answers)) = calls.next().await {
        match answers {
            Ok(answers) => {
                asked.answered = true;
                for (series, answer) in batch.iter().zip(answers) {
                    let column = plan.kinds[usize::from(series.kind)].column;
                    asked.readings[series.resource as usize].add(column, answer, *window);
                }
            }
            Err(error) => {
                let readings = &mut asked.readings;
                // The series of a resource stand beside each other.
                let of_batch = batch
                    .first()
                    .zip(batch.last())
                    .map_or(0..0, |(first, last)| first.resource as usize..last.resource as usize + 1);
                fail(&mut readings[of_batch], region, &error, subject.is_last)?;
                asked.errors.push(error);
            }
        }
    }
    drop(calls);
    asked.resources = resources;
    Ok(asked)
}

/// Marks the resources that a failed call was about, unless a later try may do better.
fn fail(readings: &mut [Reading], region: &str, error: &AwsError, is_last: bool) -> Result<(), Failure> {
    let problem = match error.kind {
        _ if session::is_over(error) => return Err(Failure::Aws(error.clone())),
        ErrorKind::Transient if !is_last => return Err(Failure::Aws(error.clone())),
        ErrorKind::Denied => Problem::Denied,
        _ => Problem::Error(error.code.clone()),
    };
    tracing::warn!(region, error = %error, resources = readings.len(), "the region could not be asked");
    for reading in readings {
        reading.fail(problem.clone());
    }
    Ok(())
}

/// The plan of what CloudWatch named, with a resource added for each name that was not discovered.
fn of_listed(
    dataset: &'static Dataset,
    listed: &[ListedSeries],
    resources: &mut Vec<Resource>,
    region: &Arc<str>,
) -> Plan {
    let mut places: HashMap<String, usize> =
        resources.iter().enumerate().map(|(at, resource)| (resource.name.clone(), at)).collect();
    let plan = Plan::of_listed(dataset, listed, |name| {
        places.get(name).copied().unwrap_or_else(|| {
            let listing = match dataset.discovery {
                Discovery::Buckets => buckets::listing_of_unnamed(name),
            };
            let (name, region) = (name.to_owned(), Some(region.clone()));
            places.insert(name.clone(), resources.len());
            resources.push(Resource { name, region, creation_date: None, listing });
            resources.len() - 1
        })
    });
    for kind in plan.unknown_kinds(dataset) {
        let column = dataset.columns[usize::from(kind.column)].name;
        tracing::warn!(
            region = &**region,
            metric = kind.metric.name,
            "{} {:?} is not known by name; it is summed in {column}",
            kind.metric.dimension,
            kind.value
        );
    }
    plan
}
