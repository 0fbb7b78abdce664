// SPDX-License-Identifier: Apache-2.0
//! The sink `opensearch`, at real nodes: each row of a report is one document, whatever is repeated, replaced or rebuilt.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use chrono::{Datelike, NaiveDate, NaiveTime, TimeDelta};
use fleet::report::stored::plain;
use kit::{
    Fleet, HOME_REGION, JOBS, REPORTS, Setup, days_ago,
    expected::cells,
    finish, http,
    search_node::{Node, Version},
};
use local_aws::Account;
use serde_json::{Value, json};

const ID: &str = "111111111111";
const FIRST: &str = "0199a000-0000-7000-8000-000000000001";
const SECOND: &str = "0199a000-0000-7000-8000-000000000002";

/// The URLs of a node of each version that is here.
pub(crate) fn urls() -> Result<Vec<String>> {
    let nodes: Vec<Option<&Node>> = Version::ALL.into_iter().map(Node::shared).collect::<Result<_>>()?;
    Ok(nodes.into_iter().flatten().map(|node| node.url().to_owned()).collect())
}

/// A fleet with one account, and a sink of its own indices at a node.
pub(crate) struct Scene {
    pub(crate) fleet: Fleet,
    account: Account,
    url: String,
    pub(crate) prefix: String,
}

impl Scene {
    pub(crate) async fn new(url: &str, more: &str) -> Result<Self> {
        Self::with(Setup { max_receives: 1, ..Setup::default() }, url, more).await
    }

    pub(crate) async fn with(setup: Setup, url: &str, more: &str) -> Result<Self> {
        let mut fleet = Fleet::new(setup).await?;
        let account = fleet.account("data", ID);
        let prefix = format!("t{:08x}", fastrand::u32(..));
        let path = fleet.file(
            "fleet.toml",
            &format!(
                "[[sink]]\nname = 'search'\ntype = 'opensearch'\ndatasets = ['s3_daily_storage', 'sqs']\n\
                 url = '{url}'\nauth = 'none'\nprefix = '{prefix}'\n{more}\n"
            ),
        )?;
        fleet.variable("FLEET_CONFIG", &path);
        Ok(Self { fleet, account, url: url.to_owned(), prefix })
    }

