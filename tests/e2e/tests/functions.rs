// SPDX-License-Identifier: Apache-2.0
//! Functions of Lambda: what they did, what each is, and what follows from both, against numbers that are worked out here.

use std::collections::HashMap;

use anyhow::{Context, Result};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use kit::{Fleet, HOME_REGION, JOBS, REPORTS, Setup, days_ago, expected::cells, finish};
use local_aws::{Account, FUNCTION_SECRET, Fault, Function, Service};
use serde_json::json;

const FAR: &str = "us-east-1";
const ID: &str = "111111111111";

/// Prices of both regions, as AWS's page has them: of a GB-second on x86 and on arm64, and of a request.
const X86: f64 = 0.000_016_666_7;
const ARM64: f64 = 0.000_013_333_4;
const REQUEST: f64 = 0.2 / 1e6;

/// How many functions were never called. There are two pages of functions.
const IDLE: usize = 60;

const FACTS: [&str; 7] = [
    "runtime",
    "runtime_deprecated_on",
    "architecture",
    "memory_mb",
    "timeout_seconds",
    "package_type",
    "last_modified",
];

type Row = HashMap<String, String>;

/// When the window of the jobs begins.
fn begin() -> DateTime<Utc> {
    days_ago(1).and_time(NaiveTime::MIN).and_utc()
}

/// Publishes samples of a metric of a function in a minute of the window.
fn put(account: &Account, region: &str, function: &str, minute: i64, metric: &str, samples: &[f64]) {
    let at = begin() + TimeDelta::minutes(minute);
    let (namespace, dimension) = if metric.contains('_') {
        ("LambdaInsights", "function_name")
    } else {
        ("AWS/Lambda", "FunctionName")
    };
    account.samples(region, namespace, metric, &[(dimension, function)], at, samples);
}

/// Publishes invocations that took so many milliseconds each.
fn invoke(account: &Account, region: &str, function: &str, minute: i64, milliseconds: &[f64]) {
    let ones = vec![1.0; milliseconds.len()];
    put(account, region, function, minute, "Invocations", &ones);
    put(account, region, function, minute, "Duration", milliseconds);
}

fn create(account: &Account) {
    let function = Function::new;
    account.create_function(
        HOME_REGION,
        Function {
            runtime: Some("nodejs20.x".to_owned()),
            memory_mb: 1024,
            timeout_seconds: 30,
            last_modified: "2026-11-03T10:00:00.000+0000".to_owned(),
            ..function("orders")
        },
    );
    // One of the same name in another region is another.
    account.create_function(FAR, Function { architecture: "arm64".to_owned(), ..function("orders") });
    account.create_function(
        HOME_REGION,
        Function {
            runtime: None,
            architecture: "arm64".to_owned(),
            memory_mb: 2048,
            timeout_seconds: 900,
            ..function("image")
        },
    );
    account.create_function(HOME_REGION, Function { is_on_instances: true, ..function("instances") });
    account.create_function(
        HOME_REGION,
        Function { runtime: Some("nodejs99.x".to_owned()), ..function("modern") },
    );
    account.create_function(HOME_REGION, function("silent"));
    for nth in 0..IDLE {
        account.create_function(HOME_REGION, function(&format!("idle-{nth:02}")));
    }
}

