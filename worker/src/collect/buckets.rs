//! Finding the buckets of an account, and the region of each.

use std::{collections::HashSet, sync::Arc};

use aws_sdk_s3::Client;
use chrono::DateTime;
use fleet::{AwsError, ErrorKind, aws};
use futures::{StreamExt, stream};

use crate::{
    cloudwatch::rows::{Listing, Problem, Resource},
    session::{self, Renewable},
};

/// The largest page of `ListBuckets`. It is asked for always: S3 tells a bucket's region only in
/// answer to a request with a parameter.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html>
const PAGE: i32 = 10_000;

/// How many buckets are asked for their region at once.
const HEADS_AT_ONCE: usize = 16;

/// The buckets of an account.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// Those whose region is known.
    pub(super) found: Vec<Resource>,
    /// Those whose region could not be learnt, and why.
    pub(super) lost: Vec<(Resource, Problem)>,
}

/// Every bucket that `ListBuckets` names. On the last try, a bucket whose region could not be learnt for a
/// passing cause is lost, and not all.
pub(super) async fn discover(
    client: &Client,
    credentials: &Renewable,
    is_last: bool,
) -> Result<Buckets, AwsError> {
    const OPERATION: &str = "s3:ListAllMyBuckets";
    let home = home(client);
    let mut found = Vec::new();
    let mut nowhere = Vec::new();
    // Few regions are shared by many buckets.
    let mut regions: HashSet<Arc<str>> = HashSet::new();
    let mut token: Option<String> = None;
    loop {
        let token_now = &token;
        let ask = || async move {
            let page = client.list_buckets().max_buckets(PAGE).set_continuation_token(token_now.clone());
            page.send().await.map_err(|error| AwsError::new(OPERATION, error).in_region(home))
        };
        let page = credentials.ask(ask).await?;
        for bucket in page.buckets.unwrap_or_default() {
            let Some(name) = bucket.name else { continue };
            let created = bucket.creation_date.and_then(|at| DateTime::from_timestamp(at.secs(), 0));
            let region = bucket.bucket_region.filter(|region| !region.is_empty()).map(|region| {
                regions.get(region.as_str()).cloned().unwrap_or_else(|| {
                    let region: Arc<str> = region.into();
                    regions.insert(region.clone());
                    region
                })
            });
            let creation_date = created.map(|at| at.date_naive());
            let resource = Resource { name: name.into(), region, creation_date, listing: Listing::Listed };
            if resource.region.is_some() { &mut found } else { &mut nowhere }.push(resource);
        }
        match page.continuation_token.filter(|next| !next.is_empty()) {
            None => break,
            next if next == token => {
                return Err(AwsError::coded(
                    OPERATION,
                    "RepeatedContinuationToken",
                    "the next page is the page itself",
                    ErrorKind::Transient,
                ));
            }
            next => token = next,
        }
    }
    let mut buckets = Buckets { found, lost: Vec::new() };
    let mut heads = stream::iter(nowhere)
        .map(|resource| async {
            let region = credentials.ask(|| region(client, &resource.name)).await;
            (resource, region)
        })
        .buffer_unordered(HEADS_AT_ONCE);
    while let Some((resource, region)) = heads.next().await {
        match region {
            Ok(region) => buckets.found.push(Resource { region: Some(region), ..resource }),
            // Deleted since it was listed.
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) if error.is_transient() && !is_last => return Err(error),
            Err(error) if session::is_over(&error) => return Err(error),
            Err(error) => {
                tracing::warn!(bucket = &*resource.name, error = %error, "the bucket's region could not be learnt");
                let denied = error.kind == ErrorKind::Denied;
                let problem = if denied { Problem::Denied } else { Problem::Error(error.code) };
                buckets.lost.push((resource, problem));
            }
        }
    }
    Ok(buckets)
}

/// How a bucket stands to `ListBuckets` when only CloudWatch named it. Directory buckets are never
/// listed, and have a suffix that no other bucket may have.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
#[must_use]
pub(super) fn listing_of_unnamed(name: &str) -> Listing {
    if name.ends_with("--x-s3") { Listing::Unlistable } else { Listing::Unlisted }
}

/// The region that is asked of buckets.
fn home(client: &Client) -> &str {
    client.config().region().map(AsRef::as_ref).unwrap_or_default()
}

