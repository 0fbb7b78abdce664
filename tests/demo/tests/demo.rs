// SPDX-License-Identifier: Apache-2.0
//! The demo as a person runs it, its output read as a person would.

use std::{path::Path, process::Command};

use kit::{Ended, expected::cells};

/// What is shown of the job that fails, in this order.
const FAILURE: [&str; 17] = [
    "$ export data_account_access_key=",
    "$ producer run --account-name data,web,legacy --date ",
    "3 jobs sent",
    "$ worker run --concurrency 1 --exit-when-empty ",
    "$ producer status --watch",
    "legacy s3_daily_storage failed ",
    "2 complete (2 provisional, 2 late), 1 failed",
    "(exit status 3)",
    "$ producer failed",
    "no_credentials: account legacy has no credentials; set legacy_account_access_key and ",
    "1 dead letter in ",
    "$ export legacy_account_access_key=",
    "$ producer replay --all",
    "1 dead letter replayed",
    "$ worker run --concurrency 1 --exit-when-empty ",
    "$ producer status --watch",
    "3 complete (3 provisional, 3 late)",
];

fn demo(arguments: &[&str], output: &Path) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    let ended = command
        .args(arguments)
        .arg("--output")
        .arg(output)
        // What a person's shell may have must not reach the fleet.
        .env("AWS_PROFILE", "of-another-account")
        .env("FLEET_LOOKBACK_DAYS", "nonsense")
        .output()
        .expect("the demo starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ended { code: ended.status.code(), stdout: text(ended.stdout), stderr: text(ended.stderr) }
}

#[test]
fn the_whole_fleet_runs_within_80_columns_and_its_reports_add_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let Ended { stdout, stderr, .. } = demo(&["--buckets", "60"], folder.path()).status(0);
    assert_eq!(stderr, "");
    assert!(!stdout.contains('\x1b'), "colour is for terminals:\n{stdout}");
    let too_long: Vec<&str> = stdout.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(too_long.is_empty(), "{too_long:#?}");

    // However the lines are broken.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let all_words = words(&stdout);
    let mut rest = all_words.as_str();
    for shown in FAILURE {
        let Some((_, after)) = rest.split_once(shown) else { panic!("{shown:?} is not next in\n{stdout}") };
        rest = after;
    }
    assert_eq!(stdout.matches("legacy_account_access_key=").count(), 1, "at first, its keys are missing");

    let mut sums = [0; 3];
    for account in ["data", "web", "legacy"] {
        let table = std::fs::read_to_string(folder.path().join(format!("{account}.csv"))).expect("a report");
        let rows = cells(&table);
        assert!(rows.iter().all(|row| row["account_name"] == account));
        // The listed ones, and one that was deleted.
        assert_eq!(rows.len(), 61, "{account}");
        let known = |column: &str| rows.iter().filter_map(|row| row[column].parse::<u64>().ok()).sum::<u64>();
        let of_account = [rows.len() as u64, known("total_objects"), known("size_total")];
        sums = std::array::from_fn(|nth| sums[nth] + of_account[nth]);
    }
    let [rows, objects, bytes] = sums;
    let total = format!("total: {rows} rows, {} in {objects} objects, ", cli::output::size(bytes));
    assert!(rest.contains(&total), "{total} is not in\n{stdout}");
    for status in ["ok", "late", "no_data", "deleted"] {
        assert!(
            stdout.lines().any(|line| line.ends_with(&format!("  {status}"))),
            "no row is {status}\n{stdout}"
        );
    }

    // A second dataset: hours of services, each minute, of the same accounts.
    let (_, services) = rest.split_once("--dataset ecs_service --last 3h").expect("a second dataset");
    let (_, status) = services.split_once("$ producer status --watch").expect("its status");
    assert_eq!(status.matches(" ecs_service complete settled ").count(), 3, "{stdout}");
    let table = std::fs::read_to_string(folder.path().join("data-ecs_service.csv")).expect("a report");
    let rows = cells(&table);
    assert_eq!(rows.len(), 3 * 60, "three services, each minute");
    assert!(rows.iter().all(|row| row["status"] == "ok" && row["period_seconds"] == "60"));
    let mean =
        |row: &std::collections::HashMap<String, String>, column: &str| row[column].parse::<f64>().ok();
    for row in &rows {
        let [average, most] = ["average", "maximum"].map(|it| mean(row, &format!("cpu_utilization_{it}")));
        assert!(average.is_some() && average <= most, "{row:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_created_is_reported_at_once() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let Ended { stdout, stderr, .. } = demo(&[], file.path()).status(1);
    assert!(stderr.starts_with("demo: could not make the folder"), "{stderr}");
    assert_eq!(stdout, "");
}
