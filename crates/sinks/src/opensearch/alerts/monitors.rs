// SPDX-License-Identifier: Apache-2.0
//! Monitors of the alerting plugin, which look at each function, runtime or account of its own. Pure functions.
//!
//! Only settled rows count: what is provisional may be a part of an hour. Searches are written as the plugin shows them, so
//! that they can be compared with what is there. Source:
//! <https://docs.opensearch.org/latest/observing-your-data/alerting/api/>

use fleet::{Dataset, datasets::Layout};
use serde_json::{Value, json};

use super::Alerts;
use crate::opensearch::mapping;

/// How often a monitor runs.
const EVERY_MINUTES: u32 = 60;

/// How long an account that sent something is known, in days.
const KNOWN_DAYS: u32 = 30;

/// How many groups a monitor reads at once; it reads them all.
const PAGE: u32 = 1000;

/// The name of the aggregation that alerts are of.
const GROUPS: &str = "groups";

/// A monitor without what an installation of it adds.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    pub name: String,
    pub indices: Vec<String>,
    /// The body of its search. `{{period_end}}` is the time at which it runs, in milliseconds.
    pub search: Value,
    /// The condition of its trigger: a bucket selector.
    pub condition: Value,
    /// What has happened, for people, with the groups of an alert.
    pub message: String,
}

