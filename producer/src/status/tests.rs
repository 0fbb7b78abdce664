// SPDX-License-Identifier: Apache-2.0
use fleet::{
    existing::Existing,
    manifest::JobState,
    report::{ReportMetadata, ReportStatus},
};
use requests::testing::{complete, existing, manifest};
use serde_json::json;

use super::*;
use crate::dead_letters::tests::letter;

const DATE: &str = "2026-11-01";

/// The time at which these tests look at a run.
fn now() -> DateTime<Utc> {
    "2026-11-21T10:05:00Z".parse().expect("a moment")
}

/// The status of a run whose reports were all looked up.
pub(crate) fn status_of(manifest: &Manifest, existing: &[Existing], drained: bool, dead: &Dead) -> RunStatus {
    let existing: Vec<Option<Existing>> = existing.iter().cloned().map(Some).collect();
    RunStatus::from_observed(
        manifest,
        Observed { existing: &existing, drained, dead, now: now(), wants_settled: false, queue: None },
    )
}

/// The status of a run that left no trace.
pub(crate) fn nothing_exists(manifest: &Manifest) -> RunStatus {
    status_of(manifest, &vec![Existing::Nothing; manifest.jobs.len()], true, &Dead::NotSeen)
}

/// The state and detail of a run's only account.
fn of_one(run: &RunId, job: JobState, existing: &Existing, drained: bool) -> (State, Option<String>) {
    let mut manifest = manifest(run, &["data"]);
    manifest.jobs[0].state = job;
    let mut status = status_of(&manifest, std::slice::from_ref(existing), drained, &Dead::NotSeen);
    let account = status.accounts.remove(0);
    (account.state, account.detail)
}

#[test]
fn a_report_of_the_run_or_a_later_one_decides() {
    let (earlier, run, later) = (RunId::generate(), RunId::generate(), RunId::generate());
    for report in [&run, &later] {
        let object = existing(complete("data", report));
        assert_eq!(of_one(&run, JobState::Sent, &object, false), (State::Complete, None));
        let mut partial = complete("data", report);
        partial.status = ReportStatus::Partial;
        partial.rows_denied = 2;
        partial.first_error = Some("bucket b: AccessDenied".into());
        let detail = Some("2 rows denied; bucket b: AccessDenied".to_owned());
        assert_eq!(of_one(&run, JobState::Sent, &existing(partial), false), (State::Partial, detail));
    }
    let older = existing(complete("data", &earlier));
    assert_eq!(of_one(&run, JobState::Sent, &older, false), (State::InProgress, None));
    let (state, detail) = of_one(&run, JobState::Sent, &older, true);
    assert_eq!(state, State::Missing);
    assert!(detail.expect("a detail").ends_with(&format!("is of {DATE} and run {earlier}")));

    let mut other_day = complete("data", &later);
    other_day.window = other_day.window.date().days_before(1).into();
    assert_eq!(of_one(&run, JobState::Sent, &existing(other_day), false).0, State::InProgress);
}

#[test]
fn what_was_already_complete_counts_whatever_its_run() {
    let (earlier, run) = (RunId::generate(), RunId::generate());
    let manual = RunId::manual("0a1b2c3d");
    for report in [&earlier, &manual] {
        let object = existing(complete("data", report));
        assert_eq!(of_one(&run, JobState::AlreadyComplete, &object, false).0, State::Complete);
    }
    let mut manifest = manifest(&run, &["data"]);
    manifest.jobs[0].state = JobState::AlreadyComplete;
    let not_looked_at = Observed {
        existing: &[None],
        drained: true,
        dead: &Dead::NotSeen,
        now: now(),
        wants_settled: false,
        queue: None,
    };
    assert_eq!(RunStatus::from_observed(&manifest, not_looked_at).accounts[0].state, State::InProgress);
    let (state, detail) = of_one(&run, JobState::AlreadyComplete, &Existing::Nothing, false);
    assert_eq!(state, State::Missing);
    assert_eq!(
        detail.expect("a detail"),
        "its report was complete when the run began, and has been deleted since"
    );
}

