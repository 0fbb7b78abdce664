// SPDX-License-Identifier: Apache-2.0
//! What is said is for who reads it: people, or what collects logs.

use anyhow::Result;
use kit::{Fleet, finish};
use serde_json::Value;

use super::{DATA, day, fleet_of, pty::on_terminal};

/// Sends a job for each of these accounts, and gives what that said.
async fn send(fleet: &Fleet, accounts: &str, more: &[&str]) -> Result<kit::Ended> {
    let day = day().to_string();
    let arguments = [&["run", "--account-name", accounts, "--date", &day], more].concat();
    Ok(finish(fleet.producer(&arguments)).await?.status(0))
}

/// Whether each line is a log line for machines.
fn is_json(said: &str) -> bool {
    let mut lines = said.lines().peekable();
    lines.peek().is_some() && lines.all(|line| serde_json::from_str::<Value>(line).is_ok())
}

#[tokio::test]
async fn a_command_that_ends_says_in_plain_words_what_is_wrong() -> Result<()> {
    let (fleet, account) = fleet_of(1).await?;
    account.deny("cloudwatch:ListMetrics");
    let check = || fleet.worker(&["check", "--account-name", "data"]);
    let ended = finish(check()).await?.status(1);
    assert_eq!(ended.stderr, "error: 1 of 1 accounts can't be collected\n");
    let shown = on_terminal(check(), 80).await?;
    assert_eq!(shown.code, Some(1));
    assert!(shown.text.ends_with(&ended.stderr), "{}", shown.text);

    let mut command = check();
    command.env("FLEET_LOG_FORMAT", "json");
    let ended = finish(command).await?.status(1);
    assert!(is_json(&ended.stderr), "{}", ended.stderr);

    // Wrong configuration is nothing else.
    let ended = finish(fleet.worker(&["check", "--accounts", "/no/such/file"])).await?.status(2);
    assert!(ended.stderr.starts_with("error: could not read the accounts file"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("--help"), "the command line is right: {}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn the_configuration_is_said_to_who_asks() -> Result<()> {
    let (fleet, _) = fleet_of(1).await?;
    assert_eq!(send(&fleet, "data", &[]).await?.stderr, "");
    let verbose = send(&fleet, "data", &["-v"]).await?.stderr;
    assert!(verbose.contains("run begins (version="), "{verbose}");
    assert!(verbose.contains("queue_url=http"), "{verbose}");
    let json = send(&fleet, "data", &["--log-format", "json"]).await?.stderr;
    assert!(is_json(&json) && json.contains("run begins"), "{json}");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_is_watched_says_one_line_for_each_job() -> Result<()> {
    let (mut fleet, _) = fleet_of(3).await?;
    let _ = fleet.account("web", "222222222222");
    send(&fleet, "data,web,forgotten", &[]).await?;
    let run = ["run", "--exit-when-empty", "--concurrency", "1"];
    let shown = on_terminal(fleet.worker(&run), 80).await?;
    assert_eq!(shown.code, Some(0), "{}", shown.text);
    for account in ["data", "web", "forgotten"] {
        let of_job: Vec<_> = shown.text.lines().filter(|line| line.contains(account)).collect();
        assert_eq!(of_job.len(), 1, "{account}: {}", shown.text);
        assert!(of_job[0][9..].starts_with(&format!("{account}: ")), "{}", of_job[0]);
    }
    let of_data = shown.text.lines().find(|line| line.contains("data: ")).unwrap_or_default();
    assert!(
        of_data.contains("the report is stored: ") && of_data.contains("complete, 3 rows, $"),
        "{of_data}"
    );
    assert!(of_data.len() <= 80, "{of_data}");

    send(&fleet, "data", &[]).await?;
    let collected = finish(fleet.worker(&run)).await?.status(0).stderr;
    assert!(is_json(&collected), "{collected}");
    assert!(collected.contains(DATA), "who the worker was in the account: {collected}");
    Ok(())
}
