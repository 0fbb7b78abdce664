// SPDX-License-Identifier: Apache-2.0
//! Answers that are lost, late or errors: what they leave is right, or is reported.

use anyhow::Result;
use futures::future::try_join_all;
use kit::finish;
use local_aws::Fault;
use serde_json::json;

use super::{COUNTER, Differences, GAUGE, Scene, counts};

/// All statistics of a window of one account.
const ALL: usize = 2 * 2 * 5 * 2 * 5;

/// The datapoints of one request.
const HALF: u64 = 20;

/// A fault that leaves a request uncertain, and whether it was carried out.
fn faults() -> [(Fault, bool); 4] {
    [
        (Fault::reset_answer(), true),
        (Fault::late_error(), true),
        (Fault::server_error(), false),
        (Fault::reset(), false),
    ]
}

#[tokio::test]
async fn gauges_without_an_answer_are_put_again_and_counted() -> Result<()> {
    try_join_all(faults().map(|(fault, is_put)| gauges(fault, is_put))).await?;
    Ok(())
}

async fn gauges(fault: Fault, is_put: bool) -> Result<()> {
    let reported = format!("{fault:?}");
    let scene = Scene::of_one_account().await?;
    let fault = scene.fleet.aws.fault(fault.on("PutMetricData").times(1));
    scene.send();
    scene.fleet.work(&[]).await?;
    assert_eq!((fault.fired(), scene.fleet.dead_letters().len()), (1, 1), "{reported}");
    scene.try_again().await?;
    assert_eq!(counts(&scene.marker()?), [HALF, 0, HALF], "{reported}");
    let doubled = [(GAUGE, "SampleCount"), (GAUGE, "Sum")];
    let wrong = if is_put { doubled.into() } else { [].into() };
    let same = ALL - if is_put { ALL / 5 } else { 0 };
    assert_eq!(scene.of_window(), Differences { wrong, same, ..Differences::default() }, "{reported}");
    Ok(())
}

#[tokio::test]
async fn counters_without_an_answer_are_unknown_until_the_user_decides() -> Result<()> {
    try_join_all(faults().map(|(fault, is_put)| counters(fault, is_put))).await?;
    Ok(())
}

async fn counters(fault: Fault, is_put: bool) -> Result<()> {
    let reported = format!("{fault:?}");
    let scene = Scene::of_one_account().await?;
    // The second request has the counters.
    let fault = scene.fleet.aws.fault(fault.on("PutMetricData").after(1).times(1));
    scene.run().await?;
    assert_eq!((fault.fired(), scene.fleet.dead_letters().len()), (1, 1), "{reported}");
    scene.try_again().await?;
    assert_eq!(counts(&scene.marker()?), [HALF, HALF, 0], "{reported}");
    let all = Differences { same: ALL, ..Differences::default() };
    let lacking = Differences { absent: [COUNTER].into(), same: ALL / 2, ..Differences::default() };
    let expected = if is_put { all } else { lacking };
    assert_eq!(scene.of_window(), expected, "{reported}");
    let told = finish(scene.fleet.producer(&["status", "--format", "json"])).await?.status(0).json()?;
    assert_eq!(told["unknown"], json!({"central": HALF}), "{reported}: {told}");
    let told = finish(scene.fleet.producer(&["status"])).await?.status(0).stdout;
    assert!(told.contains("20 values may be in central and may not"), "{told}");

    // A delivery without --force leaves them.
    let puts = scene.puts();
    let deliver = ["deliver", "--sink", "central", "--account-name", "one", "--last", "20m"];
    finish(scene.fleet.producer(&deliver)).await?.status(0);
    scene.fleet.work(&[]).await?;
    assert_eq!(scene.puts(), puts, "{reported}");

    scene.force().await?;
    assert_eq!((counts(&scene.marker()?), scene.puts()), ([HALF, 0, HALF], puts + 1), "{reported}");
    let doubled = [(COUNTER, "SampleCount"), (COUNTER, "Sum")];
    let wrong = if is_put { doubled.into() } else { [].into() };
    let same = ALL - if is_put { ALL / 5 } else { 0 };
    assert_eq!(scene.of_window(), Differences { wrong, same, ..Differences::default() }, "{reported}");
    scene.force().await?;
    assert_eq!(scene.puts(), puts + 1, "nothing of it is unknown any more");
    Ok(())
}

#[tokio::test]
async fn throttled_requests_are_sent_again_at_once() -> Result<()> {
    let scene = Scene::of_one_account().await?;
    let throttle = scene.fleet.aws.fault(Fault::throttle().on("PutMetricData").times(3));
    scene.send();
    scene.fleet.work(&[]).await?;
    assert_eq!(throttle.fired(), 3);
    assert_eq!(counts(&scene.marker()?), [2 * HALF, 0, 0]);
    assert_eq!(scene.of_window(), Differences { same: ALL, ..Differences::default() });
    Ok(())
}