#[test]
fn without_a_report_the_queue_decides() {
    let run = RunId::generate();
    for object in [Existing::Nothing, Existing::Foreign { etag: "e".into() }] {
        assert_eq!(of_one(&run, JobState::Sent, &object, false), (State::InProgress, None));
        assert_eq!(of_one(&run, JobState::Sent, &object, true).0, State::Missing);
    }
}

#[test]
fn late_rows_are_counted_and_a_run_is_complete_with_them() {
    let run = RunId::generate();
    let mut late = complete("a", &run);
    late.rows_late = 3;
    let reports = [existing(late), existing(complete("b", &run))];
    let status = status_of(&manifest(&run, &["a", "b"]), &reports, false, &Dead::NotSeen);
    assert!(status.complete && status.is_decided());
    assert_eq!((status.counts.complete, status.counts.late), (2, 1));
}

#[test]
fn as_json_it_has_a_flat_entry_an_account() {
    let run: RunId = "019a0000-0000-7000-8000-000000000000".parse().expect("a run id");
    let reports = [existing(complete("a", &run)), Existing::Nothing];
    let status = status_of(&manifest(&run, &["a", "b"]), &reports, true, &Dead::NotSeen);
    assert_eq!(
        serde_json::to_value(status.failed_only()).expect("JSON"),
        json!({
            "run_id": run.as_str(),
            "date": DATE,
            "created_at": "2026-11-21T10:00:00Z",
            "complete": false,
            "queue": null,
            "dead_letters_hidden": 0,
            "totals": {"rows": 200, "bytes": 7_000_000_000_000_u64, "objects": 1_200, "estimated_cost_usd": 0.058},
            "counts": {"complete": 1, "provisional": 0, "late": 0, "partial": 0, "failed": 0, "in_progress": 0, "missing": 1, "other_dead_letters": null},
            "accounts": [{
                "account_name": "b",
                "dataset": "s3_daily_storage",
                "state": "missing",
                "report_key": "b.csv",
                "detail": "no report, and no job is left on the queue",
                "failure_reason": null,
                "failure_message": null,
            }],
        })
    );
    let status = status_of(&manifest(&run, &["a", "b"]), &reports, true, &Dead::NotSeen);
    let accounts = serde_json::to_value(status.accounts).expect("JSON");
    assert_eq!(accounts[0]["rows"], 200);
    assert_eq!(accounts[0]["estimated_cost_usd"], 0.058);
    assert_eq!(
        (&accounts[0]["bytes"], &accounts[0]["objects"]),
        (&json!(7_000_000_000_000_u64), &json!(1_200))
    );
    assert_eq!(
        [&accounts[0]["settled"], &accounts[0]["collected_at"], &accounts[0]["settles_at"]],
        [&json!(true), &json!("2026-11-21T10:00:30Z"), &json!("2026-11-04T12:00:00Z")]
    );
}

fn seen(letters: Vec<Letter>) -> Dead {
    Dead::Seen { letters, elsewhere: 0 }
}

