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
mod tests {
    use std::collections::BTreeMap;

    use chrono::Days;
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn window() -> Window {
        Window::new("2026-11-03".parse().expect("a date"), 2)
    }

    fn resource(listing: Listing) -> Resource {
        Resource {
            name: "b".into(),
            region: Some("eu-west-1".into()),
            creation_date: None,
            listing,
            class: Class::General,
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "it stands where an answer does")]
    fn points(days: &[(&str, f64)]) -> Answer {
        Ok(days.iter().map(|(text, value)| Datapoint { day: day(text), value: *value }).collect())
    }

    /// The row in a settled report.
    fn row(listing: Listing, answers: &[(u16, Answer)]) -> Option<Row> {
        row_if(true, listing, answers)
    }

    fn row_if(is_settled: bool, listing: Listing, answers: &[(u16, Answer)]) -> Option<Row> {
        let mut reading = Reading::default();
        for (column, answer) in answers {
            reading.add(*column, answer.clone(), window());
        }
        reading.into_row(resource(listing), window(), is_settled)
    }

    #[test]
    fn bytes_that_changed_class_are_counted_once_on_one_day() {
        // 100 bytes moved from class 4 to class 5 on the night to the 3rd.
        let moved = [(4, points(&[("2026-11-02", 100.0)])), (5, points(&[("2026-11-03", 100.0)]))];
        let row = row(Listing::Listed, &moved).expect("a row");
        assert_eq!(row.total(&[4, 5]), Some(100));
        assert_eq!(row.value(4), None);
        assert_eq!((row.datapoint_date, row.status), (Some(day("2026-11-03")), Status::Ok));
    }

    #[test]
    fn before_the_values_settle_a_series_that_is_behind_may_still_come() {
        let behind = [(4, points(&[("2026-11-02", 900.0)])), (5, points(&[("2026-11-03", 1.0)]))];
        let row = row_if(false, Listing::Listed, &behind).expect("a row");
        assert_eq!((&row.status, row.value(5), row.value(4)), (&Status::Late, Some(1), None));
        assert_eq!(row.total(&[4, 5]), None, "1 would look like the whole");
        let deleted = row_if(false, Listing::Unlisted, &behind).expect("a row");
        assert_eq!((deleted.status.clone(), deleted.total(&[4, 5])), (Status::Late, None));
        // A series that has no datapoint in the window at all is not behind.
        let other = [(4, points(&[])), (5, points(&[("2026-11-02", 7.0), ("2026-11-03", 1.0)]))];
        let row = row_if(false, Listing::Listed, &other).expect("a row");
        assert_eq!((&row.status, row.total(&[4, 5])), (&Status::Ok, Some(1)));
    }

    #[test]
    fn a_value_of_an_earlier_day_is_taken_and_says_its_day() {
        let late = [(4, points(&[("2026-11-01", 7.0), ("2026-11-02", 8.0)]))];
        let row = row(Listing::Listed, &late).expect("a row");
        assert_eq!((row.value(4), row.datapoint_date), (Some(8), Some(day("2026-11-02"))));
        assert_eq!((&row.status, row.total(&[4])), (&Status::Late, Some(8)));
    }

    #[test]
    fn zero_is_a_value_and_nothing_is_not() {
        let zero = row(Listing::Listed, &[(4, points(&[("2026-11-03", 0.0)]))]).expect("a row");
        assert_eq!((zero.value(4), zero.total(&[4, 5]), &zero.status), (Some(0), Some(0), &Status::Ok));
        let nothing = row(Listing::Listed, &[(4, points(&[]))]).expect("a row");
        assert_eq!(
            (nothing.value(4), nothing.total(&[4, 5]), &nothing.status),
            (None, None, &Status::NoData)
        );
    }

    #[test]
    fn a_deleted_resource_has_a_row_on_days_it_was_there_only() {
        let there = [(4, points(&[("2026-11-03", 1.0)]))];
        let gone = [(4, points(&[("2026-11-02", 1.0)]))];
        assert_eq!(row(Listing::Unlisted, &there).expect("a row").status, Status::Deleted);
        assert_eq!(row(Listing::Unlisted, &gone), None);
        assert_eq!(row(Listing::Unlistable, &gone).expect("a row").status, Status::Late);
        assert_eq!(row(Listing::Unlistable, &[]), None);
    }

    #[test]
    fn a_problem_is_never_a_silent_gap() {
        let half = [(4, points(&[("2026-11-03", 1.0)])), (5, Err(Problem::Error("PartialData".into())))];
        for listing in [Listing::Listed, Listing::Unlisted, Listing::Unlistable] {
            let row = row(listing, &half).expect("a row");
            assert_eq!(row.status.to_string(), "error:PartialData");
            assert_eq!((row.value(4), row.value(5), row.total(&[4, 5])), (Some(1), None, None));
        }
        let denied = [(4, points(&[("2026-11-03", 1.0)])), (5, Err(Problem::Denied))];
        let denied = row(Listing::Listed, &denied).expect("a row");
        assert_eq!(
            (&denied.status, denied.value(4), denied.total(&[4, 5])),
            (&Status::Denied, Some(1), None)
        );
    }

