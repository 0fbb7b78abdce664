// SPDX-License-Identifier: Apache-2.0
//! The labels of a message: its account, dataset, run and day as message attributes, for people who look
//! at a queue and for programs that must distinguish messages without reading bodies.
//!
//! If a job names no day or run, both are derived from its message and would change with each copy of
//! it: the attributes preserve them.

use engine::{
    Label, Message,
    dead_letter::first_seen,
    message::{Attribute, Attributes},
};
use serde_json::Value;

use crate::{
    AccountName, Dataset, Job, ReportDate, RunId, datasets,
    job::{self, Envelope},
    json,
};

const ACCOUNT_NAME: &str = "account_name";
const DATASET: &str = "dataset";
const RUN_ID: &str = "run_id";
const DATE: &str = "date";

/// The account, dataset, run and day of a message, if valid.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Labels {
    pub account_name: Option<AccountName>,
    /// `None` also if this version does not have the dataset.
    pub dataset: Option<&'static Dataset>,
    pub run_id: Option<RunId>,
    pub date: Option<ReportDate>,
}

impl Labels {
    #[must_use]
    pub fn from_job(job: &Job) -> Self {
        Self {
            account_name: Some(job.account_name.clone()),
            dataset: Some(job.dataset),
            run_id: Some(job.run_id.clone()),
            date: Some(job.window().date()),
        }
    }

    /// The labels of any message: those of its job or, if it is not a valid job, the body's valid keys,
    /// and otherwise its attributes.
    #[must_use]
    pub fn from_message(message: &Message) -> Self {
        let body = if message.body.len() <= job::MAX_BYTES { message.body.as_str() } else { "" };
        if let Ok(job) = Job::parse(body, Envelope::from_message(message)) {
            return Self::from_job(&job);
        }
        let body = json::read(body).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str).or_else(|| message.text(name));
        Self {
            account_name: text(ACCOUNT_NAME).and_then(|name| name.parse().ok()),
            dataset: text(DATASET).and_then(Dataset::find),
            run_id: text(RUN_ID).and_then(|id| id.parse().ok()),
            date: text(DATE).and_then(|date| date.parse().ok()),
        }
    }

    #[must_use]
    pub fn attributes(&self) -> Attributes {
        self.to_attach_to("")
            .into_iter()
            .map(|label| (label.name.to_owned(), Attribute::from(label.value.as_str())))
            .collect()
    }

    /// Each label that is set, in order of importance, for a message with this body. The day is needed
    /// even if the body has it: a body that can't be parsed any more can still be identified by it.
    #[must_use]
    pub fn to_attach_to(&self, body: &str) -> Vec<Label> {
        let body =
            Some(body).filter(|body| body.len() <= job::MAX_BYTES).and_then(|body| json::read(body).ok());
        let in_body = |name| body.as_ref().and_then(|body| body.get(name));
        let is_default = |name, value: &str| {
            name == DATASET && value == datasets::DEFAULT.name && body.as_ref().is_some_and(Value::is_object)
        };
        let all = [
            (DATE, self.date.map(|date| date.to_string())),
            (ACCOUNT_NAME, self.account_name.as_ref().map(ToString::to_string)),
            (RUN_ID, self.run_id.as_ref().map(ToString::to_string)),
            (DATASET, self.dataset.map(|dataset| dataset.name.to_owned())),
        ];
        let label = |(name, value): (&'static str, Option<String>)| {
            let value = value?;
            let is_in_body = match in_body(name) {
                Some(text) => text == value.as_str(),
                None => is_default(name, &value),
            };
            Some(Label { name, value, is_needed: !is_in_body || name == DATE })
        };
        all.into_iter().filter_map(label).collect()
    }
}

impl<'a> Envelope<'a> {
    /// The envelope of a message. If a worker dead-lettered it, its attributes say when it was first
    /// seen, which is about when the job was sent; SQS knows only when its newest copy was sent.
    #[must_use]
    pub fn from_message(message: &'a Message) -> Self {
        let seen_at = first_seen(message);
        Self {
            message_id: &message.id,
            sent_at: message.sent_at.into_iter().chain(seen_at).min(),
            date: message.text(DATE),
            run_id: message.text(RUN_ID),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str, attributes: &[(&str, &str)]) -> Message {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), Attribute::from(*value)));
        let attributes = attributes.collect();
        Message { id: "0a1b2c3d-4e5f".into(), body: body.into(), attributes, ..Message::default() }
    }

    #[test]
    fn the_body_takes_precedence_over_the_attributes() {
        let body = r#"{"account_name":"data","run_id":"r-1"}"#;
        let labels = Labels::from_message(&message(
            body,
            &[("account_name", "other"), ("dataset", "s3_daily_storage")],
        ));
        assert_eq!(labels.account_name.map(|name| name.to_string()), Some("data".into()));
        assert_eq!(labels.dataset.map(|dataset| dataset.name), Some("s3_daily_storage"));
        assert_eq!(labels.run_id.map(|id| id.to_string()), Some("r-1".into()));
    }

    #[test]
    fn invalid_values_are_left_out() {
        let body = r#"{"account_name":"../../etc","dataset":"none","run_id":7}"#;
        let labels = Labels::from_message(&message(body, &[("run_id", "a b")]));
        assert_eq!(labels, Labels::default());
        assert!(labels.attributes().is_empty());
        let labels = Labels::from_message(&message("not JSON", &[("account_name", "data")]));
        assert_eq!(labels.attributes().len(), 1);
    }

    #[test]
    fn a_job_has_the_labels_of_what_a_worker_makes_of_it() {
        let day = |labels: Labels| labels.date.map(|date| date.to_string());
        let mut sent = message(r#"{"account_name":"data"}"#, &[]);
        assert_eq!(day(Labels::from_message(&sent)), None, "it is unknown when it was sent");
        sent.sent_at = Some("2026-11-07T10:00:00Z".parse().expect("a moment"));
        let labels = Labels::from_message(&sent);
        assert_eq!(labels.run_id.as_ref().map(RunId::as_str), Some("manual-0a1b2c3d"));
        assert_eq!(labels.dataset, Some(*datasets::DEFAULT));
        assert_eq!(day(labels), Some("2026-11-01".into()));

        let copied = message(r#"{"account_name":"data"}"#, &[("date", "2026-10-01"), ("run_id", "manual-1")]);
        let labels = Labels::from_message(&copied);
        assert_eq!(labels.run_id.as_ref().map(RunId::as_str), Some("manual-1"));
        assert_eq!(day(labels), Some("2026-10-01".into()));
    }

    #[test]
    fn labels_that_a_reader_finds_in_the_body_are_spare_but_for_the_day() {
        let labels =
            |body| Labels::from_message(&message(body, &[("date", "2026-10-01"), ("run_id", "r-1")]));
        let spare = |body: &'static str| -> Vec<_> {
            let labels_of = labels(body).to_attach_to(body);
            labels_of.into_iter().filter(|label| !label.is_needed).map(|label| label.name).collect()
        };
        assert_eq!(spare(r#"{"account_name":"data"}"#), ["account_name", "dataset"]);
        let whole =
            r#"{"account_name":"data","date":"2026-11-01","dataset":"s3_daily_storage","run_id":"r-2"}"#;
        assert_eq!(spare(whole), ["account_name", "run_id", "dataset"]);
        assert_eq!(spare("not a job"), [""; 0]);
        assert_eq!(spare(r#"{"account_name":"data","date":"soon"}"#), ["account_name"]);
    }
}
