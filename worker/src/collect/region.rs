//! One region of an account: asking for what is there, and taking in the answers as they come.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, OnceLock},
};

use fleet::{AwsError, Dataset, ErrorKind, datasets::Discovery};
use futures::{
    StreamExt,
    stream::{self, FuturesUnordered},
};

use super::{Subject, buckets};
use crate::{
    cloudwatch::{
        calls::{Answers, CloudWatch, Query},
        plan::{self, ListedSeries, Planner, Series},
        rows::{Problem, Reading, Resource, Row},
    },
    failure::Failure,
    session,
};

/// How many `GetMetricData` calls of one region wait for an answer at once. The quota sets the pace, and all
/// of it is kept up with while an answer takes up to a quarter of a second; this bounds what is held of
/// requests and answers where those are slow.
pub(super) const CALLS_AT_ONCE: usize = 12;

/// A region's resources and what is known of them.
#[derive(Debug)]
pub(super) struct Region {
    /// Its name.
    pub(super) name: Arc<str>,
    /// What went wrong.
    pub(super) errors: Vec<AwsError>,
    /// Whether CloudWatch gave an answer to all that there was to ask, or a part of it.
    pub(super) answered: bool,
    resources: Vec<Resource>,
    /// Of each resource, by its place.
    readings: Vec<Reading>,
}

impl Region {
    /// A region of which nothing is asked yet.
    pub(super) fn new(name: Arc<str>, resources: Vec<Resource>) -> Self {
        let readings = vec![Reading::default(); resources.len()];
        Self { name, errors: Vec::new(), answered: false, resources, readings }
    }

    /// Asks for what `ListMetrics` names, while it is being listed; not for the resources of the `lost`
    /// names, of which it is told already that they could not be found.
    ///
    /// # Errors
    /// [`Failure::Aws`] where a later try may give more.
    pub(super) async fn ask_for_listed(
        &mut self,
        cloudwatch: &CloudWatch,
        subject: &Subject<'_>,
        lost: &HashSet<&str>,
    ) -> Result<(), Failure> {
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
        let (mut ready, mut calls) = (VecDeque::new(), FuturesUnordered::new());
        loop {
            while calls.len() < CALLS_AT_ONCE
                && let Some(series) = ready.pop_front()
            {
                calls.push(caller.call(series));
            }
            tokio::select! {
                page = pages.next(), if !is_listed => match page {
                    Some(Ok(page)) => {
                        let found = page.into_iter().filter(|series| !lost.contains(series.resource.as_str()));
                        for ListedSeries { metric, resource, value } in found {
                            let (name, place) = self.place(&mut places, dataset, resource);
                            ready.extend(planner.add(metric, value, place, &name));
                        }
                    }
                    // What is not all listed is not known, however much of it is answered.
                    Some(Err(error)) => {
                        let found = self.resources.drain(..discovered).collect();
                        *self = Self::new(self.name.clone(), found);
                        if discovered == 0 && is_not_enabled(&error) {
                            tracing::warn!(region = &*self.name, error = %error, "the account has not enabled the region");
                            return Ok(());
                        }
                        return self.fail(0..discovered, error, subject.is_last);
                    }
                    None => {
                        is_listed = true;
                        ready.extend(planner.rest());
                        // Where there is nothing to ask, the list was the answer.
                        self.answered |= planner.is_empty();
                    }
                },
                Some((series, answers)) = calls.next() => self.take(&series, answers, subject)?,
                else => break,
            }
        }
        self.tell_of_unknown(&planner, dataset);
        Ok(())
    }

    /// Asks for every series that a resource may have.
    ///
    /// # Errors
    /// [`Failure::Aws`] where a later try may give more.
    pub(super) async fn ask_for_everything(
        &mut self,
        cloudwatch: &CloudWatch,
        subject: &Subject<'_>,
    ) -> Result<(), Failure> {
        let names: Vec<Arc<str>> = self.resources.iter().map(|resource| resource.name.clone()).collect();
        let caller = Caller::new(cloudwatch, subject);
        let calls = plan::everything(subject.dataset, names).map(|series| caller.call(series));
        let mut calls = stream::iter(calls).buffer_unordered(CALLS_AT_ONCE);
        while let Some((series, answers)) = calls.next().await {
            self.take(&series, answers, subject)?;
        }
        Ok(())
    }

