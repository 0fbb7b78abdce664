//! What a report says of itself: the user metadata of its object.
//!
//! The worker writes it, and `status`, `run --only-incomplete` and a later delivery of the same job
//! read it. There is no other record of what is done.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{AccountId, AccountName, ReportDate, RunId};

/// The content type of a report.
pub const CONTENT_TYPE: &str = "text/csv; charset=utf-8";

/// The most user metadata that S3 takes, in bytes of keys and values.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
const MAX_METADATA_BYTES: usize = 2048;

/// What S3 puts before each key; whether it counts is not said, so that it is counted.
const KEY_PREFIX: &str = "x-amz-meta-";

/// The longest `first-error`, in characters: what it names must be found, not told.
const MAX_FIRST_ERROR: usize = 300;

/// Whether everything that was asked is in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportStatus {
    /// Everything is.
    Complete,
    /// Something is missing, and `first-error` says what.
    Partial,
}

/// The metadata of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportMetadata {
    /// The run that it was written for.
    pub run_id: RunId,
    /// Whose buckets it is about.
    pub account_name: AccountName,
    /// The id of that account.
    pub account_id: AccountId,
    /// Which dataset.
    pub dataset: String,
    /// The day asked for.
    pub report_date: ReportDate,
    /// Whether all of it is there.
    pub status: ReportStatus,
    /// Rows, the header left out.
    pub rows: u64,
    /// Rows whose values are of a day before the one asked for.
    pub rows_late: u64,
    /// Rows that could not be asked for.
    pub rows_denied: u64,
    /// Rows of which a value is missing that CloudWatch may have.
    pub rows_error: u64,
    /// What went wrong first, where something did.
    pub first_error: Option<String>,
    /// The SHA-256 of the body, in hexadecimal.
    pub sha256: String,
    /// Calls made of AWS for it, retries included.
    pub api_calls: u64,
    /// Metrics asked of `GetMetricData`, which is what is paid for.
    pub metrics_requested: u64,
    /// What the calls cost, by AWS's list price.
    pub estimated_cost_usd: f64,
    /// The job's passthrough attributes; none where they did not fit.
    pub attributes: Option<Map<String, Value>>,
}

impl ReportMetadata {
    /// The metadata as S3 takes it: ASCII, and at most 2,048 bytes in all. Attributes that do not
    /// fit are left out, and `attributes-omitted` says so.
    #[must_use]
    pub fn to_headers(&self) -> HashMap<String, String> {
        let mut headers: HashMap<String, String> = [
            ("run-id", self.run_id.to_string()),
            ("account-name", self.account_name.to_string()),
            ("account-id", self.account_id.to_string()),
            ("dataset", self.dataset.clone()),
            ("report-date", self.report_date.to_string()),
            ("status", self.status.as_str().to_owned()),
            ("rows", self.rows.to_string()),
            ("rows-late", self.rows_late.to_string()),
            ("rows-denied", self.rows_denied.to_string()),
            ("rows-error", self.rows_error.to_string()),
            ("sha256", self.sha256.clone()),
            ("api-calls", self.api_calls.to_string()),
            ("metrics-requested", self.metrics_requested.to_string()),
            ("estimated-cost-usd", format!("{:.6}", self.estimated_cost_usd)),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        if let Some(error) = &self.first_error {
            let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
            headers
                .insert("first-error".into(), error.chars().take(MAX_FIRST_ERROR).map(printable).collect());
        }
        let attributes = self.attributes.as_ref().map(ascii_json);
        let fits = |text: &String| {
            size(&headers) + KEY_PREFIX.len() + "attributes".len() + text.len() <= MAX_METADATA_BYTES
        };
        match attributes.filter(fits) {
            Some(text) => headers.insert("attributes".into(), text),
            None => headers.insert("attributes-omitted".into(), "true".into()),
        };
        headers
    }

    /// The same report, written for another run.
    #[must_use]
    pub fn for_run(&self, run_id: &RunId) -> Self {
        Self { run_id: run_id.clone(), ..self.clone() }
    }

    /// Reads the metadata of an object; none where the object is no report of ours.
    #[must_use]
    pub fn from_headers(headers: &HashMap<String, String>) -> Option<Self> {
        let text = |key: &str| headers.get(key);
        let number = |key: &str| text(key)?.parse().ok();
        Some(Self {
            run_id: text("run-id")?.parse().ok()?,
            account_name: text("account-name")?.parse().ok()?,
            account_id: text("account-id")?.parse().ok()?,
            dataset: text("dataset")?.clone(),
            report_date: text("report-date")?.parse().ok()?,
            status: ReportStatus::parse(text("status")?)?,
            rows: number("rows")?,
            rows_late: number("rows-late")?,
            rows_denied: number("rows-denied")?,
            rows_error: number("rows-error")?,
            first_error: text("first-error").cloned(),
            sha256: text("sha256")?.clone(),
            api_calls: number("api-calls")?,
            metrics_requested: number("metrics-requested")?,
            estimated_cost_usd: text("estimated-cost-usd")?.parse().ok()?,
            attributes: text("attributes").and_then(|text| serde_json::from_str(text).ok()),
        })
    }

    /// Whether this report is what run `run_id` wanted for `date`: complete, of that day, and of
    /// that run or a later one.
    #[must_use]
    pub fn counts_for(&self, run_id: &RunId, date: ReportDate) -> bool {
        self.is_complete_for(date) && self.run_id.is_or_follows(run_id)
    }

    /// Whether this is a complete report of `date`.
    #[must_use]
    pub fn is_complete_for(&self, date: ReportDate) -> bool {
        self.status == ReportStatus::Complete && self.report_date == date
    }
}

impl ReportStatus {
    /// The word in the metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Complete, Self::Partial].into_iter().find(|status| status.as_str() == text)
    }
}

