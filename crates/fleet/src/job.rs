// SPDX-License-Identifier: Apache-2.0
//! The message on the work queue: one account, one dataset, one day.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::{
    AccountName, Dataset, ReportDate, RunId,
    account::{InvalidAccountName, shorten},
    datasets,
    date::DateError,
    json::{self, JsonError, kind, lossy_number},
    run_id::InvalidRunId,
};

/// The maximum size of a job, in bytes of JSON.
pub const MAX_BYTES: usize = 64 * 1024;

/// The keys of a job that no passthrough attribute may use.
pub const RESERVED_KEYS: [&str; 5] = ["account_name", "date", "dataset", "run_id", "only_incomplete"];

const ONLY_INCOMPLETE: &str = "only_incomplete";

/// One account's part of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub account_name: AccountName,
    /// The day to report, set before the job is sent, so that a duplicate writes the same report.
    pub date: ReportDate,
    pub dataset: &'static Dataset,
    pub run_id: RunId,
    /// Whether to do only what is incomplete: if nothing is, the worker has nothing to do.
    pub only_incomplete: bool,
    /// All other keys of the request, unchanged.
    pub attributes: Map<String, Value>,
}

/// The parts of a message from which a job takes what its body leaves out.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    pub message_id: &'a str,
    /// When the message was first sent.
    pub sent_at: Option<DateTime<Utc>>,
    /// The day in the message's attributes, which an earlier copy of the message had.
    pub date: Option<&'a str>,
    /// The run in the message's attributes.
    pub run_id: Option<&'a str>,
}

