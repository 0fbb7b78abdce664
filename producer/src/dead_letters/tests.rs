// SPDX-License-Identifier: Apache-2.0
use engine::dead_letter::Cause;
use fleet::Labels;

use super::*;

fn message(body: &str) -> Message {
    Message { id: "m".into(), body: body.into(), ..Message::default() }
}

/// A dead letter of this account and run, with a message ID made from both.
pub(crate) fn letter(account: &str, run: &str, reason: &str, message: &str) -> Letter {
    let at = |moment: &str| Some(moment.parse().expect("a moment"));
    Letter {
        message_id: format!("{account}-{run}"),
        dead: DeadLetter {
            labels: Labels {
                account_name: Some(account.parse().expect("a name")),
                dataset: Some(*fleet::datasets::DEFAULT),
                run_id: Some(run.parse().expect("a run id")),
                date: Some("2026-11-01".parse().expect("a date")),
            },
            cause: Some(Cause {
                reason: reason.into(),
                message: message.into(),
                step: "discover".into(),
                receive_count: 2,
                first_seen: at("2026-11-21T10:00:00Z"),
                worker_version: "0.1.0".into(),
            }),
            replay_count: 0,
        },
        sent_at: at("2026-11-21T10:05:00Z"),
        body: None,
        beginning: None,
    }
}

#[test]
fn messages_counted_but_not_found_are_in_flight_elsewhere() {
    let of = |visible, in_flight, found| elsewhere(QueueCounts { visible, in_flight, delayed: 0 }, found);
    assert_eq!(of(25, 0, 25), 0);
    assert_eq!(of(15, 10, 15), 10);
    assert_eq!(of(15, 10, 25), 0, "released since, or counted late");
    assert_eq!(of(15, 10, 18), 7);
    assert_eq!(of(15, 0, 10), 0, "taken since");
    assert_eq!(of(0, 0, 3), 0, "not counted yet");
}

#[test]
fn text_is_reduced_to_one_line() {
    assert_eq!(one_line("a\n\tb\r\n c "), "a b c");
    assert_eq!(one_line("a\u{1b}[2J\u{7}\u{0}b\u{202e}c\u{200b}"), "a[2Jbc");
    assert_eq!(one_line("é 漢 🦀"), "é 漢 🦀");
}

#[test]
fn the_beginning_of_a_body_is_shown_without_secrets() {
    assert_eq!(beginning("not a job"), "not a job");
    assert_eq!(beginning(&"x".repeat(200)), "x".repeat(80) + "…");
    assert_eq!(beginning(&"é".repeat(200)), "é".repeat(80) + "…");
    let blank = " ".repeat(1024 * 1024);
    assert_eq!(beginning(&blank), "…");
    assert!(!beginning("key AKIAIOSFODNN7EXAMPLE").contains("AKIA"));
    let of = |body: &str| Letter::from_message(&message(body)).beginning;
    assert_eq!(of(r#"{"account_name":"data"}"#), None, "its account says what it is");
    assert_eq!(of(r#"{"account_name":"../etc"}"#).as_deref(), Some(r#"{"account_name":"../etc"}"#));
}

#[test]
fn only_possible_jobs_have_a_day_and_a_body() {
    let of = |body: &str| {
        let letter = Letter::with_body(&message(body));
        (letter.dead.labels.date.map(|date| date.to_string()), letter.body)
    };
    let job = r#"{"account_name":"data","date":"2026-11-01"}"#;
    assert_eq!(of(job), (Some("2026-11-01".into()), Some(job.into())));
    assert_eq!(of(r#"{"date":"soon"}"#).0, None);
    assert_eq!(of("not a job"), (None, Some("not a job".into())));
    assert!(of("key AKIAIOSFODNN7EXAMPLE").1.is_some_and(|body| !body.contains("AKIA")));
    assert_eq!(of(&format!(r#"{{"date":"2026-11-01","x":"{}"}}"#, "x".repeat(64 * 1024))), (None, None));
    assert_eq!(Letter::from_message(&message(job)).body, None);
}

#[test]
fn a_refusal_names_the_permission_and_a_missing_queue_the_fix() {
    let url = "https://sqs.eu-west-1.amazonaws.com/111111111111/jobs-dead";
    let queue = Queue {
        client: aws_smithy_mocks::mock_client!(aws_sdk_sqs, aws_smithy_mocks::RuleMode::MatchAny, []),
        url: url.into(),
        classify: fleet::from_sdk,
    };
    let message = |kind| {
        let code = "Code".to_owned();
        let error = AwsError::new(kind, "sqs:ReceiveMessage", code);
        format!("{:#}", explain(error, &queue))
    };
    for needed in [
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        url,
    ] {
        assert!(message(ErrorKind::Denied).contains(needed), "{}", message(ErrorKind::Denied));
    }
    assert!(message(ErrorKind::NotFound).contains("create it, or correct the redrive policy"));
    assert!(message(ErrorKind::Transient).ends_with("jobs-dead: sqs:ReceiveMessage: Code"));
    assert_eq!(name(&queue), "jobs-dead");
}
