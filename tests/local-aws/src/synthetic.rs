// SPDX-License-Identifier: Apache-2.0
//! A world by seed: many buckets whose every value is a pure function of seed, bucket, storage type and day, computed
//! when it is asked for. 100,000 buckets with every storage type over 455 days cost the buckets' names and no more.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::account::Account;
use crate::cloudwatch::DAY;
use crate::s3::NewBucket;
use crate::world::World;

/// The storage types that a synthetic bucket may have. `GlacierIRSizeOverhead` is left out: it is another name of
/// `GlacierInstantRetrievalSizeOverhead`. So is `ExpressOneZoneStorage`, which directory buckets alone have.
pub const STORAGE_TYPES: [&str; 26] = [
    "StandardStorage",
    "StandardIAStorage",
    "OneZoneIAStorage",
    "GlacierInstantRetrievalStorage",
    "GlacierStorage",
    "DeepArchiveStorage",
    "ReducedRedundancyStorage",
    "IntelligentTieringFAStorage",
    "IntelligentTieringIAStorage",
    "IntelligentTieringAIAStorage",
    "IntelligentTieringAAStorage",
    "IntelligentTieringDAAStorage",
    "IntAAObjectOverhead",
    "IntAAS3ObjectOverhead",
    "IntDAAObjectOverhead",
    "IntDAAS3ObjectOverhead",
    "StandardIASizeOverhead",
    "StandardIAObjectOverhead",
    "OneZoneIASizeOverhead",
    "GlacierInstantRetrievalSizeOverhead",
    "GlacierStagingStorage",
    "GlacierObjectOverhead",
    "GlacierS3ObjectOverhead",
    "DeepArchiveStagingStorage",
    "DeepArchiveObjectOverhead",
    "DeepArchiveS3ObjectOverhead",
];

/// The storage type under which objects are counted.
pub(crate) const ALL_STORAGE_TYPES: &str = "AllStorageTypes";
pub(crate) const BUCKET_SIZE_BYTES: &str = "BucketSizeBytes";
pub(crate) const NUMBER_OF_OBJECTS: &str = "NumberOfObjects";

pub(crate) const REGIONS: [&str; 12] = [
    "eu-west-1",
    "us-east-1",
    "us-west-2",
    "eu-central-1",
    "ap-southeast-1",
    "ap-northeast-1",
    "us-east-2",
    "eu-west-2",
    "ap-south-1",
    "ca-central-1",
    "eu-north-1",
    "sa-east-1",
];
const WORDS: [&str; 10] =
    ["logs", "backup", "assets", "lake", "reports", "models", "exports", "media", "archive", "staging"];

/// What a synthetic world is made of. The same plan and day make the same world.
#[derive(Debug, Clone)]
pub struct Synthetic {
    /// How many accounts: `111111111111`, `222222222222` and so on.
    pub accounts: usize,
    /// How many buckets each account has, besides the deleted ones.
    pub buckets: usize,
    /// How many regions they are spread over, at most 12.
    pub regions: usize,
    /// The most storage types that a bucket has (of 26); every bucket has at least one.
    pub storage_types: usize,
    /// How many days of history there are.
    pub days: u32,
    /// Decides everything else.
    pub seed: u64,
    /// Deleted buckets in each account: their series end some days ago, and `ListBuckets` does not name them.
    pub deleted: usize,
    /// Buckets whose newest datapoints are a day late, in each account.
    pub late: usize,
    /// Buckets without any datapoint, in each account.
    pub empty: usize,
    /// The day after the newest datapoints; absent: today, in UTC.
    pub today: Option<NaiveDate>,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self {
            accounts: 1,
            buckets: 100,
            regions: 3,
            storage_types: 3,
            days: 455,
            seed: 1,
            deleted: 0,
            late: 0,
            empty: 0,
            today: None,
        }
    }
}

