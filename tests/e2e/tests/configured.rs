// SPDX-License-Identifier: Apache-2.0
//! Datasets of a configuration file: a user's own namespace, and selections of what the program has.

use anyhow::Result;
use chrono::{NaiveTime, TimeDelta};
use kit::{Fleet, HOME_REGION, JOBS, REPORTS, Setup, days_ago, expected::cells, finish};
use local_aws::Account;
use serde_json::json;

const FILE: &str = r#"
[[dataset]]
name      = "orders"
title     = "Orders of our shops"
namespace = "Shop"
resource  = ["ShopName"]
shape     = "series"
period    = "1m"
window    = "1h"
settle    = "10m"
discovery = "list_metrics"
regions   = "configured"

[[dataset.metric]]
name       = "Orders"
unit       = "Count"
statistics = ["Sum"]

[[select]]
name       = "production_queues"
dataset    = "sqs"
resources  = ["prod-*"]
metrics    = ["NumberOfMessagesSent"]
statistics = ["Sum"]
period     = "5m"
window     = "1h"

[[select]]
name      = "log_buckets"
dataset   = "s3_daily_storage"
resources = ["logs-*"]
"#;

async fn fleet() -> Result<(Fleet, Account)> {
    let mut fleet = Fleet::new(Setup::default()).await?;
    let account = fleet.account("data", "111111111111");
    let midnight = days_ago(1).and_time(NaiveTime::MIN).and_utc();
    for minute in 0..120 {
        let at = midnight + TimeDelta::minutes(minute);
        let put = |namespace, metric, dimension: (&str, &str), value| {
            account.metric(HOME_REGION, namespace, metric, &[dimension], at, value);
        };
        put("Shop", "Orders", ("ShopName", "north"), 2.0);
        for queue in ["prod-mail", "test-mail"] {
            put("AWS/SQS", "NumberOfMessagesSent", ("QueueName", queue), 1.0);
            put("AWS/SQS", "SentMessageSize", ("QueueName", queue), 70.0);
        }
    }
    for bucket in ["logs-a", "data-a"] {
        account
            .bucket(bucket, HOME_REGION)
            .size("StandardStorage", days_ago(4), 7.0)
            .objects(days_ago(4), 3.0);
    }
    // No listing of S3 has them: CloudWatch does.
    for bucket in ["logs-gone", "data-gone"] {
        account.datapoint(HOME_REGION, bucket, "StandardStorage", days_ago(4), 1.0);
    }
    let path = fleet.file("fleet.toml", FILE)?;
    fleet.variable("FLEET_CONFIG", &path);
    Ok((fleet, account))
}