    pub(crate) async fn setup(&self) -> Result<String> {
        Ok(finish(self.fleet.producer(&["setup", "search"])).await?.status(0).stdout)
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> Result<Value> {
        let (status, answer) = http::json(method, &format!("{}{path}", self.url), &body).await?;
        anyhow::ensure!(status < 300 || status == 404, "{status}: {answer}");
        Ok(answer)
    }

    /// The documents of indices, each with its index, in the order of what a test sorts by.
    async fn documents(&self, what: &str) -> Result<Vec<(String, Value)>> {
        self.ask("POST", &format!("/{}-{what}/_refresh", self.prefix), Value::Null).await?;
        let path = format!("/{}-{what}/_search?size=10000", self.prefix);
        let answer = self.ask("POST", &path, json!({"query": {"match_all": {}}})).await?;
        let hits = answer.pointer("/hits/hits").and_then(Value::as_array).cloned().unwrap_or_default();
        let of =
            |hit: &Value| (hit["_index"].as_str().unwrap_or_default().to_owned(), hit["_source"].clone());
        Ok(hits.iter().map(of).collect())
    }

    /// Sends a job of a day of daily storage.
    fn send(&self, run_id: &str) {
        let date = days_ago(4);
        self.fleet
            .home
            .send(JOBS, &format!(r#"{{"account_name":"data","date":"{date}","run_id":"{run_id}"}}"#));
    }

    /// Two hours of a queue, of which another one says nothing in the second.
    pub(crate) fn fill_queues(&self) -> Result<String> {
        let midnight = days_ago(1).and_time(NaiveTime::MIN).and_utc();
        for minute in 0..120 {
            for queue in ["busy", "half"] {
                if queue == "half" && minute >= 60 {
                    continue;
                }
                let at = midnight + TimeDelta::minutes(minute);
                let value = f64::from(i32::try_from(minute)?) + 0.5;
                let dimensions = [("QueueName", queue)];
                self.account.metric(HOME_REGION, "AWS/SQS", "NumberOfMessagesSent", &dimensions, at, value);
            }
        }
        let day = days_ago(1);
        Ok(format!(
            r#"{{"account_name":"data","dataset":"sqs","from":"{day}T00:00:00Z","to":"{day}T02:00:00Z","window":"1h","run_id":"{FIRST}","ticket":"OPS-7"}}"#
        ))
    }
}

/// A document as the cells of its row, with what every document has besides taken away.
fn row(document: &Value) -> BTreeMap<String, String> {
    let besides =
        ["@timestamp", "dataset", "run_id", "collected_at", "settled", "resource_path", "attributes"];
    let fields = document.as_object().into_iter().flatten();
    let fields = fields.filter(|(name, _)| !besides.contains(&&***name));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    fields.map(|(name, value)| (name.clone(), text(value))).collect()
}

/// The rows of a report that have a datapoint, without the cells that are empty.
fn rows(table: &str, time: &str) -> Vec<BTreeMap<String, String>> {
    let rows = cells(table).into_iter().filter(|row| !row[time].is_empty());
    let cells = |row: HashMap<String, String>| {
        let known = row.into_iter().filter(|(_, cell)| !cell.is_empty());
        known.map(|(name, cell)| (name, plain(&cell).to_owned())).collect()
    };
    rows.map(cells).collect()
}

fn sorted(mut rows: Vec<BTreeMap<String, String>>) -> Vec<BTreeMap<String, String>> {
    rows.sort();
    rows
}

pub(crate) fn month(date: NaiveDate) -> String {
    format!("{}.{:02}", date.year(), date.month())
}

#[tokio::test]
async fn each_row_is_a_document_with_every_cell_however_often_it_is_delivered() -> Result<()> {
    for url in urls()? {
        let scene = Scene::new(&url, "").await?;
        let said = scene.setup().await?;
        assert!(said.contains("changed 3, 0 as they have to be"), "{said}");
        assert!(scene.setup().await?.contains("changed 0, 3 as they have to be"), "the second time");
        let date = days_ago(4);
        for (bucket, bytes) in [("full", 7.0), ("=odd \"name\"", 8.0)] {
            scene.account.bucket(bucket, HOME_REGION).size("StandardStorage", date, bytes).objects(date, 3.0);
        }
        scene.account.bucket("empty", HOME_REGION);
        scene.send(FIRST);
        scene.fleet.work(&[]).await?;
        assert!(scene.fleet.dead_letters().is_empty(), "{:?}", scene.fleet.dead_letters());

        let stored = sorted(rows(&scene.fleet.table("data", date)?, "datapoint_date"));
        assert_eq!(stored.len(), 2);
        let documents = scene.documents("s3_daily_storage-*").await?;
        assert_eq!(sorted(documents.iter().map(|(_, document)| row(document)).collect()), stored);
        for (index, document) in &documents {
            assert_eq!(*index, format!("{}-s3_daily_storage-{}", scene.prefix, month(date)));
            assert_eq!((&document["run_id"], &document["settled"]), (&json!(FIRST), &json!(true)));
            assert_eq!(document["@timestamp"], json!(date.to_string()));
        }
        let gaps = scene.documents("coverage-*").await?;
        let [(_, gap)] = &gaps[..] else { panic!("one bucket has no datapoint: {gaps:?}") };
        assert_eq!((&gap["resource"], &gap["status"]), (&json!("empty"), &json!("no_data")));

        // The same report once more, as if the record of it had been lost.
        let marker = format!("delivered/search/{}", kit::report_key("data", date));
        scene.fleet.home.delete_object(REPORTS, &marker);
        scene.send(FIRST);
        scene.fleet.work(&[]).await?;
        assert_eq!(scene.documents("s3_daily_storage-*").await?.len(), 2);

        // A later report: another value, and a datapoint where there was none.
        let bucket = &scene.account;
        bucket.datapoint(HOME_REGION, "full", "StandardStorage", date, 9.0);
        bucket.datapoint(HOME_REGION, "empty", "StandardStorage", date, 1.0);
        scene.send(SECOND);
        scene.fleet.work(&[]).await?;
        let stored = sorted(rows(&scene.fleet.table("data", date)?, "datapoint_date"));
        assert_eq!(stored.len(), 3);
        let documents = scene.documents("s3_daily_storage-*").await?;
        assert_eq!(sorted(documents.iter().map(|(_, document)| row(document)).collect()), stored);
        assert!(scene.documents("coverage-*").await?.is_empty(), "there is no gap any more");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_sink_has_lost_is_delivered_again_from_the_reports() -> Result<()> {
    for url in urls()? {
        let scene = Scene::new(&url, "").await?;
        scene.setup().await?;
        scene.fleet.home.send(JOBS, &scene.fill_queues()?);
        scene.fleet.work(&[]).await?;
        let before = scene.documents("sqs-*").await?;
        assert_eq!(before.len(), 180, "a row a minute and queue");
        assert!(before.iter().all(|(_, document)| document["attributes"] == json!({"ticket": "OPS-7"})));
        let gaps = scene.documents("coverage-*").await?;
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        for (_, document) in &before {
            let path = format!("data/{HOME_REGION}/{}", document["queue_name"].as_str().unwrap_or_default());
            assert_eq!(document["resource_path"], path);
        }
        assert_eq!(gaps[0].1["resource_path"], format!("data/{HOME_REGION}/half"));
        let asked = scene.fleet.aws.calls().operation("GetMetricData").count();

        let index = format!("/{}-sqs-{}", scene.prefix, month(days_ago(1)));
        scene.ask("DELETE", &index, Value::Null).await?;
        let day = days_ago(1);
        let (from, to) = (format!("{day}T00:00:00Z"), format!("{day}T02:00:00Z"));
        let sent = scene.fleet.producer(&[
            "deliver",
            "--sink",
            "search",
            "--account-name",
            "data",
            "--dataset",
            "sqs",
            "--window",
            "1h",
            "--from",
            &from,
            "--to",
            &to,
        ]);
        let sent = finish(sent).await?.status(0);
        assert!(sent.stdout.contains("1 job sent, to deliver up to 2 reports to search"), "{}", sent.stdout);
        scene.fleet.work(&[]).await?;
        let sort = |mut documents: Vec<(String, Value)>| {
            documents.sort_by_key(|(_, document)| document.to_string());
            documents
        };
        assert_eq!(sort(scene.documents("sqs-*").await?), sort(before));
        assert_eq!(scene.fleet.aws.calls().operation("GetMetricData").count(), asked, "it asks nothing");
        assert!(scene.fleet.dead_letters().is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn an_endpoint_that_is_not_set_up_is_named_with_what_to_do() -> Result<()> {
    for url in urls()? {
        let scene = Scene::new(&url, "").await?;
        scene.account.bucket("b", HOME_REGION).size("StandardStorage", days_ago(4), 7.0);
        scene.send(FIRST);
        let ended = scene.fleet.work(&[]).await?;
        assert!(ended.stderr.contains("producer setup search"), "{}", ended.stderr);
        let dead = scene.fleet.dead_letters();
        assert_eq!(dead.len(), 1);
        assert_eq!(dead[0].attributes["failure_reason"], "not_delivered");
        let message = &dead[0].attributes["failure_message"];
        let expected = format!(
            "it has no index template {}-s3_daily_storage; run `producer setup search`",
            scene.prefix
        );
        assert!(message.contains(&expected), "{message}");

        let check = ["check", "--account-name", "data"];
        let checked = finish(scene.fleet.worker(&check)).await?.status(1);
        assert!(checked.stdout.contains("the sink search can't take reports: it has no index template"));
        assert!(checked.stderr.contains("1 of 1 sinks can't take reports"), "{}", checked.stderr);

        scene.setup().await?;
        let checked = finish(scene.fleet.worker(&check)).await?.status(0);
        assert!(checked.stdout.contains("the sink search can take reports"), "{}", checked.stdout);
        finish(scene.fleet.producer(&["replay", "--all"])).await?.status(0);
        scene.fleet.work(&[]).await?;
        assert_eq!(scene.documents("s3_daily_storage-*").await?.len(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn setup_shows_before_it_changes_keeps_what_is_a_user_s_and_deletes_what_is_past_its_retention()
-> Result<()> {
    for url in urls()? {
        let scene = Scene::new(&url, "retention = '2mo'").await?;
        let dry = finish(scene.fleet.producer(&["setup", "search", "--dry-run"])).await?.status(0);
        assert!(dry.stdout.contains("search: would change 3, 0 as they have to be"), "{}", dry.stdout);
        let template = format!("/_index_template/{}-sqs", scene.prefix);
        assert_eq!(
            scene.ask("GET", &template, Value::Null).await?["status"],
            json!(404),
            "nothing is changed"
        );

        // A template that a user has made.
        let body = json!({
            "index_patterns": [format!("{}-sqs-*", scene.prefix)],
            "priority": 300,
            "template": {"mappings": {"properties": {"@timestamp": {"type": "date"}, "owner": {"type": "keyword"}}}},
        });
        scene.ask("PUT", &template, body).await?;
        scene.setup().await?;
        let found = scene.ask("GET", &template, Value::Null).await?;
        let found = &found["index_templates"][0]["index_template"];
        assert_eq!(
            (&found["priority"], found["template"]["mappings"]["properties"]["owner"]["type"].as_str()),
            (&json!(300), Some("keyword"))
        );
        assert_eq!(
            found["template"]["mappings"]["properties"]["queue_name"]["type"], "keyword",
            "what it lacked"
        );

        // One that can't be kept and be right.
        let body = json!({
            "index_patterns": [format!("{}-sqs-*", scene.prefix)],
            "template": {"mappings": {"properties": {"@timestamp": {"type": "date"}, "region": {"type": "text"}}}},
        });
        scene.ask("PUT", &template, body).await?;
        let kept = finish(scene.fleet.producer(&["setup", "search"])).await?.status(1);
        assert!(
            kept.stdout.contains("its field region has another type; --overwrite replaces the template"),
            "{}",
            kept.stdout
        );
        finish(scene.fleet.producer(&["setup", "search", "--overwrite"])).await?.status(0);

        let today = chrono::Utc::now().date_naive();
        let old = today - TimeDelta::days(120);
        let indices = [
            format!("{}-sqs-{}", scene.prefix, month(old)),
            format!("{}-sqs-{}", scene.prefix, month(today)),
            format!("{}-mine-{}", scene.prefix, month(old)),
        ];
        for index in &indices {
            scene.ask("PUT", &format!("/{index}"), json!({})).await?;
        }
        let said = scene.setup().await?;
        assert!(said.contains(&format!("delete    index {}: ", indices[0])), "{said}");
        let there = scene.ask("GET", &format!("/{}-*/_mapping", scene.prefix), Value::Null).await?;
        let there: Vec<&String> = there.as_object().into_iter().flatten().map(|(name, _)| name).collect();
        assert!(!there.contains(&&indices[0]) && there.contains(&&indices[1]), "{there:?}");
        assert!(there.contains(&&indices[2]), "a user's own index is no index of ours");
    }
    Ok(())
}
