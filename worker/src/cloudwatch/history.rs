// SPDX-License-Identifier: Apache-2.0
//! The daily values of a resource over many days, of which each day's row is made. Pure functions.

use std::iter;

use chrono::{Days, NaiveDate};

use super::{
    plan::Window,
    rows::{Answer, Datapoint, Problem, Reading},
};

/// Stands for a value that is no valid count, so that each row that would have it fails.
const INVALID: f64 = -1.0;

/// The values of one resource collected so far, of all days.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    series: Vec<Daily>,
    problem: Option<Problem>,
}

/// The values of one series, from the first day that has one to the last.
#[derive(Debug, Clone, PartialEq)]
struct Daily {
    column: u16,
    first: NaiveDate,
    /// NaN if CloudWatch has none.
    values: Box<[f64]>,
}

impl History {
    /// Adds the answer for a series in `column`, in any order. Days outside `window`, which no call asks for, would take
    /// memory without bound.
    pub fn add(&mut self, column: u16, answer: Answer, window: Window) {
        let mut datapoints = match answer {
            Ok(datapoints) => datapoints,
            Err(problem) => return self.fail(problem),
        };
        let asked = window.first_day()..window.end().date_naive();
        if datapoints.iter().any(|point| !asked.contains(&point.day)) {
            self.fail(Problem::Error("UnexpectedDatapoint".into()));
            datapoints.retain(|point| asked.contains(&point.day));
        }
        let days = datapoints.iter().map(|point| point.day);
        let Some((first, last)) = days.clone().min().zip(days.max()) else { return };
        let Ok(length) = usize::try_from((last - first).num_days() + 1) else { return };
        let mut values = vec![f64::NAN; length].into_boxed_slice();
        for Datapoint { day, value } in datapoints {
            let place = usize::try_from((day - first).num_days()).ok();
            let Some(known) = place.and_then(|place| values.get_mut(place)) else { continue };
            *known = match (value.is_nan(), known.is_nan()) {
                (true, _) => INVALID,
                (false, true) => value,
                (false, false) => *known + value,
            };
        }
        self.series.push(Daily { column, first, values });
    }

    /// Records a problem, which all days have. Of several the least is reported.
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

    /// What a collection of the window alone would have read.
    #[must_use]
    pub fn reading(&self, window: Window) -> Reading {
        let mut reading = Reading::default();
        if let Some(problem) = &self.problem {
            reading.fail(problem.clone());
        }
        for Daily { column, first, values } in &self.series {
            let before = (window.first_day() - *first).num_days();
            let begin = usize::try_from(before).unwrap_or(0).min(values.len());
            let day = first.checked_add_days(Days::new(begin as u64));
            let days = iter::successors(day, NaiveDate::succ_opt);
            let points = values.iter().skip(begin).zip(days).take_while(|(_, day)| window.contains(*day));
            let known = points.filter(|(value, _)| !value.is_nan());
            reading.add_datapoints(
                *column,
                known.map(|(value, day)| Datapoint { day, value: *value }),
                window,
            );
        }
        reading
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fleet::{ReportDate, Windows, datasets::Class};
    use proptest::prelude::*;

    use super::*;
    use crate::cloudwatch::rows::{Listing, Resource};

    fn day(nth: u64) -> NaiveDate {
        let first = NaiveDate::from_ymd_opt(2026, 2, 20).expect("a day");
        first.checked_add_days(Days::new(nth)).expect("a day")
    }

    /// All days of the tests.
    fn whole() -> Window {
        let [first, last] = [day(0), day(40)].map(|day| ReportDate::from(day).into());
        Window::of(Windows::part(first, last).expect("a span"), 0)
    }

    fn resource(listing: Listing) -> Resource {
        let region = Some(Arc::from("eu-west-1"));
        Resource { name: "b".into(), region, creation_date: None, listing, class: Class::General }
    }

    proptest! {
        /// Each day's row is that of a collection of the day alone, whatever CloudWatch has.
        #[test]
        fn a_day_of_a_history_is_what_the_day_alone_gives(
            series in prop::collection::vec(
                (0u16..4, prop::collection::btree_map(0u64..40, prop_oneof![0.0..1e12, Just(-1.0), Just(f64::NAN)], 0..30)),
                0..6,
            ),
            lookback in 0u32..5,
            of in 5u64..40,
            is_settled: bool,
            is_listed: bool,
            fails in prop::option::of(0usize..6),
        ) {
            let window = Window::new(ReportDate::from(day(of)), lookback);
            let mut history = History::default();
            let mut alone = Reading::default();
            for (nth, (column, values)) in series.iter().enumerate() {
                let points = values.iter().map(|(nth, value)| Datapoint { day: day(*nth), value: *value });
                if fails == Some(nth) {
                    history.add(*column, Err(Problem::Denied), whole());
                    alone.fail(Problem::Denied);
                } else {
                    history.add(*column, Ok(points.clone().collect()), whole());
                    alone.add_datapoints(*column, points.filter(|point| window.contains(point.day)), window);
                }
            }
            let listing = if is_listed { Listing::Listed } else { Listing::Unlisted };
            prop_assert_eq!(
                history.reading(window).into_row(resource(listing), window, is_settled),
                alone.into_row(resource(listing), window, is_settled)
            );
        }
    }

    #[test]
    fn a_problem_is_one_of_every_day() {
        let mut history = History::default();
        history.fail(Problem::Transient("Throttling".into()));
        assert_eq!(history.transient_problem(), Some("Throttling"));
        let window = Window::new(ReportDate::from(day(3)), 2);
        assert_eq!(history.reading(window).transient_problem(), Some("Throttling"));
    }

    #[test]
    fn a_day_that_was_not_asked_for_is_a_problem_and_takes_no_memory() {
        for outside in [day(0).pred_opt(), day(40).succ_opt(), Some(NaiveDate::MAX), Some(NaiveDate::MIN)] {
            let mut history = History::default();
            let point = |day| Datapoint { day, value: 1.0 };
            history.add(0, Ok(vec![point(day(3)), point(outside.expect("a day"))]), whole());
            assert_eq!(
                history.series.iter().map(|series| series.values.len()).sum::<usize>(),
                1,
                "{outside:?}"
            );
            assert_eq!(history.problem, Some(Problem::Error("UnexpectedDatapoint".into())), "{outside:?}");
        }
    }
}
