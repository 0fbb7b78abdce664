// SPDX-License-Identifier: Apache-2.0
//! Many small accounts on 1, 2, 4 and 8 workers, each with one job in flight and far from AWS, so that what is
//! measured is how they share a queue and not this machine's processors.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use cli::output::count;
use local_aws::{CallRecord, Synthetic};

use super::{Crew, add};
use cli::terminal::say;

use crate::{
    floor::Age,
    outcome::{Bar, Case, Outcome, case, figure, number},
    program::Programs,
    statistics::{percentile, steady_rate},
    world::{self, answered_at, date},
};

const LATENCY: Duration = Duration::from_millis(250);
const BUCKETS: usize = 20;
const REGIONS: usize = 2;
const WORKERS: [usize; 4] = [1, 2, 4, 8];

/// How long all jobs may take.
const PATIENCE: Duration = Duration::from_hours(1);

pub(super) async fn measure(programs: &Programs, short: bool, accounts: u16) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome { scenario: "fleet".to_owned(), short, ..Outcome::default() };
    let (crews, each) = if short { (&WORKERS[..2], 5) } else { (&WORKERS[..], usize::from(accounts) / 8) };
    let mut alone = f64::NAN;
    for workers in crews.iter().copied() {
        let (name, accounts) = (count(workers, "worker").replace(' ', "-"), workers * each);
        say(&format!("fleet: {name}, {accounts} accounts"));
        let mut case = measure_one(programs, workers, accounts).await;
        if let Ok(case) = &mut case {
            if workers == 1 {
                alone = figure(case, "accounts_per_s");
            }
            compare(case, workers, accounts, alone);
        }
        add(&mut outcome, &name, case);
    }
    let (most, limit) = if short { (2, 0.7) } else { (8, 0.9) };
    if let Some(many) = outcome.cases.iter().find(|case| case["workers"] == most) {
        let bar = format!("accounts a second of {most} workers, as a share of {most} times one worker's");
        let rate = number(figure(many, "accounts_per_s"));
        let detail = format!("{rate} beside {most} × {}", number(alone));
        outcome.bars.push(Bar::at_least(bar, figure(many, "efficiency"), limit).with(detail));
    }
    outcome.bars.push(twice_bar(&outcome.cases, crews));
    outcome.notes = notes();
    Ok(outcome)
}

fn notes() -> Vec<String> {
    let accounts = format!(
        "The fleet's accounts have {BUCKETS} buckets in {REGIONS} regions and are entered by a role; a call takes {} ms, and \
         a worker has one job at a time. Fewer workers have fewer accounts in proportion.",
        LATENCY.as_millis()
    );
    let waits = "Waits are p50 / p95 / longest, from the first receive of all jobs to the job's own. The rate is that between \
        a tenth and nine tenths of the jobs. One worker times the number would do each job in its turn.";
    vec![accounts, waits.to_owned()]
}

/// No job may be received twice, whatever the number of workers; where one of them could not be measured,
/// nobody knows.
fn twice_bar(cases: &[Case], crews: &[usize]) -> Bar {
    let sum = |name| cases.iter().map(|case| figure(case, name)).sum::<f64>();
    let twice = if cases.len() == crews.len() { sum("received_twice") } else { f64::NAN };
    let most = crews.iter().max().copied().unwrap_or_default();
    Bar::at_most(format!("jobs received twice, with 1 to {most} workers"), twice, 0.0)
        .with(format!("of {}", number(sum("accounts"))))
}

