//! What came of a scenario: cases with their figures, and bars that are met or missed. Plain values.

use std::{fmt, path::Path};

use anyhow::Context;
use fleet::output::table;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What came of a scenario.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Its name.
    pub(crate) scenario: String,
    /// Whether it is the short form, whose figures are no measurements.
    pub(crate) short: bool,
    /// What was measured, one case after the other.
    pub(crate) cases: Vec<Case>,
    /// What is held to.
    pub(crate) bars: Vec<Bar>,
    /// What must be known to read the figures.
    pub(crate) notes: Vec<String>,
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

/// A figure that is held to a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bar {
    /// What is measured.
    pub(crate) what: String,
    /// What came out.
    pub(crate) figure: f64,
    /// How it must stand to the limit.
    pub(crate) must: Must,
    /// The limit.
    pub(crate) limit: f64,
    /// Whether it does.
    pub(crate) met: bool,
}

/// How a figure must stand to its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Must {
    /// Not above it.
    #[serde(rename = "<=")]
    BeAtMost,
    /// Not below it.
    #[serde(rename = ">=")]
    BeAtLeast,
}

impl Bar {
    /// A figure that must not be above a limit.
    pub(crate) fn at_most(what: impl Into<String>, figure: f64, limit: f64) -> Self {
        Self { what: what.into(), figure, must: Must::BeAtMost, limit, met: figure <= limit }
    }

    /// A figure that must not be below a limit.
    pub(crate) fn at_least(what: impl Into<String>, figure: f64, limit: f64) -> Self {
        Self { what: what.into(), figure, must: Must::BeAtLeast, limit, met: figure >= limit }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, figure, limit, .. } = self;
        write!(formatter, "{what}: {} {} {}", number(*figure), self.must, number(*limit))
    }
}

impl fmt::Display for Must {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::BeAtMost => "must be at most",
            Self::BeAtLeast => "must be at least",
        })
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

    /// The bars that are missed.
    pub(crate) fn missed(&self) -> impl Iterator<Item = &Bar> {
        self.bars.iter().filter(|bar| !bar.met)
    }

    /// All of it as a person reads it.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}{}\n\n", self.scenario, if self.short { ", short form" } else { "" });
        let mut names: Vec<&str> = Vec::new();
        for name in self.cases.iter().flat_map(|case| case.keys()) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        let cell = |case: &Case, name: &str| case.get(name).map(shown).unwrap_or_default();
        let rows = self.cases.iter().map(|case| names.iter().map(|name| cell(case, name)).collect());
        let numbers: Vec<usize> = (1..names.len()).collect();
        text += &table(&names, &numbers, rows);
        if !self.bars.is_empty() {
            let sign = |bar: &Bar| if bar.must == Must::BeAtMost { "≤" } else { "≥" }.to_owned();
            let rows = self.bars.iter().map(|bar| {
                let met = if bar.met { "met" } else { "MISSED" }.to_owned();
                vec![bar.what.clone(), number(bar.figure), sign(bar), number(bar.limit), met]
            });
            text += "\n\n";
            text += &table(&["bar", "figure", "", "limit", ""], &[1, 3], rows);
        }
        for note in &self.notes {
            text += &format!("\n\n{note}");
        }
        text + "\n"
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Number(it) if !it.is_f64() => it.to_string(),
        other => other.as_f64().map_or_else(|| other.to_string(), number),
    }
}

/// A number with as many digits as say something.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
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
    fn a_missed_bar_is_told() {
        let missed: Vec<String> = outcome().missed().map(ToString::to_string).collect();
        assert_eq!(missed, ["calls against the floor: 1.50 must be at most 1.02"]);
        let text = outcome().text();
        assert!(text.contains("MISSED") && text.contains("small    1.25         12"), "{text}");
    }
}
