// SPDX-License-Identifier: Apache-2.0
//! When a request is about: its keys and flags of time, and the windows that they mean for a dataset. Pure.

use chrono::{DateTime, Months, NaiveDate, TimeDelta, Utc};
use fleet::{
    Dataset, ReportDate, Window, WindowLength, Windows,
    datasets::Shape,
    date::DateError,
    duration,
    job::parse_settle,
    json::kind,
    window::{moment, time},
};
use serde_json::{Map, Value};

/// The keys of a request that say which time it is about. A flag for one of these takes the place of all of them.
const SPANS: [&str; 5] = ["date", "month", "from", "to", "last"];

/// All keys of time.
pub const KEYS: [&str; 8] = ["date", "month", "from", "to", "last", "window", "settle", "provisional"];

/// What the flags say of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WhenFlags {
    pub date: Option<String>,
    pub month: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub last: Option<String>,
    pub window: Option<String>,
    pub settle: Option<String>,
    pub provisional: bool,
}

/// When a request is about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct When {
    span: Span,
    window: Option<WindowLength>,
    pub settle: Option<TimeDelta>,
    provisional: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Span {
    /// The first of the month, or the newest window.
    #[default]
    Default,
    Day(ReportDate),
    /// By its first day.
    Month(NaiveDate),
    Between(DateTime<Utc>, DateTime<Utc>),
    Last(Back),
}

/// How far back from now.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Back {
    Time(TimeDelta),
    Months(u32),
}

impl WhenFlags {
    fn of(&self, key: &str) -> Option<&String> {
        match key {
            "date" => self.date.as_ref(),
            "month" => self.month.as_ref(),
            "from" => self.from.as_ref(),
            "to" => self.to.as_ref(),
            "last" => self.last.as_ref(),
            "window" => self.window.as_ref(),
            "settle" => self.settle.as_ref(),
            _ => None,
        }
    }

    /// What is set besides the date, for a digest of the request.
    pub fn beside_date(&self) -> Option<Vec<Option<&str>>> {
        let keys = ["month", "from", "to", "last", "window", "settle"];
        let mut set: Vec<_> = keys.iter().map(|key| self.of(key).map(String::as_str)).collect();
        set.push(self.provisional.then_some("provisional"));
        set.iter().any(Option::is_some).then_some(set)
    }
}

