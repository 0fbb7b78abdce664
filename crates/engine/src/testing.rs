// SPDX-License-Identifier: Apache-2.0
//! Shared by the tests of several files: SQS with canned responses, and at an address of the test's own.

use std::time::Duration;

use aws_sdk_sqs::{
    Client, Config, Error,
    config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider, timeout::TimeoutConfig},
};
use aws_smithy_runtime_api::{
    client::{orchestrator::HttpResponse, result::SdkError},
    http::StatusCode,
};
use aws_smithy_types::{body::SdkBody, error::metadata::ProvideErrorMetadata};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use crate::{AwsError, ErrorKind, Queue};

pub(crate) fn queue(client: Client) -> Queue {
    Queue { client, url: "https://sqs.eu-west-1.amazonaws.com/111111111111/jobs".into(), classify }
}

/// The part of a classifier that the tests need.
#[expect(clippy::needless_pass_by_value, reason = "it is what a queue calls")]
fn classify(operation: &'static str, error: SdkError<Error, HttpResponse>) -> AwsError {
    let status = error.raw_response().map_or(0, |answer| answer.status().as_u16());
    let code = error.code().unwrap_or(if status == 0 { "Unreachable" } else { "ServiceUnavailable" });
    let kind = match code {
        "AccessDenied" => ErrorKind::Denied,
        "QueueDoesNotExist" => ErrorKind::NotFound,
        "RequestThrottled" => ErrorKind::Transient,
        _ if status == 0 || status >= 500 => ErrorKind::Transient,
        _ => ErrorKind::Permanent,
    };
    AwsError::new(kind, operation, code)
}

/// SQS at an address of the test's own, with timeouts.
pub(crate) fn sqs_at(endpoint: &str) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(25))
        .operation_timeout(Duration::from_mins(1));
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .timeout_config(timeouts.build())
        .build();
    Client::from_conf(config)
}

pub(crate) fn refusal(status: u16, code: &str) -> HttpResponse {
    let body = format!(r#"{{"__type":"com.amazonaws.sqs#{code}","message":"no"}}"#);
    HttpResponse::new(StatusCode::try_from(status).expect("a status"), SdkBody::from(body))
}

/// An SQS that refuses a renewal two seconds after the request.
pub(crate) async fn sqs_that_refuses_late() -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = vec![0; 4096];
        let _ = stream.read(&mut request).await;
        sleep(Duration::from_secs(2)).await;
        let body = r#"{"__type":"com.amazonaws.sqs#ReceiptHandleIsInvalid"}"#;
        let answer = format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let _ = stream.write_all(answer.as_bytes()).await;
    });
    sqs_at(&endpoint)
}
