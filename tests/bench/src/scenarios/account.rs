// SPDX-License-Identifier: Apache-2.0
//! One account, by `worker collect`: seconds, calls, memory and CPU of the whole process, start and end
//! included.

use anyhow::{Context, ensure};

use cli::output::count;
use fleet::accounts::DEFAULT_QUOTA_SHARE;

use super::add;
use cli::terminal::say;

use crate::{
    floor::{Age, Floor},
    outcome::{Bar, Case, Outcome, case, figure, name},
    program::Programs,
    truth::Truth,
    world::{self, LATENCY, date},
};

const ACCOUNT: &str = "data";

/// How many times its floor an account may take, and how many seconds more: those of the process itself.
const TIMES_THE_FLOOR: f64 = 1.15;
const SECONDS_MORE: f64 = 0.15;

const TIMES_THE_CALLS: f64 = 1.02;

/// The most memory of 10,000 buckets, and of each bucket more.
const MOST_MIB: f64 = 64.0;
const MOST_KIB_A_BUCKET: f64 = 1.0;

#[derive(Debug, Clone, Copy)]
struct Shape {
    buckets: usize,
    regions: usize,
    age: Age,
}

impl Shape {
    fn name(self) -> String {
        let regions = if self.regions == 1 { "region" } else { "regions" };
        format!("{}-buckets-{}-{regions}-{}", self.buckets, self.regions, self.age.name())
    }
}

pub(super) async fn measure(programs: &Programs, short: bool, only: &str) -> anyhow::Result<Outcome> {
    let sizes: &[usize] = if short { &[1_000] } else { &[1_000, 10_000, 100_000] };
    let mut outcome = Outcome { scenario: "account".to_owned(), short, ..Outcome::default() };
    for age in [Age::Recent, Age::Old] {
        for regions in [4, 1] {
            for buckets in sizes.iter().copied() {
                let shape = Shape { buckets, regions, age };
                if shape.name().contains(only) {
                    say(&format!("account: {}", shape.name()));
                    add(&mut outcome, &shape.name(), measure_one(programs, shape).await);
                }
            }
        }
    }
    outcome.bars.extend(outcome.cases.iter().flat_map(|case| bars_of(case, short)));
    outcome.bars.extend(memory_bars(&outcome.cases));
    outcome.notes = notes(short);
    Ok(outcome)
}

fn notes(short: bool) -> Vec<String> {
    let quota = format!(
        "One account, beside the peers too, is measured with `quota_share = 1`, and a call takes {} ms. With the default of \
         {DEFAULT_QUOTA_SHARE}, an account that is bound by its quota takes about twice as long.",
        LATENCY.as_millis()
    );
    let same = "Calls and metrics that stand beside an account's size are the floor's too.".to_owned();
    let bar = format!(
        "An account must take at most {TIMES_THE_FLOOR} times its floor and {SECONDS_MORE} s more, at most {TIMES_THE_CALLS} \
         times the floor's calls, and have every value right."
    );
    if short { vec![quota, same] } else { vec![quota, same, bar] }
}

async fn measure_one(programs: &Programs, shape: Shape) -> anyhow::Result<Case> {
    let mut fleet = world::start(LATENCY).await?;
    let account = world::account(&fleet, shape.buckets, shape.regions);
    let date = date(shape.age);
    let truth = Truth::of(&account, date);
    let floor = Floor::of(&truth.regions(), shape.age, LATENCY);
    world::enter(&mut fleet, ACCOUNT, account.id())?;
    let (table, day) = (fleet.file("report.csv", "")?, date.to_string());
    let arguments = ["collect", "--account-name", ACCOUNT, "--date", &day, "--output", &table];
    let took = programs.time_worker(&fleet, &arguments).await;
    let took = took.with_context(|| format!("{}: {:?}", shape.name(), fleet.aws.calls().summary()))?;
    let right = truth.share_right(table.as_ref())?;
    #[expect(clippy::float_cmp, reason = "all of them, and not one less")]
    let all_right = right == 1.0;
    ensure!(all_right, "{}: only {right} of the values are right", shape.name());
    let calls = fleet.aws.calls();
    let metrics: usize = world::calls(&fleet, "GetMetricData").iter().map(|call| call.items).sum();
    Ok(case! {
        "name": shape.name(),
        "wall_s": took.wall_s,
        "floor_s": floor.wall_s,
        "floor_in_turn_s": floor.wall_in_turn_s,
        // Their listing costs nothing, and is not in the floor.
        "api_calls": calls.count() - calls.clone().operation("ListDirectoryBuckets").count(),
        "floor_api_calls": floor.api_calls,
        "throttled": calls.clone().outcome("Throttling").count(),
        "buckets": shape.buckets,
        "regions": shape.regions,
        "list_pages": calls.operation("ListMetrics").count(),
        "metrics": metrics,
        "floor_metrics": floor.metrics,
        "peak_rss_mib": took.peak_rss_mib,
        "cpu_s": took.cpu_s,
    })
}

