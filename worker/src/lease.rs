//! The lease on a job: the visibility of its message, renewed for as long as the job runs.
//!
//! SQS hides a received message for a while and then gives it to somebody else. There is no other
//! lock: a worker that can't renew in time must stop, since another may be at the same job.

use std::{future::Future, time::Duration};

use aws_sdk_sqs::Client;
use aws_smithy_types::timeout::TimeoutConfig;
use fleet::AwsError;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// The pause between two tries of a renewal that failed for a passing cause.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// A received message, as far as its lease goes.
#[derive(Debug, Clone)]
pub struct Lease {
    /// SQS.
    pub client: Client,
    /// The queue.
    pub queue_url: String,
    /// What SQS knows the receipt by.
    pub receipt_handle: String,
    /// How long a renewal lasts.
    pub timeout: Duration,
    /// When the message came. SQS hid it a little earlier, when it sent it off; the margin at the
    /// lease's end covers the way.
    pub received_at: Instant,
}

/// The lease can't be kept: another worker may have the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease on the message is lost")]
pub struct LeaseLost;

impl Lease {
    /// Runs `work` to its end while the lease is renewed, every third of it. Nothing is being
    /// renewed any more once this returns.
    ///
    /// # Errors
    /// [`LeaseLost`], with `work` dropped where it stood: it may not upload, nor delete the message.
    pub async fn while_held<T>(&self, work: impl Future<Output = T>) -> Result<T, LeaseLost> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            lost = self.renew() => Err(lost),
        }
    }

    /// Renews until it can't.
    async fn renew(&self) -> LeaseLost {
        let mut held_from = self.received_at;
        loop {
            sleep_until(held_from + self.timeout / 3).await;
            // A renewal counts from before SQS was asked, the first lease from when the message came; it
            // ends a little early.
            let deadline = held_from + self.timeout - margin(self.timeout);
            match timeout_at(deadline, self.renew_once()).await {
                Ok(Ok(renewed_from)) => held_from = renewed_from,
                Ok(Err(LeaseLost)) | Err(_) => return LeaseLost,
            }
        }
    }

    /// Renews, trying again after a passing failure for as long as the caller waits.
    async fn renew_once(&self) -> Result<Instant, LeaseLost> {
        let seconds = i32::try_from(self.timeout.as_secs()).unwrap_or(i32::MAX);
        // A call that hangs must leave time for another.
        let patience = (self.timeout / 6).clamp(Duration::from_millis(500), Duration::from_secs(10));
        let timeouts = TimeoutConfig::builder().operation_timeout(patience).build();
        loop {
            let asked_at = Instant::now();
            let renewed = self
                .client
                .change_message_visibility()
                .queue_url(&self.queue_url)
                .receipt_handle(&self.receipt_handle)
                .visibility_timeout(seconds)
                .customize()
                .config_override(aws_sdk_sqs::config::Builder::new().timeout_config(timeouts.clone()))
                .send()
                .await;
            match renewed.map_err(|error| AwsError::new("sqs:ChangeMessageVisibility", error)) {
                Ok(_) => return Ok(asked_at),
                Err(error) if LOST.contains(&error.code.as_str()) => {
                    tracing::warn!(error = %error, "the message is no longer ours");
                    return Err(LeaseLost);
                }
                Err(error) => {
                    tracing::warn!(error = %error, "the message's visibility was not renewed; trying again");
                    sleep(RETRY_PAUSE.min(self.timeout / 10)).await;
                }
            }
        }
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
mod tests {
    use aws_sdk_sqs::operation::change_message_visibility::ChangeMessageVisibilityOutput;
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use aws_smithy_runtime_api::{client::orchestrator::HttpResponse, http::StatusCode};
    use aws_smithy_types::body::SdkBody;

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
        assert_eq!(lease(client, 30).while_held(work).await, Ok(()));
        assert_eq!(renewed.num_calls(), 9, "every ten seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn short_work_is_not_renewed() {
        let renewed = mock!(Client::change_message_visibility)
            .then_output(|| ChangeMessageVisibilityOutput::builder().build());
        let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&renewed]);
        assert_eq!(lease(client, 30).while_held(async { 7 }).await, Ok(7));
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
            assert_eq!(lease(client, 30).while_held(work).await, Err(LeaseLost), "{code}");
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
        assert_eq!(lease(client, 30).while_held(work).await, Err(LeaseLost));
        assert!(failing.num_calls() > 3);
        assert_eq!(begun.elapsed().as_secs(), 25, "five seconds before SQS gives it to somebody else");
    }
}
