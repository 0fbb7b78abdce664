// SPDX-License-Identifier: Apache-2.0
//! The files of the folder `datasets/`, which the program has in it.

use std::sync::LazyLock;

use super::Dataset;

// `FILES`: the name and the text of each, by name.
include!(concat!(env!("OUT_DIR"), "/datasets.rs"));

/// Every dataset, by name.
pub static DATASETS: LazyLock<Vec<Dataset>> = LazyLock::new(|| {
    let parse = |(name, text): &(&str, &str)| {
        Dataset::parse(text)
            .unwrap_or_else(|faults| unreachable!("a test reads every file of datasets/; {name}: {faults}"))
    };
    FILES.iter().map(parse).collect()
});

/// The dataset of a request or job that names none.
pub static DEFAULT: LazyLock<&'static Dataset> = LazyLock::new(|| {
    Dataset::find("s3_daily_storage").expect("cannot fail: a test shows that datasets/ has it")
});

/// The names of all datasets, for messages.
#[must_use]
pub fn names() -> String {
    DATASETS.iter().map(|dataset| dataset.name).collect::<Vec<_>>().join(", ")
}

impl Dataset {
    /// The dataset of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        DATASETS.iter().find(|dataset| dataset.name == name)
    }

    /// The datasets of a group of that name, or the one of that name.
    #[must_use]
    pub fn named(name: &str) -> Vec<&'static Self> {
        let group: Vec<&Self> = DATASETS.iter().filter(|dataset| dataset.group == name).collect();
        if group.is_empty() { Self::find(name).into_iter().collect() } else { group }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::{Cell, Class, Metric};

    #[test]
    fn every_file_is_a_dataset_of_its_name() {
        for (file, text) in FILES {
            let dataset = Dataset::parse(text).unwrap_or_else(|faults| panic!("datasets/{file}:\n{faults}"));
            assert_eq!(*file, format!("{}.toml", dataset.name));
        }
        assert_eq!(DEFAULT.name, "s3_daily_storage");
    }

    #[test]
    fn no_group_has_the_name_of_a_dataset_in_another_group() {
        for dataset in DATASETS.iter() {
            let namesake = Dataset::find(&dataset.group);
            assert!(namesake.is_none_or(|it| it.group == dataset.group), "{}", dataset.group);
        }
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
