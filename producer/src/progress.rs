// SPDX-License-Identifier: Apache-2.0
//! Progress: a bar on a terminal, otherwise occasional log lines.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use cli::{telemetry::NOTICE, terminal};
use indicatif::ProgressBar;

use crate::status::{Counts, RunStatus, text};

/// The maximum time between two log lines without a terminal, even if nothing changes.
const LINE_AT_LEAST_EVERY: Duration = Duration::from_mins(1);

/// A bar over a number of jobs, on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    last_line: Cell<Option<(Counts, Instant)>>,
}

impl Progress {
    /// Starts a bar over `jobs` jobs, labelled `what`.
    pub(crate) fn begin(what: &'static str, jobs: usize) -> Self {
        let bar = terminal::bar("{prefix} [{bar:30}] {pos}/{len} {elapsed} {msg}", jobs).with_prefix(what);
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(500));
        }
        Self { bar, last_line: Cell::new(None) }
    }

    /// Adds jobs that are finished.
    pub(crate) fn add(&self, jobs: usize) {
        self.bar.inc(jobs.try_into().unwrap_or(u64::MAX));
    }

    /// Shows a run's status.
    pub(crate) fn set(&self, status: &RunStatus) {
        let decided = status.accounts.len() - status.counts.in_progress;
        self.bar.set_position(decided.try_into().unwrap_or(u64::MAX));
        self.bar.set_message(text::queue(status).unwrap_or_default());
        if self.bar.is_hidden() && self.is_time_for_a_line(status.counts) {
            let queue = text::queue(status).map_or_else(String::new, |queue| format!("; {queue}"));
            tracing::info!(target: NOTICE, run_id = %status.run_id, "{}{queue}", text::summary(status));
        }
    }

    fn is_time_for_a_line(&self, counts: Counts) -> bool {
        let last = self.last_line.get();
        if last.is_some_and(|(logged, at)| logged == counts && at.elapsed() < LINE_AT_LEAST_EVERY) {
            return false;
        }
        self.last_line.set(Some((counts, Instant::now())));
        true
    }
}

impl Drop for Progress {
    /// Clears the bar from the terminal.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
