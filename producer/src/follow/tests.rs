// SPDX-License-Identifier: Apache-2.0
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_sdk_s3::{
    config::retry::RetryConfig,
    operation::head_object::{HeadObjectInput, HeadObjectOutput},
};
use aws_sdk_sqs::{
    config::{Credentials, SharedCredentialsProvider},
    operation::{
        change_message_visibility_batch::{
            ChangeMessageVisibilityBatchInput, ChangeMessageVisibilityBatchOutput,
        },
        get_queue_attributes::GetQueueAttributesOutput,
        receive_message::ReceiveMessageOutput,
    },
    types::{ChangeMessageVisibilityBatchResultEntry, Message, QueueAttributeName},
};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use fleet::{RunId, aws, manifest::JobState, report::ReportStatus};
use requests::testing::{complete, manifest};

use super::*;
use crate::status::State;

fn counts(visible: u64, in_flight: u64) -> QueueCounts {
    QueueCounts { visible, in_flight, delayed: 0 }
}

/// A queue whose nth reading counts `visible(n)` messages.
fn queue(visible: impl Fn(usize) -> usize + Send + Sync + 'static) -> (Queue, Rule) {
    let reading = AtomicUsize::new(0);
    let rule = mock!(aws_sdk_sqs::Client::get_queue_attributes).then_output(move || {
        let visible = visible(reading.fetch_add(1, Ordering::SeqCst));
        GetQueueAttributesOutput::builder()
            .attributes(QueueAttributeName::VisibilityTimeout, "30")
            .attributes(QueueAttributeName::ApproximateNumberOfMessages, visible.to_string())
            .attributes(QueueAttributeName::ApproximateNumberOfMessagesNotVisible, "0")
            .attributes(QueueAttributeName::ApproximateNumberOfMessagesDelayed, "0")
            .build()
    });
    let queue = Queue {
        client: mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&rule]),
        url: "https://sqs.eu-west-1.amazonaws.com/111111111111/jobs".into(),
        classify: fleet::from_sdk,
    };
    (queue, rule)
}

