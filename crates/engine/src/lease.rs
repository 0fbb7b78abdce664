// SPDX-License-Identifier: Apache-2.0
//! The lease on a message: its visibility, renewed for as long as the work runs.
//!
//! SQS hides a received message for a while and then gives it to another receiver. There is no other
//! lock: a worker that can't renew in time must stop, since another may be doing the same work.

use std::{future::Future, pin::pin, time::Duration};

use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::{AwsError, Message, Queue, queue::is_receipt_lost};

/// The pause between two tries of a renewal that failed for a transient error.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long returning a message to the queue may take.
const RETURN: Duration = Duration::from_secs(3);

/// How long hiding a message until its next try may take.
const HIDE: Duration = Duration::from_secs(20);

/// How long to wait for an in-flight renewal during shutdown.
const LAST_RENEWAL: Duration = Duration::from_secs(1);

/// The lease on a received message.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    queue: Queue,
    receipt: String,
    /// How long a renewal lasts. A message may be hidden for at most twelve hours from its receipt,
    /// renewals included; work ends long before that.
    ///
    /// Source:
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>
    timeout: Duration,
    /// When the message arrived. SQS hid it a little earlier, when it sent it; the margin at the lease's
    /// end covers the difference.
    pub(crate) received_at: Instant,
}

/// How work under a lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leased<T> {
    /// It finished, and the message is still leased.
    Ended(T),
    /// It finished, but another worker may have the message by now: it may only be deleted if the work
    /// is done.
    EndedLate(T),
    /// It was dropped because another worker may have the message, which may not be hidden or deleted
    /// any more.
    Lost,
}

/// The lease can't be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lost;

impl Lease {
    /// The lease on a message that came just now.
    pub(crate) fn new(queue: &Queue, message: &Message, timeout: Duration) -> Self {
        let receipt = message.receipt.clone();
        Self { queue: queue.clone(), receipt, timeout, received_at: Instant::now() }
    }

    /// Runs `work` to its end and renews the lease every third of its duration. No renewal is in flight
    /// when this returns: a late one would undo the next change to the message. If `hurry` is cancelled,
    /// waits only briefly for a renewal in flight.
    pub(crate) async fn while_held<T>(
        &self,
        work: impl Future<Output = T>,
        hurry: &CancellationToken,
    ) -> Leased<T> {
        let enough = CancellationToken::new();
        let mut renewing = pin!(self.renew_until(&enough));
        let done = {
            let work = pin!(work);
            tokio::select! {
                biased;
                done = work => done,
                _ = &mut renewing => return Leased::Lost,
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
            Ok(()) => Leased::Ended(done),
            Err(Lost) => Leased::EndedLate(done),
        }
    }

    /// Renews until `enough` is cancelled or a renewal fails permanently.
    async fn renew_until(&self, enough: &CancellationToken) -> Result<(), Lost> {
        let mut held_from = self.received_at;
        loop {
            tokio::select! {
                biased;
                () = enough.cancelled() => return Ok(()),
                () = sleep_until(held_from + self.timeout / 3) => {}
            }
            // A renewal counts from before SQS was called, the first lease from when the message
            // arrived; it ends a little early.
            let deadline = held_from + self.timeout - margin(self.timeout);
            match timeout_at(deadline, self.renew(enough)).await {
                Ok(Ok(Some(renewed_from))) => held_from = renewed_from,
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(Lost)) | Err(_) => return Err(Lost),
            }
        }
    }

    /// Renews once, and retries transient errors until `enough` is cancelled. Returns the time from
    /// which the renewal counts; `None` if `enough` was cancelled first.
    async fn renew(&self, enough: &CancellationToken) -> Result<Option<Instant>, Lost> {
        // A call that hangs must leave time for another one.
        let patience = (self.timeout / 6).clamp(Duration::from_millis(500), Duration::from_secs(10));
        loop {
            let asked_at = Instant::now();
            match self.queue.change_visibility(&self.receipt, self.timeout, patience).await {
                Ok(()) => return Ok(Some(asked_at)),
                Err(error) if is_receipt_lost(&error.code) => {
                    tracing::warn!(error = %error, "the message's receipt handle is no longer valid");
                    return Err(Lost);
                }
                Err(error) => {
                    tracing::warn!(error = %error, "the message's visibility was not renewed; retrying");
                }
            }
            tokio::select! {
                () = enough.cancelled() => return Ok(None),
                () = sleep(RETRY_PAUSE.min(self.timeout / 10)) => {}
            }
        }
    }

