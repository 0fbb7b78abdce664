// SPDX-License-Identifier: Apache-2.0
//! What a failed try has paid for is kept: the next one asks only for what is missing.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::NaiveDate;
use kit::{DEAD, Fleet, HOME_REGION, JOBS, days_ago, end, expected::cells, report_key, until};
use local_aws::{Fault, FaultHandle, QueueOptions, Service};
use tokio::process::Child;

use super::{LONG_LEASE, put_off, reports_of};

const ID: &str = "111111111111";
const NEAR: &str = "us-east-1";
const FAR: &str = "me-central-1";
const BUCKETS: usize = 40;

/// A day that `ListMetrics` has forgotten: all types of all buckets are asked for.
fn old() -> NaiveDate {
    days_ago(40)
}

/// A fleet with an account of many buckets in one region and one in another, which is down. A job is redriven after
/// its twelfth receive.
async fn far_is_down() -> Result<(Fleet, FaultHandle)> {
    let mut fleet = Fleet::with_visibility_timeout(LONG_LEASE).await?;
    let redrive = Some((DEAD.to_owned(), 12));
    let region = HOME_REGION.to_owned();
    let queue = QueueOptions { region, visibility_timeout: LONG_LEASE, redrive, ..QueueOptions::default() };
    fleet.home.queue(JOBS, queue);
    let account = fleet.account("data", ID);
    for nth in 0..BUCKETS {
        account.bucket(&format!("near-{nth:02}"), NEAR).size("StandardStorage", old(), 7.0);
    }
    account.bucket("far", FAR).size("StandardStorage", old(), 9.0);
    fleet.aws.keep_asks();
    let down = fleet.aws.fault(Fault::unavailable().service(Service::CloudWatch).region(FAR));
    fleet.home.send(JOBS, &format!(r#"{{"account_name":"data","date":"{}"}}"#, old()));
    Ok((fleet, down))
}

fn worker(fleet: &Fleet) -> Result<Child> {
    Ok(fleet.worker(&["run", "--exit-when-empty", "--concurrency", "1"]).spawn()?)
}

/// How often the series of each region were asked for, if it is the same for all of them.
fn asked(fleet: &Fleet) -> BTreeMap<String, usize> {
    let mut asked = BTreeMap::new();
    for series in fleet.aws.asked_series() {
        let times = *asked.entry(series.region.clone()).or_insert(series.asks.len());
        assert_eq!(times, series.asks.len(), "{series:?}");
    }
    asked
}

fn times(near: usize, far: usize) -> BTreeMap<String, usize> {
    let all = [(NEAR, near), (FAR, far)].into_iter().filter(|(_, times)| *times > 0);
    all.map(|(region, times)| (region.to_owned(), times)).collect()
}

/// Calls of `GetMetricData` in the healthy region.
fn near_calls(fleet: &Fleet) -> u64 {
    fleet.aws.calls().operation("GetMetricData").region(NEAR).count()
}

#[tokio::test]
async fn a_region_that_is_down_for_five_tries_does_not_make_the_others_pay_again() -> Result<()> {
    let (fleet, down) = far_is_down().await?;
    let worker = worker(&fleet)?;
    for receive in 1..=5 {
        until("the region refuses", || down.fired() >= 7 * receive).await?;
        let pause = put_off(&fleet, usize::try_from(receive)?).await?;
        assert_eq!(asked(&fleet), times(1, 0), "after {receive} receives");
        assert_eq!(fleet.metadata("data", old(), "status")?, "partial");
        if receive == 5 {
            down.stop();
        }
        fleet.home.pass_time(JOBS, pause);
    }
    end(worker).await?.status(0);
    assert_eq!(asked(&fleet), times(1, 1));
    let rows = cells(&fleet.table("data", old())?);
    assert_eq!(rows.len(), BUCKETS + 1);
    assert!(rows.iter().all(|row| row["status"] == "ok" && !row["size_total"].is_empty()));
    assert_eq!(fleet.metadata("data", old(), "status")?, "complete");
    assert!(fleet.home.messages(JOBS).is_empty() && fleet.dead_letters().is_empty());

    // The report says what all tries cost, refused calls included.
    let account = || fleet.aws.calls().account(ID);
    let metrics: usize = account().operation("GetMetricData").records().iter().map(|call| call.items).sum();
    let far: usize =
        account().operation("GetMetricData").region(FAR).ok().records().iter().map(|call| call.items).sum();
    let said: usize = fleet.metadata("data", old(), "metrics-requested")?.parse()?;
    assert_eq!(metrics, BUCKETS * far + far, "answered");
    assert_eq!(said, BUCKETS * far + 6 * far, "each of six tries has asked for the far region's");
    assert_eq!(fleet.metadata("data", old(), "api-calls")?, account().count().to_string());
    let cost: f64 = fleet.metadata("data", old(), "estimated-cost-usd")?.parse()?;
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let price = said as f64 / 100_000.0;
    assert!((cost - price).abs() < 0.000_01, "{cost} for {said} metrics");
    Ok(())
}

#[tokio::test]
async fn directory_buckets_that_can_not_be_listed_now_cost_another_try_and_nothing_twice() -> Result<()> {
    let (fleet, cloudwatch) = far_is_down().await?;
    cloudwatch.stop();
    let fast = "fast--mec1-az1--x-s3";
    fleet.aws.account(ID).directory_bucket(fast, FAR).size("ExpressOneZoneStorage", old(), 3.0);
    let down = fleet.aws.fault(Fault::unavailable().on("ListDirectoryBuckets").region(FAR));
    let worker = worker(&fleet)?;
    let pause = put_off(&fleet, 1).await?;
    assert!(down.fired() > 0);
    assert_eq!(asked(&fleet), times(1, 1));
    assert_eq!(fleet.metadata("data", old(), "regions-pending")?, FAR);
    down.stop();
    fleet.home.pass_time(JOBS, pause);
    end(worker).await?.status(0);
    assert_eq!(asked(&fleet), times(1, 1), "the directory bucket's are new, and the others are known");
    let rows = cells(&fleet.table("data", old())?);
    assert_eq!(rows.len(), BUCKETS + 2);
    let fast = rows.iter().find(|row| row["bucket_name"] == fast).expect("a row");
    assert_eq!((&*fast["status"], &*fast["size_total"]), ("ok", "3"));
    assert_eq!(fleet.metadata("data", old(), "status")?, "complete");
    Ok(())
}

/// Where the worker is killed that has stored what it has.
#[tokio::test]
async fn a_worker_killed_after_its_checkpoint_leaves_it_to_the_next() -> Result<()> {
    let (fleet, down) = far_is_down().await?;
    let checkpoint = Fault::lost_answer().on("PutObject").key_prefix(&reports_of(old())).times(1);
    let checkpoint = fleet.aws.fault(checkpoint);
    let mut killed = worker(&fleet)?;
    until("the region refuses", || down.fired() >= 7).await?;
    until("what there is is stored", || checkpoint.fired() == 1).await?;
    killed.kill().await?;
    assert_eq!(fleet.metadata("data", old(), "status")?, "partial");
    let calls = near_calls(&fleet);
    assert!(calls > 0);

    down.stop();
    fleet.home.pass_time(JOBS, LONG_LEASE);
    end(worker(&fleet)?).await?.status(0);
    assert_eq!(near_calls(&fleet), calls, "the region that answered is not asked again");
    assert_eq!(asked(&fleet), times(1, 1));
    assert_eq!(fleet.metadata("data", old(), "status")?, "complete");
    assert_eq!(cells(&fleet.table("data", old())?).len(), BUCKETS + 1);
    assert!(fleet.object(&report_key("data", old())).is_some() && fleet.dead_letters().is_empty());
    Ok(())
}

/// A worker that is killed before it could store anything costs what it asked, once.
#[tokio::test]
async fn a_worker_killed_before_its_checkpoint_costs_what_it_asked_once() -> Result<()> {
    let (fleet, down) = far_is_down().await?;
    let checkpoint = Fault::hang().on("PutObject").key_prefix(&reports_of(old())).times(1);
    let checkpoint = fleet.aws.fault(checkpoint);
    let mut killed = worker(&fleet)?;
    until("the region refuses", || down.fired() >= 7).await?;
    until("what there is is about to be stored", || checkpoint.fired() == 1).await?;
    killed.kill().await?;
    assert!(fleet.object(&report_key("data", old())).is_none());
    down.stop();
    fleet.home.pass_time(JOBS, LONG_LEASE);
    end(worker(&fleet)?).await?.status(0);
    assert_eq!(asked(&fleet), times(2, 1));
    assert_eq!(fleet.metadata("data", old(), "status")?, "complete");
    Ok(())
}
