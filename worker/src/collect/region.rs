// SPDX-License-Identifier: Apache-2.0
//! Queries one region of an account, and adds the answers to its rows as they arrive.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, OnceLock},
};

use fleet::{AwsError, Dataset, ErrorKind, datasets::Class};
use futures::{
    StreamExt,
    stream::{self, FuturesUnordered},
};

use super::{
    buckets::{self, Directories},
    collected::Values,
    collection::RegionOutcome,
    region_health::{CALLS_AT_ONCE, Interruption, RegionHealth, is_not_enabled, problem_of},
    scope::Scope,
};
use crate::cloudwatch::{
    calls::{Answers, CloudWatch, Query},
    plan::{self, ListedSeries, Planner, Series},
    rows::{Datapoint, Listing, Problem, Resource},
};

/// What to query in a region.
#[derive(Debug, Default)]
pub(super) struct RegionPlan {
    pub(super) resources: Vec<Resource>,
    /// The names of resources whose rows are known already.
    pub(super) kept: HashSet<Arc<str>>,
    /// Whether an earlier attempt has listed the whole region.
    pub(super) was_listed: bool,
}

impl RegionPlan {
    pub(super) fn is_needed(&self) -> bool {
        !self.was_listed || !self.resources.is_empty()
    }
}

/// The resources of a region, and their values so far.
#[derive(Debug)]
pub(super) struct Region {
    name: Arc<str>,
    health: RegionHealth,
    /// Whether CloudWatch answered at least one query, or there was nothing to query.
    answered: bool,
    /// Whether its listing is incomplete, so that its rows are unknown.
    is_pending: bool,
    /// The names of resources whose rows are known already.
    kept: HashSet<Arc<str>>,
    /// Whether an earlier attempt has listed the whole region.
    was_listed: bool,
    resources: Vec<Resource>,
    /// The values of each resource.
    values: Vec<Values>,
    /// Those of a resource that nothing is known of yet.
    none: Values,
    /// The number of series in flight of each resource.
    in_flight: Vec<u32>,
}

#[expect(
    clippy::indexing_slicing,
    reason = "cannot fail: a series is of a resource of this region, and its column of the dataset"
)]
impl Region {
    /// `none` are the values of a resource of which nothing is known yet.
    pub(super) fn new(
        name: Arc<str>,
        RegionPlan { resources, kept, was_listed }: RegionPlan,
        none: Values,
    ) -> Self {
        Self {
            name,
            health: RegionHealth::default(),
            answered: false,
            is_pending: false,
            kept,
            was_listed,
            in_flight: vec![0; resources.len()],
            values: vec![none.clone(); resources.len()],
            none,
            resources,
        }
    }

    /// Queries the series that `ListMetrics` lists, while they are being listed, except those of `lost` resources, whose
    /// region could not be found out. Returns whether the listing was completed.
    pub(super) async fn query_listed(
        &mut self,
        cloudwatch: &CloudWatch,
        scope: &Scope<'_>,
        lost: &HashSet<&str>,
        lacks_directory_buckets: bool,
    ) -> bool {
        let dataset = scope.dataset;
        let discovered = self.resources.len();
        let names = self.resources.iter().map(|resource| resource.name.clone());
        let mut indexes: HashMap<Arc<str>, u32> = names.zip(0..).collect();
        let mut planner = Planner::new(dataset, most_queries(scope));
        let listings =
            dataset.metrics.iter().map(|metric| Box::pin(cloudwatch.list_metrics(dataset, metric)));
        let mut pages = stream::select_all(listings);
        let mut is_listed = false;
        let caller = Caller::new(cloudwatch, scope);
        let mut ready: VecDeque<Vec<Series>> = VecDeque::new();
        let mut calls = FuturesUnordered::new();
        loop {
            while calls.len() < CALLS_AT_ONCE
                && self.health.stopped.is_none()
                && let Some(series) = ready.pop_front()
            {
                self.count_in_flight(&series);
                calls.push(caller.call(series));
            }
            if is_listed && calls.is_empty() {
                break;
            }
            tokio::select! {
                page = pages.next(), if !is_listed => match page {
                    Some(Ok(page)) => {
                        for ListedSeries { metric, resource, value } in page {
                            let is_left_out = lost.contains(&*resource) || !dataset.has([&*resource]);
                            if is_left_out || self.kept.contains(&*resource) {
                                continue;
                            }
                            let (name, index) = self.index_of(&mut indexes, resource, lacks_directory_buckets);
                            ready.extend(planner.add(metric, value, index, &name));
                        }
                    }
                    Some(Err(error)) => {
                        self.discard_listed(discovered);
                        if discovered == 0 && self.kept.is_empty() && is_not_enabled(&error) {
                            tracing::warn!(region = &*self.name, error = %error, "the account has not enabled the region");
                            return false;
                        }
                        self.is_pending = !self.was_listed && error.kind != ErrorKind::Denied;
                        self.health.stopped.get_or_insert(problem_of(&error));
                        self.health.record_error(&self.name, error, scope.is_last);
                        break;
                    }
                    None => {
                        is_listed = true;
                        ready.extend(planner.rest());
                        // If there is nothing to query, the listing was the answer.
                        self.answered |= planner.is_empty();
                    }
                },
                Some((series, answers)) = calls.next() => self.add(&series, answers, scope),
                () = scope.stop.cancelled() => {
                    if !is_listed {
                        self.discard_listed(discovered);
                        self.is_pending = !self.was_listed;
                    }
                    self.health.stop();
                    break;
                }
            }
        }
        if is_listed {
            self.skip(ready.into_iter().flatten());
        } else {
            self.skip_all();
        }
        self.report_unknown(&planner, dataset);
        is_listed
    }

