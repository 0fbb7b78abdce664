// SPDX-License-Identifier: Apache-2.0
//! The rows of a report, between their collection and their storage. [`csv`] or [`series_csv`] encode them; a
//! [`checkpoint`] reads them back, and [`fleet::report::stored`] reads whole reports, for sinks.

pub mod checkpoint;
pub mod content;
pub mod csv;
pub mod series_csv;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    sync::Arc,
};

use fleet::{Dataset, datasets::Metric};

use self::content::{Content, Writer};
use crate::cloudwatch::rows::{self, Row, Status};

/// The rows of a report, by the shape of its dataset.
#[derive(Debug)]
pub enum Table {
    /// A row for each resource.
    NewestDay(Vec<Row>),
    /// A row for each resource and period.
    Series(SeriesRows),
}

/// A resource and its region.
pub type Key = (Arc<str>, Arc<str>);

/// The encoded rows of resources, in the order of the report. Each resource is encoded as soon as it is complete, so that
/// only the resources in flight are held as numbers. Many rows are kept in a file.
#[derive(Debug, Default)]
pub struct SeriesRows(pub BTreeMap<Key, Encoded>);

/// The encoded rows of one resource.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// A slice of the whole table once that is joined.
    pub body: Content,
    pub rows: u64,
    /// The status of each row.
    pub status: Status,
}

impl Default for Table {
    fn default() -> Self {
        Self::NewestDay(Vec::new())
    }
}

impl Table {
    /// The number of rows whose status matches.
    pub fn count(&self, matches: impl Fn(&Status) -> bool) -> u64 {
        match self {
            Self::NewestDay(rows) => rows.iter().filter(|row| matches(&row.status)).count() as u64,
            Self::Series(SeriesRows(rows)) => {
                rows.values().filter(|encoded| matches(&encoded.status)).map(|encoded| encoded.rows).sum()
            }
        }
    }

    /// The first row that lacks something, as text.
    #[must_use]
    pub fn first_lacking(&self) -> Option<String> {
        match self {
            Self::NewestDay(rows) => {
                let row = rows.iter().find(|row| row.status.lacks_something())?;
                Some(format!("{}: {}", row.resource.name, row.status))
            }
            Self::Series(SeriesRows(rows)) => {
                let ((resource, _), encoded) =
                    rows.iter().find(|(_, encoded)| encoded.status.lacks_something())?;
                Some(format!("{}: {}", resource.replace('\u{1f}', "/"), encoded.status))
            }
        }
    }
}

impl Table {
    /// Adds rows of an earlier report that this collection could not see: of resources without a row, and rows with values
    /// that only a listing finds. Returns their number.
    pub fn carry(&mut self, dataset: &Dataset, earlier: Self) -> u64 {
        match (self, earlier) {
            (Self::NewestDay(rows), Self::NewestDay(earlier)) => carry(rows, dataset, earlier),
            (Self::Series(rows), Self::Series(earlier)) => {
                let mut carried = 0;
                for (key, encoded) in earlier.0 {
                    rows.0.entry(key).or_insert_with(|| {
                        carried += encoded.rows;
                        encoded
                    });
                }
                carried
            }
            // Reports of one dataset have one shape.
            _ => 0,
        }
    }

    /// Merges another table of the same resources, and prefers rows that lack nothing.
    pub fn merge(&mut self, others: Self) {
        match (self, others) {
            (Self::NewestDay(rows), Self::NewestDay(others)) => merge(rows, others),
            (Self::Series(rows), Self::Series(others)) => rows.merge(others),
            _ => {}
        }
    }
}

fn carry(rows: &mut Vec<Row>, dataset: &Dataset, earlier: Vec<Row>) -> u64 {
    if earlier.is_empty() {
        return 0;
    }
    let only_listed: HashSet<&str> = dataset.metrics.iter().filter_map(Metric::other).collect();
    let columns = (0..).zip(&dataset.columns);
    let only_listed: Vec<u16> =
        columns.filter(|(_, column)| only_listed.contains(&*column.name)).map(|(at, _)| at).collect();
    let places: HashMap<_, usize> =
        rows.iter().enumerate().map(|(place, row)| (row.resource.key(), place)).collect();
    let mut carried = 0;
    for row in earlier {
        let known = places.get(&row.resource.key()).and_then(|place| rows.get_mut(*place));
        match known {
            None => rows.push(row),
            Some(known) if *known != row && only_listed.iter().any(|at| row.value(*at).is_some()) => {
                *known = row;
            }
            Some(_) => continue,
        }
        carried += 1;
    }
    rows::sort(rows);
    carried
}

fn merge(rows: &mut Vec<Row>, others: Vec<Row>) {
    let mut ours: HashMap<_, Row> =
        std::mem::take(rows).into_iter().map(|row| (row.resource.key(), row)).collect();
    for row in others {
        let known = ours.entry(row.resource.key());
        let lacks_something = row.status.lacks_something();
        known
            .and_modify(|known| {
                if known.status.lacks_something() && !lacks_something {
                    known.clone_from(&row);
                }
            })
            .or_insert(row);
    }
    *rows = ours.into_values().collect();
    rows::sort(rows);
}

impl SeriesRows {
    /// The length of the whole table.
    #[must_use]
    pub fn len(&self, header: &[u8]) -> u64 {
        header.len() as u64 + self.0.values().map(|encoded| encoded.body.len()).sum::<u64>()
    }

    /// The whole table, and its SHA-256. The rows of each resource become a slice of it, so that they are held only once.
    ///
    /// # Errors
    ///
    /// That of the file system, if the table is long.
    pub fn join(&mut self, header: &[u8]) -> io::Result<(Content, String)> {
        let mut whole = Writer::new(self.len(header))?;
        whole.add(header)?;
        for encoded in self.0.values() {
            whole.add(&encoded.body.read()?)?;
        }
        let (whole, digest) = whole.finish()?;
        let mut begin = header.len() as u64;
        for encoded in self.0.values_mut() {
            let end = begin + encoded.body.len();
            encoded.body = whole.slice(begin..end);
            begin = end;
        }
        Ok((whole, digest))
    }

    /// Adds rows of resources that are missing or incomplete here.
    pub fn merge(&mut self, others: Self) {
        for (key, theirs) in others.0 {
            let known = self.0.entry(key).or_insert_with(|| theirs.clone());
            if known.status.lacks_something() && !theirs.status.lacks_something() {
                *known = theirs;
            }
        }
    }
}
