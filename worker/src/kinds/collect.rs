// SPDX-License-Identifier: Apache-2.0
//! The kind `collect`: one dataset of one account, as a report in the bucket.

use std::sync::{Arc, OnceLock};

use chrono::Utc;
use engine::{Attempt, BadMessage, Completed, Failed, Kind, Label, Measure, Measures, Message, Work};
use fleet::{
    Job, Labels, Reason,
    date::DateError,
    job::{Envelope, JobError},
    json,
    report::ReportStatus,
};
use futures::{StreamExt, future::BoxFuture, stream};
use sinks::Delivery;
use tokio::time::Instant;
use tracing::Span;

use crate::{
    failure::Failure,
    report::{Done, Reporter, step},
    usage::Usage,
};

/// The maximum number of reports of a job that are delivered at once.
pub(super) const DELIVERIES_AT_ONCE: usize = 4;

/// Accepts every message that does not name another kind.
#[derive(Debug)]
pub(super) struct Collect {
    pub(super) reporter: Arc<Reporter>,
    pub(super) delivery: Arc<Delivery>,
}

/// A job of this kind.
#[derive(Debug)]
struct Collection {
    reporter: Arc<Reporter>,
    delivery: Arc<Delivery>,
    job: Job,
    labels: Vec<Label>,
    usage: Usage,
    /// The number of rows stored.
    rows: OnceLock<u64>,
}

impl Kind for Collect {
    fn name(&self) -> &'static str {
        "collect"
    }

    fn read(&self, message: &Message) -> Option<Result<Box<dyn Work>, BadMessage>> {
        Some(match read(message)? {
            Ok(job) => Ok(Box::new(Collection {
                reporter: self.reporter.clone(),
                delivery: self.delivery.clone(),
                labels: Labels::from_job(&job).to_attach_to(&message.body),
                job,
                usage: Usage::default(),
                rows: OnceLock::new(),
            })),
            Err(error) => Err(BadMessage {
                reason: reason(&error).code(),
                source: error.into(),
                labels: Labels::from_message(message).to_attach_to(&message.body),
            }),
        })
    }
}

impl Work for Collection {
    fn labels(&self) -> Vec<Label> {
        self.labels.clone()
    }

    fn span(&self, message: &Message) -> Span {
        tracing::info_span!(
            "job",
            message_id = message.id,
            attempt = message.receive_count,
            account_name = self.job.account_name.as_str(),
            dataset = self.job.dataset.name,
            run_id = self.job.run_id.as_str(),
        )
    }

    fn run<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Completed, Failed>> {
        Box::pin(async {
            let begun = Instant::now();
            let done = self.reporter.perform(&self.job, &self.usage, attempt).await?;
            log(&done, begun);
            let _ = match &done {
                Done::Stored { metadata, .. } => self.rows.set(metadata.rows),
                Done::Several { stored: 1.., rows, .. } => self.rows.set(*rows),
                Done::Several { .. } | Done::Duplicate { .. } | Done::Kept { .. } => Ok(()),
            };
            self.deliver(done.keys(), attempt).await?;
            if let Done::Several { failure: Some(failure), .. } = done {
                return Err(failure.into());
            }
            Ok(Completed { outcome: outcome(&done) })
        })
    }

    fn spent(&self) -> Option<Measures> {
        measures(self.job.dataset.name, &self.usage, self.rows.get().copied())
    }
}

impl Collection {
    /// Delivers the reports. One that fails does not keep others from being delivered.
    async fn deliver(&self, keys: &[String], attempt: &Attempt) -> Result<(), Failure> {
        if self.delivery.takes(self.job.dataset) {
            attempt.enter(step::DELIVER);
        }
        let deliver = |key: String| {
            let delivery = self.delivery.clone();
            async move { Ok(delivery.deliver(self.job.dataset, &key).await?) }
        };
        let delivered = stream::iter(keys.to_vec()).map(deliver).buffered(DELIVERIES_AT_ONCE);
        let delivered: Vec<Result<(), Failure>> = delivered.collect().await;
        delivered.into_iter().collect()
    }
}

/// What was spent on a job, as metrics; `None` if no call was made.
fn measures(dataset: &'static str, usage: &Usage, rows: Option<u64>) -> Option<Measures> {
    if usage.calls() == 0 {
        return None;
    }
    let count = |name, value: u64| Measure { name, unit: "Count", value: value.into() };
    let mut metrics = vec![
        count("ApiCalls", usage.calls()),
        count("MetricsRequested", usage.metrics()),
        // US dollars, for which CloudWatch has no unit.
        Measure { name: "EstimatedCost", unit: "None", value: usage.dollars().into() },
    ];
    metrics.extend(rows.map(|rows| count("Rows", rows)));
    Some(Measures { dimension: ("Dataset", dataset), metrics, dollars: usage.dollars() })
}

