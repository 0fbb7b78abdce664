// SPDX-License-Identifier: Apache-2.0
//! Installs dashboards by the API of OpenSearch Dashboards. Source:
//! <https://github.com/opensearch-project/OpenSearch-Dashboards>, `src/core/server/saved_objects/routes`

use anyhow::{Context, bail};
use bytes::Bytes;
use fleet::{
    Dataset,
    http_service::{Answer, HttpService, Request},
    settings::Value,
};
use serde_json::{Value as Json, json};

use super::{
    client::{self, said},
    dashboards::{
        self,
        saved_objects::{self, SavedObject},
    },
    ours::{self, Verdict},
};
use crate::{
    settings::Settings,
    setup::{Action, Change, SetUp},
};

/// What a part of the form begins with; no object has it.
const EDGE: &str = "cloudwatch-fleet-3f0c9a52e1";

/// Where the dashboards of a sink are installed.
#[derive(Debug)]
pub(super) struct Dashboards {
    /// `None` if nothing says where.
    service: Option<HttpService>,
    tenant: Option<String>,
}

/// An OpenSearch Dashboards.
#[derive(Debug, Clone, Copy)]
struct Api<'a> {
    service: &'a HttpService,
    tenant: Option<&'a str>,
}

impl Dashboards {
    /// The keys `dashboards` and `tenant`. A domain of Amazon's has its Dashboards at a known path.
    pub(super) fn open(settings: &Settings<'_>, endpoint: &str) -> Option<Self> {
        let url = settings.table.optional("dashboards");
        let tenant = settings.table.optional("tenant");
        let url = match &url {
            Some(value) => Some(client::url_of(value)?),
            None if client::is_domain(endpoint) => Some(format!("{endpoint}/_dashboards")),
            None => None,
        };
        let tenant = match tenant.as_ref().map(Value::text) {
            Some(tenant) => Some(tenant?.to_owned()),
            None => None,
        };
        let service = match url {
            Some(url) => {
                let access = client::access(settings, endpoint)?;
                Some(HttpService::new(settings.aws.clone(), &url, access))
            }
            None => None,
        };
        Some(Self { service, tenant })
    }

    /// Installs the dashboards of a sink.
    pub(super) async fn set_up(
        &self,
        prefix: &str,
        datasets: &[&'static Dataset],
        how: &SetUp,
    ) -> anyhow::Result<Vec<Change>> {
        let Some(service) = &self.service else {
            let why = "the sink has no key dashboards, which says where OpenSearch Dashboards is";
            return Ok(vec![Change::new("dashboards", Action::Skip).because(why)]);
        };
        let api = Api { service, tenant: self.tenant.as_deref() };
        let (mut changes, mut wanted) = (Vec::new(), Vec::new());
        for object in saved_objects::all(&dashboards::of(prefix, datasets)) {
            let (change, written) = api.compare(&object, how).await?;
            changes.push(change);
            wanted.extend(written);
        }
        if !how.dry_run && !wanted.is_empty() {
            api.import(&wanted).await?;
        }
        Ok(changes)
    }
}

impl Api<'_> {
    /// What is to be done about an object, and what is written then.
    async fn compare(&self, object: &SavedObject, how: &SetUp) -> anyhow::Result<(Change, Option<Json>)> {
        let what = format!("{} {}", object.kind.replace('-', " "), object.id);
        let installed = self.find(object).await?;
        let attributes = installed.as_ref().and_then(|installed| installed.get("attributes"));
        if object.kind == "index-pattern" {
            return Ok(pattern(what, object, attributes));
        }
        let content = |attributes: &Json, references: &Json| json!({"attributes": attributes, "references": references});
        let wanted = content(&object.attributes, &object.references);
        let theirs = installed.as_ref().zip(attributes).map(|(installed, attributes)| {
            let references = installed.get("references").unwrap_or(&Json::Null);
            let known = ours::in_our_keys(&object.attributes, attributes);
            (content(&known, references), attributes.get("description").and_then(Json::as_str))
        });
        let theirs = theirs.as_ref().map(|(content, description)| (content, *description));
        Ok(match ours::verdict(&wanted, theirs, how.overwrite) {
            Verdict::Keep(why) => (Change::new(what, Action::Keep).because(why).harmless(), None),
            Verdict::Do(Action::Unchanged) => (Change::new(what, Action::Unchanged), None),
            Verdict::Do(action) => {
                (Change::new(what, action), Some(object.with_description(&ours::description(&wanted))))
            }
        })
    }

