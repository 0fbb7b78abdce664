// SPDX-License-Identifier: Apache-2.0
//! The producer's command line, end to end through the binary: what it refuses, with which words and
//! which exit status. Nothing here reaches AWS; the end-to-end tests do.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

const QUEUE: &str = "https://sqs.eu-west-1.amazonaws.com/111111111111/jobs";

/// The producer with those arguments and variables, and no others.
fn producer(args: &[&str], variables: &[(&str, &str)], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_producer"))
        .args(args)
        .env_clear()
        // Nothing of AWS is asked for that could make a test wait or depend on its machine.
        .envs([("AWS_REGION", "eu-west-1"), ("AWS_EC2_METADATA_DISABLED", "true")])
        // Nothing listens on the discard port: a test that reaches AWS fails at once.
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the producer starts");
    // A producer that fails before it reads closes its end.
    let _ = child.stdin.take().expect("piped").write_all(stdin.as_bytes());
    child.wait_with_output().expect("the producer ends")
}

/// A producer with a queue and a bucket, which a bad request must not reach.
fn configured(args: &[&str], stdin: &str) -> Output {
    let variables = [("FLEET_QUEUE_URL", QUEUE), ("FLEET_REPORT_BUCKET", "reports")];
    producer(args, &variables, stdin)
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

#[track_caller]
fn refused(output: &Output, expected: &str) {
    let stderr = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains(expected), "{stderr}\nshould say {expected}");
    assert!(output.stdout.is_empty(), "data alone goes to standard output");
}

