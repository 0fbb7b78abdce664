// SPDX-License-Identifier: Apache-2.0
//! SQS, standard queues, over awsJson 1.0.
//!
//! `queue` is the clockwork and knows no JSON, `message` what it keeps. `receive`, `messages` and `manage` are the
//! operations, `attributes` the rules for what a message may carry.

mod attributes;
mod errors;
mod manage;
mod message;
mod messages;
mod queue;
mod receive;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::Notify;

use crate::gateway::Call;
use crate::identity;
use crate::permissions;
use crate::reply::{Reply, ServiceError, json, parse_json, unknown_operation};
use crate::world::World;

pub(crate) use attributes::{AttributeValue, check_message, hex};
pub(crate) use message::Stored;
pub use message::{Message, Place};
pub(crate) use queue::{Queue, Redrive, Settings};

/// The number of messages of a queue, by their state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueCounts {
    /// To be received.
    pub visible: usize,
    /// Received, and neither deleted nor visible again.
    pub in_flight: usize,
    /// Sent with a delay that is not over.
    pub delayed: usize,
}

impl QueueCounts {
    pub fn total(self) -> usize {
        self.visible + self.in_flight + self.delayed
    }
}

/// Which queue: names are unique in an account and region.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct QueueId {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
}

impl QueueId {
    pub(crate) fn arn(&self) -> String {
        let Self { account, region, name } = self;
        format!("arn:{}:sqs:{region}:{account}:{name}", identity::partition(region))
    }

    fn from_arn(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':').skip(3);
        let (region, account, name) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { account: account.to_owned(), region: region.to_owned(), name: name.to_owned() })
    }

    /// From `http://127.0.0.1:PORT/ACCOUNT/NAME`, where the region is the caller's, or from
    /// `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME`.
    fn from_url(url: &str, caller_region: &str) -> Option<Self> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let mut parts = rest.split('/');
        let host = parts.next()?;
        let (account, name) = (parts.next()?, parts.next()?);
        let labels: Vec<&str> = host.split('.').collect();
        let region = match labels.as_slice() {
            ["sqs", region, "amazonaws", ..] | [region, "queue", "amazonaws", ..] => region,
            _ => caller_region,
        };
        Some(Self { account: account.to_owned(), region: region.to_owned(), name: name.to_owned() })
    }
}

/// A queue and the bell that wakes its long polls.
#[derive(Debug)]
pub(crate) struct SharedQueue {
    pub(crate) id: QueueId,
    state: Mutex<Queue>,
    arrivals: Notify,
}

impl SharedQueue {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the long polls: something may be visible now.
    pub(crate) fn ring(&self) {
        self.arrivals.notify_waiters();
    }
}

#[derive(Default)]
pub(crate) struct Queues {
    all: RwLock<HashMap<QueueId, Arc<SharedQueue>>>,
}

impl Queues {
    pub(crate) fn get(&self, id: &QueueId) -> Option<Arc<SharedQueue>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// The queue of this name wherever the account has it; tests do not repeat the region.
    pub(crate) fn named(&self, account: &str, name: &str) -> Option<Arc<SharedQueue>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.values().find(|shared| shared.id.account == account && shared.id.name == name).cloned()
    }

    pub(crate) fn create(&self, id: QueueId, settings: Settings, now: i64) -> Arc<SharedQueue> {
        let queue = Queue::new(settings, now);
        let shared =
            Arc::new(SharedQueue { id: id.clone(), state: Mutex::new(queue), arrivals: Notify::new() });
        let replaced = self.all.write().unwrap_or_else(PoisonError::into_inner).insert(id, shared.clone());
        if let Some(replaced) = replaced {
            // Its long polls go on at the new one.
            replaced.ring();
        }
        shared
    }

    /// Wakes every long poll: what is due by the clock may have changed.
    pub(crate) fn ring_all(&self) {
        self.all.read().unwrap_or_else(PoisonError::into_inner).values().for_each(|shared| shared.ring());
    }

    pub(crate) fn delete(&self, id: &QueueId) -> bool {
        let shared = self.all.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        shared.is_some_and(|shared| {
            shared.ring();
            true
        })
    }

    fn of(&self, account: &str, region: &str) -> Vec<Arc<SharedQueue>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<_> = all
            .values()
            .filter(|shared| shared.id.account == account && shared.id.region == region)
            .cloned()
            .collect();
        found.sort_by(|left, right| left.id.cmp(&right.id));
        found
    }
}

