// SPDX-License-Identifier: Apache-2.0
//! Sinks: a stored report reaches each of them, once a version, and one that fails costs neither the others nor a call of
//! CloudWatch.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, Result};
use kit::{Fleet, HOME_REGION, JOBS, REPORTS, Setup, days_ago, expected::cells, finish, report_key};
use serde_json::{Map, Value};

/// A fleet with an account of one bucket, and with sinks of these names that write to folders of these names.
async fn fleet(sinks: &[&str]) -> Result<Fleet> {
    let mut fleet = Fleet::new(Setup { max_receives: 1, ..Setup::default() }).await?;
    let bucket = fleet.account("data", ID);
    bucket.bucket("b", HOME_REGION).size("StandardStorage", days_ago(4), 7.0).objects(days_ago(4), 3.0);
    let mut text = String::new();
    for sink in sinks {
        let folder = fleet.folder.path().join(sink);
        fs::create_dir(&folder)?;
        text += &format!(
            "[[sink]]\nname = '{sink}'\ntype = 'json_lines'\ndatasets = ['s3_daily_storage']\nfolder = '{}'\n",
            folder.display()
        );
    }
    let path = fleet.file("fleet.toml", &text)?;
    fleet.variable("FLEET_CONFIG", &path);
    Ok(fleet)
}

