//! Which series to ask for, in the fewest calls. Plain functions over values.

use std::{borrow::Cow, collections::HashMap, slice::Chunks};

use chrono::{DateTime, NaiveDate, Utc};
use fleet::{
    Dataset, ReportDate,
    datasets::{Cell, Metric},
};

/// The most queries that one `GetMetricData` takes.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>
pub const QUERIES_PER_CALL: usize = 500;

/// How many days after its last datapoint `ListMetrics` still names a series: two weeks, less the
/// day that is not over.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html>
const LISTED_DAYS: i64 = 13;

/// The days that a value may be of: the day asked for, and some before it, for what comes late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    first: ReportDate,
    date: ReportDate,
}

impl Window {
    /// The window of `date` and the `lookback_days` before it.
    #[must_use]
    pub fn new(date: ReportDate, lookback_days: u32) -> Self {
        Self { first: date.days_before(lookback_days.into()), date }
    }

    /// The day asked for.
    #[must_use]
    pub fn date(self) -> NaiveDate {
        self.date.day()
    }

    /// The moment that the window begins with.
    #[must_use]
    pub fn start(self) -> DateTime<Utc> {
        self.first.start()
    }

    /// The moment that the window ends before.
    #[must_use]
    pub fn end(self) -> DateTime<Utc> {
        self.date.end()
    }

    /// Whether a day lies in the window.
    #[must_use]
    pub fn contains(self, day: NaiveDate) -> bool {
        (self.first.day()..=self.date.day()).contains(&day)
    }

    /// How many datapoints a series of `period_seconds` can have in the window.
    #[must_use]
    pub fn datapoints(self, period_seconds: u32) -> u32 {
        let seconds = (self.end() - self.start()).num_seconds();
        u32::try_from(seconds).unwrap_or(u32::MAX).div_ceil(period_seconds)
    }

    /// Whether `ListMetrics` still names, on the day `today`, every series that has a datapoint in
    /// the window.
    #[must_use]
    pub fn is_listed(self, today: ReportDate) -> bool {
        (today.day() - self.first.day()).num_days() <= LISTED_DAYS
    }
}

/// One thing that can be asked about a resource: a metric with a value of its second dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesKind {
    /// The metric.
    pub metric: &'static Metric,
    /// The value of the metric's dimension.
    pub value: Cow<'static, str>,
    /// The place of its column in the dataset's.
    pub column: u16,
}

/// One query: a resource and a kind, by their places. Eight bytes, since an account may have
/// millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// The place of the resource among its region's.
    pub resource: u32,
    /// The place of the kind in the plan's.
    pub kind: u16,
}

/// What to ask of one region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The kinds that the series name.
    pub kinds: Vec<SeriesKind>,
    /// The queries, each once.
    pub series: Vec<Series>,
}

/// A series that `ListMetrics` named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSeries {
    /// The metric.
    pub metric: &'static Metric,
    /// The resource's name.
    pub resource: String,
    /// The value of the metric's dimension: a known one as the dataset has it, since there are many of each.
    pub value: Cow<'static, str>,
}

impl Plan {
    /// Every known series of each of `resources` resources: what is asked where `ListMetrics` no
    /// longer tells which exist.
    #[must_use]
    pub fn of_everything(dataset: &'static Dataset, resources: usize) -> Self {
        let kinds = known_kinds(dataset);
        let series = (0..place(resources))
            .flat_map(|resource| (0..place(kinds.len())).map(move |kind| Series { resource, kind }))
            .collect();
        Self { kinds, series }
    }

