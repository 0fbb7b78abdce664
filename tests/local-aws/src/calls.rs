// SPDX-License-Identifier: Apache-2.0
//! What was called: counters that are never bounded, and a log that is.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::world::World;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    Sqs,
    S3,
    /// `CloudWatch` metrics.
    CloudWatch,
    Sts,
    SecretsManager,
    Ecs,
    /// Account Management.
    Account,
    /// Resource Groups Tagging.
    Tagging,
    Lambda,
    OpenSearch,
}

impl Service {
    /// The prefix of the service's IAM actions.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Sqs => "sqs",
            Self::S3 => "s3",
            Self::CloudWatch => "cloudwatch",
            Self::Sts => "sts",
            Self::SecretsManager => "secretsmanager",
            Self::Ecs => "ecs",
            Self::Account => "account",
            Self::Tagging => "tag",
            Self::Lambda => "lambda",
            Self::OpenSearch => "es",
        }
    }

    /// The namespace of the service's error shapes.
    pub(crate) fn namespace(self) -> &'static str {
        match self {
            Self::Sqs => "com.amazonaws.sqs",
            Self::S3 => "com.amazonaws.s3",
            Self::CloudWatch => "com.amazonaws.cloudwatch",
            Self::Sts => "com.amazonaws.sts",
            Self::SecretsManager => "com.amazonaws.secretsmanager",
            Self::Ecs => "com.amazonaws.ecs",
            Self::Account => "com.amazonaws.account",
            Self::Tagging => "com.amazonaws.resourcegroupstaggingapi",
            Self::Lambda => "com.amazonaws.lambda",
            Self::OpenSearch => "",
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
    pub time: DateTime<Utc>,
    /// How long it took until its answer was ready.
    pub duration: Duration,
    pub service: Service,
    pub operation: String,
    /// The caller's account; empty where it is not known.
    pub account: String,
    /// The region that the request was signed for.
    pub region: String,
    pub access_key: String,
    /// `ok`, an error code, `foreign` or `reset` by a fault, `lost` if it was carried out and a fault withheld the answer or
    /// a part of it, or `abandoned` by a client that did not wait for it.
    pub outcome: String,
    pub resource: Option<String>,
    pub key: Option<String>,
    /// How many queries a `GetMetricData` asked, entries a batch had, or messages a receive gave.
    pub items: usize,
    /// The SQS messages that it sent, was given or is about, as far as they are known. The handle of a delete or of a
    /// change may have been an old one.
    pub message_ids: Vec<String>,
    /// The visibility timeout in seconds that a receive or a `ChangeMessageVisibility` asked for.
    pub visibility: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    service: Service,
    operation: String,
    account: String,
    region: String,
    outcome: String,
    /// Empty where it is temporary: there is no end to those.
    access_key: String,
}

#[derive(Default)]
struct Kept {
    counts: HashMap<Kind, u64>,
    log: VecDeque<CallRecord>,
}

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
            access_key: Some(&record.access_key)
                .filter(|key| !is_temporary(key))
                .cloned()
                .unwrap_or_default(),
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
    access_key: Option<String>,
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
            access_key: None,
            failed: false,
        }
    }

    pub fn service(mut self, service: Service) -> Self {
        self.service = Some(service);
        self
    }

    pub fn operation(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    pub fn account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// Only calls signed for this region.
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Only calls with this outcome: `ok`, an error code, `foreign`, `reset`, `lost` or `abandoned`.
    pub fn outcome(mut self, outcome: &str) -> Self {
        self.outcome = Some(outcome.to_owned());
        self
    }

    /// Only calls signed with this access key.
    ///
    /// Those of a temporary one (`ASIA…`) are counted from the log, and right as long as it reaches back to them.
    pub fn access_key(mut self, key: &str) -> Self {
        self.access_key = Some(key.to_owned());
        self
    }

    /// Only calls that were answered as asked.
    pub fn ok(self) -> Self {
        self.outcome("ok")
    }

    /// Only calls that were not.
    pub fn failed(mut self) -> Self {
        self.failed = true;
        self
    }

    pub fn count(&self) -> u64 {
        let mut sum = 0;
        self.each(|_, count| sum += count);
        sum
    }

    /// The matching calls that the log still has, oldest first.
    pub fn records(&self) -> Vec<CallRecord> {
        let kept = self.world.calls.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.log.iter().filter(|call| self.matches(&Facts::from(*call))).cloned().collect()
    }

    /// The matching calls counted by operation and outcome, as a table to print.
    pub fn summary(&self) -> Vec<(Service, String, String, u64)> {
        let mut sums: BTreeMap<(Service, String, String), u64> = BTreeMap::new();
        self.each(|facts, count| {
            let row = (facts.service, facts.operation.to_owned(), facts.outcome.to_owned());
            *sums.entry(row).or_default() += count;
        });
        sums.into_iter()
            .map(|((service, operation, outcome), count)| (service, operation, outcome, count))
            .collect()
    }

    /// Tells the matching counters, or where only the log can tell, the matching calls one by one.
    fn each(&self, mut tell: impl FnMut(&Facts<'_>, u64)) {
        let kept = self.world.calls.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut if_matching = |facts: Facts<'_>, count| {
            if self.matches(&facts) {
                tell(&facts, count);
            }
        };
        if self.access_key.as_deref().is_some_and(is_temporary) {
            kept.log.iter().for_each(|call| if_matching(call.into(), 1));
        } else {
            kept.counts.iter().for_each(|(kind, count)| if_matching(kind.into(), *count));
        }
    }

    fn matches(&self, facts: &Facts<'_>) -> bool {
        let wants = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        self.service.is_none_or(|wanted| wanted == facts.service)
            && wants(&self.operation, facts.operation)
            && wants(&self.account, facts.account)
            && wants(&self.region, facts.region)
            && wants(&self.outcome, facts.outcome)
            && wants(&self.access_key, facts.access_key)
            && !(self.failed && facts.outcome == "ok")
    }
}

/// Whether a key is one of those that STS gives out.
fn is_temporary(access_key: &str) -> bool {
    access_key.starts_with("ASIA")
}

struct Facts<'a> {
    service: Service,
    operation: &'a str,
    account: &'a str,
    region: &'a str,
    outcome: &'a str,
    access_key: &'a str,
}

macro_rules! facts_of {
    ($source:ty) => {
        impl<'a> From<&'a $source> for Facts<'a> {
            fn from(source: &'a $source) -> Self {
                Self {
                    service: source.service,
                    operation: &source.operation,
                    account: &source.account,
                    region: &source.region,
                    outcome: &source.outcome,
                    access_key: &source.access_key,
                }
            }
        }
    };
}

facts_of!(Kind);
facts_of!(CallRecord);
