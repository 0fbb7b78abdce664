// SPDX-License-Identifier: Apache-2.0
//! The request: which accounts, which day, which datasets, and any further attributes.
//!
//! Reading it is pure and reports every fault at once, before anything is sent.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use cli::output::count;
use fleet::{
    AccountName, Accounts, Dataset, Job, ReportDate, RunId, Windows,
    accounts::colliding_variables,
    datasets,
    job::{MAX_BYTES, parse_settle},
    json::{self, JsonError, kind},
    manifest::Manifest,
    window::moment,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{
    attributes,
    when::{self, When, WhenFlags},
};

/// The keys of a request that are not about time, accounts or datasets.
const ONLY_INCOMPLETE: &str = "only_incomplete";
const MAX_USD: &str = "max_usd";

/// A valid request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// At least one, without duplicates.
    pub accounts: Vec<AccountName>,
    /// Where the accounts come from.
    pub accounts_from: AccountsFrom,
    /// When it is about, as it says so.
    pub when: When,
    /// At least one, without duplicates.
    pub datasets: Vec<&'static Dataset>,
    /// Of each dataset, in their order.
    pub windows: Vec<Windows>,
    /// Whether its jobs only complete what is incomplete.
    pub only_incomplete: bool,
    /// What a run of it may cost at most, in US dollars.
    pub max_usd: Option<f64>,
    /// All other keys of the request.
    pub attributes: Map<String, Value>,
}

/// Where the accounts of a request come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountsFrom {
    /// The request, or a flag.
    Request,
    /// `--default-accounts`, for a request without accounts.
    DefaultAccounts,
    /// The accounts file, for a request without accounts.
    AccountsFile,
}

/// The text of a request and its origin, for messages.
#[derive(Debug, Clone)]
pub struct Source {
    /// A file's name, or `standard input`.
    pub name: String,
    /// The text, or why it could not be read.
    pub text: Result<String, String>,
}

/// The parts of a request given on the command line; each overrides the request's text.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    pub account_names: Vec<String>,
    pub when: WhenFlags,
    pub datasets: Vec<String>,
    pub attributes: Vec<String>,
    pub only_incomplete: bool,
    pub max_usd: Option<f64>,
}

/// What a request is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    pub now: DateTime<Utc>,
    /// The known accounts; `None` if the accounts file could not be read.
    pub accounts: Option<&'a Accounts>,
    /// The accounts of a request that names none, if they are not the accounts file's.
    pub default_accounts: &'a [String],
}

/// The values for what a request leaves out.
#[derive(Debug, Clone, Copy)]
struct Defaults<'a> {
    are_meant: bool,
    around: Surroundings<'a>,
}

/// All faults of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the request is not valid:\n  {}", .0.join("\n  "))]
pub struct InvalidRequest(pub Vec<String>);

impl Request {
    /// Parses a request: its text, if there is one, with the flags over it.
    pub fn read(
        source: Option<&Source>,
        flags: &Flags,
        around: Surroundings<'_>,
    ) -> Result<Self, InvalidRequest> {
        let mut faults = Vec::new();
        let object = source.map(parse_object).transpose().map_err(|fault| faults.push(fault));
        // If the text can't be read, it is unknown what it leaves to the defaults.
        let defaults = Defaults { are_meant: object.is_ok(), around };
        let mut object = object.ok().flatten().unwrap_or_default();
        let (accounts, accounts_from) = accounts(&mut object, &flags.account_names, defaults, &mut faults);
        let when = When::take(&mut object, &flags.when, &mut faults);
        let mut of_datasets = Vec::new();
        let datasets = datasets(&mut object, &flags.datasets, &mut of_datasets);
        let windows = windows(when.as_ref(), &datasets, defaults, &mut faults);
        faults.extend(of_datasets);
        let only_incomplete = when::flag(&mut object, ONLY_INCOMPLETE, flags.only_incomplete, &mut faults);
        let max_usd = max_usd(&mut object, flags.max_usd, &mut faults);
        let request = Self {
            accounts,
            accounts_from,
            when: when.unwrap_or_default(),
            datasets,
            windows,
            only_incomplete,
            max_usd,
            attributes: attributes::merge(object, &flags.attributes, &mut faults),
        };
        faults.extend(request.oversized());
        if faults.is_empty() { Ok(request) } else { Err(InvalidRequest(faults)) }
    }

