// SPDX-License-Identifier: Apache-2.0
use proptest::prelude::*;

use super::*;
use crate::Dataset;

pub(super) const SERIES: &str = r#"
name      = "services"
title     = "Services"
namespace = "Test/Services"
resource  = ["ServiceName"]
shape     = "series"
period    = "1m"
window    = "1h"
settle    = "10m"
discovery = "list_metrics"
regions   = "configured"

[[metric]]
name       = "Requests"
unit       = "Count"
statistics = ["Sum"]
"#;

fn at(text: &str) -> DateTime<Utc> {
    time("at", text).expect("a moment")
}

fn length(text: &str) -> WindowLength {
    text.parse().expect("a length")
}

fn windows(from: &str, to: &str, of: &str) -> Result<Windows, String> {
    Windows::between(at(from), at(to), length(of)).map_err(|error| error.to_string())
}

#[test]
fn a_length_is_whole_minutes_that_divide_a_day() {
    for (text, seconds, shown) in [
        ("1m", 60, "1m"),
        ("90m", 5_400, "90m"),
        ("60m", 3_600, "1h"),
        ("24h", 86_400, "1d"),
        ("300s", 300, "5m"),
    ] {
        let length = length(text);
        assert_eq!((length.seconds(), length.to_string().as_str()), (seconds, shown));
    }
    for text in ["", "7m", "30s", "90s", "2d", "0m", "1w", "hour"] {
        let error = text.parse::<WindowLength>().expect_err(text).to_string();
        assert!(error.contains("write it as 5m, 1h or 1d"), "{error}");
    }
}

#[test]
fn a_window_lies_within_its_day() {
    let window = Window::containing(at("2026-11-01T13:59:59Z"), length("1h"));
    assert_eq!((window.start(), window.end()), (at("2026-11-01T13:00:00Z"), at("2026-11-01T14:00:00Z")));
    assert_eq!((window.time().as_str(), window.date().to_string().as_str()), ("T1300Z", "2026-11-01"));
    assert_eq!(window.to_string(), "2026-11-01T13:00:00Z to 2026-11-01T14:00:00Z");
    let day = Window::from("2026-11-01".parse::<ReportDate>().expect("a day"));
    assert_eq!((day.to_string().as_str(), day.is_day(), day.end()), ("2026-11-01", true, at("2026-11-02")));
    assert_eq!(Window::between(window.start(), window.end()), Some(window));
    for (from, to) in [
        ("2026-11-01T13:30:00Z", "2026-11-01T14:30:00Z"),
        ("2026-11-01", "2026-11-03"),
        ("2026-11-01", "2026-11-01"),
        ("2026-11-02", "2026-11-01"),
    ] {
        assert_eq!(Window::between(at(from), at(to)), None, "{from} {to}");
    }
}

#[test]
fn a_span_is_of_whole_windows() {
    let day = windows("2026-11-01", "2026-11-02", "1h").expect("windows");
    assert_eq!((day.count(), day), (24, Windows::of_day(day.first().date(), length("1h"))));
    assert_eq!((day.last().time().as_str(), day.day()), ("T2300Z", None));
    assert_eq!(
        windows("2026-11-01T13:07:00Z", "2026-11-02", "1h"),
        Err("from 2026-11-01T13:07:00Z is not where a window of 1h begins; write 2026-11-01T13:00:00Z or \
             2026-11-01T14:00:00Z"
            .into())
    );
    assert!(windows("2026-11-01", "2026-11-01T00:00:01Z", "1h").expect_err("to").starts_with("to 2026"));
    assert!(windows("2026-11-02", "2026-11-01", "1h").expect_err("none").contains("to is exclusive"));
    assert!(windows("1970-01-01", "9998-01-01", "1m").is_ok());
    assert_eq!(day.over_by(at("2026-11-01T05:59:59Z")).map(Windows::count), Some(5));
    assert_eq!(day.over_by(at("2026-11-07")), Some(day));
    assert_eq!(day.over_by(at("2026-11-01T00:59:59Z")), None);
}

