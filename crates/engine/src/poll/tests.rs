// SPDX-License-Identifier: Apache-2.0
use std::net::TcpListener;

use aws_sdk_sqs::{
    Client,
    config::{StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig},
    operation::receive_message::ReceiveMessageOutput,
    types::Message as SdkMessage,
};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

use super::*;
use crate::testing::{queue, refusal, sqs_at};

fn poller(client: Client) -> Poller {
    Poller::new(queue(client), Duration::from_mins(1), 20)
}

/// SQS without the SDK's own retries.
fn sqs(rule: &Rule) -> Client {
    let once = |conf: aws_sdk_sqs::config::Builder| conf.retry_config(RetryConfig::disabled());
    mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [rule], once)
}

fn refusing(status: u16, code: &'static str) -> Rule {
    mock!(Client::receive_message).then_http_response(move || refusal(status, code))
}

/// The same without timeouts and retries.
fn unbounded(client: &Client) -> Client {
    let config = client.config().to_builder().timeout_config(TimeoutConfig::disabled());
    let config = config.stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Client::from_conf(config.retry_config(RetryConfig::disabled()).build())
}

/// An address that accepts connections and never responds, for as long as the listener lives.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, endpoint)
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_gone_is_polled_rarely_and_fails_after_five_minutes() {
    for (status, code) in [(400, "QueueDoesNotExist"), (503, "ServiceUnavailable"), (400, "RequestThrottled")]
    {
        let polls = refusing(status, code);
        let begun = Instant::now();
        let error = poller(sqs(&polls)).next(1).await.expect_err("it fails");
        assert!(error.to_string().contains("no poll has succeeded in five minutes"), "{error}");
        assert!(error.to_string().contains(code), "{error}");
        assert!((300..302).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
        assert!((8..30).contains(&polls.num_calls()), "{} polls", polls.num_calls());
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_queue_fails_after_five_minutes() {
    let (closed, refusing) = silent();
    drop(closed);
    for endpoint in [refusing.as_str(), "http://queue.invalid"] {
        let begun = Instant::now();
        let error = poller(sqs_at(endpoint)).next(1).await.expect_err("it fails");
        assert!(error.to_string().contains("sqs:ReceiveMessage: Unreachable"), "{error}");
        assert!((300..400).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_without_access_fails_at_once() {
    let polls = refusing(403, "AccessDenied");
    let begun = Instant::now();
    let error = poller(sqs(&polls)).next(1).await.expect_err("it fails");
    assert!(format!("{error:#}").contains("sqs:ReceiveMessage: AccessDenied"), "{error:#}");
    assert_eq!((begun.elapsed(), polls.num_calls()), (Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_ends_in_time_resets_the_limit() {
    let polls = mock!(Client::receive_message)
        .sequence()
        .http_status(503, None)
        .times(8)
        .output(|| ReceiveMessageOutput::builder().build())
        .http_status(503, None)
        .repeatedly()
        .build();
    let mut poller = poller(sqs(&polls));
    assert!(poller.next(1).await.expect("the outage ends").is_empty());
    let begun = Instant::now();
    poller.next(1).await.expect_err("it fails");
    assert!(begun.elapsed() >= MAX_OUTAGE);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_never_returns_fails() {
    let (_listener, endpoint) = silent();
    let begun = Instant::now();
    let error = poller(unbounded(&sqs_at(&endpoint))).next(1).await.expect_err("it fails");
    assert!(error.to_string().contains("a poll has not returned in three minutes"), "{error:#}");
    // The connection alone may take a moment.
    assert!((180..190).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_dropped_poll_are_not_lost() {
    let polls = mock!(Client::receive_message)
        .then_output(|| ReceiveMessageOutput::builder().messages(SdkMessage::builder().build()).build());
    let mut poller = poller(sqs(&polls));
    for _ in 0..3 {
        tokio::select! {
            biased;
            _ = poller.next(1) => panic!("it is not ready at once"),
            () = std::future::ready(()) => {}
        }
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(poller.close().await.len(), 1);
    assert_eq!(polls.num_calls(), 1);
}
