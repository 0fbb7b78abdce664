// SPDX-License-Identifier: Apache-2.0
//! Where metrics live: by account and region, found by a hash of namespace, name and dimensions. The values of a
//! synthetic world are not stored but computed when they are asked for.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use super::window::Statistics;
use crate::synthetic::SyntheticRegion;
use crate::synthetic_series::Family;

pub(crate) const S3_NAMESPACE: &str = "AWS/S3";

/// A metric as a request names it; dimensions in any order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MetricRef<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) dimensions: &'a [(Cow<'a, str>, Cow<'a, str>)],
}

impl MetricRef<'_> {
    pub(crate) fn dimension(&self, name: &str) -> Option<&str> {
        self.dimensions.iter().find(|(is, _)| is == name).map(|(_, value)| value.as_ref())
    }

    /// The pair that S3's storage metrics are found by, where this is one.
    fn s3(&self) -> Option<(&str, &str)> {
        if self.namespace != S3_NAMESPACE || self.dimensions.len() != 2 {
            return None;
        }
        Some((self.dimension("BucketName")?, self.dimension("StorageType")?))
    }

    /// Writes the key that the metric is stored by; dimensions are sorted, since their order means nothing.
    pub(crate) fn write_key(&self, key: &mut String) {
        key.clear();
        key.push_str(self.namespace);
        key.push('\0');
        key.push_str(self.name);
        let mut push = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| {
            key.push('\0');
            key.push_str(name);
            key.push('\0');
            key.push_str(value);
        };
        if self.dimensions.is_sorted() {
            self.dimensions.iter().for_each(push);
        } else {
            let mut sorted: Vec<_> = self.dimensions.iter().collect();
            sorted.sort();
            sorted.into_iter().for_each(&mut push);
        }
    }
}

#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) dimensions: Vec<(String, String)>,
    pub(crate) unit: Option<String>,
    points: BTreeMap<i64, Statistics>,
}

impl Series {
    pub(crate) fn newest(&self) -> Option<i64> {
        self.points.last_key_value().map(|(at, _)| *at)
    }
}

/// The metrics of one account in one region.
#[derive(Debug, Default)]
pub(crate) struct RegionMetrics {
    index: HashMap<Box<str>, usize>,
    /// Only ever appended to, so that a place in it can be a paging token.
    pub(crate) series: Vec<Series>,
    pub(crate) synthetic: Option<Arc<SyntheticRegion>>,
    /// Like the series, only ever appended to.
    pub(crate) families: Vec<Family>,
}

impl RegionMetrics {
    /// Adds a datapoint; another one of the same time is merged into it, as CloudWatch does.
    pub(crate) fn put(
        &mut self,
        metric: &MetricRef<'_>,
        unit: Option<&str>,
        at: i64,
        statistics: &Statistics,
    ) {
        let mut key = String::new();
        metric.write_key(&mut key);
        let place = *self.index.entry(key.into_boxed_str()).or_insert_with(|| {
            let owned = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| (name.to_string(), value.to_string());
            self.series.push(Series {
                namespace: metric.namespace.to_owned(),
                name: metric.name.to_owned(),
                dimensions: metric.dimensions.iter().map(owned).collect(),
                unit: unit.map(str::to_owned),
                points: BTreeMap::new(),
            });
            self.series.len() - 1
        });
        let points = &mut self.series[place].points;
        points.entry(at).and_modify(|there| there.merge(statistics)).or_insert(*statistics);
    }

    /// Sets a datapoint, whatever was there: for worlds that are built, not measured.
    pub(crate) fn set(&mut self, metric: &MetricRef<'_>, unit: Option<&str>, at: i64, value: f64) {
        self.set_all(metric, unit, at, &Statistics::of(value));
    }

    /// Sets a datapoint of several values.
    pub(crate) fn set_all(
        &mut self,
        metric: &MetricRef<'_>,
        unit: Option<&str>,
        at: i64,
        statistics: &Statistics,
    ) {
        let mut key = String::new();
        metric.write_key(&mut key);
        if let Some(place) = self.index.get(key.as_str()) {
            self.series[*place].points.remove(&at);
        }
        self.put(metric, unit, at, statistics);
    }