impl Synthetic {
    pub(crate) fn build(&self, world: &Arc<World>) -> Vec<SyntheticAccount> {
        (0..self.accounts).map(|number| self.build_account(world, &account_id(number))).collect()
    }

    fn build_account(&self, world: &Arc<World>, account: &str) -> SyntheticAccount {
        let today = self.today.unwrap_or_else(|| world.now().date_naive());
        let regions = &REGIONS[..self.regions.clamp(1, REGIONS.len())];
        let mut made: Vec<SyntheticRegion> = regions.iter().map(|_| SyntheticRegion::default()).collect();
        let mut names = Vec::with_capacity(self.buckets + self.deleted);
        for number in 0..self.buckets + self.deleted {
            let hash = mix(self.seed ^ mix(text_hash(account) ^ mix(number as u64)));
            let region = pick(hash, 0, regions.len());
            let name = format!("{}-{}-{number:06}", WORDS[pick(hash, 1, WORDS.len())], &account[6..]);
            let deleted = number >= self.buckets;
            if !deleted {
                let age = TimeDelta::seconds(i64::try_from(mix(hash) % (900 * 86_400)).unwrap_or(0));
                let created = today.and_time(NaiveTime::MIN).and_utc() - age;
                let bucket =
                    NewBucket { account, name: &name, region: regions[region], created, is_directory: false };
                world.buckets.insert(&bucket);
            }
            let days = self.life(hash, number, today);
            made[region].add(SyntheticBucket { name: name.clone(), hash, types: self.types_of(hash), days });
            names.push((name, regions[region].to_owned()));
        }
        for (region, made) in regions.iter().zip(made) {
            let metrics = world.cloudwatch.region(account, region);
            metrics.write().unwrap_or_else(PoisonError::into_inner).synthetic = Some(Arc::new(made));
        }
        let account = Account::new(world.clone(), account);
        SyntheticAccount { account, buckets: names, listed: self.buckets }
    }

    /// The days since the epoch on which a bucket has datapoints.
    fn life(&self, hash: u64, number: usize, today: NaiveDate) -> Range<i64> {
        let today = days_since_epoch(today);
        let first = today - i64::from(self.days);
        let end = if number >= self.buckets {
            today - 2 - i64::try_from(mix(hash ^ 5) % 9).unwrap_or(0)
        } else if number < self.empty {
            first
        } else if number < self.empty + self.late {
            today - 1
        } else {
            today
        };
        first..end.max(first)
    }

    /// A set of at most `storage_types` types; `StandardStorage` is in most of them.
    fn types_of(&self, hash: u64) -> u32 {
        let most = self.storage_types.clamp(1, STORAGE_TYPES.len());
        if most == STORAGE_TYPES.len() {
            return (1 << STORAGE_TYPES.len()) - 1;
        }
        let mut types = u32::from(mix(hash ^ 2) % 10 < 9);
        for step in 0..pick(hash, 3, most) {
            types |= 1 << pick(hash, 10 + step as u64, STORAGE_TYPES.len());
        }
        if types == 0 { 1 } else { types }
    }
}

#[derive(Clone)]
pub struct SyntheticAccount {
    /// The account, for more to be added to it and for its truth.
    pub account: Account,
    buckets: Vec<(String, String)>,
    listed: usize,
}

impl SyntheticAccount {
    /// The account's id, which is its access key too.
    pub fn id(&self) -> &str {
        self.account.id()
    }

    /// Name and region of every bucket that `ListBuckets` names.
    pub fn buckets(&self) -> &[(String, String)] {
        &self.buckets[..self.listed]
    }

    /// Name and region of the deleted buckets.
    pub fn deleted_buckets(&self) -> &[(String, String)] {
        &self.buckets[self.listed..]
    }
}

fn account_id(number: usize) -> String {
    if number < 9 { (number + 1).to_string().repeat(12) } else { format!("{:012}", 100_000_000_000 + number) }
}

