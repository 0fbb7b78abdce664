//! The demo as a person runs it, its output read as a person would.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use cli::output::size;

/// How many rows each report has: the buckets of `--buckets 60`, and one that was deleted.
const ROWS: [(&str, u64); 5] = [("data", 61), ("web", 36), ("backup-eu", 21), ("sandbox", 6), ("legacy", 3)];

/// What is told of the job that fails, in this order.
const FAILURE: [&str; 16] = [
    "  legacy     can't be done, to the dead-letter queue: no_credentials\n",
    "   $ producer status --watch\n",
    "   legacy     s3_daily_storage  failed ",
    " 4 complete (4 provisional, 1 late), 1 failed\n",
    "(exit status 3: ",
    "   $ producer failed\n",
    "     no_credentials: account legacy has no credentials; set legacy_account_access_key and ",
    "       legacy   s3_daily_storage  ",
    "   1 dead letter in ",
    "   $ export legacy_account_access_key=",
    "   $ producer replay --run-id ",
    "   1 dead letter replayed\n",
    "   worker 3  legacy  ",
    "   $ producer status\n",
    " 5 complete (5 provisional, 1 late)\n",
    "(exit status 0: ",
];

fn demo(arguments: &[&str], output: &Path) -> Output {
    demo_at(100, arguments, output)
}

/// The demo on so many columns.
fn demo_at(columns: usize, arguments: &[&str], output: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command
        .args(arguments)
        .arg("--output")
        .arg(output)
        .env("COLUMNS", columns.to_string())
        // What a person's shell may have must not reach the fleet.
        .env("AWS_PROFILE", "of-somebody-else")
        .env("FLEET_LOOKBACK_DAYS", "nonsense");
    command.output().expect("the demo starts")
}

/// Rows, objects and bytes of a report.
fn sums(path: &Path) -> [u64; 3] {
    let mut reader = csv::Reader::from_path(path).expect("a report");
    let rows: Vec<HashMap<String, String>> = reader.deserialize().collect::<Result<_, _>>().expect("rows");
    let total = |column: &str| {
        let cells = rows.iter().map(|row| &row[column]).filter(|cell| !cell.is_empty());
        cells.map(|cell| cell.parse::<u64>().expect("a number")).sum()
    };
    [rows.len() as u64, total("total_objects"), total("size_total")]
}

/// The cells of the line of the last table that is about an account, after its name.
fn line(stdout: &str, account: &str) -> Vec<String> {
    let lines = stdout.lines().skip_while(|line| !line.contains("API CALLS")).skip(1);
    let cells = |line: &str| -> Vec<String> {
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
    };
    let mut line = lines
        .map(cells)
        .find(|cells| cells.first().is_some_and(|cell| cell == account))
        .unwrap_or_else(|| panic!("no line of {account} in\n{stdout}"));
    line.remove(0);
    line
}

fn number(cell: &str) -> f64 {
    cell.replace([',', '$'], "").parse().expect("a number")
}

/// Rows, objects and bytes as a line shows them.
fn shown_as([rows, objects, bytes]: [u64; 3], line: &[String]) -> bool {
    let plain = |cell: &str| cell.replace(',', "");
    plain(&line[0]) == rows.to_string() && plain(&line[1]) == objects.to_string() && line[2] == size(bytes)
}

#[test]
fn the_whole_fleet_runs_and_the_table_adds_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let ended = demo(&["--buckets", "60"], folder.path());
    let stdout = String::from_utf8(ended.stdout).expect("UTF-8");
    let stderr = String::from_utf8(ended.stderr).expect("UTF-8");
    assert!(ended.status.success(), "{stdout}\n{stderr}");
    assert_eq!(stderr, "", "a bar is for terminals");
    assert!(!stdout.contains('\x1b'), "colour is for terminals:\n{stdout}");

    let paths: Vec<PathBuf> = stdout
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with('/') && line.ends_with("/report.csv"))
        .map(PathBuf::from)
        .collect();
    assert_eq!(paths.len(), ROWS.len(), "{stdout}");
    let mut all = [0; 3];
    for ((account, rows), path) in ROWS.iter().zip(&paths) {
        let sums = sums(path);
        assert_eq!(sums[0], *rows, "{account}");
        let shown = line(&stdout, account);
        assert!(shown_as(sums, &shown), "{account}: {shown:?}, {sums:?}");
        assert!(number(&shown[3]) >= 4.0 && number(&shown[4]) > 0.0, "calls and dollars: {shown:?}");
        for (all, sum) in all.iter_mut().zip(sums) {
            *all += sum;
        }
    }
    let shown = line(&stdout, "all");
    assert!(shown_as(all, &shown), "{shown:?}, {all:?}");
    let calls: f64 = ROWS.iter().map(|(account, _)| number(&line(&stdout, account)[3])).sum();
    assert!((number(&shown[3]) - calls).abs() < 0.5, "{} calls, {calls}", shown[3]);

    // However the lines are broken.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let all_words = words(&stdout);
    let mut rest = all_words.as_str();
    for told in FAILURE {
        let Some((_, after)) = rest.split_once(&words(told)) else {
            panic!("{told:?} is not next in\n{stdout}")
        };
        rest = after;
    }
    assert!(rest.contains("worker 3 was told to stop by SIGTERM and left, with 1 job done."), "{stdout}");
    assert_eq!(stdout.matches("legacy_account_access_key=").count(), 1, "at first, its keys are missing");
}

#[test]
fn no_line_is_torn_at_eighty_columns() {
    let folder = tempfile::tempdir().expect("a folder");
    let ended = demo_at(80, &["--buckets", "10"], folder.path());
    let stdout = String::from_utf8(ended.stdout).expect("UTF-8");
    assert!(ended.status.success(), "{stdout}");
    // What can't be broken, such as a path, is alone in its line.
    let is_torn = |line: &&str| {
        line.chars().count() > 80 && line.trim_end_matches(" \\").split_whitespace().count() > 1
    };
    let torn: Vec<&str> = stdout.lines().filter(is_torn).collect();
    assert!(torn.is_empty(), "{}\n-- of\n{stdout}", torn.join("\n"));
}

#[test]
fn a_folder_that_can_not_be_made_is_told_at_once() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let ended = demo(&[], file.path());
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("demo: could not make the folder"), "{stderr}");
    assert!(ended.stdout.is_empty());
}
