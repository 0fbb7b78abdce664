//! What is read off the work queue before it is used: its timeout, its counts and where its dead
//! letters go.

use std::time::Duration;

use aws_sdk_sqs::{
    Client,
    types::{Message, QueueAttributeName},
};
use serde::Deserialize;

use crate::{AwsError, ErrorKind};

/// The attributes of a queue that the fleet goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueAttributes {
    /// How long a received message stays hidden where the receiver does not say.
    pub visibility_timeout: Duration,
    /// Where messages go that were received too often, and after how many receives.
    pub redrive: Option<Redrive>,
    /// How much is on the queue, approximately.
    pub counts: QueueCounts,
}

/// A queue's redrive policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// The ARN of the dead-letter queue.
    pub dead_letter_arn: String,
    /// How often a message is received before it is moved there.
    pub max_receive_count: u32,
}

/// How many messages a queue holds. SQS gives approximate counts: take no decision on one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueCounts {
    /// Waiting.
    pub visible: u64,
    /// Received and not deleted.
    pub in_flight: u64,
    /// Not to be received yet.
    pub delayed: u64,
}

impl QueueCounts {
    /// Whether nothing is left by this reading.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.visible == 0 && self.in_flight == 0 && self.delayed == 0
    }
}

/// Reads a queue's attributes.
///
/// # Errors
/// That of `GetQueueAttributes`, with the queue's URL; where the queue does not exist, with what to do.
pub async fn attributes(client: &Client, url: &str) -> Result<QueueAttributes, QueueError> {
    let answer = client
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(QueueAttributeName::VisibilityTimeout)
        .attribute_names(QueueAttributeName::RedrivePolicy)
        .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
        .attribute_names(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
        .attribute_names(QueueAttributeName::ApproximateNumberOfMessagesDelayed)
        .send()
        .await
        .map_err(|error| QueueError::Call {
            url: url.to_owned(),
            source: AwsError::new("sqs:GetQueueAttributes", error),
        })?;
    let text = |name: &QueueAttributeName| answer.attributes().and_then(|all| all.get(name));
    let number = |name: QueueAttributeName| {
        let value = text(&name).and_then(|value| value.parse().ok());
        value.ok_or_else(|| QueueError::Attribute { url: url.to_owned(), name: name.to_string() })
    };
    Ok(QueueAttributes {
        visibility_timeout: visibility_timeout(number(QueueAttributeName::VisibilityTimeout)?),
        redrive: match text(&QueueAttributeName::RedrivePolicy) {
            None => None,
            Some(policy) => Some(redrive(policy).ok_or_else(|| QueueError::Attribute {
                url: url.to_owned(),
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

/// The longest visibility timeout that SQS has: a queue of another maker may name one that no clock can count to.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>
const LONGEST_VISIBILITY: Duration = Duration::from_hours(12);

fn visibility_timeout(seconds: u64) -> Duration {
    Duration::from_secs(seconds).min(LONGEST_VISIBILITY)
}

/// Why a queue can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// A call failed.
    #[error("queue {url}: could not be read{}", advice(source))]
    Call {
        /// The queue's URL.
        url: String,
        /// What the call failed of.
        source: AwsError,
    },
    /// SQS left out an attribute, or gave one that is none.
    #[error("queue {url}: the answer has no usable {name}")]
    Attribute {
        /// The queue's URL.
        url: String,
        /// The attribute.
        name: String,
    },
}

/// What to do where a queue can't be read.
fn advice(error: &AwsError) -> &'static str {
    match error.kind {
        ErrorKind::NotFound => "; no such queue: create it, or correct FLEET_QUEUE_URL",
        ErrorKind::Denied => "; allow sqs:GetQueueAttributes on it to whoever runs this",
        // What is missing or has expired, the error says itself.
        _ if error.code == "NoCredentials" => "; there are no credentials to reach it with",
        ErrorKind::Identity | ErrorKind::Expired => {
            "; these credentials are refused: renew or correct AWS_PROFILE, AWS_ACCESS_KEY_ID or the role"
        }
        _ => "",
    }
}

impl From<QueueError> for AwsError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Call { source, .. } => source,
            QueueError::Attribute { .. } => Self::coded(
                "sqs:GetQueueAttributes",
                "MissingAttribute",
                error.to_string(),
                ErrorKind::Permanent,
            ),
        }
    }
}

/// How often a message was received, this time included.
#[must_use]
pub fn receive_count(message: &Message) -> u32 {
    system_attribute(message, &aws_sdk_sqs::types::MessageSystemAttributeName::ApproximateReceiveCount)
        .unwrap_or(1)
}

/// When a message was first sent.
#[must_use]
pub fn sent_at(message: &Message) -> Option<chrono::DateTime<chrono::Utc>> {
    system_attribute(message, &aws_sdk_sqs::types::MessageSystemAttributeName::SentTimestamp)
        .and_then(chrono::DateTime::from_timestamp_millis)
}

/// When a message was first received.
#[must_use]
pub fn first_received_at(message: &Message) -> Option<chrono::DateTime<chrono::Utc>> {
    system_attribute(
        message,
        &aws_sdk_sqs::types::MessageSystemAttributeName::ApproximateFirstReceiveTimestamp,
    )
    .and_then(chrono::DateTime::from_timestamp_millis)
}

/// Whether SQS itself moved a message of a dead-letter queue there. A copy that a worker or the console sent has no
/// source.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>
#[must_use]
pub fn was_moved(message: &Message) -> bool {
    let name = aws_sdk_sqs::types::MessageSystemAttributeName::DeadLetterQueueSourceArn;
    message.attributes().is_some_and(|all| all.contains_key(&name))
}

/// The URL of a queue's dead-letter queue, which is in the queue's own account and region; none where the
/// ARN is none.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>
#[must_use]
pub fn dead_letter_url(queue_url: &str, redrive: &Redrive) -> Option<String> {
    let (_, name) = redrive.dead_letter_arn.rsplit_once(':').filter(|(_, name)| !name.is_empty())?;
    let (place, _) = queue_url.rsplit_once('/')?;
    Some(format!("{place}/{name}"))
}

fn system_attribute<T: std::str::FromStr>(
    message: &Message,
    name: &aws_sdk_sqs::types::MessageSystemAttributeName,
) -> Option<T> {
    message.attributes()?.get(name)?.parse().ok()
}

/// Reads a redrive policy; its number is a number or, as the console once wrote it, a string.
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
        let told = |kind| {
            let (code, message) = ("Code".to_owned(), String::new());
            let source = AwsError::coded("sqs:GetQueueAttributes", code, message, kind);
            QueueError::Call { url: "https://x/1/jobs".into(), source }.to_string()
        };
        assert!(
            told(ErrorKind::Denied).ends_with("; allow sqs:GetQueueAttributes on it to whoever runs this")
        );
        for kind in [ErrorKind::Identity, ErrorKind::Expired] {
            assert!(told(kind).contains("; these credentials are refused: renew or correct AWS_PROFILE,"));
        }
        assert!(told(ErrorKind::NotFound).ends_with("create it, or correct FLEET_QUEUE_URL"));
        assert_eq!(told(ErrorKind::Transient), "queue https://x/1/jobs: could not be read");
    }

    #[test]
    fn the_dead_letter_queue_stands_beside_its_queue() {
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