    #[test]
    fn what_can_be_no_count_is_a_problem() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -0.4, 2e20] {
            let row = row(Listing::Listed, &[(4, points(&[("2026-11-03", value)]))]).expect("a row");
            assert_eq!(row.status.to_string(), "error:UnexpectedDatapoint", "{value}");
        }
        let outside = row(Listing::Listed, &[(4, points(&[("2026-11-04", 1.0)]))]).expect("a row");
        assert_eq!(outside.status.to_string(), "error:UnexpectedDatapoint");
    }

    #[test]
    fn petabytes_stay_exact() {
        let large = (1u64 << 53) - 1;
        #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
        let answer = points(&[("2026-11-03", large as f64)]);
        assert_eq!(row(Listing::Listed, &[(4, answer)]).expect("a row").value(4), Some(large));
    }

    #[test]
    fn of_several_problems_the_same_is_told_in_any_order() {
        let mut answers = [
            (4, Err(Problem::Error("PartialData".into()))),
            (5, points(&[("2026-11-03", f64::NAN), ("2026-11-03", 7.0)])),
            (6, Err(Problem::Denied)),
        ];
        for _ in 0..answers.len() {
            answers.rotate_left(1);
            let row = row(Listing::Listed, &answers).expect("a row");
            assert_eq!((&row.status, row.value(5)), (&Status::Denied, Some(7)));
        }
        let errors = |codes: [&str; 2]| codes.map(|code| (4, Err(Problem::Error(code.into()))));
        for codes in [["InternalError", "PartialData"], ["PartialData", "InternalError"]] {
            let row = row(Listing::Listed, &errors(codes)).expect("a row");
            assert_eq!(row.status.to_string(), "error:InternalError");
        }
    }

    /// Answers with and without problems, and datapoints of days in the window and beside it.
    fn any_answers() -> impl Strategy<Value = Vec<(u16, Answer)>> {
        let first = day("2026-10-31");
        let value = prop_oneof![3 => 0.0..1e6, 1 => any::<f64>(), 1 => prop::num::f64::ANY];
        let datapoint = (prop_oneof![8 => 1u64..4, 1 => 0u64..5], value)
            .prop_map(move |(nth, value)| Datapoint { day: first + Days::new(nth), value });
        let answer = prop_oneof![
            12 => prop::collection::vec(datapoint, 0..4).prop_map(Ok),
            1 => Just(Err(Problem::Denied)),
            1 => "[A-Z][a-z]{1,3}".prop_map(|code| Err(Problem::Error(code))),
            1 => "[A-Z][a-z]{1,3}".prop_map(|code| Err(Problem::Transient(code))),
        ];
        prop::collection::vec((0u16..6, answer), 0..12)
    }

    fn any_listing() -> impl Strategy<Value = Listing> {
        prop::sample::select(vec![Listing::Listed, Listing::Unlisted, Listing::Unlistable])
    }

    proptest! {
        /// Calls, pages and results come in any order; the report is the same.
        #[test]
        fn the_order_of_answers_does_not_matter(
            (answers, shuffled) in any_answers().prop_flat_map(|answers| (Just(answers.clone()), Just(answers).prop_shuffle())),
            listing in any_listing(),
            is_settled in any::<bool>(),
        ) {
            let sorted = |answers: &[(u16, Answer)]| row_if(is_settled, listing, answers).map(|mut row| {
                row.values.sort_unstable();
                row
            });
            prop_assert_eq!(sorted(&answers), sorted(&shuffled));
        }

        /// A row has the sums of the newest day that has a value, and a total where nothing is missing.
        #[test]
        fn a_row_is_of_one_day_and_says_what_is_missing(
            answers in any_answers(),
            listing in any_listing(),
            is_settled in any::<bool>(),
        ) {
            let points = || {
                let given = answers.iter().filter_map(|(column, answer)| Some((*column, answer.as_ref().ok()?)));
                given.flat_map(|(column, datapoints)| datapoints.iter().map(move |point| (column, *point)))
            };
            let sound = |point: &Datapoint| window().contains(point.day) && (0.0..2f64.powi(64)).contains(&point.value);
            let newest = points().filter(|(_, point)| sound(point)).map(|(_, point)| point.day).max();
            let mut expected: BTreeMap<u16, u64> = BTreeMap::new();
            for (column, point) in points().filter(|(_, point)| sound(point) && Some(point.day) == newest) {
                let sum = expected.entry(column).or_default();
                *sum = sum.saturating_add(whole(point.value).expect("sound"));
            }
            let series = answers.iter().filter_map(|(_, answer)| {
                let points = answer.as_ref().ok()?.iter();
                points.filter(|point| sound(point)).map(|point| point.day).max()
            });
            let is_behind = !is_settled && series.min() < newest;
            let problem = answers.iter().any(|(_, answer)| answer.is_err()) || points().any(|(_, point)| !sound(&point));

            let Some(row) = row_if(is_settled, listing, &answers) else {
                prop_assert!(!problem && listing != Listing::Listed, "a gap that is not reported");
                prop_assert_ne!(newest, Some(window().date()), "it was there on the day");
                return Ok(());
            };
            prop_assert_eq!(row.datapoint_date, newest);
            for column in 0..6 {
                prop_assert_eq!(row.value(column), expected.get(&column).copied());
            }
            prop_assert_eq!(row.status.lacks_something(), problem);
            prop_assert_eq!(row.status.to_string().parse(), Ok(row.status.clone()));
            let late = newest.is_some() && (is_behind || newest != Some(window().date()));
            prop_assert_eq!(row.status == Status::Late, late && !problem);
            let sum = expected.values().map(|value| u128::from(*value)).sum();
            let known = !problem && !is_behind && !expected.is_empty();
            prop_assert_eq!(row.total(&[0, 1, 2, 3, 4, 5]), known.then_some(sum));
        }
    }
}
