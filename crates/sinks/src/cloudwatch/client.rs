// SPDX-License-Identifier: Apache-2.0
//! The call of the sink, and what its answers mean.

use std::time::Duration;

use anyhow::{Context, anyhow};
use aws_config::{SdkConfig, retry::RetryConfig};
use aws_sdk_cloudwatch::{
    Client as CloudWatch,
    config::{Builder, ProvideCredentials},
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        RequestId,
        put_metric_data::{PutMetricDataError, PutMetricDataOutput},
    },
    types::MetricDatum,
};
use backon::{BackoffBuilder, ExponentialBuilder};
use fleet::{AwsError, ErrorKind, aws, from_sdk, is_unsent};
use tokio::time::Instant;

const OPERATION: &str = "cloudwatch:PutMetricData";

/// How long a request that is throttled is sent again. With the timeout of a call that is less than the time for which a
/// delivery is one worker's alone.
const PATIENCE: Duration = Duration::from_secs(30);

/// `CloudWatch` in one region, and the namespace that is written to.
#[derive(Debug)]
pub(super) struct Client {
    cloudwatch: CloudWatch,
    pub(super) region: String,
    pub(super) namespace: String,
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Answer {
    Put,
    /// `CloudWatch` has nothing of it.
    NotPut(anyhow::Error),
    /// `CloudWatch` may have it and may not.
    Uncertain(anyhow::Error),
}

impl Client {
    /// `config` is the process's own.
    pub(super) fn new(config: &SdkConfig, region: &str, namespace: &str) -> Self {
        let config = Builder::from(&aws::with_region(config, region));
        // CloudWatch adds what is put twice: whether a request is sent again is decided by what is recorded of it. Bodies
        // above 10 KiB are compressed by gzip, as the SDK does for this call.
        let cloudwatch = CloudWatch::from_conf(config.retry_config(RetryConfig::disabled()).build());
        Self::with(cloudwatch, region, namespace)
    }

    pub(super) fn with(cloudwatch: CloudWatch, region: &str, namespace: &str) -> Self {
        Self { cloudwatch, region: region.to_owned(), namespace: namespace.to_owned() }
    }

    /// Checks that there are credentials. Whether they may put data, only a call that puts some would show.
    pub(super) async fn check(&self, config: &SdkConfig) -> anyhow::Result<()> {
        let provider = config.credentials_provider().context("there is no credentials provider")?;
        provider.provide_credentials().await.context("there are no credentials to put data with")?;
        Ok(())
    }

    /// Puts data, again only if it is throttled.
    pub(super) async fn put(&self, data: Vec<MetricDatum>) -> Answer {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(500))
            .with_max_delay(Duration::from_secs(8))
            .without_max_times()
            .with_jitter()
            .build();
        let begun = Instant::now();
        loop {
            let call = self.cloudwatch.put_metric_data().namespace(&self.namespace);
            let error = match call.set_metric_data(Some(data.clone())).send().await {
                Ok(put) => return confirmed(&put),
                Err(error) => error,
            };
            let is_put = may_be_put(&error);
            let error = from_sdk(OPERATION, error).in_region(&self.region);
            let pause = pauses.next().filter(|pause| begun.elapsed() + *pause < PATIENCE);
            match pause.filter(|_| !is_put && is_throttled(&error)) {
                Some(pause) => tokio::time::sleep(pause).await,
                None if is_put => return Answer::Uncertain(error.into()),
                None => return Answer::NotPut(self.explained(error)),
            }
        }
    }

    fn explained(&self, error: AwsError) -> anyhow::Error {
        let namespace = &self.namespace;
        match error.kind {
            ErrorKind::Denied => anyhow!(error)
                .context(format!("the worker's role needs {OPERATION} for the namespace {namespace}")),
            _ => error.into(),
        }
    }
}

/// A success, if it is one of AWS.
fn confirmed(put: &PutMetricDataOutput) -> Answer {
    match put.request_id() {
        Some(_) => Answer::Put,
        None => Answer::Uncertain(AwsError::unconfirmed(OPERATION, "request id").into()),
    }
}

/// Whether a call that failed may have put its data: unless it was never sent, or AWS refused it.
fn may_be_put(error: &SdkError<PutMetricDataError>) -> bool {
    match error {
        SdkError::ServiceError(refused) => {
            let is_refused = (400..500).contains(&refused.raw().status().as_u16());
            !(is_refused && refused.err().code().is_some())
        }
        error => !is_unsent(error),
    }
}

