// SPDX-License-Identifier: Apache-2.0
//! Amounts of a dry run, by both readings of what a paid metric is, and added up by dataset.

use std::fmt;

use cli::output::dollars;
use fleet::{Dataset, manifest::JobState};
use requests::{
    estimate::{Range, rounded},
    request::Request,
};
use serde_json::{Value, json};

/// A minimum and a maximum in US dollars, by each reading.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Cost {
    /// Up to five statistics of a metric are paid as one.
    pub(super) by_five: (f64, f64),
    /// Each statistic is paid.
    pub(super) each: (f64, f64),
}

impl Cost {
    pub(super) fn plus(self, range: Range) -> Self {
        let add = |one: (f64, f64), other: (f64, f64)| (rounded(one.0 + other.0), rounded(one.1 + other.1));
        Self { by_five: add(self.by_five, range.dollars), each: add(self.each, range.dollars_each) }
    }

    pub(super) fn and(self, other: Self) -> Self {
        self.plus(Range { metrics: (0, 0), dollars: other.by_five, dollars_each: other.each })
    }

    pub(super) fn times(self, times: f64) -> Self {
        let of = |(least, most): (f64, f64)| (rounded(times * least), rounded(times * most));
        Self { by_five: of(self.by_five), each: of(self.each) }
    }

    /// Adds it to a JSON object.
    pub(super) fn within(self, mut object: Value) -> Value {
        let amounts = [
            ("cost_usd_least", self.by_five.0),
            ("cost_usd_most", self.by_five.1),
            ("cost_usd_each_statistic_least", self.each.0),
            ("cost_usd_each_statistic_most", self.each.1),
        ];
        for (name, amount) in amounts {
            if let Some(object) = object.as_object_mut() {
                object.insert(name.into(), json!(amount));
            }
        }
        object
    }

    /// The second reading, to append to the first; nothing if they are alike.
    pub(super) fn if_each(self) -> String {
        if self.is_counted_two_ways() {
            format!(", or {} if each statistic is paid", between(self.each))
        } else {
            String::new()
        }
    }

    /// Whether the readings differ.
    pub(super) fn is_counted_two_ways(self) -> bool {
        between(self.by_five) != between(self.each)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", between(self.by_five), self.if_each())
    }
}

/// Two amounts, or one if both are printed alike.
pub(super) fn between((least, most): (f64, f64)) -> String {
    let (least, most) = (dollars(least), dollars(most));
    if least == most { most } else { format!("{least} to {most}") }
}

/// Two numbers, or one.
pub(super) fn numbers((fewest, most): (u64, u64)) -> String {
    if fewest == most { most.to_string() } else { format!("{fewest} to {most}") }
}

/// The cost of a dataset in all accounts.
#[derive(Debug, PartialEq)]
pub(super) struct OfDataset {
    pub(super) dataset: &'static Dataset,
    /// How many jobs are sent.
    jobs: usize,
    metrics: (u64, u64),
    pub(super) cost: Cost,
    /// How often a schedule collects it in a month, and what that costs.
    pub(super) month: Option<(u64, Cost)>,
}

impl OfDataset {
    /// One for each dataset of a request, without any job.
    pub(super) fn each(request: &Request) -> Vec<Self> {
        let none = |dataset: &&'static Dataset| Self {
            dataset,
            jobs: 0,
            metrics: (0, 0),
            cost: Cost::default(),
            month: None,
        };
        request.datasets.iter().map(none).collect()
    }

    /// Adds a job: its range if it is sent, and that of a month with the number of collections.
    pub(super) fn add(&mut self, range: Range, state: JobState, month: Option<(u64, Range)>) {
        if state == JobState::Sent {
            self.jobs += 1;
            self.metrics.0 += range.metrics.0;
            self.metrics.1 += range.metrics.1;
            self.cost = self.cost.plus(range);
        }
        if let Some((times, range)) = month {
            let (most, cost) = self.month.unwrap_or_default();
            self.month = Some((most.max(times), cost.plus(range)));
        }
    }

    /// Its line of a table.
    pub(super) fn row(&self) -> Vec<String> {
        let mut row = vec![
            self.dataset.name.to_owned(),
            self.jobs.to_string(),
            numbers(self.metrics),
            between(self.cost.by_five),
            between(self.cost.each),
        ];
        if let Some((times, cost)) = self.month {
            row.extend([times.to_string(), between(cost.by_five), between(cost.each)]);
        }
        row
    }

    pub(super) fn json(&self) -> Value {
        let month = self.month.map(|(collections, cost)| cost.within(json!({ "collections": collections })));
        self.cost.within(json!({
            "dataset": self.dataset.name,
            "jobs": self.jobs,
            "metrics_requested_least": self.metrics.0,
            "metrics_requested_most": self.metrics.1,
            "month": month,
        }))
    }
}
