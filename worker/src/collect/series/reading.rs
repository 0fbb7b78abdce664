// SPDX-License-Identifier: Apache-2.0
//! The values of one resource by period. Pure functions.

use fleet::datasets::Period;

use super::layout::Layout;
use crate::cloudwatch::{
    calls::Point,
    plan::Window,
    rows::{Problem, Status},
};

/// The periods of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    start: i64,
    seconds: u32,
    periods: usize,
}

impl Grid {
    #[must_use]
    pub fn new(window: Window, period: Period) -> Self {
        let seconds = period.seconds();
        Self { start: window.start().timestamp(), seconds, periods: window.datapoints(seconds) as usize }
    }

    #[must_use]
    pub fn periods(self) -> usize {
        self.periods
    }

    #[must_use]
    pub fn seconds(self) -> u32 {
        self.seconds
    }

    /// The index of the period that begins at this time.
    fn index(self, at: i64) -> Option<usize> {
        let since = u64::try_from(at.checked_sub(self.start)?).ok()?;
        let index = usize::try_from(since / u64::from(self.seconds)).ok()?;
        (since.is_multiple_of(self.seconds.into()) && index < self.periods).then_some(index)
    }

    /// When a period begins, in seconds of Unix time.
    fn at(self, index: usize) -> i64 {
        self.start
            .saturating_add(i64::from(self.seconds).saturating_mul(i64::try_from(index).unwrap_or(i64::MAX)))
    }
}

/// The values of a resource in a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub status: Status,
    /// The start and the values of each period that has any.
    pub periods: Vec<(i64, Vec<f64>)>,
}

/// The values of one resource collected so far.
#[derive(Debug)]
pub struct Reading {
    grid: Grid,
    columns: usize,
    /// A value for each period and value column; NaN if unknown. Empty before the first value.
    values: Vec<f64>,
    problem: Option<Problem>,
}

impl Reading {
    #[must_use]
    pub fn new(grid: Grid, layout: &Layout) -> Self {
        Self { grid, columns: layout.len(), values: Vec::new(), problem: None }
    }

    /// Adds the answer for a query. Values of series that share a column are added up.
    pub fn add(&mut self, column: usize, answer: Result<Vec<Point>, Problem>) {
        let points = match answer {
            Ok(points) => points,
            Err(problem) => return self.fail(problem),
        };
        if self.values.is_empty() && !points.is_empty() {
            self.values = vec![f64::NAN; self.grid.periods * self.columns];
        }
        for Point { at, value } in points {
            let index = self.grid.index(at).map(|period| period * self.columns + column);
            match index.and_then(|index| self.values.get_mut(index)).filter(|_| value.is_finite()) {
                Some(known) if known.is_nan() => *known = value,
                Some(known) => *known += value,
                None => self.fail(Problem::Error("UnexpectedDatapoint".into())),
            }
        }
    }

    /// Records a problem. Of several problems the least is reported, in any order of calls.
    pub fn fail(&mut self, problem: Problem) {
        if self.problem.as_ref().is_none_or(|known| problem < *known) {
            self.problem = Some(problem);
        }
    }

    /// The code of a problem that a retry may resolve.
    #[must_use]
    pub fn transient_problem(&self) -> Option<&str> {
        match &self.problem {
            Some(Problem::Transient(code)) => Some(code),
            _ => None,
        }
    }

    /// The values in each of these windows, as a collection of the window alone would return them.
    #[must_use]
    pub fn split(self, layout: &Layout, windows: &[fleet::Window]) -> Vec<Part> {
        let problem = self.problem.clone();
        let status = |is_silent| match &problem {
            Some(problem) => problem.clone().into(),
            None if is_silent => Status::NoData,
            None => Status::Ok,
        };
        let mut periods = self.periods(layout).into_iter().peekable();
        let part = |window: &fleet::Window| {
            let (start, end) = (window.start().timestamp(), window.end().timestamp());
            let mut of_window = Vec::new();
            // Periods and windows are in order. Periods between two windows belong to other reports.
            while periods.next_if(|(at, _)| *at < start).is_some() {}
            while let Some(period) = periods.next_if(|(at, _)| *at < end) {
                of_window.push(period);
            }
            Part { status: status(of_window.is_empty()), periods: of_window }
        };
        windows.iter().map(part).collect()
    }

    /// The start and the values of each period that has any.
    fn periods(mut self, layout: &Layout) -> Vec<(i64, Vec<f64>)> {
        let mut periods = Vec::new();
        if self.columns == 0 {
            return periods;
        }
        for (index, row) in self.values.chunks_mut(self.columns).enumerate() {
            if row.iter().all(|value| value.is_nan()) {
                continue;
            }
            // A value that could not be queried may be other than 0.
            if self.problem.is_none() {
                layout.fill_zeros(row);
            }
            periods.push((self.grid.at(index), row.to_vec()));
        }
        periods
    }
}
