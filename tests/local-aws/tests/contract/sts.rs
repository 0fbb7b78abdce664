// SPDX-License-Identifier: Apache-2.0
//! STS: who one is, and becoming another.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;
use local_aws::Trust;

use crate::support::{Aws, code, contract};

/// A request for the role `reader` of the account, from another account.
fn assume(aws: &Aws) -> AssumeRoleFluentBuilder {
    let base = Credentials::new("999999999999", "secret", None, None, "contract");
    let arn = format!("arn:aws:iam::{}:role/reader", aws.account());
    aws.sts_with("eu-west-1", base).assume_role().role_arn(arn).role_session_name("fleet-run")
}

async fn session(aws: &Arc<Aws>) -> aws_sdk_sts::types::Credentials {
    aws.declare_role("reader", Trust::external_id("secret-handshake"));
    let request = assume(aws).external_id("secret-handshake");
    request.send().await.expect("assumed").credentials.expect("credentials")
}

fn keys(of: &aws_sdk_sts::types::Credentials, token: Option<String>) -> Credentials {
    Credentials::new(of.access_key_id(), of.secret_access_key(), token, None, "contract")
}

#[tokio::test]
async fn a_key_tells_its_account() {
    contract(|aws| async move {
        let identity =
            aws.sts_with("eu-west-1", aws.keys()).get_caller_identity().send().await.expect("identity");
        assert_eq!(identity.account(), Some(aws.account()));
        assert!(identity.arn().expect("an ARN").starts_with(&format!("arn:aws:iam::{}:", aws.account())));
        assert!(identity.user_id().is_some());
    })
    .await;
}

#[tokio::test]
async fn arns_follow_the_partition_of_the_region() {
    contract(|aws| async move {
        for (region, partition) in [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")] {
            let identity =
                aws.sts_with(region, aws.keys()).get_caller_identity().send().await.expect("identity");
            let arn = identity.arn().expect("an ARN");
            assert!(arn.starts_with(&format!("arn:{partition}:")), "{arn}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_role_gives_keys_of_its_account() {
    contract(|aws| async move {
        let given = session(&aws).await;
        assert!(given.access_key_id().starts_with("ASIA"));
        let hour = chrono::Utc::now().timestamp() + 3600;
        assert!((given.expiration().secs() - hour).abs() < 60, "an hour by default");
        let keys = keys(&given, Some(given.session_token().to_owned()));
        let identity = aws.sts_with("eu-west-1", keys).get_caller_identity().send().await.expect("identity");
        assert_eq!(identity.account(), Some(aws.account()));
        let arn = format!("arn:aws:sts::{}:assumed-role/reader/fleet-run", aws.account());
        assert_eq!(identity.arn(), Some(arn.as_str()));
    })
    .await;
}

#[tokio::test]
async fn a_roles_keys_see_what_their_account_sees() {
    contract(|aws| async move {
        let name = aws.unique("bucket");
        aws.s3("us-east-1").create_bucket().bucket(&name).send().await.expect("created");
        let given = session(&aws).await;
        let keys = keys(&given, Some(given.session_token().to_owned()));
        let listed = aws.s3_with("us-east-1", keys).list_buckets().send().await.expect("listed");
        assert_eq!(listed.buckets().iter().filter_map(|bucket| bucket.name()).collect::<Vec<_>>(), [name]);
    })
    .await;
}

#[tokio::test]
async fn temporary_keys_are_none_without_their_token() {
    contract(|aws| async move {
        let given = session(&aws).await;
        for token in [None, Some("another".to_owned())] {
            let client = aws.sts_with("eu-west-1", keys(&given, token));
            assert_eq!(code(client.get_caller_identity().send().await), "InvalidClientTokenId");
        }
    })
    .await;
}

#[tokio::test]
async fn a_role_asks_for_its_external_id() {
    contract(|aws| async move {
        aws.declare_role("reader", Trust::external_id("secret-handshake"));
        assume(&aws).external_id("secret-handshake").send().await.expect("assumed");
        assert_eq!(code(assume(&aws).send().await), "AccessDenied");
        assert_eq!(code(assume(&aws).external_id("guess").send().await), "AccessDenied");
    })
    .await;
}

#[tokio::test]
async fn a_missing_role_is_denied_and_not_reported() {
    contract(|aws| async move {
        assert_eq!(code(assume(&aws).send().await), "AccessDenied");
    })
    .await;
}

#[tokio::test]
async fn a_session_lasts_as_long_as_the_role_lets_it() {
    contract(|aws| async move {
        let max_session = Duration::from_hours(2);
        aws.declare_role("reader", Trust { max_session, ..Trust::default() });
        let ask = |seconds| assume(&aws).duration_seconds(seconds).send();
        let given = ask(7200).await.expect("assumed").credentials.expect("credentials");
        assert!((given.expiration().secs() - chrono::Utc::now().timestamp() - 7200).abs() < 60);
        assert_eq!(code(ask(7201).await), "ValidationError");
        assert_eq!(code(ask(899).await), "ValidationError");
        assert_eq!(code(ask(43_201).await), "ValidationError");
    })
    .await;
}

#[tokio::test]
async fn an_unknown_key_is_refused_by_every_service() {
    contract(|aws| async move {
        let nobody = || Credentials::new("AKIANOBODYKNOWSIT123", "secret", None, None, "contract");
        let sts = aws.sts_with("eu-west-1", nobody());
        assert_eq!(code(sts.get_caller_identity().send().await), "InvalidClientTokenId");
        let cloudwatch = aws.cloudwatch_with("eu-west-1", nobody());
        assert_eq!(code(cloudwatch.list_metrics().send().await), "InvalidClientTokenId");
        let s3 = aws.s3_with("eu-west-1", nobody());
        assert_eq!(code(s3.list_buckets().send().await), "InvalidAccessKeyId");
    })
    .await;
}
