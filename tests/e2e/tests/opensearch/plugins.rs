// SPDX-License-Identifier: Apache-2.0
//! What is set up beside the indices: monitors, channels, role mappings, and the saved objects of Dashboards.

use anyhow::{Context, Result};
use kit::http::{self, Answer};
use local_aws::OpenSearch;
use serde_json::{Value, json};

use crate::double;

fn monitor(name: &str) -> Value {
    json!({
        "type": "monitor",
        "name": name,
        "monitor_type": "query_level_monitor",
        "schedule": { "period": { "interval": 5, "unit": "MINUTES" } },
        "triggers": [{ "query_level_trigger": { "name": "late" } }],
    })
}

#[tokio::test]
async fn monitors_get_their_ids_and_are_found_by_name() -> Result<()> {
    let (_aws, search) = double().await?;
    let url = format!("{}/_plugins/_alerting/monitors", search.url());
    let by_name = json!({ "query": { "term": { "monitor.name.keyword": "late" } } });
    let search_url = format!("{url}/_search");
    let find = || http::json("POST", &search_url, &by_name);
    // There is no index before the first monitor.
    assert_eq!(find().await?.0, 404);
    let (status, made) = http::json("POST", &url, &monitor("late")).await?;
    assert_eq!((status, &made["_version"]), (201, &json!(1)));
    assert_eq!(http::json("POST", &url, &monitor("other")).await?.0, 201);
    let (status, found) = find().await?;
    let hits = found["hits"]["hits"].as_array().context("hits")?;
    assert_eq!((status, hits.len()), (200, 1));
    assert_eq!((&hits[0]["_id"], &hits[0]["_source"]["name"]), (&made["_id"], &json!("late")));
    let id = made["_id"].as_str().context("an id")?;
    let (status, changed) = http::json("PUT", &format!("{url}/{id}"), &monitor("late")).await?;
    assert_eq!((status, &changed["_version"]), (200, &json!(2)));
    assert_eq!(http::json("PUT", &format!("{url}/none"), &monitor("late")).await?.0, 404);
    let mut wrong = monitor("wrong");
    wrong["monitor_type"] = json!("bucket_level_monitor");
    assert_eq!(http::json("POST", &url, &wrong).await?.0, 400);
    assert_eq!(search.monitors().len(), 2);
    Ok(())
}

#[tokio::test]
async fn channels_keep_the_id_that_they_are_given() -> Result<()> {
    let (_aws, search) = double().await?;
    let url = format!("{}/_plugins/_notifications/configs", search.url());
    let channel = |name: &str| {
        let sns = json!({ "topic_arn": "arn:aws:sns:eu-west-1:111111111111:alarms" });
        json!({ "config_id": "fleet", "config": {
            "name": name, "config_type": "sns", "is_enabled": true, "sns": sns,
        } })
    };
    assert_eq!(http::json("GET", &format!("{url}/fleet"), &Value::Null).await?.0, 404);
    assert_eq!(http::json("POST", &url, &channel("one")).await?, (200, json!({ "config_id": "fleet" })));
    assert_eq!(http::json("POST", &url, &channel("one")).await?.0, 409);
    assert_eq!(http::json("PUT", &format!("{url}/fleet"), &channel("two")).await?.0, 200);
    let (_, shown) = http::json("GET", &format!("{url}/fleet"), &Value::Null).await?;
    assert_eq!(shown["config_list"][0]["config"]["name"], "two");
    assert_eq!(search.channels()["fleet"]["name"], "two");
    Ok(())
}

#[tokio::test]
async fn roles_are_mapped() -> Result<()> {
    let (_aws, search) = double().await?;
    let url = format!("{}/_plugins/_security/api/rolesmapping/fleet", search.url());
    let mapping = json!({ "backend_roles": ["arn:aws:iam::111111111111:role/worker"] });
    assert_eq!(http::json("GET", &url, &Value::Null).await?.0, 404);
    assert_eq!(http::json("PUT", &url, &mapping).await?.0, 201);
    assert_eq!(http::json("PUT", &url, &mapping).await?.0, 200);
    assert_eq!(http::json("GET", &url, &Value::Null).await?, (200, json!({ "fleet": mapping.clone() })));
    assert_eq!(search.role_mappings()["fleet"], mapping);
    Ok(())
}

