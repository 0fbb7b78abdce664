// SPDX-License-Identifier: Apache-2.0
//! Decides what a run does about each of its jobs, from what exists under their report keys. Pure.

use std::iter;

use chrono::{DateTime, SecondsFormat, Utc};
use cli::output::dollars;
use fleet::{Window, Windows, existing::Existing, manifest::JobState, report::Remaining};

use crate::{deliver::Order, estimate, expand::PlannedJob};

/// What a run does about each of its jobs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Todo {
    /// One for each job, in order.
    pub states: Vec<JobState>,
    /// The windows of each job that are lacking, from the first to the last of them; empty if all are sent.
    pub lacking: Vec<Option<Windows>>,
    /// The jobs skipped for now because their report is provisional.
    pub provisional: Option<Provisional>,
    /// The jobs whose account already has a settled report.
    pub settled: Option<Settled>,
    /// What sinks lack of the complete reports that no job is sent for.
    pub undelivered: Vec<Order>,
}

/// Jobs that `--only-incomplete` skips until their day is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provisional {
    pub jobs: usize,
    /// The time from which all of them can be settled.
    pub settles_at: DateTime<Utc>,
}

/// Settled reports of the day that a run requests again.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Settled {
    /// How many are collected, and billed, again.
    pub collected: usize,
    /// The approximate cost in US dollars.
    pub dollars: f64,
    /// How many are kept, since a new collection would find less.
    pub kept: usize,
}

impl Todo {
    /// Sends every job; what they replace is unknown.
    #[must_use]
    pub fn all(jobs: usize) -> Self {
        Self { states: vec![JobState::Sent; jobs], ..Self::default() }
    }

    /// For a run that sends all jobs, whatever exists under the keys of each.
    #[must_use]
    pub fn for_all(jobs: &[PlannedJob], existing: &[Vec<Existing>], now: DateTime<Utc>) -> Self {
        let mut settled = Settled::default();
        for (planned, existing) in jobs.iter().zip(existing) {
            let (mut is_kept, mut is_collected) = (false, false);
            for (window, existing) in planned.job.windows.iter().zip(existing) {
                let Some(report) = existing.report().map(|report| &report.metadata) else { continue };
                if !report.is_complete_of(planned.job.dataset.name, window, planned.account_id.as_ref())
                    || !report.is_settled()
                {
                    continue;
                }
                if report.outlasts_collections_at(now) {
                    is_kept = true;
                } else {
                    is_collected = true;
                    settled.dollars +=
                        estimate::price(report, planned.job.dataset, window.date(), now).dollars;
                }
            }
            settled.kept += usize::from(is_kept);
            settled.collected += usize::from(is_collected);
        }
        Self {
            settled: Some(settled).filter(|settled| *settled != Settled::default()),
            ..Self::all(jobs.len())
        }
    }

    /// For a run with `--only-incomplete`.
    #[must_use]
    pub fn for_incomplete(jobs: &[PlannedJob], existing: &[Vec<Existing>], now: DateTime<Utc>) -> Self {
        let mut todo = Self::default();
        for (planned, existing) in jobs.iter().zip(existing) {
            let mut lacking: Option<(Window, Window)> = None;
            let mut settles_at: Option<DateTime<Utc>> = None;
            for (window, existing) in planned.job.windows.iter().zip(existing) {
                let remaining = existing.report().map_or(Remaining::Collection, |report| {
                    report.metadata.remaining(
                        planned.job.dataset.name,
                        window,
                        planned.account_id.as_ref(),
                        now,
                    )
                });
                match remaining {
                    Remaining::Collection => {
                        lacking = Some((lacking.map_or(window, |(first, _)| first), window));
                    }
                    Remaining::Nothing => {}
                    Remaining::UntilSettled(at) => settles_at = settles_at.max(Some(at)),
                }
            }
            let lacking = lacking.and_then(|(first, last)| Windows::part(first, last));
            todo.states.push(if lacking.is_some() { JobState::Sent } else { JobState::AlreadyComplete });
            if let (None, Some(settles_at)) = (lacking, settles_at) {
                let before = todo.provisional.unwrap_or(Provisional { jobs: 0, settles_at });
                let settles_at = before.settles_at.max(settles_at);
                todo.provisional = Some(Provisional { jobs: before.jobs + 1, settles_at });
            }
            todo.lacking.push(lacking);
        }
        todo
    }

