// SPDX-License-Identifier: Apache-2.0
//! Installs monitors and their channel by the APIs of the plugins for alerting and notifications. Sources:
//! <https://docs.opensearch.org/latest/observing-your-data/alerting/api/>
//! <https://docs.opensearch.org/latest/observing-your-data/notifications/api/>

use anyhow::Context;
use serde_json::{Value, json};

use super::{
    alerts::{
        Alerts,
        monitors::{self, Monitor},
    },
    endpoint::Endpoint,
    ours::{self, Verdict},
};
use crate::setup::{Action, Change, SetUp};

const MONITORS: &str = "/_plugins/_alerting/monitors";
const CHANNELS: &str = "/_plugins/_notifications/configs";

impl Endpoint {
    /// Installs the monitors of the sink, and the channel of their alerts.
    pub(super) async fn alerting(&self, alerts: &Alerts, how: &SetUp) -> anyhow::Result<Vec<Change>> {
        if self.client.is_serverless() {
            let why =
                "a Serverless collection has no alerting; use a domain, or the alarms of the fleet itself";
            return Ok(vec![Change::new("monitors", Action::Skip).because(why)]);
        }
        let id = format!("{}-alerts", self.prefix);
        let mut changes = vec![self.channel(&id, alerts, how).await?];
        for monitor in monitors::of(&self.prefix, &self.datasets, alerts) {
            changes.push(self.monitor(&monitor, &id, how).await?);
        }
        Ok(changes)
    }

    /// A channel keeps the id that it is given.
    async fn channel(&self, id: &str, alerts: &Alerts, how: &SetUp) -> anyhow::Result<Change> {
        let what = format!("notification channel {id}");
        let wanted = alerts.channel.config(&format!("{}: alerts of the fleet", self.prefix))?;
        let path = format!("{CHANNELS}/{id}");
        let found = self.client.find("opensearch:get_channel", &path).await?;
        let installed = found.as_ref().and_then(|found| found.pointer("/config_list/0/config"));
        let theirs = installed.map(|installed| ours::in_our_keys(&wanted, installed));
        let description = installed.and_then(|installed| installed.get("description")?.as_str());
        let theirs = theirs.as_ref().map(|content| (content, description));
        let action = match ours::verdict(&wanted, theirs, how.overwrite) {
            Verdict::Keep(why) => return Ok(Change::new(what, Action::Keep).because(why).harmless()),
            Verdict::Do(action) => action,
        };
        if !how.dry_run && action != Action::Unchanged {
            let mut config = wanted.clone();
            if let Some(config) = config.as_object_mut() {
                config.insert("description".to_owned(), ours::description(&wanted).into());
            }
            if action == Action::Create {
                let body = json!({"config_id": id, "config": config});
                self.client.post("opensearch:create_channel", CHANNELS, &body).await?;
            } else {
                let body = json!({"config": config});
                self.client.put("opensearch:update_channel", &path, &body).await?;
            }
        }
        Ok(Change::new(what, action))
    }

    /// A monitor has an id of the server's own, so that it is found by its name.
    async fn monitor(&self, monitor: &Monitor, channel: &str, how: &SetUp) -> anyhow::Result<Change> {
        let what = format!("monitor {:?}", monitor.name);
        let wanted = monitor.body(channel);
        let query = json!({"size": 10, "query": {"term": {"monitor.name.keyword": {"value": monitor.name}}}});
        // Before the first monitor there is nothing to search.
        let path = format!("{MONITORS}/_search");
        let found = self.client.search("opensearch:search_monitors", &path, &query).await?;
        let found = found.unwrap_or_default();
        let hits = found.pointer("/hits/hits").and_then(Value::as_array).cloned().unwrap_or_default();
        let hit = hits.first().map(|hit| (hit.get("_id").and_then(Value::as_str), hit.get("_source")));
        let action = match &hit {
            None => Action::Create,
            Some((_, Some(installed))) => match compare(&wanted, installed, how.overwrite) {
                Verdict::Keep(why) => return Ok(Change::new(what, Action::Keep).because(why).harmless()),
                Verdict::Do(action) => action,
            },
            Some((_, None)) => Action::Update,
        };
        if !how.dry_run && action != Action::Unchanged {
            let mut body = wanted.clone();
            if let Some(body) = body.as_object_mut() {
                // The server shows more than it was given, so that no hash would fit: what was written is kept whole.
                let mark = json!({"version": fleet::VERSION, "wrote": wanted.to_string()});
                body.insert("ui_metadata".to_owned(), json!({"cloudwatch_fleet": mark}));
            }
            match hit {
                None => self.client.post("opensearch:create_monitor", MONITORS, &body).await?,
                Some((id, _)) => {
                    let id = id.context("the alerting plugin shows a monitor without its id")?;
                    self.client.put("opensearch:update_monitor", &format!("{MONITORS}/{id}"), &body).await?;
                }
            }
        }
        Ok(Change::new(what, action))
    }
}

