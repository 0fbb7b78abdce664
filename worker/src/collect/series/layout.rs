// SPDX-License-Identifier: Apache-2.0
//! The columns for the values of series. Pure functions.

use std::collections::HashMap;

use fleet::{
    Dataset,
    datasets::{Metric, Missing},
};

/// The values of a resource in a period, by their indexes among each other. In a wide table each has a column.
#[derive(Debug)]
pub struct Layout {
    dataset: &'static Dataset,
    indexes: HashMap<String, usize>,
    /// Columns whose missing values are 0, with the columns that show that the resource existed.
    zeros: Vec<(Vec<usize>, Vec<usize>)>,
}

impl Layout {
    #[must_use]
    pub fn new(dataset: &'static Dataset) -> Self {
        let measures = dataset.metrics.iter().flat_map(Metric::measures);
        let indexes = measures.enumerate().map(|(index, (name, _))| (name, index)).collect();
        let mut layout = Self { dataset, indexes, zeros: Vec::new() };
        for metric in &dataset.metrics {
            if let Missing::ZeroWith(with) = &metric.missing {
                // An average or a percentile of nothing is not 0.
                let counted = |statistic: &str| ["Sum", "SampleCount"].contains(&statistic);
                let zero = layout.indexes_of(metric, counted);
                let witnesses = dataset.metrics.iter().filter(|witness| witness.name == *with);
                let witnesses = witnesses.flat_map(|witness| layout.indexes_of(witness, |_| true));
                let witnesses = witnesses.collect();
                layout.zeros.push((zero, witnesses));
            }
        }
        layout
    }

    #[must_use]
    pub fn dataset(&self) -> &'static Dataset {
        self.dataset
    }

    /// The number of value columns.
    #[must_use]
    pub fn len(&self) -> usize {
        self.indexes.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.indexes.is_empty()
    }

    /// The column of the first statistic of a series, which those of the others follow; `None` if it has no column.
    #[must_use]
    pub fn first_of(&self, metric: &Metric, value: &str) -> Option<usize> {
        let base = match &metric.split {
            None => &*metric.column,
            Some(_) => {
                let known = metric.known_values().find(|known| known.value == value);
                known.map(|known| &*known.column).or(metric.other())?
            }
        };
        self.indexes.get(&*metric.columns_of(base).next()?).copied()
    }

    /// Sets missing values that mean 0 to 0; NaN is missing.
    pub fn fill_zeros(&self, row: &mut [f64]) {
        let is_known = |row: &[f64], index: &usize| row.get(*index).is_some_and(|value| !value.is_nan());
        for (zeros, witnesses) in &self.zeros {
            if witnesses.iter().any(|index| is_known(row, index)) {
                for index in zeros {
                    if let Some(value) = row.get_mut(*index).filter(|value| value.is_nan()) {
                        *value = 0.0;
                    }
                }
            }
        }
    }

    fn indexes_of(&self, metric: &Metric, takes: impl Fn(&str) -> bool) -> Vec<usize> {
        let columns = metric.bases().flat_map(|base| metric.columns_of(base).zip(&metric.statistics));
        let columns = columns.filter(|(_, statistic)| takes(statistic));
        columns.filter_map(|(column, _)| self.indexes.get(&*column).copied()).collect()
    }
}
