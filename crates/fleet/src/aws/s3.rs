// SPDX-License-Identifier: Apache-2.0
//! Finds a bucket's region, and reads whole objects.

use aws_config::SdkConfig;
use aws_sdk_s3::operation::head_bucket::{HeadBucketError, HeadBucketOutput};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use tokio::time::timeout;

use super::{
    config::{has_endpoint, region, with_region},
    timeouts::LONGEST_CALL,
};
use crate::{AwsError, ErrorKind, bucket_terms::BucketTerms, clock::Clock, from_sdk};

/// An S3 client. If an endpoint is set, it uses path-style addressing: such an endpoint has no host name
/// for each bucket.
#[must_use]
pub fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(s3_config(config).build())
}

fn s3_config(config: &SdkConfig) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::from(config).force_path_style(has_endpoint(config, "S3"))
}

/// The region of a bucket, from any response to `HeadBucket`: redirects and refusals include it too.
#[must_use]
pub fn region_of_bucket(answer: &HeadBucketAnswer) -> Option<&str> {
    match answer {
        Ok(head) => head.bucket_region(),
        Err(error) => error.raw_response()?.headers().get("x-amz-bucket-region"),
    }
}

/// The result of `HeadBucket`.
pub type HeadBucketAnswer = Result<HeadBucketOutput, SdkError<HeadBucketError, HttpResponse>>;

/// An S3 client for the bucket's region, with the result of `HeadBucket` there. `clock` follows the
/// client's responses, and `terms` apply to each of its requests.
pub async fn s3_of_bucket(
    config: &SdkConfig,
    bucket: &str,
    clock: &Clock,
    terms: &BucketTerms,
) -> (aws_sdk_s3::Client, HeadBucketAnswer) {
    let client_of = |config: &SdkConfig| {
        aws_sdk_s3::Client::from_conf(
            s3_config(config).interceptor(clock.clone()).interceptor(terms.clone()).build(),
        )
    };
    let client = client_of(config);
    let answer = client.head_bucket().bucket(bucket).send().await;
    match region_of_bucket(&answer) {
        Some(elsewhere) if elsewhere != region(config) => {
            let client = client_of(&with_region(config, elsewhere));
            let answer = client.head_bucket().bucket(bucket).send().await;
            (client, answer)
        }
        _ => (client, answer),
    }
}

/// Reads an object whole.
pub async fn read_object(client: &aws_sdk_s3::Client, bucket: &str, key: &str) -> Result<Vec<u8>, AwsError> {
    let read = read_object_unless(client, bucket, key, None).await?;
    // Cannot fail: without a condition the result is an object or an error.
    Ok(read.map(|(bytes, _)| bytes).unwrap_or_default())
}

/// Reads an object whole, with its `ETag`; `None` if that is `known` already.
pub(crate) async fn read_object_unless(
    client: &aws_sdk_s3::Client,
    bucket: &str,
    key: &str,
    known: Option<&str>,
) -> Result<Option<(Vec<u8>, Option<String>)>, AwsError> {
    const OPERATION: &str = "s3:GetObject";
    let read = async {
        let get = client.get_object().bucket(bucket).key(key).set_if_none_match(known.map(str::to_owned));
        let object = match get.send().await {
            Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 304) => {
                return Ok(None);
            }
            answer => answer.map_err(|error| from_sdk(OPERATION, error))?,
        };
        let etag = object.e_tag().map(str::to_owned);
        match object.body.collect().await {
            Ok(bytes) => Ok(Some((bytes.to_vec(), etag))),
            Err(error) => {
                Err(AwsError::new(ErrorKind::Transient, OPERATION, "BrokenAnswer").message(error.to_string()))
            }
        }
    };
    // The SDK's timeout covers only the start of the response, and the object may arrive slowly.
    timeout(LONGEST_CALL, read).await.unwrap_or_else(|_| {
        let message = "the object did not arrive completely in time";
        Err(AwsError::new(ErrorKind::Transient, OPERATION, "Timeout").message(message))
    })
}
