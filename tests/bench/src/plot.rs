//! Draws figures as an SVG: bars, each with its floor where it has one. Plain functions over values.

use std::fmt::Write;

use serde_json::Value;

use crate::outcome::{Case, Outcome};

const WIDTH: f64 = 760.0;
/// Where bars begin, and how long the longest is.
const LEFT: f64 = 250.0;
const LONGEST: f64 = 400.0;
const LINE: f64 = 20.0;
const TITLE: f64 = 40.0;

/// Above this, small bars could not be seen beside large ones, and the scale is a logarithm's.
const MOST_SIDE_BY_SIDE: f64 = 25.0;

/// Colours that can be read on white and on black, and lettering that follows the reader's choice.
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#333}.title{font-weight:600}.figure{font-size:12px}\
    .bar{fill:#3b82c4}.other{fill:#b0772f}.mark{stroke:#d03a3a;stroke-width:2}\
    @media(prefers-color-scheme:dark){text{fill:#ddd}}";

/// Bars under one title.
#[derive(Debug, Default)]
struct Panel {
    title: String,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    label: String,
    value: f64,
    /// What it is to be held against.
    mark: Option<f64>,
    /// Whether it is a peer's.
    other: bool,
}

/// An SVG of outcomes; of a scenario that has no drawing there is none in it.
pub(crate) fn svg(outcomes: &[Outcome]) -> String {
    let panels: Vec<Panel> =
        outcomes.iter().flat_map(panels).filter(|panel| !panel.rows.is_empty()).collect();
    let (mut body, mut top) = (String::new(), 0.0);
    for panel in &panels {
        top += TITLE;
        let _ = writeln!(body, r#"<text class="title" x="10" y="{:.0}">{}</text>"#, top - 12.0, panel.title);
        let scale = Scale::of(panel);
        for row in &panel.rows {
            row.draw(&mut body, &scale, top);
            top += LINE;
        }
    }
    let height = top + 12.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" height=\"{height:.0}\" \
         role=\"img\">\n<style>{STYLE}</style>\n{body}</svg>"
    )
}

fn panels(outcome: &Outcome) -> Vec<Panel> {
    let panel = |title: &str, value: &str, mark: &dyn Fn(&Case) -> Option<f64>| Panel {
        title: title.to_owned(),
        rows: outcome
            .cases
            .iter()
            .filter_map(|case| Row::of(case, figure(case, value), mark(case)))
            .collect(),
    };
    let none = |_: &Case| None;
    match outcome.scenario.as_str() {
        "account" => vec![
            panel("One account: seconds; the line is the floor", "wall_s", &|case| figure(case, "floor_s")),
            panel("One account: MiB of memory at most", "peak_rss_mib", &none),
        ],
        "fleet" => {
            let first = outcome.cases.first();
            let each = first.and_then(|case| Some(figure(case, "accounts_per_s")? / workers(case)?));
            vec![panel(
                "Workers: accounts a second; the line is so many times one",
                "accounts_per_s",
                &|case| Some(each? * workers(case)?),
            )]
        }
        "peers" => vec![
            panel("Beside two programs in Python: seconds", "wall_s", &none),
            panel("Seconds of CPU", "cpu_s", &none),
            panel("MiB of memory at most", "peak_rss_mib", &none),
        ],
        "mixed" => vec![panel("A small account: seconds, p95", "small_p95_s", &none)],
        "start" => vec![panel("From a worker's start: ms, p50", "p50_ms", &none)],
        _ => Vec::new(),
    }
}

fn figure(case: &Case, name: &str) -> Option<f64> {
    case.get(name).and_then(Value::as_f64)
}

fn name(case: &Case) -> &str {
    case.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// How many workers a case of the fleet has: its name begins with it.
fn workers(case: &Case) -> Option<f64> {
    name(case).split('-').next()?.parse().ok()
}

/// From a value to the length of its bar.
struct Scale {
    least: f64,
    most: f64,
    is_log: bool,
}

impl Scale {
    fn of(panel: &Panel) -> Self {
        let all =
            || panel.rows.iter().flat_map(|row| [Some(row.value), row.mark]).flatten().filter(|it| *it > 0.0);
        let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
        // A bar of the smallest is to be seen too.
        Self { least: least / 2.0, most, is_log: most > least * MOST_SIDE_BY_SIDE }
    }

    fn length(&self, value: f64) -> f64 {
        let share = if self.is_log {
            (value.max(self.least) / self.least).ln() / (self.most / self.least).ln()
        } else {
            value / self.most
        };
        share * LONGEST
    }
}

impl Row {
    fn of(case: &Case, value: Option<f64>, mark: Option<f64>) -> Option<Self> {
        let label = name(case).replace('-', " ");
        let other = label.starts_with("sequential") || label.starts_with("batched");
        Some(Self { label, value: value?, mark, other })
    }

    fn draw(&self, body: &mut String, scale: &Scale, top: f64) {
        let Self { label, value, mark, other } = self;
        let (length, class) = (scale.length(*value), if *other { "other" } else { "bar" });
        let text = top + 14.0;
        let end = LEFT - 8.0;
        let _ = writeln!(body, r#"<text x="{end}" y="{text:.0}" text-anchor="end">{label}</text>"#);
        let bar = top + 3.0;
        let _ = writeln!(
            body,
            r#"<rect class="{class}" x="{LEFT}" y="{bar:.0}" width="{length:.1}" height="14" rx="2"/>"#
        );
        let mut after = length;
        if let Some(mark) = mark.map(|mark| scale.length(mark)) {
            let (at, end) = (LEFT + mark, top + 19.0);
            let _ = writeln!(
                body,
                r#"<line class="mark" x1="{at:.1}" y1="{:.0}" x2="{at:.1}" y2="{end:.0}"/>"#,
                top + 1.0
            );
            after = after.max(mark);
        }
        let (at, digits) = (LEFT + after + 6.0, if *value < 10.0 { 2 } else { 0 });
        let _ = writeln!(body, r#"<text class="figure" x="{at:.1}" y="{text:.0}">{value:.digits$}</text>"#);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::case;

    #[test]
    fn a_case_has_its_bar_and_its_floor() {
        let cases = vec![
            case! { "name": "1000-buckets", "wall_s": 0.5, "floor_s": 0.25, "peak_rss_mib": 30.0 },
            case! { "name": "100000-buckets", "wall_s": 50.0, "floor_s": 45.0, "peak_rss_mib": 90.0 },
        ];
        let drawn = svg(&[Outcome { scenario: "account".to_owned(), cases, ..Outcome::default() }]);
        assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>"), "{drawn}");
        assert_eq!(drawn.matches("<rect ").count(), 4);
        assert_eq!(drawn.matches("<line ").count(), 2);
        assert!(drawn.contains(">1000 buckets<") && drawn.contains(r#"width="400.0""#), "{drawn}");
    }

    #[test]
    fn small_bars_are_seen_beside_large_ones() {
        let rows = [1.0, 1000.0].map(|value| Row { label: String::new(), value, mark: None, other: false });
        let scale = Scale::of(&Panel { title: String::new(), rows: rows.into() });
        assert!(scale.length(1.0) > 30.0 && (scale.length(1000.0) - LONGEST).abs() < 1e-9);
    }
}
