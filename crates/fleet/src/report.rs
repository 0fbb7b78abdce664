// SPDX-License-Identifier: Apache-2.0
//! The metadata of a report, stored as the user metadata of its object.
//!
//! The worker writes it; `status`, `run --only-incomplete` and a later delivery of the same job read it.
//! There is no other record of what has been done.

mod headers;
pub mod stored;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{AccountId, AccountName, Dataset, Job, RunId, Window, datasets::Period};

pub const CONTENT_TYPE: &str = "text/csv; charset=utf-8";

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
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the metadata, and they go together in any way"
)]
pub struct ReportMetadata {
    /// The run that it was written for.
    pub run_id: RunId,
    pub account_name: AccountName,
    pub account_id: AccountId,
    pub dataset: String,
    /// The requested day, or the window of it.
    pub window: Window,
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
    /// Whether the account's regions could not be listed, so that only the configured ones were asked.
    pub lacks_regions: bool,
    /// Whether the tags of some resources could not be read, so that their cells are empty.
    pub lacks_tags: bool,
    /// Whether the functions of a region could not be listed, so that what is known of them is empty.
    pub lacks_facts: bool,
    /// The dataset of which it has only what a configuration file selects.
    pub selection_of: Option<String>,
    /// What its rows are of, if its columns do not say it ([`Dataset::hidden_measures`]).
    pub measures: Option<String>,
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
    /// How many windows its job collected together, so that each has a part of the cost; `None` if it alone was.
    pub job_windows: Option<u32>,
    /// The metrics that were requested for all of these together.
    pub job_metrics: Option<u64>,
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
            window: job.window(),
            status: ReportStatus::Complete,
            is_unfinished: false,
            collected_at,
            settle_time: job.settle_time(),
            is_listed: job.window().date().is_listed_at(collected_at),
            lacks_directory_buckets: false,
            lacks_regions: false,
            lacks_tags: false,
            lacks_facts: false,
            selection_of: job.dataset.selection.as_ref().map(|selection| selection.of.clone()),
            measures: job.dataset.hidden_measures(),
            period_seconds: job
                .dataset
                .period_of_rows(job.window().date(), collected_at)
                .map(Period::seconds),
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
            job_windows: None,
            job_metrics: None,
            estimated_cost_usd: 0.0,
            attributes: Some(job.attributes.clone()),
        }
    }

    /// The same report, written for another run.
    #[must_use]
    pub fn for_run(&self, run_id: &RunId) -> Self {
        Self { run_id: run_id.clone(), ..self.clone() }
    }

    /// Whether a region's listing is incomplete, so that its rows are unknown.
    #[must_use]
    pub fn is_pending(&self, region: &str) -> bool {
        self.regions_pending.iter().any(|pending| pending == region || pending == EVERY_REGION)
    }

    /// The time from which a collection of its day is final.
    #[must_use]
    pub fn settles_at(&self) -> DateTime<Utc> {
        self.window.end() + self.settle_time
    }

    /// Whether its values are final: all of it was collected after the settle time. A complete report
    /// that is not settled is provisional.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.collected_at >= self.settles_at()
    }

    /// Whether it is a report of this dataset, window and account. An unknown account ID matches any.
    #[must_use]
    pub fn is_of(&self, dataset: &str, window: impl Into<Window>, account_id: Option<&AccountId>) -> bool {
        self.dataset == dataset
            && self.window == window.into()
            && account_id.is_none_or(|id| *id == self.account_id)
    }

    /// Whether it is a complete report of this dataset, window and account.
    #[must_use]
    pub fn is_complete_of(
        &self,
        dataset: &str,
        window: impl Into<Window>,
        account_id: Option<&AccountId>,
    ) -> bool {
        self.status == ReportStatus::Complete && self.is_of(dataset, window, account_id)
    }

    /// Whether no later collection can replace this report, since it would see less: this one is settled and was made
    /// from a listing, which `now` no longer names all series of the day, or its period is shorter than those that
    /// CloudWatch still keeps.
    #[must_use]
    pub fn outlasts_collections_at(&self, now: DateTime<Utc>) -> bool {
        let saw_more = self.is_settled() && self.is_listed && !self.window.date().is_listed_at(now);
        let kept = Dataset::find(&self.dataset)
            .and_then(|dataset| dataset.period_of_rows(self.window.date(), now))
            .map(Period::seconds);
        self.status == ReportStatus::Complete && (saw_more || self.is_finer_than(kept))
    }

    /// Whether its rows are of a shorter period than these.
    #[must_use]
    pub fn is_finer_than(&self, period_seconds: Option<u32>) -> bool {
        matches!((self.period_seconds, period_seconds), (Some(ours), Some(theirs)) if ours < theirs)
    }

    /// Whether this report satisfies run `run_id` for this dataset, window and account: it is complete, and
    /// either of that run or a later one, or one that no later collection can replace.
    #[must_use]
    pub fn counts_for(
        &self,
        run_id: &RunId,
        dataset: &str,
        window: impl Into<Window>,
        account_id: Option<&AccountId>,
        now: DateTime<Utc>,
    ) -> bool {
        self.is_complete_of(dataset, window, account_id)
            && (self.run_id.is_or_follows(run_id) || self.outlasts_collections_at(now))
    }

    /// What `--only-incomplete` still has to do for this dataset and window of the account if this report exists.
    #[must_use]
    pub fn remaining(
        &self,
        dataset: &str,
        window: impl Into<Window>,
        account_id: Option<&AccountId>,
        now: DateTime<Utc>,
    ) -> Remaining {
        if !self.is_complete_of(dataset, window, account_id) {
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

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::{ReportDate, datasets};

    pub(crate) const S3: &str = "s3_daily_storage";

    pub(crate) fn metadata(attributes: &Value) -> ReportMetadata {
        let job = Job {
            account_name: "data".parse().expect("a name"),
            windows: "2026-11-01".parse::<ReportDate>().expect("a date").into(),
            dataset: *datasets::DEFAULT,
            run_id: RunId::generate(),
            only_incomplete: false,
            settle: None,
            attributes: attributes.as_object().cloned().unwrap_or_default(),
        };
        ReportMetadata {
            status: ReportStatus::Partial,
            is_unfinished: true,
            lacks_directory_buckets: true,
            lacks_regions: true,
            lacks_tags: true,
            lacks_facts: true,
            selection_of: Some("sqs".into()),
            measures: Some("0123456789abcdef".into()),
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

    pub(crate) fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a moment")
    }

    #[test]
    fn counts_for_its_own_and_earlier_runs_of_its_day_once_complete() {
        let now = at("2026-11-10T00:00:00Z");
        let earlier = RunId::generate();
        let mut report = metadata(&json!({}));
        let later = RunId::generate();
        let counts = |report: &ReportMetadata, run_id: &RunId, date: ReportDate| {
            report.counts_for(run_id, S3, date, Some(&report.account_id), now)
        };
        assert!(!counts(&report, &report.run_id, report.window.date()), "partial");
        report.status = ReportStatus::Complete;
        assert!(counts(&report, &report.run_id, report.window.date()));
        assert!(counts(&report, &earlier, report.window.date()));
        assert!(!counts(&report, &later, report.window.date()), "an older report");
        assert!(!counts(&report, &earlier, report.window.date().days_before(1)), "another day");
        let other = "222222222222".parse().expect("an id");
        assert!(
            !report.counts_for(&report.run_id, S3, report.window.date(), Some(&other), now),
            "another account"
        );
        assert!(report.counts_for(&report.run_id, S3, report.window.date(), None, now), "an unknown ID");
    }

    #[test]
    fn a_settled_and_listed_report_counts_for_later_runs_once_its_series_are_no_longer_listed() {
        let mut report = metadata(&json!({}));
        report.status = ReportStatus::Complete;
        report.collected_at = report.settles_at();
        let later = RunId::generate();
        let counts =
            |report: &ReportMetadata, now| report.counts_for(&later, S3, report.window.date(), None, at(now));
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
        let date = report.window.date();
        assert_eq!(report.remaining(S3, date, None, before), Remaining::Collection, "partial");
        report.status = ReportStatus::Complete;
        for rows_late in [0, 3] {
            let provisional = ReportMetadata { rows_late, ..report.clone() };
            assert_eq!(provisional.remaining(S3, date, None, before), Remaining::UntilSettled(settled));
            assert_eq!(provisional.remaining(S3, date, None, settled), Remaining::Collection);
            let settled_report = ReportMetadata { collected_at: settled, ..provisional };
            assert_eq!(settled_report.remaining(S3, date, None, settled), Remaining::Nothing);
        }
        let other = "222222222222".parse().expect("an id");
        assert_eq!(report.remaining(S3, date, Some(&other), before), Remaining::Collection);
        assert_eq!(report.remaining(S3, date.days_before(1), None, before), Remaining::Collection);
    }
}