/// Whether a refusal is for the rate of requests alone.
fn is_throttled(error: &AwsError) -> bool {
    let codes = [
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "LimitExceededException",
    ];
    codes.contains(&&*error.code)
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        sync::{Arc, Mutex},
    };

    use aws_sdk_cloudwatch::config::{Credentials, SharedCredentialsProvider};
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use aws_smithy_runtime_api::{client::orchestrator::HttpResponse, http::StatusCode};
    use aws_smithy_types::body::SdkBody;
    use flate2::read::GzDecoder;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::{
        super::requests::{Request, Requests, tests::point},
        *,
    };

    /// An answer as AWS gives it; the body is CBOR.
    fn answer(status: u16, body: &'static [u8], has_id: bool) -> HttpResponse {
        let mut answer =
            HttpResponse::new(StatusCode::try_from(status).expect("a status"), SdkBody::from(body));
        answer.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
        if has_id {
            answer.headers_mut().insert("x-amzn-requestid", "1");
        }
        answer
    }

    const DONE: &[u8] = b"\xa0";
    const THROTTLED: &[u8] = b"\xa1\x66__type\x6aThrottling";
    const DENIED: &[u8] = b"\xa1\x66__type\x6cAccessDenied";

    async fn put(rules: &[&Rule]) -> Answer {
        let cloudwatch = mock_client!(aws_sdk_cloudwatch, RuleMode::Sequential, rules, |config| {
            config.retry_config(RetryConfig::disabled())
        });
        Client::with(cloudwatch, "eu-west-1", "Fleet/ECS").put(Vec::new()).await
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_answer_of_aws_says_what_became_of_a_request() {
        let once = |status: u16, body: &'static [u8], has_id: bool| {
            mock!(CloudWatch::put_metric_data).then_http_response(move || answer(status, body, has_id))
        };
        let said = |answer: Answer| match answer {
            Answer::Put => "put".to_owned(),
            Answer::NotPut(error) => format!("not put: {error:#}"),
            Answer::Uncertain(error) => format!("uncertain: {error:#}"),
        };
        for (status, body, has_id, expected) in [
            (200, DONE, true, "put"),
            (200, DONE, false, "uncertain: cloudwatch:PutMetricData: NotFromAws"),
            (
                403,
                DENIED,
                true,
                "not put: the worker's role needs cloudwatch:PutMetricData for the namespace Fleet/ECS: cloudwatch:PutMetricData in eu-west-1: AccessDenied",
            ),
            (403, DONE, true, "uncertain: "),
            (500, DONE, true, "uncertain: "),
            (503, THROTTLED, true, "uncertain: cloudwatch:PutMetricData in eu-west-1: Throttling"),
        ] {
            let said = said(put(&[&once(status, body, has_id)]).await);
            assert!(said.starts_with(expected), "{status}: {said}");
        }
        let rules = [once(400, THROTTLED, true), once(429, THROTTLED, true), once(200, DONE, true)];
        assert_eq!(said(put(&rules.each_ref()).await), "put", "after a while");
        let rules = [once(400, THROTTLED, true), once(500, THROTTLED, true)];
        let last = said(put(&rules.each_ref()).await);
        assert!(last.starts_with("uncertain: "), "what is sent again may be put by that: {last}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_stays_throttled_is_given_up_before_another_worker_may_begin() {
        let always = mock!(CloudWatch::put_metric_data)
            .sequence()
            .http_response(|| answer(400, THROTTLED, true))
            .repeatedly()
            .build();
        let begun = Instant::now();
        let Answer::NotPut(error) = put(&[&always]).await else { panic!("it is refused") };
        assert!(error.to_string().contains("Throttling"), "{error:#}");
        assert!(begun.elapsed() < PATIENCE && always.num_calls() > 3);
    }

    /// A server that answers each request so, and what it was sent: the head of each request, and its body.
    async fn server(answer: &'static [u8]) -> (String, Arc<Mutex<Vec<(String, Vec<u8>)>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let received = Arc::<Mutex<Vec<(String, Vec<u8>)>>>::default();
        let kept = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (mut request, mut buffer) = (Vec::new(), vec![0; 65_536]);
                let (head, body) = loop {
                    let read = stream.read(&mut buffer).await.expect("read");
                    request.extend_from_slice(&buffer[..read]);
                    let text = String::from_utf8_lossy(&request).to_lowercase();
                    let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.split_once("content-length: ").expect("a length").1;
                    let length: usize =
                        length.lines().next().and_then(|it| it.parse().ok()).expect("a number");
                    if request.len() >= head.len() + 4 + length {
                        break (head.to_owned(), request.split_off(head.len() + 4));
                    }
                };
                kept.lock().expect("not poisoned").push((head, body));
                stream.write_all(answer).await.expect("written");
            }
        });
        (url, received)
    }

    fn request() -> Request {
        let mut requests = Requests::new();
        for at in 0..1000 {
            assert_eq!(requests.add(point(false, at, "a-queue")), None);
        }
        requests.end().next().expect("a request")
    }

    async fn put_to(url: &str) -> Answer {
        let config = aws::with_endpoint(&aws::base().await.expect("a configuration"), url).to_builder();
        let config =
            config.credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests())).build();
        let data = request().points.into_iter().map(|point| point.datum).collect();
        Client::new(&config, "eu-west-1", "Fleet/SQS").put(data).await
    }

    #[tokio::test]
    async fn a_request_is_compressed_and_sent_once() {
        let done = b"HTTP/1.1 200 OK\r\nsmithy-protocol: rpc-v2-cbor\r\nx-amzn-requestid: 1\r\ncontent-length: 1\r\nconnection: close\r\n\r\n\xa0";
        let (url, received) = server(done).await;
        let answer = put_to(&url).await;
        assert!(matches!(answer, Answer::Put), "{answer:?}");
        let received = received.lock().expect("not poisoned").clone();
        let [(head, body)] = &received[..] else { panic!("one request: {received:?}") };
        assert!(
            head.contains("content-encoding: gzip") && body.len() < 20_000,
            "{} bytes: {head}",
            body.len()
        );
        let mut unpacked = Vec::new();
        GzDecoder::new(&**body).read_to_end(&mut unpacked).expect("gzip");
        let bound = request().bytes;
        assert!((bound / 2..bound).contains(&unpacked.len()), "{} of {bound}", unpacked.len());

        let (url, received) = server(b"").await;
        let answer = put_to(&url).await;
        assert!(matches!(answer, Answer::Uncertain(_)), "{answer:?}");
        assert_eq!(received.lock().expect("not poisoned").len(), 1, "it is not sent again");
    }

    #[tokio::test]
    async fn what_no_one_listens_to_is_not_put() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        drop(listener);
        let answer = put_to(&url).await;
        assert!(matches!(answer, Answer::NotPut(_)), "{answer:?}");
    }
}
