// SPDX-License-Identifier: Apache-2.0
//! Which series of a region to ask for, in the fewest calls. Plain functions over values.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use fleet::datasets::Metric;

use super::layout::Layout;
use crate::cloudwatch::{
    asked::Asked,
    plan::{ListedSeries, QUERIES_PER_CALL},
};

/// The most datapoints that one page of `GetMetricData` has.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>
const DATAPOINTS_PER_CALL: usize = 100_800;

/// A series of a resource, of which all statistics are asked in one call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The column of its first statistic.
    pub first: usize,
    /// The value of the metric's split.
    pub value: String,
    /// The place of the metric in the dataset.
    metric: usize,
}

/// What `ListMetrics` names in a region.
#[derive(Debug)]
pub struct Listing<'a> {
    layout: &'a Layout,
    resources: BTreeMap<Arc<str>, BTreeSet<Group>>,
    /// Metrics with a value that has no column.
    left_out: BTreeSet<(&'static str, String)>,
}

/// The resources of a region in the order of the report, and what to ask about each.
#[derive(Debug, Default, Clone)]
pub struct Plan {
    pub resources: Vec<(Arc<str>, Vec<Group>)>,
}

/// The series of one call, by their places: of the resource, and of the group among the resource's.
pub type Call = Vec<(usize, usize)>;

impl<'a> Listing<'a> {
    #[must_use]
    pub fn new(layout: &'a Layout) -> Self {
        Self { layout, resources: BTreeMap::new(), left_out: BTreeSet::new() }
    }

    /// Takes in a series. One that two pages name is asked for once.
    pub fn add(&mut self, listed: ListedSeries) {
        let ListedSeries { metric, resource, value } = listed;
        let metrics = &self.layout.dataset().metrics;
        let place = metrics.iter().position(|known| std::ptr::eq(known, metric));
        match (self.layout.first_of(metric, &value), place) {
            (Some(first), Some(metric)) => {
                let groups = self.resources.entry(resource.into()).or_default();
                groups.insert(Group { first, value, metric });
            }
            _ => {
                self.left_out.insert((&metric.name, value));
            }
        }
    }

    /// What is not asked for since no column is for it: metrics, each with a value that is not known by name.
    pub fn left_out(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.left_out.iter().map(|(metric, value)| (*metric, value.as_str()))
    }

    /// What to ask, but for the resources that are known.
    #[must_use]
    pub fn into_plan(self, is_known: impl Fn(&str) -> bool) -> Plan {
        let resources = self.resources.into_iter().filter(|(resource, _)| !is_known(resource));
        Plan {
            resources: resources.map(|(resource, groups)| (resource, groups.into_iter().collect())).collect(),
        }
    }
}

impl Group {
    /// The queries for it, one a statistic.
    pub fn asked<'a>(
        &'a self,
        layout: &Layout,
        resource: &'a str,
    ) -> impl Iterator<Item = Asked<'a>> + Clone + use<'a> {
        let metric: Option<&'static Metric> = layout.dataset().metrics.get(self.metric);
        metric.into_iter().flat_map(move |metric| {
            metric.statistics.iter().map(move |statistic| Asked {
                metric,
                resource,
                value: &self.value,
                statistic,
            })
        })
    }

    fn queries(&self, layout: &Layout) -> usize {
        layout.dataset().metrics.get(self.metric).map_or(0, |metric| metric.statistics.len())
    }
}

impl Plan {
    /// The calls that ask for all of it, resource by resource. All statistics of a series are in one call, which is paid
    /// for as one metric then; none has so many datapoints, `periods` for each query, that it needs a second page.
    #[must_use]
    pub fn calls(&self, layout: &Layout, periods: usize) -> Vec<Call> {
        let most = (DATAPOINTS_PER_CALL / periods.max(1)).clamp(1, QUERIES_PER_CALL);
        let mut calls = Vec::new();
        let (mut call, mut queries) = (Call::new(), 0);
        for (resource, (_, groups)) in self.resources.iter().enumerate() {
            for (place, group) in groups.iter().enumerate() {
                let more = group.queries(layout);
                if queries + more > most && !call.is_empty() {
                    calls.push(std::mem::take(&mut call));
                    queries = 0;
                }
                call.push((resource, place));
                queries += more;
            }
        }
        if !call.is_empty() {
            calls.push(call);
        }
        calls
    }
}
