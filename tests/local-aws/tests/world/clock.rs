// SPDX-License-Identifier: Apache-2.0
//! AWS's own clock, which a test may set apart from this machine's.

use std::time::Duration;

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use chrono::{DateTime, TimeDelta, Utc};
use local_aws::{LocalAws, QueueOptions, Trust};

use crate::support::{ACCOUNT, REGION, begin, cloudwatch, day, end, error, get, keys, s3, sqs, start, sts};

const HEAD: &str = "HEAD /reports/k HTTP/1.1\r\nconnection: close";

fn is_near(left: DateTime<Utc>, right: DateTime<Utc>) -> bool {
    (left - right).abs() < TimeDelta::seconds(20)
}

/// The `Date` header of an answer.
async fn date(aws: &LocalAws) -> DateTime<Utc> {
    let (answer, _) = end(begin(aws, HEAD, b"").await).await;
    let answer = String::from_utf8(answer).expect("a head");
    let dates: Vec<_> = answer.lines().filter_map(|line| line.strip_prefix("date: ")).collect();
    assert_eq!(dates.len(), 1, "{answer}");
    DateTime::parse_from_rfc2822(dates[0]).expect("a date").to_utc()
}

#[tokio::test]
async fn each_answer_has_the_date_of_a_clock_that_a_test_may_set() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    let _ = account.bucket("reports", REGION);
    assert!(is_near(date(&aws).await, Utc::now()));
    // A machine whose clock is an hour ahead, or three days behind.
    for ahead in [TimeDelta::hours(-1), TimeDelta::days(3)] {
        let now = Utc::now() + ahead;
        aws.set_clock(now);
        assert!(is_near(date(&aws).await, now) && is_near(aws.now(), now));
        let s3 = s3(&aws, REGION, keys(ACCOUNT));
        s3.put_object().bucket("reports").key("k").send().await.expect("no signature is refused for it");
        let head: HeadObjectOutput = s3.head_object().bucket("reports").key("k").send().await.expect("there");
        let modified = head.last_modified().expect("a time").secs();
        assert!(is_near(DateTime::from_timestamp(modified, 0).expect("a time"), now));
        assert!(is_near(account.object("reports", "k").expect("there").modified, now));
    }
    assert!(aws.calls().records().iter().all(|call| is_near(call.time, Utc::now())));
}

#[tokio::test]
async fn queues_and_sessions_go_by_that_clock() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    let hidden_for_hours =
        QueueOptions { visibility_timeout: Duration::from_hours(2), ..QueueOptions::default() };
    let url = account.queue("jobs", hidden_for_hours);
    let sqs = sqs(&aws, "us-east-1", keys(ACCOUNT));
    let receive = |seconds| {
        let request = sqs.receive_message().queue_url(&url).wait_time_seconds(seconds);
        request.message_system_attribute_names(MessageSystemAttributeName::SentTimestamp).send()
    };
    aws.set_clock(Utc::now() + TimeDelta::days(1));
    sqs.send_message().queue_url(&url).message_body("x").send().await.expect("sent");
    let received = receive(0).await.expect("received").messages.expect("one");
    let sent = &received[0].attributes().expect("asked for")[&MessageSystemAttributeName::SentTimestamp];
    let sent = DateTime::from_timestamp_millis(sent.parse().expect("milliseconds")).expect("a time");
    assert!(is_near(sent, aws.now()));

    let arn = account.role("reader", Trust::default());
    let sts = sts(&aws, REGION, keys(ACCOUNT));
    let session = sts.assume_role().role_arn(&arn).role_session_name("test").send().await.expect("assumed");
    let session = session.credentials().expect("credentials").clone();
    let keys = aws_credential_types::Credentials::new(
        session.access_key_id(),
        session.secret_access_key(),
        Some(session.session_token().to_owned()),
        None,
        "test",
    );
    let there = cloudwatch(&aws, REGION, keys);
    there.list_metrics().send().await.expect("not expired");

    let (waiting, ()) = tokio::join!(receive(20), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        aws.set_clock(aws.now() + TimeDelta::hours(3));
    });
    assert_eq!(waiting.expect("received").messages().len(), 1, "a long poll notices");
    assert_eq!(error(there.list_metrics().send().await), (403, "ExpiredToken".to_owned()));
}

#[tokio::test]
async fn metrics_age_by_that_clock() {
    let aws = start().await;
    aws.account(ACCOUNT).bucket("b", REGION).size("StandardStorage", day(450), 5.0).size(
        "StandardStorage",
        day(1),
        6.0,
    );
    let cloudwatch = cloudwatch(&aws, REGION, keys(ACCOUNT));
    let series = [("b", "StandardStorage")];
    let (cloudwatch, series) = (&cloudwatch, &series);
    let values =
        |ago| async move { get(cloudwatch, series, day(ago)).await.expect("got")[0].values().to_vec() };
    let listed = || async { cloudwatch.list_metrics().send().await.expect("listed").metrics().len() };
    assert_eq!((values(450).await, listed().await), (vec![5.0], 1));
    aws.set_clock(Utc::now() + TimeDelta::days(16));
    assert_eq!((values(450).await, values(1).await, listed().await), (vec![], vec![6.0], 0));
}
