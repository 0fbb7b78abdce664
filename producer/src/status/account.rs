// SPDX-License-Identifier: Apache-2.0
//! The status of one account and dataset of a run, and its explanation.

use chrono::{DateTime, Utc};
use cli::output::count;
use fleet::{
    AccountName,
    existing::Existing,
    manifest::{JobState, Manifest, ManifestJob},
    report::{Remaining, ReportMetadata, ReportStatus},
};
use serde::Serialize;

use super::observed::{Dead, Observed};
use crate::dead_letters::{Letter, one_line};

/// The state of an account of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Complete,
    /// A report exists that lacks something.
    Partial,
    /// No complete report, and its job is in the dead-letter queue.
    Failed,
    /// Its job may still write a report: the queue is not known to be empty.
    InProgress,
    /// No report, no dead letter, and no job left that could write a report.
    Missing,
}

/// The status of one account and dataset of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AccountStatus {
    pub(crate) account_name: AccountName,
    pub(crate) dataset: String,
    pub(crate) state: State,
    pub(crate) report_key: String,
    /// Of a job of windows: how many are complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) windows: Option<WindowsStatus>,
    /// The figures of the report, if it counts for this run.
    #[serde(flatten)]
    pub(crate) report: Option<ReportFigures>,
    /// What is missing and why, if something is.
    pub(crate) detail: Option<String>,
    /// The reason code of its dead letter, if it failed.
    pub(crate) failure_reason: Option<String>,
    /// The message of its dead letter, and what to do.
    pub(crate) failure_message: Option<String>,
    /// The failure message, or the first missing row's error, on one line.
    #[serde(skip)]
    pub(crate) one_line_message: Option<String>,
}

/// How many windows of a job are complete.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct WindowsStatus {
    pub(crate) total: usize,
    pub(crate) complete: usize,
    /// Those of the complete ones whose values may still change.
    pub(crate) provisional: usize,
    /// Whether each is complete, in their order.
    #[serde(skip)]
    pub(crate) each: Vec<bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ReportFigures {
    /// Whether its values are final.
    pub(crate) settled: bool,
    /// When its collection began, by the report bucket's clock.
    pub(crate) collected_at: DateTime<Utc>,
    /// The time from which a collection of the day is final.
    pub(crate) settles_at: DateTime<Utc>,
    pub(crate) rows: u64,
    /// Rows of an earlier day than requested.
    pub(crate) rows_late: u64,
    /// Rows that could not be requested.
    pub(crate) rows_denied: u64,
    /// Rows without a value that CloudWatch may have.
    pub(crate) rows_error: u64,
    /// Bytes of all rows; `None` in reports of earlier versions.
    pub(crate) bytes: Option<u64>,
    /// Objects of all rows; `None` in reports of earlier versions.
    pub(crate) objects: Option<u64>,
    pub(crate) api_calls: u64,
    /// Billed metrics.
    pub(crate) metrics_requested: u64,
    pub(crate) estimated_cost_usd: f64,
}

impl State {
    /// Whether the operator has to do something about it.
    fn is_failed(self) -> bool {
        match self {
            Self::Partial | Self::Failed | Self::Missing => true,
            Self::Complete | Self::InProgress => false,
        }
    }

    /// The state as shown in tables.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::InProgress => "in progress",
            Self::Missing => "missing",
        }
    }
}

/// What is known of one account.
pub(super) struct Evidence<'a> {
    /// What is stored under its report's key; `None` if not looked up yet.
    pub(super) existing: Option<&'a Existing>,
    pub(super) letter: Option<&'a Letter>,
    pub(super) observed: Observed<'a>,
}

/// How far the report of an account satisfies the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// It is all that the run asked for.
    Enough,
    /// Complete but provisional, and the run was sent to settle it.
    ToSettle {
        /// Whether a provisional report counts as incomplete.
        wants_settled: bool,
    },
    /// Partial, and its job is finished.
    Partial,
    /// Partial, and the next attempt of its job continues it.
    Unfinished,
}

/// Decides an account's state from its report, from whether a dead letter and the report were looked up,
/// and from whether a job may still write a report.
fn decide(found: Option<Found>, is_dead: bool, is_looked_at: bool, is_awaited: bool) -> State {
    match (found, is_dead) {
        // The dead letter is then outdated: the job was replayed another way or sent twice.
        (Some(Found::Enough), _) | (Some(Found::ToSettle { wants_settled: false }), true) => State::Complete,
        (None, _) if !is_looked_at => State::InProgress,
        // The partial report may be an earlier attempt's; the dead letter says what the last one lacked.
        (Some(Found::ToSettle { .. } | Found::Partial | Found::Unfinished) | None, true) => State::Failed,
        (Some(Found::ToSettle { .. } | Found::Unfinished) | None, false) if is_awaited => State::InProgress,
        (Some(Found::ToSettle { .. }), false) => State::Complete,
        (Some(Found::Partial | Found::Unfinished), false) => State::Partial,
        (None, false) => State::Missing,
    }
}

