// SPDX-License-Identifier: Apache-2.0
//! What a person at a terminal, or a script, gets from the commands: files, messages, tables and colours.

mod accounts;
mod collect;
mod colour;
mod files;
mod messages;
mod pty;

use chrono::NaiveDate;
use kit::{Fleet, HOME_REGION, days_ago};
use local_aws::Account;

const DATA: &str = "111111111111";

fn day() -> NaiveDate {
    days_ago(4)
}

/// A fleet with the account `data`, which has so many buckets.
async fn fleet_of(buckets: usize) -> anyhow::Result<(Fleet, Account)> {
    let mut fleet = Fleet::start().await?;
    let account = fleet.account("data", DATA);
    for nth in 0..buckets {
        account.bucket(&format!("bucket-{nth:03}"), HOME_REGION).size("StandardStorage", day(), 7.0);
    }
    Ok((fleet, account))
}
