// SPDX-License-Identifier: Apache-2.0
//! The accounts: those that can succeed, with their buckets, and those that can't, with the reason.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use kit::{days_ago, expected::table};
use local_aws::LocalAws;

use crate::{
    services::{self, KnownService, Load, NAMESPACE},
    subject::{HOURS, Subject, hours_later, midnight},
    truth::{Kind, KnownBucket, pick, window},
};

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

/// How many services the large account has: more queries than a call takes.
const LARGE_SERVICES: usize = 84;

/// The days of whose hours services are reported, and how many hours they have.
const SERVICE_DAYS: [u64; 2] = [4, 3];
const SERVICE_HOURS: usize = 24 * SERVICE_DAYS.len();

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
    services: Vec<KnownService>,
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
            services: services(nth, seed.wrapping_add(nth as u64)),
        });
        let bad = (0..accounts.div_ceil(3)).map(|nth| {
            let reason = REASONS[nth % REASONS.len()];
            let name = format!("{}-{:02}", reason.replace('_', "-"), nth + 1);
            let (buckets, services) = (Vec::new(), Vec::new());
            Member { name, id: id(accounts + nth), end: End::DeadLetter(reason), buckets, services }
        });
        Self { members: good.chain(bad).collect() }
    }

    pub(crate) fn build(&self, aws: &LocalAws) {
        for member in &self.members {
            let account = aws.account(&member.id);
            if member.end == End::DeadLetter("access_denied") {
                account.deny("s3:ListAllMyBuckets");
                account.deny("cloudwatch:ListMetrics");
            }
            // They are asked in the regions that the account has enabled, beside those of the accounts file.
            let regions: BTreeSet<&str> = member.services.iter().map(|service| service.region).collect();
            account.enable_regions(&regions.into_iter().collect::<Vec<_>>());
            for service in &member.services {
                // Later than any window, so that CloudWatch lists it whatever was published of it.
                let at = midnight(days_ago(1));
                for metric in service.metrics() {
                    account.metric(service.region, NAMESPACE, metric, &service.dimensions(), at, 1e6);
                }
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

    /// Puts into CloudWatch what the reports of a round are made of.
    pub(crate) fn publish(&self, aws: &LocalAws, subject: Subject) {
        match subject {
            Subject::Day(date) => self.publish_day(aws, date),
            Subject::Hours(from, hours) => self.publish_hours(aws, from, hours),
        }
    }

    fn publish_hours(&self, aws: &LocalAws, from: DateTime<Utc>, hours: usize) {
        for member in &self.members {
            let account = aws.account(&member.id);
            for service in &member.services {
                let dimensions = service.dimensions();
                for metric in service.metrics() {
                    for at in services::minutes(from, hours) {
                        let samples = service.samples(metric, at);
                        account.samples(service.region, NAMESPACE, metric, &dimensions, at, &samples);
                    }
                    // Of the cluster as a whole, which is no service.
                    account.metric(service.region, NAMESPACE, metric, &dimensions[..1], from, 1e6);
                }
            }
        }
    }

    fn publish_day(&self, aws: &LocalAws, date: NaiveDate) {
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
        for Member { name, id, end, buckets, .. } in &self.members {
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

    /// What to report in a round, by its number, and not what is `taken`. A day of buckets, an hour of services and several
    /// hours of them take turns; if all hours are taken, it is a day.
    pub(crate) fn subject(round: u64, taken: impl Fn(Subject) -> bool) -> Subject {
        let count = [0, 1, HOURS][(round % 3) as usize];
        let first = midnight(days_ago(SERVICE_DAYS[0]));
        let hours = (0..SERVICE_HOURS).map(|nth| (pick(round, 0, SERVICE_HOURS) + nth) % SERVICE_HOURS);
        let hours = hours.filter(|hour| count > 0 && hour + count <= SERVICE_HOURS);
        let mut hours = hours.map(|hour| Subject::Hours(hours_later(first, hour), count));
        let day = || Subject::Day(Self::date(round / 3, |date| taken(Subject::Day(date))));
        hours.find(|subject| !taken(*subject)).unwrap_or_else(day)
    }

    /// The day to report, by a number, and not one that is `taken`. Days that CloudWatch still lists and days that it no
    /// longer lists take turns.
    fn date(round: u64, taken: impl Fn(NaiveDate) -> bool) -> NaiveDate {
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

    /// The report that must come of it, of the window that begins then.
    pub(crate) fn report(&self, subject: Subject, window: DateTime<Utc>) -> String {
        match subject {
            Subject::Day(date) => self.report_of_day(date),
            Subject::Hours(..) => services::report(&self.services, (&self.name, &self.id), window),
        }
    }

    fn report_of_day(&self, date: NaiveDate) -> String {
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

/// The services of an account: many in the first, none in the second, one of each load in the third, and a few of any load
/// in the others; one of them in two regions.
fn services(account: usize, seed: u64) -> Vec<KnownService> {
    let all = Load::ALL;
    let loads: Vec<Load> = match account {
        0 => vec![Load::Steady; LARGE_SERVICES],
        1 => Vec::new(),
        2 => all.to_vec(),
        _ => all.into_iter().cycle().skip(pick(seed, 2, all.len())).take(2 + pick(seed, 3, 4)).collect(),
    };
    let service = |(nth, load): (u64, Load)| KnownService {
        cluster: format!("cluster-{}", pick(seed, 400 + nth, 2)),
        name: format!("service-{nth:03}"),
        region: REGIONS[if account == 0 { 0 } else { pick(seed, 500 + nth, REGIONS.len()) }],
        load,
        seed: seed.wrapping_mul(1_000_033).wrapping_add(nth),
    };
    let mut services: Vec<KnownService> = (0..).zip(loads).map(service).collect();
    if let Some(first) = services.first().cloned() {
        let region = if first.region == REGIONS[1] { REGIONS[2] } else { REGIONS[1] };
        services.push(KnownService { region, seed: first.seed.wrapping_add(7_777), ..first });
    }
    services
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
    fn services_of_the_large_account_take_more_than_a_call_and_those_of_others_several_regions() {
        let accounts = Accounts::new(12, 1);
        // Six statistics each.
        assert!(accounts.members[0].services.len() * 6 > 500);
        for member in accounts.members.iter().filter(|member| !member.services.is_empty()) {
            let regions: BTreeSet<_> = member.services.iter().map(|service| service.region).collect();
            assert!(regions.len() > 1, "{}", member.name);
        }
    }

    #[test]
    fn jobs_of_all_kinds_take_turns_and_hours_that_are_taken_are_not_given_again() {
        let kinds: Vec<_> = (0..6).map(|round| Accounts::subject(round, |_| false).kind()).collect();
        assert_eq!(kinds[..3], kinds[3..]);
        assert_eq!(kinds.iter().collect::<BTreeSet<_>>().len(), 3);
        let several = Accounts::subject(2, |_| false);
        let other = Accounts::subject(2, |subject| subject.overlaps(several));
        assert!(!other.overlaps(several) && other.kind() == several.kind());
        let none_left = Accounts::subject(2, |subject| matches!(subject, Subject::Hours(..)));
        assert!(matches!(none_left, Subject::Day(_)));
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
