// SPDX-License-Identifier: Apache-2.0
//! The key of a report in the report bucket. It depends only on the job, so that a duplicate of a job
//! writes the same object.

mod folder;
#[cfg(test)]
mod tests;
mod windows;

use std::{collections::HashMap, fmt, str::FromStr};

pub use self::{folder::DayFolder, windows::fill};
use crate::{AccountId, Accounts, Dataset, Job, Window, datasets};

/// Hive-style, so that Athena and Spark can derive partitions from the key.
pub const DEFAULT_TEMPLATE: &str = "{dataset}/report_date={date}/account_name={account}/report.csv";

/// The help of `--key-template`, in both binaries.
pub const HELP: &str = "Where in the bucket reports lie. Placeholders: {dataset} {date} {year} {month} {day} {time} {account} {account_id} {run_id}";

/// The prefix of the runs' manifests; no report may use it.
pub const MANIFEST_PREFIX: &str = "runs/";

/// The prefix of unfinished reports whose key has a complete one; no report may use it.
const ASIDE_PREFIX: &str = "tries/";

/// The prefix of what is recorded of deliveries; no report may use it.
const DELIVERED_PREFIX: &str = "delivered/";

/// The prefix of claims on reports that are being collected; no report may use it.
const CLAIM_PREFIX: &str = "claims/";

/// The prefix of what sinks refuse; no report may use it.
const REJECTS_PREFIX: &str = "rejects/";

/// The prefixes that no report may use, and what is there.
const RESERVED: [(&str, &str); 5] = [
    (MANIFEST_PREFIX, "the runs' manifests"),
    (ASIDE_PREFIX, "unfinished reports"),
    (DELIVERED_PREFIX, "what sinks have"),
    (CLAIM_PREFIX, "claims on reports"),
    (REJECTS_PREFIX, "what sinks refuse"),
];

/// The maximum length of a report's key, in bytes: the maximum in S3, less the prefix of [`delivered`] with the longest
/// name of a sink.
const MAX_KEY_BYTES: usize = 1024 - 64;

/// The key of an unfinished report while a complete one stays under `key`.
#[must_use]
pub fn aside(key: &str) -> String {
    format!("{ASIDE_PREFIX}{key}")
}

/// The key of what is recorded of the deliveries of the report under `key` to a sink.
#[must_use]
pub fn delivered(sink: &str, key: &str) -> String {
    format!("{DELIVERED_PREFIX}{sink}/{key}")
}

/// The key of what a sink refuses of the report under `key`.
#[must_use]
pub fn rejects(sink: &str, key: &str) -> String {
    format!("{REJECTS_PREFIX}{sink}/{key}.jsonl")
}

/// The key of the claim on the report under `key`.
#[must_use]
pub fn claim(key: &str) -> String {
    format!("{CLAIM_PREFIX}{key}")
}

/// A key with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTemplate {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Field(Field),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Dataset,
    Date,
    Year,
    Month,
    Day,
    /// When in its day a window begins.
    Time,
    Account,
    AccountId,
    RunId,
}

const FIELDS: [(&str, Field); 9] = [
    ("dataset", Field::Dataset),
    ("date", Field::Date),
    ("year", Field::Year),
    ("month", Field::Month),
    ("day", Field::Day),
    ("time", Field::Time),
    ("account", Field::Account),
    ("account_id", Field::AccountId),
    ("run_id", Field::RunId),
];

