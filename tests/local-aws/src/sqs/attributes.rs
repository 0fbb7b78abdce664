// SPDX-License-Identifier: Apache-2.0
//! Message attributes and bodies: what SQS accepts, and the digests that SDKs check.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use crate::reply::ServiceError;

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
const MAX_ATTRIBUTES: usize = 10;

/// One message attribute, as JSON has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AttributeValue {
    pub(crate) data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) string_value: Option<String>,
    /// Base64, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) binary_value: Option<String>,
}

impl AttributeValue {
    pub(crate) fn text(value: &str) -> Self {
        Self { data_type: "String".to_owned(), string_value: Some(value.to_owned()), binary_value: None }
    }

    /// The transport's type byte and the value's bytes.
    fn encoded(&self) -> (u8, Vec<u8>) {
        match (&self.string_value, &self.binary_value) {
            (Some(text), _) => (1, text.as_bytes().to_vec()),
            (None, Some(base64)) => {
                (2, base64_simd::STANDARD.decode_to_vec(base64.as_bytes()).unwrap_or_default())
            }
            (None, None) => (1, Vec::new()),
        }
    }

    fn bytes(&self) -> usize {
        self.data_type.len() + self.encoded().1.len()
    }
}

/// The bytes that count against the 1 MiB limit: body, and names, types and values of attributes.
pub(crate) fn message_bytes(body: &str, attributes: &BTreeMap<String, AttributeValue>) -> usize {
    body.len() + attributes.iter().map(|(name, value)| name.len() + value.bytes()).sum::<usize>()
}

/// The hex MD5 of a message's body.
pub(crate) fn md5_of_body(body: &str) -> String {
    hex(&Md5::digest(body.as_bytes()))
}

/// The hex MD5 of attributes, over their sorted, length-prefixed encoding:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
pub(crate) fn md5_of_attributes(attributes: &BTreeMap<String, AttributeValue>) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut encoded = Vec::new();
    for (name, value) in attributes {
        let (transport, bytes) = value.encoded();
        push_with_length(&mut encoded, name.as_bytes());
        push_with_length(&mut encoded, value.data_type.as_bytes());
        encoded.push(transport);
        push_with_length(&mut encoded, &bytes);
    }
    Some(hex(&Md5::digest(&encoded)))
}

fn push_with_length(encoded: &mut Vec<u8>, bytes: &[u8]) {
    encoded.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    encoded.extend(bytes);
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Refuses what SQS refuses of one message.
pub(crate) fn check_message(
    body: &str,
    attributes: &BTreeMap<String, AttributeValue>,
    max_bytes: usize,
) -> Result<(), ServiceError> {
    if body.is_empty() {
        return Err(invalid("MissingParameter", "The request must contain the parameter MessageBody."));
    }
    if message_bytes(body, attributes) > max_bytes {
        let message = format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {max_bytes} bytes."
        );
        return Err(invalid("InvalidParameterValue", message));
    }
    let texts = attributes.values().filter_map(|value| value.string_value.as_deref());
    if std::iter::once(body).chain(texts).any(|text| !text.chars().all(is_allowed)) {
        return Err(invalid(
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
        ));
    }
    check_attributes(attributes)
}

fn check_attributes(attributes: &BTreeMap<String, AttributeValue>) -> Result<(), ServiceError> {
    let fail = |message: String| Err(invalid("InvalidParameterValue", message));
    if attributes.len() > MAX_ATTRIBUTES {
        return fail(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [10].",
            attributes.len()
        ));
    }
    for (name, value) in attributes {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let lower = name.to_ascii_lowercase();
        if name.is_empty() || name.len() > 256 || !name.bytes().all(allowed) {
            return fail(format!("The message attribute name '{name}' is invalid."));
        }
        if lower.starts_with("aws.")
            || lower.starts_with("amazon.")
            || name.starts_with('.')
            || name.ends_with('.')
        {
            return fail(format!("The message attribute name '{name}' is reserved."));
        }
        let kind = value.data_type.split('.').next().unwrap_or("");
        let present = match kind {
            "String" | "Number" => value.string_value.as_deref().is_some_and(|text| !text.is_empty()),
            "Binary" => value.binary_value.as_deref().is_some_and(|text| !text.is_empty()),
            _ => {
                return fail(format!(
                    "The message attribute '{name}' has an invalid message attribute type."
                ));
            }
        };
        if !present {
            return fail(format!(
                "The message attribute '{name}' must contain a non-empty value of type {kind}."
            ));
        }
    }
    Ok(())
}

/// The characters of XML 1.0, which SQS keeps to.
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

fn invalid(code: &'static str, message: impl Into<String>) -> ServiceError {
    ServiceError::new(code, message)
}

/// The attributes that a receive asks for by `All`, `.*`, a name or `prefix.*`.
pub(crate) fn select(
    attributes: &BTreeMap<String, AttributeValue>,
    names: &[String],
) -> BTreeMap<String, AttributeValue> {
    let wanted = |name: &str| {
        names.iter().any(|asked| {
            asked == "All"
                || asked == name
                || asked.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix))
        })
    };
    attributes
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(count: usize) -> BTreeMap<String, AttributeValue> {
        (0..count).map(|number| (format!("name-{number}"), AttributeValue::text("value"))).collect()
    }

    #[test]
    fn the_digest_of_a_body_is_plain_md5() {
        assert_eq!(md5_of_body("hello"), "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(md5_of_attributes(&BTreeMap::new()), None);
    }

    #[test]
    fn eleven_attributes_and_control_characters_are_refused() {
        assert!(check_message("body", &attributes(10), 1_048_576).is_ok());
        let code = |result: Result<(), ServiceError>| result.expect_err("refused").code;
        assert_eq!(code(check_message("body", &attributes(11), 1_048_576)), "InvalidParameterValue");
        assert_eq!(code(check_message("a\u{0}b", &attributes(0), 1_048_576)), "InvalidMessageContents");
        assert_eq!(code(check_message("", &attributes(0), 1_048_576)), "MissingParameter");
        assert_eq!(code(check_message("12345", &attributes(0), 4)), "InvalidParameterValue");
    }

    #[test]
    fn attributes_are_selected_by_name_prefix_or_all() {
        let all = attributes(3);
        assert_eq!(select(&all, &["All".to_owned()]).len(), 3);
        assert_eq!(select(&all, &["name-1".to_owned()]).len(), 1);
        assert_eq!(select(&all, &["name.*".to_owned()]).len(), 3);
        assert!(select(&all, &[]).is_empty());
    }
}
