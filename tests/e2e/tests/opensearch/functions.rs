// SPDX-License-Identifier: Apache-2.0
//! Functions of Lambda at real nodes: what each is, whether its row is settled, and that an idle one is known too.

use anyhow::{Context, Result};
use chrono::{NaiveTime, TimeDelta};
use kit::{HOME_REGION, JOBS, days_ago, finish};
use local_aws::Function;
use serde_json::{Value, json};

use crate::sink::{Scene, urls};

const ID: &str = "111111111111";

#[tokio::test]
async fn a_document_has_what_its_function_is_and_says_for_itself_whether_it_is_settled() -> Result<()> {
    for url in urls()? {
        let prefix = format!("f{:08x}", fastrand::u32(..));
        let sink = format!(
            "[[sink]]\nname = 'functions'\ntype = 'opensearch'\ndatasets = ['lambda_function']\nurl = '{url}'\n\
             auth = 'none'\nprefix = '{prefix}'"
        );
        let scene = Scene::new(&url, &sink).await?;
        let account = scene.fleet.aws.account(ID);
        let midnight = days_ago(1).and_time(NaiveTime::MIN).and_utc();
        // Ten minutes after the hour, of which the last minute may have values of the slow one yet.
        scene.fleet.aws.set_clock(midnight + TimeDelta::minutes(70));
        for (name, timeout_seconds) in [("fast", 3), ("slow", 900), ("idle", 3)] {
            account.create_function(HOME_REGION, Function { timeout_seconds, ..Function::new(name) });
        }
        for name in ["fast", "slow"] {
            let at = midnight + TimeDelta::minutes(59);
            for (metric, value) in [("Invocations", 1.0), ("Duration", 3000.0)] {
                account.metric(HOME_REGION, "AWS/Lambda", metric, &[("FunctionName", name)], at, value);
            }
        }
        finish(scene.fleet.producer(&["setup", "functions"])).await?.status(0);
        let day = days_ago(1);
        let job = json!({
            "account_name": "data", "dataset": "lambda_function", "window": "1h",
            "from": format!("{day}T00:00:00Z"), "to": format!("{day}T01:00:00Z"),
        });
        scene.fleet.home.send(JOBS, &job.to_string());
        scene.fleet.work(&[]).await?;
        assert!(scene.fleet.dead_letters().is_empty(), "{:?}", scene.fleet.dead_letters());

        scene.ask("POST", &format!("/{prefix}-*/_refresh"), Value::Null).await?;
        let found = async |what: &str, query: Value| -> Result<Vec<Value>> {
            let path = format!("/{prefix}-{what}-*/_search?size=100");
            let answer = scene.ask("POST", &path, json!({ "query": query })).await?;
            let hits = answer.pointer("/hits/hits").and_then(Value::as_array).context("no hits")?;
            Ok(hits.iter().map(|hit| hit["_source"].clone()).collect())
        };
        let of = async |settled: bool| found("lambda_function", json!({"term": {"settled": settled}})).await;
        let [settled, provisional] = [of(true).await?, of(false).await?];
        let names = |documents: &[Value]| -> Vec<String> {
            documents.iter().map(|it| it["function_name"].as_str().unwrap_or_default().to_owned()).collect()
        };
        assert_eq!(
            [names(&settled), names(&provisional)],
            [["fast"], ["slow"]].map(|it| it.map(str::to_owned))
        );
        let fast = settled.first().context("a document")?;
        let facts = ["runtime", "runtime_deprecated_on", "memory_mb", "timeout_seconds", "insights"];
        assert_eq!(
            facts.map(|name| fast[name].clone()),
            [json!("python3.13"), json!("2029-06-30"), json!(128), json!(3), json!("no_insights")]
        );
        assert_eq!(fast["timeout_proximity_maximum"], 1.0, "{fast}");
        assert!(fast["cost_usd"].is_number(), "{fast}");
        let idle = found("coverage", json!({"term": {"resource": "idle"}})).await?;
        let said: Vec<_> = idle.iter().map(|it| (it["status"].clone(), it["settled"].clone())).collect();
        assert_eq!(said, [(json!("no_data"), json!("true"))]);
    }
    Ok(())
}
