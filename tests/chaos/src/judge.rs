// SPDX-License-Identifier: Apache-2.0
//! Is a report right, and if not, in what way is it wrong? Plain functions over values.

use std::collections::HashMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use local_aws::Object;
use sha2::{Digest, Sha256};

use crate::subject::{Subject, hours_later, text};

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
    pub(crate) subject: Subject,
    /// When its window begins.
    pub(crate) window: DateTime<Utc>,
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
    let date = facts.window.date_naive().to_string();
    let rows = (expected.lines().count() - 1).to_string();
    // A window that is a day has no others.
    let [from, to, period] = match facts.subject {
        Subject::Day(_) => [String::new(), String::new(), String::new()],
        Subject::Hours(..) => [text(facts.window), text(hours_later(facts.window, 1)), "60".to_owned()],
    };
    for (name, expected) in [
        ("sha256", sum.as_str()),
        ("run-id", facts.run_id),
        ("account-name", facts.account.0),
        ("account-id", facts.account.1),
        ("dataset", facts.subject.dataset()),
        ("from", &from),
        ("to", &to),
        ("period-seconds", &period),
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
        table.lines().skip(1).map(|line| (name_of(&header, &cells(line)), cells(line))).collect()
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

/// What a row is about, by the columns that say so.
fn name_of(header: &[&str], cells: &[String]) -> String {
    let is_name = |column: &str| matches!(column, "region" | "period_start") || column.ends_with("_name");
    let named = header.iter().zip(cells).filter(|(column, _)| is_name(column));
    named.map(|(_, cell)| cell.as_str()).collect::<Vec<_>>().join("/")
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

    #[test]
    fn rows_of_a_service_are_told_apart_by_their_minute() {
        let table = |second: &str| {
            format!("service_name,region,period_start,value\nweb,eu,13:00,1\nweb,eu,13:01,{second}\n")
        };
        let found = difference(&table("3"), &table("2"));
        assert_eq!(found, (Ill::Corrupt, "value of web/eu/13:01 is \"3\" and not \"2\"".to_owned()));
        assert_eq!(difference(&table(""), &table("2")).0, Ill::Short);
    }
}
