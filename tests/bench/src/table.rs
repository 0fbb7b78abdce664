//! One table of all figures, in Markdown: each beside its floor or its bar. Plain functions over values.

use std::fmt::Write;

use crate::outcome::{Bar, Case, Outcome, figure, name, number};

/// The scenarios in the order in which they are shown, ratios first, each with its heading.
const GROUPS: [(&str, &str); 6] = [
    ("peers", "Beside what people use today"),
    ("account", "One account, beside its floor"),
    ("fleet", "A fleet, beside so many times one worker"),
    ("mixed", "Small accounts beside a huge one"),
    ("start", "A worker's start"),
    ("ceiling", "The AWS that all of it is measured on"),
];

const HEADER: &str = "| | measured | floor or bar | |\n| --- | ---: | ---: | --- |\n";

/// The table.
pub(crate) fn markdown(outcomes: &[Outcome]) -> String {
    let mut text = HEADER.to_owned();
    for (scenario, title) in GROUPS {
        for outcome in outcomes.iter().filter(|outcome| outcome.scenario == scenario) {
            let short = if outcome.short { ", short form" } else { "" };
            let _ = writeln!(text, "| **{title}**{short} | | | |");
            for row in rows(outcome) {
                let _ = writeln!(text, "| {} |", row.join(" | "));
            }
        }
    }
    text
}

/// The ratios in a sentence; none where the peers are not among the outcomes.
pub(crate) fn lead(outcomes: &[Outcome]) -> Option<String> {
    let peers = outcomes.iter().find(|outcome| outcome.scenario == "peers" && !outcome.short)?;
    let times = |start: &str| {
        let bar = peers.bars.iter().find(|bar| bar.what.starts_with(start))?;
        Some(number(bar.figure))
    };
    Some(format!(
        "An account is collected **{} times faster than the Lambdas' way**, which asks for each metric of each bucket in turn, \
         and **{} times faster than batched Python** on a thread pool, with **{} times less CPU** and **{} times less memory**.",
        times("times faster than the Lambdas' way")?,
        times("times faster than batched Python")?,
        times("times less CPU than batched Python")?,
        times("times less memory than batched Python")?,
    ))
}

/// What must be known to read the table, and on what it was made.
pub(crate) fn notes(outcomes: &[Outcome]) -> Vec<String> {
    let shown =
        GROUPS.iter().flat_map(|(scenario, _)| outcomes.iter().filter(move |it| it.scenario == *scenario));
    let mut notes: Vec<String> = shown.flat_map(|outcome| outcome.notes.clone()).collect();
    let mut machines = Vec::new();
    for made in outcomes.iter().filter_map(|outcome| outcome.made.as_ref()) {
        if !machines.contains(&made) {
            machines.push(made);
        }
    }
    notes.extend(machines.into_iter().map(|made| format!("Made on: {made}.")));
    notes
}

/// The cases that have a floor, with their bars, and then the bars that are of no case.
fn rows(outcome: &Outcome) -> Vec<[String; 4]> {
    let row = match outcome.scenario.as_str() {
        "account" => account,
        "fleet" => fleet,
        _ => |_: &Case| None,
    };
    let cases = outcome.cases.iter().filter_map(|case| {
        let [label, measured, floor] = row(case)?;
        let bars = outcome.bars.iter().filter(|bar| bar.case.as_deref() == Some(name(case)));
        Some([label, measured, floor, met(bars)])
    });
    let has_row = |bar: &Bar| {
        let case = outcome.cases.iter().find(|case| bar.case.as_deref() == Some(name(case)));
        case.is_some_and(|case| row(case).is_some())
    };
    let bars = outcome.bars.iter().filter(|bar| !has_row(bar)).map(|bar| {
        let detail = if bar.detail.is_empty() { String::new() } else { format!(" ({})", bar.detail) };
        let of = bar.case.as_ref().map(|case| format!("{}: ", case.replace('-', " "))).unwrap_or_default();
        let met = if bar.met { "met" } else { "**missed**" };
        [
            capital(&format!("{of}{}{detail}", bar.what)),
            format!("**{}**", number(bar.figure)),
            bar.limit(),
            met.to_owned(),
        ]
    });
    cases.chain(bars).collect()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Whether bars are met, and those that are not.
fn met<'a>(bars: impl Iterator<Item = &'a Bar>) -> String {
    let missed: Vec<_> = bars
        .filter(|bar| !bar.met)
        .map(|bar| format!("{} {}, must be {}", number(bar.figure), bar.what, bar.limit()))
        .collect();
    if missed.is_empty() { "met".to_owned() } else { format!("**missed**: {}", missed.join("; ")) }
}

