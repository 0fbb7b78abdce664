// SPDX-License-Identifier: Apache-2.0
//! The AWS of a case: accounts of any size, and how they are entered.

use std::{fmt::Write, time::Duration};

use chrono::{DateTime, NaiveDate, Utc};
use kit::{Fleet, JOBS, Setup, days_ago};
use local_aws::{CallRecord, Options, Synthetic, SyntheticAccount, Trust};

use crate::floor::Age;

/// How long every call takes, as in the same part of the world.
pub(crate) const LATENCY: Duration = Duration::from_millis(50);

/// After this, every quota has its full burst again.
pub(crate) const REST: Duration = Duration::from_millis(1100);

const ROLE: &str = "cloudwatch-fleet-reader";

/// How many calls are remembered one by one.
const CALLS_KEPT: usize = 500_000;

/// A fleet on an AWS with quotas, where every call takes `latency`.
pub(crate) async fn start(latency: Duration) -> anyhow::Result<Fleet> {
    let aws = Options { latency, quotas: true, log_capacity: CALLS_KEPT, ..Options::default() };
    // A deployment's own figures.
    Fleet::new(Setup { aws, visibility_timeout: Duration::from_mins(2), max_receives: 12 }).await
}

pub(crate) fn account(fleet: &Fleet, buckets: usize, regions: usize) -> SyntheticAccount {
    fleet.aws.synthetic(&Synthetic { buckets, regions, ..Synthetic::default() }).remove(0)
}

/// Gives the programs the access keys of an account under a name, and an accounts file that lets all of its quota be used.
pub(crate) fn enter(fleet: &mut Fleet, name: &str, id: &str) -> anyhow::Result<()> {
    let _ = fleet.account(name, id);
    accounts_file(
        fleet,
        &format!("[[account]]\nname = {name:?}\ncredentials = \"keys\"\nquota_share = 1.0\n"),
    )
}

/// Gives the programs an accounts file where each account is entered by a role, under the name that [`name_of`] gives.
pub(crate) fn enter_all(fleet: &mut Fleet, accounts: &[SyntheticAccount]) -> anyhow::Result<()> {
    let mut file = format!("[defaults]\nrole_name = {ROLE:?}\n");
    for account in accounts {
        let _ = account.account.role(ROLE, Trust::default());
        let _ = write!(file, "\n[[account]]\nname = {:?}\nid = {:?}\n", name_of(account), account.id());
    }
    accounts_file(fleet, &file)
}

fn accounts_file(fleet: &mut Fleet, text: &str) -> anyhow::Result<()> {
    let path = fleet.file("accounts.toml", text)?;
    fleet.variable("FLEET_ACCOUNTS", &path);
    Ok(())
}

/// The name of an account that is entered by a role.
pub(crate) fn name_of(account: &SyntheticAccount) -> String {
    format!("account-{}", account.id())
}

/// Puts a job on the queue, and gives its message's id.
pub(crate) fn send(fleet: &Fleet, account_name: &str, date: NaiveDate) -> anyhow::Result<String> {
    let job = serde_json::json!({
        "account_name": account_name, "date": date, "dataset": "s3_daily_storage", "run_id": "bench",
    });
    fleet.home.send_with(JOBS, &job.to_string(), &[])
}

/// The calls of an operation that were answered as asked, oldest first.
pub(crate) fn calls(fleet: &Fleet, operation: &str) -> Vec<CallRecord> {
    fleet.aws.calls().operation(operation).ok().records()
}

/// The day to report: one that `ListMetrics` still knows with all of its lookback, or one that it has forgotten.
pub(crate) fn date(age: Age) -> NaiveDate {
    days_ago(match age {
        Age::Recent => 4,
        Age::Old => 120,
    })
}

/// When a call was answered, in seconds after a moment.
pub(crate) fn answered_at(call: &CallRecord, since: DateTime<Utc>) -> f64 {
    came_in_at(call, since) + call.duration.as_secs_f64()
}

/// When a call came in, in seconds after a moment.
pub(crate) fn came_in_at(call: &CallRecord, since: DateTime<Utc>) -> f64 {
    (call.time - since).as_seconds_f64()
}
