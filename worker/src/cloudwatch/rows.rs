// SPDX-License-Identifier: Apache-2.0
//! What the answers make of each resource: the rows of the report. Plain functions over values.

use std::{fmt, str::FromStr, sync::Arc};

use chrono::NaiveDate;
use fleet::datasets::Class;

use super::plan::Window;

/// Why a value is not known that CloudWatch may have. Of two, the lesser is the one that is reported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// A policy forbids asking for it.
    Denied,
    /// It was asked for and not given; the code says why.
    Error(String),
    /// As `Error`, and another try may give it.
    Transient(String),
}

/// What CloudWatch said of one series.
pub type Answer = Result<Vec<Datapoint>, Problem>;

/// One value of one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Datapoint {
    /// The UTC day that it is of.
    pub day: NaiveDate,
    /// The value, as CloudWatch has it.
    pub value: f64,
}

/// Whether the account itself names the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// It does.
    Listed,
    /// It does not, and would if the resource were still there.
    Unlisted,
    /// It names no resource of this kind, there or not.
    Unlistable,
}

/// A resource that rows are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: Arc<str>,
    /// Where it lies, where that could be found.
    pub region: Option<Arc<str>>,
    /// The day on which it says it was created.
    pub creation_date: Option<NaiveDate>,
    /// Whether the account names it.
    pub listing: Listing,
    /// Which series it can have.
    pub class: Class,
}

impl Resource {
    /// What tells a resource from others of its account: a bucket may be made again, by its name, in another region.
    #[must_use]
    pub fn key(&self) -> (Arc<str>, Option<Arc<str>>) {
        (self.name.clone(), self.region.clone())
    }
}

/// What is known of one resource so far: the values of the newest day that has any.
///
/// Only values of one day are kept. Taking the newest of each series would count bytes twice when
/// a lifecycle rule moves them from one storage class to another between two days.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    day: Option<NaiveDate>,
    /// The newest day of the series that is furthest behind, of those that have a datapoint.
    furthest_behind: Option<NaiveDate>,
    values: Vec<(u16, u64)>,
    problem: Option<Problem>,
}

/// A row of the report.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is about.
    pub resource: Resource,
    /// The day of its values.
    pub datapoint_date: Option<NaiveDate>,
    /// The known values, by the place of their column.
    pub values: Vec<(u16, u64)>,
    /// How it came about.
    pub status: Status,
    /// Whether a sum of its values would look like the whole and is a part.
    pub withholds_total: bool,
}

/// How a row came about; what the column `status` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It has the values of the day asked for.
    Ok,
    /// Its values are of an earlier day, or may still change.
    Late,
    /// CloudWatch has no datapoint in the window.
    NoData,
    /// It has values, and the resource is gone.
    Deleted,
    /// A policy forbids asking for something of it.
    Denied,
    /// A value is missing that CloudWatch may have.
    Error(String),
}

impl Reading {
    /// Takes in what CloudWatch said of the series in `column`. The order of calls does not matter.
    pub fn add(&mut self, column: u16, answer: Answer, window: Window) {
        let datapoints = match answer {
            Ok(datapoints) => datapoints,
            Err(problem) => return self.fail(problem),
        };
        let mut newest = None;
        for Datapoint { day, value } in datapoints {
            let Some(value) = whole(value).filter(|_| window.contains(day)) else {
                self.fail(Problem::Error("UnexpectedDatapoint".into()));
                continue;
            };
            newest = newest.max(Some(day));
            if self.day < Some(day) {
                self.day = Some(day);
                self.values.clear();
            }
            if self.day == Some(day) {
                // Two types may share a column: an older and a newer name of one thing.
                match self.values.iter_mut().find(|(known, _)| *known == column) {
                    Some((_, sum)) => *sum = sum.saturating_add(value),
                    None => self.values.push((column, value)),
                }
            }
        }
        self.furthest_behind = match (self.furthest_behind, newest) {
            (Some(known), Some(newest)) => Some(known.min(newest)),
            (known, newest) => known.or(newest),
        };
    }

