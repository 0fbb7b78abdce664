//! How a run stands: what the reports in the bucket, the work queue and the dead letters mean for each
//! of its accounts. Pure; `follow` asks, `text` shows.

pub(crate) mod text;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use cli::output::count;
use engine::queue::QueueCounts;
use fleet::{
    AccountName, ReportDate, RunId,
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

/// How an account of a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// A complete report exists, provisional or settled.
    Complete,
    /// A report exists in which something is missing.
    Partial,
    /// No complete report, and its job was given up: it is in the dead-letter queue.
    Failed,
    /// No report that its job would not change, and the queue is not known to be empty.
    InProgress,
    /// No report, no dead letter, and no job left that could write one.
    Missing,
}

/// What is known of the dead-letter queue.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Dead {
    /// Nobody has looked.
    #[default]
    NotSeen,
    /// It may not be looked at.
    Unreadable,
    /// All that is in it.
    Seen {
        /// The dead letters.
        letters: Vec<Letter>,
        /// How many more somebody else has in hand, approximately.
        elsewhere: u64,
    },
}

/// What was seen of a run: the queue first, then the reports, the dead letters last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observed<'a> {
    /// What is stored under each job's report key, in the manifest's order; `None` if it was not looked at yet.
    pub(crate) existing: &'a [Option<Existing>],
    /// Whether the work queue was empty for good.
    pub(crate) drained: bool,
    /// The dead letters.
    pub(crate) dead: &'a Dead,
    /// The moment, by the report bucket's clock.
    pub(crate) now: DateTime<Utc>,
    /// Whether a provisional report counts as incomplete.
    pub(crate) wants_settled: bool,
    /// What the work queue holds; `None` if it was not read yet.
    pub(crate) queue: Option<QueueState>,
}

/// What the work queue, which may have jobs of other runs too, was last read to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct QueueState {
    /// Jobs that wait for a worker.
    pub(crate) waiting: u64,
    /// Jobs that workers have.
    pub(crate) in_flight: u64,
    /// If jobs wait and no worker has one: for how many seconds that is so, as far as it is known.
    #[serde(rename = "no_worker_for_seconds")]
    pub(crate) untaken_for: Option<u64>,
}

impl QueueState {
    /// What a reading means. `taken_at` is the last moment at which a worker is known to have had a job or, if none is, the
    /// one at which the run was sent.
    pub(crate) fn of(counts: QueueCounts, taken_at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let waiting = counts.visible + counts.delayed;
        let is_untaken = waiting > 0 && counts.in_flight == 0;
        let untaken_for =
            is_untaken.then(|| u64::try_from((now - taken_at).num_seconds()).unwrap_or_default());
        Self { waiting, in_flight: counts.in_flight, untaken_for }
    }
}

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RunStatus {
    /// The run.
    pub(crate) run_id: RunId,
    /// The day it reports.
    pub(crate) date: ReportDate,
    /// When it was begun.
    pub(crate) created_at: DateTime<Utc>,
    /// Whether every account is complete, and settled if that is wanted.
    pub(crate) complete: bool,
    /// How many accounts are in each state.
    pub(crate) counts: Counts,
    /// What the work queue holds, which may be jobs of other runs too.
    pub(crate) queue: Option<QueueState>,
    /// What the reports of the run have together.
    pub(crate) totals: Totals,
    /// How many dead letters somebody else has in hand, approximately.
    #[serde(rename = "dead_letters_hidden")]
    pub(crate) dead_elsewhere: u64,
    /// Whether the dead-letter queue could not be read.
    #[serde(skip)]
    pub(crate) dead_unreadable: bool,
    /// How many dead letters are of accounts of this run that did not fail.
    #[serde(skip)]
    pub(crate) dead_and_complete: usize,
    /// The attributes of the request, which a later one has to give again.
    #[serde(skip)]
    pub(crate) attributes: Map<String, Value>,
    /// Whether a provisional report counts as incomplete.
    #[serde(skip)]
    pub(crate) wants_settled: bool,
    /// The moment, by the report bucket's clock.
    #[serde(skip)]
    pub(crate) now: DateTime<Utc>,
    /// One entry for each account and dataset, in the manifest's order.
    pub(crate) accounts: Vec<AccountStatus>,
}

