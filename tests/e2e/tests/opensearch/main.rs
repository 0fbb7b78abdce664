// SPDX-License-Identifier: Apache-2.0
//! The OpenSearch on loopback of `local-aws`, compared with real nodes of both versions, and what it has besides: signatures,
//! Serverless, faults, and the documents of plugins that can't be run here.

mod authentication;
mod contract;
mod dashboards;
mod faults;
mod functions;
mod lambda_fleet;
mod plugins;
mod sink;
mod trouble;

use anyhow::Result;
use kit::http;
use local_aws::{LocalAws, OpenSearch, Options};
use serde_json::{Value, json};

const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

/// The account that signs.
const ACCOUNT: &str = "111111111111";

async fn double() -> Result<(LocalAws, OpenSearch)> {
    let aws = LocalAws::start(Options::default()).await?;
    let search = aws.opensearch()?;
    Ok((aws, search))
}

/// A `_bulk` of small documents with the ids 0, 1, 2 and so on, for the index `small`.
fn small(documents: usize) -> String {
    let document = |id: usize| {
        let meta = json!({ "index": { "_index": "small", "_id": id.to_string() } });
        format!("{meta}\n{}\n", json!({ "id": id }))
    };
    (0..documents).map(document).collect::<Vec<_>>().concat()
}

/// The status of each item of a `_bulk`'s answer.
fn statuses(body: &Value) -> Vec<u64> {
    let items = body["items"].as_array().into_iter().flatten();
    items.filter_map(|item| item["index"]["status"].as_u64()).collect()
}

async fn bulk(search: &OpenSearch, documents: usize) -> Result<http::Answer> {
    http::send("POST", &format!("{}/_bulk", search.url()), &[NDJSON], small(documents)).await
}
