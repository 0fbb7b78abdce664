// SPDX-License-Identifier: Apache-2.0
//! Windows: the spans of time that reports are of. A window is aligned to the UTC day, and half-open: it ends before the
//! moment that it is said to end at.

mod check;
pub mod parts;

use std::{fmt, ops::RangeInclusive, str::FromStr};

use chrono::{DateTime, NaiveTime, SecondsFormat, TimeDelta, Timelike, Utc};

use crate::{ReportDate, account::shorten, date::DateError, duration};

const DAY: u32 = 86_400;

/// How long a window is: whole minutes that divide a day, so that windows of a length lie next to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowLength(u32);

/// One window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    from: DateTime<Utc>,
    length: WindowLength,
}

/// Windows of one length, one after the other; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Windows {
    first: Window,
    count: u32,
}

/// Why a text, or a span, is not of windows that can be reported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    #[error(
        "window {0:?} is no length of a window: whole minutes that divide a day; write it as 5m, 1h or 1d"
    )]
    Length(String),
    #[error("{key} {text:?} is not a time; write it as 2026-11-01T13:00:00Z, or a day as 2026-11-01")]
    Time {
        key: &'static str,
        /// The text, shortened if it is long.
        text: String,
    },
    #[error("{key} {at} is not where a window of {length} begins; write {before} or {after}", at = moment(*at), before = moment(*before), after = moment(*after))]
    NotAligned {
        key: &'static str,
        at: DateTime<Utc>,
        length: WindowLength,
        /// The nearest moments that a window begins at.
        before: DateTime<Utc>,
        after: DateTime<Utc>,
    },
    #[error("from {from} to {to} is no time at all; to is exclusive, so write a later one", from = moment(*from), to = moment(*to))]
    Empty { from: DateTime<Utc>, to: DateTime<Utc> },
    #[error("from {from} to {to} is too long; ask for less", from = moment(*from), to = moment(*to))]
    TooMany { from: DateTime<Utc>, to: DateTime<Utc> },
    #[error("the window from {from} to {to} is not over yet; ask for an earlier one", from = moment(*from), to = moment(*to))]
    NotOver { from: DateTime<Utc>, to: DateTime<Utc> },
    /// CloudWatch no longer has the day that the first one lies in.
    #[error(transparent)]
    TooOld(DateError),
    #[error(
        "window {length} is not that of dataset {dataset}, whose values are of days; write window 1d, or leave it out"
    )]
    OfDays { dataset: &'static str, length: WindowLength },
    #[error(
        "window {length} is shorter than the period of dataset {dataset}, which is {period}; write window {period} or a longer one",
        period = duration::shown_seconds(*period)
    )]
    ShorterThanPeriod {
        dataset: &'static str,
        length: WindowLength,
        /// In seconds.
        period: u32,
    },
    /// The values of each window are together in one longer period by now.
    #[error(
        "window {length} of {day} is shorter than what CloudWatch keeps of dataset {dataset} that long: periods of {period}; \
         write window {period} or a longer one, or ask from {since} on",
        period = duration::shown_seconds(*period)
    )]
    ShorterThanKept {
        dataset: &'static str,
        length: WindowLength,
        day: ReportDate,
        /// In seconds.
        period: u32,
        /// The first day whose windows can be collected.
        since: ReportDate,
    },
}

impl WindowLength {
    pub const DAY: Self = Self(DAY);

    /// The length of so many seconds; `None` if it is not whole minutes, or divides no day.
    #[must_use]
    pub fn new(seconds: u32) -> Option<Self> {
        (seconds >= 60 && seconds.is_multiple_of(60) && DAY.is_multiple_of(seconds)).then_some(Self(seconds))
    }

    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }

    #[must_use]
    pub fn is_day(self) -> bool {
        self == Self::DAY
    }

    fn delta(self) -> TimeDelta {
        TimeDelta::seconds(self.0.into())
    }
}

impl FromStr for WindowLength {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds = duration::parse(text).and_then(|length| u32::try_from(length.num_seconds()).ok());
        seconds.and_then(Self::new).ok_or_else(|| WindowError::Length(shorten(text)))
    }
}

impl fmt::Display for WindowLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&duration::shown_seconds(self.0))
    }
}

impl Window {
    /// The window of a length that a moment lies in.
    #[must_use]
    pub fn containing(at: DateTime<Utc>, length: WindowLength) -> Self {
        let since = at.num_seconds_from_midnight() % length.0;
        let midnight = at.date_naive().and_time(NaiveTime::MIN).and_utc();
        let from = midnight + TimeDelta::seconds((at.num_seconds_from_midnight() - since).into());
        Self { from, length }
    }

    /// The window between two moments; `None` if no window is.
    #[must_use]
    pub fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> Option<Self> {
        let length = WindowLength::new(u32::try_from((to - from).num_seconds()).ok()?)?;
        let window = Self::containing(from, length);
        (window.from == from && window.end() == to).then_some(window)
    }

    #[must_use]
    pub fn start(self) -> DateTime<Utc> {
        self.from
    }

    /// The moment that it ends before.
    #[must_use]
    pub fn end(self) -> DateTime<Utc> {
        self.from + self.length.delta()
    }