fn account(case: &Case) -> Option<[String; 3]> {
    let age = name(case).rsplit('-').next()?;
    let of = |name| number(figure(case, name));
    let regions = if figure(case, "regions") > 1.0 { "regions" } else { "region" };
    Some([
        format!("{} buckets, {} {regions}, {age} day", of("buckets"), of("regions")),
        format!(
            "**{} s**, {} calls, {} metrics; {} s of CPU, {} MiB",
            of("wall_s"),
            of("api_calls"),
            of("metrics"),
            of("cpu_s"),
            of("peak_rss_mib")
        ),
        format!("**{} s**, {} calls, {} metrics", of("floor_s"), of("floor_api_calls"), of("floor_metrics")),
    ])
}

fn fleet(case: &Case) -> Option<[String; 3]> {
    let of = |name: &str| number(figure(case, name));
    let wait = |floor: &str| {
        let [p50, p95, max] = ["p50", "p95", "max"].map(|which| of(&format!("{floor}wait_{which}_s")));
        format!("wait p50 {p50}, p95 {p95}, max {max} s")
    };
    case.get("floor_accounts_per_s")?;
    let workers = if figure(case, "workers") > 1.0 { "workers" } else { "worker" };
    Some([
        format!("{} {workers}, {} accounts", of("workers"), of("accounts")),
        format!("**{}/s**, {}; {} twice", of("accounts_per_s"), wait(""), of("received_twice")),
        format!("**{}/s**, {}", of("floor_accounts_per_s"), wait("floor_")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::case;

    fn outcomes() -> Vec<Outcome> {
        let account = case! {
            "name": "1000-buckets-4-regions-recent", "buckets": 1000, "regions": 4, "wall_s": 1.5, "floor_s": 0.25,
            "api_calls": 18, "floor_api_calls": 18, "metrics": 2864, "floor_metrics": 2864, "cpu_s": 0.03,
            "peak_rss_mib": 21.7,
        };
        let bars = vec![
            Bar::at_most("calls, in floors", 1.0, 1.02).of("1000-buckets-4-regions-recent"),
            Bar::at_most("seconds", 1.5, 0.4375).of("1000-buckets-4-regions-recent"),
            Bar::not_done().of("100000-buckets-4-regions-recent"),
        ];
        let account = Outcome {
            scenario: "account".to_owned(),
            cases: vec![account],
            bars,
            notes: vec!["Of the account.".to_owned()],
            ..Outcome::default()
        };
        let ratios = [
            "times faster than the Lambdas' way, 1,000 buckets",
            "times faster than batched Python",
            "times less CPU than batched Python",
            "times less memory than batched Python",
        ];
        let bars = ratios.iter().zip([2000.4, 4.25, 17.0, 2.5]);
        let bars =
            bars.map(|(what, times)| Bar::at_least(*what, times, 3.0).with("1 s beside 2 s")).collect();
        let notes = vec!["Of the peers.".to_owned()];
        let peers = Outcome { scenario: "peers".to_owned(), bars, notes, ..Outcome::default() };
        vec![account, peers]
    }

    #[test]
    fn ratios_come_first_and_what_is_missed_is_not_hidden() {
        let rows = [
            "| | measured | floor or bar | |",
            "| --- | ---: | ---: | --- |",
            "| **Beside what people use today** | | | |",
            "| Times faster than the Lambdas' way, 1,000 buckets (1 s beside 2 s) | **2,000** | ≥ 3 | met |",
            "| Times faster than batched Python (1 s beside 2 s) | **4.25** | ≥ 3 | met |",
            "| Times less CPU than batched Python (1 s beside 2 s) | **17** | ≥ 3 | met |",
            "| Times less memory than batched Python (1 s beside 2 s) | **2.50** | ≥ 3 | **missed** |",
            "| **One account, beside its floor** | | | |",
            "| 1,000 buckets, 4 regions, recent day \
             | **1.50 s**, 18 calls, 2,864 metrics; 0.030 s of CPU, 21.7 MiB \
             | **0.25 s**, 18 calls, 2,864 metrics | **missed**: 1.50 seconds, must be ≤ 0.44 |",
            "| 100000 buckets 4 regions recent: done | **0** | ≥ 1 | **missed** |",
        ];
        assert_eq!(markdown(&outcomes()).lines().collect::<Vec<_>>(), rows);
    }

    #[test]
    fn the_lead_has_the_ratios() {
        let lead = lead(&outcomes()).expect("peers");
        let bold: Vec<&str> = lead.split("**").skip(1).step_by(2).collect();
        let expected = [
            "2,000 times faster than the Lambdas' way",
            "4.25 times faster than batched Python",
            "17 times less CPU",
            "2.50 times less memory",
        ];
        assert_eq!(bold, expected);
        assert_eq!(super::lead(&outcomes()[..1]), None);
        assert_eq!(notes(&outcomes()), ["Of the peers.", "Of the account."]);
    }
}
