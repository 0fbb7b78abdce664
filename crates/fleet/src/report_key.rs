// SPDX-License-Identifier: Apache-2.0
//! The key of a report in the report bucket. It depends only on the job, so that a duplicate of a job
//! writes the same object.

mod windows;

use std::{collections::HashMap, fmt, str::FromStr};

pub use self::windows::fill;
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

/// The prefixes that no report may use, and what is there.
const RESERVED: [(&str, &str); 3] = [
    (MANIFEST_PREFIX, "the runs' manifests"),
    (ASIDE_PREFIX, "unfinished reports"),
    (DELIVERED_PREFIX, "what sinks have"),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ReportDate, RunId, datasets};

    fn job(account: &str) -> Job {
        Job {
            account_name: account.parse().expect("a name"),
            windows: "2026-11-01".parse::<ReportDate>().expect("a date").into(),
            dataset: *datasets::DEFAULT,
            run_id: "r1".parse::<RunId>().expect("a run id"),
            only_incomplete: false,
            settle: None,
            attributes: serde_json::Map::new(),
        }
    }

    fn accounts(text: &str) -> Accounts {
        Accounts::parse(text).expect("an accounts file")
    }

    #[test]
    fn the_default_is_hive_style() {
        let key = KeyTemplate::default().key(&job("data"), None).expect("a key");
        assert_eq!(key, "s3_daily_storage/report_date=2026-11-01/account_name=data/report.csv");
    }

    #[test]
    fn no_report_is_stored_among_the_manifests() {
        let template: KeyTemplate = "{account}/{run_id}.json".parse().expect("valid");
        assert!(template.key(&job("data"), None).is_ok());
        let error = template.key(&job("runs"), None).expect_err("its own manifest");
        assert!(error.to_string().contains("manifests"), "{error}");
    }

    #[test]
    fn no_run_id_leads_out_of_a_folder() {
        let template: KeyTemplate = "x/{run_id}/{account}.csv".parse().expect("valid");
        for run_id in [".", ".."] {
            let job = Job { run_id: run_id.parse().expect("a run id"), ..job("data") };
            let error = template.key(&job, None).expect_err(run_id);
            assert!(error.to_string().contains("'..' between its slashes"), "{error}");
        }
        let job = Job { run_id: "...".parse().expect("a run id"), ..job("data") };
        assert_eq!(template.key(&job, None).expect("a key"), "x/.../data.csv");
    }

    #[test]
    fn a_key_is_not_longer_than_s3_allows() {
        let fits = "x".repeat(MAX_KEY_BYTES - 64);
        let template: KeyTemplate = format!("{fits}/{{account}}").parse().expect("valid");
        assert_eq!(template.key(&job(&"a".repeat(63)), None).expect("a key").len(), MAX_KEY_BYTES);
        let template: KeyTemplate = format!("{fits}x/{{account}}").parse().expect("valid");
        let error = template.key(&job(&"a".repeat(63)), None).expect_err("a byte too long");
        assert!(error.to_string().contains("960 bytes"), "{error}");
    }

    /// Templates of literals and placeholders, most of them valid in S3.
    fn any_template() -> impl Strategy<Value = String> {
        let part = "[a-z/.-]{0,3}|\\{(account|date|run_id|dataset|year|account_id)\\}|\\PC";
        prop::collection::vec(part, 0..6).prop_map(|parts| format!("{}{{account}}", parts.concat()))
    }

    proptest! {
        #[test]
        fn a_key_is_well_formed_and_of_one_job(
            (name, other) in ("[A-Za-z0-9][A-Za-z0-9_-]{0,62}", "[A-Za-z0-9][A-Za-z0-9_-]{0,62}"),
            run_id in "[A-Za-z0-9._-]{1,64}|\\.{1,3}",
            own in any_template(),
        ) {
            let of = |account: &str, date: &str| Job {
                windows: date.parse::<ReportDate>().expect("a date").into(),
                run_id: run_id.parse().expect("a run id"),
                ..job(account)
            };
            let default = KeyTemplate::default();
            let key = default.key(&of(&name, "2026-11-01"), None).expect("a key");
            prop_assert_ne!(&key, &default.key(&of(&name, "2026-11-02"), None).expect("a key"));
            let template = own.parse::<KeyTemplate>();
            let own = |name| template.as_ref().ok()?.key(&of(name, "2026-11-01"), None).ok();
            if name != other {
                prop_assert_ne!(&key, &default.key(&of(&other, "2026-11-01"), None).expect("a key"));
                prop_assert!(own(&name).is_none() || own(&name) != own(&other));
            }
            for key in [Some(key), own(&name)].into_iter().flatten() {
                prop_assert!(key.len() <= 1024 && key.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
                prop_assert!(key.split('/').all(|part| !["", ".", ".."].contains(&part)), "{}", key);
                prop_assert!(reserved(&key).is_none(), "{}", key);
            }
        }
    }

    #[test]
    fn the_layout_of_the_lambdas_it_replaces() {
        let template: KeyTemplate =
            "{year}/{year}-{month}/{year}-{month}-{account}.csv".parse().expect("valid");
        assert_eq!(template.key(&job("data"), None).expect("a key"), "2026/2026-11/2026-11-data.csv");
        assert_eq!(template.check(&Accounts::default(), &[*datasets::DEFAULT]), Ok(()));
    }

    #[test]
    fn refuses_invalid_templates() {
        for (text, expected) in [
            ("", "empty"),
            ("/x/{account}", "begins with '/'"),
            ("runs/{account}", "manifests"),
            ("tries/{account}", "unfinished reports"),
            ("delivered/{account}", "what sinks have"),
            ("{acount}.csv", "{acount} is not known"),
            ("{account", "counterpart"),
            ("account}", "counterpart"),
            ("é/{account}", "ASCII"),
            ("a\n/{account}", "ASCII"),
            ("../{account}", "'..' between its slashes"),
            ("a/./{account}", "'..' between its slashes"),
            ("a//{account}", "an empty part"),
            ("{account}/", "an empty part"),
        ] {
            let error = text.parse::<KeyTemplate>().expect_err(text).to_string();
            assert!(error.contains(expected), "{error:?} should say {expected:?}");
        }
    }

    #[test]
    fn refuses_a_template_with_which_two_jobs_share_a_key() {
        let check = |template: &str, accounts: &Accounts, datasets: &[&Dataset]| {
            let checked = template.parse::<KeyTemplate>().expect("valid").check(accounts, datasets);
            checked.map_err(|error| error.to_string())
        };
        let none = Accounts::default();
        let one = [*datasets::DEFAULT];
        let error = check("{date}.csv", &none, &one).expect_err("no account");
        assert!(error.ends_with("add {account}"), "{error}");
        let other: &'static Dataset =
            Box::leak(Box::new(Dataset { name: "other", ..(*datasets::DEFAULT).clone() }));
        let error = check("{date}/{account}.csv", &none, &[*datasets::DEFAULT, other]).expect_err("two");
        assert_eq!(
            error,
            "key template \"{date}/{account}.csv\": without {dataset} it is for s3_daily_storage alone, and not for dataset \
             other; add {dataset}"
        );
        assert_eq!(check("{dataset}/{account}.csv", &none, &[*datasets::DEFAULT, other]), Ok(()));
        let template: KeyTemplate = "{date}/{account}.csv".parse().expect("valid");
        let of_other = template.key(&Job { dataset: other, ..job("data") }, None).expect_err("a job of it");
        assert_eq!(of_other.to_string(), error);
        assert!(
            check("{account_id}.csv", &none, &one)
                .expect_err("no file")
                .contains("there is no accounts file")
        );

        let partly = accounts("[[account]]\nname='a'\nid='111111111111'\n[[account]]\nname='b'\n");
        assert!(check("{account_id}.csv", &partly, &one).expect_err("no id").contains("account b has none"));
        assert!(check("{account_id}-{account}.csv", &partly, &one).is_err());
        let twice =
            accounts("[[account]]\nname='a'\nid='111111111111'\n[[account]]\nname='b'\nid='111111111111'\n");
        assert!(
            check("{account_id}.csv", &twice, &one).expect_err("one id").contains("a and b have the same id")
        );
        assert_eq!(check("{account_id}-{account}.csv", &twice, &one), Ok(()));
    }
}
