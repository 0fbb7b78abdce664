// SPDX-License-Identifier: Apache-2.0
//! What came of a scenario: cases with their figures, and bars that are met or missed. Plain values.

use std::{fmt, path::Path};

use anyhow::Context;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::made::Made;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) scenario: String,
    /// Whether it is the short form, whose figures are no measurements.
    pub(crate) short: bool,
    /// What was measured, one case after the other.
    pub(crate) cases: Vec<Case>,
    pub(crate) bars: Vec<Bar>,
    /// What must be known to read the figures.
    pub(crate) notes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) made: Option<Made>,
}

/// A case: its name and its figures, in the order in which they are shown.
pub(crate) type Case = Map<String, Value>;

/// Makes a case of `name: value` pairs.
macro_rules! case {
    ($($name:literal: $value:expr),+ $(,)?) => {{
        let mut case = $crate::outcome::Case::new();
        $(case.insert($name.to_owned(), serde_json::json!($value));)+
        case
    }};
}
pub(crate) use case;

pub(crate) fn name(case: &Case) -> &str {
    case.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// A case's figure of a name; not a number where it has none.
pub(crate) fn figure(case: &Case, name: &str) -> f64 {
    case.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// A figure that is held to a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bar {
    /// The case that it is of, where it is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) case: Option<String>,
    pub(crate) what: String,
    /// What it comes of, such as both sides of a ratio.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) detail: String,
    /// What came out; not a number, and `null` in JSON, where nothing did.
    #[serde(deserialize_with = "nan_where_null")]
    pub(crate) figure: f64,
    pub(crate) must: Must,
    pub(crate) limit: f64,
    pub(crate) met: bool,
}

/// How a figure is compared with its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Must {
    #[serde(rename = "<=")]
    BeAtMost,
    #[serde(rename = ">=")]
    BeAtLeast,
}

impl Bar {
    /// A figure that must not be above a limit.
    pub(crate) fn at_most(what: impl Into<String>, figure: f64, limit: f64) -> Self {
        Self::new(what, figure, Must::BeAtMost, limit, figure <= limit)
    }

    /// A figure that must not be below a limit.
    pub(crate) fn at_least(what: impl Into<String>, figure: f64, limit: f64) -> Self {
        Self::new(what, figure, Must::BeAtLeast, limit, figure >= limit)
    }

    /// The bar of what could not be measured at all.
    pub(crate) fn not_done() -> Self {
        Self::at_least("done", 0.0, 1.0)
    }

    pub(crate) fn of(self, case: impl Into<String>) -> Self {
        Self { case: Some(case.into()), ..self }
    }

    /// The same, with what it comes of.
    pub(crate) fn with(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    pub(crate) fn limit(&self) -> String {
        let limit = number(self.limit);
        let limit =
            if limit.contains('.') { limit.trim_end_matches('0').trim_end_matches('.') } else { &limit };
        let sign = if self.must == Must::BeAtMost { '≤' } else { '≥' };
        format!("{sign} {limit}")
    }

    fn new(what: impl Into<String>, figure: f64, must: Must, limit: f64, met: bool) -> Self {
        Self { case: None, what: what.into(), detail: String::new(), figure, must, limit, met }
    }
}

fn nan_where_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

impl fmt::Display for Bar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let case = self.case.as_ref().map(|case| format!("{case}: ")).unwrap_or_default();
        write!(formatter, "{case}{}: {}, must be {}", self.what, number(self.figure), self.limit())
    }
}

impl Outcome {
    /// Reads what was written as JSON, of one scenario or of several.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<Self>> {
        let text = std::fs::read(file).with_context(|| format!("could not read {}", file.display()))?;
        let value: Value = serde_json::from_slice(&text).with_context(|| format!("{}", file.display()))?;
        let outcomes = match value {
            Value::Array(_) => serde_json::from_value(value),
            one => serde_json::from_value(one).map(|outcome| vec![outcome]),
        };
        outcomes.with_context(|| format!("{} has no figures of this program", file.display()))
    }

    /// The outcome of a scenario that could not be measured at all.
    pub(crate) fn not_done(scenario: &str, short: bool) -> Self {
        Self { scenario: scenario.to_owned(), short, bars: vec![Bar::not_done()], ..Self::default() }
    }
}

/// A number with as many digits as say something, and its thousands apart.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 99.95 => thousands(&format!("{value:.0}")),
        _ if value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        size if size >= 0.01 => format!("{value:.3}"),
        _ if value.is_nan() => "nothing".to_owned(),
        _ => format!("{value:.4}"),
    }
}

fn thousands(digits: &str) -> String {
    let mut apart = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) && !apart.ends_with('-') {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        Outcome {
            scenario: "account".to_owned(),
            cases: vec![case! { "name": "small", "wall_s": 1.25, "api_calls": 12 }],
            bars: vec![
                Bar::at_most("calls against the floor", 1.5, 1.02),
                Bar::at_least("times faster", 3.0, 3.0),
            ],
            ..Outcome::default()
        }
    }

    #[test]
    fn what_is_written_as_json_is_read_again() {
        let json = serde_json::to_value(outcome()).expect("JSON");
        assert_eq!(json["bars"][0]["must"], "<=");
        assert_eq!(serde_json::from_value::<Outcome>(json).expect("an outcome"), outcome());
    }

    #[test]
    fn a_figure_that_is_not_there_is_written_and_read_too() {
        let bar = Bar::at_most("seconds", f64::NAN, 1.0).of("small");
        let json = serde_json::to_string(&bar).expect("JSON");
        assert_eq!(
            json,
            r#"{"case":"small","what":"seconds","figure":null,"must":"<=","limit":1.0,"met":false}"#
        );
        let read: Bar = serde_json::from_str(&json).expect("a bar");
        assert_eq!(read.to_string(), "small: seconds: nothing, must be ≤ 1");
    }

    #[test]
    fn a_number_has_as_many_digits_as_say_something() {
        let values =
            [0.0, 0.004_21, 0.0421, 0.421, 4.21, 9.999, 42.1, 99.96, 421.4, 12_345.6, 1e6, -1234.0, 64.0];
        let expected = "0 0.0042 0.042 0.42 4.21 10.0 42.1 100 421 12,346 1,000,000 -1,234 64";
        assert_eq!(values.map(number).join(" "), expected);
    }

    #[test]
    fn a_limit_has_no_zeros_that_say_nothing() {
        let limit = |limit| Bar::at_most("seconds", 1.0, limit).limit();
        assert_eq!([limit(22.96), limit(1.5), limit(64.0), limit(1.02)], ["≤ 23", "≤ 1.5", "≤ 64", "≤ 1.02"]);
    }

    #[test]
    fn a_missed_bar_is_reported() {
        let outcome = outcome();
        let missed: Vec<String> =
            outcome.bars.iter().filter(|bar| !bar.met).map(ToString::to_string).collect();
        assert_eq!(missed, ["calls against the floor: 1.50, must be ≤ 1.02"]);
    }
}
