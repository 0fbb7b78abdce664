//! How both binaries reach AWS: timeouts, retries, endpoints and regions.
//!
//! Two layers retry and no more: the SDK a request, the queue a job.

pub(crate) mod between;
pub(crate) mod connection;
mod http;
pub mod regions;
mod sqs;
mod trust;

use std::time::Duration;

use aws_config::{
    BehaviorVersion, SdkConfig, identity::IdentityCache, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::operation::head_bucket::{HeadBucketError, HeadBucketOutput};
use aws_smithy_runtime_api::client::{
    orchestrator::HttpResponse, result::SdkError, stalled_stream_protection::StalledStreamProtectionConfig,
};
use aws_types::{origin::Origin, region::Region, service_config::ServiceConfigKey};
use tokio::time::timeout;

use self::http::Http;
pub use self::{
    regions::{dns_suffix, is_region, partition},
    sqs::sqs,
};
use crate::{
    AwsError, ErrorKind, bucket_terms::BucketTerms, clock::Clock, credentials::Explained, exit::CommandError,
    kept_credentials::KeptCredentials, profiles,
};

/// The longest that `ReceiveMessage` waits, in seconds.
/// Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>
pub const LONG_POLL_SECONDS: i32 = 20;

/// How long a call may take, with all its tries.
pub const LONGEST_CALL: Duration = Duration::from_secs(90);

/// Where nothing names a region.
const DEFAULT_REGION: &str = "us-east-1";

/// The process's own configuration: AWS's usual environment and files, with bounds on everything.
/// The SDK alone bounds nothing but the connect.
///
/// # Errors
/// If the environment, or the process's own profile, says what no request can be made of.
pub async fn base() -> Result<SdkConfig, CommandError> {
    let http = Http::of_process().map_err(CommandError::Configuration)?;
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(5)
                .with_initial_backoff(Duration::from_millis(500))
                .with_max_backoff(Duration::from_secs(20)),
        )
        .timeout_config(timeouts(Duration::from_secs(15)))
        .identity_cache(identity_cache())
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled().grace_period(Duration::from_secs(10)).build(),
        )
        .load()
        .await;
    profiles::check_own(&config).await?;
    let config = match config.credentials_provider() {
        Some(chain) => {
            let own = SharedCredentialsProvider::new(Explained::process(chain));
            let own = SharedCredentialsProvider::new(KeptCredentials::new(own));
            config.into_builder().credentials_provider(own).build()
        }
        None => config,
    };
    Ok(if config.region().is_some() { config } else { with_region(&config, DEFAULT_REGION) })
}

/// The same, once the process's own region is shown to exist.
///
/// # Errors
/// If it does not, or as [`base`] has them.
pub async fn at_start() -> Result<SdkConfig, CommandError> {
    let config = base().await?;
    regions::check(regions::own(&config).await.into_iter().collect()).await?;
    Ok(config)
}

/// The configuration of one account. `provider` keeps its credentials itself: the SDK's cache can't be
/// told that they are no longer good.
#[must_use]
pub fn of_account(config: &SdkConfig, provider: SharedCredentialsProvider) -> SdkConfig {
    config.to_builder().credentials_provider(provider).identity_cache(IdentityCache::no_cache()).build()
}

/// The same configuration in another region.
#[must_use]
pub fn with_region(config: &SdkConfig, region: &str) -> SdkConfig {
    config.to_builder().region(Region::new(region.to_owned())).build()
}

/// The same configuration at another endpoint, whatever the environment says: without its origin the
/// SDK takes an endpoint for one of the environment's, which `AWS_ENDPOINT_URL` then overrides.
#[must_use]
pub fn with_endpoint(config: &SdkConfig, endpoint: &str) -> SdkConfig {
    let mut builder = config.to_builder().endpoint_url(endpoint);
    builder.insert_origin("endpoint_url", Origin::shared_config());
    builder.build()
}

/// The region of a configuration made by [`base`].
#[must_use]
pub fn region(config: &SdkConfig) -> &str {
    config.region().map_or(DEFAULT_REGION, Region::as_ref)
}

/// An S3 client. If an endpoint is set, the bucket goes into the path: such an endpoint has no host name for
/// each bucket.
#[must_use]
pub fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(s3_config(config).build())
}

fn s3_config(config: &SdkConfig) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::from(config).force_path_style(has_endpoint(config, "S3"))
}

/// The endpoint that is set for a service, by its id, or for all of them: in the environment, in the profile or for
/// the account.
pub(crate) fn endpoint_of(config: &SdkConfig, service: &str) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url");
    let of_service = config.service_config().and_then(|all| all.load_config(key.build().ok()?));
    of_service.or_else(|| config.endpoint_url().map(str::to_owned))
}

/// Whether there is such an endpoint.
#[must_use]
pub fn has_endpoint(config: &SdkConfig, service: &str) -> bool {
    endpoint_of(config, service).is_some()
}

/// The region that a bucket lies in, off whatever `HeadBucket` answers: a redirect and a refusal name it
/// too.
#[must_use]
pub fn region_of_bucket(answer: &HeadBucketAnswer) -> Option<&str> {
    match answer {
        Ok(head) => head.bucket_region(),
        Err(error) => error.raw_response()?.headers().get("x-amz-bucket-region"),
    }
}

/// What `HeadBucket` answers.
pub type HeadBucketAnswer = Result<HeadBucketOutput, SdkError<HeadBucketError, HttpResponse>>;

/// An S3 client of the region that a bucket lies in, with what `HeadBucket` answers there. `clock` follows the
/// client's answers, and `terms` are in each of its requests.
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
    // Cannot fail: without a condition there is an object, or an error.
    Ok(read.map(|(bytes, _)| bytes).unwrap_or_default())
}

/// Reads an object whole, and its `ETag`; none if that is `known` already.
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
            answer => answer.map_err(|error| AwsError::new(OPERATION, error))?,
        };
        let etag = object.e_tag().map(str::to_owned);
        match object.body.collect().await {
            Ok(bytes) => Ok(Some((bytes.to_vec(), etag))),
            Err(error) => {
                Err(AwsError::coded(OPERATION, "BrokenAnswer", error.to_string(), ErrorKind::Transient))
            }
        }
    };
    // The SDK bounds the answer's beginning only, and an object may come very slowly.
    timeout(LONGEST_CALL, read).await.unwrap_or_else(|_| {
        let message = "the object did not come whole in time";
        Err(AwsError::coded(OPERATION, "Timeout", message, ErrorKind::Transient))
    })
}

/// The slowest that an upload may be, in bytes a second.
const SLOWEST_UPLOAD: u64 = 128 * 1024;

/// The timeouts of a request with so large a body: for the SDK, sending it is a part of waiting for
/// the answer.
#[must_use]
pub fn upload_timeouts(bytes: usize) -> TimeoutConfig {
    let upload = Duration::from_secs(bytes as u64 / SLOWEST_UPLOAD);
    let timeouts = timeouts(Duration::from_secs(15) + upload);
    timeouts.to_builder().operation_timeout(LONGEST_CALL + upload * 2).build()
}

fn timeouts(read: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .read_timeout(read)
        .operation_attempt_timeout(read + Duration::from_secs(5))
        .operation_timeout(LONGEST_CALL)
        .build()
}

fn identity_cache() -> aws_smithy_runtime_api::client::identity::SharedIdentityCache {
    IdentityCache::lazy().buffer_time(Duration::from_mins(5)).load_timeout(Duration::from_secs(20)).build()
}
