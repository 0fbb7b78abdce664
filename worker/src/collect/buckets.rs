// SPDX-License-Identifier: Apache-2.0
//! Discovers the buckets of an account and their regions.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use aws_sdk_s3::{Client, types::Bucket};
use chrono::DateTime;
use fleet::{
    AwsError, ErrorKind, aws,
    datasets::{Class, LIST_BUCKETS, LIST_DIRECTORY_BUCKETS},
    from_sdk,
};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    account::session::{self, Renewable, Session},
    cloudwatch::rows::{Listing, Problem, Resource},
};

/// The maximum page size of `ListBuckets`. It is always set: S3 returns the regions of buckets only if a request has a
/// parameter.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html>
const PAGE: i32 = 10_000;

/// The maximum page size of `ListDirectoryBuckets`.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListDirectoryBuckets.html>
const DIRECTORY_PAGE: i32 = 1_000;

/// The maximum number of calls in flight, for buckets or for regions.
const CALLS_AT_ONCE: usize = 16;

/// The buckets of an account.
#[derive(Debug, Clone, Default)]
pub(super) struct Buckets {
    /// Buckets with a known region.
    pub(super) found: Vec<Resource>,
    /// Buckets whose region could not be found out, and why.
    pub(super) lost: Vec<(Resource, Problem)>,
    /// Whether directory buckets could not be listed in at least one region.
    pub(super) lacks_directories: bool,
    /// The regions whose directory buckets have been listed.
    pub(super) with_directories: BTreeSet<Arc<str>>,
}

/// All buckets that `ListBuckets` returns, and the directory buckets of the home region and of `regions`. Those of other
/// regions are listed while CloudWatch is queried there. The last attempt ignores transient errors.
pub(super) async fn discover(
    session: &Session,
    regions: &[String],
    is_last: bool,
) -> Result<Buckets, AwsError> {
    let home = session.home_region();
    let first: BTreeSet<Arc<str>> = regions.iter().map(String::as_str).chain([home]).map(Arc::from).collect();
    let s3 = session.s3(home);
    let directories = stream::iter(first.clone())
        .map(|region| async move { list_directories(session, &region, is_last).await })
        .buffer_unordered(CALLS_AT_ONCE)
        .try_collect::<Vec<_>>();
    let (mut buckets, directories) =
        futures::try_join!(list_buckets(&s3, session.credentials(), is_last), directories)?;
    buckets.lacks_directories = directories.iter().any(|directories| directories.is_incomplete);
    buckets.found.extend(directories.into_iter().flat_map(|directories| directories.found));
    buckets.with_directories = first;
    Ok(buckets)
}

async fn list_buckets(client: &Client, credentials: &Renewable, is_last: bool) -> Result<Buckets, AwsError> {
    let home = home(client);
    let mut found = Vec::new();
    let mut without_region = Vec::new();
    // Many buckets share a few regions.
    let mut regions: HashSet<Arc<str>> = HashSet::new();
    let mut token: Option<String> = None;
    loop {
        let token_now = &token;
        let request = || async move {
            let page = client.list_buckets().max_buckets(PAGE).set_continuation_token(token_now.clone());
            page.send().await.map_err(|error| from_sdk(LIST_BUCKETS, error).in_region(home))
        };
        let page = credentials.call(request).await?;
        for bucket in page.buckets.unwrap_or_default() {
            let region = bucket.bucket_region.clone().filter(|region| !region.is_empty()).map(|region| {
                regions.get(region.as_str()).cloned().unwrap_or_else(|| {
                    let region: Arc<str> = region.into();
                    regions.insert(region.clone());
                    region
                })
            });
            let Some(resource) = resource(bucket, region) else { continue };
            if resource.region.is_some() { &mut found } else { &mut without_region }.push(resource);
        }
        match page.continuation_token.filter(|next| !next.is_empty()) {
            None => break,
            next if next == token => return Err(same_page(LIST_BUCKETS)),
            next => token = next,
        }
    }
    let mut buckets = Buckets { found, ..Buckets::default() };
    let mut heads = stream::iter(without_region)
        .map(|resource| async {
            let region = credentials.call(|| region(client, &resource.name)).await;
            (resource, region)
        })
        .buffer_unordered(CALLS_AT_ONCE);
    while let Some((resource, region)) = heads.next().await {
        match region {
            Ok(region) => buckets.found.push(Resource { region: Some(region), ..resource }),
            // Deleted since it was listed.
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) if error.is_transient() && !is_last => return Err(error),
            Err(error) if session::ends_session(&error) => return Err(error),
            Err(error) => {
                tracing::warn!(bucket = &*resource.name, error = %error, "the bucket's region could not be found out");
                let denied = error.kind == ErrorKind::Denied;
                let problem = if denied { Problem::Denied } else { Problem::Error(error.code) };
                buckets.lost.push((resource, problem));
            }
        }
    }
    Ok(buckets)
}