/// How many accounts are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// With a complete report.
    pub(crate) complete: usize,
    /// Of those, with a report made before the day was settled.
    pub(crate) provisional: usize,
    /// Of the complete ones, with rows of an earlier day than asked for.
    pub(crate) late: usize,
    /// With a partial report.
    pub(crate) partial: usize,
    /// Whose job was given up.
    pub(crate) failed: usize,
    /// Of which nothing is known yet.
    pub(crate) in_progress: usize,
    /// Of which nothing will come.
    pub(crate) missing: usize,
    /// Dead letters that are of no failed account of this run; none where nobody has looked.
    pub(crate) other_dead_letters: Option<usize>,
}

/// The sums over the reports of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Totals {
    /// Rows.
    pub(crate) rows: u64,
    /// Bytes; `None` if a report does not say, as those of earlier versions.
    pub(crate) bytes: Option<u64>,
    /// Objects; `None` as for the bytes.
    pub(crate) objects: Option<u64>,
    /// What the reports cost.
    pub(crate) estimated_cost_usd: f64,
}

/// How one account and dataset of a run stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AccountStatus {
    /// The account.
    pub(crate) account_name: AccountName,
    /// The dataset.
    pub(crate) dataset: String,
    /// How it stands.
    pub(crate) state: State,
    /// Where its report is expected.
    pub(crate) report_key: String,
    /// What the report says of itself, if it counts for this run.
    #[serde(flatten)]
    pub(crate) report: Option<ReportFigures>,
    /// What is missing and why, where something is.
    pub(crate) detail: Option<String>,
    /// The code of the reason for which its job was given up, where it failed.
    pub(crate) failure_reason: Option<String>,
    /// What happened then, and what to do.
    pub(crate) failure_message: Option<String>,
    /// What was said when it failed, or of the first row that is missing, on one line.
    #[serde(skip)]
    pub(crate) said: Option<String>,
}

/// The figures of a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ReportFigures {
    /// Whether its values are final.
    pub(crate) settled: bool,
    /// When its collection began, by the report bucket's clock.
    pub(crate) collected_at: DateTime<Utc>,
    /// From when on a collection of the day is final.
    pub(crate) settles_at: DateTime<Utc>,
    /// Rows.
    pub(crate) rows: u64,
    /// Rows of an earlier day than asked for.
    pub(crate) rows_late: u64,
    /// Rows that could not be asked for.
    pub(crate) rows_denied: u64,
    /// Rows of which a value is missing that CloudWatch may have.
    pub(crate) rows_error: u64,
    /// Bytes of all rows; `None` in reports of earlier versions.
    pub(crate) bytes: Option<u64>,
    /// Objects of all rows; `None` in reports of earlier versions.
    pub(crate) objects: Option<u64>,
    /// Calls made of AWS.
    pub(crate) api_calls: u64,
    /// Metrics paid for.
    pub(crate) metrics_requested: u64,
    /// What the calls cost.
    pub(crate) estimated_cost_usd: f64,
}

impl RunStatus {
    /// What a run's reports, queue and dead letters say of it.
    pub(crate) fn of(manifest: &Manifest, observed: Observed<'_>) -> Self {
        let (letters, elsewhere) = match observed.dead {
            Dead::NotSeen | Dead::Unreadable => (&[][..], 0),
            Dead::Seen { letters, elsewhere } => (&letters[..], *elsewhere),
        };
        let buried = buried(manifest, letters);
        let accounts: Vec<AccountStatus> = manifest
            .jobs
            .iter()
            .zip(observed.existing)
            .enumerate()
            .map(|(index, (job, existing))| {
                let of_account = buried.get(&index).map_or(&[][..], Vec::as_slice);
                // The newest says how the last try ended.
                let letter = of_account.iter().max_by_key(|letter| letter.sent_at).copied();
                AccountStatus::of(manifest, job, &Evidence { existing: existing.as_ref(), letter, observed })
            })
            .collect();
        let of_failed = |failed: bool| -> usize {
            let states =
                accounts.iter().enumerate().filter(|(_, account)| (account.state == State::Failed) == failed);
            states.filter_map(|(index, _)| buried.get(&index)).map(Vec::len).sum()
        };
        let mut counts = Counts::of(&accounts);
        if matches!(observed.dead, Dead::Seen { .. }) {
            counts.other_dead_letters = Some(letters.len() - of_failed(true));
        }
        let incomplete = if observed.wants_settled { counts.provisional } else { 0 };
        Self {
            dead_elsewhere: elsewhere,
            dead_unreadable: *observed.dead == Dead::Unreadable,
            dead_and_complete: of_failed(false),
            run_id: manifest.run_id.clone(),
            date: manifest.date,
            created_at: manifest.created_at,
            complete: counts.complete - incomplete == accounts.len(),
            counts,
            queue: observed.queue,
            totals: Totals::of(&accounts),
            attributes: request::attributes_of(&manifest.request),
            wants_settled: observed.wants_settled,
            now: observed.now,
            accounts,
        }
    }

