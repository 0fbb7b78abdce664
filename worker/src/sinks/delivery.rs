// SPDX-License-Identifier: Apache-2.0
//! Gives a stored report to the sinks of its dataset, and records in the report bucket what each has.

use std::sync::{Arc, PoisonError, RwLock};

use engine::Attempt;
use fleet::{
    Dataset,
    existing::{Existing, ExistingReport},
    report::ReportStatus,
    report_bucket::ReportBucket,
    report_key,
};
use futures::future;
use serde::{Deserialize, Serialize};

use super::sink::Configured;
use crate::{failure::Failure, report::step, table::stored::StoredReport};

/// How often a delivery begins anew because the report was replaced meanwhile, or delivered by another worker.
const TRIES: usize = 6;

/// The sinks of this worker, and the bucket that their reports are read from.
#[derive(Debug)]
pub struct Delivery {
    bucket: ReportBucket,
    sinks: RwLock<Arc<Vec<Configured>>>,
}

/// What is recorded of a report that a sink has.
#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    /// The version of the report.
    etag: String,
}

impl Delivery {
    #[must_use]
    pub fn new(bucket: ReportBucket, sinks: Vec<Configured>) -> Self {
        Self { bucket, sinks: RwLock::new(Arc::new(sinks)) }
    }

    /// Replaces the sinks; deliveries that have begun end as they began.
    pub fn renew(&self, sinks: Vec<Configured>) {
        *self.sinks.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(sinks);
    }

    fn sinks(&self) -> Arc<Vec<Configured>> {
        self.sinks.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Checks each sink. One that fails is logged: it may work by the time that a report is there for it.
    pub async fn check(&self) {
        future::join_all(self.sinks().iter().map(|Configured { name, sink, .. }| async move {
            if let Err(error) = sink.check().await {
                tracing::error!("the sink {name} can't take reports now: {error:#}");
            }
        }))
        .await;
    }

    /// The sinks' names, for the log; `None` if there are none.
    #[must_use]
    pub fn names(&self) -> Option<String> {
        let sinks = self.sinks();
        let names: Vec<&str> = sinks.iter().map(|sink| &*sink.name).collect();
        (!names.is_empty()).then(|| names.join(","))
    }

    /// Delivers the report under a key to each sink of its dataset that does not have it. One that fails does not keep it
    /// from the others.
    ///
    /// # Errors
    ///
    /// [`Failure::NotDelivered`] of the first sink that does not have the report now.
    pub async fn deliver(
        &self,
        dataset: &'static Dataset,
        key: &str,
        attempt: &Attempt,
    ) -> Result<(), Failure> {
        let sinks = self.sinks();
        let sinks: Vec<&Configured> = sinks.iter().filter(|sink| sink.takes(dataset)).collect();
        if sinks.is_empty() {
            return Ok(());
        }
        attempt.enter(step::DELIVER);
        let delivered = sinks.into_iter().map(|sink| async move {
            let delivered = self.deliver_to(sink, dataset, key).await;
            delivered.map_err(|source| Failure::NotDelivered { sink: sink.name.clone(), source })
        });
        future::join_all(delivered).await.into_iter().collect()
    }

    async fn deliver_to(
        &self,
        sink: &Configured,
        dataset: &'static Dataset,
        key: &str,
    ) -> anyhow::Result<()> {
        let marker_key = report_key::delivered(&sink.name, key);
        // What this worker wrote may have replaced a later version that another has delivered and recorded.
        let mut has_written = false;
        for _ in 0..TRIES {
            let Existing::Report(report) = self.bucket.look(key).await? else { return Ok(()) };
            // What is missing in a partial report is collected again, and delivered then.
            if report.metadata.status != ReportStatus::Complete || report.metadata.dataset != dataset.name {
                return Ok(());
            }
            let ExistingReport { etag, metadata, .. } = *report;
            // A marker that can't be read says nothing: the report is delivered, and the marker written, again.
            let known = self.bucket.record::<Marker>(&marker_key).await?;
            let has =
                |(_, marker): &(String, Option<Marker>)| marker.as_ref().is_some_and(|it| it.etag == etag);
            if !has_written && known.as_ref().is_some_and(has) {
                return Ok(());
            }
            let opened = StoredReport::open(&self.bucket, key, &etag, metadata, dataset).await?;
            let Some(mut report) = opened else { continue };
            has_written = true;
            sink.sink.deliver(&mut report).await?;
            let version = known.as_ref().map(|(version, _)| version.as_str());
            if self.bucket.put_record(&marker_key, version, &Marker { etag }).await?.is_some() {
                tracing::info!(key, sink = sink.name, "the report is delivered to {}", sink.name);
                return Ok(());
            }
        }
        Err(anyhow::anyhow!("other processes kept writing the report or its marker {marker_key}"))
    }
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
    use crate::sinks::Sink;

    /// Records the first cell of each report.
    #[derive(Debug, Default)]
    struct Recorder(std::sync::Arc<Mutex<Vec<String>>>);

    impl Sink for Recorder {
        fn check(&self) -> BoxFuture<'_, anyhow::Result<()>> {
            async { Ok(()) }.boxed()
        }

        fn deliver<'a>(&'a self, report: &'a mut StoredReport) -> BoxFuture<'a, anyhow::Result<()>> {
            async {
                let row = report.next().await?.expect("a row");
                let cells: Vec<_> = row.cells().map(|(_, cell)| format!("{cell:?}")).collect();
                self.0.lock().expect("not poisoned").push(cells.concat());
                Ok(())
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
            name: "files".to_owned(),
            datasets: vec![*DEFAULT],
            sink: Box::new(Recorder(std::sync::Arc::clone(&delivered))),
        };
        let delivery = Delivery::new(ReportBucket::new(client, "reports"), vec![sink]);
        delivery.deliver(*DEFAULT, "k", &Attempt::new(false)).await.expect("delivered");
        assert_eq!(*delivered.lock().expect("not poisoned"), [r#"Text("old")"#, r#"Text("new")"#]);
        assert_eq!(puts.num_calls(), 2);
    }
}
