//! Progress: a bar on a terminal, a log line now and then elsewhere.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::status::{RunStatus, text};

/// How often a log line says how far it is, where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// A bar over a number of jobs, on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    last_line: Mutex<Option<Instant>>,
}

impl Progress {
    /// Begins a bar over `jobs` jobs; `what` stands before it.
    pub(crate) fn begin(what: &'static str, jobs: usize) -> Self {
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {elapsed} {msg}")
            .expect("cannot fail: the template is a constant");
        // Without a terminal, indicatif draws nothing.
        let bar = ProgressBar::new(jobs.try_into().unwrap_or(u64::MAX))
            .with_style(style.progress_chars("=> "))
            .with_prefix(what);
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(500));
        }
        Self {
            bar,
            last_line: Mutex::new(None),
        }
    }

    /// More jobs are done with.
    pub(crate) fn add(&self, jobs: usize) {
        self.bar.inc(jobs.try_into().unwrap_or(u64::MAX));
    }

    /// Shows how a run stands.
    pub(crate) fn set(&self, status: &RunStatus) {
        let decided = status.accounts.len() - status.counts.in_progress;
        self.bar.set_position(decided.try_into().unwrap_or(u64::MAX));
        if self.bar.is_hidden() && self.is_time_for_a_line() {
            tracing::info!(run_id = %status.run_id, "{}", text::summary(status));
        }
    }

    fn is_time_for_a_line(&self) -> bool {
        let Ok(mut last) = self.last_line.lock() else {
            return false;
        };
        if last.is_some_and(|last| last.elapsed() < LINE_EVERY) {
            return false;
        }
        *last = Some(Instant::now());
        true
    }
}

impl Drop for Progress {
    /// Leaves the terminal to what comes next.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
