// SPDX-License-Identifier: Apache-2.0
use std::{
    collections::{BTreeMap, VecDeque},
    future::pending,
    sync::{Arc, Mutex},
};

use aws_sdk_sqs::{
    operation::{
        change_message_visibility_batch::{
            ChangeMessageVisibilityBatchInput, ChangeMessageVisibilityBatchOutput,
        },
        delete_message_batch::{DeleteMessageBatchInput, DeleteMessageBatchOutput},
        receive_message::ReceiveMessageOutput,
    },
    types::{ChangeMessageVisibilityBatchResultEntry, DeleteMessageBatchResultEntry, Message as SdkMessage},
};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

use super::*;

/// The changes made to messages: the handle, and the seconds or, for a delete, `None`.
type Changes = Arc<Mutex<Vec<(String, Option<i32>)>>>;

fn queue(rules: &[&Rule]) -> Queue {
    Queue {
        client: mock_client!(aws_sdk_sqs, RuleMode::MatchAny, rules),
        url: "https://sqs.eu-west-1.amazonaws.com/111111111111/jobs-dead".into(),
        classify: fleet::from_sdk,
    }
}

/// A queue that returns these messages, by ID and handle, in these calls, and then none.
fn receives(calls: &[&[(&str, &str)]]) -> Rule {
    let owned = |message: &(&str, &str)| (message.0.to_owned(), message.1.to_owned());
    let calls: VecDeque<Vec<_>> = calls.iter().map(|call| call.iter().map(owned).collect()).collect();
    let calls = Mutex::new(calls);
    mock!(aws_sdk_sqs::Client::receive_message).then_output(move || {
        let messages = calls.lock().expect("not poisoned").pop_front().unwrap_or_default();
        let message =
            |(id, handle)| SdkMessage::builder().message_id(id).receipt_handle(handle).body("{}").build();
        ReceiveMessageOutput::builder()
            .set_messages(Some(messages.into_iter().map(message).collect()))
            .build()
    })
}

/// An SQS that changes visibilities, except for entries whose handle and attempt `refuse` gives an error
/// code.
fn changes(refuse: impl Fn(&str, usize) -> Option<&'static str> + Send + Sync + 'static) -> (Rule, Changes) {
    let changes = Changes::default();
    let seen = Arc::clone(&changes);
    let rule = mock!(aws_sdk_sqs::Client::change_message_visibility_batch).then_compute_output(
        move |input: &ChangeMessageVisibilityBatchInput| {
            let mut seen = seen.lock().expect("not poisoned");
            let mut answer = ChangeMessageVisibilityBatchOutput::builder()
                .set_successful(Some(Vec::new()))
                .set_failed(Some(Vec::new()));
            assert!((1..=10).contains(&input.entries().len()), "a batch");
            for entry in input.entries() {
                let handle = entry.receipt_handle();
                let tries = seen.iter().filter(|(known, _)| known == handle).count();
                seen.push((handle.to_owned(), entry.visibility_timeout()));
                answer = match refuse(handle, tries) {
                    None => answer.successful(
                        ChangeMessageVisibilityBatchResultEntry::builder()
                            .id(entry.id())
                            .build()
                            .expect("whole"),
                    ),
                    Some(code) => answer.failed(
                        BatchResultErrorEntry::builder()
                            .id(entry.id())
                            .code(code)
                            .sender_fault(false)
                            .build()
                            .expect("whole"),
                    ),
                };
            }
            answer.build().expect("whole")
        },
    );
    (rule, changes)
}

fn by_handle(changes: &Changes) -> BTreeMap<String, Vec<Option<i32>>> {
    let mut changes_by_handle: BTreeMap<String, Vec<Option<i32>>> = BTreeMap::new();
    for (handle, change) in changes.lock().expect("not poisoned").iter() {
        changes_by_handle.entry(handle.clone()).or_default().push(*change);
    }
    changes_by_handle
}

async fn all(hold: &mut Hold) -> Vec<String> {
    let mut ids = Vec::new();
    let stop = pending::<()>();
    tokio::pin!(stop);
    let stopped = hold.receive_all(0, stop, |message| ids.push(message.id)).await.expect("received");
    assert!(stopped.is_none());
    ids
}

