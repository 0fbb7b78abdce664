//! The lease on a job: the visibility of its message, renewed for as long as the job runs.
//!
//! SQS hides a received message for a while and then gives it to somebody else. There is no other
//! lock: a worker that can't renew in time must stop, since another may be at the same job.

use std::{future::Future, pin::pin, time::Duration};

use aws_sdk_sqs::{Client, config::Builder, types::Message};
use aws_smithy_types::timeout::TimeoutConfig;
use fleet::AwsError;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

/// The pause between two tries of a renewal that failed for a passing cause.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long giving a message back may take.
const GIVE_BACK: Duration = Duration::from_secs(3);

/// How long a renewal that is under way is waited for by who is in a hurry.
const LAST_RENEWAL: Duration = Duration::from_secs(1);

/// A received message, as far as its lease goes.
#[derive(Debug, Clone)]
pub struct Lease {
    /// SQS.
    pub client: Client,
    /// The queue.
    pub queue_url: String,
    /// What SQS knows the receipt by.
    pub receipt_handle: String,
    /// How long a renewal lasts. A message may be hidden for twelve hours from its receipt, renewals
    /// included; a job ends long before, so that no renewal can reach that.
    /// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>
    pub timeout: Duration,
    /// When the message came. SQS hid it a little earlier, when it sent it off; the margin at the
    /// lease's end covers the way.
    pub received_at: Instant,
}

/// How work under a lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held<T> {
    /// By itself, and the message is held.
    Ended(T),
    /// By itself, and another worker may have the message by now: it may be deleted, if the work is done,
    /// and nothing else.
    EndedLate(T),
    /// Dropped where it stood, since another worker may have the message: it may not be uploaded,
    /// hidden or deleted any more.
    Lost,
}

/// The lease can't be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lost;

impl Lease {
    /// The lease on a message that came just now.
    #[must_use]
    pub fn on(message: &Message, client: &Client, queue_url: &str, timeout: Duration) -> Self {
        Self {
            client: client.clone(),
            queue_url: queue_url.to_owned(),
            receipt_handle: message.receipt_handle.clone().unwrap_or_default(),
            timeout,
            received_at: Instant::now(),
        }
    }

    /// Runs `work` to its end, while the lease is renewed every third of it. No renewal is under way any
    /// more once this returns: one that overtook what is done with the message next would undo it. Where
    /// `hurry` is cancelled, a renewal is waited for a moment only.
    pub async fn while_held<T>(&self, work: impl Future<Output = T>, hurry: &CancellationToken) -> Held<T> {
        let enough = CancellationToken::new();
        let mut renewing = pin!(self.renew_until(&enough));
        let done = {
            let work = pin!(work);
            tokio::select! {
                biased;
                done = work => done,
                _ = &mut renewing => return Held::Lost,
            }
        };
        enough.cancel();
        let renewed = tokio::select! {
            renewed = renewing => renewed,
            () = async {
                hurry.cancelled().await;
                sleep(LAST_RENEWAL).await;
            } => Ok(()),
        };
        match renewed {
            Ok(()) => Held::Ended(done),
            Err(Lost) => Held::EndedLate(done),
        }
    }