impl AccountStatus {
    pub(super) fn from_evidence(manifest: &Manifest, job: &ManifestJob, evidence: &Evidence<'_>) -> Self {
        let Evidence { existing, letter, observed } = *evidence;
        let already = job.state == JobState::AlreadyComplete;
        let report = existing.and_then(Existing::report).map(|report| &report.metadata);
        let own = report.filter(|report| counts_for(report, manifest, job, observed.now));
        let found = own.map(|own| found(own, manifest, job, observed.wants_settled));
        // If no job was sent, there is nothing to wait for.
        let is_awaited = !observed.drained && !already;
        let state = decide(found, letter.is_some(), existing.is_some(), is_awaited);
        let failed = letter.filter(|_| state == State::Failed);
        let detail = match state {
            State::Partial => own.map(what_is_missing),
            State::Failed => failed.map(|letter| match why_failed(letter, own) {
                None => one_line(letter.dead.reason()),
                Some(why) => format!("{}: {why}", one_line(letter.dead.reason())),
            }),
            State::Missing => Some(why_missing(job, existing, observed.dead)),
            State::Complete | State::InProgress => None,
        };
        let one_line_message = match state {
            State::Failed => failed.and_then(|letter| why_failed(letter, own)),
            State::Partial => own.and_then(|report| report.first_error.as_deref()).map(one_line),
            State::Complete | State::InProgress | State::Missing => None,
        };
        Self {
            account_name: job.account_name.clone(),
            dataset: job.dataset.clone(),
            state,
            report_key: job.report_key.clone(),
            windows: None,
            report: own.map(ReportFigures::from_metadata),
            detail,
            failure_reason: failed.map(|letter| letter.dead.reason().to_owned()),
            failure_message: failed
                .and_then(|letter| letter.dead.cause.as_ref())
                .map(|why| why.message.clone()),
            one_line_message,
        }
    }

    /// Whether its report is complete but was made before the day was settled.
    pub(crate) fn is_provisional(&self) -> bool {
        self.state == State::Complete && self.report.as_ref().is_some_and(|report| !report.settled)
    }

    /// Whether an operator must act on it.
    pub(crate) fn needs_attention(&self, wants_settled: bool) -> bool {
        self.state.is_failed() || wants_settled && self.is_provisional()
    }

    /// Whether its report is complete, with rows of an earlier day than requested.
    pub(crate) fn is_late(&self) -> bool {
        self.state == State::Complete && self.report.as_ref().is_some_and(|report| report.rows_late > 0)
    }
}

impl ReportFigures {
    fn from_metadata(report: &ReportMetadata) -> Self {
        // A figure beyond the range of JSON readers is left out.
        let figure = |figure: Option<u128>| figure.and_then(|figure| figure.try_into().ok());
        Self {
            settled: report.is_settled(),
            collected_at: report.collected_at,
            settles_at: report.settles_at(),
            rows: report.rows,
            rows_late: report.rows_late,
            rows_denied: report.rows_denied,
            rows_error: report.rows_error,
            bytes: figure(report.bytes),
            objects: figure(report.objects),
            api_calls: report.api_calls,
            metrics_requested: report.metrics_requested,
            estimated_cost_usd: report.estimated_cost_usd,
        }
    }
}

/// Whether a report, complete or not, counts for the run.
fn counts_for(report: &ReportMetadata, manifest: &Manifest, job: &ManifestJob, now: DateTime<Utc>) -> bool {
    let (dataset, account_id) = (&*job.dataset, job.account_id.as_ref());
    let window = job.windows_of(manifest.date).first();
    let already_complete = job.state == JobState::AlreadyComplete;
    // Such a run needs a complete report, of whichever run.
    if (already_complete || manifest.only_incomplete) && report.is_complete_of(dataset, window, account_id) {
        return true;
    }
    !already_complete
        && (report.counts_for(&manifest.run_id, dataset, window, account_id, now)
            || report.is_of(dataset, window, account_id) && report.run_id.is_or_follows(&manifest.run_id))
}

