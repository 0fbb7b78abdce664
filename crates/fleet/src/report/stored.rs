// SPDX-License-Identifier: Apache-2.0
//! A stored report, read row by row as it arrives, so that memory does not depend on its size.

use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_types::byte_stream::error::Error as ByteStreamError;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use csv_core::{ReadRecordResult, Reader};

use super::ReportMetadata;
use crate::{
    AwsError, Dataset, ErrorKind,
    datasets::{Cell as Content, Fact},
    existing::ExistingReport,
    from_sdk,
    report_bucket::ReportBucket,
};

const OPERATION: &str = "s3:GetObject";

/// A report of which one version is being read.
#[derive(Debug)]
pub struct StoredReport {
    pub key: String,
    /// Its version.
    pub etag: String,
    /// When it was written, by the report bucket's clock.
    pub written_at: DateTime<Utc>,
    pub metadata: ReportMetadata,
    pub dataset: &'static Dataset,
    columns: Vec<(String, Kind)>,
    lines: Lines,
}

/// How the text of a column is meant.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Number,
}

/// A row, whose cells have the columns of the report's header.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    columns: &'a [(String, Kind)],
    line: &'a Lines,
}

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Nothing is known.
    Unknown,
    Text(&'a str),
    /// The digits of a number.
    Number(&'a str),
}

/// Why a stored report can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error("the report at {key} is not a table: {what}")]
    NotATable { key: String, what: &'static str },
}

impl StoredReport {
    /// Begins to read a version of the report under a key; `None` if another is there now.
    pub async fn open(
        bucket: &ReportBucket,
        key: &str,
        version: ExistingReport,
        dataset: &'static Dataset,
    ) -> Result<Option<Self>, ReadError> {
        let object = bucket.client.get_object().bucket(&bucket.name).key(key).if_match(&version.etag);
        match object.send().await.map_err(|error| from_sdk(OPERATION, error)) {
            Ok(object) => Self::read(key, version, dataset, object.body).await.map(Some),
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::PreconditionFailed) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn read(
        key: &str,
        ExistingReport { etag, written_at, metadata }: ExistingReport,
        dataset: &'static Dataset,
        body: ByteStream,
    ) -> Result<Self, ReadError> {
        let (key, columns, lines) = (key.to_owned(), Vec::new(), Lines::new(body));
        let mut report = Self { key, etag, written_at, metadata, dataset, columns, lines };
        if !report.advance().await? {
            return Err(report.is_no_table("it is empty"));
        }
        // A report of another version may have other columns, which are taken as texts.
        let kind = |name: &str| {
            let column = dataset.columns.iter().find(|column| column.name == name);
            column.map_or(Kind::Text, |column| match column.cell {
                Content::Measure
                | Content::Total(_)
                | Content::Value
                | Content::Ratio(..)
                | Content::OfTimeout(_)
                | Content::LambdaCost(..)
                | Content::Arm64Saving(_)
                | Content::Fact(Fact::MemoryMb | Fact::TimeoutSeconds)
                | Content::PeriodSeconds => Kind::Number,
                _ => Kind::Text,
            })
        };
        report.columns = report.lines.cells().map(|name| (name.to_owned(), kind(name))).collect();
        Ok(report)
    }

    /// The names of its columns, in order.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| &**name)
    }

    /// The next row; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Row<'_>>, ReadError> {
        if !self.advance().await? {
            return Ok(None);
        }
        if self.lines.cells().count() != self.columns.len() {
            return Err(self.is_no_table("a row has more or fewer cells than the header"));
        }
        Ok(Some(Row { columns: &self.columns, line: &self.lines }))
    }

    async fn advance(&mut self) -> Result<bool, ReadError> {
        let is_there = self.lines.next().await?;
        // Two cells that are no text may be one together.
        let is_text = std::str::from_utf8(self.lines.text()).is_ok_and(|text| {
            self.lines.ends.iter().take(self.lines.count).all(|end| text.is_char_boundary(*end))
        });
        if is_text { Ok(is_there) } else { Err(self.is_no_table("it is not UTF-8")) }
    }

    fn is_no_table(&self, what: &'static str) -> ReadError {
        ReadError::NotATable { key: self.key.clone(), what }
    }
}

/// Whether a spreadsheet takes a text for a formula by its first character. A report has a quote in front of it.
///
/// Source: <https://owasp.org/www-community/attacks/CSV_Injection>
#[must_use]
pub fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
}

/// The text of a cell without the quote before a formula.
#[must_use]
pub fn plain(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(text) if is_formula(text) => text,
        _ => cell,
    }
}

impl<'a> Row<'a> {
    /// Each cell, with the name of its column.
    pub fn cells(self) -> impl Iterator<Item = (&'a str, Cell<'a>)> {
        self.columns.iter().zip(self.line.cells()).map(|((name, kind), text)| (&**name, cell(*kind, text)))
    }

    /// The cell in the column at this place.
    #[must_use]
    pub fn get(self, place: usize) -> Cell<'a> {
        let Some((_, kind)) = self.columns.get(place) else { return Cell::Unknown };
        cell(*kind, self.line.cell(place))
    }
}

fn cell(kind: Kind, text: &str) -> Cell<'_> {
    match kind {
        _ if text.is_empty() => Cell::Unknown,
        Kind::Text => Cell::Text(plain(text)),
        Kind::Number => Cell::Number(text),
    }
}

