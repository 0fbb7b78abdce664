// SPDX-License-Identifier: Apache-2.0
//! Every fault that strikes a call as a whole, and its counter.

use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use chrono::TimeDelta;
use local_aws::{Fault, LocalAws, QueueOptions, Service};

use crate::support::{ACCOUNT, IMPATIENCE, REGION, cloudwatch, error, impatient, keys, s3, sqs, start, sts};

async fn list(aws: &LocalAws) -> (u16, String) {
    error(cloudwatch(aws, REGION, keys(ACCOUNT)).list_metrics().send().await)
}

#[tokio::test]
async fn errors_are_answered_as_the_service_would() {
    let aws = start().await;
    for (fault, status, code) in [
        (Fault::throttle(), 400, "Throttling"),
        (Fault::deny(), 403, "AccessDenied"),
        (Fault::server_error(), 500, "InternalServiceError"),
        (Fault::unavailable(), 503, "ServiceUnavailable"),
        (Fault::expired_token(), 403, "ExpiredToken"),
        (Fault::error("LimitExceeded", 418), 418, "LimitExceeded"),
    ] {
        let handle = aws.fault(fault.on("ListMetrics").account(ACCOUNT).region(REGION).times(1));
        assert_eq!(list(&aws).await, (status, code.to_owned()));
        assert_eq!(handle.fired(), 1);
        assert_eq!(aws.calls().outcome(code).count(), 1);
        cloudwatch(&aws, REGION, keys(ACCOUNT)).list_metrics().send().await.expect("once only");
    }
}

/// One service in one region of one account, for some calls or until the test ends it.
#[tokio::test]
async fn one_region_is_down_while_the_others_answer() {
    let aws = start().await;
    let ask = |region, account| {
        let cloudwatch = cloudwatch(&aws, region, keys(account));
        async move { cloudwatch.list_metrics().send().await.map(drop) }
    };
    for fault in [Fault::unavailable(), Fault::throttle()] {
        let fault = fault.service(Service::CloudWatch).region("me-central-1").account(ACCOUNT);
        let handle = aws.fault(fault.clone().times(3));
        for fired in 1..=3 {
            assert!(ask("me-central-1", ACCOUNT).await.is_err());
            assert_eq!(handle.fired(), fired);
        }
        ask("me-central-1", ACCOUNT).await.expect("three times only");

        let handle = aws.fault(fault);
        for fired in 1..=5 {
            assert!(ask("me-central-1", ACCOUNT).await.is_err());
            assert_eq!(handle.fired(), fired);
        }
        ask("us-east-1", ACCOUNT).await.expect("another region");
        ask("me-central-1", "222222222222").await.expect("another account");
        s3(&aws, "me-central-1", keys(ACCOUNT)).list_buckets().send().await.expect("another service");
        handle.stop();
        ask("me-central-1", ACCOUNT).await.expect("until it is stopped");
        assert_eq!(handle.fired(), 5);
    }
}

#[tokio::test]
async fn each_service_has_its_own_shape_of_an_error() {
    let aws = start().await;
    let url = aws.account(ACCOUNT).queue("jobs", QueueOptions::default());
    let handle = aws.fault(Fault::deny());
    let (s3, sqs) = (s3(&aws, REGION, keys(ACCOUNT)), sqs(&aws, "us-east-1", keys(ACCOUNT)));
    let denied = (403, "AccessDenied".to_owned());
    assert_eq!(error(s3.list_buckets().send().await), denied);
    assert_eq!(error(sqs.receive_message().queue_url(&url).send().await), denied);
    assert_eq!(error(sts(&aws, REGION, keys(ACCOUNT)).get_caller_identity().send().await), denied);
    handle.stop();
    let handle = aws.fault(Fault::throttle());
    assert_eq!(error(s3.list_buckets().send().await), (503, "SlowDown".to_owned()));
    assert_eq!(
        error(sqs.receive_message().queue_url(&url).send().await),
        (403, "RequestThrottled".to_owned())
    );
    assert_eq!(handle.fired(), 2);
}

#[tokio::test]
async fn an_answer_may_come_from_something_in_between() {
    let aws = start().await;
    let page = "<html><body>Please log in</body></html>";
    let list = || cloudwatch(&aws, REGION, keys(ACCOUNT)).list_metrics().send();
    for status in [200, 403] {
        let fault = Fault::foreign(status, "text/html", page).on("ListMetrics").region(REGION).times(1);
        let handle = aws.fault(fault);
        let failure = list().await.expect_err("no answer of AWS's");
        let answer = failure.raw_response().expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.body().bytes()), (status, Some(page.as_bytes())));
        let header = |name| answer.headers().get(name);
        assert_eq!((header("content-type"), header("x-amzn-requestid")), (Some("text/html"), None));
        assert_eq!(handle.fired(), 1);
        list().await.expect("once only");
    }
    assert_eq!(aws.calls().outcome("foreign").count(), 2);
}