fn help(args: &[&str]) -> String {
    let output = producer(args, &[], "");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn help_teaches() {
    insta::assert_snapshot!("help", help(&["--help"]));
    insta::assert_snapshot!("help_run", help(&["run", "--help"]));
    insta::assert_snapshot!("help_status", help(&["status", "--help"]));
    insta::assert_snapshot!("help_failed", help(&["failed", "--help"]));
    insta::assert_snapshot!("help_replay", help(&["replay", "--help"]));
    insta::assert_snapshot!("help_datasets", help(&["datasets", "--help"]));
}

#[test]
fn the_table_of_a_dataset_is_a_statement() {
    let athena = ["datasets", "--format", "athena"];
    let statement = |args: &[&str]| help(&[&athena, args].concat());
    insta::assert_snapshot!(
        "datasets_athena",
        statement(&["sqs", "--window", "5m", "--location", "s3://my-reports/copies", "--database", "fleet"])
    );
    let bucket = [("FLEET_REPORT_BUCKET", "my-reports")];
    let of_bucket = producer(&[&athena, &["sqs"][..]].concat(), &bucket, "");
    let same = statement(&["sqs", "--location", "s3://my-reports"]);
    assert_eq!(String::from_utf8_lossy(&of_bucket.stdout), same);
    refused(
        &producer(&[&athena, &["sqs"][..]].concat(), &[], ""),
        "needs the place of the reports: --report-bucket or FLEET_REPORT_BUCKET, or --location, as s3://my-reports/",
    );
    let all = ["elb", "--location", "reports", "--window", "7m", "--database", "a.b"];
    let all = producer(&[&athena, &all[..]].concat(), &[], "");
    for expected in [
        "\"elb\" is a group of datasets; name one of them: elb_application",
        "\"reports\" is not of the form s3://bucket/",
        "7m",
        "\"a.b\" is no name of a database",
    ] {
        refused(&all, expected);
    }
    refused(&producer(&athena, &bucket, ""), "--format athena is of one dataset");
    let short = ["ec2", "--window", "1m", "--report-bucket", "my-reports"];
    refused(&producer(&[&athena, &short[..]].concat(), &[], ""), "shorter than its period, 5m");
}

#[test]
fn the_version_names_the_commit() {
    assert_eq!(help(&["--version"]), format!("producer {}\n", cli::VERSION));
}

#[test]
fn completions_and_man_pages_are_printed_or_written() {
    assert!(help(&["completions", "bash"]).contains("complete -F _producer"));
    assert!(help(&["completions", "zsh"]).starts_with("#compdef producer"));
    refused(&producer(&["completions", "csh"], &[], ""), "[possible values: bash, elvish, fish,");
    assert!(help(&["man"]).contains(".TH producer 1"));
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("man1");
    assert_eq!(help(&["man", place.to_str().expect("UTF-8")]), "");
    let page = std::fs::read_to_string(place.join("producer-run.1")).expect("a page");
    assert!(page.contains("FLEET_ONLY_INCOMPLETE"), "{page}");
    let output = producer(&["man", "/dev/null/man1"], &[], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("could not write the man pages to /dev/null/man1"));
}

#[test]
fn no_command_shows_the_help() {
    let output = producer(&[], &[], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("Usage: producer"), "{}", stderr(&output));
}

#[test]
fn a_missing_queue_or_bucket_is_named_with_its_variable() {
    let queue = "no work queue is named; set FLEET_QUEUE_URL or pass --queue-url";
    let bucket = "no report bucket is named; set FLEET_REPORT_BUCKET or pass --report-bucket";
    for command in ["run", "status"] {
        let output = producer(&[command], &[], "");
        refused(&output, queue);
        refused(&output, bucket);
        refused(&producer(&[command], &[("FLEET_REPORT_BUCKET", "reports")], ""), queue);
        refused(&producer(&[command], &[("FLEET_QUEUE_URL", QUEUE)], ""), bucket);
    }
    // Dead letters need no bucket.
    for command in [&["failed"][..], &["replay", "--all"]] {
        let output = producer(command, &[], "");
        refused(&output, queue);
        assert!(!stderr(&output).contains(bucket), "{}", stderr(&output));
    }
}

#[test]
fn a_proxy_that_speaks_no_http_is_refused_before_any_request() {
    let variables = [("ALL_PROXY", "socks5://user:canary@127.0.0.1:9"), ("FLEET_QUEUE_URL", QUEUE)];
    let output = producer(&["failed"], &variables, "");
    refused(&output, "ALL_PROXY socks5://127.0.0.1:9 is not an HTTP proxy; write it as http://HOST:PORT");
    assert!(!stderr(&output).contains("canary"), "{}", stderr(&output));
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
}

#[test]
fn a_replay_without_a_selection_tells_the_three_ways() {
    for flag in ["--account-name NAME", "--run-id ID", "--reason CODE", "--all"] {
        refused(&configured(&["replay"], ""), flag);
        refused(&configured(&["replay", "--force"], ""), flag);
    }
    refused(&configured(&["replay", "--all", "--account-name", "data"], ""), "pass one or the other");
    refused(&configured(&["replay", "--account-name", "a/b"], ""), "account name \"a/b\" is not well-formed");
    refused(&configured(&["replay", "--all", "--reason", "panic"], ""), "pass one or the other");
    for command in ["replay", "failed"] {
        let output = configured(&[command, "--reason", "panic, denied"], "");
        refused(&output, "no dead letter has this reason; there are bad_message, over_budget, too_old, ");
        assert!(!stderr(&output).contains("own_fault"), "{}", stderr(&output));
    }
    let variables = [("FLEET_QUEUE_URL", QUEUE), ("FLEET_ALL", "1"), ("FLEET_RUN_ID", "r-1")];
    refused(&producer(&["replay"], &variables, ""), "FLEET_REASON say so too");
}

#[test]
fn an_ill_formed_flag_says_how_to_write_it() {
    refused(&configured(&["run", "--queue-url", "jobs"], ""), "a queue's URL is needed, such as https://");
    refused(&configured(&["run", "--request", ""], ""), "a value is required for '--request <FILE|->'");
    refused(&configured(&["run", "--accounts="], ""), "a value is required for '--accounts <FILE>'");
    refused(&configured(&["run", "--report-bucket", "s3://x/y"], ""), "give the name alone, without s3://");
    refused(
        &configured(&["run", "--key-template", "{acount}"], ""),
        "{acount} is not known; use {dataset} {date}",
    );
    refused(
        &configured(&["run", "--wait", "--wait-timeout", "soon"], ""),
        "\"soon\" is not a duration; write it as 30m or 2h",
    );
    refused(&configured(&["run", "--wait-timeout", "5m"], ""), "--wait-timeout does nothing without --wait");
    refused(&configured(&["run", "--settled"], ""), "--settled does nothing without --wait");
    refused(&configured(&["status", "a/b"], ""), "run id \"a/b\" is not well-formed");
    refused(&configured(&["status", "--run-id", "a/b"], ""), "run id \"a/b\" is not well-formed");
    refused(&configured(&["status", "notanid"], ""), "\"notanid\" is not the id of a run, such as 019a6b0c-");
    refused(
        &configured(&["status", "019a6b0"], ""),
        "is too short; give at least 8 characters of the run's id",
    );
    refused(
        &configured(&["run", "--wait", "--wait-timeout", "5"], ""),
        "\"5\" is not a duration; write it as 30m",
    );
    refused(
        &configured(&["run", "--from", "2026-11-01"], ""),
        "from is given without to; add to (--to), which is exclusive",
    );
    refused(&configured(&["runs"], ""), "some similar subcommands exist: 'status', 'run'");
    refused(&configured(&["run", "--only-incompleet"], ""), "--only-incomplete");
    refused(
        &producer(&["run"], &[("FLEET_DRY_RUN", "perhaps")], ""),
        "invalid value 'perhaps' for '--dry-run'",
    );
}

#[test]
fn one_fault_hides_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let accounts = folder.path().join("accounts.toml");
    std::fs::write(&accounts, "[[account]]\nname = 'a b'\n").expect("written");
    let accounts = accounts.to_str().expect("UTF-8");
    let args = [
        "run",
        "--date",
        "2026-02-30",
        "--dataset=s4",
        "--request",
        "/does/not/exist",
        "--accounts",
        accounts,
        "--key-template",
        "{acount}",
        "--bogus",
        "--wait-timeout",
        "5",
    ];
    let output = producer(&args, &[("FLEET_FORMAT", "xml")], "");
    let expected = [
        "date \"2026-02-30\" is not a calendar day",
        "dataset \"s4\" is unknown",
        "could not read the request /does/not/exist: No such file",
        "account name \"a b\" is not well-formed",
        "{acount} is not known; use {dataset} {date}",
        "unexpected argument '--bogus' found",
        "\"5\" is not a duration",
        "invalid value 'xml' for '--format <FORMAT>' [possible values: text, json] (from FLEET_FORMAT)",
        "no work queue is named",
        "no report bucket is named",
    ];
    for expected in expected {
        refused(&output, expected);
    }
    let stderr = stderr(&output);
    assert!(stderr.starts_with("error: 10 things are wrong:\n"), "{stderr}");
    assert!(stderr.ends_with("\n\nFor more information, try '--help'.\n"), "{stderr}");

    let output = producer(&["status", "notanid", "--formt", "json"], &[("FLEET_QUEUE_URL", "jobs")], "");
    for expected in
        ["is not the id of a run", "'--formt'", "a queue's URL is needed", "no report bucket is named"]
    {
        refused(&output, expected);
    }
    assert!(!self::stderr(&output).contains("no work queue is named"), "it is, though wrongly");
    let output = producer(&["replay", "--reason", "own_fault"], &[], "");
    refused(&output, "no dead letter has this reason");
    refused(&output, "no work queue is named");
    assert!(!self::stderr(&output).contains("nothing says what to replay"), "{}", self::stderr(&output));
}