/// The lines of a CSV file that arrives in pieces.
struct Lines {
    body: ByteStream,
    reader: Box<Reader>,
    /// What has arrived and is not read yet.
    arrived: Bytes,
    has_ended: bool,
    /// The cells of the line, one after another, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    length: usize,
    count: usize,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

impl Lines {
    fn new(body: ByteStream) -> Self {
        let (text, ends) = (vec![0; 1024], vec![0; 64]);
        let reader = Box::new(Reader::new());
        Self { body, reader, arrived: Bytes::new(), has_ended: false, text, ends, length: 0, count: 0 }
    }

    /// Reads the next line; whether there is one.
    async fn next(&mut self) -> Result<bool, AwsError> {
        (self.length, self.count) = (0, 0);
        loop {
            // The reader takes an empty input for the end.
            while self.arrived.is_empty() && !self.has_ended {
                match self.body.next().await {
                    Some(piece) => self.arrived = piece.map_err(|error| broken(&error))?,
                    None => self.has_ended = true,
                }
            }
            let text = self.text.get_mut(self.length..).unwrap_or_default();
            let ends = self.ends.get_mut(self.count..).unwrap_or_default();
            let (result, read, written, ended) = self.reader.read_record(&self.arrived, text, ends);
            self.arrived = self.arrived.split_off(read);
            self.length += written;
            self.count += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => return Ok(true),
                ReadRecordResult::End => return Ok(false),
            }
        }
    }

    fn text(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or_default()
    }

    /// The cell at this place; empty if there is none.
    fn cell(&self, place: usize) -> &str {
        let ends = self.ends.get(..self.count).unwrap_or_default();
        let begin = place.checked_sub(1).map_or(Some(0), |before| ends.get(before).copied());
        let cell = begin.zip(ends.get(place)).and_then(|(begin, end)| self.text().get(begin..*end));
        // It was checked when the line was read.
        cell.and_then(|cell| std::str::from_utf8(cell).ok()).unwrap_or_default()
    }

    fn cells(&self) -> impl Iterator<Item = &str> {
        let text = std::str::from_utf8(self.text()).unwrap_or_default();
        let mut begin = 0;
        self.ends
            .iter()
            .take(self.count)
            .map(move |end| text.get(std::mem::replace(&mut begin, *end)..*end).unwrap_or_default())
    }
}

fn broken(error: &ByteStreamError) -> AwsError {
    AwsError::new(ErrorKind::Transient, OPERATION, "BrokenAnswer").message(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::{Job, ReportDate, RunId, datasets::DEFAULT};

    /// The rows of a body that arrives in pieces of at most `size` bytes.
    async fn rows(text: &str, size: usize) -> Result<Vec<Vec<String>>, ReadError> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        let body = ByteStream::read_from().path(file.path()).buffer_size(size).build().await.expect("a body");
        let job = Job {
            account_name: "data".parse().expect("a name"),
            windows: "2026-11-03".parse::<ReportDate>().expect("a day").into(),
            dataset: *DEFAULT,
            run_id: RunId::generate(),
            only_incomplete: false,
            settle: None,
            attributes: serde_json::Map::new(),
        };
        let id = "111111111111".parse().expect("an id");
        let metadata = ReportMetadata::new(&job, id, Utc::now());
        let version = ExistingReport { etag: "e".to_owned(), written_at: Utc::now(), metadata };
        let mut report = StoredReport::read("k", version, *DEFAULT, body).await?;
        let mut rows = Vec::new();
        while let Some(row) = report.next().await? {
            rows.push(row.cells().map(|(column, cell)| format!("{column} {cell:?}")).collect());
        }
        Ok(rows)
    }

    #[tokio::test]
    async fn cells_are_what_their_columns_say() {
        let text = "bucket_name,size_total,later\n\"a\"\"b\nc\",7,8\n'=x,,\n";
        let expected = [
            vec!["bucket_name Text(\"a\\\"b\\nc\")", "size_total Number(\"7\")", "later Text(\"8\")"],
            vec!["bucket_name Text(\"=x\")", "size_total Unknown", "later Unknown"],
        ];
        for size in [1, 2, 7, 4096] {
            assert_eq!(rows(text, size).await.expect("a table"), expected, "{size}");
        }
        assert!(rows("bucket_name\n", 3).await.expect("a table").is_empty());
    }

    #[tokio::test]
    async fn what_is_no_table_is_refused() {
        for (text, expected) in
            [("", "it is empty"), ("a,b\n1\n", "a row has more or fewer cells than the header")]
        {
            let error = rows(text, 5).await.expect_err(text).to_string();
            assert_eq!(error, format!("the report at k is not a table: {expected}"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// However a table is cut into pieces, its rows are those of the `csv` crate.
        #[test]
        fn any_table_is_read_as_other_readers_do(
            cells in prop::collection::vec("[a\"\n, ]{0,300}|.{0,9}", 1..60),
            width in 1usize..100,
            size in 50usize..700,
        ) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            let header: Vec<String> = (0..width).map(|nth| format!("c{nth}")).collect();
            writer.write_record(&header).expect("written");
            let mut expected = Vec::new();
            for line in cells.chunks_exact(width) {
                writer.write_record(line).expect("written");
                expected.push(line.len());
            }
            let text = String::from_utf8(writer.into_inner().expect("written")).expect("UTF-8");
            let read = tokio::runtime::Runtime::new().expect("a runtime").block_on(rows(&text, size)).expect("a table");
            prop_assert_eq!(read.iter().map(Vec::len).collect::<Vec<_>>(), expected);
            for (line, read) in cells.chunks_exact(width).zip(read) {
                for (nth, (cell, read)) in line.iter().zip(read).enumerate() {
                    let cell = match plain(cell) {
                        "" => format!("c{nth} Unknown"),
                        plain => format!("c{nth} {:?}", Cell::Text(plain)),
                    };
                    prop_assert_eq!(read, cell);
                }
            }
        }
    }
}
