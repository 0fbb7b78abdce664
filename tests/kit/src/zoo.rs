// SPDX-License-Identifier: Apache-2.0
//! Everything that a bucket can be, as data: what CloudWatch holds of it, and the row that must
//! come of it. Any AWS that takes buckets and datapoints can be filled with it.

use chrono::{Datelike, Days, NaiveDate};

use crate::expected::{Row, STORAGE_TYPES, table};

/// The storage type that `NumberOfObjects` has.
pub const ALL: &str = "AllStorageTypes";

#[derive(Debug, Clone)]
pub struct Specimen {
    pub name: String,
    pub listing: Listing,
    /// Its datapoints: storage type, day, value. [`ALL`] counts objects.
    pub datapoints: Vec<(&'static str, NaiveDate, f64)>,
    /// The expected row; `None` if there must be none.
    pub row: Option<Row>,
}

/// Which listing of S3 names a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// `ListBuckets`.
    Buckets,
    /// `ListDirectoryBuckets`.
    DirectoryBuckets,
    /// None: it is deleted.
    None,
}

/// Whose buckets, and how they are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    pub account: (&'a str, &'a str),
    pub region: &'a str,
    pub date: NaiveDate,
    /// The day on which every bucket says it was created.
    pub created: NaiveDate,
    /// Whether `ListMetrics` still knows the day: then the deleted and the types that have no name here are
    /// found too.
    pub recent: bool,
}

impl Setting<'_> {
    fn before(&self, days: u64) -> NaiveDate {
        self.date - Days::new(days)
    }

    fn bucket(&self, kind: &str, datapoints: &[(&'static str, NaiveDate, f64)]) -> Specimen {
        let name = format!("{kind}-{}-{}", self.region, self.account.0.replace('_', "-"));
        let row = Row::new(&name, self.account, self.region, self.date).cell("creation_date", self.created);
        Specimen { name, listing: Listing::Buckets, datapoints: datapoints.to_vec(), row: Some(row) }
    }

    fn unlisted(&self, kind: &str, datapoints: &[(&'static str, NaiveDate, f64)]) -> Specimen {
        let bucket = self.bucket(kind, datapoints).expect(|row| row.cell("creation_date", ""));
        Specimen { listing: Listing::None, row: bucket.row.filter(|_| self.recent), ..bucket }
    }
}

impl Specimen {
    fn expect(mut self, row: impl FnOnce(Row) -> Row) -> Self {
        self.row = self.row.map(row);
        self
    }

    fn listed_by(self, listing: Listing) -> Self {
        Self { listing, ..self }
    }

    fn named(mut self, suffix: &str) -> Self {
        self.name += suffix;
        let name = self.name.clone();
        self.expect(|row| row.cell("bucket_name", name))
    }
}

pub fn buckets(place: &Setting<'_>) -> Vec<Specimen> {
    let date = place.date;
    let mut every_type = place.bucket("every-type", &[(ALL, date, 12.0), (ALL, place.before(1), 11.0)]);
    let mut sums = std::collections::BTreeMap::<&'static str, u64>::new();
    // Only directory buckets hold it.
    let types = STORAGE_TYPES.iter().filter(|(storage_type, _)| *storage_type != "ExpressOneZoneStorage");
    for (nth, (storage_type, column)) in types.enumerate() {
        // Different in each cell and on each day, so that no two can be taken for each other.
        let bytes = 1_000_000_007 * (nth as u64 + 1) + u64::from(date.ordinal());
        #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
        every_type.datapoints.push((storage_type, date, bytes as f64));
        *sums.entry(column).or_default() += bytes;
    }
    let total: u64 = sums.values().sum();
    let every_type = every_type.expect(|row| {
        let row = row.cell("total_objects", 12).cell("size_total", total);
        sums.iter().fold(row, |row, (column, bytes)| row.cell(column, bytes))
    });

    let sizes = |row: Row, objects: u64, column: &'static str, bytes: u64| {
        row.cell("total_objects", objects).cell(column, bytes).cell("size_total", bytes)
    };
    vec![
        every_type,
        place
            .bucket("zero-bytes", &[(ALL, date, 0.0), ("StandardStorage", date, 0.0)])
            .expect(|row| sizes(row, 0, "size_standard", 0)),
        place.bucket("no-datapoint", &[]).expect(Row::without_data),
        place
            .bucket("late", &[(ALL, place.before(2), 1.0), ("StandardStorage", place.before(2), 9.0)])
            .expect(|row| {
                sizes(row, 1, "size_standard", 9)
                    .cell("datapoint_date", place.before(2))
                    .cell("status", "late")
            }),
        place
            .bucket("too-late", &[(ALL, place.before(3), 1.0), ("StandardStorage", place.before(3), 9.0)])
            .expect(Row::without_data),
        // A lifecycle rule moved the bytes on the night to the day.
        place
            .bucket(
                "moved",
                &[
                    (ALL, place.before(1), 5.0),
                    ("StandardStorage", place.before(1), 500.0),
                    (ALL, date, 5.0),
                    ("GlacierStorage", date, 500.0),
                ],
            )
            .expect(|row| sizes(row, 5, "size_glacier", 500)),
        // What lies after the day does not count.
        place
            .bucket(
                "grown-since",
                &[
                    (ALL, date, 3.0),
                    ("StandardStorage", date, 30.0),
                    (ALL, date + Days::new(1), 4.0),
                    ("StandardStorage", date + Days::new(1), 40.0),
                ],
            )
            .expect(|row| sizes(row, 3, "size_standard", 30)),
        place.bucket("petabytes", &[("DeepArchiveStorage", date, 9_007_199_254_740_991.0)]).expect(|row| {
            let bytes = 9_007_199_254_740_991_u64;
            row.cell("size_deep_archive", bytes).cell("size_total", bytes)
        }),
        place
            .bucket("future-type", &[("StandardStorage", date, 1.0), ("HolographicStorage", date, 41.0)])
            .expect(|row| {
                let known = row.cell("size_standard", 1);
                // An unknown type can't be queried by name.
                if place.recent {
                    known.cell("size_other", 41).cell("size_total", 42)
                } else {
                    known.cell("size_total", 1)
                }
            }),
        place
            .unlisted("gone", &[(ALL, date, 2.0), ("StandardStorage", date, 20.0)])
            .expect(|row| sizes(row, 2, "size_standard", 20).cell("status", "deleted")),
        Specimen {
            row: None,
            ..place.unlisted(
                "long-gone",
                &[(ALL, place.before(1), 2.0), ("StandardStorage", place.before(1), 20.0)],
            )
        },
        place
            .bucket("directory", &[(ALL, date, 6.0), ("ExpressOneZoneStorage", date, 66.0)])
            .named("--az1--x-s3")
            .listed_by(Listing::DirectoryBuckets)
            .expect(|row| sizes(row, 6, "size_express_one_zone", 66)),
    ]
}

/// The whole report of these buckets, sorted as a report is.
pub fn report(buckets: &[Specimen]) -> String {
    let mut rows: Vec<_> =
        buckets.iter().filter_map(|bucket| Some((&bucket.name, bucket.row.clone()?))).collect();
    rows.sort_by_key(|(name, _)| *name);
    table(&rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>())
}
