// SPDX-License-Identifier: Apache-2.0
//! The rows of a report: what passes between a collection and what stores it. They are encoded as [`csv`] or
//! [`series_csv`], and read back by a [`checkpoint`] or, for sinks, as a [`stored`] report.

pub mod checkpoint;
pub mod csv;
pub mod series_csv;
pub mod stored;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use fleet::{Dataset, datasets::Metric};

use crate::cloudwatch::rows::{self, Row, Status};

/// The rows of a report, by the shape of its dataset.
#[derive(Debug)]
pub enum Table {
    /// A row for each resource.
    NewestDay(Vec<Row>),
    /// Rows for each resource, one a period.
    Series(SeriesRows),
}

/// A resource and its region.
pub type Key = (Arc<str>, Arc<str>);

/// The rows of resources, in the order of the report. They are encoded as each resource is complete, so that no more than
/// what is in flight is held as numbers.
#[derive(Debug, Default)]
pub struct SeriesRows(pub BTreeMap<Key, Encoded>);

/// The encoded rows of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// A part of the whole table, once that is made.
    pub body: Bytes,
    pub rows: u64,
    /// That of each row.
    pub status: Status,
}

impl Default for Table {
    fn default() -> Self {
        Self::NewestDay(Vec::new())
    }
}

impl Table {
    /// How many rows have a status that `takes` takes.
    pub fn count(&self, takes: impl Fn(&Status) -> bool) -> u64 {
        match self {
            Self::NewestDay(rows) => rows.iter().filter(|row| takes(&row.status)).count() as u64,
            Self::Series(SeriesRows(rows)) => {
                rows.values().filter(|encoded| takes(&encoded.status)).map(|encoded| encoded.rows).sum()
            }
        }
    }

    /// The first row that lacks something, in words.
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
    /// Takes over rows of an earlier report that this table could not see: of resources that it has no row of, and those
    /// with values that only a listing finds. Gives how many.
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

    /// Takes in another table of the same resources: of each, the rows that lack nothing.
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
    /// The whole table below its header. Each resource's rows become a part of it, so that they are held once.
    pub fn join(&mut self, header: &[u8]) -> Bytes {
        let length = self.0.values().map(|encoded| encoded.body.len()).sum::<usize>();
        let mut whole = Vec::with_capacity(header.len() + length);
        whole.extend_from_slice(header);
        let mut ends = Vec::with_capacity(self.0.len());
        for encoded in self.0.values_mut() {
            whole.extend_from_slice(&std::mem::take(&mut encoded.body));
            ends.push(whole.len());
        }
        let whole = Bytes::from(whole);
        let mut begin = header.len();
        for (encoded, end) in self.0.values_mut().zip(ends) {
            encoded.body = whole.slice(begin..end);
            begin = end;
        }
        whole
    }

    /// Takes in rows of resources that it has none of, or of which it lacks something that they have.
    pub fn merge(&mut self, others: Self) {
        for (key, theirs) in others.0 {
            let known = self.0.entry(key).or_insert_with(|| theirs.clone());
            if known.status.lacks_something() && !theirs.status.lacks_something() {
                *known = theirs;
            }
        }
    }
}