    /// Renews until it is enough, or can't.
    async fn renew_until(&self, enough: &CancellationToken) -> Result<(), Lost> {
        let mut held_from = self.received_at;
        loop {
            tokio::select! {
                biased;
                () = enough.cancelled() => return Ok(()),
                () = sleep_until(held_from + self.timeout / 3) => {}
            }
            // A renewal counts from before SQS was asked, the first lease from when the message came; it
            // ends a little early.
            let deadline = held_from + self.timeout - margin(self.timeout);
            match timeout_at(deadline, self.renew(enough)).await {
                Ok(Ok(Some(renewed_from))) => held_from = renewed_from,
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(Lost)) | Err(_) => return Err(Lost),
            }
        }
    }

    /// Renews once, trying again after a passing failure for as long as the caller waits; says from
    /// when on the renewal counts, and nothing where it was enough before it succeeded.
    async fn renew(&self, enough: &CancellationToken) -> Result<Option<Instant>, Lost> {
        // A call that hangs must leave time for another.
        let patience = (self.timeout / 6).clamp(Duration::from_millis(500), Duration::from_secs(10));
        loop {
            let asked_at = Instant::now();
            match self.change_visibility(self.timeout, patience).await {
                Ok(()) => return Ok(Some(asked_at)),
                Err(error) if LOST.contains(&error.code.as_str()) => {
                    tracing::warn!(error = %error, "the message is no longer ours");
                    return Err(Lost);
                }
                Err(error) => {
                    tracing::warn!(error = %error, "the message's visibility was not renewed; trying again");
                }
            }
            tokio::select! {
                () = enough.cancelled() => return Ok(None),
                () = sleep(RETRY_PAUSE.min(self.timeout / 10)) => {}
            }
        }
    }

    /// Ends the lease: the message may be received again after `pause`.
    pub async fn hide(&self, pause: Duration) -> Result<(), AwsError> {
        self.change_visibility(pause, Duration::from_secs(20)).await
    }

    /// Ends the lease: the message may be received again at once. For who has little time left.
    pub async fn give_back(&self) -> Result<(), AwsError> {
        self.change_visibility(Duration::ZERO, GIVE_BACK).await
    }

    /// Ends the lease: the message is deleted.
    pub async fn delete(&self) -> Result<(), AwsError> {
        let deleted =
            self.client.delete_message().queue_url(&self.queue_url).receipt_handle(&self.receipt_handle);
        deleted.send().await.map_err(|error| AwsError::new("sqs:DeleteMessage", error))?;
        Ok(())
    }

    async fn change_visibility(&self, visibility: Duration, patience: Duration) -> Result<(), AwsError> {
        // A part of a second is a whole one: never earlier than meant.
        let seconds = visibility.as_millis().div_ceil(1000);
        let timeouts = TimeoutConfig::builder().operation_timeout(patience).build();
        let changed = self
            .client
            .change_message_visibility()
            .queue_url(&self.queue_url)
            .receipt_handle(&self.receipt_handle)
            .visibility_timeout(i32::try_from(seconds).unwrap_or(i32::MAX))
            .customize()
            .config_override(Builder::new().timeout_config(timeouts))
            .send()
            .await;
        changed.map_err(|error| AwsError::new("sqs:ChangeMessageVisibility", error))?;
        Ok(())
    }
}

/// The codes by which SQS says that a receipt is no longer good: somebody else may have the message.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
const LOST: [&str; 4] = [
    "ReceiptHandleIsInvalid",
    "MessageNotInflight",
    "AWS.SimpleQueueService.MessageNotInflight",
    "InvalidParameterValue",
];

