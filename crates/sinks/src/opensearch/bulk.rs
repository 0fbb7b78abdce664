// SPDX-License-Identifier: Apache-2.0
//! Sends documents in requests of some thousands, and looks at what became of each: a request that is accepted may have
//! documents that are not.

use std::{io::Write, sync::Arc, time::Duration};

use anyhow::{anyhow, bail};
use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use fleet::{AwsError, http_service::Answer};
use futures::{FutureExt, future::BoxFuture};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::client::Client;
use crate::marker::Counts;

/// The maximum size of a request, before it is compressed: 5 to 15 MB are advised, and small instances take 10 MiB. Source:
/// <https://docs.aws.amazon.com/opensearch-service/latest/developerguide/limits.html>
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The maximum number of documents in a request.
const MAX_ITEMS: usize = 5_000;

/// The maximum number of requests in flight for one report.
const AT_ONCE: usize = 2;

/// How many bytes of what is refused are kept for one report; the rest is counted.
const MAX_REJECTS: usize = 8 * 1024 * 1024;

/// The place of an action, and of the document after it, in a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) begin: usize,
    pub(super) end: usize,
}

/// The documents of one report on their way.
#[derive(Debug)]
pub(super) struct Bulk {
    client: Arc<Client>,
    next: Batch,
    in_flight: JoinSet<anyhow::Result<Sent>>,
    total: Sent,
}

/// What is sent in one request.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) body: Vec<u8>,
    pub(super) items: Vec<Item>,
}

/// What became of the documents.
#[derive(Debug, Default)]
struct Sent {
    counts: Counts,
    rejects: Vec<u8>,
    left_out: u64,
}

/// The answer to a request, of which some fields are asked for.
#[derive(Debug, Deserialize)]
struct Answered {
    errors: bool,
    #[serde(default)]
    items: Vec<Answers>,
}

#[derive(Debug, Deserialize)]
struct Answers {
    #[serde(alias = "delete")]
    index: ItemAnswer,
}

#[derive(Debug, Deserialize)]
struct ItemAnswer {
    status: u16,
    #[serde(default)]
    error: Option<ItemError>,
}

#[derive(Debug, Deserialize)]
struct ItemError {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    reason: String,
}

/// What an answer means for one document.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// It is there, or a later one is.
    Done,
    /// It may be taken later.
    Again,
    /// It never will be.
    Refused(String),
    /// None is taken until someone acts.
    Blocked(String),
}

impl Bulk {
    pub(super) fn new(client: &Arc<Client>) -> Self {
        let (client, in_flight) = (client.clone(), JoinSet::new());
        Self { client, next: Batch::default(), in_flight, total: Sent::default() }
    }

    /// Where documents are added.
    pub(super) fn next(&mut self) -> &mut Batch {
        &mut self.next
    }

    pub(super) fn is_full(&self) -> bool {
        self.next.body.len() >= MAX_BYTES || self.next.items.len() >= MAX_ITEMS
    }

    /// Sends what was added, as soon as not too many requests are in flight.
    pub(super) async fn send(&mut self) -> anyhow::Result<()> {
        if self.next.items.is_empty() {
            return Ok(());
        }
        while self.in_flight.len() >= AT_ONCE {
            self.wait().await?;
        }
        let (client, batch) = (self.client.clone(), std::mem::take(&mut self.next));
        self.in_flight.spawn(async move {
            let mut sent = Sent::default();
            send(&client, batch, &mut sent).await?;
            Ok(sent)
        });
        Ok(())
    }

    /// Sends the rest, and waits for all. Returns what became of the documents, and the lines of those that are refused.
    pub(super) async fn end(mut self) -> anyhow::Result<(Counts, Vec<u8>)> {
        self.send().await?;
        while !self.in_flight.is_empty() {
            self.wait().await?;
        }
        let Sent { counts, mut rejects, left_out } = self.total;
        if left_out > 0 {
            let line = json!({"reason": format!("{left_out} more were refused, which are not kept here")});
            rejects.extend_from_slice(format!("{line}\n").as_bytes());
        }
        Ok((counts, rejects))
    }

    async fn wait(&mut self) -> anyhow::Result<()> {
        let Some(sent) = self.in_flight.join_next().await else { return Ok(()) };
        let sent = sent.map_err(|error| anyhow!("a request was not sent: {error}"))??;
        self.total.counts.sent += sent.counts.sent;
        self.total.counts.rejected += sent.counts.rejected;
        self.total.left_out += sent.left_out;
        self.total.rejects.extend(sent.rejects);
        Ok(())
    }
}

/// How long to wait before each further attempt, some half a minute altogether. After it the job returns to the queue.
fn pauses() -> impl Iterator<Item = Duration> {
    let (first, longest) = (Duration::from_millis(250), Duration::from_secs(8));
    ExponentialBuilder::new()
        .with_min_delay(first)
        .with_max_delay(longest)
        .with_max_times(8)
        .with_jitter()
        .build()
}

/// Sends a batch until each of its documents is taken or refused.
fn send<'a>(client: &'a Client, mut batch: Batch, sent: &'a mut Sent) -> BoxFuture<'a, anyhow::Result<()>> {
    async move {
        let mut pauses = pauses();
        loop {
            let answer = client.bulk(compressed(&batch.body)).await;
            let why = match after(client, answer, &mut batch, sent)? {
                After::Done => return Ok(()),
                After::Again(why) => why,
                After::TooLarge => {
                    let Some(second) = batch.split() else {
                        batch.refuse(0, "413: it is larger than the endpoint accepts", sent);
                        return Ok(());
                    };
                    send(client, batch, sent).await?;
                    return send(client, second, sent).await;
                }
            };
            let Some(pause) = pauses.next() else {
                bail!("{} documents are not taken, after {} attempts: {why}", batch.items.len(), ATTEMPTS)
            };
            tokio::time::sleep(pause).await;
        }
    }
    .boxed()
}

