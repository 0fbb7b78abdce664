// SPDX-License-Identifier: Apache-2.0
//! A report before it is stored: its rows, their totals, and what it reuses of earlier attempts and reports.

use std::{io, mem, panic};

use fleet::{
    Dataset,
    report::{ReportMetadata, ReportStatus},
};

use tokio::task;

use crate::{
    cloudwatch::rows::Status,
    collect::Collection,
    failure::Failure,
    table::{
        Table,
        checkpoint::Checkpoint,
        content::{Content, sha256},
        csv, series_csv,
    },
    usage::Usage,
};

/// A report that is not stored yet.
#[derive(Debug)]
pub struct Report {
    pub metadata: ReportMetadata,
    table: Table,
    dataset: &'static Dataset,
    /// The calls of this attempt.
    usage: Usage,
    /// The calls of earlier attempts.
    before: Cost,
    /// Its share of the calls of this attempt.
    share: Share,
}

/// A report's share of the calls that an attempt made for several reports together.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// The index of the report.
    nth: u64,
    /// The number of reports.
    of: u64,
    /// What the attempt had spent before.
    since: Cost,
}

/// The calls of a job's attempts, and their cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    api_calls: u64,
    metrics: u64,
    dollars: f64,
}

/// How many rows are encoded without leaving the thread: about a millisecond.
const MOST_ROWS_AT_ONCE: u64 = 1_000;

impl Cost {
    fn of(report: &ReportMetadata) -> Self {
        Self {
            api_calls: report.api_calls,
            metrics: report.metrics_requested,
            dollars: report.estimated_cost_usd,
        }
    }

    /// What an attempt has spent so far.
    pub(crate) fn so_far(usage: &Usage) -> Self {
        Self { api_calls: usage.calls(), metrics: usage.metrics(), dollars: usage.dollars() }
    }
}

impl Share {
    const ALL: Self = Self { nth: 0, of: 1, since: Cost { api_calls: 0, metrics: 0, dollars: 0.0 } };

    /// The shares of `of` reports, in order. Their counts are whole numbers that add up to the total.
    pub(crate) fn each(of: usize, since: Cost) -> impl Iterator<Item = Self> {
        (0..of as u64).map(move |nth| Self { nth, of: of as u64, since })
    }

    fn of(self, usage: &Usage) -> Cost {
        let Self { nth, of, since } = self;
        let now = Cost::so_far(usage);
        let part = |all: u64| (nth + 1) * all / of - nth * all / of;
        #[expect(clippy::cast_precision_loss, reason = "a job has far fewer than 2^53 windows")]
        let dollars = (now.dollars - since.dollars) / of as f64;
        Cost {
            api_calls: part(now.api_calls.saturating_sub(since.api_calls)),
            metrics: part(now.metrics.saturating_sub(since.metrics)),
            dollars,
        }
    }
}

impl Report {
    /// The report of a collection, which includes the rows of `earlier` attempts.
    pub(crate) fn new(
        dataset: &'static Dataset,
        metadata: ReportMetadata,
        earlier: Option<&ReportMetadata>,
        usage: Usage,
        collected: Collection,
    ) -> Self {
        let Collection {
            table,
            regions_pending,
            regions_denied,
            lacks_directory_buckets,
            lacks_regions,
            lacks_tags,
            lacks_facts,
            first_error,
            ..
        } = collected;
        let metadata = ReportMetadata {
            regions_pending,
            regions_denied,
            lacks_directory_buckets,
            lacks_regions,
            lacks_tags,
            lacks_facts,
            first_error,
            ..metadata
        };
        let mut report = Self {
            metadata,
            table,
            dataset,
            usage,
            before: earlier.map(Cost::of).unwrap_or_default(),
            share: Share::ALL,
        };
        report.count();
        report
    }

    /// The same report, collected together with others.
    pub(crate) fn sharing(mut self, share: Share) -> Self {
        self.share = share;
        if share.of > 1 {
            self.metadata.job_windows = Some(u32::try_from(share.of).unwrap_or(u32::MAX));
        }
        self.count();
        self
    }

