// SPDX-License-Identifier: Apache-2.0
//! What the metrics of a run cost a month in the sinks of CloudWatch.

use fleet::{Dataset, datasets::paid};
use requests::estimate::{Estimate, custom_metrics};
use serde_json::{Value, json};
use sinks::{Named, Repetition, metrics_put};

use super::cost::{between, numbers};

/// The custom metrics that a sink of CloudWatch has of the jobs of a run: minimum and maximum.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Forwarded<'a> {
    sink: &'a Named,
    metrics: (u64, u64),
}

/// How many metrics of each resource a sink puts: only one of CloudWatch adds to what it has.
fn puts_of(sink: &Named, dataset: &Dataset) -> u64 {
    if sink.repetition == Repetition::Adds { metrics_put(dataset) as u64 } else { 0 }
}

impl<'a> Forwarded<'a> {
    /// Nothing yet, for each sink that puts metrics of its datasets.
    pub(super) fn each(sinks: &'a [Named]) -> Vec<Self> {
        let puts = |sink: &&Named| sink.datasets.iter().any(|dataset| puts_of(sink, dataset) > 0);
        sinks.iter().filter(puts).map(|sink| Self { sink, metrics: (0, 0) }).collect()
    }

    /// Adds the series of a job. Of those that it asks for, the sink has the share of the metrics that it puts.
    pub(super) fn add(&mut self, dataset: &Dataset, estimate: &Estimate) {
        if !self.sink.takes(dataset) {
            return;
        }
        let asked: usize = dataset.metrics.iter().map(|metric| paid(metric.statistics.len())).sum();
        let share = |metrics: u64| {
            let once = metrics / estimate.parts.max(1);
            once.saturating_mul(puts_of(self.sink, dataset)) / asked.max(1) as u64
        };
        let (least, most) = estimate.range.metrics;
        self.metrics = (self.metrics.0 + share(least), self.metrics.1 + share(most));
    }

    fn dollars(&self) -> (f64, f64) {
        (custom_metrics(self.metrics.0), custom_metrics(self.metrics.1))
    }

    /// A line, if the sink has any of them.
    pub(super) fn text(&self) -> Option<String> {
        (self.metrics.1 > 0).then(|| {
            let (sink, metrics) = (&self.sink.name, numbers(self.metrics));
            format!(
                "\nin the sink {sink}: {metrics} custom metrics, {} a month for as long as they are put; 1,000 requests cost $0.01",
                between(self.dollars())
            )
        })
    }

    pub(super) fn json(&self) -> Value {
        let (least, most) = self.dollars();
        json!({
            "sink": self.sink.name,
            "custom_metrics_least": self.metrics.0,
            "custom_metrics_most": self.metrics.1,
            "month_usd_least": least,
            "month_usd_most": most,
        })
    }
}