#[test]
fn help_is_offered_only_if_it_helps() {
    let more = "For more information, try '--help'";
    let folder = tempfile::tempdir().expect("a folder");
    let accounts = folder.path().join("accounts.toml");
    std::fs::write(&accounts, "[[account]]\nnam = 'a'\n").expect("written");
    let args = ["run", "--date", &yesterday(), "--accounts", accounts.to_str().expect("UTF-8")];
    let output = configured(&args, "");
    refused(&output, "unknown field `nam`");
    assert!(!stderr(&output).contains(more), "{}", stderr(&output));
    let output = configured(&["run", "--account-name", "data", "--request", "-"], "nonsense");
    refused(&output, "is not JSON");
    assert!(!stderr(&output).contains(more), "{}", stderr(&output));
    refused(&producer(&["failed"], &[], ""), more);
}

#[test]
fn a_dry_run_needs_nothing_of_aws() {
    let date = yesterday();
    let run = |args: &[&str]| {
        let output = producer(
            &[&["run", "--dry-run", "--account-name", "data,web", "--date", &date], args].concat(),
            &[],
            "",
        );
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let text = run(&[]);
    assert!(text.contains("2 jobs to send; cost: $0.00 to $0.06; nothing was sent"), "{text}");
    assert!(text.contains("past reports could not be read: no report bucket is named"), "{text}");
    assert!(!text.contains("no report of the account was found"), "{text}");
    assert!(
        text.contains("--only-incomplete collects them again after that: $0.00 to $0.12 in all"),
        "{text}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&run(&["--format", "json", "--buckets", "100"])).expect("JSON");
    assert_eq!((&json["cost_usd_least"], &json["cost_usd_most"]), (&0.008.into(), &0.012.into()), "{json}");
    refused(&configured(&["run", "--account-name", "data", "--buckets", "5"], ""), "add --dry-run");
}

#[test]
fn a_time_to_wait_may_be_set_for_all_runs() {
    let variables =
        [("FLEET_QUEUE_URL", QUEUE), ("FLEET_REPORT_BUCKET", "reports"), ("FLEET_WAIT_TIMEOUT", "30m")];
    let output = producer(&["run", "--account-name", "data", "--date", "2999-01-01"], &variables, "");
    refused(&output, "date 2999-01-01 is not over yet in UTC");
    assert!(!stderr(&output).contains("--wait"), "{}", stderr(&output));
}

#[test]
fn a_bad_request_is_refused_with_every_fault() {
    let run = |stdin: &str| configured(&["run", "--request", "-"], stdin);
    let name = "the request on standard input";
    refused(&run("nonsense"), &format!("{name} is not JSON: expected ident at line 1 column 2"));
    refused(&run("[1]"), &format!("{name} is a list, not a JSON object"));
    refused(
        &run(&format!("{{\"x\":{}", "[".repeat(300))),
        &format!("{name} is nested more than 127 levels deep"),
    );

    let output = run(
        r#"{"account_name":["a b","x","x"],"date":"2026-02-30","dataset":"s4","run_id":"r","acount_name":"y"}"#,
    );
    for expected in [
        "account name \"a b\" is not well-formed; it takes 1 to 63",
        "account x: is listed twice; leave one out",
        "date \"2026-02-30\" is not a calendar day; write it as YYYY-MM-DD",
        "dataset \"s4\" is unknown; this version has ",
        "\"run_id\" is not an attribute: leave it out",
        "attribute \"acount_name\" looks like account_name; correct it, or if you mean it, pass --attribute 'acount_name=y'",
    ] {
        refused(&output, expected);
    }
}

#[test]
fn bad_flags_of_a_request_are_refused() {
    let run = |args: &[&str]| configured(&[&["run", "--account-name", "data"], args].concat(), "");
    refused(&run(&["--date", "2026-13-01"]), "date \"2026-13-01\" is not a calendar day");
    refused(&run(&["--date", "2999-01-01"]), "date 2999-01-01 is not over yet in UTC");
    refused(&run(&["--date", "2001-01-01"]), "date 2001-01-01 is too old");
    refused(&run(&["--dataset", "s4"]), "dataset \"s4\" is unknown");
    refused(&run(&["--account-name", "data"]), "account data: is listed twice");
    refused(
        &run(&["--account-name", "opra-dev,opra_dev"]),
        "both have their access keys in opra_dev_account_access_key",
    );
    refused(&run(&["--attribute", "run_id=r"]), "\"run_id\" is not an attribute: leave it out");
    refused(&run(&["--attribute", "ticket"]), "write KEY=VALUE for a string");
    let note = format!("note={}", "x".repeat(66_000));
    refused(&run(&["--attribute", &note]), "account data: its job has 66");
    refused(&run(&["--request", "/does/not/exist"]), "could not read the request /does/not/exist");
    refused(&configured(&["run"], ""), "no account at all: name one with --account-name");
    // Today is not over, unless midnight passes meanwhile.
    let today = || chrono::Utc::now().date_naive();
    let date = today();
    let output = run(&["--date", &date.to_string()]);
    if date == today() {
        refused(&output, "is not over yet in UTC");
    }
}

#[test]
fn a_key_template_under_which_jobs_meet_is_refused() {
    let run = |template: &str| {
        let args = ["run", "--account-name", "a,b", "--date", &yesterday(), "--key-template", template];
        configured(&args, "")
    };
    refused(&run("{date}.csv"), "two jobs of one run would have the same key; add {account}");
    refused(
        &run("{account_id}.csv"),
        "{account_id} needs the id of every account, and there is no accounts file",
    );
    refused(&run("runs/{account}.csv"), "'runs/' is reserved");

    let args = ["run", "--only-incomplete", "--account-name", "a", "--date", &yesterday()];
    let output = configured(&[&args[..], &["--key-template", "{run_id}/{account}.csv"]].concat(), "");
    refused(&output, "take {run_id} out of it");
}

#[test]
fn a_bad_accounts_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("accounts.toml");
    let path = path.to_str().expect("UTF-8");
    let run = |text: &str, account: &str| {
        std::fs::write(path, text).expect("written");
        configured(&["run", "--accounts", path, "--account-name", account, "--date", &yesterday()], "")
    };
    refused(&run("[[account]]\nname = 'data'\nregoin = 'x'\n", "data"), "unknown field `regoin`");
    refused(
        &run("[[account]]\nname = 'a-b'\n[[account]]\nname = 'a_b'\n", "a-b"),
        "accounts a-b and a_b: both have their access keys",
    );
    refused(
        &run("[[account]]\nname = 'data'\n", "dta"),
        "account dta: is not in the accounts file; correct the name",
    );
    refused(&configured(&["run", "--accounts", "/does/not/exist"], ""), "could not read the accounts file");
}

#[test]
fn variables_replace_flags() {
    let variables = [
        ("FLEET_QUEUE_URL", QUEUE),
        ("FLEET_REPORT_BUCKET", "reports"),
        ("FLEET_DEFAULT_ACCOUNTS", "data, no such, "),
        ("FLEET_DATE", "2026-02-30"),
        ("FLEET_DATASET", "s4"),
        ("FLEET_ATTRIBUTE", "run_id=r"),
    ];
    let output = producer(&["run"], &variables, "");
    for expected in [
        "account name \"no such\" is not well-formed",
        "account name \"\" is not well-formed",
        "date \"2026-02-30\"",
        "dataset \"s4\"",
        "\"run_id\" is not an attribute: leave it out",
    ] {
        refused(&output, expected);
    }
}

fn yesterday() -> String {
    let yesterday = chrono::Utc::now() - chrono::TimeDelta::days(1);
    yesterday.format("%Y-%m-%d").to_string()
}
