// SPDX-License-Identifier: Apache-2.0
//! What is recorded in the report bucket of the delivery of one report to one sink.

use std::ops::AddAssign;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The record of a delivery. One that earlier versions wrote has the version of the report alone, and is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The version of the report.
    pub etag: String,
    /// Until when the worker that has begun delivers it alone; `None` once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    #[serde(flatten)]
    pub counts: Counts,
    /// What the sink itself needs to know of what it has done so far.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub state: Value,
}

/// What became of the values, rows or documents of a report, as the sink counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    pub sent: u64,
    /// Refused by the sink for ever, and kept under `rejects/`.
    #[serde(skip_serializing_if = "is_zero")]
    pub rejected: u64,
    /// Not sent, because the sink does not take what is as old.
    #[serde(skip_serializing_if = "is_zero")]
    pub skipped: u64,
    /// Sent without an answer, and not sent again: the sink may have them or not.
    #[serde(skip_serializing_if = "is_zero")]
    pub unknown: u64,
    /// Sent without an answer, and sent again: the sink may have them twice.
    #[serde(skip_serializing_if = "is_zero")]
    pub repeated: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { sent, rejected, skipped, unknown, repeated } = other;
        self.sent += sent;
        self.rejected += rejected;
        self.skipped += skipped;
        self.unknown += unknown;
        self.repeated += repeated;
    }
}

impl Marker {
    /// Whether a version of the report is delivered.
    #[must_use]
    pub fn has(&self, etag: &str) -> bool {
        self.is_done() && self.etag == etag
    }

    #[must_use]
    pub fn is_done(&self) -> bool {
        self.until.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_of_an_earlier_version_is_done_and_counts_of_nothing_are_left_out() {
        let earlier: Marker = serde_json::from_str(r#"{"etag":"e"}"#).expect("a marker");
        assert!(earlier.has("e") && !earlier.has("f"));
        let counts = Counts { sent: 7, unknown: 1, ..Counts::default() };
        let text = serde_json::to_string(&Marker { counts, ..earlier.clone() }).expect("JSON");
        assert_eq!(text, r#"{"etag":"e","sent":7,"unknown":1}"#);
        let begun = Marker { until: Some(DateTime::UNIX_EPOCH), ..earlier };
        let text = serde_json::to_string(&begun).expect("JSON");
        let read: Marker = serde_json::from_str(&text).expect("a marker");
        assert!(read == begun && !read.has("e"));
    }
}
