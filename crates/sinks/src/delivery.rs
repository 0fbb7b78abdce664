// SPDX-License-Identifier: Apache-2.0
//! Gives a stored report to the sinks of its dataset, and records in the report bucket what each has.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{anyhow, bail};
use fleet::{
    Dataset,
    existing::Existing,
    report::{ReportStatus, stored::StoredReport},
    report_bucket::ReportBucket,
    report_key,
};
use futures::future;
use tokio::sync::Semaphore;

use crate::{
    breaker::Breaker,
    marker::{Counts, Marker},
    sink::{Configured, Named, Repetition},
    transfer::{Record, Transfer},
};

/// How often a delivery begins anew because the report was replaced meanwhile, or delivered by another worker.
const TRIES: usize = 6;

/// The maximum number of reports that one process delivers to a sink at once: each has some requests in memory.
const AT_ONCE: usize = 4;

/// The sinks of this worker, and the bucket that their reports are read from.
#[derive(Debug)]
pub struct Delivery {
    bucket: ReportBucket,
    sinks: RwLock<Arc<Vec<Guarded>>>,
}

/// A sink, and whether it has failed of late.
#[derive(Debug)]
struct Guarded {
    sink: Configured,
    breaker: Breaker,
    slots: Semaphore,
}

/// Which of the reports that a sink has already are delivered to it once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    None,
    /// Those of a sink for which a repetition is harmless: it may have lost what it had.
    Harmless,
    /// Those as well of which some values may have been delivered and may not.
    Unknown,
}

/// A report is stored, and a sink does not have it.
#[derive(Debug, thiserror::Error)]
#[error("the report is stored, but could not be delivered to the sink {sink}")]
pub struct NotDelivered {
    pub sink: String,
    pub source: anyhow::Error,
}

impl Delivery {
    #[must_use]
    pub fn new(bucket: ReportBucket, sinks: Vec<Configured>) -> Self {
        Self { bucket, sinks: RwLock::new(guarded(sinks)) }
    }

    /// Replaces the sinks; deliveries that have begun end as they began.
    pub fn renew(&self, sinks: Vec<Configured>) {
        *self.sinks.write().unwrap_or_else(PoisonError::into_inner) = guarded(sinks);
    }

