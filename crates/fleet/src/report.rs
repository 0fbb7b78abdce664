// SPDX-License-Identifier: Apache-2.0
//! The metadata of a report, stored as the user metadata of its object.
//!
//! The worker writes it; `status`, `run --only-incomplete` and a later delivery of the same job read it.
//! There is no other record of what has been done.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{AccountId, AccountName, Dataset, Job, ReportDate, RunId, datasets::Period};

pub const CONTENT_TYPE: &str = "text/csv; charset=utf-8";

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

/// The value of `regions-pending` for all regions.
const EVERY_REGION: &str = "*";

/// Whether a report has everything that was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportStatus {
    Complete,
    /// Something is missing; `first-error` says what.
    Partial,
}

/// The metadata of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportMetadata {
    /// The run that it was written for.
    pub run_id: RunId,
    pub account_name: AccountName,
    pub account_id: AccountId,
    pub dataset: String,
    /// The requested day.
    pub report_date: ReportDate,
    pub status: ReportStatus,
    /// Whether its job is not finished: the next attempt continues this partial report.
    pub is_unfinished: bool,
    /// When the collection of its oldest part began, by the report bucket's clock.
    pub collected_at: DateTime<Utc>,
    /// How long after the end of the day its values become final.
    pub settle_time: TimeDelta,
    /// Whether the series were found by `ListMetrics`, which also lists deleted resources and storage
    /// types unknown to this version.
    pub is_listed: bool,
    /// Whether directory buckets could not be listed, so that those without a recent datapoint are
    /// missing.
    pub lacks_directory_buckets: bool,
    /// The period of its rows in seconds; `None` if they are of days.
    pub period_seconds: Option<u32>,
    /// Rows, the header left out.
    pub rows: u64,
    /// Rows whose values are of an earlier day than requested, or may still change.
    pub rows_late: u64,
    /// Rows that could not be requested.
    pub rows_denied: u64,
    /// Rows without a value that CloudWatch may have.
    pub rows_error: u64,
    /// Rows copied from an earlier report, which this collection could not see.
    pub rows_carried: u64,
    /// The sum of the column `size_total`; `None` in reports of earlier versions.
    pub bytes: Option<u128>,
    /// The sum of the column `total_objects`; `None` in reports of earlier versions.
    pub objects: Option<u128>,
    /// Regions that a policy denies and that are not known to contain anything.
    pub regions_denied: Vec<String>,
    /// Regions whose listing is incomplete: their rows are unknown.
    pub regions_pending: Vec<String>,
    /// The first error, if any.
    pub first_error: Option<String>,
    /// The SHA-256 of the body, in hexadecimal.
    pub sha256: String,
    /// AWS API calls of all attempts, retries included.
    pub api_calls: u64,
    /// Metrics requested from `GetMetricData` by all attempts, which is what AWS bills.
    pub metrics_requested: u64,
    /// The cost of the calls of all attempts, by AWS's list price.
    pub estimated_cost_usd: f64,
    /// The job's passthrough attributes; `None` if they did not fit.
    pub attributes: Option<Map<String, Value>>,
}

/// What `--only-incomplete` still has to do for a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remaining {
    Nothing,
    /// It is complete, but its values may change until this time.
    UntilSettled(DateTime<Utc>),
    /// It must be collected.
    Collection,
}

impl ReportMetadata {
    /// The metadata of a job's complete report without rows, whose collection began at `collected_at`.
    #[must_use]
    pub fn new(job: &Job, account_id: AccountId, collected_at: DateTime<Utc>) -> Self {
        Self {
            run_id: job.run_id.clone(),
            account_name: job.account_name.clone(),
            account_id,
            dataset: job.dataset.name.to_owned(),
            report_date: job.date,
            status: ReportStatus::Complete,
            is_unfinished: false,
            collected_at,
            settle_time: job.dataset.settle_time(),
            is_listed: job.date.is_listed_at(collected_at),
            lacks_directory_buckets: false,
            period_seconds: job.dataset.period_of_rows(job.date, collected_at).map(Period::seconds),
            rows: 0,
            rows_late: 0,
            rows_denied: 0,
            rows_error: 0,
            rows_carried: 0,
            bytes: None,
            objects: None,
            regions_denied: Vec::new(),
            regions_pending: Vec::new(),
            first_error: None,
            sha256: String::new(),
            api_calls: 0,
            metrics_requested: 0,
            estimated_cost_usd: 0.0,
            attributes: Some(job.attributes.clone()),
        }
    }

