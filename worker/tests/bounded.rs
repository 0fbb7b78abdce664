// SPDX-License-Identifier: Apache-2.0
//! No call waits for ever: not for a server that takes a request and never answers, and not for one
//! that answers two bytes a second. Time is the runtime's own, so that minutes pass at once.

use std::{pin::Pin, time::Duration};

use aws_config::SdkConfig;
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_s3::primitives::ByteStream;
use fleet::{AwsError, aws, from_sdk};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};

/// What a server does with a request.
#[derive(Debug, Clone, Copy)]
enum Server {
    Silent,
    Trickling,
}

/// A server that serves every connection so, and its address.
async fn serve(server: Server) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, server));
        }
    });
    endpoint
}

async fn answer(mut stream: TcpStream, server: Server) {
    let mut request = vec![0; 64 * 1024];
    let Ok(1..) = stream.read(&mut request).await else { return };
    match server {
        Server::Silent => std::future::pending().await,
        Server::Trickling => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
            let mut sent = stream.write_all(head).await;
            while sent.is_ok() {
                sleep(Duration::from_millis(500)).await;
                sent = stream.write_all(b" ").await;
            }
        }
    }
}

async fn config(endpoint: &str) -> SdkConfig {
    let keys = Credentials::new("111111111111", "secret", None, None, "test");
    let config = aws::with_endpoint(&aws::base().await.expect("a configuration"), endpoint);
    config.to_builder().credentials_provider(SharedCredentialsProvider::new(keys)).build()
}

type Call = Pin<Box<dyn Future<Output = Result<(), AwsError>>>>;

/// A call of each operation that the worker uses.
fn calls(config: &SdkConfig, url: &str) -> Vec<(&'static str, Call)> {
    /// The call by its name, with what it gives left out.
    macro_rules! call {
        ($name:literal, $call:expr) => {{
            let call = $call;
            let call: Call =
                Box::pin(async { call.send().await.map(drop).map_err(|error| from_sdk($name, error)) });
            ($name, call)
        }};
    }
    let (s3, sqs) = (aws::s3(config), aws::queue(config, url).client);
    let (sts, cloudwatch) = (aws_sdk_sts::Client::new(config), aws_sdk_cloudwatch::Client::new(config));
    let object: Call = Box::pin({
        let s3 = s3.clone();
        async move { aws::read_object(&s3, "reports", "accounts.toml").await.map(drop) }
    });
    vec![
        call!("sts:GetCallerIdentity", sts.get_caller_identity()),
        call!("sts:AssumeRole", sts.assume_role().role_arn("arn:aws:iam::1:role/r").role_session_name("s")),
        call!("s3:ListAllMyBuckets", s3.list_buckets()),
        call!("s3:ListBucket", s3.head_bucket().bucket("reports")),
        call!("s3:HeadObject", s3.head_object().bucket("reports").key("k")),
        call!("s3:PutObject", s3.put_object().bucket("reports").key("k").body(ByteStream::from_static(b"x"))),
        ("s3:GetObject", object),
        call!("cloudwatch:ListMetrics", cloudwatch.list_metrics()),
        call!("cloudwatch:GetMetricData", cloudwatch.get_metric_data()),
        call!("sqs:ReceiveMessage", sqs.receive_message().queue_url(url).wait_time_seconds(20)),
        call!("sqs:DeleteMessage", sqs.delete_message().queue_url(url).receipt_handle("r")),
        call!("sqs:SendMessage", sqs.send_message().queue_url(url).message_body("b")),
        call!("sqs:GetQueueAttributes", sqs.get_queue_attributes().queue_url(url)),
        call!(
            "sqs:ChangeMessageVisibility",
            sqs.change_message_visibility().queue_url(url).receipt_handle("r").visibility_timeout(30)
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_call_ends_in_time_whatever_the_server_does() {
    for server in [Server::Silent, Server::Trickling] {
        let endpoint = serve(server).await;
        let config = config(&endpoint).await;
        for (name, call) in calls(&config, &format!("{endpoint}/111111111111/jobs")) {
            // A HEAD request has no body to trickle.
            let is_head = matches!(name, "s3:ListBucket" | "s3:HeadObject");
            let begun = Instant::now();
            let ended = call.await;
            let reported = format!("{name}, {server:?}: {ended:?} after {:?}", begun.elapsed());
            if is_head && matches!(server, Server::Trickling) {
                continue;
            }
            let error = ended.expect_err(&reported);
            assert!(error.is_transient(), "{reported}");
            assert!(begun.elapsed() <= aws::LONGEST_CALL + Duration::from_secs(1), "{reported}");
        }
    }
}
