//! How a run stands: what the reports in the bucket, the work queue and the dead letters mean for each
//! of its accounts. Pure; `follow` asks, `text` shows.

pub(crate) mod text;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use fleet::{
    AccountName, ReportDate, RunId,
    manifest::{JobState, Manifest, ManifestJob},
    output::count,
    report::{ReportMetadata, ReportStatus},
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    dead_letters::{Letter, one_line},
    reports::Standing,
    request,
};

/// How an account of a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// A complete report stands.
    Complete,
    /// A report stands in which something is missing.
    Partial,
    /// No complete report, and its job was given up: it is in the dead-letter queue.
    Failed,
    /// No report yet, and the queue is not known to be empty.
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

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RunStatus {
    /// The run.
    pub(crate) run_id: RunId,
    /// The day it reports.
    pub(crate) date: ReportDate,
    /// When it was begun.
    pub(crate) created_at: DateTime<Utc>,
    /// Whether every account is complete.
    pub(crate) complete: bool,
    /// How many accounts are in each state.
    pub(crate) counts: Counts,
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
    /// One entry for each account and dataset, in the manifest's order.
    pub(crate) accounts: Vec<AccountStatus>,
}

/// How many accounts are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// With a complete report.
    pub(crate) complete: usize,
    /// Of those, with rows of an earlier day than asked for.
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
    /// What the report says of itself, where it is one of this run.
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
    /// Rows.
    pub(crate) rows: u64,
    /// Rows of an earlier day than asked for.
    pub(crate) rows_late: u64,
    /// Rows that could not be asked for.
    pub(crate) rows_denied: u64,
    /// Rows of which a value is missing that CloudWatch may have.
    pub(crate) rows_error: u64,
    /// Calls made of AWS.
    pub(crate) api_calls: u64,
    /// Metrics paid for.
    pub(crate) metrics_requested: u64,
    /// What the calls cost.
    pub(crate) estimated_cost_usd: f64,
}

impl RunStatus {
    /// What a run's reports, queue and dead letters say of it. `standings` are in the order of the
    /// manifest's jobs and were looked at after the queue was; `drained` is whether it was then empty for
    /// good. The dead letters were looked at last.
    pub(crate) fn of(manifest: &Manifest, standings: &[Standing], drained: bool, dead: &Dead) -> Self {
        let (letters, elsewhere) = match dead {
            Dead::NotSeen | Dead::Unreadable => (&[][..], 0),
            Dead::Seen { letters, elsewhere } => (&letters[..], *elsewhere),
        };
        let buried = buried(manifest, letters);
        let accounts: Vec<AccountStatus> = manifest
            .jobs
            .iter()
            .zip(standings)
            .enumerate()
            .map(|(index, (job, standing))| {
                let of_account = buried.get(&index).map_or(&[][..], Vec::as_slice);
                // The newest says how the last try ended.
                let letter = of_account.iter().max_by_key(|letter| letter.sent_at).copied();
                AccountStatus::of(manifest, job, &Evidence { standing, letter, drained, dead })
            })
            .collect();
        let of_failed = |failed: bool| -> usize {
            let states =
                accounts.iter().enumerate().filter(|(_, account)| (account.state == State::Failed) == failed);
            states.filter_map(|(index, _)| buried.get(&index)).map(Vec::len).sum()
        };
        let mut counts = Counts::of(&accounts);
        if matches!(dead, Dead::Seen { .. }) {
            counts.other_dead_letters = Some(letters.len() - of_failed(true));
        }
        Self {
            dead_elsewhere: elsewhere,
            dead_unreadable: *dead == Dead::Unreadable,
            dead_and_complete: of_failed(false),
            run_id: manifest.run_id.clone(),
            date: manifest.date,
            created_at: manifest.created_at,
            complete: counts.complete == accounts.len(),
            counts,
            attributes: request::attributes_of(&manifest.request),
            accounts,
        }
    }

    /// Whether nothing more is expected to happen.
    pub(crate) fn is_decided(&self) -> bool {
        self.counts.in_progress == 0
    }

    /// Leaves out the accounts of which nothing is to be mended; the counts stay as they are.
    pub(crate) fn failed_only(mut self) -> Self {
        self.accounts.retain(|account| account.state.is_failed());
        self
    }
}

impl State {
    /// Whether somebody has to do something about it.
    pub(crate) fn is_failed(self) -> bool {
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
            if account.is_late() {
                counts.late += 1;
            }
        }
        counts
    }
}

