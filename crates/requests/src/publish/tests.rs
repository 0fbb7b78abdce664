// SPDX-License-Identifier: Apache-2.0
use std::{
    future::{pending, ready},
    sync::{Arc, Mutex},
};

use aws_sdk_sqs::{
    operation::send_message_batch::{SendMessageBatchInput, SendMessageBatchOutput},
    types::{BatchResultErrorEntry, SendMessageBatchResultEntry},
};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use fleet::{RunId, datasets};
use serde_json::{Map, json};

use super::*;

fn queue(rule: &Rule) -> Queue {
    Queue {
        client: mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [rule]),
        url: "https://sqs.eu-west-1.amazonaws.com/111111111111/jobs".into(),
        classify: fleet::from_sdk,
    }
}

fn jobs(count: usize) -> Vec<Job> {
    let run_id = RunId::generate();
    let job = |index: usize| Job {
        account_name: format!("a{index}").parse().expect("a name"),
        windows: "2026-11-01".parse::<fleet::ReportDate>().expect("a date").into(),
        dataset: *datasets::DEFAULT,
        run_id: run_id.clone(),
        only_incomplete: false,
        settle: None,
        attributes: Map::new(),
    };
    (0..count).map(job).collect()
}

/// What SQS does with an entry.
#[derive(Clone, Copy, PartialEq)]
enum Behavior {
    Sent,
    Failed,
    Refused,
    Forgotten,
}

/// The accounts of each call, in order.
type Calls = Arc<Mutex<Vec<Vec<String>>>>;

/// An SQS that decides by call number and account what to do with an entry.
fn sqs(behavior: impl Fn(usize, &str) -> Behavior + Send + Sync + 'static) -> (Rule, Calls) {
    let calls = Calls::default();
    let seen = Arc::clone(&calls);
    let rule = mock!(aws_sdk_sqs::Client::send_message_batch).then_compute_output(
        move |input: &SendMessageBatchInput| {
            let mut calls = seen.lock().expect("not poisoned");
            let mut names = Vec::new();
            let mut answer = SendMessageBatchOutput::builder()
                .set_successful(Some(Vec::new()))
                .set_failed(Some(Vec::new()));
            for entry in input.entries() {
                let name = entry.message_attributes().expect("attributes")["account_name"]
                    .string_value()
                    .expect("text");
                names.push(name.to_owned());
                let fate = behavior(calls.len(), name);
                let failed = BatchResultErrorEntry::builder()
                    .id(entry.id())
                    .code("InternalError")
                    .message("try again")
                    .sender_fault(fate == Behavior::Refused)
                    .build()
                    .expect("whole");
                let sent = SendMessageBatchResultEntry::builder()
                    .id(entry.id())
                    .message_id("m")
                    .md5_of_message_body("")
                    .build()
                    .expect("whole");
                answer = match fate {
                    Behavior::Sent => answer.successful(sent),
                    Behavior::Failed | Behavior::Refused => answer.failed(failed),
                    Behavior::Forgotten => answer,
                };
            }
            calls.push(names);
            answer.build().expect("whole")
        },
    );
    (rule, calls)
}

async fn send_all(rule: &Rule, jobs: &[Job]) -> (Published, Option<String>) {
    let jobs: Vec<&Job> = jobs.iter().collect();
    let published = publish(&queue(rule), &jobs, |_| {}, pending()).await;
    let text = published.explain(&jobs);
    (published, text)
}

fn sizes(calls: &Calls) -> Vec<usize> {
    calls.lock().expect("not poisoned").iter().map(Vec::len).collect()
}

#[tokio::test]
async fn jobs_are_sent_in_tens_with_readable_attributes() {
    let (rule, calls) = sqs(|_, _| Behavior::Sent);
    let (published, text) = send_all(&rule, &jobs(23)).await;
    assert_eq!(sizes(&calls), [10, 10, 3]);
    assert_eq!((published.sent(), text), (23, None));

    let job = &jobs(1)[0];
    let entry = entry(0, job, job.body());
    assert_eq!(entry.message_body(), job.body());
    let attributes = entry.message_attributes().expect("attributes");
    let expected = [
        ("account_name", "a0".to_owned()),
        ("date", job.windows.to_string()),
        ("dataset", "s3_daily_storage".to_owned()),
        ("run_id", job.run_id.to_string()),
    ];
    assert_eq!(attributes.len(), expected.len());
    for (name, value) in &expected {
        assert_eq!(attributes[*name].data_type(), "String");
        assert_eq!(attributes[*name].string_value(), Some(value.as_str()));
    }
}

