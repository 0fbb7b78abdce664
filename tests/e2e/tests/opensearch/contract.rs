// SPDX-License-Identifier: Apache-2.0
//! The same requests to the OpenSearch on loopback of `local-aws` and to real nodes of both versions: each must be answered
//! with the same status, the same types of errors and the same documents.

use std::{
    io::Write as _,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result, ensure};
use flate2::{Compression, write::GzEncoder};
use kit::{
    http::{self, Answer},
    search_node::{Node, Version},
};
use local_aws::Fault;
use serde_json::{Value, json};

use crate::{NDJSON, double};

/// The limit of [`with_limits`]'s nodes.
const MEGABYTE: usize = 1024 * 1024;

struct Case {
    method: &'static str,
    path: &'static str,
    body: Vec<u8>,
    gzip: bool,
    /// What [`seen`] makes of the answer.
    expected: String,
}

fn case(method: &'static str, path: &'static str, body: &Value, expected: &str) -> Case {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    Case { method, path, body, gzip: false, expected: expected.to_owned() }
}

fn bulk(lines: &[Value], expected: &str) -> Case {
    let mut body = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    if !lines.is_empty() {
        body.push('\n');
    }
    raw(body.as_bytes(), expected)
}

fn raw(body: &[u8], expected: &str) -> Case {
    let (body, expected) = (body.to_vec(), expected.to_owned());
    Case { method: "POST", path: "_bulk", body, gzip: false, expected }
}

