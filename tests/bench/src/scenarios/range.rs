// SPDX-License-Identifier: Apache-2.0
//! A year of daily storage by one job from the queue: a report for each day, and each metric paid for once.

use anyhow::{Context, ensure};
use cli::terminal::say;
use kit::days_ago;
use local_aws::Service;

use super::add;
use crate::{
    floor::{Age, Demand, Floor, KNOWN_SERIES},
    outcome::{Bar, Case, Outcome, case, figure, name},
    program::Programs,
    queued,
    truth::Truth,
    world::{self, LATENCY},
};

const ACCOUNT: &str = "data";
const REGIONS: usize = 4;

/// How long the year is, and how long ago it ends: before the days that `ListMetrics` still knows, so that each of its days
/// asks for the same series.
const DAYS: u64 = 365;
const ENDED: u64 = 20;

/// How many days before a report its values may be of.
const LOOKBACK: u64 = 2;

/// Of a year: the most metrics paid, as a multiple of those of a day; memory; times the floor's calls; times the floor's
/// seconds, and seconds more, of which each report has its part.
const TIMES_A_DAY: f64 = 1.05;
const MOST_MIB: f64 = 256.0;
const TIMES_THE_CALLS: f64 = 1.02;
const TIMES_THE_FLOOR: f64 = 1.15;
const SECONDS_MORE: f64 = 0.15;

pub(super) async fn measure(programs: &Programs, short: bool) -> anyhow::Result<Outcome> {
    let (sizes, days): (&[usize], _) = if short { (&[100], 30) } else { (&[1_000, 10_000], DAYS) };
    let mut outcome = Outcome { scenario: "range".to_owned(), short, ..Outcome::default() };
    for buckets in sizes.iter().copied() {
        let name = format!("{buckets}-buckets-{days}-days");
        say(&format!("range: {name}"));
        add(&mut outcome, &name, measure_one(programs, &name, buckets, days).await);
    }
    outcome.bars.extend(outcome.cases.iter().flat_map(|case| bars_of(case, short)));
    outcome.notes.push(format!(
        "A year of daily storage is one job of {DAYS} days that ends {ENDED} days ago, of an account with {REGIONS} regions whose \
         buckets have at most three storage types each; of such days the worker asks for all {KNOWN_SERIES}. It is timed from the \
         receive to the delete, with `quota_share = 1`. Three of its days are compared with the truth, and all must be complete."
    ));
    Ok(outcome)
}

/// The floor of so many days of buckets, by region.
fn floor(buckets: &[u64], days: u64) -> Floor {
    let demand = |buckets: &u64| Demand {
        queries: KNOWN_SERIES * buckets,
        periods: days + LOOKBACK,
        ..Demand::default()
    };
    let regions: Vec<_> = buckets.iter().map(demand).collect();
    let pages = buckets.iter().sum::<u64>().div_ceil(10_000).max(1);
    let floor = Floor::of_datapoints(&regions, 1 + pages, LATENCY);
    // None is listed.
    Floor { metrics: KNOWN_SERIES * buckets.iter().sum::<u64>(), ..floor }
}

async fn measure_one(programs: &Programs, name: &str, buckets: usize, days: u64) -> anyhow::Result<Case> {
    let mut fleet = world::start(LATENCY).await?;
    let account = world::account(&fleet, buckets, REGIONS);
    world::enter(&mut fleet, ACCOUNT, account.id())?;
    let day = |nth: u64| days_ago(ENDED + days - nth);
    let first = Truth::of(&account, day(0));
    let floor = floor(&first.regions().iter().map(|region| region.buckets).collect::<Vec<_>>(), days);
    // A day alone, by the way that there is without ranges.
    let alone = Floor::of(&first.regions(), Age::Old, LATENCY).metrics;
    let job = serde_json::json!({
        "account_name": ACCOUNT, "dataset": "s3_daily_storage", "from": day(0).to_string(), "to": day(days).to_string(),
        "window": "1d", "run_id": "bench",
    });
    let done = queued::measure(programs, &fleet, &job, "s3_daily_storage").await;
    let done = done.with_context(|| format!("{name}: {:?}", fleet.aws.calls().summary()))?;
    ensure!(done.reports.len() as u64 == days, "{} reports and not {days}", done.reports.len());
    ensure!(done.is_complete(), "a report is not complete");
    for nth in [0, days / 2, days - 1] {
        let (key, report) = &done.reports[usize::try_from(nth)?];
        let table = fleet.file("report.csv", std::str::from_utf8(&report.body)?)?;
        let right = Truth::of(&account, day(nth)).share_right(table.as_ref())?;
        #[expect(clippy::float_cmp, reason = "all of them, and not one less")]
        let all_right = right == 1.0;
        ensure!(all_right, "{key}: only {right} of the values are right");
    }
    let calls = fleet.aws.calls();
    let asked = calls.clone().service(Service::CloudWatch).count()
        + calls.clone().operation("GetCallerIdentity").count()
        + calls.clone().operation("ListBuckets").count();
    let metrics: usize = world::calls(&fleet, "GetMetricData").iter().map(|call| call.items).sum();
    Ok(case! {
        "name": name,
        "buckets": buckets,
        "regions": REGIONS,
        "days": days,
        "wall_s": done.took.wall_s,
        "floor_s": floor.wall_s,
        "api_calls": asked,
        "floor_api_calls": floor.api_calls,
        "throttled": calls.outcome("Throttling").count(),
        "metrics": metrics,
        "floor_metrics": floor.metrics,
        "metrics_of_a_day": alone,
        "rows": done.sum("rows"),
        "peak_rss_mib": done.took.peak_rss_mib,
        "cpu_s": done.took.cpu_s,
    })
}

fn bars_of(case: &Case, short: bool) -> Vec<Bar> {
    let of = |name| figure(case, name);
    let days = of("metrics") / of("metrics_of_a_day");
    let calls = of("api_calls") / of("floor_api_calls");
    let room = if short { 1.5 } else { SECONDS_MORE };
    let bars = [
        Bar::at_most("times the metrics of one day, paid", days, TIMES_A_DAY),
        Bar::at_most("times the floor's calls", calls, if short { 1.1 } else { TIMES_THE_CALLS }),
        Bar::at_most("seconds", of("wall_s"), TIMES_THE_FLOOR * of("floor_s") + room),
        Bar::at_most("peak MiB", of("peak_rss_mib"), MOST_MIB),
    ];
    bars.into_iter().map(|bar| bar.of(name(case))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_is_bound_by_its_datapoints_and_pays_for_a_day() {
        let floor = floor(&[2_500; 4], 365);
        assert_eq!(floor.metrics, 280_000);
        // 274 queries a call.
        assert_eq!(floor.api_calls, 2 + 4 * 256);
        assert!((floor.wall_s - (70_000.0 * 367.0 / 396_000.0 + 0.15)).abs() < 1e-9, "{floor:?}");
    }

    #[test]
    fn what_is_paid_for_twice_is_missed() {
        let case = |metrics: u64| {
            case! { "name": "y", "metrics": metrics, "metrics_of_a_day": 100, "api_calls": 10, "floor_api_calls": 10,
            "wall_s": 1.0, "floor_s": 1.0, "peak_rss_mib": 99.0 }
        };
        let met = |metrics| bars_of(&case(metrics), false).iter().map(|bar| bar.met).collect::<Vec<_>>();
        assert_eq!(met(105), [true; 4]);
        assert_eq!(met(200), [false, true, true, true]);
    }
}