    /// The jobs, each for the windows that are lacking: from the first to the last of them, as a worker finds for itself
    /// which it need not collect.
    #[must_use]
    pub fn narrow(&self, jobs: Vec<PlannedJob>) -> Vec<PlannedJob> {
        let lacking = self.lacking.iter().copied().chain(iter::repeat(None));
        let narrowed = jobs.into_iter().zip(lacking).map(|(job, lacking)| match lacking {
            Some(windows) if windows != job.job.windows => job.narrowed(windows),
            _ => job,
        });
        narrowed.collect()
    }

    /// The jobs that are sent, each for the windows that are lacking.
    #[must_use]
    pub fn to_send(&self, jobs: &[PlannedJob]) -> Vec<PlannedJob> {
        let narrowed = self.narrow(jobs.to_vec()).into_iter().zip(&self.states);
        narrowed.filter(|(_, state)| **state == JobState::Sent).map(|(job, _)| job).collect()
    }

    /// The windows for which a job is sent, by the job's index.
    pub(crate) fn windows_sent(&self, job: usize, planned: &PlannedJob) -> Option<Windows> {
        self.states.get(job).filter(|state| **state == JobState::Sent)?;
        Some(self.lacking.get(job).copied().flatten().unwrap_or(planned.job.windows))
    }

    #[must_use]
    pub fn already_complete(&self) -> usize {
        self.states.iter().filter(|state| **state == JobState::AlreadyComplete).count()
    }

    /// A description of the skipped jobs, to append to the number of jobs sent.
    pub fn left_out(&self) -> String {
        let provisional = self.provisional.map_or_else(String::new, |Provisional { jobs, settles_at }| {
            format!(" ({jobs} provisional: --only-incomplete settles them from {} on)", moment(settles_at))
        });
        match self.already_complete() {
            0 => String::new(),
            already => format!(", {already} already complete{provisional}"),
        }
    }

    /// A warning that settled reports are requested again: the cost, and how to skip them.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let settled = self.settled?;
        let mut parts = Vec::new();
        if settled.collected > 0 {
            parts.push(format!(
                "accounts with a settled report of the day already: {}; collecting them again costs about {}; \
                 --only-incomplete skips them",
                settled.collected,
                dollars(settled.dollars)
            ));
        }
        if settled.kept > 0 {
            parts.push(format!(
                "accounts whose settled report is kept at no cost: {}, since CloudWatch no longer lists the series of the \
                 day and a new collection would see less",
                settled.kept
            ));
        }
        Some(parts.join("; "))
    }
}

