// SPDX-License-Identifier: Apache-2.0
//! Collects one dataset of one account: discovers its resources, plans the queries, makes them, and assembles the rows.
//! The caller decides where to store them.

mod buckets;
mod collected;
mod collection;
mod known;
mod newest_day;
mod region;
mod region_health;
mod scope;
pub mod series;

use fleet::{
    AwsError, Dataset,
    datasets::{Discovery, Regions},
};

pub(crate) use self::region_health::is_not_enabled;
pub use self::{
    collected::Collected, collection::Collection, known::Known, region_health::Interruption, scope::Scope,
};
use crate::{
    account::{
        enabled,
        session::{self, Session},
    },
    cloudwatch::limits::Limits,
};

/// The maximum number of calls in flight in a region, two of them listings.
pub(crate) const CALLS_IN_A_REGION: usize = region_health::CALLS_AT_ONCE + 2;

/// The resources of an account, before they are queried.
#[derive(Debug, Clone)]
pub struct Discovered(Found);

#[derive(Debug, Clone)]
enum Found {
    Buckets(buckets::Buckets),
    /// Only CloudWatch lists them. `enabled` are the account's regions, if they matter and are known.
    Series {
        enabled: Option<Vec<String>>,
        lacks_regions: bool,
    },
}

impl Discovered {
    /// Whether directory buckets could not be listed in at least one region.
    #[must_use]
    pub fn lacks_directory_buckets(&self) -> bool {
        matches!(&self.0, Found::Buckets(buckets) if buckets.lacks_directories)
    }

    /// Whether the account's regions could not be listed.
    #[must_use]
    pub fn lacks_regions(&self) -> bool {
        matches!(&self.0, Found::Series { lacks_regions: true, .. })
    }
}

/// Discovers the account's resources, including directory buckets in `regions`.
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
        Discovery::ListMetrics | Discovery::ListFunctions if dataset.regions == Regions::Enabled => {
            match enabled::regions(session).await {
                Ok(regions) => Ok(Discovered(Found::Series { enabled: Some(regions), lacks_regions: false })),
                // Another attempt may learn them, or the account is left, whatever is asked of it.
                Err(error) if error.is_transient() && !is_last || session::ends_session(&error) => Err(error),
                Err(error) => {
                    tracing::warn!(error = %error, "the account's regions can't be listed; the configured ones are asked");
                    Ok(Discovered(Found::Series { enabled: None, lacks_regions: true }))
                }
            }
        }
        Discovery::ListMetrics | Discovery::ListFunctions => {
            Ok(Discovered(Found::Series { enabled: None, lacks_regions: false }))
        }
    }
}

/// Collects a dataset of the session's account for each report of the scope. What earlier attempts know is not queried
/// again.
///
/// If a policy denies a region, or CloudWatch does not return a series, only its own rows are affected.
///
/// # Errors
///
/// The error of a region, if no region answered.
pub async fn collect(
    session: &Session,
    limits: &Limits,
    scope: &Scope<'_>,
    discovered: Discovered,
    known: &Known,
) -> Result<Collected, AwsError> {
    let lacks_regions = discovered.lacks_regions();
    match discovered.0 {
        Found::Buckets(buckets) => newest_day::collect(session, limits, scope, buckets, known).await,
        Found::Series { enabled, .. } => {
            let enabled = enabled.unwrap_or_default();
            let collected = series::collect(session, limits, scope, &enabled, known).await?;
            Ok(Collected { lacks_regions, ..collected })
        }
    }
}

/// The number of resources of a dataset: the buckets, or what `ListMetrics` lists.
pub async fn count(session: &Session, limits: &Limits, scope: &Scope<'_>, discovered: &Discovered) -> usize {
    match &discovered.0 {
        Found::Buckets(buckets) => buckets.found.len(),
        Found::Series { enabled, .. } => {
            series::count(session, limits, scope, enabled.as_deref().unwrap_or_default()).await
        }
    }
}
