//! The worker and the peers as processes of their own.
//!
//! So that no other binary is needed than this one, it starts itself again, and a variable says which part to
//! play.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::{
    load,
    stopwatch::{self, Measured},
    tell,
};

/// Which program this process is to be.
const PART: &str = "FLEET_BENCH_PROGRAM";

const WORKER: &str = "worker";
const STOPWATCH: &str = "stopwatch";
const LOAD: &str = "load";

/// How long a process may take.
const PATIENCE: Duration = Duration::from_mins(20);

/// How much of a log is shown where a process failed.
const SHOWN: usize = 4000;

/// Plays the part that this process was started for, and says how it ended.
pub(crate) fn play_part() -> Option<ExitCode> {
    let ended = match env::var(PART).ok()?.as_str() {
        WORKER => return Some(worker::main_with(env::args_os())),
        STOPWATCH => stopwatch::time((PART, WORKER)),
        LOAD => load::run(env::args().skip(1)),
        _ => return None,
    };
    Some(ended.unwrap_or_else(|error| {
        tell(&format!("{error:#}"));
        ExitCode::FAILURE
    }))
}

/// Environment variables.
pub(crate) type Variables = Vec<(String, String)>;

/// Starts programs. Of the person's own environment nothing is passed on but the search path.
#[derive(Debug)]
pub(crate) struct Shell {
    own: PathBuf,
    worker: PathBuf,
    home: TempDir,
}

impl Shell {
    /// A shell that takes `worker` for the worker; where that is left out, the one in this program.
    pub(crate) fn new(worker: Option<&Path>) -> anyhow::Result<Self> {
        let own = env::current_exe().context("could not find the program's own binary")?;
        let home = tempfile::Builder::new().prefix("bench-").tempdir().context("could not make a folder")?;
        let worker = worker.map(Path::canonicalize).transpose().context("could not find the worker")?;
        Ok(Self { worker: worker.unwrap_or_else(|| own.clone()), own, home })
    }

    /// Runs the worker to its end and says what it took; one that fails is an error that has its log.
    pub(crate) async fn time_worker(
        &self,
        variables: &Variables,
        arguments: &[&str],
    ) -> anyhow::Result<Measured> {
        self.time(&self.worker, variables, arguments.iter().map(OsStr::new)).await
    }

    /// The same, of any program.
    pub(crate) async fn time(
        &self,
        program: &Path,
        variables: &Variables,
        arguments: impl IntoIterator<Item = &OsStr>,
    ) -> anyhow::Result<Measured> {
        let mut command = self.command(&self.own, STOPWATCH, variables);
        let output = timeout(PATIENCE, command.arg(program).args(arguments).output()).await;
        let output = output.with_context(|| format!("{} does not end", program.display()))??;
        let said = tail(&output.stderr);
        let measured: Measured = serde_json::from_slice(&output.stdout).with_context(|| said.clone())?;
        if measured.code != Some(0) {
            bail!("{} ended with {:?}:\n{said}", program.display(), measured.code);
        }
        Ok(measured)
    }

    /// Starts a worker whose log goes to a file.
    pub(crate) fn start_worker(
        &self,
        variables: &Variables,
        arguments: &[&str],
        log: &Path,
    ) -> anyhow::Result<Child> {
        let mut command = self.command(&self.worker, WORKER, variables);
        command.args(arguments).stdout(Stdio::null()).stderr(File::create(log)?);
        command.spawn().context("could not start a worker")
    }

    /// Runs the client that asks as fast as it can, and gives what it says.
    pub(crate) async fn load(&self, arguments: &[String]) -> anyhow::Result<Vec<u8>> {
        let mut command = self.command(&self.own, LOAD, &Vec::new());
        let output = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::inherit()).output().await?;
        if !output.status.success() {
            bail!("the load ended with {}", output.status);
        }
        Ok(output.stdout)
    }

    fn command(&self, program: &Path, part: &str, variables: &Variables) -> Command {
        let path = env::var_os("PATH").map(|path| ("PATH", path));
        let surroundings: [(&str, OsString); 3] = [
            ("HOME", self.home.path().as_os_str().to_owned()),
            // On an EC2 machine, the SDK would ask the machine for credentials.
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
            (PART, part.into()),
        ];
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(surroundings.into_iter().chain(path))
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// The end of a log.
pub(crate) fn tail(log: &[u8]) -> String {
    String::from_utf8_lossy(&log[log.len().saturating_sub(SHOWN)..]).into_owned()
}
