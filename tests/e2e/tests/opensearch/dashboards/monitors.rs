// SPDX-License-Identifier: Apache-2.0
//! What the monitors would alert on, at real nodes: their searches, with their conditions as bucket selectors.

use anyhow::{Context, Result};
use chrono::TimeDelta;
use fleet::Dataset;
use serde_json::{Value, json};
use sinks::opensearch::alerts::{
    Alerts, Channel,
    monitors::{self, Monitor},
};

use super::{DATASETS, Filled, day};

fn alerts() -> Alerts {
    Alerts {
        error_rate: 0.05,
        min_invocations: 1000,
        timeout_proximity: 0.9,
        deprecation_days: 90,
        silent_hours: 72,
        look_back_hours: 48,
        channel: Channel::Sns { topic: "arn:aws:sns:eu-west-1:111111111111:alarms".to_owned(), role: None },
    }
}

/// The search of a monitor that runs an hour after the day, as the alerting plugin makes it.
fn search(monitor: &Monitor) -> Result<Value> {
    let end = (day()?.1 + TimeDelta::hours(1)).timestamp_millis().to_string();
    let mut search: Value =
        serde_json::from_str(&monitor.search.to_string().replace("{{period_end}}", &end))?;
    let parent = monitor.condition["parent_bucket_path"].as_str().context("the path of the groups")?;
    let selector = json!({
        "buckets_path": monitor.condition["buckets_path"], "script": monitor.condition["script"],
        "gap_policy": monitor.condition["gap_policy"],
    });
    search["aggregations"][parent]["aggregations"]["alert"] = json!({"bucket_selector": selector});
    Ok(search)
}

/// The keys of the groups that a monitor alerts on.
async fn alerting(filled: &Filled, monitor: &Monitor) -> Result<Vec<String>> {
    let answer = filled.search(&monitor.indices.join(","), &search(monitor)?).await?;
    let buckets = answer["aggregations"]["groups"]["buckets"].as_array().context("groups")?;
    let key = |bucket: &Value| {
        let parts = bucket["key"].as_object().into_iter().flatten();
        parts.filter_map(|(_, part)| part.as_str()).collect::<Vec<_>>().join(" ")
    };
    Ok(buckets.iter().map(key).collect())
}

#[tokio::test]
async fn monitors_alert_on_what_is_wrong_and_on_nothing_else() -> Result<()> {
    let datasets: Vec<_> = DATASETS.iter().flat_map(|name| Dataset::named(name)).collect();
    for filled in Filled::all().await? {
        let expected: [(&str, &[&str]); 4] = [
            // One in nine and one in eleven fail; what fails in an hour that may still change does not count.
            ("error rate of", &["media/eu-west-1/transcode", "shop/us-east-1/invoice"]),
            ("near timeout of", &["media/eu-west-1/transcode", "shop/us-east-1/invoice"]),
            // The functions that were idle, too.
            (
                "deprecated runtime in",
                &["data nodejs18.x", "media python3.8", "shop nodejs18.x", "shop python3.8"],
            ),
            ("account sent nothing", &["legacy"]),
        ];
        let all = monitors::of(&filled.prefix, &datasets, &alerts());
        assert_eq!(all.len(), expected.len());
        for (monitor, (name, groups)) in all.iter().zip(expected) {
            assert!(monitor.name.contains(name), "{}", monitor.name);
            assert_eq!(alerting(&filled, monitor).await?, groups, "{} at {}", monitor.name, filled.url);
        }

        // Thresholds are those of the settings.
        let strict =
            Alerts { error_rate: 0.10, timeout_proximity: 0.9999, silent_hours: 24 * 20, ..alerts() };
        let mut found = Vec::new();
        for monitor in monitors::of(&filled.prefix, &datasets, &strict) {
            found.push(alerting(&filled, &monitor).await?.len());
        }
        assert_eq!(found, [1, 0, 4, 0]);
    }
    Ok(())
}
