//! What a message says of itself on the outside: its account, dataset and run as message
//! attributes, for people who look at a queue and for what must be told apart unread.

use std::collections::HashMap;

use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use serde_json::Value;

use crate::{AccountName, Dataset, Job, RunId, job, json};

const ACCOUNT_NAME: &str = "account_name";
const DATASET: &str = "dataset";
const RUN_ID: &str = "run_id";

/// The account, dataset and run of a message, as far as they are valid.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Labels {
    /// The account.
    pub account_name: Option<AccountName>,
    /// The dataset; none where this version does not have it.
    pub dataset: Option<&'static Dataset>,
    /// The run.
    pub run_id: Option<RunId>,
}

impl Labels {
    /// The labels of a job.
    #[must_use]
    pub fn of_job(job: &Job) -> Self {
        Self {
            account_name: Some(job.account_name.clone()),
            dataset: Some(job.dataset),
            run_id: Some(job.run_id.clone()),
        }
    }

    /// The labels of any message, a job or not: what the body says, else what its attributes say.
    #[must_use]
    pub fn of_message(message: &Message) -> Self {
        let body = message.body().filter(|body| body.len() <= job::MAX_BYTES);
        let body: Value = body.and_then(|body| json::read(body).ok()).unwrap_or_default();
        let said = |name: &str| body.get(name).and_then(Value::as_str).or_else(|| attribute(message, name));
        Self {
            account_name: said(ACCOUNT_NAME).and_then(|name| name.parse().ok()),
            dataset: said(DATASET).and_then(Dataset::find),
            run_id: said(RUN_ID).and_then(|id| id.parse().ok()),
        }
    }

    /// As message attributes.
    #[must_use]
    pub fn attributes(&self) -> HashMap<String, MessageAttributeValue> {
        let all = [
            (ACCOUNT_NAME, self.account_name.as_ref().map(AccountName::as_str)),
            (DATASET, self.dataset.map(|dataset| dataset.name)),
            (RUN_ID, self.run_id.as_ref().map(RunId::as_str)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), text(value?)))).collect()
    }
}

/// A text as the value of a message attribute.
pub(crate) fn text(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder()
        .data_type("String")
        .string_value(value)
        .build()
        .expect("cannot fail: the data type is set")
}

/// The text of a message attribute, where the message has it.
pub(crate) fn attribute<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    message.message_attributes()?.get(name)?.string_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str, attributes: &[(&str, &str)]) -> Message {
        let add = |message: aws_sdk_sqs::types::builders::MessageBuilder, (name, value): &(&str, &str)| {
            message.message_attributes(*name, text(value))
        };
        attributes.iter().fold(Message::builder().body(body), add).build()
    }

    #[test]
    fn the_body_is_believed_before_the_attributes() {
        let body = r#"{"account_name":"data","run_id":"r-1"}"#;
        let labels =
            Labels::of_message(&message(body, &[("account_name", "other"), ("dataset", "s3_daily_storage")]));
        assert_eq!(labels.account_name.map(|name| name.to_string()), Some("data".into()));
        assert_eq!(labels.dataset.map(|dataset| dataset.name), Some("s3_daily_storage"));
        assert_eq!(labels.run_id.map(|id| id.to_string()), Some("r-1".into()));
    }

    #[test]
    fn what_is_not_valid_is_left_out() {
        let body = r#"{"account_name":"../../etc","dataset":"nobody","run_id":7}"#;
        let labels = Labels::of_message(&message(body, &[("run_id", "a b")]));
        assert_eq!(labels, Labels::default());
        assert!(labels.attributes().is_empty());
        let labels = Labels::of_message(&message("not JSON", &[("account_name", "data")]));
        assert_eq!(labels.attributes().len(), 1);
    }
}
