//! The AWS on loopback, with what a fleet needs.

use std::time::Duration;

use local_aws::{Account, LocalAws, Object, Options, QueueOptions};

use crate::program::Variables;

/// The fleet's own account.
const HOME: &str = "012345678901";
const HOME_REGION: &str = "eu-west-1";
const REPORTS: &str = "fleet-reports";

/// The work queue.
pub(crate) const JOBS: &str = "jobs";
/// The dead-letter queue.
pub(crate) const DEAD: &str = "jobs-dead";
/// What the key of every report begins with.
pub(crate) const REPORT_PREFIX: &str = "s3_daily_storage/";

/// How long a job is hidden: the shortest that a worker takes.
pub(crate) const VISIBILITY: Duration = Duration::from_secs(3);

/// After how many receives the queue gives a job up: SQS's maximum, and not the twelve of
/// docs/setup-by-hand.md. Kills are all that these jobs suffer from for long, and a few meet more than twelve: the
/// queue would move those without a reason. What is to be shown is that no number of kills costs a report.
const MAX_RECEIVES: u32 = 1000;

/// How long every call takes, so that a kill can come in between.
const LATENCY: Duration = Duration::from_millis(10);

/// More calls than any run makes; the figures are read off the log.
const LOG: usize = 20_000_000;

/// A running AWS with a queue, a dead-letter queue and a report bucket.
pub(crate) struct World {
    pub(crate) aws: LocalAws,
    pub(crate) home: Account,
    queue_url: String,
}

impl World {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let aws =
            LocalAws::start(Options { latency: LATENCY, log_capacity: LOG, ..Options::default() }).await?;
        aws.keep_asks();
        let home = aws.account(HOME);
        home.bucket(REPORTS, HOME_REGION);
        let queue_url = home.queue(
            JOBS,
            QueueOptions {
                region: HOME_REGION.to_owned(),
                visibility_timeout: VISIBILITY,
                redrive: Some((DEAD.to_owned(), MAX_RECEIVES)),
                ..QueueOptions::default()
            },
        );
        Ok(Self { aws, home, queue_url })
    }

    /// The environment of the fleet's programs. Each worker has an access key of its own besides.
    pub(crate) fn environment(&self) -> Variables {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            pair("AWS_ENDPOINT_URL", &self.aws.endpoint()),
            pair("AWS_REGION", HOME_REGION),
            pair("AWS_ACCESS_KEY_ID", HOME),
            pair("AWS_SECRET_ACCESS_KEY", "secret"),
            pair("FLEET_QUEUE_URL", &self.queue_url),
            pair("FLEET_REPORT_BUCKET", REPORTS),
        ]
    }

    /// What stands under a key of the report bucket.
    pub(crate) fn object(&self, key: &str) -> Option<Object> {
        self.home.object(REPORTS, key)
    }
}
