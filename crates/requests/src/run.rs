// SPDX-License-Identifier: Apache-2.0
//! A run, once it is planned: what is left to do, recorded before the first job is sent, and marked once all are.

use std::future::pending;

use anyhow::bail;
use engine::Queue;
use fleet::{
    Job,
    manifest::{JobState, Manifest},
    report_bucket::ReportBucket,
};

use sinks::Named;

use crate::{
    deliver::Order,
    expand::{PlannedJob, jobs_from_manifest},
    manifests,
    plan::Plan,
    publish::publish_as,
    reports,
    todo::Todo,
    undelivered,
};

/// A run whose jobs can be sent: it is recorded, if it sends any.
pub struct Recorded {
    /// What is sent, or what an earlier delivery of the same start sent.
    pub manifest: Manifest,
    pub todo: Todo,
    /// Those still to be sent.
    pub jobs: Vec<Job>,
}

/// Decides what to do about each job. Warns if settled reports would be collected again. What `sinks` lack is looked up for
/// what only completes.
pub async fn look(
    bucket: &ReportBucket,
    jobs: &[PlannedJob],
    only_incomplete: bool,
    sinks: &[Named],
) -> anyhow::Result<Todo> {
    let existing = reports::look_at_windows(bucket, jobs).await;
    if only_incomplete {
        let existing = existing?;
        let mut todo = Todo::for_incomplete(jobs, &existing, bucket.now());
        todo.undelivered = undelivered::orders(bucket, jobs, &existing, &todo, sinks).await?;
        return Ok(todo);
    }
    // Knowing what the jobs replace is useful, but failing to read it is no reason not to send them.
    let todo = match existing {
        Ok(existing) => Todo::for_all(jobs, &existing, bucket.now()),
        Err(error) => {
            tracing::warn!("{error:#}; accounts with a settled report of the day may be paid for again");
            Todo::all(jobs.len())
        }
    };
    if let Some(warning) = todo.warning() {
        tracing::warn!("{warning}");
    }
    Ok(todo)
}

/// Sends the orders to deliver what sinks lack. They are not recorded: the next look finds what is still lacking.
///
/// # Errors
///
/// Which are not sent, and why.
pub async fn send_orders(queue: &Queue, orders: &[Order]) -> anyhow::Result<()> {
    for orders in orders.chunk_by(|one, other| one.sink == other.sink) {
        let jobs: Vec<&Job> = orders.iter().map(|order| &order.job).collect();
        let Some(Order { sink, again, force, .. }) = orders.first() else { continue };
        let body =
            |job: &Job| Order { sink: sink.clone(), again: *again, force: *force, job: job.clone() }.body();
        if let Some(why) = publish_as(queue, &jobs, body, |_| (), pending()).await.explain(&jobs) {
            bail!("of the deliveries, {why}");
        }
    }
    Ok(())
}

/// Records a run in the report bucket. One that was recorded before, by an earlier delivery of its scheduled
/// start, keeps that record.
///
/// A run that sends nothing writes no manifest, so that scheduled runs of this kind do not hide the runs that
/// send jobs.
pub async fn record(
    bucket: &ReportBucket,
    plan: &Plan,
    mut todo: Todo,
    is_scheduled: bool,
) -> anyhow::Result<Recorded> {
    let plan = Plan { jobs: todo.narrow(plan.jobs.clone()), ..plan.clone() };
    let mut manifest = plan.manifest(&todo, bucket.now());
    if todo.states.contains(&JobState::Sent) {
        manifest = manifests::write(bucket, manifest, is_scheduled).await?;
        todo = Todo { states: manifest.jobs.iter().map(|job| job.state).collect(), ..todo };
    }
    // Those of the manifest, whichever delivery of the start wrote it.
    let jobs = if manifest.sent_at.is_some() { Vec::new() } else { jobs_from_manifest(&manifest)? };
    Ok(Recorded { manifest, todo, jobs })
}

/// Records that all jobs of a run have been sent. Without it, a second delivery of its start sends them again.
pub async fn mark_sent(bucket: &ReportBucket, recorded: &Recorded) {
    let mut marked = recorded.manifest.clone();
    if !recorded.jobs.is_empty()
        && let Err(error) = manifests::mark_sent(bucket, &mut marked).await
    {
        tracing::warn!(
            "{error:#}; a second delivery of this start would send the jobs again, which is harmless"
        );
    }
}
