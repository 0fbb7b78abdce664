// SPDX-License-Identifier: Apache-2.0
//! Tags as columns of reports, and resources that are selected by them.

use anyhow::{Context, Result};
use chrono::{NaiveTime, TimeDelta};
use kit::{Fleet, HOME_REGION, JOBS, REPORTS, Setup, days_ago, expected::cells, finish};
use local_aws::{Account, Fault, Service};
use serde_json::json;

const FAR: &str = "us-east-1";
const ID: &str = "111111111111";

const SERVICES: &str = r#"
[[dataset]]
name      = "services"
title     = "Services of clusters"
namespace = "Test/Services"
resource  = ["ClusterName", "ServiceName"]
shape     = "series"
period    = "5m"
window    = "1h"
settle    = "10m"
discovery = "list_metrics"
regions   = "enabled"
tags      = "ecs:service"
arn       = "service/{ClusterName}/{ServiceName}"

[[dataset.metric]]
name       = "Requests"
unit       = "Count"
statistics = ["Sum"]
"#;

const TAG_KEYS: &str = "tag_keys = [\"team\", \"cost-center\"]\n";

/// Queues whose tags decide.
const SELECTION: &str = r#"
[[select]]
name       = "shop_queues"
dataset    = "sqs"
metrics    = ["NumberOfMessagesSent"]
statistics = ["Sum"]
period     = "5m"
window     = "1h"
tags       = { team = ["payments", "shop-*"], stage = ["live"] }
"#;

/// A fleet with this configuration file, and its account, with services and queues in two regions.
async fn fleet(configuration: &str, max_receives: u32) -> Result<(Fleet, Account)> {
    let mut fleet = Fleet::new(Setup { max_receives, ..Setup::default() }).await?;
    let account = fleet.account("data", ID);
    account.enable_regions(&[HOME_REGION, FAR]);
    let midnight = days_ago(1).and_time(NaiveTime::MIN).and_utc();
    for (region, service, value) in
        [(HOME_REGION, "api", 1.0), (HOME_REGION, "web", 2.0), (FAR, "web", 3.0), (HOME_REGION, "idle", 4.0)]
    {
        let service = [("ClusterName", "main"), ("ServiceName", service)];
        for at in [midnight, midnight + TimeDelta::hours(1)] {
            account.metric(region, "Test/Services", "Requests", &service, at, value);
        }
    }
    let tag = |region: &str, service: &str, tags: &[(&str, &str)]| {
        account.tag(region, &format!("arn:aws:ecs:{region}:{ID}:service/main/{service}"), tags);
    };
    tag(HOME_REGION, "web", &[("cost-center", "=1+1"), ("owner", "anna"), ("team", "zażółć, \"gęślą\" 🐝")]);
    tag(FAR, "web", &[("team", "far away")]);
    // It had tags once.
    tag(HOME_REGION, "idle", &[]);
    // They come before `web`, on a first page of their own, and CloudWatch has nothing of them.
    for nth in 0..110 {
        tag(HOME_REGION, &format!("ghost-{nth:03}"), &[("team", "ghosts")]);
    }
    let queue = |region: &str, name: &str, tags: &[(&str, &str)]| {
        let dimension = [("QueueName", name)];
        account.metric(region, "AWS/SQS", "NumberOfMessagesSent", &dimension, midnight, 7.0);
        account.tag(region, &format!("arn:aws:sqs:{region}:{ID}:{name}"), tags);
    };
    queue(HOME_REGION, "orders.fifo", &[("stage", "live"), ("team", "shop-north")]);
    queue(HOME_REGION, "orders-test", &[("stage", "test"), ("team", "shop-north")]);
    queue(HOME_REGION, "mail", &[("stage", "live"), ("team", "post")]);
    queue(HOME_REGION, "untagged", &[]);
    queue(FAR, "bills", &[("stage", "live"), ("team", "payments")]);
    let path = fleet.file("fleet.toml", configuration)?;
    fleet.variable("FLEET_CONFIG", &path);
    Ok((fleet, account))
}

/// Sends a job for the first hours of yesterday.
fn send(fleet: &Fleet, dataset: &str, hours: std::ops::Range<u32>) {
    let [from, to] = [hours.start, hours.end].map(|hour| format!("{}T{hour:02}:00:00Z", days_ago(1)));
    let job = json!({"account_name": "data", "dataset": dataset, "from": from, "to": to});
    fleet.home.send(JOBS, &job.to_string());
}

