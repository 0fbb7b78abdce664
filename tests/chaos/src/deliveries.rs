// SPDX-License-Identifier: Apache-2.0
//! Does the OpenSearch have each row of each report once, and nothing else? The reports are compared with the truth by
//! [`judge`](crate::judge); here the documents are compared with the reports.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Context;
use kit::{Fleet, REPORTS};
use local_aws::OpenSearch;
use serde_json::Value;

use crate::{REPORT_PREFIXES, subject::ReportKey};

/// What the indices of rows without a datapoint have in their names.
const COVERAGE: &str = "-coverage-";

/// What tells a row apart, from the report's column or the document's field.
const NAMES: [&str; 7] =
    ["bucket_name", "cluster_name", "service_name", "account_id", "region", "report_date", "period_start"];

/// What is in the OpenSearch, beside what must be.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    /// How many documents were compared, and how many of them say that a resource has no datapoint.
    pub(crate) documents: usize,
    pub(crate) gaps: usize,
    /// How many documents were refused for ever, which is kept with its reason: a request of one document that is too large.
    pub(crate) rejected: usize,
    /// Rows without a document, rows with two, and documents that are no row of a report as it is now.
    pub(crate) lost: Vec<String>,
    pub(crate) doubled: Vec<String>,
    pub(crate) stale: Vec<String>,
}

type Row = BTreeMap<String, String>;

impl Deliveries {
    pub(crate) fn look(fleet: &Fleet, search: &OpenSearch) -> anyhow::Result<Self> {
        let (mut rows, mut gaps) = (HashMap::new(), HashMap::new());
        for key in REPORT_PREFIXES.iter().flat_map(|prefix| fleet.home.keys(REPORTS, prefix)) {
            let report = fleet.object(&key).with_context(|| format!("no report {key}"))?;
            if report.metadata.get("status").is_some_and(|status| status == "complete") {
                add(&key, &report.body, &mut rows, &mut gaps)?;
            }
        }
        let mut found = Self::default();
        for index in search.indices() {
            let is_gap = index.contains(COVERAGE);
            let due = if is_gap { &mut gaps } else { &mut rows };
            let mut seen = HashSet::new();
            for document in search.documents(&index).into_values() {
                let document = fields(&document.source);
                let name = if is_gap { name_of_gap(&document) } else { name_of(&document) };
                found.documents += 1;
                found.gaps += usize::from(is_gap);
                if !seen.insert(name.clone()) {
                    found.doubled.push(name);
                    continue;
                }
                let is_right = due.remove(&name).is_some_and(|row: Row| {
                    row.iter().all(|(column, cell)| document.get(column).is_some_and(|it| is_same(it, cell)))
                });
                if !is_right {
                    found.stale.push(format!("{index}: {name}"));
                }
            }
        }
        for key in fleet.home.keys(REPORTS, "rejects/") {
            let file = fleet.object(&key).with_context(|| format!("no {key}"))?;
            for line in std::str::from_utf8(&file.body)?.lines() {
                let document = fields(&serde_json::from_str::<Value>(line)?["document"]);
                let is_missing = rows.remove(&name_of(&document)).or(gaps.remove(&name_of_gap(&document)));
                found.rejected += usize::from(is_missing.is_some());
            }
        }
        found.lost = rows.into_keys().chain(gaps.into_keys()).collect();
        Ok(found)
    }
}

/// Adds the documents that must come of a report.
fn add(
    key: &str,
    report: &[u8],
    rows: &mut HashMap<String, Row>,
    gaps: &mut HashMap<String, Row>,
) -> anyhow::Result<()> {
    let start = ReportKey::parse(key).with_context(|| format!("{key} is no report's"))?.start;
    let mut reader = csv::Reader::from_reader(report);
    let header = reader.headers()?.clone();
    for record in reader.records() {
        let record = record?;
        let cells = header.iter().zip(record.iter()).filter(|(_, cell)| !cell.is_empty());
        let row: Row = cells.map(|(name, cell)| (name.to_owned(), cell.to_owned())).collect();
        if row.contains_key("period_start") || row.contains_key("datapoint_date") {
            rows.insert(name_of(&row), row);
        } else {
            let own = ["account_id", "region", "status"].map(|name| (name, row.get(name).cloned()));
            let own = own.into_iter().filter_map(|(name, cell)| Some((name.to_owned(), cell?)));
            let resource =
                ["bucket_name", "cluster_name", "service_name"].iter().filter_map(|name| row.get(*name));
            let resource = resource.map(String::as_str).collect::<Vec<_>>().join("/");
            let time = crate::subject::text(start);
            let more = [("resource".to_owned(), resource), ("@timestamp".to_owned(), time)];
            let gap: Row = own.chain(more).collect();
            gaps.insert(name_of_gap(&gap), gap);
        }
    }
    Ok(())
}

/// The fields of a document as texts.
fn fields(document: &Value) -> Row {
    let fields = document.as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    fields.map(|(name, value)| (name.clone(), text(value))).collect()
}

fn name_of(row: &Row) -> String {
    NAMES.iter().filter_map(|name| row.get(*name)).map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn name_of_gap(row: &Row) -> String {
    let names = ["@timestamp", "account_id", "region", "resource"];
    names.iter().filter_map(|name| row.get(*name)).map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Whether a document's field says what a cell says: 1.50 is 1.5.
#[expect(clippy::float_cmp, reason = "both are read from the same digits")]
fn is_same(field: &str, cell: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    field == cell || number(field).zip(number(cell)).is_some_and(|(field, cell)| field == cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_the_document_that_was_made_of_it() {
        let body = "service_name,account_id,region,period_start,value,status\n\
                    web,1,eu,2026-11-03T13:00:00Z,1.50,ok\nidle,1,eu,,,no_data\n";
        let (mut rows, mut gaps) = (HashMap::new(), HashMap::new());
        let key = "ecs_service/report_date=2026-11-03/account_name=a/T1300Z.csv";
        add(key, body.as_bytes(), &mut rows, &mut gaps).expect("a report");
        let row = rows.remove("web 1 eu 2026-11-03T13:00:00Z").expect("a row");
        assert!(is_same("1.5", &row["value"]) && !is_same("1.6", &row["value"]));
        let gap = gaps.remove("2026-11-03T13:00:00Z 1 eu idle").expect("a gap");
        assert_eq!(gap["status"], "no_data");
        assert!(rows.is_empty() && gaps.is_empty());
    }
}
