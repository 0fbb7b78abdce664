// SPDX-License-Identifier: Apache-2.0
//! The built-in datasets of series, as the zoo of series takes them.

use chrono::TimeDelta;
use fleet::{
    Dataset,
    datasets::{self, Derived, Discovery, Formula, Missing, Regions, Shape},
};
use kit::series_zoo::{Described, Metric};

/// All of them, where `asked` are the regions that the worker asks for those of no region of their own.
pub(crate) fn all(asked: &[&str]) -> Vec<(&'static Dataset, Described)> {
    let series = datasets::all().filter(|dataset| dataset.shape == Shape::Series);
    series.map(|dataset| (dataset, described(dataset, asked))).collect()
}

pub(crate) fn described(dataset: &'static Dataset, asked: &[&str]) -> Described {
    let metric = |metric: &datasets::Metric| Metric {
        name: metric.name.clone(),
        statistics: metric.statistics.clone(),
        zero_with: match &metric.missing {
            Missing::ZeroWith(with) => Some(with.clone()),
            Missing::Empty => None,
        },
    };
    Described {
        name: dataset.name,
        regions: match &dataset.regions {
            Regions::Named(regions) => regions.iter().map(ToString::to_string).collect(),
            _ => asked.iter().map(ToString::to_string).collect(),
        },
        period: TimeDelta::seconds(dataset.period.seconds().into()),
        metrics: dataset.metrics.iter().map(metric).collect(),
        columns: dataset.columns.iter().map(|column| column.name.clone()).collect(),
        derived: dataset.derived.iter().map(ratio).collect(),
        is_of_functions: dataset.discovery == Discovery::ListFunctions,
    }
}

/// What is divided; nothing is known of the functions of the zoo, and so nothing of what is made of it.
fn ratio(derived: &Derived) -> Option<[String; 2]> {
    match &derived.formula {
        Formula::Ratio(ratio) => Some(ratio.clone()),
        Formula::OfTimeout(_) | Formula::LambdaCost(_) | Formula::Arm64Saving(_) => None,
    }
}
