// SPDX-License-Identifier: Apache-2.0
//! The worker beside what one would write instead in Python, on the same AWS, sequentially.

use std::{ffi::OsStr, path::Path};

use kit::Fleet;
use tokio::time::sleep;

use super::{
    add,
    exporters::{self, Exporters},
    polling,
};
use cli::terminal::say;

use crate::{
    floor::{Age, KNOWN_SERIES},
    outcome::{Bar, Case, Outcome, case, figure, name, number},
    program::{self, Programs},
    python,
    stopwatch::Measured,
    truth::Truth,
    world::{self, LATENCY, REST, date},
};

const ACCOUNT: &str = "data";
const REGIONS: usize = 4;

/// What the peers ask of a bucket; the worker asks it too.
const SHARED_METRICS: usize = 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Ours,
    /// One call for each metric of each bucket, sequentially, in one region.
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

/// A peer, a case, what a peer must take more of than the worker, and how many times at least.
type Versus = (&'static str, &'static str, Figure, f64);

/// A figure of a case, its unit, and how it is reported.
type Figure = (&'static str, &'static str, &'static str);

const SECONDS: Figure = ("wall_s", "s", "faster than");
const CPU: Figure = ("cpu_s", "s", "less CPU than");
const MEMORY: Figure = ("peak_rss_mib", "MiB", "less memory than");
const CPU_A_METRIC: Figure = ("cpu_us_per_metric", "µs", "less CPU for each metric asked than");

const VERSUS: [Versus; 6] = [
    ("sequential", "1000-buckets-recent", SECONDS, 100.0),
    ("batched", "10000-buckets-recent", SECONDS, 3.0),
    ("batched", "10000-buckets-recent", CPU, 10.0),
    ("batched", "10000-buckets-recent", MEMORY, 3.0),
    ("batched", "10000-buckets-old", CPU, 5.0),
    ("batched", "10000-buckets-old", CPU_A_METRIC, 5.0),
];
const SHORT_VERSUS: [Versus; 3] = [
    ("sequential", "20-buckets-recent", SECONDS, 10.0),
    ("batched", "2000-buckets-recent", CPU, 8.0),
    ("batched", "2000-buckets-recent", MEMORY, 2.0),
];

pub(super) async fn measure(
    programs: &Programs,
    exporters: &Exporters,
    short: bool,
    only: &str,
) -> anyhow::Result<Outcome> {
    let interpreter = python::interpreter().await?;
    let mut outcome = Outcome { scenario: "peers".to_owned(), short, ..Outcome::default() };
    storage(&mut outcome, programs, &interpreter, short, only).await?;
    polling::measure(&mut outcome, programs, &interpreter, short, only).await?;
    exporters::measure(&mut outcome, programs, exporters, short, only).await?;
    Ok(outcome)
}

/// Adds the cases and bars of a day of daily storage.
async fn storage(
    outcome: &mut Outcome,
    programs: &Programs,
    interpreter: &Path,
    short: bool,
    only: &str,
) -> anyhow::Result<()> {
    for (buckets, age, sides) in if short { &SHORT_CASES[..] } else { &CASES[..] } {
        let name = |side: &Side| format!("{}-{buckets}-buckets-{}", side.name(), age.name());
        let sides: Vec<Side> = sides.iter().copied().filter(|side| name(side).contains(only)).collect();
        if sides.is_empty() {
            continue;
        }
        let stage = Stage::new(*buckets, *age).await?;
        for side in sides {
            let name = name(&side);
            say(&format!("peers: {name}"));
            sleep(REST).await;
            add(outcome, &name, stage.measure(&name, side, programs, interpreter).await);
        }
    }
    let cases = &outcome.cases;
    if cases.is_empty() && !only.is_empty() {
        return Ok(());
    }
    let versus = if short { &SHORT_VERSUS[..] } else { &VERSUS[..] };
    let bars: Vec<_> = versus.iter().map(|it| bar(cases, *it)).chain([right_bar(cases)]).collect();
    outcome.bars.extend(bars);
    outcome.notes.push(format!(
        "Beside the peers, an account has {REGIONS} regions. Batched Python has 16 threads; of the Lambdas' way, one \
         GetMetricStatistics after the other in one region, only 1,000 buckets are measured. On an old day the worker asks for \
         {KNOWN_SERIES} metrics a bucket where Python asks for {SHARED_METRICS}."
    ));
    if let Some(lambdas) = of(&outcome.cases, "sequential", "1000-buckets-recent") {
        let seconds = number(10.0 * figure(lambdas, "wall_s"));
        outcome.notes.push(format!(
            "By arithmetic, and not measured: 10,000 buckets would take the Lambdas' way {seconds} s, ten times as long as \
             1,000."
        ));
    }
    Ok(())
}

/// The account that all sides collect, sequentially.
struct Stage {
    fleet: Fleet,
    truth: Truth,
    buckets: usize,
    age: Age,
}

impl Stage {
    async fn new(buckets: usize, age: Age) -> anyhow::Result<Self> {
        let mut fleet = world::start(LATENCY).await?;
        let account = world::account(&fleet, buckets, REGIONS);
        let truth = Truth::of(&account, date(age));
        world::enter(&mut fleet, ACCOUNT, account.id())?;
        Ok(Self { fleet, truth, buckets, age })
    }

    async fn measure(
        &self,
        name: &str,
        side: Side,
        programs: &Programs,
        interpreter: &Path,
    ) -> anyhow::Result<Case> {
        self.fleet.aws.reset_calls();
        let table = self.fleet.file(side.name(), "")?;
        let took = side.collect(programs, interpreter, &self.fleet, self.age, &table).await?;
        let right = self.truth.share_right(table.as_ref())?;
        Ok(case_of(&self.fleet, name, self.buckets, took, right))
    }
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
        programs: &Programs,
        interpreter: &Path,
        fleet: &Fleet,
        age: Age,
        table: &str,
    ) -> anyhow::Result<Measured> {
        let day = date(age).to_string();
        if self == Self::Ours {
            let arguments = ["collect", "--account-name", ACCOUNT, "--date", &day, "--output", table];
            return programs.time_worker(fleet, &arguments).await;
        }
        let peer = python::peer(&format!("{}.py", self.name()));
        let arguments = [ACCOUNT, &day, table].map(OsStr::new);
        program::time(interpreter, fleet, [peer.as_os_str()].into_iter().chain(arguments)).await
    }
}