#[test]
fn a_dead_letter_of_the_run_says_why_an_account_failed() {
    let run = RunId::generate();
    let manifest = manifest(&run, &["a", "b", "c", "d"]);
    let mut partial = complete("b", &run);
    partial.status = ReportStatus::Partial;
    partial.rows_denied = 2;
    let reports = [Existing::Nothing, existing(partial), existing(complete("c", &run)), Existing::Nothing];
    let of = |account: &str| letter(account, run.as_str(), "access_denied", "denied;\n allow it");
    let mut older = of("a");
    older.dead.cause.as_mut().expect("a failure").reason = "panic".into();
    older.sent_at = Some("2026-11-20T10:05:00Z".parse().expect("a moment"));
    let mut no_job = of("a");
    no_job.dead.labels = fleet::Labels::default();
    let letters =
        vec![of("a"), older, of("b"), of("c"), of("stranger"), letter("d", "r-other", "panic", ""), no_job];
    let status = status_of(&manifest, &reports, false, &seen(letters));
    let found: Vec<State> = status.accounts.iter().map(|account| account.state).collect();
    assert_eq!(found, [State::Failed, State::Failed, State::Complete, State::InProgress]);
    let (a, b) = (&status.accounts[0], &status.accounts[1]);
    assert_eq!(a.detail.as_deref(), Some("access_denied: denied; allow it"), "the newest, on one line");
    assert_eq!(a.failure_reason.as_deref(), Some("access_denied"));
    assert_eq!(a.failure_message.as_deref(), Some("denied;\n allow it"), "machines get it as it is");
    let detail = "access_denied: denied; allow it; a partial report exists: 2 rows denied";
    assert_eq!(b.detail.as_deref(), Some(detail));
    assert_eq!((status.counts.failed, status.counts.other_dead_letters), (2, Some(4)));
    assert_eq!(status.dead_and_complete, 1);
    assert!(!status.is_decided(), "d may come yet");
    assert!(status_of(&manifest, &reports, true, &seen(vec![])).is_decided());
    assert_eq!(status.failed_only().accounts.len(), 2);
}

#[test]
fn a_dead_letter_is_of_the_dataset_that_it_names() {
    let run = RunId::generate();
    let mut manifest = manifest(&run, &["a", "a", "b"]);
    manifest.jobs[1].dataset = "ec2".into();
    let nameless = |account: &str| {
        let mut letter = letter(account, run.as_str(), "bad_message", "");
        letter.dead.labels.dataset = None;
        letter
    };
    let letters = vec![letter("a", run.as_str(), "panic", ""), nameless("a"), nameless("b")];
    let status = status_of(&manifest, &vec![Existing::Nothing; 3], true, &seen(letters));
    let found: Vec<State> = status.accounts.iter().map(|account| account.state).collect();
    assert_eq!(found, [State::Failed, State::Missing, State::Failed]);
    assert_eq!(status.counts.other_dead_letters, Some(1));
}

#[test]
fn an_unreadable_dead_letter_queue_is_reported_for_missing_accounts() {
    let run = RunId::generate();
    let status = status_of(&manifest(&run, &["a"]), &[Existing::Nothing], true, &Dead::Unreadable);
    let detail = "no report, and no job is left on the queue, and the dead-letter queue can't be read";
    assert_eq!(status.accounts[0].detail.as_deref(), Some(detail));
    assert_eq!(status.counts.other_dead_letters, None);
}

/// The status at this time of a run of one account.
fn at(moment: &str, manifest: &Manifest, report: ReportMetadata, drained: bool, dead: &Dead) -> RunStatus {
    let (existing, now) = ([Some(existing(report))], moment.parse().expect("a moment"));
    RunStatus::from_observed(
        manifest,
        Observed { existing: &existing, drained, dead, now, wants_settled: false, queue: None },
    )
}

fn collected(run_id: &RunId, collected_at: &str) -> ReportMetadata {
    ReportMetadata { collected_at: collected_at.parse().expect("a moment"), ..complete("data", run_id) }
}

#[test]
fn a_provisional_report_is_complete_unless_settled_ones_are_wanted() {
    let run = RunId::generate();
    let manifest = manifest(&run, &["data", "web"]);
    let reports = [collected(&run, "2026-11-02T18:00:00Z"), complete("web", &run)].map(existing).map(Some);
    let of = |wants_settled| {
        let dead = &Dead::NotSeen;
        RunStatus::from_observed(
            &manifest,
            Observed { existing: &reports, drained: true, dead, now: now(), wants_settled, queue: None },
        )
    };
    let status = of(false);
    assert!(status.complete && status.is_decided());
    assert_eq!((status.counts.complete, status.counts.provisional), (2, 1));
    assert!(status.failed_only().accounts.is_empty());
    let status = of(true);
    assert!(!status.complete && status.is_decided(), "nothing more will come of this run");
    assert_eq!((status.counts.complete, status.counts.provisional), (2, 1));
    assert_eq!(status.failed_only().accounts[0].account_name.as_str(), "data");
}

