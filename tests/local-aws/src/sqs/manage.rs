// SPDX-License-Identifier: Apache-2.0
//! The operations on queues themselves.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::queue::{MAX_VISIBILITY_SECONDS, Redrive, Settings};
use super::{QueueId, empty, errors, queue_of, url};
use crate::gateway::Call;
use crate::reply::{self, Reply, ServiceError};
use crate::world::World;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

pub(crate) fn create_queue(world: &World, call: &Call, input: &CreateQueue) -> Result<Reply, ServiceError> {
    let name = &input.queue_name;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > 80 || !name.bytes().all(allowed) {
        return Err(errors::invalid_value(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    let id = QueueId { account: call.account().to_owned(), region: call.region.clone(), name: name.clone() };
    let mut settings = Settings::default();
    set(world, call, &mut settings, &input.attributes)?;
    if let Some(shared) = world.queues.get(&id) {
        // Asked again with the same attributes, CreateQueue gives the queue there is.
        let is = attributes_of(&shared.lock().settings);
        if input.attributes.iter().any(|(name, value)| is.get(name) != Some(value)) {
            return Err(errors::queue_exists());
        }
    } else {
        world.queues.create(id.clone(), settings, world.now().timestamp_millis());
    }
    Ok(reply::json(&json!({ "QueueUrl": url(world, &id) })))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OfQueue {
    #[serde(default)]
    queue_url: String,
}

pub(crate) fn delete_queue(world: &World, call: &Call, input: &OfQueue) -> Result<Reply, ServiceError> {
    let shared = queue_of(world, call, &input.queue_url)?;
    world.queues.delete(&shared.id);
    Ok(empty())
}

pub(crate) fn purge_queue(world: &World, call: &Call, input: &OfQueue) -> Result<Reply, ServiceError> {
    let shared = queue_of(world, call, &input.queue_url)?;
    let now = world.now().timestamp_millis();
    let mut queue = shared.lock();
    if queue.purged.is_some_and(|purged| now - purged < 60_000) {
        return Err(errors::purge_in_progress());
    }
    queue.purge(now);
    Ok(empty())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GetQueueUrl {
    queue_name: String,
    #[serde(rename = "QueueOwnerAWSAccountId")]
    owner: Option<String>,
}

pub(crate) fn get_queue_url(world: &World, call: &Call, input: &GetQueueUrl) -> Result<Reply, ServiceError> {
    let account = input.owner.as_deref().unwrap_or_else(|| call.account()).to_owned();
    let id = QueueId { account, region: call.region.clone(), name: input.queue_name.clone() };
    world.queues.get(&id).ok_or_else(errors::queue_does_not_exist)?;
    Ok(reply::json(&json!({ "QueueUrl": url(world, &id) })))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListQueues {
    queue_name_prefix: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

pub(crate) fn list_queues(world: &World, call: &Call, input: &ListQueues) -> Result<Reply, ServiceError> {
    let prefix = input.queue_name_prefix.as_deref().unwrap_or("");
    let after = input.next_token.as_deref().unwrap_or("");
    let limit = input.max_results.unwrap_or(1000);
    if !(1..=1000).contains(&limit) {
        return Err(errors::invalid_value("MaxResults must be between 1 and 1000."));
    }
    let all = world.queues.of(call.account(), &call.region);
    let mut found =
        all.iter().filter(|shared| shared.id.name.starts_with(prefix) && shared.id.name.as_str() > after);
    let page: Vec<_> = found.by_ref().take(limit).collect();
    let urls: Vec<String> = page.iter().map(|shared| url(world, &shared.id)).collect();
    // A token is given only to a request that said how many it wants.
    let more = input.max_results.is_some() && found.next().is_some();
    let next = page.last().filter(|_| more).map(|shared| shared.id.name.clone());
    Ok(reply::json(&match next {
        Some(token) => json!({ "QueueUrls": urls, "NextToken": token }),
        None => json!({ "QueueUrls": urls }),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GetQueueAttributes {
    #[serde(default)]
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

pub(crate) fn get_queue_attributes(
    world: &World,
    call: &Call,
    input: &GetQueueAttributes,
) -> Result<Reply, ServiceError> {
    let shared = queue_of(world, call, &input.queue_url)?;
    let mut queue = shared.lock();
    let (visible, in_flight, delayed) = queue.counts(world.now().timestamp_millis());
    let mut all = attributes_of(&queue.settings);
    let created = (queue.created / 1000).to_string();
    for (name, value) in [
        ("ApproximateNumberOfMessages", visible.to_string()),
        ("ApproximateNumberOfMessagesNotVisible", in_flight.to_string()),
        ("ApproximateNumberOfMessagesDelayed", delayed.to_string()),
        ("QueueArn", shared.id.arn()),
        ("CreatedTimestamp", created.clone()),
        ("LastModifiedTimestamp", created),
    ] {
        all.insert(name.to_owned(), value);
    }
    let every = input.attribute_names.iter().any(|name| name == "All");
    if let Some(unknown) = input.attribute_names.iter().find(|name| !is_known(name)) {
        return Err(errors::invalid_attribute_name(unknown));
    }
    all.retain(|name, _| every || input.attribute_names.contains(name));
    Ok(if all.is_empty() { empty() } else { reply::json(&json!({ "Attributes": all })) })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SetQueueAttributes {
    #[serde(default)]
    queue_url: String,
    attributes: BTreeMap<String, String>,
}

pub(crate) fn set_queue_attributes(
    world: &World,
    call: &Call,
    input: &SetQueueAttributes,
) -> Result<Reply, ServiceError> {
    let shared = queue_of(world, call, &input.queue_url)?;
    set(world, call, &mut shared.lock().settings, &input.attributes)?;
    Ok(empty())
}

/// Attributes that are taken and returned, and change nothing here.
const INERT: [&str; 6] = [
    "Policy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "SqsManagedSseEnabled",
    "RedriveAllowPolicy",
    "FifoQueue",
];

fn is_known(name: &str) -> bool {
    let known = [
        "All",
        "VisibilityTimeout",
        "MessageRetentionPeriod",
        "DelaySeconds",
        "ReceiveMessageWaitTimeSeconds",
        "MaximumMessageSize",
        "RedrivePolicy",
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
        "QueueArn",
        "CreatedTimestamp",
        "LastModifiedTimestamp",
    ];
    known.contains(&name) || INERT.contains(&name)
}

fn set(
    world: &World,
    call: &Call,
    settings: &mut Settings,
    attributes: &BTreeMap<String, String>,
) -> Result<(), ServiceError> {
    for (name, value) in attributes {
        let number = |range: std::ops::RangeInclusive<i64>| {
            let value = value.parse().ok().filter(|number| range.contains(number));
            value.ok_or_else(|| errors::invalid_value(format!("Invalid value for the parameter {name}.")))
        };
        match name.as_str() {
            "VisibilityTimeout" => settings.visibility_seconds = number(0..=MAX_VISIBILITY_SECONDS)?,
            "MessageRetentionPeriod" => settings.retention_seconds = number(60..=1_209_600)?,
            "DelaySeconds" => settings.delay_seconds = number(0..=900)?,
            "ReceiveMessageWaitTimeSeconds" => settings.wait_seconds = number(0..=20)?,
            "MaximumMessageSize" => {
                settings.max_message_bytes = usize::try_from(number(1024..=1_048_576)?).unwrap_or(1_048_576);
            }
            "RedrivePolicy" => settings.redrive = redrive(world, call, value)?,
            name if INERT.contains(&name) && name != "FifoQueue" => {
                settings.other.insert(name.to_owned(), value.clone());
            }
            name => return Err(errors::invalid_attribute_name(name)),
        }
    }
    Ok(())
}

/// Reads `{"deadLetterTargetArn":"…","maxReceiveCount":N}`, where N may be text; empty takes the policy away. The target
/// must be there, in the same account and region.
fn redrive(world: &World, call: &Call, policy: &str) -> Result<Option<Redrive>, ServiceError> {
    if policy.is_empty() {
        return Ok(None);
    }
    let refused = || errors::invalid_value(format!("Value {policy} for parameter RedrivePolicy is invalid."));
    let value: serde_json::Value = serde_json::from_str(policy).map_err(|_| refused())?;
    let count = &value["maxReceiveCount"];
    let max_receive_count = count
        .as_u64()
        .or_else(|| count.as_str()?.parse().ok())
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| (1..=1000).contains(count))
        .ok_or_else(refused)?;
    let target = value["deadLetterTargetArn"]
        .as_str()
        .and_then(QueueId::from_arn)
        .filter(|target| target.account == call.account() && target.region == call.region)
        .filter(|target| world.queues.get(target).is_some())
        .ok_or_else(refused)?;
    Ok(Some(Redrive { target, max_receive_count }))
}

fn attributes_of(settings: &Settings) -> BTreeMap<String, String> {
    let mut all = settings.other.clone();
    for (name, value) in [
        ("VisibilityTimeout", settings.visibility_seconds.to_string()),
        ("MessageRetentionPeriod", settings.retention_seconds.to_string()),
        ("DelaySeconds", settings.delay_seconds.to_string()),
        ("ReceiveMessageWaitTimeSeconds", settings.wait_seconds.to_string()),
        ("MaximumMessageSize", settings.max_message_bytes.to_string()),
    ] {
        all.insert(name.to_owned(), value);
    }
    if let Some(redrive) = &settings.redrive {
        let policy = json!({
            "deadLetterTargetArn": redrive.target.arn(),
            "maxReceiveCount": redrive.max_receive_count,
        });
        all.insert("RedrivePolicy".to_owned(), policy.to_string());
    }
    all
}
