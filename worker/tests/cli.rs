// SPDX-License-Identifier: Apache-2.0
//! The binary as a shell sees it: help, messages and exit status.

use std::process::{Command, Output};

use chrono::{Days, Utc};

fn worker(args: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_worker"))
        .args(args)
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "111111111111")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .envs([("AWS_REGION", "eu-west-1"), ("AWS_EC2_METADATA_DISABLED", "true")])
        // Nothing listens on the discard port: a test that reaches AWS fails at once.
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        // Without a terminal, `run` would log for machines.
        .env("FLEET_LOG_FORMAT", "text")
        .envs(variables.iter().copied())
        .output()
        .expect("the binary runs")
}

/// Arguments, variables, and what the message says.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_teaches() {
    for (name, args) in [
        ("worker", vec!["--help"]),
        ("run", vec!["run", "--help"]),
        ("collect", vec!["collect", "--help"]),
        ("check", vec!["check", "--help"]),
    ] {
        let output = worker(&args, &[]);
        assert!(output.status.success());
        insta::assert_snapshot!(format!("help_{name}"), text(&output.stdout));
    }
}

#[test]
fn the_version_names_the_commit() {
    assert_eq!(text(&worker(&["--version"], &[]).stdout), format!("worker {}\n", cli::VERSION));
}

#[test]
fn completions_and_man_pages_are_printed() {
    assert!(text(&worker(&["completions", "bash"], &[]).stdout).contains("complete -F _worker"));
    assert!(text(&worker(&["man"], &[]).stdout).contains(".TH worker 1"));
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_to_do() {
    let queue = ("FLEET_QUEUE_URL", "http://127.0.0.1:9/111111111111/jobs");
    let bucket = ("FLEET_REPORT_BUCKET", "reports");
    let cases: [Case; 18] = [
        (&["run"], &[bucket], "FLEET_QUEUE_URL"),
        (&["run"], &[queue], "FLEET_REPORT_BUCKET"),
        (&["run", "--report-bucket", "s3://reports"], &[queue], "without s3://"),
        (&["run", "--concurrency", "0"], &[queue, bucket], "0 is not in 1..=256"),
        (&["run", "--visibility-timeout", "50000"], &[queue, bucket], "50000 is not in 3..=43200"),
        (&["run", "--metrics-namespace", "AWS/Fleet"], &[queue, bucket], "\"AWS/Fleet\" is AWS's own"),
        (
            &["run"],
            &[queue, bucket, ("FLEET_METRICS_NAMESPACE", "my fleet")],
            "metrics namespace \"my fleet\" is not well-formed; it takes 1 to 255 letters, digits,",
        ),
        (&["run", "--metrics-namespace="], &[queue, bucket], "metrics namespace \"\" is not well-formed"),
        (&["run", "--key-template", "{acount}.csv"], &[queue, bucket], "{acount} is not known"),
        (
            &["run", "--key-template", "{date}.csv"],
            &[queue, bucket],
            "two jobs of one run would have the same key; add {account}",
        ),
        (
            &["run", "--accounts", "/no/such/accounts.toml"],
            &[queue, bucket],
            "could not read the accounts file \"/no/such/accounts.toml\"",
        ),
        (&["collect"], &[], "--account-name"),
        (&["collect", "--profile", ""], &[], "a value is required for '--profile <PROFILE>'"),
        (&["check", "--accounts="], &[], "a value is required for '--accounts <FILE>'"),
        (&["collect", "--account-name", "a/b"], &[], "account name \"a/b\" is not well-formed"),
        (
            &["collect", "--account-name", "data", "--date", "2026-02-30"],
            &[],
            "date \"2026-02-30\" is not a calendar day",
        ),
        (
            &["collect", "--account-name", "data", "--date", "2999-01-01"],
            &[],
            "date 2999-01-01 is not over yet in UTC",
        ),
        (
            &["collect", "--account-name", "data", "--dataset", "s4"],
            &[],
            "dataset \"s4\" is unknown; this version has ",
        ),
    ];
    for (args, variables, expected) in cases {
        let output = worker(args, variables);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
        assert!(message.contains(expected), "{args:?} should say {expected:?}: {message}");
        assert!(output.stdout.is_empty(), "{args:?}: messages do not go to standard output");
    }
}

#[test]
fn errors_are_json_if_logs_are() {
    let is_json = |args: &[&str], format: &str, status: i32| {
        let output = worker(args, &[("FLEET_LOG_FORMAT", format), ("FLEET_REPORT_BUCKET", "reports")]);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{message}");
        assert!(message.contains("FLEET_QUEUE_URL") || status == 1, "{message}");
        message.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
    };
    // An empty variable is unset: the default, which is for machines without a terminal.
    assert!(is_json(&["run"], "", 2) && is_json(&["run", "--bogus"], "json", 2));
    assert!(!is_json(&["run"], "text", 2));
    let failing = ["run", "--queue-url", "http://127.0.0.1:9/111111111111/jobs"];
    assert!(is_json(&failing, "json", 1) && !is_json(&failing, "text", 1));
}

#[test]
fn one_fault_hides_no_other() {
    let output = worker(
        &[
            "run",
            "--concurrency",
            "0",
            "--key-template",
            "{acount}",
            "--bogus",
            "--accounts",
            "/no/such/file",
            "--regions",
            "nowhere",
        ],
        &[("FLEET_VISIBILITY_TIMEOUT", "1"), ("FLEET_QUEUE_URL", "jobs")],
    );
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    for expected in [
        "0 is not in 1..=256",
        "{acount} is not known",
        "unexpected argument '--bogus' found",
        "could not read the accounts file",
        "\"nowhere\" is not a region",
        "1 is not in 3..=43200 (from FLEET_VISIBILITY_TIMEOUT)",
        "a queue's URL is needed",
        "no report bucket is named",
    ] {
        assert!(message.contains(expected), "should say {expected:?}: {message}");
    }
    assert!(message.starts_with("error: 8 things are wrong:\n"), "{message}");

    let output =
        worker(&["collect", "--date", "2999-01-01", "--dataset", "s4", "--output", "/no/such/folder/x"], &[]);
    let message = text(&output.stderr);
    for expected in
        ["is not over yet", "dataset \"s4\" is unknown", "no account is named", "/no/such/folder/x"]
    {
        assert!(message.contains(expected), "should say {expected:?}: {message}");
    }
}

#[test]
fn an_account_without_credentials_fails_by_name_and_does_not_ask_as_the_worker_itself() {
    let yesterday = (Utc::now().date_naive() - Days::new(1)).to_string();
    let output = worker(&["collect", "--account-name", "opra-dev", "--date", &yesterday], &[]);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("opra_dev_account_access_key"), "{message}");
}
