// SPDX-License-Identifier: Apache-2.0
//! SQS's errors: the query protocol's code, and the model's shape where that differs.

use crate::reply::ServiceError;

pub(crate) fn queue_does_not_exist() -> ServiceError {
    ServiceError::new("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
        .shape("QueueDoesNotExist")
}

pub(crate) fn queue_exists() -> ServiceError {
    ServiceError::new(
        "QueueAlreadyExists",
        "A queue already exists with the same name and a different value for an attribute.",
    )
    .shape("QueueNameExists")
}

pub(crate) fn receipt_handle_is_invalid(handle: &str) -> ServiceError {
    ServiceError::new(
        "ReceiptHandleIsInvalid",
        format!("The input receipt handle \"{handle}\" is not a valid receipt handle."),
    )
}

pub(crate) fn message_not_in_flight() -> ServiceError {
    ServiceError::new(
        "AWS.SimpleQueueService.MessageNotInflight",
        "The message referred to is not in flight.",
    )
    .shape("MessageNotInflight")
}

pub(crate) fn over_limit() -> ServiceError {
    ServiceError::new("OverLimit", "Too many messages in flight.")
}

pub(crate) fn invalid_value(message: impl Into<String>) -> ServiceError {
    ServiceError::new("InvalidParameterValue", message)
}

pub(crate) fn invalid_attribute_name(name: &str) -> ServiceError {
    ServiceError::new("InvalidAttributeName", format!("Unknown Attribute {name}."))
}

pub(crate) fn missing(parameter: &str) -> ServiceError {
    ServiceError::new("MissingParameter", format!("The request must contain the parameter {parameter}."))
}

pub(crate) fn purge_in_progress() -> ServiceError {
    ServiceError::new(
        "AWS.SimpleQueueService.PurgeQueueInProgress",
        "Only one PurgeQueue operation is allowed every 60 seconds.",
    )
    .shape("PurgeQueueInProgress")
}

pub(crate) fn empty_batch() -> ServiceError {
    batch("EmptyBatchRequest", "There should be at least one entry in the request.")
}

pub(crate) fn too_many_entries(count: usize) -> ServiceError {
    batch(
        "TooManyEntriesInBatchRequest",
        format!("Maximum number of entries per request are 10. You have sent {count}."),
    )
}

pub(crate) fn ids_not_distinct(id: &str) -> ServiceError {
    batch("BatchEntryIdsNotDistinct", format!("Id {id} repeated."))
}

pub(crate) fn invalid_entry_id() -> ServiceError {
    batch(
        "InvalidBatchEntryId",
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
    )
}

pub(crate) fn batch_too_long() -> ServiceError {
    batch("BatchRequestTooLong", "Batch requests cannot be longer than 1048576 bytes.")
}

fn batch(name: &'static str, message: impl Into<String>) -> ServiceError {
    ServiceError::new(format!("AWS.SimpleQueueService.{name}"), message).shape(name)
}
