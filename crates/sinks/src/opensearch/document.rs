// SPDX-License-Identifier: Apache-2.0
//! Rows as documents. Pure functions.

use std::io::Write;

use base64_simd::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Utc};
use fleet::{
    datasets::{Cell as Content, Shape},
    report::stored::{Cell, Row, StoredReport},
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    bulk::{Batch, Item},
    mapping::{COVERAGE, FACTS_OF_GAPS},
};

/// What tells the rows of a resource apart. Only a table with a row for each value has metrics and statistics in columns.
const OF_SERIES: [Content; 4] =
    [Content::PeriodStart, Content::PeriodSeconds, Content::Metric, Content::Statistic];

/// Makes the documents of one report.
#[derive(Debug)]
pub(super) struct Documents {
    prefix: String,
    dataset: &'static str,
    account_id: String,
    /// For each column the name with its quotes and its colon; `None` if no template has it, in a report of another version.
    names: Vec<Option<String>>,
    /// The columns that tell one resource from another, and those that tell its rows apart.
    resource: Vec<usize>,
    row: Vec<usize>,
    /// The column with the time of a row, if it has a datapoint at all.
    time: Option<usize>,
    has_datapoint: Option<usize>,
    /// What a document of a gap has besides, by the columns that there are.
    shown: Vec<(&'static str, usize)>,
    /// The columns of the path that tells a resource from all others, in order.
    path: Vec<usize>,
    /// What is the same in all documents.
    common: String,
    window: (DateTime<Utc>, DateTime<Utc>),
    /// The month of the last document, and its index.
    month: String,
    index: String,
    version: i64,
    /// Whether documents of gaps may be there that an earlier report had.
    may_fill_gaps: bool,
    tells_of_gaps: bool,
    /// The first month of which documents are kept: `2026-11`.
    oldest: Option<String>,
    skipped: u64,
    last_filled: Vec<u8>,
}

/// Why a row is no document.
#[derive(Debug, thiserror::Error)]
#[error("the report has a row without a time that can be read: {0:?}")]
pub(super) struct NoTime(String);

impl Documents {
    /// `is_known`: whether an earlier delivery of this report, or of one that it replaces, has begun.
    pub(super) fn new(
        prefix: &str,
        report: &StoredReport,
        is_known: bool,
        oldest: Option<NaiveDate>,
    ) -> Self {
        let (dataset, metadata) = (report.dataset, &report.metadata);
        let columns: Vec<(String, Option<Content>)> = report
            .columns()
            .map(|name| {
                let column = dataset.columns.iter().find(|column| column.name == name);
                (name.to_owned(), column.map(|column| column.cell))
            })
            .collect();
        let place = |cell: Content| columns.iter().position(|(_, known)| *known == Some(cell));
        let resource = (0..dataset.resource.len()).map(Content::Resource).chain([Content::Region]);
        let (time, has_datapoint, row) = match dataset.shape {
            Shape::Series => (Content::PeriodStart, Content::PeriodStart, &OF_SERIES[..]),
            Shape::NewestDay => (Content::ReportDate, Content::DatapointDate, &[Content::ReportDate][..]),
        };
        let mut common = Map::new();
        common.insert("dataset".to_owned(), dataset.name.into());
        common.insert("run_id".to_owned(), metadata.run_id.as_str().into());
        common.insert("collected_at".to_owned(), moment(metadata.collected_at).into());
        if place(Content::Settled).is_none() {
            common.insert("settled".to_owned(), metadata.is_settled().into());
        }
        let attributes = metadata.attributes.clone().filter(|attributes| !attributes.is_empty());
        common.extend(attributes.map(|attributes| ("attributes".to_owned(), Value::Object(attributes))));
        Self {
            prefix: prefix.to_owned(),
            dataset: dataset.name,
            account_id: metadata.account_id.as_str().to_owned(),
            names: columns
                .iter()
                .map(|(name, known)| known.map(|_| format!("{}:", Value::from(&**name))))
                .collect(),
            resource: resource.filter_map(place).collect(),
            row: row.iter().copied().filter_map(place).collect(),
            time: place(time),
            has_datapoint: place(has_datapoint),
            shown: [
                ("account_name", Content::AccountName),
                ("region", Content::Region),
                ("status", Content::Status),
                // If its rows settle one by one.
                ("settled", Content::Settled),
            ]
            .into_iter()
            .chain(FACTS_OF_GAPS.map(|(name, fact)| (name, Content::Fact(fact))))
            .filter_map(|(name, content)| Some((name, place(content)?)))
            .collect(),
            path: [Content::AccountName, Content::Region]
                .into_iter()
                .chain((0..dataset.resource.len()).map(Content::Resource))
                .filter_map(place)
                .collect(),
            // Without its braces: it follows other fields.
            common: Value::Object(common).to_string().trim_start_matches('{').to_owned(),
            window: (metadata.window.start(), metadata.window.end()),
            month: String::new(),
            index: String::new(),
            version: report.written_at.timestamp_millis(),
            may_fill_gaps: is_known,
            tells_of_gaps: false,
            oldest: oldest.map(|oldest| oldest.format("%Y-%m").to_string()),
            skipped: 0,
            last_filled: Vec::new(),
        }
    }

