// SPDX-License-Identifier: Apache-2.0
//! Looks up the reports in the bucket: their metadata, never their rows.

use anyhow::Context;
use fleet::{existing::Existing, report_bucket::ReportBucket};
use futures::{StreamExt, TryStreamExt, stream};

use crate::expand::PlannedJob;

const CONCURRENCY: usize = 32;

/// What is stored under each of the keys, in order.
pub async fn look(bucket: &ReportBucket, keys: &[&str]) -> anyhow::Result<Vec<Existing>> {
    let looks: Vec<_> = keys.iter().map(|key| look_at(bucket, key)).collect();
    stream::iter(looks).buffered(CONCURRENCY).try_collect().await
}

/// What is stored for each window of each job, in their order.
pub async fn look_at_windows(
    bucket: &ReportBucket,
    jobs: &[PlannedJob],
) -> anyhow::Result<Vec<Vec<Existing>>> {
    let keys: Vec<String> = jobs.iter().flat_map(PlannedJob::keys).map(|(_, key)| key).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut found = look(bucket, &keys).await?.into_iter();
    Ok(jobs.iter().map(|job| found.by_ref().take(job.job.windows.count()).collect()).collect())
}

async fn look_at(bucket: &ReportBucket, key: &str) -> anyhow::Result<Existing> {
    let existing = bucket.look(key).await;
    existing.with_context(|| format!("could not read s3://{}/{key}", bucket.name))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use aws_sdk_s3::operation::head_object::{HeadObjectInput, HeadObjectOutput};
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use aws_smithy_runtime_api::{client::orchestrator::HttpResponse, http::StatusCode};
    use aws_smithy_types::body::SdkBody;
    use fleet::RunId;

    use super::*;
    use crate::testing::complete;

    #[tokio::test]
    async fn distinguishes_reports_from_other_objects_and_from_nothing() {
        let headers = complete("data", &RunId::generate()).to_headers();
        let head = move |headers: HashMap<String, String>| {
            HeadObjectOutput::builder().e_tag("e").set_metadata(Some(headers)).build()
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
        let existing = look(&bucket, &["foreign", "ours", "absent"]).await.expect("looked");
        assert!(matches!(existing[0], Existing::Foreign { .. }), "{existing:?}");
        let report = existing[1].report().expect("a report");
        assert_eq!(report.metadata.account_name.as_str(), "data");
        assert_eq!(existing[2], Existing::Nothing);
    }

    #[tokio::test]
    async fn a_refusal_is_no_absence() {
        let denied = mock!(aws_sdk_s3::Client::head_object).then_http_response(|| {
            let status = StatusCode::try_from(403).expect("a status");
            let mut answer = HttpResponse::new(status, SdkBody::empty());
            answer.headers_mut().insert("x-amz-request-id", "1");
            answer
        });
        let bucket = ReportBucket::new(mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&denied]), "reports");
        let error = look(&bucket, &["k"]).await.expect_err("denied");
        assert!(
            format!("{error:#}").starts_with("could not read s3://reports/k: s3:GetObject: Forbidden"),
            "{error:#}"
        );
    }
}