fn case_of(fleet: &Fleet, name: &str, buckets: usize, took: Measured, right: f64) -> Case {
    let calls = fleet.aws.calls();
    let items: usize = world::calls(fleet, "GetMetricData").iter().map(|call| call.items).sum();
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

fn bar(cases: &[Case], (peer, case, (what, unit, than), least): Versus) -> Bar {
    let of = |side: &str| of(cases, side, case).map_or(f64::NAN, |case| figure(case, what));
    let (ours, theirs) = (of("ours"), of(peer));
    let detail = format!("{} {unit} beside {} {unit}", number(ours), number(theirs));
    let peer = if peer == "batched" { "batched Python" } else { "the Lambdas' way" };
    let (buckets, age) = case.split_once("-buckets-").unwrap_or((case, ""));
    let buckets = number(buckets.parse().unwrap_or(f64::NAN));
    let told = format!("times {than} {peer}, {buckets} buckets, {age} day");
    Bar::at_least(told, theirs / ours, least).with(detail)
}

/// The worker must have all values right; of the peers it is reported how many they have, and why.
fn right_bar(cases: &[Case]) -> Bar {
    let least = |side: &str| {
        let cases = cases.iter().filter(|case| name(case).starts_with(side));
        cases.map(|case| figure(case, "values_right")).min_by(f64::total_cmp).unwrap_or(f64::NAN)
    };
    let percent = |side: &str| number((100.0 * least(side)).round());
    let detail = format!(
        "batched Python {} %, the Lambdas' way {} %: they ask for {SHARED_METRICS} of {KNOWN_SERIES} metrics, the latter in \
         one region",
        percent("batched"),
        percent("sequential")
    );
    Bar::at_least("values right, in %", 100.0 * least("ours"), 100.0).with(detail)
}

fn of<'a>(cases: &'a [Case], side: &str, rest: &str) -> Option<&'a Case> {
    cases
        .iter()
        .find(|case| name(case).strip_prefix(side).is_some_and(|it| it.strip_prefix('-') == Some(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_held_against_the_same_case_of_ours() {
        let cases = [
            case! { "name": "ours-20-buckets-recent", "wall_s": 0.5, "values_right": 1.0 },
            case! { "name": "ours-2000-buckets-recent", "wall_s": 9.0, "values_right": 1.0 },
            case! { "name": "sequential-20-buckets-recent", "wall_s": 10.0, "values_right": 0.25 },
        ];
        let first = bar(&cases, SHORT_VERSUS[0]);
        assert_eq!((first.figure, first.met, first.detail.as_str()), (20.0, true, "0.50 s beside 10 s"));
        assert_eq!(first.what, "times faster than the Lambdas' way, 20 buckets, recent day");
        assert!(!bar(&cases, SHORT_VERSUS[1]).met, "what is not measured is not met");
        let right = right_bar(&cases);
        assert!(right.met && right.detail.contains("the Lambdas' way 25 %: "), "{right:?}");
    }
}
