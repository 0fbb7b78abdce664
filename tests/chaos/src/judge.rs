// SPDX-License-Identifier: Apache-2.0
//! Is a report right, and if not, in what way is it wrong? Plain functions over values.

use std::collections::HashMap;
use std::fmt::Write as _;

use chrono::NaiveDate;
use local_aws::Object;
use sha2::{Digest, Sha256};

/// What is wrong with an account's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ill {
    /// Neither a report nor a dead letter, and the job is gone.
    Lost,
    /// A report with something missing, or one that calls itself partial.
    Short,
    /// A report that differs in any other way.
    Corrupt,
    /// An end that this account must not come to.
    Unexpected,
    /// `producer status` says something else.
    Status,
}

/// What a report must say of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) account: (&'a str, &'a str),
    pub(crate) date: NaiveDate,
    pub(crate) run_id: &'a str,
}

/// Compares a report with the text that it must be.
pub(crate) fn judge(object: &Object, expected: &str, facts: Facts<'_>) -> Result<(), (Ill, String)> {
    let said = |name: &str| object.metadata.get(name).map_or("", String::as_str);
    if said("status") != "complete" {
        return Err((Ill::Short, format!("its status is {:?}: {}", said("status"), said("first-error"))));
    }
    if object.body != expected.as_bytes() {
        return Err(difference(&String::from_utf8_lossy(&object.body), expected));
    }
    let sum = Sha256::digest(&object.body).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let (date, rows) = (facts.date.to_string(), (expected.lines().count() - 1).to_string());
    for (name, expected) in [
        ("sha256", sum.as_str()),
        ("run-id", facts.run_id),
        ("account-name", facts.account.0),
        ("account-id", facts.account.1),
        ("dataset", "s3_daily_storage"),
        ("report-date", &date),
        ("rows", &rows),
        ("rows-denied", "0"),
        ("rows-error", "0"),
    ] {
        if said(name) != expected {
            return Err((Ill::Corrupt, format!("its {name} is {:?} and not {expected:?}", said(name))));
        }
    }
    if object.content_type.as_deref() != Some("text/csv; charset=utf-8") {
        return Err((Ill::Corrupt, format!("its content type is {:?}", object.content_type)));
    }
    Ok(())
}

/// What is the first thing in which a table differs, and whether that is something missing.
fn difference(actual: &str, expected: &str) -> (Ill, String) {
    let rows = |table: &str| table.lines().count();
    if rows(actual) < rows(expected) {
        return (Ill::Short, format!("it has {} lines and not {}", rows(actual), rows(expected)));
    }
    let header: Vec<&str> = expected.lines().next().unwrap_or_default().split(',').collect();
    let by_name = |table: &str| -> HashMap<String, Vec<String>> {
        let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
        table
            .lines()
            .skip(1)
            .map(|line| (line.split(',').next().unwrap_or_default().to_owned(), cells(line)))
            .collect()
    };
    let actual = by_name(actual);
    for (name, expected) in by_name(expected) {
        let Some(actual) = actual.get(&name) else {
            return (Ill::Short, format!("it has no row of {name}"));
        };
        for ((column, expected), actual) in header.iter().zip(&expected).zip(actual) {
            if actual != expected {
                let ill = if actual.is_empty() { Ill::Short } else { Ill::Corrupt };
                return (ill, format!("{column} of {name} is {actual:?} and not {expected:?}"));
            }
        }
    }
    (Ill::Corrupt, "it differs in its header, its order or its lines' ends".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "bucket_name,size\na,1\nb,2\n";

    fn ill(actual: &str) -> Ill {
        difference(actual, TABLE).0
    }

    #[test]
    fn what_is_missing_is_short_and_what_is_wrong_is_corrupt() {
        assert_eq!(ill("bucket_name,size\na,1\n"), Ill::Short);
        assert_eq!(ill("bucket_name,size\na,1\nb,\n"), Ill::Short);
        assert_eq!(ill("bucket_name,size\na,1\nc,2\n"), Ill::Short);
        assert_eq!(ill("bucket_name,size\na,1\nb,3\n"), Ill::Corrupt);
        assert_eq!(ill("bucket_name,size\na,1\nb,2\nc,3\n"), Ill::Corrupt);
        assert_eq!(ill("bucket_name,size\nb,2\na,1\n"), Ill::Corrupt);
    }
}
