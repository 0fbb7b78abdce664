use fleet::{AccountName, AwsError, ErrorKind, Job, Labels, datasets, report::ReportMetadata};
use proptest::{prelude::any, prop_assert, proptest};

use super::*;
use crate::{failure::OwnFault, usage::Usage};

const MOMENT: i64 = 1_795_269_600_123;

fn namespace() -> Namespace {
    "cloudwatch-fleet".parse().expect("a namespace")
}

fn stored(status: ReportStatus) -> Ended {
    let job = Job {
        account_name: "data".parse().expect("a name"),
        date: "2026-11-01".parse().expect("a day"),
        dataset: datasets::DEFAULT,
        run_id: "r-1".parse().expect("a run id"),
        only_incomplete: false,
        attributes: serde_json::Map::new(),
    };
    let metadata = ReportMetadata {
        status,
        rows: 3,
        first_error: (status == ReportStatus::Partial).then(|| "what an error says".to_owned()),
        api_calls: 5,
        metrics_requested: 6,
        estimated_cost_usd: 0.000_08,
        ..ReportMetadata::new(&job, "111111111111".parse().expect("an id"), Utc::now())
    };
    Ended::Done(Done::Stored { key: "k".into(), metadata: Box::new(metadata) })
}

fn duplicate() -> Ended {
    Ended::Done(Done::Duplicate { key: "k".into() })
}

fn own_fault() -> Ended {
    let error = AwsError::coded("s3:PutObject", "AccessDenied", "what an error says", ErrorKind::Denied);
    Ended::OwnFault(OwnFault::ReportBucket(error).into())
}

/// A delivery that asked five things, two of them lists of metrics, and for six metrics.
fn settled(ended: Ended, reason: Option<Reason>) -> Settled {
    Settled {
        ended,
        reason,
        labels: Labels {
            account_name: Some("data".parse().expect("a name")),
            dataset: Some(datasets::DEFAULT),
            run_id: Some("r-1".parse().expect("a run id")),
            date: None,
        },
        message_id: "m-1".into(),
        receives: 2,
        usage: Usage::of(5, 2, 6),
        took: Duration::from_micros(1_234_567),
    }
}

fn line(settled: &Settled) -> Value {
    let at = DateTime::from_timestamp_millis(MOMENT).expect("a moment");
    let line = encode(&namespace(), at, settled);
    assert_is_embedded_metric_format(&line);
    line
}

/// What CloudWatch asks of a line: else it is a line of a log, and no metric.
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
fn the_line_of_a_stored_report_has_every_member() {
    let line = line(&settled(stored(ReportStatus::Complete), None));
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
                        "Metrics": [
                            {"Name": "ApiCalls", "Unit": "Count"},
                            {"Name": "MetricsRequested", "Unit": "Count"},
                            {"Name": "EstimatedCost", "Unit": "None"},
                            {"Name": "Rows", "Unit": "Count"}
                        ]
                    }
                ]
            },
            "Outcome": "complete",
            "Jobs": 1,
            "Duration": 1234,
            "Dataset": "s3_daily_storage",
            "ApiCalls": 5,
            "MetricsRequested": 6,
            "EstimatedCost": 0.000_08,
            "Rows": 3,
            "account_name": "data",
            "run_id": "r-1",
            "message_id": "m-1",
            "attempt": 2,
            "version": fleet::VERSION
        })
    );
}

#[test]
fn each_end_has_its_outcome_and_only_a_stored_report_has_rows() {
    let cases = [
        (stored(ReportStatus::Complete), None, "complete", true),
        (stored(ReportStatus::Partial), None, "partial", true),
        (duplicate(), None, "duplicate", false),
        (Ended::DeadLettered, Some(Reason::AccessDenied), "dead_letter", false),
        (Ended::PutOff, Some(Reason::Unavailable), "put_off", false),
        (Ended::GivenBack, None, "given_back", false),
        (Ended::Left, Some(Reason::LeaseLost), "left", false),
        (own_fault(), Some(Reason::OwnFault), "own_fault", false),
    ];
    for (ended, reason, outcome, has_rows) in cases {
        let line = line(&settled(ended, reason));
        assert_eq!((&line["Outcome"], &line["Jobs"]), (&outcome.into(), &1.into()));
        assert_eq!(line.get("reason").and_then(Value::as_str), reason.map(Reason::code), "{outcome}");
        assert_eq!(line.get("Rows").is_some(), has_rows, "{outcome}");
        // What was asked was paid for, whatever came of it.
        let [_, (dimension, metrics)] = &metrics(&line)[..] else { panic!("two: {line}") };
        assert_eq!((*dimension, metrics.contains(&"Rows")), ("Dataset", has_rows), "{outcome}");
        assert_eq!((&line["ApiCalls"], &line["MetricsRequested"]), (&5.into(), &6.into()), "{outcome}");
        assert!(!line.to_string().contains("what an error says"), "{line}");
    }
}

#[test]
fn where_nothing_was_asked_nothing_is_told_of_it() {
    let line = line(&Settled { usage: Usage::default(), ..settled(duplicate(), None) });
    assert_eq!(metrics(&line), [("Outcome", vec!["Jobs", "Duration"])]);
    assert!(line.get("Dataset").is_none() && line.get("ApiCalls").is_none(), "{line}");
}

#[test]
fn a_message_that_is_no_job_has_a_line_with_what_is_known() {
    let bad = settled(Ended::DeadLettered, Some(Reason::BadMessage));
    let bad = Settled { labels: Labels::default(), usage: Usage::default(), ..bad };
    let line = line(&bad);
    assert_eq!(metrics(&line), [("Outcome", vec!["Jobs", "Duration"])]);
    let members: Vec<_> = line.as_object().expect("an object").keys().collect();
    assert_eq!(
        members,
        ["_aws", "Outcome", "Jobs", "Duration", "message_id", "attempt", "reason", "version"]
    );
}

/// POSIX has it that so much reaches a pipe whole, whoever else writes there.
#[test]
fn the_longest_line_reaches_a_pipe_whole() {
    let namespace: Namespace = "n".repeat(255).parse().expect("a namespace");
    let longest = Settled {
        labels: Labels {
            account_name: Some("a".repeat(63).parse::<AccountName>().expect("a name")),
            dataset: Some(datasets::DEFAULT),
            run_id: Some("r".repeat(64).parse().expect("a run id")),
            date: None,
        },
        message_id: "m".repeat(100),
        usage: Usage::of(u64::MAX, u64::MAX, u64::MAX),
        took: Duration::MAX,
        ..settled(stored(ReportStatus::Complete), Some(Reason::ExpiredCredentials))
    };
    let line = encode(&namespace, Utc::now(), &longest).to_string();
    assert!(line.len() < 4096, "{}", line.len());
}

proptest! {
    #[test]
    fn whatever_was_counted_is_a_line(
        calls in any::<u64>(),
        list_metrics in any::<u64>(),
        metrics in any::<u64>(),
        took in any::<Duration>(),
    ) {
        let usage = Usage::of(calls, list_metrics, metrics);
        let line = line(&Settled { usage, took, ..settled(Ended::PutOff, Some(Reason::Unavailable)) });
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
        let told = text.parse::<Namespace>().expect_err(text).to_string();
        assert!(told.contains(&format!("{text:?} is not well-formed; it takes 1 to 255")), "{told}");
    }
    for text in ["AWS/", "AWS/S3"] {
        let told = text.parse::<Namespace>().expect_err(text).to_string();
        assert!(told.contains(&format!("{text:?} is AWS's own")), "{told}");
    }
}
