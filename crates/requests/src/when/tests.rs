// SPDX-License-Identifier: Apache-2.0
use fleet::datasets;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const SERIES: &str = r#"
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

const NOW: &str = "2026-11-21T13:20:00Z";

fn at(text: &str) -> DateTime<Utc> {
    time("at", text).expect("a time")
}

fn taken(request: &Value, flags: &WhenFlags) -> Result<When, Vec<String>> {
    let mut faults = Vec::new();
    let mut object = request.as_object().cloned().unwrap_or_default();
    match When::take(&mut object, flags, &mut faults) {
        Some(when) if faults.is_empty() => Ok(when),
        _ => Err(faults),
    }
}

/// The windows of a request for an hourly dataset of series.
fn windows(request: &Value, now: &str) -> Result<String, String> {
    let when = taken(request, &WhenFlags::default()).map_err(|faults| faults.join("\n"))?;
    let dataset = Dataset::parse(SERIES).expect("a dataset");
    when.windows(&dataset, at(now))
        .map(|windows| format!("{windows}, {}x{}", windows.count(), windows.length()))
}

#[test]
fn a_request_means_the_windows_that_are_settled() {
    for (request, now, expected) in [
        (json!({}), NOW, "2026-11-21T12:00:00Z to 2026-11-21T13:00:00Z, 1x1h"),
        (json!({}), "2026-11-21T13:09:59Z", "2026-11-21T11:00:00Z to 2026-11-21T12:00:00Z, 1x1h"),
        (
            json!({"provisional": true}),
            "2026-11-21T13:00:00Z",
            "2026-11-21T12:00:00Z to 2026-11-21T13:00:00Z, 1x1h",
        ),
        (
            json!({"settle": "0m"}),
            "2026-11-21T13:00:00Z",
            "2026-11-21T12:00:00Z to 2026-11-21T13:00:00Z, 1x1h",
        ),
        (json!({"window": "5m"}), NOW, "2026-11-21T13:05:00Z to 2026-11-21T13:10:00Z, 1x5m"),
        (json!({"date": "2026-11-20"}), NOW, "2026-11-20T00:00:00Z to 2026-11-21T00:00:00Z, 24x1h"),
        // A day is collected once it is over, settled or not.
        (
            json!({"date": "2026-11-20"}),
            "2026-11-21T00:00:00Z",
            "2026-11-20T00:00:00Z to 2026-11-21T00:00:00Z, 24x1h",
        ),
        (json!({"date": "2026-11-20", "window": "1d"}), NOW, "2026-11-20, 1x1d"),
        (json!({"last": "6h"}), NOW, "2026-11-21T07:00:00Z to 2026-11-21T13:00:00Z, 6x1h"),
        (json!({"last": "6h"}), "2026-11-21T13:05:00Z", "2026-11-21T07:00:00Z to 2026-11-21T12:00:00Z, 5x1h"),
        (
            json!({"last": "6h", "provisional": true}),
            "2026-11-21T13:05:00Z",
            "2026-11-21T07:00:00Z to 2026-11-21T13:00:00Z, 6x1h",
        ),
        (json!({"last": "13mo"}), NOW, "2025-10-21T13:00:00Z to 2026-11-21T13:00:00Z, 9504x1h"),
        (json!({"month": "2026-10"}), NOW, "2026-10-01T00:00:00Z to 2026-11-01T00:00:00Z, 744x1h"),
        (
            json!({"month": "2026-11", "window": "1d"}),
            NOW,
            "2026-11-01T00:00:00Z to 2026-11-21T00:00:00Z, 20x1d",
        ),
        (
            json!({"from": "2026-11-21T01:00:00Z", "to": "2026-11-22"}),
            NOW,
            "2026-11-21T01:00:00Z to 2026-11-21T13:00:00Z, 12x1h",
        ),
    ] {
        assert_eq!(windows(&request, now).as_deref(), Ok(expected), "{request} {now}");
    }
}