impl When {
    /// Takes the keys of time out of a request, with the flags over them.
    pub fn take(
        object: &mut Map<String, Value>,
        flags: &WhenFlags,
        faults: &mut Vec<String>,
    ) -> Option<Self> {
        let known = faults.len();
        let is_by_flag = SPANS.iter().any(|key| flags.of(key).is_some());
        let mut texts = |key: &'static str, example: &str| {
            let value = object.shift_remove(key);
            match (flags.of(key), value) {
                (Some(text), _) => Some(text.clone()),
                (None, _) if is_by_flag && SPANS.contains(&key) => None,
                (None, Some(Value::String(text))) => Some(text),
                (None, None) => None,
                (None, Some(other)) => {
                    faults.push(format!("{key} is {}, not a string such as {example:?}", kind(&other)));
                    None
                }
            }
        };
        let date = texts("date", "2026-11-01");
        let month = texts("month", "2026-10");
        let from = texts("from", "2026-11-01T13:00:00Z");
        let to = texts("to", "2026-11-01T14:00:00Z");
        let last = texts("last", "6h");
        let window = texts("window", "1h");
        let settle = texts("settle", "3m");
        let provisional = flag(object, "provisional", flags.provisional, faults);
        let spans = [("date", &date), ("month", &month), ("from", &from), ("last", &last)];
        let spans: Vec<&str> = spans.iter().filter(|(_, text)| text.is_some()).map(|(key, _)| *key).collect();
        if let [first, second, ..] = spans[..] {
            faults.push(format!("{first} and {second} are both given; leave one out"));
        }
        let mut read = |result: Result<Span, String>| result.map_err(|fault| faults.push(fault)).ok();
        let span = match (date, month, from, to, last) {
            (Some(text), ..) => read(text.parse().map(Span::Day).map_err(|error| error.to_string())),
            (_, Some(text), ..) => read(month_of(&text)),
            (_, _, Some(from), Some(to), _) => read(between(&from, &to)),
            (_, _, Some(_), None, _) => {
                read(Err("from is given without to; add to (--to), which is exclusive".into()))
            }
            (_, _, None, Some(_), _) => read(Err("to is given without from; add from (--from)".into())),
            (.., Some(text)) => read(back(&text)),
            _ => Some(Span::Default),
        };
        let window = match window.map(|text| text.parse::<WindowLength>()) {
            Some(Err(error)) => {
                faults.push(error.to_string());
                None
            }
            Some(Ok(window)) => Some(window),
            None => None,
        };
        let settle = settle.and_then(|text| {
            let settle = parse_settle(&text);
            if settle.is_none() {
                faults.push(format!(
                    "settle {text:?} is not a length of time of at most 60 days; write it as 3m or 1h"
                ));
            }
            settle
        });
        (faults.len() == known).then_some(())?;
        Some(Self { span: span?, window, settle, provisional })
    }

    /// Whether it leaves the time to the default.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.span == Span::Default
    }

    /// Whether a later run of the same request is about a later time.
    #[must_use]
    pub fn follows_the_clock(&self) -> bool {
        matches!(self.span, Span::Default | Span::Last(_))
    }

    #[must_use]
    pub fn is_provisional(&self) -> bool {
        self.provisional
    }

    /// Whether one day is all that it can mean.
    #[must_use]
    pub fn is_of_day(&self) -> bool {
        matches!(self.span, Span::Default | Span::Day(_))
    }

    /// The keys of time of a request that could be sent again.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        let mut insert = |key: &str, value: Value| {
            object.insert(key.to_owned(), value);
        };
        match self.span {
            Span::Default => {}
            Span::Day(date) => insert("date", date.to_string().into()),
            Span::Month(first) => insert("month", first.format("%Y-%m").to_string().into()),
            Span::Between(from, to) => {
                insert("from", moment(from).into());
                insert("to", moment(to).into());
            }
            Span::Last(Back::Time(time)) => insert("last", duration::shown(time).into()),
            Span::Last(Back::Months(months)) => insert("last", format!("{months}mo").into()),
        }
        if let Some(window) = self.window {
            insert("window", window.to_string().into());
        }
        if let Some(settle) = self.settle {
            insert("settle", duration::shown(settle).into());
        }
        if self.provisional {
            insert("provisional", true.into());
        }
        object
    }

    /// The windows of a dataset.
    ///
    /// # Errors
    /// What is wrong, and what to write.
    pub fn windows(&self, dataset: &Dataset, now: DateTime<Utc>) -> Result<Windows, String> {
        let length = self.window.unwrap_or(dataset.window);
        match (dataset.shape, self.span) {
            (Shape::NewestDay, Span::Default) => self.day(dataset, ReportDate::default_at(now)),
            (Shape::NewestDay, Span::Day(date)) => self.day(dataset, date.check(now)),
            (Shape::NewestDay, Span::Month(_) | Span::Between(..) | Span::Last(_)) | (Shape::Series, _) => {
                self.settled(dataset, length, now)
            }
        }
    }

    /// A day of a dataset of days, which is collected once it is over.
    fn day(&self, dataset: &Dataset, date: Result<ReportDate, DateError>) -> Result<Windows, String> {
        let name = dataset.name;
        for (key, is_given) in [
            ("window", self.window.is_some_and(|window| !window.is_day())),
            ("settle", self.settle.is_some()),
            ("provisional", self.provisional),
        ] {
            if is_given {
                return Err(format!(
                    "dataset {name} takes no {key} for a single day; leave it out, or ask for month, from and to, or last"
                ));
            }
        }
        date.map(Windows::from).map_err(|error| error.to_string())
    }

    /// The windows that are settled or, if provisional ones count, over.
    fn settled(
        &self,
        dataset: &Dataset,
        length: WindowLength,
        now: DateTime<Utc>,
    ) -> Result<Windows, String> {
        let check = |windows: Windows| windows.check(dataset, now).map_err(|error| error.to_string());
        // What ended by then counts.
        let settle = if self.provisional { TimeDelta::zero() } else { self.settle.unwrap_or(dataset.settle) };
        let counts_by = now - settle;
        let newest = Window::containing(counts_by, length).start();
        let (from, to) = match self.span {
            Span::Day(date) => {
                date.check(now).map_err(|error| error.to_string())?;
                return check(Windows::of_day(date, length));
            }
            Span::Default => (newest - TimeDelta::seconds(length.seconds().into()), newest),
            Span::Month(first) => {
                let next = first.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX);
                (ReportDate::from(first).start(), ReportDate::from(next).start())
            }
            Span::Between(from, to) => (from, to),
            Span::Last(back) => {
                (Window::containing(back.from(now), length).start(), Window::containing(now, length).start())
            }
        };
        if from == to && matches!(self.span, Span::Last(_)) {
            return Err(format!(
                "dataset {} has windows of {length}, and none of them began within so short a time; write last (--last) as \
                 {length} or more, or a shorter window (--window)",
                dataset.name
            ));
        }
        let all = Windows::between(from, to, length).map_err(|error| error.to_string())?;
        all.check_of(dataset).map_err(|error| error.to_string())?;
        let settled = all.over_by(counts_by).ok_or_else(|| {
            let first = all.first().end();
            if first > now {
                format!("no window from {} on is over yet; ask for an earlier one", moment(all.start()))
            } else {
                format!(
                    "no window from {} on is settled yet, the first is at {}; add provisional (--provisional) to collect \
                     what is over, and again later",
                    moment(all.start()),
                    moment(first + settle)
                )
            }
        })?;
        check(settled)
    }
}