/// Why a template, or a key made from it, can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error(
        "key template {template:?}: {{{field}}} is not known; use {{dataset}} {{date}} {{year}} {{month}} {{day}} {{time}} {{account}} {{account_id}} {{run_id}}"
    )]
    UnknownField {
        /// The whole template.
        template: String,
        /// The text between the braces.
        field: String,
    },
    /// An unmatched brace.
    #[error("key template {0:?}: a brace has no counterpart; write placeholders as {{account}}")]
    Unbalanced(String),
    /// A key that is not valid in S3 or in the bucket's layout.
    #[error("key template {template:?}: {why}")]
    Unusable {
        /// The whole template.
        template: String,
        why: String,
    },
    /// Two jobs of a run would write the same object.
    #[error("key template {template:?}: two jobs of one run would have the same key; add {{{add}}}")]
    SameKey {
        /// The whole template.
        template: String,
        /// The placeholder that distinguishes them.
        add: &'static str,
    },
    /// Reports of several datasets would have one key. A template without `{dataset}` is that of a fleet from before there
    /// were others.
    #[error(
        "key template {template:?}: without {{dataset}} it is for {default} alone, and not for dataset {dataset}; add {{dataset}}",
        default = datasets::DEFAULT.name
    )]
    NoDataset {
        /// The whole template.
        template: String,
        dataset: &'static str,
    },
    /// Two accounts share an ID, so their keys would be the same.
    #[error(
        "key template {template:?}: accounts {first} and {second} have the same id and would have the same key; add {{account}}"
    )]
    OneId {
        /// The whole template.
        template: String,
        first: String,
        /// Another account with the same ID.
        second: String,
    },
    /// `{account_id}` is used, but the ID of an account is unknown.
    #[error(
        "key template {template:?}: {{account_id}} needs the id of every account, and {missing}; add `id` in the accounts file, or use {{account}}"
    )]
    NoAccountId {
        /// The whole template.
        template: String,
        /// Which ID is unknown.
        missing: String,
    },
}

impl KeyTemplate {
    /// The template as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Refuses a template with which two jobs, with these accounts and datasets, could write the same object.
    pub fn check(&self, accounts: &Accounts, datasets: &[&Dataset]) -> Result<(), KeyError> {
        let template = || self.text.clone();
        if self.has(Field::AccountId) {
            if !accounts.is_listed() {
                return Err(KeyError::NoAccountId {
                    template: template(),
                    missing: "there is no accounts file".into(),
                });
            }
            if let Some(account) = accounts.iter().find(|account| account.id.is_none()) {
                return Err(KeyError::NoAccountId {
                    template: template(),
                    missing: format!("account {} has none", account.name),
                });
            }
        }
        if !self.has(Field::Account) {
            if !self.has(Field::AccountId) {
                return Err(KeyError::SameKey { template: template(), add: "account" });
            }
            let mut names = HashMap::new();
            for account in accounts.iter() {
                if let Some(first) = names.insert(&account.id, &account.name) {
                    return Err(KeyError::OneId {
                        template: template(),
                        first: first.to_string(),
                        second: account.name.to_string(),
                    });
                }
            }
        }
        datasets.iter().try_for_each(|dataset| self.check_dataset(dataset))
    }

    fn check_dataset(&self, dataset: &Dataset) -> Result<(), KeyError> {
        if self.has(Field::Dataset) || dataset.name == datasets::DEFAULT.name {
            return Ok(());
        }
        Err(KeyError::NoDataset { template: self.text.clone(), dataset: dataset.name })
    }

    /// The key of the report of a job's first window.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoAccountId`] if the template needs an ID that is not given, [`KeyError::NoDataset`] if other datasets
    /// would have the same key, [`KeyError::SameKey`] if it has no place for the time of a window, and
    /// [`KeyError::Unusable`] if the key would be longer than S3 allows.
    pub fn key(&self, job: &Job, account_id: Option<&AccountId>) -> Result<String, KeyError> {
        self.render(job, account_id, Some(job.window()))
    }

