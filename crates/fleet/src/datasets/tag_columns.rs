// SPDX-License-Identifier: Apache-2.0
//! Which tags of its resources a dataset reads, and the columns that they are.

use super::{Cell, Column, Dataset, snake_case};

/// The column of a tag.
pub(super) fn column_of(key: &str) -> String {
    format!("tag_{}", snake_case(key))
}

impl Dataset {
    /// The keys of the tags that are read: those of columns, then those that only a selection needs.
    #[must_use]
    pub fn tag_keys(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = self.tags.iter().flat_map(|tags| &tags.keys).map(String::as_str).collect();
        let selected = self.selection.iter().flat_map(|selection| &selection.tags);
        for (key, _) in selected {
            if !keys.contains(&&**key) {
                keys.push(key);
            }
        }
        keys
    }

    /// Makes each of these tags a column, if its resources have tags. The columns stand before the measures.
    pub(super) fn set_tag_keys(&mut self, keys: &[String]) {
        let Some(tags) = &mut self.tags else { return };
        tags.keys = keys.to_vec();
        self.columns.retain(|column| !matches!(column.cell, Cell::Tag(_)));
        let before = self.columns.iter().position(|column| column.cell == Cell::PeriodSeconds);
        let at = before.map_or(0, |before| before + 1);
        let columns = keys.iter().enumerate();
        let columns = columns.map(|(nth, key)| Column { name: column_of(key), cell: Cell::Tag(nth) });
        self.columns.splice(at..at, columns);
    }
}