    /// A digest of what was asked for, before defaults are filled in: a change of the accounts file does
    /// not make it another request.
    #[must_use]
    pub fn digest(source: Option<&Source>, flags: &Flags) -> [u8; 10] {
        let text = source.map(|source| source.text.clone().unwrap_or_default());
        let Flags { account_names, when, datasets, attributes, only_incomplete, max_usd } = flags;
        let mut all = vec![
            json!(text),
            json!(account_names),
            json!(when.date),
            json!(datasets),
            json!(attributes),
            json!(only_incomplete),
        ];
        // A request without these has the run that it had in earlier versions.
        all.extend(when.beside_date().map(|when| json!(when)));
        all.extend(max_usd.map(|max_usd| json!({ MAX_USD: max_usd })));
        let digest: [u8; 32] = Sha256::digest(json!(all).to_string()).into();
        *digest.first_chunk().expect("cannot fail: it has 32 bytes")
    }

    /// What of it is not over at `now`, or can't be reported any more.
    #[must_use]
    pub fn too_early(&self, now: DateTime<Utc>) -> Vec<String> {
        let of_each =
            self.datasets.iter().zip(&self.windows).filter_map(|(dataset, windows)| match windows.day() {
                Some(day) => day.check(now).err().map(|error| error.to_string()),
                None => windows.check(dataset, now).err().map(|error| error.to_string()),
            });
        let mut faults: Vec<String> = of_each.collect();
        faults.dedup();
        faults
    }

    /// Every job of the request, account by account.
    pub fn jobs(&self, run_id: &RunId) -> impl Iterator<Item = Job> {
        self.accounts.iter().flat_map(move |account| {
            self.datasets.iter().zip(&self.windows).map(move |(dataset, windows)| Job {
                account_name: account.clone(),
                windows: *windows,
                dataset,
                run_id: run_id.clone(),
                only_incomplete: self.only_incomplete,
                settle: self.when.settle,
                attributes: self.attributes.clone(),
            })
        })
    }

    /// The request as one JSON object that could be sent again, flags included.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        let accounts: Vec<&str> = self.accounts.iter().map(AccountName::as_str).collect();
        let datasets: Vec<&str> = self.datasets.iter().map(|dataset| dataset.name).collect();
        object.insert("account_name".into(), accounts.into());
        let mut when = self.when.to_json();
        if let Some(date) = self.day().filter(|_| self.when.is_of_day()) {
            object.insert("date".into(), date.to_string().into());
            when.shift_remove("date");
        }
        object.extend(when);
        object.insert("dataset".into(), datasets.into());
        if self.only_incomplete {
            object.insert(ONLY_INCOMPLETE.into(), true.into());
        }
        object.extend(self.max_usd.map(|max_usd| (MAX_USD.to_owned(), json!(max_usd))));
        object.extend(self.attributes.clone());
        object
    }

    /// The day that its jobs begin with, or are of.
    #[must_use]
    pub fn date(&self) -> ReportDate {
        let first = self.windows.iter().map(|windows| windows.first().date()).min();
        first.expect("cannot fail: it has at least one dataset")
    }

    /// The day, if all its jobs are of one.
    fn day(&self) -> Option<ReportDate> {
        let day = self.windows.first()?.day()?;
        self.windows.iter().all(|windows| windows.day() == Some(day)).then_some(day)
    }

    /// Which accounts are meant, where they come from, and which attributes jobs carry, for people: a
    /// typo in the request shows here.
    #[must_use]
    pub fn describe(&self) -> String {
        let accounts = self.accounts.len();
        let mut text = match self.accounts_from {
            AccountsFrom::Request if accounts == 1 => "accounts: the one that the request names".to_owned(),
            AccountsFrom::Request => format!("accounts: the {accounts} that the request names"),
            AccountsFrom::DefaultAccounts => {
                format!(
                    "accounts: the request names none, so {} by FLEET_DEFAULT_ACCOUNTS",
                    count(accounts, "default account")
                )
            }
            AccountsFrom::AccountsFile => {
                format!(
                    "accounts: the request names none, so {} of the accounts file",
                    count(accounts, "default account")
                )
            }
        };
        if !self.attributes.is_empty() {
            let attributes: Vec<String> =
                self.attributes.iter().map(|(name, value)| attributes::in_short(name, value)).collect();
            text += "\nattributes: ";
            text += &attributes.join(", ");
        }
        text
    }

    /// The fault of jobs that are too large. Jobs differ only by the account's name, so the first one
    /// represents the others.
    fn oversized(&self) -> Option<String> {
        // All run IDs have the same length.
        let run_id = RunId::generate();
        let mut sizes = self
            .jobs(&run_id)
            .map(|job| (job.body().len(), job.account_name))
            .filter(|(size, _)| *size > MAX_BYTES);
        let (size, account) = sizes.next()?;
        let others = match sizes.count() {
            0 => String::new(),
            others => format!(" (and {})", count(others, "more job")),
        };
        Some(format!(
            "account {account}: its job has {size} bytes, and the maximum is {MAX_BYTES}; make the attributes smaller{others}"
        ))
    }
}

