// SPDX-License-Identifier: Apache-2.0
//! Complete reports that a sink does not have yet: what `--only-incomplete` sends besides jobs, and what `status` counts.

use std::collections::BTreeMap;

use fleet::{
    Dataset, Window, Windows,
    existing::{Existing, ExistingReport},
    report::ReportStatus,
    report_bucket::ReportBucket,
    report_key,
};
use futures::{StreamExt, TryStreamExt, stream};
use sinks::{Named, Repetition, marker::Marker};

use crate::{deliver::Order, expand::PlannedJob, todo::Todo};

const CONCURRENCY: usize = 32;

/// A report that a sink takes, and where it is recorded that the sink has it.
struct Delivery<'a> {
    sink: &'a Named,
    /// The index of the job.
    job: usize,
    window: Window,
    report: &'a ExistingReport,
    marker_key: String,
}

/// The orders to deliver what sinks lack. Jobs that are sent deliver what they find: only what lies outside of their windows
/// is looked at.
pub(crate) async fn orders(
    bucket: &ReportBucket,
    jobs: &[PlannedJob],
    existing: &[Vec<Existing>],
    todo: &Todo,
    sinks: &[Named],
) -> anyhow::Result<Vec<Order>> {
    let looks = deliveries(jobs, existing, todo, sinks).map(|delivery| async move {
        let marker = bucket.record::<Marker>(&delivery.marker_key).await?;
        let marker = marker.and_then(|(_, marker)| marker);
        let is_lacking = delivery.sink.lacks(marker.as_ref(), delivery.report);
        anyhow::Ok(is_lacking.then_some((delivery.sink, delivery.job, delivery.window)))
    });
    let looks: Vec<_> = looks.collect();
    let lacking: Vec<_> = stream::iter(looks).buffered(CONCURRENCY).try_collect().await?;
    let mut orders: Vec<(&Named, usize, Window, Window)> = Vec::new();
    for (sink, job, window) in lacking.into_iter().flatten() {
        match orders.iter_mut().rfind(|(known, of, ..)| std::ptr::eq(*known, sink) && *of == job) {
            Some((.., last)) => *last = window,
            None => orders.push((sink, job, window, window)),
        }
    }
    let order = |(sink, job, first, last): (&Named, usize, Window, Window)| {
        let job = jobs.get(job)?.narrowed(Windows::part(first, last)?).job;
        Some(Order { sink: sink.name.clone(), again: false, force: false, job })
    };
    Ok(orders.into_iter().filter_map(order).collect())
}

/// What a sink has of the complete reports of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    /// How many it lacks.
    pub lacking: usize,
    /// How many were replaced after they were delivered, of a sink that keeps what it has.
    pub changed: usize,
    /// How many values it may have and may not.
    pub unknown: u64,
}

/// What each sink that takes any of the datasets has of the complete ones among some reports. Each report is the name of its
/// dataset, its key, and what is stored.
///
/// # Errors
///
/// If what is recorded of a delivery can't be read.
pub async fn by_sink(
    bucket: &ReportBucket,
    datasets: &[&str],
    reports: &[(&str, &str, &ExistingReport)],
    sinks: &[Named],
) -> anyhow::Result<BTreeMap<String, Delivered>> {
    let mut by_sink = BTreeMap::new();
    for sink in sinks {
        let takes = |name: &str| Dataset::find(name).is_some_and(|dataset| sink.takes(dataset));
        if !datasets.iter().any(|name| takes(name)) {
            continue;
        }
        let looks = reports.iter().map(|(dataset, key, report)| async move {
            if report.metadata.status != ReportStatus::Complete || !takes(dataset) {
                return anyhow::Ok(None);
            }
            let marker = bucket.record::<Marker>(&report_key::delivered(&sink.name, key)).await?;
            Ok(Some((*report, marker.and_then(|(_, marker)| marker))))
        });
        let looks: Vec<_> = looks.collect();
        let found: Vec<_> = stream::iter(looks).buffered(CONCURRENCY).try_collect().await?;
        let mut delivered = Delivered::default();
        for (report, marker) in found.into_iter().flatten() {
            delivered.lacking += usize::from(sink.lacks(marker.as_ref(), report));
            let Some(marker) = marker else { continue };
            let is_kept = sink.repetition == Repetition::Adds && marker.is_done();
            delivered.changed += usize::from(is_kept && !marker.has(&report.etag));
            delivered.unknown += marker.counts.unknown;
        }
        by_sink.insert(sink.name.clone(), delivered);
    }
    Ok(by_sink)
}

/// Each report that exists, for each sink of its dataset.
fn deliveries<'a>(
    jobs: &'a [PlannedJob],
    existing: &'a [Vec<Existing>],
    todo: &'a Todo,
    sinks: &'a [Named],
) -> impl Iterator<Item = Delivery<'a>> {
    jobs.iter().zip(existing).enumerate().flat_map(move |(job, (planned, existing))| {
        let sent = todo.windows_sent(job, planned);
        let is_sent = move |window: Window| sent.is_some_and(|sent| sent.includes(window));
        let reports = planned.keys().zip(existing).filter_map(move |((window, key), existing)| {
            let report = existing.report()?;
            let (dataset, id) = (planned.job.dataset.name, planned.account_id.as_ref());
            let is_complete = report.metadata.is_complete_of(dataset, window, id);
            (is_complete && !is_sent(window)).then_some((window, key, report))
        });
        let sinks = sinks.iter().filter(|sink| sink.takes(planned.job.dataset));
        let sinks: Vec<&Named> = sinks.collect();
        reports.flat_map(move |(window, key, report)| {
            let delivery = |sink: &&'a Named| Delivery {
                sink,
                job,
                window,
                report,
                marker_key: report_key::delivered(&sink.name, &key),
            };
            sinks.iter().map(delivery).collect::<Vec<_>>()
        })
    })
}
