// SPDX-License-Identifier: Apache-2.0
//! Builds the rows of the report from the answers of CloudWatch. Pure functions.

use std::{fmt, str::FromStr, sync::Arc};

use chrono::NaiveDate;
use fleet::datasets::Class;

use super::plan::Window;

/// Why a value is missing that CloudWatch may have. Of several problems, the least is reported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// A policy denies access to it.
    Denied,
    /// The query failed with this code.
    Error(String),
    /// The query failed with this code, and a retry may succeed.
    Transient(String),
}

impl Problem {
    /// Its code, if a retry may resolve it.
    #[must_use]
    pub fn transient_code(&self) -> Option<&str> {
        match self {
            Self::Transient(code) => Some(code),
            Self::Denied | Self::Error(_) => None,
        }
    }
}

/// CloudWatch's answer for one series.
pub type Answer = Result<Vec<Datapoint>, Problem>;

/// One value of one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Datapoint {
    /// In UTC.
    pub day: NaiveDate,
    pub value: f64,
}

/// Whether the service that owns the resource lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    Listed,
    /// It is not listed, so it has been deleted.
    Unlisted,
    /// Resources of its class could not be listed.
    Unlistable,
}

/// A resource that has a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub name: Arc<str>,
    /// `None` if it could not be found out.
    pub region: Option<Arc<str>>,
    pub creation_date: Option<NaiveDate>,
    pub listing: Listing,
    /// Decides which series it can have.
    pub class: Class,
}

impl Resource {
    /// Identifies a resource within its account: a bucket may be deleted and created again in another region.
    #[must_use]
    pub fn key(&self) -> (Arc<str>, Option<Arc<str>>) {
        (self.name.clone(), self.region.clone())
    }
}

/// The values of one resource collected so far, of the newest day that has any.
///
/// Only values of one day are kept. Taking the newest of each series would count bytes twice when
/// a lifecycle rule moves objects from one storage class to another between two days.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    day: Option<NaiveDate>,
    /// The oldest of the newest days of all series that have a datapoint.
    furthest_behind: Option<NaiveDate>,
    values: Vec<(u16, u64)>,
    problem: Option<Problem>,
}

/// A row of the report.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub resource: Resource,
    /// The day of its values.
    pub datapoint_date: Option<NaiveDate>,
    /// The known values, by the index of their column.
    pub values: Vec<(u16, u64)>,
    pub status: Status,
    /// Whether a value is missing, so that the sum would be wrong.
    pub withholds_total: bool,
}

/// The column `status` of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It has the values of the requested day.
    Ok,
    /// Its values are of an earlier day, or may still change.
    Late,
    /// CloudWatch has no datapoint in the window.
    NoData,
    /// The resource has been deleted. In series it has no value; otherwise it has values of the requested day.
    Deleted,
    /// A policy denies access to at least one of its values.
    Denied,
    /// A value is missing that CloudWatch may have.
    Error(String),
}

impl Reading {
    /// Adds the answer for a series in `column`, in any order.
    pub fn add(&mut self, column: u16, answer: Answer, window: Window) {
        match answer {
            Ok(datapoints) => self.add_datapoints(column, datapoints, window),
            Err(problem) => self.fail(problem),
        }
    }

    /// Adds the datapoints of a series in `column`, in any order.
    pub fn add_datapoints(
        &mut self,
        column: u16,
        datapoints: impl IntoIterator<Item = Datapoint>,
        window: Window,
    ) {
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
                // Two storage types may share a column: an older and a newer name of the same thing.
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

    /// Records a problem. Of several problems the least is reported, in any order of calls, so that a duplicate of the
    /// job produces the same report.
    pub fn fail(&mut self, problem: Problem) {
        if self.problem.as_ref().is_none_or(|known| problem < *known) {
            self.problem = Some(problem);
        }
    }

    /// The code of a problem that a retry may resolve.
    #[must_use]
    pub fn transient_problem(&self) -> Option<&str> {
        self.problem.as_ref().and_then(Problem::transient_code)
    }

    /// The row of `resource`; `None` if the resource has been deleted and has no datapoint of the requested day, since it
    /// was deleted before that. If the values of the day are settled, a series without a datapoint of that day has
    /// ended; otherwise the datapoint may still arrive.
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
    /// The row of a resource that could not be queried.
    #[must_use]
    pub fn without_values(resource: Resource, problem: Problem) -> Self {
        let status = problem.into();
        Self { resource, datapoint_date: None, values: Vec::new(), status, withholds_total: true }
    }

    #[must_use]
    pub fn value(&self, column: u16) -> Option<u64> {
        self.values.iter().find(|(known, _)| *known == column).map(|(_, value)| *value)
    }

    /// The sum of the values in these columns; `None` if no value is known or one is missing.
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
    /// Whether a value is missing that CloudWatch may have, so that the row must be queried again.
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

/// A status that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the row status {0:?} is not known")]
pub struct UnknownStatus(String);

/// Sorts the rows in the order of the report.
pub fn sort(rows: &mut [Row]) {
    rows.sort_unstable_by(|a, b| {
        (&a.resource.name, &a.resource.region).cmp(&(&b.resource.name, &b.resource.region))
    });
}

/// A count of bytes or objects; `None` if the value is not a valid count.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
fn whole(value: f64) -> Option<u64> {
    const BEYOND: f64 = 18_446_744_073_709_551_616.0; // 2^64
    (0.0..BEYOND).contains(&value).then(|| value.round() as u64)
}

#[cfg(test)]
mod tests;
