// SPDX-License-Identifier: Apache-2.0
//! Templates, indices and their documents.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::mapping;
use super::reply::{error, json_reply};
use super::{Asked, State};
use crate::gateway::Call;
use crate::reply::{Reply, ServiceError};
use crate::world::World;

/// A document, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub version: u64,
    pub source: Value,
}

pub(super) struct Template {
    pub(super) body: Value,
}

impl Template {
    fn patterns(&self) -> impl Iterator<Item = &str> {
        let patterns = &self.body["index_patterns"];
        let many = patterns.as_array().into_iter().flatten().filter_map(Value::as_str);
        many.chain(patterns.as_str())
    }

    fn priority(&self) -> u64 {
        self.body["priority"].as_u64().unwrap_or(0)
    }
}

pub(super) struct Index {
    pub(super) mapping: Value,
    settings: Value,
    pub(super) created_millis: i64,
    pub(super) uuid: String,
    /// Of a deleted document the version is kept.
    stored: BTreeMap<String, (u64, Option<Value>)>,
}

impl Index {
    pub(super) fn documents(&self) -> BTreeMap<String, Document> {
        let there = self.stored.iter().filter_map(|(id, (version, source))| {
            Some((id.clone(), Document { version: *version, source: source.clone()? }))
        });
        there.collect()
    }

    /// The version of a document, and whether it is there rather than deleted.
    pub(super) fn version(&self, id: &str) -> Option<(u64, bool)> {
        self.stored.get(id).map(|(version, source)| (*version, source.is_some()))
    }

    pub(super) fn store(&mut self, id: &str, version: u64, source: Option<Value>) {
        self.stored.insert(id.to_owned(), (version, source));
    }
}

pub(super) fn missing(name: &str) -> ServiceError {
    error(404, "index_not_found_exception", format!("no such index [{name}]"))
}

/// Whether a name is one that a pattern with `*` means.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len()).any(|cut| tail.get(cut..).is_some_and(|tail| matches(rest, tail)))
        }),
    }
}

/// The indices that an expression names: names and patterns, parted by commas. A name without an index is an error.
pub(super) fn resolve<'a>(
    state: &'a State,
    expression: &str,
) -> Result<Vec<(&'a String, &'a Index)>, ServiceError> {
    let expression = if matches!(expression, "" | "_all") { "*" } else { expression };
    let mut found = BTreeMap::new();
    for part in expression.split(',') {
        let before = found.len();
        found.extend(state.indices.iter().filter(|(name, _)| matches(part, name)));
        if found.len() == before && !part.contains('*') && !found.keys().any(|name| *name == part) {
            return Err(missing(part));
        }
    }
    Ok(found.into_iter().collect())
}

/// Settings as they are shown: below `index`, and all as text.
fn normal_settings(settings: &Value) -> Value {
    let mut normal = Map::new();
    for (name, value) in settings.as_object().into_iter().flatten() {
        let inner = if name == "index" { value.as_object().cloned() } else { None };
        let given = inner.unwrap_or_else(|| {
            let name = name.strip_prefix("index.").unwrap_or(name).to_owned();
            Map::from_iter([(name, value.clone())])
        });
        for (name, value) in given {
            let text = if value.is_object() || value.is_string() { value } else { json!(value.to_string()) };
            normal.insert(name, text);
        }
    }
    json!({ "index": normal })
}

pub(super) fn put_template(state: &mut State, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    const KEYS: [&str; 7] =
        ["index_patterns", "template", "priority", "composed_of", "version", "_meta", "data_stream"];
    let (name, mut body) = (asked.segment(1).to_owned(), asked.json()?);
    let unknown = body
        .as_object()
        .into_iter()
        .flatten()
        .find(|(key, _)| !KEYS.contains(&key.as_str()))
        .map(|(key, _)| key);
    if let Some(key) = unknown {
        return Err(error(
            400,
            "x_content_parse_exception",
            format!("[index_template] unknown field [{key}]"),
        ));
    }
    if mapping::unknown_type(&body["template"]["mappings"]).is_some() {
        let reason = format!("composable template [{name}] template after composition is invalid");
        return Err(error(400, "illegal_argument_exception", reason));
    }
    if body["template"].get("settings").is_some() {
        body["template"]["settings"] = normal_settings(&body["template"]["settings"]);
    }
    let template = Template { body };
    for (other, existing) in state.templates.iter().filter(|(other, _)| **other != name) {
        let shared = existing.priority() == template.priority()
            && existing
                .patterns()
                .any(|one| template.patterns().any(|two| matches(one, two) || matches(two, one)));
        if shared {
            let reason = format!(
                "index template [{name}] has index patterns matching patterns from existing templates [{other}] that \
                 have the same priority [{}], multiple index templates may not match during index creation, please \
                 use a different priority",
                template.priority()
            );
            return Err(error(400, "illegal_argument_exception", reason));
        }
    }
    state.templates.insert(name, template);
    Ok(json_reply(200, &json!({ "acknowledged": true })))
}