/// The attributes of a request in the form of [`Request::to_json`].
#[must_use]
pub fn attributes_from_json(request: &Map<String, Value>) -> Map<String, Value> {
    let is_known = |key: &str| {
        ["account_name", "dataset", ONLY_INCOMPLETE, MAX_USD].contains(&key) || when::KEYS.contains(&key)
    };
    request.clone().into_iter().filter(|(key, _)| !is_known(key)).collect()
}

/// The flags with which a request is about the same time as a run.
#[must_use]
pub fn when_flags(manifest: &Manifest) -> String {
    let Some([from, to]) = manifest.span() else { return format!(" --date {}", manifest.date) };
    let text = |key: &str| {
        let value = manifest.request.get(key).and_then(Value::as_str);
        value.map_or_else(String::new, |value| format!(" --{key} {value}"))
    };
    let is_provisional = manifest.request.get("provisional").is_some_and(|is_so| *is_so == Value::Bool(true));
    let provisional = if is_provisional { " --provisional" } else { "" };
    format!(" --from {} --to {}{}{}{provisional}", moment(from), moment(to), text("window"), text("settle"))
}

/// The settle time of a request in the form of [`Request::to_json`].
pub fn settle_from_json(request: &Map<String, Value>) -> Option<TimeDelta> {
    request.get("settle").and_then(Value::as_str).and_then(parse_settle)
}

fn max_usd(object: &mut Map<String, Value>, flag: Option<f64>, faults: &mut Vec<String>) -> Option<f64> {
    let value = object.shift_remove(MAX_USD);
    let Some(value) = value.filter(|_| flag.is_none()) else { return flag };
    let Some(number) = value.as_f64() else {
        faults.push(format!("max_usd is {}, not a number of dollars such as 2.5", kind(&value)));
        return None;
    };
    check_max_usd(number).map_err(|fault| faults.push(fault)).ok()
}

/// Refuses a limit that nothing can stay within.
///
/// # Errors
///
/// What is wrong, and what to write.
pub fn check_max_usd(number: f64) -> Result<f64, String> {
    let is_limit = number.is_finite() && number > 0.0;
    is_limit
        .then_some(number)
        .ok_or_else(|| format!("max_usd {number} is not more than 0; write dollars such as 2.5"))
}

/// Parses a request's text as an object.
fn parse_object(source: &Source) -> Result<Map<String, Value>, String> {
    let name = &source.name;
    match json::read(source.text.as_ref().map_err(Clone::clone)?) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(format!(
            "{name} is {}, not a JSON object such as {{\"account_name\":\"data\"}}",
            kind(&other)
        )),
        Err(error @ JsonError::Syntax(_)) => {
            Err(format!("{name} {error}; write an object such as {{\"account_name\":\"data\"}}"))
        }
        Err(error) => Err(format!("{name} {error}")),
    }
}

