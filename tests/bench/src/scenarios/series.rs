// SPDX-License-Identifier: Apache-2.0
//! A dataset of series, by a job from the queue: an hour or a day of datapoints, each a minute or five apart.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use cli::terminal::say;
use fleet::{Dataset, datasets::Metric};
use kit::{Fleet, days_ago};
use local_aws::{Account, Object, Service, SyntheticMetric, SyntheticSeries};

use super::add;
use crate::{
    floor::{Demand, Floor},
    outcome::{Bar, Case, Outcome, case, figure, name, number},
    program::Programs,
    queued::{self, Done},
    world::{self, LATENCY},
};

pub(super) const ACCOUNT: &str = "data";
pub(super) const ID: &str = "111111111111";

/// How many metrics each resource has.
const METRICS: usize = 12;

/// How many times its floor a job may take, and how many seconds more; and how many times the floor's calls.
const TIMES_THE_FLOOR: f64 = 1.15;
const SECONDS_MORE: f64 = 0.15;
const TIMES_THE_CALLS: f64 = 1.02;

/// The most memory of 20,000 resources and a day each five minutes.
const MOST_MIB: f64 = 128.0;

/// The most dollars of an hour, as a share of what it costs to ask for each metric every five minutes.
const MOST_OF_POLLING: f64 = 1.0 / 11.0;
const POLLS_AN_HOUR: f64 = 12.0;

/// CloudWatch's price of a metric that is asked for, and of a page of `ListMetrics`, in dollars.
pub(super) const DOLLARS_A_METRIC: f64 = 0.01 / 1000.0;

/// About how many rows of a report are compared with the truth.
const ROWS_COMPARED: usize = 20_000;

/// How long the time of a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    Hour,
    Day,
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) resources: usize,
    pub(crate) regions: usize,
    pub(crate) span: Span,
    /// Minutes from one datapoint to the next.
    pub(crate) minutes: u32,
}

impl Shape {
    fn name(self) -> String {
        let regions = if self.regions == 1 { "region" } else { "regions" };
        let span = if self.span == Span::Hour { "hour" } else { "day" };
        format!("{}-resources-{}-{regions}-{span}-by-{}m", self.resources, self.regions, self.minutes)
    }

    /// A dataset with such a period.
    fn dataset(self) -> anyhow::Result<&'static Dataset> {
        let name = if self.minutes == 1 { "sns_topic" } else { "ec2" };
        Dataset::find(name).with_context(|| format!("there is no dataset {name}"))
    }

    pub(crate) fn seconds(self) -> u32 {
        60 * self.minutes
    }

    /// From when it is: older than three hours, so that the larger quota of datapoints counts.
    pub(crate) fn start(self) -> DateTime<Utc> {
        let midnight = days_ago(2).and_time(NaiveTime::MIN).and_utc();
        if self.span == Span::Hour { midnight + TimeDelta::hours(12) } else { midnight }
    }

    pub(crate) fn end(self) -> DateTime<Utc> {
        self.start() + if self.span == Span::Hour { TimeDelta::hours(1) } else { TimeDelta::days(1) }
    }

    pub(crate) fn periods(self) -> usize {
        let seconds = (self.end() - self.start()).num_seconds();
        usize::try_from(seconds / i64::from(self.seconds())).unwrap_or(0)
    }
}

/// The shapes: 1,000 and 20,000 resources; a day by the minute of 1,000 only.
fn shapes(short: bool) -> Vec<Shape> {
    let mut shapes = Vec::new();
    for resources in if short { vec![1_000] } else { vec![1_000, 20_000] } {
        for regions in [4, 1] {
            for span in if short { vec![Span::Hour] } else { vec![Span::Hour, Span::Day] } {
                for minutes in [1, 5] {
                    if (resources, span, minutes) != (20_000, Span::Day, 1) {
                        shapes.push(Shape { resources, regions, span, minutes });
                    }
                }
            }
        }
    }
    shapes
}

pub(super) async fn measure(programs: &Programs, short: bool, only: &str) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome { scenario: "series".to_owned(), short, ..Outcome::default() };
    for shape in shapes(short).into_iter().filter(|shape| shape.name().contains(only)) {
        say(&format!("series: {}", shape.name()));
        add(&mut outcome, &shape.name(), measure_one(programs, shape).await);
    }
    outcome.bars.extend(outcome.cases.iter().flat_map(|case| bars_of(case, short)));
    outcome.bars.extend(bars_of_all(&outcome.cases));
    outcome.notes = notes(short);
    Ok(outcome)
}

