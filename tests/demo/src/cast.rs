//! Who plays: the accounts and their buckets. Plain functions over values; every number follows from
//! a bucket's name, so that the same day makes the same world.

use chrono::{Days, NaiveDate};

/// An account to report on.
#[derive(Debug)]
pub(crate) struct Account {
    /// Its name in the fleet.
    pub(crate) name: &'static str,
    /// Its id, which is its access key too.
    pub(crate) id: &'static str,
    /// Where its buckets lie.
    pub(crate) regions: &'static [&'static str],
    /// How many buckets it has for 100 of the largest account.
    share: u32,
    /// What its buckets are for.
    purposes: &'static [&'static str],
    /// How its buckets' bytes are spread over storage types.
    spreads: &'static [Spread],
    /// How many of its buckets hold nothing.
    empty: u32,
    /// Of how many CloudWatch has not published the day yet.
    late: u32,
    /// How many more there were on the day, and are gone now.
    deleted: u32,
}

/// Storage types, and the part of a bucket's bytes in each, in percent.
type Spread = &'static [(&'static str, u32)];

/// The account whose keys the workers get only once its job has failed of that.
pub(crate) const FORGOTTEN: &str = "legacy";

/// The accounts, largest first.
pub(crate) static CAST: [Account; 5] = [
    Account {
        name: "data",
        id: "210987654321",
        regions: &["eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-southeast-1"],
        share: 100,
        purposes: &["lake", "events", "exports", "models", "warehouse"],
        spreads: &[
            &[("StandardStorage", 100)],
            &[("StandardStorage", 40), ("StandardIAStorage", 60)],
            &[("StandardStorage", 10), ("StandardIAStorage", 20), ("GlacierStorage", 70)],
        ],
        empty: 2,
        late: 3,
        deleted: 1,
    },
    Account {
        name: "web",
        id: "345678901234",
        regions: &["eu-west-1", "us-east-1", "ap-northeast-1"],
        share: 60,
        purposes: &["assets", "uploads", "logs", "thumbnails"],
        spreads: &[
            &[("StandardStorage", 100)],
            &[("IntelligentTieringFAStorage", 30), ("IntelligentTieringIAStorage", 70)],
        ],
        empty: 1,
        late: 0,
        deleted: 0,
    },
    Account {
        name: "backup-eu",
        id: "456789012345",
        regions: &["eu-west-1", "eu-north-1"],
        share: 35,
        purposes: &["databases", "volumes", "mail", "vault"],
        spreads: &[
            &[("GlacierInstantRetrievalStorage", 20), ("DeepArchiveStorage", 80)],
            &[("StandardIAStorage", 100)],
        ],
        empty: 0,
        late: 0,
        deleted: 0,
    },
    Account {
        name: "sandbox",
        id: "567890123456",
        regions: &["eu-west-1"],
        share: 10,
        purposes: &["test", "scratch", "tmp"],
        spreads: &[&[("StandardStorage", 100)]],
        empty: 2,
        late: 0,
        deleted: 0,
    },
    Account {
        name: FORGOTTEN,
        id: "678901234567",
        regions: &["us-west-1"],
        share: 5,
        purposes: &["archive", "intranet"],
        spreads: &[&[("StandardStorage", 100)], &[("GlacierStorage", 100)]],
        empty: 0,
        late: 0,
        deleted: 0,
    },
];

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Its name.
    pub(crate) name: String,
    /// Its region.
    pub(crate) region: &'static str,
    /// How it stands on the day that is reported.
    pub(crate) life: Life,
    /// How many days before that day it was made.
    pub(crate) age: u64,
    spread: Spread,
    objects: u32,
    bytes_each: u32,
}

/// How a bucket stands on the day that is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// Its metrics are published.
    OnTime,
    /// Only those of earlier days are.
    Late,
    /// There is nothing in it, and no metric.
    Empty,
    /// It was still there, and is deleted today.
    Deleted,
}

/// What CloudWatch holds for a bucket and a day.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measured {
    /// The day.
    pub(crate) day: NaiveDate,
    /// The number of objects.
    pub(crate) objects: f64,
    /// The bytes in each storage type.
    pub(crate) sizes: Vec<(&'static str, f64)>,
}

impl Account {
    /// How many buckets it has where the largest account has `largest`.
    pub(crate) fn listed(&self, largest: u32) -> u32 {
        largest * self.share / 100
    }

