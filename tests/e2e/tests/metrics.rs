// SPDX-License-Identifier: Apache-2.0
//! The worker's own metrics, as CloudWatch Logs reads them off standard output.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use kit::{DEAD, Ended, Fleet, HOME, HOME_REGION, JOBS, days_ago, end, finish, terminate, until};
use local_aws::{Fault, Trust};
use serde_json::Value;

const NAMESPACE: [&str; 2] = ["--metrics-namespace", "fleet/test"];

fn job(account: &str) -> String {
    format!(r#"{{"account_name":"{account}","date":"{}"}}"#, days_ago(4))
}

/// A fleet of three accounts in two regions: `whole` may be asked, `torn` in one region only, `shut` in none;
/// and the job of each is on the queue.
async fn three_accounts() -> Result<Fleet> {
    let mut fleet = Fleet::with_visibility_timeout(Duration::from_mins(2)).await?;
    for (name, id) in [("whole", "111111111111"), ("torn", "222222222222"), ("shut", "333333333333")] {
        let account = fleet.account(name, id);
        for region in [HOME_REGION, "us-east-1"] {
            let bucket = account.bucket(&format!("{name}-{region}"), region);
            bucket.objects(days_ago(4), 1.0).size("StandardStorage", days_ago(4), 7.0);
        }
        match name {
            "torn" => account.deny_in("cloudwatch:ListMetrics", "us-east-1"),
            "shut" => account.deny("cloudwatch:GetMetricData"),
            _ => {}
        }
        fleet.home.send(JOBS, &job(name));
    }
    Ok(fleet)
}

/// The lines that a worker wrote: each is what CloudWatch makes metrics of.
fn lines(ended: &Ended) -> Result<Vec<Value>> {
    assert!(ended.stdout.is_empty() || ended.stdout.ends_with('\n'), "{}", ended.stdout);
    let mut lines = Vec::new();
    for line in ended.stdout.lines() {
        let line: Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
        assert!(line["_aws"]["Timestamp"].is_u64(), "{line}");
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().context("no directives")? {
            assert_eq!(directive["Namespace"], "fleet/test", "{line}");
            let dimension = directive["Dimensions"][0][0].as_str().context("no dimension")?;
            assert!(line[dimension].is_string(), "{line}");
            for metric in directive["Metrics"].as_array().context("no metrics")? {
                assert!(line[metric["Name"].as_str().context("no name")?].is_number(), "{line}");
            }
        }
        lines.push(line);
    }
    Ok(lines)
}

fn outcomes(lines: &[Value]) -> BTreeMap<&str, usize> {
    let mut outcomes = BTreeMap::new();
    for line in lines {
        *outcomes.entry(line["Outcome"].as_str().unwrap_or_default()).or_default() += 1;
    }
    outcomes
}

fn of<'a>(lines: &'a [Value], account: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["account_name"] == account).collect()
}

/// What the metadata of an account's report says, as numbers.
fn metadata<const N: usize>(fleet: &Fleet, account: &str, names: [&str; N]) -> Result<Vec<f64>> {
    names.iter().map(|name| Ok(fleet.metadata(account, days_ago(4), name)?.parse()?)).collect()
}

