//! A fleet for the end-to-end tests: the AWS on loopback with a queue, a dead-letter queue and a
//! report bucket, and the real `producer` and `worker` binaries on it.

pub mod expected;
pub mod zoo;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::LazyLock,
    time::Duration,
};

use anyhow::Context;
use chrono::{Days, NaiveDate, Utc};
use local_aws::{Account, LocalAws, Message, Object, Options, QueueOptions};
use tempfile::TempDir;
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    time::timeout,
};

/// The fleet's own account: its queue and its report bucket.
pub const HOME: &str = "999999999999";

/// The region of the queue and the report bucket.
pub const HOME_REGION: &str = "eu-west-1";

/// The report bucket.
pub const REPORTS: &str = "fleet-reports";

/// The work queue, and the queue where dead letters go.
pub const JOBS: &str = "jobs";
/// The dead-letter queue.
pub const DEAD: &str = "jobs-dead";

/// How long a process of a test may run.
const PATIENCE: Duration = Duration::from_secs(90);

/// The UTC day on which a test began: it means one day throughout, though midnight passes meanwhile.
static TODAY: LazyLock<NaiveDate> = LazyLock::new(|| Utc::now().date_naive());

/// A fleet on an AWS of its own.
pub struct Fleet {
    /// The AWS.
    pub aws: LocalAws,
    /// The fleet's own account.
    pub home: Account,
    /// The work queue's URL.
    pub queue_url: String,
    /// A home folder without AWS configuration, for the processes.
    pub folder: TempDir,
    variables: Vec<(String, String)>,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit status; none where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Fleet {
    /// Starts an AWS with what a fleet needs. A job is redriven after its third receive.
    ///
    /// # Errors
    /// Where no port is free.
    pub async fn start() -> anyhow::Result<Self> {
        Self::with_visibility_timeout(Duration::from_secs(30)).await
    }

    /// The same, with another visibility timeout of the queue.
    pub async fn with_visibility_timeout(visibility_timeout: Duration) -> anyhow::Result<Self> {
        let aws = LocalAws::start(Options::default()).await?;
        let home = aws.account(HOME);
        home.bucket(REPORTS, HOME_REGION);
        let region = HOME_REGION.to_owned();
        let redrive = Some((DEAD.to_owned(), 3));
        let queue_url =
            home.queue(JOBS, QueueOptions { region, visibility_timeout, redrive, ..QueueOptions::default() });
        let folder = tempfile::tempdir()?;
        Ok(Self { aws, home, queue_url, folder, variables: Vec::new() })
    }

    /// Gives the processes access keys of an account, which are its id, under a name.
    #[must_use]
    pub fn account(&mut self, name: &str, id: &str) -> Account {
        let stem = name.replace('-', "_");
        self.variable(&format!("{stem}_account_access_key"), id);
        self.variable(&format!("{stem}_secret_access_key"), "secret");
        self.aws.account(id)
    }

    /// Gives the processes an environment variable.
    pub fn variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a file that the processes can be told of.
    pub fn file(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    }

    /// A producer, not started yet.
    #[must_use]
    pub fn producer(&self, arguments: &[&str]) -> Command {
        self.command("producer", arguments)
    }

    /// A worker, not started yet.
    #[must_use]
    pub fn worker(&self, arguments: &[&str]) -> Command {
        self.command("worker", arguments)
    }

    fn command(&self, binary: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program(binary));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("AWS_ENDPOINT_URL", self.aws.endpoint())
            .env("AWS_ACCESS_KEY_ID", HOME)
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", HOME_REGION)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("FLEET_QUEUE_URL", &self.queue_url)
            .env("FLEET_REPORT_BUCKET", REPORTS)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// The report under a key.
    #[must_use]
    pub fn object(&self, key: &str) -> Option<Object> {
        self.home.object(REPORTS, key)
    }

    /// The table of an account's report.
    pub fn table(&self, account: &str, date: NaiveDate) -> anyhow::Result<String> {
        let key = report_key(account, date);
        let object = self.object(&key).with_context(|| format!("no report at {key}"))?;
        Ok(String::from_utf8(object.body.to_vec())?)
    }

    /// A value of the metadata of an account's report.
    pub fn metadata(&self, account: &str, date: NaiveDate, name: &str) -> anyhow::Result<String> {
        let key = report_key(account, date);
        let object = self.object(&key).with_context(|| format!("no report at {key}"))?;
        object.metadata.get(name).cloned().with_context(|| format!("no {name} in {:?}", object.metadata))
    }

    /// So many accounts of one bucket each, and the arguments of the producer that ask for all of them.
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

    /// The same, and their jobs are on the queue.
    pub async fn send_small_jobs(&mut self, count: usize) -> anyhow::Result<()> {
        let arguments = self.small_accounts(count, days_ago(4));
        let arguments: Vec<&str> = ["run"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
        finish(self.producer(&arguments)).await?.status(0);
        Ok(())
    }

    /// Works until the queue is empty, and gives what the worker said.
    pub async fn work(&self, arguments: &[&str]) -> anyhow::Result<Ended> {
        let arguments = [&["run", "--exit-when-empty"], arguments].concat();
        Ok(finish(self.worker(&arguments)).await?.status(0))
    }

    /// The dead letters, oldest first.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<Message> {
        self.home.messages(DEAD)
    }

    /// Sends jobs by the producer and lets a worker do them all.
    pub async fn run(&self, producer: &[&str], worker: &[&str]) -> anyhow::Result<Ended> {
        let arguments = [&["run"], producer].concat();
        finish(self.producer(&arguments)).await?.status(0);
        let arguments = [&["run", "--exit-when-empty"], worker].concat();
        Ok(finish(self.worker(&arguments)).await?.status(0))
    }
}

impl Ended {
    /// The same, where the process ended with `code`.
    ///
    /// # Panics
    /// Where it did not, with all that it said.
    #[expect(
        clippy::must_use_candidate,
        clippy::return_self_not_must_use,
        reason = "often only the status matters"
    )]
    pub fn status(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n-- stdout\n{}\n-- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// What was printed as JSON.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("not JSON: {}", self.stdout))
    }
}

