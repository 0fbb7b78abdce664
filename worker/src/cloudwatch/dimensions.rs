//! The dimensions of a series: those whose values name its resource, and the one that its metric is split by.

use std::iter;

use aws_sdk_cloudwatch::types::Dimension;
use fleet::{Dataset, datasets::Metric};

/// Between the values of a resource that has several dimensions. CloudWatch takes no control character in a value, and
/// it comes before all that it takes, so that resources are sorted by their first dimension, then by the next.
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html>
const BETWEEN: char = '\u{1f}';

/// The names of a series' dimensions.
pub(super) fn names<'a>(dataset: &'a Dataset, metric: &'a Metric) -> impl Iterator<Item = &'a str> {
    dataset.resource.iter().map(String::as_str).chain(iter::once(&*metric.split.dimension))
}

/// The dimensions of the series of a resource, each with its value.
pub(super) fn of_series(dataset: &Dataset, metric: &Metric, resource: &str, value: &str) -> Vec<Dimension> {
    let values = values(resource).chain([value]);
    let dimension = |(name, value)| Dimension::builder().name(name).value(value).build();
    names(dataset, metric).zip(values).map(dimension).collect()
}

/// The values that a resource's name has, one of each dimension.
pub fn values(resource: &str) -> impl Iterator<Item = &str> {
    resource.split(BETWEEN)
}

/// The resource, and the value of the split, of a series with exactly the dimensions of a metric's; else the names that
/// it has, sorted. Such a series is another one: its values are counted in these already.
pub(super) fn exactly(
    dataset: &Dataset,
    metric: &Metric,
    mut found: Vec<Dimension>,
) -> Result<(String, String), Vec<String>> {
    let mut take = |name: &str| {
        let mut found = found.iter_mut().filter(|it| it.name.as_deref() == Some(name));
        found.next().and_then(|dimension| dimension.value.take())
    };
    let mut resource: Option<String> = None;
    let mut is_whole = true;
    for name in &dataset.resource {
        match (take(name), &mut resource) {
            (None, _) => is_whole = false,
            (Some(value), None) => resource = Some(value),
            (Some(value), Some(resource)) => {
                resource.push(BETWEEN);
                resource.push_str(&value);
            }
        }
    }
    let value = take(&metric.split.dimension);
    match (resource, value) {
        (Some(resource), Some(value)) if is_whole && found.len() == names(dataset, metric).count() => {
            Ok((resource, value))
        }
        _ => {
            let mut names: Vec<String> =
                found.into_iter().map(|dimension| dimension.name.unwrap_or_default()).collect();
            names.sort_unstable();
            Err(names)
        }
    }
}
