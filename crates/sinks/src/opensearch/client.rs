// SPDX-License-Identifier: Apache-2.0
//! The requests of the sink, and what their answers mean.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use fleet::{
    http_service::{Access, Answer, HttpService, Request},
    settings::Value,
};
use serde_json::Value as Json;

use crate::settings::Settings;

/// An OpenSearch endpoint.
#[derive(Debug)]
pub(super) struct Client {
    service: HttpService,
    /// Whether it is a Serverless collection, which has no version, no cluster and no plugins.
    is_serverless: bool,
}

impl Client {
    /// The keys `url`, `auth` and `region`.
    pub(super) fn open(settings: &Settings<'_>) -> Option<Self> {
        let url = settings.table.required("url").and_then(|value| url_of(&value));
        let access = access(settings, url.as_deref().unwrap_or_default());
        let url = url?;
        let is_serverless = is_serverless(&url);
        Some(Self::new(HttpService::new(settings.aws.clone(), &url, access?), is_serverless))
    }

    pub(super) fn new(service: HttpService, is_serverless: bool) -> Self {
        Self { service, is_serverless }
    }

    /// Sends the documents of a bulk request, compressed by gzip.
    pub(super) async fn bulk(&self, body: Bytes) -> Result<Answer, fleet::AwsError> {
        let headers = vec![
            ("content-type", "application/x-ndjson".to_owned()),
            ("content-encoding", "gzip".to_owned()),
        ];
        // An answer to thousands of documents is short then.
        let path =
            "/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason,error,status";
        let request =
            Request { name: "opensearch:bulk", method: "POST", path: path.to_owned(), headers, body };
        self.service.call(request).await
    }

    pub(super) fn url(&self) -> &str {
        self.service.url()
    }

    pub(super) fn is_serverless(&self) -> bool {
        self.is_serverless
    }

    /// The index template of this name, if there is one.
    pub(super) async fn template(&self, name: &str) -> anyhow::Result<Option<Json>> {
        let found = self.find("opensearch:get_template", &format!("/_index_template/{name}")).await?;
        Ok(found.and_then(|found| found.pointer("/index_templates/0/index_template").cloned()))
    }

    /// The mappings of the indices that a pattern is for, by their names.
    pub(super) async fn mappings(&self, pattern: &str) -> anyhow::Result<BTreeMap<String, Json>> {
        let found = self.find("opensearch:get_mapping", &format!("/{pattern}/_mapping")).await?;
        let Some(Json::Object(indices)) = found else { return Ok(BTreeMap::new()) };
        let mappings = |mut index: Json| index.get_mut("mappings").map(Json::take).unwrap_or_default();
        Ok(indices.into_iter().map(|(name, index)| (name, mappings(index))).collect())
    }

    /// What is at a path; `None` if nothing is.
    pub(super) async fn find(&self, name: &'static str, path: &str) -> anyhow::Result<Option<Json>> {
        let answer = self.send(name, "GET", path, None).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let body = &self.accepted(&answer)?.body;
        Ok(Some(
            serde_json::from_slice(body).with_context(|| format!("the answer to GET {path} is not JSON"))?,
        ))
    }

    pub(super) async fn put(&self, name: &'static str, path: &str, body: &Json) -> anyhow::Result<()> {
        let answer = self.send(name, "PUT", path, Some(body)).await?;
        self.accepted(&answer).map(drop).with_context(|| format!("PUT {path}"))
    }

    pub(super) async fn post(&self, name: &'static str, path: &str, body: &Json) -> anyhow::Result<()> {
        let answer = self.send(name, "POST", path, Some(body)).await?;
        self.accepted(&answer).map(drop).with_context(|| format!("POST {path}"))
    }

    /// What a search finds; `None` if there is no index.
    pub(super) async fn search(
        &self,
        name: &'static str,
        path: &str,
        body: &Json,
    ) -> anyhow::Result<Option<Json>> {
        let answer = self.send(name, "POST", path, Some(body)).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let body = &self.accepted(&answer)?.body;
        Ok(Some(
            serde_json::from_slice(body).with_context(|| format!("the answer to POST {path} is not JSON"))?,
        ))
    }

    /// Deletes what is at a path, if anything is.
    pub(super) async fn delete(&self, name: &'static str, path: &str) -> anyhow::Result<()> {
        let answer = self.send(name, "DELETE", path, None).await?;
        if answer.status == 404 { Ok(()) } else { self.accepted(&answer).map(drop) }
    }

    /// Asks which product answers, and whether it accepts the credentials.
    pub(super) async fn check(&self) -> anyhow::Result<()> {
        if self.is_serverless {
            return Ok(());
        }
        let url = self.service.url();
        let answer = self.send("opensearch:info", "GET", "/", None).await;
        let answer = answer.with_context(|| {
            format!("could not ask {url} what it is; check the sink's url, and that its network and security groups allow this machine")
        })?;
        let info: Json = serde_json::from_slice(&self.accepted(&answer)?.body).with_context(|| {
            format!("{url} answers something other than OpenSearch; correct the sink's url")
        })?;
        let text =
            |pointer: &str| info.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned();
        let (distribution, number) = (text("/version/distribution"), text("/version/number"));
        let is_tested =
            distribution == "opensearch" && (number.starts_with("2.") || number.starts_with("3."));
        if !is_tested {
            let name =
                if distribution.is_empty() { "Elasticsearch, or another product," } else { &distribution };
            if is_too_old(&distribution, &number) {
                bail!(
                    "{url} is {name} {number}, which has no composable index templates; upgrade it to OpenSearch 2 or 3"
                );
            }
            tracing::warn!(
                "{url} is {name} {number}; the sink is tested with OpenSearch 2 and 3: upgrade it if it refuses documents"
            );
        }
        Ok(())
    }