/// A bucket's region.
async fn region(client: &Client, bucket: &str) -> Result<Arc<str>, AwsError> {
    let answer = client.head_bucket().bucket(bucket).send().await;
    if let Some(region) = aws::region_of_bucket(&answer) {
        return Ok(region.into());
    }
    Err(match answer {
        Err(error) => AwsError::new("s3:ListBucket", error).in_region(home(client)),
        Ok(_) => AwsError::coded(
            "s3:ListBucket",
            "NoBucketRegion",
            "the answer has no x-amz-bucket-region",
            ErrorKind::Permanent,
        ),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::{
        operation::list_buckets::ListBucketsOutput, primitives::DateTime as SdkDateTime, types::Bucket,
    };
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use aws_smithy_runtime_api::{client::orchestrator::HttpResponse, http::StatusCode};
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn client(rules: &[&Rule]) -> Client {
        mock_client!(aws_sdk_s3, RuleMode::Sequential, rules)
    }

    fn bucket(name: &str, region: Option<&str>) -> Bucket {
        let created = SdkDateTime::from_secs(1_600_000_000);
        Bucket::builder()
            .name(name)
            .creation_date(created)
            .set_bucket_region(region.map(str::to_owned))
            .build()
    }

    fn head_answer(status: u16, region: Option<&str>) -> HttpResponse {
        let mut answer = HttpResponse::new(StatusCode::try_from(status).expect("a status"), SdkBody::empty());
        if let Some(region) = region {
            answer.headers_mut().insert("x-amz-bucket-region", region.to_owned());
        }
        answer
    }

    #[tokio::test]
    async fn every_page_is_read_and_each_asks_for_regions() {
        let first = mock!(Client::list_buckets)
            .match_requests(|request| request.max_buckets() == Some(10_000))
            .then_output(|| {
                let page = ListBucketsOutput::builder().buckets(bucket("a", Some("eu-west-1")));
                page.continuation_token("2").build()
            });
        let second = mock!(Client::list_buckets)
            .match_requests(|request| {
                request.max_buckets() == Some(10_000) && request.continuation_token() == Some("2")
            })
            .then_output(|| ListBucketsOutput::builder().buckets(bucket("b", Some("us-east-1"))).build());
        let buckets =
            discover(&client(&[&first, &second]), &Renewable::for_tests(), false).await.expect("two pages");
        let found: Vec<_> = buckets.found.iter().map(|b| (&*b.name, b.region.as_deref())).collect();
        assert_eq!(found, [("a", Some("eu-west-1")), ("b", Some("us-east-1"))]);
        assert_eq!(buckets.found[0].creation_date, Some("2020-09-13".parse().expect("a day")));
        assert!(buckets.lost.is_empty());
    }

    #[tokio::test]
    async fn a_page_that_names_itself_as_the_next_ends_in_an_error() {
        let same = mock!(Client::list_buckets)
            .sequence()
            .output(|| ListBucketsOutput::builder().continuation_token("same").build())
            .repeatedly()
            .build();
        let error = discover(&client(&[&same]), &Renewable::for_tests(), false).await.expect_err("no end");
        assert_eq!((error.code.as_str(), same.num_calls()), ("RepeatedContinuationToken", 2));
    }

    #[tokio::test]
    async fn a_region_is_read_off_whatever_head_bucket_answers() {
        let cases = [
            (200, Some("eu-north-1"), Some("eu-north-1"), None),
            (301, Some("eu-north-1"), Some("eu-north-1"), None),
            (403, Some("eu-north-1"), Some("eu-north-1"), None),
            (403, None, None, Some(Problem::Denied)),
            (404, None, None, None),
            (400, None, None, Some(Problem::Error("BadRequest".into()))),
        ];
        for (status, header, region, problem) in cases {
            let list = mock!(Client::list_buckets)
                .then_output(|| ListBucketsOutput::builder().buckets(bucket("a", None)).build());
            let head = mock!(Client::head_bucket).then_http_response(move || head_answer(status, header));
            let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&list, &head]);
            let buckets = discover(&client, &Renewable::for_tests(), false).await.expect("a list");
            let found = buckets.found.first().and_then(|bucket| bucket.region.as_deref());
            assert_eq!(found, region, "{status} {header:?}");
            assert_eq!(
                buckets.lost.first().map(|(_, problem)| problem.clone()),
                problem,
                "{status} {header:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_bucket_that_can_not_be_looked_at_now_fails_the_try_and_not_the_row() {
        let list = mock!(Client::list_buckets)
            .then_output(|| ListBucketsOutput::builder().buckets(bucket("a", None)).build());
        let head = mock!(Client::head_bucket).then_http_response(|| head_answer(503, None));
        let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&list, &head]);
        let credentials = Renewable::for_tests();
        let error = discover(&client, &credentials, false).await.expect_err("a later try may find it");
        assert!(error.is_transient(), "{error}");
        let buckets = discover(&client, &credentials, true).await.expect("there is no later try");
        assert_eq!(buckets.lost[0].1, Problem::Error("ServiceUnavailable".into()));
    }

    #[test]
    fn directory_buckets_are_known_by_their_suffix() {
        assert_eq!(listing_of_unnamed("logs--use1-az4--x-s3"), Listing::Unlistable);
        assert_eq!(listing_of_unnamed("logs"), Listing::Unlisted);
    }
}
