// SPDX-License-Identifier: Apache-2.0
//! Draws what the panels of a dashboard return as an SVG: no Dashboards can be run here, so that the pictures of the
//! documentation are of the same queries, and not of its pages.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use chrono::{DateTime, SecondsFormat};
use sinks::opensearch::dashboards::panel::{By, Column, Kind, Line, Of, Panel};

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 12.0;
const HEIGHT_OF_NUMBER: f64 = 84.0;
const HEIGHT: f64 = 236.0;
/// How high a line of text is.
const LINE: f64 = 19.0;
/// How many lines of a table, a pie or a legend are drawn.
const LINES: usize = 9;

const COLOURS: [&str; 7] = ["#218bff", "#e16f24", "#2da44e", "#9a8cd8", "#c69026", "#d1538e", "#57ab9a"];

/// The drawing has a ground of its own, as GitHub's theme and the system's need not be the same.
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#1f2328}.bold{font-weight:600}.big{font-size:26px}.soft{fill:#59636e}\
    .ground{fill:#f6f8fa}.card{fill:#fff;stroke:#d1d9e0}.axis{stroke:#d1d9e0}\
    @media(prefers-color-scheme:dark){text{fill:#f0f6fc}.soft{fill:#9198a1}.ground{fill:#010409}.card{fill:#0d1117;stroke:#3d444d}\
    .axis{stroke:#3d444d}}";

/// A rectangle that a panel is drawn in.
#[derive(Clone, Copy)]
struct Frame {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// The whole dashboard, whose numbers come first.
pub(crate) fn dashboard(title: &str, panels: &[(&Panel, Vec<Line>)]) -> String {
    let is_number = |panel: &Panel| panel.kind == Kind::Number;
    let numbers = panels.iter().filter(|(panel, _)| is_number(panel)).count();
    let width_of = |count: usize| {
        let count = f64::from(u32::try_from(count.max(1)).unwrap_or(1));
        (WIDTH - MARGIN * (count + 1.0)) / count
    };
    let mut y = 44.0;
    let mut body = text("bold", MARGIN + 4.0, 28.0, "start", title);
    let (of_numbers, others) = panels.split_at(numbers);
    for row in std::iter::once(of_numbers).chain(others.chunks(2)) {
        let width = width_of(if is_number(row[0].0) { numbers } else { 2 });
        let height = row.iter().map(|(panel, lines)| height_of(panel, lines)).fold(0.0, f64::max);
        let mut x = MARGIN;
        for (panel, lines) in row {
            body += &one(panel, lines, Frame { x, y, width, height });
            x += width + MARGIN;
        }
        y += height + MARGIN;
    }
    let whole = y;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {whole}\" width=\"{WIDTH}\" height=\"{whole}\" \
         role=\"img\">\n<style>{STYLE}</style>\n<rect class=\"ground\" width=\"{WIDTH}\" height=\"{whole}\"/>\n{body}</svg>\n"
    )
}

/// A table is as high as its lines.
fn height_of(panel: &Panel, lines: &[Line]) -> f64 {
    match panel.kind {
        Kind::Number => HEIGHT_OF_NUMBER,
        Kind::Table => 64.0 + LINE * f64::from(u32::try_from(lines.len().min(LINES)).unwrap_or_default()),
        _ => HEIGHT,
    }
}

fn one(panel: &Panel, lines: &[Line], frame: Frame) -> String {
    let Frame { x, y, width, height } = frame;
    let card = format!(
        "<rect class=\"card\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"6\"/>\n"
    );
    let title = text("bold", x + 12.0, y + 20.0, "start", panel.title);
    let inner = Frame { x: x + 12.0, y: y + 32.0, width: width - 24.0, height: height - 42.0 };
    let drawn = match panel.kind {
        Kind::Number => {
            let value = lines.first().and_then(|line| *line.values.first()?);
            let shown = panel.columns.first().map_or(String::new(), |column| shown(column, value));
            text("big", x + width / 2.0, y + height - 20.0, "middle", &shown)
        }
        Kind::Table => table(panel, lines, inner),
        Kind::Pie => pie(panel, lines, inner),
        Kind::Line => over_time(panel, lines, inner, false),
        Kind::Bar if panel.by.last() == Some(&By::Time) => over_time(panel, lines, inner, true),
        Kind::Bar => bars(panel, lines, inner),
    };
    card + &title + &drawn
}

fn text(class: &str, x: f64, y: f64, anchor: &str, said: &str) -> String {
    let said = said.replace('&', "&amp;").replace('<', "&lt;");
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{said}</text>\n")
}

/// A value as people read it: a time, dollars, a part in percent, or a number.
fn shown(column: &Column, value: Option<f64>) -> String {
    let Some(value) = value else { return String::new() };
    let field = match column.of {
        Of::Ratio(..) => return format!("{:.2} %", value * 100.0),
        Of::Sum(field) | Of::Average(field) | Of::Maximum(field) | Of::Minimum(field) => field,
        Of::Count | Of::Distinct(_) => "",
    };
    if field.ends_with("_usd") {
        return format!("${}", number(value, 2));
    }
    if field.contains("proximity") {
        return format!("{:.1} %", value * 100.0);
    }
    if matches!(
        field,
        "@timestamp" | "collected_at" | "window_end" | "last_modified" | "runtime_deprecated_on"
    ) {
        #[expect(clippy::cast_possible_truncation, reason = "a time in milliseconds")]
        let time = DateTime::from_timestamp_millis(value as i64);
        let time = time.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default();
        return time.trim_end_matches(":00Z").replace("T00:00", "").replace('T', " ");
    }
    if value.fract() == 0.0 { number(value, 0) } else { number(value, 1) }
}

/// A number with a comma between thousands.
fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, rest) =
        text.split_once('.').map_or((&*text, String::new()), |(whole, rest)| (whole, format!(".{rest}")));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + &rest
}

fn table(panel: &Panel, lines: &[Line], frame: Frame) -> String {
    let labels = panel.by.iter().filter_map(|by| match by {
        By::Values { label, .. } => Some(*label),
        By::Time => None,
    });
    let columns = f64::from(u32::try_from(panel.columns.len()).unwrap_or(1));
    let first = frame.width * 0.33;
    let right = |place: usize| {
        let place = f64::from(u32::try_from(place + 1).unwrap_or(1));
        frame.x + first + (frame.width - first) * place / columns
    };
    let mut drawn = String::new();
    for (place, label) in labels.enumerate() {
        let place = f64::from(u32::try_from(place).unwrap_or_default());
        drawn += &text("soft", frame.x + place * 90.0, frame.y + 14.0, "start", label);
    }
    for (place, column) in panel.columns.iter().enumerate() {
        drawn += &text("soft", right(place), frame.y + 14.0, "end", column.label);
    }
    let mut y = frame.y + 14.0;
    for line in lines.iter().take(LINES) {
        y += LINE;
        drawn += &text("", frame.x, y, "start", &line.groups.join("  "));
        for ((place, column), value) in panel.columns.iter().enumerate().zip(&line.values) {
            drawn += &text("", right(place), y, "end", &shown(column, *value));
        }
    }
    drawn
}

fn pie(panel: &Panel, lines: &[Line], frame: Frame) -> String {
    let value = |line: &Line| line.values.first().copied().flatten().unwrap_or_default();
    let total: f64 = lines.iter().map(value).sum();
    let (radius, x) = (frame.height / 2.0 - 8.0, frame.x + frame.height / 2.0);
    let y = frame.y + frame.height / 2.0;
    let mut from = 0.0;
    let mut drawn = String::new();
    for ((place, line), colour) in lines.iter().enumerate().take(LINES).zip(COLOURS.iter().cycle()) {
        // Dashes of one circle, since an arc can't go all the way round.
        let part = value(line) / total;
        let (middle, around) = (radius * 0.75, TAU * radius * 0.75);
        drawn += &format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{middle:.1}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{:.1}\" \
             stroke-dasharray=\"{:.1} {around:.1}\" stroke-dashoffset=\"{:.1}\"/>\n",
            radius * 0.5,
            part * around,
            -from * around,
        );
        from += part;
        let said = panel.columns.first().map(|column| shown(column, Some(value(line)))).unwrap_or_default();
        drawn += &legend(
            frame.x + frame.height + 40.0,
            frame.y,
            place,
            colour,
            &format!("{}: {said}", line.groups.join(" ")),
        );
    }
    drawn
}

fn legend(x: f64, y: f64, place: usize, colour: &str, said: &str) -> String {
    let y = y + 20.0 + LINE * f64::from(u32::try_from(place).unwrap_or_default());
    format!(
        "<rect fill=\"{colour}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"10\" height=\"10\" rx=\"2\"/>\n",
        y - 9.0
    ) + &text("", x + 16.0, y, "start", said)
}

fn bars(panel: &Panel, lines: &[Line], frame: Frame) -> String {
    let value = |line: &Line| line.values.first().copied().flatten().unwrap_or_default();
    let most = lines.iter().map(value).fold(f64::MIN_POSITIVE, f64::max);
    let mut drawn = String::new();
    for (place, line) in lines.iter().enumerate().take(LINES) {
        let y = frame.y + 8.0 + LINE * f64::from(u32::try_from(place).unwrap_or_default());
        let length = (frame.width - 220.0) * value(line) / most;
        drawn += &text("", frame.x + 110.0, y + 11.0, "end", &line.groups.join(" "));
        drawn += &format!(
            "<rect fill=\"{}\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"13\" rx=\"2\"/>\n",
            COLOURS[0],
            frame.x + 118.0
        );
        let said = panel.columns.first().map(|column| shown(column, Some(value(line)))).unwrap_or_default();
        drawn += &text("soft", frame.x + 124.0 + length, y + 11.0, "start", &said);
    }
    drawn
}

/// Values by the hour: a line, or a part of each column, for each group or column of the panel.
fn over_time(panel: &Panel, lines: &[Line], frame: Frame, stacked: bool) -> String {
    let mut series: BTreeMap<(usize, String), BTreeMap<usize, f64>> = BTreeMap::new();
    for line in lines {
        let Some((time, groups)) = line.groups.split_last() else { continue };
        let hour = time.get(11..13).and_then(|hour| hour.parse().ok()).unwrap_or_default();
        for ((place, column), value) in panel.columns.iter().enumerate().zip(&line.values) {
            let name = if groups.is_empty() { column.label.to_owned() } else { groups.join(" ") };
            series.entry((place, name)).or_default().extend(value.map(|value| (hour, value)));
        }
    }
    let mut tops = [0.0_f64; 24];
    for (hour, value) in series.values().flatten() {
        if let Some(top) = tops.get_mut(*hour) {
            *top = if stacked { *top + value } else { top.max(*value) };
        }
    }
    let most = tops.into_iter().fold(f64::MIN_POSITIVE, f64::max);
    let plot = Frame {
        x: frame.x + 64.0,
        y: frame.y + 6.0,
        width: frame.width - 230.0,
        height: frame.height - 26.0,
    };
    let at =
        |hour: usize| plot.x + plot.width * (f64::from(u32::try_from(hour).unwrap_or_default()) + 0.5) / 24.0;
    let bottom = plot.y + plot.height;
    let up = |value: f64| bottom - plot.height * value / most;
    let axis = |y: f64| {
        format!(
            "<line class=\"axis\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n",
            plot.x,
            plot.x + plot.width
        )
    };
    let mut drawn = axis(bottom) + &axis(plot.y);
    let top = panel.columns.first().map(|column| shown(column, Some(most))).unwrap_or_default();
    drawn += &text("soft", plot.x - 6.0, plot.y + 5.0, "end", &top);
    drawn += &text("soft", plot.x - 6.0, bottom + 4.0, "end", "0");
    for hour in [0, 6, 12, 18] {
        drawn += &text("soft", at(hour), bottom + 16.0, "middle", &format!("{hour:02}:00"));
    }
    let mut floors = [0.0_f64; 24];
    for (((place, ((_, name), values)), colour), _) in
        series.iter().enumerate().zip(COLOURS.iter().cycle()).zip(0..LINES)
    {
        if stacked {
            for (hour, value) in values {
                let Some(floor) = floors.get_mut(*hour) else { continue };
                drawn += &format!(
                    "<rect fill=\"{colour}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\n",
                    at(*hour) - plot.width / 60.0,
                    up(*floor + value),
                    plot.width / 30.0,
                    plot.height * value / most
                );
                *floor += value;
            }
        } else {
            let points = values.iter().map(|(hour, value)| format!("{:.1},{:.1}", at(*hour), up(*value)));
            let points = points.collect::<Vec<_>>().join(" ");
            drawn += &format!(
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" points=\"{points}\"/>\n"
            );
        }
        drawn += &legend(plot.x + plot.width + 20.0, frame.y, place, colour, name);
    }
    drawn
}
