// SPDX-License-Identifier: Apache-2.0
//! The worker beside what asks for each period as soon as it is over: a Python program that does it as Metricbeat does, and
//! two exporters in Go if they are given. An hour or a day of theirs is some of their polls, multiplied.

use std::{collections::BTreeSet, ffi::OsStr, path::Path};

use anyhow::{Context, ensure};
use local_aws::Service;
use tokio::time::sleep;

use cli::terminal::say;

use super::{
    add,
    series::{ACCOUNT, DOLLARS_A_METRIC, Shape, Span, Stage},
};
use crate::{
    outcome::{Bar, Case, Outcome, case, figure, number},
    program::{self, Programs},
    python,
    stopwatch::Measured,
    world::{self, REST},
};

/// How many polls of the Python program are measured.
const POLLS: usize = 10;

/// The most CPU for a datapoint, as a share of the Python program's; and the least times that an hour by polls costs.
const LESS_CPU: f64 = 10.0;
const LESS_DOLLARS: f64 = 11.0;

/// Adds the cases and bars of an hour by five minutes.
pub(super) async fn measure(
    outcome: &mut Outcome,
    programs: &Programs,
    interpreter: &Path,
    short: bool,
    only: &str,
) -> anyhow::Result<()> {
    let resources = if short { 100 } else { 1_000 };
    let name = |side: Side| format!("{}-{resources}-resources-hour", side.name());
    let polls = if short { 2 } else { POLLS };
    let shape = Shape { resources, regions: 4, span: Span::Hour, minutes: 5 };
    let sides = [Side::Ours, Side::Polling(polls)];
    if !sides.iter().any(|side| name(*side).contains(only)) {
        return Ok(());
    }
    let stage = Stage::new(shape).await?;
    let before = outcome.cases.len();
    // Both or none: they are compared.
    for side in sides {
        let name = name(side);
        say(&format!("peers: {name}"));
        sleep(REST).await;
        add(outcome, &name, side.measure(&name, &stage, programs, interpreter).await);
    }
    let bars = bars(&outcome.cases[before..], &number(f64_of(resources)));
    outcome.bars.extend(bars);
    outcome.notes.push(format!(
        "Polling Python asks for each period on its own, with 16 threads, and lists the namespace each time, as Metricbeat does: \
         {polls} polls of five minutes are measured one after the other, and an hour is {} of them. Its dollars are those of what \
         it asked for.",
        shape.periods()
    ));
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Ours,
    /// So many polls.
    Polling(usize),
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Polling(_) => "polling",
        }
    }

    async fn measure(
        self,
        name: &str,
        stage: &Stage,
        programs: &Programs,
        interpreter: &Path,
    ) -> anyhow::Result<Case> {
        stage.fleet.aws.reset_calls();
        let shape = stage.shape;
        let (took, periods) = match self {
            Self::Ours => {
                let done = stage.collect(programs).await?;
                let [(_, report)] = &done.reports[..] else { anyhow::bail!("not one report") };
                #[expect(clippy::float_cmp, reason = "all of them, and not one less")]
                let all_right = stage.share_right(report)? == 1.0;
                ensure!(all_right, "the worker has not all values right");
                (done.took, shape.periods())
            }
            Self::Polling(polls) => {
                let table = stage.fleet.file("polling.csv", "")?;
                let took = poll(stage, interpreter, polls, &table).await?;
                check(stage, &table, polls)?;
                (took, polls)
            }
        };
        Ok(case_of(name, stage, took, periods))
    }
}

async fn poll(stage: &Stage, interpreter: &Path, polls: usize, table: &str) -> anyhow::Result<Measured> {
    let metric =
        |metric: &fleet::datasets::Metric| format!("{}={}", metric.name, metric.statistics.join("+"));
    let metrics: Vec<String> = stage.metrics().map(metric).collect();
    let arguments = [
        python::peer("polling.py").display().to_string(),
        ACCOUNT.to_owned(),
        stage.dataset.namespace.clone(),
        metrics.join(","),
        stage.plan.regions().join(","),
        stage.shape.start().timestamp().to_string(),
        stage.shape.seconds().to_string(),
        polls.to_string(),
        table.to_owned(),
    ];
    program::time(interpreter, &stage.fleet, arguments.iter().map(OsStr::new)).await
}

