// SPDX-License-Identifier: Apache-2.0
//! `worker check`: who the worker becomes in each account, and which permission is missing there, in
//! words that tell what to do.

use std::collections::BTreeSet;

use anyhow::Result;
use kit::{Ended, Fleet, HOME, HOME_REGION, days_ago, finish};
use local_aws::{Fault, Service, Trust};

const DATA: &str = "111111111111";

/// The three permissions that a job needs, with the operation that each is for.
const PERMISSIONS: [(&str, &str); 3] = [
    ("s3:ListAllMyBuckets", "ListBuckets"),
    ("cloudwatch:ListMetrics", "ListMetrics"),
    ("cloudwatch:GetMetricData", "GetMetricData"),
];

async fn check(fleet: &Fleet, names: &[&str]) -> Result<Ended> {
    let arguments: Vec<_> = names.iter().flat_map(|name| ["--account-name", *name]).collect();
    check_more(fleet, &arguments).await
}

async fn check_more(fleet: &Fleet, arguments: &[&str]) -> Result<Ended> {
    finish(fleet.worker(&[&["check"], arguments].concat())).await
}

/// The row of an account, as the words between its blanks.
fn row(ended: &Ended, account: &str) -> Vec<String> {
    let table = ended.stdout.split("\n\n").next().unwrap_or_default();
    let row = table.lines().find(|line| line.split_whitespace().next() == Some(account));
    row.unwrap_or_else(|| panic!("no row of {account}:\n{}", ended.stdout))
        .split("  ")
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// What is to be done about an account, a line each.
fn fixes<'a>(ended: &'a Ended, account: &str) -> Vec<&'a str> {
    let reported = ended.stdout.split_once("\n\n").map_or("", |(_, reported)| reported);
    reported.lines().filter(|line| line.starts_with(&format!("{account}: "))).collect()
}

fn accounts_file(fleet: &mut Fleet, text: &str) -> Result<()> {
    let path = fleet.file("accounts.toml", text)?;
    fleet.variable("FLEET_ACCOUNTS", &path);
    Ok(())
}

#[tokio::test]
async fn an_account_that_has_all_is_shown_with_its_identity() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let user = fleet.account("data", DATA);
    user.bucket("a-bucket", "us-east-1").size("StandardStorage", days_ago(1), 7.0);
    user.add_access_key("AKIAUSER", None);
    fleet.variable("data_account_access_key", "AKIAUSER");
    let ended = check(&fleet, &["data"]).await?.status(0);
    let header = ended.stdout.lines().next().unwrap_or_default();
    assert_eq!(
        header.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect::<Vec<_>>(),
        ["ACCOUNT", "ID", "IDENTITY", "BUCKETS", "METRICS", "DATA"]
    );
    assert_eq!(row(&ended, "data"), ["data", DATA, "user/fleet", "ok", "ok", "ok"]);
    assert_eq!(ended.stdout.lines().count(), 2, "{}", ended.stdout);

    // An empty account lacks nothing, and a role is shown as what it was assumed as.
    fleet.aws.account("222222222222").role("reader", Trust::default());
    accounts_file(
        &mut fleet,
        "[[account]]\nname = 'empty'\nrole_arn = 'arn:aws:iam::222222222222:role/reader'\n",
    )?;
    let ended = check(&fleet, &[]).await?.status(0);
    assert_eq!(row(&ended, "empty"), ["empty", "222222222222", "role/reader", "ok", "ok", "ok"]);
    Ok(())
}

#[tokio::test]
async fn a_check_costs_one_call_of_each_kind() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", DATA);
    for nth in 0..20 {
        let bucket = account.bucket(&format!("bucket-{nth}"), HOME_REGION);
        bucket.size("StandardStorage", days_ago(1), 7.0).objects(days_ago(1), 1.0);
    }
    let _ = check(&fleet, &["data"]).await?.status(0);
    let calls = fleet.aws.calls().records();
    let operations: BTreeSet<_> = calls.iter().map(|call| call.operation.as_str()).collect();
    let expected =
        ["GetCallerIdentity", "ListBuckets", "ListDirectoryBuckets", "ListMetrics", "GetMetricData"];
    assert_eq!(operations, expected.into());
    assert_eq!(calls.len(), 5, "{calls:?}");
    let asked: usize =
        calls.iter().filter(|call| call.operation == "GetMetricData").map(|call| call.items).sum();
    assert_eq!(asked, 1, "GetMetricData is paid by the metric");
    Ok(())
}

