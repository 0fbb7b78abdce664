// SPDX-License-Identifier: Apache-2.0
//! Sends jobs to the work queue, and reports for each whether it was sent.
//!
//! The SDK retries calls that fail. This module retries what the SDK can't see: entries that fail inside
//! a call that succeeds.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use backon::{BackoffBuilder, ExponentialBuilder};
use engine::{AwsError, Queue, message::to_sdk};
use fleet::{Job, Labels, job};

/// The maximum number of entries in a batch, and of bytes: bodies and attributes of all entries.
///
/// Source:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
pub const BATCH_ENTRIES: usize = 10;
pub const BATCH_BYTES: usize = 1024 * 1024;

/// An upper bound for the names, types and values of a job's message attributes.
const ATTRIBUTE_BYTES: usize = 1024;

// Ten of the largest jobs fit, so that a batch is never split by size.
const _: () = assert!(BATCH_ENTRIES * (job::MAX_BYTES + ATTRIBUTE_BYTES) <= BATCH_BYTES);

/// How failed entries are sent again: for about 12 to 25 s in all.
const AGAIN: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(200))
    .with_max_delay(Duration::from_secs(5))
    .with_max_times(7)
    .with_jitter();

/// Which jobs were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// For each job, in order, why it may not be sent; `None` if it was sent.
    pub unsent: Vec<Option<String>>,
    /// The call that failed, if one did.
    pub failed: Option<AwsError>,
    pub interrupted: bool,
}

impl Published {
    #[must_use]
    pub fn sent(&self) -> usize {
        self.unsent.iter().filter(|why| why.is_none()).count()
    }

    /// Which jobs were not sent, and why; `None` if all were.
    #[must_use]
    pub fn explain(&self, jobs: &[&Job]) -> Option<String> {
        let mut accounts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (job, why) in jobs.iter().zip(&self.unsent) {
            if let Some(why) = why {
                accounts.entry(why).or_default().push(job.account_name.as_str());
            }
        }
        if accounts.is_empty() {
            return None;
        }
        let mut text = format!("{} of {} jobs were sent", self.sent(), jobs.len());
        if self.interrupted {
            text.insert_str(0, "interrupted: ");
        }
        for (why, names) in accounts {
            // Cannot fail: writing to a String does not.
            let _ = write!(text, "; {why}: {}", names.join(", "));
        }
        Some(text)
    }
}

/// Sends the jobs sequentially, ten per call, until `interrupted` completes.
///
/// Calls `progress` with the number of jobs that each call has finished. After a failed call, the
/// remaining jobs are not tried: an error that the SDK's retries did not fix would fail the next call
/// too.
pub async fn publish(
    queue: &Queue,
    jobs: &[&Job],
    progress: impl Fn(usize),
    interrupted: impl Future<Output = ()>,
) -> Published {
    publish_as(queue, jobs, Job::body, progress, interrupted).await
}

/// The same, for messages about jobs that have other bodies.
pub async fn publish_as(
    queue: &Queue,
    jobs: &[&Job],
    body: impl Fn(&Job) -> String,
    progress: impl Fn(usize),
    interrupted: impl Future<Output = ()>,
) -> Published {
    let mut published = Published {
        unsent: vec![Some("not tried".to_owned()); jobs.len()],
        failed: None,
        interrupted: false,
    };
    tokio::pin!(interrupted);
    for (batch, unsent) in jobs.chunks(BATCH_ENTRIES).zip(published.unsent.chunks_mut(BATCH_ENTRIES)) {
        let entries: Vec<_> =
            batch.iter().enumerate().map(|(index, job)| entry(index, job, body(job))).collect();
        let sending = send(queue, &entries, unsent);
        let sent = tokio::select! {
            biased;
            () = &mut interrupted => {
                published.interrupted = true;
                return published;
            }
            sent = sending => sent,
        };
        if let Err(error) = sent {
            published.failed = Some(error);
            return published;
        }
        progress(batch.len());
    }
    published
}

/// Sends one batch, whose entries have their indexes as IDs. Returns an error if a call fails; `unsent`
/// then says so for each entry in doubt.
#[expect(
    clippy::indexing_slicing,
    reason = "cannot fail: the places are those of the entries, and each has one in `unsent`"
)]
pub async fn send(
    queue: &Queue,
    entries: &[SendMessageBatchRequestEntry],
    unsent: &mut [Option<String>],
) -> Result<(), AwsError> {
    let mut left: Vec<usize> = (0..entries.len()).collect();
    let mut pauses = AGAIN.build();
    loop {
        for &index in &left {
            // While the call is in flight, or if it is interrupted, the outcome is unknown.
            unsent[index] = Some("may have been sent".to_owned());
        }
        let batch = left.iter().map(|&index| entries[index].clone()).collect();
        let answer =
            queue.client.send_message_batch().queue_url(&queue.url).set_entries(Some(batch)).send().await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let error = queue.failed("sqs:SendMessage", error);
                for index in left {
                    unsent[index] = Some(error.to_string());
                }
                return Err(error);
            }
        };
        for index in &left {
            unsent[*index] = Some("SQS's response does not list it".to_owned());
        }
        for sent in answer.successful() {
            if let Some(why) = at(unsent, sent.id()) {
                *why = None;
            }
        }
        let mut refused = Vec::new();
        for failed in answer.failed() {
            if let Some(why) = at(unsent, failed.id()) {
                let message = failed.message().unwrap_or_default();
                *why = Some(format!("{}: {message}", failed.code()));
            }
            if failed.sender_fault() {
                refused.push(failed.id());
            }
        }
        left.retain(|index| unsent[*index].is_some() && !refused.contains(&index.to_string().as_str()));
        let Some(pause) = pauses.next().filter(|_| !left.is_empty()) else {
            return Ok(());
        };
        tracing::warn!(
            failed = left.len(),
            pause_ms = pause.as_millis(),
            "SQS refused some jobs; sending them again"
        );
        tokio::time::sleep(pause).await;
    }
}

/// The slot of the entry with this ID.
fn at<'a>(unsent: &'a mut [Option<String>], id: &str) -> Option<&'a mut Option<String>> {
    unsent.get_mut(id.parse::<usize>().ok()?)
}

/// A message about a job as an SQS batch entry.
fn entry(index: usize, job: &Job, body: String) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(body)
        .set_message_attributes(Some(to_sdk(&Labels::from_job(job).attributes())))
        .build()
        .expect("cannot fail: id and body are set")
}

#[cfg(test)]
mod tests;
