//! The AWS of a case: accounts of any size, and a home account with the queue and the report bucket.

use std::{fmt::Write, time::Duration};

use anyhow::Context;
use chrono::{DateTime, NaiveDate, Utc};
use local_aws::{Account, CallRecord, LocalAws, Options, QueueOptions, Synthetic, SyntheticAccount, Trust};
use tempfile::TempDir;

use crate::{floor::Age, program::Variables};

/// How long every call takes, as in the same part of the world.
pub(crate) const LATENCY: Duration = Duration::from_millis(50);

/// The fleet's own account; no synthetic account has this id.
pub(crate) const HOME: &str = "123456789012";

const HOME_REGION: &str = "eu-west-1";
const JOBS: &str = "jobs";
const REPORTS: &str = "fleet-reports";
const ROLE: &str = "cloudwatch-fleet-reader";
const DATASET: &str = "s3_daily_storage";

/// How long a job that is taken stays hidden; a deployment's own figure.
const VISIBILITY: Duration = Duration::from_mins(2);

/// How many calls are remembered one by one.
const CALLS_KEPT: usize = 500_000;

/// An AWS with a home account.
pub(crate) struct World {
    pub(crate) aws: LocalAws,
    pub(crate) home: Account,
    pub(crate) folder: TempDir,
    queue_url: String,
}

impl World {
    /// An AWS with quotas, where every call takes `latency`.
    pub(crate) async fn start(latency: Duration) -> anyhow::Result<Self> {
        let options = Options { latency, quotas: true, log_capacity: CALLS_KEPT, ..Options::default() };
        let aws = LocalAws::start(options).await?;
        let home = aws.account(HOME);
        let _ = home.bucket(REPORTS, HOME_REGION);
        let region = HOME_REGION.to_owned();
        let queue = QueueOptions {
            region,
            visibility_timeout: VISIBILITY,
            redrive: Some((format!("{JOBS}-dead"), 12)),
            ..QueueOptions::default()
        };
        let queue_url = home.queue(JOBS, queue);
        let folder =
            tempfile::Builder::new().prefix("bench-").tempdir().context("could not make a folder")?;
        Ok(Self { aws, home, folder, queue_url })
    }

    /// One account of so many buckets.
    pub(crate) fn account(&self, buckets: usize, regions: usize) -> SyntheticAccount {
        self.aws.synthetic(&Synthetic { buckets, regions, ..Synthetic::default() }).remove(0)
    }

    /// What a program must know to use this AWS; the home account's access key is its own.
    pub(crate) fn variables(&self) -> Variables {
        [
            ("AWS_ENDPOINT_URL", self.aws.endpoint().as_str()),
            ("AWS_REGION", HOME_REGION),
            ("AWS_ACCESS_KEY_ID", HOME),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("FLEET_QUEUE_URL", &self.queue_url),
            ("FLEET_REPORT_BUCKET", REPORTS),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// The same, with the access keys of an account under a name, and an accounts file that lets all of its
    /// quota be used.
    pub(crate) fn variables_of(&self, name: &str, id: &str) -> anyhow::Result<Variables> {
        let mut variables = self.variables();
        let file = format!("[[account]]\nname = \"{name}\"\ncredentials = \"keys\"\nquota_share = 1.0\n");
        variables.push(("FLEET_ACCOUNTS".to_owned(), self.file("accounts.toml", &file)?));
        variables.push((format!("{name}_account_access_key"), id.to_owned()));
        variables.push((format!("{name}_secret_access_key"), "secret".to_owned()));
        Ok(variables)
    }

    /// The same, with an accounts file where each account is entered by a role, under a name that
    /// [`World::name_of`] gives.
    pub(crate) fn variables_of_all(&self, accounts: &[SyntheticAccount]) -> anyhow::Result<Variables> {
        let mut file = format!("[defaults]\nrole_name = \"{ROLE}\"\n");
        for account in accounts {
            let _ = account.account.role(ROLE, Trust::default());
            let _ = writeln!(
                file,
                "\n[[account]]\nname = \"{}\"\nid = \"{}\"",
                Self::name_of(account),
                account.id()
            );
        }
        let mut variables = self.variables();
        variables.push(("FLEET_ACCOUNTS".to_owned(), self.file("accounts.toml", &file)?));
        Ok(variables)
    }

    /// The name of an account that is entered by a role.
    pub(crate) fn name_of(account: &SyntheticAccount) -> String {
        format!("account-{}", account.id())
    }

    /// Puts a job on the queue, and gives its message's id.
    pub(crate) fn send(&self, account_name: &str, date: NaiveDate) -> anyhow::Result<String> {
        let job = serde_json::json!({
            "account_name": account_name, "date": date, "dataset": DATASET, "run_id": "bench",
        });
        self.home.send_with(JOBS, &job.to_string(), &[])
    }

    /// Whether no job is left, neither waiting nor in hand.
    pub(crate) fn is_done(&self) -> bool {
        let counts = self.home.counts(JOBS);
        counts.visible + counts.in_flight + counts.delayed == 0
    }

    /// The calls of an operation that were answered as asked, oldest first.
    pub(crate) fn calls(&self, operation: &str) -> Vec<CallRecord> {
        self.aws.calls().operation(operation).ok().records()
    }

    /// Writes a file, and gives its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
        Ok(path.display().to_string())
    }
}

/// The day to report: one that `ListMetrics` still knows with all of its lookback, or one that it has
/// forgotten.
pub(crate) fn date(age: Age) -> NaiveDate {
    e2e::days_ago(match age {
        Age::Recent => 4,
        Age::Old => 120,
    })
}

/// When a call was answered, in seconds after a moment.
pub(crate) fn answered_at(call: &CallRecord, since: DateTime<Utc>) -> f64 {
    came_in_at(call, since) + call.duration.as_secs_f64()
}

/// When a call came in, in seconds after a moment.
pub(crate) fn came_in_at(call: &CallRecord, since: DateTime<Utc>) -> f64 {
    (call.time - since).as_seconds_f64()
}