fn publish(account: &Account) {
    let home = |function: &str, minute: i64, metric: &str, samples: &[f64]| {
        put(account, HOME_REGION, function, minute, metric, samples);
    };
    invoke(account, HOME_REGION, "orders", 0, &[1500.0; 4]);
    home("orders", 0, "Errors", &[1.0, 0.0, 0.0, 0.0]);
    home("orders", 0, "Throttles", &[1.0, 1.0]);
    home("orders", 0, "memory_utilization", &[40.0, 60.0]);
    home("orders", 0, "used_memory_max", &[410.0, 614.0]);
    home("orders", 0, "total_memory", &[1024.0]);
    home("orders", 0, "init_duration", &[800.0, 1200.0, 400.0]);
    // The same again by alias and by version.
    let at = begin();
    for (namespace, dimensions) in [
        ("AWS/Lambda", [("FunctionName", "orders"), ("Resource", "orders:live")]),
        ("LambdaInsights", [("function_name", "orders"), ("version", "7")]),
    ] {
        for metric in ["Invocations", "Duration", "init_duration"] {
            account.samples(HOME_REGION, namespace, metric, &dimensions, at, &[1500.0; 4]);
        }
    }
    // It timed out, and has nothing of Insights in this minute.
    invoke(account, HOME_REGION, "orders", 59, &[100.0, 30_000.0]);
    home("orders", 59, "Errors", &[0.0, 1.0]);
    invoke(account, FAR, "orders", 0, &[100.0]);
    invoke(account, HOME_REGION, "image", 0, &[500.0]);
    invoke(account, HOME_REGION, "image", 59, &[500.0]);
    for function in ["instances", "modern", "gone-busy"] {
        invoke(account, HOME_REGION, function, 59, &[500.0]);
    }
    // Some days before the window.
    for function in ["silent", "gone-silent", "us-east-1.edge"] {
        invoke(account, HOME_REGION, function, -3 * 24 * 60, &[500.0]);
    }
}

/// A fleet with this configuration file, and its account with functions in two regions.
async fn fleet(configuration: &str, max_receives: u32) -> Result<(Fleet, Account)> {
    let mut fleet = Fleet::new(Setup { max_receives, ..Setup::default() }).await?;
    let account = fleet.account("data", ID);
    account.enable_regions(&[HOME_REGION, FAR]);
    create(&account);
    publish(&account);
    let path = fleet.file("fleet.toml", configuration)?;
    fleet.variable("FLEET_CONFIG", &path);
    Ok((fleet, account))
}

/// Sends a job for the first hour of yesterday.
fn send(fleet: &Fleet, dataset: &str) {
    send_hour(fleet, dataset, 0);
}

fn send_hour(fleet: &Fleet, dataset: &str, hour: u32) {
    let [from, to] = [hour, hour + 1].map(|hour| format!("{}T{hour:02}:00:00Z", days_ago(1)));
    let job = json!({"account_name": "data", "dataset": dataset, "from": from, "to": to, "window": "1h"});
    fleet.home.send(JOBS, &job.to_string());
}

/// The report of that hour, and its metadata.
fn report(fleet: &Fleet, folder: &str) -> Result<(String, impl Fn(&str) -> String + use<>)> {
    let key = format!("{folder}/report_date={}/account_name=data/T0000Z.csv", days_ago(1));
    let object = fleet.object(&key).context(key)?;
    let text = String::from_utf8(object.body.to_vec())?;
    Ok((text, move |name: &str| object.metadata.get(name).cloned().unwrap_or_default()))
}

/// The folder of reports of an hour: the dataset's own are of a day.
const FOLDER: &str = "lambda_function__1h";

/// The row of a function in a minute of the window, or the one that it has if there is no datapoint.
fn row(table: &str, (region, function): (&str, &str), minute: Option<i64>) -> Result<Row> {
    let at = minute.map(|minute| begin() + TimeDelta::minutes(minute));
    let at = at.map(|at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default();
    let is_it = |row: &Row| {
        (&*row["region"], &*row["function_name"], &*row["period_start"]) == (region, function, &at)
    };
    let mut rows = cells(table).into_iter().filter(is_it);
    let row = rows.next().with_context(|| format!("no row of {function} at {at:?}: {table}"))?;
    assert!(rows.next().is_none(), "two rows of {function} at {at}");
    Ok(row)
}

fn of<'a, const N: usize>(row: &'a Row, columns: [&str; N]) -> [&'a str; N] {
    columns.map(|column| &*row[column])
}

/// Whether a cell is a number, but for the last digits that it was computed with.
fn assert_is(row: &Row, column: &str, expected: f64) {
    let found: f64 = row[column].parse().unwrap_or(f64::NAN);
    assert!((found - expected).abs() <= expected.abs() * 1e-12, "{column}: {found}, not {expected}");
}

