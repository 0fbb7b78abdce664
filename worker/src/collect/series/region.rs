// SPDX-License-Identifier: Apache-2.0
//! Lists and queries the series of one region of an account, and encodes the rows of each resource.

use std::{collections::HashSet, sync::Arc};

use fleet::{AwsError, ErrorKind, aws::is_region};
use futures::{
    StreamExt,
    stream::{self, FuturesUnordered},
};

use super::{Call, Grid, Layout, Listing, Part, Plan, Reading, clients::Clients};
use crate::{
    account::{functions::FunctionFacts, session, tags::ResourceTags},
    cloudwatch::{
        calls::{Answers, CloudWatch, Point, Query},
        dimensions,
        rows::{Problem, Status},
    },
    collect::{
        collection::RegionOutcome,
        region_health::{CALLS_AT_ONCE, RegionHealth, is_not_enabled, problem_of},
        scope::Scope,
    },
    table::SeriesRows,
    table::{
        csv,
        series_csv::{self, When},
    },
};

/// A region, and the values of its resources so far.
pub(super) struct Region<'a> {
    pub(super) name: Arc<str>,
    /// Whether an earlier attempt has listed the whole region.
    was_listed: bool,
    /// The resources whose rows are known already.
    kept: HashSet<Arc<str>>,
    layout: &'a Layout,
    scope: &'a Scope<'a>,
    grid: Grid,
    health: RegionHealth,
    answered: bool,
    is_pending: bool,
    /// None if they may not be read.
    tags: Option<ResourceTags>,
    /// None if they are not listed, or may not be.
    functions: Option<FunctionFacts>,
    plan: Arc<Plan>,
    /// The values of each resource of the plan, until its rows are encoded.
    readings: Vec<Option<Reading>>,
    /// The number of unanswered series of each resource.
    pending: Vec<usize>,
    /// The rows of each window.
    rows: Vec<SeriesRows>,
}

/// The result of collecting a region.
pub(super) struct CollectedRegion {
    /// The rows of each window.
    pub(super) rows: Vec<SeriesRows>,
    pub(super) outcome: RegionOutcome,
    /// Whether its listing was completed.
    pub(super) is_listed: bool,
    /// Whether the tags of its resources may not be read.
    pub(super) lacks_tags: bool,
    /// Whether its functions may not be listed.
    pub(super) lacks_facts: bool,
}

/// What came of a question whose denial leaves only some cells empty.
enum Asked<T> {
    Answered(T),
    Denied(AwsError),
    /// The region can't be queried in this attempt.
    Failed,
}

impl<'a> Region<'a> {
    pub(super) fn new(
        name: Arc<str>,
        was_listed: bool,
        kept: HashSet<Arc<str>>,
        layout: &'a Layout,
        scope: &'a Scope<'a>,
    ) -> Self {
        Self {
            name,
            was_listed,
            kept,
            layout,
            scope,
            grid: Grid::new(scope.window, scope.period),
            health: RegionHealth::default(),
            answered: false,
            is_pending: false,
            tags: Some(ResourceTags::default()),
            functions: None,
            plan: Arc::default(),
            readings: Vec::new(),
            pending: Vec::new(),
            rows: scope.reports.iter().map(|_| SeriesRows::default()).collect(),
        }
    }

    /// Lists and queries all its series.
    ///
    /// # Errors
    ///
    /// That of tags which may not be read, if they decide which resources are selected.
    pub(super) async fn collect(mut self, clients: &Clients<'_>) -> Result<CollectedRegion, AwsError> {
        let listed = self.list(clients).await?;
        let is_listed = listed.is_some();
        if let Some(plan) = listed {
            self.readings =
                plan.resources.iter().map(|_| Some(Reading::new(self.grid, self.layout))).collect();
            self.pending = plan.resources.iter().map(|(_, groups)| groups.len()).collect();
            self.plan = Arc::new(plan);
            // What has no series has its row already.
            for index in 0..self.pending.len() {
                if self.pending.get(index) == Some(&0) {
                    self.encode(index);
                }
            }
            self.query_values(&clients.cloudwatch).await;
        }
        let is_empty = self.rows.iter().all(|rows| rows.0.is_empty()) && self.kept.is_empty();
        let outcome = RegionOutcome {
            name: self.name,
            health: self.health,
            answered: self.answered,
            is_pending: self.is_pending,
            is_empty,
        };
        Ok(CollectedRegion {
            rows: self.rows,
            outcome,
            is_listed,
            lacks_tags: self.tags.is_none(),
            lacks_facts: is_listed && clients.functions.is_some() && self.functions.is_none(),
        })
    }