/// The synthetic buckets of one account in one region.
#[derive(Debug, Default)]
pub(crate) struct SyntheticRegion {
    buckets: Vec<SyntheticBucket>,
    index: HashMap<String, usize>,
}

#[derive(Debug)]
struct SyntheticBucket {
    name: String,
    hash: u64,
    types: u32,
    days: Range<i64>,
}

/// A place in the listing of a region's series: a bucket, and one of its 28 possible series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SeriesCursor {
    pub(crate) bucket: usize,
    pub(crate) series: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Series<'a> {
    bucket: &'a SyntheticBucket,
    /// A place in [`STORAGE_TYPES`], or one past it for the count of objects.
    kind: usize,
}

impl SyntheticRegion {
    fn add(&mut self, bucket: SyntheticBucket) {
        self.index.insert(bucket.name.clone(), self.buckets.len());
        self.buckets.push(bucket);
    }

    pub(crate) fn series(&self, bucket: &str, metric: &str, storage_type: &str) -> Option<Series<'_>> {
        let kind = match metric {
            NUMBER_OF_OBJECTS if storage_type == ALL_STORAGE_TYPES => STORAGE_TYPES.len(),
            BUCKET_SIZE_BYTES => STORAGE_TYPES.iter().position(|name| *name == storage_type)?,
            _ => return None,
        };
        let bucket = &self.buckets[*self.index.get(bucket)?];
        bucket.has(kind).then_some(Series { bucket, kind })
    }

    /// Every series from a place on, each with its place.
    pub(crate) fn all_series(&self, from: SeriesCursor) -> impl Iterator<Item = (SeriesCursor, Series<'_>)> {
        self.buckets.iter().enumerate().skip(from.bucket).flat_map(move |(number, bucket)| {
            let first = if number == from.bucket { from.series } else { 0 };
            (first..=STORAGE_TYPES.len())
                .filter(|kind| bucket.has(*kind))
                .map(move |kind| (SeriesCursor { bucket: number, series: kind }, Series { bucket, kind }))
        })
    }
}

impl SyntheticBucket {
    fn has(&self, kind: usize) -> bool {
        kind == STORAGE_TYPES.len() || self.types & (1 << kind) != 0
    }
}

impl<'a> Series<'a> {
    pub(crate) fn bucket(&self) -> &'a str {
        &self.bucket.name
    }

    pub(crate) fn metric(&self) -> &'static str {
        if self.kind == STORAGE_TYPES.len() { NUMBER_OF_OBJECTS } else { BUCKET_SIZE_BYTES }
    }

    pub(crate) fn storage_type(&self) -> &'static str {
        STORAGE_TYPES.get(self.kind).copied().unwrap_or(ALL_STORAGE_TYPES)
    }

    pub(crate) fn unit(&self) -> &'static str {
        if self.kind == STORAGE_TYPES.len() { "Count" } else { "Bytes" }
    }

    pub(crate) fn newest(&self) -> Option<i64> {
        (!self.bucket.days.is_empty()).then(|| (self.bucket.days.end - 1) * DAY)
    }

    /// The datapoints within a range of seconds, oldest first.
    pub(crate) fn points(self, range: Range<i64>) -> impl Iterator<Item = (i64, f64)> + use<'a> {
        let first = (range.start + DAY - 1).div_euclid(DAY).max(self.bucket.days.start);
        let end = (range.end + DAY - 1).div_euclid(DAY).min(self.bucket.days.end);
        (first..end).map(move |day| (day * DAY, self.value(day)))
    }

    /// A whole number: a size of the series' own, some percent up or down from day to day.
    fn value(&self, day: i64) -> f64 {
        let own = mix(self.bucket.hash ^ mix(self.kind as u64 + 100));
        // Fewer objects than bytes, so that a person who reads the numbers believes them.
        let magnitude = if self.kind == STORAGE_TYPES.len() { 16 } else { 30 };
        let base = 1 + own % (1 << (10 + own % magnitude));
        let wobble = mix(own ^ day.unsigned_abs()) % (base / 16 + 1);
        #[expect(clippy::cast_precision_loss, reason = "below 2^41: a double holds it exactly")]
        let value = (base + wobble) as f64;
        value
    }
}