/// How far a report that counts for the run satisfies it.
fn found(report: &ReportMetadata, manifest: &Manifest, job: &ManifestJob, wants_settled: bool) -> Found {
    match report.status {
        ReportStatus::Partial if report.is_unfinished => Found::Unfinished,
        ReportStatus::Partial => Found::Partial,
        ReportStatus::Complete => {
            // What the producer saw when it sent the job, and what the worker sees until the job is
            // done.
            let (window, account_id) = (job.windows_of(manifest.date).first(), job.account_id.as_ref());
            let remaining = report.remaining(&job.dataset, window, account_id, manifest.created_at);
            let is_sent = manifest.only_incomplete && job.state == JobState::Sent;
            if is_sent && remaining == Remaining::Collection {
                Found::ToSettle { wants_settled }
            } else {
                Found::Enough
            }
        }
    }
}

/// The number of missing rows by cause; empty if none is missing.
pub(super) fn missing_rows(rows_denied: u64, rows_error: u64) -> Vec<String> {
    let rows = [(rows_denied, "denied"), (rows_error, "with errors")];
    let rows = rows.into_iter().filter(|(rows, _)| *rows > 0);
    rows.map(|(rows, what)| format!("{} {what}", count(rows.try_into().unwrap_or(usize::MAX), "row")))
        .collect()
}

fn what_is_missing(report: &ReportMetadata) -> String {
    let mut parts = missing_rows(report.rows_denied, report.rows_error);
    parts.extend(report.first_error.clone());
    if parts.is_empty() { "the report does not say what".to_owned() } else { parts.join("; ") }
}

/// The whole failure message and, if there is a partial report, what that lacks.
fn why_failed(letter: &Letter, report: Option<&ReportMetadata>) -> Option<String> {
    let message = Some(letter.message()).filter(|message| !message.is_empty());
    let report = report.map(|report| match report.status {
        ReportStatus::Complete => "its report is provisional".to_owned(),
        ReportStatus::Partial => format!("a partial report exists: {}", one_line(&what_is_missing(report))),
    });
    let parts: Vec<String> = message.into_iter().chain(report).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn why_missing(job: &ManifestJob, existing: Option<&Existing>, dead: &Dead) -> String {
    let gone = match (job.state, dead) {
        (JobState::AlreadyComplete, _) => "its report was complete when the run began",
        (JobState::Sent, Dead::Unreadable) => {
            "no job is left on the queue, and the dead-letter queue can't be read"
        }
        (JobState::Sent, Dead::NotSeen | Dead::Seen { .. }) => "no job is left on the queue",
    };
    match (existing, job.state) {
        (None | Some(Existing::Nothing), JobState::AlreadyComplete) => {
            format!("{gone}, and has been deleted since")
        }
        (None | Some(Existing::Nothing), JobState::Sent) => format!("no report, and {gone}"),
        (Some(Existing::Foreign { .. }), _) => {
            format!("the object under its key is not a report of the fleet; {gone}")
        }
        (Some(Existing::Report(report)), _) => {
            let report = &report.metadata;
            let other = job.account_id.as_ref().filter(|id| **id != report.account_id);
            let whose = match other {
                Some(id) => format!("of account {}, not {id},", report.account_id),
                None => format!("of {}", report.window),
            };
            format!("{gone}; the report under its key is {whose} and run {}", report.run_id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_combination_has_one_state() {
        use State::{Complete, Failed, InProgress, Missing, Partial};
        let states = |found| {
            let of = |is_dead, is_looked_at, is_awaited| decide(found, is_dead, is_looked_at, is_awaited);
            [of(false, true, true), of(false, true, false), of(true, true, true), of(true, true, false)]
        };
        assert_eq!(states(Some(Found::Enough)), [Complete; 4], "whatever the queues say");
        assert_eq!(states(Some(Found::Partial)), [Partial, Partial, Failed, Failed]);
        assert_eq!(states(Some(Found::Unfinished)), [InProgress, Partial, Failed, Failed]);
        let to_settle = |wants_settled| states(Some(Found::ToSettle { wants_settled }));
        assert_eq!(to_settle(false), [InProgress, Complete, Complete, Complete]);
        assert_eq!(to_settle(true), [InProgress, Complete, Failed, Failed]);
        assert_eq!(states(None), [InProgress, Missing, Failed, Failed]);
        for (is_dead, is_awaited) in [(false, false), (false, true), (true, false), (true, true)] {
            assert_eq!(decide(None, is_dead, false, is_awaited), State::InProgress, "it was not looked up");
        }
    }
}