#[tokio::test]
async fn each_number_is_the_one_that_follows_from_what_was_published() -> Result<()> {
    let (fleet, _) = fleet("", 3).await?;
    send(&fleet, "lambda_function");
    fleet.work(&[]).await?;
    assert!(fleet.dead_letters().is_empty(), "{:?}", fleet.dead_letters());
    let (table, metadata) = report(&fleet, FOLDER)?;
    assert_eq!(["status", "facts"].map(&metadata), ["complete", ""]);

    // Four invocations of 1.5 s with 1 GB.
    let orders = row(&table, (HOME_REGION, "orders"), Some(0))?;
    let facts = ["nodejs20.x", "2026-04-30", "x86_64", "1024", "30", "Zip", "2026-11-03T10:00:00Z"];
    assert_eq!(of(&orders, FACTS), facts);
    for (column, expected) in [
        ("invocations_sum", 4.0),
        ("errors_sum", 1.0),
        ("error_rate", 0.25),
        ("throttles_sum", 2.0),
        ("throttles_per_invocation", 0.5),
        ("duration_p50", 1500.0),
        ("duration_p95", 1500.0),
        ("duration_p99", 1500.0),
        ("duration_maximum", 1500.0),
        ("duration_sum", 6000.0),
        ("duration_average", 1500.0),
        ("memory_utilization_average", 50.0),
        ("memory_utilization_maximum", 60.0),
        ("used_memory_max_maximum", 614.0),
        ("total_memory_maximum", 1024.0),
        ("cold_starts", 3.0),
        ("init_duration_maximum", 1200.0),
        ("timeout_proximity_maximum", 0.05),
        ("timeout_proximity_p99", 0.05),
        ("cost_usd", 4.0 * REQUEST + 6.0 * X86),
        ("arm64_saving_usd", 6.0 * (X86 - ARM64)),
    ] {
        assert_is(&orders, column, expected);
    }
    assert_eq!(of(&orders, ["insights", "settled", "status"]), ["", "true", "ok"]);

    // One of two took all of its time. A percentile of different values is not known here.
    let late = row(&table, (HOME_REGION, "orders"), Some(59))?;
    for (column, expected) in [
        ("error_rate", 0.5),
        ("duration_average", 15_050.0),
        ("timeout_proximity_maximum", 1.0),
        ("cost_usd", 2.0 * REQUEST + 30.1 * X86),
    ] {
        assert_is(&late, column, expected);
    }
    assert_eq!(of(&late, ["duration_p99", "timeout_proximity_p99"]), ["", ""]);
    assert_eq!(of(&late, ["memory_utilization_maximum", "cold_starts", "insights"]), ["", "", "no_insights"]);

    // 0.5 s with 2 GB, and 0.1 s with 128 MB.
    let image = row(&table, (HOME_REGION, "image"), Some(0))?;
    let facts = ["", "", "arm64", "2048", "900", "Image", "2026-01-02T03:04:05Z"];
    assert_eq!(of(&image, FACTS), facts);
    assert_is(&image, "cost_usd", REQUEST + ARM64);
    assert_eq!(of(&image, ["throttles_sum", "errors_sum", "arm64_saving_usd"]), ["0", "", ""]);
    let far = row(&table, (FAR, "orders"), Some(0))?;
    assert_eq!(of(&far, FACTS)[..5], ["python3.13", "2029-06-30", "arm64", "128", "3"]);
    assert_is(&far, "cost_usd", REQUEST + 0.0125 * ARM64);

    // Its duration is not what is paid.
    let instances = row(&table, (HOME_REGION, "instances"), Some(59))?;
    assert_eq!(of(&instances, ["cost_usd", "arm64_saving_usd", "memory_mb"]), ["", "", "128"]);
    let modern = row(&table, (HOME_REGION, "modern"), Some(59))?;
    assert_eq!(of(&modern, ["runtime", "runtime_deprecated_on"]), ["nodejs99.x", ""]);
    Ok(())
}