fn notes(short: bool) -> Vec<String> {
    let what = format!(
        "A resource of the series has {METRICS} metrics, of one of which a second statistic is asked for, and a datapoint in every \
         period. The job comes from the queue and is timed from the receive to the delete, with `quota_share = 1`; CPU and \
         memory are those of the whole process. The windows are older than three hours. A day by the minute is measured with \
         1,000 resources."
    );
    let bar = format!(
        "A job of series must take at most {TIMES_THE_FLOOR} times its floor and {SECONDS_MORE} s more, at most \
         {TIMES_THE_CALLS} times the floor's calls, and have every row, and all values of about {ROWS_COMPARED} rows, right."
    );
    if short { vec![what] } else { vec![what, bar] }
}

/// An account with series of a dataset, and its floor.
pub(crate) struct Stage {
    pub(crate) fleet: Fleet,
    pub(crate) account: Account,
    pub(crate) shape: Shape,
    pub(crate) dataset: &'static Dataset,
    pub(crate) plan: SyntheticSeries,
}

impl Stage {
    pub(crate) async fn new(shape: Shape) -> anyhow::Result<Self> {
        let mut fleet = world::start(LATENCY).await?;
        let (account, dataset) = (fleet.aws.account(ID), shape.dataset()?);
        let metric = |metric: &Metric| SyntheticMetric {
            namespace: dataset.namespace.clone(),
            name: metric.name.clone(),
            unit: metric.unit.clone(),
            split: None,
            dimensions: None,
        };
        let plan = SyntheticSeries {
            dimensions: dataset.resource.clone(),
            metrics: dataset.metrics.iter().take(METRICS).map(metric).collect(),
            resources: shape.resources,
            regions: shape.regions,
            period: shape.seconds(),
            days: 14,
            seed: 1,
        };
        account.synthetic_series(&plan);
        account.enable_regions(plan.regions());
        world::enter(&mut fleet, ACCOUNT, ID)?;
        Ok(Self { fleet, account, shape, dataset, plan })
    }

