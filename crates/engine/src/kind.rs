//! What a message asks for: the seam between the engine, which knows messages, and the program, which knows the work.

use futures::future::BoxFuture;
use serde_json::Value;
use tracing::Span;

use crate::{Attempt, Label, Message, Retry};

/// One kind of work. The worker asks its kinds in order which of them reads a message.
pub trait Kind: Send + Sync {
    fn name(&self) -> &'static str;

    /// Reads a message: `None` if it is not of this kind, an error if it is of this kind and malformed.
    fn read(&self, message: &Message) -> Option<Result<Box<dyn Work>, BadMessage>>;
}

/// What one message asks for.
pub trait Work: Send + Sync {
    /// What the message is about, for its copies and for the worker's metrics.
    fn labels(&self) -> Vec<Label>;

    /// Does it. It is dropped at once if the message's lease is lost, so that another worker may do it: what was
    /// done half must do no harm.
    fn run<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Completed, Failed>>;

    /// The span that all log lines about the message are in, with what the reader of a log searches for.
    fn span(&self, message: &Message) -> Span {
        span(message)
    }

    /// What was spent on it so far. Read when the message is settled, whatever became of it.
    fn spent(&self) -> Option<Measures> {
        None
    }
}

/// The span of a message of which nothing else is known.
pub(crate) fn span(message: &Message) -> Span {
    tracing::info_span!("job", message_id = message.id, attempt = message.receive_count)
}

/// Why a message that is of a kind can't be done, ever.
#[derive(Debug)]
pub struct BadMessage {
    /// The stable code of a reason.
    pub reason: &'static str,
    pub source: anyhow::Error,
    /// What the message is about, as far as it can be read.
    pub labels: Vec<Label>,
}

/// The work is done: what it was for is safe, and the message can be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completed {
    /// How, as a value of the metrics' dimension `Outcome`.
    pub outcome: &'static str,
}

/// The work is not done.
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
    /// The name of the dimension, and its value. Each value makes metrics of its own, which are paid for: it takes few.
    pub dimension: (&'static str, &'static str),
    pub metrics: Vec<Measure>,
    /// US dollars. Work that cost something is given time to store what it has before it is ended.
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
