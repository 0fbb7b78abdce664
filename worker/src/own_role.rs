//! Shows, before the first job is taken, that this worker may write reports: else each job would be
//! collected and paid for, and then fail.

use chrono::Utc;
use fleet::{
    AwsError, ErrorKind, Job, KeyTemplate, ReportDate, RunId, datasets, report_bucket::ReportBucket,
};

/// A version that no object has, so that a write on condition of it never happens.
const NO_VERSION: &str = "\"00000000000000000000000000000000\"";

/// The account whose report is never written; a policy may look at where reports lie.
const NOBODY: &str = "nobody";

/// Asks S3 for a write that can't happen. Whoever may not write is told so before the condition is
/// looked at.
///
/// # Errors
/// What S3 said, where it was not that the condition does not hold.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
pub async fn prove(bucket: &ReportBucket, template: &KeyTemplate) -> Result<(), AwsError> {
    const OPERATION: &str = "s3:PutObject";
    let put =
        bucket.client.put_object().bucket(&bucket.name).key(key(template)).if_match(NO_VERSION).send().await;
    match put.map_err(|error| AwsError::new(OPERATION, error)) {
        Err(error) if error.kind == ErrorKind::PreconditionFailed || error.code == "NoSuchKey" => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(AwsError {
            operation: OPERATION,
            code: "ConditionIgnored".into(),
            message: "this S3 writes objects whatever If-Match says; reports would overwrite each other"
                .into(),
            kind: ErrorKind::Permanent,
        }),
    }
}

/// Where a report would lie.
fn key(template: &KeyTemplate) -> String {
    let job = Job {
        account_name: NOBODY.parse().expect("cannot fail: it is a name"),
        date: ReportDate::today(Utc::now()),
        dataset: datasets::DEFAULT,
        run_id: RunId::manual(NOBODY),
        attributes: serde_json::Map::new(),
    };
    let id = "000000000000".parse().expect("cannot fail: it is an account's id");
    template.key(&job, Some(&id)).unwrap_or_else(|_| NOBODY.to_owned())
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::{Client, operation::put_object::PutObjectOutput};
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use aws_smithy_runtime_api::{client::orchestrator::HttpResponse, http::StatusCode};
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn answer(status: u16, code: &str) -> HttpResponse {
        let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
        HttpResponse::new(StatusCode::try_from(status).expect("a status"), SdkBody::from(body))
    }

    async fn proven_by(status: u16, code: &'static str) -> Result<(), AwsError> {
        let put = mock!(Client::put_object)
            .match_requests(|request| {
                request.if_match() == Some(NO_VERSION)
                    && request.key().is_some_and(|key| {
                        key.starts_with("s3_daily_storage/report_date=20")
                            && key.contains("account_name=nobody/")
                    })
            })
            .then_http_response(move || answer(status, code));
        let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&put]);
        prove(&ReportBucket { client, name: "reports".into() }, &KeyTemplate::default()).await
    }

    #[tokio::test]
    async fn a_condition_that_does_not_hold_is_the_proof() {
        assert_eq!(proven_by(404, "NoSuchKey").await, Ok(()));
        assert_eq!(proven_by(412, "PreconditionFailed").await, Ok(()));
    }

    #[tokio::test]
    async fn a_refusal_is_none_and_neither_is_a_bucket_that_is_gone() {
        assert_eq!(proven_by(403, "AccessDenied").await.map_err(|error| error.kind), Err(ErrorKind::Denied));
        assert_eq!(
            proven_by(404, "NoSuchBucket").await.map_err(|error| error.kind),
            Err(ErrorKind::NotFound)
        );
    }

    #[tokio::test]
    async fn an_s3_that_ignores_conditions_is_refused() {
        let put = mock!(Client::put_object).then_output(|| PutObjectOutput::builder().build());
        let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&put]);
        let proven = prove(&ReportBucket { client, name: "reports".into() }, &KeyTemplate::default()).await;
        assert_eq!(proven.map_err(|error| error.code), Err("ConditionIgnored".into()));
    }
}
