// SPDX-License-Identifier: Apache-2.0
//! One table of all figures, in Markdown: each beside its floor or its bar. Plain functions over values.

use std::fmt::Write;

use crate::outcome::{Bar, Case, Outcome, figure, name, number};

/// The scenarios in the order in which they are shown, ratios first, each with its heading.
const GROUPS: [(&str, &str); 9] = [
    ("peers", "Beside what people use today"),
    ("fleet", "Several workers, beside one worker times their number"),
    ("mixed", "Small accounts beside a huge one"),
    ("account", "One account, beside its floor"),
    ("series", "Series, by a job from the queue, beside its floor"),
    ("range", "A year of daily storage, by one job, beside its floor"),
    ("deliver", "A report on its way to OpenSearch"),
    ("start", "A worker's start"),
    ("ceiling", "The AWS that all of it is measured on"),
];

const HEADER: &str = "| | measured | floor or bar | |\n| --- | ---: | ---: | --- |\n";

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

/// One outcome as a person reads it.
pub(crate) fn text(outcome: &Outcome) -> String {
    let outcomes = std::slice::from_ref(outcome);
    format!("{}\n{}\n", markdown(outcomes), notes(outcomes).join("\n"))
}

/// The ratios in a sentence; `None` if the peers are not among the outcomes.
pub(crate) fn lead(outcomes: &[Outcome]) -> Option<String> {
    let peers = outcomes.iter().find(|outcome| outcome.scenario == "peers" && !outcome.short)?;
    let times = |start: &str| {
        let bar = peers.bars.iter().find(|bar| bar.what.starts_with(start))?;
        Some(number(bar.figure))
    };
    Some(format!(
        "An account is collected **{} times faster than the Lambdas' way** (one GetMetricStatistics after the other, as a \
         Lambda for each account would) and **{} times faster than batched Python** on 16 threads, which takes **{} times the \
         CPU** and **{} times the memory**; all on local-aws, an imitation of AWS with its quotas and latency.",
        times("times faster than the Lambdas' way, ")?,
        times("times faster than batched Python, ")?,
        times("times less CPU than batched Python, 10,000 buckets, recent day")?,
        times("times less memory than batched Python, ")?,
    ))
}

/// The kinds of programs that a README's reader may know, by what their cases' names begin with.
const SIDES: [(&str, &str); 4] = [
    ("ours", "the fleet, one job"),
    ("yace", "YACE, one poll"),
    ("telegraf", "Telegraf, one poll"),
    ("polling", "Python, ten polls"),
];