/// The report of an hour of yesterday, and its metadata.
fn report(fleet: &Fleet, dataset: &str, hour: u32) -> Result<(String, impl Fn(&str) -> String + use<>)> {
    named_report(fleet, dataset, &format!("T{hour:02}00Z"))
}

fn named_report(
    fleet: &Fleet,
    dataset: &str,
    name: &str,
) -> Result<(String, impl Fn(&str) -> String + use<>)> {
    let key = format!("{dataset}/report_date={}/account_name=data/{name}.csv", days_ago(1));
    let object = fleet.object(&key).context(key)?;
    let text = String::from_utf8(object.body.to_vec())?;
    Ok((text, move |name: &str| object.metadata.get(name).cloned().unwrap_or_default()))
}

/// The report of services of an hour, with these cells in the columns of tags.
fn expected(hour: u32, of_web: &str) -> String {
    let at = format!("{}T{hour:02}:00:00Z", days_ago(1));
    format!(
        "\
cluster_name,service_name,account_name,account_id,region,period_start,period_seconds,tag_team,tag_cost_center,requests_sum,status
main,api,data,{ID},{HOME_REGION},{at},300,,,1,ok
main,idle,data,{ID},{HOME_REGION},{at},300,,,4,ok
main,web,data,{ID},{HOME_REGION},{at},300,{of_web},2,ok
main,web,data,{ID},{FAR},{at},300,far away,,3,ok
"
    )
}

const OF_WEB: &str = "\"zażółć, \"\"gęślą\"\" 🐝\",'=1+1";

#[tokio::test]
async fn tags_are_columns_of_what_cloudwatch_lists_and_of_nothing_else() -> Result<()> {
    let (fleet, _) = fleet(&format!("{TAG_KEYS}{SERVICES}"), 3).await?;
    send(&fleet, "services", 0..2);
    fleet.work(&[]).await?;
    assert!(fleet.dead_letters().is_empty(), "{:?}", fleet.dead_letters());
    for hour in [0, 1] {
        let (table, metadata) = report(&fleet, "services", hour)?;
        assert_eq!(table, expected(hour, OF_WEB));
        assert_eq!((metadata("status").as_str(), metadata("tags").as_str()), ("complete", ""));
    }
    let calls = |region| fleet.aws.calls().operation("GetResources").region(region).ok().records();
    let pages = |region| calls(region).iter().map(|call| call.items).collect::<Vec<_>>();
    assert_eq!((pages(HOME_REGION), pages(FAR)), (vec![100, 12], vec![1]));

    // A job for each window writes the same, and nothing is left to do.
    let (alone, _) = self::fleet(&format!("{TAG_KEYS}{SERVICES}"), 3).await?;
    for hour in [0, 1] {
        send(&alone, "services", hour..hour + 1);
    }
    alone.work(&[]).await?;
    for hour in [0, 1] {
        assert_eq!(report(&alone, "services", hour)?.0, expected(hour, OF_WEB));
    }
    Ok(())
}

#[tokio::test]
async fn without_keys_nothing_is_asked_and_reports_are_as_before() -> Result<()> {
    let (plain, _) = fleet(SERVICES, 3).await?;
    let (tagged, _) = fleet(&format!("{TAG_KEYS}{SERVICES}"), 3).await?;
    for fleet in [&plain, &tagged] {
        send(fleet, "services", 0..1);
        let queues = json!({"account_name": "data", "dataset": "sqs", "date": days_ago(1).to_string()});
        fleet.home.send(JOBS, &queues.to_string());
        fleet.work(&[]).await?;
    }
    assert_eq!(plain.aws.calls().service(Service::Tagging).count(), 0);
    for (dataset, name) in [("services", "T0000Z"), ("sqs", "report")] {
        let (without, _) = named_report(&plain, dataset, name)?;
        let (with, _) = named_report(&tagged, dataset, name)?;
        let columns = with.lines().next().unwrap_or_default().split(',');
        assert_eq!(columns.filter(|name| name.starts_with("tag_")).count(), 2, "{dataset}");
        let mut rows = cells(&with);
        for row in &mut rows {
            row.retain(|column, _| !column.starts_with("tag_"));
        }
        assert!(rows.len() > 3 && !without.contains("tag_"), "{without}");
        assert_eq!(rows, cells(&without));
    }
    let (queues, _) = named_report(&tagged, "sqs", "report")?;
    let team = |name: &str| {
        let row = cells(&queues).into_iter().find(|row| row["queue_name"] == name);
        row.map(|row| row["tag_team"].clone())
    };
    assert_eq!(team("orders.fifo").as_deref(), Some("shop-north"));
    assert_eq!(team("untagged").as_deref(), Some(""));
    Ok(())
}