    async fn find(&self, object: &SavedObject) -> anyhow::Result<Option<Json>> {
        let path = format!("/api/saved_objects/{}/{}", object.kind, object.id);
        let answer = self.call("dashboards:get_object", "GET", &path, None).await?;
        // Something else that has nothing there does not say it in these words.
        let is_dashboards = || {
            serde_json::from_slice::<Json>(&answer.body).is_ok_and(|body| body.get("statusCode").is_some())
        };
        if answer.status == 404 && is_dashboards() {
            return Ok(None);
        }
        self.json(&answer).map(Some)
    }

    /// Imports objects, of which each refers only to others of them, or to what is there.
    async fn import(&self, objects: &[Json]) -> anyhow::Result<()> {
        let lines: Vec<String> = objects.iter().map(Json::to_string).collect();
        let body = format!(
            "--{EDGE}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"fleet.ndjson\"\r\n\
             Content-Type: application/ndjson\r\n\r\n{}\r\n--{EDGE}--\r\n",
            lines.join("\n")
        );
        let kind = format!("multipart/form-data; boundary={EDGE}");
        let path = "/api/saved_objects/_import?overwrite=true";
        let answer = self.call("dashboards:import", "POST", path, Some((kind, body))).await?;
        let answer = self.json(&answer)?;
        let errors = answer.get("errors").and_then(Json::as_array).cloned().unwrap_or_default();
        if answer.get("success") == Some(&Json::Bool(true)) && errors.is_empty() {
            return Ok(());
        }
        let reason = |error: &Json| error.pointer("/error/type").and_then(Json::as_str).map(str::to_owned);
        if errors.iter().all(|error| reason(error).as_deref() == Some("unsupported_type"))
            && !errors.is_empty()
        {
            // 3.7.0 refuses types that it has: https://github.com/opensearch-project/OpenSearch-Dashboards/issues/12201
            return self.create(objects).await;
        }
        let first = errors.first().map(|error| {
            let id = error.get("id").and_then(Json::as_str).unwrap_or_default();
            format!("{id}: {}", reason(error).unwrap_or_default())
        });
        bail!(
            "{} did not import {} of {} objects: {}",
            self.service.url(),
            errors.len(),
            objects.len(),
            first.unwrap_or_else(|| "it does not say why".to_owned())
        )
    }

    /// Creates objects one by one in one request.
    async fn create(&self, objects: &[Json]) -> anyhow::Result<()> {
        let path = "/api/saved_objects/_bulk_create?overwrite=true";
        let body = Json::from(objects.to_vec()).to_string();
        let body = Some(("application/json".to_owned(), body));
        let answer = self.json(&self.call("dashboards:bulk_create", "POST", path, body).await?)?;
        let created = answer.get("saved_objects").and_then(Json::as_array).cloned().unwrap_or_default();
        if let Some(failed) = created.iter().find(|object| object.get("error").is_some()) {
            let text = |pointer: &str| failed.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
            bail!("{} did not create {}: {}", self.service.url(), text("/id"), text("/error/message"));
        }
        Ok(())
    }

    async fn call(
        &self,
        name: &'static str,
        method: &'static str,
        path: &str,
        body: Option<(String, String)>,
    ) -> anyhow::Result<Answer> {
        // Any value will do; a page of another site can't send it.
        let mut headers = vec![("osd-xsrf", "true".to_owned())];
        headers.extend(self.tenant.map(|tenant| ("securitytenant", tenant.to_owned())));
        let (kind, body) = body.unzip();
        headers.extend(kind.map(|kind| ("content-type", kind)));
        let body = body.map(Bytes::from).unwrap_or_default();
        Ok(self.service.call(Request { name, method, path: path.to_owned(), headers, body }).await?)
    }

