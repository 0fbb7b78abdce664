// SPDX-License-Identifier: Apache-2.0
//! What the answers make of one resource: its values by period. Plain functions over values.

use fleet::datasets::Period;

use super::layout::Layout;
use crate::cloudwatch::{
    calls::Point,
    plan::Window,
    rows::{Problem, Status},
};

/// The periods that a report has: when the first begins, how long each is, and how many there are.
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

    /// The place of the period that begins then.
    fn place(self, at: i64) -> Option<usize> {
        let since = u64::try_from(at.checked_sub(self.start)?).ok()?;
        let place = usize::try_from(since / u64::from(self.seconds)).ok()?;
        (since.is_multiple_of(self.seconds.into()) && place < self.periods).then_some(place)
    }

    /// When a period begins, in seconds of Unix time.
    fn at(self, place: usize) -> i64 {
        self.start
            .saturating_add(i64::from(self.seconds).saturating_mul(i64::try_from(place).unwrap_or(i64::MAX)))
    }
}

/// What is known of one resource so far.
#[derive(Debug)]
pub struct Reading {
    grid: Grid,
    columns: usize,
    /// Period by period a value for each measured column; NaN is not known. Empty before the first value.
    values: Vec<f64>,
    problem: Option<Problem>,
}

impl Reading {
    #[must_use]
    pub fn new(grid: Grid, layout: &Layout) -> Self {
        Self { grid, columns: layout.len(), values: Vec::new(), problem: None }
    }

    /// Takes in what CloudWatch said of a query. Values of several series that share a column are added up.
    pub fn add(&mut self, column: usize, answer: Result<Vec<Point>, Problem>) {
        let points = match answer {
            Ok(points) => points,
            Err(problem) => return self.fail(problem),
        };
        if self.values.is_empty() && !points.is_empty() {
            self.values = vec![f64::NAN; self.grid.periods * self.columns];
        }
        for Point { at, value } in points {
            let place = self.grid.place(at).map(|period| period * self.columns + column);
            match place.and_then(|place| self.values.get_mut(place)).filter(|_| value.is_finite()) {
                Some(known) if known.is_nan() => *known = value,
                Some(known) => *known += value,
                None => self.fail(Problem::Error("UnexpectedDatapoint".into())),
            }
        }
    }

    /// Takes in that something could not be learnt. Of several problems the least is reported, whichever came first.
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

    /// How the rows came about.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.problem {
            Some(problem) => problem.clone().into(),
            None if self.values.is_empty() => Status::NoData,
            None => Status::Ok,
        }
    }

    /// The values of each period that has any, with the time at which it begins.
    #[must_use]
    pub fn periods(mut self, layout: &Layout) -> Vec<(i64, Vec<f64>)> {
        let mut periods = Vec::new();
        if self.columns == 0 {
            return periods;
        }
        for (place, row) in self.values.chunks_mut(self.columns).enumerate() {
            if row.iter().all(|value| value.is_nan()) {
                continue;
            }
            // What could not be learnt may be another number than 0.
            if self.problem.is_none() {
                layout.fill_zeros(row);
            }
            periods.push((self.grid.at(place), row.to_vec()));
        }
        periods
    }
}