#[tokio::test]
async fn tags_that_may_not_be_read_are_empty_and_the_report_says_so() -> Result<()> {
    let (fleet, account) = fleet(&format!("{TAG_KEYS}{SERVICES}"), 3).await?;
    account.deny_in("tag:GetResources", HOME_REGION);
    send(&fleet, "services", 0..2);
    let worker = fleet.work(&[]).await?;
    assert_eq!(worker.stderr.matches("tags may not be read").count(), 1, "{}", worker.stderr);
    for hour in [0, 1] {
        let (table, metadata) = report(&fleet, "services", hour)?;
        assert_eq!(table, expected(hour, ","));
        assert_eq!((metadata("status").as_str(), metadata("tags").as_str()), ("complete", "denied"));
    }
    Ok(())
}

#[tokio::test]
async fn a_throttled_call_is_repeated_and_one_that_fails_leaves_the_region_to_another_try() -> Result<()> {
    let (fleet, _) = fleet(&format!("{TAG_KEYS}{SERVICES}"), 1).await?;
    let throttled = fleet.aws.fault(Fault::throttle().on("GetResources").region(HOME_REGION).times(1));
    send(&fleet, "services", 0..1);
    fleet.work(&[]).await?;
    assert_eq!(throttled.fired(), 1);
    assert_eq!(report(&fleet, "services", 0)?.0, expected(0, OF_WEB));

    let failing = fleet.aws.fault(Fault::throttle().on("GetResources").region(FAR));
    send(&fleet, "services", 1..2);
    fleet.work(&[]).await?;
    assert!(failing.fired() > 1, "it is repeated: {}", failing.fired());
    let (table, metadata) = report(&fleet, "services", 1)?;
    assert!(!table.contains(FAR), "{table}");
    assert_eq!((metadata("status").as_str(), metadata("regions-pending").as_str()), ("partial", FAR));
    assert!(metadata("first-error").contains("tag:GetResources"), "{}", metadata("first-error"));

    // What is there is not asked for again, and the rest makes it whole.
    failing.stop();
    let asked = |region| fleet.aws.calls().operation("GetMetricData").region(region).count();
    let before = (asked(HOME_REGION), asked(FAR));
    let (day, run) =
        (days_ago(1), ["run", "--account-name", "data", "--dataset", "services", "--only-incomplete"]);
    let span = [format!("{day}T00:00:00Z"), format!("{day}T02:00:00Z")];
    let run = [&run[..], &["--from", &span[0], "--to", &span[1]]].concat();
    finish(fleet.producer(&run)).await?.status(0);
    fleet.work(&[]).await?;
    for hour in [0, 1] {
        assert_eq!(report(&fleet, "services", hour)?.0, expected(hour, OF_WEB));
    }
    assert_eq!((asked(HOME_REGION), asked(FAR)), (before.0, before.1 + 1));
    Ok(())
}

#[tokio::test]
async fn resources_are_selected_by_tags_and_nothing_else_is_paid_for() -> Result<()> {
    let (fleet, _) = fleet(SELECTION, 3).await?;
    send(&fleet, "shop_queues", 0..1);
    fleet.work(&[]).await?;
    let (table, metadata) = report(&fleet, "shop_queues", 0)?;
    let at = format!("{}T00:00:00Z", days_ago(1));
    assert_eq!(
        table,
        format!(
            "\
queue_name,account_name,account_id,region,period_start,period_seconds,number_of_messages_sent_sum,status
bills,data,{ID},{FAR},{at},300,7,ok
orders.fifo,data,{ID},{HOME_REGION},{at},300,7,ok
"
        )
    );
    let said = ["status", "selection-of", "metrics-requested"].map(metadata);
    assert_eq!(said, ["complete", "sqs", "2"]);
    Ok(())
}

