// SPDX-License-Identifier: Apache-2.0
//! A schedule that forwards the ECS metrics of three accounts in two regions to a central one.

use anyhow::{Context, Result};
use chrono::TimeDelta;
use kit::{JOBS, REPORTS, Setup, finish};
use local_aws::Fault;
use serde_json::json;

use super::{COUNTER, Differences, GAUGE, Scene, counts, moment};

const TICK: [&str; 12] = [
    "run",
    "--account-name",
    "one,two,three",
    "--dataset",
    "forwarded",
    "--last",
    "30m",
    "--window",
    "5m",
    "--only-incomplete",
    "--format",
    "json",
];

#[tokio::test]
async fn all_five_statistics_are_as_at_the_sources_and_a_repetition_changes_nothing() -> Result<()> {
    let scene = Scene::new(Setup::default(), 3).await?;
    let dry = [&TICK[..], &["--dry-run", "--buckets", "4"]].concat();
    let dry = finish(scene.fleet.producer(&dry)).await?.status(0).json()?;
    // Four resources in each of three accounts, of which two metrics of three are put.
    assert_eq!(
        dry["sinks"],
        json!([{
            "sink": "central", "custom_metrics_least": 24, "custom_metrics_most": 24,
            "month_usd_least": 7.2, "month_usd_most": 7.2,
        }])
    );
    finish(scene.fleet.producer(&TICK)).await?.status(0);
    let bodies: Vec<String> =
        scene.fleet.home.messages(JOBS).into_iter().map(|message| message.body).collect();
    let ended = scene.fleet.work(&[]).await?;
    assert!(
        ended.stderr.contains("these metrics are not put into Fleet/ECS in eu-central-1"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("Minimum, Maximum: LiveTaskCount"), "{}", ended.stderr);
    // The last five windows at least; a sixth if the clock is at the end of one.
    let (from, to) = (scene.end - TimeDelta::minutes(25), scene.end);
    let found = scene.differences(from, to);
    assert_eq!(found, Differences { same: 3 * 2 * 2 * 25 * 2 * 5, ..Differences::default() });
    let markers = scene.markers()?;
    assert!(markers.len() >= 15, "{markers:?}");
    // Two metrics of two services in two regions, each minute.
    assert!(
        markers.iter().all(|marker| counts(marker) == [40, 0, 0] && marker["until"].is_null()),
        "{markers:?}"
    );
    assert_eq!(scene.puts(), 2 * markers.len() as u64, "gauges and counters apart");

    // The schedule's next tick, and every job once more.
    let puts = scene.puts();
    finish(scene.fleet.producer(&TICK)).await?.status(0);
    for body in &bodies {
        scene.fleet.home.send(JOBS, body);
    }
    scene.fleet.work(&[]).await?;
    assert_eq!(scene.differences(from, to), found);
    let is_later = scene.markers()?.len() > markers.len();
    assert!(is_later || scene.puts() == puts, "nothing is put twice");
    assert!(scene.fleet.dead_letters().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_window_that_is_collected_again_is_not_put_again_and_status_says_so() -> Result<()> {
    let scene = Scene::of_one_account().await?;
    scene.run().await?;
    let status = ["status", "--format", "json"];
    let told = finish(scene.fleet.producer(&status)).await?.status(0).json()?;
    assert_eq!(told["changed_after_delivery"], json!({"central": 0}), "{told}");

    // A value that came late, and another run of the same window.
    let puts = scene.puts();
    scene.measure(scene.end - TimeDelta::minutes(2), 7777);
    scene.run().await?;
    assert_eq!(scene.puts(), puts);
    let told = finish(scene.fleet.producer(&status)).await?.status(0).json()?;
    assert_eq!(told["changed_after_delivery"], json!({"central": 1}), "{told}");
    assert_eq!(told["undelivered"], json!({"central": 0}), "{told}");
    let told = finish(scene.fleet.producer(&["status"])).await?.status(0).stdout;
    assert!(told.contains("1 report changed after delivery to central, which keeps what it has"), "{told}");
    scene.force().await?;
    assert_eq!(scene.puts(), puts, "nothing of it is unknown");
    Ok(())
}

#[tokio::test]
async fn an_outage_of_the_sink_costs_no_value_and_no_call_of_the_sources() -> Result<()> {
    let scene = Scene::of_one_account().await?;
    let denied = scene.fleet.aws.fault(Fault::deny().on("PutMetricData"));
    scene.send();
    scene.fleet.work(&[]).await?;
    let dead = scene.fleet.dead_letters();
    let attributes = &dead.first().context("a dead letter")?.attributes;
    assert_eq!(attributes["failure_reason"], "not_delivered");
    let message = &attributes["failure_message"];
    assert!(
        message.contains("the worker's role needs cloudwatch:PutMetricData for the namespace Fleet/ECS"),
        "{message}"
    );
    assert_eq!(scene.of_window().absent.len(), 2);
    denied.stop();
    let asked = scene.fleet.aws.calls().operation("GetMetricData").count();
    scene.try_again().await?;
    assert_eq!(scene.fleet.aws.calls().operation("GetMetricData").count(), asked);
    assert_eq!(scene.of_window(), Differences { same: 2 * 2 * 5 * 2 * 5, ..Differences::default() });
    assert_eq!(counts(&scene.marker()?), [40, 0, 0], "a refusal leaves nothing unknown");
    Ok(())
}

#[tokio::test]
async fn what_is_older_than_two_weeks_is_skipped_and_counted() -> Result<()> {
    let scene = Scene::of_one_account().await?;
    let old = scene.end - TimeDelta::days(14);
    for minute in [2, 4] {
        scene.measure(old + TimeDelta::minutes(minute), minute);
    }
    let (from, to) = (moment(old), moment(old + TimeDelta::minutes(5)));
    let run =
        ["--account-name", "one", "--dataset", "forwarded", "--window", "5m", "--from", &from, "--to", &to];
    scene.fleet.run(&run, &[]).await?;
    let marker = scene.marker()?;
    let skipped = marker["skipped"].as_u64();
    assert_eq!((counts(&marker), skipped, scene.puts()), ([0, 0, 0], Some(16), 0), "{marker}");
    Ok(())
}

#[tokio::test]
async fn windows_of_another_length_are_not_put_beside_those_of_the_dataset() -> Result<()> {
    let scene = Scene::of_one_account().await?;
    let run = ["--account-name", "one", "--dataset", "forwarded", "--window", "1m", "--last", "5m"];
    let ended = scene.fleet.run(&run, &[]).await?;
    assert!(ended.stderr.contains("the windows of forwarded are of 5m"), "{}", ended.stderr);
    assert_eq!((scene.puts(), scene.of_window().absent.len()), (0, 2));
    assert!(!scene.fleet.home.keys(REPORTS, "forwarded__1m/").is_empty());
    Ok(())
}

#[tokio::test]
async fn what_can_never_be_put_is_kept_with_its_reason() -> Result<()> {
    let scene = Scene::of_one_account().await?;
    let dimensions = [("ClusterName", "main"), ("ServiceName", "api")];
    let at = scene.end - TimeDelta::minutes(1);
    scene.accounts[0].samples(super::FAR, super::SOURCE, COUNTER, &dimensions, at, &[2f64.powi(361)]);
    scene.send();
    scene.fleet.work(&[]).await?;
    let marker = scene.marker()?;
    assert_eq!((counts(&marker), marker["rejected"].as_u64()), ([39, 0, 0], Some(1)), "{marker}");
    let keys = scene.fleet.home.keys(REPORTS, "rejects/central/");
    let rejects = scene.fleet.object(keys.first().context("rejects")?).context("rejects")?.text().to_owned();
    let reject: serde_json::Value = serde_json::from_str(rejects.lines().next().context("a line")?)?;
    assert_eq!((&reject["metric"], &reject["row"]["service_name"]), (&json!(COUNTER), &json!("api")));
    assert!(reject["reason"].as_str().is_some_and(|reason| reason.contains("±2^360")), "{reject}");
    assert_eq!(scene.of_window().absent.into_iter().collect::<Vec<_>>(), [COUNTER]);
    assert!(!scene.of_window().wrong.iter().any(|(metric, _)| *metric == GAUGE));
    Ok(())
}