    fn sinks(&self) -> Arc<Vec<Guarded>> {
        self.sinks.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Checks each sink. One that fails is logged: it may work by the time that a report is there for it.
    pub async fn check(&self) {
        future::join_all(self.sinks().iter().map(
            |Guarded { sink: Configured { named, sink }, .. }| async move {
                if let Err(error) = sink.check().await {
                    let name = &named.name;
                    tracing::error!("the sink {name} can't take reports now: {error:#}");
                }
            },
        ))
        .await;
    }

    /// The sinks' names, for the log; `None` if there are none.
    #[must_use]
    pub fn names(&self) -> Option<String> {
        let sinks = self.sinks();
        let names: Vec<&str> = sinks.iter().map(|guarded| &*guarded.sink.named.name).collect();
        (!names.is_empty()).then(|| names.join(","))
    }

    /// The sinks, as far as everyone has to know them.
    #[must_use]
    pub fn named(&self) -> Vec<Named> {
        self.sinks().iter().map(|guarded| guarded.sink.named.clone()).collect()
    }

    /// Whether reports of a dataset go to any sink.
    #[must_use]
    pub fn takes(&self, dataset: &Dataset) -> bool {
        self.sinks().iter().any(|guarded| guarded.sink.named.takes(dataset))
    }

    /// Delivers the report under a key to each sink of its dataset that does not have it. One that fails does not keep it
    /// from the others.
    ///
    /// # Errors
    ///
    /// The first sink that does not have the report now.
    pub async fn deliver(&self, dataset: &'static Dataset, key: &str) -> Result<(), NotDelivered> {
        let sinks = self.sinks();
        let sinks = sinks.iter().filter(|guarded| guarded.sink.named.takes(dataset));
        let delivered = sinks.map(|sink| self.deliver_guarded(sink, dataset, key, Again::None));
        future::join_all(delivered).await.into_iter().collect()
    }

    /// Delivers the report under a key to one sink.
    ///
    /// # Errors
    ///
    /// If there is no such sink, or it does not have the report now.
    pub async fn deliver_to(
        &self,
        name: &str,
        dataset: &'static Dataset,
        key: &str,
        again: Again,
    ) -> Result<(), NotDelivered> {
        let sinks = self.sinks();
        let Some(sink) = sinks.iter().find(|guarded| guarded.sink.named.name == name) else {
            let names = self.names().unwrap_or_else(|| "none".to_owned());
            let source = anyhow!("this worker has no sink of that name; its configuration file has {names}");
            return Err(NotDelivered { sink: name.to_owned(), source });
        };
        self.deliver_guarded(sink, dataset, key, again).await
    }

    async fn deliver_guarded(
        &self,
        Guarded { sink, breaker, slots }: &Guarded,
        dataset: &'static Dataset,
        key: &str,
        again: Again,
    ) -> Result<(), NotDelivered> {
        let _slot = slots.acquire().await.expect("cannot fail: it is never closed");
        let delivered = match breaker.refusal() {
            Some(refusal) => Err(refusal),
            None => {
                let delivered = self.deliver_one(sink, dataset, key, again).await;
                breaker.record(&delivered);
                delivered
            }
        };
        delivered.map_err(|source| NotDelivered { sink: sink.named.name.clone(), source })
    }

    async fn deliver_one(
        &self,
        Configured { named, sink }: &Configured,
        dataset: &'static Dataset,
        key: &str,
        again: Again,
    ) -> anyhow::Result<()> {
        let Named { name, repetition, .. } = named;
        let marker_key = report_key::delivered(name, key);
        // What this worker wrote may have replaced a later version that another has delivered and recorded.
        let mut has_written = false;
        for _ in 0..TRIES {
            let Existing::Report(report) = self.bucket.look(key).await? else { return Ok(()) };
            let metadata = &report.metadata;
            // What is missing in a partial report is collected again, and delivered then.
            if metadata.status != ReportStatus::Complete || metadata.dataset != dataset.name {
                return Ok(());
            }
            // A marker that can't be read says nothing: the report is delivered, and the marker written, again.
            let known = self.bucket.record::<Marker>(&marker_key).await?;
            let marker = known.as_ref().and_then(|(_, marker)| marker.as_ref());
            let repeats = marker.is_some_and(|marker| repeats(marker, &report.etag, *repetition, again));
            if !has_written && !repeats && !named.lacks(marker, &report) {
                return Ok(());
            }
            let until = marker.and_then(|marker| marker.until).filter(|until| *until > self.bucket.now());
            if let (Repetition::Adds, Some(until)) = (repetition, until) {
                bail!("another worker delivers it, until {until} at least");
            }
            let Some(report) = StoredReport::open(&self.bucket, key, *report, dataset).await? else {
                continue;
            };
            has_written = *repetition == Repetition::Harmless;
            let record = Record::new(&self.bucket, name, &report, known);
            let mut transfer = Transfer { report, record };
            let delivered = sink.deliver(&mut transfer).await;
            if delivered.is_err() {
                transfer.record.released().await;
            }
            let counts = delivered?;
            if transfer.record.done(counts).await? {
                log(name, key, counts);
                return Ok(());
            }
        }
        Err(anyhow!("other processes kept writing the report or its marker {marker_key}"))
    }
}

/// Whether what is recorded as delivered is delivered again.
fn repeats(marker: &Marker, etag: &str, repetition: Repetition, again: Again) -> bool {
    match (repetition, again) {
        (Repetition::Harmless, Again::Harmless | Again::Unknown) => true,
        (Repetition::Adds, Again::Unknown) => {
            // Of another version it is not known which they are.
            marker.has(etag) && marker.counts.unknown > 0
        }
        (_, Again::None) | (Repetition::Adds, Again::Harmless) => false,
    }
}

fn log(sink: &str, key: &str, counts: Counts) {
    let Counts { sent, rejected, skipped, unknown, repeated } = counts;
    if rejected + unknown + repeated == 0 {
        tracing::info!(key, sink, sent, skipped, "the report is delivered to {sink}");
    } else {
        let rejects = report_key::rejects(sink, key);
        tracing::warn!(
            key,
            sink,
            sent,
            rejected,
            skipped,
            unknown,
            repeated,
            rejects = (rejected > 0).then_some(rejects),
            "the report is delivered to {sink}, but not all of it"
        );
    }
}

fn guarded(sinks: Vec<Configured>) -> Arc<Vec<Guarded>> {
    let guarded = |sink| Guarded { sink, breaker: Breaker::default(), slots: Semaphore::new(AT_ONCE) };
    Arc::new(sinks.into_iter().map(guarded).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use aws_sdk_s3::{
        Client,
        operation::{
            get_object::GetObjectOutput, head_object::HeadObjectOutput, put_object::PutObjectOutput,
        },
        primitives::{ByteStream, DateTime},
    };
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use chrono::Utc;
    use fleet::{Job, RunId, datasets::DEFAULT, report::ReportMetadata};
    use futures::{FutureExt, future::BoxFuture};

    use super::*;
    use crate::Sink;

    /// Records the first cell of each report.
    #[derive(Debug, Default)]
    struct Recorder(std::sync::Arc<Mutex<Vec<String>>>);

    impl Sink for Recorder {
        fn check(&self) -> BoxFuture<'_, anyhow::Result<()>> {
            async { Ok(()) }.boxed()
        }

        fn deliver<'a>(&'a self, transfer: &'a mut Transfer<'_>) -> BoxFuture<'a, anyhow::Result<Counts>> {
            async {
                let row = transfer.report.next().await?.expect("a row");
                let cells: Vec<_> = row.cells().map(|(_, cell)| format!("{cell:?}")).collect();
                self.0.lock().expect("not poisoned").push(cells.concat());
                Ok(Counts { sent: 1, ..Counts::default() })
            }
            .boxed()
        }
    }

    fn head(etag: &str) -> HeadObjectOutput {
        let job = Job {
            account_name: "data".parse().expect("a name"),
            windows: "2026-11-03".parse::<fleet::ReportDate>().expect("a day").into(),
            dataset: *DEFAULT,
            run_id: RunId::generate(),
            only_incomplete: false,
            settle: None,
            attributes: serde_json::Map::new(),
        };
        let metadata = ReportMetadata::new(&job, "111111111111".parse().expect("an id"), Utc::now());
        let head = HeadObjectOutput::builder().e_tag(etag).last_modified(DateTime::from_secs(0));
        head.set_metadata(Some(metadata.to_headers())).build()
    }

    fn object(etag: &str, body: &str) -> GetObjectOutput {
        GetObjectOutput::builder().e_tag(etag).body(ByteStream::from(body.as_bytes().to_vec())).build()
    }

    #[tokio::test]
    async fn who_loses_to_a_later_version_delivers_that_one_again() {
        let heads =
            mock!(Client::head_object).sequence().output(|| head("one")).output(|| head("two")).build();
        let is_marker = |key: Option<&str>| key.is_some_and(|key| key.starts_with("delivered/"));
        let markers = mock!(Client::get_object)
            .match_requests(move |get| is_marker(get.key()))
            .sequence()
            .http_status(404, None)
            .output(|| object("marker", r#"{"etag":"two"}"#))
            .build();
        let one = mock!(Client::get_object)
            .match_requests(|get| get.if_match() == Some("one"))
            .then_output(|| object("one", "bucket_name\nold\n"));
        let two = mock!(Client::get_object)
            .match_requests(|get| get.if_match() == Some("two"))
            .then_output(|| object("two", "bucket_name\nnew\n"));
        let puts = mock!(Client::put_object)
            .sequence()
            .http_status(412, None)
            .output(|| PutObjectOutput::builder().e_tag("marker2").build())
            .build();
        let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&heads, &markers, &one, &two, &puts]);
        let delivered = std::sync::Arc::default();
        let sink = Configured {
            named: Named {
                name: "files".to_owned(),
                datasets: vec![*DEFAULT],
                repetition: Repetition::Harmless,
            },
            sink: Box::new(Recorder(std::sync::Arc::clone(&delivered))),
        };
        let delivery = Delivery::new(ReportBucket::new(client, "reports"), vec![sink]);
        delivery.deliver(*DEFAULT, "k").await.expect("delivered");
        assert_eq!(*delivered.lock().expect("not poisoned"), [r#"Text("old")"#, r#"Text("new")"#]);
        assert_eq!(puts.num_calls(), 2);
    }
}
