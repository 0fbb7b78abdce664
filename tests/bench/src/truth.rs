// SPDX-License-Identifier: Apache-2.0
//! What is in an account, asked of the AWS itself and not of its API; and how much of a table agrees with it.

use std::{collections::BTreeMap, collections::HashMap, path::Path};

use anyhow::Context;
use chrono::NaiveDate;
use kit::expected::STORAGE_TYPES;
use local_aws::SyntheticAccount;

use crate::floor::Series;

/// What there is of an account on a day.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// By region.
    regions: BTreeMap<String, Series>,
    /// By bucket: the columns that have a value.
    buckets: HashMap<String, Vec<(&'static str, f64)>>,
}

impl Truth {
    /// Looks at every series of every bucket.
    pub(crate) fn of(account: &SyntheticAccount, date: NaiveDate) -> Self {
        let mut truth = Self::default();
        for (bucket, region) in account.buckets() {
            let series = truth.regions.entry(region.clone()).or_default();
            series.buckets += 1;
            let value =
                |metric, storage_type| account.account.truth(region, bucket, metric, storage_type, date);
            let mut values = Vec::new();
            for (storage_type, column) in STORAGE_TYPES {
                if let Some(bytes) = value("BucketSizeBytes", storage_type) {
                    series.sizes += 1;
                    values.push((column, bytes));
                }
            }
            if let Some(objects) = value("NumberOfObjects", "AllStorageTypes") {
                series.counts += 1;
                values.push(("total_objects", objects));
            }
            truth.buckets.insert(bucket.clone(), values);
        }
        truth
    }

    pub(crate) fn regions(&self) -> Vec<Series> {
        self.regions.values().copied().collect()
    }

    /// The share of all values that a table has right. A bucket, a region or a storage type that is not in it
    /// is not.
    #[expect(clippy::cast_precision_loss, reason = "a count of values")]
    pub(crate) fn share_right(&self, table: &Path) -> anyhow::Result<f64> {
        let mut reader =
            csv::Reader::from_path(table).with_context(|| format!("no table {}", table.display()))?;
        let header = reader.headers()?.clone();
        let columns: HashMap<&str, usize> = header.iter().enumerate().map(|(at, name)| (name, at)).collect();
        let name = *columns.get("bucket_name").context("the table has no bucket_name")?;
        let mut right = 0_usize;
        for row in reader.records() {
            let row = row?;
            let Some(values) = self.buckets.get(&row[name]) else { continue };
            let is_right = |(column, value): &&(&str, f64)| {
                let cell = columns.get(column).and_then(|at| row.get(*at));
                cell.and_then(|cell| cell.parse::<f64>().ok()) == Some(*value)
            };
            right += values.iter().filter(is_right).count();
        }
        let all: usize = self.buckets.values().map(Vec::len).sum();
        Ok(right as f64 / all.max(1) as f64)
    }
}
