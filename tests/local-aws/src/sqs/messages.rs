//! The operations on messages: send, receive with a long poll, delete, change visibility, and their batches.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};

use super::attributes::{
    AttributeValue, check_message, md5_of_attributes, md5_of_body, message_bytes, select,
};
use super::queue::{MAX_VISIBILITY_SECONDS, NotChanged, Queue, Receipt, Stored};
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

pub(crate) fn send_message(world: &World, call: &Call, input: Send) -> Result<Reply, ServiceError> {
    let shared = queue_of(world, call, &input.queue_url)?;
    send(&shared, call, input.entry).map(|sent| reply::json(&sent))
}

fn send(shared: &SharedQueue, call: &Call, entry: SendEntry) -> Result<Value, ServiceError> {
    let now = Utc::now().timestamp_millis();
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
    Ok(run_batch(world, call, input.entries, id, |entry, call| send(&shared, call, entry)))
}

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
    let received = poll(world, &shared, max, visibility * 1000, wait * 1000).await?;
    call.items = received.len();
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
    shared: &SharedQueue,
    max: usize,
    visibility: i64,
    wait: i64,
) -> Result<Vec<(Receipt, Stored)>, ServiceError> {
    let deadline = Utc::now().timestamp_millis() + wait;
    loop {
        // Registered before looking, so that an arrival in between is not missed.
        let mut arrival = std::pin::pin!(shared.arrivals.notified());
        arrival.as_mut().enable();
        if world.queues.get(&shared.id).is_none() {
            return Err(errors::queue_does_not_exist());
        }
        let now = Utc::now().timestamp_millis();
        let redrive = shared.lock().settings.redrive.clone();
        // Without its dead-letter queue a message stays where it is: it must not be lost.
        let dead_letters = redrive.as_ref().and_then(|redrive| world.queues.get(&redrive.target));
        let limit = redrive.filter(|_| dead_letters.is_some()).map(|redrive| redrive.max_receive_count);
        let (received, due) = {
            let mut queue = shared.lock();
            let received = queue.receive(max, visibility, limit, now);
            (received, queue.next_due())
        };
        if received.over_limit {
            return Err(errors::over_limit());
        }
        if let Some(target) = dead_letters {
            bury(shared, &target, received.dead, now);
        }
        if !received.messages.is_empty() || now >= deadline {
            return Ok(received.messages);
        }
        let until = due.map_or(deadline, |due| due.min(deadline));
        let pause = Duration::from_millis(u64::try_from(until - now).unwrap_or(0).max(1));
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

fn decode(shared: &SharedQueue, handle: &str) -> Result<Receipt, ServiceError> {
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

pub(crate) fn delete_message(world: &World, call: &Call, input: &Delete) -> Result<Reply, ServiceError> {
    let shared = queue_of(world, call, &input.queue_url)?;
    delete(&shared, &input.entry).map(|_| empty())
}

fn delete(shared: &SharedQueue, entry: &ReceiptEntry) -> Result<Value, ServiceError> {
    let receipt = decode(shared, &entry.receipt_handle)?;
    shared.lock().delete(receipt, Utc::now().timestamp_millis());
    Ok(json!({}))
}

pub(crate) fn change_message_visibility(
    world: &World,
    call: &Call,
    input: &Delete,
) -> Result<Reply, ServiceError> {
    let shared = queue_of(world, call, &input.queue_url)?;
    change_visibility(&shared, &input.entry).map(|_| empty())
}

fn change_visibility(shared: &SharedQueue, entry: &ReceiptEntry) -> Result<Value, ServiceError> {
    let receipt = decode(shared, &entry.receipt_handle)?;
    let seconds = entry.visibility_timeout.ok_or_else(|| errors::missing("VisibilityTimeout"))?;
    if !(0..=MAX_VISIBILITY_SECONDS).contains(&seconds) {
        return Err(errors::invalid_value(format!(
            "Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200."
        )));
    }
    let changed =
        Queue::change_visibility(&mut shared.lock(), receipt, seconds, Utc::now().timestamp_millis());
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
    carry_out: fn(&SharedQueue, &ReceiptEntry) -> Result<Value, ServiceError>,
) -> Result<Reply, ServiceError> {
    let shared = queue_of(world, call, &input.queue_url)?;
    check_batch(input.entries.iter().map(|entry| entry.id.as_str()))?;
    let id = |entry: &ReceiptEntry| entry.id.clone();
    Ok(run_batch(world, call, input.entries.clone(), id, |entry, _| carry_out(&shared, &entry)))
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
    carry_out: impl Fn(E, &Call) -> Result<Value, ServiceError>,
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