/// Compares a monitor with one that is there, in what we write alone.
fn compare(wanted: &Value, installed: &Value, overwrite: bool) -> Verdict {
    let mark = installed.pointer("/ui_metadata/cloudwatch_fleet");
    let text = |key: &str| mark.and_then(|mark| mark.get(key)?.as_str());
    let wrote = text("wrote").and_then(|wrote| serde_json::from_str::<Value>(wrote).ok());
    let is_as_written = |written: &Value| ours::is_written_in(written, installed);
    if is_as_written(wanted) {
        return Verdict::Do(Action::Unchanged);
    }
    match wrote {
        _ if overwrite => Verdict::Do(Action::Update),
        Some(wrote) if is_as_written(&wrote) => match text("version") {
            Some(version) if ours::is_newer(version) => {
                Verdict::Keep(format!("version {version} has written it; --overwrite replaces it"))
            }
            _ => Verdict::Do(Action::Update),
        },
        _ => Verdict::Keep(ours::EDITED.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use aws_config::SdkConfig;
    use chrono::Utc;
    use fleet::{Dataset, settings};

    use super::*;
    use crate::settings::Settings;

    fn endpoint(text: &str) -> Endpoint {
        let aws = SdkConfig::builder().build();
        let datasets = Dataset::named("lambda_function");
        let open = |table: &settings::Table<'_>| {
            Endpoint::open(&Settings { name: "search", datasets: &datasets, table, aws: &aws })
        };
        settings::read(text, open).expect("valid")
    }

    #[tokio::test]
    async fn a_serverless_collection_has_no_monitors_and_it_is_said() {
        let topic = "sns_topic = 'arn:aws:sns:eu-west-1:111111111111:alarms'";
        let text = format!("url = 'https://c.eu-west-1.aoss.amazonaws.com'\n[alerts]\n{topic}\n");
        let endpoint = endpoint(&text);
        let alerts = endpoint.alerts.as_ref().expect("a table");
        let how = SetUp { dry_run: false, overwrite: false, map_role: None, now: Utc::now() };
        let changes = endpoint.alerting(alerts, &how).await.expect("no call");
        let [change] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!((&*change.what, change.action), ("monitors", Action::Skip));
        assert!(change.why.as_ref().is_some_and(|why| why.contains("Serverless")), "{change:?}");
    }

    #[test]
    fn without_a_table_nothing_is_alerted_on() {
        assert_eq!(endpoint("url = 'https://search-f.eu-west-1.es.amazonaws.com'").alerts, None);
    }

    #[test]
    fn a_monitor_of_another_owner_is_theirs() {
        let (wanted, theirs) =
            (json!({"name": "rate", "enabled": true}), json!({"name": "rate", "enabled": false}));
        assert_eq!(compare(&wanted, &theirs, false), Verdict::Keep(ours::EDITED.to_owned()));
        assert_eq!(compare(&wanted, &theirs, true), Verdict::Do(Action::Update));
        let mark =
            |version: &str| json!({"cloudwatch_fleet": {"version": version, "wrote": theirs.to_string()}});
        let ours = |version| json!({"name": "rate", "enabled": false, "ui_metadata": mark(version)});
        assert_eq!(compare(&wanted, &ours(fleet::VERSION), false), Verdict::Do(Action::Update));
        let newer = Verdict::Keep("version 99.0.0 has written it; --overwrite replaces it".to_owned());
        assert_eq!(compare(&wanted, &ours("99.0.0"), false), newer);
    }
}