/// Imports lines as a file.
async fn import(
    search: &OpenSearch,
    query: &str,
    file: &str,
    lines: &[Value],
    headers: &[(&str, &str)],
) -> Result<Answer> {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    let body = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file}\"\r\n\
         Content-Type: application/ndjson\r\n\r\n{}\r\n--edge--\r\n",
        lines.join("\n")
    );
    let mut all = vec![("content-type", "multipart/form-data; boundary=edge")];
    all.extend(headers);
    let url = format!("{}/api/saved_objects/_import{query}", search.dashboards_url());
    http::send("POST", &url, &all, body).await
}

fn object(kind: &str, id: &str, version: &str, references: &Value) -> Value {
    json!({
        "type": kind, "id": id, "attributes": { "title": id }, "references": references,
        "migrationVersion": { kind: version },
    })
}

#[tokio::test]
async fn saved_objects_are_imported_as_dashboards_does() -> Result<()> {
    const XSRF: &[(&str, &str)] = &[("osd-xsrf", "true")];
    let (_aws, search) = double().await?;
    let pattern = object("index-pattern", "fleet", "7.6.0", &json!([]));
    let refers = json!([{ "name": "data", "type": "index-pattern", "id": "fleet" }]);
    let panel = object("visualization", "panel", "7.10.0", &refers);
    let both = [pattern.clone(), panel.clone()];
    let again = "?overwrite=true";

    assert_eq!(import(&search, "", "a.ndjson", &both, &[]).await?.status, 400);
    assert_eq!(import(&search, "", "a.json", &both, XSRF).await?.status, 400);
    let exclusive = "?overwrite=true&createNewCopies=true";
    assert_eq!(import(&search, exclusive, "a.ndjson", &both, XSRF).await?.status, 400);
    let newer = object("visualization", "newer", "8.0.0", &json!([]));
    assert_eq!(import(&search, "", "a.ndjson", &[newer], XSRF).await?.status, 422);
    // What lacks its pattern is refused, within a 200.
    let lacking = import(&search, "", "a.ndjson", std::slice::from_ref(&panel), XSRF).await?.json()?;
    assert_eq!(
        (&lacking["success"], &lacking["errors"][0]["error"]["type"]),
        (&json!(false), &json!("missing_references"))
    );
    assert!(search.saved_objects().is_empty());

    let taken = import(&search, "", "a.ndjson", &both, XSRF).await?.json()?;
    assert_eq!((&taken["success"], &taken["successCount"]), (&json!(true), &json!(2)));
    let conflict = import(&search, "", "a.ndjson", &both, XSRF).await?.json()?;
    assert_eq!(conflict["errors"][0]["error"]["type"], "conflict");
    assert_eq!(import(&search, again, "a.ndjson", &both, XSRF).await?.json()?["success"], true);
    let strange = object("lens", "lens", "7.0.0", &json!([]));
    let refused = import(&search, again, "a.ndjson", &[strange], XSRF).await?.json()?;
    assert_eq!(refused["errors"][0]["error"]["type"], "unsupported_type");

    let url = format!("{}/api/saved_objects/visualization", search.dashboards_url());
    assert_eq!(http::json("GET", &format!("{url}/panel"), &Value::Null).await?, (200, panel));
    assert_eq!(http::json("GET", &format!("{url}/none"), &Value::Null).await?.0, 404);
    assert_eq!(search.saved_objects().len(), 2);
    Ok(())
}

#[tokio::test]
async fn it_says_which_server_it_is() -> Result<()> {
    let (_aws, search) = double().await?;
    for (distribution, number, said) in
        [("opensearch", "1.3.20", json!("opensearch")), ("elasticsearch", "8.19.0", Value::Null)]
    {
        search.version(distribution, number);
        let (status, info) = http::json("GET", search.url(), &Value::Null).await?;
        assert_eq!((status, &info["version"]["number"]), (200, &json!(number)));
        assert_eq!(info["version"]["distribution"], said);
    }
    Ok(())
}
