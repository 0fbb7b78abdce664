//! The producer and the workers as processes of their own.
//!
//! So that no other binary is needed than this one, it starts itself again, and a variable says which
//! part to play.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};

use anyhow::Context;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// Which program this process is to be.
const PART: &str = "FLEET_CHAOS_PROGRAM";

const PRODUCER: &str = "producer";
const WORKER: &str = "worker";

/// How long a producer may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// Runs the producer or a worker where this process was started as one, and says how it ended.
pub(crate) fn play_part() -> Option<ExitCode> {
    match env::var(PART).ok()?.as_str() {
        PRODUCER => Some(producer::main_with(env::args_os())),
        WORKER => Some(worker::main_with(env::args_os())),
        _ => None,
    }
}

/// Environment variables.
pub(crate) type Variables = Vec<(String, String)>;

/// Starts programs in one environment.
#[derive(Debug)]
pub(crate) struct Shell {
    program: PathBuf,
    home: PathBuf,
    variables: Variables,
}

/// How a producer ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit status; none where a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Shell {
    /// A shell with these variables, and `home` for a home folder. Of the person's own environment
    /// nothing is passed on but the search path.
    pub(crate) fn new(home: &Path, variables: Variables) -> anyhow::Result<Self> {
        let program = env::current_exe().context("could not find the program's own binary")?;
        Ok(Self { program, home: home.to_owned(), variables })
    }

    /// Runs the producer to its end.
    pub(crate) async fn producer(&self, arguments: &[&str]) -> anyhow::Result<Ended> {
        let mut command = self.command(PRODUCER, arguments);
        let output = timeout(PATIENCE, command.stdout(Stdio::piped()).output()).await;
        let output = output
            .with_context(|| format!("`producer {}` does not end", arguments.join(" ")))?
            .context("could not start the producer")?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Ended { code: output.status.code(), stdout: said(&output.stdout), stderr: said(&output.stderr) })
    }

    /// Starts a worker, its log piped.
    pub(crate) fn worker(&self, variables: &Variables) -> anyhow::Result<Child> {
        let mut command = self.command(WORKER, &["run"]);
        command.envs(variables.iter().map(|(name, value)| (name, value))).stdout(Stdio::null());
        command.spawn().context("could not start a worker")
    }

    fn command(&self, part: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg0(part)
            .args(arguments)
            .env_clear()
            .envs(surroundings(&self.home))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env(PART, part)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// What a program needs besides what the fleet is told.
fn surroundings(home: &Path) -> impl Iterator<Item = (&'static str, OsString)> {
    let path = env::var_os("PATH").map(|path| ("PATH", path));
    [
        ("HOME", home.as_os_str().to_owned()),
        ("RUST_BACKTRACE", "1".into()),
        // On an EC2 machine, the SDK would ask the machine for credentials.
        ("AWS_EC2_METADATA_DISABLED", "true".into()),
    ]
    .into_iter()
    .chain(path)
}
