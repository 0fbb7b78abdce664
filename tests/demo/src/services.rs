// SPDX-License-Identifier: Apache-2.0
//! A second dataset: what ECS services did in the last hours, each hour a report, several of them collected by one job.

use std::path::Path;

use anyhow::Context;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use cli::{destination::Destination, output};
use kit::{Fleet, REPORTS, expected::cells};
use local_aws::Account;

use crate::{ACCOUNTS, explain, producer, start, wait};

const DATASET: &str = "ecs_service";
const CLUSTER: &str = "main";

/// The services, each with its region, and the share of CPU and of memory that it uses of what it reserves, in percent.
const SERVICES: [(&str, &str, f64, f64); 3] = [
    ("checkout", "eu-west-1", 62.0, 48.5),
    ("nightly", "eu-central-1", 3.5, 91.0),
    ("web", "eu-west-1", 34.0, 55.0),
];

/// How many hours there are of them.
const HOURS: i64 = 6;

/// Collects the last hours of all accounts, and shows some rows.
pub(crate) async fn show(fleet: &Fleet, folder: &Path, ids: &[String]) -> anyhow::Result<()> {
    for id in ids {
        fill(&fleet.aws.account(id))?;
    }
    explain(
        "Buckets are one *dataset* of forty (`producer datasets`). Another one is what ECS services use of their CPU and memory, \
         each minute, with a report for each hour. One job collects several hours, and pays for each metric once:",
    )?;
    producer(fleet, &["run", "--account-name", &ACCOUNTS.join(","), "--dataset", DATASET, "--last", "3h"], 0)
        .await?;
    let workers = start(fleet, 1)?;
    producer(fleet, &["status", "--watch"], 0).await?;
    wait(workers).await?;
    let account = ACCOUNTS[0];
    let reports = fleet.home.keys(REPORTS, &format!("{DATASET}/"));
    let newest = reports.iter().rfind(|key| key.contains(&format!("account_name={account}/")));
    let key = newest.context("no report of an hour")?;
    let report = fleet.object(key).with_context(|| format!("no report at {key}"))?;
    let table = String::from_utf8(report.body.to_vec())?;
    let path = folder.join(format!("{account}-{DATASET}.csv"));
    Destination::open(&path)?.write(table.as_bytes())?;
    explain(&format!(
        "{}: {} rows, of the newest hour. Some of them:",
        path.display(),
        table.lines().count() - 1
    ))?;
    let columns = ["service_name", "period_start", "cpu_utilization_average", "status"];
    let rows = cells(&table);
    let shown = SERVICES.iter().filter_map(|(service, ..)| {
        let row = rows.iter().find(|row| row["service_name"] == *service)?;
        Some(columns.map(|column| row[column].clone()).to_vec())
    });
    output::print(&output::table(&columns, &[2], shown))
}

/// Gives an account a value of each metric of each service for every minute of some hours up to now.
fn fill(account: &Account) -> anyhow::Result<()> {
    account.enable_regions(&["eu-west-1", "eu-central-1"]);
    let hour = Utc::now().duration_trunc(TimeDelta::hours(1))?;
    for at in (0..HOURS * 60).map(|minute| hour - TimeDelta::hours(HOURS - 1) + TimeDelta::minutes(minute)) {
        for (service, region, cpu, memory) in SERVICES {
            let put = |metric, values: &[f64]| {
                let dimensions = [("ClusterName", CLUSTER), ("ServiceName", service)];
                account.samples(region, "AWS/ECS", metric, &dimensions, at, values);
            };
            put("CPUUtilization", &[cpu + wave(at, 60), cpu + wave(at, 17)]);
            put("MemoryUtilization", &[memory + wave(at, 240)]);
            put("LiveTaskCount", &[2.0]);
        }
    }
    Ok(())
}

/// A number from 0 to 3 that rises and falls in so many minutes, in eighths.
fn wave(at: DateTime<Utc>, minutes: i64) -> f64 {
    let phase = (at.timestamp() / 60).rem_euclid(minutes) * 48 / minutes;
    #[expect(clippy::cast_precision_loss, reason = "up to 24")]
    let eighths = phase.min(48 - phase) as f64;
    eighths / 8.0
}
