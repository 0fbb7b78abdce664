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

/// The largest job, in bytes of JSON.
pub const MAX_BYTES: usize = 64 * 1024;

/// The keys of a job that a passthrough attribute can't take.
pub const RESERVED_KEYS: [&str; 5] = ["account_name", "date", "dataset", "run_id", "only_incomplete"];

const ONLY_INCOMPLETE: &str = "only_incomplete";

/// One account's part of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The account to report on.
    pub account_name: AccountName,
    /// The day to report, fixed before the job is sent, so that a duplicate gives the same report.
    pub date: ReportDate,
    /// What to report.
    pub dataset: &'static Dataset,
    /// The run that the job belongs to.
    pub run_id: RunId,
    /// Whether the job was sent only to complete what is incomplete: a worker that finds nothing left to do is done.
    pub only_incomplete: bool,
    /// Whatever else the request said, unchanged.
    pub attributes: Map<String, Value>,
}

/// The message that brought a job, as far as the job's missing parts are taken from it.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// SQS's id of the message.
    pub message_id: &'a str,
    /// When the message was first sent.
    pub sent_at: Option<DateTime<Utc>>,
    /// The day that the message's attributes give it, which an earlier copy of it had.
    pub date: Option<&'a str>,
    /// The run that they give it.
    pub run_id: Option<&'a str>,
}