#[tokio::test]
async fn each_function_has_a_row_and_idle_ones_cost_nothing() -> Result<()> {
    let (fleet, _) = fleet("", 3).await?;
    send(&fleet, "lambda_function");
    fleet.work(&[]).await?;
    let (table, metadata) = report(&fleet, FOLDER)?;
    let rows = cells(&table);
    let names: Vec<&str> = rows.iter().map(|row| &*row["function_name"]).collect();
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(names.iter().filter(|name| name.starts_with("idle-")).count(), IDLE);
    let silent = |name: &str| row(&table, (HOME_REGION, name), None);
    for name in ["idle-00", "idle-59", "silent"] {
        let row = silent(name)?;
        assert_eq!(of(&row, FACTS)[..5], ["python3.13", "2029-06-30", "x86_64", "128", "3"], "{name}");
        let rest = ["invocations_sum", "error_rate", "cost_usd", "insights", "settled", "status"];
        assert_eq!(of(&row, rest), ["", "", "", "no_insights", "true", "no_data"], "{name}");
    }
    // What is gone has no facts. What it did in the window, it did.
    let gone = silent("gone-silent")?;
    assert_eq!((of(&gone, FACTS), &*gone["status"]), ([""; 7], "deleted"));
    // A replica of Lambda@Edge is listed in another region.
    let edge = silent("us-east-1.edge")?;
    assert_eq!((of(&edge, FACTS), &*edge["status"]), ([""; 7], "no_data"));
    let gone = row(&table, (HOME_REGION, "gone-busy"), Some(59))?;
    assert_eq!((of(&gone, FACTS), &*gone["status"]), ([""; 7], "ok"));
    assert_eq!(of(&gone, ["duration_sum", "timeout_proximity_maximum", "cost_usd"]), ["500", "", ""]);

    let pages = |region| {
        let calls = fleet.aws.calls().operation("ListFunctions").region(region).ok().records();
        calls.iter().map(|call| call.items).collect::<Vec<_>>()
    };
    assert_eq!((pages(HOME_REGION), pages(FAR)), (vec![50, 15], vec![1]));
    // Orders at home: Invocations, Errors, Throttles, Duration, and four of Insights. The other eight: two each.
    assert_eq!(metadata("metrics-requested"), (8 + 8 * 2).to_string());
    Ok(())
}

#[tokio::test]
async fn a_row_is_settled_once_the_function_s_longest_invocation_is_known() -> Result<()> {
    let (fleet, _) = fleet("", 3).await?;
    // Ten minutes after the window.
    fleet.aws.set_clock(begin() + TimeDelta::minutes(70));
    send(&fleet, "lambda_function");
    fleet.work(&[]).await?;
    let (table, metadata) = report(&fleet, FOLDER)?;
    assert_eq!(metadata("settled"), "false", "twenty minutes after the window");
    let settled = |function: &str, minute| {
        row(&table, (HOME_REGION, function), minute).map(|row| row["settled"].clone())
    };
    // Of 30 s, of 15 minutes, and of a function that no one knows any more.
    assert_eq!(settled("orders", Some(59))?, "true");
    assert_eq!([settled("image", Some(0))?, settled("image", Some(59))?], ["true", "false"]);
    assert_eq!(settled("gone-busy", Some(59))?, "false");
    assert_eq!([settled("idle-00", None)?, settled("gone-silent", None)?], ["true", "false"]);
    Ok(())
}

