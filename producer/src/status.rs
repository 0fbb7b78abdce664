// SPDX-License-Identifier: Apache-2.0
//! The status of a run: derives each account's state from the reports in the bucket, the work queue and
//! the dead letters. Pure; `follow` calls AWS, `text` formats.

pub(crate) mod text;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use cli::output::count;
use engine::queue::QueueCounts;
use fleet::{
    AccountName, Dataset, ReportDate, RunId,
    existing::Existing,
    manifest::{JobState, Manifest, ManifestJob},
    report::{Remaining, ReportMetadata, ReportStatus},
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    dead_letters::{Letter, one_line},
    request,
};

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
    /// What is stored under each job's report key, in the manifest's order; `None` if not looked up yet.
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

/// The status of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RunStatus {
    pub(crate) run_id: RunId,
    /// The day that it reports.
    pub(crate) date: ReportDate,
    pub(crate) created_at: DateTime<Utc>,
    /// Whether every account is complete, and settled if that is required.
    pub(crate) complete: bool,
    pub(crate) counts: Counts,
    /// The state of the work queue, which may hold jobs of other runs too.
    pub(crate) queue: Option<QueueState>,
    /// The totals over the run's reports.
    pub(crate) totals: Totals,
    /// How many dead letters are in flight in other commands, approximately.
    #[serde(rename = "dead_letters_hidden")]
    pub(crate) dead_elsewhere: u64,
    #[serde(skip)]
    pub(crate) dead_unreadable: bool,
    /// How many dead letters belong to accounts of this run that did not fail.
    #[serde(skip)]
    pub(crate) dead_and_complete: usize,
    /// The attributes of the request, which a later request must repeat.
    #[serde(skip)]
    pub(crate) attributes: Map<String, Value>,
    /// Whether a provisional report counts as incomplete.
    #[serde(skip)]
    pub(crate) wants_settled: bool,
    /// The time by the report bucket's clock.
    #[serde(skip)]
    pub(crate) now: DateTime<Utc>,
    /// One entry per account and dataset, in the manifest's order.
    pub(crate) accounts: Vec<AccountStatus>,
}

/// How many accounts are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) complete: usize,
    /// Those of the complete ones whose report was made before the day was settled.
    pub(crate) provisional: usize,
    /// Those of the complete ones with rows of an earlier day than requested.
    pub(crate) late: usize,
    pub(crate) partial: usize,
    /// Accounts whose job is in the dead-letter queue.
    pub(crate) failed: usize,
    pub(crate) in_progress: usize,
    pub(crate) missing: usize,
    /// Dead letters that belong to no failed account of this run; `None` if they were not read.
    pub(crate) other_dead_letters: Option<usize>,
}

/// The totals over the reports of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Totals {
    pub(crate) rows: u64,
    /// `None` if a report has no such figure, as those of earlier versions, or of datasets that measure none.
    pub(crate) bytes: Option<u64>,
    /// `None` as for the bytes.
    pub(crate) objects: Option<u64>,
    pub(crate) estimated_cost_usd: f64,
    /// Whether a dataset of the run measures bytes.
    #[serde(skip)]
    pub(crate) measures_bytes: bool,
}

/// The status of one account and dataset of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AccountStatus {
    pub(crate) account_name: AccountName,
    pub(crate) dataset: String,
    pub(crate) state: State,
    pub(crate) report_key: String,
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

impl RunStatus {
    /// Derives a run's status from its reports, the queue and the dead letters.
    pub(crate) fn from_observed(manifest: &Manifest, observed: Observed<'_>) -> Self {
        let (letters, elsewhere) = match observed.dead {
            Dead::NotSeen | Dead::Unreadable => (&[][..], 0),
            Dead::Seen { letters, elsewhere } => (&letters[..], *elsewhere),
        };
        let dead_letters_by_job = dead_letters_by_job(manifest, letters);
        let accounts: Vec<AccountStatus> = manifest
            .jobs
            .iter()
            .zip(observed.existing)
            .enumerate()
            .map(|(index, (job, existing))| {
                let of_account = dead_letters_by_job.get(&index).map_or(&[][..], Vec::as_slice);
                // The newest one says how the last attempt ended.
                let letter = of_account.iter().max_by_key(|letter| letter.sent_at).copied();
                AccountStatus::from_evidence(
                    manifest,
                    job,
                    &Evidence { existing: existing.as_ref(), letter, observed },
                )
            })
            .collect();
        let number_if_failed = |failed: bool| -> usize {
            let states =
                accounts.iter().enumerate().filter(|(_, account)| (account.state == State::Failed) == failed);
            states.filter_map(|(index, _)| dead_letters_by_job.get(&index)).map(Vec::len).sum()
        };
        let mut counts = Counts::from_accounts(&accounts);
        if matches!(observed.dead, Dead::Seen { .. }) {
            counts.other_dead_letters = Some(letters.len() - number_if_failed(true));
        }
        let incomplete = if observed.wants_settled { counts.provisional } else { 0 };
        Self {
            dead_elsewhere: elsewhere,
            dead_unreadable: *observed.dead == Dead::Unreadable,
            dead_and_complete: number_if_failed(false),
            run_id: manifest.run_id.clone(),
            date: manifest.date,
            created_at: manifest.created_at,
            complete: counts.complete - incomplete == accounts.len(),
            counts,
            queue: observed.queue,
            totals: Totals::from_accounts(&accounts, has_bytes),
            attributes: request::attributes_from_json(&manifest.request),
            wants_settled: observed.wants_settled,
            now: observed.now,
            accounts,
        }
    }

