// SPDX-License-Identifier: Apache-2.0
use std::{
    future::{pending, ready},
    sync::Mutex,
};

use aws_sdk_sqs::{
    Client,
    operation::{
        change_message_visibility::ChangeMessageVisibilityOutput, delete_message::DeleteMessageOutput,
        send_message::SendMessageOutput,
    },
};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep};

use super::*;
use crate::testing::{refusal, sqs_that_refuses_late};

const PING: &str = r#"{"kind":"ping"}"#;

type Run = BoxFuture<'static, Result<Completed, Failed>>;

/// A kind that reads pings. Its work costs a dollar, and ends as the test specifies.
struct Ping(Arc<Mutex<Option<Run>>>);

impl Kind for Ping {
    fn name(&self) -> &'static str {
        "ping"
    }

    fn read(&self, message: &Message) -> Option<Result<Box<dyn Work>, BadMessage>> {
        match message.body.as_str() {
            PING => Some(Ok(Box::new(Self(self.0.clone())))),
            "no ping" => {
                let source = anyhow!("it is no ping");
                Some(Err(BadMessage { reason: "no_ping", source, labels: labels() }))
            }
            _ => None,
        }
    }
}

impl Work for Ping {
    fn labels(&self) -> Vec<Label> {
        labels()
    }

    fn run<'a>(&'a self, _: &'a Attempt) -> BoxFuture<'a, Result<Completed, Failed>> {
        self.0.lock().expect("not poisoned").take().expect("it runs once")
    }

    fn spent(&self) -> Option<Measures> {
        Some(Measures { dimension: ("Kind", "ping"), metrics: Vec::new(), dollars: 1.0 })
    }
}

fn labels() -> Vec<Label> {
    vec![Label { name: "to", value: "data".into(), is_needed: true }]
}

fn pinging(run: impl Future<Output = Result<Completed, Failed>> + Send + 'static) -> [Box<dyn Kind>; 1] {
    [Box::new(Ping(Arc::new(Mutex::new(Some(Box::pin(run))))))]
}

/// The operations of SQS that a delivery needs. Each rule counts its calls.
struct Sqs {
    renewed: Rule,
    hidden: Rule,
    given_back: Rule,
    deleted: Rule,
    sent: Rule,
    unsent: Rule,
}

impl Sqs {
    fn new() -> Self {
        let changed = || ChangeMessageVisibilityOutput::builder().build();
        Self {
            renewed: mock!(Client::change_message_visibility)
                .match_requests(|request| request.visibility_timeout() == Some(60))
                .then_output(changed),
            given_back: mock!(Client::change_message_visibility)
                .match_requests(|request| request.visibility_timeout() == Some(0))
                .then_output(changed),
            hidden: mock!(Client::change_message_visibility).then_output(changed),
            deleted: mock!(Client::delete_message).then_output(|| DeleteMessageOutput::builder().build()),
            sent: mock!(Client::send_message)
                .match_requests(|request| {
                    let attribute = |name: &str| request.message_attributes()?.get(name)?.string_value();
                    request.queue_url().is_some_and(|url| url.ends_with("/jobs-dead"))
                        && (attribute("to") == Some("data") || request.message_body() == Some("else"))
                        && attribute("failure_attempts") == Some("2")
                        && attribute("replay_count") == Some("0")
                })
                .then_output(|| SendMessageOutput::builder().message_id("m").build()),
            unsent: mock!(Client::send_message).then_http_response(|| refusal(503, "ServiceUnavailable")),
        }
    }

    fn client(&self) -> Client {
        let rules = [&self.renewed, &self.given_back, &self.hidden, &self.deleted, &self.sent];
        mock_client!(aws_sdk_sqs, RuleMode::MatchAny, &rules)
    }

    /// A delivery of a ping, received twice so far, from a queue with a visibility timeout of a minute.
    async fn deliver(
        &self,
        run: impl Future<Output = Result<Completed, Failed>> + Send + 'static,
    ) -> Outcome {
        deliver(work_queue(self.client()), &pinging(run), message(PING), CancellationToken::new())
            .await
            .outcome
    }

