// SPDX-License-Identifier: Apache-2.0
//! Estimates what a run will cost before it is sent, from the cost of the accounts' newest reports.
//!
//! AWS bills by metric. For a recent day, CloudWatch lists the existing series and only those are
//! requested. For an older day, every possible series of every resource is requested, about ten times as
//! many. A report of one kind of day is therefore scaled by its rows for the other kind.

use chrono::{DateTime, Utc};
use fleet::{
    Dataset, Job, ReportDate, datasets::DOLLARS_PER_METRIC, report::ReportMetadata,
    window::parts::parts as parts_of,
};

/// The probable cost of one job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// Metrics requested from `GetMetricData`.
    pub metrics: u64,
    /// In US dollars.
    pub dollars: f64,
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
            // Rounded to the millionth: binary fractions would show in JSON.
            dollars: (self.dollars * times as f64 * 1e6).round() / 1e6,
            calls: self.calls.map(|calls| calls.saturating_mul(times)),
        }
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
        return Price {
            metrics: report.metrics_requested,
            dollars: report.estimated_cost_usd,
            calls: Some(report.api_calls),
        };
    }
    let metrics = report.rows * u64::from(per_resource(dataset, date, now));
    Price { metrics, dollars: cost(metrics), calls: None }
}

/// The range in which a job's price lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Metrics requested from `GetMetricData`: minimum and maximum.
    pub metrics: (u64, u64),
    /// In US dollars: minimum and maximum.
    pub dollars: (f64, f64),
}

impl Range {
    /// The same so many times.
    #[expect(clippy::cast_precision_loss, reason = "no job has 2^53 parts")]
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        let Self { metrics: (fewest, most), dollars: (least, highest) } = self;
        Self {
            metrics: (fewest.saturating_mul(times), most.saturating_mul(times)),
            dollars: (least * times as f64, highest * times as f64),
        }
    }
}

impl From<Price> for Range {
    fn from(price: Price) -> Self {
        Self { metrics: (price.metrics, price.metrics), dollars: (price.dollars, price.dollars) }
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
    Range { metrics, dollars: (cost(metrics.0), cost(metrics.1)) }
}

/// The price of 1,000 resources of a dataset for a day, with the noun for the resources: for accounts
/// without a report.
#[must_use]
pub fn per_thousand(dataset: &Dataset, date: ReportDate, now: DateTime<Utc>) -> (&'static str, f64) {
    (dataset.discovery.noun(), cost(1000 * u64::from(per_resource(dataset, date, now))))
}

fn per_resource(dataset: &Dataset, date: ReportDate, now: DateTime<Utc>) -> u32 {
    let known = dataset.metrics_per_resource();
    if date.is_listed_at(now) { known.typical } else { known.all }
}

#[expect(clippy::cast_precision_loss, reason = "no account has 2^53 metrics")]
/// The price of this many metrics, in US dollars.
#[must_use]
pub fn cost(metrics: u64) -> f64 {
    // Rounded to the millionth: binary fractions would show in JSON.
    (metrics as f64 * DOLLARS_PER_METRIC * 1e6).round() / 1e6
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
        assert_eq!(price, Price { metrics: 5_800, dollars: 0.058, calls: Some(14) });
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
        let price = Price { metrics: 7, dollars: 0.1, calls: None };
        assert_eq!(Range::from(price), Range { metrics: (7, 7), dollars: (0.1, 0.1) });
    }

    #[test]
    fn a_thousand_buckets_cost_cents() {
        let now = at("2026-11-21T00:00:00Z");
        let price = |day: &str| {
            let (noun, dollars) = per_thousand(*datasets::DEFAULT, date(day), now);
            format!("{noun} {dollars:.2}")
        };
        assert_eq!(price("2026-11-20"), "buckets 0.03");
        assert_eq!(price("2026-07-21"), "buckets 0.28");
    }
}
