// SPDX-License-Identifier: Apache-2.0
//! Estimates what a run will cost before it is sent, from the cost of the accounts' newest reports.
//!
//! AWS bills by metric. For a recent day, CloudWatch lists the existing series and only those are
//! requested. For an older day, every possible series of every resource is requested, about ten times as
//! many. A report of one kind of day is therefore scaled by its rows for the other kind.
//!
//! What a metric is has two readings. AWS's price page counts up to five statistics of one metric in a call as one; some
//! users' bills count each. Both are told, since only a bill can decide.

use chrono::{DateTime, Utc};
use fleet::{
    Dataset, Job, ReportDate,
    datasets::{DOLLARS_PER_METRIC, Metric, paid},
    report::ReportMetadata,
    window::parts::parts as parts_of,
};

/// The probable cost of one job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// Metrics requested from `GetMetricData`, up to five statistics of each.
    pub metrics: u64,
    /// In US dollars.
    pub dollars: f64,
    /// In US dollars, if each statistic is paid.
    pub dollars_each: f64,
    /// AWS API calls; `None` if the price is scaled.
    pub calls: Option<u64>,
}

impl Price {
    /// Whether it was scaled from a report of the other kind of day.
    #[must_use]
    pub fn is_scaled(&self) -> bool {
        self.calls.is_none()
    }

    /// The same so many times.
    #[expect(clippy::cast_precision_loss, reason = "no job has 2^53 parts")]
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self {
            metrics: self.metrics.saturating_mul(times),
            dollars: rounded(self.dollars * times as f64),
            dollars_each: rounded(self.dollars_each * times as f64),
            calls: self.calls.map(|calls| calls.saturating_mul(times)),
        }
    }
}

/// What is known, or assumed, of the cost of one job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// `None` without a report of the account.
    pub price: Option<Price>,
    pub range: Range,
    /// How often each metric is paid for.
    pub parts: u64,
}

impl Estimate {
    /// The estimate of a job by the newest report of its account, if there is one; otherwise for so many resources.
    #[must_use]
    pub fn new(
        job: &Job,
        report: Option<&ReportMetadata>,
        resources: Option<u64>,
        now: DateTime<Utc>,
    ) -> Self {
        let date = job.window().date();
        let parts = parts(job, report, resources, now);
        let price = report.map(|report| price_once(report, job.dataset, date, now).times(parts));
        let guess = || guess(job.dataset, date, now, resources).times(parts);
        Self { price, range: price.map_or_else(guess, Range::from), parts }
    }
}

/// How often each metric of a job is paid for: once for each part of its windows that a worker collects together.
/// Without a report, or a number, of as many resources as an account may have.
#[must_use]
pub fn parts(job: &Job, report: Option<&ReportMetadata>, resources: Option<u64>, now: DateTime<Utc>) -> u64 {
    let by_report = report.map(|report| {
        let metrics = report.job_metrics.unwrap_or(report.metrics_requested);
        metrics / u64::from(job.dataset.metrics_per_resource().fewest.max(1))
    });
    let resources = by_report.or(resources).unwrap_or(MOST_RESOURCES);
    let resources = usize::try_from(resources).unwrap_or(usize::MAX);
    parts_of(job.windows.iter(), job.dataset, resources, now).len() as u64
}

/// The price of a job of which each metric is asked for once, by an existing report of its account. If that has its part of
/// several windows, they together cost what one does.
pub fn price_once(report: &ReportMetadata, dataset: &Dataset, date: ReportDate, now: DateTime<Utc>) -> Price {
    let one = price(report, dataset, date, now);
    if one.is_scaled() {
        return one;
    }
    let all = one.times(report.job_windows.map_or(1, u64::from));
    Price { metrics: report.job_metrics.unwrap_or(all.metrics), ..all }
}

/// The price of a report, by an existing report of its account.
#[must_use]
pub fn price(report: &ReportMetadata, dataset: &Dataset, date: ReportDate, now: DateTime<Utc>) -> Price {
    if report.is_listed == date.is_listed_at(now) || !dataset.discovery.asks_for_unlisted() {
        let (metrics, dollars) = (report.metrics_requested, report.estimated_cost_usd);
        let dollars_each = rounded(dollars - cost(metrics) + cost_each(dataset, metrics));
        return Price { metrics, dollars, dollars_each, calls: Some(report.api_calls) };
    }
    let metrics = report.rows * u64::from(per_resource(dataset, date, now));
    Price { metrics, dollars: cost(metrics), dollars_each: cost_each(dataset, metrics), calls: None }
}

