// SPDX-License-Identifier: Apache-2.0
//! Saved objects of Dashboards: imported from NDJSON, and read one by one.
//!
//! <https://github.com/opensearch-project/OpenSearch-Dashboards>, `src/core/server/saved_objects/routes/import.ts` and
//! `src/core/server/http/lifecycle_handlers.ts`

use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::reply::json_reply;
use super::{Asked, State};
use crate::reply::{Reply, ServiceError};

/// The types that OpenSearch 1, 2 and 3 all take, with the newest migration that Dashboards knows of each.
const TYPES: [(&str, [u32; 3]); 4] = [
    ("index-pattern", [7, 6, 0]),
    ("visualization", [7, 10, 0]),
    ("dashboard", [7, 9, 3]),
    ("search", [7, 9, 3]),
];

fn refused(status: u16, error: &str, message: &str) -> Reply {
    json_reply(status, &json!({ "statusCode": status, "error": error, "message": message }))
}

/// The name and the content of the file in the form's field `file`.
fn file<'a>(content_type: &str, body: &'a str) -> Option<(&'a str, &'a str)> {
    let boundary = content_type.split_once("boundary=")?.1.split(';').next()?.trim_matches('"');
    let part = body
        .split(&format!("--{boundary}"))
        .find(|part| part.contains("name=\"file\"") && part.contains("filename=\""))?;
    let (head, content) = part.split_once("\r\n\r\n")?;
    let name = head.split_once("filename=\"")?.1.split('"').next()?;
    Some((name, content.trim_end_matches("\r\n")))
}

fn version(text: &str) -> Vec<u32> {
    text.split('.').map(|part| part.parse().unwrap_or(u32::MAX)).collect()
}

/// The refusal of a request that a page of another site could send. Notes the tenant that it is for.
fn forged(state: &mut State, parts: &Parts) -> Option<Reply> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    if header("osd-xsrf").is_none() && header("osd-version") != Some(&state.version) {
        return Some(refused(400, "Bad Request", "Request must contain a osd-xsrf header."));
    }
    state.tenant = header("securitytenant").map(str::to_owned);
    None
}

pub(super) fn import(state: &mut State, parts: &Parts, asked: &Asked<'_>) -> Reply {
    if let Some(refused) = forged(state, parts) {
        return refused;
    }
    if !asked.content_type.starts_with("multipart/form-data") {
        return refused(415, "Unsupported Media Type", "Unsupported Media Type");
    }
    let (overwrite, copies) = (asked.flag("overwrite"), asked.flag("createNewCopies"));
    if overwrite && copies {
        let message = "[request query]: cannot use [overwrite] with [createNewCopies]";
        return refused(400, "Bad Request", message);
    }
    let body = String::from_utf8_lossy(&asked.body);
    let Some((name, content)) = file(asked.content_type, &body) else {
        let message = "[request body.file]: expected value of type [Stream] but got [undefined]";
        return refused(400, "Bad Request", message);
    };
    let extension = name.rfind('.').and_then(|dot| name.get(dot..)).unwrap_or("").to_lowercase();
    if extension != ".ndjson" {
        return refused(400, "Bad Request", &format!("Invalid file extension {extension}"));
    }
    let lines = content.lines().filter(|line| !line.trim().is_empty());
    let Ok(objects) = lines.map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>() else {
        return refused(400, "Bad Request", "Unexpected token in JSON");
    };
    // The last line of an export is a summary.
    let objects: Vec<Value> =
        objects.into_iter().filter(|object| object.get("exportedCount").is_none()).collect();
    if let Some(newer) = objects.iter().find_map(newer) {
        return refused(422, "Unprocessable Entity", &newer);
    }
    let (mut taken, mut errors) = (Vec::new(), Vec::new());
    for object in &objects {
        let text = |name: &str| object[name].as_str().unwrap_or("").to_owned();
        let (kind, id) = (text("type"), text("id"));
        let key = (kind.clone(), id.clone());
        let error = if !state.imports || !TYPES.iter().any(|(name, _)| *name == kind) {
            Some(json!({ "type": "unsupported_type" }))
        } else if let Some(missing) = missing(state, object, &objects) {
            Some(json!({ "type": "missing_references", "references": missing }))
        } else if !overwrite && state.saved_objects.contains_key(&key) {
            Some(json!({ "type": "conflict" }))
        } else {
            None
        };
        match error {
            Some(error) => errors.push(json!({ "type": kind, "id": id, "error": error })),
            None => {
                taken.push(json!({ "type": kind, "id": id }));
                state.saved_objects.insert(key, object.clone());
            }
        }
    }
    let mut answer = json!({ "success": errors.is_empty(), "successCount": taken.len() });
    if !errors.is_empty() {
        answer["errors"] = Value::Array(errors);
    }
    if !taken.is_empty() {
        answer["successResults"] = Value::Array(taken);
    }
    json_reply(200, &answer)
}