    /// Queries all series that the resources can have.
    pub(super) async fn query_all(&mut self, cloudwatch: &CloudWatch, scope: &Scope<'_>) {
        let resources: Vec<_> =
            self.resources.iter().map(|resource| (resource.name.clone(), resource.class)).collect();
        let caller = Caller::new(cloudwatch, scope);
        let mut ready = plan::everything(scope.dataset, resources, most_queries(scope));
        let mut calls = FuturesUnordered::new();
        loop {
            while calls.len() < CALLS_AT_ONCE
                && self.health.stopped.is_none()
                && let Some(series) = ready.next()
            {
                self.count_in_flight(&series);
                calls.push(caller.call(series));
            }
            if calls.is_empty() {
                break;
            }
            tokio::select! {
                Some((series, answers)) = calls.next() => self.add(&series, answers, scope),
                () = scope.stop.cancelled() => {
                    self.health.stop();
                    break;
                }
            }
        }
        self.skip(ready.flatten());
    }

    /// Adds its directory buckets, which were listed concurrently. If the listing of series was completed (`is_known`), all
    /// their series have been queried. Otherwise new buckets are returned as a region of their own, still to be queried.
    pub(super) fn add_directory_buckets(
        &mut self,
        dataset: &Dataset,
        directories: Result<Directories, AwsError>,
        is_known: bool,
    ) -> Option<Self> {
        let Directories { found, is_incomplete } = match directories {
            Ok(directories) => directories,
            Err(error) => {
                self.is_pending |= !self.was_listed;
                self.health.interruption.get_or_insert_with(|| Interruption::Aws(error.clone()));
                self.health.errors.push(error);
                return None;
            }
        };
        let found = found
            .into_iter()
            .filter(|bucket| dataset.has([&*bucket.name]) && !self.kept.contains(&bucket.name));
        let mut found: BTreeMap<Arc<str>, Resource> =
            found.map(|bucket| (bucket.name.clone(), bucket)).collect();
        for resource in self.resources.iter_mut().filter(|resource| resource.class == Class::Directory) {
            match found.remove(&resource.name) {
                Some(listed) => *resource = listed,
                None if !is_incomplete => resource.listing = Listing::Unlisted,
                None => {}
            }
        }
        let found: Vec<Resource> = found.into_values().collect();
        let problem = self.health.stopped.as_ref().filter(|_| !is_known);
        if !is_known && problem.is_none() && !found.is_empty() {
            let plan = RegionPlan { resources: found, kept: HashSet::new(), was_listed: true };
            return Some(Self::new(self.name.clone(), plan, self.none.clone()));
        }
        let mut values = self.none.clone();
        if let Some(problem) = problem {
            values.fail(problem.clone());
        }
        self.values.extend(found.iter().map(|_| values.clone()));
        self.in_flight.extend(found.iter().map(|_| 0));
        self.resources.extend(found);
        None
    }

    /// The resources with their values, and the outcome of the region.
    pub(super) fn finish(self) -> (impl Iterator<Item = (Resource, Values)>, RegionOutcome) {
        let outcome = RegionOutcome {
            name: self.name,
            health: self.health,
            answered: self.answered,
            is_pending: self.is_pending,
            is_empty: self.resources.is_empty() && self.kept.is_empty(),
        };
        (self.resources.into_iter().zip(self.values), outcome)
    }

