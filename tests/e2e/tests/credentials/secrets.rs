// SPDX-License-Identifier: Apache-2.0
//! No secret is printed.

use anyhow::Result;
use futures::future::try_join_all;
use kit::{Ended, Fleet, HOME, HOME_REGION, JOBS, REPORTS, days_ago, finish};
use local_aws::{Fault, Service, Trust};

use super::support::{
    KEYS, PROFILE, ROLE, account_file, collect, error_of, inhabited, keys, profile, shared_file,
};

/// It has no character that a form would write otherwise.
const EXTERNAL_ID: &str = "canary-external-id";

/// The role of the account, assumed by whatever else is said.
const BY_ROLE: &str =
    "role_arn = 'arn:aws:iam::111111111111:role/reader'\nexternal_id = 'canary-external-id'";

/// A fleet whose every secret is a canary, and those canaries.
async fn canaries(lines: &str) -> Result<(Fleet, [&'static str; 8])> {
    let mut fleet = Fleet::start().await?;
    let aws = &fleet.aws;
    inhabited(aws, ROLE, HOME_REGION).role("reader", Trust::external_id(EXTERNAL_ID));
    inhabited(aws, KEYS, HOME_REGION).add_access_key("ASIAVARIABLES", Some("canary-variables-token"));
    inhabited(aws, PROFILE, HOME_REGION).add_access_key("ASIAPROFILE", Some("canary-profile-token"));
    inhabited(aws, HOME, HOME_REGION).add_access_key("ASIAOWN", Some("canary-own-token"));
    let legacy = profile("legacy", "ASIAPROFILE", "canary-profile-secret");
    shared_file(&fleet, "credentials", &format!("{legacy}aws_session_token = canary-profile-token\n"))?;
    let arn = "arn:aws:iam::111111111111:role/reader";
    shared_file(
        &fleet,
        "config",
        &format!(
            "[profile chained]\nrole_arn = {arn}\nsource_profile = legacy\nexternal_id = {EXTERNAL_ID}\n"
        ),
    )?;
    if lines.contains("keys") {
        keys(&mut fleet, "data", "ASIAVARIABLES", "canary-variables-secret");
        fleet.variable("data_session_token", "canary-variables-token");
    }
    fleet.variable("AWS_ACCESS_KEY_ID", "ASIAOWN");
    fleet.variable("AWS_SECRET_ACCESS_KEY", "canary-own-secret");
    fleet.variable("AWS_SESSION_TOKEN", "canary-own-token");
    fleet.variable("RUST_LOG", "trace");
    account_file(&mut fleet, lines)?;
    let canaries = [
        EXTERNAL_ID,
        "canary-variables-secret",
        "canary-variables-token",
        "canary-profile-secret",
        "canary-profile-token",
        "canary-own-secret",
        "canary-own-token",
        // What AssumeRole gives begins so.
        "IQoJb3JpZ2luX2Vj",
    ];
    Ok((fleet, canaries))
}

fn assert_silent(ended: &Ended, canaries: &[&str]) {
    // There is a log, or its silence would say nothing.
    assert!(ended.stderr.contains("accessing the account"), "{}", ended.stderr);
    // The SDK of today blacks out what it prints of a request; one of tomorrow may not.
    let request = ended.stderr.lines().find(|line| line.contains("x-amz-security-token"));
    assert_eq!(request, None, "a request is printed");
    for canary in canaries {
        let said = ended.stdout.lines().chain(ended.stderr.lines()).find(|line| line.contains(canary));
        assert_eq!(said, None, "{canary}");
    }
}

#[tokio::test]
async fn no_secret_is_printed_however_much_is_logged() -> Result<()> {
    let role = BY_ROLE;
    for lines in [
        "credentials = 'keys'".to_owned(),
        "credentials = 'profile'\nprofile = 'legacy'".to_owned(),
        "credentials = 'profile'\nprofile = 'chained'".to_owned(),
        "credentials = 'default'".to_owned(),
        role.to_owned(),
        format!("{role} # by keys"),
        format!("{role}\nprofile = 'legacy'"),
    ] {
        let (fleet, canaries) = canaries(&lines).await?;
        let ended = collect(&fleet, "data").await?.status(0);
        assert_silent(&ended, &canaries);
        // Refused, with all that the SDK has to say of it.
        let refusal = fleet.aws.fault(Fault::error("ValidationError", 400).service(Service::Sts));
        for ended in
            [collect(&fleet, "data").await?.status(1), finish(fleet.worker(&["check"])).await?.status(1)]
        {
            assert_silent(&ended, &canaries);
        }
        assert!(refusal.fired() > 1);
    }
    Ok(())
}

#[tokio::test]
async fn no_secret_is_in_any_message_or_object() -> Result<()> {
    let role = BY_ROLE;
    for lines in [
        "credentials = 'keys'".to_owned(),
        "credentials = 'profile'\nprofile = 'legacy'".to_owned(),
        "credentials = 'default'".to_owned(),
        role.to_owned(),
        format!("{role}\nprofile = 'legacy'"),
    ] {
        let (fleet, canaries) = canaries(&lines).await?;
        let jobs = |account: &str| format!(r#"{{"account_name":"{account}","date":"{}"}}"#, days_ago(4));
        fleet.home.send(JOBS, &jobs("data"));
        fleet.home.send(JOBS, &jobs("nobody"));
        let ended = finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
        assert_silent(&ended, &canaries);
        // Refused as expired, the second time too.
        let refusal = fleet.aws.fault(Fault::expired_token().on("ListBuckets"));
        fleet.home.send(JOBS, &jobs("data").replace('}', r#","run_id":"again"}"#));
        let refused = finish(fleet.worker(&["run", "--exit-when-empty"])).await?;
        assert_silent(&refused, &canaries);
        assert!(refusal.fired() > 1, "{lines}");

        let mut reported = String::new();
        for letter in fleet.dead_letters() {
            reported += &format!("{letter:?}");
        }
        assert!(reported.contains("unknown_account"), "{reported}");
        // Where it is the worker's own credentials that are over, no account is to blame.
        let is_own = lines.contains("default");
        assert_eq!(reported.contains("expired_credentials"), !is_own, "{lines}: {reported}");
        assert_eq!(refused.code, Some(i32::from(is_own)), "{lines}");
        for key in fleet.home.keys(REPORTS, "") {
            let object = fleet.object(&key).expect("it is listed");
            reported += &format!("{:?}{}", object.metadata, String::from_utf8_lossy(&object.body));
        }
        assert!(reported.contains("bucket-of-"), "there is a report: {reported}");
        for canary in canaries {
            assert!(!reported.contains(canary), "{canary} is in {reported}");
        }
    }
    Ok(())
}

/// The error for a malformed response may quote a part of it, and this response has credentials.
#[tokio::test]
async fn no_secret_of_a_broken_answer_is_printed() -> Result<()> {
    let (fleet, canaries) = canaries(BY_ROLE).await?;
    let fault = fleet.aws.fault(Fault::truncated().on("AssumeRole"));
    let ended = collect(&fleet, "data").await?.status(1);
    assert!(fault.fired() > 0);
    assert!(error_of(&ended).contains("sts:AssumeRole"), "{}", error_of(&ended));
    assert_silent(&ended, &canaries);
    Ok(())
}

/// An error of the SDK may show the request that it could not send, with the external id in its form.
#[tokio::test]
async fn no_secret_of_a_request_that_is_not_sent_is_printed() -> Result<()> {
    let unsent = async |lines: &str, endpoint: &str| -> Result<()> {
        let (mut fleet, canaries) = canaries(lines).await?;
        let endpoint = if endpoint == "TLS" {
            fleet.aws.endpoint().replace("http://", "https://")
        } else {
            endpoint.to_owned()
        };
        fleet.variable("AWS_ENDPOINT_URL_STS", &endpoint);
        let ended = collect(&fleet, "data").await?.status(1);
        assert!(ended.stderr.contains("could not be collected"), "{}", ended.stderr);
        assert_silent(&ended, &canaries);
        Ok(())
    };
    let endpoints =
        ["http://127.0.0.1:9", "http://no-such-host.invalid", "TLS", "https://127.0.0.1:9/path?x"];
    let all = [BY_ROLE, "credentials = 'profile'\nprofile = 'chained'"]
        .into_iter()
        .flat_map(|lines| endpoints.map(|endpoint| (lines, endpoint)));
    let failed = async |fault: Fault| -> Result<()> {
        let (fleet, canaries) = canaries(BY_ROLE).await?;
        let fault = fleet.aws.fault(fault.on("AssumeRole"));
        assert_silent(&collect(&fleet, "data").await?.status(1), &canaries);
        assert!(fault.fired() > 0);
        Ok(())
    };
    let faults = [Fault::truncated(), Fault::lost_answer(), Fault::error("ServiceUnavailable", 503)];
    // Concurrently: each waits for the retries of a call.
    tokio::try_join!(
        try_join_all(all.map(|(lines, endpoint)| unsent(lines, endpoint))),
        try_join_all(faults.map(failed)),
    )?;
    Ok(())
}
