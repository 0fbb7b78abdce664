// SPDX-License-Identifier: Apache-2.0
//! Names as CloudWatch takes them.

use crate::settings::Value;

pub(super) fn name_in_cloudwatch(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if !is_in_cloudwatch(text) {
        value.fault("is no name that CloudWatch takes: ASCII, 255 characters at most");
    }
    Some(text.to_owned())
}

/// Whether CloudWatch takes a text as a name, or as a dimension's value.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html>
pub(super) fn is_in_cloudwatch(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}
