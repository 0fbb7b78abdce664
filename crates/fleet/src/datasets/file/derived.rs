// SPDX-License-Identifier: Apache-2.0
//! A derived column of a dataset's file.

use super::metric::column;
use crate::{
    account::shorten,
    datasets::{Cell, Column, Derived, Discovery, Formula, Layout, Shape},
    settings::{Table, Value},
};

/// A derived column, and where it is in the file.
pub(super) struct Made<'a> {
    pub(super) derived: Derived,
    name: Value<'a>,
    /// The columns that it is made of.
    from: Vec<Value<'a>>,
}

/// The derived columns of a file.
pub(super) fn derived<'a>(
    file: &Table<'a>,
    shape: Option<Shape>,
    layout: Option<Layout>,
    discovery: Option<Discovery>,
) -> Vec<Made<'a>> {
    let Some(value) = file.optional("derived") else { return Vec::new() };
    if shape == Some(Shape::NewestDay) {
        value.fault("is not in a dataset of shape newest_day, which has whole numbers");
    }
    if layout == Some(Layout::Long) {
        value.fault("is not in a dataset of layout long, whose rows have one value each");
    }
    value.tables().iter().filter_map(|table| made(table, discovery)).collect()
}

fn made<'a>(table: &Table<'a>, discovery: Option<Discovery>) -> Option<Made<'a>> {
    let name = table.required("name");
    let named = name.as_ref().and_then(column);
    let formula = formula(table, discovery);
    table.end();
    let (from, formula) = formula?;
    Some(Made { derived: Derived { name: named?, formula }, name: name?, from })
}

/// The one formula of a derived column, and where each of its columns is in the file.
fn formula<'a>(table: &Table<'a>, discovery: Option<Discovery>) -> Option<(Vec<Value<'a>>, Formula)> {
    let [of_timeout, cost, saving] =
        ["of_timeout", "lambda_cost", "arm64_saving"].map(|key| table.optional(key));
    let pair = |value: &Value<'a>, wrong: &str| {
        let pair: Result<[_; 2], _> = value.texts().try_into();
        let Ok([(of_in, of), (by_in, by)]) = pair else {
            value.fault(wrong);
            return None;
        };
        Some((vec![of_in, by_in], [of, by].map(str::to_owned)))
    };
    let (value, formula) = match (of_timeout, cost, saving) {
        (Some(value), None, None) => {
            let formula = Formula::OfTimeout(value.text()?.to_owned());
            (value.clone(), Some((vec![value], formula)))
        }
        (None, None, Some(value)) => {
            let formula = Formula::Arm64Saving(value.text()?.to_owned());
            (value.clone(), Some((vec![value], formula)))
        }
        (None, Some(value), None) => {
            let wrong = "is not two columns: the invocations, and the sum of their milliseconds";
            let made = pair(&value, wrong).map(|(from, columns)| (from, Formula::LambdaCost(columns)));
            (value, made)
        }
        _ => {
            let value = table.required("ratio")?;
            let wrong = "is not two columns: the one that is divided, and the one that it is divided by";
            let made = pair(&value, wrong).map(|(from, columns)| (from, Formula::Ratio(columns)));
            (value, made)
        }
    };
    let formula = formula?;
    if formula.1.is_of_functions() && discovery.is_some_and(|it| it != Discovery::ListFunctions) {
        value.fault(format!(
            "needs what is known of functions, which the discovery {} finds",
            Discovery::ListFunctions.name()
        ));
    }
    Some(formula)
}

/// Finds the faults that only a comparison with the other columns shows; `is_known` says whether all metrics are right.
pub(super) fn compare(made: &[Made<'_>], columns: &[Column], is_known: bool) {
    let measured: Vec<&str> =
        columns.iter().filter(|column| column.cell == Cell::Value).map(|column| &*column.name).collect();
    for (place, one) in made.iter().enumerate() {
        let name = &one.derived.name;
        let others = columns.iter().filter(|column| !column.cell.is_derived());
        let mut others = others.map(|column| &column.name);
        let mut earlier = made.iter().take(place).map(|other| &other.derived.name);
        if others.any(|other| other == name) || earlier.any(|other| other == name) {
            one.name.fault("is the name of two columns");
        }
        for (value, of) in one.from.iter().zip(one.derived.formula.columns()) {
            if is_known && !measured.contains(&&**of) {
                let known = measured.join(", ");
                value.fault(format!("{:?} is no column of measured values, which are {known}", shorten(of)));
            }
        }
    }
}