#[tokio::test]
async fn a_selection_whose_tags_may_not_be_read_fails_and_names_the_action() -> Result<()> {
    let (fleet, account) = fleet(&format!("{TAG_KEYS}{SELECTION}"), 3).await?;
    account.deny_in("tag:GetResources", FAR);
    send(&fleet, "shop_queues", 0..1);
    fleet.work(&[]).await?;
    let dead = fleet.dead_letters();
    let [letter] = &dead[..] else { panic!("one dead letter: {dead:?}") };
    assert!(format!("{letter:?}").contains("tag:GetResources"), "{letter:?}");
    assert!(fleet.home.keys(REPORTS, "shop_queues/").is_empty(), "no rows are left out in silence");
    assert_eq!(fleet.aws.calls().operation("GetMetricData").region(FAR).count(), 0);

    let check = ["check", "--account-name", "data", "--dataset", "shop_queues", "--format", "json"];
    let checked = finish(fleet.worker(&check)).await?.status(0).json()?;
    assert_eq!(checked["failed"], 0, "it is allowed at home: {checked}");
    account.deny("tag:GetResources");
    let checked = finish(fleet.worker(&check)).await?.status(1).json()?;
    let advice = checked["accounts"][0]["advice"][0].as_str().context("advice")?;
    assert!(advice.starts_with("allow tag:GetResources on *"), "{advice}");
    Ok(())
}

#[tokio::test]
async fn both_programs_know_the_columns_and_the_permission() -> Result<()> {
    let (tagged, account) = fleet(&format!("{TAG_KEYS}{SELECTION}"), 3).await?;
    let (plain, _) = fleet(SELECTION, 3).await?;
    let shown = |fleet: &Fleet, dataset: &str| finish(fleet.producer(&["datasets", dataset]));
    let policy = |fleet: &Fleet, dataset: &str| {
        finish(fleet.producer(&["policy", "--account-id", "999999999999", "--dataset", dataset]))
    };
    for (fleet, dataset, has_columns, is_allowed) in [
        (&tagged, "ecs_service", true, true),
        (&tagged, "shop_queues", true, true),
        (&tagged, "usage", false, false),
        (&tagged, "s3_daily_storage", false, false),
        (&plain, "ecs_service", false, false),
        (&plain, "shop_queues", false, true),
    ] {
        let text = shown(fleet, dataset).await?.status(0).stdout;
        assert_eq!(text.contains("tag_team") && text.contains("tag_cost_center"), has_columns, "{text}");
        let policy = policy(fleet, dataset).await?.status(0).stdout;
        assert_eq!(policy.contains("tag:GetResources"), is_allowed, "{dataset}: {policy}");
    }
    let listed = finish(tagged.producer(&["datasets"])).await?.status(0).stdout;
    assert_eq!(listed.lines().filter(|line| line.starts_with("ecs_service ")).count(), 1, "{listed}");

    account.deny("tag:GetResources");
    let checked = finish(tagged.worker(&["check", "--account-name", "data", "--dataset", "sqs"])).await?;
    let text = checked.status(0).stdout;
    assert!(text.contains("tags can't be read in data: their columns stay empty"), "{text}");
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_about_tags_is_named_with_its_line() -> Result<()> {
    const FAULTY: &str = r#"tag_keys = ["team", "Team", "ключ"]
[[select]]
name    = "one"
dataset = "usage"
tags    = { team = ["a"] }
[[select]]
name    = "two"
dataset = "sqs"
tags    = { team = "a" }
"#;
    let (fleet, _) = fleet(FAULTY, 3).await?;
    let ended = finish(fleet.producer(&["datasets"])).await?.status(2);
    for expected in [
        "line 1, tag_keys[1]: makes the column tag_team, as \"team\" does; leave one of them out",
        "line 1, tag_keys[2]: makes no name of a column",
        "line 5, select[0].tags: is not chosen: the tags of usage are not known",
        "line 9, select[1].tags.team: is not a list with an item in it",
    ] {
        assert!(ended.stderr.contains(expected), "{expected}\n{}", ended.stderr);
    }
    Ok(())
}
