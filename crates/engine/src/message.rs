// SPDX-License-Identifier: Apache-2.0
//! A message as plain values. Only this file and [`queue`](crate::queue) use types of the SDK.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_sqs::{
    primitives::Blob,
    types::{Message as SdkMessage, MessageAttributeValue, MessageSystemAttributeName as Name},
};
use chrono::{DateTime, Utc};

/// A received message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    pub id: String,
    /// The receipt handle, which identifies this receipt of the message.
    pub receipt: String,
    pub body: String,
    pub attributes: Attributes,
    /// How often it has been received, this time included.
    pub receive_count: u32,
    pub sent_at: Option<DateTime<Utc>>,
    pub first_received_at: Option<DateTime<Utc>>,
    /// Whether SQS itself moved it to its dead-letter queue. A copy that a worker or the console sent has no source.
    /// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>
    pub was_moved: bool,
}

/// The attributes of a message, by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// One attribute: its data type as SQS has it, such as `String` or `Number.int`, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    pub data_type: String,
    pub value: AttributeValue,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    Text(String),
    Binary(Vec<u8>),
}

/// What a message is about, as an attribute of its copies: for people who look at a queue, and for
/// programs that must not read bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The name of the attribute.
    pub name: &'static str,
    pub value: String,
    /// Whether a copy of the message would otherwise lose it. Such labels take precedence over the
    /// attributes of other programs.
    pub is_needed: bool,
}

impl Message {
    /// The text of an attribute; `None` if there is no such attribute, or a binary one.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.text()
    }
}

impl From<SdkMessage> for Message {
    fn from(message: SdkMessage) -> Self {
        let system = |name: Name| message.attributes()?.get(&name).map(String::as_str);
        let moment = |name| system(name)?.parse().ok().and_then(DateTime::from_timestamp_millis);
        Self {
            receive_count: system(Name::ApproximateReceiveCount)
                .and_then(|count| count.parse().ok())
                .unwrap_or(1),
            sent_at: moment(Name::SentTimestamp),
            first_received_at: moment(Name::ApproximateFirstReceiveTimestamp),
            was_moved: system(Name::DeadLetterQueueSourceArn).is_some(),
            attributes: message.message_attributes().into_iter().flatten().map(from_sdk).collect(),
            id: message.message_id.unwrap_or_default(),
            receipt: message.receipt_handle.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
        }
    }
}

impl Attribute {
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            AttributeValue::Text(text) => Some(text),
            AttributeValue::Binary(_) => None,
        }
    }

    /// The bytes of the value.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.value {
            AttributeValue::Text(text) => text.as_bytes(),
            AttributeValue::Binary(bytes) => bytes,
        }
    }
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self { data_type: "String".into(), value: AttributeValue::Text(text.into()) }
    }
}

fn from_sdk((name, value): (&String, &MessageAttributeValue)) -> (String, Attribute) {
    let binary = value.binary_value().map(|bytes| AttributeValue::Binary(bytes.as_ref().to_vec()));
    let text = || AttributeValue::Text(value.string_value().unwrap_or_default().to_owned());
    let value = Attribute { data_type: value.data_type().to_owned(), value: binary.unwrap_or_else(text) };
    (name.clone(), value)
}

/// Attributes as the SDK sends them.
#[must_use]
pub fn to_sdk(attributes: &Attributes) -> HashMap<String, MessageAttributeValue> {
    let to_sdk = |attribute: &Attribute| {
        let value = MessageAttributeValue::builder().data_type(&attribute.data_type);
        let value = match &attribute.value {
            AttributeValue::Text(text) => value.string_value(text),
            AttributeValue::Binary(bytes) => value.binary_value(Blob::new(bytes.as_slice())),
        };
        value.build().expect("cannot fail: the data type is set")
    };
    attributes.iter().map(|(name, attribute)| (name.clone(), to_sdk(attribute))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_converted_from_the_sdk() {
        let attribute = MessageAttributeValue::builder().data_type("Number.int").string_value("7").build();
        let binary = MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([0, 255]));
        let received = SdkMessage::builder()
            .message_id("m-1")
            .receipt_handle("r")
            .body("{}")
            .attributes(Name::ApproximateReceiveCount, "2")
            .attributes(Name::SentTimestamp, "1794045600000")
            .attributes(Name::DeadLetterQueueSourceArn, "arn")
            .message_attributes("seven", attribute.expect("it has a type"))
            .message_attributes("bytes", binary.build().expect("it has a type"))
            .build();
        let sdk = received.message_attributes().cloned();
        let message = Message::from(received);
        assert_eq!(
            (message.id.as_str(), message.receipt.as_str(), message.body.as_str()),
            ("m-1", "r", "{}")
        );
        assert_eq!((message.receive_count, message.first_received_at, message.was_moved), (2, None, true));
        assert_eq!(message.sent_at.map(|at| at.timestamp()), Some(1_794_045_600));
        assert_eq!(
            (message.text("seven"), message.text("bytes"), message.text("none")),
            (Some("7"), None, None)
        );
        assert_eq!(Some(to_sdk(&message.attributes)), sdk);
    }

    #[test]
    fn a_message_without_attributes_was_received_once() {
        let message = Message::from(SdkMessage::builder().build());
        assert_eq!(message, Message { receive_count: 1, ..Message::default() });
    }
}