/// A bucket in which the report of account n exists from look number `from(n)` on.
fn bucket(
    run: &RunId,
    from: &'static [(&'static str, usize)],
) -> (ReportBucket, Vec<Rule>, Arc<AtomicUsize>) {
    let looks = Arc::new(AtomicUsize::new(0));
    let mut rules = Vec::new();
    for (account, from) in from {
        let headers = complete(account, run).to_headers();
        let key = format!("{account}.csv");
        let seen = Arc::new(AtomicUsize::new(0));
        let looks = Arc::clone(&looks);
        rules.push(
            mock!(aws_sdk_s3::Client::head_object)
                .match_requests(move |input: &HeadObjectInput| {
                    if input.key() != Some(&key) {
                        return false;
                    }
                    looks.fetch_add(1, Ordering::SeqCst);
                    seen.fetch_add(1, Ordering::SeqCst) >= *from
                })
                .then_output(move || {
                    HeadObjectOutput::builder().e_tag("e").set_metadata(Some(headers.clone())).build()
                }),
        );
    }
    rules.push(mock!(aws_sdk_s3::Client::head_object).sequence().http_status(404, None).repeatedly().build());
    let bucket = ReportBucket::new(mock_client!(aws_sdk_s3, RuleMode::MatchAny, &rules), "reports");
    (bucket, rules, looks)
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_is_trusted_at_the_second_reading() {
    let mut drain = Drain { trusted_from: Instant::now(), empty_since: None };
    let at = |seconds| Instant::now() + Duration::from_secs(seconds);
    assert!(!drain.read(counts(0, 0), at(0)));
    assert!(!drain.read(counts(0, 0), at(1)), "too soon");
    assert!(drain.read(counts(0, 0), at(3)));
    assert!(!drain.read(counts(0, 1), at(4)), "a job is in flight");
    assert!(!drain.read(counts(0, 0), at(5)), "it starts over");
    assert!(drain.read(counts(0, 0), at(8)));
    drain.trusted_from = at(60);
    assert!(!drain.read(counts(0, 0), at(59)), "counts lag behind sends");
    assert!(!drain.read(counts(0, 0), at(60)));
    assert!(drain.read(counts(0, 0), at(63)));
}

#[tokio::test(start_paused = true)]
async fn a_status_reads_the_queue_twice_before_it_calls_a_report_missing() {
    let run = RunId::generate();
    let manifest = manifest(&run, &["a", "b"]);
    let (bucket, _rules, _) = bucket(&run, &[("a", 0)]);
    let (empty, reads) = queue(|_| 0);
    let mut follower = Follower::new(&manifest, &bucket, &empty, None, Instant::now());
    let status = follower.once(std::future::pending()).await.expect("looked").expect("not stopped");
    assert_eq!(status.accounts[0].state, State::Complete);
    assert_eq!(status.accounts[1].state, State::Missing);
    assert_eq!(reads.num_calls(), 2);

    let (busy, reads) = queue(|_| 1);
    let mut follower = Follower::new(&manifest, &bucket, &busy, None, Instant::now());
    let status = follower.once(std::future::pending()).await.expect("looked").expect("not stopped");
    assert_eq!(status.accounts[1].state, State::InProgress);
    assert_eq!(reads.num_calls(), 1);

    // A worker returns its job to the queue between the two readings.
    let (returning, _) = queue(|reading| reading);
    let mut follower = Follower::new(&manifest, &bucket, &returning, None, Instant::now());
    let status = follower.once(std::future::pending()).await.expect("looked").expect("not stopped");
    assert_eq!(status.accounts[1].state, State::InProgress);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_the_last_report_and_reads_none_twice() {
    let run = RunId::generate();
    let manifest = manifest(&run, &["a", "b"]);
    let (bucket, _rules, looks) = bucket(&run, &[("a", 0), ("b", 4)]);
    let (queue, _) = queue(|_| 1);
    let mut follower = Follower::new(&manifest, &bucket, &queue, None, Instant::now());
    let progress = Progress::begin("waiting", 2);
    let (status, ended) =
        follower.until_decided(None, &progress, std::future::pending()).await.expect("looked");
    assert!(status.complete);
    assert_eq!(ended, Ended::Decided);
    assert_eq!(looks.load(Ordering::SeqCst), 1 + 5);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_when_nothing_more_can_happen() {
    let run = RunId::generate();
    let manifest = manifest(&run, &["a", "b"]);
    let (bucket, _rules, _) = bucket(&run, &[("a", 0)]);
    let (queue, _) = queue(|_| 0);
    let begun = Instant::now();
    let mut follower = Follower::new(&manifest, &bucket, &queue, None, begun + COUNTS_LAG);
    let progress = Progress::begin("waiting", 2);
    let (status, ended) =
        follower.until_decided(None, &progress, std::future::pending()).await.expect("looked");
    assert_eq!(status.accounts[1].state, State::Missing);
    assert_eq!(ended, Ended::Decided);
    assert!(begun.elapsed() >= COUNTS_LAG + READINGS_APART, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_its_time_or_when_it_is_stopped() {
    let run = RunId::generate();
    let manifest = manifest(&run, &["a"]);
    let (bucket, _rules, _) = bucket(&run, &[]);
    let (queue, _) = queue(|_| 1);
    let progress = Progress::begin("waiting", 1);
    let begun = Instant::now();
    let mut follower = Follower::new(&manifest, &bucket, &queue, None, begun);
    let timeout = Some(Duration::from_secs(100));
    let (status, ended) =
        follower.until_decided(timeout, &progress, std::future::pending()).await.expect("looked");
    assert_eq!((ended, status.complete), (Ended::TimedOut, false));
    assert_eq!(begun.elapsed().as_secs(), 100);

    let stopped = sleep(Duration::from_secs(7));
    let (_, ended) = follower.until_decided(timeout, &progress, stopped).await.expect("looked");
    assert_eq!(ended, Ended::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_report_not_looked_up_is_neither_missing_nor_decided() {
    let run = RunId::generate();
    let mut manifest = manifest(&run, &["a"]);
    manifest.jobs[0].state = JobState::AlreadyComplete;
    let headers = complete("a", &run).to_headers();
    // The first look fails once the SDK's retries are exhausted.
    let head = mock!(aws_sdk_s3::Client::head_object)
        .sequence()
        .http_status(503, None)
        .output(move || HeadObjectOutput::builder().e_tag("e").set_metadata(Some(headers.clone())).build())
        .build();
    let once = |conf: aws_sdk_s3::config::Builder| conf.retry_config(RetryConfig::disabled());
    let bucket = ReportBucket::new(mock_client!(aws_sdk_s3, RuleMode::Sequential, [&head], once), "reports");
    let (queue, _) = queue(|_| 0);
    let mut follower = Follower::new(&manifest, &bucket, &queue, None, Instant::now());
    let progress = Progress::begin("waiting", 1);
    let (status, ended) =
        follower.until_decided(None, &progress, std::future::ready(())).await.expect("looked");
    assert_eq!((status.accounts[0].state, ended), (State::InProgress, Ended::Stopped));
    let (status, ended) =
        follower.until_decided(None, &progress, std::future::pending()).await.expect("looked");
    assert_eq!((status.complete, ended), (true, Ended::Decided));
    assert_eq!(head.num_calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_partial_report_is_read_again() {
    let (run, later) = (RunId::generate(), RunId::generate());
    let manifest = manifest(&run, &["a", "b"]);
    let mut partial = complete("a", &run);
    partial.status = ReportStatus::Partial;
    let (partial, whole) = (partial.to_headers(), complete("a", &later).to_headers());
    let other = complete("b", &run).to_headers();
    let looks = AtomicUsize::new(0);
    let head = mock!(aws_sdk_s3::Client::head_object).then_compute_output(move |input: &HeadObjectInput| {
        let headers = match (input.key(), looks.fetch_add(1, Ordering::SeqCst) < 2) {
            (Some("a.csv"), true) => partial.clone(),
            (Some("b.csv"), false) => other.clone(),
            (Some("a.csv"), false) => whole.clone(),
            // Not one of the fleet's reports.
            _ => HashMap::new(),
        };
        HeadObjectOutput::builder().e_tag("e").set_metadata(Some(headers)).build()
    });
    let bucket = ReportBucket::new(mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&head]), "reports");
    let (queue, _) = queue(|_| 1);
    let mut follower = Follower::new(&manifest, &bucket, &queue, None, Instant::now());
    let progress = Progress::begin("waiting", 2);
    let (status, _) = follower.until_decided(None, &progress, std::future::pending()).await.expect("looked");
    assert!(status.complete, "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn a_look_that_hangs_does_not_outlast_the_time_to_wait() {
    let run = RunId::generate();
    let manifest = manifest(&run, &["a"]);
    let (bucket, _rules, _) = bucket(&run, &[]);
    // The server accepts connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
    let config = aws::with_endpoint(&aws::base().await.expect("a configuration"), &endpoint)
        .to_builder()
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "111111111111",
            "any",
            None,
            None,
            "test",
        )));
    let url = format!("{endpoint}/111111111111/jobs");
    let queue = aws::queue(&config.build(), &url);
    let begun = Instant::now();
    let mut follower = Follower::new(&manifest, &bucket, &queue, None, begun);
    let progress = Progress::begin("waiting", 1);
    let timeout = Some(Duration::from_secs(2));
    let (_, ended) =
        follower.until_decided(timeout, &progress, std::future::pending()).await.expect("looked");
    assert_eq!((ended, begun.elapsed().as_secs()), (Ended::TimedOut, 2));
}

/// A dead-letter queue with one dead letter for each of these accounts of a run, `visible(n)` of which
/// are visible at look number n; with the rules of its receives and its visibility changes.
fn dead_letters(
    run: &RunId,
    accounts: &'static [&'static str],
    visible: impl Fn(usize) -> usize + Send + Sync + 'static,
) -> (Queue, Rule, Rule) {
    let attributes = mock!(aws_sdk_sqs::Client::get_queue_attributes).then_output(move || {
        GetQueueAttributesOutput::builder()
            .attributes(QueueAttributeName::VisibilityTimeout, "30")
            .attributes(QueueAttributeName::ApproximateNumberOfMessages, "0")
            .attributes(QueueAttributeName::ApproximateNumberOfMessagesNotVisible, accounts.len().to_string())
            .attributes(QueueAttributeName::ApproximateNumberOfMessagesDelayed, "0")
            .build()
    });
    let (run, calls) = (run.clone(), AtomicUsize::new(0));
    // Each look takes three receives: one with messages and two without.
    let receive = mock!(aws_sdk_sqs::Client::receive_message).then_output(move || {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        let message = |account: &&str| {
            Message::builder()
                .message_id(*account)
                .receipt_handle(*account)
                .body(format!(
                    r#"{{"account_name":"{account}","dataset":"s3_daily_storage","run_id":"{run}"}}"#
                ))
                .build()
        };
        let number = if call.is_multiple_of(3) { visible(call / 3) } else { 0 };
        ReceiveMessageOutput::builder()
            .set_messages(Some(accounts.iter().take(number).map(message).collect()))
            .build()
    });
    let change = mock!(aws_sdk_sqs::Client::change_message_visibility_batch).then_compute_output(
        |input: &ChangeMessageVisibilityBatchInput| {
            let done =
                |id: &str| ChangeMessageVisibilityBatchResultEntry::builder().id(id).build().expect("whole");
            ChangeMessageVisibilityBatchOutput::builder()
                .set_successful(Some(input.entries().iter().map(|entry| done(entry.id())).collect()))
                .set_failed(Some(Vec::new()))
                .build()
                .expect("whole")
        },
    );
    let queue = Queue {
        client: mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&attributes, &receive, &change]),
        url: "https://sqs.eu-west-1.amazonaws.com/111111111111/jobs-dead".into(),
        classify: fleet::from_sdk,
    };
    (queue, receive, change)
}

#[tokio::test(start_paused = true)]
async fn a_failed_account_is_decided_and_its_queue_is_read_once() {
    let run = RunId::generate();
    let manifest = manifest(&run, &["a", "b"]);
    let (bucket, _rules, _) = bucket(&run, &[("a", 5)]);
    let (queue, _) = queue(|_| 1);
    let (dead, receives, changes) = dead_letters(&run, &["b"], |_| 1);
    let mut follower = Follower::new(&manifest, &bucket, &queue, Some(&dead), Instant::now());
    let progress = Progress::begin("waiting", 2);
    let (status, ended) =
        follower.until_decided(None, &progress, std::future::pending()).await.expect("looked");
    assert_eq!((status.accounts[0].state, status.accounts[1].state), (State::Complete, State::Failed));
    assert_eq!(status.accounts[1].failure_reason.as_deref(), Some("max_receives"));
    assert_eq!(ended, Ended::Decided);
    assert_eq!((receives.num_calls(), changes.num_calls()), (3, 1), "the count never changed");
}

#[tokio::test(start_paused = true)]
async fn a_status_needs_no_second_reading_if_only_a_dead_letter_is_open() {
    let run = RunId::generate();
    let manifest = manifest(&run, &["a", "b"]);
    let (a_only, _rules, _) = bucket(&run, &[("a", 0)]);
    let (empty, reads) = queue(|_| 0);
    let (dead, _, _) = dead_letters(&run, &["b"], |_| 1);
    let mut follower = Follower::new(&manifest, &a_only, &empty, Some(&dead), Instant::now());
    let begun = Instant::now();
    let status = follower.once(std::future::pending()).await.expect("looked").expect("not stopped");
    assert_eq!((status.accounts[0].state, status.accounts[1].state), (State::Complete, State::Failed));
    assert!(begun.elapsed() < READINGS_APART, "{:?}", begun.elapsed());
    assert_eq!(reads.num_calls(), 1);

    // A job dead-lettered between the two readings is seen: its queue is read once more.
    let (none, _rules, _) = bucket(&run, &[]);
    let (empty, _) = queue(|_| 0);
    let (dead, receives, _) = dead_letters(&run, &["a", "b"], |look| look + 1);
    let mut follower = Follower::new(&manifest, &none, &empty, Some(&dead), Instant::now());
    let status = follower.once(std::future::pending()).await.expect("looked").expect("not stopped");
    assert_eq!((status.accounts[0].state, status.accounts[1].state), (State::Failed, State::Failed));
    assert_eq!(receives.num_calls(), 6, "two looks");
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_in_flight_elsewhere_is_waited_for() {
    let run = RunId::generate();
    let manifest = manifest(&run, &["b"]);
    let (bucket, _rules, _) = bucket(&run, &[]);
    let (dead, receives, _) = dead_letters(&run, &["b"], |look| look.min(3) / 3);
    let (queue, _) = queue(|_| 0);
    let progress = Progress::begin("waiting", 1);
    let mut follower = Follower::new(&manifest, &bucket, &queue, Some(&dead), Instant::now());
    let (status, _) = follower.until_decided(None, &progress, std::future::pending()).await.expect("looked");
    assert_eq!(status.accounts[0].state, State::Failed);
    assert!(receives.num_calls() > 9, "{}", receives.num_calls());

    // Not forever.
    let (dead, _, _) = dead_letters(&run, &["b"], |_| 0);
    let begun = Instant::now();
    let mut follower = Follower::new(&manifest, &bucket, &queue, Some(&dead), begun);
    let (status, _) = follower.until_decided(None, &progress, std::future::pending()).await.expect("looked");
    assert_eq!((status.accounts[0].state, status.dead_elsewhere), (State::Missing, 1));
    assert!(begun.elapsed() > HIDDEN_FOR && begun.elapsed() < HIDDEN_FOR * 2, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_queue_without_access_is_read_once_and_stops_nothing() {
    let run = RunId::generate();
    let manifest = manifest(&run, &["a"]);
    let (bucket, _rules, _) = bucket(&run, &[]);
    let (queue, _) = queue(|reading| usize::from(reading < 4));
    let body = r#"{"__type":"com.amazonaws.sqs#AccessDeniedException","message":"no"}"#;
    let denied = mock!(aws_sdk_sqs::Client::get_queue_attributes)
        .sequence()
        .http_status(403, Some(body.to_owned()))
        .repeatedly()
        .build();
    let dead = Queue {
        client: mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&denied]),
        url: "https://x/1/d".into(),
        classify: fleet::from_sdk,
    };
    let mut follower = Follower::new(&manifest, &bucket, &queue, Some(&dead), Instant::now());
    let progress = Progress::begin("waiting", 1);
    let (status, _) = follower.until_decided(None, &progress, std::future::pending()).await.expect("looked");
    assert_eq!((status.accounts[0].state, denied.num_calls()), (State::Missing, 1));
    assert!(status.accounts[0].detail.as_deref().unwrap_or_default().ends_with("can't be read"));
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_stopped_returns_nothing() {
    let run = RunId::generate();
    let manifest = manifest(&run, &["a"]);
    let (bucket, _rules, _) = bucket(&run, &[]);
    let (queue, _) = queue(|_| 0);
    let mut follower = Follower::new(&manifest, &bucket, &queue, None, Instant::now());
    let stopped = sleep(Duration::from_secs(1));
    assert!(follower.once(stopped).await.expect("no failure").is_none(), "between the two readings");
}