impl Back {
    fn from(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Time(time) => now - time,
            Self::Months(months) => now.checked_sub_months(Months::new(months)).unwrap_or(now),
        }
    }
}

/// Takes a key that is true or false, which a flag can set.
pub(crate) fn flag(
    object: &mut Map<String, Value>,
    key: &str,
    is_flagged: bool,
    faults: &mut Vec<String>,
) -> bool {
    match object.shift_remove(key) {
        _ if is_flagged => true,
        None => false,
        Some(Value::Bool(is_so)) => is_so,
        Some(other) => {
            faults.push(format!("{key} is {}, not true or false", kind(&other)));
            false
        }
    }
}

fn between(from: &str, to: &str) -> Result<Span, String> {
    let (from, to) = (time("from", from), time("to", to));
    match (from, to) {
        (Ok(from), Ok(to)) => Ok(Span::Between(from, to)),
        (Err(from), Err(to)) => Err(format!("{from}; {to}")),
        (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
    }
}

fn month_of(text: &str) -> Result<Span, String> {
    let first = format!("{text}-01").parse::<ReportDate>();
    let first = first.map_err(|_| format!("month {text:?} is not a month; write it as 2026-10"))?;
    Ok(Span::Month(first.day()))
}

/// The most days that a span can go back: longer than CloudWatch keeps anything, and shorter than a date can count.
const MOST_DAYS: i64 = 10_000;

fn back(text: &str) -> Result<Span, String> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| (1..=120).contains(number));
    let months = text.strip_suffix("mo").and_then(number).map(Back::Months);
    let time = duration::parse(text).filter(|time| *time > TimeDelta::zero() && time.num_days() <= MOST_DAYS);
    let back = months.or(time.map(Back::Time));
    back.map(Span::Last)
        .ok_or_else(|| format!("last {text:?} is not a length of time; write it as 6h, 30d or 13mo"))
}

#[cfg(test)]
mod tests;
