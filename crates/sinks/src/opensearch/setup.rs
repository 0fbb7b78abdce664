// SPDX-License-Identifier: Apache-2.0
//! Sets an endpoint up: index templates, the mappings of indices that exist, the role that writes, and the deletion of indices
//! past the retention. To do it twice changes nothing the second time.

use std::collections::BTreeMap;

use anyhow::bail;
use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use super::{endpoint::Endpoint, mapping};
use crate::setup::{Action, Change, SetUp};

impl Endpoint {
    pub(super) async fn set_up(&self, how: &SetUp) -> anyhow::Result<Vec<Change>> {
        self.client.check().await?;
        let mut changes = Vec::new();
        let mut templates: BTreeMap<String, mapping::Template> = BTreeMap::new();
        for dataset in &self.datasets {
            for template in mapping::templates(&self.prefix, dataset) {
                templates.insert(template.name.clone(), template);
            }
        }
        for template in templates.values() {
            changes.push(self.template(template, how).await?);
        }
        let indices = self.client.mappings(&format!("{}-*", self.prefix)).await?;
        for (index, mappings) in &indices {
            let template = month_of(index).and_then(|(what, _)| templates.get(what));
            changes.extend(self.index(index, mappings, template, how).await?);
        }
        for (index, mappings) in &indices {
            changes.extend(self.expired(index, mappings, how).await?);
        }
        if let Some(role) = &how.map_role {
            changes.extend(self.role(role, how).await?);
        }
        changes.extend(self.dashboards.set_up(&self.prefix, &self.datasets, how).await?);
        if let Some(alerts) = &self.alerts {
            changes.extend(self.alerting(alerts, how).await?);
        }
        Ok(changes)
    }

    async fn template(&self, template: &mapping::Template, how: &SetUp) -> anyhow::Result<Change> {
        let what = format!("index template {}", template.name);
        let (action, body) = match self.client.template(&template.name).await? {
            None => (Action::Create, template.body.clone()),
            Some(installed) if template.is_met_by(&installed) => {
                return Ok(Change::new(what, Action::Unchanged));
            }
            // What is there besides stays: it is its owner's.
            Some(installed) => match template.merged_into(&installed) {
                Ok(merged) => (Action::Update, merged),
                Err(_) if how.overwrite => (Action::Update, template.body.clone()),
                Err(field) => {
                    let why =
                        format!("its field {field} has another type; --overwrite replaces the template");
                    return Ok(Change::new(what, Action::Keep).because(why));
                }
            },
        };
        if !how.dry_run {
            self.client
                .put("opensearch:put_template", &format!("/_index_template/{}", template.name), &body)
                .await?;
        }
        Ok(Change::new(what, action))
    }

    /// Gives an index that exists the fields that it lacks. Its documents of a later version would be refused.
    async fn index(
        &self,
        index: &str,
        mappings: &Value,
        template: Option<&mapping::Template>,
        how: &SetUp,
    ) -> anyhow::Result<Option<Change>> {
        let Some(template) = template else { return Ok(None) };
        let what = format!("index {index}");
        match template.missing_in(mappings.get("properties")) {
            Err(field) => {
                let why = format!(
                    "its field {field} has another type; delete the index, and `producer deliver --sink {}` fills a new one",
                    self.name
                );
                Ok(Some(Change::new(what, Action::Keep).because(why)))
            }
            Ok(missing) if missing.is_empty() => Ok(None),
            Ok(missing) => {
                let names = missing.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                if !how.dry_run {
                    let body = json!({"properties": missing});
                    self.client.put("opensearch:put_mapping", &format!("/{index}/_mapping"), &body).await?;
                }
                Ok(Some(Change::new(what, Action::Update).because(format!("it lacks {names}"))))
            }
        }
    }

    /// Deletes an index if all its documents are past the retention, and it is one of this sink.
    async fn expired(&self, index: &str, mappings: &Value, how: &SetUp) -> anyhow::Result<Option<Change>> {
        let Some(oldest) = self.oldest_month(how.now) else { return Ok(None) };
        let is_ours = mappings.get("_meta") == Some(&mapping::meta(&self.prefix));
        let Some((_, month)) = month_of(index).filter(|(_, month)| is_ours && *month < oldest) else {
            return Ok(None);
        };
        if !how.dry_run {
            self.client.delete("opensearch:delete_index", &format!("/{index}")).await?;
        }
        let why = format!(
            "{} is past the retention; the report bucket still has its reports",
            month.format("%Y-%m")
        );
        Ok(Some(Change::new(format!("index {index}"), Action::Delete).because(why)))
    }