    /// The shared name and the index of a resource, which is added if it was not discovered.
    fn index_of(
        &mut self,
        indexes: &mut HashMap<Arc<str>, u32>,
        name: String,
        lacks_directory_buckets: bool,
    ) -> (Arc<str>, u32) {
        if let Some((name, index)) = indexes.get_key_value(name.as_str()) {
            return (name.clone(), *index);
        }
        let name: Arc<str> = name.into();
        let index = u32::try_from(self.resources.len())
            .expect("cannot fail: AWS allows a million buckets an account");
        indexes.insert(name.clone(), index);
        self.resources.push(buckets::not_listed(name.clone(), self.name.clone(), lacks_directory_buckets));
        self.values.push(self.none.clone());
        self.in_flight.push(0);
        (name, index)
    }

    fn count_in_flight(&mut self, series: &[Series]) {
        for series in series {
            self.in_flight[series.resource as usize] += 1;
        }
    }

    /// Adds the answers of a call.
    fn add(&mut self, series: &[Series], answers: Answers<Datapoint>, scope: &Scope<'_>) {
        let problem = answers.error.as_ref().map(problem_of);
        for (series, answer) in series.iter().zip(answers.each) {
            let index = series.resource as usize;
            self.in_flight[index] -= 1;
            match (answer, &problem) {
                (Some(answer), _) => {
                    self.answered = true;
                    self.values[index].add(series.kind.column, answer, scope.window);
                }
                (None, Some(problem)) => self.values[index].fail(problem.clone()),
                (None, None) => self.values[index].fail(Problem::Transient("NoAnswer".into())),
            }
        }
        match answers.error {
            Some(error) => self.health.record_error(&self.name, error, scope.is_last),
            None => {
                let transient = series.iter().find_map(|series| {
                    self.values[series.resource as usize].transient_problem().map(str::to_owned)
                });
                self.health.record_success(&self.name, transient, scope.is_last);
            }
        }
    }

    /// Discards all listed resources and all answers of an incomplete listing: a resource may have series that were not
    /// listed yet.
    fn discard_listed(&mut self, discovered: usize) {
        self.resources.truncate(discovered);
        self.values = vec![self.none.clone(); discovered];
        self.in_flight = vec![0; discovered];
    }

    /// Marks the resources of series that are in flight or will not be queried.
    fn skip(&mut self, rest: impl Iterator<Item = Series>) {
        let Some(problem) = self.health.stopped.clone() else { return };
        let in_flight = (0..self.in_flight.len()).filter(|index| self.in_flight[*index] > 0);
        let indexes: Vec<usize> = in_flight.chain(rest.map(|series| series.resource as usize)).collect();
        for index in indexes {
            self.values[index].fail(problem.clone());
        }
    }

    /// Marks all resources, since their series are not known.
    fn skip_all(&mut self) {
        if let Some(problem) = &self.health.stopped {
            for values in &mut self.values {
                values.fail(problem.clone());
            }
        }
    }

    fn report_unknown(&self, planner: &Planner, dataset: &Dataset) {
        for kind in planner.unknown_kinds() {
            let column = &dataset.columns[usize::from(kind.column)].name;
            tracing::warn!(
                region = &*self.name,
                metric = &*kind.metric.name,
                "{} {:?} is not known; it is added to {column}",
                kind.metric.split.as_ref().map_or("", |split| &split.dimension),
                kind.value
            );
        }
        for (metric, value) in planner.skipped() {
            tracing::warn!(region = &*self.name, metric, "{value:?} is not known and has no column; skipped");
        }
    }
}

/// The maximum number of series in one call.
fn most_queries(scope: &Scope<'_>) -> usize {
    plan::queries_per_call(scope.window.datapoints(scope.period.seconds()) as usize)
}

/// Makes the `GetMetricData` calls of a region.
struct Caller<'a> {
    cloudwatch: &'a CloudWatch,
    query: Query,
    /// Set if a call was denied: then all are, since permissions depend on the region and not on the resource.
    denied: OnceLock<AwsError>,
}

impl<'a> Caller<'a> {
    fn new(cloudwatch: &'a CloudWatch, scope: &Scope<'_>) -> Self {
        let Scope { dataset, window, .. } = *scope;
        let period = dataset.period;
        Self { cloudwatch, query: Query { dataset, window, period }, denied: OnceLock::new() }
    }

    /// Makes a call, and returns its series with their answers. Once a call has been denied, no further calls are made.
    async fn call(&self, series: Vec<Series>) -> (Vec<Series>, Answers<Datapoint>) {
        if let Some(error) = self.denied.get() {
            let answers = Answers { each: vec![None; series.len()], error: Some(error.clone()) };
            return (series, answers);
        }
        let answers = self.cloudwatch.get_metric_data(self.query, &series).await;
        if let Some(error) = &answers.error
            && matches!(error.kind, ErrorKind::Denied | ErrorKind::Identity)
        {
            let _ = self.denied.set(error.clone());
        }
        (series, answers)
    }
}