    /// How often the message was hidden, returned, deleted and dead-lettered.
    fn counts(&self) -> [usize; 4] {
        [&self.hidden, &self.given_back, &self.deleted, &self.sent].map(Rule::num_calls)
    }
}

fn work_queue(client: Client) -> Arc<WorkQueue> {
    let queue = crate::testing::queue(client);
    let dead = Queue { url: format!("{}-dead", queue.url), ..queue.clone() };
    let dead_letters = Some(DeadLetters { queue: dead, max_receive_count: 12 });
    Arc::new(WorkQueue { queue, visibility_timeout: Duration::from_mins(1), dead_letters })
}

fn message(body: &str) -> Message {
    Message {
        id: "m-1".into(),
        receipt: "r".into(),
        body: body.into(),
        receive_count: 2,
        ..Message::default()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is what work gives")]
fn done() -> Result<Completed, Failed> {
    Ok(Completed { outcome: "pong" })
}

fn failed(retry: Retry) -> Result<Completed, Failed> {
    Err(Failed { reason: "no_pong", retry, source: anyhow!("there is no pong") })
}

#[tokio::test(start_paused = true)]
async fn work_that_is_done_is_deleted() {
    let sqs = Sqs::new();
    let outcome = sqs.deliver(ready(done())).await;
    assert!(matches!(outcome, Outcome::Done(Completed { outcome: "pong" })), "{outcome:?}");
    assert_eq!(sqs.counts(), [0, 0, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn permanently_failed_work_is_deleted_once_its_dead_letter_is_sent() {
    for (retry, body) in
        [(Retry::OnceMore, PING), (Retry::Never, PING), (Retry::Backoff, "no ping"), (Retry::Backoff, "else")]
    {
        let sqs = Sqs::new();
        // In this order and no other.
        let client = mock_client!(aws_sdk_sqs, RuleMode::Sequential, [&sqs.sent, &sqs.deleted]);
        let kinds = pinging(ready(failed(retry)));
        let settled = deliver(work_queue(client), &kinds, message(body), CancellationToken::new()).await;
        assert!(matches!(settled.outcome, Outcome::DeadLettered), "{settled:?}");
        let reason = match body {
            PING => "no_pong",
            "no ping" => "no_ping",
            _ => BAD_MESSAGE,
        };
        assert_eq!((settled.reason, sqs.counts()), (Some(reason), [0, 0, 1, 1]), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_dead_letter_is_not_sent_is_kept() {
    // A proxy may answer an empty success.
    let unconfirmed = mock!(Client::send_message).then_output(|| SendMessageOutput::builder().build());
    for unsent in [Sqs::new().unsent, unconfirmed] {
        let sqs = Sqs::new();
        let rules = [&unsent, &sqs.deleted, &sqs.renewed, &sqs.hidden];
        let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, &rules);
        let kinds = pinging(ready(failed(Retry::Never)));
        let settled = deliver(work_queue(client), &kinds, message(PING), CancellationToken::new()).await;
        assert!(matches!(settled.outcome, Outcome::Retried), "{settled:?}");
        assert!(unsent.num_calls() > 0);
        assert_eq!(sqs.hidden.num_calls(), 1);
        assert_eq!(sqs.deleted.num_calls(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_leaves_no_room_for_a_reason_is_left_to_the_queue() {
    let sqs = Sqs::new();
    let full = message(&"x".repeat(1024 * 1024));
    let kinds = pinging(pending());
    let settled = deliver(work_queue(sqs.client()), &kinds, full, CancellationToken::new()).await;
    assert!(matches!(settled.outcome, Outcome::Retried), "{settled:?}");
    assert_eq!(sqs.counts(), [0, 1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn work_that_failed_for_a_transient_error_is_retried() {
    let sqs = Sqs::new();
    let outcome = sqs.deliver(ready(failed(Retry::Backoff))).await;
    assert!(matches!(outcome, Outcome::Retried), "{outcome:?}");
    // The pause is any up to a minute, and one of exactly 60 s looks like a renewal.
    assert_eq!(sqs.hidden.num_calls() + sqs.renewed.num_calls(), 1);
    assert_eq!(sqs.deleted.num_calls() + sqs.sent.num_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_try_of_one_message() {
    let sqs = Sqs::new();
    let outcome = sqs.deliver(async { panic!("a fault, planted by the test") }).await;
    assert!(matches!(outcome, Outcome::Retried), "{outcome:?}");
    assert_eq!(sqs.deleted.num_calls() + sqs.sent.num_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn work_is_ended_after_two_hours() {
    let sqs = Sqs::new();
    let begun = Instant::now();
    let outcome = sqs.deliver(pending()).await;
    assert!(matches!(outcome, Outcome::DeadLettered), "{outcome:?}");
    assert_eq!(begun.elapsed().as_secs(), 7320, "with two minutes to store what it has");
    assert!((365..=366).contains(&sqs.renewed.num_calls()), "every twenty seconds until then");
    assert_eq!(sqs.counts(), [0, 0, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_lost_is_not_touched() {
    let sqs = Sqs::new();
    let lost = mock!(Client::change_message_visibility)
        .then_http_response(|| refusal(400, "ReceiptHandleIsInvalid"));
    let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&lost, &sqs.deleted, &sqs.sent]);
    let kinds = pinging(pending());
    let settled = deliver(work_queue(client), &kinds, message(PING), CancellationToken::new()).await;
    assert!(matches!(settled.outcome, Outcome::Abandoned), "{settled:?}");
    // The work is dropped; its labels and its cost are kept.
    assert_eq!((settled.reason, settled.labels), (Some(LEASE_LOST), labels()));
    assert_eq!(settled.spent.map(|spent| spent.dollars), Some(1.0));
    assert_eq!((lost.num_calls(), sqs.counts()), (1, [0; 4]));
}

#[tokio::test(start_paused = true)]
async fn work_that_is_interrupted_has_a_second_to_store_what_it_has_and_is_returned() {
    let sqs = Sqs::new();
    let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&sqs.renewed, &sqs.given_back]);
    let interrupt = CancellationToken::new();
    let kinds = pinging(pending());
    let delivering = deliver(work_queue(client), &kinds, message(PING), interrupt.clone());
    let begun = Instant::now();
    let (settled, ()) = tokio::join!(delivering, async {
        sleep(Duration::from_secs(30)).await;
        interrupt.cancel();
    });
    assert!(matches!(settled.outcome, Outcome::Returned), "{settled:?}");
    assert_eq!((settled.reason, settled.took.as_secs()), (None, 31));
    assert_eq!((begun.elapsed().as_secs(), sqs.counts()), (31, [0, 1, 0, 0]));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_no_one_works_on_is_returned() {
    let sqs = Sqs::new();
    let settled = release(work_queue(sqs.client()), &pinging(pending()), message(PING)).await;
    assert!(matches!(settled.outcome, Outcome::Returned), "{settled:?}");
    assert_eq!((settled.labels, sqs.counts()), (labels(), [0, 1, 0, 0]));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_worker_is_at_fault_for_is_returned() {
    let sqs = Sqs::new();
    let outcome = sqs.deliver(ready(failed(Retry::StopWorker))).await;
    assert!(matches!(outcome, Outcome::WorkerFault(_)), "{outcome:?}");
    assert_eq!(sqs.counts(), [0, 1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_worker_is_reported_though_the_lease_is_lost_meanwhile() {
    let kinds = pinging(async {
        sleep(Duration::from_millis(21_800)).await;
        failed(Retry::StopWorker)
    });
    let queue = work_queue(sqs_that_refuses_late().await);
    let settled = deliver(queue, &kinds, message(PING), CancellationToken::new()).await;
    assert!(matches!(settled.outcome, Outcome::WorkerFault(_)), "{settled:?}");
}

#[tokio::test(start_paused = true)]
async fn a_message_without_a_dead_letter_queue_stays() {
    let sqs = Sqs::new();
    let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&sqs.hidden, &sqs.deleted, &sqs.sent]);
    let queue = Arc::new(WorkQueue { dead_letters: None, ..(*work_queue(client)).clone() });
    let kinds = pinging(ready(failed(Retry::Never)));
    let settled = deliver(queue, &kinds, message(PING), CancellationToken::new()).await;
    assert!(matches!(settled.outcome, Outcome::Retried), "{settled:?}");
    assert_eq!(sqs.counts(), [1, 0, 0, 0]);
}
