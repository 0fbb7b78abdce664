// SPDX-License-Identifier: Apache-2.0
//! A panel as data: what it asks, and how it is shown. Searches, saved objects of Dashboards, and Grafana's panels are made of
//! it. Pure functions.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

/// One picture, number or table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panel {
    /// Small letters, digits and -; a part of the ids of its saved objects.
    pub id: &'static str,
    pub title: &'static str,
    pub kind: Kind,
    pub over: Over,
    /// Which documents, in Lucene's syntax; all if it is empty.
    pub query: &'static str,
    pub columns: &'static [Column],
    /// How documents are grouped, from the outside in.
    pub by: &'static [By],
}

/// How it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Number,
    Line,
    Bar,
    Pie,
    Table,
}

/// The documents of which indices it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The rows of the dashboard's dataset.
    Rows,
    /// What is said of resources of the dataset without a datapoint, or of all datasets if the dashboard is of none.
    Gaps,
    /// Both.
    Resources,
    /// Those of all datasets.
    Everything,
}

/// A value, and what it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub label: &'static str,
    pub of: Of,
}

/// How the value of a group of documents is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The number of documents.
    Count,
    Sum(&'static str),
    Average(&'static str),
    Maximum(&'static str),
    Minimum(&'static str),
    /// How many different values a field has.
    Distinct(&'static str),
    /// One sum divided by another: what a mean of ratios is not.
    Ratio(&'static str, &'static str),
}

/// What documents are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The time of the datapoint.
    Time,
    /// The values of a field, of which there are `size` at most: those with most, or least, of the first column.
    Values { field: &'static str, label: &'static str, size: u32, ascending: bool },
}

/// A line of a panel's result: the groups that it is of, and the values of its columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub groups: Vec<String>,
    pub values: Vec<Option<f64>>,
}

impl Of {
    /// The name of the aggregation, and its fields.
    #[must_use]
    pub fn parts(self) -> (&'static str, [Option<&'static str>; 2]) {
        match self {
            Self::Count => ("count", [None, None]),
            Self::Sum(field) => ("sum", [Some(field), None]),
            Self::Average(field) => ("avg", [Some(field), None]),
            Self::Maximum(field) => ("max", [Some(field), None]),
            Self::Minimum(field) => ("min", [Some(field), None]),
            Self::Distinct(field) => ("cardinality", [Some(field), None]),
            Self::Ratio(of, by) => ("bucket_script", [Some(of), Some(by)]),
        }
    }
}

impl Panel {
    /// Every field that it uses.
    #[must_use]
    pub fn fields(&self) -> Vec<&'static str> {
        let columns = self.columns.iter().flat_map(|column| column.of.parts().1).flatten();
        let groups = self.by.iter().map(|by| match by {
            By::Time => "@timestamp",
            By::Values { field, .. } => field,
        });
        columns.chain(groups).chain(fields_of(self.query)).collect()
    }

    /// Whether a column is a ratio, which the classic visualizations of Dashboards don't have.
    #[must_use]
    pub fn has_ratio(&self) -> bool {
        self.columns.iter().any(|column| matches!(column.of, Of::Ratio(..)))
    }

    /// The body of the search that it is: `query` in place of its own, which does not say the dataset.
    #[must_use]
    pub fn search(&self, query: &str, (from, to): (DateTime<Utc>, DateTime<Utc>), interval: &str) -> Value {
        let time = json!({"gte": from.to_rfc3339(), "lt": to.to_rfc3339()});
        let mut filter = vec![json!({"range": {"@timestamp": time}})];
        if !query.is_empty() {
            filter.push(json!({"query_string": {"query": query}}));
        }
        let mut body = json!({
            "size": 0, "track_total_hits": true,
            "query": {"bool": {"filter": filter}},
        });
        let aggregations = self.aggregations(self.by, interval);
        if aggregations.as_object().is_some_and(|all| !all.is_empty())
            && let Some(body) = body.as_object_mut()
        {
            body.insert("aggs".to_owned(), aggregations);
        }
        body
    }

    fn aggregations(&self, by: &[By], interval: &str) -> Value {
        let mut all = Map::new();
        for (place, column) in self.columns.iter().enumerate() {
            let name = format!("column{place}");
            match column.of.parts() {
                (_, [None, _]) => {}
                (kind, [Some(field), None]) => {
                    all.insert(name, json!({kind: {"field": field}}));
                }
                (kind, [Some(of), Some(by)]) => {
                    let (dividend, divisor) = (format!("{name}_of"), format!("{name}_by"));
                    let paths = json!({"of": dividend, "by": divisor});
                    all.insert(dividend, json!({"sum": {"field": of}}));
                    all.insert(divisor, json!({"sum": {"field": by}}));
                    let script = "params.by > 0 ? params.of / params.by : null";
                    all.insert(name, json!({kind: {"buckets_path": paths, "script": script}}));
                }
            }
        }
        let Some((outer, inner)) = by.split_first() else { return Value::Object(all) };
        let mut group = match outer {
            By::Time => json!({"date_histogram": {"field": "@timestamp", "fixed_interval": interval}}),
            By::Values { field, size, ascending, .. } => {
                let key = match self.columns.first().map(|column| column.of) {
                    Some(Of::Count) | None => "_count",
                    // What is made of other aggregations orders nothing.
                    Some(Of::Ratio(..)) => "column0_of",
                    Some(_) => "column0",
                };
                let order = if *ascending { "asc" } else { "desc" };
                json!({"terms": {"field": field, "size": size, "order": {key: order}}})
            }
        };
        // Those of the outer group too: it is ordered by the first of them.
        all.extend(self.aggregations(inner, interval).as_object().cloned().unwrap_or_default());
        if let Some(group) = group.as_object_mut().filter(|_| !all.is_empty()) {
            group.insert("aggs".to_owned(), Value::Object(all));
        }
        json!({"groups": group})
    }

    /// The lines of the answer to its search.
    #[must_use]
    pub fn lines(&self, answer: &Value) -> Vec<Line> {
        let mut lines = Vec::new();
        let empty = Value::Null;
        let whole = answer.get("aggregations").unwrap_or(&empty);
        let count = answer.pointer("/hits/total/value").and_then(Value::as_f64);
        self.read(self.by.len(), &mut Vec::new(), whole, count, &mut lines);
        lines
    }

    fn read(
        &self,
        left: usize,
        groups: &mut Vec<String>,
        at: &Value,
        count: Option<f64>,
        lines: &mut Vec<Line>,
    ) {
        if left == 0 {
            let value = |(place, column): (usize, &Column)| match column.of {
                Of::Count => count,
                _ => at.get(format!("column{place}"))?.get("value")?.as_f64(),
            };
            let values = self.columns.iter().enumerate().map(value).collect();
            lines.push(Line { groups: groups.clone(), values });
            return;
        }
        for bucket in at.pointer("/groups/buckets").and_then(Value::as_array).into_iter().flatten() {
            let key = bucket.get("key_as_string").or_else(|| bucket.get("key"));
            let key = key.map(|key| key.as_str().map_or_else(|| key.to_string(), str::to_owned));
            groups.push(key.unwrap_or_default());
            let count = bucket.get("doc_count").and_then(Value::as_f64);
            self.read(left - 1, groups, bucket, count, lines);
            groups.pop();
        }
    }
}

/// The fields that a query of ours names: what is before a colon, and what `_exists_` asks for.
fn fields_of(query: &'static str) -> impl Iterator<Item = &'static str> {
    let terms = query.split([' ', '(', ')']).filter_map(|word| word.split_once(':'));
    terms.map(|(field, value)| if field == "_exists_" { value } else { field })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_query_are_known() {
        let query =
            "_exists_:runtime AND (memory_mb:>128 OR settled:true) AND runtime_deprecated_on:[* TO now+90d]";
        let fields: Vec<_> = fields_of(query).collect();
        assert_eq!(fields, ["runtime", "memory_mb", "settled", "runtime_deprecated_on"]);
    }
}
