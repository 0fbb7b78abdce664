// SPDX-License-Identifier: Apache-2.0
//! Where a value of a series goes: the measured columns of its dataset. Plain functions over values.

use std::collections::HashMap;

use fleet::{
    Dataset,
    datasets::{Cell, Metric, Missing},
};

/// The measured columns of a dataset, counted among themselves.
#[derive(Debug)]
pub struct Layout {
    dataset: &'static Dataset,
    places: HashMap<&'static str, usize>,
    /// Columns whose missing value is 0, with those that show that the resource was there.
    zeros: Vec<(Vec<usize>, Vec<usize>)>,
}

impl Layout {
    #[must_use]
    pub fn new(dataset: &'static Dataset) -> Self {
        let measured = dataset.columns.iter().filter(|column| column.cell == Cell::Value);
        let places = measured.enumerate().map(|(place, column)| (&*column.name, place)).collect();
        let mut layout = Self { dataset, places, zeros: Vec::new() };
        for metric in &dataset.metrics {
            if let Missing::ZeroWith(with) = &metric.missing {
                // An average or a percentile of nothing is not 0.
                let counted = |statistic: &str| ["Sum", "SampleCount"].contains(&statistic);
                let zero = layout.places_of(metric, counted);
                let witnesses = dataset.metrics.iter().filter(|witness| witness.name == *with);
                let witnesses = witnesses.flat_map(|witness| layout.places_of(witness, |_| true));
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

    /// How many measured columns there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The column of the first statistic of a metric's series, which the others follow; `None` if it has no column.
    #[must_use]
    pub fn first_of(&self, metric: &Metric, value: &str) -> Option<usize> {
        let base = match &metric.split {
            None => &*metric.column,
            Some(_) => {
                let known = metric.known_values().find(|known| known.value == value);
                known.map(|known| &*known.column).or(metric.other())?
            }
        };
        self.places.get(&*metric.columns_of(base).next()?).copied()
    }

    /// Sets to 0 what is missing in a row and means 0; NaN is missing.
    pub fn fill_zeros(&self, row: &mut [f64]) {
        let is_known = |row: &[f64], place: &usize| row.get(*place).is_some_and(|value| !value.is_nan());
        for (zeros, witnesses) in &self.zeros {
            if witnesses.iter().any(|place| is_known(row, place)) {
                for place in zeros {
                    if let Some(value) = row.get_mut(*place).filter(|value| value.is_nan()) {
                        *value = 0.0;
                    }
                }
            }
        }
    }

    fn places_of(&self, metric: &Metric, takes: impl Fn(&str) -> bool) -> Vec<usize> {
        let columns = metric.bases().flat_map(|base| metric.columns_of(base).zip(&metric.statistics));
        let columns = columns.filter(|(_, statistic)| takes(statistic));
        columns.filter_map(|(column, _)| self.places.get(&*column).copied()).collect()
    }
}
