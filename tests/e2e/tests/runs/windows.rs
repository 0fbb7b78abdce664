// SPDX-License-Identifier: Apache-2.0
//! Runs of windows shorter than a day: a schedule that catches up by itself, and what is left out until it is settled.

use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use kit::{Fleet, HOME_REGION, JOBS, REPORTS, Setup, days_ago, end, finish, says, until};
use local_aws::{Account, Fault};
use serde_json::{Value, json};

/// A moment of yesterday, by AWS's clock: so late that this machine's is ahead of it.
pub(super) fn yesterday(hour: i64, minute: i64) -> DateTime<Utc> {
    days_ago(1).and_time(chrono::NaiveTime::MIN).and_utc() + TimeDelta::minutes(60 * hour + minute)
}

fn hour(at: i64) -> String {
    yesterday(at, 0).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A fleet with an account of two services, which have a value each minute.
pub(super) async fn fleet() -> Result<(Fleet, Account)> {
    fleet_with(Setup::default()).await
}

pub(super) async fn fleet_with(setup: Setup) -> Result<(Fleet, Account)> {
    let mut fleet = Fleet::new(setup).await?;
    let account = fleet.account("data", "111111111111");
    for service in ["api", "web"] {
        let dimensions = [("ClusterName", "main"), ("ServiceName", service)];
        for minute in 0..1440 {
            let at = yesterday(0, minute);
            account.metric(HOME_REGION, "AWS/ECS", "CPUUtilization", &dimensions, at, 12.5);
        }
    }
    Ok((fleet, account))
}

pub(super) async fn producer(fleet: &Fleet, arguments: &[&str], code: i32) -> Result<Value> {
    let arguments = [arguments, &["--format", "json"]].concat();
    finish(fleet.producer(&arguments)).await?.status(code).json()
}

/// The times of the reports that there are, as their keys have them, and of which run each is.
pub(super) fn reports(fleet: &Fleet) -> Vec<(String, String)> {
    let keys = fleet.home.keys(REPORTS, "ecs_service/");
    let time =
        |key: &str| key.rsplit('/').next().and_then(|name| name.strip_suffix(".csv")).map(str::to_owned);
    let run = |key: &str| fleet.object(key).and_then(|object| object.metadata.get("run-id").cloned());
    keys.iter().filter_map(|key| Some((time(key)?, run(key)?))).collect()
}

pub(super) fn times(fleet: &Fleet) -> Vec<String> {
    reports(fleet).into_iter().map(|(time, _)| time).collect()
}

/// The metrics that were paid for, by the reports.
fn paid(fleet: &Fleet) -> u64 {
    let metrics = |key: String| fleet.object(&key)?.metadata.get("metrics-requested")?.parse::<u64>().ok();
    fleet.home.keys(REPORTS, "ecs_service/").into_iter().filter_map(metrics).sum()
}

#[tokio::test]
async fn a_schedule_catches_up_after_an_outage_and_pays_for_no_window_twice() -> Result<()> {
    let (fleet, _) = fleet().await?;
    let tick =
        ["run", "--account-name", "data", "--dataset", "ecs_service", "--last", "6h", "--only-incomplete"];
    fleet.aws.set_clock(yesterday(9, 15));
    let first = producer(&fleet, &tick, 0).await?;
    assert_eq!(first["sent"], 1, "one job for six windows: {first}");
    let span = json!({"from": hour(3), "to": hour(9), "window": "1h"});
    assert_eq!(first["jobs"][0]["windows"], span, "{first}");
    let [message] = &fleet.home.messages(JOBS)[..] else { panic!("one job") };
    let body: Value = serde_json::from_str(&message.body)?;
    assert_eq!([&body["from"], &body["to"], &body["window"]], [&span["from"], &span["to"], &span["window"]]);
    fleet.work(&[]).await?;
    assert_eq!(times(&fleet), ["T0300Z", "T0400Z", "T0500Z", "T0600Z", "T0700Z", "T0800Z"]);
    assert_eq!(paid(&fleet), 2, "a metric of two services, each once");
    let told = producer(&fleet, &["status"], 0).await?;
    assert_eq!(
        told["accounts"][0]["windows"],
        json!({"total": 6, "complete": 6, "provisional": 0}),
        "{told}"
    );
    assert_eq!(told["accounts"][0]["rows"], 6 * 2 * 60);

    // Twice at one time, or late: nothing is left to send.
    let again = producer(&fleet, &tick, 0).await?;
    assert_eq!((&again["sent"], &again["already_complete"]), (&json!(0), &json!(1)), "{again}");

    // An outage of three hours.
    let before = reports(&fleet);
    fleet.aws.set_clock(yesterday(12, 15));
    let late = producer(&fleet, &tick, 0).await?;
    let span = json!({"from": hour(9), "to": hour(12), "window": "1h"});
    assert_eq!(late["jobs"][0]["windows"], span, "{late}");
    fleet.work(&[]).await?;
    let after = reports(&fleet);
    assert_eq!((after.len(), &after[..6]), (9, &before[..]), "what was there stays");
    assert_eq!(paid(&fleet), 2 + 2);

    // A window in the middle is lost: the job is for it alone.
    let key = fleet.home.keys(REPORTS, "ecs_service/").into_iter().find(|key| key.ends_with("T1000Z.csv"));
    fleet.home.delete_object(REPORTS, &key.expect("it is there"));
    let lost = producer(&fleet, &tick, 0).await?;
    assert_eq!(
        lost["jobs"][0]["windows"],
        json!({"from": hour(10), "to": hour(11), "window": "1h"}),
        "{lost}"
    );
    fleet.work(&[]).await?;
    assert_eq!(times(&fleet).len(), 9);
    Ok(())
}

#[tokio::test]
async fn a_window_that_is_not_settled_is_left_out_unless_provisional_ones_count() -> Result<()> {
    let (fleet, _) = fleet().await?;
    let (from, to) = (hour(8), hour(9));
    let run = ["run", "--account-name", "data", "--dataset", "ecs_service", "--from", &from, "--to", &to];
    fleet.aws.set_clock(yesterday(9, 5));
    let ended = finish(fleet.producer(&run)).await?.status(2);
    let expected = format!("no window from {from} on is settled yet");
    assert!(ended.stderr.contains(&expected) && ended.stderr.contains("--provisional"), "{}", ended.stderr);

    let provisional = [&run[..], &["--provisional"]].concat();
    producer(&fleet, &provisional, 0).await?;
    fleet.work(&[]).await?;
    let told = producer(&fleet, &["status"], 0).await?;
    assert_eq!(
        told["accounts"][0]["windows"],
        json!({"total": 1, "complete": 1, "provisional": 1}),
        "{told}"
    );
    producer(&fleet, &["status", "--settled"], 3).await?;
    let settle = [&run[..], &["--provisional", "--only-incomplete"]].concat();
    let early = producer(&fleet, &settle, 0).await?;
    assert_eq!((&early["sent"], &early["provisional"]), (&json!(0), &json!(1)), "{early}");

    fleet.aws.set_clock(yesterday(9, 10));
    let late = producer(&fleet, &settle, 0).await?;
    assert_eq!(late["sent"], 1, "{late}");
    fleet.work(&[]).await?;
    producer(&fleet, &["status", "--settled"], 0).await?;
    let told = finish(fleet.producer(&["status"])).await?.status(0).stdout;
    assert!(told.contains("WINDOWS") && told.contains("1/1"), "{told}");

    // A schedule that wants it sooner says so, and so does the report.
    let sooner = [&run[..4], &["ecs_service", "--settle", "3m", "--only-incomplete"]].concat();
    fleet.aws.set_clock(yesterday(10, 3));
    producer(&fleet, &sooner, 0).await?;
    fleet.work(&[]).await?;
    let newest = fleet.home.keys(REPORTS, "ecs_service/").pop().expect("a report");
    let newest = fleet.object(&newest).expect("it is there").metadata;
    assert_eq!((newest["from"].as_str(), newest["settle-seconds"].as_str()), (&*hour(9), "180"));
    assert_eq!(newest["settled"], "true");
    Ok(())
}

#[tokio::test]
async fn a_dry_run_of_windows_says_what_they_cost_together() -> Result<()> {
    let (fleet, _) = fleet().await?;
    let (from, to) = (hour(7), hour(12));
    let run = ["run", "--account-name", "data", "--dataset", "ecs_service", "--from", &from, "--to", &to];
    producer(&fleet, &run, 0).await?;
    fleet.work(&[]).await?;
    let dry = producer(&fleet, &[&run[..], &["--dry-run"]].concat(), 0).await?;
    let job = &dry["jobs"][0];
    assert_eq!([&job["windows"], &job["times_paid"], &job["metrics_requested"]], [5, 1, 2], "{dry}");
    assert_eq!(job["window"], "1h", "{dry}");
    Ok(())
}

#[tokio::test]
async fn a_dry_run_prices_a_month_of_a_schedule_and_says_what_is_settled_already() -> Result<()> {
    let (fleet, _) = fleet().await?;
    fleet.aws.set_clock(yesterday(9, 15));
    let run = ["run", "--account-name", "data", "--dataset", "ecs_service", "--last", "6h"];
    let first = producer(&fleet, &run, 0).await?;
    assert_eq!(first["settled"], Value::Null, "{first}");
    fleet.work(&[]).await?;
    let paid = || fleet.aws.calls().operation("GetMetricData").count();
    let once = paid();

    // A dry run goes by the machine's clock.
    let at = yesterday(9, 15).to_rfc3339();
    let dry = ["--dry-run", "--at", &at];
    let month = [&run[..], &dry, &["--every", "5m"]].concat();
    let each = producer(&fleet, &month, 0).await?;
    let cost = each["jobs"][0]["estimated_cost_usd"].as_f64().expect("it is known");
    let of = |json: &Value| json["month"]["cost_usd_most"].as_f64().expect("a price");
    let is_near = |found: f64, expected: f64| assert!((found - expected).abs() < 0.001, "{found} {expected}");
    assert_eq!(
        (&each["month"]["runs"], &each["datasets"][0]["month"]["collections"]),
        (&json!(8640), &json!(8640))
    );
    is_near(of(&each), 8640.0 * cost);
    // A window is paid for once, though all that there are now are complete.
    let only = producer(&fleet, &[&month[..], &["--only-incomplete"]].concat(), 0).await?;
    assert_eq!(
        (&only["datasets"][0]["jobs"], &only["datasets"][0]["month"]["collections"]),
        (&json!(0), &json!(720))
    );
    is_near(of(&only), 720.0 * cost);
    let statistics = &only["month"]["cost_usd_each_statistic_most"];
    assert!(statistics.as_f64().expect("a price") > of(&only), "two statistics of each metric: {only}");

    // What the warning says: without --only-incomplete a settled report is paid for again.
    for flags in [&[][..], &dry] {
        let ended =
            finish(fleet.producer(&[&run[..], flags, &["--format", "json"]].concat())).await?.status(0);
        assert!(ended.stderr.contains("accounts with a settled report"), "{}", ended.stderr);
        let again: Value = serde_json::from_str(&ended.stdout)?;
        assert_eq!((&again["settled"]["collected_again"], &again["settled"]["kept"]), (&json!(1), &json!(0)));
    }
    fleet.work(&[]).await?;
    assert_eq!(paid(), 2 * once);
    Ok(())
}

/// The reports, each with its key and its table.
pub(super) fn bodies(fleet: &Fleet) -> Vec<(String, Vec<u8>)> {
    let keys = fleet.home.keys(REPORTS, "ecs_service/");
    keys.into_iter().filter_map(|key| Some((key.clone(), fleet.object(&key)?.body.to_vec()))).collect()
}

#[tokio::test]
async fn a_worker_that_is_killed_amid_a_range_leaves_the_same_reports_to_the_next() -> Result<()> {
    let (from, to) = (hour(3), hour(9));
    let run = ["run", "--account-name", "data", "--dataset", "ecs_service", "--from", &from, "--to", &to];
    let (undisturbed, _) = fleet().await?;
    producer(&undisturbed, &run, 0).await?;
    undisturbed.work(&[]).await?;

    let short = Setup { visibility_timeout: Duration::from_secs(3), ..Setup::default() };
    let (fleet, _) = fleet_with(short).await?;
    producer(&fleet, &run, 0).await?;
    let key = bodies(&undisturbed)[2].0.clone();
    let held = fleet.aws.fault(Fault::hold().on("PutObject").key_prefix(&key).times(1));
    let mut worker = fleet.worker(&["run", "--exit-when-empty"]).spawn()?;
    until("one report is about to be written, and the others are", || {
        held.fired() == 1 && bodies(&fleet).len() == 5
    })
    .await?;
    worker.kill().await?;
    fleet.work(&[]).await?;
    assert_eq!(bodies(&fleet), bodies(&undisturbed));
    let metrics = fleet.aws.calls().operation("GetMetricData").count();
    assert_eq!(metrics, 2, "one call for all six windows, and one for the window that was not written");
    assert!(fleet.dead_letters().is_empty() && fleet.home.messages(JOBS).is_empty());
    Ok(())
}

/// A job that a schedule sends for windows of yesterday.
fn copy(from: i64, to: i64) -> String {
    let (from, to) = (hour(from), hour(to));
    json!({"account_name": "data", "dataset": "ecs_service", "from": from, "to": to, "only_incomplete": true})
        .to_string()
}

#[tokio::test]
async fn of_the_copies_that_a_schedule_left_during_an_outage_one_pays() -> Result<()> {
    let (fleet, _) = fleet().await?;
    // Eight ticks of five minutes: each asks for what was lacking then, and an hour ended meanwhile.
    for to in [9, 9, 9, 9, 10, 10, 10, 10] {
        fleet.home.send(JOBS, &copy(4, to));
    }
    // All are at work at once, in two workers.
    let held = fleet.aws.fault(Fault::slow(Duration::from_millis(1500)).on("GetMetricData"));
    let run = ["run", "--exit-when-empty", "--concurrency", "4"];
    let workers = [fleet.worker(&run).spawn()?, fleet.worker(&run).spawn()?];
    for worker in workers {
        end(worker).await?.status(0);
    }
    assert!(held.fired() > 0);
    assert_eq!(times(&fleet).len(), 6);
    // Two services of one metric: once for the first five hours, once for the last one at most.
    let asked = fleet.aws.calls().operation("GetMetricData").count();
    assert!(asked <= 2, "{asked}");
    assert!(paid(&fleet) <= 4);
    assert!(fleet.dead_letters().is_empty() && fleet.home.messages(JOBS).is_empty());
    assert!(fleet.home.keys(REPORTS, "claims/").is_empty());
    Ok(())
}

#[tokio::test]
async fn the_claim_of_a_worker_that_was_killed_ends_by_itself() -> Result<()> {
    let short = Setup { visibility_timeout: Duration::from_secs(3), ..Setup::default() };
    let (fleet, _) = fleet_with(short).await?;
    fleet.home.send(JOBS, &copy(4, 6));
    let held = fleet.aws.fault(Fault::hold().on("GetMetricData").times(1));
    let mut worker = fleet.worker(&["run", "--exit-when-empty"]).spawn()?;
    until("it asks CloudWatch", || held.fired() == 1).await?;
    worker.kill().await?;
    assert_eq!(fleet.home.keys(REPORTS, "claims/").len(), 2);
    let mut next = fleet.worker(&["run", "--exit-when-empty"]).spawn()?;
    says(&mut next, "waiting for it").await?;
    assert!(times(&fleet).is_empty());
    // Two minutes later, by the clock that all share.
    fleet.aws.set_clock(fleet.aws.now() + TimeDelta::minutes(3));
    end(next).await?.status(0);
    assert_eq!(times(&fleet).len(), 2);
    assert!(fleet.home.keys(REPORTS, "claims/").is_empty());
    Ok(())
}
