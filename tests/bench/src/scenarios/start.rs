// SPDX-License-Identifier: Apache-2.0
//! From a worker's start to its first receive, and to its first report, where calls take no time.

use std::time::Duration;

use anyhow::Context;
use chrono::Utc;

use super::Crew;
use crate::{
    floor::Age,
    outcome::{Bar, Outcome, case, number},
    program::Programs,
    statistics::percentile,
    world::{self, answered_at, came_in_at, date},
};

const BUCKETS: usize = 20;
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) async fn measure(programs: &Programs, short: bool) -> anyhow::Result<Outcome> {
    let times = if short { 5 } else { 30 };
    let (mut until_receive, mut until_report, mut calls) = (Vec::new(), Vec::new(), 0);
    // The first one reads the program off the disk, and is not counted.
    for nth in 0..=times {
        let mut fleet = world::start(Duration::ZERO).await?;
        let account = world::account(&fleet, BUCKETS, 1);
        world::enter(&mut fleet, "data", account.id())?;
        world::send(&fleet, "data", date(Age::Recent))?;
        let begun = Utc::now();
        Crew::start(programs, &fleet, 1, &[])?.finish(PATIENCE).await?;
        let received = world::calls(&fleet, "ReceiveMessage");
        let received = received.first().context("no job was received")?;
        let stored = world::calls(&fleet, "PutObject");
        let stored = stored.last().context("no report was stored")?;
        if nth > 0 {
            until_receive.push(came_in_at(received, begun) * 1e3);
            until_report.push(answered_at(stored, begun) * 1e3);
        }
        let before = fleet.aws.calls().records().into_iter().filter(|call| call.time < received.time);
        calls = before.count();
    }
    let figures = |name: &str, values: &[f64]| {
        let percent = |percent| percentile(values, percent);
        case! {
            "name": name,
            "min_ms": percent(0.0),
            "p50_ms": percent(50.0),
            "p95_ms": percent(95.0),
            "max_ms": percent(100.0),
            "starts": values.len(),
        }
    };
    let p50 = |values: &[f64]| percentile(values, 50.0).unwrap_or(f64::NAN);
    let (first_receive, first_report) = (p50(&until_receive), p50(&until_report));
    let detail = format!("the first report after {} ms", number(first_report));
    let limit = if short { 100.0 } else { 50.0 };
    let bar = Bar::at_most("from a worker's start to its first receive, ms at p50", first_receive, limit);
    Ok(Outcome {
        scenario: "start".to_owned(),
        short,
        cases: vec![figures("first-receive", &until_receive), figures("first-report", &until_report)],
        bars: vec![bar.with(detail)],
        notes: vec![format!(
            "The start is without latency, and {calls} calls stand before the first receive."
        )],
        made: None,
    })
}
