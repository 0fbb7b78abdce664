// SPDX-License-Identifier: Apache-2.0
//! How many windows are collected together. A metric is paid for as often as it is asked for, however many datapoints come
//! of it: so as many as there is room for.

use chrono::{DateTime, Utc};

use super::Window;
use crate::{
    Dataset,
    datasets::{DATAPOINTS_PER_CALL, Period, Shape},
};

/// How many rows are kept at once, in temporary files of about 1.5 GB: those of 20,000 resources by five minutes for a day.
const ROWS: usize = 6_000_000;

/// How many periods a part has at most, whatever else: those of a report of a day by the minute.
const PERIODS_OF_A_DAY: usize = 1_440;

/// The most periods of a part: five statistics of a series, which are paid for as one, fit into one call.
const MOST_PERIODS: usize = DATAPOINTS_PER_CALL / 5;

/// How many daily values are held at once, of datasets whose rows are made of them day by day: 160 MB, those of 18,000
/// buckets of two storage types over a year.
const DAILY_VALUES: usize = 20_000_000;

/// Parts of windows that are collected together, each metric of each part once. They are cut where the period that CloudWatch
/// keeps changes, where it no longer lists all series, and where the rows of so many resources would take too much room.
/// The windows are in order.
pub fn parts(
    windows: impl IntoIterator<Item = Window>,
    dataset: &Dataset,
    resources: usize,
    now: DateTime<Utc>,
) -> Vec<Vec<Window>> {
    let most = match dataset.shape {
        Shape::Series => (ROWS / resources.saturating_mul(dataset.rows_per_period()).max(1))
            .clamp(PERIODS_OF_A_DAY, MOST_PERIODS),
        Shape::NewestDay => {
            let series = resources.saturating_mul(dataset.metrics_per_resource().typical as usize);
            (DAILY_VALUES / series.max(1)).max(1)
        }
    };
    let kind = |window: Window| {
        let day = window.date();
        (dataset.period_of_rows(day, now), day.is_listed_at(now))
    };
    let periods = |from: Window, to: Window| {
        let seconds = dataset.period_of_rows(from.date(), now).map_or(86_400, Period::seconds);
        let span = (to.end() - from.start()).num_seconds() / i64::from(seconds);
        usize::try_from(span).unwrap_or(usize::MAX)
    };
    let mut parts: Vec<Vec<Window>> = Vec::new();
    for window in windows {
        match parts.last_mut() {
            Some(part)
                if part
                    .first()
                    .is_some_and(|first| kind(*first) == kind(window) && periods(*first, window) <= most) =>
            {
                part.push(window);
            }
            _ => parts.push(vec![window]),
        }
    }
    parts
}

/// Whether windows may have to be cut for memory: if not, it is of no use to know how many resources there are.
#[must_use]
pub fn may_be_cut_for_memory(windows: &[Window], dataset: &Dataset, now: DateTime<Utc>) -> bool {
    let count = |resources| parts(windows.iter().copied(), dataset, resources, now).len();
    count(1) != count(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Windows,
        window::{tests::SERIES, time},
    };

    fn windows(from: &str, to: &str) -> Windows {
        let [from, to] = [from, to].map(|text| time("at", text).expect("a time"));
        Windows::between(from, to, "1h".parse().expect("a length")).expect("windows")
    }

    fn counts(from: &str, to: &str, resources: usize) -> Vec<usize> {
        let dataset = Dataset::parse(SERIES).expect("a dataset");
        let now = time("now", "2026-11-30T12:00:00Z").expect("a time");
        let parts = parts(windows(from, to).iter(), &dataset, resources, now);
        parts.iter().map(Vec::len).collect()
    }

    #[test]
    fn a_day_of_minutes_is_one_part_however_many_resources_there_are() {
        assert_eq!(counts("2026-11-29", "2026-11-30", 1_000_000), [24]);
        assert_eq!(counts("2026-11-27", "2026-11-30", 1_000_000), [24, 24, 24]);
        assert_eq!(counts("2026-11-27", "2026-11-30", 2_080), [48, 24]);
        assert_eq!(counts("2026-11-27", "2026-11-30", 100), [72]);
    }

    #[test]
    fn each_row_of_a_long_table_takes_room() {
        let wide = SERIES.replace("[\"Sum\"]", "[\"Sum\", \"Average\", \"Maximum\", \"Minimum\"]");
        let long = wide.replace("shape ", "layout = \"long\"\nshape ");
        let now = time("now", "2026-11-30T12:00:00Z").expect("a time");
        let count = |text: &str| {
            let dataset = Dataset::parse(text).expect("a dataset");
            parts(windows("2026-11-27", "2026-11-30").iter(), &dataset, 520, now).len()
        };
        assert_eq!((count(&wide), count(&long)), (1, 2));
    }

    #[test]
    fn parts_end_where_the_period_or_the_listing_changes() {
        // Minutes are kept since the 16th, and series are listed since the 19th.
        assert_eq!(counts("2026-11-14", "2026-11-21", 10), [48, 72, 48]);
    }

    proptest! {
        #[test]
        fn each_window_is_in_one_part_and_they_stay_in_order(from in 0i64..440, days in 1i64..10, resources in 0usize..5_000) {
            let dataset = Dataset::parse(SERIES).expect("a dataset");
            let now = time("now", "2026-11-30").expect("a time");
            let from = now - chrono::TimeDelta::days(from + days);
            let all = Windows::between(from, from + chrono::TimeDelta::days(days), dataset.window).expect("windows");
            let parts = parts(all.iter(), &dataset, resources, now);
            prop_assert!(parts.concat().into_iter().eq(all.iter()));
            for part in parts {
                let periods: Vec<_> = part.iter().map(|window| dataset.period_of_rows(window.date(), now)).collect();
                prop_assert!(periods.iter().all(|period| *period == periods[0]));
            }
        }
    }
}
