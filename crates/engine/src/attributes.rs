// SPDX-License-Identifier: Apache-2.0
//! The limits on a message's attributes: at most ten, and with the body no more bytes than SQS accepts.

use crate::message::{Attribute, Attributes};

/// The most attributes of a message.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
const MOST: usize = 10;

/// The most bytes of a message: its body, and the names, types and values of its attributes.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub const MAX_BYTES: usize = 1024 * 1024;

/// Selects the attributes that fit with a body; the most important are added first.
#[derive(Debug)]
pub(crate) struct Packing {
    left: usize,
    pub(crate) attributes: Attributes,
}

impl Packing {
    /// Starts without attributes, for this body.
    pub(crate) fn for_body(body: &str) -> Self {
        Self { left: MAX_BYTES.saturating_sub(body.len()), attributes: Attributes::new() }
    }

    /// Reserves this many bytes, if available.
    pub(crate) fn keep_free(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }

    /// Rejects everything added from now on.
    pub(crate) fn close(&mut self) {
        self.left = 0;
    }

    /// Adds an attribute if SQS accepts it, and returns whether it did.
    pub(crate) fn put(&mut self, name: &str, value: Attribute) -> bool {
        let bytes = size_of(name, &value);
        let fits = self.attributes.len() < MOST && bytes <= self.left && !is_reserved(name);
        if fits {
            self.left -= bytes;
            self.attributes.insert(name.to_owned(), value);
        }
        fits
    }
}

/// Whether only AWS may send an attribute of this name.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("aws.") || name.starts_with("amazon.")
}

/// The bytes of a message, as SQS counts them.
#[must_use]
pub fn size(body: &str, attributes: &Attributes) -> usize {
    body.len() + attributes.iter().map(|(name, value)| size_of(name, value)).sum::<usize>()
}

fn size_of(name: &str, value: &Attribute) -> usize {
    name.len() + value.data_type.len() + value.bytes().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::AttributeValue;

    #[test]
    fn at_most_ten_attributes_are_added_within_the_size_limit() {
        let mut packing = Packing::for_body("");
        let put: Vec<bool> =
            (0..11).map(|nth| packing.put(&format!("a{nth}"), Attribute::from("x"))).collect();
        assert_eq!(put, [[true; 10].as_slice(), &[false]].concat());

        let binary = Attribute { data_type: "Binary.png".into(), value: AttributeValue::Binary(vec![0; 90]) };
        let body = "x".repeat(MAX_BYTES - 101);
        let mut packing = Packing::for_body(&body);
        assert!(!packing.put("it", binary.clone()), "102 bytes");
        assert!(packing.put("i", binary));
        assert_eq!(size(&body, &packing.attributes), MAX_BYTES);
        assert!(!Packing::for_body(&"x".repeat(MAX_BYTES + 1)).put("a", Attribute::from("x")));
    }

    #[test]
    fn names_reserved_for_aws_are_rejected() {
        let put = |name| Packing::for_body("").put(name, Attribute::from("x"));
        for name in ["AWS.trace", "aws.x", "Amazon.x", "aMAZON.x"] {
            assert!(!put(name), "{name}");
        }
        for name in ["AWS", "AWSTraceHeader", "my.AWS.x", "amazonite"] {
            assert!(put(name), "{name}");
        }
    }
}
