// SPDX-License-Identifier: Apache-2.0
//! Which series to query, in the fewest calls. Pure functions.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
    iter, mem,
    sync::Arc,
};

use chrono::{DateTime, NaiveDate, Utc};
use fleet::{
    Dataset, ReportDate, Windows,
    datasets::{Cell, Class, DATAPOINTS_PER_CALL, Holders, Metric},
};

use super::series_query::SeriesQuery;

/// The maximum number of queries in one `GetMetricData` call.
///
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>
pub const QUERIES_PER_CALL: usize = 500;

/// How many series one call can ask for, if each can have this many datapoints and no second page is to be needed.
#[must_use]
pub fn queries_per_call(datapoints: usize) -> usize {
    (DATAPOINTS_PER_CALL / datapoints.max(1)).clamp(1, QUERIES_PER_CALL)
}

/// When a value may be of: the requested day and, for late values, some days before it; or the requested windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    date: ReportDate,
}

impl Window {
    /// The window of `date` and the `lookback_days` before it.
    #[must_use]
    pub fn new(date: ReportDate, lookback_days: u32) -> Self {
        Self::of(date.into(), lookback_days)
    }

    /// The time of these windows, and the `lookback_days` before it.
    #[must_use]
    pub fn of(windows: Windows, lookback_days: u32) -> Self {
        let date = windows.first().date();
        let start = match lookback_days {
            0 => windows.start(),
            days => date.days_before(days.into()).start(),
        };
        Self { start, end: windows.end(), date }
    }

    /// The requested day, or the day of the first window.
    #[must_use]
    pub fn date(self) -> NaiveDate {
        self.date.day()
    }

    /// The first moment of the window.
    #[must_use]
    pub fn start(self) -> DateTime<Utc> {
        self.start
    }

    /// The first moment after the window.
    #[must_use]
    pub fn end(self) -> DateTime<Utc> {
        self.end
    }

    /// The day of the first moment.
    #[must_use]
    pub fn first_day(self) -> NaiveDate {
        self.start.date_naive()
    }

    /// Whether values of the requested day may be of this day.
    #[must_use]
    pub fn contains(self, day: NaiveDate) -> bool {
        (self.first_day()..=self.date.day()).contains(&day)
    }

    /// How many datapoints a series of `period_seconds` can have in the window.
    #[must_use]
    pub fn datapoints(self, period_seconds: u32) -> u32 {
        let seconds = (self.end() - self.start()).num_seconds();
        u32::try_from(seconds).unwrap_or(u32::MAX).div_ceil(period_seconds)
    }
}

/// What can be queried for a resource: a metric and, if it is split, a value of its split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesKind {
    pub metric: &'static Metric,
    /// The value of the metric's split.
    pub value: Cow<'static, str>,
    /// The index of its column in the dataset.
    pub column: u16,
    /// Which resources can have it.
    pub holders: Holders,
}

/// A series of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// The index of the resource in its region.
    pub resource: u32,
    pub name: Arc<str>,
    pub kind: SeriesKind,
}

impl Series {
    /// The query for its one statistic.
    #[must_use]
    pub fn query(&self) -> SeriesQuery<'_> {
        let Self { name, kind: SeriesKind { metric, value, .. }, .. } = self;
        let statistic = metric.statistics.first().map_or("", String::as_str);
        SeriesQuery { metric, resource: name, value, statistic }
    }
}

/// A series that `ListMetrics` named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSeries {
    pub metric: &'static Metric,
    /// The values of the resource's dimensions, as [`dimensions::values`] has them.
    ///
    /// [`dimensions::values`]: super::dimensions::values
    pub resource: String,
    /// The value of the metric's split; empty if it has none.
    pub value: String,
}

/// Plans calls while series are being listed, so that the first calls are made before the last page has arrived.
#[derive(Debug)]
pub struct Planner {
    dataset: &'static Dataset,
    /// The maximum number of series in one call.
    most: usize,
    /// The kinds that the dataset names, then other kinds in the order in which they are listed.
    kinds: Vec<SeriesKind>,
    /// How many kinds the dataset names.
    known: usize,
    /// The indexes of the resource and the kind of each series so far.
    planned: HashSet<(u32, u16)>,
    /// Series that do not fill a call yet.
    waiting: Vec<Series>,
    /// Metrics with a split value that has no column.
    skipped: BTreeSet<(&'static str, String)>,
}

impl Planner {
    /// Plans calls of at most `most` series.
    #[must_use]
    pub fn new(dataset: &'static Dataset, most: usize) -> Self {
        let (planned, waiting, skipped) = Default::default();
        let kinds = known_kinds(dataset);
        Self { dataset, most, known: kinds.len(), kinds, planned, waiting, skipped }
    }

