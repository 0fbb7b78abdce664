// SPDX-License-Identifier: Apache-2.0
//! The files of the folder `datasets/`, which the program has in it.

use std::sync::{LazyLock, OnceLock};

use super::Dataset;

// `FILES`: the name and the text of each, by name.
include!(concat!(env!("OUT_DIR"), "/datasets.rs"));

/// Each file is parsed when it is first used: a worker needs few of them.
static PARSED: [OnceLock<Dataset>; FILES.len()] = [const { OnceLock::new() }; FILES.len()];

/// The dataset of a request or job that names none.
pub static DEFAULT: LazyLock<&'static Dataset> = LazyLock::new(|| {
    Dataset::find("s3_daily_storage").expect("cannot fail: a test shows that datasets/ has it")
});

/// Every dataset that the program has, by name.
pub(super) fn all() -> impl Iterator<Item = &'static Dataset> {
    with_prefix("")
}

/// The datasets whose names begin so.
fn with_prefix(prefix: &str) -> impl Iterator<Item = &'static Dataset> {
    FILES.iter().zip(&PARSED).filter(move |((name, _), _)| name.starts_with(prefix)).map(
        |((name, text), parsed)| {
            parsed.get_or_init(|| {
                Dataset::parse(text).unwrap_or_else(|faults| {
                    unreachable!("a test parses every file of datasets/; {name}: {faults}")
                })
            })
        },
    )
}

/// The datasets of a name: with a group, all of it.
pub(super) fn named(name: &str) -> impl Iterator<Item = &'static Dataset> {
    // A test shows that the name of each dataset begins with its group's.
    with_prefix(name).filter(move |dataset| dataset.group == name || dataset.name == name)
}

/// The names of all.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use chrono::TimeDelta;

    use super::*;
    use crate::datasets::{Cell, Class, Metric, Missing, unknown};

    #[test]
    fn every_file_is_a_dataset_of_its_name() {
        for (file, text) in FILES {
            let dataset =
                Dataset::parse(text).unwrap_or_else(|faults| panic!("datasets/{file}.toml:\n{faults}"));
            assert_eq!(*file, dataset.name);
            assert!(dataset.name.starts_with(&dataset.group), "{file}: group {}", dataset.group);
        }
        assert_eq!(DEFAULT.name, "s3_daily_storage");
    }

    #[test]
    fn no_group_has_the_name_of_a_dataset_in_another_group() {
        for dataset in all() {
            let namesake = Dataset::find(&dataset.group);
            assert!(namesake.is_none_or(|it| it.group == dataset.group), "{}", dataset.group);
        }
    }

    #[test]
    fn only_sums_are_zero_and_values_are_final_after_a_period_at_the_earliest() {
        for dataset in all() {
            let period = TimeDelta::seconds(dataset.period.seconds().into());
            assert!(dataset.settle_time() >= period, "{}", dataset.name);
            for metric in dataset.metrics.iter().filter(|metric| metric.missing != Missing::Empty) {
                assert_eq!(metric.statistics, ["Sum"], "{} {}", dataset.name, metric.name);
            }
        }
    }

    #[test]
    fn no_resource_is_in_two_tables_of_a_namespace() {
        let key = |dataset: &Dataset, metric: &Metric| {
            let mut dimensions = dataset.resource_of(metric).to_vec();
            dimensions.extend(metric.split.iter().map(|split| split.dimension.clone()));
            dimensions.sort_unstable();
            (dataset.namespace_of(metric).to_owned(), metric.name.clone(), dimensions)
        };
        let mut series = HashSet::new();
        for dataset in all() {
            for metric in &dataset.metrics {
                assert!(series.insert(key(dataset, metric)), "{} has {} too", dataset.name, metric.name);
            }
        }
    }

    #[test]
    fn a_name_is_of_a_dataset_or_of_a_group() {
        for (name, tables) in [("s3_daily_storage", 1), ("sqs", 1), ("elb", 5), ("rds", 2), ("vpn", 2)] {
            assert_eq!(Dataset::named(name).len(), tables, "{name}");
        }
        assert_eq!(
            unknown("vpn"),
            "\"vpn\" is a group of datasets; name one of them: vpn_connection, vpn_tunnel"
        );
        assert!(unknown("s4").starts_with("dataset \"s4\" is unknown; this version has billing_"));
    }

    #[test]
    fn no_bucket_is_asked_for_what_its_class_can_not_have() {
        let has = |value: &str| {
            let values = DEFAULT.metrics.iter().flat_map(Metric::known_values);
            let values = values.filter(|known| known.value == value).collect::<Vec<_>>();
            let [known] = values[..] else { panic!("{value} is not there once") };
            [Class::General, Class::Directory].map(|class| known.holders.include(class))
        };
        assert_eq!(has("StandardStorage"), [true, false]);
        assert_eq!(has("ExpressOneZoneStorage"), [false, true]);
        assert_eq!(has("OneZoneIAStorage"), [true, true]);
        assert_eq!(has("AllStorageTypes"), [true, true]);
    }

    #[test]
    fn the_columns_of_the_daily_storage_stay() {
        let names: Vec<_> = DEFAULT.columns.iter().map(|column| &*column.name).collect();
        let (first, last) = (["bucket_name", "account_name", "creation_date", "total_objects"], 5);
        assert_eq!(names[..4], first);
        assert_eq!(
            names[names.len() - last..],
            ["account_id", "region", "report_date", "datapoint_date", "status"]
        );
        assert_eq!(names[names.len() - last - 2..names.len() - last], ["size_other", "size_total"]);
        assert_eq!((names.len(), DEFAULT.columns[32].cell), (38, Cell::Total(1)));
    }
}