/// The monitors of a sink.
#[must_use]
pub fn of(prefix: &str, datasets: &[&'static Dataset], alerts: &Alerts) -> Vec<Monitor> {
    let mut all = Vec::new();
    let mut known: Vec<&str> = Vec::new();
    for dataset in datasets {
        if known.contains(&dataset.name) {
            continue;
        }
        known.push(dataset.name);
        let whole = dataset.selection.as_ref().map_or(dataset.name, |selection| &*selection.of);
        if whole == "lambda_function" && dataset.layout == Layout::Wide {
            let of_functions = [error_rate, near_timeout, deprecated_runtime];
            all.extend(of_functions.into_iter().filter_map(|monitor| monitor(prefix, dataset, alerts)));
        }
    }
    all.push(silent_account(prefix, &known, alerts));
    all
}

impl Monitor {
    /// The monitor as alerting takes it, with the channel that its alerts go to.
    pub(in crate::opensearch) fn body(&self, channel: &str) -> Value {
        let template = |text: &str| json!({"source": text, "lang": "mustache"});
        let groups = "{{#ctx.newAlerts}}{{bucket_keys}} {{/ctx.newAlerts}}";
        let action = json!({
            "name": "notify", "destination_id": channel,
            "subject_template": template(&self.name),
            "message_template": template(&format!("{}: {groups}", self.message)),
            "throttle_enabled": false,
            // A message for each that is new, and none while it lasts.
            "action_execution_policy": {
                "action_execution_scope": {"per_alert": {"actionable_alerts": ["NEW"]}},
            },
        });
        let trigger = json!({"bucket_level_trigger": {
            "name": self.name, "severity": "2", "condition": self.condition, "actions": [action],
        }});
        json!({
            "type": "monitor", "monitor_type": "bucket_level_monitor", "name": self.name, "enabled": true,
            "schedule": {"period": {"interval": EVERY_MINUTES, "unit": "MINUTES"}},
            "inputs": [{"search": {"indices": self.indices, "query": self.search}}],
            "triggers": [trigger],
        })
    }

    /// The fields that it uses.
    #[must_use]
    pub fn fields(&self) -> Vec<String> {
        let mut fields = Vec::new();
        collect(&self.search, &mut fields);
        fields
    }
}

/// The fields of a search: those that aggregations name, and the keys of its terms and ranges.
fn collect(value: &Value, fields: &mut Vec<String>) {
    match value {
        Value::Object(all) => {
            for (key, value) in all {
                match (key.as_str(), value) {
                    ("field", Value::String(field)) => fields.push(field.clone()),
                    ("term" | "range", Value::Object(named)) => fields.extend(named.keys().cloned()),
                    _ => collect(value, fields),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|value| collect(value, fields)),
        _ => {}
    }
}

fn error_rate(prefix: &str, dataset: &Dataset, alerts: &Alerts) -> Option<Monitor> {
    let sum = |field: &str| json!({"sum": {"field": field}});
    let aggregations = json!({"errors": sum("errors_sum"), "invocations": sum("invocations_sum")});
    let script = format!(
        "params.invocations >= {} && params.errors / params.invocations > {}",
        alerts.min_invocations, alerts.error_rate
    );
    let monitor = Monitor {
        name: format!("{prefix}: error rate of {}", dataset.name),
        indices: vec![format!("{prefix}-{}-*", dataset.name)],
        search: search(&[look_back(alerts)], &["resource_path"], &aggregations),
        condition: condition(&[("errors", "errors"), ("invocations", "invocations")], &script),
        message: format!(
            "More than {} % of the invocations failed within {} hours",
            alerts.error_rate * 100.0,
            alerts.look_back_hours
        ),
    };
    fits(prefix, dataset, monitor)
}

fn near_timeout(prefix: &str, dataset: &Dataset, alerts: &Alerts) -> Option<Monitor> {
    let aggregations = json!({"longest": {"max": {"field": "timeout_proximity_maximum"}}});
    let script = format!("params.longest >= {}", alerts.timeout_proximity);
    let monitor = Monitor {
        name: format!("{prefix}: near timeout of {}", dataset.name),
        indices: vec![format!("{prefix}-{}-*", dataset.name)],
        search: search(&[look_back(alerts)], &["resource_path"], &aggregations),
        condition: condition(&[("longest", "longest")], &script),
        message: format!(
            "An invocation took {} % of its timeout or more within {} hours",
            alerts.timeout_proximity * 100.0,
            alerts.look_back_hours
        ),
    };
    fits(prefix, dataset, monitor)
}

/// Of each account and runtime, whether its functions were invoked or not.
fn deprecated_runtime(prefix: &str, dataset: &Dataset, alerts: &Alerts) -> Option<Monitor> {
    let until = json!({"range": {"runtime_deprecated_on": {
        "from": null, "to": format!("{{{{period_end}}}}||+{}d", alerts.deprecation_days),
        "include_lower": true, "include_upper": true, "format": "epoch_millis",
    }}});
    let of_dataset = json!({"term": {"dataset": {"value": dataset.name}}});
    let aggregations = json!({"functions": {"cardinality": {"field": "resource_path"}}});
    let monitor = Monitor {
        name: format!("{prefix}: deprecated runtime in {}", dataset.name),
        indices: vec![format!("{prefix}-{}-*", dataset.name), format!("{prefix}-{}-*", mapping::COVERAGE)],
        search: search(&[look_back(alerts), until, of_dataset], &["account_name", "runtime"], &aggregations),
        condition: condition(&[("functions", "functions")], "params.functions > 0"),
        message: format!(
            "An account has functions whose runtime is deprecated, or will be within {} days",
            alerts.deprecation_days
        ),
    };
    fits(prefix, dataset, monitor)
}

/// An account that sent something once, and has nothing new, whatever the dataset.
fn silent_account(prefix: &str, datasets: &[&str], alerts: &Alerts) -> Monitor {
    let names = datasets.iter().copied().chain([mapping::COVERAGE]);
    let recent = json!({"recent": {"filter": since(&format!("{}h", alerts.silent_hours))}});
    Monitor {
        name: format!("{prefix}: account sent nothing"),
        indices: names.map(|name| format!("{prefix}-{name}-*")).collect(),
        search: search(&[since(&format!("{KNOWN_DAYS}d"))], &["account_name"], &recent),
        condition: condition(&[("recent", "recent>_count")], "params.recent == 0"),
        message: format!("An account has sent nothing of the last {} hours", alerts.silent_hours),
    }
}

/// The monitor, if the rows of a dataset have all of its fields; a selection may have left some out.
fn fits(prefix: &str, dataset: &Dataset, monitor: Monitor) -> Option<Monitor> {
    let [rows, _] = mapping::templates(prefix, dataset);
    monitor.fields().iter().all(|field| rows.has(field)).then_some(monitor)
}

fn look_back(alerts: &Alerts) -> Value {
    since(&format!("{}h", alerts.look_back_hours))
}

/// Datapoints that are newer than this before the time at which a monitor runs.
fn since(ago: &str) -> Value {
    json!({"range": {"@timestamp": {
        "from": format!("{{{{period_end}}}}||-{ago}"), "to": "{{period_end}}",
        "include_lower": true, "include_upper": true, "format": "epoch_millis",
    }}})
}

/// The search of settled rows, grouped by the values of fields.
fn search(filters: &[Value], by: &[&str], aggregations: &Value) -> Value {
    let settled = json!({"term": {"settled": {"value": true}}});
    let filters: Vec<&Value> = std::iter::once(&settled).chain(filters).collect();
    let source = |field: &&str| json!({*field: {"terms": {"field": field}}});
    let sources: Vec<Value> = by.iter().map(source).collect();
    json!({
        "size": 0, "query": {"bool": {"filter": filters}},
        "aggregations": {GROUPS: {
            "composite": {"size": PAGE, "sources": sources},
            "aggregations": aggregations,
        }},
    })
}

fn condition(paths: &[(&str, &str)], script: &str) -> Value {
    let paths: serde_json::Map<_, _> =
        paths.iter().map(|(name, path)| ((*name).to_owned(), Value::from(*path))).collect();
    json!({
        "buckets_path": paths, "parent_bucket_path": GROUPS,
        "script": {"source": script, "lang": "painless"}, "gap_policy": "skip",
    })
}

#[cfg(test)]
mod tests {
    use fleet::{datasets, settings};

    use super::*;

    fn alerts() -> Alerts {
        let text = "sns_topic = 'arn:aws:sns:eu-west-1:111111111111:alarms'";
        settings::read(text, |table| Alerts::open("search", table)).expect("valid")
    }

    #[test]
    fn every_field_of_every_monitor_is_in_each_of_its_mappings() {
        let all: Vec<_> = datasets::all().collect();
        let monitors = of("fleet", &all, &alerts());
        let names: Vec<_> = monitors.iter().map(|monitor| &*monitor.name).collect();
        assert_eq!(
            names,
            [
                "fleet: error rate of lambda_function",
                "fleet: near timeout of lambda_function",
                "fleet: deprecated runtime in lambda_function",
                "fleet: account sent nothing",
            ]
        );
        let templates: Vec<_> = all.iter().flat_map(|dataset| mapping::templates("fleet", dataset)).collect();
        for monitor in monitors {
            assert!(monitor.fields().contains(&"settled".to_owned()), "{}", monitor.name);
            for index in &monitor.indices {
                let template = templates
                    .iter()
                    .find(|template| format!("{}-*", template.name) == *index)
                    .expect("a template of ours");
                for field in monitor.fields() {
                    assert!(template.has(&field), "{} {index}: {field}", monitor.name);
                }
            }
        }
    }

    #[test]
    fn a_sink_without_functions_has_the_monitor_of_accounts_alone() {
        let monitors = of("fleet", &fleet::Dataset::named("sqs"), &alerts());
        assert_eq!(monitors.len(), 1);
        assert_eq!(monitors[0].indices, ["fleet-sqs-*", "fleet-coverage-*"]);
    }
}
