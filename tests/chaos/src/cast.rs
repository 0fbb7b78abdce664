//! The accounts: those that can succeed, with their buckets, and those that can't, with the reason.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate, NaiveTime, Utc};
use e2e::expected::table;
use local_aws::LocalAws;

use crate::truth::{Bucket, Kind, pick, window};

const REGIONS: [&str; 5] = ["eu-west-1", "us-east-1", "eu-central-1", "us-west-2", "ap-southeast-1"];

/// How many buckets with every storage type the large account has: more series than a page or a call takes.
const LARGE: usize = 24;

/// How many days there are to be reported that CloudWatch still lists, and how many that it does not.
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

/// An account.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) end: End,
    buckets: Vec<Bucket>,
}

/// All accounts.
#[derive(Debug)]
pub(crate) struct Cast {
    pub(crate) members: Vec<Member>,
    today: NaiveDate,
}

impl Cast {
    /// So many accounts that can succeed, and one that can't for every three of them.
    pub(crate) fn new(accounts: u16, seed: u64) -> Self {
        const REASONS: [&str; 4] = ["unknown_account", "no_credentials", "wrong_account", "access_denied"];
        let today = Utc::now().date_naive();
        let accounts = usize::from(accounts);
        let good = (0..accounts).map(|nth| {
            let (name, id) = (format!("team-{:02}", nth + 1), account_id(nth));
            let buckets = buckets(nth, seed.wrapping_add(nth as u64), today);
            Member { name, id, end: End::Report, buckets }
        });
        let bad = (0..accounts.div_ceil(3)).map(|nth| {
            let reason = REASONS[nth % REASONS.len()];
            let name = format!("{}-{:02}", reason.replace('_', "-"), nth + 1);
            Member { name, id: account_id(accounts + nth), end: End::DeadLetter(reason), buckets: Vec::new() }
        });
        Self { members: good.chain(bad).collect(), today }
    }

    /// Makes the accounts and their buckets.
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

    /// The accounts file of the workers. The producer has none, and sends any name.
    pub(crate) fn accounts_file(&self) -> String {
        let mut file = String::new();
        for Member { name, id, end, buckets } in &self.members {
            let id = match end {
                End::DeadLetter("unknown_account") => continue,
                // Not the one that its keys are of.
                End::DeadLetter("wrong_account") => "000000000404",
                _ => id,
            };
            // Where no bucket is left, a worker asks only if it is told to.
            let regions: BTreeSet<&str> = buckets.iter().map(|bucket| bucket.region).collect();
            let regions: Vec<&str> = regions.into_iter().collect();
            file.push_str(&format!(
                "[[account]]
name = {name:?}
id = {id:?}
regions = {regions:?}

"
            ));
        }
        file
    }

    /// The report that must come of an account on a day.
    pub(crate) fn report(&self, member: &Member, date: NaiveDate) -> String {
        let recent = self.is_recent(date);
        let mut buckets: Vec<&Bucket> = member.buckets.iter().collect();
        buckets.sort_by_key(|bucket| &bucket.name);
        let rows = buckets.iter().filter_map(|bucket| bucket.row((&member.name, &member.id), date, recent));
        table(&rows.collect::<Vec<_>>())
    }

    /// The day to report in a round, by its number, and not one that is `taken`: days that CloudWatch still lists
    /// and such as it does not list any more take turns.
    pub(crate) fn date(&self, round: u64, taken: impl Fn(NaiveDate) -> bool) -> NaiveDate {
        let ago = |days| self.today - Days::new(days);
        let recent = (0..RECENT_DAYS).map(|nth| ago(NEWEST_DAY + (round / 2 + nth) % RECENT_DAYS));
        let older = (0..OLDER_DAYS).map(|nth| ago(30 + (round + nth) % OLDER_DAYS));
        let recent = recent.filter(|_| round.is_multiple_of(2));
        recent.chain(older).find(|date| !taken(*date)).unwrap_or(self.today)
    }

    fn is_recent(&self, date: NaiveDate) -> bool {
        (self.today - date).num_days() < 11
    }
}

impl Member {
    /// What its variables begin with.
    pub(crate) fn stem(&self) -> String {
        self.name.replace('-', "_")
    }

    /// Whether the workers have keys for it.
    pub(crate) fn has_keys(&self) -> bool {
        !matches!(self.end, End::DeadLetter("unknown_account" | "no_credentials"))
    }
}

fn account_id(nth: usize) -> String {
    format!("{:012}", 500_000_000_001 + nth)
}

/// The buckets of an account: many in the first, none in the second, one of everything in the third, and a
/// few of any kind in the others.
fn buckets(account: usize, seed: u64, today: NaiveDate) -> Vec<Bucket> {
    let deleted = |nth: u64| Kind::Deleted(today - Days::new(2 + nth % 8));
    let kinds: Vec<Kind> = match account {
        0 => [Kind::EveryType].into_iter().cycle().take(LARGE).collect(),
        1 => Vec::new(),
        _ => {
            let all = [
                Kind::Plain,
                Kind::Gappy,
                deleted(seed),
                Kind::Moving,
                Kind::Nowhere,
                Kind::Silent,
                Kind::Huge,
                Kind::UnheardOf,
                Kind::Directory,
                Kind::EveryType,
                Kind::Zero,
                deleted(seed + 3),
            ];
            let many = if account == 2 { all.len() } else { 2 + pick(seed, 0, 8) };
            let first = if account == 2 { 0 } else { pick(seed, 1, all.len()) };
            all.into_iter().cycle().skip(first).take(many).collect()
        }
    };
    let words = ["logs", "lake", "backup", "media", "assets"];
    let bucket = |(nth, kind): (u64, Kind)| {
        let region = if account == 0 { REGIONS[0] } else { REGIONS[pick(seed, 100 + nth, REGIONS.len())] };
        let suffix = if kind == Kind::Directory { "--az1--x-s3" } else { "" };
        let word = words[pick(seed, 200 + nth, words.len())];
        Bucket {
            name: format!("{word}-{account:03}-{nth:03}{suffix}"),
            region,
            kind,
            created: today - Days::new(20 + pick(seed, 300 + nth, 900) as u64),
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
        let cast = Cast::new(40, 1);
        let mut names: Vec<_> =
            cast.members.iter().flat_map(|member| &member.buckets).map(|bucket| &bucket.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        let series: usize =
            cast.members[0].buckets.iter().map(|bucket| bucket.datapoints(cast.today).len()).sum();
        assert!(series > 600, "{series}");
    }

    #[test]
    fn a_day_that_is_taken_is_not_given_again() {
        let cast = Cast::new(3, 1);
        let first = cast.date(0, |_| false);
        assert!(cast.is_recent(first) && !cast.is_recent(cast.date(1, |_| false)));
        assert_eq!(cast.date(14, |_| false), first);
        assert_ne!(cast.date(14, |date| date == first), first);
        assert!(!cast.is_recent(cast.date(14, |date| cast.is_recent(date))));
    }
}