    /// The plan for all listed series whose resources are selected; `None` if the listing was not completed. Tags and
    /// functions are read meanwhile.
    ///
    /// # Errors
    ///
    /// As for [`Self::collect`].
    pub(super) async fn list(&mut self, clients: &Clients<'_>) -> Result<Option<Plan>, AwsError> {
        let stop = self.scope.stop.clone();
        let tags = async {
            match &clients.tagging {
                Some(tagging) => stop.run_until_cancelled(tagging.read()).await,
                None => Some(Ok(ResourceTags::default())),
            }
        };
        let functions = async {
            match &clients.functions {
                Some(functions) => Some(stop.run_until_cancelled(functions.read()).await),
                None => None,
            }
        };
        let (listed, tags, functions) = tokio::join!(self.list_series(&clients.cloudwatch), tags, functions);
        let Some(mut listing) = listed else { return Ok(None) };
        if let Some(functions) = functions
            && !self.take_functions(functions, &mut listing)
        {
            return Ok(None);
        }
        let mut plan = listing.into_plan(|resource| self.kept.contains(resource));
        // Tags are of no use if nothing is listed.
        if !plan.resources.is_empty() && !self.take_tags(tags)? {
            return Ok(None);
        }
        let dataset = self.scope.dataset;
        if let Some(tags) = self.tags.as_ref().filter(|_| dataset.selects_by_tags()) {
            plan.resources.retain(|(resource, _)| {
                let values: Vec<&str> = dimensions::values(resource).collect();
                tags.select(dataset, &values)
            });
        }
        // If there is nothing to query, the listing was the answer.
        self.answered |= plan.is_empty();
        Ok(Some(plan))
    }

    /// Takes what was answered about tags, `None` if it had to stop; whether the region can be queried.
    fn take_tags(&mut self, tags: Option<Result<ResourceTags, AwsError>>) -> Result<bool, AwsError> {
        match self.asked(tags) {
            Asked::Answered(tags) => self.tags = Some(tags),
            // No one knows what is selected.
            Asked::Denied(error) if self.scope.dataset.selects_by_tags() => return Err(error),
            Asked::Denied(error) => {
                tracing::warn!(region = &*self.name, error = %error, "tags may not be read; their columns are empty");
                self.tags = None;
            }
            Asked::Failed => return Ok(false),
        }
        Ok(true)
    }

    /// Takes what was answered about functions, `None` if it had to stop; whether the region can be queried.
    fn take_functions(
        &mut self,
        functions: Option<Result<FunctionFacts, AwsError>>,
        listing: &mut Listing<'_>,
    ) -> bool {
        match self.asked(functions) {
            Asked::Answered(functions) => {
                // Whether others had values in an older window is not known, since only listed series are queried.
                if self.scope.is_listed {
                    functions.names().for_each(|name| listing.add_resource(name));
                }
                self.functions = Some(functions);
            }
            Asked::Denied(error) => {
                tracing::warn!(region = &*self.name, error = %error, "functions may not be listed; their facts are empty");
            }
            Asked::Failed => return false,
        }
        true
    }

    /// What came of a question, `None` if it had to stop. A failure is recorded.
    fn asked<T>(&mut self, answer: Option<Result<T, AwsError>>) -> Asked<T> {
        match answer {
            Some(Ok(answer)) => return Asked::Answered(answer),
            Some(Err(error)) if error.kind == ErrorKind::Denied && !session::ends_session(&error) => {
                return Asked::Denied(error);
            }
            Some(Err(error)) => self.health.record_error(&self.name, error, self.scope.is_last),
            None => self.health.stop(),
        }
        self.is_pending = !self.was_listed;
        Asked::Failed
    }

