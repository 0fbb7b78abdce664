// SPDX-License-Identifier: Apache-2.0
//! An SQS queue: its attributes and the calls made to it.

use std::time::Duration;

use aws_sdk_sqs::{
    Client, Error,
    config::Builder,
    types::{MessageSystemAttributeName, QueueAttributeName},
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::timeout::TimeoutConfig;
use serde::Deserialize;

use crate::{
    AwsError, ErrorKind, Message,
    message::{Attributes, to_sdk},
};

/// The maximum number of messages per receive.
///
/// Source:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
const MESSAGES_A_RECEIVE: usize = 10;

/// Classifies a failed call.
pub type Classify = fn(&'static str, SdkError<Error, HttpResponse>) -> AwsError;

/// A queue.
#[derive(Debug, Clone)]
pub struct Queue {
    /// A client of the queue's region.
    pub client: Client,
    pub url: String,
    /// The program's classifier of errors, shared by all services.
    pub classify: Classify,
}

/// The codes by which SQS reports that a receipt handle is no longer valid: the message is visible
/// again, deleted, or received by another consumer.
///
/// Source:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>
const RECEIPT_IS_LOST: [&str; 4] = [
    "MessageNotInflight",
    "AWS.SimpleQueueService.MessageNotInflight",
    "ReceiptHandleIsInvalid",
    "InvalidParameterValue",
];

/// Whether a code means that a receipt handle is no longer valid.
#[must_use]
pub fn is_receipt_lost(code: &str) -> bool {
    RECEIPT_IS_LOST.contains(&code)
}

impl Queue {
    /// Classifies the failure of `operation`, named as in IAM.
    pub fn failed<E>(&self, operation: &'static str, error: SdkError<E, HttpResponse>) -> AwsError
    where
        Error: From<E>,
    {
        (self.classify)(operation, error.map_service_error(Error::from))
    }

    /// This queue's dead-letter queue, which is in the same account and region; `None` if the ARN is not
    /// valid.
    ///
    /// Source:
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>
    #[must_use]
    pub fn dead_letters(&self, redrive: &Redrive) -> Option<Self> {
        Some(Self { url: dead_letter_url(&self.url, redrive)?, ..self.clone() })
    }

    /// Receives up to `most` messages, at most ten, and hides them for `visibility`. Waits up to
    /// `wait_seconds`, at most 20, for the first one; any wait makes SQS query all of its servers.
    ///
    /// Source:
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>
    pub async fn receive(
        &self,
        most: usize,
        visibility: Duration,
        wait_seconds: i32,
    ) -> Result<Vec<Message>, AwsError> {
        let most = i32::try_from(most.min(MESSAGES_A_RECEIVE)).expect("cannot fail: it is ten at most");
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(most)
            .visibility_timeout(i32::try_from(visibility.as_secs()).unwrap_or(i32::MAX))
            .wait_time_seconds(wait_seconds)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateFirstReceiveTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::DeadLetterQueueSourceArn)
            .message_attribute_names("All")
            .send()
            .await;
        let answer = answer.map_err(|error| self.failed("sqs:ReceiveMessage", error))?;
        Ok(answer.messages.unwrap_or_default().into_iter().map(Message::from).collect())
    }

    /// Sends a message.
    pub async fn send(&self, body: &str, attributes: &Attributes) -> Result<(), AwsError> {
        const OPERATION: &str = "sqs:SendMessage";
        let call = self.client.send_message().queue_url(&self.url).message_body(body);
        let sent = call.set_message_attributes(Some(to_sdk(attributes))).send().await;
        let sent = sent.map_err(|error| self.failed(OPERATION, error))?;
        sent.message_id.map(drop).ok_or_else(|| AwsError::unconfirmed(OPERATION, "MessageId"))
    }

    /// Hides a message for `visibility` from now on. Fails if SQS takes longer than `timeout` to
    /// respond.
    pub async fn change_visibility(
        &self,
        receipt: &str,
        visibility: Duration,
        timeout: Duration,
    ) -> Result<(), AwsError> {
        // Rounds up: a message must not become visible early.
        let seconds = visibility.as_millis().div_ceil(1000);
        let timeouts = TimeoutConfig::builder().operation_timeout(timeout).build();
        let changed = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt)
            .visibility_timeout(i32::try_from(seconds).unwrap_or(i32::MAX))
            .customize()
            .config_override(Builder::new().timeout_config(timeouts))
            .send()
            .await;
        changed.map(drop).map_err(|error| self.failed("sqs:ChangeMessageVisibility", error))
    }

    pub async fn delete(&self, receipt: &str) -> Result<(), AwsError> {
        let deleted = self.client.delete_message().queue_url(&self.url).receipt_handle(receipt).send().await;
        deleted.map(drop).map_err(|error| self.failed("sqs:DeleteMessage", error))
    }

    /// Reads the queue's attributes.
    ///
    /// # Errors
    ///
    /// The error of `GetQueueAttributes`, with the queue's URL; if the queue does not exist, with what
    /// to do.
    pub async fn attributes(&self) -> Result<QueueAttributes, QueueError> {
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(QueueAttributeName::VisibilityTimeout)
            .attribute_names(QueueAttributeName::RedrivePolicy)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessagesDelayed)
            .send()
            .await
            .map_err(|error| QueueError::Call {
                url: self.url.clone(),
                source: self.failed("sqs:GetQueueAttributes", error),
            })?;
        let text = |name: &QueueAttributeName| answer.attributes().and_then(|all| all.get(name));
        let number = |name: QueueAttributeName| {
            let value = text(&name).and_then(|value| value.parse().ok());
            value.ok_or_else(|| QueueError::Attribute { url: self.url.clone(), name: name.to_string() })
        };
        Ok(QueueAttributes {
            visibility_timeout: visibility_timeout(number(QueueAttributeName::VisibilityTimeout)?),
            redrive: match text(&QueueAttributeName::RedrivePolicy) {
                None => None,
                Some(policy) => Some(redrive(policy).ok_or_else(|| QueueError::Attribute {
                    url: self.url.clone(),
                    name: QueueAttributeName::RedrivePolicy.to_string(),
                })?),
            },
            counts: QueueCounts {
                visible: number(QueueAttributeName::ApproximateNumberOfMessages)?,
                in_flight: number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)?,
                delayed: number(QueueAttributeName::ApproximateNumberOfMessagesDelayed)?,
            },
        })
    }
}

