// SPDX-License-Identifier: Apache-2.0
//! `_count` and `_search`: some queries, sorting, pages, and some aggregations.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::reply::{error, json_reply};
use super::{Asked, State, indices, mapping};
use crate::reply::{Reply, ServiceError};

/// A document that a search looks at.
struct Hit<'a> {
    index: &'a str,
    id: String,
    version: u64,
    source: Value,
    mapping: &'a Value,
}

impl Hit<'_> {
    /// The values of a field in the form that they are compared in: dates are milliseconds.
    fn values(&self, path: &str) -> Vec<Value> {
        if path == "_id" {
            return vec![json!(self.id)];
        }
        let (mut value, mut kind) = (Some(&self.source), Some(self.mapping));
        for part in path.split('.') {
            value = value.and_then(|value| value.get(part));
            kind = kind.and_then(|kind| kind.get("properties")?.get(part));
        }
        let is_date = kind.is_some_and(|kind| kind["type"] == "date");
        let all = match value {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(all)) => all.clone(),
            Some(one) => vec![one.clone()],
        };
        all.into_iter().map(|value| if is_date { in_millis(&value) } else { value }).collect()
    }

    fn number(&self, path: &str) -> impl Iterator<Item = f64> {
        self.values(path).into_iter().filter_map(|value| value.as_f64())
    }
}

fn in_millis(value: &Value) -> Value {
    value.as_str().and_then(mapping::date_millis).map_or_else(|| value.clone(), |millis| json!(millis))
}

/// Numbers by their value, texts by their bytes.
fn order(one: &Value, two: &Value) -> Ordering {
    match (one.as_f64(), two.as_f64()) {
        (Some(one), Some(two)) => one.total_cmp(&two),
        _ => one.as_str().unwrap_or("").cmp(two.as_str().unwrap_or("")),
    }
}

fn unknown(kind: &str, name: &str) -> ServiceError {
    error(400, "parsing_exception", format!("unknown {kind} [{name}], or none of those that local-aws has"))
}

fn is_for(query: &Value, hit: &Hit<'_>) -> Result<bool, ServiceError> {
    let Some((name, asked)) = query.as_object().and_then(|query| query.iter().next()) else {
        return Ok(true);
    };
    let field = || asked.as_object().and_then(|asked| asked.iter().next());
    let has = |path: &str, wanted: &Value| {
        let wanted = wanted.get("value").or_else(|| wanted.get("query")).unwrap_or(wanted).clone();
        let millis = in_millis(&wanted);
        hit.values(path).iter().any(|value| *value == wanted || *value == millis)
    };
    Ok(match name.as_str() {
        "match_all" => true,
        "term" | "match" => field().is_some_and(|(path, wanted)| has(path, wanted)),
        "terms" => field().is_some_and(|(path, wanted)| {
            wanted.as_array().into_iter().flatten().any(|wanted| has(path, wanted))
        }),
        "exists" => !hit.values(asked["field"].as_str().unwrap_or("")).is_empty(),
        "range" => field().is_some_and(|(path, bounds)| {
            let within = |value: &Value| {
                bounds.as_object().into_iter().flatten().all(|(bound, edge)| {
                    let order = order(value, &in_millis(edge));
                    match bound.as_str() {
                        "gte" => order.is_ge(),
                        "gt" => order.is_gt(),
                        "lte" => order.is_le(),
                        "lt" => order.is_lt(),
                        _ => true,
                    }
                })
            };
            hit.values(path).iter().any(within)
        }),
        "bool" => {
            for (occurrence, queries) in asked.as_object().into_iter().flatten() {
                let one = [queries.clone()];
                let queries = queries.as_array().map_or(one.as_slice(), Vec::as_slice);
                let met: Vec<bool> =
                    queries.iter().map(|query| is_for(query, hit)).collect::<Result<_, _>>()?;
                let holds = match occurrence.as_str() {
                    "must" | "filter" => met.iter().all(|met| *met),
                    "must_not" => !met.iter().any(|met| *met),
                    other => return Err(unknown("clause", other)),
                };
                if !holds {
                    return Ok(false);
                }
            }
            true
        }
        other => return Err(unknown("query", other)),
    })
}

fn hits<'a>(state: &'a State, asked: &Asked<'_>, body: &Value) -> Result<Vec<Hit<'a>>, ServiceError> {
    let mut found = Vec::new();
    for (name, index) in indices::resolve(state, asked.segment(0))? {
        for (id, document) in index.documents() {
            let hit = Hit {
                index: name,
                id,
                version: document.version,
                source: document.source,
                mapping: &index.mapping,
            };
            if is_for(&body["query"], &hit)? {
                found.push(hit);
            }
        }
    }
    Ok(found)
}

pub(super) fn count(state: &State, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    let count = hits(state, asked, &asked.json()?)?.len();
    let shards = indices::resolve(state, asked.segment(0))?.len();
    let shards = json!({ "total": shards, "successful": shards, "skipped": 0, "failed": 0 });
    Ok(json_reply(200, &json!({ "count": count, "_shards": shards })))
}

