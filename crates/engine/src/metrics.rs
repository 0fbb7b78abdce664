// SPDX-License-Identifier: Apache-2.0
//! The worker's metrics: a line on standard output for each delivery that is settled, in CloudWatch's
//! embedded metric format. If standard output goes to CloudWatch Logs, as with the `awslogs` driver of
//! Amazon ECS, each line becomes metrics there, without an agent, a call or a permission.
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! Each value of a dimension creates metrics of its own, which are billed. So only properties with few
//! values are dimensions; labels are properties of the line, which Logs Insights can query. No line
//! contains an error's text, and therefore no secret.
//!
//! A delivery that is cut off before it is settled, for example because the worker is killed, has no line.

use std::{
    io::{self, Write},
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::{
    delivery::{Outcome, Settled},
    kind::Measure,
};

/// The longest namespace, in characters.
const MAX_NAMESPACE: usize = 255;

/// The namespace of metrics: 1 to 255 characters of `[0-9A-Za-z._/#:-]`, neither beginning with `:` nor,
/// since that is AWS's own, with `AWS/`.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(String);

/// A text that is no namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNamespace {
    /// CloudWatch does not take it.
    #[error(
        "metrics namespace {0:?} is not well-formed; it takes 1 to 255 letters, digits, '.', '_', '/', '#', ':' and '-', and does not begin with ':'"
    )]
    NotWellFormed(String),
    /// CloudWatch keeps it for AWS.
    #[error("metrics namespace {0:?} is AWS's own; one of yours does not begin with AWS/")]
    OfAws(String),
}

impl Namespace {
    /// The namespace as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Namespace {
    type Err = InvalidNamespace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._/#:-".contains(&byte);
        if !(1..=MAX_NAMESPACE).contains(&text.len())
            || text.starts_with(':')
            || !text.bytes().all(is_allowed)
        {
            return Err(InvalidNamespace::NotWellFormed(text.to_owned()));
        }
        if text.starts_with("AWS/") {
            return Err(InvalidNamespace::OfAws(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Writes the worker's metrics. One for a process.
#[derive(Debug)]
pub struct WorkerMetrics {
    namespace: Namespace,
    has_failed: AtomicBool,
}

impl WorkerMetrics {
    #[must_use]
    pub fn new(namespace: Namespace) -> Self {
        Self { namespace, has_failed: AtomicBool::new(false) }
    }

    /// Writes the line of a delivery to standard output as a whole, so that lines of several deliveries
    /// do not mix. Like a log line, it waits for the reader.
    ///
    /// Write errors are ignored; the first is logged.
    pub(crate) fn write(&self, settled: &Settled) {
        let line = format!("{}\n", encode(&self.namespace, Utc::now(), settled));
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
        drop(stdout);
        if let Err(error) = written
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                error = %error,
                "the worker's metrics could not be written to standard output; jobs continue without them"
            );
        }
    }
}

/// The line of a delivery settled at this time.
fn encode(namespace: &Namespace, at: DateTime<Utc>, settled: &Settled) -> Value {
    let Settled { outcome, reason, labels, message_id, receive_count, spent, took } = settled;
    let mut line = Line::default();
    line.measure(
        namespace,
        ("Outcome", outcome_name(outcome)),
        &[
            Measure { name: "Jobs", unit: "Count", value: 1.into() },
            Measure { name: "Duration", unit: "Milliseconds", value: milliseconds(*took).into() },
        ],
    );
    if let Some(spent) = spent {
        line.measure(namespace, spent.dimension, &spent.metrics);
    }
    // Named as in the log, so that one query finds a job in both.
    for label in labels {
        line.add(label.name, Some(label.value.as_str()));
    }
    line.add("message_id", Some(message_id.as_str()));
    line.add("attempt", Some(*receive_count));
    line.add("reason", *reason);
    line.add("version", Some(crate::VERSION));
    line.at(at)
}

/// How a delivery ended, as a dimension.
///
/// It is about the work and not its message. If the result or the dead letter is safe and the message could
/// not be deleted, the outcome stays: the message comes back, and is then done once more, or one more
/// `dead_letter` as there is one more on the queue. If a message could not be hidden or returned, it is `left`.
fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done(completed) => completed.outcome,
        Outcome::DeadLettered => "dead_letter",
        Outcome::Retried => "put_off",
        Outcome::Returned => "given_back",
        Outcome::Abandoned => "left",
        Outcome::WorkerFault(_) => "own_fault",
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A line in the making.
#[derive(Debug, Default)]
struct Line {
    directives: Vec<Value>,
    members: Map<String, Value>,
}

impl Line {
    /// Adds metrics under a dimension of their own.
    fn measure(
        &mut self,
        Namespace(namespace): &Namespace,
        (dimension, value): (&str, &str),
        metrics: &[Measure],
    ) {
        self.members.insert(dimension.to_owned(), value.into());
        self.members.extend(metrics.iter().map(|metric| (metric.name.to_owned(), metric.value.clone())));
        let metrics = metrics.iter().map(|metric| json!({"Name": metric.name, "Unit": metric.unit}));
        self.directives.push(json!({
            "Namespace": namespace,
            "Dimensions": [[dimension]],
            "Metrics": metrics.collect::<Value>(),
        }));
    }

    /// Adds a property, if there is one.
    fn add(&mut self, name: &str, value: Option<impl Into<Value>>) {
        self.members.extend(value.map(|value| (name.to_owned(), value.into())));
    }

    /// The line with this timestamp.
    fn at(self, moment: DateTime<Utc>) -> Value {
        let head = json!({"Timestamp": moment.timestamp_millis(), "CloudWatchMetrics": self.directives});
        let mut line = Map::from_iter([("_aws".to_owned(), head)]);
        line.extend(self.members);
        line.into()
    }
}

#[cfg(test)]
mod tests;
