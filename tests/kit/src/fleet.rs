// SPDX-License-Identifier: Apache-2.0
//! The queue, the dead-letter queue and the report bucket, and what the programs need to know of them.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::Context;
use chrono::NaiveDate;
use local_aws::{Account, LocalAws, Message, Object, Options, QueueOptions};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    days_ago,
    process::{Ended, PART, Variables, finish, program, variable},
};

/// The fleet's own account: its queue and its report bucket. No synthetic account has this id.
pub const HOME: &str = "123456789012";

/// The region of the queue and the report bucket.
pub const HOME_REGION: &str = "eu-west-1";

pub const REPORTS: &str = "fleet-reports";

pub const JOBS: &str = "jobs";

pub const DEAD: &str = "jobs-dead";

#[derive(Debug, Clone)]
pub struct Setup {
    pub aws: Options,
    pub visibility_timeout: Duration,
    /// The queue's `maxReceiveCount`.
    pub max_receives: u32,
}

impl Default for Setup {
    fn default() -> Self {
        Self { aws: Options::default(), visibility_timeout: Duration::from_secs(30), max_receives: 3 }
    }
}

/// A fleet on an AWS of its own.
pub struct Fleet {
    pub aws: LocalAws,
    pub home: Account,
    pub queue_url: String,
    /// The programs' home folder, without AWS configuration.
    pub folder: TempDir,
    variables: Variables,
}

impl Fleet {
    /// Starts an AWS with a fleet's queues and bucket.
    pub async fn new(setup: Setup) -> anyhow::Result<Self> {
        let aws = LocalAws::start(setup.aws).await?;
        let home = aws.account(HOME);
        home.bucket(REPORTS, HOME_REGION);
        let queue = QueueOptions {
            region: HOME_REGION.to_owned(),
            visibility_timeout: setup.visibility_timeout,
            redrive: Some((DEAD.to_owned(), setup.max_receives)),
            ..QueueOptions::default()
        };
        let queue_url = home.queue(JOBS, queue);
        let folder = tempfile::tempdir().context("could not make a temporary folder")?;
        let variables = [
            ("AWS_ENDPOINT_URL", aws.endpoint().as_str()),
            ("AWS_REGION", HOME_REGION),
            ("AWS_ACCESS_KEY_ID", HOME),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("FLEET_QUEUE_URL", &queue_url),
            ("FLEET_REPORT_BUCKET", REPORTS),
        ]
        .map(|(name, value)| variable(name, value))
        .to_vec();
        Ok(Self { aws, home, queue_url, folder, variables })
    }

    pub async fn start() -> anyhow::Result<Self> {
        Self::new(Setup::default()).await
    }

    pub async fn with_visibility_timeout(visibility_timeout: Duration) -> anyhow::Result<Self> {
        Self::new(Setup { visibility_timeout, ..Setup::default() }).await
    }

    /// Gives the programs access keys of an account, which are its id, under a name.
    pub fn account(&mut self, name: &str, id: &str) -> Account {
        self.variables.extend(keys(name, id));
        self.aws.account(id)
    }

    /// Gives the programs an environment variable; the last value of a name counts.
    pub fn variable(&mut self, name: &str, value: &str) {
        self.variables.push(variable(name, value));
    }

    /// All environment variables that the programs get of this fleet, in order.
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Writes a file in [`Fleet::folder`], and gives its path.
    pub fn file(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
        Ok(path.display().to_string())
    }

    /// A producer, not started yet.
    pub fn producer(&self, arguments: &[&str]) -> Command {
        self.command(&program("producer"), "producer", arguments)
    }

    /// A worker, not started yet.
    pub fn worker(&self, arguments: &[&str]) -> Command {
        self.command(&program("worker"), "worker", arguments)
    }

    /// A program, not started yet. Nothing of this process's environment is passed on to it.
    pub fn command(&self, program: &Path, part: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .arg0(part)
            .args(arguments)
            .env_clear()
            .env("HOME", self.folder.path())
            // On an EC2 machine, the SDK would ask the machine for credentials.
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env(PART, part)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// The object under a key of the report bucket.
    pub fn object(&self, key: &str) -> Option<Object> {
        self.home.object(REPORTS, key)
    }

    pub fn table(&self, account: &str, date: NaiveDate) -> anyhow::Result<String> {
        Ok(String::from_utf8(self.report(account, date)?.body.to_vec())?)
    }

    /// A value of the metadata of an account's report.
    pub fn metadata(&self, account: &str, date: NaiveDate, name: &str) -> anyhow::Result<String> {
        let object = self.report(account, date)?;
        object.metadata.get(name).cloned().with_context(|| format!("no {name} in {:?}", object.metadata))
    }

    fn report(&self, account: &str, date: NaiveDate) -> anyhow::Result<Object> {
        let key = report_key(account, date);
        self.object(&key).with_context(|| format!("no report at {key}"))
    }

    /// Makes so many accounts of one bucket each, and gives the producer's arguments that ask for all of them.
    pub fn small_accounts(&mut self, count: usize, day: NaiveDate) -> Vec<String> {
        let mut arguments = Vec::new();
        for nth in 0..count {
            let name = format!("account-{nth:02}");
            let account = self.account(&name, &format!("{:012}", 100_000_000_000u64 + nth as u64));
            account.bucket(&format!("bucket-{nth:02}"), HOME_REGION).size("StandardStorage", day, 7.0);
            arguments.extend(["--account-name".to_owned(), name]);
        }
        arguments.extend(["--date".to_owned(), day.to_string()]);
        arguments
    }

    /// Makes so many accounts of one bucket each, and sends their jobs.
    pub async fn send_small_jobs(&mut self, count: usize) -> anyhow::Result<()> {
        let arguments = self.small_accounts(count, days_ago(4));
        let arguments: Vec<&str> = ["run"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
        finish(self.producer(&arguments)).await?.status(0);
        Ok(())
    }

    /// Lets a worker do all jobs, and gives what it printed.
    pub async fn work(&self, arguments: &[&str]) -> anyhow::Result<Ended> {
        let arguments = [&["run", "--exit-when-empty"], arguments].concat();
        Ok(finish(self.worker(&arguments)).await?.status(0))
    }

    /// Sends jobs by the producer and lets a worker do them all.
    pub async fn run(&self, producer: &[&str], worker: &[&str]) -> anyhow::Result<Ended> {
        finish(self.producer(&[&["run"], producer].concat())).await?.status(0);
        self.work(worker).await
    }

    /// The dead letters, oldest first.
    pub fn dead_letters(&self) -> Vec<Message> {
        self.home.messages(DEAD)
    }
}

/// The variables with the access keys of an account; a variable's name has no hyphen.
pub fn keys(name: &str, access_key: &str) -> [(String, String); 2] {
    let stem = name.replace('-', "_");
    [
        variable(&format!("{stem}_account_access_key"), access_key),
        variable(&format!("{stem}_secret_access_key"), "secret"),
    ]
}

/// The default key of an account's report.
pub fn report_key(account: &str, date: NaiveDate) -> String {
    format!("s3_daily_storage/report_date={date}/account_name={account}/report.csv")
}