/// A small table of an hour of series, beside what polls for it; `None` if none was measured.
pub(crate) fn hour(outcomes: &[Outcome]) -> Option<String> {
    let measured = outcomes.iter().filter(|outcome| outcome.scenario == "peers" && !outcome.short);
    let cases =
        measured.flat_map(|outcome| &outcome.cases).filter(|case| case.contains_key("dollars_an_hour"));
    let rows: Vec<String> = cases
        .filter_map(|case| {
            let (_, side) = SIDES.iter().find(|(start, _)| name(case).starts_with(start))?;
            let of = |what| number(figure(case, what));
            Some(format!(
                "| {} | {side} | {} s | {} s | {} MiB | ${} |\n",
                of("resources"),
                of("wall_s"),
                of("cpu_s"),
                of("peak_rss_mib"),
                of("dollars_an_hour")
            ))
        })
        .collect();
    let header = "| resources | an hour of 12 metrics, by 5 minutes | wall | CPU | memory | CloudWatch an hour |\n\
                  | ---: | --- | ---: | ---: | ---: | ---: |\n";
    (!rows.is_empty()).then(|| header.to_owned() + &rows.concat())
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

/// The bars that are of no case, and then the cases that have a floor, with their bars.
fn rows(outcome: &Outcome) -> Vec<[String; 4]> {
    let row = match outcome.scenario.as_str() {
        "account" => account,
        "fleet" => fleet,
        "series" => series,
        "range" => range,
        "deliver" => deliver,
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
    bars.chain(cases).collect()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Whether bars are met, and those that are not; nothing if there are none.
fn met<'a>(bars: impl Iterator<Item = &'a Bar>) -> String {
    let (met, missed): (Vec<_>, Vec<_>) = bars.partition(|bar| bar.met);
    if missed.is_empty() {
        return if met.is_empty() { String::new() } else { "met".to_owned() };
    }
    let reported = |bar: &Bar| format!("{} {}, must be {}", number(bar.figure), bar.what, bar.limit());
    format!("**missed**: {}", missed.into_iter().map(reported).collect::<Vec<_>>().join("; "))
}

/// Calls and metrics stand once, beside the account's size, where they are the floor's too.
fn account(case: &Case) -> Option<[String; 3]> {
    let age = name(case).rsplit('-').next()?;
    let of = |name| number(figure(case, name));
    let regions = if figure(case, "regions") > 1.0 { "regions" } else { "region" };
    let account = format!("{} buckets, {} {regions}, {age} day", of("buckets"), of("regions"));
    let measured = format!("CPU {} s, {} MiB", of("cpu_s"), of("peak_rss_mib"));
    let (wall, floor) = (format!("**{} s**", of("wall_s")), format!("**{} s**", of("floor_s")));
    let asked = format!("{} calls, {} metrics", of("api_calls"), of("metrics"));
    let least = format!("{} calls, {} metrics", of("floor_api_calls"), of("floor_metrics"));
    Some(if asked == least {
        [format!("{account}: {asked}"), format!("{wall}; {measured}"), floor]
    } else {
        [account, format!("{wall}, {asked}; {measured}"), format!("{floor}, {least}")]
    })
}

fn series(case: &Case) -> Option<[String; 3]> {
    case.get("datapoints")?;
    let of = |name| number(figure(case, name));
    let regions = if figure(case, "regions") > 1.0 { "regions" } else { "region" };
    let span = if figure(case, "hours") > 1.0 { "a day" } else { "an hour" };
    let label = format!(
        "{} resources, {} {regions}, {span} by {} min: {} metrics, {} datapoints",
        of("resources"),
        of("regions"),
        of("minutes"),
        of("metrics"),
        of("datapoints"),
    );
    let measured = format!(
        "**{} s**, {} calls; CPU {} s, {} MiB, {} $",
        of("wall_s"),
        of("api_calls"),
        of("cpu_s"),
        of("peak_rss_mib"),
        of("dollars"),
    );
    Some([label, measured, format!("**{} s**, {} calls", of("floor_s"), of("floor_api_calls"))])
}

fn range(case: &Case) -> Option<[String; 3]> {
    let of = |name| number(figure(case, name));
    case.get("floor_s")?;
    let label = format!("{} buckets, {} days: {} metrics", of("buckets"), of("days"), of("metrics"));
    let measured = format!(
        "**{} s**, {} calls; CPU {} s, {} MiB",
        of("wall_s"),
        of("api_calls"),
        of("cpu_s"),
        of("peak_rss_mib"),
    );
    let least = format!(
        "**{} s**, {} calls, {} metrics",
        of("floor_s"),
        of("floor_api_calls"),
        of("metrics_of_a_day")
    );
    Some([label, measured, least])
}

fn deliver(case: &Case) -> Option<[String; 3]> {
    case.get("documents")?;
    let of = |name| number(figure(case, name));
    let measured = format!(
        "**{}/s**; CPU {} µs a document, {} MiB",
        of("documents_per_s"),
        of("cpu_us_per_document"),
        of("peak_rss_mib"),
    );
    let text = |name: &str| case.get(name).and_then(serde_json::Value::as_str);
    let label = format!("{} rows to {} by {}", of("documents"), text("server")?, text("side")?);
    Some([label, measured, String::new()])
}

fn fleet(case: &Case) -> Option<[String; 3]> {
    let of = |name: &str| number(figure(case, name));
    let wait = |floor: &str| {
        let [p50, p95, max] = ["p50", "p95", "max"].map(|which| of(&format!("{floor}wait_{which}_s")));
        format!("waits {p50} / {p95} / {max} s")
    };
    case.get("floor_accounts_per_s")?;
    let workers = if figure(case, "workers") > 1.0 { "workers" } else { "worker" };
    Some([
        format!("{} {workers}, {} accounts", of("workers"), of("accounts")),
        format!("**{}/s**; {}", of("accounts_per_s"), wait("")),
        format!("**{}/s**; {}", of("floor_accounts_per_s"), wait("floor_")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::case;

    fn outcomes() -> Vec<Outcome> {
        let account = |regions: usize, calls: usize| {
            case! {
                "name": format!("1000-buckets-{regions}-regions-recent"), "buckets": 1000, "regions": regions, "wall_s": 1.5,
                "floor_s": 0.25, "api_calls": calls, "floor_api_calls": 18, "metrics": 2864, "floor_metrics": 2864,
                "cpu_s": 0.03, "peak_rss_mib": 21.7,
            }
        };
        let bars = vec![
            Bar::at_most("times the floor's calls", 1.0, 1.02).of("1000-buckets-4-regions-recent"),
            Bar::at_most("seconds", 1.5, 0.4375).of("1000-buckets-4-regions-recent"),
            Bar::not_done().of("100000-buckets-4-regions-recent"),
        ];
        let account = Outcome {
            scenario: "account".to_owned(),
            cases: vec![account(4, 18), account(2, 20)],
            bars,
            notes: vec!["Of the account.".to_owned()],
            ..Outcome::default()
        };
        let ratios = [
            "times faster than the Lambdas' way, 1,000 buckets",
            "times faster than batched Python, 10,000 buckets",
            "times less CPU than batched Python, 10,000 buckets, recent day",
            "times less memory than batched Python, 10,000 buckets",
        ];
        let bars = ratios.iter().zip([2000.4, 4.25, 17.0, 2.5]);
        let bars =
            bars.map(|(what, times)| Bar::at_least(*what, times, 3.0).with("1 s beside 2 s")).collect();
        let notes = vec!["Of the peers.".to_owned()];
        let peers = Outcome { scenario: "peers".to_owned(), bars, notes, ..Outcome::default() };
        let fleet = case! {
            "name": "8-workers", "workers": 8, "accounts": 160, "accounts_per_s": 3.95, "wait_p50_s": 18.5,
            "wait_p95_s": 36.7, "wait_max_s": 38.8, "floor_accounts_per_s": 3.96, "floor_wait_p50_s": 18.2,
            "floor_wait_p95_s": 36.4, "floor_wait_max_s": 38.4,
        };
        let bars = vec![Bar::at_most("jobs received twice", 0.0, 0.0)];
        let fleet = Outcome { scenario: "fleet".to_owned(), cases: vec![fleet], bars, ..Outcome::default() };
        vec![account, peers, fleet]
    }

    #[test]
    fn ratios_come_first_and_what_is_missed_is_not_hidden() {
        let rows = [
            "| | measured | floor or bar | |",
            "| --- | ---: | ---: | --- |",
            "| **Beside what people use today** | | | |",
            "| Times faster than the Lambdas' way, 1,000 buckets (1 s beside 2 s) | **2,000** | ≥ 3 | met |",
            "| Times faster than batched Python, 10,000 buckets (1 s beside 2 s) | **4.25** | ≥ 3 | met |",
            "| Times less CPU than batched Python, 10,000 buckets, recent day (1 s beside 2 s) | **17** | ≥ 3 | met |",
            "| Times less memory than batched Python, 10,000 buckets (1 s beside 2 s) | **2.50** | ≥ 3 | **missed** |",
            "| **Several workers, beside one worker times their number** | | | |",
            "| Jobs received twice | **0** | ≤ 0 | met |",
            "| 8 workers, 160 accounts | **3.95/s**; waits 18.5 / 36.7 / 38.8 s | **3.96/s**; waits 18.2 / 36.4 / 38.4 s |  |",
            "| **One account, beside its floor** | | | |",
            "| 100000 buckets 4 regions recent: done | **0** | ≥ 1 | **missed** |",
            "| 1,000 buckets, 4 regions, recent day: 18 calls, 2,864 metrics | **1.50 s**; CPU 0.030 s, 21.7 MiB | **0.25 s** \
             | **missed**: 1.50 seconds, must be ≤ 0.44 |",
            "| 1,000 buckets, 2 regions, recent day | **1.50 s**, 20 calls, 2,864 metrics; CPU 0.030 s, 21.7 MiB \
             | **0.25 s**, 18 calls, 2,864 metrics |  |",
        ];
        assert_eq!(markdown(&outcomes()).lines().collect::<Vec<_>>(), rows);
    }

    #[test]
    fn series_and_a_year_stand_beside_their_floors() {
        let series = case! {
            "name": "s", "resources": 1000, "regions": 1, "hours": 24, "minutes": 5, "wall_s": 9.5, "floor_s": 9.25,
            "api_calls": 70, "floor_api_calls": 69, "metrics": 12_000, "datapoints": 3_744_000, "cpu_s": 1.5,
            "peak_rss_mib": 64.0, "dollars": 0.12,
        };
        let year = case! {
            "name": "y", "buckets": 1000, "days": 365, "wall_s": 7.5, "floor_s": 7.25, "api_calls": 120,
            "floor_api_calls": 119, "metrics": 28_000, "metrics_of_a_day": 28_000, "cpu_s": 1.5, "peak_rss_mib": 64.0,
        };
        let outcome = |scenario: &str, case| Outcome {
            scenario: scenario.to_owned(),
            cases: vec![case],
            ..Outcome::default()
        };
        let table = markdown(&[outcome("series", series), outcome("range", year)]);
        let rows = [
            "| 1,000 resources, 1 region, a day by 5 min: 12,000 metrics, 3,744,000 datapoints | **9.50 s**, 70 calls; CPU 1.50 s, \
             64 MiB, 0.12 $ | **9.25 s**, 69 calls |  |",
            "| 1,000 buckets, 365 days: 28,000 metrics | **7.50 s**, 120 calls; CPU 1.50 s, 64 MiB | **7.25 s**, 119 calls, 28,000 \
             metrics |  |",
        ];
        for row in rows {
            assert!(table.lines().any(|line| line == row), "{row}\n{table}");
        }
    }

    #[test]
    fn an_hour_is_a_row_for_each_side() {
        let case = |name: &str| {
            case! { "name": name, "resources": 10_000, "wall_s": 2.5, "cpu_s": 0.5, "peak_rss_mib": 40.25, "dollars_an_hour": 1.25 }
        };
        let cases = vec![case("ours-10000-resources-exported"), case("yace-10000-resources-exported")];
        let peers = Outcome { scenario: "peers".to_owned(), cases, ..Outcome::default() };
        let table = hour(std::slice::from_ref(&peers)).expect("a table");
        assert!(
            table.contains("| 10,000 | YACE, one poll | 2.50 s | 0.50 s | 40.2 MiB | $1.25 |\n"),
            "{table}"
        );
        assert_eq!(table.lines().count(), 4);
        assert_eq!(hour(&[Outcome { short: true, ..peers }]), None);
        assert_eq!(hour(&outcomes()), None);
    }

    #[test]
    fn the_lead_has_the_ratios() {
        let lead = lead(&outcomes()).expect("peers");
        let bold: Vec<&str> = lead.split("**").skip(1).step_by(2).collect();
        let expected = [
            "2,000 times faster than the Lambdas' way",
            "4.25 times faster than batched Python",
            "17 times the CPU",
            "2.50 times the memory",
        ];
        assert_eq!(bold, expected);
        assert_eq!(super::lead(&outcomes()[..1]), None);
        assert_eq!(notes(&outcomes()), ["Of the peers.", "Of the account."]);
    }
}
