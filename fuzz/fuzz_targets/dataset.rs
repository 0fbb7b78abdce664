// SPDX-License-Identifier: Apache-2.0
//! The file of a dataset, from any text. Twin: `crates/fleet/src/datasets/file/tests.rs`.

#![no_main]

use std::collections::HashSet;

use fleet::{
    Dataset,
    datasets::{Cell, Layout},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let dataset = match Dataset::parse(&text) {
        Ok(dataset) => dataset,
        Err(faults) => {
            let said = faults.to_string();
            assert!(said.starts_with("line "), "{said}");
            assert_eq!(Dataset::parse(&text).expect_err("the same").to_string(), said);
            return;
        }
    };
    let names: HashSet<&str> = dataset.columns.iter().map(|column| &*column.name).collect();
    assert_eq!(names.len(), dataset.columns.len(), "two columns have one name");
    let is_measured = |cell: Cell| matches!(cell, Cell::Measure | Cell::Value);
    let measures = dataset.columns.iter().filter(|column| is_measured(column.cell));
    let measures: HashSet<&str> = measures.map(|column| &*column.name).collect();
    let bases = dataset.metrics.iter().flat_map(|metric| metric.bases().map(move |base| (metric, base)));
    let fed: HashSet<String> = bases.flat_map(|(metric, base)| metric.columns_of(base)).collect();
    match dataset.layout {
        Layout::Wide => assert_eq!(
            measures,
            fed.iter().map(String::as_str).collect(),
            "each column of measured values is fed, and each value has one"
        ),
        Layout::Long => assert_eq!(measures, HashSet::from(["value"])),
    }
    assert!(dataset.bytes.iter().chain(&dataset.objects).all(|sum| names.contains(&**sum)));
    for column in &dataset.columns {
        if let Cell::Total(metric) = column.cell {
            assert!(metric < dataset.metrics.len());
        }
    }
});
