//! Draws all figures as one SVG: what each scenario has to say, bar by bar, each with its floor where it has
//! one. Plain functions over values; [`panels`] says what is drawn, this how.

mod panels;
mod style;

use std::fmt::Write;

use panels::{Line, Panel, Row, Strip};

use crate::outcome::Outcome;

const WIDTH: f64 = 840.0;
const EDGE: f64 = 22.0;
/// Between two panels beside each other.
const GAP: f64 = 20.0;

const LINE: f64 = 21.0;
const BAR: f64 = 13.0;
/// A strip's title with the space above it, and a panel's.
const STRIP_TITLE: f64 = 44.0;
const PANEL_TITLE: f64 = 24.0;
/// Below a strip, with the numbers of its scales.
const STRIP_END: f64 = 22.0;

/// An SVG of outcomes; of a scenario that is not among them there is nothing in it.
pub(crate) fn svg(outcomes: &[Outcome]) -> String {
    let (mut body, mut top) = (String::new(), 0.0);
    for strip in panels::strips(outcomes) {
        top = draw_strip(&mut body, &strip, top);
    }
    let height = top + EDGE / 2.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
         height=\"{height:.0}\" role=\"img\">\n<title>How fast the fleet is, beside its floors and beside two programs in \
         Python</title>\n<style>{}</style>\n<rect class=\"card\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{:.0}\" \
         rx=\"8\"/>\n{body}</svg>\n",
        style::STYLE,
        WIDTH - 1.0,
        height - 1.0,
    )
}

/// Draws a strip from `top` on, and gives where it ends.
fn draw_strip(body: &mut String, strip: &Strip, top: f64) -> f64 {
    let title = top + STRIP_TITLE - 16.0;
    text(body, "title", EDGE, title, "start", strip.title);
    draw_legend(body, strip, title);
    let top = top + STRIP_TITLE;
    let labels: f64 = strip.panels.iter().map(|panel| panel.labels).sum();
    #[expect(clippy::cast_precision_loss, reason = "a few panels")]
    let count = strip.panels.len() as f64;
    let each = (WIDTH - 2.0 * EDGE - labels - GAP * (count - 1.0)) / count;
    let (mut left, mut lines) = (EDGE, 0);
    for panel in &strip.panels {
        let place = Place { left: left + panel.labels, top: top + PANEL_TITLE, width: each };
        draw_panel(body, panel, &place);
        left += panel.labels + each + GAP;
        lines = lines.max(panel.lines.len());
    }
    top + PANEL_TITLE + height_of(lines) + STRIP_END
}

#[expect(clippy::cast_precision_loss, reason = "a few lines")]
fn height_of(lines: usize) -> f64 {
    lines as f64 * LINE
}

/// Says what the colours are, up to the right edge.
fn draw_legend(body: &mut String, strip: &Strip, baseline: f64) {
    let width = |said: &str| 16.0 + style::width_of(said) + GAP;
    let all: f64 = strip.legend.iter().map(|(_, said)| width(said)).sum();
    let mut left = WIDTH - EDGE - (all - GAP);
    for (kind, said) in &strip.legend {
        match kind {
            None => mark(body, left + 8.0, baseline - 11.0, baseline + 2.0),
            Some(kind) => bar(body, kind.class(), left, baseline - 9.5, 10.0, 10.0),
        }
        text(body, "small", left + 16.0, baseline, "start", said);
        left += width(said);
    }
}

/// Where the bars of a panel begin, and how much room they have with what is said of them.
struct Place {
    left: f64,
    top: f64,
    width: f64,
}

fn draw_panel(body: &mut String, panel: &Panel, place: &Place) {
    let scale = Scale::of(panel, place.width - panel.words);
    text(body, "head", place.left, place.top - 8.0, "start", panel.title);
    let bottom = place.top + height_of(panel.lines.len());
    for (decade, said) in scale.decades() {
        text(body, "tiny", place.left + scale.length(decade), bottom + 10.0, "middle", &said);
    }
    for (nth, line) in panel.lines.iter().enumerate() {
        let top = place.top + height_of(nth);
        match line {
            Line::Head(_) if panel.labels == 0.0 => {}
            Line::Head(said) => text(body, "group", place.left - panel.labels, top + 15.0, "start", said),
            Line::Bar(row) => draw_row(body, panel, row, &scale, place.left, top),
        }
    }
}

