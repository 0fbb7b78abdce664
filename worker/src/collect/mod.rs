//! Collecting one dataset of one account: discover, plan, ask, assemble. What comes out is rows;
//! where they go is the sinks' affair.

mod buckets;
mod newest_day;
mod region;
pub mod series;
mod trouble;

use std::sync::Arc;

use fleet::{
    AccountId, AccountName, AwsError, Dataset, ErrorKind,
    datasets::{Discovery, Period},
};
use tokio_util::sync::CancellationToken;

use self::trouble::Trouble;
pub(crate) use self::trouble::is_not_enabled;
use crate::{
    account::session::Session,
    cloudwatch::{limits::Limits, plan::Window},
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
        Found::Buckets(buckets) => newest_day::collect(session, limits, subject, buckets, checkpoint).await,
        Found::Nothing => series::collect(session, limits, subject, checkpoint).await,
    }
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
