// SPDX-License-Identifier: Apache-2.0
//! Workers that are killed at every step of a delivery.

use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use kit::{Setup, until};
use local_aws::Fault;

use super::{COUNTER, GAUGE, Scene, counts};

/// How many fleets are killed at once.
const AT_ONCE: usize = 5;

/// The calls of a delivery of two requests: each is recorded, then put, and at last all is recorded.
const CALLS: [(&str, u64); 5] =
    [("PutObject", 0), ("PutMetricData", 0), ("PutObject", 1), ("PutMetricData", 1), ("PutObject", 2)];

/// Where a worker is killed: before a call has an effect, or after it.
#[derive(Debug, Clone, Copy)]
struct Moment {
    operation: &'static str,
    nth: u64,
    is_done: bool,
}

fn moments() -> impl Iterator<Item = Moment> {
    CALLS
        .into_iter()
        .flat_map(|(operation, nth)| [false, true].map(|is_done| Moment { operation, nth, is_done }))
}

/// Each moment once, or as often as the variable `FLEET_KILL_ROUNDS` says: 30 rounds are 300 kills.
#[tokio::test]
async fn a_worker_killed_at_any_step_leaves_no_wrong_value_that_is_not_reported() -> Result<()> {
    let rounds = std::env::var("FLEET_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
    let kills = (0..rounds).flat_map(|_: u32| moments()).map(killed);
    stream::iter(kills).buffer_unordered(AT_ONCE).try_collect::<()>().await
}

async fn killed(moment: Moment) -> Result<()> {
    let Moment { operation, nth, is_done } = moment;
    let setup = Setup { visibility_timeout: Duration::from_secs(3), max_receives: 5, ..Setup::default() };
    let scene = Scene::new(setup, 1).await?;
    scene.send();
    let fault = if is_done { Fault::lost_answer() } else { Fault::hold() };
    let fault = fault.on(operation).after(nth).times(1);
    let fault = if operation == "PutObject" { fault.key_prefix("delivered/") } else { fault };
    let fault = scene.fleet.aws.fault(fault);
    let mut worker = scene.fleet.worker(&["run"]).spawn()?;
    until("the call is there", || fault.fired() == 1).await.with_context(|| format!("{moment:?}"))?;
    worker.kill().await?;
    fault.stop();
    // Its lease ends.
    scene.fleet.aws.set_clock(Utc::now() + TimeDelta::minutes(3));
    scene.fleet.work(&[]).await?;
    assert!(scene.fleet.dead_letters().is_empty(), "{moment:?}: {:?}", scene.fleet.dead_letters());

    let marker = scene.marker()?;
    let [sent, unknown, repeated] = counts(&marker);
    assert_eq!(sent + unknown + repeated, 40, "{moment:?}: {marker}");
    assert!(marker["until"].is_null(), "{moment:?}: {marker}");
    let found = scene.of_window();
    for (metric, statistic) in &found.wrong {
        let is_reported = *metric == GAUGE && ["Sum", "SampleCount"].contains(statistic) && repeated > 0;
        assert!(is_reported, "{moment:?}: {metric} {statistic}: {marker}");
    }
    assert!(!found.absent.contains(GAUGE), "{moment:?}: {marker}");
    assert!(!found.absent.contains(COUNTER) || unknown > 0, "{moment:?}: {marker}");
    // What is reported is no more than what was on its way.
    assert!(unknown + repeated <= 20, "{moment:?}: {marker}");
    Ok(())
}
