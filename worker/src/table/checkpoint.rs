// SPDX-License-Identifier: Apache-2.0
//! What earlier attempts of a job have collected: the rows of their partial report. Only rows that lack something are
//! queried, and billed, again.

use std::{io, panic, time::Duration};

use chrono::{DateTime, Utc};
use fleet::{
    AccountId, AwsError, Dataset, ErrorKind, Job,
    datasets::{Period, Shape},
    from_sdk,
    report::{ReportMetadata, ReportStatus},
    report_bucket::ReportBucket,
};
use tokio::{task, time::timeout};

use super::{
    SeriesRows, Table,
    content::{Content, Writer},
    csv, series_csv,
};
use crate::{cloudwatch::rows::Status, failure::Failure};

/// The longest pause between two pieces of an object.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A stored report with its rows.
#[derive(Debug)]
pub struct Checkpoint {
    pub metadata: ReportMetadata,
    pub table: Table,
}

impl Checkpoint {
    /// Whether a job may continue from a report: a partial one of the same day, account, period and measures, by an earlier attempt
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
            && metadata.measures == job.dataset.hidden_measures()
            && (metadata.run_id == job.run_id || metadata.is_settled())
    }

    /// Reads the report with this metadata. `None` if it has been deleted or replaced since, or can't be parsed: its rows
    /// are then collected again.
    ///
    /// # Errors
    ///
    /// The error of S3, unless the object does not exist, or that of a temporary file.
    pub async fn read(
        bucket: &ReportBucket,
        key: &str,
        dataset: &'static Dataset,
        metadata: ReportMetadata,
    ) -> Result<Option<Self>, Failure> {
        let Some((body, digest)) = read(bucket, key).await? else { return Ok(None) };
        if digest != metadata.sha256 {
            tracing::warn!(key, "the earlier report was replaced or damaged; its rows are collected again");
            return Ok(None);
        }
        // A long table takes a while to be parsed.
        let table = task::spawn_blocking(move || match dataset.shape {
            Shape::NewestDay => {
                let body = body.read().map_err(::csv::Error::from)?;
                csv::decode(dataset, &body).map(Table::NewestDay)
            }
            Shape::Series => series_csv::decode(dataset, &body).map(Table::Series),
        });
        let table = table.await.unwrap_or_else(|error| panic::resume_unwind(error.into_panic()));
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
    ///
    /// # Errors
    ///
    /// That of a temporary file.
    pub fn into_carried(self) -> Result<Table, Failure> {
        let is_settled = self.metadata.is_settled();
        Ok(match self.table {
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
                let carried =
                    |(key, rows)| Ok((key, if is_settled { rows } else { series_csv::as_late(rows)? }));
                let carried = whole.map(carried).collect::<io::Result<_>>();
                Table::Series(SeriesRows(carried.map_err(Failure::TemporaryFile)?))
            }
        })
    }
}

/// The object under a key, however long, and its SHA-256; `None` if there is none.
async fn read(bucket: &ReportBucket, key: &str) -> Result<Option<(Content, String)>, Failure> {
    const OPERATION: &str = "s3:GetObject";
    let object = bucket.client.get_object().bucket(&bucket.name).key(key).send().await;
    let mut object = match object.map_err(|error| from_sdk(OPERATION, error)) {
        Ok(object) => object,
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::ReportBucket(error)),
    };
    let length = object.content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or_default();
    let mut content = Writer::new(length).map_err(Failure::TemporaryFile)?;
    let broken = |code: &'static str, message: String| {
        Failure::ReportBucket(AwsError::new(ErrorKind::Transient, OPERATION, code).message(message))
    };
    loop {
        // The SDK's timeout covers only the start of the response.
        let piece = timeout(LONGEST_PAUSE, object.body.next()).await;
        let piece = piece.map_err(|_| broken("Timeout", "the object stopped to arrive".into()))?;
        let Some(piece) = piece else { break };
        let piece = piece.map_err(|error| broken("BrokenAnswer", error.to_string()))?;
        content.add(&piece).map_err(Failure::TemporaryFile)?;
    }
    content.finish().map(Some).map_err(Failure::TemporaryFile)
}