    /// Adds a series of the resource with this index, and returns the series of a call if that fills one. A series that
    /// is listed twice is queried once.
    pub fn add(
        &mut self,
        metric: &'static Metric,
        value: String,
        resource: u32,
        name: &Arc<str>,
    ) -> Option<Vec<Series>> {
        let is_it = |kind: &SeriesKind| kind.metric.name == metric.name && kind.value == value;
        let at = match self.kinds.iter().position(is_it) {
            Some(at) => at,
            None => {
                let Some(column) = metric.other() else {
                    self.skipped.insert((&metric.name, value));
                    return None;
                };
                let column = column_place(self.dataset, column);
                self.kinds.push(SeriesKind { metric, value: value.into(), column, holders: Holders::All });
                self.kinds.len() - 1
            }
        };
        let kind = self.kinds.get(at)?.clone();
        if !self.planned.insert((resource, place(at))) {
            return None;
        }
        self.waiting.push(Series { resource, name: name.clone(), kind });
        (self.waiting.len() == self.most).then(|| mem::take(&mut self.waiting))
    }

    /// The remaining series, once all are listed.
    pub fn rest(&mut self) -> Option<Vec<Series>> {
        (!self.waiting.is_empty()).then(|| mem::take(&mut self.waiting))
    }

    /// Whether there is nothing to query.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.planned.is_empty()
    }

    /// The metrics and split values that are not queried because they have no column.
    pub fn skipped(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.skipped.iter().map(|(metric, value)| (*metric, value.as_str()))
    }

    /// The kinds that the dataset does not name.
    #[must_use]
    pub fn unknown_kinds(&self) -> &[SeriesKind] {
        self.kinds.get(self.known..).unwrap_or_default()
    }
}

/// The calls of at most `most` series for all that these resources can have, in order. For days of which `ListMetrics` no longer lists all
/// series. Calls are planned lazily: an account may have millions of series.
pub fn everything(
    dataset: &'static Dataset,
    resources: impl IntoIterator<Item = (Arc<str>, Class)>,
    most: usize,
) -> impl Iterator<Item = Vec<Series>> {
    let kinds: Arc<[SeriesKind]> = known_kinds(dataset).into();
    let mut series = (0..).zip(resources).flat_map(move |(resource, (name, class))| {
        let kinds = kinds.clone();
        (0..kinds.len()).filter_map(move |at| {
            let kind = kinds.get(at).filter(|kind| kind.holders.include(class))?;
            Some(Series { resource, name: name.clone(), kind: kind.clone() })
        })
    });
    iter::from_fn(move || {
        let call: Vec<Series> = series.by_ref().take(most).collect();
        (!call.is_empty()).then_some(call)
    })
}

fn known_kinds(dataset: &'static Dataset) -> Vec<SeriesKind> {
    let kinds = dataset.metrics.iter().flat_map(|metric| {
        metric.known_values().map(move |known| SeriesKind {
            metric,
            value: Cow::Borrowed(&*known.value),
            column: column_place(dataset, &known.column),
            holders: known.holders,
        })
    });
    kinds.collect()
}

fn column_place(dataset: &Dataset, name: &str) -> u16 {
    let at = dataset.columns.iter().position(|column| column.name == name && column.cell == Cell::Measure);
    place(at.expect("cannot fail: a dataset has a column for each value of a split"))
}

fn place(at: usize) -> u16 {
    u16::try_from(at).expect("cannot fail: a dataset has some dozen kinds and columns")
}

#[cfg(test)]
mod tests {
    use fleet::datasets::DEFAULT as S3;

    use super::*;

    fn date(text: &str) -> ReportDate {
        text.parse().expect("a date")
    }

    #[test]
    fn the_window_ends_with_the_requested_day() {
        let window = Window::new(date("2026-11-01"), 2);
        assert_eq!(window.start().to_rfc3339(), "2026-10-30T00:00:00+00:00");
        assert_eq!(window.end().to_rfc3339(), "2026-11-02T00:00:00+00:00");
        assert_eq!(window.datapoints(86_400), 3);
        for (day, inside) in
            [("2026-10-29", false), ("2026-10-30", true), ("2026-11-01", true), ("2026-11-02", false)]
        {
            assert_eq!(window.contains(date(day).day()), inside, "{day}");
        }
    }