    /// Updates the totals in the metadata.
    fn count(&mut self) {
        let sum = |column: &Option<String>| {
            let mut columns = self.dataset.columns.iter().enumerate();
            let (at, column) = columns.find(|(_, it)| Some(&it.name) == column.as_ref())?;
            let Table::NewestDay(rows) = &self.table else { return None };
            let summed = csv::summed(self.dataset, column, at);
            Some(rows.iter().filter_map(|row| row.total(&summed)).sum())
        };
        let lacking = self.table.count(Status::lacks_something);
        let spent = self.share.of(&self.usage);
        let is_whole = self.metadata.regions_pending.is_empty() && lacking == 0;
        self.metadata = ReportMetadata {
            status: if is_whole { ReportStatus::Complete } else { ReportStatus::Partial },
            is_unfinished: self.metadata.is_unfinished && !is_whole,
            first_error: self.metadata.first_error.take().filter(|_| !is_whole),
            rows: self.table.count(|_| true),
            rows_late: self.table.count(|status| *status == Status::Late),
            rows_denied: self.table.count(|status| *status == Status::Denied),
            rows_error: self.table.count(|status| matches!(status, Status::Error(_))),
            bytes: sum(&self.dataset.bytes),
            objects: sum(&self.dataset.objects),
            api_calls: self.before.api_calls + spent.api_calls,
            metrics_requested: self.before.metrics + spent.metrics,
            estimated_cost_usd: self.before.dollars + spent.dollars,
            job_metrics: (self.share.of > 1)
                .then(|| self.usage.metrics().saturating_sub(self.share.since.metrics)),
            ..self.metadata.clone()
        };
    }

    /// Encodes the table, and updates the metadata for it.
    ///
    /// # Errors
    ///
    /// [`Failure::TemporaryFile`], if the table is long.
    pub async fn render(&mut self) -> Result<Content, Failure> {
        self.count();
        let mut table = mem::take(&mut self.table);
        let ReportMetadata { account_name, account_id, window, .. } = &self.metadata;
        let (dataset, name, id) = (self.dataset, account_name.clone(), account_id.clone());
        let date = window.date().day();
        let encode = move || {
            let subject = csv::Subject { dataset, account_name: &name, account_id: &id, date };
            let encoded = encode(&subject, &mut table);
            (encoded, table)
        };
        let is_long = self.metadata.rows > MOST_ROWS_AT_ONCE;
        let (encoded, table) = if is_long {
            // Other jobs, and other reports of this one, must not wait for it.
            task::spawn_blocking(encode)
                .await
                .unwrap_or_else(|error| panic::resume_unwind(error.into_panic()))
        } else {
            encode()
        };
        self.table = table;
        let (body, digest) = encoded.map_err(Failure::TemporaryFile)?;
        self.metadata.sha256 = digest;
        Ok(body)
    }

    /// Adds rows of an earlier report that this collection could not see: of resources without a row, and rows with values
    /// that only a listing finds.
    pub(crate) fn carry(&mut self, earlier: Table) {
        self.metadata.rows_carried += self.table.carry(self.dataset, earlier);
        self.count();
    }

    /// Merges what another worker has collected for the same job, and prefers rows that lack nothing.
    pub(crate) fn merge(&mut self, theirs: Checkpoint) {
        let Checkpoint { metadata, table } = theirs;
        self.table.merge(table);
        self.metadata.regions_pending.retain(|region| metadata.is_pending(region));
        self.metadata.collected_at = self.metadata.collected_at.min(metadata.collected_at);
        self.metadata.is_listed &= metadata.is_listed;
        self.metadata.rows_carried = self.metadata.rows_carried.max(metadata.rows_carried);
        // Their report includes the cost of the attempts before both.
        self.before = Cost::of(&metadata);
        self.count();
    }

    /// What is missing, as text.
    pub(crate) fn what_is_missing(&self) -> String {
        let ReportMetadata { rows_denied, rows_error, regions_pending, first_error, .. } = &self.metadata;
        let mut parts = Vec::new();
        if rows_denied + rows_error > 0 {
            parts.push(format!("{} of {} rows lack values", rows_denied + rows_error, self.metadata.rows));
        }
        if !regions_pending.is_empty() {
            parts.push(format!("not listed to the end: {}", regions_pending.join(", ")));
        }
        parts.extend(first_error.clone());
        parts.join("; ")
    }
}

/// Encodes a table, which then is in memory once. Returns it and its SHA-256.
fn encode(subject: &csv::Subject<'_>, table: &mut Table) -> io::Result<(Content, String)> {
    match table {
        Table::NewestDay(rows) => {
            let body = csv::encode(subject, rows);
            let digest = sha256(&body);
            Ok((body.into(), digest))
        }
        Table::Series(rows) => rows.join(&series_csv::header(subject.dataset)),
    }
}