#[test]
fn what_can_not_be_meant_is_refused_with_what_to_write() {
    for (request, expected) in [
        (json!({"date": "2026-11-01", "last": "6h"}), "date and last are both given; leave one out"),
        (json!({"from": "2026-11-01"}), "from is given without to; add to (--to), which is exclusive"),
        (json!({"to": "2026-11-01"}), "to is given without from; add from (--from)"),
        (json!({"from": "soon", "to": "later"}), "from \"soon\" is not a time; write it as"),
        (json!({"from": "2026-11-01T00:30:00Z", "to": "2026-11-02"}), "is not where a window of 1h begins"),
        (json!({"from": "2026-11-02", "to": "2026-11-01"}), "to is exclusive"),
        (json!({"month": "October"}), "month \"October\" is not a month; write it as 2026-10"),
        (json!({"last": "soon"}), "last \"soon\" is not a length of time; write it as 6h, 30d or 13mo"),
        (json!({"last": "0h"}), "last \"0h\" is not a length of time"),
        (json!({"last": "10m"}), "has windows of 1h, and none of them began within so short a time"),
        (json!({"last": 6}), "last is a number, not a string such as \"6h\""),
        (json!({"window": "7m"}), "window \"7m\" is no length of a window"),
        (json!({"window": "30s"}), "window \"30s\" is no length of a window"),
        (json!({"settle": "61d"}), "settle \"61d\" is not a length of time of at most 60 days"),
        (json!({"provisional": "yes"}), "provisional is a string, not true or false"),
        (
            json!({"month": "2026-12"}),
            "no window from 2026-12-01T00:00:00Z on is over yet; ask for an earlier one",
        ),
        (json!({"from": "2026-11-21T13:00:00Z", "to": "2026-11-21T14:00:00Z"}), "is over yet"),
        (
            json!({"from": "2026-11-21T12:00:00Z", "to": "2026-11-21T13:00:00Z", "settle": "30m"}),
            "is settled yet, the first is at 2026-11-21T13:30:00Z; add provisional (--provisional)",
        ),
        (json!({"date": "2026-11-21"}), "date 2026-11-21 is not over yet"),
        (json!({"month": "2025-06"}), "is too old: CloudWatch keeps metrics for 455 days"),
    ] {
        let fault = windows(&request, NOW).expect_err(expected);
        assert!(fault.contains(expected), "{fault:?} should say {expected:?}");
    }
    assert!(windows(&json!({"month": "2026-10", "window": "5m"}), NOW).is_ok());
    let fault = windows(&json!({"month": "2026-09", "window": "5m"}), NOW).expect_err("hours are kept of it");
    assert!(fault.ends_with("write window 1h or a longer one, or ask from 2026-09-20 on"), "{fault}");
}

#[test]
fn a_dataset_of_days_is_asked_for_by_its_day() {
    let day = |request: &Value, now: &str| {
        let when = taken(request, &WhenFlags::default()).expect("well-formed");
        when.windows(*datasets::DEFAULT, at(now)).map(|windows| windows.to_string())
    };
    assert_eq!(day(&json!({}), NOW), Ok("2026-11-01".into()));
    // On day 2 of the month, before anything is settled.
    assert_eq!(day(&json!({}), "2026-11-02T00:00:00Z"), Ok("2026-11-01".into()));
    assert_eq!(day(&json!({"date": "2026-11-20", "window": "1d"}), NOW), Ok("2026-11-20".into()));
    for (request, expected) in [
        (
            json!({"date": "2026-11-20", "window": "1h"}),
            "takes no window for a single day; leave it out, or ask for month, from and to, or last",
        ),
        (json!({"settle": "3m"}), "takes no settle"),
        (json!({"provisional": true}), "takes no provisional"),
        (json!({"month": "2026-10", "window": "1h"}), "window 1h is not that of dataset s3_daily_storage"),
        (
            json!({"last": "6h"}),
            "dataset s3_daily_storage has windows of 1d, and none of them began within so short a time; write last (--last)",
        ),
    ] {
        let fault = day(&request, NOW).expect_err(expected);
        assert!(fault.contains(expected), "{fault}");
    }
    // Of several days, those that are settled: 60 hours after their end.
    let several = |request: Value| day(&request, NOW);
    let to = |to: &str| Ok(format!("2026-11-01T00:00:00Z to {to}T00:00:00Z"));
    assert_eq!(several(json!({"month": "2026-11"})), to("2026-11-19"));
    assert_eq!(several(json!({"month": "2026-11", "provisional": true})), to("2026-11-21"));
}

#[test]
fn a_flag_of_time_takes_the_place_of_all_keys_of_time() {
    let request = json!({"date": "2026-11-01", "window": "1h"});
    let flags = WhenFlags { last: Some("6h".into()), ..WhenFlags::default() };
    let when = taken(&request, &flags).expect("one span");
    assert_eq!(Value::Object(when.to_json()), json!({"last": "6h", "window": "1h"}));
    assert_eq!(flags.beside_date().map(|set| set.len()), Some(7));
    let of_date = WhenFlags { date: Some("2026-11-01".into()), ..WhenFlags::default() };
    assert_eq!(of_date.beside_date(), None, "its digest stays");
    let both = WhenFlags { month: Some("2026-10".into()), ..flags };
    assert_eq!(taken(&request, &both), Err(vec!["month and last are both given; leave one out".into()]));
}

proptest! {
    /// What is taken of a request means the same once it is written again, and only settled windows count.
    #[test]
    fn a_request_that_is_written_again_means_the_same(
        hours in 1u32..400,
        minute in 0i64..600_000,
        window in prop::sample::select(vec!["5m", "1h", "6h", "1d"]),
        provisional in any::<bool>(),
    ) {
        let now = at("2026-01-01") + TimeDelta::minutes(minute);
        let request = json!({"last": format!("{hours}h"), "window": window, "provisional": provisional});
        let when = taken(&request, &WhenFlags::default()).expect("well-formed");
        let again = taken(&Value::Object(when.to_json()), &WhenFlags::default()).expect("its own");
        prop_assert_eq!(&again, &when);
        let dataset = Dataset::parse(SERIES).expect("a dataset");
        if let Ok(windows) = when.windows(&dataset, now) {
            let settle = if provisional { TimeDelta::zero() } else { TimeDelta::minutes(10) };
            let newest = Window::containing(now - settle, window.parse().expect("a length"));
            prop_assert_eq!(windows.end(), newest.start());
            prop_assert!(windows.start() <= now - TimeDelta::hours(hours.into()));
        }
    }
}