    /// Ends the lease: the message may be received again after `pause`.
    pub(crate) async fn hide(&self, pause: Duration) -> Result<(), AwsError> {
        self.queue.change_visibility(&self.receipt, pause, HIDE).await
    }

    /// Ends the lease: the message may be received again at once. For a worker that has little time left.
    pub(crate) async fn release(&self) -> Result<(), AwsError> {
        self.queue.change_visibility(&self.receipt, Duration::ZERO, RETURN).await
    }

    /// Ends the lease: the message is deleted.
    pub(crate) async fn delete(&self) -> Result<(), AwsError> {
        self.queue.delete(&self.receipt).await
    }
}

/// How long before its end a lease counts as lost: clocks and networks take their time.
fn margin(timeout: Duration) -> Duration {
    (timeout / 6).min(Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::{Client, operation::change_message_visibility::ChangeMessageVisibilityOutput};
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    use super::*;
    use crate::testing::{queue, refusal, sqs_at, sqs_that_refuses_late};

    fn lease(client: Client, timeout: u64) -> Lease {
        Lease::new(
            &queue(client),
            &Message { receipt: "r".into(), ..Message::default() },
            Duration::from_secs(timeout),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn work_longer_than_the_timeout_keeps_its_message() {
        let renewed = mock!(Client::change_message_visibility)
            .match_requests(|request| request.visibility_timeout() == Some(30))
            .then_output(|| ChangeMessageVisibilityOutput::builder().build());
        let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&renewed]);
        let work = sleep(Duration::from_secs(95));
        assert_eq!(lease(client, 30).while_held(work, &CancellationToken::new()).await, Leased::Ended(()));
        assert_eq!(renewed.num_calls(), 9, "every ten seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn short_work_is_not_renewed() {
        let renewed = mock!(Client::change_message_visibility)
            .then_output(|| ChangeMessageVisibilityOutput::builder().build());
        let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&renewed]);
        assert_eq!(
            lease(client, 30).while_held(async { 7 }, &CancellationToken::new()).await,
            Leased::Ended(7)
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
                Leased::Lost,
                "{code}"
            );
            assert_eq!(refused.num_calls(), 1, "{code}");
            assert!(begun.elapsed() < Duration::from_secs(11), "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_transient_error_is_tried_again_until_the_lease_ends() {
        let failing = mock!(Client::change_message_visibility)
            .then_http_response(|| refusal(503, "ServiceUnavailable"));
        let client = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&failing]);
        let begun = Instant::now();
        let work = sleep(Duration::from_secs(1000));
        assert_eq!(lease(client, 30).while_held(work, &CancellationToken::new()).await, Leased::Lost);
        assert!(failing.num_calls() > 3);
        assert_eq!(begun.elapsed().as_secs(), 25, "five seconds before SQS gives it to another receiver");
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_hangs_does_not_outlast_the_lease() {
        // The server accepts connections and never responds.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
        let lease = lease(sqs_at(&endpoint), 30);
        let work = sleep(Duration::from_secs(1000));
        assert_eq!(lease.while_held(work, &CancellationToken::new()).await, Leased::Lost);
        assert_eq!(lease.received_at.elapsed().as_secs(), 25);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_ends_while_its_lease_is_being_lost_is_late() {
        let lease = lease(sqs_that_refuses_late().await, 30);
        let work = sleep(Duration::from_millis(10_500));
        assert_eq!(lease.while_held(work, &CancellationToken::new()).await, Leased::EndedLate(()));
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
