// SPDX-License-Identifier: Apache-2.0
//! The accounts: those that can succeed, with their buckets, and those that can't, with the reason.

use std::collections::BTreeSet;

use chrono::{NaiveDate, NaiveTime};
use kit::{days_ago, expected::table};
use local_aws::LocalAws;

use crate::truth::{Kind, KnownBucket, pick, window};

const REGIONS: [&str; 5] = ["eu-west-1", "us-east-1", "eu-central-1", "us-west-2", "ap-southeast-1"];
const WORDS: [&str; 5] = ["logs", "lake", "backup", "media", "assets"];
const REASONS: [&str; 4] = ["unknown_account", "no_credentials", "wrong_account", "access_denied"];

/// How many buckets with every storage type the large account has: more series than a page or a call takes.
const LARGE: usize = 24;

/// How many days there are to be reported that CloudWatch still lists, and how many that it no longer lists.
const RECENT_DAYS: u64 = 7;
const OLDER_DAYS: u64 = 400;

/// How many days ago the newest of them is: a report of a newer one is provisional, and `late` depends on the hour.
const NEWEST_DAY: u64 = 4;

/// How an account must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// In a complete report.
    Report,
    /// In a dead letter with this reason.
    DeadLetter(&'static str),
}

#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) end: End,
    buckets: Vec<KnownBucket>,
}

#[derive(Debug)]
pub(crate) struct Accounts {
    pub(crate) members: Vec<Member>,
}

impl Accounts {
    /// So many accounts that can succeed, and one that can't for every three of them.
    pub(crate) fn new(accounts: u16, seed: u64) -> Self {
        let accounts = usize::from(accounts);
        let id = |nth: usize| format!("{:012}", 500_000_000_001 + nth);
        let good = (0..accounts).map(|nth| Member {
            name: format!("team-{:02}", nth + 1),
            id: id(nth),
            end: End::Report,
            buckets: buckets(nth, seed.wrapping_add(nth as u64)),
        });
        let bad = (0..accounts.div_ceil(3)).map(|nth| {
            let reason = REASONS[nth % REASONS.len()];
            let name = format!("{}-{:02}", reason.replace('_', "-"), nth + 1);
            Member { name, id: id(accounts + nth), end: End::DeadLetter(reason), buckets: Vec::new() }
        });
        Self { members: good.chain(bad).collect() }
    }

    pub(crate) fn build(&self, aws: &LocalAws) {
        for member in &self.members {
            let account = aws.account(&member.id);
            if member.end == End::DeadLetter("access_denied") {
                account.deny("s3:ListAllMyBuckets");
            }
            for bucket in member.buckets.iter().filter(|bucket| bucket.is_listed()) {
                let made = match bucket.kind {
                    Kind::Directory => account.directory_bucket(&bucket.name, bucket.region),
                    _ => account.bucket(&bucket.name, bucket.region),
                };
                made.created(bucket.created.and_time(NaiveTime::MIN).and_utc());
                if bucket.kind == Kind::Nowhere {
                    made.region_unlisted();
                }
            }
        }
    }

    /// Puts into CloudWatch what a report of `date` is made of.
    pub(crate) fn publish(&self, aws: &LocalAws, date: NaiveDate) {
        for member in &self.members {
            let account = aws.account(&member.id);
            for bucket in &member.buckets {
                for day in window(date) {
                    for (storage_type, value) in bucket.datapoints(day) {
                        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
                        let value = value as f64;
                        account.datapoint(bucket.region, &bucket.name, storage_type, day, value);
                    }
                }
            }
        }
    }

    /// The workers' accounts file. The producer has none, and sends any name.
    pub(crate) fn file(&self) -> String {
        let mut file = String::new();
        for Member { name, id, end, buckets } in &self.members {
            let id = match end {
                End::DeadLetter("unknown_account") => continue,
                // Not the account of its keys.
                End::DeadLetter("wrong_account") => "000000000404",
                _ => id,
            };
            // A worker asks a region without buckets only if the file names it.
            let regions: BTreeSet<&str> = buckets.iter().map(|bucket| bucket.region).collect();
            let regions: Vec<&str> = regions.into_iter().collect();
            file += &format!("[[account]]\nname = {name:?}\nid = {id:?}\nregions = {regions:?}\n\n");
        }
        file
    }

