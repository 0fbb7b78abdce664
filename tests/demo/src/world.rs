//! The AWS of the demo, and what lies in it: the accounts of the [cast](crate::cast), and a home
//! account with the queue, its dead-letter queue and the report bucket.

use std::time::Duration;

use chrono::{Days, NaiveDate, NaiveTime, Utc};
use local_aws::{LocalAws, Object, Options, QueueOptions};

use crate::cast::{Account, CAST, FORGOTTEN, Life};

/// The fleet's own account, which is also its access key.
const HOME: &str = "999999999999";
const HOME_REGION: &str = "eu-west-1";
const QUEUE: &str = "jobs";
const REPORT_BUCKET: &str = "fleet-reports";

/// The AWS on loopback looks at no signature.
const SECRET: &str = "demo";

/// How long every call takes, so that it takes time, as over a network.
const LATENCY: Duration = Duration::from_millis(25);

/// The demo's AWS.
pub(crate) struct World {
    aws: LocalAws,
    queue_url: String,
    /// The day that is reported.
    pub(crate) date: NaiveDate,
}

impl World {
    /// Starts the AWS, with `buckets` buckets in the largest account.
    pub(crate) async fn start(buckets: u32) -> anyhow::Result<Self> {
        let aws = LocalAws::start(Options { latency: LATENCY, quotas: true, ..Options::default() }).await?;
        // The day before yesterday: by now AWS would have published it for nearly every bucket, and
        // ListMetrics still knows what there was.
        let date = Utc::now().date_naive() - Days::new(2);
        fill(&aws, buckets, date);
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
        Ok(Self { aws, queue_url, date })
    }

    /// The environment that makes the programs use this AWS, in the lines in which a person would
    /// type it; the forgotten keys are not in it. On AWS, the first line is left out.
    pub(crate) fn environment(&self) -> Vec<Vec<(String, String)>> {
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
        lines.extend(CAST.iter().filter(|account| account.name != FORGOTTEN).map(keys));
        lines
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

/// The line that was forgotten in the environment.
pub(crate) fn forgotten_keys() -> Vec<(String, String)> {
    CAST.iter().filter(|account| account.name == FORGOTTEN).flat_map(keys).collect()
}

/// The variables with the access keys of an account.
fn keys(account: &Account) -> Vec<(String, String)> {
    // A variable's name has no hyphen.
    let stem = account.name.replace('-', "_");
    vec![
        pair(&format!("{stem}_account_access_key"), account.id),
        pair(&format!("{stem}_secret_access_key"), SECRET),
    ]
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Makes the buckets of all accounts, and what CloudWatch holds for them.
fn fill(aws: &LocalAws, buckets: u32, date: NaiveDate) {
    for member in &CAST {
        let account = aws.account(member.id);
        for planned in member.buckets(buckets) {
            let bucket = account.bucket(&planned.name, planned.region);
            let made = date - Days::new(planned.age);
            bucket.created(made.and_time(NaiveTime::MIN).and_utc());
            for measured in planned.measured(date) {
                bucket.objects(measured.day, measured.objects);
                for (storage_type, bytes) in measured.sizes {
                    bucket.size(storage_type, measured.day, bytes);
                }
            }
            if planned.life == Life::Deleted {
                bucket.deleted();
            }
        }
    }
}
