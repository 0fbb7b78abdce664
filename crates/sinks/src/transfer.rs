// SPDX-License-Identifier: Apache-2.0
//! One report on its way to one sink.

use anyhow::{Context, bail};
use aws_sdk_s3::primitives::ByteStream;
use chrono::{DateTime, TimeDelta, Utc};
use fleet::{report::stored::StoredReport, report_bucket::ReportBucket, report_key};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::marker::{Counts, Marker};

/// For how long a delivery that has begun is its worker's, from each time that it is recorded.
const LEASE: TimeDelta = TimeDelta::minutes(2);

/// A report, and what is recorded of its delivery.
#[derive(Debug)]
pub struct Transfer<'a> {
    pub report: StoredReport,
    pub record: Record<'a>,
}

/// What is recorded of the delivery of a report. Every write of it depends on what was there.
#[derive(Debug)]
pub struct Record<'a> {
    bucket: &'a ReportBucket,
    sink: &'a str,
    report_key: String,
    /// The version of the marker that is stored, if there is one.
    version: Option<String>,
    earlier: Option<Marker>,
    etag: String,
    /// What is kept once it is done.
    kept: Value,
}

impl<'a> Record<'a> {
    pub(crate) fn new(
        bucket: &'a ReportBucket,
        sink: &'a str,
        report: &StoredReport,
        known: Option<(String, Option<Marker>)>,
    ) -> Self {
        let (version, earlier) = match known {
            Some((version, marker)) => (Some(version), marker),
            None => (None, None),
        };
        let (report_key, etag) = (report.key.clone(), report.etag.clone());
        Self { bucket, sink, report_key, version, earlier, etag, kept: Value::Null }
    }

    /// What is recorded of an earlier delivery, which may be of another version of the report.
    #[must_use]
    pub fn earlier(&self) -> Option<&Marker> {
        self.earlier.as_ref()
    }

    /// What the sink recorded of this version of the report, if its delivery has begun before.
    #[must_use]
    pub fn state<T: DeserializeOwned>(&self) -> Option<T> {
        let is_of_this = self.earlier.as_ref().is_some_and(|earlier| earlier.etag == self.etag);
        if is_of_this { self.earlier_state() } else { None }
    }

    /// What the sink recorded of this version of the report, or of an earlier one.
    #[must_use]
    pub fn earlier_state<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(self.earlier.as_ref()?.state.clone()).ok()
    }

    /// The time by the clock of the report bucket.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.bucket.now()
    }

    /// Keeps what a later delivery of this version has to know, once this one is done.
    ///
    /// # Errors
    ///
    /// If the state can't be written as JSON.
    pub fn keep(&mut self, state: &impl Serialize) -> anyhow::Result<()> {
        self.kept = serde_json::to_value(state).context("the state of a delivery is not JSON")?;
        Ok(())
    }

    /// Records what the sink has done so far, and that no other worker delivers this report for a while.
    ///
    /// # Errors
    ///
    /// If another worker has recorded something meanwhile, or the bucket can't be written to.
    pub async fn begun(&mut self, counts: Counts, state: &impl Serialize) -> anyhow::Result<()> {
        let until = Some(self.bucket.now() + LEASE);
        let state = serde_json::to_value(state).context("the state of a delivery is not JSON")?;
        let marker = Marker { etag: self.etag.clone(), until, counts, state };
        if !self.put(&marker).await? {
            bail!("another worker has begun to deliver the report {}", self.report_key);
        }
        self.earlier = Some(marker);
        Ok(())
    }

    /// Ends the lease of a delivery that has begun and failed, so that the next attempt need not wait.
    pub(crate) async fn released(&mut self) {
        let Some(begun) = self.earlier.clone().filter(|earlier| earlier.etag == self.etag) else { return };
        if begun.until.is_some() {
            let until = Some(self.bucket.now());
            // If it can't be written, the next one waits.
            let _ = self.put(&Marker { until, ..begun }).await;
        }
    }

    /// Records that it is delivered; whether nothing else was recorded meanwhile.
    pub(crate) async fn done(&mut self, counts: Counts) -> anyhow::Result<bool> {
        let (etag, state) = (self.etag.clone(), self.kept.clone());
        self.put(&Marker { etag, until: None, counts, state }).await
    }

    async fn put(&mut self, marker: &Marker) -> anyhow::Result<bool> {
        let key = report_key::delivered(self.sink, &self.report_key);
        let written = self.bucket.put_record(&key, self.version.as_deref(), marker).await?;
        let is_written = written.is_some();
        self.version = written;
        Ok(is_written)
    }

    /// Stores what the sink refuses for ever: JSON lines, each with its reason.
    ///
    /// # Errors
    ///
    /// If the bucket can't be written to.
    pub async fn reject(&self, lines: Vec<u8>) -> anyhow::Result<()> {
        let key = report_key::rejects(self.sink, &self.report_key);
        let put = self.bucket.client.put_object().bucket(&self.bucket.name).key(&key);
        let put = put.content_type("application/x-ndjson").body(ByteStream::from(lines)).send().await;
        put.with_context(|| format!("could not write what was refused to s3://{}/{key}", self.bucket.name))?;
        Ok(())
    }
}
