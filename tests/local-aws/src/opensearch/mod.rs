// SPDX-License-Identifier: Apache-2.0
//! An OpenSearch on a port of its own: what a sink needs of it, with the answers of 2.19 and 3.9.
//!
//! `tests/e2e/tests/opensearch/` holds indices, `_bulk` and searches to real nodes of both versions. Signatures,
//! Serverless, alerting, notifications, roles and saved objects can't be run there: they follow what AWS documents, and
//! the sources of the plugins and of Dashboards. Documents are found at once, without a refresh.
//!
//! `authentication` decides who may call, `indices` holds templates and documents, `mapping` says which values fit,
//! `bulk` and `search` are the two large calls, `plugins` and `saved_objects` keep what else is set up.

mod authentication;
mod bulk;
mod indices;
mod mapping;
mod plugins;
mod reply;
mod saved_objects;
mod search;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use hyper::StatusCode;
use hyper::http::request::Parts;
use serde_json::{Value, json};

pub use authentication::Authentication;
pub use indices::Document;

use crate::gateway::Call;
use crate::reply::{Reply, ServiceError};
use crate::world::World;
use indices::{Index, Template};
use plugins::Monitor;
pub(crate) use reply::error_reply;
use reply::{error, json_reply};

/// What a collection of OpenSearch Serverless is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    Search,
    /// Refuses documents with an id.
    TimeSeries,
}

/// A running OpenSearch of [`LocalAws::opensearch`](crate::LocalAws::opensearch); a clone is the same one.
#[derive(Clone)]
pub struct OpenSearch {
    state: Arc<Mutex<State>>,
    url: String,
}

pub(crate) struct State {
    distribution: String,
    version: String,
    authentication: Authentication,
    collection: Option<Collection>,
    max_body: usize,
    creates_indices: bool,
    templates: BTreeMap<String, Template>,
    indices: BTreeMap<String, Index>,
    monitors: BTreeMap<String, Monitor>,
    channels: BTreeMap<String, Value>,
    role_mappings: BTreeMap<String, Value>,
    saved_objects: BTreeMap<(String, String), Value>,
    /// The tenant that saved objects were last written for.
    tenant: Option<String>,
    imports: bool,
}

impl OpenSearch {
    pub(crate) fn new(url: String) -> Self {
        let state = State {
            distribution: "opensearch".to_owned(),
            version: "2.19.6".to_owned(),
            authentication: Authentication::None,
            collection: None,
            max_body: 100 * 1024 * 1024,
            creates_indices: true,
            templates: BTreeMap::new(),
            indices: BTreeMap::new(),
            monitors: BTreeMap::new(),
            channels: BTreeMap::new(),
            role_mappings: BTreeMap::new(),
            saved_objects: BTreeMap::new(),
            tenant: None,
            imports: true,
        };
        Self { state: Arc::new(Mutex::new(state)), url }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where Dashboards is, as on an Amazon domain.
    pub fn dashboards_url(&self) -> String {
        format!("{}/_dashboards", self.url)
    }

    /// What `GET /` says: `opensearch` and `3.9.0`, or `elasticsearch` and `8.19.0`, which has no distribution there.
    pub fn version(&self, distribution: &str, number: &str) {
        let mut state = self.state();
        distribution.clone_into(&mut state.distribution);
        number.clone_into(&mut state.version);
    }

    /// Who may call; everyone, until this is set.
    pub fn authentication(&self, authentication: Authentication) {
        self.state().authentication = authentication;
    }

    /// Makes it a collection of OpenSearch Serverless, which has less than a domain.
    pub fn serverless(&self, collection: Collection) {
        self.state().collection = Some(collection);
    }

    /// Requests with more bytes than this, as they are sent and unpacked, are answered 413.
    pub fn max_body(&self, bytes: usize) {
        self.state().max_body = bytes;
    }

    /// Whether a document makes its index (`action.auto_create_index`).
    pub fn creates_indices(&self, creates: bool) {
        self.state().creates_indices = creates;
    }

    /// The names of all indices.
    pub fn indices(&self) -> Vec<String> {
        self.state().indices.keys().cloned().collect()
    }

    /// The documents of an index by their ids; none if it does not exist.
    pub fn documents(&self, index: &str) -> BTreeMap<String, Document> {
        self.state().indices.get(index).map(Index::documents).unwrap_or_default()
    }

    /// The body that an index template was put with.
    pub fn template(&self, name: &str) -> Option<Value> {
        self.state().templates.get(name).map(|template| template.body.clone())
    }

    /// The monitors as they were last written, by their ids.
    pub fn monitors(&self) -> BTreeMap<String, Value> {
        self.state().monitors.iter().map(|(id, monitor)| (id.clone(), monitor.body.clone())).collect()
    }

    /// The notification channels, by their ids.
    pub fn channels(&self) -> BTreeMap<String, Value> {
        self.state().channels.clone()
    }

    /// The role mappings of the security plugin, by the role's name.
    pub fn role_mappings(&self) -> BTreeMap<String, Value> {
        self.state().role_mappings.clone()
    }

    /// Whether an import takes the types that there are. Dashboards 3.7.0 calls them `unsupported_type`:
    /// <https://github.com/opensearch-project/OpenSearch-Dashboards/issues/12201>
    pub fn imports(&self, imports: bool) {
        self.state().imports = imports;
    }

    /// The tenant that saved objects were last written for, if the request named one.
    pub fn tenant(&self) -> Option<String> {
        self.state().tenant.clone()
    }

    /// The saved objects of Dashboards, by type and id.
    pub fn saved_objects(&self) -> BTreeMap<(String, String), Value> {
        self.state().saved_objects.clone()
    }
}

/// A request as the operations see it.
struct Asked<'a> {
    segments: Vec<&'a str>,
    query: Vec<(String, String)>,
    /// Unpacked.
    body: Vec<u8>,
    content_type: &'a str,
}

