// SPDX-License-Identifier: Apache-2.0
//! The report in S3: one object under a key that depends only on the job. It is written only if the existing object is
//! known and may be replaced.
//!
//! Two workers may have the same job, a job may be of an older run than the existing report, and a partial report must
//! not replace a complete one. So each write is conditional on the object that was read, and is decided again if that
//! has changed.

use std::time::Duration;

use aws_sdk_s3::config::Builder;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use fleet::{
    AccountId, AwsError, ErrorKind, RunId, Window, aws,
    existing::Existing,
    from_sdk,
    report::{CONTENT_TYPE, ReportMetadata, ReportStatus},
    report_bucket::ReportBucket,
};

use crate::{failure::Failure, table::content::Content};

/// The maximum number of decisions if other processes keep writing the object.
const DECISIONS: usize = 6;

/// The longest pause between attempts of an upload that failed with a transient error.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What to do with a report, given the existing object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Write it if there still is no object.
    Create,
    /// Write it if the object still has this version.
    Replace(String),
    /// Discard it: this run or a later one has a complete report of the day.
    Duplicate,
    /// Discard it: a final report exists that saw more.
    Keep,
    /// Discard it: it is partial, and a complete report of the day exists.
    KeepComplete,
    /// Discard it: a later run's report exists.
    Superseded,
    /// Discard it: the object is not a report.
    Foreign,
}

/// The properties of a report on which the decision depends.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub run_id: &'a RunId,
    pub dataset: &'a str,
    pub window: Window,
    /// `None` if unknown.
    pub account_id: Option<&'a AccountId>,
    pub status: ReportStatus,
    /// Whether its series are found by `ListMetrics`.
    pub is_listed: bool,
    /// The period of its rows; `None` if they are of days.
    pub period_seconds: Option<u32>,
    /// Whether it may replace an object that is not a report.
    pub replaces_foreign: bool,
}

/// Decides whether a report may replace the existing object.
#[must_use]
pub fn decide(existing: &Existing, candidate: Candidate<'_>) -> Decision {
    let (etag, existing) = match existing {
        Existing::Nothing => return Decision::Create,
        Existing::Foreign { etag } if candidate.replaces_foreign => return Decision::Replace(etag.clone()),
        Existing::Foreign { .. } => return Decision::Foreign,
        Existing::Report(report) => (&report.etag, &report.metadata),
    };
    let replace = Decision::Replace(etag.clone());
    let is_later = existing.run_id.follows(candidate.run_id);
    if !existing.is_of(candidate.dataset, candidate.window, candidate.account_id) {
        return if is_later { Decision::Superseded } else { replace };
    }
    match (existing.status, candidate.status) {
        (ReportStatus::Complete, _) if existing.run_id.is_or_follows(candidate.run_id) => Decision::Duplicate,
        (ReportStatus::Complete, _)
            if existing.is_settled() && existing.is_listed && !candidate.is_listed =>
        {
            Decision::Keep
        }
        (ReportStatus::Complete, _) if existing.is_finer_than(candidate.period_seconds) => Decision::Keep,
        (ReportStatus::Complete, ReportStatus::Partial) => Decision::KeepComplete,
        (ReportStatus::Partial, ReportStatus::Partial) if is_later => Decision::Superseded,
        _ => replace,
    }
}

/// The run ID to store with a report: its own, unless it is complete and replaces the report of a later run, or of a
/// generated run while its own is not generated, of the same day and account. It satisfies that run too, and `status`
/// of that run must still find it.
#[must_use]
pub fn run_to_credit<'a>(existing: &'a Existing, metadata: &'a ReportMetadata) -> &'a RunId {
    match existing.report().map(|report| &report.metadata) {
        Some(existing)
            if metadata.status == ReportStatus::Complete
                && existing.is_of(&metadata.dataset, metadata.window, Some(&metadata.account_id))
                && existing.run_id.is_generated()
                && !metadata.run_id.follows(&existing.run_id) =>
        {
            &existing.run_id
        }
        _ => &metadata.run_id,
    }
}

/// The condition of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// No object exists.
    Nothing,
    /// The object has this version.
    Version(String),
}

impl Precondition {
    /// The object has not changed since it was read.
    #[must_use]
    pub fn unchanged(existing: &Existing) -> Self {
        match existing {
            Existing::Nothing => Self::Nothing,
            Existing::Foreign { etag } => Self::Version(etag.clone()),
            Existing::Report(report) => Self::Version(report.etag.clone()),
        }
    }
}

/// The result of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    Stored,
    /// The object has changed since it was read.
    Changed,
}