    /// The metadata in the form that S3 accepts: ASCII, and at most 2,048 bytes in all. Attributes that
    /// do not fit are left out, and `attributes-omitted` says so.
    #[must_use]
    pub fn to_headers(&self) -> HashMap<String, String> {
        let yes = |is_so: bool| is_so.then(|| "true".to_owned());
        let keys = [
            ("format", Some(FORMAT.to_string())),
            ("run-id", Some(self.run_id.to_string())),
            ("account-name", Some(self.account_name.to_string())),
            ("account-id", Some(self.account_id.to_string())),
            ("dataset", Some(self.dataset.clone())),
            ("report-date", Some(self.report_date.to_string())),
            ("status", Some(self.status.as_str().to_owned())),
            ("unfinished", yes(self.is_unfinished)),
            ("collected-at", Some(self.collected_at.to_rfc3339_opts(SecondsFormat::Secs, true))),
            ("settle-seconds", Some(self.settle_time.num_seconds().to_string())),
            ("settled", Some(self.is_settled().to_string())),
            ("listed", Some(self.is_listed.to_string())),
            ("directory-buckets", self.lacks_directory_buckets.then(|| "not listed".to_owned())),
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

    /// The same report, written for another run.
    #[must_use]
    pub fn for_run(&self, run_id: &RunId) -> Self {
        Self { run_id: run_id.clone(), ..self.clone() }
    }

    /// Parses the metadata of an object written at `written_at`. `None` if the object is not a report: a
    /// report has at least a run, account, dataset, day and status. All other keys have defaults, for
    /// reports of other versions.
    #[must_use]
    pub fn from_headers(headers: &HashMap<String, String>, written_at: DateTime<Utc>) -> Option<Self> {
        let text = |key: &str| headers.get(key);
        let number = |key: &str| text(key).and_then(|text| text.parse().ok());
        let is = |key: &str| text(key).map(|text| text == "true");
        let total = |key: &str| text(key).and_then(|text| text.parse().ok());
        let regions = |key: &str| text(key).map_or_else(Vec::new, |text| unlisted(text));
        let dataset = text("dataset")?.clone();
        let report_date: ReportDate = text("report-date")?.parse().ok()?;
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
            report_date,
            status: ReportStatus::parse(text("status")?)?,
            is_unfinished: is("unfinished").unwrap_or_default(),
            collected_at,
            settle_time: settle_time.unwrap_or_default(),
            is_listed: is("listed").unwrap_or_else(|| report_date.is_listed_at(collected_at)),
            lacks_directory_buckets: text("directory-buckets").is_some(),
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
            estimated_cost_usd: text("estimated-cost-usd")
                .and_then(|text| text.parse().ok())
                .unwrap_or_default(),
            attributes: text("attributes").and_then(|text| serde_json::from_str(text).ok()),
        })
    }

    /// Whether a region's listing is incomplete, so that its rows are unknown.
    #[must_use]
    pub fn is_pending(&self, region: &str) -> bool {
        self.regions_pending.iter().any(|pending| pending == region || pending == EVERY_REGION)
    }

    /// The time from which a collection of its day is final.
    #[must_use]
    pub fn settles_at(&self) -> DateTime<Utc> {
        self.report_date.end() + self.settle_time
    }

    /// Whether its values are final: all of it was collected after the settle time. A complete report
    /// that is not settled is provisional.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.collected_at >= self.settles_at()
    }

    /// Whether it is a report of this day and account. An unknown account ID matches any.
    #[must_use]
    pub fn is_of(&self, date: ReportDate, account_id: Option<&AccountId>) -> bool {
        self.report_date == date && account_id.is_none_or(|id| *id == self.account_id)
    }

    /// Whether it is a complete report of this day and account.
    #[must_use]
    pub fn is_complete_of(&self, date: ReportDate, account_id: Option<&AccountId>) -> bool {
        self.status == ReportStatus::Complete && self.is_of(date, account_id)
    }

    /// Whether no later collection can replace this report, since it would see less: this one is settled and was made
    /// from a listing, which `now` no longer names all series of the day, or its period is shorter than those that
    /// CloudWatch still keeps.
    #[must_use]
    pub fn outlasts_collections_at(&self, now: DateTime<Utc>) -> bool {
        let saw_more = self.is_settled() && self.is_listed && !self.report_date.is_listed_at(now);
        let kept = Dataset::find(&self.dataset)
            .and_then(|dataset| dataset.period_of_rows(self.report_date, now))
            .map(Period::seconds);
        self.status == ReportStatus::Complete && (saw_more || self.is_finer_than(kept))
    }

    /// Whether its rows are of a shorter period than these.
    #[must_use]
    pub fn is_finer_than(&self, period_seconds: Option<u32>) -> bool {
        matches!((self.period_seconds, period_seconds), (Some(ours), Some(theirs)) if ours < theirs)
    }

    /// Whether this report satisfies run `run_id` for this day and account: it is complete, and either
    /// of that run or a later one, or one that no later collection can replace.
    #[must_use]
    pub fn counts_for(
        &self,
        run_id: &RunId,
        date: ReportDate,
        account_id: Option<&AccountId>,
        now: DateTime<Utc>,
    ) -> bool {
        self.is_complete_of(date, account_id)
            && (self.run_id.is_or_follows(run_id) || self.outlasts_collections_at(now))
    }

    /// What `--only-incomplete` still has to do for this day of the account if this report exists.
    #[must_use]
    pub fn remaining(
        &self,
        date: ReportDate,
        account_id: Option<&AccountId>,
        now: DateTime<Utc>,
    ) -> Remaining {
        if !self.is_complete_of(date, account_id) {
            Remaining::Collection
        } else if self.is_settled() {
            Remaining::Nothing
        } else if now < self.settles_at() {
            Remaining::UntilSettled(self.settles_at())
        } else {
            Remaining::Collection
        }
    }
}

