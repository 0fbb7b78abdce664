// SPDX-License-Identifier: Apache-2.0
use super::*;
use crate::dead_letters::tests::letter;

fn selection(accounts: &[&str], run_id: Option<&str>) -> Selection {
    Selection {
        accounts: accounts.iter().map(|name| name.parse().expect("a name")).collect(),
        run: run_id.map(|id| id.parse().expect("a run id")),
        reasons: Vec::new(),
    }
}

#[test]
fn accounts_without_a_dead_letter_are_named() {
    let found = [Selected::from_message(
        letter("a", "r-1", "panic", ""),
        Message { body: "{}".into(), ..Message::default() },
    )];
    assert_eq!(
        unmatched(&selection(&["a", "b"], None), &found),
        [selection(&["b"], None).accounts[0].clone()]
    );
}

#[test]
fn batches_are_split_by_number_and_by_size() {
    let mib = 1024 * 1024;
    assert_eq!(slices(&[]), [0usize; 0]);
    assert_eq!(slices(&[1; 23]), [10, 10, 3]);
    assert_eq!(slices(&[mib, mib, 1]), [1, 1, 1]);
    assert_eq!(slices(&[mib / 2, mib / 2, 1, mib - 1]), [2, 2]);
    assert_eq!(slices(&[mib + 1, 1]), [1, 1], "SQS decides whether it is too long");
}

#[test]
fn what_was_not_replayed_is_reported_with_what_to_do() {
    let of = |account: &str, outcome| (letter(account, "r-1", "panic", ""), outcome);
    let mut replayed = Replayed {
        letters: vec![
            of("a", ReplayOutcome::Replayed),
            of("b", ReplayOutcome::LimitReached),
            of("f", ReplayOutcome::WouldFailAgain),
            of("c", ReplayOutcome::NotReplayed("InternalError: try again".into())),
            of("d", ReplayOutcome::NotDeleted("InternalError: no".into())),
        ],
        unmatched: selection(&["e"], None).accounts,
        others: 3,
        elsewhere: 1,
        ..Replayed::default()
    };
    insta::assert_snapshot!(text::render(&replayed), @r"
    ACCOUNT  DATASET           REASON  REPLAYS  OUTCOME                RUN
    a        s3_daily_storage  panic         1  replayed               r-1
    b        s3_daily_storage  panic         0  refused                r-1
    f        s3_daily_storage  panic         0  refused                r-1
    c        s3_daily_storage  panic         0  left                   r-1
    d        s3_daily_storage  panic         1  replayed, not deleted  r-1

    2 dead letters replayed, 3 left in the dead-letter queue, 3 not selected
    1 more is in flight: another command is reading it, or was a minute ago; look again in a minute
    ");
    insta::assert_snapshot!(text::explain(&replayed).expect("not all was done"), @"not replayed, since 3 replays did not help: b; fix the cause, then add --force; not replayed, since they would fail in the same way: f; `producer failed` says what to do, and --force replays them anyway; left in the dead-letter queue (InternalError: try again): c; replayed, but also still in the dead-letter queue, since they could not be deleted: d; another replay duplicates them, which is harmless; no matching dead letter of e; `producer failed` shows what there is");
    replayed.letters =
        vec![of("a", ReplayOutcome::Replayed), of("b", ReplayOutcome::NotReplayed("not tried".into()))];
    replayed.unmatched.clear();
    replayed.interrupted = true;
    insta::assert_snapshot!(text::explain(&replayed).expect("not all was done"), @"interrupted: 1 dead letter replayed, 1 left in the dead-letter queue; the same command replays what is left");
    replayed.letters.truncate(1);
    replayed.interrupted = false;
    assert_eq!(text::explain(&replayed), None);
}

#[test]
fn what_would_fail_in_the_same_way_needs_force() {
    for (reason, outcome) in [
        ("bad_message", Some(ReplayOutcome::WouldFailAgain)),
        ("too_old", Some(ReplayOutcome::WouldFailAgain)),
        ("superseded", Some(ReplayOutcome::WouldFailAgain)),
        ("panic", None),
        ("foreign_object", None),
    ] {
        assert_eq!(letter("a", "r-1", reason, "").refused_replay(), outcome, "{reason}");
    }
}

#[test]
fn a_selection_that_matches_nothing_is_reported() {
    let replayed = Replayed { others: 2, ..Replayed::default() };
    assert_eq!(
        text::nothing(&replayed, &selection(&["a", "b"], Some("r-9")), "jobs-dead"),
        "jobs-dead has 2 dead letters, none of run r-9 and of a, b; `producer failed` shows what there is"
    );
    let some_hidden = Replayed { others: 2, elsewhere: 1, ..Replayed::default() };
    assert_eq!(
        text::nothing(&some_hidden, &selection(&["a"], None), "jobs-dead"),
        "jobs-dead has 2 dead letters visible, none of a; 1 more is in flight: another command is reading it, \
         or was a minute ago; look again in a minute"
    );
    for selection in [selection(&[], None), selection(&["a"], None)] {
        let nothing = |elsewhere| {
            text::nothing(&Replayed { elsewhere, ..Replayed::default() }, &selection, "jobs-dead")
        };
        assert_eq!(nothing(0), "nothing to replay: the dead-letter queue jobs-dead is empty");
        assert_eq!(
            nothing(14),
            "nothing replayed: all 14 dead letters of jobs-dead are hidden, by another failed, status or replay, or \
             by one that was killed within the last minute; run it again in a minute"
        );
        assert!(nothing(1).starts_with("nothing replayed: the 1 dead letter of jobs-dead is hidden, by "));
    }
}