    /// Whether nothing more is expected to happen.
    pub(crate) fn is_decided(&self) -> bool {
        self.counts.in_progress == 0
    }

    /// Leaves out the accounts that nothing has to be done about; counts and totals stay as they are.
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

    /// The word in tables.
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
    fn of(accounts: &[AccountStatus]) -> Self {
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
    fn of(accounts: &[AccountStatus]) -> Self {
        let none = Self { bytes: Some(0), objects: Some(0), ..Self::default() };
        let reports = accounts.iter().filter_map(|account| account.report.as_ref());
        reports.fold(none, |total, report| Self {
            rows: total.rows.saturating_add(report.rows),
            bytes: sum(total.bytes, report.bytes),
            objects: sum(total.objects, report.objects),
            estimated_cost_usd: total.estimated_cost_usd + report.estimated_cost_usd,
        })
    }
}

/// `None` if one of both is not known, or the sum is beyond what can be shown.
fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one?.checked_add(other?)
}

/// What there is to go by for one account.
struct Evidence<'a> {
    /// What is stored under its report's key; `None` if it was not looked at yet.
    existing: Option<&'a Existing>,
    letter: Option<&'a Letter>,
    observed: Observed<'a>,
}

/// What the report of an account is to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// All that the run was for.
    Enough,
    /// Complete and provisional, and the run was sent to settle it.
    ToSettle {
        /// Whether a provisional report counts as incomplete.
        wants_settled: bool,
    },
    /// Partial, and its job is finished.
    Partial,
    /// Partial, and its job's next try takes it further.
    Unfinished,
}

/// How an account stands, by what its report is to the run, whether its dead letter was seen, whether the report was
/// looked at, and whether a job may still write one.
fn decide(found: Option<Found>, is_dead: bool, is_looked_at: bool, is_awaited: bool) -> State {
    match (found, is_dead) {
        // A dead letter is then left over from before: the job was replayed by hand or sent twice.
        (Some(Found::Enough), _) | (Some(Found::ToSettle { wants_settled: false }), true) => State::Complete,
        (None, _) if !is_looked_at => State::InProgress,
        // The partial report may be of an earlier try; the dead letter says what the last one lacked.
        (Some(Found::ToSettle { .. } | Found::Partial | Found::Unfinished) | None, true) => State::Failed,
        (Some(Found::ToSettle { .. } | Found::Unfinished) | None, false) if is_awaited => State::InProgress,
        (Some(Found::ToSettle { .. }), false) => State::Complete,
        (Some(Found::Partial | Found::Unfinished), false) => State::Partial,
        (None, false) => State::Missing,
    }
}

impl AccountStatus {
    fn of(manifest: &Manifest, job: &ManifestJob, evidence: &Evidence<'_>) -> Self {
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
                Some(said) => format!("{}: {said}", one_line(letter.dead.reason())),
            }),
            State::Missing => Some(why_missing(job, existing, observed.dead)),
            State::Complete | State::InProgress => None,
        };
        let said = match state {
            State::Failed => failed.and_then(|letter| why_failed(letter, own)),
            State::Partial => own.and_then(|report| report.first_error.as_deref()).map(one_line),
            State::Complete | State::InProgress | State::Missing => None,
        };
        Self {
            account_name: job.account_name.clone(),
            dataset: job.dataset.clone(),
            state,
            report_key: job.report_key.clone(),
            report: own.map(ReportFigures::of),
            detail,
            failure_reason: failed.map(|letter| letter.dead.reason().to_owned()),
            failure_message: failed
                .and_then(|letter| letter.dead.cause.as_ref())
                .map(|why| why.message.clone()),
            said,
        }
    }

    /// Whether its report is complete, and was made before the day was settled.
    pub(crate) fn is_provisional(&self) -> bool {
        self.state == State::Complete && self.report.as_ref().is_some_and(|report| !report.settled)
    }

    /// Whether the operator has to do something about it.
    pub(crate) fn needs_attention(&self, wants_settled: bool) -> bool {
        self.state.is_failed() || wants_settled && self.is_provisional()
    }

    /// Whether its report is complete, with rows of an earlier day than asked for.
    pub(crate) fn is_late(&self) -> bool {
        self.state == State::Complete && self.report.as_ref().is_some_and(|report| report.rows_late > 0)
    }
}

