//! The AWS of the demo and what lies in it: four accounts with buckets, and a home account with the
//! queue, its dead-letter queue and the report bucket. The same day makes the same world.

use std::{collections::BTreeSet, time::Duration};

use chrono::{Days, NaiveDate, Utc};
use local_aws::{LocalAws, Object, Options, QueueOptions, Synthetic, SyntheticAccount};

/// The fleet's own account, which is also its access key.
const HOME: &str = "999999999999";
const HOME_REGION: &str = "eu-west-1";
const QUEUE: &str = "jobs";
const REPORT_BUCKET: &str = "fleet-reports";

/// The AWS on loopback looks at no signature.
const SECRET: &str = "demo";

/// How long every call takes: about what AWS takes within a region.
pub(crate) const LATENCY: Duration = Duration::from_millis(25);

/// The names of the accounts, how many buckets each has for 100 of the first, and over how many
/// regions they are spread. Neither number may rise from one to the next; see [`people`].
const CAST: [(&str, u32, usize); 4] =
    [("data", 100, 6), ("web", 60, 4), ("backup-eu", 35, 2), ("sandbox", 10, 1)];

/// The most storage types that a bucket has.
const STORAGE_TYPES: usize = 5;

/// In each account: buckets that hold nothing, of which CloudWatch knows nothing either.
const EMPTY: usize = 2;
/// In each account: buckets of which CloudWatch has not published the day yet.
const LATE: usize = 3;
/// A bucket of the first account that was deleted, but was still there on the day.
const DELETED: &str = "exports-111111-retired";

/// The demo's AWS.
pub(crate) struct World {
    aws: LocalAws,
    queue_url: String,
    /// The day that is reported.
    pub(crate) date: NaiveDate,
    /// The accounts, largest first.
    pub(crate) accounts: Vec<Account>,
}

/// An account to report on.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// Its name in the fleet.
    pub(crate) name: &'static str,
    /// Its id, 12 digits.
    pub(crate) id: String,
    /// How many buckets `ListBuckets` names.
    pub(crate) buckets: usize,
    /// In how many regions they lie.
    pub(crate) regions: usize,
}

impl World {
    /// Starts the AWS, with `buckets` buckets in the largest account.
    pub(crate) async fn start(buckets: u32) -> anyhow::Result<Self> {
        let aws = LocalAws::start(Options { latency: LATENCY, quotas: true, ..Options::default() }).await?;
        // The day before yesterday: S3 publishes a day's metrics up to a day after its end.
        let date = Utc::now().date_naive() - Days::new(2);
        let accounts = people(&aws, buckets, date);
        let home = aws.account(HOME);
        home.bucket(REPORT_BUCKET, HOME_REGION);
        let queue_url = home.queue(
            QUEUE,
            QueueOptions {
                region: HOME_REGION.to_owned(),
                redrive: Some((format!("{QUEUE}-dead"), 3)),
                ..QueueOptions::default()
            },
        );
        Ok(Self { aws, queue_url, date, accounts })
    }

    /// The environment that makes the programs use this AWS, in the lines in which a person would
    /// type it. On AWS, the first line is left out.
    pub(crate) fn environment(&self) -> Vec<Vec<(String, String)>> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut lines = vec![
            vec![pair("AWS_ENDPOINT_URL", &self.aws.endpoint())],
            vec![
                pair("AWS_REGION", HOME_REGION),
                pair("AWS_ACCESS_KEY_ID", HOME),
                pair("AWS_SECRET_ACCESS_KEY", SECRET),
            ],
            vec![pair("FLEET_QUEUE_URL", &self.queue_url)],
            vec![pair("FLEET_REPORT_BUCKET", REPORT_BUCKET)],
        ];
        lines.extend(self.accounts.iter().map(|account| {
            // A variable's name has no hyphen.
            let stem = account.name.replace('-', "_");
            vec![
                pair(&format!("{stem}_account_access_key"), &account.id),
                pair(&format!("{stem}_secret_access_key"), SECRET),
            ]
        }));
        lines
    }

    /// The names of the accounts, with commas.
    pub(crate) fn account_names(&self) -> String {
        let names: Vec<&str> = self.accounts.iter().map(|account| account.name).collect();
        names.join(",")
    }

    /// The job that waits longest on the queue, as it lies there.
    pub(crate) fn first_job(&self) -> Option<String> {
        let messages = self.aws.account(HOME).messages(QUEUE);
        messages.into_iter().next().map(|message| message.body)
    }

    /// The object under a key of the report bucket.
    pub(crate) fn object(&self, key: &str) -> Option<Object> {
        self.aws.account(HOME).object(REPORT_BUCKET, key)
    }
}

/// Fills the accounts with buckets.
///
/// A synthetic world has the same number of buckets in each account, and a second one replaces what
/// it names alike. So the smallest size is made in all four accounts, then the next in all but the
/// last, up to the largest in the first alone.
fn people(aws: &LocalAws, buckets: u32, date: NaiveDate) -> Vec<Account> {
    let mut accounts = Vec::new();
    for (at, (name, share, regions)) in CAST.into_iter().enumerate().rev() {
        let made = aws.synthetic(&Synthetic {
            accounts: at + 1,
            buckets: (buckets * share / 100) as usize,
            regions,
            storage_types: STORAGE_TYPES,
            empty: EMPTY,
            late: LATE,
            today: Some(date + Days::new(1)),
            ..Synthetic::default()
        });
        accounts.extend(made.get(at).map(|made| account(name, made)));
    }
    accounts.reverse();
    if let Some(first) = accounts.first() {
        aws.account(&first.id).unlisted_bucket(DELETED, HOME_REGION).objects(date, 1_208.0).size(
            "StandardStorage",
            date,
            73_014_444_032.0,
        );
    }
    accounts
}

fn account(name: &'static str, made: &SyntheticAccount) -> Account {
    let regions: BTreeSet<&str> = made.buckets().iter().map(|(_, region)| region.as_str()).collect();
    Account { name, id: made.id().to_owned(), buckets: made.buckets().len(), regions: regions.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_account_is_no_larger() {
        assert!(CAST.windows(2).all(|pair| pair[0].1 >= pair[1].1 && pair[0].2 >= pair[1].2));
    }

    #[tokio::test]
    async fn every_account_has_the_buckets_of_its_share() {
        let world = World::start(40).await.expect("a free port");
        let sizes: Vec<_> = world.accounts.iter().map(|account| (account.name, account.buckets)).collect();
        assert_eq!(sizes, [("data", 40), ("web", 24), ("backup-eu", 14), ("sandbox", 4)]);
    }
}
