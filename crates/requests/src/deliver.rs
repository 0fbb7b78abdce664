// SPDX-License-Identifier: Apache-2.0
//! The message of the kind `deliver`: reports that exist, and the sink that is to have them. Pure.

use fleet::{
    Job,
    job::{Envelope, JobError},
    json::{self, kind},
};
use serde_json::{Map, Value};

const KIND: &str = "kind";
const DELIVER: &str = "deliver";
const SINK: &str = "sink";
const AGAIN: &str = "again";
const FORCE: &str = "force";

/// Some reports of one account, and a sink.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub sink: String,
    /// Whether to deliver what the sink is recorded to have, if a repetition is harmless.
    pub again: bool,
    /// Whether to send again what the sink may have and may not.
    pub force: bool,
    /// The job whose reports they are.
    pub job: Job,
}

/// Why a message of this kind can't be read.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    #[error("the message's {key} is {found}, not {expected}")]
    Key { key: &'static str, found: &'static str, expected: &'static str },
    #[error(transparent)]
    Job(#[from] JobError),
}

impl Order {
    /// Reads the body of a message; `None` if it is of another kind.
    #[must_use]
    pub fn read(body: &str, envelope: Envelope<'_>) -> Option<Result<Self, OrderError>> {
        let Ok(Value::Object(mut object)) = json::read(body) else { return None };
        (object.shift_remove(KIND)? == DELIVER).then(|| Self::take(object, envelope))
    }

    fn take(mut object: Map<String, Value>, envelope: Envelope<'_>) -> Result<Self, OrderError> {
        let sink = match object.shift_remove(SINK) {
            Some(Value::String(sink)) => sink,
            other => {
                let found = other.as_ref().map_or("missing", kind);
                return Err(OrderError::Key { key: SINK, found, expected: "the name of a sink" });
            }
        };
        let mut flag = |key| match object.shift_remove(key) {
            None => Ok(false),
            Some(Value::Bool(is_so)) => Ok(is_so),
            Some(other) => {
                let found = kind(&other);
                Err(OrderError::Key { key, found, expected: "true or false" })
            }
        };
        let (again, force) = (flag(AGAIN)?, flag(FORCE)?);
        let job = Job::parse(&Value::Object(object).to_string(), envelope)?;
        Ok(Self { sink, again, force, job })
    }

    /// The body of the message.
    #[must_use]
    pub fn body(&self) -> String {
        let mut object = Map::new();
        object.insert(KIND.to_owned(), DELIVER.into());
        object.insert(SINK.to_owned(), self.sink.as_str().into());
        for (key, is_so) in [(AGAIN, self.again), (FORCE, self.force)] {
            if is_so {
                object.insert(key.to_owned(), true.into());
            }
        }
        let head = Value::Object(object).to_string();
        // The job's body is an object with an account at least.
        let (head, job) = (head.trim_end_matches('}'), self.job.body());
        format!("{head},{}", job.trim_start_matches('{'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVELOPE: Envelope<'_> = Envelope { message_id: "m", sent_at: None, date: None, run_id: None };

    fn read(body: &str) -> Option<Result<Order, String>> {
        Order::read(body, ENVELOPE).map(|read| read.map_err(|error| error.to_string()))
    }

    #[test]
    fn an_order_reads_back() {
        for job in [
            r#"{"account_name":"data","date":"2026-11-01","dataset":"s3_daily_storage","run_id":"r-1","ticket":"}{"}"#,
            r#"{"account_name":"data","dataset":"sqs","from":"2026-11-01T13:00:00Z","to":"2026-11-01T15:00:00Z","window":"1h","run_id":"r-1"}"#,
        ] {
            for (again, force) in [(false, false), (true, false), (true, true)] {
                let job = Job::parse(job, ENVELOPE).expect("a job");
                let order = Order { sink: "search".to_owned(), again, force, job };
                assert_eq!(read(&order.body()), Some(Ok(order)));
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_other_kinds_are_left_alone() {
        assert_eq!(read(r#"{"account_name":"data"}"#), None);
        assert_eq!(read(r#"{"kind":"request","request":{}}"#), None);
        for (body, expected) in [
            (
                r#"{"kind":"deliver","account_name":"data"}"#,
                "the message's sink is missing, not the name of a sink",
            ),
            (
                r#"{"kind":"deliver","sink":"s","force":1,"account_name":"data"}"#,
                "the message's force is a number, not true or false",
            ),
            (r#"{"kind":"deliver","sink":"s","run_id":"r"}"#, "the job has no account_name"),
        ] {
            assert_eq!(read(body), Some(Err(expected.to_owned())), "{body}");
        }
    }
}
