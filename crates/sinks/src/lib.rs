// SPDX-License-Identifier: Apache-2.0
//! Where reports go besides the report bucket: one file for each type of sink, and one line here.
//!
//! A report is stored first; then a [`Delivery`] gives it to each sink of its dataset, and only then is its message
//! deleted. What a sink has can be made anew from the bucket.

// No input may cause a panic.
#![warn(clippy::indexing_slicing, clippy::string_slice)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice, reason = "a test may fail"))]

mod breaker;
mod cloudwatch;
mod delivery;
mod json_lines;
pub mod marker;
pub mod opensearch;
mod settings;
pub mod setup;
mod sink;
mod transfer;

use std::collections::HashSet;

use aws_config::SdkConfig;
use fleet::{
    Dataset, datasets,
    settings::{Table, Value},
};

use self::settings::Settings;
pub use self::{
    cloudwatch::metrics_put,
    delivery::{Again, Delivery, NotDelivered},
    sink::{Configured, Named, Repetition, Sink},
    transfer::{Record, Transfer},
};

/// A type of sink.
#[derive(Clone, Copy)]
struct Type {
    /// Makes a sink of its settings; `None` if it has recorded what is wrong with them.
    open: fn(&Settings<'_>) -> Option<Box<dyn Sink>>,
    repetition: Repetition,
}

/// Every type of sink, by the name that a configuration file gives it.
const TYPES: &[(&str, Type)] = &[
    ("cloudwatch", Type { open: cloudwatch::open, repetition: Repetition::Adds }),
    ("json_lines", Type { open: json_lines::open, repetition: Repetition::Harmless }),
    ("opensearch", Type { open: opensearch::open, repetition: Repetition::Harmless }),
];

/// The maximum length of a sink's name, which is a part of the keys of what was delivered to it.
const MAX_NAME: usize = 32;

/// Reads the list of sinks of a configuration file. Those in AWS are called with the process's own configuration.
pub fn take(list: Option<&Value<'_>>, aws: &SdkConfig) -> Option<Vec<Configured>> {
    let mut names = HashSet::new();
    let tables = list.map(Value::tables).unwrap_or_default();
    // Each is looked at, whatever is wrong with those before it.
    let sinks: Vec<Option<Configured>> =
        tables.iter().map(|table| configured(table, aws, &mut names)).collect();
    sinks.into_iter().collect()
}

/// The sinks of a configuration file, as far as a program has to know them that delivers nothing itself, and so has no password
/// of one.
pub fn names(list: Option<&Value<'_>>) -> Option<Vec<Named>> {
    let mut known = HashSet::new();
    let tables = list.map(Value::tables).unwrap_or_default();
    let name = |table: &Table<'_>| {
        let name = table.required("name").and_then(|value| name_of(&value, &mut known));
        let datasets = table.required("datasets").map(|value| datasets_of(&value));
        let kind = table.required("type").and_then(|value| value.one_of(TYPES));
        let (Type { repetition, .. }, name, datasets) = (kind?, name?, datasets?);
        Some(Named { name, datasets, repetition })
    };
    let all: Vec<_> = tables.iter().map(name).collect();
    all.into_iter().collect()
}

fn configured(table: &Table<'_>, aws: &SdkConfig, names: &mut HashSet<String>) -> Option<Configured> {
    let name = table.required("name").and_then(|value| name_of(&value, names));
    let datasets = table.required("datasets").map(|value| datasets_of(&value));
    let kind = table.required("type").and_then(|value| value.one_of(TYPES));
    // Without a type it is not known which other keys there are.
    let sink = kind.and_then(|Type { open, repetition }| {
        let (name, datasets) = (name.as_deref().unwrap_or_default(), datasets.as_deref().unwrap_or_default());
        let sink = open(&Settings { name, datasets, table, aws });
        table.end();
        Some((sink?, repetition))
    });
    let (name, datasets, (sink, repetition)) = (name?, datasets?, sink?);
    Some(Configured { named: Named { name, datasets, repetition }, sink })
}

fn name_of(value: &Value<'_>, names: &mut HashSet<String>) -> Option<String> {
    let name = value.text()?;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    if !name.bytes().all(is_plain) || name.len() > MAX_NAME {
        value.fault(format!("is not of small letters, digits, _ and -, {MAX_NAME} at most"));
    } else if !names.insert(name.to_owned()) {
        value.fault("is the name of two sinks");
    }
    Some(name.to_owned())
}