    fn json(&self, answer: &Answer) -> anyhow::Result<Json> {
        let url = self.service.url();
        match answer.status {
            200..300 => serde_json::from_slice(&answer.body)
                .with_context(|| format!("{url} answers something other than OpenSearch Dashboards")),
            401 | 403 => bail!(
                "{url} denies it ({}): {}; dashboards need a user who may write saved objects",
                self.service.access(),
                said(&answer.body)
            ),
            404 => {
                bail!("{url} is no OpenSearch Dashboards: {}; correct the key dashboards", said(&answer.body))
            }
            status => bail!("{url} answers {status}: {}", said(&answer.body)),
        }
    }
}

/// An index pattern gets what it lacks; formats and fields are its users'.
fn pattern(what: String, object: &SavedObject, installed: Option<&Json>) -> (Change, Option<Json>) {
    let Some(installed) = installed else {
        return (Change::new(what, Action::Create), Some(object.with_description("")));
    };
    let is_met = |key: &str| installed.get(key) == object.attributes.get(key);
    if is_met("title") && is_met("timeFieldName") {
        return (Change::new(what, Action::Unchanged), None);
    }
    let mut merged = object.clone();
    if let (Some(merged), Some(installed)) = (merged.attributes.as_object_mut(), installed.as_object()) {
        let others = installed.iter().filter(|(key, _)| !matches!(key.as_str(), "title" | "timeFieldName"));
        merged.extend(others.map(|(key, value)| (key.clone(), value.clone())));
    }
    (Change::new(what, Action::Update), Some(merged.with_description("")))
}

#[cfg(test)]
mod tests {
    use aws_config::SdkConfig;
    use fleet::settings;

    use super::*;

    fn opened(endpoint: &str, text: &str) -> Option<String> {
        let aws = SdkConfig::builder().build();
        let open = |table: &settings::Table<'_>| {
            Dashboards::open(&Settings { name: "search", datasets: &[], table, aws: &aws }, endpoint)
        };
        let dashboards = settings::read(text, open).expect("valid");
        dashboards.service.map(|service| service.url().to_owned())
    }

    #[test]
    fn a_domain_has_its_dashboards_at_a_known_path_and_nothing_else_has() {
        let domain = "https://search-f.eu-west-1.es.amazonaws.com";
        assert_eq!(opened(domain, ""), Some(format!("{domain}/_dashboards")));
        assert_eq!(opened(domain, "dashboards = 'https://d.example/'").as_deref(), Some("https://d.example"));
        for other in [
            "https://c.eu-west-1.aoss.amazonaws.com",
            "http://127.0.0.1:9200",
            "https://es.amazonaws.com.evil.example",
        ] {
            assert_eq!(opened(other, ""), None, "{other}");
        }
    }

    #[test]
    fn an_index_pattern_gets_its_title_and_keeps_its_formats() {
        let wanted = SavedObject {
            kind: "index-pattern",
            id: "fleet".to_owned(),
            attributes: json!({"title": "a-*,b-*", "timeFieldName": "@timestamp", "fieldFormatMap": "{}"}),
            references: json!([]),
        };
        let installed = json!({"title": "a-*", "timeFieldName": "@timestamp", "fieldFormatMap": "theirs", "fields": "[]"});
        let (change, written) = pattern("pattern".to_owned(), &wanted, Some(&installed));
        let attributes = &written.expect("an object")["attributes"];
        assert_eq!(change.action, Action::Update);
        assert_eq!(
            attributes,
            &json!({"title": "a-*,b-*", "timeFieldName": "@timestamp", "fieldFormatMap": "theirs", "fields": "[]"})
        );
        assert_eq!(pattern("pattern".to_owned(), &wanted, Some(attributes)).0.action, Action::Unchanged);
    }
}
