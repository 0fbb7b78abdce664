// SPDX-License-Identifier: Apache-2.0
//! The operations on messages but for receiving them: send, delete, change visibility, and their batches.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::attributes::{AttributeValue, check_message, md5_of_attributes, md5_of_body, message_bytes};
use super::message::Stored;
use super::queue::{MAX_VISIBILITY_SECONDS, NotChanged};
use super::receive::decode;
use super::{SharedQueue, empty, errors, queue_of};
use crate::faults::Effect;
use crate::gateway::Call;
use crate::reply::{self, Reply, ServiceError};
use crate::world::World;

/// The most that one batch may carry, all its messages together.
const MAX_BATCH_BYTES: usize = 1_048_576;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Send {
    #[serde(default)]
    queue_url: String,
    #[serde(flatten)]
    entry: SendEntry,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEntry {
    #[serde(default)]
    id: String,
    #[serde(default)]
    message_body: String,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: BTreeMap<String, AttributeValue>,
}

pub(crate) fn send_message(world: &World, call: &mut Call, input: Send) -> Result<Reply, ServiceError> {
    let shared = queue_of(world, call, &input.queue_url)?;
    send(world, &shared, call, input.entry).map(|sent| reply::json(&sent))
}

fn send(
    world: &World,
    shared: &SharedQueue,
    call: &mut Call,
    entry: SendEntry,
) -> Result<Value, ServiceError> {
    let now = world.now().timestamp_millis();
    let mut queue = shared.lock();
    check_message(&entry.message_body, &entry.message_attributes, queue.settings.max_message_bytes)?;
    let delay = entry.delay_seconds.unwrap_or(queue.settings.delay_seconds);
    if !(0..=900).contains(&delay) {
        return Err(errors::invalid_value("DelaySeconds must be >= 0 and <= 900."));
    }
    let mut sent = json!({ "MD5OfMessageBody": md5_of_body(&entry.message_body) });
    if let Some(digest) = md5_of_attributes(&entry.message_attributes) {
        sent["MD5OfMessageAttributes"] = digest.into();
    }
    let message =
        Stored::new(entry.message_body, entry.message_attributes, call.caller.access_key.clone(), now);
    sent["MessageId"] = message.id.clone().into();
    call.message_ids.push(message.id.clone());
    queue.add(message, delay * 1000, now);
    drop(queue);
    shared.ring();
    Ok(sent)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SendBatch {
    #[serde(default)]
    queue_url: String,
    #[serde(default)]
    entries: Vec<SendEntry>,
}

pub(crate) fn send_message_batch(
    world: &World,
    call: &mut Call,
    input: SendBatch,
) -> Result<Reply, ServiceError> {
    let shared = queue_of(world, call, &input.queue_url)?;
    check_batch(input.entries.iter().map(|entry| entry.id.as_str()))?;
    let bytes = |entry: &SendEntry| message_bytes(&entry.message_body, &entry.message_attributes);
    if input.entries.iter().map(bytes).sum::<usize>() > MAX_BATCH_BYTES {
        return Err(errors::batch_too_long());
    }
    let id = |entry: &SendEntry| entry.id.clone();
    Ok(run_batch(world, call, input.entries, id, |entry, call| send(world, &shared, call, entry)))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Delete {
    #[serde(default)]
    queue_url: String,
    #[serde(flatten)]
    entry: ReceiptEntry,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "PascalCase")]
struct ReceiptEntry {
    #[serde(default)]
    id: String,
    #[serde(default)]
    receipt_handle: String,
    visibility_timeout: Option<i64>,
}

pub(crate) fn delete_message(world: &World, call: &mut Call, input: &Delete) -> Result<Reply, ServiceError> {
    let shared = queue_of(world, call, &input.queue_url)?;
    delete(world, &shared, call, &input.entry).map(|_| empty())
}

fn delete(
    world: &World,
    shared: &SharedQueue,
    call: &mut Call,
    entry: &ReceiptEntry,
) -> Result<Value, ServiceError> {
    let receipt = decode(shared, &entry.receipt_handle)?;
    let mut queue = shared.lock();
    call.message_ids.extend(queue.id_of(receipt));
    queue.delete(receipt, world.now().timestamp_millis());
    Ok(json!({}))
}

pub(crate) fn change_message_visibility(
    world: &World,
    call: &mut Call,
    input: &Delete,
) -> Result<Reply, ServiceError> {
    let shared = queue_of(world, call, &input.queue_url)?;
    call.visibility = input.entry.visibility_timeout;
    change_visibility(world, &shared, call, &input.entry).map(|_| empty())
}

fn change_visibility(
    world: &World,
    shared: &SharedQueue,
    call: &mut Call,
    entry: &ReceiptEntry,
) -> Result<Value, ServiceError> {
    let receipt = decode(shared, &entry.receipt_handle)?;
    let seconds = entry.visibility_timeout.ok_or_else(|| errors::missing("VisibilityTimeout"))?;
    if !(0..=MAX_VISIBILITY_SECONDS).contains(&seconds) {
        return Err(errors::invalid_value(format!(
            "Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200."
        )));
    }
    let changed = {
        let mut queue = shared.lock();
        call.message_ids.extend(queue.id_of(receipt));
        queue.change_visibility(receipt, seconds, world.now().timestamp_millis())
    };
    changed.map_err(|refusal| match refusal {
        NotChanged::NotInFlight => errors::message_not_in_flight(),
        NotChanged::Unavailable => errors::invalid_value(format!(
            "Value {} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.",
            entry.receipt_handle
        )),
        NotChanged::TooLong => errors::invalid_value(
            "VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds].",
        ),
    })?;
    // A poll must learn of the new due time, or of the message that is visible now.
    shared.ring();
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ReceiptBatch {
    #[serde(default)]
    queue_url: String,
    #[serde(default)]
    entries: Vec<ReceiptEntry>,
}

pub(crate) fn delete_message_batch(
    world: &World,
    call: &mut Call,
    input: &ReceiptBatch,
) -> Result<Reply, ServiceError> {
    receipt_batch(world, call, input, delete)
}

pub(crate) fn change_message_visibility_batch(
    world: &World,
    call: &mut Call,
    input: &ReceiptBatch,
) -> Result<Reply, ServiceError> {
    receipt_batch(world, call, input, change_visibility)
}

fn receipt_batch(
    world: &World,
    call: &mut Call,
    input: &ReceiptBatch,
    carry_out: fn(&World, &SharedQueue, &mut Call, &ReceiptEntry) -> Result<Value, ServiceError>,
) -> Result<Reply, ServiceError> {
    let shared = queue_of(world, call, &input.queue_url)?;
    check_batch(input.entries.iter().map(|entry| entry.id.as_str()))?;
    let id = |entry: &ReceiptEntry| entry.id.clone();
    Ok(run_batch(world, call, input.entries.clone(), id, |entry, call| {
        carry_out(world, &shared, call, &entry)
    }))
}

fn check_batch<'a>(ids: impl Iterator<Item = &'a str> + Clone) -> Result<(), ServiceError> {
    let count = ids.clone().count();
    if count == 0 {
        return Err(errors::empty_batch());
    }
    if count > 10 {
        return Err(errors::too_many_entries(count));
    }
    let mut seen = HashSet::new();
    for id in ids {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if id.is_empty() || id.len() > 80 || !id.bytes().all(allowed) {
            return Err(errors::invalid_entry_id());
        }
        if !seen.insert(id) {
            return Err(errors::ids_not_distinct(id));
        }
    }
    Ok(())
}

/// Carries out each entry by itself: the answer is 200 whatever becomes of them.
fn run_batch<E>(
    world: &World,
    call: &mut Call,
    entries: Vec<E>,
    id: impl Fn(&E) -> String,
    carry_out: impl Fn(E, &mut Call) -> Result<Value, ServiceError>,
) -> Reply {
    call.items = entries.len();
    let failing = failing_entries(world, call, entries.len());
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (place, entry) in entries.into_iter().enumerate() {
        let id = id(&entry);
        let result = if failing.contains(&place) {
            Err(ServiceError::new("InternalError", "by a fault")
                .status(hyper::StatusCode::INTERNAL_SERVER_ERROR))
        } else {
            carry_out(entry, call)
        };
        match result {
            Ok(mut done) => {
                done["Id"] = id.into();
                successful.push(done);
            }
            Err(error) => failed.push(json!({
                "Id": id,
                "Code": error.code,
                "Message": error.message,
                "SenderFault": error.status.is_client_error(),
            })),
        }
    }
    let mut answer = json!({ "Successful": successful });
    if !failed.is_empty() {
        answer["Failed"] = failed.into();
    }
    reply::json(&answer)
}

fn failing_entries(world: &World, call: &Call, count: usize) -> HashSet<usize> {
    let mut failing = HashSet::new();
    for fault in world.faults.content(&call.target()) {
        let Effect::FailEntries(places) = fault.effect() else {
            continue;
        };
        let struck: Vec<usize> = places.iter().copied().filter(|place| *place < count).collect();
        if !struck.is_empty() && fault.is_for_resource(call.resource.as_deref()) && fault.strikes() {
            failing.extend(struck);
        }
    }
    failing
}
