// SPDX-License-Identifier: Apache-2.0
//! The index templates of a dataset: which type each column has. A field that is in no template is refused by OpenSearch, and
//! nothing is guessed. Pure functions.

use fleet::{
    Dataset,
    datasets::{Cell, Fact},
};
use serde_json::{Map, Value, json};

/// What the names of indices with rows that have no datapoint have in place of a dataset.
pub const COVERAGE: &str = "coverage";

/// What is said of a function without a datapoint, by the names of their columns.
pub(super) const FACTS_OF_GAPS: [(&str, Fact); 3] = [
    ("runtime", Fact::Runtime),
    ("runtime_deprecated_on", Fact::RuntimeDeprecatedOn),
    ("last_modified", Fact::LastModified),
];

/// An index template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    pub name: String,
    pub body: Value,
}

/// The templates for the documents of a dataset: its rows, and those of its rows that have no datapoint.
#[must_use]
pub fn templates(prefix: &str, dataset: &Dataset) -> [Template; 2] {
    let mut of_rows = common();
    for column in &dataset.columns {
        of_rows.insert(column.name.clone(), field(column.cell));
    }
    [template(prefix, dataset.name, &of_rows), gaps(prefix)]
}

/// The template for the documents of rows that have no datapoint, of every dataset.
#[must_use]
pub(super) fn gaps(prefix: &str) -> Template {
    let mut of_gaps = common();
    for (name, field) in [
        // The values of the dimensions, whatever the dataset calls them.
        ("resource", keyword()),
        ("account_name", keyword()),
        ("account_id", keyword()),
        ("region", keyword()),
        ("window_end", json!({"type": "date"})),
        ("status", keyword()),
    ] {
        of_gaps.insert(name.to_owned(), field);
    }
    // An idle function has a runtime, too.
    of_gaps.extend(FACTS_OF_GAPS.map(|(name, fact)| (name.to_owned(), field(Cell::Fact(fact)))));
    template(prefix, COVERAGE, &of_gaps)
}

fn template(prefix: &str, what: &str, properties: &Map<String, Value>) -> Template {
    let name = format!("{prefix}-{what}");
    let body = json!({
        "index_patterns": [format!("{name}-*")],
        "priority": 200,
        "template": {
            "settings": {"number_of_shards": 1, "auto_expand_replicas": "0-1"},
            "mappings": {"_meta": meta(prefix), "dynamic": "strict", "properties": properties},
        },
        "_meta": {"by": "cloudwatch-fleet", "version": fleet::VERSION},
    });
    Template { name, body }
}

/// A column of a dataset that has the name of a field which every document has. That of rows which settle one by one takes
/// the place of the report's.
pub(super) fn clash(dataset: &Dataset) -> Option<&str> {
    let common = common();
    let mut columns = dataset.columns.iter().filter(|column| column.cell != Cell::Settled);
    columns.find(|column| common.contains_key(&column.name)).map(|column| &*column.name)
}

/// What the mapping of an index of ours says of whose it is.
#[must_use]
pub(super) fn meta(prefix: &str) -> Value {
    json!({"by": "cloudwatch-fleet", "prefix": prefix})
}

/// The fields of every document.
fn common() -> Map<String, Value> {
    let fields = [
        ("@timestamp", json!({"type": "date"})),
        ("dataset", keyword()),
        ("run_id", keyword()),
        ("collected_at", json!({"type": "date"})),
        ("settled", json!({"type": "boolean"})),
        // Account, region and dimensions: what tells one resource from all others.
        ("resource_path", keyword()),
        // Kept, and not searched: its keys are the users' own.
        ("attributes", json!({"type": "object", "enabled": false})),
    ];
    fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect()
}

fn keyword() -> Value {
    // A longer text than Lucene takes would have its document refused.
    json!({"type": "keyword", "ignore_above": 8191})
}

fn field(cell: Cell) -> Value {
    match cell {
        Cell::Resource(_)
        | Cell::AccountName
        | Cell::AccountId
        | Cell::Region
        | Cell::Metric
        | Cell::Unit
        | Cell::Statistic
        | Cell::Tag(_)
        | Cell::Fact(Fact::Runtime | Fact::Architecture | Fact::PackageType)
        | Cell::Insights
        | Cell::Status => keyword(),
        // A year of creation can have five digits, which its dates can't.
        Cell::CreationDate => json!({"type": "date", "ignore_malformed": true}),
        Cell::ReportDate
        | Cell::DatapointDate
        | Cell::PeriodStart
        | Cell::Fact(Fact::RuntimeDeprecatedOn | Fact::LastModified) => json!({"type": "date"}),
        Cell::PeriodSeconds | Cell::Fact(Fact::MemoryMb | Fact::TimeoutSeconds) => json!({"type": "integer"}),
        Cell::Settled => json!({"type": "boolean"}),
        Cell::Measure | Cell::Total(_) => json!({"type": "long"}),
        Cell::Value | Cell::Ratio(..) | Cell::OfTimeout(_) | Cell::LambdaCost(..) | Cell::Arm64Saving(_) => {
            json!({"type": "double"})
        }
    }
}

impl Template {
    /// Whether an installed template takes the same documents. What it has besides is its owner's.
    #[must_use]
    pub fn is_met_by(&self, installed: &Value) -> bool {
        let theirs = installed.pointer("/template/mappings/properties");
        self.properties().all(|(name, field)| {
            theirs.and_then(|theirs| theirs.get(name)).is_some_and(|their| type_of(their) == type_of(field))
        })
    }

    /// Whether it has a field of this name.
    pub(super) fn has(&self, field: &str) -> bool {
        self.properties().any(|(name, _)| name == field)
    }

    /// Its fields.
    pub(super) fn properties(&self) -> impl Iterator<Item = (&String, &Value)> {
        let properties = self.body.pointer("/template/mappings/properties").and_then(Value::as_object);
        properties.into_iter().flatten()
    }
}

pub(super) fn type_of(field: &Value) -> &str {
    // An object with fields of its own has no type.
    field.get("type").and_then(Value::as_str).unwrap_or("object")
}

#[cfg(test)]
mod tests {
    use fleet::datasets;

    use super::*;

    #[test]
    fn every_column_of_every_dataset_has_a_type() {
        for dataset in datasets::all() {
            let [rows, gaps] = templates("fleet", dataset);
            assert_eq!(rows.body["index_patterns"][0], format!("fleet-{}-*", dataset.name));
            for column in &dataset.columns {
                let field = &rows.body["template"]["mappings"]["properties"][&column.name];
                assert!(field["type"].is_string(), "{} {}", dataset.name, column.name);
            }
            assert_eq!(clash(dataset), None);
            assert!(rows.is_met_by(&rows.body) && !rows.is_met_by(&gaps.body));
        }
    }

    #[test]
    fn a_template_with_more_is_met_and_one_with_another_type_is_not() {
        let [rows, _] = templates("fleet", *datasets::DEFAULT);
        let mut installed = rows.body.clone();
        installed["template"]["mappings"]["properties"]["owner"] = json!({"type": "keyword"});
        assert!(rows.is_met_by(&installed));
        installed["template"]["mappings"]["properties"]["size_total"] = json!({"type": "text"});
        assert!(!rows.is_met_by(&installed));
    }
}
