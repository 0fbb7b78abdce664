// SPDX-License-Identifier: Apache-2.0
//! Series of any namespace by seed: resources by the million, each with the same metrics and a datapoint in every period up
//! to now. A resource's name has its number in it, and every value is a pure function of seed, account, metric, number and
//! period, computed when it is asked for: none of it is held in memory.

use std::ops::Range;
use std::sync::PoisonError;

use crate::account::Account;
use crate::cloudwatch::{DAY, MetricRef, Statistics};
use crate::lambda::Function;
use crate::synthetic::{REGIONS, mix, text_hash};
use crate::world::Clock;

/// How many resources share the values of all dimensions but the last.
const SIBLINGS: usize = 20;

/// What the series are made of. The same plan makes the same series at any time.
#[derive(Debug, Clone)]
pub struct SyntheticSeries {
    /// The dimensions that name a resource; of none, there is one resource in each region.
    pub dimensions: Vec<String>,
    pub metrics: Vec<SyntheticMetric>,
    /// How many resources there are in the account.
    pub resources: usize,
    /// How many regions they are spread over, at most 12.
    pub regions: usize,
    /// Seconds from one datapoint to the next.
    pub period: u32,
    /// How many days of history there are.
    pub days: u32,
    /// Decides every value.
    pub seed: u64,
}

/// A metric that every resource has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyntheticMetric {
    pub namespace: String,
    pub name: String,
    pub unit: String,
    /// A dimension that this series has besides those of its resource, with its value.
    pub split: Option<(String, String)>,
    /// What this series calls the dimensions of its resource, if not as the plan does.
    pub dimensions: Option<Vec<String>>,
}

impl Account {
    /// Adds series to the account, in the regions that [`SyntheticSeries::resources`] says.
    pub fn synthetic_series(&self, plan: &SyntheticSeries) {
        let regions = plan.regions().len();
        for (nth, region) in plan.regions().iter().enumerate() {
            let family = Family {
                plan: plan.clone(),
                seed: mix(plan.seed ^ text_hash(self.id())),
                nth,
                regions,
                clock: self.world().clock.clone(),
            };
            let metrics = self.world().cloudwatch.region(self.id(), region);
            metrics.write().unwrap_or_else(PoisonError::into_inner).families.push(family);
        }
        if plan.dimensions == ["FunctionName"] {
            for (number, (region, values)) in plan.resources().enumerate() {
                let names = values.iter();
                names.for_each(|name| self.create_function(region, Function::synthetic(name, number)));
            }
        }
    }
}

impl SyntheticSeries {
    pub fn regions(&self) -> &'static [&'static str] {
        &REGIONS[..self.regions.clamp(1, REGIONS.len())]
    }

    /// Each resource: its region, and the values of its dimensions.
    pub fn resources(&self) -> impl Iterator<Item = (&'static str, Vec<String>)> + '_ {
        let regions = self.regions();
        let count = if self.dimensions.is_empty() { regions.len() } else { self.resources };
        (0..count).map(|number| (regions[number % regions.len()], self.values(number)))
    }

    /// The dimensions that name the resource of a metric.
    fn dimensions_of<'a>(&'a self, metric: &'a SyntheticMetric) -> &'a [String] {
        metric.dimensions.as_ref().unwrap_or(&self.dimensions)
    }

    /// The values of the dimensions of a resource.
    fn values(&self, number: usize) -> Vec<String> {
        (0..self.dimensions.len()).map(|nth| self.value(nth, number)).collect()
    }

    fn value(&self, nth: usize, number: usize) -> String {
        let stem = self.dimensions[nth].to_ascii_lowercase();
        if nth + 1 == self.dimensions.len() {
            format!("{stem}-{number:07}")
        } else {
            format!("{stem}-{:05}", number / SIBLINGS)
        }
    }
}

/// The series of a plan in one region of an account.
#[derive(Debug)]
pub(crate) struct Family {
    plan: SyntheticSeries,
    /// The plan's, mixed with the account.
    seed: u64,
    /// The region's place among so many.
    nth: usize,
    regions: usize,
    clock: Clock,
}

/// A place in the listing of a family: a metric, and how many of the region's resources stand before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FamilyCursor {
    pub(crate) metric: usize,
    pub(crate) resource: usize,
}

