// SPDX-License-Identifier: Apache-2.0
//! A derived column of a dataset's file.

use super::metric::column;
use crate::{
    account::shorten,
    datasets::{Cell, Column, Derived, Layout, Shape},
    settings::{Table, Value},
};

/// A derived column, and where it is in the file.
pub(super) struct Made<'a> {
    pub(super) derived: Derived,
    name: Value<'a>,
    ratio: [Value<'a>; 2],
}

/// The derived columns of a file.
pub(super) fn derived<'a>(file: &Table<'a>, shape: Option<Shape>, layout: Option<Layout>) -> Vec<Made<'a>> {
    let Some(value) = file.optional("derived") else { return Vec::new() };
    if shape == Some(Shape::NewestDay) {
        value.fault("is not in a dataset of shape newest_day, which has whole numbers");
    }
    if layout == Some(Layout::Long) {
        value.fault("is not in a dataset of layout long, whose rows have one value each");
    }
    value.tables().iter().filter_map(made).collect()
}

fn made<'a>(table: &Table<'a>) -> Option<Made<'a>> {
    let name = table.required("name");
    let named = name.as_ref().and_then(column);
    let ratio = table.required("ratio").and_then(|value| {
        let pair: Result<[_; 2], _> = value.texts().try_into();
        if pair.is_err() {
            value.fault("is not two columns: the one that is divided, and the one that it is divided by");
        }
        pair.ok()
    });
    table.end();
    let [(of_in, of), (by_in, by)] = ratio?;
    let derived = Derived { name: named?, ratio: [of, by].map(str::to_owned) };
    Some(Made { derived, name: name?, ratio: [of_in, by_in] })
}

/// Finds the faults that only a comparison with the other columns shows; `is_known` says whether all metrics are right.
pub(super) fn compare(made: &[Made<'_>], columns: &[Column], is_known: bool) {
    let measured: Vec<&str> =
        columns.iter().filter(|column| column.cell == Cell::Value).map(|column| &*column.name).collect();
    for (place, one) in made.iter().enumerate() {
        let name = &one.derived.name;
        let others = columns.iter().filter(|column| !matches!(column.cell, Cell::Ratio(..)));
        let mut others = others.map(|column| &column.name);
        let mut earlier = made.iter().take(place).map(|other| &other.derived.name);
        if others.any(|other| other == name) || earlier.any(|other| other == name) {
            one.name.fault("is the name of two columns");
        }
        for (value, of) in one.ratio.iter().zip(&one.derived.ratio) {
            if is_known && !measured.contains(&&**of) {
                let known = measured.join(", ");
                value.fault(format!("{:?} is no column of measured values, which are {known}", shorten(of)));
            }
        }
    }
}