fn size(headers: &HashMap<String, String>) -> usize {
    headers.iter().map(|(key, value)| KEY_PREFIX.len() + key.len() + value.len()).sum()
}

/// JSON with everything beyond printable ASCII written `\u…`, as a header needs it.
fn ascii_json(attributes: &Map<String, Value>) -> String {
    let json = Value::Object(attributes.clone()).to_string();
    let mut ascii = String::with_capacity(json.len());
    for character in json.chars() {
        if matches!(character, ' '..='~') {
            ascii.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn metadata(attributes: &Value) -> ReportMetadata {
        ReportMetadata {
            run_id: RunId::generate(),
            account_name: "data".parse().expect("a name"),
            account_id: "111111111111".parse().expect("an id"),
            dataset: "s3_daily_storage".into(),
            report_date: "2026-11-01".parse().expect("a date"),
            status: ReportStatus::Partial,
            rows: 4,
            rows_late: 1,
            rows_denied: 1,
            rows_error: 0,
            first_error: Some("bucket b: AccessDenied\n✗".into()),
            sha256: "0".repeat(64),
            api_calls: 9,
            metrics_requested: 29,
            estimated_cost_usd: 0.00029,
            attributes: attributes.as_object().cloned(),
        }
    }

    #[test]
    fn reads_what_it_writes() {
        let written = metadata(&json!({"ticket": "OPS-7", "note": "ça va 🎉", "deep": {"n": 1.5}}));
        let headers = written.to_headers();
        assert!(headers["attributes"].contains("\\ud83c\\udf89"), "{}", headers["attributes"]);
        assert_eq!(headers["first-error"], "bucket b: AccessDenied??");
        let mut read = ReportMetadata::from_headers(&headers).expect("a report");
        read.first_error.clone_from(&written.first_error);
        assert_eq!(read, written);
    }

    #[test]
    fn attributes_that_do_not_fit_are_left_out_by_name() {
        let headers = metadata(&json!({"note": "x".repeat(2000)})).to_headers();
        assert_eq!(headers["attributes-omitted"], "true");
        assert!(!headers.contains_key("attributes"));
    }

    #[test]
    fn what_another_program_wrote_is_no_report() {
        assert_eq!(ReportMetadata::from_headers(&HashMap::new()), None);
        let mut headers = metadata(&json!({})).to_headers();
        headers.insert("status".into(), "done".into());
        assert_eq!(ReportMetadata::from_headers(&headers), None);
    }

    #[test]
    fn counts_for_its_own_and_earlier_runs_of_its_day_once_complete() {
        let earlier = RunId::generate();
        let mut report = metadata(&json!({}));
        let later = RunId::generate();
        assert!(!report.counts_for(&report.run_id, report.report_date), "partial");
        report.status = ReportStatus::Complete;
        assert!(report.counts_for(&report.run_id, report.report_date));
        assert!(report.counts_for(&earlier, report.report_date));
        assert!(!report.counts_for(&later, report.report_date), "an older report");
        assert!(!report.counts_for(&earlier, report.report_date.days_before(1)), "another day");
    }

    proptest! {
        #[test]
        fn always_fits_and_is_ascii(note in ".{0,900}", error in ".{0,2000}") {
            let mut written = metadata(&json!({"note": note}));
            written.first_error = Some(error);
            let headers = written.to_headers();
            prop_assert!(size(&headers) <= MAX_METADATA_BYTES);
            prop_assert!(headers.values().all(|value| value.bytes().all(|byte| (b' '..=b'~').contains(&byte))));
            if let Some(text) = headers.get("attributes") {
                prop_assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), json!({"note": note}));
            }
        }
    }
}
