//! The worker's own metrics: a line on standard output for each delivery that is settled, in CloudWatch's
//! embedded metric format. Where standard output goes to CloudWatch Logs, as with the `awslogs` driver of
//! Amazon ECS, each line becomes metrics there: no agent, no call and no permission is needed.
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! What is asked about the accounts is [`cloudwatch`](crate::cloudwatch)'s affair.
//!
//! Each value of a dimension makes metrics of its own, which are paid for. So only what takes few values is
//! a dimension; accounts and runs are properties of the line, which Logs Insights can be asked for. Nothing
//! that an error says is in a line, and hence no secret.
//!
//! A delivery that is cut off before it is settled, as by a worker that is killed, has no line.

use std::{
    io::{self, Write},
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use chrono::{DateTime, Utc};
use fleet::{AccountName, Reason, RunId, report::ReportStatus};
use serde_json::{Map, Value, json};

use crate::{
    delivery::{Ended, Settled},
    report::Done,
};

/// The longest namespace, in characters.
const MAX_NAMESPACE: usize = 255;

/// The namespace of the metrics: 1 to 255 characters of `[0-9A-Za-z._/#:-]`, neither beginning with `:` nor,
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

/// Writes the worker's own metrics. One for a process.
#[derive(Debug)]
pub struct OwnMetrics {
    namespace: Namespace,
    has_failed: AtomicBool,
}

impl OwnMetrics {
    /// Metrics in a namespace.
    #[must_use]
    pub fn new(namespace: Namespace) -> Self {
        Self { namespace, has_failed: AtomicBool::new(false) }
    }

    /// Writes the line of a delivery to standard output, whole: lines of several jobs do not mix. It waits
    /// for whoever reads it, as a line of the log does.
    ///
    /// A line that can't be written is lost, and the job none the worse for it: the first one is told in the
    /// log.
    pub fn write(&self, settled: &Settled) {
        let line = format!("{}\n", encode(&self.namespace, Utc::now(), settled));
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
        drop(stdout);
        if let Err(error) = written
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                error = %error,
                "the worker's own metrics could not be written to standard output; the jobs go on without"
            );
        }
    }
}

/// The line of a delivery that was settled at that moment.
fn encode(namespace: &Namespace, at: DateTime<Utc>, settled: &Settled) -> Value {
    let Settled { ended, reason, labels, message_id, receives, usage, took } = settled;
    let mut line = Line::default();
    line.measure(
        namespace,
        ("Outcome", outcome(ended)),
        &[("Jobs", "Count", 1.into()), ("Duration", "Milliseconds", milliseconds(*took).into())],
    );
    let dataset = labels.dataset.map(|dataset| dataset.name);
    if let Some(dataset) = dataset.filter(|_| usage.calls() > 0) {
        let mut metrics = vec![
            ("ApiCalls", "Count", usage.calls().into()),
            ("MetricsRequested", "Count", usage.metrics().into()),
            // US dollars, for which CloudWatch has no unit.
            ("EstimatedCost", "None", usage.dollars().into()),
        ];
        if let Ended::Done(Done::Stored { metadata, .. }) = ended {
            metrics.push(("Rows", "Count", metadata.rows.into()));
        }
        line.measure(namespace, ("Dataset", dataset), &metrics);
    }
    // Named as in the log, so that one query finds a job in both.
    line.tell("account_name", labels.account_name.as_ref().map(AccountName::as_str));
    line.tell("run_id", labels.run_id.as_ref().map(RunId::as_str));
    line.tell("message_id", Some(message_id.as_str()));
    line.tell("attempt", Some(*receives));
    line.tell("reason", reason.map(Reason::code));
    line.tell("version", Some(fleet::VERSION));
    line.at(at)
}

/// How a delivery ended, as a dimension.
///
/// It is told of the job and not of its message. Where the report or the dead letter is safe and the message could
/// not be deleted, the outcome stands: the message comes back, and is then a `duplicate`, or one more
/// `dead_letter` as there is one more on the queue. Where a job could not be put off or given back, it is `left`.
fn outcome(ended: &Ended) -> &'static str {
    match ended {
        Ended::Done(Done::Stored { metadata, .. }) => match metadata.status {
            ReportStatus::Complete => "complete",
            ReportStatus::Partial => "partial",
        },
        Ended::Done(Done::Duplicate { .. }) => "duplicate",
        Ended::Done(Done::Kept { .. }) => "kept",
        Ended::DeadLettered => "dead_letter",
        Ended::PutOff => "put_off",
        Ended::GivenBack => "given_back",
        Ended::Left => "left",
        Ended::OwnFault(_) => "own_fault",
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
    /// Adds metrics, each with its name, unit and value, under a dimension of their own.
    fn measure(
        &mut self,
        Namespace(namespace): &Namespace,
        (dimension, value): (&str, &str),
        metrics: &[(&str, &str, Value)],
    ) {
        self.members.insert(dimension.to_owned(), value.into());
        self.members.extend(metrics.iter().map(|(name, _, value)| ((*name).to_owned(), value.clone())));
        let metrics = metrics.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit}));
        self.directives.push(json!({
            "Namespace": namespace,
            "Dimensions": [[dimension]],
            "Metrics": metrics.collect::<Value>(),
        }));
    }

    /// Adds a property, where there is one.
    fn tell(&mut self, name: &str, value: Option<impl Into<Value>>) {
        self.members.extend(value.map(|value| (name.to_owned(), value.into())));
    }

    /// The line as of a moment.
    fn at(self, moment: DateTime<Utc>) -> Value {
        let head = json!({"Timestamp": moment.timestamp_millis(), "CloudWatchMetrics": self.directives});
        let mut line = Map::from_iter([("_aws".to_owned(), head)]);
        line.extend(self.members);
        line.into()
    }
}

#[cfg(test)]
mod tests;