/// The range in which a job's price lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Metrics requested from `GetMetricData`: minimum and maximum.
    pub metrics: (u64, u64),
    /// In US dollars: minimum and maximum.
    pub dollars: (f64, f64),
    /// The same if each statistic is paid.
    pub dollars_each: (f64, f64),
}

impl Range {
    /// The same so many times.
    #[expect(clippy::cast_precision_loss, reason = "no job has 2^53 parts")]
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        let Self { metrics: (fewest, most), dollars, dollars_each } = self;
        let of_all = |(least, most): (f64, f64)| (least * times as f64, most * times as f64);
        Self {
            metrics: (fewest.saturating_mul(times), most.saturating_mul(times)),
            dollars: of_all(dollars),
            dollars_each: of_all(dollars_each),
        }
    }
}

impl From<Price> for Range {
    fn from(price: Price) -> Self {
        let Price { metrics, dollars, dollars_each, .. } = price;
        Self {
            metrics: (metrics, metrics),
            dollars: (dollars, dollars),
            dollars_each: (dollars_each, dollars_each),
        }
    }
}

/// The assumed maximum number of resources of an account without a report, unless `--buckets` is given.
const MOST_RESOURCES: u64 = 1000;

/// The price range of a job whose account has no report: for the given number of resources or, without
/// one, for any number up to 1,000.
#[must_use]
pub fn guess(dataset: &Dataset, date: ReportDate, now: DateTime<Utc>, resources: Option<u64>) -> Range {
    let most = u64::from(per_resource(dataset, date, now));
    let fewest = if date.is_listed_at(now) { dataset.metrics_per_resource().fewest.into() } else { most };
    let metrics = match resources {
        Some(resources) => (resources.saturating_mul(fewest), resources.saturating_mul(most)),
        None => (0, MOST_RESOURCES * most),
    };
    Range {
        metrics,
        dollars: (cost(metrics.0), cost(metrics.1)),
        dollars_each: (cost_each(dataset, metrics.0), cost_each(dataset, metrics.1)),
    }
}

/// The price of 1,000 resources of a dataset for a day, by both readings: for accounts without a report.
#[must_use]
pub fn per_thousand(dataset: &Dataset, date: ReportDate, now: DateTime<Utc>) -> (f64, f64) {
    let metrics = 1000 * u64::from(per_resource(dataset, date, now));
    (cost(metrics), cost_each(dataset, metrics))
}

fn per_resource(dataset: &Dataset, date: ReportDate, now: DateTime<Utc>) -> u32 {
    let known = dataset.metrics_per_resource();
    if date.is_listed_at(now) { known.typical } else { known.all }
}

#[expect(clippy::cast_precision_loss, reason = "no account has 2^53 metrics")]
/// The price of this many metrics, in US dollars.
#[must_use]
pub fn cost(metrics: u64) -> f64 {
    rounded(metrics as f64 * DOLLARS_PER_METRIC)
}

/// The price of this many metrics of a dataset if each statistic is paid, in US dollars. It is exact if all its metrics
/// have as many statistics, or if all of them are requested.
#[must_use]
pub fn cost_each(dataset: &Dataset, metrics: u64) -> f64 {
    rounded(cost(metrics) * statistics_per_metric(dataset))
}

/// How many statistics there are for each paid metric of a dataset.
fn statistics_per_metric(dataset: &Dataset) -> f64 {
    let sum = |of: fn(usize) -> usize| {
        let typical = |metric: &Metric| metric.split.as_ref().map_or(1, |split| split.typical);
        let each = dataset.metrics.iter().map(|metric| {
            let number = u32::try_from(of(metric.statistics.len())).unwrap_or(u32::MAX);
            f64::from(number) * f64::from(typical(metric))
        });
        each.sum::<f64>()
    };
    sum(|statistics| statistics) / sum(paid).max(1.0)
}

/// The price of so many custom metrics for a month, in US dollars. Source: <https://aws.amazon.com/cloudwatch/pricing/>
#[expect(clippy::cast_precision_loss, reason = "no one has 2^53 metrics")]
#[must_use]
pub fn custom_metrics(metrics: u64) -> f64 {
    let steps = [(10_000, 0.30), (250_000, 0.10), (1_000_000, 0.05), (u64::MAX, 0.02)];
    let (mut below, mut dollars) = (0, 0.0);
    for (up_to, price) in steps {
        dollars += metrics.min(up_to).saturating_sub(below) as f64 * price;
        below = up_to;
    }
    rounded(dollars)
}

