//! One account, by `worker collect`: seconds, calls, memory and CPU of the whole process, start and end included.

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{
    floor::{Age, Floor},
    outcome::{Bar, Case, Outcome, case},
    program::Shell,
    tell,
    truth::Truth,
    world::{LATENCY, World, date},
};

const ACCOUNT: &str = "data";

const NOTES: [&str; 2] = [
    "CloudWatch lets a second's worth of calls through at once: an account may take up to a second less than its floor.",
    "floor_in_turn_s: the floor in seconds where a region's listing is over before its first metric is asked for.",
];

/// What a case is made of.
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

pub(super) async fn measure(shell: &Shell, short: bool, only: &str) -> anyhow::Result<Outcome> {
    let sizes: &[usize] = if short { &[1_000] } else { &[1_000, 10_000, 100_000] };
    let mut outcome = Outcome { scenario: "account".to_owned(), short, ..Outcome::default() };
    for age in [Age::Recent, Age::Old] {
        for regions in [1, 4] {
            for buckets in sizes.iter().copied() {
                let shape = Shape { buckets, regions, age };
                if shape.name().contains(only) {
                    tell(&format!("account: {}", shape.name()));
                    match measure_one(shell, shape).await {
                        Ok(case) => outcome.cases.push(case),
                        Err(error) => {
                            tell(&format!("{error:#}"));
                            outcome.bars.push(Bar::at_least(format!("{}: done", shape.name()), 0.0, 1.0));
                        }
                    }
                }
            }
        }
    }
    outcome.bars.extend(outcome.cases.iter().flat_map(|case| bars_of(case, short)));
    outcome.bars.extend(memory_bars(&outcome.cases));
    outcome.notes = NOTES.map(str::to_owned).to_vec();
    Ok(outcome)
}

async fn measure_one(shell: &Shell, shape: Shape) -> anyhow::Result<Case> {
    let world = World::start(LATENCY).await?;
    let account = world.account(shape.buckets, shape.regions);
    let date = date(shape.age);
    let truth = Truth::of(&account, date);
    let floor = Floor::of(&truth.regions(), shape.age, LATENCY);
    let variables = world.variables_of(ACCOUNT, account.id())?;
    let (table, day) = (world.file("report.csv", "")?, date.to_string());
    let arguments = ["collect", "--account-name", ACCOUNT, "--date", &day, "--output", &table];
    let took = shell.time_worker(&variables, &arguments).await;
    let took = took.with_context(|| format!("{}: {:?}", shape.name(), world.aws.calls().summary()))?;
    let right = truth.share_right(table.as_ref())?;
    #[expect(clippy::float_cmp, reason = "all of them, and not one less")]
    let all_right = right == 1.0;
    ensure!(all_right, "{}: only {right} of the values are right", shape.name());
    let calls = world.aws.calls();
    let metrics: usize = world.calls("GetMetricData").iter().map(|call| call.items).sum();
    Ok(case! {
        "name": shape.name(),
        "wall_s": took.wall_s,
        "floor_s": floor.wall_s,
        "floor_in_turn_s": floor.wall_in_turn_s,
        "api_calls": calls.count(),
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
    let (name, wall, floor) = (name(case), figure(case, "wall_s"), figure(case, "floor_s"));
    let in_floors = |calls: f64| calls / figure(case, "floor_api_calls");
    let calls = figure(case, "api_calls");
    let calls_bar = |most| Bar::at_most(format!("{name}: calls, in floors"), in_floors(calls), most);
    let seconds_bar = |most| Bar::at_most(format!("{name}: seconds"), wall, most);
    if !short {
        return vec![calls_bar(1.02), seconds_bar(1.15 * floor + 0.15)];
    }
    // Whether a call is throttled is up to the clock; how many are answered is not.
    let answered = in_floors(calls - figure(case, "throttled"));
    vec![
        Bar::at_most(format!("{name}: calls answered, in floors"), answered, 1.0),
        Bar::at_least(format!("{name}: calls answered, in floors"), answered, 1.0),
        calls_bar(1.1),
        seconds_bar(1.5 * floor + 0.5),
    ]
}

/// The memory of 10,000 buckets, and what each bucket more takes up to 100,000.
fn memory_bars(cases: &[Case]) -> Vec<Bar> {
    let of = |buckets: u64| cases.iter().filter(move |case| case["buckets"] == buckets);
    let mut bars: Vec<Bar> = of(10_000)
        .map(|case| Bar::at_most(format!("{}: peak MiB", name(case)), figure(case, "peak_rss_mib"), 64.0))
        .collect();
    let kind = |case: &Case| name(case).split_once('-').map(|(_, kind)| kind.to_owned());
    for large in of(100_000) {
        let Some(small) = of(10_000).find(|small| kind(small) == kind(large)) else { continue };
        let more = figure(large, "peak_rss_mib") - figure(small, "peak_rss_mib");
        let name = format!("{}: KiB more for each bucket above 10,000", name(large));
        bars.push(Bar::at_most(name, more * 1024.0 / 90_000.0, 1.0));
    }
    bars
}

fn name(case: &Case) -> &str {
    case["name"].as_str().unwrap_or_default()
}

fn figure(case: &Case, name: &str) -> f64 {
    case.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
}
