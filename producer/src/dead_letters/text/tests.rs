// SPDX-License-Identifier: Apache-2.0
use super::{super::tests::letter, *};

fn render_all(found: &Found) -> String {
    render(found, &Selection::default(), "jobs-dead")
}

#[test]
fn a_queue_with_everything_in_it() {
    let run = "019a0000-0000-7000-8000-000000000000";
    let other = "019b0000-0000-7000-8000-000000000000";
    let denied = "data: cloudwatch:ListMetrics is denied in eu-west-1;\nallow it to \u{1b}[31mthe role";
    let mut at_limit = letter("web", other, "access_denied", denied);
    at_limit.dead.replay_count = 3;
    let mut redriven = letter("opra-dev", run, "", "");
    redriven.dead.cause = None;
    let mut no_job = letter("data", run, "bad_message", "the job is not JSON");
    no_job.dead.labels = fleet::Labels::default();
    no_job.beginning = Some("not a job".into());
    let mut letters = vec![
        letter("data", run, "access_denied", denied),
        letter("backup", run, "access_denied", denied),
        redriven,
        at_limit,
        no_job,
    ];
    letters.push(letter("data", other, "of_the_future", "it will have been"));
    let found = Found { letters, elsewhere: 2, ..Found::default() };
    insta::assert_snapshot!(render_all(&found), @r"
    run 019a0000-0000-7000-8000-000000000000
        ACCOUNT   DATASET           DATE        STEP      RECEIVES  REPLAYS  FIRST SEEN
      access_denied: data: cloudwatch:ListMetrics is denied in eu-west-1; allow it to [31mthe role
        data      s3_daily_storage  2026-11-01  discover         2        0  2026-11-21 10:00Z
      access_denied: data: cloudwatch:ListMetrics is denied in eu-west-1; allow it to [31mthe role
        backup    s3_daily_storage  2026-11-01  discover         2        0  2026-11-21 10:00Z
      max_receives
        opra-dev  s3_daily_storage  2026-11-01  -                -        0  2026-11-21 10:05Z

    run 019b0000-0000-7000-8000-000000000000
        ACCOUNT   DATASET           DATE        STEP      RECEIVES  REPLAYS  FIRST SEEN
      access_denied: data: cloudwatch:ListMetrics is denied in eu-west-1; allow it to [31mthe role
        web       s3_daily_storage  2026-11-01  discover         2        3  2026-11-21 10:00Z
      of_the_future: it will have been
        data      s3_daily_storage  2026-11-01  discover         2        0  2026-11-21 10:00Z

    no run
        ACCOUNT   DATASET           DATE        STEP      RECEIVES  REPLAYS  FIRST SEEN
      bad_message: the job is not JSON
        -         -                 -           discover         2        0  2026-11-21 10:00Z
          the body begins: not a job

    3 access_denied: allow the action that the message names (`worker check` lists all that is missing in the home region and in configured ones), then replay
      producer replay --reason access_denied --account-name backup,data,web
      1 of them was already replayed 3 times and is skipped; --force includes it

    1 bad_message: fix the program that sent it; a replay of the same message fails the same way
      a replay would fail in the same way: they expire with the queue's retention; to remove them earlier, delete them (aws sqs receive-message, delete-message)

    1 max_receives: workers died or returned the job as often as the queue allows (its maxReceiveCount); see their logs, then replay
      producer replay --run-id 019a0000-0000-7000-8000-000000000000 --account-name opra-dev

    1 of_the_future: a reason of another version; see its message
      producer replay --run-id 019b0000-0000-7000-8000-000000000000 --account-name data

    6 dead letters in jobs-dead.
    2 more are in flight: another command is reading them, or was a minute ago; look again in a minute
    ");
}

#[test]
fn an_empty_queue_and_one_with_hidden_messages() {
    assert_eq!(render_all(&Found::default()), "nothing has failed: the dead-letter queue jobs-dead is empty");
    let hidden = Found { elsewhere: 1, ..Found::default() };
    assert_eq!(
        render_all(&hidden),
        "no dead letter is visible in jobs-dead now; 1 more is in flight: another command is reading it, or was a minute \
         ago; look again in a minute"
    );
}

#[test]
fn messages_not_selected_are_counted() {
    let panics = Selection { reasons: vec![Reason::Panic], ..Selection::default() };
    let letters = || vec![letter("a", "r-1", "panic", ""), letter("b", "r-1", "deadline", "")];
    let found = Found { letters: letters(), ..Found::default() }.filtered(&panics);
    let text = render(&found, &panics, "jobs-dead");
    assert!(text.contains("\n  producer replay --run-id r-1 --account-name a\n"), "{text}");
    assert!(text.ends_with("1 dead letter in jobs-dead with the reason panic, and 1 not shown."), "{text}");
    let none = Found { letters: Vec::new(), others: letters(), ..Found::default() };
    assert_eq!(
        render(&none, &panics, "jobs-dead"),
        "jobs-dead has 2 dead letters, none with the reason panic"
    );
}

#[test]
fn hundreds_with_one_cause_take_a_line_each() {
    let of = |nth: usize| {
        let name = format!("acme-{nth:03}");
        let variable = name.replace('-', "_");
        let message = format!(
            "account {name}: no credentials; set {variable}_account_access_key or let arn:aws:iam::{:012}:role/x in",
            111_111_111_111 + nth
        );
        letter(&name, "r-1", "no_credentials", &message)
    };
    let found = Found { letters: (0..300).map(of).collect(), ..Found::default() };
    let text = render_all(&found);
    let title = "\n  no_credentials: account {account}: no credentials; set {account}_account_access_key or let \
                 arn:aws:iam::{account_id}:role/x in\n";
    assert_eq!(text.matches(title).count(), 1, "{text}");
    assert!(text.lines().count() < 310, "{text}");
    assert!(text.lines().filter(|line| line.contains("s3_daily")).all(|line| line.len() <= 100), "{text}");
}

#[test]
fn a_replay_that_cannot_succeed_is_not_offered() {
    let text = |reason: &str| {
        render_all(&Found {
            letters: vec![letter("a", "r-1", "panic", ""), letter("b", "r-1", reason, "")],
            ..Found::default()
        })
    };
    assert!(text("deadline").ends_with("fixed:\n  producer replay --all"));
    for never in ["bad_message", "too_old", "superseded"] {
        let text = text(never);
        assert!(text.contains(&format!("\n  {REPLAY_FAILS_AGAIN}\n")), "{text}");
        assert!(text.ends_with("2 dead letters in jobs-dead."), "{text}");
    }
}

#[test]
fn a_command_selects_exactly_its_letters() {
    let of = |account: &str, run: &str| letter(account, run, "panic", "");
    let flags = |letters: &[Letter], others: &[Letter]| {
        let found = Found { letters: letters.to_vec(), others: others.to_vec(), ..Found::default() };
        selection("panic", &letters.iter().collect::<Vec<_>>(), &found)
    };
    let flags = |letters: &[Letter], others: &[Letter]| flags(letters, others).expect("flags");
    let denied = |account: &str, run: &str| letter(account, run, "access_denied", "");
    let one = [of("a", "r1"), of("b", "r1")];
    let both = [of("a", "r1"), of("b", "r2")];
    let many: Vec<Letter> = (0..21).map(|n| of(&format!("a{n}"), "r1")).collect();
    assert_eq!(flags(&one, &[]), " --run-id r1", "a run's all");
    assert_eq!(flags(&one, &[denied("c", "r2")]), " --run-id r1");
    assert_eq!(flags(&one, &[denied("c", "r1")]), " --run-id r1 --account-name a,b");
    assert_eq!(flags(&one, &[denied("a", "r1")]), " --reason panic --run-id r1 --account-name a,b");
    assert_eq!(flags(&both, &[]), " --account-name a,b");
    assert_eq!(flags(&both, &[denied("a", "r3")]), " --reason panic --account-name a,b");
    assert_eq!(flags(&many, &[denied("c", "r1")]), " --reason panic --run-id r1", "too many to name");
    let mut nameless = of("a", "r1");
    nameless.dead.labels.account_name = None;
    nameless.dead.labels.run_id = None;
    assert_eq!(flags(&[nameless.clone()], &[denied("c", "r1")]), " --reason panic");
    nameless.dead.cause.as_mut().expect("a failure").reason = "of_the_future".into();
    let found = Found { letters: vec![nameless.clone()], ..Found::default() };
    assert_eq!(selection("of_the_future", &[&nameless], &found), None, "nothing selects it");
}
