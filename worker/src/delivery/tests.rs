use std::future::{pending, ready};

use aws_sdk_sqs::{
    operation::{
        change_message_visibility::ChangeMessageVisibilityOutput, delete_message::DeleteMessageOutput,
        send_message::SendMessageOutput,
    },
    types::MessageSystemAttributeName,
};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use aws_smithy_runtime_api::{client::orchestrator::HttpResponse, http::StatusCode};
use aws_smithy_types::body::SdkBody;
use fleet::ErrorKind;
use tokio::time::{Instant, sleep};

use super::*;
use crate::{failure::OwnFault, lease::tests::sqs_that_refuses_late};

const JOB: &str = r#"{"account_name":"data","date":"2026-11-01","run_id":"r-1"}"#;

/// SQS as far as a delivery needs it. Each rule counts its calls.
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
                        && request.message_body() == Some(JOB)
                        && attribute("account_name") == Some("data")
                        && attribute("failure_attempts") == Some("2")
                        && attribute("replay_count") == Some("0")
                })
                .then_output(|| SendMessageOutput::builder().message_id("m").build()),
            unsent: mock!(Client::send_message).then_http_response(|| {
                let status = StatusCode::try_from(503).expect("a status");
                HttpResponse::new(status, SdkBody::from(r#"{"__type":"ServiceUnavailable"}"#))
            }),
        }
    }

    /// A delivery of the job, received twice so far, from a queue with a visibility timeout of a minute.
    async fn deliver<Performing>(&self, perform: impl FnOnce() -> Performing + Send) -> Ended
    where
        Performing: Future<Output = Result<Done, Failure>> + Send,
    {
        let rules = [&self.renewed, &self.given_back, &self.hidden, &self.deleted, &self.sent];
        let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, &rules);
        deliver(queue(client), message(JOB), CancellationToken::new(), |_, _| perform()).await.ended
    }

    /// How often it was hidden, given back, deleted and sent to the dead-letter queue.
    fn counts(&self) -> [usize; 4] {
        [&self.hidden, &self.given_back, &self.deleted, &self.sent].map(Rule::num_calls)
    }
}

fn queue(client: Client) -> Arc<WorkQueue> {
    let at = |name: &str| format!("https://sqs.eu-west-1.amazonaws.com/111111111111/{name}");
    let dead_letters = Some(DeadLetterQueue { url: at("jobs-dead"), max_receive_count: 12 });
    Arc::new(WorkQueue { client, url: at("jobs"), visibility_timeout: Duration::from_mins(1), dead_letters })
}