    async fn send(
        &self,
        name: &'static str,
        method: &'static str,
        path: &str,
        body: Option<&Json>,
    ) -> anyhow::Result<Answer> {
        let headers = body.map(|_| ("content-type", "application/json".to_owned())).into_iter().collect();
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        Ok(self.service.call(Request { name, method, path: path.to_owned(), headers, body }).await?)
    }

    /// The answer, if it is no refusal.
    pub(super) fn accepted<'a>(&self, answer: &'a Answer) -> anyhow::Result<&'a Answer> {
        if (200..300).contains(&answer.status) { Ok(answer) } else { Err(self.refusal(answer)) }
    }

    /// What a refused request says, and what to do.
    pub(super) fn refusal(&self, answer: &Answer) -> anyhow::Error {
        let said = said(&answer.body);
        let url = self.service.url();
        match answer.status {
            401 => anyhow!("{url} does not accept the credentials ({}): {said}", self.service.access()),
            403 if said.contains("block") => {
                anyhow!("{url} takes no documents now: {said}; free disk space, or lift the block")
            }
            403 => anyhow!(
                "{url} denies it ({}): {said}; allow it in the access policy and, with fine-grained access control, map the role (`producer setup --map-role`)",
                self.service.access()
            ),
            404 => anyhow!("{url} has no such index or API: {said}; run `producer setup`"),
            status => anyhow!("{url} answers {status}: {said}"),
        }
    }
}

/// Whether a server has no composable index templates: Elasticsearch before 7.8. Source:
/// <https://www.elastic.co/guide/en/elasticsearch/reference/7.8/release-highlights.html>
fn is_too_old(distribution: &str, number: &str) -> bool {
    let mut parts = number.split('.').map(|part| part.parse::<u32>().unwrap_or(u32::MAX));
    let version = (parts.next().unwrap_or(u32::MAX), parts.next().unwrap_or(0));
    distribution != "opensearch" && version < (7, 8)
}

/// How requests show who sends them: the keys `auth` and `region`.
pub(super) fn access(settings: &Settings<'_>, url: &str) -> Option<Access> {
    let auth = settings.table.optional("auth");
    let region = settings.table.optional("region");
    let kind = auth.as_ref().map_or(Some("sigv4"), |value| {
        value.one_of(&[("sigv4", "sigv4"), ("basic", "basic"), ("none", "none")])
    })?;
    Some(match kind {
        "basic" => basic(settings.name, auth.as_ref()?)?,
        "none" => Access::Open,
        _ => {
            let region = match region.as_ref().map(Value::text) {
                Some(named) => named?.to_owned(),
                None => {
                    region_of(host_of(url)).unwrap_or_else(|| fleet::aws::region(settings.aws).to_owned())
                }
            };
            Access::Signed { service: if is_serverless(url) { "aoss" } else { "es" }, region }
        }
    })
}

fn host_of(url: &str) -> &str {
    let host = url.split_once("://").map_or("", |(_, rest)| rest);
    host.split(['/', ':']).next().unwrap_or_default()
}

fn is_serverless(url: &str) -> bool {
    host_of(url).ends_with(".aoss.amazonaws.com")
}

/// Whether it is a domain of Amazon OpenSearch Service.
pub(super) fn is_domain(url: &str) -> bool {
    let host = host_of(url);
    host.ends_with(".es.amazonaws.com") || host.ends_with(".es.amazonaws.com.cn")
}

/// What an answer says, shortened.
pub(super) fn said(body: &[u8]) -> String {
    let json: Json = serde_json::from_slice(body).unwrap_or_default();
    let text = |pointer: &str| json.pointer(pointer).and_then(Json::as_str);
    let reason =
        text("/error/reason").or_else(|| text("/error/root_cause/0/reason")).or_else(|| text("/message"));
    let reason = reason.or_else(|| text("/Message")).or_else(|| text("/error"));
    let whole = String::from_utf8_lossy(body);
    fleet::account::shorten(reason.unwrap_or(&whole))
}

pub(super) fn url_of(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if host.is_none_or(|host| host.is_empty() || host.starts_with('/') || host.contains(['@', '?', '#', ' ']))
    {
        value.fault(
            "is not a URL such as https://search-….eu-west-1.es.amazonaws.com, without a user and a query",
        );
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

/// The region in the host name of a domain or a collection: `search-….eu-west-1.es.amazonaws.com`.
fn region_of(host: &str) -> Option<String> {
    let rest = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let rest = rest.strip_suffix(".es").or_else(|| rest.strip_suffix(".aoss"))?;
    rest.rsplit('.').next().map(str::to_owned)
}

/// The user and the password in the variables of a sink's name.
fn basic(name: &str, auth: &Value<'_>) -> Option<Access> {
    let variable = |what: &str| {
        let name = format!("FLEET_SINK_{}_{what}", name.to_ascii_uppercase().replace('-', "_"));
        let value = std::env::var(&name).ok().filter(|value| !value.is_empty());
        if value.is_none() {
            auth.fault(format!("needs the environment variable {name}"));
        }
        value
    };
    let (user, password) = (variable("USER"), variable("PASSWORD"));
    Some(Access::Basic { user: user?, password: password?.into() })
}