#[tokio::test]
async fn a_fault_for_keys_leaves_other_objects_alone() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    let _ = account.bucket("reports", REGION);
    let handle = aws.fault(
        Fault::server_error().on("PutObject").bucket("reports").key_prefix("runs/").key_prefix("tries/"),
    );
    let s3 = s3(&aws, REGION, keys(ACCOUNT));
    let put = |key: &'static str| s3.put_object().bucket("reports").key(key).send();
    put("report.csv").await.expect("put");
    for key in ["runs/1.json", "tries/report.csv"] {
        assert_eq!(error(put(key).await), (500, "InternalError".to_owned()));
    }
    assert_eq!(account.keys("reports", ""), ["report.csv"]);
    assert_eq!(handle.fired(), 2);
}

#[tokio::test]
async fn a_reset_ends_the_connection_and_nothing_is_done() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    let _ = account.bucket("reports", REGION);
    let s3 = s3(&aws, REGION, keys(ACCOUNT));
    for fault in [Fault::reset(), Fault::reset_upload()] {
        let handle = aws.fault(fault.on("PutObject").times(1));
        let put = s3.put_object().bucket("reports").key("k").body(ByteStream::from(vec![7; 5_000_000]));
        assert!(put.send().await.is_err_and(|error| error.raw_response().is_none()));
        assert_eq!(handle.fired(), 1);
        assert!(account.object("reports", "k").is_none());
    }
    assert_eq!(aws.calls().operation("PutObject").outcome("reset").count(), 2);
}

#[tokio::test]
async fn a_hang_lasts_until_the_client_gives_up() {
    let aws = start().await;
    let handle = aws.fault(Fault::hang().on("ListMetrics"));
    let list = cloudwatch(&aws, REGION, keys(ACCOUNT)).list_metrics().customize();
    let list = list.config_override(aws_sdk_cloudwatch::Config::builder().timeout_config(impatient()));
    let start = Instant::now();
    assert_eq!(error(list.send().await).0, 0);
    assert!(start.elapsed() >= IMPATIENCE);
    assert_eq!(handle.fired(), 1);
}

#[tokio::test]
async fn a_slow_call_is_carried_out_later() {
    let aws = start().await;
    aws.fault(Fault::slow(Duration::from_millis(200)).on("ListMetrics"));
    let start = Instant::now();
    cloudwatch(&aws, REGION, keys(ACCOUNT)).list_metrics().send().await.expect("listed");
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_body_can_trickle_or_end_half_way() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    let _ = account.bucket("reports", REGION);
    account.put_object("reports", "k", vec![7_u8; 1000], &[]);
    let s3 = s3(&aws, REGION, keys(ACCOUNT));
    let get = || async {
        let got = s3.get_object().bucket("reports").key("k").send().await.expect("a head");
        got.body.collect().await.map(|body| body.to_vec().len())
    };
    let handle = aws.fault(Fault::truncated().on("GetObject").times(1));
    assert!(get().await.is_err());
    assert_eq!(handle.fired(), 1);
    let handle = aws.fault(Fault::trickle(2000).on("GetObject").times(1));
    let start = Instant::now();
    assert_eq!(get().await.expect("the body"), 1000);
    assert!(start.elapsed() >= Duration::from_millis(400), "{:?}", start.elapsed());
    assert_eq!(handle.fired(), 1);
    assert_eq!(get().await.expect("the body"), 1000);
}

#[tokio::test]
async fn a_wrong_clock_refuses_until_the_client_follows_it() {
    let aws = start().await;
    let handle = aws.fault(Fault::wrong_clock(TimeDelta::hours(1)));
    let s3 = s3(&aws, REGION, keys(ACCOUNT));
    let refused = s3.list_buckets().send().await.expect_err("refused");
    let date = refused.raw_response().expect("an answer").headers().get("date").expect("a date").to_owned();
    let date = chrono::DateTime::parse_from_rfc2822(&date).expect("a date");
    assert!((date.to_utc() - chrono::Utc::now() - TimeDelta::hours(1)).abs() < TimeDelta::seconds(5));
    assert_eq!(error(Err::<(), _>(refused)), (403, "RequestTimeTooSkewed".to_owned()));
    assert_eq!(handle.fired(), 1);
}

#[tokio::test]
async fn the_sdk_corrects_its_clock_by_itself() {
    let aws = start().await;
    let handle = aws.fault(Fault::wrong_clock(TimeDelta::hours(-1)).on("ListMetrics"));
    let config = aws_sdk_cloudwatch::Config::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(aws.endpoint())
        .region(aws_sdk_cloudwatch::config::Region::new(REGION))
        .credentials_provider(keys(ACCOUNT));
    let cloudwatch = aws_sdk_cloudwatch::Client::from_conf(config.build());
    cloudwatch.list_metrics().send().await.expect("the second try is right");
    assert_eq!(handle.fired(), 1);
}

#[tokio::test]
async fn cleared_faults_are_over() {
    let aws = start().await;
    aws.fault(Fault::deny());
    assert_eq!(list(&aws).await.0, 403);
    aws.clear_faults();
    cloudwatch(&aws, REGION, keys(ACCOUNT)).list_metrics().send().await.expect("listed");
}
