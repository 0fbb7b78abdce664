// SPDX-License-Identifier: Apache-2.0
//! One region of an account: listing its series, asking for them, and encoding the rows of each resource.

use std::{collections::HashSet, sync::Arc};

use fleet::ErrorKind;
use futures::{
    StreamExt,
    stream::{self, FuturesUnordered},
};

use super::{Call, Grid, Layout, Listing, Plan, Reading};
use crate::{
    cloudwatch::{
        calls::{Answers, CloudWatch, Point, Query},
        rows::Problem,
    },
    collect::{
        collection::Ended,
        subject::Subject,
        trouble::{CALLS_AT_ONCE, Trouble, is_not_enabled, problem_of},
    },
    table::SeriesRows,
    table::{csv, series_csv},
};

/// A region, and what is known of its resources.
pub(super) struct Region<'a> {
    name: Arc<str>,
    /// Whether an earlier try has seen all of what it has.
    was_listed: bool,
    /// The resources whose rows are known already.
    kept: HashSet<Arc<str>>,
    layout: &'a Layout,
    subject: &'a Subject<'a>,
    grid: Grid,
    trouble: Trouble,
    answered: bool,
    is_pending: bool,
    plan: Arc<Plan>,
    /// Of each resource of the plan: what is known, until its rows are encoded.
    readings: Vec<Option<Reading>>,
    /// How many series of each resource are not answered yet.
    left: Vec<usize>,
    rows: SeriesRows,
}

/// What came of asking a region.
pub(super) struct Answered {
    pub(super) rows: SeriesRows,
    pub(super) ended: Ended,
    /// Whether all that `ListMetrics` names there was seen.
    pub(super) is_listed: bool,
}

impl<'a> Region<'a> {
    pub(super) fn new(
        name: Arc<str>,
        was_listed: bool,
        kept: HashSet<Arc<str>>,
        layout: &'a Layout,
        subject: &'a Subject<'a>,
    ) -> Self {
        Self {
            name,
            was_listed,
            kept,
            layout,
            subject,
            grid: Grid::new(subject.window, subject.period),
            trouble: Trouble::default(),
            answered: false,
            is_pending: false,
            plan: Arc::default(),
            readings: Vec::new(),
            left: Vec::new(),
            rows: SeriesRows::default(),
        }
    }

    /// Asks for all that it has.
    pub(super) async fn ask(mut self, cloudwatch: &CloudWatch) -> Answered {
        let listed = self.list(cloudwatch).await;
        let is_listed = listed.is_some();
        if let Some(plan) = listed {
            self.readings =
                plan.resources.iter().map(|_| Some(Reading::new(self.grid, self.layout))).collect();
            self.left = plan.resources.iter().map(|(_, groups)| groups.len()).collect();
            self.plan = Arc::new(plan);
            self.ask_for_values(cloudwatch).await;
        }
        let is_empty = self.rows.0.is_empty() && self.kept.is_empty();
        let ended = Ended {
            name: self.name,
            trouble: self.trouble,
            answered: self.answered,
            is_pending: self.is_pending,
            is_empty,
        };
        Answered { rows: self.rows, ended, is_listed }
    }

    /// What `ListMetrics` names; `None` if the list did not come to its end.
    async fn list(&mut self, cloudwatch: &CloudWatch) -> Option<Plan> {
        let dataset = self.subject.dataset;
        let mut listing = Listing::new(self.layout);
        let listings =
            dataset.metrics.iter().map(|metric| Box::pin(cloudwatch.list_metrics(dataset, metric)));
        let mut pages = stream::select_all(listings);
        loop {
            let page = tokio::select! {
                page = pages.next() => page,
                () = self.subject.stop.cancelled() => {
                    self.is_pending = !self.was_listed;
                    self.trouble.stop();
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
                    self.trouble.note(&self.name, error, self.subject.is_last);
                    return None;
                }
                None => break,
            }
        }
        for (metric, value) in listing.left_out() {
            tracing::warn!(
                region = &*self.name,
                metric,
                "{value:?} is not known by name and has no column; left out"
            );
        }
        let plan = listing.into_plan(|resource| self.kept.contains(resource));
        // If there is nothing to ask, the list was the answer.
        self.answered |= plan.resources.is_empty();
        Some(plan)
    }