/// The job of a message; `None` if the message names its kind, which a job of this kind does not.
fn read(message: &Message) -> Option<Result<Job, JobError>> {
    const KIND: &str = "kind";
    let job = parse(message);
    let names_its_kind = match &job {
        Ok(job) => job.attributes.contains_key(KIND),
        Err(JobError::TooLarge(_)) => false,
        Err(_) => json::read(&message.body).is_ok_and(|body| body.get(KIND).is_some()),
    };
    (!names_its_kind).then_some(job)
}

fn parse(message: &Message) -> Result<Job, JobError> {
    let envelope = Envelope::from_message(message);
    let job = Job::parse(&message.body, envelope)?;
    job.check(envelope.sent_at, Utc::now())?;
    Ok(job)
}

fn reason(error: &JobError) -> Reason {
    match error {
        JobError::Outlived { .. } | JobError::Date(DateError::TooOld { .. }) => Reason::TooOld,
        _ => Reason::BadMessage,
    }
}

fn outcome(done: &Done) -> &'static str {
    match done {
        Done::Stored { metadata, .. } => match metadata.status {
            ReportStatus::Complete => "complete",
            ReportStatus::Partial => "partial",
        },
        Done::Several { partial: 1.., .. } => "partial",
        Done::Several { stored: 1.., .. } => "complete",
        Done::Duplicate { .. } | Done::Several { kept: 0, .. } => "duplicate",
        Done::Several { .. } | Done::Kept { .. } => "kept",
    }
}

fn log(done: &Done, begun: Instant) {
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    match done {
        Done::Duplicate { key } => {
            tracing::info!(key, duration_ms, "the report exists already; nothing to do");
        }
        Done::Kept { key } => tracing::info!(
            key,
            duration_ms,
            "a settled report exists that a collection could no longer reproduce; it is kept"
        ),
        Done::Several { windows, stored, partial, duplicates, kept, rows, keys, failure } => tracing::info!(
            windows,
            duration_ms,
            stored,
            partial,
            duplicates,
            kept,
            rows,
            "the reports of {} windows exist",
            if failure.is_some() { keys.len().to_string() } else { "all".into() }
        ),
        Done::Stored { key, metadata } => tracing::info!(
            key,
            duration_ms,
            status = metadata.status.as_str(),
            rows = metadata.rows,
            rows_late = metadata.rows_late,
            rows_denied = metadata.rows_denied,
            rows_error = metadata.rows_error,
            api_calls = metadata.api_calls,
            metrics_requested = metadata.metrics_requested,
            estimated_cost_usd = metadata.estimated_cost_usd,
            first_error = metadata.first_error,
            "the report is stored"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str) -> Message {
        let sent_at = Some(Utc::now());
        Message {
            id: "0a1b2c3d-4e5f".into(),
            body: body.into(),
            receive_count: 2,
            sent_at,
            ..Message::default()
        }
    }

    #[test]
    fn a_message_of_another_kind_is_not_accepted() {
        for body in [r#"{"kind":"ping"}"#, r#"{"account_name":"data","kind":7}"#, r#"{"\u006bind":"ping"}"#] {
            assert!(read(&message(body)).is_none(), "{body}");
        }
        for body in [r#"{"account_name":"kind"}"#, r#"{"account_name":"data","of":{"kind":1}}"#, "kind", "{}"]
        {
            assert!(read(&message(body)).is_some(), "{body}");
        }
    }

    #[test]
    fn a_day_that_is_too_old_has_its_own_reason() {
        let reason_of = |body: &str| reason(&parse(&message(body)).expect_err(body)).code();
        assert_eq!(reason_of(r#"{"account_name":"data","date":"2019-01-01"}"#), "too_old");
        assert_eq!(reason_of(r#"{"account_name":"data","date":"soon"}"#), "bad_message");
        assert_eq!(reason_of("no job"), "bad_message");
    }

    #[test]
    fn calls_are_measured_and_only_a_stored_report_has_rows() {
        let spent = measures("s3_daily_storage", &Usage::of(5, 2, 6), Some(3)).expect("calls were made");
        let metrics: Vec<_> = spent.metrics.iter().map(|it| (it.name, it.value.to_string())).collect();
        let expected =
            [("ApiCalls", "5"), ("MetricsRequested", "6"), ("EstimatedCost", "0.00008"), ("Rows", "3")];
        assert_eq!(metrics, expected.map(|(name, value)| (name, value.to_owned())));
        assert_eq!((spent.dimension, spent.dollars), (("Dataset", "s3_daily_storage"), 0.000_08));
        let failed = measures("s3_daily_storage", &Usage::of(1, 0, 0), None).expect("calls were made");
        assert!(failed.metrics.iter().all(|metric| metric.name != "Rows"));
        assert_eq!(measures("s3_daily_storage", &Usage::default(), None), None);
    }
}
