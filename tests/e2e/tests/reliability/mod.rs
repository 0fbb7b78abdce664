// SPDX-License-Identifier: Apache-2.0
//! What can go wrong, and what happens then: real processes, with each fault asserted to have fired.

mod checkpoint;
mod descriptors;
mod lease;
mod leaving;
mod network;
mod own_fault;
mod partial;
mod publication;
mod settling;
mod storms;

use std::time::Duration;

use anyhow::Result;
use chrono::NaiveDate;
use kit::{Fleet, days_ago, until};

/// The lease where jobs are retried later: longer than any pause, so that passing the time of a pause takes nothing
/// from who has a job in flight; and its third is longer than any test, so that no lease is renewed.
const LONG_LEASE: Duration = Duration::from_mins(5);

fn day() -> NaiveDate {
    days_ago(4)
}

/// The keys of that day's reports begin so, and the proof at a worker's start does not.
fn reports_of_the_day() -> String {
    reports_of(day())
}

fn reports_of(date: NaiveDate) -> String {
    format!("s3_daily_storage/report_date={date}/")
}

fn job(account: &str) -> String {
    format!(r#"{{"account_name":"{account}","date":"{}"}}"#, day())
}

/// Waits until a job of a fleet with [`LONG_LEASE`] was retried later, the first or a later time in all; gives for how
/// long. It may be over by then: some pauses are chosen at random.
async fn put_off(fleet: &Fleet, time: usize) -> Result<Duration> {
    let pauses = || {
        let changes = fleet.aws.calls().operation("ChangeMessageVisibility").ok().records();
        changes.into_iter().filter_map(|change| change.visibility).collect::<Vec<_>>()
    };
    until("a job is put off", || pauses().len() >= time).await?;
    Ok(Duration::from_secs(pauses()[time - 1].try_into()?))
}