#[tokio::test]
async fn each_delivery_is_a_line_and_says_what_its_report_says() -> Result<()> {
    let fleet = three_accounts().await?;
    let worker = fleet.worker(&[&["run", "--exit-when-empty"], &NAMESPACE[..]].concat()).spawn()?;
    // The account that denies everything gets a second try. No lease is renewed so soon.
    let put_off = || fleet.aws.calls().operation("ChangeMessageVisibility").ok().count() == 1;
    until("one is put off", put_off).await?;
    until("and two are done", || fleet.home.messages(JOBS).len() == 1).await?;
    fleet.home.pass_time(JOBS, Duration::from_secs(30));
    let ended = end(worker).await?.status(0);
    let lines = lines(&ended)?;
    assert_eq!(
        outcomes(&lines),
        BTreeMap::from([("complete", 1), ("dead_letter", 1), ("partial", 1), ("put_off", 1)])
    );

    for (account, outcome) in [("whole", "complete"), ("torn", "partial")] {
        let [line] = of(&lines, account)[..] else { panic!("one line of {account}: {lines:?}") };
        assert_eq!((&line["Outcome"], &line["Jobs"]), (&outcome.into(), &1.into()));
        assert_eq!(fleet.metadata(account, days_ago(4), "status")?, outcome);
        let reported =
            ["ApiCalls", "MetricsRequested", "EstimatedCost", "Rows"].map(|name| line[name].as_f64());
        let names = ["api-calls", "metrics-requested", "estimated-cost-usd", "rows"];
        let expected: Vec<_> = metadata(&fleet, account, names)?.into_iter().map(Some).collect();
        assert_eq!(reported[..], expected, "{line}");
        assert_eq!(line["run_id"], fleet.metadata(account, days_ago(4), "run-id")?);
        assert!(line.get("reason").is_none() && line["Duration"].as_u64() < Some(60_000), "{line}");
    }
    // Not by the worker's own word alone.
    let [whole] = of(&lines, "whole")[..] else { panic!("one line") };
    assert_eq!(whole["ApiCalls"], fleet.aws.calls().account("111111111111").count());

    let shut = of(&lines, "shut");
    let reported: Vec<_> =
        shut.iter().map(|line| [&line["Outcome"], &line["attempt"], &line["reason"]]).collect();
    let denied = Value::from("access_denied");
    assert_eq!(
        reported,
        [[&"put_off".into(), &1.into(), &denied], [&"dead_letter".into(), &2.into(), &denied]]
    );
    let asked: u64 = shut.iter().filter_map(|line| line["ApiCalls"].as_u64()).sum();
    assert_eq!(asked, fleet.aws.calls().account("333333333333").count(), "paid for, though it failed");
    assert!(shut.iter().all(|line| line.get("Rows").is_none()), "{shut:?}");
    let [letter] = &fleet.dead_letters()[..] else { panic!("one dead letter") };
    assert!(letter.body.contains("shut"), "{}", letter.body);
    Ok(())
}

#[tokio::test]
async fn a_duplicate_counts_neither_rows_nor_calls_again() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.variable("FLEET_METRICS_NAMESPACE", NAMESPACE[1]);
    let account = fleet.account("data", "111111111111");
    account.bucket("b", HOME_REGION).size("StandardStorage", days_ago(4), 7.0);
    let body = format!(r#"{{"account_name":"data","date":"{}","run_id":"once"}}"#, days_ago(4));
    for (outcome, rows) in [("complete", Some(1)), ("duplicate", None)] {
        fleet.home.send(JOBS, &body);
        let lines = lines(&fleet.work(&[]).await?)?;
        let [line] = &lines[..] else { panic!("one line: {lines:?}") };
        assert_eq!((&line["Outcome"], &line["run_id"]), (&outcome.into(), &"once".into()));
        assert_eq!(line.get("Rows").and_then(Value::as_u64), rows);
        assert_eq!(line.get("ApiCalls").is_some(), rows.is_some(), "{line}");
    }
    Ok(())
}

/// The report is there, whatever becomes of the message: the outcome is the job's.
#[tokio::test]
async fn a_job_whose_message_is_not_deleted_is_done_and_comes_back_as_a_duplicate() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.send_small_jobs(1).await?;
    let refusal = fleet.aws.fault(Fault::error("AccessDenied", 403).on("DeleteMessage").times(1));
    let worker = fleet.worker(&[&["run", "--exit-when-empty"], &NAMESPACE[..]].concat()).spawn()?;
    until("it is not deleted", || refusal.fired() == 1).await?;
    fleet.home.pass_time(JOBS, Duration::from_secs(30));
    let mut lines = lines(&end(worker).await?.status(0))?;
    lines.sort_by_key(|line| line["attempt"].as_u64());
    let reported: Vec<_> = lines.iter().map(|line| (&line["Outcome"], &line["attempt"])).collect();
    assert_eq!(reported, [(&"complete".into(), &1.into()), (&"duplicate".into(), &2.into())]);
    assert_eq!(lines[0]["message_id"], lines[1]["message_id"]);
    Ok(())
}

#[tokio::test]
async fn a_returned_job_reports_its_calls() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.send_small_jobs(2).await?;
    let hang = fleet.aws.fault(Fault::hang().on("GetMetricData"));
    let worker = fleet.worker(&[&["run", "--drain-timeout", "0"], &NAMESPACE[..]].concat()).spawn()?;
    until("two jobs are in flight", || hang.fired() == 2).await?;
    terminate(&worker)?;
    let lines = lines(&end(worker).await?.status(0))?;
    assert_eq!(outcomes(&lines), BTreeMap::from([("given_back", 2)]));
    for line in &lines {
        // GetCallerIdentity, ListBuckets, ListDirectoryBuckets, ListMetrics twice, and GetMetricData for a size.
        assert_eq!((&line["ApiCalls"], &line["MetricsRequested"]), (&6.into(), &1.into()), "{line}");
        assert!(line.get("reason").is_none() && line.get("Rows").is_none(), "{line}");
    }
    Ok(())
}

