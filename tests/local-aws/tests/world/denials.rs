// SPDX-License-Identifier: Apache-2.0
//! Denials that stay, and regions that are not enabled.

use aws_sdk_s3::primitives::ByteStream;
use local_aws::{QueueOptions, Trust};

use crate::support::{ACCOUNT, REGION, cloudwatch, error, keys, s3, sqs, start, sts};

#[tokio::test]
async fn an_action_is_denied_in_the_words_of_its_service() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    account.deny("s3:ListAllMyBuckets");
    account.deny_in("cloudwatch:ListMetrics", REGION);
    let s3 = s3(&aws, REGION, keys(ACCOUNT));
    assert_eq!(error(s3.list_buckets().send().await), (403, "AccessDenied".to_owned()));
    let here = cloudwatch(&aws, REGION, keys(ACCOUNT)).list_metrics().send().await;
    assert_eq!(error(here), (403, "AccessDenied".to_owned()));
    cloudwatch(&aws, "us-west-2", keys(ACCOUNT)).list_metrics().send().await.expect("another region");
    let url = account.queue("jobs", QueueOptions::default());
    account.deny_on("sqs:SendMessage", "jobs");
    let sqs = sqs(&aws, "us-east-1", keys(ACCOUNT));
    let denied = sqs.send_message().queue_url(&url).message_body("x").send().await;
    assert_eq!(error(denied), (403, "AccessDenied".to_owned()));
    account.allow("s3:ListAllMyBuckets");
    s3.list_buckets().send().await.expect("allowed again");
}

#[tokio::test]
async fn a_denied_head_bucket_tells_the_region_all_the_same() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    let _ = account.bucket("locked", REGION);
    account.deny_on("s3:ListBucket", "locked");
    let denied =
        s3(&aws, REGION, keys(ACCOUNT)).head_bucket().bucket("locked").send().await.expect_err("denied");
    let response = denied.raw_response().expect("an answer");
    assert_eq!(response.status().as_u16(), 403);
    assert_eq!(response.headers().get("x-amz-bucket-region"), Some(REGION));
}

#[tokio::test]
async fn a_bucket_of_another_owner_than_expected_is_refused() {
    let aws = start().await;
    let _ = aws.account(ACCOUNT).bucket("reports", REGION);
    let s3 = s3(&aws, REGION, keys(ACCOUNT));
    let put = |owner: &'static str| {
        let put = s3.put_object().bucket("reports").key("k").body(ByteStream::from_static(b"x"));
        put.expected_bucket_owner(owner).send()
    };
    put(ACCOUNT).await.expect("the owner's");
    assert_eq!(error(put("999999999999").await), (403, "AccessDenied".to_owned()));
}

#[tokio::test]
async fn a_missing_key_is_hidden_from_those_who_may_not_list() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    let _ = account.bucket("reports", REGION);
    let s3 = s3(&aws, REGION, keys(ACCOUNT));
    let get = || s3.get_object().bucket("reports").key("none").send();
    assert_eq!(error(get().await), (404, "NoSuchKey".to_owned()));
    account.deny("s3:ListBucket");
    assert_eq!(error(get().await), (403, "AccessDenied".to_owned()));
    assert_eq!(error(s3.head_object().bucket("reports").key("none").send().await).0, 403);
}

#[tokio::test]
async fn sts_of_a_region_gives_no_session_of_an_account_that_has_not_enabled_it() {
    let aws = start().await;
    let arn = aws.account("222222222222").role("reader", Trust::default());
    aws.account("222222222222").disable_region("me-south-1");
    let assume = |region| {
        let sts = sts(&aws, region, keys(ACCOUNT));
        let arn = arn.clone();
        async move { sts.assume_role().role_arn(arn).role_session_name("test").send().await }
    };
    assert_eq!(error(assume("me-south-1").await), (403, "RegionDisabledException".to_owned()));
    assume(REGION).await.expect("elsewhere it does");
    let none = "arn:aws:iam::222222222222:role/none";
    let unknown =
        sts(&aws, "me-south-1", keys(ACCOUNT)).assume_role().role_arn(none).role_session_name("test");
    assert_eq!(error(unknown.send().await), (403, "AccessDenied".to_owned()), "trust comes first");
}

#[tokio::test]
async fn in_a_region_that_is_not_enabled_the_keys_are_unknown() {
    let aws = start().await;
    aws.account(ACCOUNT).disable_region("me-south-1");
    let there = cloudwatch(&aws, "me-south-1", keys(ACCOUNT)).list_metrics().send().await;
    assert_eq!(error(there), (403, "InvalidClientTokenId".to_owned()));
    cloudwatch(&aws, REGION, keys(ACCOUNT)).list_metrics().send().await.expect("elsewhere they are known");
}
