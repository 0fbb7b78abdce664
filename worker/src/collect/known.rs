// SPDX-License-Identifier: Apache-2.0
//! The windows to collect, and what earlier attempts have collected of them, so that it is not asked for again. Only a summary of their
//! checkpoints is held while CloudWatch is asked: each one's rows are read once more when its report is made.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use fleet::{Window, aws, datasets::Shape};

use crate::table::{Key, SeriesRows, Table, checkpoint::Checkpoint};

/// The windows to collect together, and the resources of which earlier attempts have all their rows.
#[derive(Debug)]
pub struct Known {
    shape: Shape,
    /// In order.
    windows: Vec<Window>,
    /// How many windows have a checkpoint.
    begun: usize,
    /// In how many windows a resource has rows that lack nothing.
    complete: HashMap<Key, usize>,
    /// The resources that lack something in at least one window.
    lacking: BTreeSet<Key>,
    /// The regions that were not listed to the end for at least one window.
    pending: BTreeSet<Arc<str>>,
}

impl Known {
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let (windows, complete, lacking, pending) = Default::default();
        Self { shape, windows, begun: 0, complete, lacking, pending }
    }

    /// Adds the next window, with its checkpoint if it has one.
    pub fn add(&mut self, window: Window, checkpoint: Option<&Checkpoint>) {
        self.windows.push(window);
        let Some(Checkpoint { metadata, table }) = checkpoint else { return };
        self.begun += 1;
        let pending = metadata.regions_pending.iter().filter(|region| aws::is_region(region));
        self.pending.extend(pending.map(|region| Arc::from(region.as_str())));
        let mut add = |key: Key, lacks_something| {
            if lacks_something {
                self.lacking.insert(key);
            } else {
                *self.complete.entry(key).or_default() += 1;
            }
        };
        match table {
            Table::NewestDay(rows) => {
                for row in rows {
                    // Those without a region are looked for again.
                    let Some(region) = row.resource.region.clone() else { continue };
                    add((row.resource.name.clone(), region), row.status.lacks_something());
                }
            }
            Table::Series(SeriesRows(rows)) => {
                for (key, encoded) in rows {
                    add(key.clone(), encoded.status.lacks_something());
                }
            }
        }
    }

    /// The windows to collect, in order.
    #[must_use]
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// Whether a window has a checkpoint.
    pub(super) fn has_begun(&self) -> bool {
        self.begun > 0
    }

    /// Whether there is any row.
    pub(super) fn has_rows(&self) -> bool {
        !(self.complete.is_empty() && self.lacking.is_empty())
    }

    /// Whether the region has been listed to the end for each window.
    pub(super) fn has_listed(&self, region: &str) -> bool {
        self.begun == self.windows.len() && self.begun > 0 && !self.pending.contains(region)
    }

    /// The resources of which nothing has to be asked, with their regions.
    pub(super) fn complete(&self) -> impl Iterator<Item = &Key> {
        self.complete.iter().filter(|(key, windows)| self.is_complete(key, **windows)).map(|(key, _)| key)
    }

    /// The resources of one region of which nothing has to be asked.
    pub(super) fn complete_in(&self, region: &str) -> HashSet<Arc<str>> {
        self.complete().filter(|(_, of)| **of == *region).map(|(resource, _)| resource.clone()).collect()
    }

    /// The other resources that have rows: they are asked for again.
    pub(super) fn incomplete(&self) -> impl Iterator<Item = &Key> {
        let in_some = self
            .complete
            .iter()
            .filter(|(key, windows)| !self.lacking.contains(*key) && !self.is_complete(key, **windows));
        self.lacking.iter().chain(in_some.map(|(key, _)| key))
    }

    /// The regions in which earlier attempts have left something.
    pub(super) fn incomplete_regions(&self) -> impl Iterator<Item = Arc<str>> {
        self.incomplete().map(|(_, region)| region.clone()).chain(self.pending.iter().cloned())
    }

    fn is_complete(&self, key: &Key, windows: usize) -> bool {
        let (_, region) = key;
        // A deleted resource has no row of a day on which it has no value.
        let may_have_no_row = self.shape == Shape::NewestDay && self.has_listed(region);
        !self.lacking.contains(key) && (windows == self.windows.len() || may_have_no_row)
    }
}