    async fn ask_for_values(&mut self, cloudwatch: &CloudWatch) {
        let Subject { dataset, window, period, .. } = *self.subject;
        let query = Query { dataset, window, period };
        let (plan, layout) = (self.plan.clone(), self.layout);
        let ask = |call: Call| {
            let plan = &*plan;
            async move {
                let asked = groups(plan, &call).flat_map(|(of, group)| group.asked(layout, of));
                let answers = cloudwatch.ask(query, asked).await;
                (call, answers)
            }
        };
        let mut ready = plan.calls(layout, self.grid.periods()).into_iter();
        let mut calls = FuturesUnordered::new();
        loop {
            while calls.len() < CALLS_AT_ONCE
                && self.trouble.stopped.is_none()
                && let Some(call) = ready.next()
            {
                calls.push(ask(call));
            }
            tokio::select! {
                answered = calls.next() => match answered {
                    Some((call, answers)) => self.take(&call, answers),
                    None => break,
                },
                () = self.subject.stop.cancelled() => {
                    self.trouble.stop();
                    break;
                }
            }
        }
        // What is asked for no more, and what is in flight.
        let problem = self.trouble.stopped.clone().unwrap_or(Problem::Transient("NoAnswer".into()));
        for place in 0..self.readings.len() {
            if let Some(Some(reading)) = self.readings.get_mut(place) {
                reading.fail(problem.clone());
                self.encode(place);
            }
        }
    }

    /// Takes in what came of a call.
    fn take(&mut self, call: &Call, answers: Answers<Point>) {
        let problem = answers.error.as_ref().map(problem_of);
        let mut each = answers.each.into_iter();
        let mut transient = None;
        for (resource, group) in call {
            let Some((_, groups)) = self.plan.resources.get(*resource) else { continue };
            let (Some(group), Some(Some(reading))) = (groups.get(*group), self.readings.get_mut(*resource))
            else {
                continue;
            };
            for nth in 0..group.asked(self.layout, "").count() {
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
            let Some(left) = self.left.get_mut(*resource) else { continue };
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.encode(*resource);
            }
        }
        match answers.error {
            Some(error) => {
                // It is by the region, and not by the resource, that a call is refused.
                if matches!(error.kind, ErrorKind::Denied | ErrorKind::Identity) {
                    self.trouble.stopped.get_or_insert(problem_of(&error));
                }
                self.trouble.note(&self.name, error, self.subject.is_last);
            }
            None => self.trouble.answered(&self.name, transient, self.subject.is_last),
        }
    }

    /// Encodes the rows of a resource of which all is known that will be.
    fn encode(&mut self, place: usize) {
        let Some((resource, _)) = self.plan.resources.get(place) else { return };
        let Some(reading) = self.readings.get_mut(place).and_then(Option::take) else { return };
        let subject = csv::Subject {
            dataset: self.subject.dataset,
            account_name: self.subject.account_name,
            account_id: self.subject.account_id,
            date: self.subject.window.date(),
        };
        let key = (resource.clone(), self.name.clone());
        let encoded = series_csv::encode(&subject, self.layout, &key, self.grid.seconds(), reading);
        self.rows.0.insert(key, encoded);
    }
}

/// The series of a call, each with its resource.
fn groups<'a>(plan: &'a Plan, call: &'a Call) -> impl Iterator<Item = (&'a str, &'a super::Group)> + Clone {
    call.iter().filter_map(|(resource, group)| {
        let (name, groups) = plan.resources.get(*resource)?;
        Some((&**name, groups.get(*group)?))
    })
}
