// SPDX-License-Identifier: Apache-2.0
//! Receiving: the long poll, the move to the dead-letter queue, and what a client is given.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::attributes::{md5_of_attributes, md5_of_body, select};
use super::message::Stored;
use super::queue::{MAX_VISIBILITY_SECONDS, Receipt};
use super::{QueueId, SharedQueue, empty, errors, queue_of};
use crate::gateway::Call;
use crate::reply::{self, Reply, ServiceError};
use crate::world::World;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Receive {
    #[serde(default)]
    queue_url: String,
    max_number_of_messages: Option<usize>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

pub(crate) async fn receive_message(
    world: &World,
    call: &mut Call,
    input: Receive,
) -> Result<Reply, ServiceError> {
    let shared = queue_of(world, call, &input.queue_url)?;
    let max = input.max_number_of_messages.unwrap_or(1);
    if !(1..=10).contains(&max) {
        return Err(errors::invalid_value(format!(
            "Value {max} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided."
        )));
    }
    let (visibility, wait) = {
        let queue = shared.lock();
        (
            input.visibility_timeout.unwrap_or(queue.settings.visibility_seconds),
            input.wait_time_seconds.unwrap_or(queue.settings.wait_seconds),
        )
    };
    if !(0..=MAX_VISIBILITY_SECONDS).contains(&visibility) || !(0..=20).contains(&wait) {
        return Err(errors::invalid_value("VisibilityTimeout must be 0 to 43200, WaitTimeSeconds 0 to 20."));
    }
    call.visibility = input.visibility_timeout;
    let (shared, received) = poll(world, &shared.id, max, visibility * 1000, wait * 1000).await?;
    call.items = received.len();
    call.message_ids = received.iter().map(|(_, message)| message.id.clone()).collect();
    let names: HashSet<&str> = input
        .attribute_names
        .iter()
        .chain(&input.message_system_attribute_names)
        .map(String::as_str)
        .collect();
    let messages: Vec<Value> = received
        .into_iter()
        .map(|(receipt, message)| describe(&shared, receipt, message, &names, &input.message_attribute_names))
        .collect();
    Ok(if messages.is_empty() { empty() } else { reply::json(&json!({ "Messages": messages })) })
}

/// Receives, waiting for an arrival or for a hidden message to fall due until the wait is over.
async fn poll(
    world: &World,
    id: &QueueId,
    max: usize,
    visibility: i64,
    wait: i64,
) -> Result<(Arc<SharedQueue>, Vec<(Receipt, Stored)>), ServiceError> {
    // Of this machine's clock: AWS's may be set in the meantime.
    let deadline = Instant::now() + Duration::from_millis(u64::try_from(wait).unwrap_or(0));
    loop {
        let shared = world.queues.get(id).ok_or_else(errors::queue_does_not_exist)?;
        // Registered before looking, so that an arrival in between is not missed.
        let mut arrival = std::pin::pin!(shared.arrivals.notified());
        arrival.as_mut().enable();
        if !world.queues.get(id).is_some_and(|current| Arc::ptr_eq(&current, &shared)) {
            continue;
        }
        let now = world.now().timestamp_millis();
        let redrive = shared.lock().settings.redrive.clone();
        // Without its dead-letter queue a message stays where it is: it must not be lost.
        let dead_letters = redrive.as_ref().and_then(|redrive| world.queues.get(&redrive.target));
        let limit = redrive.filter(|_| dead_letters.is_some()).map(|redrive| redrive.max_receive_count);
        let (received, due) = {
            let mut queue = shared.lock();
            let received = queue.receive(max, visibility, limit, now);
            (received, queue.next_due())
        };
        if let Some(target) = dead_letters {
            bury(&shared, &target, received.dead, now);
        }
        if received.over_limit {
            return Err(errors::over_limit());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if !received.messages.is_empty() || left.is_zero() {
            return Ok((shared.clone(), received.messages));
        }
        let until_due = due.map(|due| Duration::from_millis(u64::try_from(due - now).unwrap_or(0).max(1)));
        let pause = until_due.map_or(left, |until_due| until_due.min(left));
        let _ = tokio::time::timeout(pause, arrival).await;
    }
}

/// Moves messages that were received too often.
fn bury(source: &SharedQueue, target: &SharedQueue, dead: Vec<Stored>, now: i64) {
    if dead.is_empty() {
        return;
    }
    let mut queue = target.lock();
    for mut message in dead {
        message.source_arn = Some(source.id.arn());
        queue.add(message, 0, now);
    }
    drop(queue);
    target.ring();
}

fn describe(
    shared: &SharedQueue,
    receipt: Receipt,
    message: Stored,
    system_names: &HashSet<&str>,
    attribute_names: &[String],
) -> Value {
    let mut shown = json!({
        "MessageId": message.id,
        "ReceiptHandle": encode(shared, receipt),
        "MD5OfBody": md5_of_body(&message.body),
        "Body": message.body,
    });
    let mut system = serde_json::Map::new();
    let values = [
        ("ApproximateReceiveCount", Some(message.receive_count.to_string())),
        ("SentTimestamp", Some(message.sent.to_string())),
        ("ApproximateFirstReceiveTimestamp", message.first_received.map(|at| at.to_string())),
        ("SenderId", Some(message.sender)),
        ("DeadLetterQueueSourceArn", message.source_arn),
    ];
    for (name, value) in values {
        if let Some(value) = value.filter(|_| system_names.contains("All") || system_names.contains(name)) {
            system.insert(name.to_owned(), value.into());
        }
    }
    if !system.is_empty() {
        shown["Attributes"] = Value::Object(system);
    }
    let selected = select(&message.attributes, attribute_names);
    if let Some(digest) = md5_of_attributes(&selected) {
        shown["MD5OfMessageAttributes"] = digest.into();
        shown["MessageAttributes"] = json!(selected);
    }
    shown
}

fn encode(shared: &SharedQueue, receipt: Receipt) -> String {
    let queue = &md5_of_body(&shared.id.arn())[..12];
    format!("AQEB{queue}{:016x}{:08x}", receipt.message, receipt.receive)
}

/// The receipt of a handle, which must be of this queue.
pub(super) fn decode(shared: &SharedQueue, handle: &str) -> Result<Receipt, ServiceError> {
    let refused = || errors::receipt_handle_is_invalid(handle);
    let rest =
        handle.strip_prefix("AQEB").filter(|rest| rest.len() == 36 && rest.is_ascii()).ok_or_else(refused)?;
    if rest[..12] != md5_of_body(&shared.id.arn())[..12] {
        return Err(refused());
    }
    let message = u64::from_str_radix(&rest[12..28], 16).map_err(|_| refused())?;
    let receive = u32::from_str_radix(&rest[28..], 16).map_err(|_| refused())?;
    Ok(Receipt { message, receive })
}
