// SPDX-License-Identifier: Apache-2.0
//! Clients for an account of an AWS, and the error that a call ended in.

use std::io::ErrorKind;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials;
use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat};
use chrono::{Days, NaiveDate, NaiveTime, Utc};
use local_aws::{LocalAws, Options};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) const ACCOUNT: &str = "111111111111";
pub(crate) const REGION: &str = "eu-west-1";

/// How long something may take that is to come: far longer than it needs, for machines that stall.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long an impatient client waits: long enough to get its request across, even so.
pub(crate) const IMPATIENCE: Duration = Duration::from_secs(5);

/// Read once, so that a test that runs over midnight stays on one day.
static TODAY: LazyLock<NaiveDate> = LazyLock::new(|| Utc::now().date_naive());

pub(crate) async fn start() -> LocalAws {
    LocalAws::start(Options::default()).await.expect("local-aws starts")
}

pub(crate) fn keys(access_key: &str) -> Credentials {
    Credentials::new(access_key, "secret", None, None, "test")
}

macro_rules! client {
    ($name:ident, $sdk:ident $(, $more:ident($value:expr))*) => {
        /// A client without retries that is patient.
        pub(crate) fn $name(aws: &LocalAws, region: &str, keys: Credentials) -> $sdk::Client {
            let timeout = TimeoutConfig::builder().connect_timeout(PATIENCE).operation_timeout(PATIENCE).build();
            let config = $sdk::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .http_client(aws_smithy_http_client::Builder::new().build_http())
                .endpoint_url(aws.endpoint())
                .region($sdk::config::Region::new(region.to_owned()))
                .credentials_provider(keys)
                .timeout_config(timeout)
                .retry_config(RetryConfig::disabled())
                $(.$more($value))*;
            $sdk::Client::from_conf(config.build())
        }
    };
}

client!(cloudwatch, aws_sdk_cloudwatch);
// With an endpoint of one's own the SDK wants a session of S3 Express for `ListDirectoryBuckets` too, which has no
// bucket to have one of.
client!(s3, aws_sdk_s3, force_path_style(true), disable_s3_express_session_auth(true));
client!(sqs, aws_sdk_sqs);
client!(sts, aws_sdk_sts);

/// For a call that is to end in silence.
pub(crate) fn impatient() -> TimeoutConfig {
    TimeoutConfig::builder().operation_timeout(IMPATIENCE).build()
}

/// Status (0 where there was no answer) and code of a call's error.
pub(crate) fn error<T: std::fmt::Debug, E: ProvideErrorMetadata>(
    result: Result<T, SdkError<E>>,
) -> (u16, String) {
    let error = result.expect_err("an error");
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    (status, error.code().unwrap_or("").to_owned())
}

pub(crate) fn day(ago: u64) -> NaiveDate {
    *TODAY - Days::new(ago)
}

pub(crate) fn at(day: NaiveDate) -> DateTime {
    DateTime::from_secs(day.and_time(NaiveTime::MIN).and_utc().timestamp())
}

fn query(id: &str, bucket: &str, storage_type: &str) -> MetricDataQuery {
    let name = if storage_type == "AllStorageTypes" { "NumberOfObjects" } else { "BucketSizeBytes" };
    let metric = Metric::builder()
        .namespace("AWS/S3")
        .metric_name(name)
        .dimensions(Dimension::builder().name("BucketName").value(bucket).build())
        .dimensions(Dimension::builder().name("StorageType").value(storage_type).build())
        .build();
    let stat = MetricStat::builder().metric(metric).period(86_400).stat("Average").build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

type GetMetricDataError = SdkError<aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataError>;

/// The results for pairs of bucket and storage type on a day, in the order of the answer.
pub(crate) async fn get(
    cloudwatch: &aws_sdk_cloudwatch::Client,
    series: &[(&str, &str)],
    day: NaiveDate,
) -> Result<Vec<MetricDataResult>, GetMetricDataError> {
    let queries = series
        .iter()
        .enumerate()
        .map(|(number, (bucket, storage_type))| query(&format!("q{number}"), bucket, storage_type))
        .collect();
    let request = cloudwatch.get_metric_data().set_metric_data_queries(Some(queries));
    let request = request.start_time(at(day)).end_time(at(day + Days::new(1)));
    Ok(request.send().await?.metric_data_results.unwrap_or_default())
}

pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A raw connection on which a request of this account was begun: its head, and the beginning of its body.
pub(crate) async fn begin(aws: &LocalAws, head: &str, body: &[u8]) -> TcpStream {
    let mut connection = TcpStream::connect(aws.address()).await.expect("connected");
    let signature = format!("Credential={ACCOUNT}/20261121/{REGION}/s3/aws4_request, SignedHeaders=host");
    let head = format!("{head}\r\nhost: localhost\r\nauthorization: AWS4-HMAC-SHA256 {signature}\r\n\r\n");
    connection.write_all(head.as_bytes()).await.expect("the head");
    connection.write_all(body).await.expect("the beginning of the body");
    connection
}

/// How the other side ended a connection, with what it said before.
pub(crate) async fn end(mut connection: TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut answer)).await;
    let error = read.expect("an end").err().map(|error| error.kind());
    (answer, error)
}
