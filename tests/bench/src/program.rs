// SPDX-License-Identifier: Apache-2.0
//! The worker and the peers as processes of their own, and what they take.

use std::{
    env,
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use kit::Fleet;
use tokio::{process::Child, time::timeout};

use cli::terminal::say;

use crate::{
    load,
    stopwatch::{self, Measured},
};

/// How long a process may take.
const PATIENCE: Duration = Duration::from_mins(20);

/// How much of a log is shown if a process failed.
const SHOWN: usize = 4000;

/// If this process was started as the worker, the stopwatch or the load, runs that, and gives how it ended.
pub(crate) fn play_part() -> Option<ExitCode> {
    let or_told = |ended: anyhow::Result<ExitCode>| {
        ended.unwrap_or_else(|error| {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        })
    };
    kit::play_part(&[
        ("worker", &|| worker::main_with(env::args_os())),
        ("stopwatch", &|| or_told(stopwatch::time((kit::PART, "worker")))),
        ("load", &|| or_told(load::run(env::args().skip(1)))),
    ])
}

#[derive(Debug)]
pub(crate) struct Programs {
    worker: PathBuf,
}

impl Programs {
    /// `None`: the worker in this program.
    pub(crate) fn new(worker: Option<&Path>) -> anyhow::Result<Self> {
        let worker = worker.map(Path::canonicalize).transpose().context("could not find the worker")?;
        Ok(Self { worker: worker.unwrap_or_else(|| kit::program("worker")) })
    }

    /// Runs the worker to its end and says what it took; one that fails is an error that has its log.
    pub(crate) async fn time_worker(&self, fleet: &Fleet, arguments: &[&str]) -> anyhow::Result<Measured> {
        time(&self.worker, fleet, arguments.iter().map(OsStr::new)).await
    }

    /// Starts a worker whose log goes to a file.
    pub(crate) fn start_worker(
        &self,
        fleet: &Fleet,
        arguments: &[&str],
        log: &Path,
    ) -> anyhow::Result<Child> {
        let mut command = fleet.command(&self.worker, "worker", arguments);
        command.stdout(Stdio::null()).stderr(File::create(log)?);
        command.spawn().context("could not start a worker")
    }
}

/// Runs any program to its end and says what it took.
pub(crate) async fn time(
    program: &Path,
    fleet: &Fleet,
    arguments: impl IntoIterator<Item = &OsStr>,
) -> anyhow::Result<Measured> {
    let mut command = fleet.command(&kit::program("stopwatch"), "stopwatch", &[]);
    let output = timeout(PATIENCE, command.arg(program).args(arguments).output()).await;
    let output = output.with_context(|| format!("{} does not end", program.display()))??;
    let said = tail(&output.stderr);
    let measured: Measured = serde_json::from_slice(&output.stdout).with_context(|| said.clone())?;
    if measured.code != Some(0) {
        bail!("{} ended with {:?}:\n{said}", program.display(), measured.code);
    }
    Ok(measured)
}

pub(crate) fn tail(log: &[u8]) -> String {
    String::from_utf8_lossy(&log[log.len().saturating_sub(SHOWN)..]).into_owned()
}