/// The attributes of a queue that the fleet uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueAttributes {
    /// How long a received message stays hidden if the receiver sets nothing else.
    pub visibility_timeout: Duration,
    /// Where SQS moves messages that were received too often, and after how many receives.
    pub redrive: Option<Redrive>,
    /// The approximate counts of messages.
    pub counts: QueueCounts,
}

/// A queue's redrive policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// The ARN of the dead-letter queue.
    pub dead_letter_arn: String,
    /// How often a message is received before SQS moves it there.
    pub max_receive_count: u32,
}

/// How many messages a queue holds. SQS's counts are approximate: make no decision on one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueCounts {
    pub visible: u64,
    pub in_flight: u64,
    /// Not visible yet.
    pub delayed: u64,
}

impl QueueCounts {
    /// Whether the queue is empty by this reading.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.visible == 0 && self.in_flight == 0 && self.delayed == 0
    }
}

/// The maximum visibility timeout in SQS: another vendor's queue may report one that overflows clocks.
///
/// Source:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>
const LONGEST_VISIBILITY: Duration = Duration::from_hours(12);

fn visibility_timeout(seconds: u64) -> Duration {
    Duration::from_secs(seconds).min(LONGEST_VISIBILITY)
}

/// Why a queue can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// A call failed.
    #[error("queue {url}: could not be read{}", advice(source))]
    Call { url: String, source: AwsError },
    /// SQS left out an attribute, or returned an invalid one.
    #[error("queue {url}: the response has no valid {name}")]
    Attribute { url: String, name: String },
}