#[tokio::test]
async fn only_missing_permissions_are_reported() -> Result<()> {
    for (column, (action, operation)) in PERMISSIONS.iter().enumerate() {
        for role in [false, true] {
            let mut fleet = Fleet::start().await?;
            let account = fleet.account("data", DATA);
            account.bucket("a-bucket", HOME_REGION).size("StandardStorage", days_ago(1), 7.0);
            account.deny(action);
            let (arn, short) = if role {
                account.role("reader", Trust::default());
                accounts_file(
                    &mut fleet,
                    "[[account]]\nname = 'data'\nrole_arn = 'arn:aws:iam::111111111111:role/reader'\n",
                )?;
                ("arn:aws:sts::111111111111:assumed-role/reader/cloudwatch-fleet", "role/reader")
            } else {
                ("arn:aws:iam::111111111111:root", "root")
            };
            let ended = check(&fleet, &["data"]).await?.status(1);
            assert!(fleet.aws.calls().operation(operation).outcome("AccessDenied").count() > 0);
            let mut expected = vec!["data", DATA, short, "ok", "ok", "ok"];
            expected[3 + column] = "denied";
            assert_eq!(row(&ended, "data"), expected);

            let reported = fixes(&ended, "data");
            assert_eq!(reported.len(), 1, "{}", ended.stdout);
            assert!(
                reported[0].starts_with(&format!("data: allow {action} on * to {arn}")),
                "{}",
                reported[0]
            );
            for (other, _) in PERMISSIONS.iter().filter(|(other, _)| other != action) {
                assert!(!ended.stdout.contains(other), "{}", ended.stdout);
            }
            assert!(ended.stderr.contains("1 of 1 accounts"), "{}", ended.stderr);

            account.allow(action);
            let _ = check(&fleet, &["data"]).await?.status(0);
        }
    }
    Ok(())
}

#[tokio::test]
async fn several_missing_permissions_are_reported_together() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", DATA);
    for (action, _) in PERMISSIONS {
        account.deny(action);
    }
    let ended = check(&fleet, &["data"]).await?.status(1);
    assert_eq!(row(&ended, "data")[3..], ["denied", "denied", "denied"]);
    let reported = fixes(&ended, "data");
    assert_eq!(reported.len(), 3, "{}", ended.stdout);
    for (line, (action, _)) in reported.iter().zip(PERMISSIONS) {
        assert!(line.contains(action), "{line}");
    }
    Ok(())
}

/// Six accounts, of which one is well and each other is wrong in its own way.
async fn mixed() -> Result<Fleet> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("good", DATA);
    fleet.account("few-rights", "222222222222").deny("cloudwatch:GetMetricData");
    let _ = fleet.account("swapped", "333333333333");
    fleet.aws.account("444444444444").role("reader", Trust::external_id("e-1"));
    fleet.variable("typo_account_access_key", "AKIANOBODY");
    fleet.variable("typo_secret_access_key", "secret");
    accounts_file(
        &mut fleet,
        "[[account]]
        name = 'few-rights'
        [[account]]
        name = 'forgotten'
        [[account]]
        name = 'swapped'
        id = '123412341234'
        [[account]]
        name = 'distrusted'
        role_arn = 'arn:aws:iam::444444444444:role/reader'
        external_id = 'e-2'
        [[account]]
        name = 'typo'
        [[account]]
        name = 'profiled'
        profile = 'lagacy'
        [[account]]
        name = 'good'
        id = '111111111111'",
    )?;
    Ok(fleet)
}