fn send(fleet: &Fleet, run_id: &str) {
    let body = format!(r#"{{"account_name":"data","date":"{}","run_id":"{run_id}"}}"#, days_ago(4));
    fleet.home.send(JOBS, &body);
}

/// The file that a sink wrote of the report.
fn file(fleet: &Fleet, sink: &str) -> PathBuf {
    fleet.folder.path().join(sink).join(report_key("data", days_ago(4))).with_extension("jsonl")
}

fn rows(fleet: &Fleet, sink: &str) -> Result<Vec<Map<String, Value>>> {
    let path = file(fleet, sink);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn metrics_asked(fleet: &Fleet) -> u64 {
    fleet.aws.calls().operation("GetMetricData").count()
}

const ID: &str = "111111111111";
const FAR: &str = "me-south-1";
const FIRST: &str = "0199a000-0000-7000-8000-000000000001";
const SECOND: &str = "0199a000-0000-7000-8000-000000000002";

#[tokio::test]
async fn a_sink_has_every_cell_of_a_report_and_gets_each_version_once() -> Result<()> {
    let fleet = fleet(&["files"]).await?;
    send(&fleet, FIRST);
    fleet.work(&[]).await?;
    let table = fleet.table("data", days_ago(4))?;
    let delivered: Vec<BTreeMap<String, String>> = rows(&fleet, "files")?
        .into_iter()
        .map(|row| {
            let text = |value: Value| match value {
                Value::Null => String::new(),
                Value::String(text) => text,
                number => number.to_string(),
            };
            row.into_iter().map(|(column, value)| (column, text(value))).collect()
        })
        .collect();
    let stored: Vec<BTreeMap<String, String>> =
        cells(&table).into_iter().map(|row| row.into_iter().collect()).collect();
    assert_eq!(delivered, stored);
    let row = &rows(&fleet, "files")?[0];
    assert_eq!((&row["size_standard"], &row["size_glacier"]), (&Value::from(7), &Value::Null));

    // The job once more: the report exists, and the sink has it.
    fs::remove_file(file(&fleet, "files"))?;
    let asked = metrics_asked(&fleet);
    send(&fleet, FIRST);
    fleet.work(&[]).await?;
    assert!(!file(&fleet, "files").exists(), "it was delivered already");
    assert_eq!(metrics_asked(&fleet), asked);

    // A later run replaces the report, and so what the sink has.
    fleet.aws.account(ID).datapoint(HOME_REGION, "b", "StandardStorage", days_ago(4), 9.0);
    send(&fleet, SECOND);
    fleet.work(&[]).await?;
    assert_eq!(rows(&fleet, "files")?[0]["size_standard"], 9);
    Ok(())
}

#[tokio::test]
async fn a_sink_that_fails_costs_neither_the_others_nor_a_call() -> Result<()> {
    let fleet = fleet(&["broken", "sound"]).await?;
    let broken = fleet.folder.path().join("broken");
    fs::remove_dir(&broken)?;
    fs::write(&broken, "no folder")?;
    send(&fleet, FIRST);
    let ended = fleet.work(&[]).await?;
    assert!(ended.stderr.contains("the sink broken can't take reports now"), "{}", ended.stderr);
    assert_eq!(rows(&fleet, "sound")?.len(), 1);
    let dead = fleet.dead_letters();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].attributes["failure_reason"], "not_delivered");
    let message = &dead[0].attributes["failure_message"];
    assert!(message.contains("could not be delivered to the sink broken"), "{message}");

    fs::remove_file(&broken)?;
    fs::create_dir(&broken)?;
    fs::remove_file(file(&fleet, "sound"))?;
    let asked = metrics_asked(&fleet);
    finish(fleet.producer(&["replay", "--all"])).await?.status(0);
    fleet.work(&[]).await?;
    assert_eq!(rows(&fleet, "broken")?.len(), 1);
    assert!(!file(&fleet, "sound").exists(), "it has the report already");
    assert_eq!(metrics_asked(&fleet), asked, "a delivery asks CloudWatch nothing");
    assert!(fleet.dead_letters().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_schedule_that_completes_also_delivers_what_a_sink_lacks() -> Result<()> {
    let fleet = fleet(&["files", "later"]).await?;
    send(&fleet, FIRST);
    fleet.work(&[]).await?;
    let marker = |sink: &str| format!("delivered/{sink}/{}", report_key("data", days_ago(4)));
    let date = days_ago(4).to_string();
    let complete = ["run", "--only-incomplete", "--account-name", "data", "--date", &date];
    let sent = finish(fleet.producer(&complete)).await?.status(0);
    assert!(sent.stdout.contains("0 jobs sent, 1 already complete"), "{}", sent.stdout);
    assert!(!sent.stdout.contains("sinks lack"), "both have it: {}", sent.stdout);

    // One was added later.
    fleet.home.delete_object(REPORTS, &marker("later"));
    fs::remove_file(file(&fleet, "later"))?;
    fs::remove_file(file(&fleet, "files"))?;
    let asked = metrics_asked(&fleet);
    let sent = finish(fleet.producer(&complete)).await?.status(0);
    assert!(sent.stdout.contains("1 job to deliver what sinks lack"), "{}", sent.stdout);
    fleet.work(&[]).await?;
    assert_eq!(rows(&fleet, "later")?.len(), 1);
    assert!(!file(&fleet, "files").exists(), "it has the report already");
    assert_eq!(metrics_asked(&fleet), asked, "a delivery asks CloudWatch nothing");

    // The same by a message, as a schedule sends it.
    fleet.home.delete_object(REPORTS, &marker("later"));
    fs::remove_file(file(&fleet, "later"))?;
    let request = serde_json::json!({"account_name": "data", "date": date, "only_incomplete": true});
    let message = serde_json::json!({"kind": "request", "request": request});
    fleet.home.send(JOBS, &message.to_string());
    fleet.work(&[]).await?;
    assert_eq!(rows(&fleet, "later")?.len(), 1);
    assert!(fleet.dead_letters().is_empty(), "{:?}", fleet.dead_letters());
    Ok(())
}

#[tokio::test]
async fn status_counts_what_a_sink_lacks() -> Result<()> {
    let fleet = fleet(&["files", "later"]).await?;
    let date = days_ago(4).to_string();
    fleet.run(&["--account-name", "data", "--date", &date], &[]).await?;
    finish(fleet.producer(&["status", "--delivered"])).await?.status(0);
    fleet.home.delete_object(REPORTS, &format!("delivered/later/{}", report_key("data", days_ago(4))));
    let status = finish(fleet.producer(&["status"])).await?.status(0);
    assert!(status.stdout.contains("1 complete report not delivered to later yet"), "{}", status.stdout);
    finish(fleet.producer(&["status", "--delivered"])).await?.status(3);
    let status = finish(fleet.producer(&["status", "--format", "json"])).await?.status(0).json()?;
    assert_eq!(status["undelivered"], serde_json::json!({"files": 0, "later": 1}));
    Ok(())
}

#[tokio::test]
async fn a_partial_report_is_not_delivered() -> Result<()> {
    let fleet = fleet(&["files"]).await?;
    let account = fleet.aws.account(ID);
    account.bucket("far", FAR).size("StandardStorage", days_ago(4), 7.0);
    account.deny_in("cloudwatch:ListMetrics", FAR);
    send(&fleet, FIRST);
    fleet.work(&[]).await?;
    assert_eq!(fleet.metadata("data", days_ago(4), "status")?, "partial");
    assert!(!file(&fleet, "files").exists());
    assert!(fleet.home.keys(REPORTS, "delivered/").is_empty());
    Ok(())
}

#[tokio::test]
async fn all_that_is_wrong_with_a_configuration_file_ends_the_worker() -> Result<()> {
    let mut fleet = fleet(&[]).await?;
    let path =
        fleet.file("wrong.toml", "[[sink]]\nname = 'a'\ntype = 'none'\ndatasets = ['x']\n\n[sinks]\n")?;
    fleet.variable("FLEET_CONFIG", &path);
    let ended = finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(2);
    for expected in [
        "line 3, sink[0].type: \\\"none\\\" is none of cloudwatch, json_lines",
        "line 4, sink[0].datasets[0]: is no dataset; this version has billing_linked_account, ",
        "line 6, sinks: is no key of this table",
    ] {
        assert!(ended.stderr.replace('\\', "").contains(&expected.replace('\\', "")), "{}", ended.stderr);
    }
    Ok(())
}