    /// Whether a document says that a resource has no datapoint.
    pub(super) fn tells_of_gaps(&self) -> bool {
        self.tells_of_gaps
    }

    /// How many rows are no documents because they are past the retention.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Adds the documents of a row.
    pub(super) fn add(&mut self, row: Row<'_>, batch: &mut Batch) -> Result<(), NoTime> {
        let is_known = |place: Option<usize>| place.is_some_and(|place| row.get(place) != Cell::Unknown);
        let has_datapoint = is_known(self.has_datapoint);
        let time = match self.time.map_or(Cell::Unknown, |time| row.get(time)) {
            _ if !has_datapoint => None,
            Cell::Text(time) => Some(time),
            other => return Err(NoTime(format!("{other:?}"))),
        };
        let Some(time) = time else {
            if self.is_past_retention(&moment(self.window.0)) {
                self.skipped += 1;
            } else {
                self.tells_of_gaps = true;
                self.add_gap(row, batch);
            }
            return Ok(());
        };
        let month = month_of(time).ok_or_else(|| NoTime(time.to_owned()))?;
        if self.is_past_retention(time) {
            self.skipped += 1;
            return Ok(());
        }
        if self.may_fill_gaps {
            self.fill_gap(row, batch);
        }
        if self.month != month {
            if !is_month(month) {
                return Err(NoTime(time.to_owned()));
            }
            month.clone_into(&mut self.month);
            self.index = format!("{}-{}-{}", self.prefix, self.dataset, month.replace('-', "."));
        }
        let Batch { body, items } = batch;
        let begin = body.len();
        let id = self.id(row, self.resource.iter().chain(&self.row), self.dataset);
        action(body, "index", &self.index, &id, self.version);
        body.extend_from_slice(b"{\"@timestamp\":");
        text(body, time);
        let names = self.names.iter().enumerate();
        for (place, name) in names.filter_map(|(place, name)| Some((place, name.as_ref()?))) {
            match row.get(place) {
                Cell::Unknown => {}
                Cell::Text(cell) => {
                    body.push(b',');
                    body.extend_from_slice(name.as_bytes());
                    text(body, cell);
                }
                Cell::Number(digits) => {
                    body.push(b',');
                    body.extend_from_slice(name.as_bytes());
                    body.extend_from_slice(digits.as_bytes());
                }
            }
        }
        self.end(row, body);
        items.push(Item { begin, end: body.len() });
        Ok(())
    }

    /// Whether documents of a time are no longer kept.
    fn is_past_retention(&self, time: &str) -> bool {
        let month = month_of(time).unwrap_or(time);
        self.oldest.as_deref().is_some_and(|oldest| month < oldest)
    }

