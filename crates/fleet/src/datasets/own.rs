// SPDX-License-Identifier: Apache-2.0
//! The datasets of a configuration file: a user's own, and selections of those that the program has.

use std::{
    collections::HashSet,
    sync::{PoisonError, RwLock},
};

use super::{
    Dataset, builtin,
    file::{self, select, tags},
};
use crate::settings::{Table, Value};

/// The datasets of the configuration file, by name. Those of an earlier version stay valid: jobs of them may be at work.
static OWN: RwLock<Vec<&'static Dataset>> = RwLock::new(Vec::new());

/// Those that are in use; one that has the name of the program's own takes its place.
pub(super) fn all() -> Vec<&'static Dataset> {
    OWN.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Takes the place of those that are in use, and returns them.
pub fn set_own(datasets: Vec<&'static Dataset>) -> Vec<&'static Dataset> {
    std::mem::replace(&mut *OWN.write().unwrap_or_else(PoisonError::into_inner), datasets)
}

/// Reads the tables `[[dataset]]` and `[[select]]` of a configuration file. What is wrong is recorded.
pub fn read_own(file: &Table<'_>) -> Vec<&'static Dataset> {
    let tables = |key| file.optional(key).map(|value: Value<'_>| value.tables()).unwrap_or_default();
    let mut names = HashSet::new();
    let mut own: Vec<Dataset> = Vec::new();
    for table in tables("dataset") {
        check_name(&table, &mut names);
        own.extend(file::dataset(&table));
    }
    for table in tables("select") {
        check_name(&table, &mut names);
        own.extend(select::dataset(&table));
    }
    own.sort_by_key(|dataset| dataset.name);
    let keys = tags::keys(file);
    if !keys.is_empty() {
        // They take the place of the program's own, which have no such columns.
        own.extend(builtin::all().filter(|dataset| dataset.tags.is_some()).cloned());
    }
    for dataset in &mut own {
        dataset.set_tag_keys(&keys);
        tags::check_columns(file, dataset);
    }
    let known = all();
    own.into_iter()
        .map(|dataset| {
            // What is unchanged is not kept once more each time that the file is read.
            let same = known.iter().find(|known| ***known == dataset);
            same.copied().unwrap_or_else(|| Box::leak(Box::new(dataset)))
        })
        .collect()
}

/// Refuses a name that another dataset or group has.
fn check_name(table: &Table<'_>, names: &mut HashSet<String>) {
    let Some(value) = table.optional("name") else { return };
    let Some(name) = value.plain() else { return };
    if builtin::all().any(|dataset| dataset.name == name || dataset.group == name) {
        value.fault("is the name of a dataset that this version has; choose another");
    } else if !names.insert(name.to_owned()) {
        value.fault("is the name of two datasets");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{datasets::Cell, settings};

    const FILE: &str = r#"
[[dataset]]
name      = "orders"
title     = "Orders of our shops"
namespace = "Shop"
resource  = ["ShopName"]
shape     = "series"
period    = "5m"
window    = "1h"
settle    = "10m"
discovery = "list_metrics"
regions   = "configured"

[[dataset.metric]]
name       = "Orders"
unit       = "Count"
statistics = ["Sum"]

[[select]]
name       = "production_queues"
dataset    = "sqs"
resources  = ["prod-*", "billing"]
metrics    = ["NumberOfMessagesSent"]
statistics = ["Sum"]
period     = "1h"
window     = "1d"
settle     = "1h"
"#;

    fn read(text: &str) -> Result<Vec<&'static Dataset>, String> {
        let read = settings::read(text, |file| {
            let own = read_own(file);
            file.end();
            Some(own)
        });
        read.map_err(|faults| faults.to_string())
    }

    #[test]
    fn a_file_has_datasets_of_its_own_and_selections() {
        let own = read(FILE).expect("valid");
        let names: Vec<_> = own.iter().map(|dataset| dataset.name).collect();
        assert_eq!(names, ["orders", "production_queues"]);
        let [orders, queues] = own[..] else { panic!("two") };
        assert!(orders.selection.is_none() && orders.group == "orders");
        let columns: Vec<_> = queues.columns.iter().map(|column| &*column.name).collect();
        assert_eq!(
            columns,
            [
                "queue_name",
                "account_name",
                "account_id",
                "region",
                "period_start",
                "period_seconds",
                "number_of_messages_sent_sum",
                "status"
            ]
        );
        assert_eq!((queues.period.seconds(), queues.window.seconds()), (3600, 86_400));
        assert_eq!(queues.settle.num_minutes(), 60);
        let selection = queues.selection.as_ref().expect("it is one");
        assert_eq!(selection.of, "sqs");
        let chosen = |name: &str| selection.has([name]);
        assert_eq!(
            ["prod-a", "prod-", "a-prod-", "billing", "billing2"].map(chosen),
            [true, true, false, true, false]
        );
    }

    #[test]
    fn a_derived_column_goes_with_the_columns_that_it_is_made_of() {
        let derived = |narrowed: &str| {
            let text = format!("[[select]]\nname = \"some\"\ndataset = \"lambda_function\"\n{narrowed}\n");
            let [selection] = read(&text).expect("valid")[..] else { panic!("one") };
            let columns = selection.columns.iter().filter(|column| column.cell.is_derived());
            let names: Vec<_> = columns.map(|column| (column.name.clone(), column.cell)).collect();
            let derived = selection.derived.iter().map(|derived| &derived.name);
            assert!(derived.eq(names.iter().map(|(name, _)| name)));
            names
        };
        let named = |name: &str, cell: Cell| (name.to_owned(), cell);
        let of_duration = |invocations: usize, [p99, maximum, sum]: [usize; 3]| {
            [
                named("duration_average", Cell::Ratio(sum, invocations)),
                named("timeout_proximity_maximum", Cell::OfTimeout(maximum)),
                named("timeout_proximity_p99", Cell::OfTimeout(p99)),
                named("cost_usd", Cell::LambdaCost(invocations, sum)),
                named("arm64_saving_usd", Cell::Arm64Saving(sum)),
            ]
        };
        let rates =
            [named("error_rate", Cell::Ratio(1, 0)), named("throttles_per_invocation", Cell::Ratio(2, 0))];
        assert_eq!(derived(""), [&rates[..], &of_duration(0, [5, 6, 7])].concat());
        let narrowed = "metrics = [\"Throttles\", \"Invocations\", \"Duration\"]";
        let throttles = named("throttles_per_invocation", Cell::Ratio(1, 0));
        assert_eq!(derived(narrowed), [&[throttles][..], &of_duration(0, [4, 5, 6])].concat());
        let [_, maximum, p99, _, saving] = of_duration(0, [3, 4, 5]);
        assert_eq!(derived("metrics = [\"Errors\", \"Duration\"]"), [maximum, p99, saving]);
        let maximum = named("timeout_proximity_maximum", Cell::OfTimeout(0));
        assert_eq!(derived("statistics = [\"Maximum\"]"), [maximum]);
    }

    #[test]
    fn a_selection_of_functions_has_their_facts_and_says_whether_its_rows_are_settled() {
        let columns = |narrowed: &str| {
            let text = format!("[[select]]\nname = \"some\"\ndataset = \"lambda_function\"\n{narrowed}\n");
            let [selection] = read(&text).expect("valid")[..] else { panic!("one") };
            selection.columns.iter().map(|column| &*column.name).collect::<Vec<_>>()
        };
        let known = [
            "function_name",
            "account_name",
            "account_id",
            "region",
            "period_start",
            "period_seconds",
            "runtime",
            "runtime_deprecated_on",
            "architecture",
            "memory_mb",
            "timeout_seconds",
            "package_type",
            "last_modified",
        ];
        let whole = columns("period = \"5m\"\nwindow = \"1h\"");
        assert_eq!(whole[..known.len()], known);
        assert_eq!(whole[whole.len() - 3..], ["insights", "settled", "status"]);
        assert!(whole.contains(&"cold_starts") && whole.contains(&"used_memory_max_maximum"));
        // Nothing of Lambda Insights is asked for.
        let narrowed = columns("metrics = [\"Invocations\"]");
        assert_eq!(narrowed, [&known[..], &["invocations_sum", "settled", "status"]].concat());
    }

    #[test]
    fn keys_of_tags_are_columns_before_the_measures_of_whatever_has_tags() {
        let text = format!("tag_keys = ['Team', 'aws:cloudformation:stack-name']\n{FILE}");
        let own = read(&text).expect("valid");
        let of = |name: &str| {
            let found = own.iter().find(|dataset| dataset.name == name).expect("it is there");
            found.columns.iter().map(|column| &*column.name).collect::<Vec<_>>()
        };
        let tags = ["period_seconds", "tag_team", "tag_aws_cloudformation_stack_name"];
        for name in ["production_queues", "sqs", "ecs_service", "lambda_function"] {
            let columns = of(name);
            let at = columns.iter().position(|name| *name == "period_seconds").expect("a column");
            assert_eq!(columns[at..at + 3], tags, "{name}");
        }
        assert!(of("orders").iter().all(|name| !name.starts_with("tag_")), "it has no tags");
        assert!(own.iter().all(|dataset| dataset.name != "usage"));
        assert_eq!(read(FILE).expect("valid").len(), 2, "without keys nothing is changed");

        let text = FILE.replace("ShopName", "TagTeam").replacen(
            "regions ",
            "tags = 'shop'\narn = '{TagTeam}'\nregions ",
            1,
        );
        let faults = read(&format!("tag_keys = ['team']\n{text}")).expect_err("two columns of a name");
        assert_eq!(
            faults,
            "line 1, tag_keys: makes the column tag_team, which the dataset orders has already"
        );
    }

    #[test]
    fn all_that_is_wrong_is_named() {
        let text = r#"
[[dataset]]
name = "elb"

[[select]]
name      = "some"
dataset   = "sqss"

[[select]]
name      = "some"
dataset   = "ec2"
metrics   = ["NumberOfMessages"]
statistics = ["p99"]
period    = "1m"
window    = "1m"
resources = []
tags      = ["a"]
"#;
        let faults = read(text).expect_err("not valid");
        for expected in [
            "dataset[0].name: is the name of a dataset that this version has; choose another",
            "dataset[0].metric: is missing",
            "line 7, select[0].dataset: \"sqss\" is no dataset",
            "line 10, select[1].name: is the name of two datasets",
            "line 12, select[1].metrics[0]: is none of the metrics of ec2: ",
            "line 14, select[1].period: is shorter than that of ec2, 5m",
            "line 16, select[1].resources: is not a list with an item in it",
            "line 17, select[1].tags: is not a table",
        ] {
            assert!(faults.contains(expected), "{expected}\n{faults}");
        }
    }
}