/// Writes a report on a condition. Transient errors are retried as long as the caller waits, since the collection has
/// been billed.
///
/// # Errors
///
/// [`Failure::ReportBucket`] for other errors.
pub async fn put(
    bucket: &ReportBucket,
    key: &str,
    precondition: Precondition,
    metadata: &ReportMetadata,
    body: Content,
) -> Result<Put, Failure> {
    let (if_none_match, if_match) = match precondition {
        Precondition::Nothing => (Some("*".to_owned()), None),
        Precondition::Version(etag) => (None, Some(etag)),
    };
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build();
    let length = usize::try_from(body.len()).unwrap_or(usize::MAX);
    loop {
        let stream = body.stream().await.map_err(Failure::TemporaryFile)?;
        let put = bucket
            .client
            .put_object()
            .bucket(&bucket.name)
            .key(key)
            .content_type(CONTENT_TYPE)
            .set_metadata(Some(metadata.to_headers()))
            .set_if_none_match(if_none_match.clone())
            .set_if_match(if_match.clone())
            .body(stream)
            .customize()
            .config_override(Builder::new().timeout_config(aws::upload_timeouts(length)))
            .send()
            .await;
        // If the object to replace has been deleted, S3 responds with 404 and not 412.
        let put = put.map_err(|error| from_sdk("s3:PutObject", error));
        let put = put.and_then(|put| put.e_tag.ok_or_else(|| AwsError::unconfirmed("s3:PutObject", "ETag")));
        match put {
            Ok(_) => return Ok(Put::Stored),
            Err(error) if error.kind == ErrorKind::PreconditionFailed || error.code == "NoSuchKey" => {
                return Ok(Put::Changed);
            }
            Err(error) if error.is_transient() => {
                let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
                tracing::warn!(key, pause_s = pause.as_secs_f32(), error = %error, "the upload failed and will be retried");
                tokio::time::sleep(pause).await;
            }
            Err(error) => return Err(Failure::ReportBucket(error)),
        }
    }
}

/// The attempts to write under a key while other processes write there too.
#[derive(Debug)]
pub struct Attempts {
    /// The object as last read.
    pub existing: Existing,
    pauses: ExponentialBackoff,
}

impl Attempts {
    #[must_use]
    pub fn new(existing: Existing) -> Self {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_max_times(DECISIONS)
            .with_jitter()
            .build();
        Self { existing, pauses }
    }

