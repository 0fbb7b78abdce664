//! How a run stands: what the reports in the bucket and the work queue mean for each of its
//! accounts. Pure; `follow` asks, `text` shows.

pub(crate) mod text;

use chrono::{DateTime, Utc};
use fleet::{
    AccountName, ReportDate, RunId,
    manifest::{JobState, Manifest, ManifestJob},
    output::count,
    report::{ReportMetadata, ReportStatus},
};
use serde::Serialize;

use crate::{reports::Standing, request};

/// How an account of a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// A complete report stands.
    Complete,
    /// A report stands in which something is missing.
    Partial,
    /// No report yet, and the queue is not known to be empty.
    InProgress,
    /// No report, and no job left that could write one.
    Missing,
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
    /// Whether the request had attributes, which a later one has to give again.
    #[serde(skip)]
    pub(crate) has_attributes: bool,
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
    /// Of which nothing is known yet.
    pub(crate) in_progress: usize,
    /// Of which nothing will come.
    pub(crate) missing: usize,
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
    /// What a run's reports and queue say of it. `standings` are in the order of the manifest's
    /// jobs and were looked at after the queue was; `drained` is whether it was then empty for good.
    pub(crate) fn of(manifest: &Manifest, standings: &[Standing], drained: bool) -> Self {
        let accounts: Vec<AccountStatus> = manifest
            .jobs
            .iter()
            .zip(standings)
            .map(|(job, standing)| AccountStatus::of(manifest, job, standing, drained))
            .collect();
        let counts = Counts::of(&accounts);
        Self {
            run_id: manifest.run_id.clone(),
            date: manifest.date,
            created_at: manifest.created_at,
            complete: counts.complete == accounts.len(),
            counts,
            has_attributes: request::has_attributes(&manifest.request),
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
            Self::Partial | Self::Missing => true,
            Self::Complete | Self::InProgress => false,
        }
    }

    /// The word in tables.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
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

impl AccountStatus {
    fn of(manifest: &Manifest, job: &ManifestJob, standing: &Standing, drained: bool) -> Self {
        let already = job.state == JobState::AlreadyComplete;
        let report = standing.report().map(|report| &report.metadata);
        let own = report.filter(|report| is_of_run(report, manifest, already));
        let state = match own.map(|report| report.status) {
            Some(ReportStatus::Complete) => State::Complete,
            Some(ReportStatus::Partial) => State::Partial,
            None if *standing == Standing::Unknown => State::InProgress,
            // Where no job was sent, there is nothing to wait for.
            None if drained || already => State::Missing,
            None => State::InProgress,
        };
        let detail = match (own, state) {
            (Some(report), State::Partial) => Some(what_is_missing(report)),
            (None, State::Missing) => Some(why_missing(standing, already)),
            _ => None,
        };
        Self {
            account_name: job.account_name.clone(),
            dataset: job.dataset.clone(),
            state,
            report_key: job.report_key.clone(),
            report: own.map(ReportFigures::of),
            detail,
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
        return report.is_complete_for(manifest.date);
    }
    report.report_date == manifest.date && report.run_id.is_or_follows(&manifest.run_id)
}

fn what_is_missing(report: &ReportMetadata) -> String {
    let mut parts = Vec::new();
    for (rows, what) in [(report.rows_denied, "denied"), (report.rows_error, "with errors")] {
        if rows > 0 {
            parts.push(format!("{} {what}", count(rows.try_into().unwrap_or(usize::MAX), "row")));
        }
    }
    parts.extend(report.first_error.clone());
    if parts.is_empty() { "the report does not say".to_owned() } else { parts.join("; ") }
}

fn why_missing(standing: &Standing, already_complete: bool) -> String {
    match standing {
        _ if already_complete => "its report was complete when the run began, and is gone".into(),
        Standing::Absent | Standing::Unknown => "no report, and no job left on the queue".into(),
        Standing::Foreign => "the object under its key is no report of the fleet".into(),
        Standing::Report(report) => format!(
            "no job left on the queue; the report that stands is of {} and run {}",
            report.metadata.report_date, report.metadata.run_id
        ),
    }
}

#[cfg(test)]
pub(crate) mod tests;