/// Why a message is not a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    #[error("the job has {0} bytes; the maximum is {MAX_BYTES}")]
    TooLarge(usize),
    /// Not JSON, nested too deeply, or with a repeated key. Not a `source`, since the message already
    /// contains it.
    #[error("the job {0}")]
    NotJson(JsonError),
    /// JSON, but not an object.
    #[error("the job is {0}, not a JSON object such as {{\"account_name\":\"data\"}}")]
    NotAnObject(&'static str),
    #[error("the job has no account_name")]
    NoAccountName,
    /// A key of the job has a value that is not a string.
    #[error("the job's {key} is {found}, not a string")]
    NotAString {
        key: &'static str,
        /// The kind of JSON value found.
        found: &'static str,
    },
    /// A key of the job has a value that is not a boolean.
    #[error("the job's {key} is {found}, not true or false")]
    NotABoolean {
        key: &'static str,
        /// The kind of JSON value found.
        found: &'static str,
    },
    /// An attribute that can't be carried unchanged.
    #[error("attribute {name:?}: {number} has more digits than a number can keep; write it as a string")]
    LossyNumber {
        /// The attribute's name, shortened if it is long.
        name: String,
        /// The number as it would be kept.
        number: String,
    },
    /// A name that is not safe in a key or a variable.
    #[error(transparent)]
    AccountName(#[from] InvalidAccountName),
    /// Not a date, or one that can't be reported.
    #[error(transparent)]
    Date(#[from] DateError),
    /// A run ID that is not safe in a key.
    #[error(transparent)]
    RunId(#[from] InvalidRunId),
    /// A message attribute replaces a missing key, but its value is not valid for the key.
    #[error("the message attribute {name}: {fault}")]
    Attribute { name: &'static str, fault: String },
    /// CloudWatch dropped the day while the job was on the queue.
    #[error(
        "CloudWatch had date {date} when the job was sent, but no longer has it; the oldest available day is {oldest}"
    )]
    Outlived {
        date: ReportDate,
        /// The oldest day that can be requested.
        oldest: ReportDate,
    },
    /// Neither the job nor its message names the day.
    #[error("the job has no date, and its message does not say when it was sent")]
    NoDate,
    /// A dataset unknown to this version.
    #[error("{said}", said = datasets::unknown(.0))]
    UnknownDataset(String),
}

impl Job {
    /// Parses the body of a message.
    ///
    /// A body sent without the producer needs only an `account_name`: the date is then the producer's
    /// default for the time when the message was sent, and the run is named after the message. A copy of
    /// such a message has both in its attributes.
    pub fn parse(body: &str, envelope: Envelope<'_>) -> Result<Self, JobError> {
        if body.len() > MAX_BYTES {
            return Err(JobError::TooLarge(body.len()));
        }
        let mut object = match json::read(body).map_err(JobError::NotJson)? {
            Value::Object(object) => object,
            other => return Err(JobError::NotAnObject(kind(&other))),
        };
        let account_name = take(&mut object, "account_name")?.ok_or(JobError::NoAccountName)?.parse()?;
        let date = match take(&mut object, "date")? {
            Some(text) => text.parse()?,
            None => envelope.report_date()?,
        };
        let dataset = match take(&mut object, "dataset")? {
            Some(name) => Dataset::find(&name).ok_or_else(|| JobError::UnknownDataset(shorten(&name)))?,
            None => *datasets::DEFAULT,
        };
        let run_id = match take(&mut object, "run_id")? {
            Some(text) => text.parse()?,
            None => envelope.run_id()?,
        };
        let only_incomplete = match object.shift_remove(ONLY_INCOMPLETE) {
            None => false,
            Some(Value::Bool(is_so)) => is_so,
            Some(other) => return Err(JobError::NotABoolean { key: ONLY_INCOMPLETE, found: kind(&other) }),
        };
        for (name, value) in &object {
            if let Some(number) = lossy_number(value) {
                return Err(JobError::LossyNumber { name: shorten(name), number });
            }
        }
        Ok(Self { account_name, date, dataset, run_id, only_incomplete, attributes: object })
    }

    /// Refuses a job whose day can't be reported at `now`.
    ///
    /// # Errors
    ///
    /// [`JobError::Outlived`] if the day could still be reported when the job was sent; otherwise the
    /// error of [`ReportDate::check`].
    pub fn check(&self, sent_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), JobError> {
        // If this worker's clock is behind, the queue's is not.
        let now = sent_at.map_or(now, |sent_at| sent_at.max(now));
        match (self.date.check(now), sent_at.map(|sent_at| self.date.check(sent_at))) {
            (Err(DateError::TooOld { date, oldest }), Some(Ok(_))) => {
                Err(JobError::Outlived { date, oldest })
            }
            (checked, _) => checked.map(|_| ()).map_err(JobError::from),
        }
    }

    /// The body of the message: first the keys of the job, then the attributes unchanged.
    #[must_use]
    pub fn body(&self) -> String {
        let mut object = Map::new();
        object.insert("account_name".into(), self.account_name.as_str().into());
        object.insert("date".into(), self.date.to_string().into());
        object.insert("dataset".into(), self.dataset.name.into());
        object.insert("run_id".into(), self.run_id.as_str().into());
        if self.only_incomplete {
            object.insert(ONLY_INCOMPLETE.into(), true.into());
        }
        object.extend(self.attributes.clone());
        // SQS refuses two characters that JSON allows. They can only be in a string, and are escaped.
        //
        // Source:
        // <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
        Value::Object(object).to_string().replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
    }
}

impl Envelope<'_> {
    /// The day of a job that does not name one.
    fn report_date(&self) -> Result<ReportDate, JobError> {
        match self.date {
            Some(text) => text.parse().map_err(|error: DateError| not_taken("date", &error)),
            None => Ok(ReportDate::default_at(self.sent_at.ok_or(JobError::NoDate)?)?),
        }
    }

    /// The run of a job that does not name one.
    fn run_id(&self) -> Result<RunId, JobError> {
        match self.run_id {
            Some(text) => text.parse().map_err(|error: InvalidRunId| not_taken("run_id", &error)),
            None => Ok(RunId::manual(self.message_id)),
        }
    }
}

fn not_taken(name: &'static str, fault: &dyn std::error::Error) -> JobError {
    JobError::Attribute { name, fault: fault.to_string() }
}

fn take(object: &mut Map<String, Value>, key: &'static str) -> Result<Option<String>, JobError> {
    // Not `remove`, which would move the last attribute to the removed one's position.
    match object.shift_remove(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(JobError::NotAString { key, found: kind(&other) }),
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(job.date.to_string(), "2026-11-01");
        assert_eq!(job.dataset.name, "s3_daily_storage");
        assert_eq!(job.run_id.as_str(), "manual-0a1b2c3d");
        assert!(job.attributes.is_empty());
    }

    #[test]
    fn missing_keys_are_taken_from_the_attributes_of_a_copy() {
        let sent_at = Some("2026-12-05T10:00:00Z".parse().expect("a moment"));
        let copy = Envelope { sent_at, date: Some("2026-11-01"), run_id: Some("manual-1"), ..ENVELOPE };
        let job = Job::parse(r#"{"account_name":"data"}"#, copy).expect("a job");
        assert_eq!((job.date.to_string().as_str(), job.run_id.as_str()), ("2026-11-01", "manual-1"));
        let named = r#"{"account_name":"data","date":"2026-10-01","run_id":"r-1"}"#;
        let job = Job::parse(named, copy).expect("a job");
        assert_eq!(
            (job.date.to_string().as_str(), job.run_id.as_str()),
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
            message(Envelope { run_id: Some("a b"), ..copy })
                .starts_with("the message attribute run_id: run id")
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
            (
                r#"{"account_name":"data","id":123456789012345678901}"#,
                "attribute \"id\": 1.2345678901234568e+20",
            ),
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
            (
                r#"{"account_name":"data","only_incomplete":"yes"}"#,
                "only_incomplete is a string, not true or",
            ),
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
        assert_eq!((job.account_name.as_str(), job.date.to_string().as_str()), ("data", "2026-11-01"));
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
        let job =
            parse(r#"{"account_name":"data","date":"2026-11-01","run_id":"r","x":"\uffff\ufffe\u0001é"}"#)
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
}
