// SPDX-License-Identifier: Apache-2.0
//! The status of a job of several windows, from that of each: a run of thousands of windows has a line an account.

use super::{AccountStatus, ReportFigures, State, WindowsStatus};

/// The states from the one that decides to the one that all have to have: while a job may still write a report, nothing is
/// decided.
const BY_WEIGHT: [State; 5] =
    [State::InProgress, State::Failed, State::Missing, State::Partial, State::Complete];

impl AccountStatus {
    /// The status of a job, from that of each of its windows; `None` without a window.
    pub(super) fn of_windows(parts: Vec<Self>, report_key: &str) -> Option<Self> {
        let state = BY_WEIGHT.into_iter().find(|state| parts.iter().any(|part| part.state == *state))?;
        let each: Vec<bool> = parts.iter().map(|part| part.state == State::Complete).collect();
        let windows = WindowsStatus {
            total: parts.len(),
            complete: each.iter().filter(|is_complete| **is_complete).count(),
            provisional: parts.iter().filter(|part| part.is_provisional()).count(),
            each,
        };
        let reports = parts.iter().filter_map(|part| part.report.clone());
        let report = reports.reduce(|one, other| both(&one, &other));
        let decisive = parts.into_iter().find(|part| part.state == state)?;
        let complete = format!("{} of {} windows complete", windows.complete, windows.total);
        let detail = match (state, &decisive.detail) {
            (State::Complete | State::InProgress, _) => None,
            (_, Some(detail)) => Some(format!("{complete}; {detail}")),
            (_, None) => Some(complete),
        };
        Some(Self { report_key: report_key.to_owned(), report, detail, windows: Some(windows), ..decisive })
    }
}

/// The figures of two windows together.
fn both(one: &ReportFigures, other: &ReportFigures) -> ReportFigures {
    let sum = |one: Option<u64>, other: Option<u64>| one?.checked_add(other?);
    ReportFigures {
        settled: one.settled && other.settled,
        collected_at: one.collected_at.min(other.collected_at),
        settles_at: one.settles_at.max(other.settles_at),
        rows: one.rows.saturating_add(other.rows),
        rows_late: one.rows_late.saturating_add(other.rows_late),
        rows_denied: one.rows_denied.saturating_add(other.rows_denied),
        rows_error: one.rows_error.saturating_add(other.rows_error),
        bytes: sum(one.bytes, other.bytes),
        objects: sum(one.objects, other.objects),
        api_calls: one.api_calls.saturating_add(other.api_calls),
        metrics_requested: one.metrics_requested.saturating_add(other.metrics_requested),
        estimated_cost_usd: one.estimated_cost_usd + other.estimated_cost_usd,
    }
}

#[cfg(test)]
mod tests {
    use fleet::{
        ReportDate, RunId, Windows,
        existing::Existing,
        manifest::ManifestWindows,
        report::{ReportMetadata, ReportStatus},
    };
    use requests::testing::{complete, existing, manifest};

    use super::*;
    use crate::status::{Dead, tests::status_of, text};

    #[test]
    fn a_run_of_many_windows_has_a_line_an_account() {
        let run = RunId::generate();
        let day: ReportDate = "2026-11-01".parse().expect("a date");
        let windows = Windows::of_day(day, "6h".parse().expect("a length"));
        let mut manifest = manifest(&run, &["data", "web"]);
        for job in &mut manifest.jobs {
            job.windows = Some(ManifestWindows(windows));
            job.report_key = format!("{}/{{date}}/{{time}}.csv", job.account_name);
        }
        let report = |account: &str, nth: usize| {
            let window = windows.iter().nth(nth).expect("a window");
            ReportMetadata { window, rows: 10, ..complete(account, &run) }
        };
        let mut found: Vec<Existing> = (0..4).map(|nth| existing(report("data", nth))).collect();
        let partial = ReportMetadata { status: ReportStatus::Partial, rows_denied: 2, ..report("web", 1) };
        found.extend([existing(report("web", 0)), existing(partial), Existing::Nothing, Existing::Nothing]);
        let open = status_of(&manifest, &found, false, &Dead::NotSeen);
        assert_eq!((open.accounts.len(), open.counts.complete, open.counts.in_progress), (2, 1, 1));
        assert_eq!(open.accounts[0].report.as_ref().map(|report| report.rows), Some(40));
        assert_eq!(
            open.accounts[1].windows.as_ref().map(|it| it.each.clone()),
            Some(vec![true, false, false, false])
        );
        let drained = status_of(&manifest, &found, true, &Dead::NotSeen);
        assert_eq!(drained.accounts[1].state, State::Missing);
        let text = text::render(&drained, false);
        assert!(text.contains("ACCOUNT  DATASET           STATE     VALUES   WINDOWS"), "{text}");
        assert!(text.contains("missing   -            1/4"), "{text}");
        assert!(
            text.contains("1 of 4 windows complete; no report, and no job is left on the queue"),
            "{text}"
        );
        assert!(
            text.contains("for 2026-11-01T00:00:00Z to 2026-11-02T00:00:00Z: 1 complete, 1 missing"),
            "{text}"
        );
        assert!(
            text.contains(
                "--only-incomplete --from 2026-11-01T00:00:00Z --to 2026-11-02T00:00:00Z --account-name web"
            ),
            "{text}"
        );
        // A report of a day under a window's key is none of its reports.
        found[0] = existing(complete("data", &run));
        assert_eq!(status_of(&manifest, &found, true, &Dead::NotSeen).accounts[0].state, State::Missing);
    }
}
