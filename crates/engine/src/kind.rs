// SPDX-License-Identifier: Apache-2.0
//! The interface between the engine, which knows messages, and the program, which knows the work.

use futures::future::BoxFuture;
use serde_json::Value;
use tracing::Span;

use crate::{Attempt, Label, Message, Retry};

/// One kind of work. The worker asks its kinds in order whether they accept a message.
pub trait Kind: Send + Sync {
    fn name(&self) -> &'static str;

    /// Parses a message: `None` if it is of another kind, an error if it is of this kind but malformed.
    fn read(&self, message: &Message) -> Option<Result<Box<dyn Work>, BadMessage>>;
}

/// What one message asks for.
pub trait Work: Send + Sync {
    /// What the message is about, for its copies and for the worker's metrics.
    fn labels(&self) -> Vec<Label>;

    /// Does the work. It is dropped at once if the message's lease is lost, so that another worker may
    /// do it: partially done work must be harmless.
    fn run<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Completed, Failed>>;

    /// The span of all log lines about the message, with the fields that log queries use.
    fn span(&self, message: &Message) -> Span {
        span(message)
    }

    /// What has been spent so far. Read when the message is settled, whatever the outcome.
    fn spent(&self) -> Option<Measures> {
        None
    }
}

/// The span of a message of which nothing else is known.
pub(crate) fn span(message: &Message) -> Span {
    tracing::info_span!("job", message_id = message.id, attempt = message.receive_count)
}

/// Why a message of a known kind can never be processed.
#[derive(Debug)]
pub struct BadMessage {
    /// The stable code of a reason.
    pub reason: &'static str,
    pub source: anyhow::Error,
    /// The labels that could be read.
    pub labels: Vec<Label>,
}

/// The work is done: its result is stored, and the message can be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completed {
    /// The value of the metrics' dimension `Outcome`.
    pub outcome: &'static str,
}

/// The work failed.
#[derive(Debug)]
pub struct Failed {
    /// The stable code of a reason.
    pub reason: &'static str,
    pub retry: Retry,
    pub source: anyhow::Error,
}

/// What was spent on a piece of work, as metrics under a dimension of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Measures {
    /// The dimension's name and value. Each value creates billed metrics, so there must be few.
    pub dimension: (&'static str, &'static str),
    pub metrics: Vec<Measure>,
    /// US dollars. Work that has cost something is given time to store its results before it is ended.
    pub dollars: f64,
}

/// One metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    pub name: &'static str,
    /// As CloudWatch names it: `Count`, `Milliseconds`, `None`.
    pub unit: &'static str,
    /// A number.
    pub value: Value,
}