/// The directory buckets of a region.
#[derive(Debug, Default)]
pub(super) struct Directories {
    pub(super) found: Vec<Resource>,
    /// Whether they could not be listed.
    pub(super) is_incomplete: bool,
}

/// Lists the directory buckets of a region. This permission is optional: without it they are missing from the report.
pub(super) async fn list_directories(
    session: &Session,
    region: &Arc<str>,
    is_last: bool,
) -> Result<Directories, AwsError> {
    match list_directory_buckets(&session.s3(region), session.credentials(), region).await {
        Ok(found) => Ok(Directories { found, is_incomplete: false }),
        Err(error) if has_no_directory_buckets(&error) => Ok(Directories::default()),
        Err(error) if error.is_transient() && !is_last => Err(error),
        Err(error) if session::ends_session(&error) => Err(error),
        Err(error) => {
            tracing::info!(region = &**region, error = %error, "directory buckets could not be listed");
            Ok(Directories { found: Vec::new(), is_incomplete: true })
        }
    }
}

async fn list_directory_buckets(
    client: &Client,
    credentials: &Renewable,
    region: &Arc<str>,
) -> Result<Vec<Resource>, AwsError> {
    let mut found = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let token_now = &token;
        let request = || async move {
            let page = client.list_directory_buckets().max_directory_buckets(DIRECTORY_PAGE);
            let page = page.set_continuation_token(token_now.clone()).send().await;
            page.map_err(|error| from_sdk(LIST_DIRECTORY_BUCKETS, error))
        };
        let page = credentials.call(request).await?;
        let buckets = page.buckets.unwrap_or_default().into_iter();
        let buckets = buckets.filter_map(|bucket| resource(bucket, Some(region.clone())));
        found.extend(buckets.filter(|bucket| bucket.class == Class::Directory));
        match page.continuation_token.filter(|next| !next.is_empty()) {
            None => return Ok(found),
            next if next == token => return Err(same_page(LIST_DIRECTORY_BUCKETS)),
            next => token = next,
        }
    }
}

/// Whether an error means that a region has no directory buckets: the service has no host there, a custom endpoint does
/// not support it, or the account has not enabled the region.
fn has_no_directory_buckets(error: &AwsError) -> bool {
    error.is_unknown_host()
        || error.code == "AuthorizationHeaderMalformed"
        || (error.kind == ErrorKind::Identity && !session::ends_session(error))
}

fn resource(bucket: Bucket, region: Option<Arc<str>>) -> Option<Resource> {
    let name: Arc<str> = bucket.name?.into();
    let created = bucket.creation_date.and_then(|at| DateTime::from_timestamp(at.secs(), 0));
    let creation_date = created.map(|at| at.date_naive());
    Some(Resource { class: class_of(&name), name, region, creation_date, listing: Listing::Listed })
}

/// The error for a page that names itself as the next one, which would never end.
fn same_page(operation: &'static str) -> AwsError {
    let (code, message) = ("RepeatedContinuationToken", "the next page is the page itself");
    AwsError::new(ErrorKind::Transient, operation, code).message(message)
}

/// The class of a bucket. Directory buckets have a reserved suffix.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
fn class_of(name: &str) -> Class {
    if name.ends_with("--x-s3") { Class::Directory } else { Class::General }
}

/// A bucket that CloudWatch or an earlier attempt lists but S3 does not: it was deleted, unless buckets of its class could
/// not be listed.
pub(super) fn not_listed(name: Arc<str>, region: Arc<str>, lacks_directory_buckets: bool) -> Resource {
    let class = class_of(&name);
    let is_unlistable = class == Class::Directory && lacks_directory_buckets;
    let listing = if is_unlistable { Listing::Unlistable } else { Listing::Unlisted };
    Resource { name, region: Some(region), creation_date: None, listing, class }
}