    /// The key of a window; without one, placeholders of time stay.
    fn render(
        &self,
        job: &Job,
        account_id: Option<&AccountId>,
        window: Option<Window>,
    ) -> Result<String, KeyError> {
        self.check_dataset(job.dataset)?;
        let length = job.windows.length();
        let mut key = String::new();
        for part in self.parts_for(length)?.iter() {
            match part {
                Part::Literal(text) => key.push_str(text),
                Part::Field(Field::Dataset) => key.push_str(&job.dataset.folder(length)),
                Part::Field(Field::Account) => key.push_str(job.account_name.as_str()),
                Part::Field(Field::RunId) => key.push_str(job.run_id.as_str()),
                Part::Field(Field::AccountId) => {
                    key.push_str(account_id.map(AccountId::as_str).ok_or_else(|| KeyError::NoAccountId {
                        template: self.text.clone(),
                        missing: format!("account {} has none", job.account_name),
                    })?);
                }
                Part::Field(field) => {
                    let value = window.and_then(|window| field.of(window));
                    key.push_str(&value.unwrap_or_else(|| field.placeholder()));
                }
            }
        }
        if let Some((prefix, content)) = reserved(&key) {
            return Err(
                self.unusable(format!("it gives a key under '{prefix}', which is reserved for {content}"))
            );
        }
        if let Some(why) = odd_part(&key) {
            return Err(self.unusable(why));
        }
        if key.len() > MAX_KEY_BYTES {
            return Err(self.unusable(format!("it gives a key of more than {MAX_KEY_BYTES} bytes")));
        }
        Ok(key)
    }

    fn has(&self, field: Field) -> bool {
        self.parts.contains(&Part::Field(field))
    }

    fn unusable(&self, why: impl Into<String>) -> KeyError {
        KeyError::Unusable { template: self.text.clone(), why: why.into() }
    }
}

impl Field {
    fn placeholder(self) -> String {
        let name = FIELDS.iter().find(|(_, field)| *field == self).map_or("", |(name, _)| name);
        format!("{{{name}}}")
    }
}

impl Part {
    /// The literal text, or an example value in place of the placeholder.
    fn as_shape(&self) -> &str {
        match self {
            Self::Literal(text) => text,
            Self::Field(_) => "x",
        }
    }
}

/// What is wrong with the parts between a key's slashes: when the bucket is copied to a disk, such a key
/// would leave its folder, or two reports would become one file.
fn odd_part(key: &str) -> Option<&'static str> {
    key.split('/')
        .any(|part| matches!(part, "" | "." | ".."))
        .then_some("it gives a key with an empty part, '.' or '..' between its slashes")
}

/// The reserved prefix of a key, and what is there.
fn reserved(key: &str) -> Option<(&'static str, &'static str)> {
    RESERVED.into_iter().find(|(prefix, _)| key.starts_with(prefix))
}

impl Default for KeyTemplate {
    fn default() -> Self {
        DEFAULT_TEMPLATE.parse().expect("cannot fail: a test reads it")
    }
}

impl FromStr for KeyTemplate {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, field) = match rest.split_once('{') {
                None => (rest, None),
                Some((literal, after)) => {
                    let (name, after) =
                        after.split_once('}').ok_or_else(|| KeyError::Unbalanced(text.into()))?;
                    (literal, Some((name, after)))
                }
            };
            if literal.contains('}') {
                return Err(KeyError::Unbalanced(text.into()));
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            let Some((name, after)) = field else { break };
            let (_, field) = FIELDS.iter().find(|(known, _)| *known == name).ok_or_else(|| {
                KeyError::UnknownField { template: text.to_owned(), field: name.to_owned() }
            })?;
            parts.push(Part::Field(*field));
            rest = after;
        }
        let template = Self { text: text.to_owned(), parts };
        // A placeholder's value is never empty; whether it is a dot is checked for each key.
        let shape: String = template.parts.iter().map(Part::as_shape).collect();
        if text.is_empty() {
            Err(template.unusable("it is empty"))
        } else if text.starts_with('/') {
            Err(template.unusable("a key that begins with '/' is a folder without a name in S3's console"))
        } else if let Some((prefix, content)) = reserved(text) {
            Err(template.unusable(format!("'{prefix}' is reserved for {content}; choose another prefix")))
        } else if text.bytes().any(|byte| !(b' '..=b'~').contains(&byte)) {
            Err(template.unusable("a key may contain only printable ASCII"))
        } else if let Some(why) = odd_part(&shape) {
            Err(template.unusable(why))
        } else {
            Ok(template)
        }
    }
}

impl fmt::Display for KeyTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
