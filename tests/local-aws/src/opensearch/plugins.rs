// SPDX-License-Identifier: Apache-2.0
//! Monitors, notification channels and role mappings, kept as documents. What would be alerted on is not computed.
//!
//! Alerting: <https://github.com/opensearch-project/alerting>, `RestIndexMonitorAction`, `TransportSearchMonitorAction`.
//! Notifications: <https://github.com/opensearch-project/notifications>, `NotificationConfigRestHandler`.

use serde_json::{Value, json};

use super::reply::{error, json_reply};
use super::{Asked, State};
use crate::reply::{Reply, ServiceError};
use crate::world::World;

pub(super) struct Monitor {
    version: u64,
    pub(super) body: Value,
}

/// The trigger that each kind of monitor has.
const TRIGGERS: [(&str, &str); 4] = [
    ("query_level_monitor", "query_level_trigger"),
    ("bucket_level_monitor", "bucket_level_trigger"),
    ("cluster_metrics_monitor", "query_level_trigger"),
    ("doc_level_monitor", "document_level_trigger"),
];

/// A monitor as alerting stores it, with what it adds; an error if it is none.
fn monitor(world: &World, asked: &Asked<'_>) -> Result<Value, ServiceError> {
    let mut body = asked.json()?;
    let invalid = |reason: String| error(400, "alerting_exception", reason);
    if body["name"].as_str().is_none_or(str::is_empty) {
        return Err(invalid("Monitor name is null".to_owned()));
    }
    if body["schedule"].is_null() {
        return Err(invalid("Monitor schedule is null".to_owned()));
    }
    let kind = body["monitor_type"].as_str().unwrap_or("query_level_monitor").to_owned();
    let Some((_, trigger)) = TRIGGERS.iter().find(|(name, _)| *name == kind) else {
        return Err(invalid(format!("Monitor type, {kind}, is not supported")));
    };
    for given in body["triggers"].as_array().into_iter().flatten() {
        if given.get(trigger).is_none() {
            let given = given.as_object().and_then(|given| given.keys().next()).map_or("", String::as_str);
            return Err(invalid(format!("Illegal trigger type, {given}, for {}", kind.replace('_', " "))));
        }
    }
    for input in body["inputs"].as_array_mut().into_iter().flatten() {
        complete(&mut input["search"]["query"]);
    }
    body["schema_version"] = json!(8);
    body["type"] = json!("monitor");
    body["monitor_type"] = json!(kind);
    body["last_update_time"] = json!(world.now().timestamp_millis());
    Ok(body)
}

