use fleet::{Job, datasets, report::ReportMetadata};
use serde_json::{Map, json};

use super::*;
use crate::{dead_letters::tests::letter, reports::Report};

const DATE: &str = "2026-11-01";

/// The metadata of a complete report of that account, written for that run.
pub(crate) fn complete(account: &str, run_id: &RunId) -> ReportMetadata {
    let job = Job {
        account_name: account.parse().expect("a name"),
        date: DATE.parse().expect("a date"),
        dataset: datasets::DEFAULT,
        run_id: run_id.clone(),
        only_incomplete: false,
        attributes: Map::new(),
    };
    ReportMetadata {
        rows: 200,
        api_calls: 14,
        metrics_requested: 5_800,
        estimated_cost_usd: 0.058,
        ..ReportMetadata::new(
            &job,
            "111111111111".parse().expect("an id"),
            "2026-11-21T10:00:30Z".parse().expect("a moment"),
        )
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
    let mut status = RunStatus::of(&manifest, std::slice::from_ref(standing), drained, &Dead::NotSeen);
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
    let status = RunStatus::of(&manifest(&run, &["a", "b"]), &reports, false, &Dead::NotSeen);
    assert!(status.complete && status.is_decided());
    assert_eq!((status.counts.complete, status.counts.late), (2, 1));
}

#[test]
fn as_json_it_has_a_flat_entry_an_account() {
    let run: RunId = "019a0000-0000-7000-8000-000000000000".parse().expect("a run id");
    let standings = [standing(complete("a", &run)), Standing::Absent];
    let status = RunStatus::of(&manifest(&run, &["a", "b"]), &standings, true, &Dead::NotSeen);
    assert_eq!(
        serde_json::to_value(status.failed_only()).expect("JSON"),
        json!({
            "run_id": run.as_str(),
            "date": DATE,
            "created_at": "2026-11-21T10:00:00Z",
            "complete": false,
            "dead_letters_hidden": 0,
            "counts": {"complete": 1, "late": 0, "partial": 0, "failed": 0, "in_progress": 0, "missing": 1, "other_dead_letters": null},
            "accounts": [{
                "account_name": "b",
                "dataset": "s3_daily_storage",
                "state": "missing",
                "report_key": "b.csv",
                "detail": "no report, and no job left on the queue",
                "failure_reason": null,
                "failure_message": null,
            }],
        })
    );
    let status = RunStatus::of(&manifest(&run, &["a", "b"]), &standings, true, &Dead::NotSeen);
    let accounts = serde_json::to_value(status.accounts).expect("JSON");
    assert_eq!(accounts[0]["rows"], 200);
    assert_eq!(accounts[0]["estimated_cost_usd"], 0.058);
}

#[test]
fn each_combination_has_one_state() {
    use ReportStatus::{Complete, Partial};
    let states = |own| {
        let of = |is_dead, is_looked_at, is_awaited| decide(own, is_dead, is_looked_at, is_awaited);
        [of(false, true, true), of(false, true, false), of(true, true, true), of(true, true, false)]
    };
    assert_eq!(states(Some(Complete)), [State::Complete; 4], "whatever the queues say");
    assert_eq!(states(Some(Partial)), [State::Partial, State::Partial, State::Failed, State::Failed]);
    assert_eq!(states(None), [State::InProgress, State::Missing, State::Failed, State::Failed]);
    for (is_dead, is_awaited) in [(false, false), (false, true), (true, false), (true, true)] {
        assert_eq!(decide(None, is_dead, false, is_awaited), State::InProgress, "nobody has looked");
    }
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
    let standings = [Standing::Absent, standing(partial), standing(complete("c", &run)), Standing::Absent];
    let of = |account: &str| letter(account, run.as_str(), "access_denied", "denied;\n allow it");
    let mut older = of("a");
    older.dead.failure.as_mut().expect("a failure").reason = "panic".into();
    older.sent_at = Some("2026-11-20T10:05:00Z".parse().expect("a moment"));
    let mut no_job = of("a");
    no_job.dead.labels = fleet::Labels::default();
    let letters =
        vec![of("a"), older, of("b"), of("c"), of("stranger"), letter("d", "r-other", "panic", ""), no_job];
    let status = RunStatus::of(&manifest, &standings, false, &seen(letters));
    let found: Vec<State> = status.accounts.iter().map(|account| account.state).collect();
    assert_eq!(found, [State::Failed, State::Failed, State::Complete, State::InProgress]);
    let (a, b) = (&status.accounts[0], &status.accounts[1]);
    assert_eq!(a.detail.as_deref(), Some("access_denied: denied; allow it"), "the newest, on one line");
    assert_eq!(a.failure_reason.as_deref(), Some("access_denied"));
    assert_eq!(a.failure_message.as_deref(), Some("denied;\n allow it"), "machines get it as it is");
    let detail = "access_denied: denied; allow it; a partial report stands: 2 rows denied";
    assert_eq!(b.detail.as_deref(), Some(detail));
    assert_eq!((status.counts.failed, status.counts.other_dead_letters), (2, Some(4)));
    assert_eq!(status.dead_and_complete, 1);
    assert!(!status.is_decided(), "d may come yet");
    assert!(RunStatus::of(&manifest, &standings, true, &seen(vec![])).is_decided());
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
    let status = RunStatus::of(&manifest, &vec![Standing::Absent; 3], true, &seen(letters));
    let found: Vec<State> = status.accounts.iter().map(|account| account.state).collect();
    assert_eq!(found, [State::Failed, State::Missing, State::Failed]);
    assert_eq!(status.counts.other_dead_letters, Some(1));
}

#[test]
fn what_can_not_be_read_is_said_where_something_is_missing() {
    let run = RunId::generate();
    let status = RunStatus::of(&manifest(&run, &["a"]), &[Standing::Absent], true, &Dead::Unreadable);
    let detail = "no report, and no job left on the queue, and the dead-letter queue can't be read";
    assert_eq!(status.accounts[0].detail.as_deref(), Some(detail));
    assert_eq!(status.counts.other_dead_letters, None);
}
