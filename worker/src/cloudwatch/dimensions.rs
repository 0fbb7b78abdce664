// SPDX-License-Identifier: Apache-2.0
//! The dimensions of a series: those that identify its resource, and the one by which its metric is split.

use aws_sdk_cloudwatch::types::Dimension;
use fleet::{Dataset, datasets::Metric};

/// Separates the values of a resource that has several dimensions. A value can't contain control characters. They sort
/// before all other characters, so resources are sorted by their first dimension, then by the next.
///
/// Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html>
const BETWEEN: &str = "\u{1f}";

pub(super) fn names<'a>(dataset: &'a Dataset, metric: &'a Metric) -> impl Iterator<Item = &'a str> {
    let split = metric.split.as_ref().map(|split| &*split.dimension);
    dataset.resource_of(metric).iter().map(String::as_str).chain(split)
}

/// The dimensions of a series, with their values.
pub(super) fn of_series(dataset: &Dataset, metric: &Metric, resource: &str, value: &str) -> Vec<Dimension> {
    let values = values(resource).chain([value]);
    let dimension = |(name, value)| Dimension::builder().name(name).value(value).build();
    names(dataset, metric).zip(values).map(dimension).collect()
}

/// The name of the resource with these dimension values.
#[must_use]
pub fn joined<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    values.into_iter().collect::<Vec<_>>().join(BETWEEN)
}

/// The dimension values in a resource's name, none of which is empty.
pub fn values(resource: &str) -> impl Iterator<Item = &str> {
    resource.split(BETWEEN).filter(|value| !value.is_empty())
}

/// The resource of a series that has exactly the dimensions of the metric, and its value of the split, which is empty if
/// the metric has none.
///
/// # Errors
///
/// The names of the series' dimensions, sorted, if they are others. The values of such a series are included in those
/// of the expected ones already.
pub(super) fn exactly(
    dataset: &Dataset,
    metric: &Metric,
    mut found: Vec<Dimension>,
) -> Result<(String, String), Vec<String>> {
    let mut take = |name: &str| {
        let mut found = found.iter_mut().filter(|it| it.name.as_deref() == Some(name));
        found.next().and_then(|dimension| dimension.value.take())
    };
    // What has no dimension of its own is the account in its region, which has no name.
    let mut resource: Option<String> = dataset.resource_of(metric).is_empty().then(String::new);
    let mut is_whole = true;
    for name in dataset.resource_of(metric) {
        match (take(name), &mut resource) {
            (None, _) => is_whole = false,
            (Some(value), None) => resource = Some(value),
            (Some(value), Some(resource)) => {
                resource.push_str(BETWEEN);
                resource.push_str(&value);
            }
        }
    }
    let value = match &metric.split {
        Some(split) => take(&split.dimension),
        None => Some(String::new()),
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    const TASKS: &str = r#"
name      = "tasks"
title     = "Tasks"
namespace = "Test"
resource  = ["Cluster", "Service"]
shape     = "series"
period    = "1m"
settle    = "10m"
discovery = "list_metrics"
regions   = "configured"

[[metric]]
name       = "CPU"
unit       = "Percent"
statistics = ["Sum"]

[[metric]]
name       = "Exits"
unit       = "Count"
statistics = ["Sum"]
split      = { dimension = "Code", values = { 0 = "well" }, other = "badly" }
"#;

    #[test]
    fn an_account_has_no_dimension() {
        let text = TASKS.replace("[\"Cluster\", \"Service\"]", "[]");
        let dataset = Dataset::parse(&text).expect("a dataset");
        let code = Dimension::builder().name("Code").value("0").build();
        let of = |metric: usize, found: &[&Dimension]| {
            exactly(&dataset, &dataset.metrics[metric], found.iter().copied().cloned().collect())
        };
        assert_eq!(of(0, &[]), Ok((String::new(), String::new())));
        assert_eq!(of(0, &[&code]), Err(vec!["Code".to_owned()]));
        assert_eq!(of(1, &[&code]), Ok((String::new(), "0".to_owned())));
        assert_eq!(of_series(&dataset, &dataset.metrics[0], "", ""), []);
        assert_eq!(of_series(&dataset, &dataset.metrics[1], "", "0"), [code]);
    }

    #[test]
    fn a_series_belongs_to_a_metric_by_exactly_its_dimensions() {
        let dataset = Dataset::parse(TASKS).expect("a dataset");
        let found = |metric: usize, names: &str| {
            let dimension = |name: &str| Dimension::builder().name(name).value(name.to_lowercase()).build();
            exactly(&dataset, &dataset.metrics[metric], names.split(' ').map(dimension).collect())
        };
        let is = |resource: [&str; 2], value: &str| Ok((joined(resource), value.to_owned()));
        let not = |names: &[&str]| Err(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(found(0, "Cluster Service"), is(["cluster", "service"], ""));
        assert_eq!(found(0, "Service Cluster"), is(["cluster", "service"], ""));
        assert_eq!(found(0, "Cluster"), not(&["Cluster"]));
        assert_eq!(found(0, "Cluster Service Code"), not(&["Cluster", "Code", "Service"]));
        assert_eq!(found(0, "Cluster Task"), not(&["Cluster", "Task"]));
        assert_eq!(found(1, "Code Cluster Service"), is(["cluster", "service"], "code"));
        assert_eq!(found(1, "Cluster Service"), not(&["Cluster", "Service"]));
        assert_eq!(found(1, "Cluster Cluster Service"), not(&["Cluster", "Cluster", "Service"]));
        let asked = of_series(&dataset, &dataset.metrics[1], &joined(["main", "web"]), "137");
        let asked: Vec<_> =
            asked.iter().map(|it| (it.name().unwrap_or(""), it.value().unwrap_or(""))).collect();
        assert_eq!(asked, [("Cluster", "main"), ("Service", "web"), ("Code", "137")]);
    }
}