pub(super) fn get_template(state: &State, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    let pattern = asked.segment(1);
    let found: Vec<Value> = state
        .templates
        .iter()
        .filter(|(name, _)| matches(pattern, name))
        .map(|(name, template)| json!({ "name": name, "index_template": template.body }))
        .collect();
    if found.is_empty() && !pattern.contains('*') {
        let reason = format!("index template matching [{pattern}] not found");
        return Err(error(404, "resource_not_found_exception", reason));
    }
    Ok(json_reply(200, &json!({ "index_templates": found })))
}

pub(super) fn delete_template(state: &mut State, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    let name = asked.segment(1);
    if state.templates.remove(name).is_none() {
        let reason = format!("index_template [{name}] missing");
        return Err(error(404, "index_template_missing_exception", reason));
    }
    Ok(json_reply(200, &json!({ "acknowledged": true })))
}

/// Makes an index from the template of the highest priority that is for it.
pub(super) fn make(world: &World, state: &mut State, name: &str, body: &Value) -> Result<(), ServiceError> {
    let refusal = if name.chars().any(char::is_uppercase) {
        Some("must be lowercase".to_owned())
    } else {
        ['_', '-', '+']
            .iter()
            .find(|start| name.starts_with(**start))
            .map(|start| format!("must not start with '{start}'."))
    };
    if let Some(refusal) = refusal {
        let reason = format!("Invalid index name [{name}], {refusal}");
        return Err(error(400, "invalid_index_name_exception", reason));
    }
    let template = state
        .templates
        .values()
        .filter(|template| template.patterns().any(|pattern| matches(pattern, name)))
        .max_by_key(|template| template.priority())
        .map_or(Value::Null, |template| template.body["template"].clone());
    let mut settings = normal_settings(&template["settings"]);
    let own = normal_settings(&body["settings"]);
    for (key, value) in own["index"].as_object().into_iter().flatten() {
        settings["index"][key.as_str()] = value.clone();
    }
    let mut mapping = template["mappings"].clone();
    for (key, value) in body["mappings"].as_object().into_iter().flatten() {
        mapping[key.as_str()] = value.clone();
    }
    let created_millis = world.now().timestamp_millis();
    let uuid = uuid::Uuid::new_v4().simple().to_string();
    settings["index"]["creation_date"] = json!(created_millis.to_string());
    settings["index"]["provided_name"] = json!(name);
    settings["index"]["uuid"] = json!(uuid);
    let mapping = if mapping.is_object() { mapping } else { json!({}) };
    let index = Index { mapping, settings, created_millis, uuid, stored: BTreeMap::new() };
    state.indices.insert(name.to_owned(), index);
    Ok(())
}

pub(super) fn create(world: &World, state: &mut State, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    let name = asked.segment(0).to_owned();
    if let Some(index) = state.indices.get(&name) {
        let reason = format!("index [{name}/{}] already exists", index.uuid);
        return Err(error(400, "resource_already_exists_exception", reason));
    }
    make(world, state, &name, &asked.json()?)?;
    Ok(json_reply(200, &json!({ "acknowledged": true, "shards_acknowledged": true, "index": name })))
}

pub(super) fn delete(state: &mut State, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    let names: Vec<String> =
        resolve(state, asked.segment(0))?.into_iter().map(|(name, _)| name.clone()).collect();
    state.indices.retain(|name, _| !names.contains(name));
    Ok(json_reply(200, &json!({ "acknowledged": true })))
}