    fn names(count: usize) -> impl Iterator<Item = Arc<str>> {
        (0..count).map(|nth| Arc::from(format!("bucket-{nth}")))
    }

    #[test]
    fn an_old_day_queries_every_type_of_every_bucket() {
        let general = || names(1000).map(|name| (name, Class::General));
        let calls: Vec<_> = everything(*S3, general(), QUERIES_PER_CALL).collect();
        assert_eq!(calls.len(), 56);
        assert!(calls.iter().all(|call| call.len() == 500));
        let asked: HashSet<_> = calls
            .iter()
            .flatten()
            .map(|series| (series.resource, &*series.name, &*series.kind.metric.name, &*series.kind.value))
            .collect();
        assert_eq!(asked.len(), 28_000, "each once");
        assert!(asked.contains(&(999, "bucket-999", "NumberOfObjects", "AllStorageTypes")));
        assert!(!asked.iter().any(|(.., value)| *value == "ExpressOneZoneStorage"), "no such bucket has it");
        assert_eq!(everything(*S3, [], QUERIES_PER_CALL).count(), 0);
    }

    #[test]
    fn a_directory_bucket_is_queried_for_the_few_types_that_it_can_have() {
        let buckets = [("a", Class::General), ("b--use1-az4--x-s3", Class::Directory), ("c", Class::General)];
        let calls: Vec<_> =
            everything(*S3, buckets.map(|(name, class)| (name.into(), class)), QUERIES_PER_CALL).collect();
        let asked: Vec<_> = calls.iter().flatten().filter(|series| series.resource == 1).collect();
        let asked: Vec<_> = asked.iter().map(|series| &*series.kind.value).collect();
        assert_eq!(asked, ["AllStorageTypes", "OneZoneIAStorage", "ExpressOneZoneStorage"]);
        assert_eq!(calls.iter().flatten().count(), 28 + 3 + 28);
    }

    #[test]
    fn a_recent_day_queries_each_listed_series_once() {
        let [objects, sizes] = [&S3.metrics[0], &S3.metrics[1]];
        let [a, b] = ["a", "b"].map(Arc::from);
        let listed = [
            (sizes, "StandardStorage", 1, &b),
            (sizes, "FutureStorage", 0, &a),
            (objects, "AllStorageTypes", 0, &a),
            (sizes, "StandardStorage", 1, &b),
            (objects, "SomeStorageTypes", 0, &a),
        ];
        let mut planner = Planner::new(*S3, QUERIES_PER_CALL);
        for (metric, value, resource, name) in listed {
            assert_eq!(planner.add(metric, value.to_owned(), resource, name), None);
        }
        let unknown: Vec<_> = planner.unknown_kinds().iter().map(|kind| &*kind.value).collect();
        assert_eq!(unknown, ["FutureStorage"]);
        assert_eq!(planner.skipped().collect::<Vec<_>>(), [("NumberOfObjects", "SomeStorageTypes")]);
        let rest = planner.rest().expect("three series");
        let asked: Vec<_> = rest
            .iter()
            .map(|it| {
                let column = &*S3.columns[usize::from(it.kind.column)].name;
                (it.resource, &*it.name, &*it.kind.value, column)
            })
            .collect();
        assert_eq!(
            asked,
            [
                (1, "b", "StandardStorage", "size_standard"),
                (0, "a", "FutureStorage", "size_other"),
                (0, "a", "AllStorageTypes", "total_objects"),
            ]
        );
        assert_eq!(planner.rest(), None);
    }

    #[test]
    fn a_call_is_planned_as_soon_as_it_is_full() {
        let mut planner = Planner::new(*S3, QUERIES_PER_CALL);
        let mut calls = Vec::new();
        for (resource, name) in (0..).zip(names(1200)) {
            calls.extend(planner.add(&S3.metrics[0], "AllStorageTypes".to_owned(), resource, &name));
            assert_eq!(calls.len(), (resource as usize + 1) / QUERIES_PER_CALL);
        }
        calls.extend(planner.rest());
        assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [500, 500, 200]);
        let asked = calls.iter().flatten().map(|series| series.resource);
        assert!(asked.eq(0..1200), "each once, in order");
    }
}
