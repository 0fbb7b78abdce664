// SPDX-License-Identifier: Apache-2.0
//! One region of an account: asking for what is there, and taking in the answers as they come.

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
    collection::Ended,
    subject::Subject,
    trouble::{CALLS_AT_ONCE, Interruption, Trouble, is_not_enabled, problem_of},
};
use crate::cloudwatch::{
    calls::{Answers, CloudWatch, Query},
    plan::{self, ListedSeries, Planner, Series},
    rows::{Datapoint, Listing, Problem, Reading, Resource, Row},
};

/// What a region has to be asked for.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// The resources to ask about.
    pub(super) resources: Vec<Resource>,
    /// The names of those whose rows are known.
    pub(super) kept: HashSet<Arc<str>>,
    /// Whether an earlier try has seen all of what the region has.
    pub(super) was_listed: bool,
}

impl Place {
    pub(super) fn is_to_ask(&self) -> bool {
        !self.was_listed || !self.resources.is_empty()
    }
}

/// A region's resources and what is known of them.
#[derive(Debug)]
pub(super) struct Region {
    /// Its name.
    name: Arc<str>,
    trouble: Trouble,
    /// Whether CloudWatch gave an answer to all that there was to ask, or a part of it.
    answered: bool,
    /// Whether it is not known which rows it has.
    is_pending: bool,
    /// The names of resources whose rows are known already.
    kept: HashSet<Arc<str>>,
    /// Whether an earlier try has seen all of what it has.
    was_listed: bool,
    resources: Vec<Resource>,
    /// Of each resource, by its place.
    readings: Vec<Reading>,
    /// How many series of each resource are being asked for, by its place.
    in_flight: Vec<u32>,
}

#[expect(
    clippy::indexing_slicing,
    reason = "cannot fail: a series is of a resource of this region, and its column of the dataset"
)]
impl Region {
    /// A region of which nothing is asked yet.
    pub(super) fn new(name: Arc<str>, Place { resources, kept, was_listed }: Place) -> Self {
        let readings = vec![Reading::default(); resources.len()];
        Self {
            name,
            trouble: Trouble::default(),
            answered: false,
            is_pending: false,
            kept,
            was_listed,
            in_flight: vec![0; resources.len()],
            resources,
            readings,
        }
    }

