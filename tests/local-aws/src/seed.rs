// SPDX-License-Identifier: Apache-2.0
//! Which series the command line asks for: those of a dataset's file, or of a namespace that is spelt out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use local_aws::{SyntheticMetric, SyntheticSeries};
use serde::Deserialize;

/// What is needed here of a file of `datasets/`.
#[derive(Deserialize)]
struct DatasetFile {
    namespace: String,
    resource: Vec<String>,
    shape: String,
    period: String,
    metric: Vec<MetricOfFile>,
}

#[derive(Deserialize)]
struct MetricOfFile {
    name: String,
    unit: String,
    namespace: Option<String>,
    resource: Option<Vec<String>>,
    split: Option<SplitOfFile>,
}

#[derive(Deserialize)]
struct SplitOfFile {
    dimension: String,
    values: BTreeMap<String, toml::Value>,
}

/// The series of a dataset, one for each metric and value of its split; how many resources there are is up to the caller.
pub(crate) fn of_file(path: &Path) -> anyhow::Result<SyntheticSeries> {
    let read = || {
        let text = fs::read_to_string(path)?;
        of_text(&text)
    };
    read().with_context(|| format!("--dataset {}", path.display()))
}

fn of_text(text: &str) -> anyhow::Result<SyntheticSeries> {
    let file: DatasetFile = toml::from_str(text)?;
    ensure!(
        file.shape == "series",
        "its shape is {:?}, and only \"series\" is seeded; --buckets makes buckets with their daily storage",
        file.shape
    );
    let mut metrics = Vec::new();
    for metric in file.metric {
        let (dimension, values) = match metric.split {
            None => (String::new(), vec![None]),
            Some(split) => (split.dimension, split.values.into_keys().map(Some).collect()),
        };
        metrics.extend(values.into_iter().map(|value| SyntheticMetric {
            namespace: metric.namespace.clone().unwrap_or_else(|| file.namespace.clone()),
            name: metric.name.clone(),
            unit: metric.unit.clone(),
            split: value.map(|value| (dimension.clone(), value)),
            dimensions: metric.resource.clone(),
        }));
    }
    Ok(series(file.resource, metrics, seconds(&file.period)?))
}

/// The series of `NAMESPACE:DIMENSION,DIMENSION:METRIC,METRIC`, one datapoint each so many seconds.
pub(crate) fn of_spelling(text: &str, period: u32) -> anyhow::Result<SyntheticSeries> {
    let parts: Vec<&str> = text.rsplitn(3, ':').collect();
    let [metrics, dimensions, namespace] = parts[..] else {
        bail!("--series {text}: write NAMESPACE:DIMENSION,DIMENSION:METRIC,METRIC")
    };
    let list = |text: &str| -> Vec<String> {
        text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    let metric = |name| SyntheticMetric {
        namespace: namespace.to_owned(),
        name,
        unit: "None".to_owned(),
        split: None,
        dimensions: None,
    };
    let metrics: Vec<_> = list(metrics).into_iter().map(metric).collect();
    ensure!(
        !namespace.is_empty() && !metrics.is_empty(),
        "--series {text}: it names no namespace, or no metric"
    );
    Ok(series(list(dimensions), metrics, period))
}

fn series(dimensions: Vec<String>, metrics: Vec<SyntheticMetric>, period: u32) -> SyntheticSeries {
    SyntheticSeries { dimensions, metrics, resources: 0, regions: 1, period, days: 1, seed: 1 }
}

/// Seconds of whole minutes, hours or days, as `5m`.
pub(crate) fn seconds(text: &str) -> anyhow::Result<u32> {
    let unit = match text.chars().last() {
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => 0,
    };
    let count = text.get(..text.len().saturating_sub(1)).and_then(|count| count.parse::<u32>().ok());
    let seconds = count.unwrap_or(0).checked_mul(unit).filter(|seconds| (60..=86_400).contains(seconds));
    seconds.with_context(|| format!("a period of {text:?}: write 1m to 1d, such as 5m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dataset_of_series_can_be_seeded() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
        let mut seeded = 0;
        for entry in fs::read_dir(folder).expect("the datasets") {
            let path = entry.expect("an entry").path();
            match of_file(&path) {
                Ok(series) => {
                    assert!(!series.metrics.is_empty(), "{}", path.display());
                    seeded += 1;
                }
                Err(error) => {
                    assert!(path.ends_with("s3_daily_storage.toml"), "{error:#}");
                    assert!(format!("{error:#}").contains("--buckets"), "{error:#}");
                }
            }
        }
        assert!(seeded > 30, "{seeded}");
    }

    #[test]
    fn a_split_is_a_series_for_each_value() {
        let series = of_text(
            "namespace = 'N'\nresource = ['Q']\nshape = 'series'\nperiod = '5m'\n[[metric]]\nname = 'M'\nunit = 'Count'\n\
             [metric.split]\ndimension = 'Kind'\nvalues = { Fax = 'fax', Mail = 'mail' }\n",
        );
        let series = series.expect("a dataset");
        let kinds: Vec<_> = series.metrics.iter().filter_map(|it| it.split.clone()).collect();
        assert_eq!(kinds, [("Kind".into(), "Fax".into()), ("Kind".to_owned(), "Mail".to_owned())]);
        assert_eq!((series.period, &*series.dimensions), (300, &["Q".to_owned()][..]));
    }

    #[test]
    fn a_namespace_can_be_spelt_out() {
        let series = of_spelling("My/App:Host,Disk:Used,Free", 60).expect("series");
        assert_eq!(series.dimensions, ["Host", "Disk"]);
        let names: Vec<_> = series.metrics.iter().map(|it| (&*it.namespace, &*it.name)).collect();
        assert_eq!(names, [("My/App", "Used"), ("My/App", "Free")]);
        assert!(of_spelling("AWS/Usage::CallCount", 60).expect("series").dimensions.is_empty());
        for wrong in ["My/App", "My/App:Host", "My/App:Host:", ":Host:Used"] {
            assert!(of_spelling(wrong, 60).is_err(), "{wrong}");
        }
        assert!(seconds("90s").is_err() && seconds("2d").is_err() && seconds("").is_err());
    }
}