async fn measure_one(programs: &Programs, workers: usize, accounts: usize) -> anyhow::Result<Case> {
    let mut fleet = world::start(LATENCY).await?;
    let plan = Synthetic { accounts, buckets: BUCKETS, regions: REGIONS, ..Synthetic::default() };
    let accounts = fleet.aws.synthetic(&plan);
    world::enter_all(&mut fleet, &accounts)?;
    for account in &accounts {
        world::send(&fleet, &world::name_of(account), date(Age::Recent))?;
    }
    let crew = Crew::start(programs, &fleet, workers, &["--concurrency", "1"])?;
    crew.finish(PATIENCE).await?;

    let received = world::calls(&fleet, "ReceiveMessage");
    let begun = received.first().context("no job was received")?.time;
    let (waits, twice) = waits(&received, begun);
    let done: Vec<f64> =
        world::calls(&fleet, "DeleteMessage").iter().map(|call| answered_at(call, begun)).collect();
    let reports = world::calls(&fleet, "PutObject").len();
    ensure!(done.len() == accounts.len(), "{} of {} jobs are done", done.len(), accounts.len());
    let percent = |percent| percentile(&waits, percent);
    Ok(case! {
        "name": count(workers, "worker").replace(' ', "-"),
        "workers": workers,
        "accounts": accounts.len(),
        "accounts_per_s": steady_rate(&done),
        "wait_p50_s": percent(50.0),
        "wait_p95_s": percent(95.0),
        "wait_max_s": percent(100.0),
        "wall_s": percentile(&done, 100.0),
        "received_twice": twice,
        "reports": reports,
        "api_calls": fleet.aws.calls().count(),
    })
}

/// Puts a case beside one worker alone, as often as the case has workers, of which each takes up its next job
/// as it ends the last.
fn compare(case: &mut Case, workers: usize, accounts: usize, alone: f64) {
    #[expect(clippy::cast_precision_loss, reason = "a count of workers")]
    let rate = alone * workers as f64;
    let efficiency = figure(case, "accounts_per_s") / rate;
    let turn = |percent| turn(percent, workers, accounts) / alone;
    case.append(&mut case! {
        "efficiency": efficiency,
        "floor_accounts_per_s": rate,
        "floor_wait_p50_s": turn(50),
        "floor_wait_p95_s": turn(95),
        "floor_wait_max_s": turn(100),
    });
}

/// How many jobs its worker has done before, of the job that so much of all are not behind.
#[expect(clippy::cast_precision_loss, reason = "a count of jobs")]
fn turn(percent: usize, workers: usize, accounts: usize) -> f64 {
    ((accounts * percent).div_ceil(100).saturating_sub(1) / workers) as f64
}

/// How long each job waited until it was first received, and how many were received more than once.
fn waits(received: &[CallRecord], begun: DateTime<Utc>) -> (Vec<f64>, usize) {
    let mut first: HashMap<&str, f64> = HashMap::new();
    let mut twice = HashSet::new();
    for call in received {
        for id in &call.message_ids {
            if first.contains_key(id.as_str()) {
                twice.insert(id.as_str());
            } else {
                first.insert(id, answered_at(call, begun));
            }
        }
    }
    (first.into_values().collect(), twice.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_job_may_be_received_twice_by_any_crew() {
        let case = |twice: usize| case! { "accounts": 20, "received_twice": twice };
        let bar = twice_bar(&[case(0), case(0)], &[1, 2]);
        assert!(bar.met && bar.figure == 0.0, "{bar}");
        assert_eq!(
            (bar.what.as_str(), bar.detail.as_str()),
            ("jobs received twice, with 1 to 2 workers", "of 40")
        );
        assert!(!twice_bar(&[case(0), case(1)], &[1, 2]).met);
        assert!(!twice_bar(&[case(0)], &[1, 2]).met, "one is not measured");
    }

    #[test]
    fn a_fleet_is_held_against_one_worker_times_their_number() {
        let mut case = case! { "accounts_per_s": 1.8 };
        compare(&mut case, 4, 40, 0.5);
        let of = |name| figure(&case, name);
        assert!((of("efficiency") - 0.9).abs() < 1e-9 && (of("floor_accounts_per_s") - 2.0).abs() < 1e-9);
        // The 40th job is the tenth of its worker: nine stand before it, two seconds each.
        let waits =
            ["p50", "p95", "max"].map(|which| number(figure(&case, &format!("floor_wait_{which}_s"))));
        assert_eq!(waits, ["8", "18", "18"]);
    }
}
