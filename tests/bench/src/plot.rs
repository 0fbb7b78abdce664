// SPDX-License-Identifier: Apache-2.0
//! One drawing: what an account takes beside two Python programs, as bars on a logarithmic scale.

use crate::outcome::{Outcome, figure, name, number};

const WIDTH: f64 = 840.0;
const LINE: f64 = 21.0;
/// Where bars begin, and how long the longest is.
const LEFT: f64 = 150.0;
const LONGEST: f64 = 400.0;

/// Who collects: as cases are named, as it is shown, and in which colour.
const SIDES: [(&str, &str, &str); 3] = [
    ("ours", "cloudwatch-fleet", "#218bff"),
    ("batched", "batched Python", "#9a8cd8"),
    ("sequential", "the Lambdas' way", "#afb8c1"),
];

/// The drawing has a ground of its own: GitHub's theme and the system's need not be the same.
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#1f2328}.bold{font-weight:600}.card{fill:#fff;stroke:#d1d9e0}\
    @media(prefers-color-scheme:dark){text{fill:#f0f6fc}.card{fill:#0d1117;stroke:#3d444d}}";

/// An SVG of the peers among outcomes; without them it is empty.
pub(crate) fn svg(outcomes: &[Outcome]) -> String {
    let peers = outcomes.iter().filter(|outcome| outcome.scenario == "peers");
    let cases: Vec<_> = peers.flat_map(|outcome| &outcome.cases).collect();
    let seconds = || cases.iter().map(|case| figure(case, "wall_s"));
    let most = seconds().fold(f64::MIN, f64::max);
    let least = 10_f64.powf(seconds().fold(f64::MAX, f64::min).log10().floor());
    let text = |class: &str, x: f64, y: f64, anchor: &str, said: &str| {
        format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{said}</text>\n")
    };
    let mut top = 2.0 * LINE;
    let mut body = text("bold", 20.0, 30.0, "start", "One account: seconds on a log scale, CPU, memory");
    for ours in cases.iter().filter(|case| name(case).starts_with("ours-")) {
        let rest = &name(ours)["ours-".len()..];
        let title = format!(
            "{} buckets, {} day",
            number(figure(ours, "buckets")),
            rest.rsplit('-').next().unwrap_or(rest)
        );
        body += &text("bold", 20.0, top + 14.5, "start", &title);
        top += LINE;
        for (side, label, colour) in SIDES {
            let Some(case) = cases.iter().find(|case| name(case) == format!("{side}-{rest}")) else {
                continue;
            };
            let [wall, cpu, memory] = ["wall_s", "cpu_s", "peak_rss_mib"].map(|what| figure(case, what));
            let length = (LONGEST * (wall / least).ln() / (most / least).ln()).max(1.0);
            let times = number(wall / figure(ours, "wall_s"));
            let times = if side == "ours" { String::new() } else { format!(" ({times}×)") };
            let said = format!("{} s{times}, CPU {} s, {} MiB", number(wall), number(cpu), number(memory));
            body += &format!(
                "<rect fill=\"{colour}\" x=\"{LEFT}\" y=\"{}\" width=\"{length:.1}\" height=\"13\"/>\n",
                top + 4.0
            );
            body += &text("label", LEFT - 8.0, top + 14.5, "end", label);
            body += &text("label", (LEFT + length + 6.0).round(), top + 14.5, "start", &said);
            top += LINE;
        }
    }
    let height = top + LINE / 2.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\">\n<style>{STYLE}</style>\n<rect class=\"card\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" \
         rx=\"8\"/>\n{body}</svg>\n",
        WIDTH - 1.0,
        height - 1.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::case;

    #[test]
    fn a_peer_has_its_bar_beside_ours() {
        let case = |side: &str, wall: f64| {
            case! { "name": format!("{side}-1000-buckets-recent"), "buckets": 1000, "wall_s": wall, "cpu_s": 0.3, "peak_rss_mib": 30 }
        };
        let cases = vec![case("ours", 0.2), case("batched", 2.0)];
        let drawn = svg(&[Outcome { scenario: "peers".to_owned(), cases, ..Outcome::default() }]);
        assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"), "{drawn}");
        assert!(
            drawn.contains(">1,000 buckets, recent day<")
                && drawn.contains(">2 s (10×), CPU 0.30 s, 30 MiB<"),
            "{drawn}"
        );
        assert_eq!(drawn.matches("width=\"400.0\"").count(), 1, "the longest: {drawn}");
        assert_eq!(svg(&[]).matches("<rect ").count(), 1, "an empty drawing");
    }
}
