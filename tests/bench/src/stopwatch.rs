// SPDX-License-Identifier: Apache-2.0
//! A process that runs another one and says what it took. The kernel counts a process's memory from that of
//! the one that started it: this one is small, where the benchmark itself holds a whole AWS.

use std::{
    env,
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use anyhow::Context;
use cli::output;
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Seconds by the clock, from its start to its end.
    pub(crate) wall_s: f64,
    /// Seconds of CPU, in its own code and in the kernel's.
    pub(crate) cpu_s: f64,
    /// The most memory that it had at any time.
    pub(crate) peak_rss_mib: f64,
    /// Its exit status; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
}

/// Runs the program of the command line and prints what it took. `part` is the variable, and what to set it
/// to, for a program that is this one again.
pub(crate) fn time(part: (&str, &str)) -> anyhow::Result<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    let program = arguments.next().context("no program to time")?;
    let mut command = Command::new(&program);
    command.args(arguments).env(part.0, part.1).stdin(Stdio::null()).stdout(Stdio::null());
    let begun = Instant::now();
    let status = command.status().with_context(|| format!("could not start {}", program.display()))?;
    let wall_s = begun.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("could not learn what it took")?;
    let measured = Measured {
        wall_s,
        cpu_s: seconds(usage.user_time()) + seconds(usage.system_time()),
        peak_rss_mib: mib(usage.max_rss()),
        code: status.code(),
    };
    output::print(&serde_json::to_string(&measured)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Seconds of CPU that this process has taken so far, all of its threads together.
pub(crate) fn own_cpu_s() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("could not learn what this process took")?;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a benchmark")]
fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

/// Linux counts in KiB, macOS in bytes.
#[expect(clippy::cast_precision_loss, reason = "memory of a process")]
fn mib(max_rss: i64) -> f64 {
    let unit = if cfg!(target_os = "macos") { 1024.0 * 1024.0 } else { 1024.0 };
    max_rss as f64 / unit
}