fn message(body: &str) -> Message {
    Message::builder()
        .message_id("m-1")
        .receipt_handle("r")
        .body(body)
        .attributes(MessageSystemAttributeName::ApproximateReceiveCount, "2")
        .build()
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a job gives")]
fn done() -> Result<Done, Failure> {
    Ok(Done::Duplicate { key: "k".into() })
}

fn failed(kind: ErrorKind) -> Failure {
    Failure::Aws(AwsError::coded("s3:ListAllMyBuckets", "Code", String::new(), kind))
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_done_is_deleted() {
    let sqs = Sqs::new();
    assert!(matches!(sqs.deliver(|| ready(done())).await, Ended::Done(_)));
    assert_eq!(sqs.counts(), [0, 0, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_can_not_be_done_is_deleted_once_its_dead_letter_is_sent() {
    let sqs = Sqs::new();
    // In this order and no other.
    let client = mock_client!(aws_sdk_sqs, RuleMode::Sequential, [&sqs.sent, &sqs.deleted]);
    let denied = |_, _| ready(Err(failed(ErrorKind::Denied)));
    let ended = deliver(queue(client), message(JOB), CancellationToken::new(), denied).await.ended;
    assert!(matches!(ended, Ended::DeadLettered), "{ended:?}");
    assert_eq!(sqs.counts(), [0, 0, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_dead_letter_is_not_sent_is_kept() {
    // A proxy may answer an empty success.
    let unconfirmed = mock!(Client::send_message).then_output(|| SendMessageOutput::builder().build());
    for unsent in [Sqs::new().unsent, unconfirmed] {
        let sqs = Sqs::new();
        let rules = [&unsent, &sqs.deleted, &sqs.renewed, &sqs.hidden];
        let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, &rules);
        let denied = |_, _| ready(Err(failed(ErrorKind::Denied)));
        let ended = deliver(queue(client), message(JOB), CancellationToken::new(), denied).await.ended;
        assert!(matches!(ended, Ended::PutOff), "{ended:?}");
        assert!(unsent.num_calls() > 0);
        assert_eq!(sqs.hidden.num_calls(), 1);
        assert_eq!(sqs.deleted.num_calls(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_leaves_no_room_for_a_reason_is_left_to_the_queue() {
    let sqs = Sqs::new();
    let rules = [&sqs.given_back, &sqs.deleted, &sqs.sent];
    let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, &rules);
    let never = |_, _| ready(done());
    let full = message(&"x".repeat(1024 * 1024));
    let ended = deliver(queue(client), full, CancellationToken::new(), never).await.ended;
    assert!(matches!(ended, Ended::PutOff), "{ended:?}");
    assert_eq!(sqs.counts(), [0, 1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_failed_for_a_passing_cause_is_put_off() {
    let sqs = Sqs::new();
    let ended = sqs.deliver(|| ready(Err(failed(ErrorKind::Transient)))).await;
    assert!(matches!(ended, Ended::PutOff), "{ended:?}");
    // The pause is any up to a minute, and one of exactly 60 s looks like a renewal.
    assert_eq!(sqs.hidden.num_calls() + sqs.renewed.num_calls(), 1);
    assert_eq!(sqs.deleted.num_calls() + sqs.sent.num_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_try_of_one_job() {
    let sqs = Sqs::new();
    let ended = sqs.deliver(|| async { panic!("a fault, planted by the test") }).await;
    assert!(matches!(ended, Ended::PutOff), "{ended:?}");
    assert_eq!(sqs.deleted.num_calls() + sqs.sent.num_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_given_up_after_two_hours() {
    let sqs = Sqs::new();
    let begun = Instant::now();
    let ended = sqs.deliver(pending).await;
    assert!(matches!(ended, Ended::DeadLettered), "{ended:?}");
    assert_eq!(begun.elapsed().as_secs(), 7200);
    assert!((359..=360).contains(&sqs.renewed.num_calls()), "every twenty seconds until then");
    assert_eq!(sqs.counts(), [0, 0, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_lost_is_not_touched() {
    let sqs = Sqs::new();
    let lost = mock!(Client::change_message_visibility).then_http_response(|| {
        let status = StatusCode::try_from(400).expect("a status");
        HttpResponse::new(status, SdkBody::from(r#"{"__type":"ReceiptHandleIsInvalid"}"#))
    });
    let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&lost, &sqs.deleted, &sqs.sent]);
    let slow = |_, attempt: Arc<Attempt>| async move {
        attempt.usage().add_metrics(7);
        sleep(Duration::from_mins(5)).await;
        done()
    };
    let settled = deliver(queue(client), message(JOB), CancellationToken::new(), slow).await;
    assert!(matches!(settled.ended, Ended::Left), "{settled:?}");
    // The work is gone; what it was, and what it took, is not.
    assert_eq!(settled.reason, Some(Reason::LeaseLost));
    assert_eq!(settled.labels.dataset, Some(fleet::datasets::DEFAULT));
    assert_eq!(settled.usage.metrics(), 7);
    assert_eq!((lost.num_calls(), sqs.counts()), (1, [0; 4]));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_interrupted_is_given_back_at_once() {
    let sqs = Sqs::new();
    let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&sqs.renewed, &sqs.given_back]);
    let give_back = CancellationToken::new();
    let delivering = deliver(queue(client), message(JOB), give_back.clone(), |_, _| pending());
    let begun = Instant::now();
    let (settled, ()) = tokio::join!(delivering, async {
        sleep(Duration::from_secs(30)).await;
        give_back.cancel();
    });
    assert!(matches!(settled.ended, Ended::GivenBack), "{settled:?}");
    assert_eq!((settled.reason, settled.took.as_secs()), (None, 30));
    assert_eq!((begun.elapsed().as_secs(), sqs.counts()), (30, [0, 1, 0, 0]));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_the_worker_is_to_blame_for_is_given_back() {
    let sqs = Sqs::new();
    let Failure::Aws(error) = failed(ErrorKind::Denied) else { unreachable!("it is one") };
    let ended = sqs.deliver(|| ready(Err(OwnFault::ReportBucket(error).into()))).await;
    assert!(matches!(ended, Ended::OwnFault(_)), "{ended:?}");
    assert_eq!(sqs.counts(), [0, 1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_worker_is_told_though_the_lease_is_lost_meanwhile() {
    let client = sqs_that_refuses_late().await;
    let Failure::Aws(error) = failed(ErrorKind::Denied) else { unreachable!("it is one") };
    let perform = |_, _| async {
        sleep(Duration::from_millis(21_800)).await;
        Err(OwnFault::ReportBucket(error).into())
    };
    let settled = deliver(queue(client), message(JOB), CancellationToken::new(), perform).await;
    assert!(matches!(settled.ended, Ended::OwnFault(_)), "{settled:?}");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_has_nowhere_to_go_stays() {
    let sqs = Sqs::new();
    let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&sqs.hidden, &sqs.deleted, &sqs.sent]);
    let mut queue = (*queue(client)).clone();
    queue.dead_letters = None;
    let denied = |_, _| ready(Err(failed(ErrorKind::Denied)));
    let ended = deliver(Arc::new(queue), message(JOB), CancellationToken::new(), denied).await.ended;
    assert!(matches!(ended, Ended::PutOff), "{ended:?}");
    assert_eq!(sqs.counts(), [1, 0, 0, 0]);
}
