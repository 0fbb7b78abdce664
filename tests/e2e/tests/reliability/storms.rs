// SPDX-License-Identifier: Apache-2.0
//! Throttling.

use std::time::Duration;

use anyhow::{Context, Result};
use chrono::NaiveDate;
use kit::{Ended, Fleet, HOME_REGION, JOBS, days_ago, end, until};
use local_aws::Fault;

use super::{day, job};

/// How long the jobs of accounts took whose names begin so, in milliseconds.
fn durations(worker: &Ended, begin: &str) -> Result<Vec<u64>> {
    let stored = worker.stderr.lines().filter(|line| line.contains("the report is stored"));
    let mut durations = Vec::new();
    for line in stored {
        let line: serde_json::Value = serde_json::from_str(line)?;
        if line["span"]["account_name"].as_str().is_some_and(|name| name.starts_with(begin)) {
            durations.push(line["duration_ms"].as_u64().context("a duration")?);
        }
    }
    durations.sort_unstable();
    Ok(durations)
}

fn p95(durations: &[u64]) -> u64 {
    durations[(durations.len() * 95).div_ceil(100) - 1]
}

/// The p95 of the calm account's jobs, in milliseconds, with or without another that throttles all.
async fn calm_beside(storm: bool) -> Result<u64> {
    let mut fleet = Fleet::start().await?;
    let stormy = fleet.account("stormy", "111111111111");
    stormy.bucket("s", HOME_REGION).size("StandardStorage", day(), 7.0);
    let throttle = fleet.aws.fault(Fault::throttle().account("111111111111"));
    let latency = fleet.aws.fault(Fault::slow(Duration::from_millis(50)).on("GetMetricData"));
    if storm {
        fleet.home.send(JOBS, &job("stormy"));
    }
    let calm = fleet.account("calm", "222222222222");
    calm.bucket("c", HOME_REGION);
    // Each of another day, so that none is a duplicate.
    for nth in 4..44 {
        let date = days_ago(nth);
        calm.datapoint(HOME_REGION, "c", "StandardStorage", date, 7.0);
        fleet.home.send(JOBS, &format!(r#"{{"account_name":"calm","date":"{date}"}}"#));
    }
    let worker = fleet.worker(&["run", "--concurrency", "2", "--drain-timeout", "0"]).spawn()?;
    let reports = || fleet.home.keys(kit::REPORTS, "s3_daily_storage/").len();
    until("the calm account is done", || reports() == 40).await?;
    // The report is logged before its message is deleted.
    let deletes = || fleet.aws.calls().operation("DeleteMessage").ok().count();
    until("and has said so", || deletes() == 40).await?;
    kit::terminate(&worker)?;
    let ended = end(worker).await?.status(0);
    assert_eq!(throttle.fired() > 0, storm);
    assert!(latency.fired() >= 40);
    let durations = durations(&ended, "calm")?;
    assert_eq!(durations.len(), 40);
    Ok(p95(&durations))
}

#[tokio::test]
async fn one_account_that_throttles_all_does_not_slow_another() -> Result<()> {
    let (mut alone, mut beside) = (u64::MAX, u64::MAX);
    // The machine may be busy with something else at any one time, and not each time.
    for _ in 0..5 {
        alone = alone.min(calm_beside(false).await?);
        beside = beside.min(calm_beside(true).await?);
        if beside <= alone + (alone / 10).max(20) {
            return Ok(());
        }
    }
    panic!("p95 {alone} ms alone and {beside} ms beside a storm, at the best")
}

/// An account of 1,000 buckets, and an old day, which takes 56 calls.
async fn a_thousand_buckets() -> Result<(Fleet, NaiveDate)> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", "111111111111");
    let old = days_ago(100);
    for nth in 0..1000 {
        account.bucket(&format!("bucket-{nth:04}"), HOME_REGION).size("StandardStorage", old, 7.0);
    }
    fleet.variable("FLEET_LOOKBACK_DAYS", "0");
    Ok((fleet, old))
}

#[tokio::test]
async fn throttling_costs_few_calls_more_than_are_needed() -> Result<()> {
    let (fleet, old) = a_thousand_buckets().await?;
    let throttle = fleet.aws.fault(Fault::throttle().on("GetMetricData").probability(0.2, 7));
    fleet.home.send(JOBS, &format!(r#"{{"account_name":"data","date":"{old}"}}"#));
    fleet.work(&[]).await?;
    assert_eq!(fleet.metadata("data", old, "status")?, "complete");
    let (calls, needed) = (fleet.aws.calls().operation("GetMetricData").count(), 1000 * 28 / 500);
    assert!(throttle.fired() > 0);
    assert_eq!(calls, needed + throttle.fired(), "each throttled call is made again, and no other");
    assert!(calls * 10 <= needed * 13, "{calls} calls for {needed}");
    Ok(())
}

#[tokio::test]
async fn others_that_spend_an_account_s_quota_slow_its_report_and_do_not_fail_it() -> Result<()> {
    let (fleet, old) = a_thousand_buckets().await?;
    fleet.aws.quotas(true);
    // Half of the quota each. What they begin with comes at once, and is twice what AWS lets through.
    let held = fleet.aws.fault(Fault::hold().on("GetMetricData"));
    let date = old.to_string();
    let arguments = ["collect", "--account-name", "data", "--date", &date];
    let collects = (0..8).map(|_| fleet.worker(&arguments).spawn()).collect::<std::io::Result<Vec<_>>>()?;
    // More, where a call was held for so long that it was made again.
    until("each has as many calls under way as it may", || held.fired() >= 8 * 12).await?;
    held.stop();
    for collect in collects {
        let table = end(collect).await?.status(0).stdout;
        assert_eq!(table.matches(",ok\n").count(), 1000);
    }
    let calls = fleet.aws.calls().operation("GetMetricData");
    let [throttled, abandoned] = ["Throttling", "abandoned"].map(|it| calls.clone().outcome(it).count());
    let needed = 8 * 1000 * 28 / 500;
    assert_eq!(calls.count() - throttled - abandoned, needed);
    assert!(throttled > 0, "there was enough for all");
    assert!(throttled < needed, "{throttled} of {needed} calls: no caller slowed down");
    Ok(())
}
