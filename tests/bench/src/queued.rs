// SPDX-License-Identifier: Apache-2.0
//! A job that a worker takes off the queue, from the receive to the delete: what it took, and the reports that came of it.

use anyhow::{Context, ensure};
use chrono::Utc;
use kit::{Fleet, JOBS, REPORTS};
use local_aws::Object;
use serde_json::Value;

use crate::{
    program::Programs,
    stopwatch::Measured,
    world::{self, answered_at, came_in_at},
};

/// A job that was done.
pub(crate) struct Done {
    /// Of the whole process; but the seconds by the clock are those from the receive to the delete.
    pub(crate) took: Measured,
    /// The reports by their keys.
    pub(crate) reports: Vec<(String, Object)>,
}

/// Puts a job on the queue and lets a worker of its own do it. `dataset` is what the keys of its reports begin with.
pub(crate) async fn measure(
    programs: &Programs,
    fleet: &Fleet,
    job: &Value,
    dataset: &str,
) -> anyhow::Result<Done> {
    fleet.home.send(JOBS, &job.to_string());
    let begun = Utc::now();
    let took = programs.time_worker(fleet, &["run", "--exit-when-empty", "--concurrency", "1"]).await?;
    for letter in fleet.dead_letters() {
        let said = |name: &str| letter.attributes.get(name).cloned().unwrap_or_default();
        ensure!(false, "the job is a dead letter, {}: {}", said("failure_reason"), said("failure_message"));
    }
    let polls = world::calls(fleet, "ReceiveMessage");
    let first = polls.iter().find(|call| call.items > 0).context("no job was received")?;
    let deletes = world::calls(fleet, "DeleteMessage");
    let last = deletes.last().context("the job was not done")?;
    let wall_s = answered_at(last, begun) - came_in_at(first, begun);
    let keys = fleet.home.keys(REPORTS, dataset);
    let reports = keys.into_iter().filter_map(|key| Some((key.clone(), fleet.object(&key)?))).collect();
    Ok(Done { took: Measured { wall_s, ..took }, reports })
}

impl Done {
    /// The sum of a number that all reports have in their metadata.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let number = |(_, report): &(String, Object)| report.metadata.get(name)?.parse::<f64>().ok();
        self.reports.iter().map(|report| number(report).unwrap_or(f64::NAN)).sum()
    }

    /// Whether every report calls itself complete.
    pub(crate) fn is_complete(&self) -> bool {
        self.reports
            .iter()
            .all(|(_, report)| report.metadata.get("status").is_some_and(|it| it == "complete"))
    }
}