#[tokio::test]
async fn ten_of_the_largest_jobs_fit_in_a_batch() {
    let mut jobs = jobs(10);
    for job in &mut jobs {
        job.account_name = "x".repeat(63).parse().expect("a name");
        let room = job::MAX_BYTES - job.body().len() - r#","note":"""#.len();
        job.attributes.insert("note".into(), json!("x".repeat(room)));
        assert_eq!(job.body().len(), job::MAX_BYTES);
    }
    let bytes: usize = jobs
        .iter()
        .map(|job| {
            let entry = entry(0, job, job.body());
            let attributes = entry.message_attributes().expect("attributes").iter();
            let attributes = attributes.map(|(name, value)| {
                name.len() + value.data_type().len() + value.string_value().map_or(0, str::len)
            });
            entry.message_body().len() + attributes.sum::<usize>()
        })
        .sum();
    assert!(bytes <= BATCH_BYTES, "{bytes}");
}

#[tokio::test(start_paused = true)]
async fn only_failed_entries_are_sent_again() {
    let (rule, calls) = sqs(|call, name| match (call, name) {
        (0, "a2" | "a7") => Behavior::Failed,
        (0, "a5") => Behavior::Forgotten,
        _ => Behavior::Sent,
    });
    let (_, text) = send_all(&rule, &jobs(12)).await;
    assert_eq!(text, None);
    let calls = calls.lock().expect("not poisoned");
    assert_eq!(calls[1], ["a2", "a5", "a7"]);
    assert_eq!(calls[2], ["a10", "a11"]);
}

#[tokio::test(start_paused = true)]
async fn entries_that_keep_failing_are_named_and_the_rest_is_sent() {
    let (rule, calls) = sqs(|_, name| if name == "a3" { Behavior::Failed } else { Behavior::Sent });
    let begun = tokio::time::Instant::now();
    let (published, text) = send_all(&rule, &jobs(12)).await;
    assert_eq!(published.sent(), 11);
    assert_eq!(text.as_deref(), Some("11 of 12 jobs were sent; InternalError: try again: a3"));
    assert_eq!(sizes(&calls), [10, 1, 1, 1, 1, 1, 1, 1, 2]);
    let waited = begun.elapsed();
    // The pauses add up to 16.2 s, and each may be twice as long.
    assert!(waited > Duration::from_secs(16) && waited < Duration::from_secs(33), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sender_fault_is_not_retried() {
    let (rule, calls) = sqs(|_, name| if name == "a3" { Behavior::Refused } else { Behavior::Sent });
    let (published, _) = send_all(&rule, &jobs(5)).await;
    assert_eq!(sizes(&calls), [5]);
    assert_eq!(published.sent(), 4);
}

#[tokio::test]
async fn after_a_failed_call_the_rest_is_not_tried() {
    let body = r#"{"__type":"com.amazonaws.sqs#AccessDeniedException","message":"no"}"#;
    let rule = mock!(aws_sdk_sqs::Client::send_message_batch)
        .sequence()
        .http_status(403, Some(body.to_owned()))
        .repeatedly()
        .build();
    let (published, text) = send_all(&rule, &jobs(11)).await;
    assert_eq!((published.sent(), rule.num_calls()), (0, 1));
    let text = text.expect("not sent");
    assert!(
        text.starts_with("0 of 11 jobs were sent; not tried: a10; sqs:SendMessage: AccessDenied"),
        "{text}"
    );
}

#[tokio::test]
async fn an_interruption_reports_what_was_sent() {
    let (rule, _) = sqs(|_, _| Behavior::Sent);
    let jobs = jobs(3);
    let jobs: Vec<&Job> = jobs.iter().collect();
    let published = publish(&queue(&rule), &jobs, |_| {}, ready(())).await;
    assert_eq!(
        published.explain(&jobs).as_deref(),
        Some("interrupted: 0 of 3 jobs were sent; not tried: a0, a1, a2")
    );
}
