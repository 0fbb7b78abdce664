// SPDX-License-Identifier: Apache-2.0
//! What earlier attempts of a job have collected: the rows of their partial report. Only rows that lack something are
//! queried, and billed, again.

use std::fmt::Write;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use fleet::{
    AccountId, AwsError, Dataset, ErrorKind, Job, aws,
    datasets::{Period, Shape},
    report::{ReportMetadata, ReportStatus},
    report_bucket::ReportBucket,
};
use sha2::{Digest, Sha256};

use super::{SeriesRows, Table, csv, series_csv};
use crate::cloudwatch::rows::Status;

/// A stored report with its rows.
#[derive(Debug)]
pub struct Checkpoint {
    pub metadata: ReportMetadata,
    pub table: Table,
}

impl Checkpoint {
    /// Whether a job may continue from a report: a partial one of the same day, account and period, by an earlier attempt
    /// of the job, or by another run if the values were final by then.
    #[must_use]
    pub fn may_be_of(
        metadata: &ReportMetadata,
        job: &Job,
        account_id: &AccountId,
        now: DateTime<Utc>,
    ) -> bool {
        metadata.status == ReportStatus::Partial
            && metadata.is_of(job.dataset.name, job.window(), Some(account_id))
            && metadata.period_seconds
                == job.dataset.period_of_rows(job.window().date(), now).map(Period::seconds)
            && (metadata.run_id == job.run_id || metadata.is_settled())
    }

    /// Reads the report with this metadata. `None` if it has been deleted or replaced since, or can't be parsed: its rows
    /// are then collected again.
    ///
    /// # Errors
    ///
    /// The error of S3, unless the object does not exist.
    pub async fn read(
        bucket: &ReportBucket,
        key: &str,
        dataset: &'static Dataset,
        metadata: ReportMetadata,
    ) -> Result<Option<Self>, AwsError> {
        let body: Bytes = match aws::read_object(&bucket.client, &bucket.name, key).await {
            Ok(body) => body.into(),
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if sha256(&body) != metadata.sha256 {
            tracing::warn!(key, "the earlier report was replaced or damaged; its rows are collected again");
            return Ok(None);
        }
        let table = match dataset.shape {
            Shape::NewestDay => csv::decode(dataset, &body).map(Table::NewestDay),
            Shape::Series => series_csv::decode(dataset, &body).map(Table::Series),
        };
        match table {
            Ok(table) => Ok(Some(Self { metadata, table })),
            Err(error) => {
                tracing::warn!(
                    key,
                    "the earlier report can't be parsed ({error}); its rows are collected again"
                );
                Ok(None)
            }
        }
    }

    /// Its rows, for a report whose collection can't see them. Values collected before the settle time may have changed.
    #[must_use]
    pub fn into_carried(self) -> Table {
        let is_settled = self.metadata.is_settled();
        match self.table {
            Table::NewestDay(mut rows) => {
                rows.retain(|row| !row.status.lacks_something());
                if !is_settled {
                    for row in &mut rows {
                        (row.status, row.withholds_total) = (Status::Late, true);
                    }
                }
                Table::NewestDay(rows)
            }
            Table::Series(SeriesRows(rows)) => {
                let whole = rows.into_iter().filter(|(_, rows)| !rows.status.lacks_something());
                let carried = |rows| if is_settled { rows } else { series_csv::as_late(rows) };
                Table::Series(SeriesRows(whole.map(|(key, rows)| (key, carried(rows))).collect()))
            }
        }
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