#[test]
fn a_run_that_completes_counts_any_complete_report_of_the_day() {
    let (earlier, run) = (RunId::generate(), RunId::generate());
    let mut manifest = manifest(&run, &["data"]);
    manifest.created_at = "2026-11-02T18:00:00Z".parse().expect("a moment");
    for run_id in [&earlier, &RunId::manual("by-hand")] {
        let state = |manifest: &Manifest| {
            let report = collected(run_id, "2026-11-02T17:00:00Z");
            at("2026-11-02T18:01:00Z", manifest, report, false, &Dead::NotSeen).accounts[0].state
        };
        manifest.only_incomplete = false;
        assert_eq!(state(&manifest), State::InProgress, "an ordinary run refreshes");
        manifest.only_incomplete = true;
        assert_eq!(state(&manifest), State::Complete);
    }
}

#[test]
fn a_run_that_settles_is_in_progress_until_its_job_is_done() {
    let (earlier, run) = (RunId::generate(), RunId::generate());
    let mut manifest = manifest(&run, &["data"]);
    manifest.created_at = "2026-11-04T12:00:00Z".parse().expect("a moment");
    manifest.only_incomplete = true;
    let dead = seen(vec![letter("data", run.as_str(), "access_denied", "denied")]);
    let provisional = collected(&earlier, "2026-11-02T18:00:00Z");
    let state = |report: &ReportMetadata, drained, dead: &Dead, wants_settled| {
        let observed = Observed {
            existing: &[Some(existing(report.clone()))],
            drained,
            dead,
            now: now(),
            wants_settled,
            queue: None,
        };
        let mut status = RunStatus::from_observed(&manifest, observed);
        (status.accounts.remove(0), status.complete)
    };
    let (account, complete) = state(&provisional, false, &Dead::NotSeen, false);
    assert_eq!((account.state, complete), (State::InProgress, false));
    // Done by this run or by another one.
    for run_id in [&earlier, &run] {
        let (account, complete) = state(&collected(run_id, "2026-11-04T12:01:00Z"), false, &dead, true);
        assert_eq!((account.state, complete), (State::Complete, true));
    }
    // Not done, but a complete report still exists.
    for (drained, dead) in [(true, &Dead::NotSeen), (false, &dead)] {
        let (account, complete) = state(&provisional, drained, dead, false);
        assert_eq!((account.state, account.is_provisional(), complete), (State::Complete, true, true));
    }
    let (account, complete) = state(&provisional, false, &dead, true);
    assert_eq!((account.state, complete), (State::Failed, false));
    assert_eq!(account.detail.as_deref(), Some("access_denied: denied; its report is provisional"));
}

#[test]
fn a_report_that_no_later_collection_can_replace_counts_for_later_runs() {
    let (earlier, run) = (RunId::generate(), RunId::generate());
    let manifest = manifest(&run, &["data"]);
    let listed = ReportMetadata { is_listed: true, ..complete("data", &earlier) };
    let state = |moment, report: &ReportMetadata| {
        at(moment, &manifest, report.clone(), false, &Dead::NotSeen).accounts[0].state
    };
    assert_eq!(state("2026-11-12T23:59:59Z", &listed), State::InProgress, "a new collection sees as much");
    assert_eq!(state("2026-11-13T00:00:00Z", &listed), State::Complete);
    let not_listed = ReportMetadata { is_listed: false, ..listed };
    assert_eq!(state("2026-11-13T00:00:00Z", &not_listed), State::InProgress);
}

