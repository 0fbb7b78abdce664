//! The producer and the workers as processes of their own, with nothing but arguments and
//! environment variables, as on a server.
//!
//! So that the demo needs no other binary than its own, it starts itself again, and a variable says
//! which part to play.

use std::{
    env,
    ffi::OsString,
    path::Path,
    process::{ExitCode, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::mpsc::UnboundedSender,
    task::JoinHandle,
    time::timeout,
};

/// Which program this process is to be.
const PART: &str = "FLEET_DEMO_PROGRAM";

/// How long a program that does one thing may take, and how long one may take to leave.
const PATIENCE: Duration = Duration::from_secs(30);

/// One of the fleet's two programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// The producer.
    Producer,
    /// A worker.
    Worker,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Worker => "worker",
        }
    }
}

/// Runs the producer or a worker where this process was started as one, and says how it ended.
pub(crate) fn play_part() -> Option<ExitCode> {
    let part = env::var(PART).ok()?;
    let program = [Program::Producer, Program::Worker].into_iter().find(|program| program.name() == part)?;
    Some(match program {
        Program::Producer => producer::main_with(env::args_os()),
        Program::Worker => worker::main_with(env::args_os()),
    })
}

/// Starts programs in one environment.
#[derive(Debug)]
pub(crate) struct Shell {
    variables: Vec<(String, String)>,
    home: tempfile::TempDir,
}

/// A worker that was started.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    log: JoinHandle<Vec<String>>,
}

impl Shell {
    /// A shell with these variables and an empty home folder. Of the person's own environment
    /// nothing is passed on but the search path: no profile, no key, no proxy.
    pub(crate) fn new(variables: Vec<(String, String)>) -> anyhow::Result<Self> {
        let home = tempfile::tempdir().context("could not make a temporary folder")?;
        Ok(Self { variables, home })
    }

    /// Sets variables for the programs that are started from now on.
    pub(crate) fn export(&mut self, variables: Vec<(String, String)>) {
        self.variables.extend(variables);
    }

    /// Runs the producer to its end and gives what it printed. One that ends with another exit status
    /// than `expected` is an error that has all that it said.
    pub(crate) async fn producer(&self, arguments: &[&str], expected: i32) -> anyhow::Result<String> {
        let mut command = self.command(Program::Producer, arguments)?;
        let output = timeout(PATIENCE, command.stdout(Stdio::piped()).output()).await;
        let output = output
            .with_context(|| format!("`producer {}` does not end", arguments.join(" ")))?
            .context("could not start the producer")?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.code() != Some(expected) {
            bail!(
                "`producer {}` ended with {}, not {expected}:\n{}{}",
                arguments.join(" "),
                output.status,
                said(&output.stdout),
                said(&output.stderr)
            );
        }
        Ok(said(&output.stdout))
    }

    /// Starts a worker whose log goes to `lines`, line by line, with the worker's number.
    pub(crate) fn worker(
        &self,
        number: usize,
        arguments: &[&str],
        lines: UnboundedSender<(usize, String)>,
    ) -> anyhow::Result<Running> {
        let mut command = self.command(Program::Worker, arguments)?;
        let mut child = command.stdout(Stdio::null()).spawn().context("could not start a worker")?;
        let stderr = child.stderr.take().context("cannot fail: it is piped")?;
        let log = tokio::spawn(async move {
            let mut log = Vec::new();
            let mut reader = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                log.push(line.clone());
                // Nobody listens any more once the story is over; the log is kept all the same.
                let _ = lines.send((number, line));
            }
            log
        });
        Ok(Running { child, log })
    }

    fn command(&self, program: Program, arguments: &[&str]) -> anyhow::Result<Command> {
        let own = env::current_exe().context("could not find the demo's own binary")?;
        let mut command = Command::new(own);
        command
            .arg0(program.name())
            .args(arguments)
            .env_clear()
            .envs(surroundings(self.home.path()))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env(PART, program.name())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok(command)
    }
}

impl Running {
    /// Waits until the worker leaves; gives how it ended and all that it logged.
    pub(crate) async fn end(mut self) -> anyhow::Result<(ExitStatus, Vec<String>)> {
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.context("a worker does not leave")??;
        Ok((status, self.log.await?))
    }

    /// Tells the worker to stop, as a deployment does: by SIGTERM.
    pub(crate) async fn stop(&self) -> anyhow::Result<()> {
        // One that has left has no id any more.
        let Some(id) = self.child.id() else { return Ok(()) };
        // Every shell has a `kill` of its own.
        let told = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &id.to_string()]).status().await;
        ensure!(told.context("could not start sh")?.success(), "could not signal process {id}");
        Ok(())
    }

    /// Kills the worker, where it still runs; gives all that it logged.
    pub(crate) async fn kill(mut self) -> Vec<String> {
        // Cannot fail but where it has left already, which is as good.
        let _ = self.child.kill().await;
        self.log.await.unwrap_or_default()
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