    /// Its buckets where the largest account has `largest`, deleted ones included.
    pub(crate) fn buckets(&self, largest: u32) -> impl Iterator<Item = Bucket> {
        let listed = self.listed(largest);
        (0..listed + self.deleted).map(move |number| {
            // Counted from the end, so that the first rows of a report are ordinary ones.
            let life = match (listed + self.deleted - 1 - number).checked_sub(self.deleted) {
                None => Life::Deleted,
                Some(last) if last < self.empty => Life::Empty,
                Some(last) if last < self.empty + self.late => Life::Late,
                Some(_) => Life::OnTime,
            };
            self.bucket(number, life)
        })
    }

    fn bucket(&self, number: u32, life: Life) -> Bucket {
        let purpose = self.purposes[number as usize % self.purposes.len()];
        let name = format!("{}-{purpose}-{number:04}", self.name);
        let mut dice = Dice::of(&name);
        Bucket {
            region: self.regions[dice.below(self.regions.len())],
            life,
            age: 30 + dice.below(1_500) as u64,
            spread: self.spreads[dice.below(self.spreads.len())],
            objects: dice.between_powers(3, 20),
            bytes_each: dice.between_powers(12, 21),
            name,
        }
    }
}

impl Bucket {
    /// What CloudWatch holds for the bucket on the day that is reported and the two before it.
    pub(crate) fn measured(&self, date: NaiveDate) -> impl Iterator<Item = Measured> {
        let days = match self.life {
            Life::OnTime | Life::Deleted => 0..3,
            Life::Late => 1..3,
            Life::Empty => 0..0,
        };
        days.map(move |ago: u32| {
            // It grows by a half percent a day.
            let objects = self.objects - self.objects / 200 * ago;
            let bytes = f64::from(objects) * f64::from(self.bytes_each);
            let part = |percent: u32| (bytes * f64::from(percent) / 100.0).floor();
            Measured {
                day: date - Days::new(ago.into()),
                objects: objects.into(),
                sizes: self
                    .spread
                    .iter()
                    .map(|(storage_type, percent)| (*storage_type, part(*percent)))
                    .collect(),
            }
        })
    }
}

/// Numbers that look thrown and follow from a text (FNV-1a, then `SplitMix64`), the same on every
/// machine and with every compiler.
struct Dice(u64);

impl Dice {
    fn of(text: &str) -> Self {
        Self(text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("cannot fail: it is below a usize")
    }

    /// From 2^`low` up to 2^`high`, small ones as often as large ones.
    fn between_powers(&mut self, low: usize, high: usize) -> u32 {
        let floor = 1_u32 << (low + self.below(high - low));
        floor + u32::try_from(self.next() % u64::from(floor)).expect("cannot fail: it is below a u32")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn of(name: &str) -> Vec<Bucket> {
        let account = CAST.iter().find(|account| account.name == name);
        account.expect("in the cast").buckets(100).collect()
    }

    #[test]
    fn every_kind_of_bucket_has_its_number() {
        let data = of("data");
        let count = |life| data.iter().filter(|bucket| bucket.life == life).count();
        let counts = [Life::OnTime, Life::Late, Life::Empty, Life::Deleted].map(count);
        assert_eq!(counts, [95, 3, 2, 1]);
        assert_eq!(of("sandbox").len(), 10);
    }

    #[test]
    fn no_two_buckets_have_one_name() {
        let mut names = HashSet::new();
        for account in &CAST {
            for bucket in account.buckets(800) {
                assert!(names.insert(bucket.name.clone()), "{}", bucket.name);
            }
        }
    }

    #[test]
    fn metrics_end_when_they_should() {
        let date = "2026-11-19".parse().expect("a day");
        for bucket in of("data") {
            let newest = bucket.measured(date).map(|measured| measured.day).max();
            let expected = match bucket.life {
                Life::OnTime | Life::Deleted => Some(date),
                Life::Late => Some(date - Days::new(1)),
                Life::Empty => None,
            };
            assert_eq!(newest, expected, "{}", bucket.name);
        }
    }

    #[test]
    fn values_are_whole_the_same_each_time_and_move_from_day_to_day() {
        let date = "2026-11-19".parse().expect("a day");
        for bucket in of("backup-eu") {
            let measured: Vec<Measured> = bucket.measured(date).collect();
            assert_eq!(measured, bucket.measured(date).collect::<Vec<_>>());
            assert!(measured[0].objects >= measured[1].objects);
            let whole = |(_, bytes): &(&str, f64)| bytes.fract() == 0.0;
            assert!(measured.iter().all(|day| day.sizes.iter().all(whole)), "{measured:?}");
        }
        assert_eq!(of("data"), of("data"));
    }
}