/// One series: its metric, and what its values follow from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FamilySeries<'a> {
    family: &'a Family,
    metric: usize,
    hash: u64,
}

impl Family {
    /// How many resources the region has.
    fn count(&self) -> usize {
        if self.plan.dimensions.is_empty() {
            return 1;
        }
        (self.plan.resources + self.regions - 1 - self.nth) / self.regions
    }

    pub(crate) fn metrics(&self) -> &[SyntheticMetric] {
        &self.plan.metrics
    }

    pub(crate) fn has(&self, namespace: &str) -> bool {
        self.plan.resources > 0 && self.plan.metrics.iter().any(|metric| metric.namespace == namespace)
    }

    /// The dimensions of a series, by its metric and the place of its resource.
    pub(crate) fn dimensions(&self, place: FamilyCursor) -> Vec<(&str, String)> {
        let values = self.plan.values(place.resource * self.regions + self.nth);
        let metric = &self.plan.metrics[place.metric];
        let own = self.plan.dimensions_of(metric).iter().map(String::as_str).zip(values);
        let split = metric.split.as_ref();
        own.chain(split.map(|(name, value)| (name.as_str(), value.clone()))).collect()
    }

    /// Every series from a place on whose metric is wanted, as places.
    pub(crate) fn places(
        &self,
        from: FamilyCursor,
        wants: impl Fn(&SyntheticMetric) -> bool,
    ) -> impl Iterator<Item = FamilyCursor> {
        let wanted = self.plan.metrics.iter().enumerate().skip(from.metric).filter(move |(_, it)| wants(it));
        wanted.flat_map(move |(metric, _)| {
            let first = if metric == from.metric { from.resource } else { 0 };
            (first..self.count()).map(move |resource| FamilyCursor { metric, resource })
        })
    }

    /// When the newest datapoint of every series is.
    pub(crate) fn newest(&self) -> i64 {
        self.end() - i64::from(self.plan.period)
    }

    /// The series of exactly these dimensions, in any order.
    pub(crate) fn series(&self, wanted: &MetricRef<'_>) -> Option<FamilySeries<'_>> {
        let is_it = |metric: &SyntheticMetric| {
            let split = metric.split.as_ref();
            metric.name == wanted.name
                && metric.namespace == wanted.namespace
                && wanted.dimensions.len() == self.plan.dimensions.len() + usize::from(split.is_some())
                && split.is_none_or(|(name, value)| wanted.dimension(name) == Some(value))
        };
        let metric = self.plan.metrics.iter().position(is_it)?;
        let dimensions = self.plan.dimensions_of(&self.plan.metrics[metric]);
        let number = match dimensions.last() {
            None => self.nth,
            Some(last) => {
                let number = wanted.dimension(last)?.rsplit_once('-')?.1.parse().ok()?;
                let mut all = dimensions.iter().enumerate();
                let is_own = number < self.plan.resources && number % self.regions == self.nth;
                let is_resource = is_own
                    && all.all(|(nth, name)| wanted.dimension(name) == Some(&self.plan.value(nth, number)));
                is_resource.then_some(number)?
            }
        };
        let hash = mix(self.seed ^ mix(metric as u64) ^ mix(mix(number as u64)));
        Some(FamilySeries { family: self, metric, hash })
    }

    /// When the period that is under way began.
    fn end(&self) -> i64 {
        let now = self.clock.now().timestamp();
        now - now.rem_euclid(i64::from(self.plan.period))
    }
}

impl<'a> FamilySeries<'a> {
    pub(crate) fn unit(self) -> &'a str {
        &self.family.plan.metrics[self.metric].unit
    }

