// SPDX-License-Identifier: Apache-2.0
//! `ListMetrics`: 500 a page, without what was silent for two weeks.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html>

use std::borrow::Cow;
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use super::get_metric_data::drops_token;
use super::input::{Dimension, invalid_token, invalid_value};
use super::store::{RegionMetrics, S3_NAMESPACE, Series};
use super::window::DAY;
use super::wire::{decode, encode};
use crate::gateway::Call;
use crate::reply::{Reply, ServiceError};
use crate::synthetic::{SeriesCursor, SyntheticRegion};
use crate::synthetic_series::{Family, FamilyCursor};
use crate::world::World;

const PAGE: usize = 500;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default)]
    dimensions: Vec<DimensionFilter>,
    recently_active: Option<String>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DimensionFilter {
    name: String,
    value: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Output<'a> {
    metrics: Vec<Metric<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_field_names, reason = "AWS's name")]
struct Metric<'a> {
    namespace: &'a str,
    metric_name: &'a str,
    dimensions: Vec<Dimension<'a>>,
}

/// Where a page begins: among the stored series, which come first, the synthetic ones of S3, or a family of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListCursor {
    Stored(usize),
    Synthetic(SeriesCursor),
    Family(usize, FamilyCursor),
}

impl ListCursor {
    fn parse(token: &str) -> Option<Self> {
        if let Some(series) = token.strip_prefix("lm-") {
            return series.parse().ok().map(Self::Stored);
        }
        if let Some(place) = token.strip_prefix("lmf-") {
            let mut numbers = place.split('-').map(|number| number.parse().ok());
            let mut next = || numbers.next()?;
            return Some(Self::Family(next()?, FamilyCursor { metric: next()?, resource: next()? }));
        }
        let (bucket, series) = token.strip_prefix("lms-")?.split_once('-')?;
        Some(Self::Synthetic(SeriesCursor { bucket: bucket.parse().ok()?, series: series.parse().ok()? }))
    }

    fn token(self) -> String {
        match self {
            Self::Stored(series) => format!("lm-{series}"),
            Self::Synthetic(place) => format!("lms-{}-{}", place.bucket, place.series),
            Self::Family(family, place) => format!("lmf-{family}-{}-{}", place.metric, place.resource),
        }
    }
}

struct Filter {
    input: Input,
    /// Series whose newest datapoint is older are not named.
    since: i64,
}

impl Filter {
    fn takes_metric(&self, namespace: &str, name: &str) -> bool {
        self.input.namespace.as_deref().is_none_or(|wanted| wanted == namespace)
            && self.input.metric_name.as_deref().is_none_or(|wanted| wanted == name)
    }

    fn takes(&self, namespace: &str, name: &str, dimensions: &[(&str, &str)], newest: i64) -> bool {
        newest >= self.since
            && self.takes_metric(namespace, name)
            && self.input.dimensions.iter().all(|filter| {
                dimensions.iter().any(|(name, value)| {
                    *name == filter.name && filter.value.as_deref().is_none_or(|wanted| wanted == *value)
                })
            })
    }

    fn takes_stored(&self, series: &Series) -> bool {
        let dimensions: Vec<_> =
            series.dimensions.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        series.newest().is_some_and(|newest| self.takes(&series.namespace, &series.name, &dimensions, newest))
    }
}

pub(crate) fn serve(world: &World, call: &mut Call, body: &[u8]) -> Result<Reply, ServiceError> {
    let input: Input = decode(call.protocol, body)?;
    let now = world.now().timestamp();
    let since = match input.recently_active.as_deref() {
        None => now - 14 * DAY,
        Some("PT3H") => now - 3 * 3600,
        Some(_) => return Err(invalid_value("RecentlyActive must be PT3H.")),
    };
    let from = match input.next_token.as_deref() {
        None => ListCursor::Stored(0),
        Some(token) => ListCursor::parse(token).ok_or_else(invalid_token)?,
    };
    let filter = Filter { input, since };
    let metrics = world.cloudwatch.region(call.account(), &call.region);
    let metrics = metrics.read().unwrap_or_else(PoisonError::into_inner);
    let (page, next) = page(&metrics, &filter, from);
    call.items = page.len();
    if let (true, Some(namespace)) = (page.is_empty(), filter.input.namespace.as_deref()) {
        let has = || world.cloudwatch.has(call.account(), namespace);
        world.unknown_namespaces.add(call.account(), namespace, has);
    }
    let next_token =
        next.map(ListCursor::token).filter(|_| !drops_token(&world.faults.content(&call.target())));
    Ok(encode(call.protocol, &Output { metrics: page, next_token }))
}

