// SPDX-License-Identifier: Apache-2.0
//! What a run will send. Pure.

use chrono::{DateTime, Utc};
use fleet::{KeyTemplate, RunId, VERSION, datasets, manifest::Manifest};

use crate::{
    expand::{PlannedJob, expand},
    request::{Flags, InvalidRequest, Request, Source, Surroundings},
    todo::Todo,
};

/// A request, expanded and checked.
#[derive(Clone)]
pub struct Plan {
    pub request: Request,
    pub run_id: RunId,
    pub jobs: Vec<PlannedJob>,
}

/// What a request is planned with.
#[derive(Debug, Clone, Copy)]
pub struct Planning<'a> {
    /// Its time is the scheduled one, if there is one.
    pub around: Surroundings<'a>,
    /// The time of the clock if another one was scheduled, which makes nothing over that is not.
    pub clock: Option<DateTime<Utc>>,
    pub template: &'a KeyTemplate,
}

/// Why a request can't be planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The request is not valid.
    Request(String),
    /// It does not fit its scheduled time, or the key template.
    Setting(String),
}

impl Plan {
    /// Checks a request, and expands it.
    ///
    /// # Errors
    ///
    /// All faults; none if all that is wrong is that the accounts are unknown, which the caller knows.
    pub fn new(
        source: Option<&Source>,
        flags: &Flags,
        planning: Planning<'_>,
        run_id: RunId,
    ) -> Result<Self, Vec<Fault>> {
        let Planning { around, clock, template } = planning;
        let mut faults = Vec::new();
        let request = match Request::read(source, flags, around) {
            Ok(request) => Some(request),
            Err(InvalidRequest(all)) => {
                faults.extend(all.into_iter().map(Fault::Request));
                None
            }
        };
        if let (Some(request), Some(clock)) = (&request, clock) {
            faults.extend(request.too_early(clock).into_iter().map(Fault::Setting));
        }
        let is_only_incomplete = request.as_ref().map_or(flags.only_incomplete, |it| it.only_incomplete);
        if is_only_incomplete && template.as_str().contains("{run_id}") {
            faults.push(Fault::Setting(format!(
                "--only-incomplete can't find earlier reports under key template {:?}, in which every run has \
                 keys of its own; take {{run_id}} out of it",
                template.as_str()
            )));
        }
        let Some(accounts) = around.accounts else { return Err(faults) };
        let default = [*datasets::DEFAULT];
        let datasets = request.as_ref().map_or(&default[..], |request| &request.datasets);
        if let Err(error) = template.check(accounts, datasets) {
            faults.push(Fault::Setting(error.to_string()));
            return Err(faults);
        }
        let Some(request) = request else { return Err(faults) };
        match expand(&request, &run_id, accounts, template) {
            Ok(jobs) if faults.is_empty() => return Ok(Self { request, run_id, jobs }),
            Ok(_) => {}
            Err(error) => faults.push(Fault::Setting(error.to_string())),
        }
        Err(faults)
    }

    /// The run's manifest, with what is done about each job.
    #[must_use]
    pub fn manifest(&self, todo: &Todo, now: DateTime<Utc>) -> Manifest {
        let jobs = self.jobs.iter().zip(&todo.states);
        Manifest {
            run_id: self.run_id.clone(),
            created_at: now,
            sent_at: None,
            version: VERSION.to_owned(),
            request: self.request.to_json(),
            date: self.request.date(),
            only_incomplete: self.request.only_incomplete,
            jobs: jobs.map(|(planned, state)| planned.in_manifest(*state)).collect(),
        }
    }
}