#[tokio::test]
async fn one_bad_account_does_not_hide_the_others() -> Result<()> {
    let fleet = mixed().await?;
    let ended = check(&fleet, &[]).await?.status(1);
    assert!(ended.stderr.contains("6 of 7 accounts"), "{}", ended.stderr);
    // In the file's order, the good one last.
    let named: Vec<_> =
        ended.stdout.lines().skip(1).take(7).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(named, ["few-rights", "forgotten", "swapped", "distrusted", "typo", "profiled", "good"]);
    assert_eq!(row(&ended, "good"), ["good", DATA, "root", "ok", "ok", "ok"]);
    assert_eq!(fixes(&ended, "good"), [""; 0]);
    for (account, column, reported) in [
        ("forgotten", "no_credentials", &["forgotten_account_access_key", "forgotten_secret_access_key"][..]),
        ("swapped", "wrong_account", &["333333333333", "123412341234"]),
        (
            "distrusted",
            "access_denied",
            &["sts:AssumeRole", "arn:aws:iam::444444444444:role/reader", "trust policy", "external id"],
        ),
        ("typo", "no_credentials", &["InvalidClientTokenId"]),
        ("profiled", "no_credentials", &["profile lagacy"]),
    ] {
        assert_eq!(row(&ended, account), [account, "-", column, "-", "-", "-"], "{}", ended.stdout);
        let lines = fixes(&ended, account);
        assert_eq!(lines.len(), 1, "{}", ended.stdout);
        for reported in reported {
            assert!(lines[0].contains(reported), "{reported}: {}", lines[0]);
        }
    }
    assert!(fixes(&ended, "few-rights")[0].contains("allow cloudwatch:GetMetricData"), "{}", ended.stdout);

    // Nobody's part was asked for by the worker itself, but the role that it may not assume.
    let own = fleet.aws.calls().account(HOME).records();
    assert!(own.iter().all(|call| call.operation == "AssumeRole"), "{own:?}");
    // If the identity is not the expected one, nothing further is checked.
    assert_eq!(fleet.aws.calls().account("333333333333").count(), 1);
    Ok(())
}

#[tokio::test]
async fn the_accounts_that_are_named_are_checked_and_no_others() -> Result<()> {
    let fleet = mixed().await?;
    let ended = check(&fleet, &["good"]).await?.status(0);
    assert_eq!(ended.stdout.lines().count(), 2, "{}", ended.stdout);
    assert_eq!(fleet.aws.calls().account(DATA).count(), 5);
    assert_eq!(fleet.aws.calls().count(), 5);

    let ended = check(&fleet, &["good", "swapped"]).await?.status(1);
    assert!(ended.stderr.contains("1 of 2 accounts"), "{}", ended.stderr);

    let ended = check(&fleet, &["godo"]).await?.status(1);
    assert!(
        fixes(&ended, "godo")[0].ends_with("is not in the accounts file; add it there"),
        "{}",
        ended.stdout
    );

    let ended = check_more(&fleet, &["--failed-only", "--account-name", "good,swapped"]).await?.status(1);
    assert_eq!(ended.stdout.lines().nth(1).and_then(|line| line.split_whitespace().next()), Some("swapped"));
    assert!(!ended.stdout.contains("good"), "{}", ended.stdout);

    let ended =
        check_more(&fleet, &["--format", "json", "--account-name", "good,few-rights"]).await?.status(1);
    let reported = ended.json()?;
    assert_eq!((&reported["checked"], &reported["failed"]), (&2.into(), &1.into()));
    assert_eq!(reported["accounts"][0]["arn"], "arn:aws:iam::111111111111:root");
    assert_eq!(reported["accounts"][1]["permissions"][2]["answer"], "denied");
    Ok(())
}

#[tokio::test]
async fn without_any_account_the_fix_is_reported() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let empty = "[defaults]\nrole_name = 'reader'\n";
    for (file, why) in [(None, "no account to check"), (Some(empty), "the accounts file has no account")] {
        if let Some(text) = file {
            accounts_file(&mut fleet, text)?;
        }
        let ended = check(&fleet, &[]).await?.status(2);
        for reported in [why, "--account-name"] {
            assert!(ended.stderr.contains(reported), "{reported}: {}", ended.stderr);
        }
        assert!(ended.stdout.is_empty(), "{}", ended.stdout);
    }
    assert_eq!(fleet.aws.calls().count(), 0);
    Ok(())
}

