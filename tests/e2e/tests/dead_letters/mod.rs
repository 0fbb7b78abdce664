// SPDX-License-Identifier: Apache-2.0
//! What becomes of dead letters in the producer's hands: each look leaves the queue as it was, and a replay
//! moves what it says and nothing else.

mod looking;
mod replaying;

use anyhow::{Context, Result};
use kit::{DEAD, Ended, Fleet, HOME_REGION, JOBS, finish};
use local_aws::{Fault, FaultHandle, Message, QueueOptions};
use serde_json::Value;
use tokio::process::Child;

const RUN: &str = "019a0000-0000-7000-8000-000000000000";

fn body(account: &str) -> String {
    format!(
        r#"{{"account_name":"{account}","date":"2026-11-01","dataset":"s3_daily_storage","run_id":"{RUN}"}}"#
    )
}

fn name(nth: usize) -> String {
    format!("account-{nth:03}")
}

/// Puts a dead letter of an account into the dead-letter queue, as a worker would.
fn bury(fleet: &Fleet, account: &str, body: &str, replays: u32) -> Result<String> {
    let attributes = [
        ("account_name", account),
        ("run_id", RUN),
        ("dataset", "s3_daily_storage"),
        ("failure_reason", "access_denied"),
        ("failure_message", "s3:ListAllMyBuckets: AccessDenied: no"),
        ("failure_step", "discover"),
        ("failure_attempts", "2"),
        ("failure_first_seen", "2026-11-21T10:00:00.000Z"),
        ("failure_worker_version", "0.1.0"),
        ("replay_count", &replays.to_string()),
    ];
    fleet.home.send_with(DEAD, body, &attributes)
}

/// A fleet with so many dead letters.
async fn with(count: usize) -> Result<Fleet> {
    let fleet = Fleet::start().await?;
    for nth in 0..count {
        bury(&fleet, &name(nth), &body(&name(nth)), 0)?;
    }
    Ok(fleet)
}

/// Recreates the work queue, empty.
fn empty_the_work_queue(fleet: &Fleet) {
    let redrive = Some((DEAD.to_owned(), 3));
    fleet
        .home
        .queue(JOBS, QueueOptions { region: HOME_REGION.to_owned(), redrive, ..QueueOptions::default() });
}

/// Moves all jobs to the dead-letter queue, as workers that give them up would.
fn give_up(fleet: &Fleet) -> Result<()> {
    for job in fleet.home.messages(JOBS) {
        let replays = job.attributes.get("replay_count").map_or(Ok(0), |count| count.parse())?;
        bury(fleet, &job.attributes["account_name"], &job.body, replays)?;
    }
    empty_the_work_queue(fleet);
    Ok(())
}

#[track_caller]
fn all_visible(fleet: &Fleet, count: usize) {
    let counts = fleet.home.counts(DEAD);
    assert_eq!((counts.visible, counts.in_flight, counts.delayed), (count, 0, 0));
}

fn signal(process: &Child, signal: &str) -> Result<()> {
    let id = process.id().context("it runs")?.to_string();
    assert!(std::process::Command::new("kill").args([signal, &id]).status()?.success());
    Ok(())
}

async fn producer(fleet: &Fleet, arguments: &[&str]) -> Result<Ended> {
    finish(fleet.producer(arguments)).await
}

async fn failed(fleet: &Fleet) -> Result<Value> {
    producer(fleet, &["failed", "--format", "json"]).await?.status(0).json()
}

fn letters(reported: &Value) -> usize {
    reported["dead_letters"].as_array().map_or(0, Vec::len)
}

fn jobs(fleet: &Fleet) -> Vec<Message> {
    fleet.home.messages(JOBS)
}

/// Lets the first receives of the dead-letter queue pass, and strikes the next.
fn after_receives(fleet: &Fleet, fault: Fault, receives: u64) -> FaultHandle {
    fleet.aws.fault(fault.on("ReceiveMessage").queue(DEAD).after(receives))
}
