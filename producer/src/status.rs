// SPDX-License-Identifier: Apache-2.0
//! The status of a run: derives each account's state from the reports in the bucket, the work queue and
//! the dead letters. Pure; `follow` calls AWS, `text` formats.

mod account;
mod observed;
pub(crate) mod text;
mod windows;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use fleet::{
    Dataset, ReportDate, RunId,
    existing::Existing,
    manifest::{Manifest, ManifestJob},
};
use requests::request;
use serde::Serialize;
use serde_json::{Map, Value};

use self::account::Evidence;
pub(crate) use self::{
    account::{AccountStatus, ReportFigures, State, WindowsStatus},
    observed::{Dead, Observed, QueueState},
};
use crate::dead_letters::Letter;

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
    /// When its jobs are about, for people.
    #[serde(skip)]
    pub(crate) when: String,
    /// The flags with which a later request is about the same time.
    #[serde(skip)]
    pub(crate) when_flags: String,
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

impl RunStatus {
    /// Derives a run's status from its reports, the queue and the dead letters.
    pub(crate) fn from_observed(manifest: &Manifest, observed: Observed<'_>) -> Self {
        let (letters, elsewhere) = match observed.dead {
            Dead::NotSeen | Dead::Unreadable => (&[][..], 0),
            Dead::Seen { letters, elsewhere } => (&letters[..], *elsewhere),
        };
        let dead_letters_by_job = dead_letters_by_job(manifest, letters);
        let mut all_existing = observed.existing.iter();
        let accounts: Vec<AccountStatus> = manifest
            .jobs
            .iter()
            .enumerate()
            .filter_map(|(index, job)| {
                let of_account = dead_letters_by_job.get(&index).map_or(&[][..], Vec::as_slice);
                // The newest one says how the last attempt ended.
                let letter = of_account.iter().max_by_key(|letter| letter.sent_at).copied();
                let status = |job: &ManifestJob, existing: Option<&Existing>| {
                    AccountStatus::from_evidence(manifest, job, &Evidence { existing, letter, observed })
                };
                if job.windows.is_none() {
                    return Some(status(job, all_existing.next()?.as_ref()));
                }
                let each = job.each(manifest.date);
                let each = each.map_while(|job| Some(status(&job, all_existing.next()?.as_ref())));
                AccountStatus::of_windows(each.collect(), &job.report_key)
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
            when: manifest.when(),
            when_flags: request::when_flags(manifest),
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