/// Creates the objects of a list, whatever they refer to.
pub(super) fn bulk_create(
    state: &mut State,
    parts: &Parts,
    asked: &Asked<'_>,
) -> Result<Reply, ServiceError> {
    if let Some(refused) = forged(state, parts) {
        return Ok(refused);
    }
    let (overwrite, body) = (asked.flag("overwrite"), asked.json()?);
    let objects = body.as_array().cloned().unwrap_or_default();
    if let Some(newer) = objects.iter().find_map(newer) {
        return Ok(refused(422, "Unprocessable Entity", &newer));
    }
    let create = |object: Value| {
        let key = |name: &str| object[name].as_str().unwrap_or("").to_owned();
        let key = (key("type"), key("id"));
        if !overwrite && state.saved_objects.contains_key(&key) {
            let error = json!({ "statusCode": 409, "error": "Conflict", "message": "Saved object conflict" });
            return json!({ "type": key.0, "id": key.1, "error": error });
        }
        state.saved_objects.insert(key, object.clone());
        object
    };
    let created: Vec<Value> = objects.into_iter().map(create).collect();
    Ok(json_reply(200, &json!({ "saved_objects": created })))
}

/// What is said of an object that a newer Dashboards wrote.
fn newer(object: &Value) -> Option<String> {
    let kind = object["type"].as_str()?;
    let (_, known) = TYPES.iter().find(|(name, _)| *name == kind)?;
    let given = object["migrationVersion"][kind].as_str()?;
    (version(given) > known.to_vec()).then(|| {
        let known = known.map(|part| part.to_string()).join(".");
        format!(
            "Document \"{}\" has property \"{kind}\" which belongs to a more recent version of OpenSearch Dashboards \
             [{given}]. The last known version is [{known}]",
            object["id"].as_str().unwrap_or("")
        )
    })
}

/// The index patterns and searches that an object refers to, and that are neither there nor imported with it.
fn missing(state: &State, object: &Value, imported: &[Value]) -> Option<Vec<Value>> {
    let missing: Vec<Value> = object["references"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|reference| matches!(reference["type"].as_str(), Some("index-pattern" | "search")))
        .filter(|reference| {
            let same =
                |object: &Value| object["type"] == reference["type"] && object["id"] == reference["id"];
            let key = |name: &str| reference[name].as_str().unwrap_or("").to_owned();
            !imported.iter().any(same) && !state.saved_objects.contains_key(&(key("type"), key("id")))
        })
        .map(|reference| json!({ "type": reference["type"], "id": reference["id"] }))
        .collect();
    (!missing.is_empty()).then_some(missing)
}

pub(super) fn get(state: &State, asked: &Asked<'_>) -> Reply {
    let (kind, id) = (asked.segment(2), asked.segment(3));
    match state.saved_objects.get(&(kind.to_owned(), id.to_owned())) {
        Some(object) => json_reply(200, object),
        None => refused(404, "Not Found", &format!("Saved object [{kind}/{id}] not found")),
    }
}
