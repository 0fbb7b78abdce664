// SPDX-License-Identifier: Apache-2.0
//! Secrets Manager and ECS, by plain requests in the form that their SDKs send.

use std::time::Duration;

use local_aws::{Account, Fault, LocalAws, Service};
use serde_json::{Value, json};

use crate::support::{ACCOUNT, REGION, begin, end, start};

/// Status and body of an answer.
async fn ask(aws: &LocalAws, target: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let head = format!(
        "POST / HTTP/1.1\r\nx-amz-target: {target}\r\ncontent-type: application/x-amz-json-1.1\r\n\
         connection: close\r\ncontent-length: {}",
        body.len()
    );
    let (answer, _) = end(begin(aws, &head, body.as_bytes()).await).await;
    let answer = String::from_utf8(answer).expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.contains("content-type: application/x-amz-json-1.1"), "{head}");
    let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
    (status, serde_json::from_str(body).expect("JSON"))
}

async fn secret(aws: &LocalAws, id: &str) -> (u16, Value) {
    ask(aws, "secretsmanager.GetSecretValue", &json!({ "SecretId": id })).await
}

/// Status and code of an error.
fn error((status, body): (u16, Value)) -> (u16, String) {
    let shape = body["__type"].as_str().expect("an error");
    (status, shape.rsplit('#').next().unwrap_or(shape).to_owned())
}

async fn with_account() -> (LocalAws, Account) {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    (aws, account)
}

