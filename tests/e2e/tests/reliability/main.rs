//! What can go wrong, and what happens then: real processes, with each fault asserted to have fired.

mod lease;
mod leaving;
mod network;
mod own_fault;
mod partial;
mod settling;
mod storms;

use std::time::Duration;

use anyhow::{Context, Result};
use chrono::NaiveDate;
use e2e::{Fleet, JOBS, days_ago, until};
use local_aws::{Message, Place};

/// The day that these tests report.
fn day() -> NaiveDate {
    days_ago(4)
}

/// The keys of that day's reports begin so, and the proof at a worker's start does not.
fn reports_of_the_day() -> String {
    format!("s3_daily_storage/report_date={}/", day())
}

/// A job sent by hand.
fn job(account: &str) -> String {
    format!(r#"{{"account_name":"{account}","date":"{}"}}"#, day())
}

/// Waits until the only job was received so often and is put off; gives for how long it still is.
async fn put_off(fleet: &Fleet, receives: u32) -> Result<Duration> {
    let only = || fleet.home.messages(JOBS).into_iter().next();
    let is_put_off = |message: &Message| {
        // Longer than any lease of these tests lasts.
        message.receive_count == receives
            && message.place == Place::InFlight
            && message.visible_in.is_some_and(|pause| pause > Duration::from_millis(3200))
    };
    until("the job is put off", || only().is_some_and(|message| is_put_off(&message))).await?;
    only().and_then(|message| message.visible_in).context("it is still hidden")
}
