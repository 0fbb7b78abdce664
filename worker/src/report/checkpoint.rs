//! What earlier tries at a job have collected: the rows of the partial report that they left, so that only what
//! lacks something is asked for, and paid for, again.

use std::fmt::Write;

use fleet::{
    AccountId, AwsError, Dataset, ErrorKind, Job, aws,
    report::{ReportMetadata, ReportStatus},
    report_bucket::ReportBucket,
};
use sha2::{Digest, Sha256};

use super::csv;
use crate::cloudwatch::rows::{Row, Status};

/// A stored report, its rows included.
#[derive(Debug)]
pub struct Checkpoint {
    /// What it says of itself.
    pub metadata: ReportMetadata,
    /// Its rows.
    pub rows: Vec<Row>,
}

impl Checkpoint {
    /// Whether a job may go on from a report: a partial one of the same day and account that an earlier try at the
    /// job left, or another run if the values were final by then.
    #[must_use]
    pub fn may_be_of(metadata: &ReportMetadata, job: &Job, account_id: &AccountId) -> bool {
        metadata.status == ReportStatus::Partial
            && metadata.dataset == job.dataset.name
            && metadata.is_of(job.date, Some(account_id))
            && (metadata.run_id == job.run_id || metadata.is_settled())
    }

    /// Reads the report with this metadata. `None` if it is gone or replaced since, or can't be read: its rows are then
    /// collected anew.
    ///
    /// # Errors
    /// What S3 said, unless it said that there is no such object.
    pub async fn read(
        bucket: &ReportBucket,
        key: &str,
        dataset: &'static Dataset,
        metadata: ReportMetadata,
    ) -> Result<Option<Self>, AwsError> {
        let body = match aws::read_object(&bucket.client, &bucket.name, key).await {
            Ok(body) => body,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if sha256(&body) != metadata.sha256 {
            tracing::warn!(key, "the earlier report was replaced, or damaged; its rows are collected anew");
            return Ok(None);
        }
        match csv::decode(dataset, &body) {
            Ok(rows) => Ok(Some(Self { metadata, rows })),
            Err(error) => {
                tracing::warn!(
                    key,
                    "the earlier report can't be read ({error}); its rows are collected anew"
                );
                Ok(None)
            }
        }
    }

    /// Its rows, for a report whose collection can't see them. Values from before the settle time may have changed since.
    pub fn into_carried(self) -> impl Iterator<Item = Row> {
        let is_settled = self.metadata.is_settled();
        let whole = self.rows.into_iter().filter(|row| !row.status.lacks_something());
        whole.map(
            move |row| {
                if is_settled { row } else { Row { status: Status::Late, withholds_total: true, ..row } }
            },
        )
    }
}

/// The SHA-256 of a body, in hexadecimal.
#[must_use]
pub fn sha256(body: &[u8]) -> String {
    Sha256::digest(body).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
