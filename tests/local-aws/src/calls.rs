//! What was called: counters that are never bounded, and a log that is.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::world::World;

/// The four services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Simple Queue Service.
    Sqs,
    /// Simple Storage Service.
    S3,
    /// `CloudWatch` metrics.
    CloudWatch,
    /// Security Token Service.
    Sts,
}

impl Service {
    /// The prefix of the service's IAM actions.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Sqs => "sqs",
            Self::S3 => "s3",
            Self::CloudWatch => "cloudwatch",
            Self::Sts => "sts",
        }
    }

    /// The namespace of the service's error shapes.
    pub(crate) fn namespace(self) -> &'static str {
        match self {
            Self::Sqs => "com.amazonaws.sqs",
            Self::S3 => "com.amazonaws.s3",
            Self::CloudWatch => "com.amazonaws.cloudwatch",
            Self::Sts => "com.amazonaws.sts",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.prefix())
    }
}

/// One call, as the log keeps it.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// When it came in.
    pub time: DateTime<Utc>,
    /// How long it took until its answer was ready.
    pub duration: Duration,
    /// The service called.
    pub service: Service,
    /// The operation, as AWS names it.
    pub operation: String,
    /// The caller's account; empty where it is not known.
    pub account: String,
    /// The region that the request was signed for.
    pub region: String,
    /// The access key that signed it.
    pub access_key: String,
    /// `ok`, an error code, `reset` by a fault, or `abandoned` by a client that did not wait for the answer.
    pub outcome: String,
    /// The bucket or the queue.
    pub resource: Option<String>,
    /// The object's key.
    pub key: Option<String>,
    /// How many queries a `GetMetricData` asked, entries a batch had, or messages a receive gave.
    pub items: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    service: Service,
    operation: String,
    account: String,
    region: String,
    outcome: String,
}

#[derive(Default)]
struct Kept {
    counts: HashMap<Kind, u64>,
    log: VecDeque<CallRecord>,
}

/// The counters and the log.
#[derive(Default)]
pub(crate) struct CallLog {
    kept: Mutex<Kept>,
    capacity: usize,
}

impl CallLog {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { kept: Mutex::default(), capacity }
    }

    pub(crate) fn record(&self, record: CallRecord) {
        let kind = Kind {
            service: record.service,
            operation: record.operation.clone(),
            account: record.account.clone(),
            region: record.region.clone(),
            outcome: record.outcome.clone(),
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *kept.counts.entry(kind).or_default() += 1;
        if self.capacity > 0 {
            if kept.log.len() >= self.capacity {
                kept.log.pop_front();
            }
            kept.log.push_back(record);
        }
    }

    pub(crate) fn reset(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }
}

/// A question to the counters and the log: each method narrows it, [`CallQuery::count`] and [`CallQuery::records`]
/// answer it.
#[derive(Clone)]
pub struct CallQuery {
    world: Arc<World>,
    service: Option<Service>,
    operation: Option<String>,
    account: Option<String>,
    region: Option<String>,
    outcome: Option<String>,
    failed: bool,
}

impl CallQuery {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self {
            world,
            service: None,
            operation: None,
            account: None,
            region: None,
            outcome: None,
            failed: false,
        }
    }

    /// Only calls of this service.
    #[must_use]
    pub fn service(mut self, service: Service) -> Self {
        self.service = Some(service);
        self
    }

    /// Only calls of this operation.
    #[must_use]
    pub fn operation(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    /// Only calls by this account.
    #[must_use]
    pub fn account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// Only calls signed for this region.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Only calls with this outcome: `ok`, an error code, `reset` or `abandoned`.
    #[must_use]
    pub fn outcome(mut self, outcome: &str) -> Self {
        self.outcome = Some(outcome.to_owned());
        self
    }

    /// Only calls that were answered as asked.
    #[must_use]
    pub fn ok(self) -> Self {
        self.outcome("ok")
    }

    /// Only calls that were not.
    #[must_use]
    pub fn failed(mut self) -> Self {
        self.failed = true;
        self
    }

    /// How many calls match.
    #[must_use]
    pub fn count(&self) -> u64 {
        let kept = self.world.calls.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.counts
            .iter()
            .filter(|(kind, _)| {
                self.matches(kind.service, &kind.operation, &kind.account, &kind.region, &kind.outcome)
            })
            .map(|(_, count)| count)
            .sum()
    }

    /// The matching calls that the log still has, oldest first.
    #[must_use]
    pub fn records(&self) -> Vec<CallRecord> {
        let kept = self.world.calls.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.log
            .iter()
            .filter(|call| {
                self.matches(call.service, &call.operation, &call.account, &call.region, &call.outcome)
            })
            .cloned()
            .collect()
    }

    /// The matching calls counted by operation and outcome, as a table to print.
    #[must_use]
    pub fn summary(&self) -> Vec<(Service, String, String, u64)> {
        let kept = self.world.calls.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums: HashMap<(Service, &str, &str), u64> = HashMap::new();
        for (kind, count) in &kept.counts {
            if self.matches(kind.service, &kind.operation, &kind.account, &kind.region, &kind.outcome) {
                *sums.entry((kind.service, &kind.operation, &kind.outcome)).or_default() += count;
            }
        }
        let mut rows: Vec<_> = sums
            .into_iter()
            .map(|((service, operation, outcome), count)| {
                (service, operation.to_owned(), outcome.to_owned(), count)
            })
            .collect();
        rows.sort();
        rows
    }

    fn matches(&self, service: Service, operation: &str, account: &str, region: &str, outcome: &str) -> bool {
        let wants = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        self.service.is_none_or(|wanted| wanted == service)
            && wants(&self.operation, operation)
            && wants(&self.account, account)
            && wants(&self.region, region)
            && wants(&self.outcome, outcome)
            && !(self.failed && outcome == "ok")
    }
}