    /// A document that says that a resource has no datapoint in the window.
    fn add_gap(&self, row: Row<'_>, Batch { body, items }: &mut Batch) {
        let begin = body.len();
        let (from, to) = self.window;
        action(body, "index", &self.index_of_gaps(), &self.id_of_gap(row), self.version);
        body.extend_from_slice(b"{\"@timestamp\":");
        text(body, &moment(from));
        body.extend_from_slice(b",\"window_end\":");
        text(body, &moment(to));
        body.extend_from_slice(b",\"account_id\":");
        text(body, &self.account_id);
        // All dimensions in one field: every dataset has others.
        let dimensions = self.resource.iter().rev().skip(1).rev().filter_map(|place| match row.get(*place) {
            Cell::Text(value) | Cell::Number(value) => Some(value),
            Cell::Unknown => None,
        });
        body.extend_from_slice(b",\"resource\":");
        text(body, &dimensions.collect::<Vec<_>>().join("/"));
        for (name, place) in &self.shown {
            if let Cell::Text(value) = row.get(*place) {
                body.extend_from_slice(format!(",\"{name}\":").as_bytes());
                text(body, value);
            }
        }
        self.end(row, body);
        items.push(Item { begin, end: body.len() });
    }

    /// Deletes what an earlier report may have said of a resource that has a datapoint now.
    fn fill_gap(&mut self, row: Row<'_>, Batch { body, items }: &mut Batch) {
        let id = self.id_of_gap(row);
        // A resource's rows come one after another.
        if self.last_filled == id.as_bytes() {
            return;
        }
        let begin = body.len();
        action(body, "delete", &self.index_of_gaps(), &id, self.version);
        items.push(Item { begin, end: body.len() });
        self.last_filled = id.into_bytes();
    }

    fn index_of_gaps(&self) -> String {
        let (from, _) = self.window;
        format!("{}-{COVERAGE}-{}.{:02}", self.prefix, from.year(), from.month())
    }

    fn id_of_gap(&self, row: Row<'_>) -> String {
        let (from, to) = self.window;
        self.id(row, self.resource.iter(), &format!("{} {}/{}", self.dataset, moment(from), moment(to)))
    }

    /// An id that no other row has: a hash of what tells it apart, whose parts can't run into each other.
    fn id<'a>(&self, row: Row<'_>, places: impl Iterator<Item = &'a usize>, what: &str) -> String {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        part(what);
        part(&self.account_id);
        for place in places {
            match row.get(*place) {
                Cell::Unknown => part(""),
                Cell::Text(text) | Cell::Number(text) => part(text),
            }
        }
        URL_SAFE_NO_PAD.encode_to_string(hash.finalize())
    }

    fn end(&self, row: Row<'_>, body: &mut Vec<u8>) {
        let mut path = String::new();
        for place in &self.path {
            if let Cell::Text(part) | Cell::Number(part) = row.get(*place) {
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(part);
            }
        }
        body.extend_from_slice(b",\"resource_path\":");
        text(body, &path);
        body.push(b',');
        body.extend_from_slice(self.common.as_bytes());
        body.push(b'\n');
    }
}

fn action(body: &mut Vec<u8>, what: &str, index: &str, id: &str, version: i64) {
    // None of them has a character that JSON escapes.
    let line = format_args!(
        "{{\"{what}\":{{\"_index\":\"{index}\",\"_id\":\"{id}\",\"version\":{version},\"version_type\":\"external_gte\"}}}}"
    );
    writeln!(body, "{line}").expect("cannot fail: it is memory");
}

fn text(body: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(body, text).expect("cannot fail: it is a text in memory");
}

fn moment(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The month of a day or a time: `2026-11`.
fn month_of(text: &str) -> Option<&str> {
    text.get(..7)
}

fn is_month(text: &str) -> bool {
    NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").is_ok()
}