/// The region of the client.
fn home(client: &Client) -> &str {
    client.config().region().map(AsRef::as_ref).unwrap_or_default()
}

async fn region(client: &Client, bucket: &str) -> Result<Arc<str>, AwsError> {
    let answer = client.head_bucket().bucket(bucket).send().await;
    if let Some(region) = aws::region_of_bucket(&answer) {
        return Ok(region.into());
    }
    Err(match answer {
        Err(error) => from_sdk("s3:ListBucket", error).in_region(home(client)),
        Ok(_) => AwsError::new(ErrorKind::Permanent, "s3:ListBucket", "NoBucketRegion")
            .message("the response has no x-amz-bucket-region"),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::{
        operation::{list_buckets::ListBucketsOutput, list_directory_buckets::ListDirectoryBucketsOutput},
        primitives::DateTime as SdkDateTime,
        types::Bucket,
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
        answer.headers_mut().insert("x-amz-request-id", "ABCDEF0123456789");
        if let Some(region) = region {
            answer.headers_mut().insert("x-amz-bucket-region", region.to_owned());
        }
        answer
    }

    #[tokio::test]
    async fn every_page_is_read_and_requests_regions() {
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
        let buckets = list_buckets(&client(&[&first, &second]), &Renewable::for_tests(), false).await;
        let buckets = buckets.expect("two pages");
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
        let error =
            list_buckets(&client(&[&same]), &Renewable::for_tests(), false).await.expect_err("no end");
        assert_eq!((error.code.as_str(), same.num_calls()), ("RepeatedContinuationToken", 2));
    }

    #[tokio::test]
    async fn a_region_is_read_from_any_response_of_head_bucket() {
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
            let buckets = list_buckets(&client, &Renewable::for_tests(), false).await.expect("a list");
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
    async fn a_transient_error_for_a_bucket_fails_the_attempt_and_not_the_row() {
        let list = mock!(Client::list_buckets)
            .then_output(|| ListBucketsOutput::builder().buckets(bucket("a", None)).build());
        let head = mock!(Client::head_bucket).then_http_response(|| head_answer(503, None));
        let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&list, &head]);
        let credentials = Renewable::for_tests();
        let error = list_buckets(&client, &credentials, false).await.expect_err("a retry may succeed");
        assert!(error.is_transient(), "{error}");
        let buckets = list_buckets(&client, &credentials, true).await.expect("there is no further attempt");
        assert_eq!(buckets.lost[0].1, Problem::Error("ServiceUnavailable".into()));
    }

    #[tokio::test]
    async fn every_page_of_directory_buckets_is_read() {
        let page = |name: &str| ListDirectoryBucketsOutput::builder().buckets(bucket(name, None));
        let first = mock!(Client::list_directory_buckets)
            .then_output(move || page("a--use1-az4--x-s3").continuation_token("2").build());
        let second = mock!(Client::list_directory_buckets)
            .match_requests(|request| request.continuation_token() == Some("2"))
            .then_output(move || page("b--use1-az5--x-s3").build());
        let (credentials, region) = (Renewable::for_tests(), "us-east-1".into());
        let client = client(&[&first, &second]);
        let found = list_directory_buckets(&client, &credentials, &region).await.expect("two pages");
        let named: Vec<_> = found.iter().map(|bucket| (&*bucket.name, bucket.region.as_deref())).collect();
        assert_eq!(
            named,
            [("a--use1-az4--x-s3", Some("us-east-1")), ("b--use1-az5--x-s3", Some("us-east-1"))]
        );
        assert!(
            found.iter().all(|bucket| bucket.class == Class::Directory && bucket.creation_date.is_some())
        );
    }

    #[test]
    fn a_bucket_that_is_not_listed_was_deleted_unless_its_class_cannot_be_listed() {
        let listing = |name: &str, lacks| not_listed(name.into(), "us-east-1".into(), lacks).listing;
        assert_eq!(listing("logs", true), Listing::Unlisted);
        assert_eq!(listing("logs--use1-az4--x-s3", false), Listing::Unlisted);
        assert_eq!(listing("logs--use1-az4--x-s3", true), Listing::Unlistable);
    }
}