/// What to do if a queue can't be read.
fn advice(error: &AwsError) -> &'static str {
    match error.kind {
        ErrorKind::NotFound => "; no such queue: create it, or correct FLEET_QUEUE_URL",
        ErrorKind::Denied => "; allow sqs:GetQueueAttributes on it to the caller",
        // The error itself says what is missing or has expired.
        _ if error.code == "NoCredentials" => "; there are no credentials for it",
        ErrorKind::Identity | ErrorKind::Expired => {
            "; these credentials are not valid: renew or correct AWS_PROFILE, AWS_ACCESS_KEY_ID or the role"
        }
        _ => "",
    }
}

impl From<QueueError> for AwsError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Call { source, .. } => source,
            QueueError::Attribute { .. } => {
                Self::new(ErrorKind::Permanent, "sqs:GetQueueAttributes", "MissingAttribute")
                    .message(error.to_string())
            }
        }
    }
}

fn dead_letter_url(queue_url: &str, redrive: &Redrive) -> Option<String> {
    let (_, name) = redrive.dead_letter_arn.rsplit_once(':').filter(|(_, name)| !name.is_empty())?;
    let (place, _) = queue_url.rsplit_once('/')?;
    Some(format!("{place}/{name}"))
}

/// Parses a redrive policy; its count is a number or, as the console once wrote it, a string.
fn redrive(policy: &str) -> Option<Redrive> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Policy {
        dead_letter_target_arn: String,
        max_receive_count: serde_json::Value,
    }
    let policy: Policy = serde_json::from_str(policy).ok()?;
    let count = &policy.max_receive_count;
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok())?;
    Some(Redrive {
        dead_letter_arn: policy.dead_letter_target_arn,
        max_receive_count: u32::try_from(count).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_spellings_of_a_redrive_policy() {
        for count in ["12", "\"12\""] {
            let policy = format!(
                r#"{{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:1:dead","maxReceiveCount":{count}}}"#
            );
            assert_eq!(redrive(&policy).map(|r| r.max_receive_count), Some(12));
        }
        assert_eq!(redrive("{}"), None);
    }

    #[test]
    fn a_visibility_timeout_is_one_that_clocks_can_count_to() {
        assert_eq!(visibility_timeout(30), Duration::from_secs(30));
        let longest = std::time::Instant::now() + visibility_timeout(u64::MAX);
        assert!(longest > std::time::Instant::now());
    }

    #[test]
    fn a_queue_that_can_not_be_read_says_what_to_do() {
        let message = |kind| {
            let source = AwsError::new(kind, "sqs:GetQueueAttributes", "Code");
            QueueError::Call { url: "https://x/1/jobs".into(), source }.to_string()
        };
        assert!(message(ErrorKind::Denied).ends_with("; allow sqs:GetQueueAttributes on it to the caller"));
        for kind in [ErrorKind::Identity, ErrorKind::Expired] {
            assert!(
                message(kind).contains("; these credentials are not valid: renew or correct AWS_PROFILE,")
            );
        }
        assert!(message(ErrorKind::NotFound).ends_with("create it, or correct FLEET_QUEUE_URL"));
        assert_eq!(message(ErrorKind::Transient), "queue https://x/1/jobs: could not be read");
    }

    #[test]
    fn the_dead_letter_queue_is_in_its_queues_account_and_region() {
        let url = |arn: &str| {
            let redrive = Redrive { dead_letter_arn: arn.into(), max_receive_count: 12 };
            dead_letter_url("https://sqs.eu-west-1.amazonaws.com/111111111111/jobs", &redrive)
        };
        let expected = "https://sqs.eu-west-1.amazonaws.com/111111111111/jobs-dead";
        assert_eq!(url("arn:aws:sqs:eu-west-1:111111111111:jobs-dead").as_deref(), Some(expected));
        assert_eq!(url("jobs-dead"), None);
        assert_eq!(url("arn:aws:sqs:eu-west-1:111111111111:"), None);
    }
}
