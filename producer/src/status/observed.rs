// SPDX-License-Identifier: Apache-2.0
//! What was observed of a run: the input of its status.

use chrono::{DateTime, Utc};
use engine::queue::QueueCounts;
use fleet::existing::Existing;
use serde::Serialize;

use crate::dead_letters::Letter;

/// What is known of the dead-letter queue.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Dead {
    /// It has not been read.
    #[default]
    NotSeen,
    /// Access to it is denied.
    Unreadable,
    /// All messages in it.
    Seen {
        letters: Vec<Letter>,
        /// How many more are in flight in other commands, approximately.
        elsewhere: u64,
    },
}

/// What was observed of a run: first the queue, then the reports, last the dead letters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observed<'a> {
    /// What is stored under the key of each report, job by job in the manifest's order and window by window; `None` if not
    /// looked up yet.
    pub(crate) existing: &'a [Option<Existing>],
    /// Whether the work queue was reliably empty.
    pub(crate) drained: bool,
    pub(crate) dead: &'a Dead,
    /// The time by the report bucket's clock.
    pub(crate) now: DateTime<Utc>,
    /// Whether a provisional report counts as incomplete.
    pub(crate) wants_settled: bool,
    /// The state of the work queue; `None` if not read yet.
    pub(crate) queue: Option<QueueState>,
}

/// The last reading of the work queue, which may hold jobs of other runs too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct QueueState {
    /// Jobs waiting for a worker.
    pub(crate) waiting: u64,
    /// Jobs that workers have.
    pub(crate) in_flight: u64,
    /// If jobs wait and no worker has one: for how many seconds this has been the case, as far as known.
    #[serde(rename = "no_worker_for_seconds")]
    pub(crate) untaken_for: Option<u64>,
}

impl QueueState {
    /// Interprets a reading. `taken_at` is the last time a worker is known to have had a job or, if
    /// there is none, the time the run was sent.
    pub(crate) fn from_counts(counts: QueueCounts, taken_at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let waiting = counts.visible + counts.delayed;
        let is_untaken = waiting > 0 && counts.in_flight == 0;
        let untaken_for =
            is_untaken.then(|| u64::try_from((now - taken_at).num_seconds()).unwrap_or_default());
        Self { waiting, in_flight: counts.in_flight, untaken_for }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_that_no_worker_takes_are_distinguished_from_those_in_flight() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a moment");
        let of = |visible, in_flight, delayed| {
            let counts = QueueCounts { visible, in_flight, delayed };
            QueueState::from_counts(counts, at("2026-11-21T10:00:00Z"), at("2026-11-21T10:05:07Z"))
        };
        assert_eq!(of(1, 0, 2), QueueState { waiting: 3, in_flight: 0, untaken_for: Some(307) });
        assert_eq!(of(1, 1, 0), QueueState { waiting: 1, in_flight: 1, untaken_for: None });
        assert_eq!(of(0, 0, 0).untaken_for, None);
    }
}
