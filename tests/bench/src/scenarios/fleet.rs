//! Many small accounts on 1, 2, 4 and 8 workers, each with one job in hand and far from AWS, so that what is measured is
//! how they share a queue and not this machine's processors.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use fleet::output::count;
use local_aws::{CallRecord, Synthetic};

use super::Crew;
use crate::{
    floor::Age,
    outcome::{Bar, Case, Outcome, case},
    program::Shell,
    statistics::{percentile, steady_rate},
    tell,
    world::{World, answered_at, date},
};

const LATENCY: Duration = Duration::from_millis(250);
const BUCKETS: usize = 20;
const REGIONS: usize = 2;
const WORKERS: [usize; 4] = [1, 2, 4, 8];

/// How long all jobs may take.
const PATIENCE: Duration = Duration::from_hours(1);

pub(super) async fn measure(shell: &Shell, short: bool, accounts: u16) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome { scenario: "fleet".to_owned(), short, ..Outcome::default() };
    let (workers, each) = if short { (&WORKERS[..2], 5) } else { (&WORKERS[..], usize::from(accounts) / 8) };
    let mut alone = None;
    for workers in workers.iter().copied() {
        tell(&format!("fleet: {}", count(workers, "worker")));
        let mut case = measure_one(shell, workers, workers * each).await?;
        let rate = case["accounts_per_s"].as_f64().context("too few accounts for a rate")?;
        #[expect(clippy::cast_precision_loss, reason = "a count of workers")]
        let efficiency = rate / (*alone.get_or_insert(rate) * workers as f64);
        case.insert("efficiency".to_owned(), efficiency.into());
        outcome.bars.push(Bar::at_most(
            format!("{}: jobs received twice", count(workers, "worker")),
            case["received_twice"].as_f64().unwrap_or(f64::NAN),
            0.0,
        ));
        if workers == if short { 2 } else { 8 } {
            let bar = format!("{workers} workers against as many times one");
            outcome.bars.push(Bar::at_least(bar, efficiency, if short { 0.7 } else { 0.9 }));
        }
        outcome.cases.push(case);
    }
    outcome.notes.push(format!(
        "Accounts of {BUCKETS} buckets, entered by a role; {} ms of latency, one job at a time; with fewer workers, fewer \
         accounts in proportion. The rate is that between a tenth and nine tenths of the jobs. Waiting begins with the \
         first receive.",
        LATENCY.as_millis()
    ));
    Ok(outcome)
}

async fn measure_one(shell: &Shell, workers: usize, accounts: usize) -> anyhow::Result<Case> {
    let world = World::start(LATENCY).await?;
    let plan = Synthetic { accounts, buckets: BUCKETS, regions: REGIONS, ..Synthetic::default() };
    let accounts = world.aws.synthetic(&plan);
    let variables = world.variables_of_all(&accounts)?;
    for account in &accounts {
        world.send(&World::name_of(account), date(Age::Recent))?;
    }
    let crew = Crew::start(shell, &world, workers, &variables, &["--concurrency", "1"])?;
    crew.finish(&world, PATIENCE).await?;

    let received = world.calls("ReceiveMessage");
    let begun = received.first().context("no job was received")?.time;
    let (waits, twice) = waits(&received, begun);
    let done: Vec<f64> = world.calls("DeleteMessage").iter().map(|call| answered_at(call, begun)).collect();
    let reports = world.calls("PutObject").len();
    ensure!(done.len() == accounts.len(), "{} of {} jobs are done", done.len(), accounts.len());
    let percent = |percent| percentile(&waits, percent);
    Ok(case! {
        "name": count(workers, "worker").replace(' ', "-"),
        "accounts": accounts.len(),
        "accounts_per_s": steady_rate(&done),
        "efficiency": Option::<f64>::None,
        "wait_p50_s": percent(50.0),
        "wait_p95_s": percent(95.0),
        "wait_max_s": percent(100.0),
        "wall_s": percentile(&done, 100.0),
        "received_twice": twice,
        "reports": reports,
        "api_calls": world.aws.calls().count(),
    })
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