    /// Takes in that something could not be learnt. Of several problems the least is reported, whichever
    /// came first: calls are answered in any order, and a duplicate of the job gives the same report.
    pub fn fail(&mut self, problem: Problem) {
        if self.problem.as_ref().is_none_or(|known| problem < *known) {
            self.problem = Some(problem);
        }
    }

    /// What another try may give.
    #[must_use]
    pub fn transient_problem(&self) -> Option<&str> {
        match &self.problem {
            Some(Problem::Transient(code)) => Some(code),
            _ => None,
        }
    }

    /// The row of `resource`; `None` for a resource that is gone and has no datapoint of the day
    /// asked for, since it was gone by then. Once the values of the day are settled, a series without a datapoint of
    /// the row's day has ended; before, it may still come.
    #[must_use]
    pub fn into_row(self, resource: Resource, window: Window, is_settled: bool) -> Option<Row> {
        let is_behind = !is_settled && self.furthest_behind < self.day;
        let is_of_the_day = self.day == Some(window.date());
        let status = match (self.problem, resource.listing, self.day) {
            (Some(problem), _, _) => problem.into(),
            (None, Listing::Listed, None) => Status::NoData,
            (None, Listing::Unlisted | Listing::Unlistable, None) => return None,
            (None, Listing::Unlisted, Some(_)) if !is_of_the_day => return None,
            (None, _, Some(_)) if is_behind || !is_of_the_day => Status::Late,
            (None, Listing::Listed | Listing::Unlistable, Some(_)) => Status::Ok,
            (None, Listing::Unlisted, Some(_)) => Status::Deleted,
        };
        let withholds_total = is_behind || status.lacks_something();
        Some(Row { resource, datapoint_date: self.day, values: self.values, status, withholds_total })
    }
}

impl Row {
    /// The row of a resource of which nothing could be asked.
    #[must_use]
    pub fn without_values(resource: Resource, problem: Problem) -> Self {
        let status = problem.into();
        Self { resource, datapoint_date: None, values: Vec::new(), status, withholds_total: true }
    }

    /// The value in a column.
    #[must_use]
    pub fn value(&self, column: u16) -> Option<u64> {
        self.values.iter().find(|(known, _)| *known == column).map(|(_, value)| *value)
    }

    /// The sum of the values in these columns; `None` if no value is known, or if the sum would be that of a part.
    #[must_use]
    pub fn total(&self, columns: &[u16]) -> Option<u128> {
        if self.withholds_total {
            return None;
        }
        let mut known = self.values.iter().filter(|(column, _)| columns.contains(column)).peekable();
        known.peek()?;
        Some(known.map(|(_, value)| u128::from(*value)).sum())
    }
}

impl Status {
    /// Whether a value is missing that CloudWatch may have, so that the row is to be asked for again.
    #[must_use]
    pub fn lacks_something(&self) -> bool {
        matches!(self, Self::Denied | Self::Error(_))
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Denied => Self::Denied,
            Problem::Error(code) | Problem::Transient(code) => Self::Error(code),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Late => f.write_str("late"),
            Self::NoData => f.write_str("no_data"),
            Self::Deleted => f.write_str("deleted"),
            Self::Denied => f.write_str("denied"),
            Self::Error(code) => write!(f, "error:{code}"),
        }
    }
}

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "ok" => Self::Ok,
            "late" => Self::Late,
            "no_data" => Self::NoData,
            "deleted" => Self::Deleted,
            "denied" => Self::Denied,
            _ => Self::Error(
                text.strip_prefix("error:").ok_or_else(|| UnknownStatus(text.to_owned()))?.to_owned(),
            ),
        })
    }
}

/// A row status that this version does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the row status {0:?} is not known")]
pub struct UnknownStatus(String);

/// Sorts the rows as the report has them.
pub fn sort(rows: &mut [Row]) {
    rows.sort_unstable_by(|a, b| {
        (&a.resource.name, &a.resource.region).cmp(&(&b.resource.name, &b.resource.region))
    });
}

/// A count of bytes or objects; none where the value can be no such count.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
fn whole(value: f64) -> Option<u64> {
    const BEYOND: f64 = 18_446_744_073_709_551_616.0; // 2^64
    (0.0..BEYOND).contains(&value).then(|| value.round() as u64)
}

#[cfg(test)]
mod tests;
