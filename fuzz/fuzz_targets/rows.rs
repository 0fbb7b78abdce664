// SPDX-License-Identifier: Apache-2.0
//! What CloudWatch answers on its way to a row. Twin: `worker/src/cloudwatch/rows.rs`.
//!
//! An input is a byte that says how the resource is listed and whether the day is settled, and ten bytes for each answer: a column, a
//! day or a problem, and a number as its bits.

#![no_main]

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use fleet::datasets::Class;
use libfuzzer_sys::fuzz_target;
use worker::cloudwatch::{
    plan::Window,
    rows::{Answer, Datapoint, Listing, Problem, Reading, Resource, Row, Status},
};

const COLUMNS: u16 = 6;

fn window() -> Window {
    Window::new("2026-11-03".parse().expect("a date"), 2)
}

/// Each answer with its column. One that has a mark goes on with the datapoints of the one before it.
fn answers(data: &[u8]) -> Vec<(u16, Answer)> {
    let day_before_the_window: NaiveDate = "2026-10-31".parse().expect("a day");
    let mut answers: Vec<(u16, Answer)> = Vec::new();
    for chunk in data.chunks_exact(10) {
        let column = u16::from(chunk[0]) % COLUMNS;
        let value = f64::from_le_bytes(chunk[2..].try_into().expect("eight bytes"));
        let answer = match chunk[1] % 16 {
            0..5 => Ok(vec![Datapoint {
                day: day_before_the_window + Days::new(u64::from(chunk[1] % 16)),
                value,
            }]),
            5 => Err(Problem::Denied),
            6 => Err(Problem::Error("InternalError".into())),
            7 => Err(Problem::Error("PartialData".into())),
            8 => Ok(Vec::new()),
            at => Ok(vec![Datapoint {
                day: day_before_the_window + Days::new(u64::from(at - 8).min(3)),
                value,
            }]),
        };
        match (chunk[1] >= 128, answers.last_mut(), answer) {
            (true, Some((_, Ok(before))), Ok(datapoints)) => before.extend(datapoints),
            (_, _, answer) => answers.push((column, answer)),
        }
    }
    answers
}

fn row<'a>(
    answers: impl IntoIterator<Item = &'a (u16, Answer)>,
    listing: Listing,
    is_settled: bool,
) -> Option<Row> {
    let mut reading = Reading::default();
    for (column, answer) in answers {
        reading.add(*column, answer.clone(), window());
    }
    let resource =
        Resource { name: "b".into(), region: None, creation_date: None, listing, class: Class::General };
    let mut row = reading.into_row(resource, window(), is_settled)?;
    row.values.sort_unstable();
    Some(row)
}

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let listing = [Listing::Listed, Listing::Unlisted, Listing::Unlistable][usize::from(first % 3)];
    let is_settled = *first < 128;
    let answers = answers(data);
    let row_of = row(&answers, listing, is_settled);

    let mut turned = answers.clone();
    turned.reverse();
    for (_, answer) in &mut turned {
        if let Ok(datapoints) = answer {
            datapoints.reverse();
        }
    }
    assert_eq!(row(&turned, listing, is_settled), row_of, "the order of answers matters");
    turned.rotate_left(answers.len() / 2);
    assert_eq!(row(&turned, listing, is_settled), row_of, "the order of answers matters");

    let points = || {
        let given = answers.iter().filter_map(|(column, answer)| Some((*column, answer.as_ref().ok()?)));
        given.flat_map(|(column, datapoints)| datapoints.iter().map(move |point| (column, *point)))
    };
    let sound = |point: &Datapoint| {
        window().contains(point.day) && point.value >= 0.0 && point.value < 18_446_744_073_709_551_616.0
    };
    let newest = points().filter(|(_, point)| sound(point)).map(|(_, point)| point.day).max();
    let mut expected: BTreeMap<u16, u64> = BTreeMap::new();
    for (column, point) in points().filter(|(_, point)| sound(point) && Some(point.day) == newest) {
        let sum = expected.entry(column).or_default();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is sound")]
        let value = point.value.round() as u64;
        *sum = sum.saturating_add(value);
    }
    let newest_of_each = answers.iter().filter_map(|(_, answer)| {
        answer.as_ref().ok()?.iter().filter(|point| sound(point)).map(|point| point.day).max()
    });
    let is_behind = !is_settled && newest_of_each.min() < newest;
    let problem =
        answers.iter().any(|(_, answer)| answer.is_err()) || points().any(|(_, point)| !sound(&point));

    let Some(row) = row_of else {
        assert!(!problem && listing != Listing::Listed, "a gap that is not reported");
        assert_ne!(newest, Some(window().date()), "it was there on the day");
        return;
    };
    assert_eq!(row.datapoint_date, newest);
    assert!(newest.is_none_or(|day| day <= window().date()));
    assert!(row.values.iter().copied().eq(expected.clone()), "{:?} and not {expected:?}", row.values);
    assert_eq!(matches!(row.status, Status::Denied | Status::Error(_)), problem, "{}", row.status);
    assert_eq!(row.status == Status::NoData, newest.is_none() && !problem);
    let all: Vec<u16> = (0..COLUMNS).collect();
    let sum = expected.values().map(|value| u128::from(*value)).sum();
    assert_eq!(row.total(&all), (!problem && !is_behind && !expected.is_empty()).then_some(sum));
});
