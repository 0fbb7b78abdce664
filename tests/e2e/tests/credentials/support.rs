// SPDX-License-Identifier: Apache-2.0
//! What the cases of all kinds need: accounts that only one kind of credentials leads to.

use std::collections::BTreeSet;

use anyhow::Result;
use kit::{Ended, Fleet, HOME, HOME_REGION, days_ago, expected::cells, finish};
use local_aws::{Account, LocalAws, Service, Trust};
use tokio::process::Command;

/// The account that a role is in.
pub(crate) const ROLE: &str = "111111111111";
/// The account of the access keys in variables.
pub(crate) const KEYS: &str = "222222222222";
pub(crate) const PROFILE: &str = "333333333333";

/// The access key in variables, and the one of the profile.
pub(crate) const VARIABLES_KEY: &str = "AKIAVARIABLES";
pub(crate) const PROFILE_KEY: &str = "AKIAPROFILE";

pub(crate) fn day() -> String {
    days_ago(4).to_string()
}

/// An account with one bucket that no other account has.
pub(crate) fn inhabited(aws: &LocalAws, id: &str, region: &str) -> Account {
    let account = aws.account(id);
    account.bucket(&format!("bucket-of-{id}"), region).size("StandardStorage", days_ago(4), 7.0);
    account
}

/// A fleet whose role, access keys, profile and own chain each lead to an account of its own.
pub(crate) async fn four_accounts() -> Result<Fleet> {
    let fleet = Fleet::start().await?;
    inhabited(&fleet.aws, ROLE, HOME_REGION).role("reader", Trust::default());
    inhabited(&fleet.aws, KEYS, HOME_REGION).add_access_key(VARIABLES_KEY, None);
    inhabited(&fleet.aws, PROFILE, HOME_REGION).add_access_key(PROFILE_KEY, None);
    inhabited(&fleet.aws, HOME, HOME_REGION);
    shared_file(&fleet, "credentials", &profile("legacy", PROFILE_KEY, "secret"))?;
    Ok(fleet)
}

/// Gives the processes access keys in variables that begin so.
pub(crate) fn keys(fleet: &mut Fleet, stem: &str, id: &str, secret: &str) {
    fleet.variable(&format!("{stem}_account_access_key"), id);
    fleet.variable(&format!("{stem}_secret_access_key"), secret);
}

/// Gives the processes an accounts file of one account, `data`, and whatever else is said of it.
pub(crate) fn account_file(fleet: &mut Fleet, lines: &str) -> Result<()> {
    accounts_file(fleet, &format!("[[account]]\nname = 'data'\n{lines}\n"))
}

pub(crate) fn accounts_file(fleet: &mut Fleet, text: &str) -> Result<()> {
    let path = fleet.file("accounts.toml", text)?;
    fleet.variable("FLEET_ACCOUNTS", &path);
    Ok(())
}

/// A file in `~/.aws`.
pub(crate) fn shared_file(fleet: &Fleet, name: &str, text: &str) -> Result<()> {
    std::fs::create_dir_all(fleet.folder.path().join(".aws"))?;
    fleet.file(&format!(".aws/{name}"), text)?;
    Ok(())
}

pub(crate) fn profile(name: &str, key: &str, secret: &str) -> String {
    format!("[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
}

pub(crate) fn collecting(fleet: &Fleet, account: &str) -> Command {
    fleet.worker(&["collect", "--verbose", "--account-name", account, "--date", &day()])
}

pub(crate) async fn collect(fleet: &Fleet, account: &str) -> Result<Ended> {
    finish(collecting(fleet, account)).await
}

/// The one bucket of the account of that id, and nothing else.
pub(crate) fn assert_is_of(ended: &Ended, id: &str) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let rows = cells(&ended.stdout);
    let reported: Vec<_> = rows
        .iter()
        .map(|row| [&*row["bucket_name"], &*row["account_id"], &*row["size_total"], &*row["status"]])
        .collect();
    assert_eq!(reported, [[&*format!("bucket-of-{id}"), id, "7", "ok"]], "{}", ended.stderr);
}

/// Each operation that an access key signed, whatever came of it.
pub(crate) fn signed_by(aws: &LocalAws, access_key: &str) -> BTreeSet<String> {
    let calls = aws.calls().records().into_iter();
    calls.filter(|call| call.access_key == access_key).map(|call| call.operation).collect()
}

/// Who signed a call of that operation, in which region.
pub(crate) fn signers(aws: &LocalAws, operation: &str) -> BTreeSet<(String, String)> {
    let calls = aws.calls().operation(operation).records().into_iter();
    calls.map(|call| (call.access_key, call.region)).collect()
}

/// The account was not even looked at: neither its buckets nor anything that is paid for.
pub(crate) fn assert_nothing_collected(aws: &LocalAws) {
    assert_eq!(aws.calls().service(Service::CloudWatch).count(), 0);
    assert_eq!(aws.calls().operation("ListBuckets").ok().count(), 0);
}

/// All calls for a report of one bucket, by any identity in the account.
pub(crate) fn report_calls() -> BTreeSet<String> {
    ["GetCallerIdentity", "ListBuckets", "ListDirectoryBuckets", "ListMetrics", "GetMetricData"]
        .map(str::to_owned)
        .into()
}

pub(crate) fn set<const N: usize>(operations: [&str; N]) -> BTreeSet<String> {
    operations.map(str::to_owned).into()
}

/// The line that tells why the command failed.
pub(crate) fn error_of(ended: &Ended) -> &str {
    ended.stderr.lines().rfind(|line| line.starts_with("error: ")).unwrap_or_default()
}