#[test]
fn a_partial_report_of_an_unfinished_job_is_in_progress_while_its_job_may_be_on_the_queue() {
    let run = RunId::generate();
    let manifest = manifest(&run, &["data"]);
    let partial = |is_unfinished| ReportMetadata {
        status: ReportStatus::Partial,
        is_unfinished,
        rows_error: 1,
        ..complete("data", &run)
    };
    let status = |report, drained| status_of(&manifest, &[existing(report)], drained, &Dead::NotSeen);
    assert_eq!(status(partial(true), false).accounts[0].state, State::InProgress);
    assert!(!status(partial(true), false).is_decided());
    assert_eq!(status(partial(true), true).accounts[0].state, State::Partial, "no job is left to finish it");
    assert_eq!(status(partial(false), false).accounts[0].state, State::Partial);
}

#[test]
fn a_report_of_another_account_counts_for_no_run() {
    let run = RunId::generate();
    let mut manifest = manifest(&run, &["data"]);
    let kinds = [(JobState::Sent, false), (JobState::Sent, true), (JobState::AlreadyComplete, true)];
    for (state, only_incomplete) in kinds {
        (manifest.jobs[0].state, manifest.only_incomplete) = (state, only_incomplete);
        let status = |id: Option<&str>| {
            let mut manifest = manifest.clone();
            manifest.jobs[0].account_id = id.map(|id| id.parse().expect("an id"));
            status_of(&manifest, &[existing(complete("data", &run))], true, &Dead::NotSeen)
        };
        assert!(status(Some("111111111111")).complete && status(None).complete);
        let other = status(Some("222222222222"));
        assert_eq!((other.accounts[0].state, &other.accounts[0].report), (State::Missing, &None));
        let detail = other.accounts[0].detail.clone().unwrap_or_default();
        let expected =
            format!("the report under its key is of account 111111111111, not 222222222222, and run {run}");
        assert!(detail.ends_with(&expected), "{detail}");
    }
}

#[test]
fn totals_are_not_known_if_a_report_does_not_say() {
    let run = RunId::generate();
    let manifest = manifest(&run, &["a", "b"]);
    let total = |bytes| {
        let b = ReportMetadata { bytes, ..complete("b", &run) };
        status_of(&manifest, &[existing(complete("a", &run)), existing(b)], true, &Dead::NotSeen).totals
    };
    let totals = total(Some(1));
    assert_eq!((totals.rows, totals.bytes, totals.objects), (400, Some(7_000_000_000_001), Some(2_400)));
    assert!((totals.estimated_cost_usd - 0.116).abs() < 1e-9, "{totals:?}");
    for bytes in [None, Some(u128::MAX), Some(u128::from(u64::MAX))] {
        assert_eq!((total(bytes).bytes, total(bytes).objects), (None, Some(2_400)), "{bytes:?}");
    }
    assert_eq!(
        nothing_exists(&manifest).totals,
        Totals { bytes: Some(0), objects: Some(0), measures_bytes: true, ..Totals::default() }
    );
}

#[test]
fn reports_of_datasets_without_bytes_leave_those_of_others_known() {
    let run = RunId::generate();
    let without = ReportMetadata { bytes: None, objects: None, ..complete("b", &run) };
    let reports = [existing(complete("a", &run)), existing(without)];
    let mut accounts = status_of(&manifest(&run, &["a", "b"]), &reports, true, &Dead::NotSeen).accounts;
    accounts[1].dataset = "services".into();
    let has_bytes = |name: &str| name == "s3_daily_storage";
    let both = Totals::from_accounts(&accounts, has_bytes);
    assert_eq!((both.rows, both.bytes, both.objects), (400, Some(7_000_000_000_000), Some(1_200)));
    let alone = Totals::from_accounts(&accounts[1..], has_bytes);
    assert_eq!((alone.rows, alone.bytes, alone.measures_bytes), (200, None, false));
}