#[tokio::test(start_paused = true)]
async fn all_is_received_until_two_receives_are_empty_and_all_is_released() {
    let receive = receives(&[&[("a", "a1"), ("b", "b1")], &[], &[("c", "c1")]]);
    let (change, changes) = changes(|_, _| None);
    let mut hold = Hold::new(&queue(&[&receive, &change]));
    assert_eq!(all(&mut hold).await, ["a", "b", "c"]);
    assert_eq!(receive.num_calls(), 5);
    hold.release_all().await.expect("released");
    let seen = by_handle(&changes);
    assert_eq!([&seen["a1"], &seen["b1"], &seen["c1"]], [&[Some(0)]; 3]);
    assert_eq!(change.num_calls(), 1, "in one batch");
    hold.release_all().await.expect("nothing is left");
    assert_eq!(change.num_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_received_twice_is_released_once_under_its_newest_handle() {
    let receive = receives(&[&[("a", "a1")], &[("a", "a2")]]);
    let (change, changes) = changes(|_, _| None);
    let mut hold = Hold::new(&queue(&[&receive, &change]));
    assert_eq!(all(&mut hold).await, ["a"]);
    hold.release_all().await.expect("released");
    assert_eq!(by_handle(&changes).into_keys().collect::<Vec<_>>(), ["a2"]);
}

#[tokio::test(start_paused = true)]
async fn only_failed_entries_are_retried() {
    let receive = receives(&[&[("a", "a1"), ("b", "b1"), ("c", "c1")]]);
    let (change, changes) = changes(|handle, tries| match (handle, tries) {
        ("a1", 0 | 1) => Some("InternalError"),
        // Another consumer has it: a retry is pointless, and there is nothing to report.
        ("b1", _) => Some("MessageNotInflight"),
        _ => None,
    });
    let mut hold = Hold::new(&queue(&[&receive, &change]));
    all(&mut hold).await;
    hold.release_all().await.expect("released");
    let seen = by_handle(&changes);
    assert_eq!([seen["a1"].len(), seen["b1"].len(), seen["c1"].len()], [3, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_released_does_not_stop_the_rest() {
    let receive = receives(&[&[("a", "a1"), ("b", "b1")]]);
    let (change, changes) = changes(|handle, _| (handle == "a1").then_some("InternalError"));
    let mut hold = Hold::new(&queue(&[&receive, &change]));
    all(&mut hold).await;
    hold.release_all().await.expect("each is logged");
    let seen = by_handle(&changes);
    assert_eq!([seen["a1"].len(), seen["b1"].len()], [5, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_is_reported_once() {
    let receive = receives(&[&[("a", "a1"), ("b", "b1")]]);
    let body = r#"{"__type":"com.amazonaws.sqs#AccessDeniedException","message":"no"}"#;
    let change = mock!(aws_sdk_sqs::Client::change_message_visibility_batch)
        .sequence()
        .http_status(403, Some(body.to_owned()))
        .repeatedly()
        .build();
    let mut hold = Hold::new(&queue(&[&receive, &change]));
    all(&mut hold).await;
    let error = hold.release_all().await.expect_err("denied");
    assert_eq!((error.kind, change.num_calls()), (ErrorKind::Denied, 1));
}

#[tokio::test(start_paused = true)]
async fn held_messages_are_renewed_during_long_work() {
    let receive = receives(&[&[("a", "a1")]]);
    let (change, changes) = changes(|_, _| None);
    let mut hold = Hold::new(&queue(&[&receive, &change]));
    all(&mut hold).await;
    hold.holding(sleep(Duration::from_secs(100))).await;
    assert!(hold.has_time_left("a"));
    assert_eq!(by_handle(&changes)["a1"], [Some(60); 3], "after 30, 60 and 90 s");
    sleep(Duration::from_secs(45)).await;
    assert!(!hold.has_time_left("a"), "it was not renewed");
    hold.ensure_time_left(&["a"]).await;
    assert!(hold.has_time_left("a"));
}

#[tokio::test(start_paused = true)]
async fn a_message_of_another_consumer_has_no_time_left() {
    let receive = receives(&[&[("a", "a1"), ("b", "b1")]]);
    let (change, changes) = changes(|handle, tries| match (handle, tries) {
        ("a1", _) => Some("ReceiptHandleIsInvalid"),
        ("b1", 0) => Some("InternalError"),
        _ => None,
    });
    let mut hold = Hold::new(&queue(&[&receive, &change]));
    all(&mut hold).await;
    hold.holding(sleep(Duration::from_secs(100))).await;
    assert_eq!((hold.has_time_left("a"), hold.has_time_left("b")), (false, true));
    let seen = by_handle(&changes);
    assert_eq!((seen["a1"].len(), seen["b1"].len()), (1, 3), "b is tried again after 10 s");
}

#[tokio::test(start_paused = true)]
async fn a_look_ends_while_dead_letters_keep_arriving() {
    let receives = async |expected| {
        let number = std::sync::atomic::AtomicUsize::new(0);
        let receive = mock!(aws_sdk_sqs::Client::receive_message).then_output(move || {
            let id = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst).to_string();
            let message = SdkMessage::builder().message_id(&id).receipt_handle(format!("h{id}")).build();
            ReceiveMessageOutput::builder().messages(message).build()
        });
        let mut hold = Hold::new(&queue(&[&receive]));
        // Polled before each receive, so the clock advances by half a second with each.
        let stop = std::future::poll_fn(|context| {
            let advance = tokio::time::advance(Duration::from_millis(500));
            let _ = std::pin::pin!(advance).poll(context);
            std::task::Poll::<()>::Pending
        });
        tokio::pin!(stop);
        let begun = Instant::now();
        assert!(hold.receive_all(expected, stop, |_| ()).await.expect("received").is_none());
        assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
        (receive.num_calls(), begun.elapsed())
    };
    let (few, _) = receives(0).await;
    let (more, took) = receives(8).await;
    assert!((1..=20).contains(&few) && more > few.min(8), "{few} and {more}");
    assert!(took >= EXTRA_TIME, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_keeps_what_is_in_flight() {
    let receive = receives(&[&[("a", "a1")], &[("b", "b1")]]);
    let (change, changes) = changes(|_, _| None);
    let mut hold = Hold::new(&queue(&[&receive, &change]));
    let stop = std::future::ready(7);
    tokio::pin!(stop);
    assert_eq!(hold.receive_all(0, stop, |_| ()).await.expect("received"), Some(7));
    hold.release_all().await.expect("released");
    assert_eq!(by_handle(&changes).into_keys().collect::<Vec<_>>(), ["a1"], "only the first was in flight");
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_receive_the_rest_is_released() {
    let body = r#"{"__type":"com.amazonaws.sqs#AccessDeniedException","message":"no"}"#;
    let denied = mock!(aws_sdk_sqs::Client::receive_message)
        .sequence()
        .output(|| {
            let message = SdkMessage::builder().message_id("a").receipt_handle("a1").build();
            ReceiveMessageOutput::builder().messages(message).build()
        })
        .http_status(403, Some(body.to_owned()))
        .build();
    let (change, changes) = changes(|_, _| None);
    let mut hold = Hold::new(&queue(&[&denied, &change]));
    let stop = pending::<()>();
    tokio::pin!(stop);
    let error = hold.receive_all(0, stop, |_| ()).await.expect_err("denied");
    assert_eq!((error.kind, denied.num_calls()), (ErrorKind::Denied, 2));
    hold.release_all().await.expect("released");
    assert_eq!(by_handle(&changes)["a1"], [Some(0)]);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_may_not_renew_ends() {
    let receive = receives(&[&[("a", "a1")], &[], &[], &[("a", "a2")]]);
    let body = r#"{"__type":"com.amazonaws.sqs#AccessDeniedException","message":"no"}"#;
    let change = mock!(aws_sdk_sqs::Client::change_message_visibility_batch)
        .sequence()
        .http_status(403, Some(body.to_owned()))
        .repeatedly()
        .build();
    let mut hold = Hold::new(&queue(&[&receive, &change]));
    all(&mut hold).await;
    hold.holding(sleep(Duration::from_secs(35))).await;
    let stop = pending::<()>();
    tokio::pin!(stop);
    let error = hold.receive_all(0, stop, |_| panic!("it is known")).await.expect_err("denied");
    assert_eq!((error.operation, error.kind), ("sqs:ChangeMessageVisibility", ErrorKind::Denied));
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_not_deleted_are_returned_and_still_held() {
    let receive = receives(&[&[("a", "a1"), ("b", "b1")]]);
    let (change, changes) = changes(|_, _| None);
    let delete = mock!(aws_sdk_sqs::Client::delete_message_batch).then_compute_output(
        |input: &DeleteMessageBatchInput| {
            let mut answer = DeleteMessageBatchOutput::builder()
                .set_successful(Some(Vec::new()))
                .set_failed(Some(Vec::new()));
            for entry in input.entries() {
                answer = if entry.receipt_handle() == "a1" {
                    answer.failed(
                        BatchResultErrorEntry::builder()
                            .id(entry.id())
                            .code("InternalError")
                            .message("try again")
                            .sender_fault(false)
                            .build()
                            .expect("whole"),
                    )
                } else {
                    answer.successful(
                        DeleteMessageBatchResultEntry::builder().id(entry.id()).build().expect("whole"),
                    )
                };
            }
            answer.build().expect("whole")
        },
    );
    let mut hold = Hold::new(&queue(&[&receive, &change, &delete]));
    all(&mut hold).await;
    let refused = hold.delete(&["a".into(), "b".into()]).await;
    assert_eq!(
        refused.iter().map(|(id, why)| format!("{id}: {why}")).collect::<Vec<_>>(),
        ["a: InternalError: try again"]
    );
    assert_eq!(delete.num_calls(), 5);
    hold.release_all().await.expect("released");
    assert_eq!(by_handle(&changes).into_keys().collect::<Vec<_>>(), ["a1"]);
}