fn bars_of(case: &Case, short: bool) -> Vec<Bar> {
    let (wall, floor) = (figure(case, "wall_s"), figure(case, "floor_s"));
    let in_floors = |calls: f64| calls / figure(case, "floor_api_calls");
    let calls = figure(case, "api_calls");
    let calls_bar = |most| Bar::at_most("times the floor's calls", in_floors(calls), most).of(name(case));
    let seconds_bar = |most| Bar::at_most("seconds", wall, most).of(name(case));
    if !short {
        return vec![calls_bar(TIMES_THE_CALLS), seconds_bar(TIMES_THE_FLOOR * floor + SECONDS_MORE)];
    }
    // Whether a call is throttled is up to the clock; how many are answered is not.
    let answered = in_floors(calls - figure(case, "throttled"));
    let answered_bars =
        [Bar::at_most, Bar::at_least].map(|bar| bar("times the floor's calls, answered", answered, 1.0));
    let memory_bar = Bar::at_most("peak MiB", figure(case, "peak_rss_mib"), MOST_MIB);
    answered_bars
        .into_iter()
        .chain([memory_bar])
        .map(|bar| bar.of(name(case)))
        .chain([calls_bar(1.1), seconds_bar(TIMES_THE_FLOOR * floor + 0.5)])
        .collect()
}

/// The memory of 10,000 buckets, and what each bucket more takes up to 100,000: the most of all kinds of
/// accounts.
fn memory_bars(cases: &[Case]) -> Vec<Bar> {
    let of = |buckets: u64| cases.iter().filter(move |case| case["buckets"] == buckets);
    let kind = |case: &Case| name(case).split_once('-').map(|(_, kind)| kind.to_owned());
    let memory = |case: &Case| figure(case, "peak_rss_mib");
    let more = of(100_000).filter_map(|large| {
        let small = of(10_000).find(|small| kind(small) == kind(large))?;
        Some((memory(large) - memory(small)) * 1024.0 / 90_000.0)
    });
    let bar = |what: &str, figures: Vec<f64>, limit| {
        let most = figures.iter().copied().max_by(f64::total_cmp)?;
        Some(Bar::at_most(what, most, limit).with(format!("the most of {}", count(figures.len(), "account"))))
    };
    let small = bar("peak MiB, 10,000 buckets", of(10_000).map(memory).collect(), MOST_MIB);
    let large = bar("KiB more for each bucket, 10,000 to 100,000", more.collect(), MOST_KIB_A_BUCKET);
    small.into_iter().chain(large).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_held_by_its_worst_case() {
        let case = |buckets: usize, kind: &str, mib: f64| case! { "name": format!("{buckets}-{kind}"), "buckets": buckets, "peak_rss_mib": mib };
        let cases = [
            case(10_000, "old", 30.0),
            case(10_000, "recent", 40.0),
            case(100_000, "old", 207.9),
            case(100_000, "recent", 41.0),
        ];
        let bars = memory_bars(&cases);
        let reported: Vec<_> =
            bars.iter().map(|bar| (bar.figure.round(), bar.met, bar.detail.as_str())).collect();
        assert_eq!(
            reported,
            [(40.0, true, "the most of 2 accounts"), (2.0, false, "the most of 2 accounts")]
        );
        assert!(memory_bars(&cases[..1]).len() == 1 && memory_bars(&[]).is_empty());
    }
}