    /// The datapoints within a range of seconds, oldest first.
    pub(crate) fn points(self, range: Range<i64>) -> impl Iterator<Item = (i64, Statistics)> + use<'a> {
        let (period, end) = (i64::from(self.family.plan.period), self.family.end());
        let first = range.start.max(end - i64::from(self.family.plan.days) * DAY);
        let places =
            (first + period - 1).div_euclid(period)..(range.end.min(end) + period - 1).div_euclid(period);
        places.map(move |nth| (nth * period, self.statistics(nth)))
    }

    /// Eighths around a value of the series' own. Of every other period there is one sample, so that its percentiles are
    /// known; of the others there are four, so that its statistics differ.
    fn statistics(self, nth: i64) -> Statistics {
        let eighths = |hash: u64| f64::from(u32::try_from(hash % (1 << 20)).unwrap_or(0)) / 8.0;
        let (own, here) = (eighths(self.hash), mix(self.hash ^ nth.unsigned_abs()));
        let value = own + eighths(here) / 16.0;
        if nth % 2 == 0 {
            return Statistics::of(value);
        }
        let spread = value / 4.0;
        Statistics { sum: value * 4.0, minimum: value - spread, maximum: value + spread, count: 4.0 }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::cloudwatch::Statistic;

    fn family(nth: usize) -> Family {
        let metric = |name: &str, split: Option<&str>| SyntheticMetric {
            namespace: "N".to_owned(),
            name: name.to_owned(),
            unit: "Count".to_owned(),
            split: split.map(|value| ("Kind".to_owned(), value.to_owned())),
            dimensions: None,
        };
        let plan = SyntheticSeries {
            dimensions: vec!["Cluster".to_owned(), "Service".to_owned()],
            metrics: vec![metric("A", None), metric("B", Some("x")), metric("B", Some("y"))],
            resources: 45,
            regions: 2,
            period: 60,
            days: 1,
            seed: 1,
        };
        Family { plan, seed: 7, nth, regions: 2, clock: Clock::default() }
    }

    fn found<'a>(family: &'a Family, metric: &str, dimensions: &[(&str, &str)]) -> Option<FamilySeries<'a>> {
        let dimensions: Vec<_> =
            dimensions.iter().map(|(name, value)| (Cow::Borrowed(*name), Cow::Borrowed(*value))).collect();
        family.series(&MetricRef { namespace: "N", name: metric, dimensions: &dimensions })
    }

    #[test]
    fn what_is_listed_is_found_and_nothing_else() {
        for nth in [0, 1] {
            let family = family(nth);
            let places: Vec<_> = family.places(FamilyCursor::default(), |_| true).collect();
            assert_eq!(places.len(), 3 * if nth == 0 { 23 } else { 22 });
            for place in &places {
                let dimensions = family.dimensions(*place);
                let mut named: Vec<_> =
                    dimensions.iter().map(|(name, value)| (*name, value.as_str())).collect();
                named.reverse();
                let metric = &family.metrics()[place.metric].name;
                assert!(found(&family, metric, &named).is_some(), "{named:?}");
                assert!(
                    found(&family, "C", &named).is_none() && found(&family, metric, &named[1..]).is_none()
                );
            }
            let rest = family.places(places[30], |_| true);
            assert!(rest.eq(places[30..].iter().copied()), "a listing can begin anywhere");
        }
        let of_other_region = [("Cluster", "cluster-00000"), ("Service", "service-0000001")];
        assert!(found(&family(0), "A", &of_other_region).is_none());
        let of_other_cluster = [("Cluster", "cluster-00001"), ("Service", "service-0000000")];
        assert!(found(&family(0), "A", &of_other_cluster).is_none());
        let beyond = [("Cluster", "cluster-00002"), ("Service", "service-0000046")];
        assert!(found(&family(0), "A", &beyond).is_none());
    }

    #[test]
    fn there_is_a_datapoint_each_period_up_to_now_and_it_is_the_same_each_time() {
        let family = family(0);
        let own = [("Cluster", "cluster-00000"), ("Service", "service-0000002")];
        let series = found(&family, "A", &own).expect("it is there");
        let end = family.end();
        let all = |range: Range<i64>| series.points(range).collect::<Vec<_>>();
        let hour = all(end - 3600..end);
        assert_eq!((hour.len(), hour[0].0, hour[59].0), (60, end - 3600, end - 60));
        assert_eq!(hour, all(end - 3600..end + 7200), "nothing is known of the future");
        assert_eq!(all(end - 2 * DAY..end).len(), 1440, "a day of history");
        let other = found(&family, "B", &[&own[..], &[("Kind", "y")]].concat()).expect("it is there");
        assert_ne!(other.points(end - 3600..end).collect::<Vec<_>>(), hour);
        let several = hour.iter().find(|(_, set)| set.count > 1.0).expect("every other one");
        let of = |statistic| several.1.get(statistic);
        assert!(
            of(Statistic::Minimum) < of(Statistic::Average)
                && of(Statistic::Average) < of(Statistic::Maximum)
        );
    }
}