/// The fields to sort by, and whether downwards.
fn sorting(sort: &Value) -> Vec<(String, bool)> {
    let one = [sort.clone()];
    let fields = sort.as_array().map_or(one.as_slice(), Vec::as_slice);
    let parsed = fields.iter().filter_map(|field| match field {
        Value::String(name) => Some((name.clone(), false)),
        Value::Object(field) => {
            let (name, order) = field.iter().next()?;
            Some((name.clone(), *order == "desc" || order["order"] == "desc"))
        }
        _ => None,
    });
    parsed.collect()
}

pub(super) fn search(state: &State, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    let body = asked.json()?;
    let mut found = hits(state, asked, &body)?;
    let aggregations = match body.get("aggs").or_else(|| body.get("aggregations")) {
        Some(wanted) => aggregate(wanted, &found.iter().collect::<Vec<_>>())?,
        None => Value::Null,
    };
    let total = found.len();
    let sort = sorting(&body["sort"]);
    // What has no value comes last.
    let keys = |hit: &Hit<'_>| -> Vec<Value> {
        sort.iter().map(|(path, _)| hit.values(path).into_iter().next().unwrap_or(Value::Null)).collect()
    };
    let compare = |one: &[Value], two: &[Value]| {
        let each = sort.iter().zip(one.iter().zip(two)).map(|((_, down), (one, two))| {
            match (one.is_null(), two.is_null()) {
                (false, false) if *down => order(two, one),
                (false, false) => order(one, two),
                (one, two) => one.cmp(&two),
            }
        });
        each.fold(Ordering::Equal, Ordering::then)
    };
    found.sort_by(|one, two| compare(&keys(one), &keys(two)));
    if let Some(after) = body["search_after"].as_array() {
        let after: Vec<Value> = after.iter().map(in_millis).collect();
        found.retain(|hit| compare(&keys(hit), &after).is_gt());
    }
    let number = |name: &str, otherwise: u64| {
        let value = body[name].as_u64().or_else(|| asked.parameter(name)?.parse().ok()).unwrap_or(otherwise);
        usize::try_from(value).unwrap_or(usize::MAX)
    };
    let with_version = body["version"] == true || asked.flag("version");
    let shown = found.iter().skip(number("from", 0)).take(number("size", 10)).map(|hit| {
        let mut shown = json!({ "_index": hit.index, "_id": hit.id, "_source": hit.source });
        if with_version {
            shown["_version"] = json!(hit.version);
        }
        if !sort.is_empty() {
            shown["sort"] = Value::Array(keys(hit));
        }
        shown
    });
    let hits = json!({ "total": { "value": total, "relation": "eq" }, "hits": shown.collect::<Vec<_>>() });
    let mut answer = json!({ "took": 1, "timed_out": false, "hits": hits });
    if !aggregations.is_null() {
        answer["aggregations"] = aggregations;
    }
    Ok(json_reply(200, &answer))
}

fn aggregate(wanted: &Value, hits: &[&Hit<'_>]) -> Result<Value, ServiceError> {
    let mut results = Map::new();
    for (name, wanted) in wanted.as_object().into_iter().flatten() {
        let inner = wanted.get("aggs").or_else(|| wanted.get("aggregations"));
        let own = wanted.as_object().into_iter().flatten();
        let Some((kind, of)) =
            own.into_iter().find(|(key, _)| !matches!(key.as_str(), "aggs" | "aggregations"))
        else {
            continue;
        };
        let field = of["field"].as_str().unwrap_or("");
        let numbers = || hits.iter().flat_map(|hit| hit.number(field));
        let result = match kind.as_str() {
            "sum" => json!({ "value": numbers().sum::<f64>() }),
            "max" => json!({ "value": numbers().reduce(f64::max) }),
            "min" => json!({ "value": numbers().reduce(f64::min) }),
            "value_count" => {
                json!({ "value": hits.iter().map(|hit| hit.values(field).len()).sum::<usize>() })
            }
            "terms" => terms(field, of["size"].as_u64().unwrap_or(10), inner, hits)?,
            other => return Err(unknown("aggregation", other)),
        };
        results.insert(name.clone(), result);
    }
    Ok(Value::Object(results))
}

/// Buckets by value, the fullest first.
fn terms(field: &str, size: u64, inner: Option<&Value>, hits: &[&Hit<'_>]) -> Result<Value, ServiceError> {
    let mut buckets: Vec<(Value, Vec<&Hit<'_>>)> = Vec::new();
    for hit in hits {
        for value in hit.values(field) {
            match buckets.iter_mut().find(|(key, _)| *key == value) {
                Some((_, members)) => members.push(hit),
                None => buckets.push((value, vec![hit])),
            }
        }
    }
    buckets.sort_by(|one, two| two.1.len().cmp(&one.1.len()).then_with(|| order(&one.0, &two.0)));
    let kept = usize::try_from(size).unwrap_or(usize::MAX);
    let others: usize = buckets.iter().skip(kept).map(|(_, members)| members.len()).sum();
    let mut shown = Vec::new();
    for (key, members) in buckets.iter().take(kept) {
        let mut bucket = json!({ "key": key, "doc_count": members.len() });
        for (name, result) in inner
            .map(|inner| aggregate(inner, members))
            .transpose()?
            .as_ref()
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            bucket[name.as_str()] = result.clone();
        }
        shown.push(bucket);
    }
    Ok(json!({ "doc_count_error_upper_bound": 0, "sum_other_doc_count": others, "buckets": shown }))
}
