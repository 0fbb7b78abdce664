// SPDX-License-Identifier: Apache-2.0
//! `_bulk`: lines of actions and documents in, a status for each out.

use serde_json::{Map, Value, json};

use super::reply::{error, json_reply};
use super::{Asked, Collection, State, indices, mapping};
use crate::faults::{Armed, Effect};
use crate::gateway::Call;
use crate::reply::{Reply, ServiceError};
use crate::world::World;

const PARAMETERS: [&str; 9] = [
    "_index",
    "_id",
    "routing",
    "version",
    "version_type",
    "if_seq_no",
    "if_primary_term",
    "pipeline",
    "require_alias",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Index,
    Create,
    Delete,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Delete => "delete",
        }
    }
}

struct Action {
    kind: Kind,
    index: String,
    id: Option<String>,
    version: Option<u64>,
    /// Whether an equal version is taken.
    or_equal: bool,
    source: Vec<u8>,
}

/// Why an item fails: status, type, reason.
type Failure = (u16, String, String);

pub(super) fn serve(
    world: &World,
    state: &mut State,
    call: &mut Call,
    asked: &Asked<'_>,
) -> Result<Reply, ServiceError> {
    let kind = asked.content_type.split(';').next().unwrap_or("").trim();
    if !matches!(kind, "application/json" | "application/x-ndjson") {
        let reason = format!("Content-Type header [{kind}] is not supported");
        return Ok(json_reply(406, &json!({ "error": reason, "status": 406 })));
    }
    if asked.body.is_empty() {
        return Err(error(400, "parse_exception", "request body is required"));
    }
    let actions = actions(asked)?;
    call.items = actions.len();
    let faults = world.faults.content(&call.target());
    let mut items = Vec::with_capacity(actions.len());
    let mut errors = false;
    for (place, action) in actions.into_iter().enumerate() {
        let kind = action.kind.name();
        let id =
            action.id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string()[..20].to_owned());
        let index = action.index.clone();
        let done = match struck(&faults, place) {
            Some(failure) => Err(failure),
            None => carry_out(world, state, &action, &id),
        };
        let mut item = json!({ "_index": index, "_id": id });
        match done {
            Ok((status, result, version)) => {
                item["_version"] = json!(version);
                item["result"] = json!(result);
                item["status"] = json!(status);
            }
            Err((status, kind, reason)) => {
                errors = true;
                item["status"] = json!(status);
                item["error"] = json!({ "type": kind, "reason": reason });
            }
        }
        items.push(json!({ kind: item }));
    }
    Ok(json_reply(200, &json!({ "took": 1, "errors": errors, "items": items })))
}

/// What a fault answers for the item at this place.
fn struck(faults: &[std::sync::Arc<Armed>], place: usize) -> Option<Failure> {
    faults.iter().find_map(|fault| match fault.effect() {
        Effect::FailItems { status, kind, reason, places } if places.contains(&place) && fault.strikes() => {
            Some((*status, kind.clone(), reason.clone()))
        }
        _ => None,
    })
}

/// The actions of a body; a fault in any of them refuses all.
fn actions(asked: &Asked<'_>) -> Result<Vec<Action>, ServiceError> {
    let illegal = |reason: String| error(400, "illegal_argument_exception", reason);
    if asked.body.last() != Some(&b'\n') {
        return Err(illegal("The bulk request must be terminated by a newline [\\n]".to_owned()));
    }
    let in_path = (asked.segments.len() == 2).then(|| asked.segment(0).to_owned());
    let mut lines = asked.body.split(|byte| *byte == b'\n').enumerate();
    let mut actions = Vec::new();
    while let Some((place, line)) = lines.next() {
        let number = place + 1;
        if line.is_empty() {
            continue;
        }
        let malformed = |found: &str| {
            illegal(format!(
                "Malformed action/metadata line [{number}], expected one of [create, delete, index, update] but found [{found}]"
            ))
        };
        let line: Value = serde_json::from_slice(line)
            .map_err(|fault| error(400, "json_parse_exception", format!("{fault}")))?;
        let (name, meta) =
            line.as_object().and_then(|line| line.iter().next()).ok_or_else(|| malformed("VALUE"))?;
        let kind = match name.as_str() {
            "index" => Kind::Index,
            "create" => Kind::Create,
            "delete" => Kind::Delete,
            other => return Err(malformed(other)),
        };
        if let Some((key, _)) =
            meta.as_object().into_iter().flatten().find(|(key, _)| !PARAMETERS.contains(&key.as_str()))
        {
            return Err(illegal(format!(
                "Action/metadata line [{number}] contains an unknown parameter [{key}]"
            )));
        }
        let source = if kind == Kind::Delete {
            Vec::new()
        } else {
            lines.next().map_or(Vec::new(), |(_, line)| line.to_vec())
        };
        actions.push(action(kind, meta, in_path.as_deref(), source)?);
    }
    if actions.is_empty() {
        return Err(invalid("no requests added"));
    }
    Ok(actions)
}

