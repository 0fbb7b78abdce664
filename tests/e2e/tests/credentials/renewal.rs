// SPDX-License-Identifier: Apache-2.0
//! What changes while a worker runs: its accounts file, and the secrets that access keys lie in.

use anyhow::Result;
use kit::{Fleet, HOME, HOME_REGION, JOBS, REPORTS, days_ago, end, finish, report_key, terminate, until};
use local_aws::Fault;
use tokio::process::Child;

use super::support::{
    KEYS, PROFILE, ROLE, account_file, accounts_file, assert_is_of, collect, day, error_of, four_accounts,
    inhabited, keys, set, signed_by,
};

fn job(account: &str) -> String {
    format!(r#"{{"account_name":"{account}","date":"{}"}}"#, day())
}

/// Waits until a worker has stored the report of an account.
async fn reported(fleet: &Fleet, account: &str) -> Result<()> {
    let key = report_key(account, days_ago(4));
    until(&format!("a report of {account}"), || fleet.object(&key).is_some()).await
}

async fn stop(worker: Child) -> Result<String> {
    terminate(&worker)?;
    Ok(end(worker).await?.status(0).stderr)
}

#[tokio::test]
async fn an_account_that_is_added_needs_no_new_worker() -> Result<()> {
    for in_s3 in [false, true] {
        let mut fleet = Fleet::start().await?;
        for (name, id) in [("first", KEYS), ("second", PROFILE)] {
            inhabited(&fleet.aws, id, HOME_REGION);
            keys(&mut fleet, name, id, "secret");
        }
        let one = "[[account]]\nname = 'first'\n";
        let two = format!("{one}[[account]]\nname = 'second'\n");
        let write = |fleet: &mut Fleet, text: &str| -> Result<()> {
            if in_s3 {
                fleet.home.put_object(REPORTS, "config/accounts.toml", text.to_owned(), &[]);
                fleet.variable("FLEET_ACCOUNTS", &format!("s3://{REPORTS}/config/accounts.toml"));
                return Ok(());
            }
            accounts_file(fleet, text)
        };
        write(&mut fleet, one)?;
        let worker = fleet.worker(&["run"]).spawn()?;
        fleet.home.send(JOBS, &job("first"));
        reported(&fleet, "first").await?;
        // What can't be used changes nothing, and is reported.
        write(&mut fleet, "[[account]]\nname = 'a/b'\n")?;
        fleet.home.send(JOBS, &job("second"));
        until("a dead letter", || fleet.dead_letters().len() == 1).await?;
        assert!(format!("{:?}", fleet.dead_letters()).contains("unknown_account"));
        write(&mut fleet, &two)?;
        fleet.home.send(JOBS, &job("second"));
        reported(&fleet, "second").await?;
        let log = stop(worker).await?;
        assert!(log.contains("the accounts file has changed but is not valid"), "{log}");
        assert!(log.contains(r#"account name \"a/b\" is not well-formed"#), "{log}");
        assert_eq!(fleet.dead_letters().len(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_job_of_an_account_that_can_not_be_looked_up_now_is_tried_again() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    inhabited(&fleet.aws, KEYS, HOME_REGION);
    keys(&mut fleet, "first", KEYS, "secret");
    fleet.home.put_object(REPORTS, "accounts.toml", "[[account]]\nname = 'first'\n", &[]);
    fleet.variable("FLEET_ACCOUNTS", &format!("s3://{REPORTS}/accounts.toml"));
    let worker = fleet.worker(&["run"]).spawn()?;
    fleet.home.send(JOBS, &job("first"));
    reported(&fleet, "first").await?;
    let outage = fleet.aws.fault(Fault::unavailable().on("GetObject").key_prefix("accounts.toml"));
    fleet.home.send(JOBS, &job("second"));
    until("an answer to the job", || outage.fired() > 4).await?;
    fleet.home.send(JOBS, &job("first").replace('}', r#","run_id":"again"}"#));
    let log = stop(worker).await?;
    assert!(
        log.contains("the accounts file can't be read now, so the previous version stays in use"),
        "{log}"
    );
    assert_eq!(fleet.dead_letters().len(), 0, "{log}");
    Ok(())
}

/// A fleet whose account `data` has its access keys in a secret of the fleet's own account.
async fn with_secret(text: &str, lines: &str) -> Result<Fleet> {
    let mut fleet = four_accounts().await?;
    inhabited(&fleet.aws, "444444444444", HOME_REGION).add_access_key("ASIASECRET", Some("secret token"));
    // In another region than the process's own.
    let arn = fleet.home.secret("fleet/data", "eu-central-1", text);
    account_file(&mut fleet, &format!("secret_arn = '{arn}'\n{lines}"))?;
    Ok(fleet)
}

const SECRET: &str =
    r#"{"access_key_id":"ASIASECRET","secret_access_key":"canary-secret","session_token":"secret token"}"#;

#[tokio::test]
async fn access_keys_may_lie_in_a_secret() -> Result<()> {
    let fleet = with_secret(SECRET, "").await?;
    let ended = collect(&fleet, "data").await?;
    assert_is_of(&ended, "444444444444");
    assert_eq!(signed_by(&fleet.aws, HOME), set(["GetSecretValue"]));
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);

    let fleet = with_secret(SECRET, "role_arn = 'arn:aws:iam::111111111111:role/reader'").await?;
    assert_is_of(&collect(&fleet, "data").await?, ROLE);
    assert_eq!(signed_by(&fleet.aws, "ASIASECRET"), set(["AssumeRole"]));
    Ok(())
}

#[tokio::test]
async fn a_secret_is_read_once_for_many_jobs_and_again_when_its_key_is_replaced() -> Result<()> {
    let fleet = with_secret(SECRET, "").await?;
    let worker = fleet.worker(&["run"]).spawn()?;
    let read = || fleet.aws.calls().operation("GetSecretValue").ok().count();
    fleet.home.send(JOBS, &job("data"));
    reported(&fleet, "data").await?;
    let second = job("data").replace(&day(), &days_ago(3).to_string());
    fleet.home.send(JOBS, &second);
    let key = report_key("data", days_ago(3));
    until("the second report", || fleet.object(&key).is_some()).await?;
    assert_eq!(read(), 1);

    let account = fleet.aws.account("444444444444");
    account.remove_access_key("ASIASECRET");
    account.add_access_key("AKIANEW", None);
    fleet.home.secret(
        "fleet/data",
        "eu-central-1",
        r#"{"access_key_id":"AKIANEW","secret_access_key":"canary"}"#,
    );
    fleet.home.send(JOBS, &job("data").replace(&day(), &days_ago(5).to_string()));
    let key = report_key("data", days_ago(5));
    until("the third report", || fleet.object(&key).is_some()).await?;
    assert_eq!(read(), 2);
    let log = stop(worker).await?;
    assert!(!log.contains("canary"), "{log}");
    assert_eq!(fleet.dead_letters().len(), 0, "{log}");
    Ok(())
}

#[tokio::test]
async fn a_secret_that_can_not_be_used_costs_its_account_alone() -> Result<()> {
    for (text, is_denied, reported) in [
        (Some("canary"), false, "it is not JSON"),
        (Some(r#"{"access_key_id":"AKIA","password":"canary"}"#), false, "it has no secret_access_key"),
        (
            Some(r#"{"access_key_id":"AKIA\n","secret_access_key":"canary"}"#),
            false,
            "the access key id contains a control",
        ),
        (None, false, "it does not exist; correct secret_arn in the accounts file"),
        (Some(SECRET), true, "secretsmanager:GetSecretValue in eu-west-1: AccessDeniedException"),
    ] {
        let mut fleet = four_accounts().await?;
        let arn = fleet.home.secret("fleet/data", HOME_REGION, text.unwrap_or_default());
        if text.is_none() {
            fleet.home.delete_secret("fleet/data", HOME_REGION);
        }
        if is_denied {
            fleet.home.deny("secretsmanager:GetSecretValue");
        }
        keys(&mut fleet, "good", super::support::VARIABLES_KEY, "secret");
        let file = format!("[[account]]\nname = 'data'\nsecret_arn = '{arn}'\n[[account]]\nname = 'good'\n");
        accounts_file(&mut fleet, &file)?;
        let ended = collect(&fleet, "data").await?.status(1);
        assert!(error_of(&ended).contains(reported), "{}", error_of(&ended));
        let check = finish(fleet.worker(&["check"])).await?.status(1);
        assert!(check.stdout.contains(KEYS), "the other one is there: {}", check.stdout);
        assert_eq!(check.stdout.contains("no_credentials"), !is_denied, "{}", check.stdout);
        assert!(is_denied || check.stdout.contains(&arn), "{}", check.stdout);
        for said in [&ended.stderr, &check.stdout, &check.stderr] {
            assert!(!said.contains("canary"), "{said}");
        }
    }
    Ok(())
}