/// The datasets of a list, in which a group stands for all of its own.
fn datasets_of(value: &Value<'_>) -> Vec<&'static Dataset> {
    let mut all = Vec::new();
    for (value, name) in value.texts() {
        let named = Dataset::named(name);
        if named.is_empty() {
            value.fault(format!("is no dataset; this version has {}", datasets::names()));
        }
        all.extend(named);
    }
    all
}

#[cfg(test)]
mod tests {
    use fleet::{configuration, settings::Faults};

    use super::*;

    fn parse(text: &str) -> Result<Vec<Configured>, Faults> {
        configuration::parse(text, |list| take(list, &SdkConfig::builder().build()))
    }

    #[test]
    fn all_that_is_wrong_is_named_with_its_line_and_key() {
        let text = r#"
[[sink]]
name     = "Files"
type     = "json_lines"
datasets = ["s3_daily_storage", "s3"]
path     = "/tmp"

[[sink]]
name     = "search"
type     = "opensearc"
datasets = ["s3_daily_storage"]
url      = "https://example.com"

[[sink]]
name     = "search"
type     = "json_lines"
folder   = 7

[sinks]
"#;
        let faults = parse(text).expect_err("it is not valid").to_string();
        assert_eq!(
            faults.replace(&datasets::names(), "[those that there are]"),
            "\
line 2, sink[0].folder: is missing
line 3, sink[0].name: is not of small letters, digits, _ and -, 32 at most
line 5, sink[0].datasets[1]: is no dataset; this version has [those that there are]
line 6, sink[0].path: is no key of this table, which has datasets, folder, name, type
line 10, sink[1].type: \"opensearc\" is none of cloudwatch, json_lines, opensearch
line 14, sink[2].datasets: is missing
line 15, sink[2].name: is the name of two sinks
line 17, sink[2].folder: is not a text; write it in quotes
line 19, sinks: is no key of this table, which has dataset, select, sink, tag_keys"
        );
    }

    #[test]
    fn what_is_wrong_with_an_endpoint_is_named() {
        let sink = |keys: &str| {
            parse(&format!("[[sink]]\nname = 'search'\ntype = 'opensearch'\ndatasets = ['sqs']\n{keys}\n"))
        };
        let url = "url = 'https://search-f.eu-west-1.es.amazonaws.com'";
        sink(url).expect("valid");
        sink(&format!("{url}\nauth = 'none'\nprefix = 'ops'\nretention = '13mo'")).expect("valid");
        for (keys, expected) in [
            ("", "line 1, sink[0].url: is missing"),
            (
                "url = 'https://me:secret@host'",
                "line 5, sink[0].url: is not a URL such as https://search-….eu-west-1.es.amazonaws.com, without a user and a query",
            ),
            (
                "url = 'https://host'\nauth = 'basic'",
                "line 6, sink[0].auth: needs the environment variable FLEET_SINK_SEARCH_PASSWORD\n\
                 line 6, sink[0].auth: needs the environment variable FLEET_SINK_SEARCH_USER",
            ),
            (
                "url = 'https://host'\nprefix = '-x'",
                "line 6, sink[0].prefix: is not of small letters, digits, - and _, 32 at most, with a letter first",
            ),
            (
                "url = 'https://host'\nretention = '90d'",
                "line 6, sink[0].retention: is not a number of months, such as 13mo: indices are of months",
            ),
        ] {
            assert_eq!(sink(keys).expect_err(expected).to_string(), expected);
        }
    }

    #[test]
    fn a_dataset_with_a_field_of_every_document_is_refused() {
        let text = include_str!("../../../datasets/sqs.toml").replace("QueueName", "RunId");
        let text = text.replace("[[metric]]", "[[dataset.metric]]").replacen("\"sqs\"", "\"clashing\"", 2);
        let text = format!(
            "[[dataset]]\n{text}\n[[sink]]\nname = 'search'\ntype = 'opensearch'\ndatasets = ['clashing']\n\
             url = 'https://host'\nauth = 'none'\n"
        );
        let faults = parse(&text).expect_err("two fields of a name").to_string();
        let expected = "has clashing, whose column run_id is a field of every document; rename it";
        assert!(faults.contains(expected), "{faults}");
    }

    #[test]
    fn a_file_without_sinks_has_none() {
        assert!(parse("").expect("valid").is_empty());
        let one = "[[sink]]\nname = 'files'\ntype = 'json_lines'\ndatasets = ['s3_daily_storage']\nfolder = 'out'\n";
        let sinks = parse(one).expect("valid");
        assert_eq!((sinks.len(), &*sinks[0].named.name), (1, "files"));
        assert!(sinks[0].named.takes(*datasets::DEFAULT));
    }
}