#[test]
fn a_time_is_of_rfc_3339_or_a_day() {
    assert_eq!(at("2026-11-01T02:00:00+02:00"), at("2026-11-01"));
    for text in [
        "",
        "now",
        "2026-11-01 13:00",
        "13:00",
        "2026-02-30",
        "9999-12-31T23:00:00Z",
        "-0001-01-01T00:00:00Z",
    ] {
        let error = time("from", text).expect_err(text).to_string();
        assert!(error.starts_with(&format!("from {text:?} is not a time; write it as 2026")), "{error}");
    }
}

#[test]
fn what_can_not_be_reported_is_refused_with_what_to_write() {
    let dataset = Dataset::parse(SERIES).expect("a dataset");
    let now = at("2026-11-30T12:30:00Z");
    let refused = |from: &str, to: &str, of: &str| {
        let windows = windows(from, to, of).expect("windows");
        windows.check(&dataset, now).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(refused("2026-11-30T11:00:00Z", "2026-11-30T12:00:00Z", "1h"), Ok(()));
    let error = refused("2026-11-30T11:00:00Z", "2026-11-30T13:00:00Z", "1h").expect_err("it runs");
    assert!(
        error.starts_with("the window from 2026-11-30T12:00:00Z to 2026-11-30T13:00:00Z is not over"),
        "{error}"
    );
    assert!(refused("2025-08-01", "2025-08-02", "1h").expect_err("forgotten").contains("too old"));
    // Minutes are kept for 15 days.
    assert_eq!(refused("2026-11-16", "2026-11-17", "1m"), Ok(()));
    assert_eq!(
        refused("2026-11-15", "2026-11-17", "1m"),
        Err("window 1m of 2026-11-15 is shorter than what CloudWatch keeps of dataset services that long: periods of 5m; \
             write window 5m or a longer one, or ask from 2026-11-16 on"
            .into())
    );
    assert_eq!(refused("2026-11-15", "2026-11-17", "5m"), Ok(()));
    let hourly = Dataset::parse(&SERIES.replace("\"1m\"", "\"1h\"")).expect("a dataset");
    let error = windows("2026-11-29", "2026-11-30", "5m").expect("windows").check(&hourly, now);
    assert!(error.expect_err("shorter").to_string().contains("which is 1h; write window 1h or a longer one"));
    let daily = |from: &str, to: &str, of: &str| {
        let checked = windows(from, to, of).expect("windows").check(*crate::datasets::DEFAULT, now);
        checked.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(daily("2025-12-01", "2026-11-30", "1d"), Ok(()));
    let error = daily("2026-11-01", "2026-11-02", "1h").expect_err("an hour");
    assert!(error.starts_with("window 1h is not that of dataset s3_daily_storage, whose values are of days"));
}

proptest! {
    /// Windows of a length tile the time: each moment is in one, and the next begins where it ends.
    #[test]
    fn each_moment_lies_in_one_window(seconds in 0i64..4_000_000_000, nth in 0usize..36) {
        let lengths: Vec<_> = (1..=1440).filter_map(|minutes| WindowLength::new(minutes * 60)).collect();
        prop_assert_eq!(lengths.len(), 36);
        let (at, length) = (DateTime::from_timestamp(seconds, 0).expect("a moment"), lengths[nth]);
        let window = Window::containing(at, length);
        prop_assert!(window.start() <= at && at < window.end());
        prop_assert_eq!(window.start().date_naive(), (window.end() - TimeDelta::seconds(1)).date_naive());
        prop_assert_eq!(Window::containing(window.end(), length).start(), window.end());
        prop_assert_eq!(Window::between(window.start(), window.end()), Some(window));
        prop_assert_eq!(length.to_string().parse::<WindowLength>(), Ok(length));
        let day = Windows::of_day(window.date(), length);
        prop_assert_eq!(day.iter().filter(|other| *other == window).count(), 1);
        prop_assert_eq!(Windows::part(day.first(), day.last()), Some(day));
        prop_assert_eq!(day.end(), window.date().end());
    }
}
