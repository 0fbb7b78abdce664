use fleet::report::ReportMetadata;
use serde_json::{Map, json};

use super::*;
use crate::reports::Report;

const DATE: &str = "2026-11-01";

/// The metadata of a complete report of that account, written for that run.
pub(crate) fn complete(account: &str, run_id: &RunId) -> ReportMetadata {
    ReportMetadata {
        run_id: run_id.clone(),
        account_name: account.parse().expect("a name"),
        account_id: "111111111111".parse().expect("an id"),
        dataset: "s3_daily_storage".into(),
        report_date: DATE.parse().expect("a date"),
        status: ReportStatus::Complete,
        rows: 200,
        rows_late: 0,
        rows_denied: 0,
        rows_error: 0,
        first_error: None,
        sha256: "0".repeat(64),
        api_calls: 14,
        metrics_requested: 5_800,
        estimated_cost_usd: 0.058,
        attributes: None,
    }
}

/// What stands under a key where that report does.
pub(crate) fn standing(metadata: ReportMetadata) -> Standing {
    Standing::Report(Box::new(Report {
        metadata,
        written_at: Some("2026-11-21T10:01:00Z".parse().expect("a moment")),
    }))
}

/// The manifest of a run over those accounts, all of them sent.
pub(crate) fn manifest(run_id: &RunId, accounts: &[&str]) -> Manifest {
    let job = |account: &&str| ManifestJob {
        account_name: account.parse().expect("a name"),
        dataset: "s3_daily_storage".into(),
        report_key: format!("{account}.csv"),
        state: JobState::Sent,
    };
    Manifest {
        run_id: run_id.clone(),
        created_at: "2026-11-21T10:00:00Z".parse().expect("a moment"),
        version: "0.1.0".into(),
        request: Map::new(),
        date: DATE.parse().expect("a date"),
        jobs: accounts.iter().map(job).collect(),
    }
}

/// One account's state and detail.
fn of_one(run: &RunId, job: JobState, standing: &Standing, drained: bool) -> (State, Option<String>) {
    let mut manifest = manifest(run, &["data"]);
    manifest.jobs[0].state = job;
    let mut status = RunStatus::of(&manifest, std::slice::from_ref(standing), drained);
    let account = status.accounts.remove(0);
    (account.state, account.detail)
}

#[test]
fn a_report_of_the_run_or_a_later_one_decides() {
    let (earlier, run, later) = (RunId::generate(), RunId::generate(), RunId::generate());
    for report in [&run, &later] {
        let stands = standing(complete("data", report));
        assert_eq!(of_one(&run, JobState::Sent, &stands, false), (State::Complete, None));
        let mut partial = complete("data", report);
        partial.status = ReportStatus::Partial;
        partial.rows_denied = 2;
        partial.first_error = Some("bucket b: AccessDenied".into());
        let detail = Some("2 rows denied; bucket b: AccessDenied".to_owned());
        assert_eq!(of_one(&run, JobState::Sent, &standing(partial), false), (State::Partial, detail));
    }
    let older = standing(complete("data", &earlier));
    assert_eq!(of_one(&run, JobState::Sent, &older, false), (State::InProgress, None));
    let (state, detail) = of_one(&run, JobState::Sent, &older, true);
    assert_eq!(state, State::Missing);
    assert!(detail.expect("why").ends_with(&format!("is of {DATE} and run {earlier}")));

    let mut other_day = complete("data", &later);
    other_day.report_date = other_day.report_date.days_before(1);
    assert_eq!(of_one(&run, JobState::Sent, &standing(other_day), false).0, State::InProgress);
}

#[test]
fn what_was_complete_already_counts_whatever_its_run() {
    let (earlier, run) = (RunId::generate(), RunId::generate());
    let manual = RunId::manual("0a1b2c3d");
    for report in [&earlier, &manual] {
        let stands = standing(complete("data", report));
        assert_eq!(of_one(&run, JobState::AlreadyComplete, &stands, false).0, State::Complete);
    }
    assert_eq!(of_one(&run, JobState::AlreadyComplete, &Standing::Unknown, true).0, State::InProgress);
    let (state, detail) = of_one(&run, JobState::AlreadyComplete, &Standing::Absent, false);
    assert_eq!(state, State::Missing);
    assert_eq!(detail.expect("why"), "its report was complete when the run began, and is gone");
}

#[test]
fn without_a_report_the_queue_decides() {
    let run = RunId::generate();
    for stands in [Standing::Absent, Standing::Foreign] {
        assert_eq!(of_one(&run, JobState::Sent, &stands, false), (State::InProgress, None));
        assert_eq!(of_one(&run, JobState::Sent, &stands, true).0, State::Missing);
    }
}

#[test]
fn counts_tell_late_rows_and_a_run_is_complete_with_them() {
    let run = RunId::generate();
    let mut late = complete("a", &run);
    late.rows_late = 3;
    let reports = [standing(late), standing(complete("b", &run))];
    let status = RunStatus::of(&manifest(&run, &["a", "b"]), &reports, false);
    assert!(status.complete && status.is_decided());
    assert_eq!((status.counts.complete, status.counts.late), (2, 1));
}

#[test]
fn as_json_it_has_a_flat_entry_an_account() {
    let run: RunId = "019a0000-0000-7000-8000-000000000000".parse().expect("a run id");
    let standings = [standing(complete("a", &run)), Standing::Absent];
    let status = RunStatus::of(&manifest(&run, &["a", "b"]), &standings, true);
    assert_eq!(
        serde_json::to_value(status.failed_only()).expect("JSON"),
        json!({
            "run_id": run.as_str(),
            "date": DATE,
            "created_at": "2026-11-21T10:00:00Z",
            "complete": false,
            "counts": {"complete": 1, "late": 0, "partial": 0, "in_progress": 0, "missing": 1},
            "accounts": [{
                "account_name": "b",
                "dataset": "s3_daily_storage",
                "state": "missing",
                "report_key": "b.csv",
                "detail": "no report, and no job left on the queue",
            }],
        })
    );
    let status = RunStatus::of(&manifest(&run, &["a", "b"]), &standings, true);
    let accounts = serde_json::to_value(status.accounts).expect("JSON");
    assert_eq!(accounts[0]["rows"], 200);
    assert_eq!(accounts[0]["estimated_cost_usd"], 0.058);
}
