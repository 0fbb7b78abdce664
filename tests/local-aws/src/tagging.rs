// SPDX-License-Identifier: Apache-2.0
//! Resource Groups Tagging over awsJson 1.1: the tags of resources, by the region they lie in.
//!
//! <https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html>

use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock};

use serde::Deserialize;
use serde_json::json;

use crate::gateway::Call;
use crate::reply::{Reply, ServiceError, json_1_1, parse_json, unknown_operation};
use crate::world::World;

/// The most resources of a page, and as many as there are if a call does not say.
const MOST_A_PAGE: usize = 100;

/// The tags of one resource, in the order of their keys.
type Tags = BTreeMap<String, String>;

/// Each resource by its ARN. One that never had a tag is not here.
type Resources = BTreeMap<String, Tags>;

/// The tagged resources of every account and region.
#[derive(Default)]
pub(crate) struct TaggedResources {
    of: RwLock<HashMap<(String, String), Resources>>,
}

impl TaggedResources {
    pub(crate) fn set(&self, account: &str, region: &str, arn: &str, tags: &[(&str, &str)]) {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let mut of = self.of.write().unwrap_or_else(PoisonError::into_inner);
        let resources = of.entry((account.to_owned(), region.to_owned())).or_default();
        resources.insert(arn.to_owned(), tags.iter().map(owned).collect());
    }

    fn of(&self, account: &str, region: &str) -> Resources {
        let of = self.of.read().unwrap_or_else(PoisonError::into_inner);
        of.get(&(account.to_owned(), region.to_owned())).cloned().unwrap_or_default()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    #[serde(default)]
    resource_type_filters: Vec<String>,
    resources_per_page: Option<usize>,
    #[serde(default)]
    pagination_token: String,
}

pub(crate) fn serve(world: &World, call: &mut Call, body: &[u8]) -> Result<Reply, ServiceError> {
    if call.operation != "GetResources" {
        return Err(unknown_operation(&call.operation));
    }
    let input: Input = parse_json(body)?;
    let most = input.resources_per_page.unwrap_or(MOST_A_PAGE);
    if !(1..=MOST_A_PAGE).contains(&most) {
        return Err(invalid("ResourcesPerPage must be between 1 and 100."));
    }
    // The token is where the next page begins.
    let from = if input.pagination_token.is_empty() {
        0
    } else {
        input.pagination_token.parse().map_err(|_| invalid("The PaginationToken is not valid."))?
    };
    let resources = world.tagged_resources.of(call.account(), &call.region);
    let filters = &input.resource_type_filters;
    let is_asked = |arn: &str| filters.is_empty() || filters.iter().any(|filter| is_of(arn, filter));
    let asked: Vec<_> = resources.iter().filter(|(arn, _)| is_asked(arn)).collect();
    let page = asked.iter().skip(from).take(most).map(|(arn, tags)| {
        let tags: Vec<_> = tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        json!({ "ResourceARN": arn, "Tags": tags })
    });
    let page: Vec<_> = page.collect();
    call.items = page.len();
    let next = from + page.len();
    let token = if next < asked.len() { next.to_string() } else { String::new() };
    Ok(json_1_1(&json!({ "PaginationToken": token, "ResourceTagMappingList": page })))
}

/// Whether an ARN is of a type: `ecs:service` or, for all types of a service, `ecs`.
fn is_of(arn: &str, filter: &str) -> bool {
    let mut parts = arn.splitn(6, ':').skip(2);
    let (service, resource) = (parts.next(), parts.nth(2).unwrap_or(""));
    let (wanted, kind) = filter.split_once(':').unwrap_or((filter, ""));
    let is_kind = || resource.split(['/', ':']).next() == Some(kind);
    service == Some(wanted) && (kind.is_empty() || is_kind())
}

fn invalid(message: &str) -> ServiceError {
    ServiceError::new("InvalidParameterException", message)
}