#[tokio::test]
async fn a_secret_is_read_by_name_or_arn_and_changes_when_it_is_set_again() {
    let (aws, account) = with_account().await;
    let arn = account.secret("team/keys", REGION, r#"{"access_key":"AKIA1"}"#);
    let (status, first) = secret(&aws, &arn).await;
    assert_eq!((status, &first["SecretString"]), (200, &json!(r#"{"access_key":"AKIA1"}"#)));
    assert_eq!((&first["ARN"], &first["Name"]), (&json!(arn), &json!("team/keys")));
    assert_eq!(account.secret("team/keys", REGION, "other"), arn);
    let (_, second) = secret(&aws, "team/keys").await;
    assert_eq!(second["SecretString"], "other");
    assert_ne!(second["VersionId"], first["VersionId"]);
    let calls = aws.calls().service(Service::SecretsManager).operation("GetSecretValue").ok();
    assert_eq!((calls.count(), calls.records()[0].resource.as_deref()), (2, Some("team/keys")));
    account.delete_secret("team/keys", REGION);
    assert_eq!(error(secret(&aws, &arn).await), (400, "ResourceNotFoundException".to_owned()));
}

#[tokio::test]
async fn a_secret_that_may_not_be_read_or_is_anothers_is_denied() {
    let (aws, account) = with_account().await;
    let denied = (400, "AccessDeniedException".to_owned());
    for name in ["one", "two"] {
        account.secret(name, REGION, "text");
    }
    account.deny_on("secretsmanager:GetSecretValue", "one");
    assert_eq!(error(secret(&aws, "one").await), denied);
    assert_eq!(secret(&aws, "two").await.0, 200);
    account.deny("secretsmanager:GetSecretValue");
    assert_eq!(error(secret(&aws, "two").await), denied);
    account.allow("secretsmanager:GetSecretValue");
    assert_eq!(secret(&aws, "one").await.0, 200);
    let foreign = aws.account("222222222222").secret("theirs", REGION, "text");
    assert_eq!(error(secret(&aws, &foreign).await), denied);
    let elsewhere = account.secret("elsewhere", "us-west-2", "text");
    for unknown in ["none", "elsewhere", &elsewhere] {
        assert_eq!(error(secret(&aws, unknown).await), (400, "ResourceNotFoundException".to_owned()));
    }
}

#[tokio::test]
async fn faults_strike_these_services_too() {
    let (aws, account) = with_account().await;
    account.secret("one", REGION, "text");
    for (fault, status, code) in [
        (Fault::throttle(), 400, "ThrottlingException"),
        (Fault::server_error(), 500, "InternalServiceError"),
        (Fault::slow(Duration::from_millis(10)), 200, ""),
    ] {
        let handle = aws.fault(fault.service(Service::SecretsManager).bucket("one").times(1));
        let answer = secret(&aws, "one").await;
        assert_eq!(answer.0, status);
        assert!(code.is_empty() || error(answer).1 == code);
        assert_eq!(handle.fired(), 1);
    }
}

#[tokio::test]
async fn a_services_desired_count_is_read_and_set() {
    let (aws, account) = with_account().await;
    let arn = account.ecs_service("fleet", "workers", REGION, 0);
    let describe = |cluster: &'static str, service: String| {
        let body = json!({ "cluster": cluster, "services": [service] });
        let aws = &aws;
        async move { ask(aws, "AmazonEC2ContainerServiceV20141113.DescribeServices", &body).await }
    };
    let update = |service: &'static str, count: i64| {
        let body = json!({ "cluster": "fleet", "service": service, "desiredCount": count });
        let aws = &aws;
        async move { ask(aws, "AmazonEC2ContainerServiceV20141113.UpdateService", &body).await }
    };
    for service in [arn.clone(), "workers".to_owned()] {
        let (status, found) = describe("fleet", service).await;
        assert_eq!((status, &found["services"][0]["desiredCount"]), (200, &json!(0)));
        assert_eq!(found["services"][0]["serviceArn"], json!(arn));
    }
    let (status, updated) = update("workers", 3).await;
    assert_eq!((status, &updated["service"]["desiredCount"]), (200, &json!(3)));
    assert_eq!(account.desired_count("fleet", "workers", REGION), Some(3));
    assert_eq!(describe("fleet", "workers".to_owned()).await.1["services"][0]["runningCount"], 3);

    let (_, missing) = describe("fleet", "none".to_owned()).await;
    assert_eq!((&missing["services"], &missing["failures"][0]["reason"]), (&json!([]), &json!("MISSING")));
    assert_eq!(error(update("none", 1).await), (400, "ServiceNotFoundException".to_owned()));
    assert_eq!(error(update("workers", -1).await), (400, "InvalidParameterException".to_owned()));
    assert_eq!(
        error(describe("none", "workers".to_owned()).await),
        (400, "ClusterNotFoundException".to_owned())
    );
    account.deny_on("ecs:UpdateService", "workers");
    assert_eq!(error(update("workers", 9).await), (400, "AccessDeniedException".to_owned()));
    assert_eq!(account.desired_count("fleet", "workers", REGION), Some(3));
}

#[tokio::test]
async fn tagged_resources_are_named_by_type_and_page_in_their_region_alone() {
    let (aws, account) = with_account().await;
    let arn = |resource: &str| format!("arn:aws:{resource}");
    let queue = arn(&format!("sqs:{REGION}:{ACCOUNT}:mail"));
    account.tag(REGION, &queue, &[("team", "post"), ("stage", "live")]);
    for service in ["web", "api"] {
        account.tag(REGION, &arn(&format!("ecs:{REGION}:{ACCOUNT}:service/main/{service}")), &[]);
    }
    account.tag(REGION, &arn(&format!("ecs:{REGION}:{ACCOUNT}:cluster/main")), &[]);
    account.tag("us-west-2", &arn(&format!("sqs:us-west-2:{ACCOUNT}:far")), &[]);
    let get = |types: Value, per_page: usize, token: &'static str| {
        let body =
            json!({ "ResourceTypeFilters": types, "ResourcesPerPage": per_page, "PaginationToken": token });
        let aws = &aws;
        async move { ask(aws, "ResourceGroupsTaggingAPI_20170126.GetResources", &body).await }
    };
    let names = |answer: &Value| {
        let resources = answer["ResourceTagMappingList"].as_array().expect("a list");
        let name = |resource: &Value| {
            resource["ResourceARN"].as_str().and_then(|arn| arn.rsplit([':', '/']).next()).map(str::to_owned)
        };
        resources.iter().filter_map(name).collect::<Vec<_>>()
    };
    let (status, queues) = get(json!(["sqs"]), 100, "").await;
    let tags = json!([{ "Key": "stage", "Value": "live" }, { "Key": "team", "Value": "post" }]);
    let mapping = json!([{ "ResourceARN": queue, "Tags": tags }]);
    assert_eq!((status, queues), (200, json!({ "PaginationToken": "", "ResourceTagMappingList": mapping })));
    let (_, first) = get(json!(["ecs:service"]), 1, "").await;
    assert_eq!((names(&first), &first["PaginationToken"]), (vec!["api".to_owned()], &json!("1")));
    let (_, second) = get(json!(["ecs:service"]), 1, "1").await;
    assert_eq!((names(&second), &second["PaginationToken"]), (vec!["web".to_owned()], &json!("")));
    let (_, all) = get(json!([]), 100, "").await;
    assert_eq!(names(&all), ["main", "api", "web", "mail"]);

    for wrong in [get(json!([]), 101, ""), get(json!([]), 1, "no token")] {
        assert_eq!(error(wrong.await), (400, "InvalidParameterException".to_owned()));
    }
    let throttled = aws.fault(Fault::throttle().service(Service::Tagging).times(1));
    assert_eq!(error(get(json!([]), 1, "").await), (400, "ThrottledException".to_owned()));
    assert_eq!(throttled.fired(), 1);
    account.deny("tag:GetResources");
    assert_eq!(error(get(json!([]), 1, "").await), (400, "AccessDeniedException".to_owned()));
}
