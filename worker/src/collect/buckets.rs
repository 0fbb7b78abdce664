//! Finding the buckets of an account, and the region of each.

use std::{collections::HashSet, sync::Arc};

use aws_sdk_s3::Client;
use chrono::DateTime;
use fleet::{AwsError, ErrorKind};
use futures::{StreamExt, stream};

use crate::cloudwatch::rows::{Listing, Problem, Resource};

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

/// Every bucket that `ListBuckets` names.
pub(super) async fn discover(client: &Client) -> Result<Buckets, AwsError> {
    const OPERATION: &str = "s3:ListAllMyBuckets";
    let mut found = Vec::new();
    let mut nowhere = Vec::new();
    // Few regions are shared by many buckets.
    let mut regions: HashSet<Arc<str>> = HashSet::new();
    let mut token: Option<String> = None;
    loop {
        let page = client.list_buckets().max_buckets(PAGE).set_continuation_token(token.clone()).send().await;
        let page = page.map_err(|error| AwsError::new(OPERATION, error))?;
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
            let resource = Resource { name, region, creation_date, listing: Listing::Listed };
            if resource.region.is_some() { &mut found } else { &mut nowhere }.push(resource);
        }
        match page.continuation_token.filter(|next| !next.is_empty()) {
            None => break,
            next if next == token => {
                return Err(AwsError {
                    operation: OPERATION,
                    code: "RepeatedContinuationToken".into(),
                    message: "the next page is the page itself".into(),
                    kind: ErrorKind::Transient,
                });
            }
            next => token = next,
        }
    }
    let mut buckets = Buckets { found, lost: Vec::new() };
    let mut heads = stream::iter(nowhere)
        .map(|resource| async {
            let region = region(client, &resource.name).await;
            (resource, region)
        })
        .buffer_unordered(HEADS_AT_ONCE);
    while let Some((resource, region)) = heads.next().await {
        match region {
            Ok(region) => buckets.found.push(Resource { region: Some(region), ..resource }),
            // Deleted since it was listed.
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) if error.is_transient() || error.kind == ErrorKind::Expired => return Err(error),
            Err(error) => {
                tracing::warn!(bucket = resource.name, error = %error, "the bucket's region could not be learnt");
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

/// A bucket's region, off whatever `HeadBucket` answers: a redirect and a refusal name it too.
async fn region(client: &Client, bucket: &str) -> Result<Arc<str>, AwsError> {
    match client.head_bucket().bucket(bucket).send().await {
        Ok(head) => head.bucket_region.map(Into::into).ok_or_else(|| AwsError {
            operation: "s3:ListBucket",
            code: "NoBucketRegion".into(),
            message: "the answer has no x-amz-bucket-region".into(),
            kind: ErrorKind::Permanent,
        }),
        Err(error) => {
            let header = error.raw_response().and_then(|raw| raw.headers().get("x-amz-bucket-region"));
            match header.map(Arc::from) {
                Some(region) => Ok(region),
                None => Err(AwsError::new("s3:ListBucket", error)),
            }
        }
    }
}
