// SPDX-License-Identifier: Apache-2.0
use chrono::{DateTime, Utc};
use fleet::{RunId, existing::Existing, report::ReportStatus};
use requests::testing::{complete, existing, manifest};

use super::*;
use crate::{
    dead_letters::tests::letter,
    status::{Dead, Observed, QueueState, tests::status_of},
};

#[test]
fn a_run_in_every_state() {
    let run: RunId = "019a0000-0000-7000-8000-000000000000".parse().expect("a run id");
    let mut late = complete("data", &run);
    late.rows_late = 3;
    let mut partial = complete("opra-dev", &run);
    partial.status = ReportStatus::Partial;
    partial.rows_error = 1;
    partial.first_error = Some("eu-west-1: Throttling".into());
    let manifest = manifest(&run, &["data", "opra-dev", "lost"]);
    let reports = [existing(late), existing(partial), Existing::Nothing];
    insta::assert_snapshot!(render(&status_of(&manifest, &reports, true, &Dead::NotSeen), false), @r"
    ACCOUNT   DATASET           STATE     VALUES   ROWS  LATE  CALLS   COST  WHY
    data      s3_daily_storage  complete  settled   200     3     14  $0.06
    opra-dev  s3_daily_storage  partial   -         200     0     14  $0.06  1 row with errors
    lost      s3_daily_storage  missing   -           -     -      -      -  no report, and no job is left on the queue

    run 019a0000-0000-7000-8000-000000000000 for 2026-11-01: 1 complete (1 late), 1 partial, 1 missing
    total: 400 rows, 14.00 TB in 2400 objects, $0.12
    The workers' logs say why an account is missing; they must have the producer's key template.
    To send the 1 missing job again:
      producer run --only-incomplete --date 2026-11-01 --account-name lost
    1 account partial:
      opra-dev: eu-west-1: Throttling
    To see what an account does not allow:
      worker check --account-name opra-dev
    To collect it again after that:
      producer run --only-incomplete --date 2026-11-01 --account-name opra-dev
    ");
    insta::assert_snapshot!(render(&status_of(&manifest, &reports, false, &Dead::NotSeen), true), @r"
    ACCOUNT   DATASET           STATE    VALUES  ROWS  LATE  CALLS   COST  WHY
    opra-dev  s3_daily_storage  partial  -        200     0     14  $0.06  1 row with errors

    run 019a0000-0000-7000-8000-000000000000 for 2026-11-01: 1 complete (1 late), 1 partial, 1 in progress
    total: 400 rows, 14.00 TB in 2400 objects, $0.12
    To follow it to the end:
      producer status 019a0000-0000-7000-8000-000000000000 --watch
    1 account partial:
      opra-dev: eu-west-1: Throttling
    To see what an account does not allow:
      worker check --account-name opra-dev
    To collect it again after that:
      producer run --only-incomplete --date 2026-11-01 --account-name opra-dev
    ");
}

#[test]
fn a_command_works_as_it_is_copied() {
    let run = RunId::generate();
    let names: Vec<String> = (0..21).map(|index| format!("a{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut manifest = manifest(&run, &names);
    manifest.jobs[20].dataset = "ec2".into();
    manifest.request.insert("ticket".into(), "OPS-7".into());
    manifest.request.insert("n".into(), serde_json::json!([1]));
    let reports = vec![Existing::Nothing; 21];
    let show = |manifest: &fleet::manifest::Manifest| {
        render(&status_of(manifest, &reports, true, &Dead::NotSeen), false)
    };
    let text = show(&manifest);
    let expected = "\nTo send the 21 missing jobs again, with the accounts of the first request if it named any:\
                    \n  producer run --only-incomplete --date 2026-11-01 --dataset ec2,s3_daily_storage \
                    --attribute ticket=OPS-7 --attribute 'n:=[1]'";
    assert!(text.ends_with(expected), "{text}");
    assert!(!text.contains('…'), "{text}");
    manifest.request.insert("note".into(), "two\nlines".into());
    let text = show(&manifest);
    assert!(text.ends_with("of the first request, which don't fit into a command: note."), "{text}");
}

#[test]
fn messages_of_at_most_twenty_accounts_are_shown() {
    let run: RunId = "019a0000-0000-7000-8000-000000000000".parse().expect("a run id");
    let names: Vec<String> = (0..23).map(|index| format!("a{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let long = "denied ".repeat(30) + "; allow it";
    let mut letters: Vec<_> =
        names[..22].iter().map(|name| letter(name, run.as_str(), "access_denied", &long)).collect();
    letters.push(letter("a22", run.as_str(), "panic", ""));
    let dead = Dead::Seen { letters, elsewhere: 0 };
    let status = status_of(&manifest(&run, &names), &vec![Existing::Nothing; 23], true, &dead);
    let text = render(&status, false);
    assert_eq!(text.matches("; allow it").count(), 20, "{text}");
    assert!(text.contains(&format!("\n  and 2 more; producer failed --run-id {run}\n")), "{text}");
    assert!(text.contains(&format!("\n  producer replay --run-id {run} --reason access_denied\n")), "{text}");
    assert!(status.accounts[0].detail.as_deref().is_some_and(|detail| detail.ends_with("; allow it")));
    assert!(text.lines().take(24).all(|line| line.len() <= 100), "{text}");
}

#[test]
fn hidden_or_unreadable_dead_letters_are_reported_before_commands_to_send_again() {
    let run = RunId::generate();
    let manifest = manifest(&run, &["a"]);
    let show =
        |drained, dead: &Dead| render(&status_of(&manifest, &[Existing::Nothing], drained, dead), false);
    let hidden = |elsewhere| Dead::Seen { letters: Vec::new(), elsewhere };
    let text = show(false, &hidden(14));
    let expected = "\n14 dead letters can't be seen now (another command is reading them, or was a minute ago); some of the \
                    accounts in progress may have failed; look again in a minute\n";
    assert!(text.contains(expected), "{text}");
    let text = show(true, &hidden(1));
    assert!(text.contains("\n1 dead letter can't be seen now "), "{text}");
    assert!(text.contains("some of the missing accounts may have failed; look again"), "{text}");
    assert!(!show(true, &hidden(0)).contains("can't be seen"));
    let text = show(true, &Dead::Unreadable);
    let expected = "\nCheck first: the dead-letter queue could not be read, so these may have failed\
                    \nTo send the 1 missing job again:\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn provisional_reports_are_shown_with_the_time_from_which_they_settle() {
    let run: RunId = "019a0000-0000-7000-8000-000000000000".parse().expect("a run id");
    let manifest = manifest(&run, &["data", "web"]);
    let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a moment");
    let mut provisional = complete("data", &run);
    provisional.collected_at = at("2026-11-02T18:00:00Z");
    let reports = [existing(provisional), existing(complete("web", &run))].map(Some);
    let text = |now: &str, wants_settled, failed_only| {
        let dead = &Dead::NotSeen;
        let observed =
            Observed { existing: &reports, drained: true, dead, now: at(now), wants_settled, queue: None };
        render(&RunStatus::from_observed(&manifest, observed), failed_only)
    };
    insta::assert_snapshot!(text("2026-11-03T00:00:00Z", false, false), @r"
    ACCOUNT  DATASET           STATE     VALUES       ROWS  LATE  CALLS   COST
    data     s3_daily_storage  complete  provisional   200     0     14  $0.06
    web      s3_daily_storage  complete  settled       200     0     14  $0.06

    run 019a0000-0000-7000-8000-000000000000 for 2026-11-01: 2 complete (1 provisional)
    total: 400 rows, 14.00 TB in 2400 objects, $0.12
    To settle the 1 provisional report, from 2026-11-04 12:00 UTC on, when CloudWatch has published the day:
      producer run --only-incomplete --date 2026-11-01 --account-name data
    ");
    insta::assert_snapshot!(text("2026-11-04T12:00:00Z", true, true), @r"
    ACCOUNT  DATASET           STATE     VALUES       ROWS  LATE  CALLS   COST
    data     s3_daily_storage  complete  provisional   200     0     14  $0.06

    run 019a0000-0000-7000-8000-000000000000 for 2026-11-01: 2 complete (1 provisional)
    total: 400 rows, 14.00 TB in 2400 objects, $0.12
    To settle the 1 provisional report:
      producer run --only-incomplete --date 2026-11-01 --account-name data
    ");
    let text = text("2026-11-04T12:00:00Z", false, true);
    assert!(text.starts_with("run "), "no account to do something about: {text}");
}

#[test]
fn a_complete_run_needs_nothing() {
    let run: RunId = "019a0000-0000-7000-8000-000000000000".parse().expect("a run id");
    let reports = [existing(complete("data", &run))];
    insta::assert_snapshot!(render(&status_of(&manifest(&run, &["data"]), &reports, false, &Dead::NotSeen), false), @r"
    ACCOUNT  DATASET           STATE     VALUES   ROWS  LATE  CALLS   COST
    data     s3_daily_storage  complete  settled   200     0     14  $0.06

    run 019a0000-0000-7000-8000-000000000000 for 2026-11-01: 1 complete
    total: 200 rows, 7.00 TB in 1200 objects, $0.06
    ");
    for (bytes, expected) in [(0, "0 bytes"), (999, "999 bytes"), (1_000, "1.00 kB"), (u64::MAX, "18.44 EB")]
    {
        assert_eq!(output::size(bytes), expected);
    }
}

#[test]
fn failed_accounts_are_listed_by_reason() {
    let run: RunId = "019a0000-0000-7000-8000-000000000000".parse().expect("a run id");
    let manifest = manifest(&run, &["data", "opra-dev", "web", "lost", "done"]);
    let mut reports = vec![Existing::Nothing; 4];
    reports.push(existing(complete("done", &run)));
    let of = |account: &str, reason: &str, message: &str| letter(account, run.as_str(), reason, message);
    let mut letters = vec![
        of("data", "access_denied", "cloudwatch:ListMetrics in eu-west-1: AccessDenied: no"),
        of("opra-dev", "access_denied", &"denied ".repeat(30)),
        of("web", "bad_message", "the job is not JSON"),
        of("done", "panic", ""),
        letter("data", "r-2", "panic", ""),
        letter("data", "r-3", "panic", ""),
    ];
    let dead = Dead::Seen { letters: letters.clone(), elsewhere: 1 };
    insta::assert_snapshot!(render(&status_of(&manifest, &reports, true, &dead), true), @r"
    ACCOUNT   DATASET           STATE    VALUES  ROWS  LATE  CALLS  COST  WHY
    data      s3_daily_storage  failed   -          -     -      -     -  access_denied
    opra-dev  s3_daily_storage  failed   -          -     -      -     -  access_denied
    web       s3_daily_storage  failed   -          -     -      -     -  bad_message
    lost      s3_daily_storage  missing  -          -     -      -     -  no report, and no job is left on the queue

    run 019a0000-0000-7000-8000-000000000000 for 2026-11-01: 1 complete, 3 failed, 1 missing
    total: 200 rows, 7.00 TB in 1200 objects, $0.06
    1 dead letter can't be seen now (another command is reading them, or was a minute ago); some of the missing accounts may have failed; look again in a minute
    2 accounts failed, access_denied:
      data: cloudwatch:ListMetrics in eu-west-1: AccessDenied: no
      opra-dev: denied denied denied denied denied denied denied denied denied denied denied denied denied denied denied denied denied denied denied denied denied denied denied denied denied denied denied denied denied denied
    To fix it: allow the action that the message names (`worker check` lists all that is missing in the home region and in configured ones), then replay
      producer replay --run-id 019a0000-0000-7000-8000-000000000000 --account-name data,opra-dev
    1 account failed, bad_message:
      web: the job is not JSON
    To fix it: fix the program that sent it; a replay of the same message fails the same way
      a replay would fail in the same way: they expire with the queue's retention; to remove them earlier, delete them (aws sqs receive-message, delete-message)
    The workers' logs say why an account is missing; they must have the producer's key template.
    To send the 1 missing job again:
      producer run --only-incomplete --date 2026-11-01 --account-name lost
    2 dead letters of other runs or without a run, 1 dead letter of this run's accounts that did not fail in the end; `producer failed` shows them.
    ");
    letters.truncate(2);
    let dead = Dead::Seen { letters, elsewhere: 0 };
    let text = render(&status_of(&manifest, &reports, false, &dead), false);
    assert!(text.ends_with("\n  producer replay --run-id 019a0000-0000-7000-8000-000000000000"), "{text}");
}

#[test]
fn waiting_and_in_flight_are_shown_apart() {
    let run: RunId = "019a0000-0000-7000-8000-000000000000".parse().expect("a run id");
    let manifest = manifest(&run, &["data"]);
    let mut status = status_of(&manifest, &[Existing::Nothing], false, &Dead::NotSeen);
    assert_eq!(queue(&status), None, "it was not read");
    status.queue = Some(QueueState { waiting: 1, in_flight: 0, untaken_for: Some(307) });
    let line = "queue: 1 waiting, 0 in flight; no worker is known to have had a job for 5m 7s";
    assert_eq!(queue(&status).as_deref(), Some(line));
    let text = render(&status, false);
    assert!(text.contains(&format!("\n{line}\nStart a worker (`worker run`)")), "{text}");
    let json = serde_json::to_value(&status).expect("JSON");
    let expected = serde_json::json!({"waiting": 1, "in_flight": 0, "no_worker_for_seconds": 307});
    assert_eq!(json["queue"], expected);
    status.queue = Some(QueueState { waiting: 0, in_flight: 1, untaken_for: None });
    assert_eq!(queue(&status).as_deref(), Some("queue: 0 waiting, 1 in flight"));
    assert!(!render(&status, false).contains("Start a worker"));
    status.counts.in_progress = 0;
    assert_eq!(queue(&status), None, "nothing waits for it");
}
