// SPDX-License-Identifier: Apache-2.0
//! What a job is about: a day of an account's buckets, an hour of its services, or several hours together; with the keys
//! of its reports. Plain functions over values.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::{services, truth::day_of_window};

/// How many hours a job has that is for several.
pub(crate) const HOURS: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// The storage of each bucket on a day.
    Day(NaiveDate),
    /// What services did, from a moment on, with a report for each hour.
    Hours(DateTime<Utc>, usize),
}

/// What the key of a report says: whose it is, of which dataset, and when its window begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ReportKey<'a> {
    pub(crate) dataset: &'a str,
    pub(crate) account: &'a str,
    pub(crate) start: DateTime<Utc>,
}

impl Subject {
    pub(crate) fn dataset(self) -> &'static str {
        match self {
            Self::Day(_) => "s3_daily_storage",
            Self::Hours(..) => services::DATASET,
        }
    }

    /// What its jobs are called in the figures.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Day(_) => "a day of buckets",
            Self::Hours(_, 1) => "an hour of services",
            Self::Hours(..) => "several hours of services",
        }
    }

    /// When the window of each of its reports begins.
    pub(crate) fn windows(self) -> impl Iterator<Item = DateTime<Utc>> {
        let (first, count) = match self {
            Self::Day(date) => (midnight(date), 1),
            Self::Hours(first, count) => (first, count),
        };
        (0..count).map(move |nth| hours_later(first, nth))
    }

    /// Whether a report of both has one key.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.dataset() == other.dataset()
            && self.windows().any(|window| other.windows().any(|it| it == window))
    }

    /// The windows that a query of these times is for.
    pub(crate) fn asked(
        self,
        namespace: &str,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
    ) -> impl Iterator<Item = DateTime<Utc>> {
        let is_asked = move |window: &DateTime<Utc>| match self {
            // From some days before the day.
            Self::Day(date) => namespace == "AWS/S3" && date == day_of_window(start.date_naive()),
            Self::Hours(..) => namespace == services::NAMESPACE && (start..end).contains(window),
        };
        self.windows().filter(is_asked)
    }

    /// The arguments of `producer run` that ask for it.
    pub(crate) fn arguments(self) -> Vec<String> {
        let owned = |arguments: &[&str]| arguments.iter().map(|it| (*it).to_owned()).collect();
        match self {
            Self::Day(date) => owned(&["--date", &date.to_string()]),
            Self::Hours(first, count) => {
                let [from, to] = [first, hours_later(first, count)].map(text);
                owned(&["--dataset", services::DATASET, "--from", &from, "--to", &to])
            }
        }
    }

    /// The key of an account's report of a window.
    pub(crate) fn key(self, account: &str, window: DateTime<Utc>) -> String {
        let name = match self {
            Self::Day(_) => "report.csv".to_owned(),
            Self::Hours(..) => window.format("T%H%MZ.csv").to_string(),
        };
        format!("{}/report_date={}/account_name={account}/{name}", self.dataset(), window.date_naive())
    }
}

impl<'a> ReportKey<'a> {
    /// Reads a key, also of an unfinished report that lies beside a complete one; `None` if it is no report's.
    pub(crate) fn parse(key: &'a str) -> Option<Self> {
        let (dataset, rest) = key.strip_prefix("tries/").unwrap_or(key).split_once("/report_date=")?;
        let (date, rest) = rest.split_once('/')?;
        let (account, name) = rest.strip_prefix("account_name=")?.split_once('/')?;
        let time = match name.strip_suffix("Z.csv") {
            Some(time) => NaiveTime::parse_from_str(time, "T%H%M").ok()?,
            None => NaiveTime::MIN,
        };
        Some(Self { dataset, account, start: date.parse::<NaiveDate>().ok()?.and_time(time).and_utc() })
    }
}

pub(crate) fn midnight(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc()
}

pub(crate) fn hours_later(from: DateTime<Utc>, hours: usize) -> DateTime<Utc> {
    from + TimeDelta::hours(i64::try_from(hours).unwrap_or(0))
}

/// A time as requests and reports have it.
pub(crate) fn text(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(hour: usize) -> DateTime<Utc> {
        hours_later(midnight("2026-11-03".parse().expect("a day")), hour)
    }

    #[test]
    fn a_key_says_again_what_it_was_made_of() {
        let day = "2026-11-03".parse().expect("a day");
        for (subject, aside) in [(Subject::Day(day), ""), (Subject::Hours(hour(9), 2), "tries/")] {
            for window in subject.windows() {
                let key = format!("{aside}{}", subject.key("data", window));
                let read = ReportKey { dataset: subject.dataset(), account: "data", start: window };
                assert_eq!(ReportKey::parse(&key), Some(read), "{key}");
            }
        }
        assert_eq!(ReportKey::parse("runs/r.json"), None);
    }

    #[test]
    fn windows_overlap_if_they_are_of_one_dataset_and_have_an_hour_in_common() {
        let all = Subject::Hours(hour(9), 4);
        assert!(all.overlaps(Subject::Hours(hour(12), 1)) && all.overlaps(Subject::Hours(hour(8), 2)));
        assert!(
            !all.overlaps(Subject::Hours(hour(13), 4)) && !all.overlaps(Subject::Day(hour(0).date_naive()))
        );
    }

    #[test]
    fn a_query_is_for_the_windows_in_its_times() {
        let all = Subject::Hours(hour(9), 4);
        let asked: Vec<_> = all.asked(services::NAMESPACE, hour(10), hour(12)).collect();
        assert_eq!(asked, [hour(10), hour(11)]);
        assert_eq!(all.asked("AWS/S3", hour(10), hour(12)).count(), 0);
        let day = Subject::Day("2026-11-05".parse().expect("a day"));
        assert_eq!(day.asked("AWS/S3", hour(0), hour(72)).count(), 1, "two days before the day");
        assert_eq!(day.asked("AWS/S3", hour(24), hour(96)).count(), 0);
    }
}