/// What is known of indices: all of it, their mappings or their settings.
pub(super) fn show(state: &State, call: &Call, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    let mut shown = Map::new();
    for (name, index) in resolve(state, asked.segment(0))? {
        let mut all = Map::new();
        if call.operation == "GetIndex" {
            all.insert("aliases".to_owned(), json!({}));
        }
        if call.operation != "GetSettings" {
            all.insert("mappings".to_owned(), index.mapping.clone());
        }
        if call.operation != "GetMapping" {
            all.insert("settings".to_owned(), index.settings.clone());
        }
        shown.insert(name.clone(), Value::Object(all));
    }
    Ok(json_reply(200, &Value::Object(shown)))
}

pub(super) fn put_mapping(state: &mut State, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    let body = asked.json()?;
    if let Some((name, kind)) = mapping::unknown_type(&body) {
        let reason = format!("No handler for type [{kind}] declared on field [{name}]");
        return Err(error(400, "mapper_parsing_exception", reason));
    }
    let names: Vec<String> =
        resolve(state, asked.segment(0))?.into_iter().map(|(name, _)| name.clone()).collect();
    for (_, index) in state.indices.iter_mut().filter(|(name, _)| names.contains(name)) {
        for (name, field) in body["properties"].as_object().into_iter().flatten() {
            let (before, now) = (index.mapping["properties"][name.as_str()]["type"].clone(), &field["type"]);
            if !before.is_null() && before != *now {
                let (before, now) = (before.as_str().unwrap_or(""), now.as_str().unwrap_or(""));
                let reason = format!("mapper [{name}] cannot be changed from type [{before}] to [{now}]");
                return Err(error(400, "illegal_argument_exception", reason));
            }
            index.mapping["properties"][name.as_str()] = field.clone();
        }
        for (key, value) in body.as_object().into_iter().flatten().filter(|(key, _)| *key != "properties") {
            index.mapping[key.as_str()] = value.clone();
        }
    }
    Ok(json_reply(200, &json!({ "acknowledged": true })))
}

pub(super) fn refresh(state: &State, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    let shards = resolve(state, asked.segment(0))?.len();
    Ok(json_reply(200, &json!({ "_shards": { "total": shards, "successful": shards, "failed": 0 } })))
}

/// One of the columns that `_cat/indices` has, and that are asked for by `h`.
fn column(name: &str, index: &Index, column: &str) -> Option<String> {
    let setting =
        |key: &str, otherwise: &str| index.settings["index"][key].as_str().unwrap_or(otherwise).to_owned();
    Some(match column {
        "health" => "green".to_owned(),
        "status" => "open".to_owned(),
        "index" => name.to_owned(),
        "uuid" => index.uuid.clone(),
        "pri" => setting("number_of_shards", "1"),
        "rep" => setting("number_of_replicas", "0"),
        "docs.count" => index.documents().len().to_string(),
        "docs.deleted" => (index.stored.len() - index.documents().len()).to_string(),
        "creation.date" => index.created_millis.to_string(),
        _ => return None,
    })
}

pub(super) fn cat(state: &State, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    if asked.parameter("format") != Some("json") {
        return Err(error(
            400,
            "illegal_argument_exception",
            "local-aws gives _cat/indices with format=json only",
        ));
    }
    let columns = asked.parameter("h").unwrap_or("health,status,index,uuid,pri,rep,docs.count,docs.deleted");
    let rows = resolve(state, asked.segment(2))?.into_iter().map(|(name, index)| {
        let cells =
            columns.split(',').filter_map(|key| Some((key.to_owned(), json!(column(name, index, key)?))));
        Value::Object(cells.collect())
    });
    Ok(json_reply(200, &Value::Array(rows.collect())))
}

pub(super) fn document(state: &State, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    let (name, id) = (asked.segment(0), asked.segment(2));
    let index = state.indices.get(name).ok_or_else(|| missing(name))?;
    Ok(match index.stored.get(id) {
        Some((version, Some(source))) => json_reply(
            200,
            &json!({ "_index": name, "_id": id, "_version": version, "found": true, "_source": source }),
        ),
        _ => json_reply(404, &json!({ "_index": name, "_id": id, "found": false })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_stars_anywhere() {
        for (pattern, name, matching) in [
            ("fleet-*", "fleet-lambda-2026.11", true),
            ("fleet-*-2026.*", "fleet-lambda-2026.11", true),
            ("*", "", true),
            ("fleet-*", "fleet", false),
            ("fleet", "fleet-a", false),
            ("*-b", "a-b-c", false),
        ] {
            assert_eq!(matches(pattern, name), matching, "{pattern} {name}");
        }
    }
}
