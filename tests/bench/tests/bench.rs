// SPDX-License-Identifier: Apache-2.0
//! The smallest scenarios in their short form, and the command line: what it prints, and how it ends.

use std::process::Command;

use serde_json::Value;

fn bench(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    // What a person's shell may have must not reach the worker.
    let command =
        command.args(arguments).env("AWS_PROFILE", "of-somebody-else").env("FLEET_LOOKBACK_DAYS", "nonsense");
    let ended = command.output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ended.status.code(), text(&ended.stdout), text(&ended.stderr))
}

/// Speed is not tested: this is not a release build, and other tests run concurrently.
#[test]
fn a_short_run_takes_the_least_calls_and_lists_them() {
    let (_, stdout, stderr) = bench(&["account", "--short", "--format", "json"]);
    let outcome: Value = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    let cases = outcome["cases"].as_array().expect("a list");
    assert_eq!(cases.len(), 4, "{outcome:#}");
    for case in cases {
        let [calls, throttled, floor] =
            ["api_calls", "throttled", "floor_api_calls"].map(|name| case[name].as_u64().expect("a number"));
        assert_eq!(calls - throttled, floor, "{case:#}");
        assert_eq!(case["metrics"], case["floor_metrics"], "{case:#}");
        assert!(case["peak_rss_mib"].as_f64() > Some(1.0) && case["cpu_s"].as_f64() > Some(0.0), "{case:#}");
    }

    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &stdout).expect("written");
    let (code, table, stderr) = bench(&["table", &file.path().display().to_string()]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(table.contains("| 1,000 buckets, 4 regions, old day"), "{table}");
}

#[test]
fn a_missed_bar_is_reported_and_the_status_is_1() {
    let folder = tempfile::tempdir().expect("a folder");
    let worker = folder.path().join("slow-worker");
    // Two seconds more than the worker takes, and all that it was told.
    let script = format!("#!/bin/sh\nsleep 2\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_bench"));
    std::fs::write(&worker, script).expect("written");
    let chmod = Command::new("chmod").arg("+x").arg(&worker).status().expect("it starts");
    assert!(chmod.success());
    let (code, stdout, stderr) = bench(&["start", "--short", "--worker", &worker.display().to_string()]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stdout.contains("**missed**"), "{stdout}");
    let (_, reported) = stderr
        .split_once("missed: from a worker's start to its first receive, ms at p50: ")
        .unwrap_or_else(|| panic!("{stderr}"));
    let seconds = reported.split(',').next().and_then(|seconds| seconds.parse::<u32>().ok());
    assert!(seconds >= Some(2), "thousands of milliseconds: {stderr}");
}