    /// Asks for what `ListMetrics` names, while it is being listed; not for the resources of the `lost`
    /// names, which are known already to have no region. Gives whether the list came to its end.
    pub(super) async fn ask_for_listed(
        &mut self,
        cloudwatch: &CloudWatch,
        subject: &Subject<'_>,
        lost: &HashSet<&str>,
        lacks_directory_buckets: bool,
    ) -> bool {
        let dataset = subject.dataset;
        let discovered = self.resources.len();
        let names = self.resources.iter().map(|resource| resource.name.clone());
        let mut places: HashMap<Arc<str>, u32> = names.zip(0..).collect();
        let mut planner = Planner::new(dataset);
        let listings =
            dataset.metrics.iter().map(|metric| Box::pin(cloudwatch.list_metrics(dataset, metric)));
        let mut pages = stream::select_all(listings);
        let mut is_listed = false;
        let caller = Caller::new(cloudwatch, subject);
        let mut ready: VecDeque<Vec<Series>> = VecDeque::new();
        let mut calls = FuturesUnordered::new();
        loop {
            while calls.len() < CALLS_AT_ONCE
                && self.trouble.stopped.is_none()
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
                            if lost.contains(resource.as_str()) || self.kept.contains(resource.as_str()) {
                                continue;
                            }
                            let (name, place) = self.place(&mut places, resource, lacks_directory_buckets);
                            ready.extend(planner.add(metric, value, place, &name));
                        }
                    }
                    Some(Err(error)) => {
                        self.forget_all_but(discovered);
                        if discovered == 0 && self.kept.is_empty() && is_not_enabled(&error) {
                            tracing::warn!(region = &*self.name, error = %error, "the account has not enabled the region");
                            return false;
                        }
                        self.is_pending = !self.was_listed && error.kind != ErrorKind::Denied;
                        self.trouble.stopped.get_or_insert(problem_of(&error));
                        self.trouble.note(&self.name, error, subject.is_last);
                        break;
                    }
                    None => {
                        is_listed = true;
                        ready.extend(planner.rest());
                        // If there is nothing to ask, the list was the answer.
                        self.answered |= planner.is_empty();
                    }
                },
                Some((series, answers)) = calls.next() => self.take(&series, answers, subject),
                () = subject.stop.cancelled() => {
                    if !is_listed {
                        self.forget_all_but(discovered);
                        self.is_pending = !self.was_listed;
                    }
                    self.trouble.stop();
                    break;
                }
            }
        }
        if is_listed {
            self.leave_out(ready.into_iter().flatten());
        } else {
            self.leave_out_all();
        }
        self.report_unknown(&planner, dataset);
        is_listed
    }

    /// Asks for every series that a resource may have.
    pub(super) async fn ask_for_everything(&mut self, cloudwatch: &CloudWatch, subject: &Subject<'_>) {
        let resources: Vec<_> =
            self.resources.iter().map(|resource| (resource.name.clone(), resource.class)).collect();
        let caller = Caller::new(cloudwatch, subject);
        let mut ready = plan::everything(subject.dataset, resources);
        let mut calls = FuturesUnordered::new();
        loop {
            while calls.len() < CALLS_AT_ONCE
                && self.trouble.stopped.is_none()
                && let Some(series) = ready.next()
            {
                self.count_in_flight(&series);
                calls.push(caller.call(series));
            }
            if calls.is_empty() {
                break;
            }
            tokio::select! {
                Some((series, answers)) = calls.next() => self.take(&series, answers, subject),
                () = subject.stop.cancelled() => {
                    self.trouble.stop();
                    break;
                }
            }
        }
        self.leave_out(ready.flatten());
    }

    /// Takes in its directory buckets, which were listed meanwhile. If it `is_known` which series there are, all were asked
    /// for; else those of what is new are still to be, and it is given as a region of its own.
    pub(super) fn learn(
        &mut self,
        directories: Result<Directories, AwsError>,
        is_known: bool,
    ) -> Option<Self> {
        let Directories { found, is_incomplete } = match directories {
            Ok(directories) => directories,
            Err(error) => {
                self.is_pending |= !self.was_listed;
                self.trouble.interruption.get_or_insert_with(|| Interruption::Aws(error.clone()));
                self.trouble.errors.push(error);
                return None;
            }
        };
        let found = found.into_iter().filter(|bucket| !self.kept.contains(&bucket.name));
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
        let problem = self.trouble.stopped.as_ref().filter(|_| !is_known);
        if !is_known && problem.is_none() && !found.is_empty() {
            let place = Place { resources: found, kept: HashSet::new(), was_listed: true };
            return Some(Self::new(self.name.clone(), place));
        }
        let mut reading = Reading::default();
        if let Some(problem) = problem {
            reading.fail(problem.clone());
        }
        self.readings.extend(found.iter().map(|_| reading.clone()));
        self.in_flight.extend(found.iter().map(|_| 0));
        self.resources.extend(found);
        None
    }

    /// The rows of what is known, and how asking ended.
    pub(super) fn end(self, subject: &Subject<'_>) -> (impl Iterator<Item = Row>, Ended) {
        let (window, is_settled) = (subject.window, subject.is_settled);
        let ended = Ended {
            name: self.name,
            trouble: self.trouble,
            answered: self.answered,
            is_pending: self.is_pending,
            is_empty: self.resources.is_empty() && self.kept.is_empty(),
        };
        let known = self.resources.into_iter().zip(self.readings);
        (known.filter_map(move |(resource, reading)| reading.into_row(resource, window, is_settled)), ended)
    }

    /// The place of the resource of a name, and the name as others share it. One that was not discovered is
    /// added.
    fn place(
        &mut self,
        places: &mut HashMap<Arc<str>, u32>,
        name: String,
        lacks_directory_buckets: bool,
    ) -> (Arc<str>, u32) {
        if let Some((name, place)) = places.get_key_value(name.as_str()) {
            return (name.clone(), *place);
        }
        let name: Arc<str> = name.into();
        let place = u32::try_from(self.resources.len())
            .expect("cannot fail: AWS allows a million buckets an account");
        places.insert(name.clone(), place);
        self.resources.push(buckets::unnamed(name.clone(), self.name.clone(), lacks_directory_buckets));
        self.readings.push(Reading::default());
        self.in_flight.push(0);
        (name, place)
    }

    fn count_in_flight(&mut self, series: &[Series]) {
        for series in series {
            self.in_flight[series.resource as usize] += 1;
        }
    }

    /// Takes in what came of a call.
    fn take(&mut self, series: &[Series], answers: Answers<Datapoint>, subject: &Subject<'_>) {
        let problem = answers.error.as_ref().map(problem_of);
        for (series, answer) in series.iter().zip(answers.each) {
            let place = series.resource as usize;
            self.in_flight[place] -= 1;
            match (answer, &problem) {
                (Some(answer), _) => {
                    self.answered = true;
                    self.readings[place].add(series.kind.column, answer, subject.window);
                }
                (None, Some(problem)) => self.readings[place].fail(problem.clone()),
                (None, None) => self.readings[place].fail(Problem::Transient("NoAnswer".into())),
            }
        }
        match answers.error {
            Some(error) => self.trouble.note(&self.name, error, subject.is_last),
            None => {
                let transient = series.iter().find_map(|series| {
                    self.readings[series.resource as usize].transient_problem().map(str::to_owned)
                });
                self.trouble.answered(&self.name, transient, subject.is_last);
            }
        }
    }

    /// Forgets what was listed, and answered, of a list that did not come to its end: a resource may have series that
    /// it did not name yet.
    fn forget_all_but(&mut self, discovered: usize) {
        self.resources.truncate(discovered);
        self.readings = vec![Reading::default(); discovered];
        self.in_flight = vec![0; discovered];
    }

    /// Marks the resources of what is asked for no more, and of what is in flight.
    fn leave_out(&mut self, rest: impl Iterator<Item = Series>) {
        let Some(problem) = self.trouble.stopped.clone() else { return };
        let in_flight = (0..self.in_flight.len()).filter(|place| self.in_flight[*place] > 0);
        let places: Vec<usize> = in_flight.chain(rest.map(|series| series.resource as usize)).collect();
        for place in places {
            self.readings[place].fail(problem.clone());
        }
    }

    /// Marks all resources, since it is not known which series they have.
    fn leave_out_all(&mut self) {
        if let Some(problem) = &self.trouble.stopped {
            for reading in &mut self.readings {
                reading.fail(problem.clone());
            }
        }
    }

    fn report_unknown(&self, planner: &Planner, dataset: &Dataset) {
        for kind in planner.unknown_kinds() {
            let column = &dataset.columns[usize::from(kind.column)].name;
            tracing::warn!(
                region = &*self.name,
                metric = &*kind.metric.name,
                "{} {:?} is not known by name; it is summed in {column}",
                kind.metric.split.as_ref().map_or("", |split| &split.dimension),
                kind.value
            );
        }
        for (metric, value) in planner.left_out() {
            tracing::warn!(
                region = &*self.name,
                metric,
                "{value:?} is not known by name and has no column; left out"
            );
        }
    }
}

/// Makes a region's calls of `GetMetricData`.
struct Caller<'a> {
    cloudwatch: &'a CloudWatch,
    query: Query,
    /// That none of them is allowed: it is by the region, and not by the resource.
    refused: OnceLock<AwsError>,
}

impl<'a> Caller<'a> {
    fn new(cloudwatch: &'a CloudWatch, subject: &Subject<'_>) -> Self {
        let Subject { dataset, window, .. } = *subject;
        let period = dataset.period;
        Self { cloudwatch, query: Query { dataset, window, period }, refused: OnceLock::new() }
    }

    /// Asks for the series of one call, and gives them with their answers. If one was refused the others
    /// are too, and those that are not begun are not made.
    async fn call(&self, series: Vec<Series>) -> (Vec<Series>, Answers<Datapoint>) {
        if let Some(error) = self.refused.get() {
            let answers = Answers { each: vec![None; series.len()], error: Some(error.clone()) };
            return (series, answers);
        }
        let answers = self.cloudwatch.get_metric_data(self.query, &series).await;
        if let Some(error) = &answers.error
            && matches!(error.kind, ErrorKind::Denied | ErrorKind::Identity)
        {
            let _ = self.refused.set(error.clone());
        }
        (series, answers)
    }
}