/// The start of an answer that two servers must have in common: status, type of the error, and then each item's, or what was
/// found.
fn seen(answer: &Answer) -> String {
    let mut seen = answer.status.to_string();
    let body = answer.json().unwrap_or_default();
    if let Some(kind) = body["error"]["type"].as_str() {
        seen += &format!(" {kind}");
    }
    for item in body["items"].as_array().into_iter().flatten() {
        let item = item.as_object().and_then(|item| item.values().next()).unwrap_or(&Value::Null);
        seen += &format!(" | {}", item["status"]);
        if let Some(kind) = item["error"]["type"].as_str() {
            seen += &format!(" {kind}");
        }
        if let Some(version) = item["_version"].as_u64() {
            seen += &format!(" v{version}");
        }
    }
    for name in ["acknowledged", "count", "_version", "_source", "aggregations"] {
        if let Some(value) = body.get(name) {
            seen += &format!(" {name}={value}");
        }
    }
    for hit in body["hits"]["hits"].as_array().into_iter().flatten() {
        seen += &format!(" {}{}", hit["_id"].as_str().unwrap_or(""), hit["sort"]);
    }
    seen
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

async fn ask(url: &str, case: &Case) -> Result<String> {
    let url = format!("{url}/{}", case.path);
    let kind = if case.path.ends_with("_bulk") { NDJSON } else { ("content-type", "application/json") };
    let answer = if case.gzip {
        http::send(case.method, &url, &[kind, ("content-encoding", "gzip")], gzip(&case.body)?).await?
    } else {
        http::send(case.method, &url, &[kind], case.body.clone()).await?
    };
    Ok(seen(&answer))
}

async fn run(url: &str, cases: &[Case]) -> Result<()> {
    let mut wrong = Vec::new();
    for case in cases {
        let seen = ask(url, case).await?;
        if seen != case.expected {
            let body = String::from_utf8_lossy(&case.body).chars().take(200).collect::<String>();
            wrong.push(format!(
                "{} {} {body}\n  expected: {}\n      seen: {seen}",
                case.method, case.path, case.expected
            ));
        }
    }
    ensure!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    Ok(())
}

fn template() -> Value {
    json!({
        "index_patterns": ["contract-*"],
        "priority": 200,
        "template": {
            "settings": { "number_of_shards": 1, "auto_expand_replicas": "0-1" },
            "mappings": {
                "dynamic": "strict",
                "properties": {
                    "@timestamp": { "type": "date" },
                    "name": { "type": "keyword", "ignore_above": 1024 },
                    "count": { "type": "long" },
                    "bytes": { "type": "unsigned_long" },
                    "seconds": { "type": "short" },
                    "settled": { "type": "boolean" },
                    "millis": { "type": "scaled_float", "scaling_factor": 1000 },
                    "ratio": { "type": "double" },
                    "tags": { "type": "flat_object" },
                    "kept": { "type": "object", "enabled": false },
                },
            },
        },
        "_meta": { "version": "1" },
    })
}

fn templates() -> Vec<Case> {
    let mut unknown = template();
    unknown["template"]["mappings"]["properties"]["name"]["type"] = json!("no_such_type");
    let mut stray = template();
    stray["stray"] = json!(1);
    let path = "_index_template/contract";
    vec![
        case("PUT", path, &unknown, "400 illegal_argument_exception"),
        case("PUT", path, &stray, "400 x_content_parse_exception"),
        case("GET", path, &Value::Null, "404 resource_not_found_exception"),
        case("PUT", path, &template(), "200 acknowledged=true"),
        case("PUT", path, &template(), "200 acknowledged=true"),
        case("GET", path, &Value::Null, "200"),
        case("PUT", "_index_template/contract-2", &template(), "400 illegal_argument_exception"),
    ]
}

fn document() -> Value {
    json!({
        "@timestamp": "2026-11-01T00:00:00Z", "name": "a", "count": 1, "bytes": u64::MAX, "seconds": 60, "settled": true,
        "millis": 1.5, "ratio": 0.25, "tags": { "team": "a" },
    })
}

fn at(version: u64) -> Value {
    json!({ "index": { "_index": "contract-a", "_id": "1", "version": version, "version_type": "external_gte" } })
}

fn writes() -> Vec<Case> {
    const CONFLICT: &str = "409 version_conflict_engine_exception";
    let index = |id: &str| json!({ "index": { "_index": "contract-a", "_id": id } });
    let create = |id: &str| json!({ "create": { "_index": "contract-a", "_id": id } });
    let delete = |id: &str| json!({ "delete": { "_index": "contract-a", "_id": id } });
    let text = format!("{}\n{}\n", at(10), document());
    let mut cases = vec![
        // The template makes the index.
        bulk(&[at(10), document()], "200 | 201 v10"),
        bulk(&[at(10), document(), at(9), document()], &format!("200 | 200 v10 | {CONFLICT}")),
        Case { gzip: true, ..bulk(&[at(11), document()], "200 | 200 v11") },
        bulk(&[create("1"), document(), create("2"), document()], &format!("200 | {CONFLICT} | 201 v1")),
        bulk(&[index("2"), document(), delete("2"), delete("none")], "200 | 200 v2 | 200 v3 | 404 v1"),
        // What was deleted keeps its version.
        bulk(&[index("2"), document(), delete("2")], "200 | 201 v4 | 200 v5"),
        // One that does not fit leaves the others.
        bulk(
            &[index("3"), json!({ "stray": 1 }), index("3"), document()],
            "200 | 400 strict_dynamic_mapping_exception | 201 v1",
        ),
        bulk(
            &[index("4"), json!({ "stray": { "a": 1 } }), index("4"), json!({ "stray": null })],
            "200 | 400 strict_dynamic_mapping_exception | 400 strict_dynamic_mapping_exception",
        ),
        bulk(
            &[json!({ "index": { "_index": "Contract-A", "_id": "1" } }), document()],
            "200 | 400 invalid_index_name_exception",
        ),
        raw(
            b"{\"index\":{\"_index\":\"contract-a\",\"_id\":\"5\"}}\n{nope\n",
            "200 | 400 mapper_parsing_exception",
        ),
        raw(text.trim_end().as_bytes(), "400 illegal_argument_exception"),
        raw(b"", "400 parse_exception"),
        raw(b"\n", "400 action_request_validation_exception"),
        bulk(
            &[json!({ "upsert": { "_index": "contract-a" } }), document()],
            "400 illegal_argument_exception",
        ),
        bulk(
            &[json!({ "index": { "_index": "contract-a", "_type": "_doc" } }), document()],
            "400 illegal_argument_exception",
        ),
        bulk(&[index(&"x".repeat(513)), document()], "400 action_request_validation_exception"),
        bulk(
            &[json!({ "index": { "_index": "contract-a", "_id": "6", "version": 3 } }), document()],
            "400 action_request_validation_exception",
        ),
        bulk(
            &[
                json!({ "create": {
                    "_index": "contract-a", "_id": "6", "version": 3, "version_type": "external_gte",
                } }),
                document(),
            ],
            "400 action_request_validation_exception",
        ),
    ];
    let filtered = Case {
        path: "_bulk?filter_path=errors,items.*.status,items.*.error.type",
        ..bulk(&[at(11), document(), at(1), document()], &format!("200 | 200 | {CONFLICT}"))
    };
    cases.push(filtered);
    cases
}

/// Which values fit which field.
fn values() -> Vec<Case> {
    let fitting = [
        ("count", json!(1.5)),
        ("count", json!("5")),
        ("count", json!("")),
        ("count", json!(null)),
        ("count", json!([1, 2])),
        ("settled", json!("true")),
        ("@timestamp", json!(1_700_000_000_000_u64)),
        ("@timestamp", json!("2026-11-01")),
        ("name", json!(5)),
        ("name", json!(["a", "b"])),
        ("bytes", json!(u64::MAX)),
        ("tags", json!({ "a": { "b": 1 } })),
        ("kept", json!({ "a": { "b": 1 } })),
        ("kept", json!(5)),
    ];
    let refused = [
        ("count", json!("x")),
        ("count", json!(1e30)),
        ("count", json!(true)),
        ("count", json!({ "a": 1 })),
        ("count", json!(u64::MAX)),
        ("bytes", json!(-1)),
        ("bytes", json!(1e30)),
        ("seconds", json!(70_000)),
        ("settled", json!("yes")),
        ("@timestamp", json!("yesterday")),
        ("millis", json!("x")),
        ("ratio", json!("NaN")),
        ("ratio", json!(true)),
        ("tags", json!("x")),
        ("tags", json!(5)),
        ("name", json!({ "a": 1 })),
    ];
    let item = |field: &str, value: &Value, expected: &str| {
        let meta = json!({ "index": { "_index": "contract-values" } });
        bulk(&[meta, json!({ field: value })], expected)
    };
    let fitting = fitting.iter().map(|(field, value)| item(field, value, "200 | 201 v1"));
    let refused =
        refused.iter().map(|(field, value)| item(field, value, "200 | 400 mapper_parsing_exception"));
    fitting.chain(refused).collect()
}

fn reads() -> Vec<Case> {
    const MISSING: &str = "404 index_not_found_exception";
    let of = |id: &str, name: &str, count: u64| {
        let meta = json!({ "index": { "_index": "contract-b", "_id": id } });
        [meta, json!({ "name": name, "count": count, "@timestamp": format!("2026-11-0{count}T00:00:00Z") })]
    };
    let lines = [of("1", "a", 1), of("2", "a", 2), of("3", "b", 3)].concat();
    let sums = json!({
        "sum": { "sum": { "field": "count" } },
        "newest": { "max": { "field": "count" } },
    });
    let by_name = json!({ "names": { "terms": { "field": "name" }, "aggs": { "sum": { "sum": { "field": "count" } } } } });
    let sort = json!([{ "count": "asc" }]);
    let null = Value::Null;
    vec![
        bulk(&lines, "200 | 201 v1 | 201 v1 | 201 v1"),
        case("POST", "contract-a,contract-b/_refresh", &null, "200"),
        case("GET", "contract-a/_count", &null, "200 count=2"),
        case("GET", "contract-b*/_count", &null, "200 count=3"),
        case("POST", "contract-b/_count", &json!({ "query": { "term": { "name": "a" } } }), "200 count=2"),
        case("GET", "contract-none-*/_count", &null, "200 count=0"),
        case("GET", "contract-none/_count", &null, MISSING),
        case("GET", "contract-a/_doc/1", &null, &format!("200 _version=11 _source={}", document())),
        case("GET", "contract-a/_doc/2", &null, "404"),
        case("POST", "contract-b/_search", &json!({ "size": 2, "sort": sort }), "200 1[1] 2[2]"),
        case("POST", "contract-b/_search", &json!({ "sort": sort, "search_after": [1] }), "200 2[2] 3[3]"),
        case("POST", "contract-b/_search", &json!({ "sort": sort, "from": 2 }), "200 3[3]"),
        case(
            "POST",
            "contract-b/_search",
            &json!({ "sort": sort, "query": { "terms": { "name": ["b", "c"] } } }),
            "200 3[3]",
        ),
        case(
            "POST",
            "contract-b/_search",
            &json!({ "sort": sort, "query": { "bool": {
                "filter": [{ "range": { "@timestamp": { "gte": "2026-11-02T00:00:00Z", "lt": "2026-11-03T00:00:00Z" } } }],
                "must_not": [{ "exists": { "field": "ratio" } }],
            } } }),
            "200 2[2]",
        ),
        case(
            "POST",
            "contract-b/_search",
            &json!({ "size": 0, "aggs": sums }),
            "200 aggregations={\"sum\":{\"value\":6.0},\"newest\":{\"value\":3.0}}",
        ),
        case(
            "POST",
            "contract-b/_search",
            &json!({ "size": 0, "aggs": by_name }),
            "200 aggregations={\"names\":{\"doc_count_error_upper_bound\":0,\"sum_other_doc_count\":0,\"buckets\":[\
             {\"key\":\"a\",\"doc_count\":2,\"sum\":{\"value\":3.0}},{\"key\":\"b\",\"doc_count\":1,\"sum\":{\"value\":3.0}}]}}",
        ),
        case("POST", "contract-b/_search", &json!({ "query": { "nope": {} } }), "400 parsing_exception"),
        case("POST", "contract-none/_search", &json!({}), MISSING),
    ]
}

fn indices() -> Vec<Case> {
    const MISSING: &str = "404 index_not_found_exception";
    let null = Value::Null;
    let field = |kind: &str| json!({ "properties": { "later": { "type": kind } } });
    vec![
        case("PUT", "contract-c", &null, "200 acknowledged=true"),
        case("PUT", "contract-c", &null, "400 resource_already_exists_exception"),
        case("GET", "contract-c", &null, "200"),
        case("GET", "contract-c/_mapping", &null, "200"),
        case("GET", "contract-none-*/_mapping", &null, "200"),
        case("GET", "contract-none/_settings", &null, MISSING),
        case("PUT", "contract-c/_mapping", &field("long"), "200 acknowledged=true"),
        case("PUT", "contract-c/_mapping", &field("keyword"), "400 illegal_argument_exception"),
        case("GET", "_cat/indices/contract-none?format=json", &null, MISSING),
        case("GET", "_cat/indices/contract-none-*?format=json", &null, "200"),
        case("DELETE", "contract-c", &null, "200 acknowledged=true"),
        case("DELETE", "contract-c", &null, MISSING),
        case("DELETE", "contract-none-*", &null, "200 acknowledged=true"),
        case("PUT", "_nothing", &null, "400 invalid_index_name_exception"),
    ]
}

/// What is left behind, so that a node can be asked again.
fn clean_up() -> Vec<Case> {
    vec![
        case("DELETE", "contract-a,contract-b,contract-values", &Value::Null, "200 acknowledged=true"),
        case("DELETE", "_index_template/contract", &Value::Null, "200 acknowledged=true"),
        case("DELETE", "_index_template/contract", &Value::Null, "404 index_template_missing_exception"),
    ]
}

async fn contract(url: &str) -> Result<()> {
    let cases: Vec<Case> =
        [templates(), writes(), values(), reads(), indices(), clean_up()].into_iter().flatten().collect();
    run(url, &cases).await?;
    shown(url).await
}

/// What is shown of an index that its template made.
async fn shown(url: &str) -> Result<()> {
    let put = http::json("PUT", &format!("{url}/_index_template/contract"), &template()).await?;
    ensure!(put.0 == 200, "{put:?}");
    let made = http::json("PUT", &format!("{url}/contract-shown"), &Value::Null).await?;
    ensure!(made.0 == 200, "{made:?}");
    let (_, mapping) = http::json("GET", &format!("{url}/contract-s*/_mapping"), &Value::Null).await?;
    let mapping = &mapping["contract-shown"]["mappings"];
    assert_eq!(mapping["dynamic"], "strict");
    assert_eq!(mapping["properties"]["bytes"]["type"], "unsigned_long");
    let (_, settings) = http::json("GET", &format!("{url}/contract-shown/_settings"), &Value::Null).await?;
    let settings = &settings["contract-shown"]["settings"]["index"];
    assert_eq!(settings["number_of_shards"], "1");
    assert_eq!(settings["auto_expand_replicas"], "0-1");
    let created = settings["creation_date"].as_str().context("a text")?.parse::<i64>()?;
    let columns = "format=json&h=index,docs.count,creation.date";
    let (_, rows) =
        http::json("GET", &format!("{url}/_cat/indices/contract-s*?{columns}"), &Value::Null).await?;
    let row = json!({ "index": "contract-shown", "docs.count": "0", "creation.date": created.to_string() });
    assert_eq!(rows, json!([row]));
    let (_, template) = http::json("GET", &format!("{url}/_index_template/contract"), &Value::Null).await?;
    let template = &template["index_templates"][0];
    assert_eq!(template["name"], "contract");
    assert_eq!(template["index_template"]["_meta"]["version"], "1");
    assert_eq!(template["index_template"]["template"]["settings"]["index"]["number_of_shards"], "1");
    run(
        url,
        &[
            case("DELETE", "contract-shown", &Value::Null, "200 acknowledged=true"),
            case("DELETE", "_index_template/contract", &Value::Null, "200 acknowledged=true"),
        ],
    )
    .await
}

/// Eight writers at once, until one was refused as a whole and one in part.
async fn overload(url: &str) -> Result<()> {
    let (whole, part) = (AtomicBool::new(false), AtomicBool::new(false));
    let index = |nth: usize| json!({ "index": { "_index": format!("busy-{}", nth % 4) } });
    let lines: Vec<Value> = (0..400).flat_map(|nth| [index(nth), document()]).collect();
    let body = bulk(&lines, "").body;
    let write = async || -> Result<()> {
        for _ in 0..200 {
            let answer = http::send("POST", &format!("{url}/_bulk"), &[NDJSON], body.clone()).await?;
            let seen = seen(&answer);
            let refused = seen.contains("429 rejected_execution_exception");
            whole.fetch_or(seen == "429 rejected_execution_exception", Ordering::Relaxed);
            part.fetch_or(answer.status == 200 && refused, Ordering::Relaxed);
            if whole.load(Ordering::Relaxed) && part.load(Ordering::Relaxed) {
                break;
            }
        }
        Ok(())
    };
    futures::future::try_join_all((0..8).map(|_| write())).await?;
    assert!(part.into_inner(), "no item was refused");
    assert!(whole.into_inner(), "no request was refused");
    Ok(())
}

/// More than a megabyte, which is little when it is packed: the answer comes before the connection ends.
fn too_large() -> Case {
    let lines = vec![document(); MEGABYTE / 100];
    Case { gzip: true, ..bulk(&lines, "413") }
}

async fn node(version: Version) -> Result<()> {
    let Some(node) = Node::shared(version)? else { return Ok(()) };
    let (_, info) = http::json("GET", node.url(), &Value::Null).await?;
    assert_eq!(info["version"]["number"], version.number());
    assert_eq!(info["version"]["distribution"], "opensearch");
    contract(node.url()).await
}

async fn with_limits(version: Version) -> Result<()> {
    let settings =
        ["http.max_content_length=1mb", "thread_pool.write.size=1", "thread_pool.write.queue_size=1"];
    let Some(node) = Node::start(version, &settings)? else { return Ok(()) };
    run(node.url(), &[too_large()]).await?;
    overload(node.url()).await
}

#[tokio::test]
async fn the_double_keeps_the_contract() -> Result<()> {
    let (_aws, search) = double().await?;
    contract(search.url()).await
}

#[tokio::test]
async fn opensearch_2_keeps_the_contract() -> Result<()> {
    node(Version::V2).await
}

#[tokio::test]
async fn opensearch_3_keeps_the_contract() -> Result<()> {
    node(Version::V3).await
}

#[tokio::test]
async fn the_double_refuses_what_is_too_much() -> Result<()> {
    let (aws, search) = double().await?;
    search.max_body(MEGABYTE);
    run(search.url(), &[too_large()]).await?;
    assert_eq!(aws.calls().operation("Bulk").outcome("413").count(), 1);
    let whole = aws.fault(Fault::throttle().on("Bulk").times(1));
    let some = Fault::failed_items(429, "rejected_execution_exception", "queue capacity = 1", [1, 2]);
    let some = aws.fault(some.times(2));
    overload(search.url()).await?;
    assert_eq!((whole.fired(), some.fired()), (1, 2));
    Ok(())
}

#[tokio::test]
async fn opensearch_2_refuses_what_is_too_much() -> Result<()> {
    with_limits(Version::V2).await
}

#[tokio::test]
async fn opensearch_3_refuses_what_is_too_much() -> Result<()> {
    with_limits(Version::V3).await
}