fn days_since_epoch(day: NaiveDate) -> i64 {
    day.and_time(NaiveTime::MIN).and_utc().timestamp().div_euclid(DAY)
}

/// Midnight, UTC, in seconds since the epoch.
pub(crate) fn midnight(day: NaiveDate) -> i64 {
    day.and_time(NaiveTime::MIN).and_utc().timestamp()
}

/// The default creation date of a bucket: long before anything that a test looks at.
pub(crate) fn long_ago() -> DateTime<Utc> {
    let today = Utc::now().date_naive();
    today.checked_sub_days(Days::new(400)).unwrap_or(today).and_time(NaiveTime::MIN).and_utc()
}

fn pick(hash: u64, salt: u64, count: usize) -> usize {
    usize::try_from(mix(hash ^ mix(salt)) % count.max(1) as u64).unwrap_or(0)
}

pub(crate) fn text_hash(text: &str) -> u64 {
    text.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)))
}

/// `SplitMix64`'s finalizer: every bit of the input moves every bit of the output.
pub(crate) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Synthetic {
        let today = NaiveDate::from_ymd_opt(2026, 11, 21);
        Synthetic { buckets: 20, deleted: 2, late: 3, empty: 2, days: 30, today, ..Synthetic::default() }
    }

    fn region(plan: &Synthetic) -> SyntheticRegion {
        let today = plan.today.expect("set");
        let mut region = SyntheticRegion::default();
        for number in 0..plan.buckets + plan.deleted {
            let hash = mix(number as u64);
            let days = plan.life(hash, number, today);
            region.add(SyntheticBucket { name: number.to_string(), hash, types: plan.types_of(hash), days });
        }
        region
    }

    #[test]
    fn values_are_whole_the_same_each_time_and_move_from_day_to_day() {
        let region = region(&plan());
        let series =
            region.series("10", NUMBER_OF_OBJECTS, ALL_STORAGE_TYPES).expect("every bucket has a count");
        let all = |range| series.points(range).collect::<Vec<_>>();
        let points = all(0..i64::MAX / 2);
        assert_eq!(points.len(), 30);
        assert!(points.iter().all(|(at, value)| at % DAY == 0 && value.fract() == 0.0 && *value >= 1.0));
        assert_eq!(points, all(0..i64::MAX / 2));
        let (second, third) = (points[1].0, points[2].0);
        assert_eq!(all(second..third), points[1..2], "the start is inclusive, the end is not");
        assert_eq!(all(second + 1..third), []);
    }

    #[test]
    fn empty_late_and_deleted_buckets_end_when_they_should() {
        let region = region(&plan());
        let today = days_since_epoch(plan().today.expect("set"));
        let newest = |bucket: &str| {
            let series = region.series(bucket, NUMBER_OF_OBJECTS, ALL_STORAGE_TYPES).expect("a count");
            series.newest().map(|at| today - at / DAY)
        };
        assert_eq!(newest("0"), None);
        assert_eq!(newest("2"), Some(2));
        assert_eq!(newest("10"), Some(1));
        assert!(newest("21").is_some_and(|age| age >= 3));
    }

    #[test]
    fn a_listing_can_begin_anywhere() {
        let region = region(&plan());
        let all: Vec<SeriesCursor> =
            region.all_series(SeriesCursor::default()).map(|(place, _)| place).collect();
        for (number, place) in all.iter().enumerate() {
            assert_eq!(region.all_series(*place).count(), all.len() - number);
        }
        assert!(STORAGE_TYPES.len() < 32, "a set of types is a u32");
    }
}