    pub(crate) fn is_decided(&self) -> bool {
        self.counts.in_progress == 0
    }

    /// Keeps only accounts that need attention; counts and totals stay as they are.
    pub(crate) fn failed_only(mut self) -> Self {
        let wants_settled = self.wants_settled;
        self.accounts.retain(|account| account.needs_attention(wants_settled));
        self
    }
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

impl Counts {
    fn from_accounts(accounts: &[AccountStatus]) -> Self {
        let mut counts = Self::default();
        for account in accounts {
            match account.state {
                State::Complete => counts.complete += 1,
                State::Partial => counts.partial += 1,
                State::Failed => counts.failed += 1,
                State::InProgress => counts.in_progress += 1,
                State::Missing => counts.missing += 1,
            }
            if account.is_provisional() {
                counts.provisional += 1;
            }
            if account.is_late() {
                counts.late += 1;
            }
        }
        counts
    }
}

impl Totals {
    /// The sums over the reports of accounts, of whose datasets some have bytes.
    fn from_accounts(accounts: &[AccountStatus], has_bytes: impl Fn(&str) -> bool) -> Self {
        let measures_bytes =
            accounts.is_empty() || accounts.iter().any(|account| has_bytes(&account.dataset));
        let zero = measures_bytes.then_some(0);
        let none = Self { bytes: zero, objects: zero, measures_bytes, ..Self::default() };
        let reports = accounts.iter().filter_map(|account| Some((account, account.report.as_ref()?)));
        reports.fold(none, |total, (account, report)| {
            let (bytes, objects) = if has_bytes(&account.dataset) {
                (sum(total.bytes, report.bytes), sum(total.objects, report.objects))
            } else {
                (total.bytes, total.objects)
            };
            Self {
                rows: total.rows.saturating_add(report.rows),
                bytes,
                objects,
                estimated_cost_usd: total.estimated_cost_usd + report.estimated_cost_usd,
                ..total
            }
        })
    }
}

/// Whether a dataset measures bytes. One that this version does not know may.
fn has_bytes(dataset: &str) -> bool {
    Dataset::find(dataset).is_none_or(|dataset| dataset.bytes.is_some())
}

/// `None` if either is unknown, or if the sum overflows.
fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one?.checked_add(other?)
}

/// What is known of one account.
struct Evidence<'a> {
    /// What is stored under its report's key; `None` if not looked up yet.
    existing: Option<&'a Existing>,
    letter: Option<&'a Letter>,
    observed: Observed<'a>,
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
    fn from_evidence(manifest: &Manifest, job: &ManifestJob, evidence: &Evidence<'_>) -> Self {
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
    let (date, account_id) = (manifest.date, job.account_id.as_ref());
    let already_complete = job.state == JobState::AlreadyComplete;
    // Such a run needs a complete report, of whichever run.
    if (already_complete || manifest.only_incomplete) && report.is_complete_of(date, account_id) {
        return true;
    }
    !already_complete
        && (report.counts_for(&manifest.run_id, date, account_id, now)
            || report.is_of(date, account_id) && report.run_id.is_or_follows(&manifest.run_id))
}

/// How far a report that counts for the run satisfies it.
fn found(report: &ReportMetadata, manifest: &Manifest, job: &ManifestJob, wants_settled: bool) -> Found {
    match report.status {
        ReportStatus::Partial if report.is_unfinished => Found::Unfinished,
        ReportStatus::Partial => Found::Partial,
        ReportStatus::Complete => {
            // What the producer saw when it sent the job, and what the worker sees until the job is
            // done.
            let remaining = report.remaining(manifest.date, job.account_id.as_ref(), manifest.created_at);
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
fn missing_rows(rows_denied: u64, rows_error: u64) -> Vec<String> {
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
                None => format!("of {}", report.report_date),
            };
            format!("{gone}; the report under its key is {whose} and run {}", report.run_id)
        }
    }
}

/// The dead letters of each of the run's jobs, by the job's index in the manifest.
#[expect(clippy::indexing_slicing, reason = "cannot fail: the places are those of the manifest's jobs")]
fn dead_letters_by_job<'a>(manifest: &Manifest, letters: &'a [Letter]) -> HashMap<usize, Vec<&'a Letter>> {
    let mut jobs: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, job) in manifest.jobs.iter().enumerate() {
        jobs.entry(job.account_name.as_str()).or_default().push(index);
    }
    let mut dead_letters_by_job: HashMap<usize, Vec<&Letter>> = HashMap::new();
    for letter in letters.iter().filter(|letter| letter.dead.labels.run_id.as_ref() == Some(&manifest.run_id))
    {
        let labels = &letter.dead.labels;
        let of_account = labels.account_name.as_ref().and_then(|name| jobs.get(name.as_str()));
        let found = match (of_account.map_or(&[][..], Vec::as_slice), labels.dataset) {
            (indexes, Some(dataset)) => {
                indexes.iter().find(|&&index| manifest.jobs[index].dataset == dataset.name)
            }
            // A dataset unknown to this version: unambiguous only if the account has no other.
            ([index], None) => Some(index),
            (_, None) => None,
        };
        if let Some(index) = found {
            dead_letters_by_job.entry(*index).or_default().push(letter);
        }
    }
    dead_letters_by_job
}

#[cfg(test)]
pub(crate) mod tests;