impl ReportFigures {
    fn of(report: &ReportMetadata) -> Self {
        // A figure beyond what JSON's readers take is none.
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

/// Whether a report, complete or not, is what the run is waiting for.
fn counts_for(report: &ReportMetadata, manifest: &Manifest, job: &ManifestJob, now: DateTime<Utc>) -> bool {
    let (date, account_id) = (manifest.date, job.account_id.as_ref());
    let already_complete = job.state == JobState::AlreadyComplete;
    // Such a run was for a complete report, whichever run that is of.
    if (already_complete || manifest.only_incomplete) && report.is_complete_of(date, account_id) {
        return true;
    }
    !already_complete
        && (report.counts_for(&manifest.run_id, date, account_id, now)
            || report.is_of(date, account_id) && report.run_id.is_or_follows(&manifest.run_id))
}

/// What a report is to the run that it counts for.
fn found(report: &ReportMetadata, manifest: &Manifest, job: &ManifestJob, wants_settled: bool) -> Found {
    match report.status {
        ReportStatus::Partial if report.is_unfinished => Found::Unfinished,
        ReportStatus::Partial => Found::Partial,
        ReportStatus::Complete => {
            // What the producer saw when it sent the job, and the worker sees until it has done it.
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

/// How many rows are missing, by why; empty where none is.
fn missing_rows(rows_denied: u64, rows_error: u64) -> Vec<String> {
    let rows = [(rows_denied, "denied"), (rows_error, "with errors")];
    let rows = rows.into_iter().filter(|(rows, _)| *rows > 0);
    rows.map(|(rows, what)| format!("{} {what}", count(rows.try_into().unwrap_or(usize::MAX), "row")))
        .collect()
}

fn what_is_missing(report: &ReportMetadata) -> String {
    let mut parts = missing_rows(report.rows_denied, report.rows_error);
    parts.extend(report.first_error.clone());
    if parts.is_empty() { "the report does not say".to_owned() } else { parts.join("; ") }
}

/// What a dead letter says, whole, and what a partial report does beside it.
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
            "no job left on the queue, and the dead-letter queue can't be read"
        }
        (JobState::Sent, Dead::NotSeen | Dead::Seen { .. }) => "no job left on the queue",
    };
    match (existing, job.state) {
        (None | Some(Existing::Nothing), JobState::AlreadyComplete) => format!("{gone}, and is gone"),
        (None | Some(Existing::Nothing), JobState::Sent) => format!("no report, and {gone}"),
        (Some(Existing::Foreign { .. }), _) => {
            format!("the object under its key is no report of the fleet; {gone}")
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

/// The dead letters of each of the run's jobs, by its place in the manifest.
#[expect(clippy::indexing_slicing, reason = "cannot fail: the places are those of the manifest's jobs")]
fn buried<'a>(manifest: &Manifest, letters: &'a [Letter]) -> HashMap<usize, Vec<&'a Letter>> {
    let mut jobs: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, job) in manifest.jobs.iter().enumerate() {
        jobs.entry(job.account_name.as_str()).or_default().push(index);
    }
    let mut buried: HashMap<usize, Vec<&Letter>> = HashMap::new();
    for letter in letters.iter().filter(|letter| letter.dead.labels.run_id.as_ref() == Some(&manifest.run_id))
    {
        let labels = &letter.dead.labels;
        let of_account = labels.account_name.as_ref().and_then(|name| jobs.get(name.as_str()));
        let found = match (of_account.map_or(&[][..], Vec::as_slice), labels.dataset) {
            (indexes, Some(dataset)) => {
                indexes.iter().find(|&&index| manifest.jobs[index].dataset == dataset.name)
            }
            // A dataset that this version does not have: it can only be meant where there is no other.
            ([index], None) => Some(index),
            (_, None) => None,
        };
        if let Some(index) = found {
            buried.entry(*index).or_default().push(letter);
        }
    }
    buried
}

#[cfg(test)]
pub(crate) mod tests;
