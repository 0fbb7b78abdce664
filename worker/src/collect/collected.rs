// SPDX-License-Identifier: Apache-2.0
//! What a collection has of all its windows. The table of each is made when it is stored, since the rows of a year of days
//! take far more memory than their values.

use std::{collections::HashSet, mem, sync::Arc};

use fleet::{AwsError, ErrorKind, Window};

use super::{
    collection::{Collection, RegionOutcome},
    region_health::Interruption,
};
use crate::{
    cloudwatch::{
        history::History,
        plan,
        rows::{self, Answer, Problem, Reading, Resource, Row},
    },
    table::{Key, SeriesRows, Table, checkpoint::Checkpoint},
};

/// The values of a resource: of one day, or of many.
#[derive(Debug, Clone)]
pub(super) enum Values {
    Day(Reading),
    Days(History),
}

/// What a collection has, before the tables are made.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is of a permission of its own")]
pub struct Collected {
    pub(super) outcomes: Vec<RegionOutcome>,
    pub(super) found: Found,
    pub(super) lacks_directory_buckets: bool,
    pub(super) lacks_regions: bool,
    pub(super) lacks_tags: bool,
    pub(super) lacks_facts: bool,
}

#[derive(Debug)]
pub(super) enum Found {
    NewestDay {
        lookback_days: u32,
        /// In the order of the report.
        resources: Vec<(Resource, Values)>,
        /// Resources whose region could not be found out, and why.
        lost: Vec<(Resource, Problem)>,
    },
    Series {
        /// The encoded rows of each window.
        windows: Vec<(Window, SeriesRows)>,
        /// The regions that were listed to the end.
        listed: HashSet<Arc<str>>,
    },
}

impl Values {
    /// None yet, for this many reports.
    pub(super) fn of(reports: usize) -> Self {
        if reports == 1 { Self::Day(Reading::default()) } else { Self::Days(History::default()) }
    }

    pub(super) fn add(&mut self, column: u16, answer: Answer, window: plan::Window) {
        match self {
            Self::Day(reading) => reading.add(column, answer, window),
            Self::Days(history) => history.add(column, answer, window),
        }
    }

    pub(super) fn fail(&mut self, problem: Problem) {
        match self {
            Self::Day(reading) => reading.fail(problem),
            Self::Days(history) => history.fail(problem),
        }
    }

    /// The code of a problem that a retry may resolve.
    pub(super) fn transient_problem(&self) -> Option<&str> {
        match self {
            Self::Day(reading) => reading.transient_problem(),
            Self::Days(history) => history.transient_problem(),
        }
    }

    /// What it has of a day, which is taken if it is the only one.
    fn reading(&mut self, window: plan::Window) -> Reading {
        match self {
            Self::Day(reading) => mem::take(reading),
            Self::Days(history) => history.reading(window),
        }
    }
}

impl Collected {
    /// Checks that there is anything to report.
    ///
    /// # Errors
    ///
    /// The error of a region, if no region answered and no rows were known before.
    pub(super) fn check(self, knows_rows: bool) -> Result<Self, AwsError> {
        // A region that the account has not enabled refuses credentials that STS accepts. That concerns only the region;
        // any other error, if no region answered, concerns the account.
        let mut errors = self.outcomes.iter().flat_map(|region| &region.health.errors);
        match errors.find(|error| error.kind != ErrorKind::Identity) {
            Some(error) if !knows_rows && !self.outcomes.iter().any(|region| region.answered) => {
                Err(error.clone())
            }
            _ => Ok(self),
        }
    }

    /// About how many resources each report has.
    #[must_use]
    pub fn resources(&self) -> usize {
        match &self.found {
            Found::NewestDay { resources, .. } => resources.len(),
            Found::Series { windows, .. } => {
                windows.iter().map(|(_, rows)| rows.0.len()).max().unwrap_or_default()
            }
        }
    }

    /// Why it ended early; a retry may collect more.
    #[must_use]
    pub fn interruption(&self) -> Option<Interruption> {
        let mut outcomes = self.outcomes.iter().filter(|region| !region.is_denied_and_empty());
        outcomes.find_map(|region| region.health.interruption.clone())
    }

    /// The report of a window, with the rows of its checkpoint. A window is asked for once.
    pub fn report(&mut self, window: Window, is_settled: bool, checkpoint: Option<Checkpoint>) -> Collection {
        let (earlier, earlier_table) = match checkpoint {
            Some(Checkpoint { metadata, table }) => (Some(metadata), Some(table)),
            None => (None, None),
        };
        let table = match &mut self.found {
            Found::NewestDay { lookback_days, resources, lost } => {
                let known = match earlier_table {
                    Some(Table::NewestDay(rows)) => rows,
                    _ => Vec::new(),
                };
                let window = plan::Window::of(window.into(), *lookback_days);
                let rows = newest_day(resources, lost, window, is_settled, known);
                if let Some((_, Values::Day(_))) = resources.first() {
                    // They are all taken.
                    *resources = Vec::new();
                }
                Table::NewestDay(rows)
            }
            Found::Series { windows, listed } => {
                let known = match earlier_table {
                    Some(Table::Series(rows)) => rows,
                    _ => SeriesRows::default(),
                };
                let of_window = windows.iter_mut().find(|(of, _)| *of == window);
                let new = of_window.map(|(_, rows)| mem::take(rows)).unwrap_or_default();
                Table::Series(series(known, new, listed))
            }
        };
        let collection = Collection {
            table,
            // Rows that an earlier attempt completed are kept as they are.
            lacks_tags: self.lacks_tags || earlier.as_ref().is_some_and(|earlier| earlier.lacks_tags),
            lacks_facts: self.lacks_facts || earlier.as_ref().is_some_and(|earlier| earlier.lacks_facts),
            regions_denied: earlier.map(|earlier| earlier.regions_denied).unwrap_or_default(),
            lacks_directory_buckets: self.lacks_directory_buckets,
            lacks_regions: self.lacks_regions,
            ..Collection::default()
        };
        collection.concluded(&self.outcomes)
    }
}

/// The rows of a day: what an earlier attempt has, and then what this one has.
fn newest_day(
    resources: &mut [(Resource, Values)],
    lost: &[(Resource, Problem)],
    window: plan::Window,
    is_settled: bool,
    mut rows: Vec<Row>,
) -> Vec<Row> {
    rows.retain(|row| row.resource.region.is_some() && !row.status.lacks_something());
    let known: HashSet<_> = rows.iter().map(|row| row.resource.key()).collect();
    for (resource, values) in resources {
        let row = values.reading(window).into_row(resource.clone(), window, is_settled);
        rows.extend(row.filter(|row| !known.contains(&row.resource.key())));
    }
    let named: HashSet<&str> = known.iter().map(|(name, _)| &**name).collect();
    let lost = lost.iter().filter(|(resource, _)| !named.contains(&*resource.name));
    rows.extend(lost.map(|(resource, problem)| Row::without_values(resource.clone(), problem.clone())));
    rows::sort(&mut rows);
    rows
}

/// The rows of series: what an earlier attempt has, and then what this one has.
fn series(mut known: SeriesRows, new: SeriesRows, listed: &HashSet<Arc<str>>) -> SeriesRows {
    // Incomplete rows have been queried again, or their resources are no longer listed.
    known.0.retain(|(_, region): &Key, rows| !listed.contains(region) || !rows.status.lacks_something());
    for (key, rows) in new.0 {
        // A resource that is complete in one report is queried again if another lacks it.
        known.0.entry(key).or_insert(rows);
    }
    known
}