pub(crate) fn url(world: &World, id: &QueueId) -> String {
    format!("{}/{}/{}", world.endpoint(), id.account, id.name)
}

/// The queue's name, for faults, denials and the log.
pub(crate) fn target(body: &Bytes) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Named {
        queue_url: Option<String>,
        queue_name: Option<String>,
    }
    let named: Named = serde_json::from_slice(body).ok()?;
    named.queue_name.or_else(|| Some(named.queue_url?.rsplit('/').next()?.to_owned()))
}

pub(crate) async fn serve(world: &World, call: &mut Call, body: &Bytes) -> Result<Reply, ServiceError> {
    match call.operation.as_str() {
        "CreateQueue" => manage::create_queue(world, call, &parse_json(body)?),
        "DeleteQueue" => manage::delete_queue(world, call, &parse_json(body)?),
        "GetQueueUrl" => manage::get_queue_url(world, call, &parse_json(body)?),
        "ListQueues" => manage::list_queues(world, call, &parse_json(body)?),
        "GetQueueAttributes" => manage::get_queue_attributes(world, call, &parse_json(body)?),
        "SetQueueAttributes" => manage::set_queue_attributes(world, call, &parse_json(body)?),
        "PurgeQueue" => manage::purge_queue(world, call, &parse_json(body)?),
        "SendMessage" => messages::send_message(world, call, parse_json(body)?),
        "SendMessageBatch" => messages::send_message_batch(world, call, parse_json(body)?),
        "ReceiveMessage" => receive::receive_message(world, call, parse_json(body)?).await,
        "DeleteMessage" => messages::delete_message(world, call, &parse_json(body)?),
        "DeleteMessageBatch" => messages::delete_message_batch(world, call, &parse_json(body)?),
        "ChangeMessageVisibility" => messages::change_message_visibility(world, call, &parse_json(body)?),
        "ChangeMessageVisibilityBatch" => {
            messages::change_message_visibility_batch(world, call, &parse_json(body)?)
        }
        other => Err(unknown_operation(other)),
    }
}

fn empty() -> Reply {
    json(&serde_json::json!({}))
}

/// The queue of a URL, which must be the caller's own.
fn queue_of(world: &World, call: &Call, url: &str) -> Result<Arc<SharedQueue>, ServiceError> {
    if url.is_empty() {
        return Err(errors::missing("QueueUrl"));
    }
    let id = QueueId::from_url(url, &call.region).ok_or_else(errors::queue_does_not_exist)?;
    if id.account != call.account() {
        // No queue policy here gives another account access.
        let action = permissions::action(call.service, &call.operation);
        return Err(permissions::access_denied(call.service, &call.arn(), &action));
    }
    world.queues.get(&id).ok_or_else(errors::queue_does_not_exist)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_urls_name_account_queue_and_sometimes_the_region() {
        let id = |url| QueueId::from_url(url, "eu-west-1").map(|id| (id.account, id.region, id.name));
        let expect = |region: &str| Some(("1".to_owned(), region.to_owned(), "jobs".to_owned()));
        assert_eq!(id("http://127.0.0.1:4566/1/jobs"), expect("eu-west-1"));
        assert_eq!(id("https://sqs.us-east-2.amazonaws.com/1/jobs"), expect("us-east-2"));
        assert_eq!(id("https://us-east-2.queue.amazonaws.com/1/jobs"), expect("us-east-2"));
        assert_eq!(id("jobs"), None);
    }

    #[test]
    fn an_arn_goes_there_and_back() {
        let id =
            QueueId { account: "1".to_owned(), region: "cn-north-1".to_owned(), name: "jobs".to_owned() };
        assert_eq!(id.arn(), "arn:aws-cn:sqs:cn-north-1:1:jobs");
        assert_eq!(QueueId::from_arn(&id.arn()), Some(id));
    }
}