impl Asked<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn flag(&self, name: &str) -> bool {
        self.parameter(name).is_some_and(|value| value.is_empty() || value == "true")
    }

    /// The path's part at this place; empty if it has none.
    fn segment(&self, place: usize) -> &str {
        self.segments.get(place).copied().unwrap_or("")
    }

    /// The body as JSON; an empty one is an empty object.
    fn json(&self) -> Result<Value, ServiceError> {
        if self.body.is_empty() {
            return Ok(json!({}));
        }
        serde_json::from_slice(&self.body)
            .map_err(|fault| error(400, "json_parse_exception", format!("{fault}")))
    }
}

/// The parts of a path, without those that say that Dashboards is meant.
fn segments(path: &str) -> Vec<&str> {
    let path = path.strip_prefix("/_dashboards").unwrap_or(path);
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// The operation that method and path mean, for faults, denials and the log.
pub(crate) fn operation(parts: &Parts) -> &'static str {
    let read = matches!(parts.method.as_str(), "GET" | "POST");
    match (parts.method.as_str(), segments(parts.uri.path()).as_slice()) {
        ("GET" | "HEAD", []) => "Info",
        ("POST" | "PUT", ["_bulk"] | [_, "_bulk"]) => "Bulk",
        ("PUT" | "POST", ["_index_template", _]) => "PutIndexTemplate",
        ("GET" | "HEAD", ["_index_template", _]) => "GetIndexTemplate",
        ("DELETE", ["_index_template", _]) => "DeleteIndexTemplate",
        ("GET", ["_cat", "indices"] | ["_cat", "indices", _]) => "CatIndices",
        ("POST", ["_plugins", "_alerting", "monitors"]) => "CreateMonitor",
        ("PUT", ["_plugins", "_alerting", "monitors", _]) => "UpdateMonitor",
        ("GET" | "POST", ["_plugins", "_alerting", "monitors", "_search"]) => "SearchMonitors",
        ("GET", ["_plugins", "_alerting", "monitors", _]) => "GetMonitor",
        ("POST", ["_plugins", "_notifications", "configs"]) => "CreateChannel",
        ("PUT", ["_plugins", "_notifications", "configs", _]) => "UpdateChannel",
        ("GET", ["_plugins", "_notifications", "configs", _]) => "GetChannel",
        ("PUT", ["_plugins", "_security", "api", "rolesmapping", _]) => "PutRoleMapping",
        ("GET", ["_plugins", "_security", "api", "rolesmapping", _]) => "GetRoleMapping",
        ("POST", ["api", "saved_objects", "_import"]) => "ImportSavedObjects",
        ("POST", ["api", "saved_objects", "_bulk_create"]) => "BulkCreateSavedObjects",
        ("GET", ["api", "saved_objects", _, _]) => "GetSavedObject",
        ("PUT", [_]) => "CreateIndex",
        (_, [name, ..]) if name.starts_with('_') => "Unknown",
        (_, [_, "_count"]) if read => "Count",
        (_, [_, "_search"]) if read => "Search",
        (_, [_, "_refresh"]) if read => "Refresh",
        ("GET", [_, "_mapping"]) => "GetMapping",
        ("PUT" | "POST", [_, "_mapping"]) => "PutMapping",
        ("GET", [_, "_settings"]) => "GetSettings",
        ("GET", [_, "_doc", _]) => "GetDocument",
        ("GET" | "HEAD", [_]) => "GetIndex",
        ("DELETE", [_]) => "DeleteIndex",
        _ => "Unknown",
    }
}

