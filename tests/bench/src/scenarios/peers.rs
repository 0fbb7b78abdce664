//! The worker beside what one would write instead in Python, on the same AWS, one after the other.

use std::{ffi::OsStr, path::Path, time::Duration};

use serde_json::Value;
use tokio::time::sleep;

use crate::{
    floor::Age,
    outcome::{Bar, Case, Outcome, case},
    program::{Shell, Variables},
    python,
    stopwatch::Measured,
    tell,
    truth::Truth,
    world::{LATENCY, World, date},
};

const ACCOUNT: &str = "data";
const REGIONS: usize = 4;

/// After this, every quota has its full burst again.
const REST: Duration = Duration::from_millis(1100);

/// Who collects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Ours,
    /// One call for each metric of each bucket, one after the other, in one region.
    Sequential,
    /// 500 metrics a call on a thread pool, every region.
    Batched,
}

/// The cases: how many buckets, which day, and who.
const CASES: [(usize, Age, &[Side]); 3] = [
    (1_000, Age::Recent, &[Side::Ours, Side::Batched, Side::Sequential]),
    (10_000, Age::Recent, &[Side::Ours, Side::Batched]),
    (10_000, Age::Old, &[Side::Ours, Side::Batched]),
];
const SHORT_CASES: [(usize, Age, &[Side]); 2] =
    [(20, Age::Recent, &[Side::Ours, Side::Sequential]), (2_000, Age::Recent, &[Side::Ours, Side::Batched])];

pub(super) async fn measure(shell: &Shell, short: bool) -> anyhow::Result<Outcome> {
    let interpreter = python::interpreter().await?;
    let mut cases = Vec::new();
    for (buckets, age, sides) in if short { &SHORT_CASES[..] } else { &CASES[..] } {
        let world = World::start(LATENCY).await?;
        let account = world.account(*buckets, REGIONS);
        let truth = Truth::of(&account, date(*age));
        let variables = world.variables_of(ACCOUNT, account.id())?;
        for side in sides.iter().copied() {
            let name = format!("{}-{buckets}-buckets-{}", side.name(), age.name());
            tell(&format!("peers: {name}"));
            sleep(REST).await;
            world.aws.reset_calls();
            let table = world.file(side.name(), "")?;
            let took = side.collect(shell, &interpreter, &variables, *age, &table).await?;
            let right = truth.share_right(table.as_ref())?;
            cases.push(case_of(&world, &name, *buckets, took, right));
        }
    }
    let bars = if short { short_bars(&cases) } else { bars(&cases) };
    let mut notes = vec![format!("{REGIONS} regions; the batched peer has its 16 threads.")];
    if let Some(sequential) = of(&cases, "sequential-1000-buckets-recent") {
        let seconds = figure(sequential, "wall_s") * 10.0;
        notes.push(format!(
            "By arithmetic, and not measured: the sequential peer would take {seconds:.0} s for 10,000 buckets."
        ));
    }
    Ok(Outcome { scenario: "peers".to_owned(), short, cases, bars, notes })
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Sequential => "sequential",
            Self::Batched => "batched",
        }
    }

    async fn collect(
        self,
        shell: &Shell,
        interpreter: &Path,
        variables: &Variables,
        age: Age,
        table: &str,
    ) -> anyhow::Result<Measured> {
        let day = date(age).to_string();
        if self == Self::Ours {
            let arguments = ["collect", "--account-name", ACCOUNT, "--date", &day, "--output", table];
            return shell.time_worker(variables, &arguments).await;
        }
        let peer = python::peer(&format!("{}.py", self.name()));
        let arguments = [ACCOUNT, &day, table].map(OsStr::new);
        shell.time(interpreter, variables, [peer.as_os_str()].into_iter().chain(arguments)).await
    }
}

fn case_of(world: &World, name: &str, buckets: usize, took: Measured, right: f64) -> Case {
    let calls = world.aws.calls();
    let items: usize = world.calls("GetMetricData").iter().map(|call| call.items).sum();
    let single = calls.clone().operation("GetMetricStatistics").ok().count();
    #[expect(clippy::cast_precision_loss, reason = "a count of metrics")]
    let metrics = items as f64 + single as f64;
    case! {
        "name": name,
        "buckets": buckets,
        "wall_s": took.wall_s,
        "api_calls": calls.count(),
        "throttled": calls.outcome("Throttling").count(),
        "metrics": metrics,
        "cpu_s": took.cpu_s,
        "cpu_us_per_metric": took.cpu_s / metrics * 1e6,
        "peak_rss_mib": took.peak_rss_mib,
        "values_right": right,
    }
}

fn bars(cases: &[Case]) -> Vec<Bar> {
    let times = |what: &str, buckets: &str, other: &str| ratio(cases, what, other, buckets);
    vec![
        Bar::at_least(
            "1,000 buckets: times faster than the sequential peer",
            times("wall_s", "1000-buckets-recent", "sequential"),
            100.0,
        ),
        Bar::at_least(
            "10,000 buckets, recent: times faster than the batched peer",
            times("wall_s", "10000-buckets-recent", "batched"),
            3.0,
        ),
        Bar::at_least(
            "10,000 buckets, recent: times less CPU than the batched peer",
            times("cpu_s", "10000-buckets-recent", "batched"),
            10.0,
        ),
        Bar::at_least(
            "10,000 buckets, recent: times less memory than the batched peer",
            times("peak_rss_mib", "10000-buckets-recent", "batched"),
            3.0,
        ),
        Bar::at_least(
            "10,000 buckets, old: times less CPU for a metric than the batched peer",
            times("cpu_us_per_metric", "10000-buckets-old", "batched"),
            5.0,
        ),
        Bar::at_least("the smallest share of values that are right, ours", least_right(cases), 1.0),
    ]
}

fn short_bars(cases: &[Case]) -> Vec<Bar> {
    vec![
        Bar::at_least(
            "20 buckets: times faster than the sequential peer",
            ratio(cases, "wall_s", "sequential", "20-buckets-recent"),
            5.0,
        ),
        Bar::at_least(
            "2,000 buckets: times less CPU than the batched peer",
            ratio(cases, "cpu_s", "batched", "2000-buckets-recent"),
            3.0,
        ),
        Bar::at_least("the smallest share of values that are right, ours", least_right(cases), 1.0),
    ]
}

/// How many times more of something a peer takes than the worker.
fn ratio(cases: &[Case], what: &str, peer: &str, buckets: &str) -> f64 {
    let of = |side: &str| of(cases, &format!("{side}-{buckets}")).map_or(f64::NAN, |case| figure(case, what));
    of(peer) / of("ours")
}

fn least_right(cases: &[Case]) -> f64 {
    let ours = cases.iter().filter(|case| case["name"].as_str().is_some_and(|name| name.starts_with("ours")));
    ours.map(|case| figure(case, "values_right")).fold(f64::INFINITY, f64::min)
}

fn of<'a>(cases: &'a [Case], name: &str) -> Option<&'a Case> {
    cases.iter().find(|case| case["name"] == name)
}

fn figure(case: &Case, name: &str) -> f64 {
    case.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
}