fn draw_row(body: &mut String, panel: &Panel, row: &Row, scale: &Scale, left: f64, top: f64) {
    let (baseline, length) = (top + 14.5, scale.length(row.value));
    if panel.labels > 0.0 {
        text(body, "label", left - 8.0, baseline, "end", &row.label);
    }
    bar(body, row.kind.class(), left, top + 4.0, length, BAR);
    // Powers of ten are cut into the bar: a line across the panel would run through what is said.
    for at in scale.decades().iter().map(|(decade, _)| scale.length(*decade)) {
        if at > 0.0 && at < length - 2.0 {
            line(body, "cut", left + at, top + 4.0, top + 4.0 + BAR);
        }
    }
    let mut after = length;
    if let Some(floor) = row.mark.map(|floor| scale.length(floor)) {
        mark(body, left + floor, top + 1.5, top + 1.5 + BAR + 5.0);
        after = after.max(floor);
    }
    let classes = if panel.is_ratio { ["more", "figure"] } else { ["figure", "more"] };
    let said: String = [&row.figure, &row.more]
        .into_iter()
        .zip(classes)
        .filter(|(said, _)| !said.is_empty())
        .fold(String::new(), |before, (said, class)| {
            let space = if before.is_empty() { "" } else { r#" dx="6""# };
            format!(r#"{before}<tspan class="{class}"{space}>{}</tspan>"#, escaped(said))
        });
    let _ = writeln!(body, r#"<text x="{:.1}" y="{baseline:.1}">{said}</text>"#, left + after + 6.0);
}

fn bar(body: &mut String, class: &str, left: f64, top: f64, width: f64, height: f64) {
    let _ = writeln!(
        body,
        r#"<rect class="{class}" x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}" rx="2"/>"#
    );
}

/// A floor.
fn mark(body: &mut String, at: f64, top: f64, bottom: f64) {
    line(body, "mark", at, top, bottom);
}

fn line(body: &mut String, class: &str, at: f64, top: f64, bottom: f64) {
    let _ =
        writeln!(body, r#"<line class="{class}" x1="{at:.1}" y1="{top:.1}" x2="{at:.1}" y2="{bottom:.1}"/>"#);
}

fn text(body: &mut String, class: &str, at: f64, baseline: f64, anchor: &str, said: &str) {
    let said = escaped(said);
    let _ = writeln!(
        body,
        r#"<text class="{class}" x="{at:.1}" y="{baseline:.1}" text-anchor="{anchor}">{said}</text>"#
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// From a value to the length of its bar.
struct Scale {
    /// Where bars begin: a power of ten for a logarithm's scale, else 0.
    least: f64,
    most: f64,
    longest: f64,
}

impl Scale {
    fn of(panel: &Panel, longest: f64) -> Self {
        let values = || panel.lines.iter().flat_map(Line::values).chain(panel.beside.iter().copied());
        let most = values().fold(0.0, f64::max);
        let least = values().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        let least = if panel.is_log && least.is_finite() { 10_f64.powf(least.log10().floor()) } else { 0.0 };
        Self { least, most, longest }
    }

    fn length(&self, value: f64) -> f64 {
        let share = if self.least > 0.0 {
            (value.max(self.least) / self.least).ln() / (self.most / self.least).ln()
        } else {
            value / self.most
        };
        if share.is_finite() { share * self.longest } else { 0.0 }
    }

    /// The powers of ten of a logarithm's scale.
    fn decades(&self) -> Vec<(f64, String)> {
        let mut decades = Vec::new();
        let mut decade = self.least;
        while decade > 0.0 && decade <= self.most {
            // What is below 1 has as many digits as it needs: 0.01, and not 0.010.
            decades.push((decade, format!("{}", (decade * 1e6).round() / 1e6)));
            decade *= 10.0;
        }
        decades
    }
}

#[cfg(test)]
mod tests {
    use super::{panels::Kind, *};
    use crate::outcome::case;

    fn account() -> Outcome {
        let case = |buckets: u64, wall: f64, floor: f64| {
            case! {
                "name": format!("{buckets}-buckets-1-region-old"), "buckets": buckets, "regions": 1, "wall_s": wall,
                "floor_s": floor, "peak_rss_mib": 30.0,
            }
        };
        let cases = vec![case(1_000, 0.5, 0.25), case(100_000, 50.0, 45.0)];
        Outcome { scenario: "account".to_owned(), cases, ..Outcome::default() }
    }

    #[test]
    fn a_case_has_its_bar_and_its_floor() {
        let drawn = svg(&[account()]);
        assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"), "{drawn}");
        assert!(drawn.contains(">1,000 buckets<") && drawn.contains(">50 s<"), "{drawn}");
        assert!(drawn.contains("floor 45"), "{drawn}");
    }

    #[test]
    fn of_nothing_there_is_an_empty_drawing() {
        let drawn = svg(&[]);
        assert_eq!(drawn.matches("<rect ").count(), 1, "{drawn}");
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
    }

    #[test]
    fn small_bars_are_seen_beside_large_ones() {
        let scale = Scale { least: 0.1, most: 1000.0, longest: 400.0 };
        assert!((scale.length(1.0) - 100.0).abs() < 1e-9 && (scale.length(1000.0) - 400.0).abs() < 1e-9);
        let decades: Vec<String> = scale.decades().into_iter().map(|(_, said)| said).collect();
        assert_eq!(decades, ["0.1", "1", "10", "100", "1000"]);
    }

    #[test]
    fn what_is_said_breaks_no_tag() {
        assert_eq!(escaped("a < b & c > d"), "a &lt; b &amp; c &gt; d");
    }

    #[test]
    fn every_kind_has_its_colour() {
        let classes = [Kind::Ours, Kind::Batched, Kind::Sequential].map(Kind::class);
        assert!(classes.iter().all(|class| style::STYLE.contains(&format!(".{class}{{"))), "{classes:?}");
    }
}