    /// The rows of what is known.
    pub(super) fn into_rows(self, subject: &Subject<'_>) -> impl Iterator<Item = Row> {
        let window = subject.window;
        let known = self.resources.into_iter().zip(self.readings);
        known.filter_map(move |(resource, reading)| reading.into_row(resource, window))
    }

    /// The place of the resource of a name, and the name as others share it. One that was not discovered is
    /// added.
    fn place(
        &mut self,
        places: &mut HashMap<Arc<str>, u32>,
        dataset: &Dataset,
        name: String,
    ) -> (Arc<str>, u32) {
        if let Some((name, place)) = places.get_key_value(name.as_str()) {
            return (name.clone(), *place);
        }
        let listing = match dataset.discovery {
            Discovery::Buckets => buckets::listing_of_unnamed(&name),
        };
        let name: Arc<str> = name.into();
        let place = u32::try_from(self.resources.len())
            .expect("cannot fail: AWS allows a million buckets an account");
        places.insert(name.clone(), place);
        let region = Some(self.name.clone());
        self.resources.push(Resource { name: name.clone(), region, creation_date: None, listing });
        self.readings.push(Reading::default());
        (name, place)
    }

    /// Takes in what came of a call.
    fn take(&mut self, series: &[Series], answers: Answers, subject: &Subject<'_>) -> Result<(), Failure> {
        let mut open = Vec::new();
        for (series, answer) in series.iter().zip(answers.each) {
            let place = series.resource as usize;
            match answer {
                Some(answer) => {
                    self.answered = true;
                    self.readings[place].add(series.kind.column, answer, subject.window);
                }
                None => open.push(place),
            }
        }
        answers.error.map_or(Ok(()), |error| self.fail(open, error, subject.is_last))
    }

    /// Marks the resources at some places, which a failed call was about, unless a later try may do better.
    fn fail(
        &mut self,
        places: impl IntoIterator<Item = usize>,
        error: AwsError,
        is_last: bool,
    ) -> Result<(), Failure> {
        let problem = match error.kind {
            _ if session::is_over(&error) => return Err(Failure::Aws(error)),
            ErrorKind::Transient if !is_last => return Err(Failure::Aws(error)),
            ErrorKind::Denied => Problem::Denied,
            _ => Problem::Error(error.code.clone()),
        };
        for place in places {
            self.readings[place].fail(problem.clone());
        }
        // Told once, however many calls it meets.
        if !self.errors.iter().any(|told| told.code == error.code) {
            tracing::warn!(region = &*self.name, error = %error, "the region could not be asked");
            self.errors.push(error);
        }
        Ok(())
    }

    fn tell_of_unknown(&self, planner: &Planner, dataset: &Dataset) {
        for kind in planner.unknown_kinds() {
            let column = dataset.columns[usize::from(kind.column)].name;
            tracing::warn!(
                region = &*self.name,
                metric = kind.metric.name,
                "{} {:?} is not known by name; it is summed in {column}",
                kind.metric.dimension,
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

/// Whether an error says that the account has not enabled the region: credentials that STS took are refused. What
/// was never enabled holds nothing.
fn is_not_enabled(error: &AwsError) -> bool {
    error.kind == ErrorKind::Identity && !session::is_over(error)
}

/// What makes a region's calls of `GetMetricData`.
struct Caller<'a> {
    cloudwatch: &'a CloudWatch,
    query: Query,
    /// That none of them is allowed: it is by the region, and not by the resource.
    refused: OnceLock<AwsError>,
}

impl<'a> Caller<'a> {
    fn new(cloudwatch: &'a CloudWatch, subject: &Subject<'_>) -> Self {
        let Subject { dataset, window, .. } = *subject;
        Self { cloudwatch, query: Query { dataset, window }, refused: OnceLock::new() }
    }

    /// Asks for the series of one call, and gives them with their answers. Where one was refused the others
    /// are too, and those that are not begun are not made.
    async fn call(&self, series: Vec<Series>) -> (Vec<Series>, Answers) {
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
