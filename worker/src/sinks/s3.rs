//! The report in S3: one object under a key that depends on the job alone, written only where what
//! stands there is known and may be replaced.
//!
//! Two workers may have the same job, a job may be of an older run than what stands, and a partial
//! report must not take a complete one's place. So every write is conditional on what was read,
//! and decided again when that has changed.

use std::time::Duration;

use aws_sdk_s3::{config::Builder, primitives::ByteStream};
use backon::{BackoffBuilder, ExponentialBuilder};
use fleet::{
    AwsError, ErrorKind, Job, ReportDate, RunId, aws,
    existing::Existing,
    report::{CONTENT_TYPE, ReportMetadata, ReportStatus},
    report_bucket::ReportBucket,
};

use crate::failure::Failure;

/// How often a write is decided again because somebody else wrote in between.
const DECISIONS: usize = 6;

/// What to do with a report, given what stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Write it, if still nothing stands there.
    Create,
    /// Write it, if what was read still stands there.
    Replace(String),
    /// Leave it: this run, or a later one, has a complete report of the day.
    Duplicate,
    /// Leave it: it is partial, and a complete report of the day stands.
    KeepComplete,
    /// Leave it: a later run's report stands.
    Superseded,
}

/// What a report is, as far as the decision goes.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The run that it is for.
    pub run_id: &'a RunId,
    /// The day that it is of.
    pub date: ReportDate,
    /// Whether it is whole.
    pub status: ReportStatus,
}

impl<'a> Candidate<'a> {
    /// The report that a job would best end in.
    #[must_use]
    pub fn of(job: &'a Job) -> Self {
        Self { run_id: &job.run_id, date: job.date, status: ReportStatus::Complete }
    }
}

/// Decides whether a report may be written over what stands.
#[must_use]
pub fn decide(existing: &Existing, candidate: Candidate<'_>) -> Decision {
    let stands = match existing {
        Existing::Nothing => return Decision::Create,
        Existing::Foreign { etag } => return Decision::Replace(etag.clone()),
        Existing::Report(report) => report,
    };
    let (etag, stands) = (&stands.etag, &stands.metadata);
    let replace = Decision::Replace(etag.clone());
    let stands_later = stands.run_id.follows(candidate.run_id);
    if stands.report_date != candidate.date {
        return if stands_later { Decision::Superseded } else { replace };
    }
    match (stands.status, candidate.status) {
        (ReportStatus::Complete, _) if stands.run_id.is_or_follows(candidate.run_id) => Decision::Duplicate,
        (ReportStatus::Complete, ReportStatus::Partial) => Decision::KeepComplete,
        (ReportStatus::Partial, ReportStatus::Partial) if stands_later => Decision::Superseded,
        _ => replace,
    }
}

/// The run that a report is written for: its own, unless it takes the place of a report of its day
/// by a run that began later, or that has a place in time where its own has none. What the other run
/// asked for is in it, and `status` of that run must find it.
fn heir<'a>(existing: &'a Existing, metadata: &'a ReportMetadata) -> &'a RunId {
    match existing.report().map(|report| &report.metadata) {
        Some(stands)
            if stands.is_complete_of(metadata.report_date, None)
                && stands.run_id.is_generated()
                && !metadata.run_id.follows(&stands.run_id) =>
        {
            &stands.run_id
        }
        _ => &metadata.run_id,
    }
}

/// Looks at what exists under a key.
pub async fn existing(bucket: &ReportBucket, key: &str) -> Result<Existing, Failure> {
    bucket.look(key).await.map_err(Failure::ReportBucket)
}