#[tokio::test]
async fn datasets_of_a_configuration_file_are_collected_like_others() -> Result<()> {
    let (fleet, _) = fleet().await?;
    let day = days_ago(1);
    for dataset in ["orders", "production_queues"] {
        let (from, to) = (format!("{day}T00:00:00Z"), format!("{day}T02:00:00Z"));
        let job = json!({"account_name": "data", "dataset": dataset, "from": from, "to": to});
        fleet.home.send(JOBS, &job.to_string());
    }
    let buckets = json!({"account_name": "data", "dataset": "log_buckets", "date": days_ago(4).to_string()});
    fleet.home.send(JOBS, &buckets.to_string());
    fleet.work(&[]).await?;
    assert!(fleet.dead_letters().is_empty(), "{:?}", fleet.dead_letters());

    let report = |key: &str| fleet.object(key).expect(key);
    let text = |key: &str| String::from_utf8(report(key).body.to_vec()).expect("UTF-8");
    let folder = |dataset: &str| format!("{dataset}/report_date={day}/account_name=data");
    let orders = text(&format!("{}/T0100Z.csv", folder("orders")));
    let head = "shop_name,account_name,account_id,region,period_start,period_seconds,orders_sum,status\n";
    assert!(orders.starts_with(head), "{orders}");
    assert_eq!(orders.lines().count(), 61);
    assert!(orders.contains(&format!("north,data,111111111111,{HOME_REGION},{day}T01:00:00Z,60,2,ok\n")));

    let key = format!("{}/T0000Z.csv", folder("production_queues"));
    let queues = text(&key);
    assert_eq!(queues.lines().count(), 13, "{queues}");
    assert!(
        queues.contains(&format!("prod-mail,data,111111111111,{HOME_REGION},{day}T00:05:00Z,300,5,ok\n"))
    );
    assert!(!queues.contains("test-mail"), "it is not selected: {queues}");
    assert_eq!(report(&key).metadata["selection-of"], "sqs");
    assert!(!report(&format!("{}/T0100Z.csv", folder("orders"))).metadata.contains_key("selection-of"));
    // Each metric of the two windows once: one of a shop, and one of the one queue that is selected.
    let metrics = fleet
        .home
        .keys(REPORTS, "")
        .into_iter()
        .filter(|key| key.ends_with("Z.csv"))
        .map(|key| report(&key).metadata["metrics-requested"].parse::<u64>().expect("a number"));
    assert_eq!(metrics.sum::<u64>(), 2);

    let key = format!("log_buckets/report_date={}/account_name=data/report.csv", days_ago(4));
    let buckets: Vec<String> = cells(&text(&key)).into_iter().map(|row| row["bucket_name"].clone()).collect();
    assert_eq!(buckets, ["logs-a", "logs-gone"]);
    assert_eq!(report(&key).metadata["metrics-requested"], "3");
    Ok(())
}

#[tokio::test]
async fn both_programs_know_the_datasets_of_the_file() -> Result<()> {
    let (fleet, _) = fleet().await?;
    let day = days_ago(1);
    let span = [format!("{day}T00:00:00Z"), format!("{day}T02:00:00Z")];
    let run = [
        "run",
        "--account-name",
        "data",
        "--dataset",
        "orders,production_queues",
        "--from",
        &span[0],
        "--to",
        &span[1],
    ];
    let sent = finish(fleet.producer(&[&run[..], &["--format", "json"]].concat())).await?.status(0).json()?;
    assert_eq!(sent["sent"], 2, "{sent}");
    fleet.work(&[]).await?;
    let status = finish(fleet.producer(&["status", "--format", "json"])).await?.status(0).json()?;
    assert_eq!((&status["complete"], &status["counts"]["complete"]), (&json!(true), &json!(2)), "{status}");

    let shown = finish(fleet.producer(&["datasets", "orders"])).await?.status(0).stdout;
    assert!(shown.starts_with("orders: Orders of our shops\n") && shown.contains("orders_sum"), "{shown}");
    let policy =
        finish(fleet.producer(&["policy", "--account-id", "999999999999", "--dataset", "production_queues"]));
    assert!(policy.await?.status(0).stdout.contains("account:ListRegions"));
    let checked =
        finish(fleet.worker(&["check", "--account-name", "data", "--dataset", "orders", "--format", "json"]))
            .await?
            .status(0)
            .json()?;
    assert_eq!(checked["failed"], 0, "{checked}");
    let collect =
        ["collect", "--account-name", "data", "--dataset", "log_buckets", "--date", &days_ago(4).to_string()];
    let table = finish(fleet.worker(&collect)).await?.status(0).stdout;
    assert!(table.contains("logs-a") && !table.contains("data-a"), "{table}");

    let mut faulty = fleet.producer(&["datasets"]);
    faulty.env("FLEET_CONFIG", fleet.file("faulty.toml", "[[dataset]]\nname = 'sqs'\n[[select]]\n")?);
    let ended = finish(faulty).await?.status(2);
    for expected in
        ["line 2, dataset[0].name: is the name of a dataset", "line 3, select[0].dataset: is missing"]
    {
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
    Ok(())
}