    /// The metrics that there are, each with the statistics that are asked for.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = &'static Metric> {
        self.dataset.metrics.iter().take(METRICS)
    }

    pub(crate) fn queries_a_resource(&self) -> usize {
        self.metrics().map(|metric| metric.statistics.len()).sum()
    }

    pub(crate) fn datapoints(&self) -> usize {
        self.shape.resources * self.queries_a_resource() * self.shape.periods()
    }

    fn floor(&self) -> Floor {
        let mut regions: HashMap<&str, u64> = HashMap::new();
        for (region, _) in self.plan.resources() {
            *regions.entry(region).or_default() += 1;
        }
        let demand = |resources: &u64| Demand {
            listed: *resources,
            metrics: self.dataset.metrics.len() as u64,
            metrics_in_vain: (self.dataset.metrics.len() - self.metrics().count()) as u64,
            queries: resources * self.queries_a_resource() as u64,
            periods: self.shape.periods() as u64,
        };
        // Who we are.
        Floor::of_datapoints(&regions.values().map(demand).collect::<Vec<_>>(), 1, LATENCY)
    }

    /// Lets a worker do the job for it.
    pub(crate) async fn collect(&self, programs: &Programs) -> anyhow::Result<Done> {
        let time = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let job = serde_json::json!({
            "account_name": ACCOUNT,
            "dataset": self.dataset.name,
            "from": time(self.shape.start()),
            "to": time(self.shape.end()),
            "window": if self.shape.span == Span::Hour { "1h" } else { "1d" },
            "run_id": "bench",
        });
        queued::measure(programs, &self.fleet, &job, self.dataset.name).await
    }

    /// The share of the values that a report has right, of some of its rows; 0 if a row is missing or too many.
    pub(crate) fn share_right(&self, report: &Object) -> anyhow::Result<f64> {
        let mut reader = csv::Reader::from_reader(&*report.body);
        let header = reader.headers()?.clone();
        let columns: HashMap<&str, usize> = header.iter().enumerate().map(|(at, name)| (name, at)).collect();
        let at = |name: &str| columns.get(name).copied().with_context(|| format!("no column {name}"));
        let (region, start) = (at("region")?, at("period_start")?);
        // The measured columns are the last but the status.
        let first =
            header.len() - 1 - self.dataset.metrics.iter().map(|it| it.statistics.len()).sum::<usize>();
        let all = self.shape.resources * self.shape.periods();
        let step = (all / ROWS_COMPARED).max(1);
        let (mut rows, mut right, mut compared) = (0, 0_usize, 0_usize);
        for (nth, row) in reader.records().enumerate() {
            let row = row?;
            rows += 1;
            if nth % step != 0 {
                continue;
            }
            let begins = row[start].parse::<DateTime<Utc>>()?;
            let dimensions: Vec<_> =
                self.dataset.resource.iter().map(String::as_str).zip(row.iter()).collect();
            let mut column = first;
            for metric in self.metrics() {
                for statistic in &metric.statistics {
                    let wanted = (&*self.dataset.namespace, &*metric.name, &**statistic);
                    let seconds = self.shape.seconds();
                    let truth = self.account.statistic(&row[region], wanted, &dimensions, begins, seconds);
                    compared += 1;
                    right += usize::from(truth.is_some() && row[column].parse::<f64>().ok() == truth);
                    column += 1;
                }
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of values")]
        let share = right as f64 / compared.max(1) as f64;
        Ok(if rows == all { share } else { 0.0 })
    }
}

async fn measure_one(programs: &Programs, shape: Shape) -> anyhow::Result<Case> {
    let stage = Stage::new(shape).await?;
    let floor = stage.floor();
    // To keep each series costs the AWS time, of which the larger ones have none to spare.
    let keeps = shape.resources <= 1_000;
    if keeps {
        stage.fleet.aws.keep_asks();
    }
    let done = stage.collect(programs).await;
    let done = done.with_context(|| format!("{}: {:?}", shape.name(), stage.fleet.aws.calls().summary()))?;
    let [(_, report)] = &done.reports[..] else {
        anyhow::bail!("{} reports and not one", done.reports.len())
    };
    ensure!(done.is_complete(), "{}: the report is not complete", shape.name());
    let right = stage.share_right(report)?;
    #[expect(clippy::float_cmp, reason = "all of them, and not one less")]
    let all_right = right == 1.0;
    ensure!(all_right, "{}: only {right} of the values are right", shape.name());
    let asked = stage.fleet.aws.asked_series();
    let repeated = asked.iter().filter(|series| series.asks.len() != 1).count();
    ensure!(!keeps || asked.len() as u64 == floor.metrics, "{} series were asked for", asked.len());
    let calls = stage.fleet.aws.calls().service(Service::CloudWatch);
    let own = stage.fleet.aws.calls().operation("GetCallerIdentity").count();
    let list_pages = calls.clone().operation("ListMetrics").count();
    let queries: usize = world::calls(&stage.fleet, "GetMetricData").iter().map(|call| call.items).sum();
    let metrics = done.sum("metrics-requested");
    #[expect(clippy::cast_precision_loss, reason = "a count of datapoints")]
    let (datapoints, queries, least) =
        (stage.datapoints() as f64, queries as f64, (shape.resources * stage.queries_a_resource()) as f64);
    #[expect(clippy::cast_precision_loss, reason = "a count of pages")]
    let dollars = DOLLARS_A_METRIC * (metrics + list_pages as f64);
    Ok(case! {
        "name": shape.name(),
        "wall_s": done.took.wall_s,
        "floor_s": floor.wall_s,
        "floor_in_turn_s": floor.wall_in_turn_s,
        "api_calls": calls.count() + own,
        "floor_api_calls": floor.api_calls,
        "throttled": calls.clone().outcome("Throttling").count(),
        "resources": shape.resources,
        "regions": shape.regions,
        "hours": if shape.span == Span::Hour { 1 } else { 24 },
        "minutes": shape.minutes,
        "list_pages": list_pages,
        "metrics": metrics,
        "floor_metrics": floor.metrics,
        // With a second page, all queries of a call are sent once more.
        "queries_sent": queries / least,
        "series_asked_again": if keeps { Some(repeated) } else { None },
        "datapoints": datapoints,
        "report_mib": report_mib(report),
        "dollars": dollars,
        "peak_rss_mib": done.took.peak_rss_mib,
        "cpu_s": done.took.cpu_s,
        "cpu_us_per_datapoint": done.took.cpu_s / datapoints * 1e6,
    })
}

#[expect(clippy::cast_precision_loss, reason = "bytes of a report")]
fn report_mib(report: &Object) -> f64 {
    report.body.len() as f64 / f64::from(1 << 20)
}

fn bars_of(case: &Case, short: bool) -> Vec<Bar> {
    let of = |name| figure(case, name);
    let calls = of("api_calls") / of("floor_api_calls");
    let floor = of("floor_s");
    let (times, seconds) = if short {
        (1.1, of("floor_in_turn_s") + 1.0)
    } else {
        (TIMES_THE_CALLS, TIMES_THE_FLOOR * floor + SECONDS_MORE)
    };
    let mut bars = vec![
        Bar::at_most("times the floor's calls", calls, times),
        Bar::at_most("seconds", of("wall_s"), seconds),
        Bar::at_most(
            "times the queries that there are, sent",
            of("queries_sent"),
            if short { 1.1 } else { 1.0 },
        ),
        Bar::at_most("times the least metrics, paid", of("metrics") / of("floor_metrics"), 1.0),
    ];
    if case.get("series_asked_again").is_some_and(|it| !it.is_null()) {
        bars.push(Bar::at_most("series asked again, or in two calls", of("series_asked_again"), 0.0));
    }
    bars.into_iter().map(|bar| bar.of(name(case))).collect()
}

/// The bars that are of the worst of several cases.
fn bars_of_all(cases: &[Case]) -> Vec<Bar> {
    let most = |figures: Vec<f64>| figures.into_iter().max_by(f64::total_cmp);
    let is = |case: &&Case, what: &str, value: u64| case[what] == value;
    let large = cases.iter().filter(|case| is(case, "resources", 20_000) && is(case, "hours", 24));
    let memory = most(large.map(|case| figure(case, "peak_rss_mib")).collect());
    let hours = cases.iter().filter(|case| is(case, "hours", 1));
    let share = |case: &Case| {
        figure(case, "dollars") / (POLLS_AN_HOUR * DOLLARS_A_METRIC * figure(case, "floor_metrics"))
    };
    let dollars = most(hours.map(share).collect());
    let dollars = dollars.map(|share| {
        let bar = "dollars of an hour, as a share of asking for each metric every 5 minutes";
        Bar::at_most(bar, share, MOST_OF_POLLING).with(format!("1 in {}", number(1.0 / share)))
    });
    let what = "peak MiB, 20,000 resources, a day by 5 minutes";
    memory.map(|memory| Bar::at_most(what, memory, MOST_MIB)).into_iter().chain(dollars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_by_the_minute_are_of_1000_resources_only() {
        let names: Vec<_> = shapes(false).into_iter().map(Shape::name).collect();
        assert_eq!(names.len(), 14);
        assert!(names.contains(&"20000-resources-1-region-day-by-5m".to_owned()));
        assert!(!names.iter().any(|name| name.starts_with("20000") && name.ends_with("day-by-1m")));
        let day = Shape { resources: 1, regions: 1, span: Span::Day, minutes: 1 };
        assert_eq!((day.periods(), Shape { span: Span::Hour, minutes: 5, ..day }.periods()), (1440, 12));
        assert_eq!(shapes(true).len(), 4);
    }

    #[test]
    fn memory_and_dollars_are_held_by_their_worst_case() {
        let case = |resources: u64, hours: u64, mib: f64, dollars: f64| {
            case! { "name": "n", "resources": resources, "hours": hours, "peak_rss_mib": mib, "dollars": dollars,
            "floor_metrics": 100_000 }
        };
        let cases = [case(20_000, 24, 100.0, 9.0), case(20_000, 24, 130.0, 9.0), case(1000, 1, 500.0, 1.0)];
        let bars = bars_of_all(&cases);
        assert_eq!((bars[0].figure.round(), bars[0].met), (130.0, false));
        assert!((bars[1].figure - 1.0 / 12.0).abs() < 1e-9 && bars[1].met);
        assert!(bars_of_all(&cases[2..]).len() == 1 && bars_of_all(&[]).is_empty());
    }
}
