// SPDX-License-Identifier: Apache-2.0
//! The producer and the workers as processes of their own.

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::Context;
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    time::timeout,
};

/// The variable that says which program a process is to be, if its binary is several.
pub const PART: &str = "FLEET_KIT_PART";

/// Whether this binary is the producer and the worker too.
static PLAYS: AtomicBool = AtomicBool::new(false);

/// How long a process may run.
const PATIENCE: Duration = Duration::from_mins(3);

pub type Variables = Vec<(String, String)>;

pub fn variable(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Makes this binary one that is also the programs it starts, so that `cargo run --bin` needs to build nothing else. If
/// the process was started as one of `parts`, runs that, and gives how it ended.
pub fn play_part(parts: &[(&str, &dyn Fn() -> ExitCode)]) -> Option<ExitCode> {
    PLAYS.store(true, Ordering::Relaxed);
    let part = env::var(PART).ok()?;
    parts.iter().find(|(name, _)| *name == part).map(|(_, play)| play())
}

/// The path of a program: this binary if it plays parts, else the one beside the folder of the tests' own, where building
/// the workspace's tests puts it.
pub fn program(name: &str) -> PathBuf {
    let own = env::current_exe().expect("cannot fail: a process has a program");
    if PLAYS.load(Ordering::Relaxed) {
        return own;
    }
    let path = own.ancestors().nth(2).unwrap_or(Path::new(".")).join(name);
    assert!(path.exists(), "{} is not built; run `cargo build --workspace` first", path.display());
    path
}

#[derive(Debug)]
pub struct Ended {
    /// The exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Asserts that the process ended with `code`; else panics with all that it printed.
    pub fn status(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n-- stdout\n{}\n-- stderr\n{}", self.stdout, self.stderr);
        self
    }

    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("not JSON: {}", self.stdout))
    }
}

/// Starts a process and waits for its end.
pub async fn finish(mut command: Command) -> anyhow::Result<Ended> {
    let child = command.spawn().with_context(|| format!("could not start {:?}", command.as_std()))?;
    end(child).await
}

/// Waits for the end of a process, for three minutes at most.
pub async fn end(child: Child) -> anyhow::Result<Ended> {
    let output = timeout(PATIENCE, child.wait_with_output()).await;
    let output = output.context("the process does not end")??;
    Ok(Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// Sends SIGTERM to a process.
pub fn terminate(process: &Child) -> anyhow::Result<()> {
    let id = process.id().context("the process has ended")?.to_string();
    let sent = std::process::Command::new("kill").args(["-TERM", &id]).status()?;
    anyhow::ensure!(sent.success(), "kill: {sent}");
    Ok(())
}

/// Waits until a process has written something to standard error, for half a minute at most. Later lines are left for
/// [`end`].
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

/// Waits until something holds, for half a minute at most.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) -> anyhow::Result<()> {
    for _ in 0..1500 {
        if holds() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("not in half a minute: {what}")
}
