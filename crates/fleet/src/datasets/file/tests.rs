// SPDX-License-Identifier: Apache-2.0
use proptest::prelude::*;

use super::{super::Missing, metric::UNITS, *};

const S3: &str = include_str!("../../../../../datasets/s3_daily_storage.toml");

fn faults(text: &str) -> String {
    Dataset::parse(text).expect_err("it has faults").to_string()
}

/// The file of the daily storage metrics with a text in place of another.
fn with(before: &str, after: &str) -> String {
    assert_eq!(S3.matches(before).count(), 1, "{before:?}");
    S3.replace(before, after)
}

#[test]
fn all_that_is_wrong_is_said_at_once_with_line_and_key() {
    let text = "\
name      = \"S3\"
namespace = \"AWS/S3\"
resource  = [\"BucketName\", \"BucketName\"]
shape     = \"oldest_day\"
layout    = \"tall\"
period    = \"7m\"
window    = \"7h\"
settle    = \"soon\"
discovery = \"list_buckets\"
regions   = \"of_resources\"
colour    = \"red\"
tags      = \"s3\"

[[metric]]
name       = \"BucketSizeBytes\"
unit       = \"Byte\"
statistics = [\"p101\"]
counter    = 1
missing    = 0

[metric.split]
dimension = \"BucketName\"
values    = { a = { column = \"Size\", class = \"big\" } }
typical   = 0

[[derived]]
name  = \"Rate\"
ratio = [\"a\"]
over  = \"b\"
";
    assert_eq!(
        faults(text),
        "\
line 1, arn: is missing; tags are found by it
line 1, name: is not of small letters, digits and _, 64 at most
line 1, title: is missing
line 3, resource[1]: \"BucketName\" is there twice
line 4, shape: \"oldest_day\" is none of newest_day, series
line 5, layout: \"tall\" is none of wide, long
line 6, period: is no period: whole minutes that divide a day
line 7, window: is no window: whole minutes that divide a day
line 8, settle: is no duration: a number and s, m, h or d, such as 5m
line 11, colour: is no key of this table, which has arn, bytes, derived, discovery, group, layout, metric, name, \
         namespace, objects, period, regions, resource, settle, shape, tags, title, window
line 16, metric[0].unit: \"Byte\" is none of "
            .to_owned()
            + &UNITS.join(", ")
            + "
line 17, metric[0].statistics[0]: \"p101\" is none of Average, Minimum, Maximum, Sum, SampleCount, and no percentile such as p99.9
line 18, metric[0].counter: is neither true nor false
line 19, metric[0].missing: is not a text; write it in quotes
line 21, metric[0].split.values: names no value with its column
line 22, metric[0].split.dimension: is a dimension of the resource already
line 23, metric[0].split.values.a.class: \"big\" is none of general, directory
line 23, metric[0].split.values.a.column: is no name of a column: small letters, digits and _, the first a letter
line 24, metric[0].split.typical: is not a whole number above 0
line 27, derived[0].name: is no name of a column: small letters, digits and _, the first a letter
line 28, derived[0].ratio: is not two columns: the one that is divided, and the one that it is divided by
line 29, derived[0].over: is no key of this table, which has arm64_saving, lambda_cost, name, of_timeout, \
         ratio"
    );
}

#[test]
fn one_fault_is_said_alone() {
    let two = |name: &str| format!("metric: two columns are {name}");
    for (text, expected) in [
        (with("shape     = ", "form = "), "shape: is missing"),
        (with("[\"BucketName\"]", "[]"), "line 11, resource: is not a list with an item in it"),
        (with("[\"BucketName\"]", "[\"BucketName\", \"FilterId\"]"), "resource: is one dimension in"),
        (with("[\"BucketName\"]", "[\"4xx\"]"), "line 11, resource[0]: makes no name of a column"),
        (with("\"60h\"", "\"61d\""), "line 16, settle: is longer than 60 days"),
        (
            with("period    = \"1d\"", "period = \"1m\""),
            "line 14, period: is 1d in a dataset of shape newest_day",
        ),
        (
            with("window    = \"1d\"", "window = \"1h\""),
            "line 15, window: is 1d in a dataset of shape newest_day",
        ),
        (
            with("bytes     = \"size_total\"", "bytes = \"region\""),
            "line 19, bytes: \"region\" is no column of",
        ),
        (with("\"BucketSizeBytes\"", "\"NumberOfObjects\""), "metric[1].name: is the name of two metrics"),
        (
            with("other     = ", "others = "),
            "metric[1].split.others: is no key of this table, which has dimension",
        ),
        (with("\"size_other\"", "\"total_objects\""), &*two("total_objects")),
        (with("settle    = ", "settle = [1, "), "line 17: "),
    ] {
        let said = faults(&text);
        assert!(said.contains(expected), "{said}\nshould say {expected}");
    }
}

#[test]
fn a_metric_has_no_more_statistics_than_one_call_has_room_for() {
    let percentiles = |count: usize| -> String {
        let all: Vec<_> = (0..count).map(|nth| format!("\"p{nth}\"")).collect();
        SERVICES.replacen("[\"Sum\", \"p99.9\"]", &format!("[{}]", all.join(", ")), 1)
    };
    assert!(Dataset::parse(&percentiles(70)).is_ok());
    assert!(faults(&percentiles(71)).contains("statistics: has 71 statistics; at most 70 fit into one call"));
}

#[test]
fn several_statistics_of_a_day_have_no_column() {
    let text = S3.replacen("[\"Average\"]", "[\"Average\", \"Sum\"]", 1);
    assert!(
        faults(&text).contains("metric[0].statistics: is one statistic in a dataset of shape newest_day")
    );
}

const SERVICES: &str = r#"
name      = "services"
title     = "Services"
namespace = "Test/Services"
resource  = ["ClusterName", "ServiceName"]
shape     = "series"
period    = "1m"
settle    = "10m"
discovery = "list_metrics"
regions   = ["us-east-1"]

[[metric]]
name       = "Requests"
unit       = "Count"
statistics = ["Sum", "p99.9"]

[[metric]]
name       = "Errors"
unit       = "Count"
statistics = ["Sum"]
missing    = { zero_with = "Requests" }
"#;

#[test]
fn what_only_another_shape_has_is_refused() {
    let is = Dataset::parse(SERVICES).expect("a dataset");
    assert_eq!(is.metrics[1].missing, Missing::ZeroWith("Requests".into()));
    assert_eq!(is.columns[8].name, "requests_p99_9");
    let s3 = |before: &str, after: &str| with(before, after);
    let series = |before: &str, after: &str| SERVICES.replacen(before, after, 1);
    let split = "\n[metric.split]\ndimension = \"Kind\"\nvalues = { Mail = \"mail\" }\nother = \"other\"\n";
    for (text, expected) in [
        (
            s3("\"list_buckets\"", "\"list_metrics\""),
            "discovery: is list_buckets in a dataset of shape newest_day",
        ),
        (
            s3("\"of_resources\"", "\"configured\""),
            "regions: is of_resources if the discovery is list_buckets",
        ),
        (
            s3("\"Bytes\"", "\"Percent\""),
            "metric[1].unit: is Bytes or Count in a dataset of shape newest_day",
        ),
        (
            series("list_metrics", "list_buckets"),
            "discovery: is list_metrics or list_functions in a dataset of shape series",
        ),
        (
            series("[\"us-east-1\"]", "\"of_resources\""),
            "regions: is enabled, configured, or a list of regions if",
        ),
        (series("[\"us-east-1\"]", "[\"Ireland\"]"), "regions[0]: is no region; write it as eu-west-1"),
        (
            series("[\"us-east-1\"]", "\"all\""),
            "regions: \"all\" is none of of_resources, enabled, configured",
        ),
        (series("\"Errors\"", "\"4xx\""), "metric[1].column: is needed, since 4xx is no name of a column"),
        (series("= \"Requests\" }", "= \"Errors\" }"), "metric[1].missing: \"Errors\" is no other metric"),
        (series("zero_with", "null_with"), "metric[1].missing.null_with: is no key of this table"),
        (
            SERVICES.replacen("[\"Sum\"]", "[\"Average\"]", 1) + split,
            "metric[1].split: puts several values into one column",
        ),
        (
            SERVICES.to_owned() + split + "total = \"all\"\n",
            "metric[1].split.total: is not in a dataset of shape series",
        ),
        (SERVICES.to_owned() + "bytes = \"x\"\n", "metric[1].bytes: is no key of this table"),
        (
            format!("bytes = \"errors_sum\"\n{SERVICES}"),
            "line 1, bytes: \"errors_sum\" is no column of whole numbers",
        ),
    ] {
        let said = faults(&text);
        assert!(said.contains(expected), "{said}\nshould say {expected}");
    }
    assert!(
        faults(&SERVICES.replace("name       = \"Errors\"", "name = \"Requests\"")).contains("two metrics")
    );
}

fn with_derived(derived: &[[&str; 3]]) -> String {
    let table = |[name, of, by]: &[&str; 3]| {
        format!("\n[[derived]]\nname = \"{name}\"\nratio = [\"{of}\", \"{by}\"]\n")
    };
    derived.iter().map(table).fold(SERVICES.to_owned(), |text, table| text + &table)
}

#[test]
fn derived_columns_come_after_the_values_and_are_made_of_them() {
    let text = with_derived(&[
        ["error_rate", "errors_sum", "requests_sum"],
        ["skew", "requests_p99_9", "requests_sum"],
    ]);
    let dataset = Dataset::parse(&text).expect("a dataset");
    let last = dataset.columns.iter().rev().take(3).map(|column| (&*column.name, column.cell));
    assert_eq!(
        last.collect::<Vec<_>>(),
        [("status", Cell::Status), ("skew", Cell::Ratio(1, 0)), ("error_rate", Cell::Ratio(2, 0))]
    );
}

#[test]
fn all_that_is_wrong_with_derived_columns_is_said_at_once() {
    let text = with_derived(&[
        ["rate", "errors_sum", "request_sum"],
        ["rate", "requests_sum", "requests_sum"],
        ["rate", "period_seconds", "rate"],
        ["status", "errors_sum", "requests_sum"],
    ]);
    let known = "is no column of measured values, which are requests_sum, requests_p99_9, errors_sum";
    assert_eq!(
        faults(&text),
        format!(
            "\
line 25, derived[0].ratio[1]: \"request_sum\" {known}
line 29, derived[1].ratio: is not two columns: the one that is divided, and the one that it is divided by
line 29, derived[1].ratio[1]: \"requests_sum\" is there twice
line 32, derived[2].name: is the name of two columns
line 33, derived[2].ratio[0]: \"period_seconds\" {known}
line 33, derived[2].ratio[1]: \"rate\" {known}
line 36, derived[3].name: is the name of two columns"
        )
    );
    // A metric with a fault has columns that are not known, and so they are not missed.
    let text = with_derived(&[["rate", "errors_sum", "requests_sum"]]).replacen("\"Count\"", "\"Counts\"", 2);
    let said = faults(&text);
    assert!(said.lines().count() == 2 && !said.contains("derived"), "{said}");
    let text =
        S3.to_owned() + "\n[[derived]]\nname = \"mean\"\nratio = [\"size_total\", \"total_objects\"]\n";
    assert!(faults(&text).contains("derived: is not in a dataset of shape newest_day"));
}

#[test]
fn what_is_known_of_functions_needs_their_list_and_their_name() {
    let functions = SERVICES.replacen("[\"ClusterName\", \"ServiceName\"]", "[\"ServiceName\"]", 1).replacen(
        "list_metrics",
        "list_functions",
        1,
    ) + "resource = [\"service_name\"]\nnamespace = \"LambdaInsights\"\ncolumns = { Sum = \"failures\" }\n";
    let dataset = Dataset::parse(&functions).expect("a dataset");
    let names: Vec<_> = dataset.columns.iter().skip(13).map(|column| &*column.name).collect();
    assert_eq!(names, ["requests_sum", "requests_p99_9", "failures", "insights", "settled", "status"]);
    assert_eq!(dataset.resource_of(&dataset.metrics[1]), ["service_name"]);
    let long = functions.replacen("period ", "layout = \"long\"\nperiod ", 1).replacen(
        "columns = { Sum = \"failures\" }\n",
        "",
        1,
    );
    let long = Dataset::parse(&long).expect("a dataset");
    let names: Vec<_> = long.columns.iter().skip(12).map(|column| &*column.name).collect();
    assert_eq!(names, ["last_modified", "metric", "unit", "statistic", "value", "settled", "status"]);

    let derived = "\n[[derived]]\nname = \"share\"\nof_timeout = \"requests_sum\"\n";
    for (text, expected) in [
        (
            SERVICES.replacen("list_metrics", "list_functions", 1),
            "line 9, discovery: needs a resource of one dimension, whose value is the name of a function",
        ),
        (
            SERVICES.to_owned() + derived,
            "line 25, derived[0].of_timeout: needs what is known of functions, which the discovery list_functions finds",
        ),
        (
            functions.clone() + &derived.replacen("_sum", "_max", 1),
            "derived[0].of_timeout: \"requests_max\" is no column of measured values",
        ),
        (
            functions.clone() + &derived.replacen("of_timeout", "lambda_cost", 1),
            "derived[0].lambda_cost: is not two columns: the invocations, and the sum of their milliseconds",
        ),
        (
            functions.replacen("[\"service_name\"]", "[\"a\", \"b\"]", 1),
            "metric[1].resource: has not a name for each dimension of the resource, which are ServiceName",
        ),
        (
            functions.replacen("{ Sum", "{ p50", 1),
            "metric[1].columns.p50: is none of the metric's statistics: Sum",
        ),
        (functions.replacen("failures", "requests_sum", 1), "metric: two columns are requests_sum"),
    ] {
        let said = faults(&text);
        assert!(said.contains(expected), "{said}\nshould say {expected}");
    }
}

fn long() -> String {
    SERVICES.replacen("period ", "layout = \"long\"\nperiod ", 1)
}

#[test]
fn a_long_table_has_the_same_columns_whatever_is_measured() {
    // No column has its name.
    let text = long().replacen("\"Errors\"", "\"4xx\"", 1);
    let dataset = Dataset::parse(&text).expect("a dataset");
    let names: Vec<_> = dataset.columns.iter().skip(7).map(|column| &*column.name).collect();
    assert_eq!(names, ["metric", "unit", "statistic", "value", "status"]);
    assert_eq!(dataset.rows_per_period(), 3);
    assert_eq!(Dataset::parse(SERVICES).expect("a dataset").rows_per_period(), 1);
}

#[test]
fn what_a_long_table_can_not_have_is_refused() {
    let text = long()
        + "column = \"failures\"\n\n[metric.split]\ndimension = \"Kind\"\nvalues = { Mail = \"mail\" }\n\n\
           [[metric]]\nname = \"Errors\"\nnamespace = \"Other\"\nunit = \"Count\"\nstatistics = [\"Sum\"]\n\n\
           [[metric]]\nname = \"Errors\"\nunit = \"Count\"\nstatistics = [\"Sum\"]\n\n\
           [[derived]]\nname = \"rate\"\nratio = [\"a\", \"b\"]\n";
    assert_eq!(
        faults(&text),
        "\
line 23, metric[1].column: is not in a dataset of layout long, whose rows have the metric's name
line 25, metric[1].split: is not in a dataset of layout long; put its dimension into resource
line 36, metric[3].name: is the name of two metrics
line 40, derived: is not in a dataset of layout long, whose rows have one value each"
    );
    assert!(
        faults(&with("layout    = \"wide\"", "layout = \"long\""))
            .contains("layout: is wide in a dataset of shape newest_day")
    );
    let text = long().replacen("\"ServiceName\"", "\"Value\"", 1);
    assert!(faults(&text).contains("two columns are value"));
}

#[test]
fn the_example_in_contributing_is_a_dataset() {
    let text = include_str!("../../../../../CONTRIBUTING.md");
    let lines = text.lines().skip_while(|line| !line.contains("name      = \"elasticache\""));
    let lines: Vec<&str> = lines.take_while(|line| !line.starts_with("2. ")).map(str::trim).collect();
    let dataset = Dataset::parse(&lines.join("\n")).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!((dataset.name, dataset.resource.len(), dataset.metrics.len()), ("elasticache", 2, 1));
}

fn any_file() -> impl Strategy<Value = String> {
    prop_oneof![Just(S3), Just(SERVICES)].prop_flat_map(changed)
}

fn changed(file: &'static str) -> impl Strategy<Value = String> {
    let lines = file.lines().count();
    let line = prop_oneof![
        "(?s:.{0,40})",
        "[a-z]{1,9} = (\"[a-zA-Z0-9/]{0,8}\"|[0-9]{1,3}|\\[\\]|\\{\\}|true|1979-05-27)",
        Just("[[metric]]".to_owned()),
        Just("layout = \"long\"".to_owned()),
        Just("[[derived]]".to_owned()),
        Just("ratio = [\"errors_sum\", \"requests_sum\"]".to_owned()),
        Just("[metric.split]".to_owned()),
        (0..lines).prop_map(move |nth| file.lines().nth(nth).unwrap_or_default().to_owned()),
    ];
    let changes = prop::collection::vec((0..lines, 0..3_usize, line), 0..4);
    changes.prop_map(move |changes| {
        let mut text: Vec<String> = file.lines().map(str::to_owned).collect();
        for (at, removed, line) in changes {
            let at = at.min(text.len());
            text.splice(at..(at + removed).min(text.len()), [line]);
        }
        text.join("\n")
    })
}

/// What must hold of a file that is a dataset.
fn is_whole(dataset: &Dataset) -> bool {
    let column = |name: &String| dataset.columns.iter().filter(|column| column.name == *name).count();
    let bases = dataset.metrics.iter().flat_map(|metric| metric.bases().map(move |base| (metric, base)));
    let fed: Vec<String> = match dataset.layout {
        Layout::Wide => bases.flat_map(|(metric, base)| metric.columns_of(base)).collect(),
        Layout::Long => ["metric", "unit", "statistic", "value"].map(str::to_owned).to_vec(),
    };
    dataset.columns.iter().all(|it| column(&it.name) == 1 && is_column(&it.name))
        && fed.iter().chain(&dataset.bytes).chain(&dataset.objects).all(|name| column(name) == 1)
        && dataset.derived.iter().all(|derived| {
            derived.formula.columns().iter().chain([&derived.name]).all(|name| column(name) == 1)
        })
        && !dataset.metrics.is_empty()
}

proptest! {
    #[test]
    fn any_text_is_a_whole_dataset_or_faults_in_its_lines(
        text in prop_oneof![any_file(), "(?s:.{0,80})"]
    ) {
        match Dataset::parse(&text) {
            Ok(dataset) => prop_assert!(is_whole(&dataset), "{dataset:?}"),
            Err(faults) => {
                let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
                let mut before = 0;
                for said in faults.to_string().lines().filter(|said| said.starts_with("line ")) {
                    let number = said.trim_start_matches("line ").split([',', ':']).next();
                    let line: usize = number.and_then(|number| number.parse().ok()).expect("a number");
                    prop_assert!((before.max(1)..=lines).contains(&line), "{said}, after line {before}");
                    before = line;
                }
                prop_assert!(before > 0, "no fault has a line");
            }
        }
    }
}
