// SPDX-License-Identifier: Apache-2.0
//! The tags of an account's resources, by Resource Groups Tagging. It names no resource that never had a tag, so no row
//! depends on it unless a selection does.

use std::{collections::HashMap, sync::Arc};

use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use fleet::{
    AwsError, Dataset, ErrorKind,
    datasets::{GET_RESOURCES, Tags, resource_of},
    json_service::JsonOperation,
};
use serde_json::{Value, json};

use super::session::Session;
use crate::cloudwatch::{limits::RegionLimits, retry_counter::RetryCounter};

/// Source: <https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html>
const GET: JsonOperation = JsonOperation {
    service: "tagging",
    id: "Resource Groups Tagging API",
    target: "ResourceGroupsTaggingAPI_20170126.GetResources",
    action: GET_RESOURCES,
};

/// The most that there are.
const RESOURCES_PER_PAGE: usize = 100;

/// Reads the tags of a dataset's resources in one region.
#[derive(Debug)]
pub(crate) struct Tagging<'a> {
    session: &'a Session,
    region: Arc<str>,
    limits: Arc<RegionLimits>,
    tags: &'static Tags,
    /// The keys to keep.
    keys: Vec<&'static str>,
}

/// The tags of resources, as far as they are asked for.
#[derive(Debug, Default)]
pub(crate) struct ResourceTags {
    keys: Vec<&'static str>,
    /// The values of the keys, by what a resource's ARN has after the account. A resource without any of them is not here.
    of: HashMap<Box<str>, Values>,
}

/// A value for each key; `None` if the resource has no such tag.
type Values = Box<[Option<Box<str>>]>;

impl<'a> Tagging<'a> {
    /// The tags of a dataset in a region; `None` if nothing asks for them.
    pub(crate) fn new(
        session: &'a Session,
        region: &Arc<str>,
        limits: Arc<RegionLimits>,
        dataset: &'static Dataset,
    ) -> Option<Self> {
        let (tags, keys) = (dataset.tags.as_ref()?, dataset.tag_keys());
        (!keys.is_empty()).then(|| Self { session, region: region.clone(), limits, tags, keys })
    }

    /// All resources that have one of the tags, page by page.
    ///
    /// # Errors
    ///
    /// What the service said, after the SDK's retries.
    pub(crate) async fn read(&self) -> Result<ResourceTags, AwsError> {
        let mut found = ResourceTags { keys: self.keys.clone(), of: HashMap::new() };
        let mut token = String::new();
        loop {
            let page = self.page(&token).await?;
            let resources = page.get("ResourceTagMappingList").and_then(Value::as_array);
            resources.into_iter().flatten().for_each(|resource| found.add(resource));
            match page.get("PaginationToken").and_then(Value::as_str).unwrap_or_default() {
                "" => return Ok(found),
                next if next == token => {
                    return Err(AwsError::new(
                        ErrorKind::Transient,
                        GET_RESOURCES,
                        "RepeatedPaginationToken",
                    )
                    .message("the next page is the page itself")
                    .in_region(&self.region));
                }
                next => next.clone_into(&mut token),
            }
        }
    }

    /// One page; the first one if the token is empty.
    pub(crate) async fn page(&self, token: &str) -> Result<Value, AwsError> {
        let limiter = &self.limits.get_resources;
        limiter.wait(1.0).await;
        let input = json!({
            "ResourceTypeFilters": [self.tags.resource_type],
            "ResourcesPerPage": RESOURCES_PER_PAGE,
            "PaginationToken": token,
        });
        let counter = RetryCounter { limiter: limiter.clone(), cost: 1.0 };
        self.session.call(&GET, &self.region, input, Some(SharedInterceptor::new(counter))).await
    }
}

impl ResourceTags {
    /// Adds a resource of an answer.
    fn add(&mut self, resource: &Value) {
        let arn = resource.get("ResourceARN").and_then(Value::as_str).and_then(resource_of);
        let tags = resource.get("Tags").and_then(Value::as_array);
        let (Some(arn), Some(tags)) = (arn, tags) else { return };
        let text = |tag: &'_ Value, name: &str| tag.get(name).and_then(Value::as_str).map(Box::from);
        let value = |key: &&str| {
            let tag = tags.iter().find(|tag| tag.get("Key").and_then(Value::as_str) == Some(key))?;
            text(tag, "Value")
        };
        let values: Values = self.keys.iter().map(value).collect();
        if values.iter().any(Option::is_some) {
            self.of.insert(arn.into(), values);
        }
    }

    /// Whether a dataset has a resource with these dimension values, by its tags.
    pub(crate) fn select(&self, dataset: &Dataset, resource: &[&str]) -> bool {
        let values = self.values(dataset, resource);
        let value_of = |key: &str| {
            let place = self.keys.iter().position(|known| *known == key)?;
            values?.get(place)?.as_deref()
        };
        dataset.selection.as_ref().is_none_or(|selection| selection.has_tags(value_of))
    }

    /// The values of a resource's tags, in the order of the dataset's columns; empty if it has none of them.
    pub(crate) fn columns(&self, dataset: &Dataset, resource: &[&str]) -> Vec<&str> {
        let values = self.values(dataset, resource).into_iter().flatten();
        values.map(|value| value.as_deref().unwrap_or_default()).collect()
    }

    fn values(&self, dataset: &Dataset, resource: &[&str]) -> Option<&Values> {
        self.of.get(&*dataset.tags.as_ref()?.arn.of(resource)?)
    }
}

#[cfg(test)]
mod tests {
    use fleet::configuration;

    use super::*;

    #[test]
    fn a_resource_has_the_values_of_its_own_arn_and_only_of_the_keys_asked_for() {
        let text = r#"
[[select]]
name    = "tested_services"
dataset = "ecs_service"
tags    = { team = ["shop", "*"], cost-center = ["*"], stage = ["te*"] }
"#;
        configuration::parse(text, |_| Some(())).expect("valid");
        let dataset = Dataset::find("tested_services").expect("known");
        let mut tags = ResourceTags { keys: dataset.tag_keys(), of: HashMap::new() };
        assert_eq!(tags.keys, ["team", "cost-center", "stage"]);
        let mut add = |name: &str, of: &[(&str, &str)]| {
            let of: Vec<_> = of.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
            let arn = format!("arn:aws:ecs:eu-west-1:111111111111:service/main/{name}");
            tags.add(&json!({ "ResourceARN": arn, "Tags": of }));
        };
        add("web", &[("stage", "test"), ("team", "=1+1"), ("cost-center", ""), ("owner", "ops")]);
        add("new", &[("stage", "test"), ("team", "=1+1")]);
        add("cart", &[("cost-center", "7"), ("team", ""), ("stage", "live")]);
        add("idle", &[("owner", "ops")]);
        assert_eq!(tags.of.len(), 3, "what has none of the keys takes no memory");
        assert_eq!(tags.columns(dataset, &["main", "web"]), ["=1+1", "", "test"]);
        assert_eq!(tags.columns(dataset, &["main", "new"]), ["=1+1", "", "test"]);
        assert_eq!(tags.columns(dataset, &["main", "cart"]), ["", "7", "live"]);
        for unknown in [["main", "idle"], ["other", "web"]] {
            assert!(tags.columns(dataset, &unknown).is_empty() && !tags.select(dataset, &unknown));
        }
        let selected = ["web", "new", "cart"].map(|name| tags.select(dataset, &["main", name]));
        assert_eq!(selected, [true, false, false], "an empty value is one, and a missing tag is none");
    }
}
