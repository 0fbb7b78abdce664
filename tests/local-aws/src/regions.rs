// SPDX-License-Identifier: Apache-2.0
//! Account Management over restJson1: the regions that an account has enabled.
//!
//! <https://docs.aws.amazon.com/accounts/latest/reference/API_ListRegions.html>

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use serde::Deserialize;
use serde_json::json;

use crate::gateway::Call;
use crate::reply::{Reply, ServiceError, json_1_1, parse_json, unknown_operation};
use crate::world::World;

/// As small as it is, so that there are pages.
const PAGE: usize = 2;

/// The regions that accounts have enabled; where nothing is said, it is one.
#[derive(Default)]
pub(crate) struct EnabledRegions {
    of: RwLock<HashMap<String, Vec<String>>>,
}

impl EnabledRegions {
    pub(crate) fn set(&self, account: &str, regions: &[&str]) {
        let regions = regions.iter().map(|region| (*region).to_owned()).collect();
        self.of.write().unwrap_or_else(PoisonError::into_inner).insert(account.to_owned(), regions);
    }

    fn of(&self, account: &str) -> Vec<String> {
        let of = self.of.read().unwrap_or_else(PoisonError::into_inner);
        of.get(account).cloned().unwrap_or_else(|| vec!["us-east-1".to_owned()])
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    next_token: Option<String>,
}

pub(crate) fn serve(world: &World, call: &Call, body: &[u8]) -> Result<Reply, ServiceError> {
    if call.operation != "ListRegions" {
        return Err(unknown_operation(&call.operation));
    }
    let input: Input = parse_json(body)?;
    let from = input.next_token.and_then(|token| token.parse().ok()).unwrap_or(0);
    let regions = world.enabled_regions.of(call.account());
    let page = regions.iter().skip(from).take(PAGE);
    let page: Vec<_> =
        page.map(|region| json!({ "RegionName": region, "RegionOptStatus": "ENABLED_BY_DEFAULT" })).collect();
    let next = (from + PAGE < regions.len()).then(|| (from + PAGE).to_string());
    let mut answer = json!({ "Regions": page });
    if let (Some(next), Some(answer)) = (next, answer.as_object_mut()) {
        answer.insert("NextToken".to_owned(), next.into());
    }
    Ok(json_1_1(&answer))
}