fn accounts(
    object: &mut Map<String, Value>,
    flags: &[String],
    Defaults { are_meant, around }: Defaults<'_>,
    faults: &mut Vec<String>,
) -> (Vec<AccountName>, AccountsFrom) {
    let one = object.shift_remove("account_name");
    let many = object.shift_remove("account_names");
    let mut from = AccountsFrom::Request;
    let texts = match (flags, one, many) {
        ([_, ..], _, _) => flags.to_vec(),
        ([], Some(_), Some(_)) => {
            faults.push("account_name and account_names are both given; leave one out".into());
            return (Vec::new(), from);
        }
        ([], Some(value), None) => texts("account_name", &value, faults),
        ([], None, Some(value)) => texts("account_names", &value, faults),
        ([], None, None) if !are_meant => return (Vec::new(), from),
        ([], None, None) => {
            let defaults;
            (defaults, from) = default_accounts(around);
            if defaults.is_empty() && around.accounts.is_some() {
                faults.push(
                    "no account at all: name one with --account-name or account_name, \
                     or set FLEET_DEFAULT_ACCOUNTS or an accounts file with a default account"
                        .into(),
                );
            }
            defaults
        }
    };
    let listed = around.accounts.filter(|accounts| accounts.is_listed());
    let known: Option<HashSet<&str>> =
        listed.map(|accounts| accounts.iter().map(|known| known.name.as_str()).collect());
    let mut seen = HashSet::new();
    let mut names = Vec::with_capacity(texts.len());
    for text in texts {
        match text.parse::<AccountName>() {
            Err(error) if from == AccountsFrom::DefaultAccounts => {
                faults.push(format!(
                    "the default accounts (FLEET_DEFAULT_ACCOUNTS, --default-accounts): {error}"
                ));
            }
            Err(error) => faults.push(error.to_string()),
            Ok(name) if !seen.insert(name.clone()) => {
                faults.push(format!("account {name}: is listed twice; leave one out"));
            }
            Ok(name) if known.as_ref().is_some_and(|known| !known.contains(name.as_str())) => {
                faults.push(format!(
                    "account {name}: is not in the accounts file; correct the name, or add the account there"
                ));
            }
            Ok(name) => names.push(name),
        }
    }
    faults.extend(colliding_variables(&names));
    (names, from)
}

fn default_accounts(around: Surroundings<'_>) -> (Vec<String>, AccountsFrom) {
    if !around.default_accounts.is_empty() {
        return (around.default_accounts.to_vec(), AccountsFrom::DefaultAccounts);
    }
    let defaults = around.accounts.into_iter().flat_map(Accounts::iter).filter(|account| account.default);
    (defaults.map(|account| account.name.to_string()).collect(), AccountsFrom::AccountsFile)
}

/// The windows of each dataset; with a fault, any.
fn windows(
    when: Option<&When>,
    datasets: &[&'static Dataset],
    Defaults { are_meant, around }: Defaults<'_>,
    faults: &mut Vec<String>,
) -> Vec<Windows> {
    // The size of a job, which is measured even then, does not depend on the day.
    let any = Windows::from(ReportDate::today(around.now));
    // If the text can't be read, what it leaves to the default is not known.
    let Some(when) = when.filter(|when| are_meant || !when.is_default()) else {
        return vec![any; datasets.len()];
    };
    let of = |dataset: &&'static Dataset, faults: &mut Vec<String>| {
        when.windows(dataset, around.now).unwrap_or_else(|fault| {
            if !faults.contains(&fault) {
                faults.push(fault);
            }
            any
        })
    };
    if datasets.is_empty() {
        of(&datasets::DEFAULT, faults);
    }
    datasets.iter().map(|dataset| of(dataset, faults)).collect()
}

fn datasets(
    object: &mut Map<String, Value>,
    flags: &[String],
    faults: &mut Vec<String>,
) -> Vec<&'static Dataset> {
    let value = object.shift_remove("dataset");
    let texts = match (flags, value) {
        ([_, ..], _) => flags.to_vec(),
        ([], Some(value)) => texts("dataset", &value, faults),
        ([], None) => return vec![*datasets::DEFAULT],
    };
    let mut found: Vec<&'static Dataset> = Vec::new();
    for text in texts {
        let named = Dataset::named(&text);
        if named.is_empty() {
            faults.push(datasets::unknown(&text));
        } else if named.iter().any(|dataset| found.contains(dataset)) {
            faults.push(format!("dataset {text:?} is listed twice; leave one out"));
        } else {
            found.extend(named);
        }
    }
    found
}

/// The strings of a key that takes one string or a list of them.
fn texts(key: &str, value: &Value, faults: &mut Vec<String>) -> Vec<String> {
    let values = match value {
        Value::String(text) => return vec![text.clone()],
        Value::Array(values) => values,
        other => {
            faults.push(format!("{key} is {}, not a string or a list of strings", kind(other)));
            return Vec::new();
        }
    };
    if values.is_empty() {
        faults.push(format!("{key} is an empty list; name at least one, or leave the key out"));
    }
    let mut texts = Vec::with_capacity(values.len());
    for value in values {
        match value {
            Value::String(text) => texts.push(text.clone()),
            other => faults.push(format!("{key} has {} in its list, not a string", kind(other))),
        }
    }
    texts
}

#[cfg(test)]
mod tests;
