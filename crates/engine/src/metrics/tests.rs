// SPDX-License-Identifier: Apache-2.0
use proptest::{prelude::any, prop_assert, proptest};

use super::*;
use crate::{Completed, Label, Measures};

const MOMENT: i64 = 1_795_269_600_123;

fn namespace() -> Namespace {
    "cloudwatch-fleet".parse().expect("a namespace")
}

fn done() -> Outcome {
    Outcome::Done(Completed { outcome: "complete" })
}

fn label(name: &'static str, value: &str) -> Label {
    Label { name, value: value.into(), is_needed: false }
}

fn calls(calls: u64) -> Measures {
    let metrics = vec![Measure { name: "ApiCalls", unit: "Count", value: calls.into() }];
    Measures { dimension: ("Dataset", "s3_daily_storage"), metrics, dollars: 0.5 }
}

/// A delivery that made five calls.
fn settled(outcome: Outcome, reason: Option<&'static str>) -> Settled {
    Settled {
        outcome,
        reason,
        labels: vec![label("account_name", "data"), label("run_id", "r-1")],
        message_id: "m-1".into(),
        receive_count: 2,
        spent: Some(calls(5)),
        took: Duration::from_micros(1_234_567),
    }
}

fn line(settled: &Settled) -> Value {
    let at = DateTime::from_timestamp_millis(MOMENT).expect("a moment");
    let line = encode(&namespace(), at, settled);
    assert_is_embedded_metric_format(&line);
    line
}

/// CloudWatch's requirements for a line: without them it is only a log line, not a metric.
fn assert_is_embedded_metric_format(line: &Value) {
    let text = line.to_string();
    assert!(text.starts_with('{') && !text.contains('\n'), "{text}");
    assert!(line["_aws"]["Timestamp"].is_u64(), "{line}");
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().expect("directives");
    assert!(!directives.is_empty(), "{line}");
    for directive in directives {
        let members: Vec<_> = directive.as_object().expect("an object").keys().collect();
        assert_eq!(members, ["Namespace", "Dimensions", "Metrics"], "{line}");
        assert_eq!(directive["Namespace"], namespace().as_str(), "{line}");
        for set in directive["Dimensions"].as_array().expect("sets of dimensions") {
            let set = set.as_array().expect("a set");
            assert!((1..=30).contains(&set.len()), "{line}");
            for dimension in set {
                let value = line[dimension.as_str().expect("a name")].as_str().expect("a text");
                assert!((1..=1024).contains(&value.len()), "{line}");
            }
        }
        let metrics = directive["Metrics"].as_array().expect("metrics");
        assert!((1..=100).contains(&metrics.len()), "{line}");
        for metric in metrics {
            let value = line[metric["Name"].as_str().expect("a name")].as_f64().expect("a number");
            assert!(value.is_finite() && value >= 0.0, "{line}");
            let unit = metric["Unit"].as_str().expect("a unit");
            assert!(["Count", "Milliseconds", "None"].contains(&unit), "{line}");
        }
    }
}

/// The names of a line's metrics, by the name of their dimension.
fn metrics(line: &Value) -> Vec<(&str, Vec<&str>)> {
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().expect("directives");
    directives
        .iter()
        .map(|directive| {
            let names = directive["Metrics"].as_array().expect("metrics").iter();
            let dimension = directive["Dimensions"][0][0].as_str().expect("a dimension");
            (dimension, names.map(|metric| metric["Name"].as_str().expect("a name")).collect())
        })
        .collect()
}

#[test]
fn the_line_of_a_delivery_has_every_member() {
    let line = line(&settled(done(), None));
    assert_eq!(
        line,
        json!({
            "_aws": {
                "Timestamp": MOMENT,
                "CloudWatchMetrics": [
                    {
                        "Namespace": "cloudwatch-fleet",
                        "Dimensions": [["Outcome"]],
                        "Metrics": [
                            {"Name": "Jobs", "Unit": "Count"},
                            {"Name": "Duration", "Unit": "Milliseconds"}
                        ]
                    },
                    {
                        "Namespace": "cloudwatch-fleet",
                        "Dimensions": [["Dataset"]],
                        "Metrics": [{"Name": "ApiCalls", "Unit": "Count"}]
                    }
                ]
            },
            "Outcome": "complete",
            "Jobs": 1,
            "Duration": 1234,
            "Dataset": "s3_daily_storage",
            "ApiCalls": 5,
            "account_name": "data",
            "run_id": "r-1",
            "message_id": "m-1",
            "attempt": 2,
            "version": crate::VERSION
        })
    );
}

#[test]
fn each_end_has_its_outcome() {
    let fault = Outcome::WorkerFault(anyhow::anyhow!("the text of an error"));
    for (outcome, reason, name) in [
        (done(), None, "complete"),
        (Outcome::DeadLettered, Some("access_denied"), "dead_letter"),
        (Outcome::Retried, Some("unavailable"), "put_off"),
        (Outcome::Returned, None, "given_back"),
        (Outcome::Abandoned, Some("lease_lost"), "left"),
        (fault, Some("own_fault"), "own_fault"),
    ] {
        let line = line(&settled(outcome, reason));
        assert_eq!((&line["Outcome"], &line["Jobs"]), (&name.into(), &1.into()));
        assert_eq!(line.get("reason").and_then(Value::as_str), reason, "{name}");
        // The calls were billed, whatever the outcome.
        assert_eq!(metrics(&line)[1], ("Dataset", vec!["ApiCalls"]), "{name}");
        assert!(!line.to_string().contains("the text of an error"), "{line}");
    }
}

#[test]
fn a_message_of_which_nothing_is_known_has_a_line() {
    let bad = settled(Outcome::DeadLettered, Some("bad_message"));
    let line = line(&Settled { labels: Vec::new(), spent: None, ..bad });
    assert_eq!(metrics(&line), [("Outcome", vec!["Jobs", "Duration"])]);
    let members: Vec<_> = line.as_object().expect("an object").keys().collect();
    assert_eq!(
        members,
        ["_aws", "Outcome", "Jobs", "Duration", "message_id", "attempt", "reason", "version"]
    );
}

proptest! {
    #[test]
    fn whatever_was_counted_is_a_line(count in any::<u64>(), took in any::<Duration>()) {
        let line = line(&Settled { spent: Some(calls(count)), took, ..settled(Outcome::Retried, None) });
        prop_assert!(line["Outcome"] == "put_off");
    }
}

#[test]
fn a_namespace_is_what_cloudwatch_takes() {
    let longest = "n".repeat(255);
    for text in ["cloudwatch-fleet", "Fin.Ops/Fleet_2#eu:west", "AWS", "aws/fleet", "7", &longest] {
        assert_eq!(text.parse::<Namespace>().map(|namespace| namespace.0).as_deref(), Ok(text));
    }
    for text in ["", ":fleet", "my fleet", "flotte-été", "a\nb", "a\"b", &"n".repeat(256)] {
        let message = text.parse::<Namespace>().expect_err(text).to_string();
        assert!(message.contains(&format!("{text:?} is not well-formed; it takes 1 to 255")), "{message}");
    }
    for text in ["AWS/", "AWS/S3"] {
        let message = text.parse::<Namespace>().expect_err(text).to_string();
        assert!(message.contains(&format!("{text:?} is AWS's own")), "{message}");
    }
}