#[tokio::test]
async fn functions_that_may_not_be_listed_have_no_facts_and_the_report_says_so() -> Result<()> {
    let (fleet, account) = fleet("", 3).await?;
    account.deny_in("lambda:ListFunctions", HOME_REGION);
    send(&fleet, "lambda_function");
    let worker = fleet.work(&[]).await?;
    assert_eq!(worker.stderr.matches("functions may not be listed").count(), 1, "{}", worker.stderr);
    let (table, metadata) = report(&fleet, FOLDER)?;
    assert_eq!(["status", "facts"].map(&metadata), ["complete", "denied"]);
    let orders = row(&table, (HOME_REGION, "orders"), Some(0))?;
    assert_eq!(of(&orders, FACTS), [""; 7]);
    assert_eq!(of(&orders, ["timeout_proximity_maximum", "cost_usd", "arm64_saving_usd"]), [""; 3]);
    assert_eq!(of(&orders, ["error_rate", "cold_starts", "insights"]), ["0.25", "3", ""]);
    // No one knows whether it is gone.
    assert_eq!(row(&table, (HOME_REGION, "gone-silent"), None)?["status"], "no_data");
    assert!(!table.contains("idle-00"), "{table}");
    assert_eq!(row(&table, (FAR, "orders"), Some(0))?["memory_mb"], "128", "it is allowed there");

    let check = ["check", "--account-name", "data", "--dataset", "lambda_function"];
    let text = finish(fleet.worker(&check)).await?.status(0).stdout;
    assert!(text.contains("functions can't be listed in data: what is known of them stays empty"), "{text}");
    assert!(text.contains("allow lambda:ListFunctions on *"), "{text}");
    account.allow("lambda:ListFunctions");
    let text = finish(fleet.worker(&check)).await?.status(0).stdout;
    assert!(!text.contains("can't be listed"), "{text}");
    for (dataset, is_allowed) in [("lambda", true), ("lambda_account", false), ("sqs", false)] {
        let policy = ["policy", "--account-id", "999999999999", "--dataset", dataset];
        let policy = finish(fleet.producer(&policy)).await?.status(0).stdout;
        assert_eq!(policy.contains("lambda:ListFunctions"), is_allowed, "{dataset}: {policy}");
    }
    Ok(())
}

#[tokio::test]
async fn a_throttled_page_is_repeated_and_one_that_fails_leaves_the_region_to_another_try() -> Result<()> {
    let (fleet, _) = fleet("", 1).await?;
    let failing = fleet.aws.fault(Fault::throttle().on("ListFunctions").region(FAR));
    // The second page, once.
    let throttled =
        fleet.aws.fault(Fault::throttle().on("ListFunctions").region(HOME_REGION).after(1).times(1));
    send(&fleet, "lambda_function");
    fleet.work(&[]).await?;
    assert_eq!(throttled.fired(), 1);
    assert!(failing.fired() > 1, "it is repeated: {}", failing.fired());
    let (table, metadata) = report(&fleet, FOLDER)?;
    assert_eq!(["status", "regions-pending", "facts"].map(&metadata), ["partial", FAR, ""]);
    assert!(metadata("first-error").contains("lambda:ListFunctions"), "{}", metadata("first-error"));
    assert!(!table.contains(&format!(",{FAR},")) && table.contains("idle-59"), "{table}");

    // What is there is not asked for again, and the rest makes it whole.
    failing.stop();
    let asked = |region| fleet.aws.calls().operation("GetMetricData").region(region).count();
    let before = (asked(HOME_REGION), asked(FAR));
    let [from, to] = [0, 1].map(|hour| format!("{}T{hour:02}:00:00Z", days_ago(1)));
    let run = ["run", "--account-name", "data", "--dataset", "lambda_function", "--only-incomplete"];
    finish(fleet.producer(&[&run[..], &["--from", &from, "--to", &to, "--window", "1h"]].concat()))
        .await?
        .status(0);
    fleet.work(&[]).await?;
    let (whole, metadata) = report(&fleet, FOLDER)?;
    assert_eq!(metadata("status"), "complete");
    assert_eq!(row(&whole, (FAR, "orders"), Some(0))?["memory_mb"], "128");
    assert_eq!((asked(HOME_REGION), asked(FAR)), (before.0, before.1 + 1));
    let kept = cells(&whole).into_iter().filter(|row| row["region"] == HOME_REGION);
    assert!(kept.eq(cells(&table)), "the rows that were there stay");
    Ok(())
}

const SELECTION: &str = r#"
tag_keys = ["team"]

[[select]]
name      = "shop_functions"
dataset   = "lambda_function"
period    = "5m"
window    = "1h"
resources = ["orders", "image", "idle-0*"]
"#;