/// Why a message is no job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// Over 64 KiB.
    #[error("the job has {0} bytes; at most {MAX_BYTES} are taken")]
    TooLarge(usize),
    /// Not JSON, nested too deep, or with a key twice. It is no source of this error, which says it already.
    #[error("the job {0}")]
    NotJson(JsonError),
    /// JSON, and not an object.
    #[error("the job is {0}, not a JSON object such as {{\"account_name\":\"data\"}}")]
    NotAnObject(&'static str),
    /// No account.
    #[error("the job has no account_name")]
    NoAccountName,
    /// A key of ours with a value that is no string.
    #[error("the job's {key} is {found}, not a string")]
    NotAString {
        /// The key.
        key: &'static str,
        /// What kind of JSON stands there.
        found: &'static str,
    },
    /// A key of ours with a value that is no boolean.
    #[error("the job's {key} is {found}, not true or false")]
    NotABoolean {
        /// The key.
        key: &'static str,
        /// What kind of JSON it is.
        found: &'static str,
    },
    /// An attribute that could not be carried unchanged.
    #[error("attribute {name:?}: {number} has more digits than a number keeps; write it as a string")]
    LossyNumber {
        /// The attribute, cut short if its name is long.
        name: String,
        /// The number, as it would be kept.
        number: String,
    },
    /// A name that could reach a key or a variable.
    #[error(transparent)]
    AccountName(#[from] InvalidAccountName),
    /// A date that is none, or can't be reported.
    #[error(transparent)]
    Date(#[from] DateError),
    /// A run id that could reach a key.
    #[error(transparent)]
    RunId(#[from] InvalidRunId),
    /// A message attribute that stands in for a key, and is not what the key may be.
    #[error("the message attribute {name}: {fault}")]
    Attribute {
        /// The attribute.
        name: &'static str,
        /// What is wrong with its value.
        fault: String,
    },
    /// A day that CloudWatch forgot while the job was on its way.
    #[error(
        "CloudWatch had date {date} when the job was sent, and no longer has it; the oldest day left is {oldest}"
    )]
    Outlived {
        /// The day asked for.
        date: ReportDate,
        /// The oldest day that can be asked for.
        oldest: ReportDate,
    },
    /// Neither the job nor its message says which day.
    #[error("the job has no date, and its message does not say when it was sent")]
    NoDate,
    /// A dataset that this version does not have.
    #[error("dataset {0:?} is not known; this version has {names}", names = datasets::names())]
    UnknownDataset(String),
}

impl Job {
    /// Reads the body of a message.
    ///
    /// A body sent by hand needs an `account_name` and no more: the date is then what the producer
    /// would have taken when the message was sent, and the run is named after the message. A message
    /// that is a copy has both in its attributes.
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
    /// [`JobError::Outlived`] if it could be when the job was sent; else that of [`ReportDate::check`].
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

    /// The body of the message: our keys first, then the attributes as they came.
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
        // SQS refuses two characters that JSON allows; they can stand in a string only, escaped.
        // Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
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
    // Not `remove`, which would let the last attribute take the removed one's place.
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
    fn a_job_sent_by_hand_needs_an_account_only() {
        let job = parse(r#"{"account_name":"data"}"#).expect("a job");
        assert_eq!(job.date.to_string(), "2026-11-01");
        assert_eq!(job.dataset.name, "s3_daily_storage");
        assert_eq!(job.run_id.as_str(), "manual-0a1b2c3d");
        assert!(job.attributes.is_empty());
    }

    #[test]
    fn what_the_body_leaves_out_is_in_the_attributes_of_a_copy() {
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

        let told =
            |envelope| Job::parse(r#"{"account_name":"data"}"#, envelope).expect_err("no job").to_string();
        assert!(
            told(Envelope { date: Some("soon"), ..copy })
                .starts_with("the message attribute date: date \"soon\" is not a calendar day")
        );
        assert!(
            told(Envelope { run_id: Some("a b"), ..copy })
                .starts_with("the message attribute run_id: run id")
        );
        assert_eq!(told(ENVELOPE), "the job has no date, and its message does not say when it was sent");
    }

    #[test]
    fn what_is_wrong_is_said_once() {
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
            (&deep, "the job is nested more than 127 deep"),
            (&large, "at most 65536"),
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
            (r#"{"account_name":"data","dataset":"ec2"}"#, "this version has s3_daily_storage"),
            (r#"{"account_name":"data","run_id":"a/b"}"#, "run id"),
            (
                r#"{"account_name":"data","only_incomplete":"yes"}"#,
                "only_incomplete is a string, not true or",
            ),
        ];
        for (body, expected) in cases {
            let error = parse(body).expect_err(body).to_string();
            assert!(error.contains(expected), "{error:?} should say {expected:?}");
        }
    }

    #[test]
    fn a_day_that_cloudwatch_forgot_on_the_way_is_told_apart_from_one_it_never_had() {
        let job = parse(r#"{"account_name":"data","date":"2025-09-03"}"#).expect("a job");
        let at = |text: &str| -> DateTime<Utc> { text.parse().expect("a moment") };
        let checked = |sent_at, now| job.check(Some(at(sent_at)), at(now)).map_err(|error| error.to_string());
        let (last, next) = ("2026-12-01T23:59:59Z", "2026-12-02T00:00:00Z");
        assert_eq!(checked(last, last), Ok(()));
        assert_eq!(
            checked(last, next).expect_err("forgotten"),
            "CloudWatch had date 2025-09-03 when the job was sent, and no longer has it; the oldest day left is \
             2025-09-04"
        );
        assert!(checked(next, next).expect_err("never had").starts_with("date 2025-09-03 is too long ago"));
        assert!(checked(next, last).expect_err("by the queue's clock").starts_with("date 2025-09-03 is too"));
        assert!(job.check(None, at(next)).is_err() && job.check(None, at(last)).is_ok());
    }

    #[test]
    fn a_byte_order_mark_and_keys_of_another_case_do_no_harm() {
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
    fn a_body_of_64_kib_is_taken_and_one_byte_more_is_not() {
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

    /// What may stand under any key: some of it is right under one of ours.
    fn any_value() -> impl Strategy<Value = Value> {
        let right = ["2026-11-01", "s3_daily_storage", "r-1", "2026-02-30"];
        prop_oneof![prop::sample::select(right.to_vec()).prop_map(Value::from), any_json()]
    }

    proptest! {
        #[test]
        fn any_text_is_a_job_or_a_short_message(body in "(?s:.*)|[{}\\[\\]\":,0-9a-z\\\\]*") {
            if let Err(error) = parse(&body) {
                let told = error.to_string();
                prop_assert!(told.len() < 1500 && !told.contains(char::is_control), "{:?}", told);
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
                    let told = error.to_string();
                    prop_assert!(told.len() < 1500 && !told.contains(char::is_control), "{:?}", told);
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
