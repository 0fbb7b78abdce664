// SPDX-License-Identifier: Apache-2.0
//! Small accounts beside a huge one, in one worker: what a small one takes, from being received to being
//! done, with the huge one beside it and without.

use std::{collections::HashMap, time::Duration};

use anyhow::Context;
use chrono::{DateTime, Utc};
use kit::Fleet;
use local_aws::Synthetic;

use super::Crew;
use cli::terminal::say;

use crate::{
    floor::Age,
    outcome::{Bar, Case, Outcome, case, figure, number},
    program::Programs,
    statistics::percentile,
    world::{self, LATENCY, answered_at, came_in_at, date},
};

const SMALL_BUCKETS: usize = 20;

/// How many small accounts are in flight at once. The huge one has a place more.
const SMALL_AT_ONCE: usize = 4;

const PATIENCE: Duration = Duration::from_mins(10);

pub(super) async fn measure(programs: &Programs, short: bool) -> anyhow::Result<Outcome> {
    let (small, huge) = if short { (40, 10_000) } else { (200, 50_000) };
    let mut cases = Vec::new();
    for huge in [None, Some(huge)] {
        let name = huge.map_or_else(|| "alone".to_owned(), |huge| format!("beside-{huge}-buckets"));
        say(&format!("mixed: {small} small accounts, {name}"));
        cases.push(measure_one(programs, name, small, huge).await?);
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

async fn measure_one(
    programs: &Programs,
    name: String,
    small: usize,
    huge: Option<usize>,
) -> anyhow::Result<Case> {
    let mut fleet = world::start(LATENCY).await?;
    // The first account is the huge one, with no bucket where there is none.
    let plan = Synthetic { accounts: small + 1, buckets: SMALL_BUCKETS, regions: 1, ..Synthetic::default() };
    let mut accounts = fleet.aws.synthetic(&plan);
    if let Some(huge) = huge {
        accounts[0] = world::account(&fleet, huge, 1);
    }
    world::enter_all(&mut fleet, &accounts)?;
    let date = date(Age::Recent);
    let mut huge_id = None;
    if huge.is_some() {
        huge_id = Some(world::send(&fleet, &world::name_of(&accounts[0]), date)?);
    }
    for account in &accounts[1..] {
        world::send(&fleet, &world::name_of(account), date)?;
    }
    let slots = (SMALL_AT_ONCE + usize::from(huge.is_some())).to_string();
    Crew::start(programs, &fleet, 1, &["--concurrency", &slots])?.finish(PATIENCE).await?;

    let begun = world::calls(&fleet, "ReceiveMessage").first().context("no job was received")?.time;
    let mut took = durations(&fleet, begun);
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
fn durations(fleet: &Fleet, begun: DateTime<Utc>) -> HashMap<String, f64> {
    let mut received = HashMap::new();
    for call in world::calls(fleet, "ReceiveMessage") {
        for id in &call.message_ids {
            received.entry(id.clone()).or_insert_with(|| answered_at(&call, begun));
        }
    }
    let mut took = HashMap::new();
    for call in world::calls(fleet, "DeleteMessage") {
        for id in &call.message_ids {
            if let Some(since) = received.get(id) {
                took.insert(id.clone(), came_in_at(&call, begun) - since);
            }
        }
    }
    took
}