fn invalid(reason: &str) -> ServiceError {
    error(400, "action_request_validation_exception", format!("Validation Failed: 1: {reason};"))
}

fn action(kind: Kind, meta: &Value, in_path: Option<&str>, source: Vec<u8>) -> Result<Action, ServiceError> {
    let index = meta["_index"].as_str().or(in_path).ok_or_else(|| invalid("index is missing"))?.to_owned();
    let id = meta["_id"].as_str().map(str::to_owned);
    if let Some(id) = id.as_ref().filter(|id| id.len() > 512) {
        return Err(invalid(&format!(
            "id [{id}] is too long, must be no longer than 512 bytes but was: {}",
            id.len()
        )));
    }
    let version = meta["version"].as_u64();
    let or_equal = match meta["version_type"].as_str().unwrap_or("internal") {
        "internal" if version.is_some() => {
            return Err(invalid(
                "internal versioning can not be used for optimistic concurrency control. Please use `if_seq_no` and \
                 `if_primary_term` instead",
            ));
        }
        "external_gte" => true,
        _ => false,
    };
    if kind == Kind::Create && version.is_some() {
        return Err(invalid("create operations only support internal versioning. use index instead"));
    }
    Ok(Action { kind, index, id, version, or_equal, source })
}

fn carry_out(
    world: &World,
    state: &mut State,
    action: &Action,
    id: &str,
) -> Result<(u16, &'static str, u64), Failure> {
    let failure =
        |fault: ServiceError| (fault.status.as_u16(), fault.code.clone().into_owned(), fault.message.clone());
    if state.collection == Some(Collection::TimeSeries) && action.id.is_some() {
        let reason = "Document ID is not supported in create/index operation request";
        return Err((400, "illegal_argument_exception".to_owned(), reason.to_owned()));
    }
    if !state.indices.contains_key(&action.index) {
        if !state.creates_indices {
            return Err(failure(indices::missing(&action.index)));
        }
        indices::make(world, state, &action.index, &Value::Null).map_err(failure)?;
    }
    let index =
        state.indices.get_mut(&action.index).ok_or_else(|| failure(indices::missing(&action.index)))?;
    let source = if action.kind == Kind::Delete {
        None
    } else {
        let source: Map<String, Value> = serde_json::from_slice(&action.source)
            .map_err(|_| (400, "mapper_parsing_exception".to_owned(), "failed to parse".to_owned()))?;
        mapping::take(&mut index.mapping, id, &source)
            .map_err(|(kind, reason)| (400, kind.to_owned(), reason))?;
        Some(Value::Object(source))
    };
    let before = index.version(id);
    let version = next_version(action, id, before).map_err(failure)?;
    let deletes = source.is_none();
    index.store(id, version, source);
    Ok(match (deletes, before.is_some_and(|(_, there)| there)) {
        (true, true) => (200, "deleted", version),
        (true, false) => (404, "not_found", version),
        (false, true) => (200, "updated", version),
        (false, false) => (201, "created", version),
    })
}

/// The version that a document gets, or the conflict with the one it has, which outlives the document.
fn next_version(action: &Action, id: &str, before: Option<(u64, bool)>) -> Result<u64, ServiceError> {
    let conflict = |what: String| {
        error(409, "version_conflict_engine_exception", format!("[{id}]: version conflict, {what}"))
    };
    let (current, there) = before.unwrap_or((0, false));
    if action.kind == Kind::Create && there {
        return Err(conflict(format!("document already exists (current version [{current}])")));
    }
    let Some(version) = action.version else {
        return Ok(current + 1);
    };
    let higher = if action.or_equal { current > version } else { current >= version };
    if before.is_some() && higher {
        let than = if action.or_equal { "is higher than" } else { "is higher or equal to" };
        return Err(conflict(format!("current version [{current}] {than} the one provided [{version}]")));
    }
    Ok(version)
}
