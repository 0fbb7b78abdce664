//! Looks at the reports that stand in the bucket: their metadata, never their rows.

use anyhow::Context;
use chrono::{DateTime, Utc};
use fleet::{ReportDate, existing::Existing, report::ReportMetadata, report_bucket::ReportBucket};
use futures::{StreamExt, TryStreamExt, stream};

/// How many reports are looked at beside each other.
const CONCURRENCY: usize = 32;

/// What stands under a report's key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Standing {
    /// Nobody has looked yet.
    Unknown,
    /// Nothing.
    Absent,
    /// An object that no worker wrote.
    Foreign,
    /// A report.
    Report(Box<Report>),
}

/// A report as far as it can be known without reading it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    /// What it says of itself.
    pub(crate) metadata: ReportMetadata,
    /// When it was written, where S3 says so.
    pub(crate) written_at: Option<DateTime<Utc>>,
}

impl Standing {
    /// The report, where there is one.
    pub(crate) fn report(&self) -> Option<&Report> {
        match self {
            Self::Report(report) => Some(report),
            Self::Unknown | Self::Absent | Self::Foreign => None,
        }
    }

    /// Whether nothing is left to collect of that day: the report is complete, and no row of it is
    /// of an earlier day.
    pub(crate) fn is_final_for(&self, date: ReportDate) -> bool {
        self.report().is_some_and(|report| {
            report.metadata.is_complete_of(date, None) && report.metadata.rows_late == 0
        })
    }
}

/// What stands under each of the keys, in their order.
pub(crate) async fn look(bucket: &ReportBucket, keys: &[&str]) -> anyhow::Result<Vec<Standing>> {
    stream::iter(keys.iter().map(|key| look_at(bucket, key))).buffered(CONCURRENCY).try_collect().await
}

async fn look_at(bucket: &ReportBucket, key: &str) -> anyhow::Result<Standing> {
    let existing = bucket.look(key).await;
    let existing = existing.with_context(|| format!("could not look at s3://{}/{key}", bucket.name))?;
    Ok(match existing {
        Existing::Nothing => Standing::Absent,
        Existing::Foreign { .. } => Standing::Foreign,
        Existing::Report(report) => Standing::Report(Box::new(Report {
            metadata: report.metadata,
            written_at: Some(report.written_at),
        })),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use aws_sdk_s3::{
        operation::head_object::{HeadObjectInput, HeadObjectOutput},
        primitives::DateTime as S3DateTime,
    };
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use fleet::{RunId, report::ReportStatus};

    use super::*;
    use crate::status::tests::{complete, standing};

    #[tokio::test]
    async fn tells_reports_from_other_objects_and_from_nothing() {
        let headers = complete("data", &RunId::generate()).to_headers();
        let head = move |headers: HashMap<String, String>| {
            HeadObjectOutput::builder()
                .set_metadata(Some(headers))
                .last_modified(S3DateTime::from_secs(1_790_000_000))
                .build()
        };
        let ours = mock!(aws_sdk_s3::Client::head_object)
            .match_requests(|input: &HeadObjectInput| input.key() == Some("ours"))
            .then_output(move || head(headers.clone()));
        let foreign = mock!(aws_sdk_s3::Client::head_object)
            .match_requests(|input: &HeadObjectInput| input.key() == Some("foreign"))
            .then_output(move || head(HashMap::new()));
        let absent = mock!(aws_sdk_s3::Client::head_object).sequence().http_status(404, None).build();
        let bucket = ReportBucket::new(
            mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&ours, &foreign, &absent]),
            "reports",
        );
        let standings = look(&bucket, &["foreign", "ours", "absent"]).await.expect("looked");
        assert_eq!(standings[0], Standing::Foreign);
        let report = standings[1].report().expect("a report");
        assert_eq!(report.metadata.account_name.as_str(), "data");
        assert!(report.written_at.is_some());
        assert_eq!(standings[2], Standing::Absent);
    }

    #[test]
    fn a_report_is_final_when_it_is_complete_and_on_time() {
        let report = complete("data", &RunId::manual("by-hand"));
        let date = report.report_date;
        assert!(standing(report.clone()).is_final_for(date));
        assert!(!standing(report.clone()).is_final_for(date.days_before(1)));
        let late = ReportMetadata { rows_late: 1, ..report.clone() };
        assert!(!standing(late).is_final_for(date));
        let partial = ReportMetadata { status: ReportStatus::Partial, ..report };
        assert!(!standing(partial).is_final_for(date));
        assert!(!Standing::Absent.is_final_for(date) && !Standing::Foreign.is_final_for(date));
    }

    #[tokio::test]
    async fn a_refusal_is_no_absence() {
        let denied = mock!(aws_sdk_s3::Client::head_object).sequence().http_status(403, None).build();
        let bucket = ReportBucket::new(mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&denied]), "reports");
        let error = look(&bucket, &["k"]).await.expect_err("denied");
        assert!(
            format!("{error:#}").starts_with("could not look at s3://reports/k: s3:GetObject: Forbidden"),
            "{error:#}"
        );
    }
}
