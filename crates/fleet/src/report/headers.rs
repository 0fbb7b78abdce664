// SPDX-License-Identifier: Apache-2.0
//! A report's metadata as the user metadata of its object: text by key, within the limits of S3.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value};

use super::{EVERY_REGION, ReportMetadata, ReportStatus};
use crate::{
    Dataset, ReportDate, Window, datasets,
    window::{moment, time},
};

/// The version of the metadata and the table that this program writes. A reader ignores unknown keys and
/// uses defaults for missing ones, so that reports of other versions stay readable.
const FORMAT: u32 = 2;

/// The maximum size of user metadata in S3, in bytes of keys and values.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
const MAX_METADATA_BYTES: usize = 2048;

/// The prefix that S3 adds to each key. AWS does not document whether it counts, so it is counted.
const KEY_PREFIX: &str = "x-amz-meta-";

/// The maximum length of `first-error`, in characters: enough to find what it names.
const MAX_FIRST_ERROR: usize = 300;

/// The maximum length of a list of regions in one value, in characters.
const MAX_REGIONS: usize = 150;

impl ReportMetadata {
    /// The metadata in the form that S3 accepts: ASCII, and at most 2,048 bytes in all. Attributes that
    /// do not fit are left out, and `attributes-omitted` says so.
    #[must_use]
    pub fn to_headers(&self) -> HashMap<String, String> {
        let yes = |is_so: bool| is_so.then(|| "true".to_owned());
        let shorter = Some(self.window).filter(|window| !window.is_day());
        let keys = [
            ("format", Some(FORMAT.to_string())),
            ("run-id", Some(self.run_id.to_string())),
            ("account-name", Some(self.account_name.to_string())),
            ("account-id", Some(self.account_id.to_string())),
            ("dataset", Some(self.dataset.clone())),
            ("report-date", Some(self.window.date().to_string())),
            ("from", shorter.map(|window| moment(window.start()))),
            ("to", shorter.map(|window| moment(window.end()))),
            ("status", Some(self.status.as_str().to_owned())),
            ("unfinished", yes(self.is_unfinished)),
            ("collected-at", Some(self.collected_at.to_rfc3339_opts(SecondsFormat::Secs, true))),
            ("settle-seconds", Some(self.settle_time.num_seconds().to_string())),
            ("settled", Some(self.is_settled().to_string())),
            ("listed", Some(self.is_listed.to_string())),
            ("directory-buckets", self.lacks_directory_buckets.then(|| "not listed".to_owned())),
            ("regions", self.lacks_regions.then(|| "not listed".to_owned())),
            ("tags", self.lacks_tags.then(|| "denied".to_owned())),
            ("facts", self.lacks_facts.then(|| "denied".to_owned())),
            ("selection-of", self.selection_of.clone()),
            ("measures", self.measures.clone()),
            ("period-seconds", self.period_seconds.map(|seconds| seconds.to_string())),
            ("rows", Some(self.rows.to_string())),
            ("rows-late", Some(self.rows_late.to_string())),
            ("rows-denied", Some(self.rows_denied.to_string())),
            ("rows-error", Some(self.rows_error.to_string())),
            ("rows-carried", Some(self.rows_carried).filter(|rows| *rows > 0).map(|rows| rows.to_string())),
            ("bytes", self.bytes.map(|bytes| bytes.to_string())),
            ("objects", self.objects.map(|objects| objects.to_string())),
            ("regions-denied", listed(&self.regions_denied)),
            ("regions-pending", pending(&self.regions_pending)),
            ("first-error", self.first_error.as_deref().map(printable)),
            ("sha256", Some(self.sha256.clone())),
            ("api-calls", Some(self.api_calls.to_string())),
            ("metrics-requested", Some(self.metrics_requested.to_string())),
            ("job-windows", self.job_windows.map(|windows| windows.to_string())),
            ("job-metrics", self.job_metrics.map(|metrics| metrics.to_string())),
            ("estimated-cost-usd", Some(format!("{:.6}", self.estimated_cost_usd))),
        ];
        let keys = keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        let mut headers: HashMap<String, String> = keys.collect();
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

    /// Parses the metadata of an object written at `written_at`. `None` if the object is not a report: a
    /// report has at least a run, account, day and status. All other keys have defaults, for reports of other
    /// versions; one that names no dataset is of the only one that there was.
    #[must_use]
    pub fn from_headers(headers: &HashMap<String, String>, written_at: DateTime<Utc>) -> Option<Self> {
        let text = |key: &str| headers.get(key);
        let number = |key: &str| text(key).and_then(|text| text.parse().ok());
        let is = |key: &str| text(key).map(|text| text == "true");
        let total = |key: &str| text(key).and_then(|text| text.parse().ok());
        let regions = |key: &str| text(key).map_or_else(Vec::new, |text| unlisted(text));
        let dataset = text("dataset").map_or(datasets::DEFAULT.name, String::as_str).to_owned();
        let report_date: ReportDate = text("report-date")?.parse().ok()?;
        let window = match (text("from"), text("to")) {
            (Some(from), Some(to)) => Window::between(time("from", from).ok()?, time("to", to).ok()?)?,
            _ => report_date.into(),
        };
        let collected_at = text("collected-at").and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        let collected_at = collected_at.map_or(written_at, |time| time.to_utc());
        // Ten years at most: a longer one is not a settle time, and could overflow a date.
        let settle_time = text("settle-seconds")
            .and_then(|text| text.parse().ok())
            .filter(|s| (0..=315_360_000).contains(s));
        let settle_time = settle_time.map(TimeDelta::seconds);
        let settle_time = settle_time.or_else(|| Some(Dataset::find(&dataset)?.settle_time()));
        Some(Self {
            run_id: text("run-id")?.parse().ok()?,
            account_name: text("account-name")?.parse().ok()?,
            account_id: text("account-id")?.parse().ok()?,
            dataset,
            window,
            status: ReportStatus::parse(text("status")?)?,
            is_unfinished: is("unfinished").unwrap_or_default(),
            collected_at,
            settle_time: settle_time.unwrap_or_default(),
            is_listed: is("listed").unwrap_or_else(|| report_date.is_listed_at(collected_at)),
            lacks_directory_buckets: text("directory-buckets").is_some(),
            lacks_regions: text("regions").is_some(),
            lacks_tags: text("tags").is_some(),
            lacks_facts: text("facts").is_some(),
            selection_of: text("selection-of").cloned(),
            measures: text("measures").cloned(),
            period_seconds: text("period-seconds").and_then(|text| text.parse().ok()),
            rows: number("rows").unwrap_or_default(),
            rows_late: number("rows-late").unwrap_or_default(),
            rows_denied: number("rows-denied").unwrap_or_default(),
            rows_error: number("rows-error").unwrap_or_default(),
            rows_carried: number("rows-carried").unwrap_or_default(),
            bytes: total("bytes"),
            objects: total("objects"),
            regions_denied: regions("regions-denied"),
            regions_pending: regions("regions-pending"),
            first_error: text("first-error").cloned(),
            sha256: text("sha256").cloned().unwrap_or_default(),
            api_calls: number("api-calls").unwrap_or_default(),
            metrics_requested: number("metrics-requested").unwrap_or_default(),
            job_windows: text("job-windows").and_then(|text| text.parse().ok()),
            job_metrics: number("job-metrics"),
            estimated_cost_usd: text("estimated-cost-usd")
                .and_then(|text| text.parse().ok())
                .unwrap_or_default(),
            attributes: text("attributes").and_then(|text| serde_json::from_str(text).ok()),
        })
    }
}

/// As many regions as fit, separated by commas; `None` if there are none.
fn listed(regions: &[String]) -> Option<String> {
    let mut text = String::new();
    for (at, region) in regions.iter().enumerate() {
        if text.len() + region.len() > MAX_REGIONS {
            text.push_str(&format!(",+{}", regions.len() - at));
            break;
        }
        if at > 0 {
            text.push(',');
        }
        text.push_str(region);
    }
    (!text.is_empty()).then_some(text)
}

/// Regions separated by commas, or [`EVERY_REGION`] if that is too long; `None` if there are none. Not
/// shortened: an omitted region would count as listed.
fn pending(regions: &[String]) -> Option<String> {
    let text = regions.join(",");
    let text = if text.len() > 2 * MAX_REGIONS { EVERY_REGION.to_owned() } else { text };
    (!text.is_empty()).then_some(text)
}

fn unlisted(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

/// The shortened text, with everything except printable ASCII replaced, as required in a header.
fn printable(text: &str) -> String {
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.chars().take(MAX_FIRST_ERROR).map(printable).collect()
}

fn size(headers: &HashMap<String, String>) -> usize {
    headers.iter().map(|(key, value)| KEY_PREFIX.len() + key.len() + value.len()).sum()
}

/// JSON with everything except printable ASCII escaped as `\u…`, as required in a header.
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
    use crate::report::{
        Remaining,
        tests::{S3, at, metadata},
    };

    fn read(headers: &HashMap<String, String>) -> Option<ReportMetadata> {
        ReportMetadata::from_headers(headers, at("2026-11-02T18:05:00Z"))
    }

    #[test]
    fn reads_what_it_writes() {
        let written = metadata(&json!({"ticket": "OPS-7", "note": "ça va 🎉", "deep": {"n": 1.5}}));
        let headers = written.to_headers();
        assert!(headers["attributes"].contains("\\ud83c\\udf89"), "{}", headers["attributes"]);
        assert_eq!(headers["first-error"], "bucket b: AccessDenied??");
        let mut read = read(&headers).expect("a report");
        read.first_error.clone_from(&written.first_error);
        assert_eq!(read, written);
    }

    #[test]
    fn attributes_that_do_not_fit_are_left_out_and_noted() {
        let headers = metadata(&json!({"note": "x".repeat(2000)})).to_headers();
        assert_eq!(headers["attributes-omitted"], "true");
        assert!(!headers.contains_key("attributes"));
    }

    #[test]
    fn an_object_of_another_program_is_not_a_report() {
        assert_eq!(read(&HashMap::new()), None);
        let mut headers = metadata(&json!({})).to_headers();
        headers.insert("status".into(), "done".into());
        assert_eq!(read(&headers), None);
    }

    #[test]
    fn a_report_of_the_first_version_stays_readable() {
        let headers: HashMap<String, String> = [
            ("run-id", "019a6b0c-1111-7222-8333-444455556666"),
            ("account-name", "data"),
            ("account-id", "111111111111"),
            ("dataset", "s3_daily_storage"),
            ("report-date", "2026-11-01"),
            ("status", "complete"),
            ("rows", "4"),
            ("rows-late", "1"),
            ("rows-denied", "0"),
            ("rows-error", "0"),
            ("sha256", "00"),
            ("api-calls", "9"),
            ("metrics-requested", "12"),
            ("estimated-cost-usd", "0.000120"),
            ("attributes", "{}"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let on_day_2 = read(&headers).expect("a report");
        assert_eq!(
            (on_day_2.rows, on_day_2.bytes, on_day_2.collected_at),
            (4, None, at("2026-11-02T18:05:00Z"))
        );
        assert!(on_day_2.is_listed && !on_day_2.is_settled() && !on_day_2.is_unfinished);
        let months_later =
            ReportMetadata::from_headers(&headers, at("2027-02-01T00:00:00Z")).expect("a report");
        assert!(!months_later.is_listed && months_later.is_settled(), "by the time it was written");
    }

    #[test]
    fn a_report_counts_for_its_dataset_alone_and_one_that_names_none_is_of_the_first() {
        let mut report = metadata(&json!({}));
        report.status = ReportStatus::Complete;
        let is_of = |report: &ReportMetadata| {
            ["ecs_service", S3].map(|dataset| report.is_complete_of(dataset, report.window.date(), None))
        };
        assert_eq!(is_of(&report), [false, true]);
        assert_eq!(
            report.remaining("ecs_service", report.window.date(), None, at("2026-12-01T00:00:00Z")),
            Remaining::Collection
        );
        let mut headers = report.to_headers();
        headers.remove("dataset");
        assert_eq!(is_of(&read(&headers).expect("a report")), [false, true]);
        headers.insert("dataset".into(), "ecs_service".into());
        assert_eq!(is_of(&read(&headers).expect("a report")), [true, false]);
    }

    #[test]
    fn keys_of_a_later_version_are_ignored() {
        let mut headers = metadata(&json!({})).to_headers();
        let known = read(&headers);
        headers.insert("format".into(), "9".into());
        headers.insert("colour".into(), "green".into());
        assert_eq!(read(&headers), known);
    }

    #[test]
    fn long_lists_of_regions_are_shortened() {
        let regions: Vec<String> = (10..50).map(|nth| format!("eu-west-{nth}")).collect();
        let headers = ReportMetadata { regions_denied: regions, ..metadata(&json!({})) }.to_headers();
        assert!(headers["regions-denied"].len() < 170, "{headers:?}");
        assert!(headers["regions-denied"].ends_with(",+27"), "{headers:?}");
    }

    #[test]
    fn no_region_counts_as_listed_because_there_are_too_many_to_name() {
        for count in [1, 3, 100] {
            let regions: Vec<String> = (0..count).map(|nth| format!("eu-west-{nth}")).collect();
            let report = ReportMetadata { regions_pending: regions.clone(), ..metadata(&json!({})) };
            let read = read(&report.to_headers()).expect("a report");
            assert!(regions.iter().all(|region| read.is_pending(region)), "{count}");
        }
    }

    proptest! {
        #[test]
        fn always_fits_and_is_ascii(note in ".{0,900}", error in ".{0,2000}", regions in 0usize..100) {
            let mut written = metadata(&json!({"note": note}));
            written.regions_denied = vec!["ap-southeast-99".to_owned(); regions];
            written.regions_pending = written.regions_denied.clone();
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