    /// Reads the object again, after a pause.
    ///
    /// # Errors
    ///
    /// [`Failure::Contended`] if other processes keep writing.
    pub async fn look_again(&mut self, bucket: &ReportBucket, key: &str) -> Result<(), Failure> {
        let Some(pause) = self.pauses.next() else { return Err(Failure::Contended(key.to_owned())) };
        tracing::info!(key, "another process wrote this report meanwhile; reading it again");
        tokio::time::sleep(pause).await;
        self.existing = bucket.look(key).await.map_err(Failure::ReportBucket)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::{config::retry::RetryConfig, operation::put_object::PutObjectOutput};
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use aws_smithy_runtime_api::{client::orchestrator::HttpResponse, http::StatusCode};
    use aws_smithy_types::body::SdkBody;
    use fleet::{Job, ReportDate, Windows, datasets, existing::ExistingReport};

    use super::*;

    const COMPLETE: ReportStatus = ReportStatus::Complete;
    const PARTIAL: ReportStatus = ReportStatus::Partial;

    fn report(run_id: &RunId, date: &str, status: ReportStatus) -> Existing {
        let job = Job {
            account_name: "data".parse().expect("a name"),
            windows: date.parse::<ReportDate>().expect("a date").into(),
            dataset: *datasets::DEFAULT,
            run_id: run_id.clone(),
            only_incomplete: false,
            settle: None,
            attributes: serde_json::Map::new(),
        };
        let written_at = "2026-11-06T00:00:00Z".parse().expect("a moment");
        let id = "111111111111".parse().expect("an id");
        let metadata = ReportMetadata { status, ..ReportMetadata::new(&job, id, written_at) };
        Existing::Report(Box::new(ExistingReport { etag: "e".into(), written_at, metadata }))
    }

    #[test]
    fn a_report_that_replaces_one_of_a_later_run_is_stored_for_that_run() {
        let [earlier, run, later] = [RunId::generate(), RunId::generate(), RunId::generate()];
        let manual = RunId::manual("12345678");
        let (day, other) = ("2026-11-03", "2026-10-03");
        let of = |run_id: &RunId, status| match report(run_id, day, status) {
            Existing::Report(report) => report.metadata,
            _ => unreachable!("it is one"),
        };
        let cases = [
            // The existing object, the report, and the run that is stored with it.
            (Existing::Nothing, of(&run, COMPLETE), &run),
            (report(&earlier, day, COMPLETE), of(&run, COMPLETE), &run),
            (report(&later, day, PARTIAL), of(&run, COMPLETE), &later),
            (report(&run, day, COMPLETE), of(&manual, COMPLETE), &run),
            (report(&run, day, PARTIAL), of(&manual, PARTIAL), &manual),
            (report(&manual, day, COMPLETE), of(&run, COMPLETE), &run),
            (report(&run, other, COMPLETE), of(&manual, COMPLETE), &manual),
        ];
        for (existing, metadata, expected) in cases {
            assert_eq!(run_to_credit(&existing, &metadata), expected, "{existing:?} {metadata:?}");
        }
        let other_account = ReportMetadata { account_id: other_id(), ..of(&run, COMPLETE) };
        assert_eq!(run_to_credit(&report(&later, day, COMPLETE), &other_account), &run);
    }

    fn other_id() -> AccountId {
        "222222222222".parse().expect("an id")
    }

    fn candidate<'a>(run_id: &'a RunId, date: &str, status: ReportStatus) -> Candidate<'a> {
        let window = date.parse::<ReportDate>().expect("a date").into();
        Candidate {
            run_id,
            dataset: datasets::DEFAULT.name,
            window,
            account_id: None,
            status,
            is_listed: true,
            period_seconds: None,
            replaces_foreign: false,
        }
    }

    #[test]
    fn the_whole_table_of_decisions() {
        let [earlier, run, later] = [RunId::generate(), RunId::generate(), RunId::generate()];
        let manual = RunId::manual("12345678");
        let (day, other) = ("2026-11-03", "2026-10-03");
        let replace = Decision::Replace("e".into());
        let cases = [
            // The existing object, the candidate's status, and the decision.
            (Existing::Nothing, COMPLETE, Decision::Create),
            (Existing::Nothing, PARTIAL, Decision::Create),
            (Existing::Foreign { etag: "e".into() }, PARTIAL, Decision::Foreign),
            (Existing::Foreign { etag: "e".into() }, COMPLETE, Decision::Foreign),
            (report(&run, day, COMPLETE), COMPLETE, Decision::Duplicate),
            (report(&run, day, COMPLETE), PARTIAL, Decision::Duplicate),
            (report(&later, day, COMPLETE), COMPLETE, Decision::Duplicate),
            (report(&earlier, day, COMPLETE), COMPLETE, replace.clone()),
            (report(&earlier, day, COMPLETE), PARTIAL, Decision::KeepComplete),
            (report(&manual, day, COMPLETE), COMPLETE, replace.clone()),
            (report(&manual, day, COMPLETE), PARTIAL, Decision::KeepComplete),
            (report(&earlier, day, PARTIAL), PARTIAL, replace.clone()),
            (report(&run, day, PARTIAL), PARTIAL, replace.clone()),
            (report(&run, day, PARTIAL), COMPLETE, replace.clone()),
            (report(&later, day, PARTIAL), PARTIAL, Decision::Superseded),
            (report(&later, day, PARTIAL), COMPLETE, replace.clone()),
            (report(&earlier, other, COMPLETE), PARTIAL, replace.clone()),
            (report(&run, other, COMPLETE), COMPLETE, replace.clone()),
            (report(&later, other, PARTIAL), COMPLETE, Decision::Superseded),
        ];
        for (existing, status, expected) in cases {
            assert_eq!(decide(&existing, candidate(&run, day, status)), expected, "{existing:?} {status:?}");
        }
    }

    #[test]
    fn an_object_that_is_not_a_report_is_replaced_only_on_request() {
        let run = RunId::generate();
        let foreign = Existing::Foreign { etag: "e".into() };
        let asked = Candidate { replaces_foreign: true, ..candidate(&run, "2026-11-03", COMPLETE) };
        assert_eq!(decide(&foreign, asked), Decision::Replace("e".into()));
    }

    #[test]
    fn a_report_of_another_account_counts_as_one_of_another_day() {
        let [earlier, run, later] = [RunId::generate(), RunId::generate(), RunId::generate()];
        let (day, id, other) = ("2026-11-03", "111111111111".parse().expect("an id"), other_id());
        for (existing, account_id, expected) in [
            (&run, Some(&id), Decision::Duplicate),
            (&run, Some(&other), Decision::Replace("e".into())),
            (&earlier, Some(&other), Decision::Replace("e".into())),
            (&later, Some(&other), Decision::Superseded),
            (&run, None, Decision::Duplicate),
        ] {
            let candidate = Candidate { account_id, ..candidate(&run, day, COMPLETE) };
            assert_eq!(decide(&report(existing, day, COMPLETE), candidate), expected, "{account_id:?}");
        }
    }

    #[test]
    fn a_report_of_another_dataset_is_not_the_jobs() {
        let run = RunId::generate();
        let candidate = Candidate { dataset: "other", ..candidate(&run, "2026-11-03", COMPLETE) };
        let existing = report(&run, "2026-11-03", COMPLETE);
        assert_eq!(decide(&existing, candidate), Decision::Replace("e".into()));
    }

    #[test]
    fn a_report_of_another_window_counts_as_one_of_another_day() {
        let [run, later] = [RunId::generate(), RunId::generate()];
        let day = "2026-11-03";
        let hours = Windows::of_day(day.parse().expect("a date"), "1h".parse().expect("a length"));
        let candidate = Candidate { window: hours.first(), ..candidate(&run, day, COMPLETE) };
        assert_eq!(decide(&report(&run, day, COMPLETE), candidate), Decision::Replace("e".into()));
        assert_eq!(decide(&report(&later, day, COMPLETE), candidate), Decision::Superseded);
    }

    #[test]
    fn a_settled_report_from_a_listing_is_kept_if_the_new_one_can_see_less() {
        let [earlier, run] = [RunId::generate(), RunId::generate()];
        let day = "2026-11-03";
        let existing = |is_listed, collected_at: &str, status| {
            let Existing::Report(mut report) = report(&earlier, day, status) else {
                unreachable!("it is one")
            };
            report.metadata.is_listed = is_listed;
            report.metadata.collected_at = collected_at.parse().expect("a moment");
            Existing::Report(report)
        };
        let (settled, provisional) = ("2026-11-06T12:00:00Z", "2026-11-06T11:59:59Z");
        let replace = || Decision::Replace("e".into());
        for (existing, is_listed, expected) in [
            (existing(true, settled, COMPLETE), false, Decision::Keep),
            (existing(true, settled, COMPLETE), true, replace()),
            (existing(false, settled, COMPLETE), false, replace()),
            (existing(true, provisional, COMPLETE), false, replace()),
            (existing(true, settled, PARTIAL), false, replace()),
        ] {
            let candidate = Candidate { is_listed, ..candidate(&run, day, COMPLETE) };
            assert_eq!(decide(&existing, candidate), expected, "{existing:?}");
        }
        for (ours, theirs, keeps) in [(60, 300, true), (300, 300, false), (300, 60, false)] {
            let Existing::Report(mut report) = report(&earlier, day, COMPLETE) else {
                unreachable!("it is one")
            };
            report.metadata.period_seconds = Some(ours);
            let candidate = Candidate { period_seconds: Some(theirs), ..candidate(&run, day, COMPLETE) };
            let decided = decide(&Existing::Report(report), candidate);
            assert_eq!(decided == Decision::Keep, keeps, "{ours} s, and {theirs} s now");
        }
        let partial = Candidate { is_listed: false, ..candidate(&run, day, PARTIAL) };
        assert_eq!(decide(&existing(true, settled, COMPLETE), partial), Decision::Keep);
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_fails_with_a_transient_error_is_retried() {
        let answer = |status: u16, code: &'static str| {
            mock!(aws_sdk_s3::Client::put_object).then_http_response(move || {
                let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
                HttpResponse::new(StatusCode::try_from(status).expect("a status"), SdkBody::from(body))
            })
        };
        let stored = || {
            mock!(aws_sdk_s3::Client::put_object)
                .then_output(|| PutObjectOutput::builder().e_tag("e").build())
        };
        let unconfirmed =
            || mock!(aws_sdk_s3::Client::put_object).then_output(|| PutObjectOutput::builder().build());
        let Existing::Report(report) = report(&RunId::generate(), "2026-11-03", COMPLETE) else {
            unreachable!("it is one")
        };
        let cases = [
            (vec![answer(503, "SlowDown"), answer(500, "InternalError"), stored()], Ok(Put::Stored)),
            (vec![answer(503, "SlowDown"), answer(412, "PreconditionFailed")], Ok(Put::Changed)),
            (vec![unconfirmed(), stored()], Ok(Put::Stored)),
            (vec![answer(404, "NoSuchKey")], Ok(Put::Changed)),
            (vec![answer(503, "SlowDown"), answer(403, "AccessDenied")], Err(())),
        ];
        for (answers, expected) in cases {
            let rules: Vec<&Rule> = answers.iter().collect();
            let client = mock_client!(aws_sdk_s3, RuleMode::Sequential, &rules, |config| config
                .retry_config(RetryConfig::disabled()));
            let bucket = ReportBucket::new(client, "reports");
            let put =
                put(&bucket, "k", Precondition::Nothing, &report.metadata, b"body".to_vec().into()).await;
            assert_eq!(put.map_err(drop), expected);
            assert!(answers.iter().all(|answer| answer.num_calls() == 1), "each response was used once");
        }
    }
}