/// A time for people, to the minute.
#[must_use]
pub fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// A time for machines.
#[must_use]
pub fn timestamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use fleet::{
        ReportDate, RunId,
        report::{ReportMetadata, ReportStatus},
    };

    use super::*;
    use crate::testing::{complete, existing, planned};

    const DATE: &str = "2026-11-01";
    const BEFORE: &str = "2026-11-04T11:59:59Z";
    const SETTLED: &str = "2026-11-04T12:00:00Z";

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a moment")
    }

    fn day(text: &str) -> Window {
        text.parse::<ReportDate>().expect("a date").into()
    }

    fn collected(collected_at: &str) -> ReportMetadata {
        ReportMetadata { collected_at: at(collected_at), ..complete("data", &RunId::manual("by-hand")) }
    }

    fn incomplete(report: ReportMetadata, now: &str) -> (JobState, Option<Provisional>) {
        let todo = Todo::for_incomplete(&[planned("data", DATE)], &[vec![existing(report)]], at(now));
        (todo.states[0], todo.provisional)
    }

    #[test]
    fn a_provisional_report_is_sent_for_once_it_can_be_settled_whatever_its_rows_say() {
        for rows_late in [0, 3] {
            let provisional = ReportMetadata { rows_late, ..collected("2026-11-02T18:00:00Z") };
            let until = Some(Provisional { jobs: 1, settles_at: at(SETTLED) });
            assert_eq!(incomplete(provisional.clone(), BEFORE), (JobState::AlreadyComplete, until));
            assert_eq!(incomplete(provisional, SETTLED), (JobState::Sent, None));
            let settled = ReportMetadata { rows_late, ..collected(SETTLED) };
            assert_eq!(incomplete(settled, SETTLED), (JobState::AlreadyComplete, None));
        }
    }

    #[test]
    fn what_is_no_complete_report_of_the_day_and_the_account_is_sent() {
        let partial = ReportMetadata { status: ReportStatus::Partial, ..collected(SETTLED) };
        let other_day = ReportMetadata { window: day("2026-10-31"), ..collected(SETTLED) };
        for report in [partial, other_day] {
            assert_eq!(incomplete(report, SETTLED), (JobState::Sent, None));
        }
        let nothing = [vec![Existing::Nothing], vec![Existing::Foreign { etag: "e".into() }]];
        let jobs = [planned("data", DATE), planned("web", DATE)];
        assert_eq!(Todo::for_incomplete(&jobs, &nothing, at(SETTLED)).states, [JobState::Sent; 2]);

        let mut other_account = planned("data", DATE);
        other_account.account_id = Some("222222222222".parse().expect("an id"));
        let todo = Todo::for_incomplete(&[other_account], &[vec![existing(collected(SETTLED))]], at(SETTLED));
        assert_eq!(todo.states, [JobState::Sent]);
    }

    #[test]
    fn the_time_from_which_all_can_be_settled_is_named() {
        let jobs = [planned("data", "2026-11-01"), planned("data", "2026-11-02")];
        let later = ReportMetadata { window: day("2026-11-02"), ..collected("2026-11-03T00:00:00Z") };
        let reports = [vec![existing(collected("2026-11-02T18:00:00Z"))], vec![existing(later)]];
        let todo = Todo::for_incomplete(&jobs, &reports, at("2026-11-03T01:00:00Z"));
        assert_eq!(
            todo.left_out(),
            ", 2 already complete (2 provisional: --only-incomplete settles them from 2026-11-05 12:00 UTC on)"
        );
    }

    #[test]
    fn a_settled_day_that_is_paid_for_again_is_warned_of() {
        let jobs = ["data", "web", "new", "late"].map(|account| planned(account, DATE));
        let settled = existing(collected("2026-11-05T00:00:00Z"));
        let provisional = existing(collected("2026-11-02T18:00:00Z"));
        let all = [settled.clone(), settled.clone(), Existing::Nothing, provisional].map(|it| vec![it]);
        let todo = Todo::for_all(&jobs, &all, at("2026-11-05T00:00:00Z"));
        assert_eq!((&todo.states[..], todo.provisional), (&[JobState::Sent; 4][..], None));
        // 200 rows of three series each, for two accounts: the reports were made without a listing.
        assert_eq!(
            todo.warning().expect("a warning"),
            "accounts with a settled report of the day already: 2; collecting them again costs about $0.01; \
             --only-incomplete skips them"
        );
        assert_eq!(Todo::for_all(&jobs, &vec![vec![Existing::Nothing]; 4], at(SETTLED)).warning(), None);
    }

    #[test]
    fn what_is_kept_costs_nothing_again() {
        let listed = ReportMetadata { is_listed: true, ..collected("2026-11-05T00:00:00Z") };
        let todo =
            Todo::for_all(&[planned("data", DATE)], &[vec![existing(listed)]], at("2026-12-01T00:00:00Z"));
        let warning = todo.warning().expect("a message");
        assert!(
            warning.starts_with("accounts whose settled report is kept at no cost: 1, since"),
            "{warning}"
        );
    }

    #[test]
    fn a_job_is_for_the_windows_that_are_lacking() {
        let windows = Windows::of_day(DATE.parse().expect("a date"), "1h".parse().expect("a length"));
        let mut job = planned("data", DATE);
        job.job.windows = windows;
        job.report_key = "{date}/{time}.csv".into();
        let report = |hour: usize| {
            let window = windows.iter().nth(hour).expect("an hour");
            let settle_time = chrono::TimeDelta::minutes(10);
            // The last one was collected too early.
            let collected_at = if hour == 23 { window.end() } else { window.end() + settle_time };
            existing(ReportMetadata { window, settle_time, collected_at, ..collected(SETTLED) })
        };
        let lacking = |hours: &[usize], now: &str| {
            let existing =
                (0..24).map(|hour| if hours.contains(&hour) { Existing::Nothing } else { report(hour) });
            let todo = Todo::for_incomplete(std::slice::from_ref(&job), &[existing.collect()], at(now));
            let narrowed = todo.narrow(vec![job.clone()]).remove(0);
            (
                todo.states[0],
                todo.provisional.is_some(),
                narrowed.job.windows.to_string(),
                narrowed.report_key,
            )
        };
        let of = |from: &str, to: &str| format!("{DATE}T{from}:00:00Z to {to}:00:00Z");
        let (night, morning) = ("2026-11-02T00:05:00Z", "2026-11-02T00:10:00Z");
        let key = "{date}/{time}.csv".to_owned();
        let all = of("00", "2026-11-02T00");
        assert_eq!(lacking(&[], night), (JobState::AlreadyComplete, true, all, key.clone()));
        let last = (JobState::Sent, false, of("23", "2026-11-02T00"), format!("{DATE}/T2300Z.csv"));
        assert_eq!(lacking(&[], morning), last);
        assert_eq!(lacking(&[3, 5], night), (JobState::Sent, false, of("03", "2026-11-01T06"), key));
    }
}