/// What there is to go by for one account.
struct Evidence<'a> {
    standing: &'a Standing,
    letter: Option<&'a Letter>,
    drained: bool,
    dead: &'a Dead,
}

/// How an account stands, by its report that is of the run, whether its dead letter is there, whether
/// anybody has looked for the report, and whether a job may still write one.
fn decide(own: Option<ReportStatus>, is_dead: bool, is_looked_at: bool, is_awaited: bool) -> State {
    match (own, is_dead) {
        // A dead letter is then left over from before: the job was replayed by hand or sent twice.
        (Some(ReportStatus::Complete), _) => State::Complete,
        (None, _) if !is_looked_at => State::InProgress,
        // The partial report may be of an earlier try; the dead letter says what the last one lacked.
        (Some(ReportStatus::Partial) | None, true) => State::Failed,
        (Some(ReportStatus::Partial), false) => State::Partial,
        (None, false) if is_awaited => State::InProgress,
        (None, false) => State::Missing,
    }
}

impl AccountStatus {
    fn of(manifest: &Manifest, job: &ManifestJob, evidence: &Evidence<'_>) -> Self {
        let Evidence { standing, letter, drained, dead } = *evidence;
        let already = job.state == JobState::AlreadyComplete;
        let report = standing.report().map(|report| &report.metadata);
        let own = report.filter(|report| is_of_run(report, manifest, already));
        // Where no job was sent, there is nothing to wait for.
        let is_awaited = !drained && !already;
        let is_looked_at = *standing != Standing::Unknown;
        let state = decide(own.map(|report| report.status), letter.is_some(), is_looked_at, is_awaited);
        let failed = letter.filter(|_| state == State::Failed);
        let detail = match state {
            State::Partial => own.map(what_is_missing),
            State::Failed => failed.map(|letter| match why_failed(letter, own) {
                None => one_line(letter.dead.reason()),
                Some(said) => format!("{}: {said}", one_line(letter.dead.reason())),
            }),
            State::Missing => Some(why_missing(standing, already, dead)),
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
                .and_then(|letter| letter.dead.failure.as_ref())
                .map(|why| why.message.clone()),
            said,
        }
    }

    /// Whether its report is complete but for rows that CloudWatch had not published yet.
    pub(crate) fn is_late(&self) -> bool {
        self.state == State::Complete && self.report.as_ref().is_some_and(|report| report.rows_late > 0)
    }
}

impl ReportFigures {
    fn of(report: &ReportMetadata) -> Self {
        Self {
            rows: report.rows,
            rows_late: report.rows_late,
            rows_denied: report.rows_denied,
            rows_error: report.rows_error,
            api_calls: report.api_calls,
            metrics_requested: report.metrics_requested,
            estimated_cost_usd: report.estimated_cost_usd,
        }
    }
}

/// Whether a report, complete or not, is the one that the run is waiting for.
fn is_of_run(report: &ReportMetadata, manifest: &Manifest, already_complete: bool) -> bool {
    if already_complete {
        return report.is_complete_of(manifest.date, None);
    }
    report.report_date == manifest.date && report.run_id.is_or_follows(&manifest.run_id)
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
fn why_failed(letter: &Letter, partial: Option<&ReportMetadata>) -> Option<String> {
    let message = Some(letter.message()).filter(|message| !message.is_empty());
    let partial =
        partial.map(|report| format!("a partial report stands: {}", one_line(&what_is_missing(report))));
    let parts: Vec<String> = message.into_iter().chain(partial).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn why_missing(standing: &Standing, already_complete: bool, dead: &Dead) -> String {
    if already_complete {
        return "its report was complete when the run began, and is gone".into();
    }
    let gone = match dead {
        Dead::Unreadable => "no job left on the queue, and the dead-letter queue can't be read",
        Dead::NotSeen | Dead::Seen { .. } => "no job left on the queue",
    };
    match standing {
        Standing::Absent | Standing::Unknown => format!("no report, and {gone}"),
        Standing::Foreign => format!("the object under its key is no report of the fleet; {gone}"),
        Standing::Report(report) => format!(
            "{gone}; the report that stands is of {} and run {}",
            report.metadata.report_date, report.metadata.run_id
        ),
    }
}

/// The dead letters of each of the run's jobs, by its place in the manifest.
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