/// Whether it has a row with all values for each resource and poll: of what is not done no figure is fair.
fn check(stage: &Stage, table: &str, polls: usize) -> anyhow::Result<()> {
    let mut reader = csv::Reader::from_path(table).with_context(|| format!("no table {table}"))?;
    let mut seen = BTreeSet::new();
    for row in reader.records() {
        let row = row?;
        ensure!(row.iter().all(|cell| !cell.is_empty()), "a value is missing: {row:?}");
        ensure!(row.len() == 3 + stage.queries_a_resource(), "a column is missing: {row:?}");
        seen.insert((row[0].to_owned(), row[1].to_owned(), row[2].to_owned()));
    }
    let due = stage.shape.resources * polls;
    ensure!(seen.len() == due, "the peer has {} rows and not {due}", seen.len());
    Ok(())
}

/// The figures of so many periods, and those of an hour.
fn case_of(name: &str, stage: &Stage, took: Measured, periods: usize) -> Case {
    let calls = stage.fleet.aws.calls().service(Service::CloudWatch);
    let pages = calls.clone().operation("ListMetrics").ok().count();
    let queries: usize = world::calls(&stage.fleet, "GetMetricData").iter().map(|call| call.items).sum();
    // Several statistics of a metric in one call are paid for as one; both sides send them so.
    let metrics = f64_of(queries * stage.metrics().count()) / f64_of(stage.queries_a_resource());
    let datapoints = f64_of(stage.datapoints()) * f64_of(periods) / f64_of(stage.shape.periods());
    let an_hour = f64_of(stage.shape.periods()) / f64_of(periods);
    let dollars = DOLLARS_A_METRIC * (metrics + f64_of(usize::try_from(pages).unwrap_or(usize::MAX)));
    case! {
        "name": name,
        "resources": stage.shape.resources,
        "periods": periods,
        "wall_s": took.wall_s,
        "api_calls": calls.count(),
        "throttled": calls.clone().outcome("Throttling").count(),
        "metrics": metrics,
        "datapoints": datapoints,
        "cpu_s": took.cpu_s,
        "cpu_us_per_datapoint": took.cpu_s / datapoints * 1e6,
        "peak_rss_mib": took.peak_rss_mib,
        "dollars_an_hour": dollars * an_hour,
    }
}

fn bars(cases: &[Case], resources: &str) -> Vec<Bar> {
    let of = |side: usize, what: &str| cases.get(side).map_or(f64::NAN, |case| figure(case, what));
    let bar = |what: &str, unit: &str, told: &str, least| {
        let (ours, theirs) = (of(0, what), of(1, what));
        let detail = format!("{} {unit} beside {} {unit}", number(ours), number(theirs));
        Bar::at_least(format!("times {told} polling Python, {resources} resources"), theirs / ours, least)
            .with(detail)
    };
    vec![
        bar("cpu_us_per_datapoint", "µs", "less CPU for each datapoint than", LESS_CPU),
        bar("dollars_an_hour", "$", "fewer dollars an hour of five minutes than", LESS_DOLLARS),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "a count")]
fn f64_of(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_held_against_the_same_hour() {
        let ours = case! { "name": "ours", "cpu_us_per_datapoint": 0.5, "dollars_an_hour": 0.01 };
        let theirs = case! { "name": "polling", "cpu_us_per_datapoint": 50.0, "dollars_an_hour": 0.1 };
        let bars = bars(&[ours, theirs], "1,000");
        let told: Vec<_> = bars.iter().map(|bar| (bar.figure.round(), bar.met)).collect();
        assert_eq!(told, [(100.0, true), (10.0, false)]);
        assert_eq!(bars[0].detail, "0.50 µs beside 50 µs");
    }
}