    /// The day to report in a round, by its number, and not one that is `taken`. Days that CloudWatch still lists and days
    /// that it no longer lists take turns.
    pub(crate) fn date(round: u64, taken: impl Fn(NaiveDate) -> bool) -> NaiveDate {
        let recent = (0..RECENT_DAYS).map(|nth| NEWEST_DAY + (round / 2 + nth) % RECENT_DAYS);
        let older = (0..OLDER_DAYS).map(|nth| 30 + (round + nth) % OLDER_DAYS);
        let recent = recent.filter(|_| round.is_multiple_of(2));
        recent.chain(older).map(days_ago).find(|date| !taken(*date)).unwrap_or(days_ago(0))
    }
}

impl Member {
    /// Whether the workers have keys for it.
    pub(crate) fn has_keys(&self) -> bool {
        !matches!(self.end, End::DeadLetter("unknown_account" | "no_credentials"))
    }

    /// The report that must come of it on a day.
    pub(crate) fn report(&self, date: NaiveDate) -> String {
        let mut buckets: Vec<&KnownBucket> = self.buckets.iter().collect();
        buckets.sort_by_key(|bucket| &bucket.name);
        let row = |bucket: &&KnownBucket| bucket.row((&self.name, &self.id), date, is_recent(date));
        table(&buckets.iter().filter_map(row).collect::<Vec<_>>())
    }
}

/// Whether CloudWatch still lists what there was on a day.
fn is_recent(date: NaiveDate) -> bool {
    (days_ago(0) - date).num_days() < 11
}

/// The buckets of an account: many in the first, none in the second, one of each kind in the third, and a few of any kind
/// in the others.
fn buckets(account: usize, seed: u64) -> Vec<KnownBucket> {
    let all = [
        Kind::Plain,
        Kind::Gappy,
        Kind::Deleted(days_ago(2 + seed % 8)),
        Kind::Moving,
        Kind::Nowhere,
        Kind::Silent,
        Kind::Huge,
        Kind::UnheardOf,
        Kind::Directory,
        Kind::EveryType,
        Kind::Zero,
        Kind::Deleted(days_ago(2 + (seed + 3) % 8)),
    ];
    let kinds = match account {
        0 => vec![Kind::EveryType; LARGE],
        1 => Vec::new(),
        2 => all.to_vec(),
        _ => all.into_iter().cycle().skip(pick(seed, 1, all.len())).take(2 + pick(seed, 0, 8)).collect(),
    };
    let bucket = |(nth, kind): (u64, Kind)| {
        let suffix = if kind == Kind::Directory { "--az1--x-s3" } else { "" };
        let word = WORDS[pick(seed, 200 + nth, WORDS.len())];
        KnownBucket {
            name: format!("{word}-{account:03}-{nth:03}{suffix}"),
            region: REGIONS[if account == 0 { 0 } else { pick(seed, 100 + nth, REGIONS.len()) }],
            kind,
            created: days_ago(20 + pick(seed, 300 + nth, 900) as u64),
            seed: seed.wrapping_mul(1_000_003).wrapping_add(nth),
        }
    };
    (0..).zip(kinds).map(bucket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_buckets_are_unique_and_the_large_account_takes_more_than_a_page() {
        let accounts = Accounts::new(40, 1);
        let buckets: Vec<_> = accounts.members.iter().flat_map(|member| &member.buckets).collect();
        let names: BTreeSet<_> = buckets.iter().map(|bucket| &bucket.name).collect();
        assert_eq!(names.len(), buckets.len());
        let large = &accounts.members[0].buckets;
        let series: usize = large.iter().map(|bucket| bucket.datapoints(days_ago(0)).len()).sum();
        assert!(series > 600, "{series}");
    }

    #[test]
    fn a_day_that_is_taken_is_not_given_again() {
        let first = Accounts::date(0, |_| false);
        assert!(is_recent(first) && !is_recent(Accounts::date(1, |_| false)));
        assert_eq!(Accounts::date(14, |_| false), first);
        assert_ne!(Accounts::date(14, |date| date == first), first);
        assert!(!is_recent(Accounts::date(14, is_recent)));
    }
}
