//! Collecting one dataset of one account: discover, plan, ask, assemble. What comes out is rows;
//! where they go is the sinks' affair.

mod buckets;
mod region;
pub mod series;
mod trouble;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use fleet::{
    AccountId, AccountName, AwsError, Dataset, ErrorKind, aws,
    datasets::{Discovery, Period},
};
use futures::future;
use tokio_util::sync::CancellationToken;

pub(crate) use self::trouble::is_not_enabled;
use self::{region::Region, trouble::Trouble};
use crate::{
    account::session::Session,
    cloudwatch::{
        calls::CloudWatch,
        limits::Limits,
        plan::Window,
        rows::{self, Resource, Row},
    },
    table::Table,
    table::checkpoint::Checkpoint,
};

/// How many calls are under way at once in a region, two of them listings.
pub(crate) const CALLS_IN_A_REGION: usize = region::CALLS_AT_ONCE + 2;

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

/// Why a collection ended before all was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interruption {
    /// A call failed.
    Aws(AwsError),
    /// It was stopped.
    Stopped,
}

/// What to collect.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The dataset.
    pub dataset: &'static Dataset,
    /// The days that a value may be of.
    pub window: Window,
    /// How far apart values are.
    pub period: Period,
    /// The account's name and id, which each row has.
    pub account_name: &'a AccountName,
    /// See `account_name`.
    pub account_id: &'a AccountId,
    /// Whether the series are found by `ListMetrics`.
    pub is_listed: bool,
    /// Whether the values of the day are final.
    pub is_settled: bool,
    /// Regions asked whether or not a bucket is there.
    pub regions: &'a [String],
    /// Whether there may be no other try, so that what fails for a transient cause is left out.
    pub is_last: bool,
    /// Cancelled if the collection is to end with what it has.
    pub stop: CancellationToken,
}

/// The resources of an account, before anything is asked about them.
#[derive(Debug)]
pub struct Discovered(Found);

#[derive(Debug)]
enum Found {
    Buckets(buckets::Buckets),
    /// CloudWatch alone names them.
    Nothing,
}

impl Discovered {
    /// Whether directory buckets could not be listed, in one region at least.
    #[must_use]
    pub fn lacks_directory_buckets(&self) -> bool {
        matches!(&self.0, Found::Buckets(buckets) if buckets.lacks_directories)
    }
}

/// How asking a region ended.
#[derive(Debug)]
struct Ended {
    name: Arc<str>,
    trouble: Trouble,
    /// Whether CloudWatch gave an answer to all that there was to ask, or a part of it.
    answered: bool,
    /// Whether it is not known which rows it has.
    is_pending: bool,
    /// Whether nothing is known to exist there.
    is_empty: bool,
}

impl Ended {
    /// Whether a policy denies the region, and nothing is known to exist there: no row lacks anything for it.
    fn is_denied_and_empty(&self) -> bool {
        let errors = &self.trouble.errors;
        self.is_empty && !errors.is_empty() && errors.iter().all(|error| error.kind == ErrorKind::Denied)
    }
}

/// Finds the account's resources; directory buckets in `regions` too.
pub async fn discover(
    session: &Session,
    dataset: &'static Dataset,
    regions: &[String],
    is_last: bool,
) -> Result<Discovered, AwsError> {
    match dataset.discovery {
        Discovery::ListBuckets => {
            let buckets = buckets::discover(session, regions, is_last).await?;
            Ok(Discovered(Found::Buckets(buckets)))
        }
        Discovery::ListMetrics => Ok(Discovered(Found::Nothing)),
    }
}

/// Collects a dataset of the account that the session is in. Of the rows that `checkpoint` has, only those that lack
/// something are asked for.
///
/// A region that a policy denies, or a series that CloudWatch does not give, costs its own rows
/// and no others.
///
/// # Errors
/// What a region said, if none answered.
pub async fn collect(
    session: &Session,
    limits: &Limits,
    subject: &Subject<'_>,
    Discovered(found): Discovered,
    checkpoint: Option<Checkpoint>,
) -> Result<Collection, AwsError> {
    match found {
        Found::Buckets(buckets) => newest_day(session, limits, subject, buckets, checkpoint).await,
        Found::Nothing => series::collect(session, limits, subject, checkpoint).await,
    }
}

/// Collects the newest day of each bucket.
async fn newest_day(
    session: &Session,
    limits: &Limits,
    subject: &Subject<'_>,
    buckets: buckets::Buckets,
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

/// Takes in how asking each region ended.
///
/// # Errors
/// What a region said, if none answered and no rows were known before.
fn conclude(ended: Vec<Ended>, knows_rows: bool, mut collection: Collection) -> Result<Collection, AwsError> {
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

/// What a region has to be asked for.
#[derive(Debug, Default)]
struct Place {
    /// The resources to ask about.
    resources: Vec<Resource>,
    /// The names of those whose rows are known.
    kept: HashSet<Arc<str>>,
    /// Whether an earlier try has seen all of what the region has.
    was_listed: bool,
}

impl Place {
    fn is_to_ask(&self) -> bool {
        !self.was_listed || !self.resources.is_empty()
    }
}

/// The rows that are known from earlier tries, and what is left to ask in each region, but for the resources that this
/// try has found.
fn places(
    subject: &Subject<'_>,
    buckets: &buckets::Buckets,
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
