// SPDX-License-Identifier: Apache-2.0
//! What is in the buckets, and the report that must come of it. A value is a plain function of the seed, the
//! bucket, the storage type and the day: nothing here is the product's, nor asked of any AWS.

use std::sync::LazyLock;

use chrono::{Datelike, Days, NaiveDate};
use fastrand::Rng;
use kit::{
    expected::{Row, STORAGE_TYPES},
    zoo::ALL,
};

/// A storage type that AWS does not have.
const UNHEARD_OF: &str = "HolographicStorage";

/// The one storage type that directory buckets alone have.
const EXPRESS: &str = "ExpressOneZoneStorage";

/// The storage types that other buckets have.
static GENERAL: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| STORAGE_TYPES.iter().map(|(name, _)| *name).filter(|name| *name != EXPRESS).collect());

/// How many days older a value may be than the day asked for.
const LOOKBACK: u64 = 2;

/// What is odd about a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Plain,
    /// It has every storage type.
    EveryType,
    /// On some days it has no datapoint.
    Gappy,
    /// All its bytes are in one storage type on even days, and in another on odd ones.
    Moving,
    /// It never had a datapoint.
    Silent,
    /// It holds nothing, and CloudWatch says so.
    Zero,
    /// It holds the most that a double counts exactly.
    Huge,
    /// A part of it is of an unknown type.
    UnheardOf,
    /// `ListBuckets` does not say where it is.
    Nowhere,
    /// It is gone since that day.
    Deleted(NaiveDate),
    /// A directory bucket, which has a listing of its own.
    Directory,
}

/// A bucket and what is in it.
#[derive(Debug, Clone)]
pub(crate) struct KnownBucket {
    pub(crate) name: String,
    pub(crate) region: &'static str,
    pub(crate) kind: Kind,
    pub(crate) created: NaiveDate,
    pub(crate) seed: u64,
}

/// The days that a report of `date` may take its values from, newest first.
pub(crate) fn window(date: NaiveDate) -> impl Iterator<Item = NaiveDate> {
    (0..=LOOKBACK).map(move |days| date - Days::new(days))
}

/// The day whose window begins on this one.
pub(crate) fn day_of_window(begins: NaiveDate) -> NaiveDate {
    begins + Days::new(LOOKBACK)
}

impl KnownBucket {
    pub(crate) fn is_listed(&self) -> bool {
        !matches!(self.kind, Kind::Deleted(_))
    }