/// Rounded to the millionth: binary fractions would show in JSON.
#[must_use]
pub fn rounded(dollars: f64) -> f64 {
    (dollars * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use fleet::{RunId, datasets};

    use super::*;
    use crate::testing::complete;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a moment")
    }

    fn date(text: &str) -> ReportDate {
        text.parse().expect("a date")
    }

    /// A report of 1 November with 200 rows, 5,800 metrics and 14 calls, made with or without a listing.
    fn report(is_listed: bool) -> ReportMetadata {
        ReportMetadata { is_listed, ..complete("data", &RunId::generate()) }
    }

    #[test]
    fn a_day_of_the_last_eleven_is_priced_by_its_listing_whatever_the_workers_lookback() {
        let now = at("2026-11-21T00:00:00Z");
        let metrics = |day: &str| price(&report(false), *datasets::DEFAULT, date(day), now).metrics;
        assert_eq!((metrics("2026-11-10"), metrics("2026-11-09")), (600, 5_800));
    }

    #[test]
    fn the_same_kind_of_day_costs_what_it_cost() {
        let now = at("2026-12-21T00:00:00Z");
        let price = price(&report(false), *datasets::DEFAULT, date("2026-12-01"), now);
        let expected = Price { metrics: 5_800, dollars: 0.058, dollars_each: 0.058, calls: Some(14) };
        assert_eq!(price, expected, "each of its metrics has one statistic");
    }

    #[test]
    fn the_other_kind_of_day_is_scaled_by_rows() {
        let now = at("2026-12-03T00:00:00Z");
        let recent = price(&report(false), *datasets::DEFAULT, date("2026-12-01"), now);
        assert!(recent.is_scaled());
        assert_eq!(recent.metrics, 600);
        let old = price(&report(true), *datasets::DEFAULT, date("2026-10-01"), now);
        assert_eq!((old.metrics, old.calls), (200 * 28, None));
    }

    #[test]
    fn an_account_without_a_report_has_a_range() {
        let now = at("2026-11-21T00:00:00Z");
        let guess = |day: &str, resources| guess(*datasets::DEFAULT, date(day), now, resources);
        let (recent, old) = (guess("2026-11-20", None), guess("2026-07-21", None));
        assert_eq!((recent.metrics, recent.dollars), ((0, 3_000), (0.0, 0.03)));
        let all = u64::from(datasets::DEFAULT.metrics_per_resource().all);
        assert_eq!(old.metrics, (0, 1_000 * all));
        assert_eq!(guess("2026-11-20", Some(50)).metrics, (100, 150));
        assert_eq!(guess("2026-07-21", Some(50)).metrics, (50 * all, 50 * all));
        let price = Price { metrics: 7, dollars: 0.1, dollars_each: 0.2, calls: None };
        let expected = Range { metrics: (7, 7), dollars: (0.1, 0.1), dollars_each: (0.2, 0.2) };
        assert_eq!(Range::from(price), expected);
    }

    #[test]
    fn a_thousand_buckets_cost_cents() {
        let now = at("2026-11-21T00:00:00Z");
        let price = |day: &str| {
            let (dollars, each) = per_thousand(*datasets::DEFAULT, date(day), now);
            format!("{dollars:.2} {each:.2}")
        };
        assert_eq!(price("2026-11-20"), "0.03 0.03");
        assert_eq!(price("2026-07-21"), "0.28 0.28");
    }

    #[test]
    fn custom_metrics_are_cheaper_the_more_there_are() {
        let prices = [0, 400, 10_000, 10_001, 250_000, 1_000_000, 1_000_100]
            .map(|metrics| format!("{:.2}", custom_metrics(metrics)));
        assert_eq!(prices, ["0.00", "120.00", "3000.00", "3000.10", "27000.00", "64500.00", "64502.00"]);
    }

    #[test]
    fn statistics_are_paid_by_five_or_each() {
        let sqs = Dataset::find("sqs").expect("a dataset");
        let statistics: usize = sqs.metrics.iter().map(|metric| metric.statistics.len()).sum();
        let metrics = u64::from(sqs.metrics_per_resource().typical);
        assert!(statistics as u64 > metrics, "else this shows nothing");
        let alike = |one: f64, other: f64| assert!((one - other).abs() < 1e-9, "{one} {other}");
        alike(cost_each(sqs, 1000 * metrics), cost(1000 * statistics as u64));

        // The calls that list metrics are paid once by either reading.
        let now = at("2026-11-21T00:00:00Z");
        let listing = 0.000_01;
        let estimated_cost_usd = cost(metrics) + listing;
        let known = ReportMetadata { metrics_requested: metrics, estimated_cost_usd, ..report(true) };
        let price = price(&known, sqs, date("2026-11-20"), now);
        alike(price.dollars_each, cost(statistics as u64) + listing);
        let guess = guess(sqs, date("2026-11-20"), now, Some(1000));
        alike(guess.dollars_each.1, cost(1000 * statistics as u64));
    }
}
