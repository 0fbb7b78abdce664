//! How often each series was asked for and answered by `GetMetricData`: what is paid for, and paid for again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::store::MetricRef;

/// A series of S3's storage metrics, and how often `GetMetricData` answered a query for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AskedSeries {
    /// The account whose metrics were asked for.
    pub account: String,
    /// The region asked.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// The storage type.
    pub storage_type: String,
    /// Where the queries began.
    pub start: DateTime<Utc>,
    /// How many queries were answered as complete.
    pub times: u64,
}

/// The counts, once they are asked for: a benchmark is not to pay for them.
#[derive(Default)]
pub(crate) struct Asked {
    counts: Mutex<Option<HashMap<AskedSeries, u64>>>,
}

impl Asked {
    pub(crate) fn begin(&self) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = Some(HashMap::new());
    }

    /// What counts the queries of a call, if they are counted.
    pub(crate) fn counting<'a>(&'a self, account: &'a str, region: &'a str) -> Option<Counting<'a>> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.is_some().then_some(Counting { counts, account, region })
    }

    /// All counts, sorted.
    pub(crate) fn all(&self) -> Vec<AskedSeries> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let with_times =
            |(series, times): (&AskedSeries, &u64)| AskedSeries { times: *times, ..series.clone() };
        let mut all: Vec<_> = counts.iter().flatten().map(with_times).collect();
        all.sort();
        all
    }
}

/// Counts the queries of one call.
pub(crate) struct Counting<'a> {
    counts: MutexGuard<'a, Option<HashMap<AskedSeries, u64>>>,
    account: &'a str,
    region: &'a str,
}

impl Counting<'_> {
    /// Counts a query that was answered.
    pub(crate) fn add(&mut self, metric: &MetricRef<'_>, start: i64) {
        let dimension = |name| metric.dimension(name).unwrap_or_default().to_owned();
        let series = AskedSeries {
            account: self.account.to_owned(),
            region: self.region.to_owned(),
            bucket: dimension("BucketName"),
            storage_type: dimension("StorageType"),
            start: DateTime::from_timestamp(start, 0).unwrap_or_default(),
            times: 0,
        };
        if let Some(counts) = self.counts.as_mut() {
            *counts.entry(series).or_default() += 1;
        }
    }
}