/// Adds to a search what the plugin shows of it besides: the defaults of queries and of composite aggregations.
fn complete(value: &mut Value) {
    match value {
        Value::Object(all) => {
            for (key, inner) in all.iter_mut() {
                match (key.as_str(), inner) {
                    ("bool", Value::Object(query)) => {
                        query.insert("adjust_pure_negative".to_owned(), json!(true));
                        query.insert("boost".to_owned(), json!(1.0));
                        query.values_mut().for_each(complete);
                    }
                    ("range" | "term", Value::Object(fields)) => {
                        for field in fields.values_mut().filter_map(Value::as_object_mut) {
                            field.insert("boost".to_owned(), json!(1.0));
                        }
                    }
                    ("sources", Value::Array(sources)) => {
                        for source in sources.iter_mut().filter_map(Value::as_object_mut) {
                            for terms in
                                source.values_mut().filter_map(|source| source["terms"].as_object_mut())
                            {
                                terms.insert("missing_bucket".to_owned(), json!(false));
                                terms.insert("order".to_owned(), json!("asc"));
                            }
                        }
                    }
                    (_, inner) => complete(inner),
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(complete),
        _ => {}
    }
}

fn shown(id: &str, monitor: &Monitor) -> Value {
    json!({ "_id": id, "_version": monitor.version, "_seq_no": 0, "_primary_term": 1, "monitor": monitor.body })
}

pub(super) fn create_monitor(
    world: &World,
    state: &mut State,
    asked: &Asked<'_>,
) -> Result<Reply, ServiceError> {
    let monitor = Monitor { version: 1, body: monitor(world, asked)? };
    let id = uuid::Uuid::new_v4().simple().to_string();
    let reply = json_reply(201, &shown(&id, &monitor));
    state.monitors.insert(id, monitor);
    Ok(reply)
}

fn no_monitor() -> ServiceError {
    error(404, "alerting_exception", "Monitor not found.")
}

pub(super) fn update_monitor(
    world: &World,
    state: &mut State,
    asked: &Asked<'_>,
) -> Result<Reply, ServiceError> {
    let (id, body) = (asked.segment(3), monitor(world, asked)?);
    let existing = state.monitors.get_mut(id).ok_or_else(no_monitor)?;
    *existing = Monitor { version: existing.version + 1, body };
    Ok(json_reply(200, &shown(id, existing)))
}

pub(super) fn get_monitor(state: &State, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    let id = asked.segment(3);
    Ok(json_reply(200, &shown(id, state.monitors.get(id).ok_or_else(no_monitor)?)))
}

/// By name. Before there was a first monitor there is no index to search.
pub(super) fn search_monitors(state: &State, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    if state.monitors.is_empty() {
        let reason = "Configured indices are not found: [.opendistro-alerting-config]";
        return Err(error(404, "alerting_exception", reason));
    }
    let body = asked.json()?;
    let query = body["query"].as_object().and_then(|query| query.iter().next());
    let name = match query {
        None => None,
        Some((kind, _)) if kind == "match_all" => None,
        Some((kind, asked)) if matches!(kind.as_str(), "term" | "match" | "match_phrase") => {
            let (path, wanted) =
                asked.as_object().and_then(|asked| asked.iter().next()).ok_or_else(|| unknown(kind))?;
            if !matches!(path.as_str(), "monitor.name.keyword" | "monitor.name") {
                return Err(unknown(path));
            }
            wanted.get("value").or_else(|| wanted.get("query")).unwrap_or(wanted).as_str().map(str::to_owned)
        }
        Some((kind, _)) => return Err(unknown(kind)),
    };
    let found = state.monitors.iter().filter(|(_, monitor)| {
        name.as_ref().is_none_or(|name| monitor.body["name"].as_str() == Some(name.as_str()))
    });
    let size = usize::try_from(body["size"].as_u64().unwrap_or(10)).unwrap_or(usize::MAX);
    let hits: Vec<Value> = found
        .map(|(id, monitor)| {
            json!({
                "_index": ".opendistro-alerting-config",
                "_id": id,
                "_version": monitor.version,
                "_seq_no": 0,
                "_primary_term": 1,
                "_source": monitor.body,
            })
        })
        .collect();
    let total = json!({ "value": hits.len(), "relation": "eq" });
    let hits: Vec<Value> = hits.into_iter().take(size).collect();
    Ok(json_reply(200, &json!({ "took": 1, "timed_out": false, "hits": { "total": total, "hits": hits } })))
}

fn unknown(what: &str) -> ServiceError {
    error(
        400,
        "parsing_exception",
        format!("local-aws searches monitors by monitor.name only, not by [{what}]"),
    )
}

/// The body of a channel; its name, type and whether it is enabled are needed.
fn channel(asked: &Asked<'_>) -> Result<Value, ServiceError> {
    let body = asked.json()?;
    let config = &body["config"];
    let kind = config["config_type"].as_str().unwrap_or("");
    if config["name"].as_str().is_none_or(str::is_empty) || config.get(kind).is_none() {
        return Err(error(
            400,
            "illegal_argument_exception",
            "config name, config_type and its settings are needed",
        ));
    }
    Ok(body)
}

/// A channel may be given its id.
pub(super) fn create_channel(state: &mut State, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    let body = channel(asked)?;
    let id =
        body["config_id"].as_str().map_or_else(|| uuid::Uuid::new_v4().simple().to_string(), str::to_owned);
    if state.channels.contains_key(&id) {
        return Err(error(
            409,
            "version_conflict_engine_exception",
            format!("[{id}]: version conflict, document already exists"),
        ));
    }
    state.channels.insert(id.clone(), body["config"].clone());
    Ok(json_reply(200, &json!({ "config_id": id })))
}

fn no_channel(id: &str) -> ServiceError {
    error(404, "status_exception", format!("NotificationConfig {id} not found"))
}

pub(super) fn update_channel(state: &mut State, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    let (id, body) = (asked.segment(3), channel(asked)?);
    *state.channels.get_mut(id).ok_or_else(|| no_channel(id))? = body["config"].clone();
    Ok(json_reply(200, &json!({ "config_id": id })))
}

pub(super) fn get_channel(state: &State, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    let id = asked.segment(3);
    let config = state.channels.get(id).ok_or_else(|| no_channel(id))?;
    let list = json!([{ "config_id": id, "config": config }]);
    Ok(json_reply(200, &json!({ "start_index": 0, "total_hits": 1, "config_list": list })))
}

pub(super) fn put_role_mapping(state: &mut State, asked: &Asked<'_>) -> Result<Reply, ServiceError> {
    let (role, body) = (asked.segment(4).to_owned(), asked.json()?);
    let before = state.role_mappings.insert(role.clone(), body).is_some();
    let (status, code, word) = if before { ("OK", 200, "updated") } else { ("CREATED", 201, "created") };
    Ok(json_reply(code, &json!({ "status": status, "message": format!("'{role}' {word}.") })))
}

pub(super) fn get_role_mapping(state: &State, asked: &Asked<'_>) -> Reply {
    let role = asked.segment(4);
    match state.role_mappings.get(role) {
        Some(mapping) => json_reply(200, &json!({ role: mapping })),
        None => {
            let message = format!("Resource '{role}' not found.");
            json_reply(404, &json!({ "status": "NOT_FOUND", "message": message }))
        }
    }
}