/// Starts a process and waits for its end.
pub async fn finish(mut command: Command) -> anyhow::Result<Ended> {
    end(command.spawn()?).await
}

/// Waits for the end of a process.
///
/// # Errors
/// Where it takes more than a minute and a half.
pub async fn end(child: Child) -> anyhow::Result<Ended> {
    let output = timeout(PATIENCE, child.wait_with_output()).await;
    let output = output.context("the process does not end")??;
    Ok(Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// Tells a process to stop.
pub fn terminate(process: &Child) -> anyhow::Result<()> {
    let id = process.id().context("the process has ended")?.to_string();
    let told = std::process::Command::new("kill").args(["-TERM", &id]).status()?;
    anyhow::ensure!(told.success(), "kill: {told}");
    Ok(())
}

/// Waits until a process has said something on its standard error. What it says in later lines is for [`end`].
///
/// # Errors
/// Where it has not said so in half a minute, or at its end.
pub async fn says(process: &mut Child, what: &str) -> anyhow::Result<()> {
    let stderr = process.stderr.as_mut().context("its standard error is read already")?;
    let (mut said, mut line) = (String::new(), Vec::new());
    let reading = async {
        while !said.contains(what) {
            // Byte by byte: a buffer would take along what is for others.
            line.push(stderr.read_u8().await.context("it has ended")?);
            if line.ends_with(b"\n") {
                said += &String::from_utf8(std::mem::take(&mut line))?;
            }
        }
        Ok(())
    };
    let read = timeout(Duration::from_secs(30), reading).await.context("not in half a minute");
    read.and_then(|read| read).with_context(|| format!("{what:?} is not in what it says: {said}"))
}

/// Waits until something holds.
///
/// # Errors
/// Where it does not in half a minute.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) -> anyhow::Result<()> {
    for _ in 0..1500 {
        if holds() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("not in half a minute: {what}")
}

/// The default key of an account's report.
#[must_use]
pub fn report_key(account: &str, date: NaiveDate) -> String {
    format!("s3_daily_storage/report_date={date}/account_name={account}/report.csv")
}

/// The UTC day so many days ago.
#[must_use]
pub fn days_ago(days: u64) -> NaiveDate {
    *TODAY - Days::new(days)
}

/// The path of one of the product's binaries. They lie beside the folder of the tests' own, and
/// building the workspace's tests builds them.
///
/// # Panics
/// Where it was not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("cannot fail: a process has a program");
    let path = own.ancestors().nth(2).unwrap_or(Path::new(".")).join(name);
    assert!(path.exists(), "{} is not built; run `cargo build --workspace` first", path.display());
    path
}
