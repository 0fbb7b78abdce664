// SPDX-License-Identifier: Apache-2.0
//! Which series of a region to query, in the fewest calls. Pure functions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use fleet::datasets::Metric;

use super::layout::Layout;
use crate::cloudwatch::{
    dimensions,
    plan::{ListedSeries, queries_per_call},
    series_query::SeriesQuery,
};

/// A series of a resource. All its statistics are queried in one call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The column of its first statistic.
    pub first: usize,
    /// The value of the metric's split.
    pub value: String,
    /// The index of the metric in the dataset.
    metric: usize,
}

/// The series that `ListMetrics` lists in a region, and the resources that another service lists.
#[derive(Debug)]
pub struct Listing<'a> {
    layout: &'a Layout,
    resources: BTreeMap<Arc<str>, BTreeSet<Group>>,
    /// Metrics with a split value that has no column.
    skipped: BTreeSet<(&'static str, String)>,
}

/// The series to query for each resource of a region, in the order of the report.
#[derive(Debug, Default, Clone)]
pub struct Plan {
    pub resources: Vec<(Arc<str>, Vec<Group>)>,
}

/// The series of one call, by the indexes of the resource and of its group.
pub type Call = Vec<(usize, usize)>;

impl<'a> Listing<'a> {
    #[must_use]
    pub fn new(layout: &'a Layout) -> Self {
        Self { layout, resources: BTreeMap::new(), skipped: BTreeSet::new() }
    }

    /// Adds a series, unless its resource is not selected. One that is listed twice is queried once.
    pub fn add(&mut self, listed: ListedSeries) {
        let ListedSeries { metric, resource, value } = listed;
        if !self.layout.dataset().has(dimensions::values(&resource)) {
            return;
        }
        let metrics = &self.layout.dataset().metrics;
        let index = metrics.iter().position(|known| std::ptr::eq(known, metric));
        match (self.layout.first_of(metric, &value), index) {
            (Some(first), Some(metric)) => {
                let groups = self.resources.entry(resource.into()).or_default();
                groups.insert(Group { first, value, metric });
            }
            _ => {
                self.skipped.insert((&metric.name, value));
            }
        }
    }

    /// Adds a resource, also one of which no series is listed, unless it is not selected.
    pub fn add_resource(&mut self, resource: &Arc<str>) {
        if self.layout.dataset().has(dimensions::values(resource)) {
            self.resources.entry(resource.clone()).or_default();
        }
    }

    /// The metrics and split values that are not queried because they have no column.
    pub fn skipped(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.skipped.iter().map(|(metric, value)| (*metric, value.as_str()))
    }

    /// The plan, without the resources that are known already.
    #[must_use]
    pub fn into_plan(self, is_known: impl Fn(&str) -> bool) -> Plan {
        let resources = self.resources.into_iter().filter(|(resource, _)| !is_known(resource));
        Plan {
            resources: resources.map(|(resource, groups)| (resource, groups.into_iter().collect())).collect(),
        }
    }
}

impl Group {
    /// Its queries, one per statistic.
    pub fn queries<'a>(
        &'a self,
        layout: &Layout,
        resource: &'a str,
    ) -> impl Iterator<Item = SeriesQuery<'a>> + Clone + use<'a> {
        let metric: Option<&'static Metric> = layout.dataset().metrics.get(self.metric);
        metric.into_iter().flat_map(move |metric| {
            metric.statistics.iter().map(move |statistic| SeriesQuery {
                metric,
                resource,
                value: &self.value,
                statistic,
            })
        })
    }

    fn query_count(&self, layout: &Layout) -> usize {
        layout.dataset().metrics.get(self.metric).map_or(0, |metric| metric.statistics.len())
    }
}

impl Plan {
    /// Whether there is nothing to query.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.resources.iter().all(|(_, groups)| groups.is_empty())
    }

    /// The calls of the plan, resource by resource. All statistics of a series are in one call, so that AWS bills them as
    /// one metric. With `periods` datapoints per query, no call needs a second page.
    #[must_use]
    pub fn calls(&self, layout: &Layout, periods: usize) -> Vec<Call> {
        let max_queries = queries_per_call(periods);
        let mut calls = Vec::new();
        let (mut call, mut queries) = (Call::new(), 0);
        for (resource, (_, groups)) in self.resources.iter().enumerate() {
            for (index, group) in groups.iter().enumerate() {
                let more = group.query_count(layout);
                if queries + more > max_queries && !call.is_empty() {
                    calls.push(std::mem::take(&mut call));
                    queries = 0;
                }
                call.push((resource, index));
                queries += more;
            }
        }
        if !call.is_empty() {
            calls.push(call);
        }
        calls
    }
}