    /// All listed series; `None` if the listing was not completed.
    async fn list_series(&mut self, cloudwatch: &CloudWatch) -> Option<Listing<'a>> {
        let dataset = self.scope.dataset;
        let mut listing: Listing<'a> = Listing::new(self.layout);
        let listings =
            dataset.metrics.iter().map(|metric| Box::pin(cloudwatch.list_metrics(dataset, metric)));
        let mut pages = stream::select_all(listings);
        loop {
            let page = tokio::select! {
                page = pages.next() => page,
                () = self.scope.stop.cancelled() => {
                    self.is_pending = !self.was_listed;
                    self.health.stop();
                    return None;
                }
            };
            match page {
                Some(Ok(page)) => page.into_iter().for_each(|listed| listing.add(listed)),
                Some(Err(error)) if self.kept.is_empty() && is_not_enabled(&error) => {
                    tracing::warn!(region = &*self.name, error = %error, "the account has not enabled the region");
                    return None;
                }
                Some(Err(error)) => {
                    self.is_pending = !self.was_listed && error.kind != ErrorKind::Denied;
                    self.health.record_error(&self.name, error, self.scope.is_last);
                    return None;
                }
                None => break,
            }
        }
        for (metric, value) in listing.skipped() {
            tracing::warn!(region = &*self.name, metric, "{value:?} is not known and has no column; skipped");
        }
        Some(listing)
    }

    async fn query_values(&mut self, cloudwatch: &CloudWatch) {
        let Scope { dataset, window, period, .. } = *self.scope;
        let query = Query { dataset, window, period };
        let (plan, layout) = (self.plan.clone(), self.layout);
        let request = |call: Call| {
            let plan = &*plan;
            async move {
                let queries = groups(plan, &call).flat_map(|(of, group)| group.queries(layout, of));
                let answers = cloudwatch.query(query, queries).await;
                (call, answers)
            }
        };
        let mut ready = plan.calls(layout, self.grid.periods()).into_iter();
        let mut calls = FuturesUnordered::new();
        loop {
            while calls.len() < CALLS_AT_ONCE
                && self.health.stopped.is_none()
                && let Some(call) = ready.next()
            {
                calls.push(request(call));
            }
            tokio::select! {
                answered = calls.next() => match answered {
                    Some((call, answers)) => self.add(&call, answers),
                    None => break,
                },
                () = self.scope.stop.cancelled() => {
                    self.health.stop();
                    break;
                }
            }
        }
        // Series that are in flight or will not be queried.
        let problem = self.health.stopped.clone().unwrap_or(Problem::Transient("NoAnswer".into()));
        for index in 0..self.readings.len() {
            if let Some(Some(reading)) = self.readings.get_mut(index) {
                reading.fail(problem.clone());
                self.encode(index);
            }
        }
    }

    /// Adds the answers of a call.
    fn add(&mut self, call: &Call, answers: Answers<Point>) {
        let problem = answers.error.as_ref().map(problem_of);
        let mut each = answers.each.into_iter();
        let mut transient = None;
        for (resource, group) in call {
            let Some((_, groups)) = self.plan.resources.get(*resource) else { continue };
            let (Some(group), Some(Some(reading))) = (groups.get(*group), self.readings.get_mut(*resource))
            else {
                continue;
            };
            for nth in 0..group.queries(self.layout, "").count() {
                match (each.next().flatten(), &problem) {
                    (Some(answer), _) => {
                        self.answered = true;
                        reading.add(group.first + nth, answer);
                    }
                    (None, Some(problem)) => reading.fail(problem.clone()),
                    (None, None) => reading.fail(Problem::Transient("NoAnswer".into())),
                }
            }
            transient = transient.or_else(|| reading.transient_problem().map(str::to_owned));
            let Some(pending) = self.pending.get_mut(*resource) else { continue };
            *pending = pending.saturating_sub(1);
            if *pending == 0 {
                self.encode(*resource);
            }
        }
        match answers.error {
            Some(error) => {
                // If a call is denied, all are: permissions depend on the region and not on the resource.
                if matches!(error.kind, ErrorKind::Denied | ErrorKind::Identity) {
                    self.health.stopped.get_or_insert(problem_of(&error));
                }
                self.health.record_error(&self.name, error, self.scope.is_last);
            }
            None => self.health.record_success(&self.name, transient, self.scope.is_last),
        }
    }

    /// Encodes the rows of a resource once no more answers will arrive.
    fn encode(&mut self, index: usize) {
        let Some((resource, _)) = self.plan.resources.get(index) else { return };
        let Some(reading) = self.readings.get_mut(index).and_then(Option::take) else { return };
        let subject = csv::Subject {
            dataset: self.scope.dataset,
            account_name: self.scope.account_name,
            account_id: self.scope.account_id,
            date: self.scope.window.date(),
        };
        let key = (resource.clone(), self.name.clone());
        let values: Vec<&str> = dimensions::values(resource).collect();
        let tags = self.tags.as_ref().map(|tags| tags.columns(subject.dataset, &values)).unwrap_or_default();
        let function = self.functions.as_ref().and_then(|functions| functions.of(resource));
        // A replica of Lambda@Edge, `us-east-1.name`, is listed in that region alone.
        let is_replica = resource.split_once('.').is_some_and(|(region, _)| is_region(region));
        let is_deleted = self.functions.is_some() && function.is_none() && !is_replica;
        let known = series_csv::Known { tags: &tags, function };
        let parts = reading.split(self.layout, &self.scope.reports).into_iter().zip(&self.scope.reports);
        for (rows, (part, window)) in self.rows.iter_mut().zip(parts) {
            let part = match part {
                Part { status: Status::NoData, periods } if is_deleted => {
                    Part { status: Status::Deleted, periods }
                }
                part => part,
            };
            let when = When { seconds: self.grid.seconds(), end: window.end(), now: self.scope.now };
            let encoded = series_csv::encode(&subject, &key, &known, &when, part, &self.scope.spool);
            rows.0.insert(key.clone(), encoded);
        }
    }
}

/// The series of a call, each with its resource.
fn groups<'a>(plan: &'a Plan, call: &'a Call) -> impl Iterator<Item = (&'a str, &'a super::Group)> + Clone {
    call.iter().filter_map(|(resource, group)| {
        let (name, groups) = plan.resources.get(*resource)?;
        Some((&**name, groups.get(*group)?))
    })
}