fn page<'a>(
    metrics: &'a RegionMetrics,
    filter: &Filter,
    from: ListCursor,
) -> (Vec<Metric<'a>>, Option<ListCursor>) {
    let mut page = Vec::new();
    let (mut from_synthetic, mut from_family) = (Some(SeriesCursor::default()), (0, FamilyCursor::default()));
    match from {
        ListCursor::Stored(first) => {
            for (place, series) in metrics.series.iter().enumerate().skip(first) {
                if filter.takes_stored(series) {
                    if page.len() == PAGE {
                        return (page, Some(ListCursor::Stored(place)));
                    }
                    page.push(stored(series));
                }
            }
        }
        ListCursor::Synthetic(place) => from_synthetic = Some(place),
        ListCursor::Family(family, place) => (from_synthetic, from_family) = (None, (family, place)),
    }
    if let (Some(synthetic), Some(from)) = (&metrics.synthetic, from_synthetic)
        && let Some(next) = add_synthetic(&mut page, synthetic, filter, from)
    {
        return (page, Some(ListCursor::Synthetic(next)));
    }
    for (nth, family) in metrics.families.iter().enumerate().skip(from_family.0) {
        let from = if nth == from_family.0 { from_family.1 } else { FamilyCursor::default() };
        if let Some(next) = add_family(&mut page, family, filter, from) {
            return (page, Some(ListCursor::Family(nth, next)));
        }
    }
    (page, None)
}

fn stored(series: &Series) -> Metric<'_> {
    let dimension = |(name, value): &'_ (String, String)| Dimension {
        name: name.clone().into(),
        value: value.clone().into(),
    };
    Metric {
        namespace: &series.namespace,
        metric_name: &series.name,
        dimensions: series.dimensions.iter().map(dimension).collect(),
    }
}

fn add_synthetic<'a>(
    page: &mut Vec<Metric<'a>>,
    region: &'a SyntheticRegion,
    filter: &Filter,
    from: SeriesCursor,
) -> Option<SeriesCursor> {
    for (place, series) in region.all_series(from) {
        let dimensions = [("BucketName", series.bucket()), ("StorageType", series.storage_type())];
        let newest = series.newest();
        if !newest.is_some_and(|newest| filter.takes(S3_NAMESPACE, series.metric(), &dimensions, newest)) {
            continue;
        }
        if page.len() == PAGE {
            return Some(place);
        }
        let dimension = |(name, value): (&'a str, &'a str)| Dimension {
            name: Cow::Borrowed(name),
            value: Cow::Borrowed(value),
        };
        page.push(Metric {
            namespace: S3_NAMESPACE,
            metric_name: series.metric(),
            dimensions: dimensions.into_iter().map(dimension).collect(),
        });
    }
    None
}

fn add_family<'a>(
    page: &mut Vec<Metric<'a>>,
    family: &'a Family,
    filter: &Filter,
    from: FamilyCursor,
) -> Option<FamilyCursor> {
    let newest = family.newest();
    for place in family.places(from, |metric| filter.takes_metric(&metric.namespace, &metric.name)) {
        let (metric, dimensions) = (&family.metrics()[place.metric], family.dimensions(place));
        let named: Vec<_> = dimensions.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if !filter.takes(&metric.namespace, &metric.name, &named, newest) {
            continue;
        }
        if page.len() == PAGE {
            return Some(place);
        }
        let dimension =
            |(name, value): (&'a str, String)| Dimension { name: name.into(), value: value.into() };
        page.push(Metric {
            namespace: &metric.namespace,
            metric_name: &metric.name,
            dimensions: dimensions.into_iter().map(dimension).collect(),
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::store::MetricRef;
    use super::*;

    fn filter(since: i64, namespace: Option<&str>) -> Filter {
        let input = Input {
            namespace: namespace.map(str::to_owned),
            metric_name: None,
            dimensions: vec![DimensionFilter { name: "Number".to_owned(), value: None }],
            recently_active: None,
            next_token: None,
        };
        Filter { input, since }
    }

    #[test]
    fn pages_hold_500_and_lose_none() {
        let mut metrics = RegionMetrics::default();
        for number in 0..1200 {
            let number = number.to_string();
            let dimensions = [(Cow::Borrowed("Number"), Cow::Borrowed(number.as_str()))];
            let metric = MetricRef { namespace: "N", name: "M", dimensions: &dimensions };
            metrics.set(&metric, None, 100, 1.0);
        }
        let (mut place, mut sizes) = (Some(ListCursor::Stored(0)), Vec::new());
        while let Some(from) = place {
            let (found, next) = page(&metrics, &filter(100, Some("N")), from);
            sizes.push(found.len());
            assert_eq!(next.and_then(|next| ListCursor::parse(&next.token())), next);
            place = next;
        }
        assert_eq!(sizes, [500, 500, 200]);
        assert!(
            page(&metrics, &filter(101, Some("N")), ListCursor::Stored(0)).0.is_empty(),
            "silent too long"
        );
        assert!(page(&metrics, &filter(100, Some("X")), ListCursor::Stored(0)).0.is_empty());
    }
}