    /// Allows a role to write, on a domain with fine-grained access control. Source:
    /// <https://docs.opensearch.org/latest/security/access-control/api/>
    async fn role(&self, arn: &str, how: &SetUp) -> anyhow::Result<Vec<Change>> {
        if self.client.is_serverless() {
            bail!(
                "{arn} can't be mapped: a Serverless collection has data access policies in place of roles; name the role in one"
            );
        }
        let name = format!("{}-writer", self.prefix);
        let role = json!({
            "cluster_permissions": ["cluster_monitor", "cluster_composite_ops", "indices:admin/index_template/get"],
            "index_permissions": [{
                "index_patterns": [format!("{}-*", self.prefix)],
                "allowed_actions": ["crud", "create_index", "indices:admin/mapping/put"],
            }],
        });
        let path = |what: &str| format!("/_plugins/_security/api/{what}/{name}");
        let mut changes = Vec::new();
        let installed = self.client.find("opensearch:get_role", &path("roles")).await?;
        let installed = installed.as_ref().and_then(|found| found.get(&name));
        let is_met = installed.is_some_and(|installed| is_within(&role, installed));
        let action = match installed {
            None => Action::Create,
            Some(_) if is_met => Action::Unchanged,
            Some(_) => Action::Update,
        };
        if !is_met && !how.dry_run {
            self.client.put("opensearch:put_role", &path("roles"), &role).await?;
        }
        changes.push(Change::new(format!("role {name}"), action));

        let installed = self.client.find("opensearch:get_role_mapping", &path("rolesmapping")).await?;
        let installed = installed.as_ref().and_then(|found| found.get(&name));
        let list = |key: &str| {
            let list = installed.and_then(|installed| installed.get(key)).and_then(Value::as_array);
            list.cloned().unwrap_or_default()
        };
        let mut backend_roles = list("backend_roles");
        let action = match installed {
            _ if backend_roles.iter().any(|known| known == arn) => Action::Unchanged,
            None => Action::Create,
            Some(_) => Action::Update,
        };
        if action != Action::Unchanged && !how.dry_run {
            backend_roles.push(arn.into());
            let body =
                json!({"backend_roles": backend_roles, "hosts": list("hosts"), "users": list("users")});
            self.client.put("opensearch:put_role_mapping", &path("rolesmapping"), &body).await?;
        }
        changes.push(Change::new(format!("mapping of {arn} to the role {name}"), action));
        Ok(changes)
    }
}

/// What an index holds, and the month of its documents: `fleet-sqs` and November of `fleet-sqs-2026.11`.
fn month_of(index: &str) -> Option<(&str, NaiveDate)> {
    let (what, month) = index.rsplit_once('-')?;
    let is_month = month.len() == 7 && month.get(4..5) == Some(".");
    let month = NaiveDate::parse_from_str(&format!("{month}.01"), "%Y.%m.%d").ok();
    Some((what, month.filter(|_| is_month)?))
}

/// Whether all of a value is in another one, which may have more.
fn is_within(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.iter().all(|(key, value)| theirs.get(key).is_some_and(|their| is_within(value, their)))
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.iter().all(|value| theirs.iter().any(|their| is_within(value, their)))
        }
        _ => ours == theirs,
    }
}

impl mapping::Template {
    /// The fields that a mapping lacks.
    ///
    /// # Errors
    ///
    /// The first field that has another type there.
    fn missing_in(&self, properties: Option<&Value>) -> Result<Map<String, Value>, String> {
        let none = Map::new();
        let theirs = properties.and_then(Value::as_object).unwrap_or(&none);
        let mut missing = Map::new();
        for (name, field) in self.properties() {
            match theirs.get(name) {
                None => {
                    missing.insert(name.clone(), field.clone());
                }
                Some(their) if mapping::type_of(their) != mapping::type_of(field) => return Err(name.clone()),
                Some(_) => {}
            }
        }
        Ok(missing)
    }

    /// An installed template with the fields that it lacks.
    ///
    /// # Errors
    ///
    /// The first field that has another type there.
    fn merged_into(&self, installed: &Value) -> Result<Value, String> {
        let properties = installed.pointer("/template/mappings/properties");
        let missing = self.missing_in(properties)?;
        let mut merged = installed.clone();
        match merged.pointer_mut("/template/mappings/properties").and_then(Value::as_object_mut) {
            Some(properties) => {
                properties.extend(missing);
                Ok(merged)
            }
            // It maps nothing: it is no template of rows.
            None => Err("@timestamp".to_owned()),
        }
    }
}
