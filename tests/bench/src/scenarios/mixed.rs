//! Small accounts beside a huge one, in one worker: what a small one takes, from being received to being
//! done, with the huge one beside it and without.

use std::{collections::HashMap, time::Duration};

use anyhow::Context;
use chrono::{DateTime, Utc};
use local_aws::Synthetic;

use super::Crew;
use crate::{
    floor::Age,
    outcome::{Bar, Case, Outcome, case, figure, number},
    program::Shell,
    statistics::percentile,
    tell,
    world::{LATENCY, World, answered_at, came_in_at, date},
};

const SMALL_BUCKETS: usize = 20;

/// How many small accounts are in hand at once. The huge one has a place more.
const SMALL_AT_ONCE: usize = 4;

const PATIENCE: Duration = Duration::from_mins(10);

pub(super) async fn measure(shell: &Shell, short: bool) -> anyhow::Result<Outcome> {
    let (small, huge) = if short { (40, 10_000) } else { (200, 50_000) };
    let mut cases = Vec::new();
    for huge in [None, Some(huge)] {
        let name = huge.map_or_else(|| "alone".to_owned(), |huge| format!("beside-{huge}-buckets"));
        tell(&format!("mixed: {small} small accounts, {name}"));
        cases.push(measure_one(shell, name, small, huge).await?);
    }
    let p95 = |case: &Case| figure(case, "small_p95_s");
    let (alone, beside) = (p95(&cases[0]), p95(&cases[1]));
    let buckets = number(figure(&cases[1], "huge_buckets"));
    let bar = format!(
        "a small account's seconds at p95 beside one of {buckets} buckets, as a multiple of those alone"
    );
    let detail = format!("{} s beside {} s", number(beside), number(alone));
    let bar = Bar::at_most(bar, beside / alone, if short { 1.5 } else { 1.1 }).with(detail);
    let note = format!(
        "One worker has {SMALL_AT_ONCE} accounts of {SMALL_BUCKETS} buckets in hand at once, and the huge one as one more; \
         each may use half of its own quota."
    );
    Ok(Outcome { scenario: "mixed".to_owned(), short, cases, bars: vec![bar], notes: vec![note], made: None })
}

async fn measure_one(shell: &Shell, name: String, small: usize, huge: Option<usize>) -> anyhow::Result<Case> {
    let world = World::start(LATENCY).await?;
    // The first account is the huge one, with no bucket where there is none.
    let plan = Synthetic { accounts: small + 1, buckets: SMALL_BUCKETS, regions: 1, ..Synthetic::default() };
    let mut accounts = world.aws.synthetic(&plan);
    if let Some(huge) = huge {
        accounts[0] = world.account(huge, 1);
    }
    let variables = world.variables_of_all(&accounts)?;
    let date = date(Age::Recent);
    let mut huge_id = None;
    if huge.is_some() {
        huge_id = Some(world.send(&World::name_of(&accounts[0]), date)?);
    }
    for account in &accounts[1..] {
        world.send(&World::name_of(account), date)?;
    }
    let slots = (SMALL_AT_ONCE + usize::from(huge.is_some())).to_string();
    Crew::start(shell, &world, 1, &variables, &["--concurrency", &slots])?.finish(&world, PATIENCE).await?;

    let begun = world.calls("ReceiveMessage").first().context("no job was received")?.time;
    let mut took = durations(&world, begun);
    let huge_s = huge_id.and_then(|id| took.remove(&id));
    let small_s: Vec<f64> = took.into_values().collect();
    Ok(case! {
        "name": name,
        "small_accounts": small_s.len(),
        "small_p50_s": percentile(&small_s, 50.0),
        "small_p95_s": percentile(&small_s, 95.0),
        "small_max_s": percentile(&small_s, 100.0),
        "huge_buckets": huge,
        "huge_s": huge_s,
    })
}

/// How long each job took, by its message, from being received to being deleted.
fn durations(world: &World, begun: DateTime<Utc>) -> HashMap<String, f64> {
    let mut received = HashMap::new();
    for call in world.calls("ReceiveMessage") {
        for id in &call.message_ids {
            received.entry(id.clone()).or_insert_with(|| answered_at(&call, begun));
        }
    }
    let mut took = HashMap::new();
    for call in world.calls("DeleteMessage") {
        for id in &call.message_ids {
            if let Some(since) = received.get(id) {
                took.insert(id.clone(), came_in_at(&call, begun) - since);
            }
        }
    }
    took
}