    #[must_use]
    pub fn length(self) -> WindowLength {
        self.length
    }

    /// The UTC day that it lies in.
    #[must_use]
    pub fn date(self) -> ReportDate {
        self.from.date_naive().into()
    }

    #[must_use]
    pub fn is_day(self) -> bool {
        self.length.is_day()
    }

    /// When in its day it begins, as keys have it: `T1300Z`.
    #[must_use]
    pub fn time(self) -> String {
        self.from.format("T%H%MZ").to_string()
    }

    /// The window that is `count` windows later.
    fn later(self, count: u32) -> Self {
        let after = TimeDelta::seconds(i64::from(self.length.0) * i64::from(count));
        Self { from: self.from + after, length: self.length }
    }
}

impl From<ReportDate> for Window {
    fn from(day: ReportDate) -> Self {
        Self { from: day.start(), length: WindowLength::DAY }
    }
}

/// A day, or a span from one moment to another.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Windows::from(*self).fmt(f)
    }
}

impl Windows {
    /// The windows of a length from one moment to another.
    ///
    /// # Errors
    /// [`WindowError::NotAligned`] if none begins at either, [`WindowError::Empty`] if there is none, and
    /// [`WindowError::TooMany`].
    pub fn between(
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        length: WindowLength,
    ) -> Result<Self, WindowError> {
        for (key, at) in [("from", from), ("to", to)] {
            let before = Window::containing(at, length).from;
            if before != at {
                return Err(WindowError::NotAligned {
                    key,
                    at,
                    length,
                    before,
                    after: before + length.delta(),
                });
            }
        }
        if to <= from {
            return Err(WindowError::Empty { from, to });
        }
        let count = (to - from).num_seconds() / i64::from(length.0);
        let count = u32::try_from(count).map_err(|_| WindowError::TooMany { from, to })?;
        Ok(Self { first: Window { from, length }, count })
    }

    /// The windows of a length that a day has.
    #[must_use]
    pub fn of_day(day: ReportDate, length: WindowLength) -> Self {
        Self { first: Window { from: day.start(), length }, count: DAY / length.0 }
    }

    #[must_use]
    pub fn first(self) -> Window {
        self.first
    }

    #[must_use]
    pub fn last(self) -> Window {
        self.first.later(self.count - 1)
    }

    #[must_use]
    pub fn start(self) -> DateTime<Utc> {
        self.first.from
    }

    /// The moment that the last one ends before.
    #[must_use]
    pub fn end(self) -> DateTime<Utc> {
        self.last().end()
    }

    #[must_use]
    pub fn length(self) -> WindowLength {
        self.first.length
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> usize {
        self.count as usize
    }

    #[must_use]
    pub fn is_one(self) -> bool {
        self.count == 1
    }

    /// The day, if it is one window of a day.
    #[must_use]
    pub fn day(self) -> Option<ReportDate> {
        (self.is_one() && self.first.is_day()).then(|| self.first.date())
    }

    #[must_use]
    pub fn iter(self) -> impl ExactSizeIterator<Item = Window> + DoubleEndedIterator + use<> {
        (0..self.count).map(move |nth| self.first.later(nth))
    }

    #[must_use]
    pub fn includes(self, window: Window) -> bool {
        window.length() == self.length() && self.start() <= window.start() && window.end() <= self.end()
    }

    /// From one of the windows to another.
    #[must_use]
    pub fn part(first: Window, last: Window) -> Option<Self> {
        Self::between(first.from, last.end(), first.length).ok()
    }

    /// Those of which all is over by then: the last that are not are left out.
    #[must_use]
    pub fn over_by(self, moment: DateTime<Utc>) -> Option<Self> {
        let last = Window::containing(moment.min(self.end()), self.length()).from;
        Self::between(self.start(), last, self.length()).ok()
    }
}

impl From<Window> for Windows {
    fn from(window: Window) -> Self {
        Self { first: window, count: 1 }
    }
}

impl From<ReportDate> for Windows {
    fn from(day: ReportDate) -> Self {
        Window::from(day).into()
    }
}

/// A day, or a span from one moment to another.
impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.day() {
            Some(day) => day.fmt(f),
            None => write!(f, "{} to {}", moment(self.start()), moment(self.end())),
        }
    }
}

/// The years of four digits but for their last day, in seconds of Unix time.
const YEARS: RangeInclusive<i64> = -62_167_219_200..=253_402_214_400;

/// Reads a moment: a time of RFC 3339, or a day, which means its begin.
///
/// # Errors
/// [`WindowError::Time`], with the key that has it.
pub fn time(key: &'static str, text: &str) -> Result<DateTime<Utc>, WindowError> {
    let day = text.parse::<ReportDate>().ok().map(ReportDate::start);
    let time = day.or_else(|| Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc()));
    // Of years that have four digits, so that no date overflows.
    let time = time.filter(|time| YEARS.contains(&time.timestamp()));
    time.ok_or_else(|| WindowError::Time { key, text: shorten(text) })
}

/// A moment as jobs, metadata and messages have it.
#[must_use]
pub fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests;
