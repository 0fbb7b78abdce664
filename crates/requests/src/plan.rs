// SPDX-License-Identifier: Apache-2.0
//! What a run will send.

use chrono::{DateTime, Utc};
use fleet::{RunId, VERSION, manifest::Manifest};

use crate::{expand::PlannedJob, request::Request, todo::Todo};

/// A request, expanded and checked.
#[derive(Clone)]
pub struct Plan {
    pub request: Request,
    pub run_id: RunId,
    pub jobs: Vec<PlannedJob>,
}

impl Plan {
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
