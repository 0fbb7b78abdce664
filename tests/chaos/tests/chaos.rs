// SPDX-License-Identifier: Apache-2.0
//! A short run, as part of `cargo test`, and the proof that it would find what it looks for.

use std::process::Command;

use serde_json::Value;

/// Every step at which a worker can be killed.
const STEPS: [&str; 16] = [
    "receive",
    "discover",
    "collect",
    "after checkpoint",
    "render",
    "before upload",
    "during upload",
    "after upload",
    "before documents",
    "after documents",
    "before record",
    "before delete",
    "after delete",
    "before dead-letter send",
    "after dead-letter send",
    "random moment",
];

/// Runs it; gives its exit status, its figures and what it said.
fn chaos(arguments: &[&str]) -> (Option<i32>, Value, String) {
    // What a run keeps where it fails must not outlive the test.
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
    let command = command.args(arguments).args(["--format", "json"]).env("TMPDIR", folder.path());
    // What a person's shell may have must not reach the fleet.
    let command = command.env("AWS_PROFILE", "of-somebody-else").env("FLEET_LOOKBACK_DAYS", "nonsense");
    let ended = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    let figures = serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (ended.status.code(), figures, said)
}

#[test]
fn workers_that_are_killed_at_every_step_lose_nothing() {
    let (code, figures, said) = chaos(&["--kills", "25", "--seed", "7", "--workers", "6"]);
    let all = format!("{figures:#}\n{said}");
    assert_eq!(code, Some(0), "{all}");
    assert!(figures["kills"].as_u64() >= Some(25), "{all}");
    for step in STEPS {
        assert!(figures["steps"][step].as_u64() > Some(0), "{step}: {all}");
        let is_caught = step != "random moment";
        assert!(!is_caught || figures["step_faults_fired"][step].as_u64() > Some(0), "{step}: {all}");
    }
    let of_reports = ["lost", "short", "corrupt", "unexpected", "paid_again", "status_disagrees"];
    for wrong in of_reports.iter().chain(&["documents_lost", "documents_doubled", "documents_stale"]) {
        assert_eq!(figures[*wrong], 0, "{wrong}: {all}");
    }
    let jobs = figures["jobs"].as_object().expect("an object");
    assert_eq!(jobs.len(), 3, "a day, an hour, several hours: {all}");
    for right in ["reports", "dead_letters", "redeliveries", "duplicate_executions", "recoveries", "statuses"]
        .into_iter()
        .chain(["documents_compared", "documents_without_datapoint"])
    {
        assert!(figures[right].as_u64() > Some(0), "{right}: {all}");
    }
    let mixed_in = figures["mixed_in"].as_object().expect("an object");
    assert!(mixed_in.values().filter(|fired| fired.as_u64() > Some(0)).count() >= 5, "{all}");
}

#[test]
fn a_value_that_is_one_too_high_is_found() {
    let (code, figures, said) =
        chaos(&["--kills", "3", "--workers", "2", "--accounts", "3", "--plant", "off-by-one"]);
    assert_eq!(code, Some(1), "{figures:#}\n{said}");
    assert!(figures["corrupt"].as_u64() > Some(0), "{figures:#}\n{said}");
    assert_eq!(figures["lost"], 0, "{figures:#}\n{said}");
    assert!(said.contains("Corrupt: account \"team-0"), "{said}");
    assert!(said.contains("the workers' logs, and what differs: "), "{said}");
}

#[test]
fn a_page_that_is_dropped_is_found() {
    let (code, figures, said) =
        chaos(&["--kills", "3", "--workers", "2", "--accounts", "3", "--plant", "dropped-page"]);
    assert_eq!(code, Some(1), "{figures:#}\n{said}");
    assert!(figures["short"].as_u64() > Some(0), "{figures:#}\n{said}");
    assert!(said.contains("Short: account \"team-01\""), "{said}");
}

#[test]
fn a_checkpoint_that_is_not_used_is_found() {
    // Enough for three workers to die after a checkpoint: what lies beside a complete report is still found.
    let (code, figures, said) =
        chaos(&["--kills", "39", "--workers", "6", "--accounts", "6", "--plant", "lost-checkpoint"]);
    assert_eq!(code, Some(1), "{figures:#}\n{said}");
    assert!(figures["paid_again"].as_u64() > Some(0), "{figures:#}\n{said}");
    assert!(said.contains("paid for again: "), "{said}");
    for right in ["lost", "short", "corrupt"] {
        assert_eq!(figures[right], 0, "{figures:#}\n{said}");
    }
}
