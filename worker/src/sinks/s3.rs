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
    report::{CONTENT_TYPE, ReportMetadata, ReportStatus},
    report_bucket::ReportBucket,
};

use crate::failure::Failure;

/// How often a write is decided again because somebody else wrote in between.
const DECISIONS: usize = 6;

/// What stands under a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Nothing.
    Nothing,
    /// An object that is no report of ours.
    Foreign {
        /// Its version, for a conditional write.
        etag: String,
    },
    /// A report.
    Report {
        /// Its version, for a conditional write.
        etag: String,
        /// What it says of itself.
        metadata: Box<ReportMetadata>,
    },
}

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
pub fn decide(standing: &Standing, candidate: Candidate<'_>) -> Decision {
    let (etag, stands) = match standing {
        Standing::Nothing => return Decision::Create,
        Standing::Foreign { etag } => return Decision::Replace(etag.clone()),
        Standing::Report { etag, metadata } => (etag, metadata),
    };
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
fn heir<'a>(standing: &'a Standing, metadata: &'a ReportMetadata) -> &'a RunId {
    match standing {
        Standing::Report { metadata: stands, .. }
            if metadata.status == ReportStatus::Complete
                && stands.report_date == metadata.report_date
                && stands.run_id.is_generated()
                && !metadata.run_id.follows(&stands.run_id) =>
        {
            &stands.run_id
        }
        _ => &metadata.run_id,
    }
}

/// Reads what stands under a key.
pub async fn standing(bucket: &ReportBucket, key: &str) -> Result<Standing, Failure> {
    let answer = bucket.client.head_object().bucket(&bucket.name).key(key).send().await;
    let head = match answer.map_err(|error| AwsError::new("s3:GetObject", error)) {
        Ok(head) => head,
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(Standing::Nothing),
        Err(error) => return Err(Failure::ReportBucket(error)),
    };
    let etag = head.e_tag.unwrap_or_default();
    Ok(match head.metadata.as_ref().and_then(ReportMetadata::from_headers) {
        Some(metadata) => Standing::Report { etag, metadata: Box::new(metadata) },
        None => Standing::Foreign { etag },
    })
}

/// Writes a report, if it may stand. `before` is what stood when the job began. `false` where the
/// report of this run, or of a later one, stands already.
pub async fn store(
    bucket: &ReportBucket,
    key: &str,
    before: Standing,
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
                standing_now = standing(bucket, key).await?;
            }
            Err(error) => return Err(Failure::ReportBucket(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPLETE: ReportStatus = ReportStatus::Complete;
    const PARTIAL: ReportStatus = ReportStatus::Partial;

    fn report(run_id: &RunId, date: &str, status: ReportStatus) -> Standing {
        let metadata = ReportMetadata {
            run_id: run_id.clone(),
            account_name: "data".parse().expect("a name"),
            account_id: "111111111111".parse().expect("an id"),
            dataset: "s3_daily_storage".into(),
            report_date: date.parse().expect("a date"),
            status,
            rows: 0,
            rows_late: 0,
            rows_denied: 0,
            rows_error: 0,
            first_error: None,
            sha256: String::new(),
            api_calls: 0,
            metrics_requested: 0,
            estimated_cost_usd: 0.0,
            attributes: None,
        };
        Standing::Report { etag: "e".into(), metadata: Box::new(metadata) }
    }

    #[test]
    fn a_report_inherits_the_run_that_it_does_not_follow() {
        let [earlier, run, later] = [RunId::generate(), RunId::generate(), RunId::generate()];
        let manual = RunId::manual("12345678");
        let (day, other) = ("2026-11-03", "2026-10-03");
        let of = |run_id: &RunId, status| match report(run_id, day, status) {
            Standing::Report { metadata, .. } => *metadata,
            _ => unreachable!("it is one"),
        };
        let cases = [
            // What stands, the run and status of the report, and the run that it is written for.
            (Standing::Nothing, of(&run, COMPLETE), &run),
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
            (Standing::Nothing, COMPLETE, Decision::Create),
            (Standing::Nothing, PARTIAL, Decision::Create),
            (Standing::Foreign { etag: "e".into() }, PARTIAL, replace.clone()),
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