/// Writes a report, if it may stand. `before` is what stood when the job began. `false` where the
/// report of this run, or of a later one, stands already.
pub async fn store(
    bucket: &ReportBucket,
    key: &str,
    before: Existing,
    metadata: &ReportMetadata,
    body: Vec<u8>,
) -> Result<bool, Failure> {
    let candidate =
        Candidate { run_id: &metadata.run_id, date: metadata.report_date, status: metadata.status };
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_times(DECISIONS)
        .with_jitter()
        .build();
    let body = bytes::Bytes::from(body);
    let mut standing_now = before;
    loop {
        let (if_none_match, if_match) = match decide(&standing_now, candidate) {
            Decision::Create => (Some("*".to_owned()), None),
            Decision::Replace(etag) => (None, Some(etag)),
            Decision::Duplicate => return Ok(false),
            Decision::KeepComplete => {
                let missing = metadata.first_error.clone().unwrap_or_default();
                return Err(Failure::Partial { key: key.to_owned(), missing });
            }
            Decision::Superseded => return Err(Failure::Superseded(key.to_owned())),
        };
        let put = bucket
            .client
            .put_object()
            .bucket(&bucket.name)
            .key(key)
            .content_type(CONTENT_TYPE)
            .set_metadata(Some(metadata.for_run(heir(&standing_now, metadata)).to_headers()))
            .set_if_none_match(if_none_match)
            .set_if_match(if_match)
            .body(ByteStream::from(body.clone()))
            .customize()
            .config_override(Builder::new().timeout_config(aws::upload_timeouts(body.len())))
            .send()
            .await;
        // The object that was to be replaced may be gone, which is 404 and not 412.
        match put.map_err(|error| AwsError::new("s3:PutObject", error)) {
            Ok(_) => return Ok(true),
            Err(error)
                if matches!(error.kind, ErrorKind::PreconditionFailed) || error.code == "NoSuchKey" =>
            {
                let Some(pause) = pauses.next() else {
                    return Err(Failure::Contended(key.to_owned()));
                };
                tracing::info!(key, "somebody else wrote this report in between; looking again");
                tokio::time::sleep(pause).await;
                standing_now = existing(bucket, key).await?;
            }
            Err(error) => return Err(Failure::ReportBucket(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use fleet::{datasets, existing::ExistingReport};

    use super::*;

    const COMPLETE: ReportStatus = ReportStatus::Complete;
    const PARTIAL: ReportStatus = ReportStatus::Partial;

    fn report(run_id: &RunId, date: &str, status: ReportStatus) -> Existing {
        let job = Job {
            account_name: "data".parse().expect("a name"),
            date: date.parse().expect("a date"),
            dataset: datasets::DEFAULT,
            run_id: run_id.clone(),
            only_incomplete: false,
            attributes: serde_json::Map::new(),
        };
        let written_at = Utc::now();
        let id = "111111111111".parse().expect("an id");
        let metadata = ReportMetadata { status, ..ReportMetadata::new(&job, id, written_at) };
        Existing::Report(Box::new(ExistingReport { etag: "e".into(), written_at, metadata }))
    }

    #[test]
    fn a_report_inherits_the_run_that_it_does_not_follow() {
        let [earlier, run, later] = [RunId::generate(), RunId::generate(), RunId::generate()];
        let manual = RunId::manual("12345678");
        let (day, other) = ("2026-11-03", "2026-10-03");
        let of = |run_id: &RunId, status| match report(run_id, day, status) {
            Existing::Report(report) => report.metadata,
            _ => unreachable!("it is one"),
        };
        let cases = [
            // What stands, the run and status of the report, and the run that it is written for.
            (Existing::Nothing, of(&run, COMPLETE), &run),
            (report(&earlier, day, COMPLETE), of(&run, COMPLETE), &run),
            (report(&later, day, PARTIAL), of(&run, COMPLETE), &later),
            (report(&run, day, COMPLETE), of(&manual, COMPLETE), &run),
            (report(&run, day, PARTIAL), of(&manual, PARTIAL), &manual),
            (report(&manual, day, COMPLETE), of(&run, COMPLETE), &run),
            (report(&run, other, COMPLETE), of(&manual, COMPLETE), &manual),
        ];
        for (standing, metadata, expected) in cases {
            assert_eq!(heir(&standing, &metadata), expected, "{standing:?} {metadata:?}");
        }
    }

    #[test]
    fn the_whole_table_of_decisions() {
        let [earlier, run, later] = [RunId::generate(), RunId::generate(), RunId::generate()];
        let manual = RunId::manual("12345678");
        let (day, other) = ("2026-11-03", "2026-10-03");
        let replace = Decision::Replace("e".into());
        let cases = [
            // What stands, the candidate's status, what becomes of it.
            (Existing::Nothing, COMPLETE, Decision::Create),
            (Existing::Nothing, PARTIAL, Decision::Create),
            (Existing::Foreign { etag: "e".into() }, PARTIAL, replace.clone()),
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
        for (standing, status, expected) in cases {
            let candidate = Candidate { run_id: &run, date: day.parse().expect("a date"), status };
            assert_eq!(decide(&standing, candidate), expected, "{standing:?} {status:?}");
        }
    }
}