    /// What CloudWatch holds of it for a day: storage types and values.
    pub(crate) fn datapoints(&self, day: NaiveDate) -> Vec<(&'static str, u64)> {
        let number = day.num_days_from_ce().unsigned_abs();
        let plain = || {
            let types = 1 + self.seed % 4;
            (0..types).map(|nth| GENERAL[pick(self.seed, nth, GENERAL.len())]).collect()
        };
        let mut types: Vec<&'static str> = match self.kind {
            Kind::Plain | Kind::Nowhere | Kind::Huge | Kind::Zero => plain(),
            Kind::EveryType => GENERAL.clone(),
            Kind::Gappy if pick(self.seed, u64::from(number), 2) == 0 => plain(),
            Kind::Moving if number.is_multiple_of(2) => vec!["StandardStorage"],
            Kind::Moving => vec!["GlacierStorage"],
            Kind::UnheardOf => vec!["StandardStorage", UNHEARD_OF],
            Kind::Directory => vec![EXPRESS],
            Kind::Deleted(since) if day < since => plain(),
            Kind::Gappy | Kind::Silent | Kind::Deleted(_) => return Vec::new(),
        };
        types.sort_unstable();
        types.dedup();
        types.push(ALL);
        types.into_iter().map(|name| (name, self.value(name, number))).collect()
    }

    fn value(&self, storage_type: &str, day: u32) -> u64 {
        if self.kind == Kind::Zero {
            return 0;
        }
        if self.kind == Kind::Huge && storage_type != ALL {
            return (1 << 53) - 1;
        }
        let own =
            storage_type.bytes().fold(u64::from(day), |sum, byte| sum.wrapping_mul(257) + u64::from(byte));
        let magnitude = if storage_type == ALL { 1 << 20 } else { 1 << 40 };
        1 + Rng::with_seed(self.seed ^ own).u64(0..magnitude)
    }

    /// The row that a report of `date` must have of it. `recent` is whether CloudWatch still lists what there
    /// was that day: else nobody finds what S3 does not list, nor types that nobody knows by name.
    pub(crate) fn row(&self, account: (&str, &str), date: NaiveDate, recent: bool) -> Option<Row> {
        if !self.is_listed() && !recent {
            return None;
        }
        let row = Row::new(&self.name, account, self.region, date);
        let row = if self.is_listed() { row.cell("creation_date", self.created) } else { row };
        let newest = window(date).map(|day| (day, self.datapoints(day))).find(|(_, found)| !found.is_empty());
        let Some((day, found)) = newest else {
            return self.is_listed().then(|| row.without_data());
        };
        let status = match self.kind {
            Kind::Deleted(_) if day != date => return None,
            Kind::Deleted(_) => "deleted",
            _ if day != date => "late",
            _ => "ok",
        };
        let mut row = row.cell("datapoint_date", day).cell("status", status);
        let mut sizes = std::collections::BTreeMap::<&'static str, u64>::new();
        for (storage_type, value) in found {
            let known = STORAGE_TYPES.iter().find(|(name, _)| *name == storage_type);
            match known {
                Some((_, column)) => *sizes.entry(column).or_default() += value,
                None if storage_type == ALL => row = row.cell("total_objects", value),
                None if recent => *sizes.entry("size_other").or_default() += value,
                None => {}
            }
        }
        let total: u64 = sizes.values().sum();
        row = row.cell("size_total", total);
        Some(sizes.into_iter().fold(row, |row, (column, value)| row.cell(column, value)))
    }
}

/// A number below `count`, by seed.
pub(crate) fn pick(seed: u64, nth: u64, count: usize) -> usize {
    Rng::with_seed(seed ^ nth.wrapping_mul(0x9e37_79b9_7f4a_7c15)).usize(0..count)
}

#[cfg(test)]
mod tests {
    use kit::expected::table;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn bucket(kind: Kind) -> KnownBucket {
        KnownBucket { name: "b".into(), region: "eu-west-1", kind, created: day("2025-01-01"), seed: 42 }
    }

    fn line(kind: Kind, recent: bool) -> Option<String> {
        let row = bucket(kind).row(("data", "111111111111"), day("2026-11-10"), recent)?;
        table(&[row]).lines().nth(1).map(str::to_owned)
    }

    #[test]
    fn values_are_the_same_each_time_and_differ_from_day_to_day() {
        let bucket = bucket(Kind::EveryType);
        assert_eq!(bucket.datapoints(day("2026-11-10")), bucket.datapoints(day("2026-11-10")));
        assert_ne!(bucket.datapoints(day("2026-11-10")), bucket.datapoints(day("2026-11-09")));
        assert_eq!(bucket.datapoints(day("2026-11-10")).len(), GENERAL.len() + 1);
    }

    #[test]
    fn what_is_not_listed_is_found_on_recent_days_only() {
        let gone = Kind::Deleted(day("2026-11-11"));
        assert!(line(gone, true).is_some_and(|line| line.ends_with(",2026-11-10,2026-11-10,deleted")));
        assert_eq!(line(gone, false), None);
        assert_eq!(line(Kind::Deleted(day("2026-11-10")), true), None, "it was not there on the day");
        assert!(line(Kind::Directory, true).is_some() && line(Kind::Directory, false).is_some());
    }

    #[test]
    fn a_silent_bucket_has_a_row_without_values() {
        let line = line(Kind::Silent, true).expect("a row");
        assert!(line.ends_with(",111111111111,eu-west-1,2026-11-10,,no_data"), "{line}");
    }
}
