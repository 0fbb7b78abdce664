// SPDX-License-Identifier: Apache-2.0
//! The UTC day that a report covers.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{account::shorten, datasets::Period};

/// For how many days CloudWatch keeps datapoints with a period of an hour or more.
const RETENTION_DAYS: u64 = Period::DAY.retention_days();

/// The oldest day that can be reported, counted back from today. A day's datapoint has the time at which
/// the day begins, so on the 455th day after that it is 455 days old.
pub const OLDEST_DAYS: u64 = RETENTION_DAYS - 1;

/// The oldest day, counted back from today, whose series `ListMetrics` reliably lists. It lists a series
/// for two weeks after its last datapoint; two of these days are reserved for datapoints that are
/// published late, and one for the current day.
///
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html>
pub const LISTED_DAYS: i64 = 11;

/// A UTC calendar day, written `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReportDate(NaiveDate);

/// Why a day can't be reported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DateError {
    #[error("date {0:?} is not a calendar day; write it as YYYY-MM-DD, such as 2026-11-01")]
    Malformed(String),
    /// The day is not over yet in UTC, or lies in the future.
    #[error(
        "date {date} is not over yet in UTC, where it is {today} now; ask for {last} or an earlier day",
        last = today.pred()
    )]
    NotOver { date: ReportDate, today: ReportDate },
    /// No date was given on the first of a month, which is the default day and is not over yet.
    #[error("the first of this month is not over; pass --date or run tomorrow")]
    FirstOfMonthNotOver,
    /// CloudWatch no longer has the day.
    #[error(
        "date {date} is too old: CloudWatch keeps metrics for {RETENTION_DAYS} days; the oldest available day is {oldest}"
    )]
    TooOld {
        date: ReportDate,
        /// The oldest day that can be requested.
        oldest: ReportDate,
    },
}

impl ReportDate {
    #[must_use]
    pub fn today(now: DateTime<Utc>) -> Self {
        Self(now.date_naive())
    }

    /// The day to report if none is given: the first of the current month.
    ///
    /// # Errors
    ///
    /// [`DateError::FirstOfMonthNotOver`] on the first of a month.
    pub fn default_at(now: DateTime<Utc>) -> Result<Self, DateError> {
        let today = now.date_naive();
        if today.day() == 1 {
            return Err(DateError::FirstOfMonthNotOver);
        }
        Ok(Self(today.with_day(1).expect("cannot fail: every month has a first day")))
    }

    /// Refuses a day that at `now` is not over yet, or that CloudWatch no longer has.
    pub fn check(self, now: DateTime<Utc>) -> Result<Self, DateError> {
        let today = Self::today(now);
        let oldest = today.days_before(OLDEST_DAYS);
        if self >= today {
            Err(DateError::NotOver { date: self, today })
        } else if self < oldest {
            Err(DateError::TooOld { date: self, oldest })
        } else {
            Ok(self)
        }
    }

    /// Whether at `now` `ListMetrics` still lists every series with a datapoint of this day. Otherwise a
    /// collection must request every series that may exist, and can't see deleted ones.
    #[must_use]
    pub fn is_listed_at(self, now: DateTime<Utc>) -> bool {
        (now.date_naive() - self.0).num_days() <= LISTED_DAYS
    }

    /// How many days before that of `now` it is; 0 if it is none.
    #[must_use]
    pub fn days_until(self, now: DateTime<Utc>) -> u64 {
        u64::try_from((now.date_naive() - self.0).num_days()).unwrap_or_default()
    }

    /// The calendar day.
    #[must_use]
    pub fn day(self) -> NaiveDate {
        self.0
    }

    #[must_use]
    pub fn days_before(self, days: u64) -> Self {
        Self(self.0.checked_sub_days(Days::new(days)).unwrap_or(NaiveDate::MIN))
    }

    /// When the day begins: 00:00 UTC.
    #[must_use]
    pub fn start(self) -> DateTime<Utc> {
        self.0.and_time(chrono::NaiveTime::MIN).and_utc()
    }

    /// When the day ends: 00:00 UTC of the next day.
    #[must_use]
    pub fn end(self) -> DateTime<Utc> {
        self.start() + chrono::TimeDelta::days(1)
    }

    fn pred(self) -> Self {
        self.days_before(1)
    }
}

impl From<NaiveDate> for ReportDate {
    fn from(day: NaiveDate) -> Self {
        Self(day)
    }
}

impl FromStr for ReportDate {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // chrono alone would also accept `+2026-1-1`.
        let shaped = text.len() == 10
            && text.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        shaped
            .then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
            .flatten()
            .map(Self)
            .ok_or_else(|| DateError::Malformed(shorten(text)))
    }
}

impl TryFrom<String> for ReportDate {
    type Error = DateError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ReportDate> for String {
    fn from(date: ReportDate) -> Self {
        date.to_string()
    }
}

impl fmt::Display for ReportDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%d"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a moment")
    }

    fn date(text: &str) -> ReportDate {
        text.parse().expect("a date")
    }

    #[test]
    fn reads_a_calendar_day_and_nothing_else() {
        assert_eq!(date("2026-02-28").to_string(), "2026-02-28");
        for text in
            ["2026-02-29", "2026-13-01", "2026-1-01", "01-11-2026", "2026-11-01 ", "+026-11-01", "", "今日"]
        {
            assert_eq!(text.parse::<ReportDate>(), Err(DateError::Malformed(text.to_owned())));
        }
    }

    #[test]
    fn the_default_is_the_first_of_the_month_once_it_is_over() {
        assert_eq!(ReportDate::default_at(at("2026-11-02T00:00:00Z")), Ok(date("2026-11-01")));
        assert_eq!(ReportDate::default_at(at("2026-11-30T23:59:59Z")), Ok(date("2026-11-01")));
        assert_eq!(ReportDate::default_at(at("2026-11-01T23:59:59Z")), Err(DateError::FirstOfMonthNotOver));
    }

    #[test]
    fn series_of_a_day_are_listed_for_eleven_days() {
        let day = date("2026-11-03");
        assert!(day.is_listed_at(at("2026-11-14T23:59:59Z")));
        assert!(!day.is_listed_at(at("2026-11-15T00:00:00Z")));
    }

    #[test]
    fn a_day_can_be_reported_from_its_end_until_cloudwatch_drops_it() {
        let now = at("2026-11-21T00:00:00Z");
        let today = date("2026-11-21");
        assert!(today.check(now).is_err());
        assert!(date("2026-11-20").check(now).is_ok());
        assert!(today.days_before(454).check(now).is_ok());
        let error = today.days_before(455).check(now).expect_err("too old");
        assert_eq!(
            error.to_string(),
            "date 2025-08-23 is too old: CloudWatch keeps metrics for 455 days; the oldest available day is 2025-08-24"
        );
        let error = date("2027-01-01").check(now).expect_err("future");
        assert!(error.to_string().contains("ask for 2026-11-20 or an earlier day"), "{error}");
    }
}
