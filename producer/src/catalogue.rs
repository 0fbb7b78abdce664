// SPDX-License-Identifier: Apache-2.0
//! What can be collected, for people and as JSON. Plain functions over values.

use cli::output::{dollars, table};
use fleet::{Dataset, datasets::Derived};
use requests::estimate;
use serde_json::{Value, json};

/// A line for each dataset.
pub(crate) fn list<'a>(datasets: impl IntoIterator<Item = &'a Dataset>) -> String {
    let header = ["DATASET", "WHAT", "PER 1,000"];
    let row = |dataset: &Dataset| {
        let [listed, _] = costs(dataset);
        vec![dataset.name.to_owned(), dataset.title.clone(), dollars(listed)]
    };
    table(&header, &[2], datasets.into_iter().map(row))
}

/// All that a dataset is.
pub(crate) fn text(dataset: &Dataset) -> String {
    let [listed, unlisted] = costs(dataset);
    let noun = dataset.discovery.noun();
    let metrics = dataset.metrics.iter().map(|metric| {
        vec![
            metric.name.clone(),
            metric.unit.clone(),
            metric.statistics.join(", "),
            metric.split.as_ref().map_or_else(|| "-".to_owned(), |split| split.dimension.clone()),
        ]
    });
    let columns =
        dataset.columns.iter().map(|column| vec![column.name.clone(), column.cell.type_name().to_owned()]);
    let sections = [
        format!("{}: {}", dataset.name, dataset.title),
        format!(
            "1,000 {noun} cost about {} on a day of up to eleven days ago, and {} on an older one",
            dollars(listed),
            dollars(unlisted)
        ),
        format!("permissions, on *: {}", joined(dataset.permissions())),
        table(&["METRIC", "UNIT", "STATISTICS", "SPLIT BY"], &[], metrics),
        table(&["COLUMN", "TYPE"], &[], columns),
    ];
    let derived = dataset.derived.iter().map(|Derived { name, formula }| vec![name.clone(), formula.shown()]);
    let derived = (!dataset.derived.is_empty()).then(|| table(&["DERIVED", "FROM"], &[], derived));
    let optional = joined(dataset.optional_permissions());
    let optional = (!optional.is_empty()).then(|| format!("optional: {optional}"));
    let [about, price, permissions, metrics, columns] = sections;
    let head = [about, price, permissions].into_iter().chain(optional).collect::<Vec<_>>().join("\n");
    [head, metrics, columns].into_iter().chain(derived).collect::<Vec<_>>().join("\n\n")
}

/// The same as one JSON object.
pub(crate) fn json<'a>(datasets: impl IntoIterator<Item = &'a Dataset>) -> Value {
    json!({ "datasets": datasets.into_iter().map(described).collect::<Vec<_>>() })
}

fn described(dataset: &Dataset) -> Value {
    let [listed, unlisted] = costs(dataset);
    let columns =
        dataset.columns.iter().map(|column| json!({ "name": column.name, "type": column.cell.type_name() }));
    let metrics = dataset
        .metrics
        .iter()
        .map(|metric| json!({ "name": metric.name, "unit": metric.unit, "statistics": metric.statistics }));
    let derived = dataset
        .derived
        .iter()
        .map(|Derived { name, formula }| json!({ "name": name, (formula.name()): formula.columns() }));
    json!({
        "name": dataset.name,
        "group": dataset.group,
        "title": dataset.title,
        "namespace": dataset.namespace,
        "shape": dataset.shape.name(),
        "period_seconds": dataset.period.seconds(),
        "settle_seconds": dataset.settle_time().num_seconds(),
        "discovery": dataset.discovery.name(),
        "resource": dataset.resource,
        "columns": columns.collect::<Vec<_>>(),
        "metrics": metrics.collect::<Vec<_>>(),
        "derived": derived.collect::<Vec<_>>(),
        "permissions": dataset.permissions().collect::<Vec<_>>(),
        "optional_permissions": dataset.optional_permissions().collect::<Vec<_>>(),
        "resources": dataset.discovery.noun(),
        "cost_usd_per_1000_resources": { "listed": listed, "unlisted": unlisted },
    })
}

/// What 1,000 resources cost on a day whose series are listed, and on one whose are not.
fn costs(dataset: &Dataset) -> [f64; 2] {
    let each = dataset.metrics_per_resource();
    [each.typical, each.all].map(|metrics| estimate::cost(1000 * u64::from(metrics)))
}

fn joined(actions: impl Iterator<Item = &'static str>) -> String {
    actions.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use fleet::datasets::DEFAULT;

    use super::*;

    #[test]
    fn a_dataset_is_shown_with_its_price_permissions_metrics_and_columns() {
        let text = text(*DEFAULT);
        let head: Vec<&str> = text.lines().take(9).collect();
        assert_eq!(
            head,
            [
                "s3_daily_storage: S3 buckets: bytes and objects, daily",
                "1,000 buckets cost about $0.03 on a day of up to eleven days ago, and $0.28 on an older one",
                "permissions, on *: s3:ListAllMyBuckets, cloudwatch:ListMetrics, cloudwatch:GetMetricData",
                "optional: s3express:ListAllMyDirectoryBuckets",
                "",
                "METRIC           UNIT   STATISTICS  SPLIT BY",
                "NumberOfObjects  Count  Average     StorageType",
                "BucketSizeBytes  Bytes  Average     StorageType",
                "",
            ]
        );
        let last: Vec<_> = text.lines().last().expect("columns").split_whitespace().collect();
        assert_eq!(last, ["status", "string"]);
    }

    #[test]
    fn what_a_derived_column_is_made_of_is_shown() {
        let lambda = Dataset::find("lambda_function").expect("registered");
        assert!(
            text(lambda).ends_with(
                "\n\n\
                 DERIVED                    FROM\n\
                 error_rate                 errors_sum / invocations_sum\n\
                 throttles_per_invocation   throttles_sum / invocations_sum\n\
                 duration_average           duration_sum / invocations_sum\n\
                 timeout_proximity_maximum  duration_maximum / (timeout_seconds * 1000)\n\
                 timeout_proximity_p99      duration_p99 / (timeout_seconds * 1000)\n\
                 cost_usd                   list price of invocations_sum and of duration_sum * memory_mb\n\
                 arm64_saving_usd           list price of duration_sum * memory_mb on x86, less that on arm64"
            ),
            "{}",
            text(lambda)
        );
        let derived = &json([lambda])["datasets"][0]["derived"];
        assert_eq!(derived[0], json!({ "name": "error_rate", "ratio": ["errors_sum", "invocations_sum"] }));
        assert_eq!(
            derived[3],
            json!({ "name": "timeout_proximity_maximum", "of_timeout": ["duration_maximum"] })
        );
    }

    #[test]
    fn all_are_listed_within_a_terminal() {
        let text = list(fleet::datasets::all());
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("S3 buckets: bytes and objects, daily"), "{text}");
    }
}