    /// The series that `ListMetrics` named. `resource_place` gives a resource's place, and may make
    /// one for a resource that was not discovered.
    #[must_use]
    pub fn of_listed(
        dataset: &'static Dataset,
        listed: &[ListedSeries],
        mut resource_place: impl FnMut(&str) -> usize,
    ) -> Self {
        let mut kinds = known_kinds(dataset);
        let mut places: HashMap<(&str, Cow<'static, str>), usize> =
            kinds.iter().enumerate().map(|(at, kind)| ((kind.metric.name, kind.value.clone()), at)).collect();
        let mut series = Vec::with_capacity(listed.len());
        for ListedSeries { metric, resource, value } in listed {
            let key = (metric.name, value.clone());
            let kind = match places.get(&key) {
                Some(kind) => *kind,
                None => {
                    let Some(column) = metric.other else { continue };
                    kinds.push(SeriesKind {
                        metric,
                        value: value.clone(),
                        column: column_place(dataset, column),
                    });
                    places.insert(key, kinds.len() - 1);
                    kinds.len() - 1
                }
            };
            series.push(Series { resource: place(resource_place(resource)), kind: place(kind) });
        }
        // A series that two pages name must not be counted twice.
        series.sort_unstable();
        series.dedup();
        Self { kinds, series }
    }

    /// The kinds that the dataset does not know by name.
    #[must_use]
    pub fn unknown_kinds(&self, dataset: &Dataset) -> &[SeriesKind] {
        &self.kinds[dataset.metrics_per_resource()..]
    }

    /// The calls: as few as the quota on queries allows.
    pub fn batches(&self) -> Chunks<'_, Series> {
        self.series.chunks(QUERIES_PER_CALL)
    }

    /// The series of one call, by its number.
    #[must_use]
    pub fn batch(&self, nth: usize) -> &[Series] {
        self.batches().nth(nth).unwrap_or_default()
    }
}

fn known_kinds(dataset: &'static Dataset) -> Vec<SeriesKind> {
    let kinds = dataset.metrics.iter().flat_map(|metric| {
        metric.series.iter().map(move |(value, column)| SeriesKind {
            metric,
            value: Cow::Borrowed(value),
            column: column_place(dataset, column),
        })
    });
    kinds.collect()
}

fn column_place(dataset: &Dataset, name: &str) -> u16 {
    let at = dataset.columns.iter().position(|column| column.name == name && column.cell == Cell::Measure);
    place(at.expect("cannot fail: a test of the datasets shows that each series has a column"))
}

fn place<T: TryFrom<usize>>(at: usize) -> T {
    T::try_from(at)
        .ok()
        .expect("cannot fail: AWS allows a million buckets an account, and a dataset some dozen kinds")
}

#[cfg(test)]
mod tests {
    use fleet::datasets::DEFAULT as S3;

    use super::*;

    fn date(text: &str) -> ReportDate {
        text.parse().expect("a date")
    }

    #[test]
    fn the_window_ends_with_the_day_asked_for() {
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

    #[test]
    fn list_metrics_is_trusted_for_thirteen_days_from_the_first_of_the_window() {
        let window = Window::new(date("2026-11-03"), 2);
        assert!(window.is_listed(date("2026-11-14")));
        assert!(!window.is_listed(date("2026-11-15")));
    }

    #[test]
    fn an_old_day_asks_for_every_type_of_every_bucket() {
        let plan = Plan::of_everything(S3, 1000);
        assert_eq!(plan.series.len(), 29_000);
        assert_eq!(plan.batches().count(), 58);
        assert!(plan.batches().all(|batch| batch.len() == 500));
    }

    #[test]
    fn a_recent_day_asks_for_what_is_listed_once_each() {
        let [sizes, objects] = [&S3.metrics[0], &S3.metrics[1]];
        let series = |metric, resource: &str, value: &'static str| ListedSeries {
            metric,
            resource: resource.into(),
            value: value.into(),
        };
        let listed = [
            series(sizes, "b", "StandardStorage"),
            series(sizes, "a", "FutureStorage"),
            series(objects, "a", "AllStorageTypes"),
            series(sizes, "b", "StandardStorage"),
            series(objects, "a", "SomeStorageTypes"),
        ];
        let plan = Plan::of_listed(S3, &listed, |name| usize::from(name == "b"));
        let unknown: Vec<_> = plan.unknown_kinds(S3).iter().map(|kind| &*kind.value).collect();
        assert_eq!(unknown, ["FutureStorage"]);
        let asked: Vec<_> = plan
            .series
            .iter()
            .map(|s| {
                (s.resource, &*plan.kinds[usize::from(s.kind)].value, plan.kinds[usize::from(s.kind)].column)
            })
            .map(|(resource, value, column)| (resource, value, S3.columns[usize::from(column)].name))
            .collect();
        assert_eq!(
            asked,
            [
                (0, "AllStorageTypes", "total_objects"),
                (0, "FutureStorage", "size_other"),
                (1, "StandardStorage", "size_standard"),
            ]
        );
    }
}
