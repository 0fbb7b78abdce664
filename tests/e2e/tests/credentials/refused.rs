// SPDX-License-Identifier: Apache-2.0
//! The wrong account, and none.

use anyhow::Result;
use kit::{Ended, Fleet, HOME, HOME_REGION, finish};
use local_aws::{Fault, Service};

use super::support::{
    KEYS, PROFILE, PROFILE_KEY, VARIABLES_KEY, account_file, assert_nothing_collected, collect, collecting,
    error_of, four_accounts, inhabited, keys, profile, report_calls, set, shared_file, signed_by,
};

#[tokio::test]
async fn credentials_of_another_account_than_the_one_meant_are_refused() -> Result<()> {
    for (lines, with_keys) in [("", true), ("profile = 'legacy'", false), ("credentials = 'default'", false)]
    {
        let mut fleet = four_accounts().await?;
        if with_keys {
            keys(&mut fleet, "data", VARIABLES_KEY, "secret");
        }
        let is = if with_keys {
            KEYS
        } else if lines.contains("profile") {
            PROFILE
        } else {
            HOME
        };
        account_file(&mut fleet, &format!("id = '123412341234'\n{lines}"))?;
        let ended = collect(&fleet, "data").await?.status(1);
        let error = error_of(&ended);
        assert!(error.contains(&format!("belong to account {is}")), "{error}");
        assert!(error.contains("account 123412341234 was requested"), "{error}");
        assert!(ended.stdout.is_empty(), "{}", ended.stdout);
        assert_eq!(fleet.aws.calls().operation("GetCallerIdentity").ok().count(), 1);
        assert_eq!(fleet.aws.calls().service(Service::CloudWatch).count(), 0);

        account_file(&mut fleet, &format!("id = '{is}'\n{lines}"))?;
        let _ = collect(&fleet, "data").await?.status(0);
    }
    Ok(())
}

#[tokio::test]
async fn an_account_without_credentials_is_never_the_workers_own() -> Result<()> {
    let mut fleet = four_accounts().await?;
    let reported = |ended: &Ended, stem: &str| {
        let error = error_of(ended);
        assert!(error.contains("has no credentials"), "{error}");
        assert!(error.contains(&format!("{stem}_account_access_key")), "{error}");
        assert!(error.contains(&format!("{stem}_secret_access_key")), "{error}");
        assert!(ended.stdout.is_empty(), "{}", ended.stdout);
    };
    // Without an accounts file, with one that knows nothing more, and with one that knows the id alone;
    // Another account's variables, and a default profile, are not used either.
    keys(&mut fleet, "other", VARIABLES_KEY, "secret");
    keys(&mut fleet, "opra-dev", VARIABLES_KEY, "secret");
    shared_file(&fleet, "credentials", &profile("default", PROFILE_KEY, "secret"))?;
    reported(&collect(&fleet, "data").await?.status(2), "data");
    reported(&collect(&fleet, "opra-dev").await?.status(2), "opra_dev");
    account_file(&mut fleet, "")?;
    reported(&collect(&fleet, "data").await?.status(2), "data");
    account_file(&mut fleet, &format!("id = '{HOME}'"))?;
    reported(&collect(&fleet, "data").await?.status(2), "data");
    assert_eq!(fleet.aws.calls().count(), 0);
    // The same chain serves where it is said in so many words.
    account_file(&mut fleet, &format!("credentials = 'default'\nid = '{HOME}'"))?;
    let _ = collect(&fleet, "data").await?.status(0);
    assert_eq!(signed_by(&fleet.aws, HOME), report_calls());
    Ok(())
}

#[tokio::test]
async fn a_default_chain_without_credentials_is_reported() -> Result<()> {
    for lines in ["credentials = 'default'", "role_arn = 'arn:aws:iam::111111111111:role/reader'"] {
        let mut fleet = four_accounts().await?;
        account_file(&mut fleet, lines)?;
        let mut worker = collecting(&fleet, "data");
        worker.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        let ended = finish(worker).await?.status(1);
        let error = error_of(&ended);
        assert!(error.contains("NoCredentials"), "{error}");
        assert_eq!(fleet.aws.calls().count(), 0);
    }
    Ok(())
}

#[tokio::test]
async fn an_access_key_that_aws_does_not_know_is_reported() -> Result<()> {
    for lines in ["", "profile = 'legacy'", "role_arn = 'arn:aws:iam::111111111111:role/reader'"] {
        let mut fleet = Fleet::start().await?;
        shared_file(&fleet, "credentials", &profile("legacy", "AKIANOBODY", "secret"))?;
        if !lines.contains("profile") {
            keys(&mut fleet, "data", "AKIANOBODY", "secret");
        }
        account_file(&mut fleet, lines)?;
        let ended = collect(&fleet, "data").await?.status(1);
        let error = error_of(&ended);
        assert!(error.contains("account data could not be collected"), "{error}");
        assert!(error.contains("InvalidClientTokenId") || error.contains("InvalidAccessKeyId"), "{error}");
        assert!(error.contains("; the access key is mistyped"), "{error}");
        assert!(fleet.aws.calls().failed().count() > 0);
        assert_nothing_collected(&fleet.aws);
        assert_eq!(signed_by(&fleet.aws, HOME), set([]));
    }
    Ok(())
}

#[tokio::test]
async fn an_expired_session_token_is_reported() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    inhabited(&fleet.aws, KEYS, HOME_REGION).add_access_key("ASIATEMPORARY", Some("the token"));
    keys(&mut fleet, "data", "ASIATEMPORARY", "secret");
    fleet.variable("data_session_token", "the token");
    let fault = fleet.aws.fault(Fault::expired_token().access_key("ASIATEMPORARY"));
    let ended = collect(&fleet, "data").await?.status(1);
    let error = error_of(&ended);
    assert!(error.contains("ExpiredToken"), "{error}");
    assert!(error.contains("expired"), "{error}");
    assert!(ended.stdout.is_empty(), "{}", ended.stdout);
    assert!(fault.fired() > 0);
    assert_nothing_collected(&fleet.aws);
    Ok(())
}