/// One more than there are pauses.
const ATTEMPTS: usize = 9;

/// What is to do after an answer; the batch has what is left.
enum After {
    Done,
    Again(String),
    TooLarge,
}

fn after(
    client: &Client,
    answer: Result<Answer, AwsError>,
    batch: &mut Batch,
    sent: &mut Sent,
) -> anyhow::Result<After> {
    let answer = match answer {
        Ok(answer) => answer,
        // Whether documents were taken is not known, and does not matter: their ids are the same.
        Err(error) if error.is_transient() => return Ok(After::Again(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    match answer.status {
        413 => return Ok(After::TooLarge),
        429 | 500.. => return Ok(After::Again(format!("{:#}", client.refusal(&answer)))),
        _ => client.accepted(&answer)?,
    };
    let answered: Answered = match serde_json::from_slice(&answer.body) {
        Ok(answered) => answered,
        Err(error) => return Ok(After::Again(format!("the answer can't be read: {error}"))),
    };
    if answered.items.len() != batch.items.len() {
        let (got, sent) = (answered.items.len(), batch.items.len());
        return Ok(After::Again(format!("the answer is for {got} documents of {sent}")));
    }
    if !answered.errors {
        sent.counts.sent += batch.items.len() as u64;
        return Ok(After::Done);
    }
    let mut again = Vec::new();
    let mut why = String::new();
    for (place, Answers { index: answer }) in answered.items.iter().enumerate() {
        match fate(answer) {
            Fate::Done => sent.counts.sent += 1,
            Fate::Again => {
                again.push(place);
                why = format!("{}: {}", answer.status, reason(answer));
            }
            Fate::Refused(reason) => batch.refuse(place, &reason, sent),
            Fate::Blocked(reason) => bail!("{reason}"),
        }
    }
    batch.keep(&again);
    Ok(if again.is_empty() { After::Done } else { After::Again(why) })
}

/// What the answer to one document means. Source:
/// <https://docs.opensearch.org/latest/api-reference/document-apis/bulk/#response>
fn fate(answer: &ItemAnswer) -> Fate {
    let kind = answer.error.as_ref().map_or("", |error| &*error.kind);
    let text = || format!("{} {}", answer.status, reason(answer));
    match answer.status {
        // A later version of the document is there, or there is nothing to delete.
        200..300 | 409 => Fate::Done,
        404 if answer.error.is_none() => Fate::Done,
        429 | 500.. => Fate::Again,
        // It is no fault of the document.
        400 if reason(answer).contains("maximum shards open")
            || reason(answer).contains("maximum normal shards open") =>
        {
            Fate::Blocked(format!("{}; delete indices, or raise cluster.max_shards_per_node", text()))
        }
        400 if reason(answer).contains("Document ID is not supported") => Fate::Blocked(format!(
            "{}; it is a collection of the type TIMESERIES, where a second delivery would double each row: create one of the \
             type SEARCH",
            text()
        )),
        403 => {
            Fate::Blocked(format!("{}; free disk space, lift the block, or allow the role to write", text()))
        }
        404 if kind == "index_not_found_exception" => Fate::Blocked(format!(
            "{}; allow the cluster to create indices by action.auto_create_index",
            text()
        )),
        401 => Fate::Blocked(text()),
        _ => Fate::Refused(text()),
    }
}

fn reason(answer: &ItemAnswer) -> String {
    answer.error.as_ref().map(|error| format!("{}: {}", error.kind, error.reason)).unwrap_or_default()
}

fn compressed(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).expect("cannot fail: it is memory");
    encoder.finish().expect("cannot fail: it is memory").into()
}

impl Batch {
    fn text(&self, item: Item) -> &[u8] {
        self.body.get(item.begin..item.end).unwrap_or_default()
    }

    /// Keeps the items at these places, in their order.
    fn keep(&mut self, places: &[usize]) {
        let mut kept = Self::default();
        for item in places.iter().filter_map(|place| self.items.get(*place)) {
            let begin = kept.body.len();
            kept.body.extend_from_slice(self.text(*item));
            kept.items.push(Item { begin, end: kept.body.len() });
        }
        *self = kept;
    }

    /// Takes the second half away; `None` if there is one item alone.
    fn split(&mut self) -> Option<Self> {
        let half = self.items.len() / 2;
        if half == 0 {
            return None;
        }
        let mut second = Self { body: self.body.clone(), items: self.items.clone() };
        second.keep(&(half..self.items.len()).collect::<Vec<_>>());
        self.keep(&(0..half).collect::<Vec<_>>());
        Some(second)
    }

    /// Counts an item as refused, and keeps its document.
    fn refuse(&self, place: usize, reason: &str, sent: &mut Sent) {
        sent.counts.rejected += 1;
        if sent.rejects.len() >= MAX_REJECTS {
            sent.left_out += 1;
            return;
        }
        let text = self.items.get(place).map(|item| self.text(*item)).unwrap_or_default();
        let mut lines = text.split(|byte| *byte == b'\n').map(|line| {
            serde_json::from_slice(line).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(line)))
        });
        let (action, document) = (lines.next(), lines.next());
        let line = json!({"reason": reason, "action": action, "document": document});
        sent.rejects.extend_from_slice(format!("{line}\n").as_bytes());
    }
}

#[cfg(test)]
mod tests;