#[tokio::test]
async fn an_account_that_is_named_twice_is_refused_before_it_is_asked_and_paid_for_twice() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", DATA);
    for command in ["check", "collect"] {
        let ended = finish(fleet.worker(&[command, "--account-name", "data,data"])).await?.status(2);
        assert!(ended.stderr.contains("account data: is listed twice; leave one out"), "{}", ended.stderr);
    }
    assert_eq!(fleet.aws.calls().count(), 0);
    Ok(())
}

#[tokio::test]
async fn names_whose_access_keys_would_be_one_pair_are_refused() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("opra-dev", DATA);
    let ended = check(&fleet, &["opra-dev", "opra_dev"]).await?.status(2);
    for reported in ["opra-dev", "opra_dev", "opra_dev_account_access_key"] {
        assert!(ended.stderr.contains(reported), "{reported}: {}", ended.stderr);
    }
    assert_eq!(fleet.aws.calls().count(), 0);
    Ok(())
}

#[tokio::test]
async fn an_outage_is_not_reported_as_a_missing_permission() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", DATA);
    let fault = fleet.aws.fault(Fault::error("InternalFailure", 500).on("ListMetrics"));
    let ended = check(&fleet, &["data"]).await?.status(1);
    assert!(fault.fired() > 0);
    assert_eq!(row(&ended, "data")[3..], ["ok", "InternalFailure", "ok"]);
    assert!(!ended.stdout.contains("allow "), "{}", ended.stdout);
    assert!(fixes(&ended, "data")[0].contains("cloudwatch:ListMetrics failed"), "{}", ended.stdout);
    fault.stop();

    // Where STS can't be reached, the role and its credentials may be as good as ever.
    fleet.aws.account("222222222222").role("reader", Trust::default());
    accounts_file(
        &mut fleet,
        "[[account]]\nname = 'data'\nrole_arn = 'arn:aws:iam::222222222222:role/reader'\ncredentials = 'role'\n",
    )?;
    let fault = fleet.aws.fault(Fault::reset().service(Service::Sts));
    let ended = check(&fleet, &["data"]).await?.status(1);
    assert!(fault.fired() > 0);
    assert_eq!(row(&ended, "data"), ["data", "-", "unavailable", "-", "-", "-"]);
    assert!(fixes(&ended, "data")[0].contains("sts:AssumeRole: Unreachable"), "{}", ended.stdout);
    Ok(())
}

#[tokio::test]
async fn every_configured_region_is_asked_and_named_if_it_denies() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", DATA);
    account.deny_in("cloudwatch:GetMetricData", "us-east-1");
    account.disable_region("me-south-1");
    fleet.variable("FLEET_REGIONS", "us-east-1,ap-south-1,me-south-1");
    let ended = check(&fleet, &["data"]).await?.status(1);
    assert_eq!(row(&ended, "data")[3..], ["ok", "ok", "ok"]);
    let fixes = fixes(&ended, "data");
    assert_eq!(fixes.len(), 1, "{}", ended.stdout);
    assert!(fixes[0].contains("allow cloudwatch:GetMetricData on * in us-east-1 to "), "{fixes:?}");
    for region in [HOME_REGION, "us-east-1", "ap-south-1", "me-south-1"] {
        assert_eq!(fleet.aws.calls().operation("GetMetricData").region(region).count(), 1, "{region}");
    }
    Ok(())
}

#[tokio::test]
async fn directory_buckets_that_can_not_be_listed_are_mentioned_and_nothing_is_wrong() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", DATA);
    account.deny("s3express:ListAllMyDirectoryBuckets");
    let ended = check(&fleet, &["data"]).await?.status(0);
    assert!(ended.stdout.contains("s3express:ListAllMyDirectoryBuckets"), "{}", ended.stdout);
    let json = check_more(&fleet, &["--account-name", "data", "--format", "json"]).await?.status(0).json()?;
    assert_eq!(json["accounts"][0]["lists_directory_buckets"], false, "{json}");
    Ok(())
}