#[tokio::test]
async fn lines_of_many_jobs_at_once_do_not_mix() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.send_small_jobs(40).await?;
    fleet.home.send(JOBS, "not a job");
    let lines = lines(&fleet.work(&[&["--concurrency", "20"], &NAMESPACE[..]].concat()).await?)?;
    assert_eq!(outcomes(&lines), BTreeMap::from([("complete", 40), ("dead_letter", 1)]));
    let bad = lines.iter().find(|line| line["reason"] == "bad_message").context("no job")?;
    assert!(bad.get("account_name").is_none() && bad.get("ApiCalls").is_none(), "{bad}");
    Ok(())
}

#[tokio::test]
async fn no_metrics_are_written_unless_configured() -> Result<()> {
    let fleet = three_accounts().await?;
    fleet.home.send(JOBS, "not a job");
    fleet.aws.account("333333333333").allow("cloudwatch:GetMetricData");
    let ended = fleet.work(&[]).await?;
    assert_eq!(ended.stdout, "");
    assert_eq!(ended.stderr.matches("the report is stored").count(), 3, "{}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_closed_standard_output_fails_no_job_and_is_reported_once() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.send_small_jobs(6).await?;
    let mut worker = fleet.worker(&[&["run", "--exit-when-empty"], &NAMESPACE[..]].concat()).spawn()?;
    drop(worker.stdout.take());
    let ended = end(worker).await?.status(0);
    assert_eq!(ended.stderr.matches("the report is stored").count(), 6, "{}", ended.stderr);
    assert_eq!(
        ended.stderr.matches("could not be written to standard output").count(),
        1,
        "{}",
        ended.stderr
    );
    assert!(fleet.home.messages(JOBS).is_empty() && fleet.home.messages(DEAD).is_empty());
    Ok(())
}

/// Every secret is a canary, and each kind of end is in a line.
#[tokio::test]
async fn no_secret_is_in_a_line() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let keys = fleet.aws.account("111111111111");
    keys.add_access_key("ASIACANARYKEYS", Some("canary-keys-token"));
    let role = fleet.aws.account("222222222222").role("reader", Trust::default());
    fleet.aws.account(HOME).add_access_key("ASIACANARYOWN", Some("canary-own-token"));
    for (name, value) in [
        ("keys_account_access_key", "ASIACANARYKEYS"),
        ("keys_secret_access_key", "canary-keys-secret"),
        ("keys_session_token", "canary-keys-token"),
        ("AWS_ACCESS_KEY_ID", "ASIACANARYOWN"),
        ("AWS_SECRET_ACCESS_KEY", "canary-own-secret"),
        ("AWS_SESSION_TOKEN", "canary-own-token"),
        ("RUST_LOG", "trace"),
    ] {
        fleet.variable(name, value);
    }
    let role = format!("name = 'role'\nrole_arn = '{role}'\nexternal_id = 'canary-external-id'\n");
    let accounts =
        fleet.file("accounts.toml", &format!("[[account]]\nname = 'keys'\n[[account]]\n{role}"))?;
    fleet.variable("FLEET_ACCOUNTS", &accounts);
    for account in ["keys", "role", "canary-unknown"] {
        fleet.home.send(JOBS, &job(account));
    }
    fleet.home.send(JOBS, r#"{"account_name":"keys","date":"canary-date","password":"canary-attribute"}"#);
    let well = fleet.work(&NAMESPACE).await?;
    let refusal = fleet.aws.fault(Fault::expired_token().on("ListBuckets"));
    fleet.home.send(JOBS, &job("keys"));
    let refused = finish(fleet.worker(&[&["run", "--exit-when-empty"], &NAMESPACE[..]].concat())).await?;
    assert!(refusal.fired() > 0);

    let mut all = lines(&well)?;
    all.extend(lines(&refused)?);
    assert_eq!(outcomes(&all), BTreeMap::from([("complete", 2), ("dead_letter", 3)]));
    for mut line in all {
        // The one that is no secret: the account was asked for by this name.
        if line["account_name"] == "canary-unknown" {
            line["account_name"] = Value::Null;
        }
        let reported = line.to_string().to_lowercase();
        for secret in ["canary", "asia", "iqojb3jpz2lux2vj", "arn:", "token"] {
            assert!(!reported.contains(secret), "{secret} is in {reported}");
        }
    }
    Ok(())
}
