// SPDX-License-Identifier: Apache-2.0
//! What is stored under a report's key, by its metadata: nothing, a report, or another program's object.

use chrono::{DateTime, Utc};

use crate::{AwsError, ErrorKind, from_sdk, report::ReportMetadata, report_bucket::ReportBucket};

#[derive(Debug, Clone, PartialEq)]
pub enum Existing {
    Nothing,
    /// An object that is not a report.
    Foreign {
        /// Its version, for a conditional write.
        etag: String,
    },
    Report(Box<ExistingReport>),
}

/// A stored report whose rows were not read.
#[derive(Debug, Clone, PartialEq)]
pub struct ExistingReport {
    /// Its version, for a conditional write.
    pub etag: String,
    /// When it was written, by the report bucket's clock.
    pub written_at: DateTime<Utc>,
    pub metadata: ReportMetadata,
}

impl Existing {
    /// The report, if there is one.
    #[must_use]
    pub fn report(&self) -> Option<&ExistingReport> {
        match self {
            Self::Report(report) => Some(report),
            Self::Nothing | Self::Foreign { .. } => None,
        }
    }
}

impl ReportBucket {
    /// Looks up what is stored under a report's key.
    ///
    /// # Errors
    ///
    /// Any error of S3 except that the object does not exist.
    pub async fn look(&self, key: &str) -> Result<Existing, AwsError> {
        let answer = self.client.head_object().bucket(&self.name).key(key).send().await;
        let head = match answer.map_err(|error| from_sdk("s3:GetObject", error)) {
            Ok(head) => head,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(Existing::Nothing),
            Err(error) => return Err(error),
        };
        let etag = head.e_tag.ok_or_else(|| AwsError::unconfirmed("s3:GetObject", "ETag"))?;
        let written_at = head.last_modified.and_then(|time| DateTime::from_timestamp(time.secs(), 0));
        let written_at = written_at.unwrap_or_else(|| self.now());
        let metadata = head.metadata.as_ref();
        Ok(match metadata.and_then(|headers| ReportMetadata::from_headers(headers, written_at)) {
            Some(metadata) => Existing::Report(Box::new(ExistingReport { etag, written_at, metadata })),
            None => Existing::Foreign { etag },
        })
    }
}
