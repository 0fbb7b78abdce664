// SPDX-License-Identifier: Apache-2.0
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

#[expect(clippy::unnecessary_wraps, reason = "the type of an answer")]
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
    // 100 bytes moved from class 4 to class 5 in the night before the 3rd.
    let moved = [(4, points(&[("2026-11-02", 100.0)])), (5, points(&[("2026-11-03", 100.0)]))];
    let row = row(Listing::Listed, &moved).expect("a row");
    assert_eq!(row.total(&[4, 5]), Some(100));
    assert_eq!(row.value(4), None);
    assert_eq!((row.datapoint_date, row.status), (Some(day("2026-11-03")), Status::Ok));
}

#[test]
fn before_the_values_settle_a_missing_datapoint_may_still_arrive() {
    let behind = [(4, points(&[("2026-11-02", 900.0)])), (5, points(&[("2026-11-03", 1.0)]))];
    let row = row_if(false, Listing::Listed, &behind).expect("a row");
    assert_eq!((&row.status, row.value(5), row.value(4)), (&Status::Late, Some(1), None));
    assert_eq!(row.total(&[4, 5]), None, "1 would look like the total");
    let deleted = row_if(false, Listing::Unlisted, &behind).expect("a row");
    assert_eq!((deleted.status.clone(), deleted.total(&[4, 5])), (Status::Late, None));
    // A series without any datapoint in the window is not behind.
    let other = [(4, points(&[])), (5, points(&[("2026-11-02", 7.0), ("2026-11-03", 1.0)]))];
    let row = row_if(false, Listing::Listed, &other).expect("a row");
    assert_eq!((&row.status, row.total(&[4, 5])), (&Status::Ok, Some(1)));
}

#[test]
fn a_value_of_an_earlier_day_is_used_with_its_day() {
    let late = [(4, points(&[("2026-11-01", 7.0), ("2026-11-02", 8.0)]))];
    let row = row(Listing::Listed, &late).expect("a row");
    assert_eq!((row.value(4), row.datapoint_date), (Some(8), Some(day("2026-11-02"))));
    assert_eq!((&row.status, row.total(&[4])), (&Status::Late, Some(8)));
}

#[test]
fn zero_is_a_value_and_a_missing_value_is_not_zero() {
    let zero = row(Listing::Listed, &[(4, points(&[("2026-11-03", 0.0)]))]).expect("a row");
    assert_eq!((zero.value(4), zero.total(&[4, 5]), &zero.status), (Some(0), Some(0), &Status::Ok));
    let nothing = row(Listing::Listed, &[(4, points(&[]))]).expect("a row");
    assert_eq!((nothing.value(4), nothing.total(&[4, 5]), &nothing.status), (None, None, &Status::NoData));
}

#[test]
fn a_deleted_resource_has_a_row_only_for_days_on_which_it_existed() {
    let existed = [(4, points(&[("2026-11-03", 1.0)]))];
    let gone = [(4, points(&[("2026-11-02", 1.0)]))];
    assert_eq!(row(Listing::Unlisted, &existed).expect("a row").status, Status::Deleted);
    assert_eq!(row(Listing::Unlisted, &gone), None);
    assert_eq!(row(Listing::Unlistable, &gone).expect("a row").status, Status::Late);
    assert_eq!(row(Listing::Unlistable, &[]), None);
}

#[test]
fn a_problem_is_always_reported() {
    let half = [(4, points(&[("2026-11-03", 1.0)])), (5, Err(Problem::Error("PartialData".into())))];
    for listing in [Listing::Listed, Listing::Unlisted, Listing::Unlistable] {
        let row = row(listing, &half).expect("a row");
        assert_eq!(row.status.to_string(), "error:PartialData");
        assert_eq!((row.value(4), row.value(5), row.total(&[4, 5])), (Some(1), None, None));
    }
    let denied = [(4, points(&[("2026-11-03", 1.0)])), (5, Err(Problem::Denied))];
    let denied = row(Listing::Listed, &denied).expect("a row");
    assert_eq!((&denied.status, denied.value(4), denied.total(&[4, 5])), (&Status::Denied, Some(1), None));
}

#[test]
fn a_value_that_is_not_a_count_is_a_problem() {
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
fn of_several_problems_the_same_is_reported_in_any_order() {
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

/// Answers with and without problems, and datapoints of days inside and outside the window.
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
    /// Calls, pages and results arrive in any order; the report is the same.
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

    /// A row has the sums of the newest day that has a value, and a total if nothing is missing.
    #[test]
    fn a_row_has_the_values_of_one_day_and_reports_missing_ones(
        answers in any_answers(),
        listing in any_listing(),
        is_settled in any::<bool>(),
    ) {
        let points = || {
            let given = answers.iter().filter_map(|(column, answer)| Some((*column, answer.as_ref().ok()?)));
            given.flat_map(|(column, datapoints)| datapoints.iter().map(move |point| (column, *point)))
        };
        let is_valid = |point: &Datapoint| window().contains(point.day) && (0.0..2f64.powi(64)).contains(&point.value);
        let newest = points().filter(|(_, point)| is_valid(point)).map(|(_, point)| point.day).max();
        let mut expected: BTreeMap<u16, u64> = BTreeMap::new();
        for (column, point) in points().filter(|(_, point)| is_valid(point) && Some(point.day) == newest) {
            let sum = expected.entry(column).or_default();
            *sum = sum.saturating_add(whole(point.value).expect("valid"));
        }
        let series = answers.iter().filter_map(|(_, answer)| {
            let points = answer.as_ref().ok()?.iter();
            points.filter(|point| is_valid(point)).map(|point| point.day).max()
        });
        let is_behind = !is_settled && series.min() < newest;
        let problem = answers.iter().any(|(_, answer)| answer.is_err()) || points().any(|(_, point)| !is_valid(&point));

        let Some(row) = row_if(is_settled, listing, &answers) else {
            prop_assert!(!problem && listing != Listing::Listed, "a gap that is not reported");
            prop_assert_ne!(newest, Some(window().date()), "it existed on that day");
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