    /// The datapoints of exactly this metric within `range`, oldest first, and their unit.
    pub(crate) fn points(
        &self,
        metric: &MetricRef<'_>,
        unit: Option<&str>,
        range: Range<i64>,
        key: &mut String,
    ) -> (Vec<(i64, Statistics)>, Option<&str>) {
        metric.write_key(key);
        if let Some(place) = self.index.get(key.as_str()) {
            let series = &self.series[*place];
            if unit.is_some_and(|unit| series.unit.as_deref() != Some(unit)) {
                return (Vec::new(), None);
            }
            let points = series.points.range(range).map(|(at, statistics)| (*at, *statistics)).collect();
            return (points, series.unit.as_deref());
        }
        if let Some(series) = self.families.iter().find_map(|family| family.series(metric)) {
            if unit.is_some_and(|unit| unit != series.unit()) {
                return (Vec::new(), None);
            }
            return (series.points(range).collect(), Some(series.unit()));
        }
        let Some((bucket, storage_type)) = metric.s3() else {
            return (Vec::new(), None);
        };
        let Some(synthetic) = &self.synthetic else {
            return (Vec::new(), None);
        };
        let Some(series) = synthetic.series(bucket, metric.name, storage_type) else {
            return (Vec::new(), None);
        };
        if unit.is_some_and(|unit| unit != series.unit()) {
            return (Vec::new(), None);
        }
        (series.points(range).map(|(at, value)| (at, Statistics::of(value))).collect(), Some(series.unit()))
    }
}

/// The metrics of one account in one region, shared by the calls there.
pub(crate) type SharedRegion = Arc<RwLock<RegionMetrics>>;

#[derive(Default)]
pub(crate) struct CloudWatch {
    regions: RwLock<HashMap<(String, String), SharedRegion>>,
}

impl CloudWatch {
    /// The metrics of an account in a region, made on first use.
    pub(crate) fn region(&self, account: &str, region: &str) -> SharedRegion {
        let key = (account.to_owned(), region.to_owned());
        if let Some(metrics) = self.regions.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return metrics.clone();
        }
        self.regions.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone()
    }

    /// Whether an account has a series of a namespace in any region.
    pub(crate) fn has(&self, account: &str, namespace: &str) -> bool {
        let regions = self.regions.read().unwrap_or_else(PoisonError::into_inner);
        let has = |region: &SharedRegion| {
            let region = region.read().unwrap_or_else(PoisonError::into_inner);
            region.series.iter().any(|series| series.namespace == namespace)
                || region.families.iter().any(|family| family.has(namespace))
                || region.synthetic.is_some() && namespace == S3_NAMESPACE
        };
        regions.iter().any(|((of, _), region)| of == account && has(region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimensions<'a>(pairs: &[(&'a str, &'a str)]) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
        pairs.iter().map(|(name, value)| (Cow::Borrowed(*name), Cow::Borrowed(*value))).collect()
    }

    fn values(metrics: &RegionMetrics, pairs: &[(&str, &str)]) -> Vec<f64> {
        let dimensions = dimensions(pairs);
        let metric = MetricRef { namespace: "N", name: "M", dimensions: &dimensions };
        let (points, _) = metrics.points(&metric, None, 0..100, &mut String::new());
        points.into_iter().map(|(_, statistics)| statistics.sum).collect()
    }

    #[test]
    fn a_metric_is_found_by_exactly_its_dimensions_in_any_order() {
        let mut metrics = RegionMetrics::default();
        let pair = dimensions(&[("b", "2"), ("a", "1")]);
        let metric = MetricRef { namespace: "N", name: "M", dimensions: &pair };
        metrics.put(&metric, None, 10, &Statistics::of(4.0));
        metrics.put(&metric, None, 10, &Statistics::of(6.0));
        assert_eq!(values(&metrics, &[("a", "1"), ("b", "2")]), [10.0]);
        assert_eq!(values(&metrics, &[("b", "2"), ("a", "1")]), [10.0]);
        assert!(values(&metrics, &[("a", "1")]).is_empty());
        assert!(values(&metrics, &[("a", "1"), ("b", "2"), ("c", "3")]).is_empty());
        metrics.set(&metric, None, 10, 7.0);
        assert_eq!(values(&metrics, &[("a", "1"), ("b", "2")]), [7.0]);
        assert_eq!(metrics.series.len(), 1);
    }
}
