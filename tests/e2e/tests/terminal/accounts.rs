// SPDX-License-Identifier: Apache-2.0
//! Several accounts at once, and those that a shell is logged in to.

use anyhow::Result;
use kit::{Ended, Fleet, HOME, HOME_REGION, expected::cells, finish};

use super::{DATA, day, fleet_of};

const OTHER: &str = "222222222222";

async fn collect(fleet: &Fleet, arguments: &[&str]) -> Result<Ended> {
    let day = day().to_string();
    finish(fleet.worker(&[&["collect", "--date", &day], arguments].concat())).await
}

/// Each row's account, its id and the bucket.
fn reported(ended: &Ended) -> Vec<[String; 3]> {
    let cell = |row: &std::collections::HashMap<String, String>, name: &str| row[name].clone();
    let rows = cells(&ended.stdout);
    rows.iter().map(|row| ["account_name", "account_id", "bucket_name"].map(|name| cell(row, name))).collect()
}

/// A fleet whose person has profiles of the account `data`.
async fn with_profiles() -> Result<Fleet> {
    let (fleet, account) = fleet_of(1).await?;
    account.add_access_key("AKIAPROFILE", None);
    let folder = fleet.folder.path().join(".aws");
    std::fs::create_dir_all(&folder)?;
    let profile = |name: &str| {
        format!("[profile {name}]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = secret\n")
    };
    std::fs::write(folder.join("config"), ["prod", "prod.eu"].map(profile).concat())?;
    Ok(fleet)
}

#[tokio::test]
async fn several_accounts_are_one_table_and_one_that_fails_leaves_the_others() -> Result<()> {
    let (mut fleet, _) = fleet_of(2).await?;
    fleet.account("web", OTHER).bucket("of-web", HOME_REGION).size("StandardStorage", day(), 7.0);
    let whole = collect(&fleet, &["--account-name", "data,web"]).await?.status(0);
    let bucket = |account: [&str; 2], name: &str| [account[0], account[1], name].map(str::to_owned);
    let (of_data, of_web) = (["data", DATA], ["web", OTHER]);
    let [first, second] = ["bucket-000", "bucket-001"].map(|name| bucket(of_data, name));
    assert_eq!(reported(&whole), [first, second, bucket(of_web, "of-web")]);
    assert_eq!(whole.stdout.matches("bucket_name").count(), 1, "one header: {}", whole.stdout);

    let denied = fleet.account("denied", "333333333333");
    denied.deny("s3:ListAllMyBuckets");
    let part =
        collect(&fleet, &["--account-name", "denied", "--account-name", "web,forgotten"]).await?.status(1);
    assert_eq!(reported(&part), [bucket(of_web, "of-web")]);
    for said in [
        "error: 2 of 3 accounts are missing or incomplete:\n",
        "\n  account denied could not be collected: s3:ListAllMyBuckets in eu-west-1: AccessDenied",
        "\n  account forgotten could not be collected: account forgotten has no credentials",
    ] {
        assert!(part.stderr.contains(said), "{said}: {}", part.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_profile_is_asked_by_its_name_and_the_account_is_said_first() -> Result<()> {
    let fleet = with_profiles().await?;
    for (arguments, name) in [
        (&["--profile", "prod"][..], "prod"),
        (&["--profile", "prod.eu"], DATA),
        (&["--profile", "prod.eu", "--account-name", "data"], "data"),
    ] {
        let ended = collect(&fleet, arguments).await?.status(0);
        assert_eq!(reported(&ended), [[name, DATA, "bucket-000"].map(str::to_owned)]);
        let first = ended.stderr.lines().next().unwrap_or_default();
        assert!(first.starts_with(&format!("account {name}: {DATA}, as arn:aws:iam::{DATA}:")), "{first}");
        assert!(first.ends_with(&format!("by profile {}", arguments[1])), "{first}");
    }
    assert_eq!(fleet.aws.calls().account(HOME).count(), 0, "the shell's own account is not asked");

    let checked = finish(fleet.worker(&["check", "--profile", "prod"])).await?.status(0);
    assert!(checked.stderr.starts_with(&format!("account prod: {DATA}, as ")), "{}", checked.stderr);
    let row = checked.stdout.lines().nth(1).unwrap_or_default();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["prod", DATA, "user/fleet", "ok", "ok", "ok"]);

    let ended = collect(&fleet, &["--profile", "nope"]).await?.status(2);
    assert!(ended.stderr.contains("the credentials of profile nope can't be used"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("accounts file"), "{}", ended.stderr);
    let ended = collect(&fleet, &["--profile", "prod", "--current-credentials"]).await?.status(2);
    assert!(ended.stderr.contains("cannot be used with"), "{}", ended.stderr);
    let ended = collect(&fleet, &["--profile", "prod", "--account-name", "a,b"]).await?.status(2);
    assert!(ended.stderr.contains("these credentials belong to one account"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn the_shells_own_credentials_are_used_only_if_that_is_said() -> Result<()> {
    let (fleet, _) = fleet_of(0).await?;
    let ended = collect(&fleet, &["--current-credentials"]).await?.status(0);
    assert_eq!(reported(&ended), [[HOME, HOME, kit::REPORTS].map(str::to_owned)]);
    assert!(ended.stderr.starts_with(&format!("account {HOME}: {HOME}, as ")), "{}", ended.stderr);

    let calls = fleet.aws.calls().account(HOME).count();
    let ended = collect(&fleet, &["--account-name", "forgotten"]).await?.status(2);
    assert!(ended.stderr.contains("account forgotten has no credentials"), "{}", ended.stderr);
    assert_eq!(fleet.aws.calls().account(HOME).count(), calls);
    Ok(())
}
