// SPDX-License-Identifier: Apache-2.0
use proptest::prelude::*;
use serde_json::json;

use super::*;

const ENVELOPE: Envelope<'_> =
    Envelope { message_id: "0a1b2c3d-4e5f", sent_at: None, date: None, run_id: None };

fn parse(body: &str) -> Result<Job, JobError> {
    let sent_at = Some("2026-11-21T10:00:00Z".parse().expect("a moment"));
    Job::parse(body, Envelope { sent_at, ..ENVELOPE })
}

#[test]
fn reads_what_it_writes() {
    let body = r#"{"account_name":"data","date":"2026-11-01","dataset":"s3_daily_storage","run_id":"r-1","ticket":"OPS-7","deep":{"b":1,"a":[null,1.5]}}"#;
    assert_eq!(parse(body).expect("a job").body(), body);
    let completing = body.replace("\"ticket\"", "\"only_incomplete\":true,\"ticket\"");
    let job = parse(&completing).expect("a job");
    assert!(job.only_incomplete);
    assert_eq!(job.body(), completing);
}

#[test]
fn a_job_without_the_producer_needs_only_an_account() {
    let job = parse(r#"{"account_name":"data"}"#).expect("a job");
    assert_eq!(job.window().to_string(), "2026-11-01");
    assert_eq!(job.dataset.name, "s3_daily_storage");
    assert_eq!(job.run_id.as_str(), "manual-0a1b2c3d");
    assert!(job.attributes.is_empty());
}

#[test]
fn missing_keys_are_taken_from_the_attributes_of_a_copy() {
    let sent_at = Some("2026-12-05T10:00:00Z".parse().expect("a moment"));
    let copy = Envelope { sent_at, date: Some("2026-11-01"), run_id: Some("manual-1"), ..ENVELOPE };
    let job = Job::parse(r#"{"account_name":"data"}"#, copy).expect("a job");
    assert_eq!((job.window().to_string().as_str(), job.run_id.as_str()), ("2026-11-01", "manual-1"));
    let named = r#"{"account_name":"data","date":"2026-10-01","run_id":"r-1"}"#;
    let job = Job::parse(named, copy).expect("a job");
    assert_eq!(
        (job.window().to_string().as_str(), job.run_id.as_str()),
        ("2026-10-01", "r-1"),
        "the body's own"
    );

    let message =
        |envelope| Job::parse(r#"{"account_name":"data"}"#, envelope).expect_err("no job").to_string();
    assert!(
        message(Envelope { date: Some("soon"), ..copy })
            .starts_with("the message attribute date: date \"soon\" is not a calendar day")
    );
    assert!(
        message(Envelope { run_id: Some("a b"), ..copy }).starts_with("the message attribute run_id: run id")
    );
    assert_eq!(message(ENVELOPE), "the job has no date, and its message does not say when it was sent");
}

#[test]
fn a_fault_is_described_once() {
    for body in ["hello", r#"{"account_name":"a","account_name":"a"}"#] {
        let error = parse(body).expect_err(body);
        assert!(std::error::Error::source(&error).is_none(), "{error}");
    }
}

#[test]
fn refuses_each_kind_of_bad_message() {
    let deep = format!("{{\"account_name\":\"data\",\"x\":{}{}}}", "[".repeat(500), "]".repeat(500));
    let large = format!("{{\"account_name\":\"data\",\"x\":\"{}\"}}", "x".repeat(MAX_BYTES));
    let cases = [
        ("", "not JSON"),
        ("{", "not JSON"),
        (&deep, "the job is nested more than 127 levels deep"),
        (&large, "the maximum is 65536"),
        ("[]", "a list, not a JSON object"),
        ("null", "null, not a JSON object"),
        ("7", "a number, not a JSON object"),
        (r#""{\"account_name\":\"data\"}""#, "a string, not a JSON object"),
        (r#"[{"account_name":"data"}]"#, "a list, not a JSON object"),
        (r#"{"account_name":"data"} {"account_name":"two"}"#, "not JSON: trailing characters"),
        (r#"{"account_name":"data","account_name":"two"}"#, "has the key \"account_name\" twice"),
        (r#"{"account_name":"data","account_name":"data"}"#, "has the key \"account_name\" twice"),
        (r#"{"account_name":"data","owner":{"team":1,"team":2}}"#, "has the key \"team\" twice"),
        (r#"{"account_name":"data","id":123456789012345678901}"#, "attribute \"id\": 1.2345678901234568e+20"),
        (r#"{"account_name":"data","x":"\ud800"}"#, "not JSON: "),
        ("{}", "no account_name"),
        (r#"{"Account_Name":"data"}"#, "no account_name"),
        (r#"{"account_name":["data"]}"#, "account_name is a list, not a string"),
        (r#"{"account_name":"da\u0000ta"}"#, "account name \"da\\0ta\" is not well-formed"),
        (r#"{"account_name":"\u202eatad"}"#, "account name \"\\u{202e}atad\" is not well-formed"),
        (r#"{"account_name":7}"#, "account_name is a number, not a string"),
        (r#"{"account_name":null}"#, "account_name is null"),
        (r#"{"account_name":"../x"}"#, "not well-formed"),
        (r#"{"account_name":"data","date":"2026-02-30"}"#, "not a calendar day"),
        (r#"{"account_name":"data","dataset":"s4"}"#, "dataset \"s4\" is unknown; this version has "),
        (r#"{"account_name":"data","run_id":"a/b"}"#, "run id"),
        (r#"{"account_name":"data","only_incomplete":"yes"}"#, "only_incomplete is a string, not true or"),
    ];
    for (body, expected) in cases {
        let error = parse(body).expect_err(body).to_string();
        assert!(error.contains(expected), "{error:?} should contain {expected:?}");
    }
}

#[test]
fn a_day_dropped_while_on_the_queue_is_distinguished_from_one_too_old_at_once() {
    let job = parse(r#"{"account_name":"data","date":"2025-09-03"}"#).expect("a job");
    let at = |text: &str| -> DateTime<Utc> { text.parse().expect("a moment") };
    let checked = |sent_at, now| job.check(Some(at(sent_at)), at(now)).map_err(|error| error.to_string());
    let (last, next) = ("2026-12-01T23:59:59Z", "2026-12-02T00:00:00Z");
    assert_eq!(checked(last, last), Ok(()));
    assert_eq!(
        checked(last, next).expect_err("forgotten"),
        "CloudWatch had date 2025-09-03 when the job was sent, but no longer has it; the oldest available day is \
         2025-09-04"
    );
    assert!(checked(next, next).expect_err("never had").starts_with("date 2025-09-03 is too old"));
    assert!(checked(next, last).expect_err("by the queue's clock").starts_with("date 2025-09-03 is too"));
    assert!(job.check(None, at(next)).is_err() && job.check(None, at(last)).is_ok());
}

#[test]
fn a_byte_order_mark_and_keys_of_another_case_are_harmless() {
    let job = parse("\u{feff}{\"account_name\":\"data\",\"Date\":\"\u{202e}soon\",\"nul\":\"\\u0000\"}")
        .expect("a job");
    assert_eq!((job.account_name.as_str(), job.window().to_string().as_str()), ("data", "2026-11-01"));
    assert_eq!(json!(job.attributes), json!({"Date": "\u{202e}soon", "nul": "\0"}), "as they came");
    assert_eq!(parse(&job.body()).expect("its own body"), job);
}

#[test]
fn a_hostile_body_makes_a_short_message() {
    // 60 KiB as JSON, and more than that as a message would write it out.
    let long = "\u{10ffff}\u{1b}\"".repeat(5 * 1024);
    let keys = RESERVED_KEYS.map(|key| {
        let mut object = json!({"account_name": "data"});
        object[key] = long.as_str().into();
        object.to_string()
    });
    let texts = [
        "[".repeat(10_000),
        "{\"a\":".repeat(10_000),
        "x".repeat(60 * 1024),
        "9".repeat(60 * 1024),
        json!(long).to_string(),
        json!({"account_name": [long]}).to_string(),
        json!({(&long): 1}).to_string(),
        format!("{{\"account_name\":\"{long}"),
    ];
    for body in keys.iter().chain(&texts) {
        let error = parse(body).expect_err("hostile").to_string();
        assert!(error.len() < 1500 && !error.contains(char::is_control), "{error:?}");
    }
}

#[test]
fn a_body_of_64_kib_is_accepted_and_one_byte_more_is_not() {
    let body = |bytes: usize| {
        let empty = r#"{"account_name":"data","x":""}"#;
        empty.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - empty.len())))
    };
    assert!(parse(&body(MAX_BYTES)).is_ok());
    assert_eq!(parse(&body(MAX_BYTES + 1)), Err(JobError::TooLarge(MAX_BYTES + 1)));
}

#[test]
fn characters_that_sqs_refuses_are_escaped() {
    let job = parse(r#"{"account_name":"data","date":"2026-11-01","run_id":"r","x":"\uffff\ufffe\u0001é"}"#)
        .expect("a job");
    assert!(job.body().ends_with(r#""x":"\uffff\ufffe\u0001é"}"#), "{}", job.body());
    assert_eq!(parse(&job.body()).expect("its own body"), job);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Any value under any key: some are valid for keys of a job.
fn any_value() -> impl Strategy<Value = Value> {
    let right = ["2026-11-01", "s3_daily_storage", "r-1", "2026-02-30"];
    prop_oneof![prop::sample::select(right.to_vec()).prop_map(Value::from), any_json()]
}

proptest! {
    #[test]
    fn any_text_is_a_job_or_a_short_message(body in "(?s:.*)|[{}\\[\\]\":,0-9a-z\\\\]*") {
        if let Err(error) = parse(&body) {
            let message = error.to_string();
            prop_assert!(message.len() < 1500 && !message.contains(char::is_control), "{:?}", message);
        }
    }

    #[test]
    fn any_object_is_a_job_that_reads_what_it_writes_or_a_short_message(
        account in prop_oneof![4 => "[a-z][a-z_-]{0,4}".prop_map(Value::from), 1 => any_json()],
        others in prop::collection::btree_map("date|dataset|run_id|[a-z]{0,3}", any_value(), 0..4),
    ) {
        let mut object = json!(others);
        object["account_name"] = account;
        match parse(&object.to_string()) {
            Ok(job) => {
                prop_assert!(job.account_name.as_str().parse::<AccountName>().is_ok());
                prop_assert!(job.run_id.as_str().parse::<RunId>().is_ok());
                prop_assert_eq!(parse(&job.body()).expect("its own body"), job);
            }
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.len() < 1500 && !message.contains(char::is_control), "{:?}", message);
            }
        }
    }

    #[test]
    fn attributes_pass_through_unchanged(attributes in prop::collection::btree_map("[a-z]{5,9}_x", any_json(), 0..5)) {
        let mut object = json!({"account_name": "data", "date": "2026-11-01"});
        object.as_object_mut().expect("an object").extend(attributes.clone());
        let job = parse(&object.to_string()).expect("a job");
        prop_assert_eq!(json!(job.attributes), json!(attributes));
        prop_assert_eq!(parse(&job.body()).expect("its own body"), job);
    }
}

/// A dataset that is in no list has no job; what a job of one says is tested with the one that there is.
#[test]
fn windows_that_no_dataset_has_are_refused_with_what_to_write() {
    let cases = [
        (r#""from":"2026-11-01T13:00:00Z""#, "the job's from and to belong together; write both"),
        (
            r#""from":"2026-11-01","to":"2026-11-02","date":"2026-11-01""#,
            "names the day already; leave out from and to",
        ),
        (r#""window":"7m""#, "window \"7m\" is no length of a window"),
        (r#""window":60"#, "window is a number, not a string"),
        (r#""window":"1h""#, "the job's date is missing; write it, or from and to"),
        (
            r#""from":"soon","to":"2026-11-02""#,
            "from \"soon\" is not a time; write it as 2026-11-01T13:00:00Z",
        ),
        (r#""from":"2026-11-01T01:00:00Z","to":"2026-11-02""#, "is not where a window of 1d begins"),
        (r#""from":"2026-11-01","to":"2026-11-03","window":"1h""#, "write window 1d, or leave it out"),
        (r#""date":"2026-11-01","window":"1h""#, "write window 1d, or leave it out"),
        (r#""settle":"61d""#, "the job's settle is not a length of time of at most 60 days"),
    ];
    for (keys, expected) in cases {
        let error = parse(&format!(r#"{{"account_name":"data",{keys}}}"#)).expect_err(keys).to_string();
        assert!(error.contains(expected), "{error:?} should contain {expected:?}");
    }
    let day = parse(
        r#"{"account_name":"data","from":"2026-11-01","to":"2026-11-02","window":"24h","settle":"180s"}"#,
    );
    let day = day.expect("a day");
    assert_eq!((day.windows.to_string().as_str(), day.settle_time()), ("2026-11-01", TimeDelta::minutes(3)));
    assert!(day.body().contains(
        r#""date":"2026-11-01","dataset":"s3_daily_storage","run_id":"manual-0a1b2c3d","settle":"3m""#
    ));
}

#[test]
fn a_day_of_hours_is_read_if_it_can_be_written() {
    let day = |day: &str| {
        parse(&format!(r#"{{"account_name":"data","dataset":"ecs_service","window":"1h","date":"{day}"}}"#))
    };
    for text in ["0000-01-01", "1969-12-31", "9999-12-30"] {
        let job = day(text).expect(text);
        assert_eq!((job.windows.count(), parse(&job.body()).expect("its own body")), (24, job));
    }
    let error = day("9999-12-31").expect_err("it ends in a year of five digits").to_string();
    assert!(error.starts_with("to \"+10000-01-01T00:00:00Z\" is not a time"), "{error}");
}

#[test]
fn a_job_of_windows_names_from_to_and_window() {
    let text = include_str!("../../../../datasets/s3_daily_storage.toml").replace("window    = \"1d\"", "");
    let hourly = Dataset::parse(&text).expect("a dataset");
    let hourly: &'static Dataset =
        Box::leak(Box::new(Dataset { window: "1h".parse().expect("a length"), ..hourly }));
    let job = parse(r#"{"account_name":"data","date":"2026-11-01","run_id":"r-1"}"#).expect("a job");
    let day = Windows::of_day(job.window().date(), hourly.window);
    let job = Job { dataset: hourly, windows: day, ..job };
    assert_eq!(
        job.body(),
        r#"{"account_name":"data","dataset":"s3_daily_storage","from":"2026-11-01T00:00:00Z","to":"2026-11-02T00:00:00Z","window":"1h","run_id":"r-1"}"#
    );
    let one = job.of(day.last());
    assert_eq!((one.windows.count(), one.window()), (1, day.last()));
    // A day of a dataset that has hours is not its date alone, which means 24 of them.
    let whole = Job { windows: day.first().date().into(), ..job };
    assert!(whole.body().contains(r#""to":"2026-11-02T00:00:00Z","window":"1d""#), "{}", whole.body());
}