#[tokio::test]
async fn a_selection_has_facts_and_what_follows_from_them_in_its_own_period() -> Result<()> {
    let (fleet, account) = fleet(SELECTION, 3).await?;
    account.tag(
        HOME_REGION,
        &format!("arn:aws:lambda:{HOME_REGION}:{ID}:function:orders"),
        &[("team", "shop")],
    );
    // In the same five minutes as the first.
    invoke(&account, HOME_REGION, "orders", 3, &[3000.0]);
    send(&fleet, "shop_functions");
    fleet.work(&[]).await?;
    let (table, metadata) = report(&fleet, "shop_functions")?;
    assert_eq!(["status", "selection-of"].map(&metadata), ["complete", "lambda_function"]);
    let orders = row(&table, (HOME_REGION, "orders"), Some(0))?;
    assert_eq!(
        of(&orders, ["period_seconds", "tag_team", "memory_mb", "runtime"]),
        ["300", "shop", "1024", "nodejs20.x"]
    );
    for (column, expected) in [
        ("invocations_sum", 5.0),
        ("error_rate", 0.2),
        ("duration_average", 1800.0),
        ("timeout_proximity_maximum", 0.1),
        ("cost_usd", 5.0 * REQUEST + 9.0 * X86),
        ("cold_starts", 3.0),
    ] {
        assert_is(&orders, column, expected);
    }
    assert_eq!(row(&table, (HOME_REGION, "image"), Some(0))?["package_type"], "Image");
    assert_eq!(row(&table, (HOME_REGION, "idle-00"), None)?["status"], "no_data");
    let others: Vec<Row> = cells(&table)
        .into_iter()
        .filter(|row| {
            let name = &*row["function_name"];
            !["orders", "image"].contains(&name) && !name.starts_with("idle-0")
        })
        .collect();
    assert!(others.is_empty(), "{others:?}");

    let statement = ["datasets", "shop_functions", "--format", "athena", "--location", "s3://reports/"];
    let statement = finish(fleet.producer(&statement)).await?;
    let statement = statement.status(0).stdout;
    for column in
        ["`runtime_deprecated_on` date", "`memory_mb` bigint", "`cost_usd` double", "`settled` boolean"]
    {
        assert!(statement.contains(column), "{column}: {statement}");
    }
    Ok(())
}

#[tokio::test]
async fn the_environment_of_a_function_is_nowhere() -> Result<()> {
    let (mut fleet, _) = fleet("", 2).await?;
    // As much as can be said.
    fleet.variable("RUST_LOG", "trace");
    let truncated = fleet.aws.fault(Fault::truncated().on("ListFunctions").times(1));
    send(&fleet, "lambda_function");
    let mut said = Vec::new();
    let worker = fleet.work(&[]).await?;
    said.push(worker.stderr + &worker.stdout);
    assert_eq!(truncated.fired(), 1);
    let (table, _) = report(&fleet, FOLDER)?;
    assert!(table.contains("nodejs20.x"), "{table}");
    let check = ["check", "--account-name", "data", "--dataset", "lambda_function"];
    let checked = finish(fleet.worker(&check)).await?;
    said.push(checked.stderr + &checked.stdout);

    // What is wrong with an answer that has it is said without it.
    let body = format!("{{\"Functions\": [{{\"Environment\": \"{FUNCTION_SECRET}\"}}]}}");
    let fault = fleet.aws.fault(Fault::foreign(200, "application/json", &body).on("ListFunctions"));
    send_hour(&fleet, "lambda_function", 1);
    let worker = fleet.work(&[]).await?;
    said.push(worker.stderr + &worker.stdout);
    assert!(fault.fired() > 0);
    for line in said.iter().flat_map(|text| text.lines()) {
        assert!(!line.contains(FUNCTION_SECRET), "it is in what a program said: {line}");
    }
    for key in fleet.home.keys(REPORTS, "") {
        let object = fleet.home.object(REPORTS, &key).context("it is there")?;
        let text = format!("{:?} {}", object.metadata, String::from_utf8_lossy(&object.body));
        assert!(!text.contains(FUNCTION_SECRET), "it is in {key}");
    }
    assert!(!format!("{:?}", fleet.dead_letters()).contains(FUNCTION_SECRET));
    assert!(fleet.aws.calls().service(Service::Lambda).count() > 2);
    Ok(())
}
