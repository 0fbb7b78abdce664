// SPDX-License-Identifier: Apache-2.0
//! A process that may have few files open.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result};
use kit::{Fleet, JOBS, days_ago, end};
use local_aws::Fault;
use tokio::process::Command;

const REGIONS: [&str; 12] = [
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-north-1",
    "us-east-1",
    "us-east-2",
    "us-west-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
];

/// The same process under a limit, as `ulimit` takes it.
fn limited(command: &Command, limit: &str) -> Command {
    let command = command.as_std();
    let mut limited = Command::new("sh");
    limited
        .args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    limited
}

#[tokio::test]
async fn a_low_limit_of_open_files_costs_time_and_neither_a_lease_nor_a_call() -> Result<()> {
    let mut fleet = Fleet::with_visibility_timeout(Duration::from_secs(20)).await?;
    let day = days_ago(30);
    let accounts = ["100000000000", "200000000000", "300000000000", "400000000000"];
    for (id, nth) in accounts.iter().zip('a'..) {
        let account = fleet.account(&format!("account-{nth}"), id);
        // Each region is asked by six calls at once, so all together by 288.
        for region in REGIONS {
            for bucket in 0..100 {
                let _ = account.bucket(&format!("{nth}-{region}-{bucket}"), region);
            }
        }
        fleet.home.send(JOBS, &format!(r#"{{"account_name":"account-{nth}","date":"{day}"}}"#));
    }
    let slow = fleet.aws.fault(Fault::slow(Duration::from_millis(400)).on("GetMetricData"));
    let worker = limited(&fleet.worker(&["run", "--exit-when-empty"]), "-n 256").spawn()?;
    let files = format!("/proc/{}/fd", worker.id().context("it runs")?);
    let ending = tokio::spawn(end(worker));
    let mut most = 0;
    while !ending.is_finished() {
        most = most.max(std::fs::read_dir(&files).map_or(0, Iterator::count));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ended = ending.await??.status(0);
    assert_eq!(slow.fired(), 4 * 12 * 6);
    assert!(ended.stderr.contains("this process may have 256 files open"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("lease_lost"), "{}", ended.stderr);
    for nth in 'a'..='d' {
        let name = format!("account-{nth}");
        // Each try is counted, and one that got no connection reaches no server.
        let counted: u64 = fleet.metadata(&name, day, "api-calls")?.parse()?;
        // GetCallerIdentity and ListBuckets, and ListDirectoryBuckets and six calls in each region.
        assert_eq!(counted, 2 + 12 * 7, "{name}");
    }
    if cfg!(target_os = "linux") {
        assert!((100..=200).contains(&most), "{most} files were open");
    }
    Ok(())
}

#[tokio::test]
async fn a_soft_limit_is_raised_at_the_start() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    fleet.send_small_jobs(8).await?;
    let worker = fleet.worker(&["run", "--exit-when-empty", "--concurrency", "8"]);
    // Too few even for the runtime and one connection.
    let ended = end(limited(&worker, "-S -n 12").spawn()?).await?.status(0);
    assert!(!ended.stderr.contains("Too many open files"), "{}", ended.stderr);
    assert_eq!(fleet.home.keys(kit::REPORTS, "s3_daily_storage/").len(), 8);
    Ok(())
}