/// How long before its end a lease counts as lost: clocks and networks take their time.
fn margin(timeout: Duration) -> Duration {
    (timeout / 6).min(Duration::from_secs(5))
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
    use aws_sdk_sqs::operation::change_message_visibility::ChangeMessageVisibilityOutput;
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use aws_smithy_runtime_api::{client::orchestrator::HttpResponse, http::StatusCode};
    use aws_smithy_types::body::SdkBody;
    use fleet::aws;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn lease(client: Client, timeout: u64) -> Lease {
        Lease {
            client,
            queue_url: "http://127.0.0.1:1/111111111111/jobs".into(),
            receipt_handle: "r".into(),
            timeout: Duration::from_secs(timeout),
            received_at: Instant::now(),
        }
    }

    /// SQS at an address of our own.
    async fn sqs_at(endpoint: &str) -> Client {
        let keys = SharedCredentialsProvider::new(Credentials::for_tests());
        let config = aws::with_endpoint(&aws::base().await.expect("a configuration"), endpoint)
            .to_builder()
            .credentials_provider(keys);
        aws::sqs(&config.build(), endpoint)
    }

    fn refusal(status: u16, code: &str) -> HttpResponse {
        let body = format!(r#"{{"__type":"com.amazonaws.sqs#{code}","message":"no"}}"#);
        HttpResponse::new(StatusCode::try_from(status).expect("a status"), SdkBody::from(body))
    }

    #[tokio::test(start_paused = true)]
    async fn work_longer_than_the_timeout_keeps_its_message() {
        let renewed = mock!(Client::change_message_visibility)
            .match_requests(|request| request.visibility_timeout() == Some(30))
            .then_output(|| ChangeMessageVisibilityOutput::builder().build());
        let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&renewed]);
        let work = sleep(Duration::from_secs(95));
        assert_eq!(lease(client, 30).while_held(work, &CancellationToken::new()).await, Held::Ended(()));
        assert_eq!(renewed.num_calls(), 9, "every ten seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn short_work_is_not_renewed() {
        let renewed = mock!(Client::change_message_visibility)
            .then_output(|| ChangeMessageVisibilityOutput::builder().build());
        let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&renewed]);
        assert_eq!(
            lease(client, 30).while_held(async { 7 }, &CancellationToken::new()).await,
            Held::Ended(7)
        );
        assert_eq!(renewed.num_calls(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_receipt_that_is_no_longer_good_ends_the_work_at_once() {
        for code in ["ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue"] {
            let refused =
                mock!(Client::change_message_visibility).then_http_response(move || refusal(400, code));
            let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&refused]);
            let begun = Instant::now();
            let work = sleep(Duration::from_secs(1000));
            assert_eq!(
                lease(client, 30).while_held(work, &CancellationToken::new()).await,
                Held::Lost,
                "{code}"
            );
            assert_eq!(refused.num_calls(), 1, "{code}");
            assert!(begun.elapsed() < Duration::from_secs(11), "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_passing_failure_is_tried_again_until_the_lease_ends() {
        let failing = mock!(Client::change_message_visibility)
            .then_http_response(|| refusal(503, "ServiceUnavailable"));
        let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&failing]);
        let begun = Instant::now();
        let work = sleep(Duration::from_secs(1000));
        assert_eq!(lease(client, 30).while_held(work, &CancellationToken::new()).await, Held::Lost);
        assert!(failing.num_calls() > 3);
        assert_eq!(begun.elapsed().as_secs(), 25, "five seconds before SQS gives it to somebody else");
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_hangs_does_not_outlast_the_lease() {
        // Connections are taken and nothing is ever answered.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
        let lease = lease(sqs_at(&endpoint).await, 30);
        let work = sleep(Duration::from_secs(1000));
        assert_eq!(lease.while_held(work, &CancellationToken::new()).await, Held::Lost);
        assert_eq!(lease.received_at.elapsed().as_secs(), 25);
    }

    /// An SQS that refuses a renewal two seconds after it was asked for.
    pub(crate) async fn sqs_that_refuses_late() -> Client {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = vec![0; 4096];
            let _ = stream.read(&mut request).await;
            sleep(Duration::from_secs(2)).await;
            let body = r#"{"__type":"com.amazonaws.sqs#ReceiptHandleIsInvalid"}"#;
            let answer = format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        sqs_at(&endpoint).await
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_ends_while_its_lease_is_being_lost_is_late() {
        let lease = lease(sqs_that_refuses_late().await, 30);
        let work = sleep(Duration::from_millis(10_500));
        assert_eq!(lease.while_held(work, &CancellationToken::new()).await, Held::EndedLate(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_of_a_second_is_a_whole_one() {
        let asked = mock!(Client::change_message_visibility)
            .match_requests(|request| request.visibility_timeout() == Some(8))
            .then_output(|| ChangeMessageVisibilityOutput::builder().build());
        let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&asked]);
        assert_eq!(lease(client, 30).hide(Duration::from_millis(7001)).await, Ok(()));
    }
}