impl ReportStatus {
    /// The value in the metadata.
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
    use crate::datasets;

    fn metadata(attributes: &Value) -> ReportMetadata {
        let job = Job {
            account_name: "data".parse().expect("a name"),
            date: "2026-11-01".parse().expect("a date"),
            dataset: *datasets::DEFAULT,
            run_id: RunId::generate(),
            only_incomplete: false,
            attributes: attributes.as_object().cloned().unwrap_or_default(),
        };
        ReportMetadata {
            status: ReportStatus::Partial,
            is_unfinished: true,
            lacks_directory_buckets: true,
            period_seconds: Some(300),
            rows: 4,
            rows_late: 1,
            rows_denied: 1,
            rows_carried: 2,
            bytes: Some(1 << 70),
            objects: Some(7),
            regions_denied: vec!["eu-west-1".into(), "eu-west-2".into()],
            regions_pending: vec!["us-east-1".into()],
            first_error: Some("bucket b: AccessDenied\n✗".into()),
            sha256: "0".repeat(64),
            api_calls: 9,
            metrics_requested: 29,
            estimated_cost_usd: 0.00029,
            ..ReportMetadata::new(&job, "111111111111".parse().expect("an id"), at("2026-11-02T18:00:00Z"))
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a moment")
    }

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

    #[test]
    fn counts_for_its_own_and_earlier_runs_of_its_day_once_complete() {
        let now = at("2026-11-10T00:00:00Z");
        let earlier = RunId::generate();
        let mut report = metadata(&json!({}));
        let later = RunId::generate();
        let counts = |report: &ReportMetadata, run_id: &RunId, date: ReportDate| {
            report.counts_for(run_id, date, Some(&report.account_id), now)
        };
        assert!(!counts(&report, &report.run_id, report.report_date), "partial");
        report.status = ReportStatus::Complete;
        assert!(counts(&report, &report.run_id, report.report_date));
        assert!(counts(&report, &earlier, report.report_date));
        assert!(!counts(&report, &later, report.report_date), "an older report");
        assert!(!counts(&report, &earlier, report.report_date.days_before(1)), "another day");
        let other = "222222222222".parse().expect("an id");
        assert!(!report.counts_for(&report.run_id, report.report_date, Some(&other), now), "another account");
        assert!(report.counts_for(&report.run_id, report.report_date, None, now), "an unknown ID");
    }

    #[test]
    fn a_settled_and_listed_report_counts_for_later_runs_once_its_series_are_no_longer_listed() {
        let mut report = metadata(&json!({}));
        report.status = ReportStatus::Complete;
        report.collected_at = report.settles_at();
        let later = RunId::generate();
        let counts =
            |report: &ReportMetadata, now| report.counts_for(&later, report.report_date, None, at(now));
        assert!(!counts(&report, "2026-11-12T23:00:00Z"), "a new collection sees as much");
        assert!(counts(&report, "2026-11-13T00:00:00Z"));
        let unlisted = ReportMetadata { is_listed: false, ..report.clone() };
        let provisional = ReportMetadata { collected_at: at("2026-11-04T11:59:59Z"), ..report.clone() };
        let partial = ReportMetadata { status: ReportStatus::Partial, ..report };
        for replaceable in [unlisted, provisional, partial] {
            assert!(!counts(&replaceable, "2026-11-13T00:00:00Z"), "{replaceable:?}");
        }
    }

    #[test]
    fn what_remains_is_decided_by_time_and_not_by_rows() {
        let (before, settled) = (at("2026-11-04T11:59:59Z"), at("2026-11-04T12:00:00Z"));
        let mut report = metadata(&json!({}));
        let date = report.report_date;
        assert_eq!(report.remaining(date, None, before), Remaining::Collection, "partial");
        report.status = ReportStatus::Complete;
        for rows_late in [0, 3] {
            let provisional = ReportMetadata { rows_late, ..report.clone() };
            assert_eq!(provisional.remaining(date, None, before), Remaining::UntilSettled(settled));
            assert_eq!(provisional.remaining(date, None, settled), Remaining::Collection);
            let settled_report = ReportMetadata { collected_at: settled, ..provisional };
            assert_eq!(settled_report.remaining(date, None, settled), Remaining::Nothing);
        }
        let other = "222222222222".parse().expect("an id");
        assert_eq!(report.remaining(date, Some(&other), before), Remaining::Collection);
        assert_eq!(report.remaining(date.days_before(1), None, before), Remaining::Collection);
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