/// What Serverless does not have.
const NOT_SERVERLESS: [&str; 12] = [
    "Info",
    "Refresh",
    "CreateMonitor",
    "UpdateMonitor",
    "SearchMonitors",
    "GetMonitor",
    "CreateChannel",
    "UpdateChannel",
    "GetChannel",
    "PutRoleMapping",
    "GetRoleMapping",
    "Unknown",
];

pub(crate) fn serve(
    world: &World,
    search: &OpenSearch,
    call: &mut Call,
    parts: &Parts,
    raw: &Bytes,
) -> Result<Reply, ServiceError> {
    let mut state = search.state();
    if let Some(refusal) = authentication::refused(&state, parts, raw) {
        return Ok(refusal);
    }
    if state.collection.is_some() && NOT_SERVERLESS.contains(&call.operation.as_str()) {
        return Ok(reply::empty(StatusCode::NOT_FOUND));
    }
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let body = if header("content-encoding") == "gzip" {
        let mut body = Vec::new();
        // What can't be unpacked is as good as nothing.
        let _ = MultiGzDecoder::new(raw.as_ref()).read_to_end(&mut body);
        body
    } else {
        raw.to_vec()
    };
    if raw.len().max(body.len()) > state.max_body {
        return Ok(reply::empty(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let query = form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes()).into_owned().collect();
    let content_type = header("content-type");
    let asked = Asked { segments: segments(parts.uri.path()), query, body, content_type };
    let reply = match call.operation.as_str() {
        "Info" => Ok(info(&state)),
        "Bulk" => bulk::serve(world, &mut state, call, &asked),
        "Count" => search::count(&state, &asked),
        "Search" => search::search(&state, &asked),
        "PutIndexTemplate" => indices::put_template(&mut state, &asked),
        "GetIndexTemplate" => indices::get_template(&state, &asked),
        "DeleteIndexTemplate" => indices::delete_template(&mut state, &asked),
        "CatIndices" => indices::cat(&state, &asked),
        "Refresh" => indices::refresh(&state, &asked),
        "GetIndex" | "GetMapping" | "GetSettings" => indices::show(&state, call, &asked),
        "PutMapping" => indices::put_mapping(&mut state, &asked),
        "GetDocument" => indices::document(&state, &asked),
        "CreateIndex" => indices::create(world, &mut state, &asked),
        "DeleteIndex" => indices::delete(&mut state, &asked),
        "CreateMonitor" => plugins::create_monitor(world, &mut state, &asked),
        "UpdateMonitor" => plugins::update_monitor(world, &mut state, &asked),
        "SearchMonitors" => plugins::search_monitors(&state, &asked),
        "GetMonitor" => plugins::get_monitor(&state, &asked),
        "CreateChannel" => plugins::create_channel(&mut state, &asked),
        "UpdateChannel" => plugins::update_channel(&mut state, &asked),
        "GetChannel" => plugins::get_channel(&state, &asked),
        "PutRoleMapping" => plugins::put_role_mapping(&mut state, &asked),
        "GetRoleMapping" => Ok(plugins::get_role_mapping(&state, &asked)),
        "ImportSavedObjects" => Ok(saved_objects::import(&mut state, parts, &asked)),
        "BulkCreateSavedObjects" => saved_objects::bulk_create(&mut state, parts, &asked),
        "GetSavedObject" => Ok(saved_objects::get(&state, &asked)),
        _ => Ok(reply::no_handler(parts)),
    }?;
    Ok(match asked.parameter("filter_path") {
        Some(paths) => reply::filtered(reply, paths),
        None => reply,
    })
}

fn info(state: &State) -> Reply {
    let mut version = json!({ "number": state.version, "build_snapshot": false });
    if state.distribution == "opensearch" {
        version["distribution"] = json!("opensearch");
    }
    json_reply(200, &json!({ "name": "local-aws", "cluster_name": "local-aws", "version": version }))
}
