// SPDX-License-Identifier: Apache-2.0
//! Collecting one dataset of one account: discover, plan, ask, assemble. What comes out is rows;
//! where they are stored is decided elsewhere.

mod buckets;
mod collection;
mod newest_day;
mod region;
pub mod series;
mod subject;
mod trouble;

use fleet::{AwsError, Dataset, datasets::Discovery};

pub(crate) use self::trouble::is_not_enabled;
pub use self::{collection::Collection, subject::Subject, trouble::Interruption};
use crate::{account::session::Session, cloudwatch::limits::Limits, table::checkpoint::Checkpoint};

/// How many calls are under way at once in a region, two of them listings.
pub(crate) const CALLS_IN_A_REGION: usize = trouble::CALLS_AT_ONCE + 2;

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
