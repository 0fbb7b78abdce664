// SPDX-License-Identifier: Apache-2.0
//! Roles, in the account's region and partition.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use kit::{Fleet, HOME, HOME_REGION, JOBS, expected::cells, finish};
use local_aws::{Service, Trust};

use super::support::{
    KEYS, PROFILE, PROFILE_KEY, ROLE, VARIABLES_KEY, account_file, accounts_file, assert_is_of,
    assert_nothing_collected, collect, day, four_accounts, inhabited, keys, set, shared_file, signed_by,
    signers,
};

/// The lines of a role in account 111111111111, and who assumes it: the access key and the account.
fn bases() -> [(&'static str, &'static str, &'static str); 3] {
    [("keys", VARIABLES_KEY, KEYS), ("profile", PROFILE_KEY, PROFILE), ("default chain", HOME, HOME)]
}

/// A fleet with a role that trusts one account alone, given an external id, and the account's base
/// credentials; the file says nothing of the external id yet.
async fn with_role(base: &str, trusted: &str) -> Result<(Fleet, String)> {
    let mut fleet = four_accounts().await?;
    let trust = Trust { accounts: Some(vec![trusted.to_owned()]), ..Trust::external_id("e-4711") };
    let arn = fleet.aws.account(ROLE).role("reader", trust);
    let mut lines = format!("role_arn = '{arn}'");
    match base {
        "keys" => keys(&mut fleet, "data", VARIABLES_KEY, "secret"),
        "profile" => lines.push_str("\nprofile = 'legacy'"),
        _ => {}
    }
    Ok((fleet, lines))
}

#[tokio::test]
async fn a_role_is_assumed_with_its_external_id_by_keys_a_profile_or_the_default_chain() -> Result<()> {
    for (base, access_key, trusted) in bases() {
        let (mut fleet, lines) = with_role(base, trusted).await?;
        account_file(&mut fleet, &format!("{lines}\nexternal_id = 'e-4711'"))?;
        let ended = collect(&fleet, "data").await?;
        assert_is_of(&ended, ROLE);
        let arn = "arn:aws:sts::111111111111:assumed-role/reader/cloudwatch-fleet";
        assert!(ended.stderr.contains(arn), "{}", ended.stderr);

        let assumed = (access_key.to_owned(), HOME_REGION.to_owned());
        assert_eq!(signers(&fleet.aws, "AssumeRole"), [assumed].into(), "{base}");
        assert_eq!(signed_by(&fleet.aws, access_key), set(["AssumeRole"]), "{base}");
        // All the rest is the session's, and the session is one for the whole report.
        let session = fleet.aws.calls().account(ROLE).records();
        assert!(session.iter().all(|call| call.access_key.starts_with("ASIA")), "{session:?}");
        assert_eq!(fleet.aws.calls().operation("AssumeRole").count(), 1, "{base}");
    }
    Ok(())
}

#[tokio::test]
async fn a_role_is_not_assumed_with_a_wrong_external_id_or_none() -> Result<()> {
    for (base, access_key, trusted) in bases() {
        for external_id in ["", "external_id = 'e-4712'"] {
            let (mut fleet, lines) = with_role(base, trusted).await?;
            account_file(&mut fleet, &format!("{lines}\n{external_id}"))?;
            let ended = collect(&fleet, "data").await?.status(1);
            for reported in ["sts:AssumeRole", "AccessDenied", "arn:aws:iam::111111111111:role/reader"] {
                assert!(ended.stderr.contains(reported), "{reported}: {}", ended.stderr);
            }
            assert!(ended.stdout.is_empty(), "{}", ended.stdout);
            assert!(fleet.aws.calls().operation("AssumeRole").outcome("AccessDenied").count() > 0);
            assert_eq!(signed_by(&fleet.aws, access_key), set(["AssumeRole"]), "{base}");
            assert_nothing_collected(&fleet.aws);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_role_of_the_defaults_is_that_of_each_accounts_id() -> Result<()> {
    let mut fleet = four_accounts().await?;
    let trust = Trust::external_id("e-of-all");
    fleet.aws.account(ROLE).role("cloudwatch-fleet-reader", trust.clone());
    fleet.aws.account(KEYS).role("cloudwatch-fleet-reader", trust);
    fleet.aws.account(PROFILE).role("another", Trust::external_id("e-of-one"));
    accounts_file(
        &mut fleet,
        "[defaults]
        role_name = 'cloudwatch-fleet-reader'
        external_id = 'e-of-all'
        [[account]]
        name = 'one'
        id = '111111111111'
        [[account]]
        name = 'two'
        id = '222222222222'
        [[account]]
        name = 'three'
        id = '333333333333'
        role_name = 'another'
        external_id = 'e-of-one'",
    )?;
    for (name, id) in [("one", ROLE), ("two", KEYS), ("three", PROFILE)] {
        assert_is_of(&collect(&fleet, name).await?, id);
    }
    assert_eq!(signed_by(&fleet.aws, HOME), set(["AssumeRole"]));
    Ok(())
}

#[tokio::test]
async fn a_role_is_assumed_for_as_long_as_the_accounts_file_says() -> Result<()> {
    let mut fleet = four_accounts().await?;
    let trust = |max_session| Trust { max_session, ..Trust::default() };
    // An hour is asked where nothing is said.
    for (longest, said, code) in [
        (900, "", 1),
        (900, "duration_seconds = 900", 0),
        (3600, "", 0),
        (3600, "duration_seconds = 7200", 1),
        (7200, "duration_seconds = 7200", 0),
    ] {
        let arn = fleet.aws.account(ROLE).role("reader", trust(Duration::from_secs(longest)));
        account_file(&mut fleet, &format!("role_arn = '{arn}'\n{said}"))?;
        let ended = collect(&fleet, "data").await?.status(code);
        if code == 1 {
            assert!(ended.stderr.contains("sts:AssumeRole"), "{}", ended.stderr);
            assert!(ended.stderr.contains("MaxSessionDuration"), "{}", ended.stderr);
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_account_is_asked_in_its_own_region() -> Result<()> {
    for base in ["keys", "default chain"] {
        let mut fleet = Fleet::start().await?;
        // A bucket elsewhere: that its own metrics are asked there is no matter of the account's region.
        let account = inhabited(&fleet.aws, ROLE, "us-west-2");
        let lines = if base == "keys" {
            account.add_access_key(VARIABLES_KEY, None);
            keys(&mut fleet, "data", VARIABLES_KEY, "secret");
            String::new()
        } else {
            format!("role_arn = '{}'", account.role("reader", Trust::default()))
        };
        account_file(&mut fleet, &format!("region = 'eu-central-1'\n{lines}"))?;
        let ended = collect(&fleet, "data").await?;
        assert_is_of(&ended, ROLE);
        assert_eq!(cells(&ended.stdout)[0]["region"], "us-west-2");
        for operation in ["GetCallerIdentity", "ListBuckets", "AssumeRole"] {
            let calls = fleet.aws.calls().operation(operation);
            let expected = u64::from(base != "keys" || operation != "AssumeRole");
            assert_eq!(calls.count(), expected, "{operation} by {base}");
            assert_eq!(calls.region("eu-central-1").count(), expected, "{operation} by {base}");
        }
        assert_eq!(fleet.aws.calls().region(HOME_REGION).count(), 0);
        let metrics = fleet.aws.calls().service(Service::CloudWatch);
        assert!(metrics.count() > 0);
        assert_eq!(metrics.clone().region("us-west-2").count(), metrics.count());
    }
    Ok(())
}

#[tokio::test]
async fn an_account_of_another_partition_is_asked_in_that_partition() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let china = inhabited(&fleet.aws, ROLE, "cn-northwest-1");
    china.role("reader", Trust::external_id("e-cn"));
    let arn = china.role_arn("reader", "cn-north-1");
    assert_eq!(arn, "arn:aws-cn:iam::111111111111:role/reader");
    account_file(&mut fleet, &format!("region = 'cn-north-1'\nrole_arn = '{arn}'\nexternal_id = 'e-cn'"))?;
    let ended = collect(&fleet, "data").await?;
    assert_is_of(&ended, ROLE);
    assert_eq!(cells(&ended.stdout)[0]["region"], "cn-northwest-1");
    let assumed = "arn:aws-cn:sts::111111111111:assumed-role/reader/cloudwatch-fleet";
    assert!(ended.stderr.contains(assumed), "{}", ended.stderr);
    let regions: BTreeSet<_> = fleet.aws.calls().records().into_iter().map(|call| call.region).collect();
    assert_eq!(regions, set(["cn-north-1", "cn-northwest-1"]));
    Ok(())
}

#[tokio::test]
async fn a_role_by_its_name_is_of_the_workers_own_partition() -> Result<()> {
    for (region, arn) in [
        ("us-gov-west-1", "arn:aws-us-gov:sts::111111111111:assumed-role/reader/cloudwatch-fleet"),
        ("cn-north-1", "arn:aws-cn:sts::111111111111:assumed-role/reader/cloudwatch-fleet"),
        ("eu-west-1", "arn:aws:sts::111111111111:assumed-role/reader/cloudwatch-fleet"),
    ] {
        let mut fleet = Fleet::start().await?;
        inhabited(&fleet.aws, ROLE, region).role("reader", Trust::default());
        account_file(&mut fleet, "id = '111111111111'\nrole_name = 'reader'")?;
        fleet.variable("AWS_REGION", region);
        let ended = collect(&fleet, "data").await?;
        assert_is_of(&ended, ROLE);
        assert!(ended.stderr.contains(arn), "{}", ended.stderr);
        // The AWS on loopback takes a role's ARN only in a region of its partition.
        assert_eq!(signers(&fleet.aws, "AssumeRole"), [(HOME.to_owned(), region.to_owned())].into());
    }
    Ok(())
}

/// However many accounts' roles they assume.
#[tokio::test]
async fn the_process_own_credentials_are_fetched_once_for_all_accounts() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let ids = ["111111111111", "222222222222", "333333333333"];
    for id in ids {
        inhabited(&fleet.aws, id, HOME_REGION).role("reader", Trust::default());
    }
    let accounts = ids.map(|id| format!("[[account]]\nname = 'a{id}'\nid = '{id}'\n")).concat();
    accounts_file(&mut fleet, &format!("[defaults]\nrole_name = 'reader'\n{accounts}"))?;
    let answer = format!(r#"{{"Version":1,"AccessKeyId":"{HOME}","SecretAccessKey":"secret"}}"#);
    let answer = fleet.file("answer.json", &answer)?;
    let asked = fleet.file("asked", "")?;
    let script = fleet.file("fetch.sh", &format!("echo asked >> {asked}\ncat {answer}\n"))?;
    shared_file(&fleet, "config", &format!("[default]\ncredential_process = /bin/sh {script}\n"))?;
    let mut worker = fleet.worker(&["check"]);
    worker.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env("PATH", "/usr/bin:/bin");
    let _ = finish(worker).await?.status(0);
    assert_eq!(fleet.aws.calls().operation("AssumeRole").ok().count(), 3);
    assert_eq!(std::fs::read_to_string(asked)?.lines().count(), 1);
    Ok(())
}

/// A role that another role assumes lasts an hour at most, and only then is it seen that one does.
#[tokio::test]
async fn a_duration_that_a_chained_role_does_not_get_is_reported() -> Result<()> {
    let mut fleet = four_accounts().await?;
    fleet.aws.account(PROFILE).role("first", Trust::default());
    let arn = format!("arn:aws:iam::{PROFILE}:role/first");
    shared_file(
        &fleet,
        "config",
        &format!("[profile chained]\nrole_arn = {arn}\nsource_profile = legacy\n"),
    )?;
    let lines = "role_arn = 'arn:aws:iam::111111111111:role/reader'\nprofile = 'chained'";
    account_file(&mut fleet, &format!("{lines}\nduration_seconds = 7200"))?;
    let reported =
        "lower duration_seconds in the accounts file: a role that a role assumes gets 3600 at most";
    let ended = collect(&fleet, "data").await?.status(1);
    assert!(ended.stderr.contains(reported), "{}", ended.stderr);
    let ended = finish(fleet.worker(&["check"])).await?.status(1);
    assert!(ended.stdout.contains(reported), "{}", ended.stdout);
    account_file(&mut fleet, &format!("{lines}\nduration_seconds = 3600"))?;
    assert_is_of(&collect(&fleet, "data").await?, ROLE);
    Ok(())
}

#[tokio::test]
async fn the_session_of_a_role_is_named_after_its_run() -> Result<()> {
    let mut fleet = four_accounts().await?;
    account_file(&mut fleet, "role_arn = 'arn:aws:iam::111111111111:role/reader'")?;
    let run = "01a22b7f-b207-7202-b105-6ad387472294";
    fleet.home.send(JOBS, &format!(r#"{{"account_name":"data","date":"{}","run_id":"{run}"}}"#, day()));
    let worker = fleet.work(&[]).await?;
    let arn = format!("assumed-role/reader/cloudwatch-fleet-{run}");
    assert!(worker.stderr.contains(&arn), "{}", worker.stderr);
    Ok(())
}

#[tokio::test]
async fn the_region_of_the_defaults_is_where_sts_is_asked() -> Result<()> {
    let mut fleet = four_accounts().await?;
    let roles = |name: &str| format!("[[account]]\nname = '{name}'\nid = '{ROLE}'\nrole_name = 'reader'\n");
    let text =
        format!("[defaults]\nregion = 'us-west-2'\n{}{}region = 'eu-central-1'\n", roles("a"), roles("b"));
    accounts_file(&mut fleet, &text)?;
    for (name, region) in [("a", "us-west-2"), ("b", "eu-central-1")] {
        fleet.aws.reset_calls();
        assert_is_of(&collect(&fleet, name).await?, ROLE);
        assert_eq!(signers(&fleet.aws, "AssumeRole"), [(HOME.to_owned(), region.to_owned())].into());
    }
    Ok(())
}
