// SPDX-License-Identifier: Apache-2.0
//! Texts from AWS on their way to cells. Twin: `worker/src/table/csv.rs`.
//!
//! An input is rows between group separators, each of them texts between record separators: a name, a
//! region, the code of an error, and a number that gives a day and some values.

#![no_main]

use std::{collections::HashMap, sync::Arc};

use chrono::NaiveDate;
use fleet::datasets::{Cell, Class, DEFAULT};
use libfuzzer_sys::fuzz_target;
use worker::{
    cloudwatch::rows::{Listing, Resource, Row, Status},
    table::csv::{Subject, encode},
};

const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

fn row(text: &str) -> Row {
    let mut texts = text.split('\u{1e}');
    let name = texts.next().unwrap_or_default().to_owned();
    let region = texts.next().map(Arc::from);
    let status = match texts.next() {
        None => Status::NoData,
        Some("") => Status::Ok,
        Some(code) => Status::Error(code.to_owned()),
    };
    let number = texts.next().and_then(|text| text.parse::<u64>().ok());
    let creation_date = number.and_then(|number| {
        let days = i32::from_le_bytes(number.to_le_bytes()[..4].try_into().expect("four bytes"));
        NaiveDate::from_num_days_from_ce_opt(days)
    });
    let values = number.into_iter().flat_map(|number| [(3, number), (4, number / 2), (31, number % 2)]);
    Row {
        resource: Resource {
            name: name.into(),
            region,
            creation_date,
            listing: Listing::Listed,
            class: Class::General,
        },
        datapoint_date: None,
        values: values.collect(),
        withholds_total: status.lacks_something(),
        status,
    }
}

/// A cell holds the text, with a quote before what a spreadsheet would take for a formula.
fn assert_text(cell: &str, text: &str) {
    assert!(!cell.starts_with(FORMULA), "{cell:?}");
    assert!(cell == text || (cell.strip_prefix('\'') == Some(text) && text.starts_with(FORMULA)), "{cell:?}");
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let rows: Vec<Row> = text.split('\u{1d}').map(row).collect();
    let account_name = "data".parse().expect("a name");
    let account_id = "111111111111".parse().expect("an id");
    let date = "2026-11-03".parse().expect("a day");
    let subject = Subject { dataset: *DEFAULT, account_name: &account_name, account_id: &account_id, date };
    let table = encode(&subject, &rows);
    assert!(table.ends_with(b"\n"));

    let mut reader = csv::Reader::from_reader(table.as_slice());
    assert!(
        reader.headers().expect("a header").iter().eq(DEFAULT.columns.iter().map(|column| &*column.name))
    );
    let records: Vec<_> = reader.records().map(|record| record.expect("as long as the header")).collect();
    assert_eq!(records.len(), rows.len(), "a row became more or fewer");
    for (record, row) in records.iter().zip(&rows) {
        let cells: HashMap<_, _> = DEFAULT.columns.iter().map(|column| &*column.name).zip(record).collect();
        assert_text(cells["bucket_name"], &row.resource.name);
        assert_text(cells["region"], row.resource.region.as_deref().unwrap_or_default());
        assert_text(cells["status"], &row.status.to_string());
        let created = row.resource.creation_date.map(|day| day.to_string()).unwrap_or_default();
        assert_text(cells["creation_date"], &created);
        for (at, column) in (0..).zip(&DEFAULT.columns) {
            if column.cell == Cell::Measure {
                let value = row.value(at).map(|value| value.to_string()).unwrap_or_default();
                assert_eq!(cells[&*column.name], value, "{}", column.name);
            }
        }
        let sizes = row.values.iter().filter(|(column, _)| *column != 3).map(|(_, value)| u128::from(*value));
        let total = match row.status {
            Status::Error(_) => String::new(),
            _ if row.values.is_empty() => String::new(),
            _ => sizes.sum::<u128>().to_string(),
        };
        assert_eq!(cells["size_total"], total);
    }
});
