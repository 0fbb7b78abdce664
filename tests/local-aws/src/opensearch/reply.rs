// SPDX-License-Identifier: Apache-2.0
//! Answers in OpenSearch's words, and `filter_path`.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::reply::{Reply, ServiceError};

pub(super) fn json_reply(status: u16, body: &Value) -> Reply {
    let mut reply = Response::new(Bytes::from(body.to_string()));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json; charset=UTF-8");
    reply.headers_mut().insert(CONTENT_TYPE, json);
    reply
}

pub(super) fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(Bytes::new());
    *reply.status_mut() = status;
    reply
}

/// An error with a type and a reason.
pub(super) fn error(status: u16, kind: &'static str, reason: impl Into<String>) -> ServiceError {
    ServiceError::new(kind, reason).status(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST))
}

/// An error as OpenSearch writes it.
pub(crate) fn error_reply(error: &ServiceError) -> Reply {
    let cause = json!({ "type": error.code, "reason": error.message });
    let mut whole = cause.clone();
    whole["root_cause"] = json!([cause]);
    json_reply(error.status.as_u16(), &json!({ "error": whole, "status": error.status.as_u16() }))
}

pub(super) fn no_handler(parts: &Parts) -> Reply {
    let error = format!("no handler found for uri [{}] and method [{}]", parts.uri, parts.method);
    json_reply(400, &json!({ "error": error }))
}

/// Only what one of the paths names, such as `items.*.status`.
pub(super) fn filtered(reply: Reply, paths: &str) -> Reply {
    let Ok(body) = serde_json::from_slice::<Value>(reply.body()) else { return reply };
    let paths: Vec<Vec<&str>> = paths.split(',').map(|path| path.split('.').collect()).collect();
    let paths: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
    json_reply(reply.status().as_u16(), &filter(&body, &paths).unwrap_or_else(|| json!({})))
}

fn filter(value: &Value, paths: &[&[&str]]) -> Option<Value> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(value.clone());
    }
    match value {
        Value::Array(all) => {
            let kept: Vec<Value> = all.iter().filter_map(|one| filter(one, paths)).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        Value::Object(all) => {
            let mut kept = Map::new();
            for (name, value) in all {
                let inner: Vec<&[&str]> = paths
                    .iter()
                    .filter(|path| path[0] == "*" || path[0] == name)
                    .map(|path| &path[1..])
                    .collect();
                if let Some(value) = filter(value, &inner) {
                    kept.insert(name.clone(), value);
                }
            }
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_keeps_what_a_path_names() {
        let body = json!({ "took": 1, "errors": true, "items": [{ "index": { "_id": "1", "status": 200 } }, { "x": 1 }] });
        let reply = filtered(json_reply(200, &body), "errors,items.*.status");
        let kept: Value = serde_json::from_slice(reply.body()).expect("JSON");
        assert_eq!(kept, json!({ "errors": true, "items": [{ "index": { "status": 200 } }] }));
    }
}
