// SPDX-License-Identifier: Apache-2.0
//! The regions that an account has enabled, as the account itself says.

use fleet::{
    AwsError, ErrorKind,
    aws::{self, is_region},
    datasets::LIST_REGIONS,
    json_service::JsonOperation,
};
use serde_json::{Value, json};

use super::session::Session;

/// Source: <https://docs.aws.amazon.com/accounts/latest/reference/API_ListRegions.html>
const LIST: JsonOperation =
    JsonOperation { service: "account", id: "Account", target: "/listRegions", action: LIST_REGIONS };

/// More than there are pages, at 50 regions each.
const MOST_PAGES: usize = 20;

/// The one region in which a partition has the service. Source: <https://docs.aws.amazon.com/general/latest/gr/accounts.html>
fn region_of(partition: &str) -> Option<&'static str> {
    match partition {
        "aws" => Some("us-east-1"),
        "aws-cn" => Some("cn-northwest-1"),
        "aws-us-gov" => Some("us-gov-west-1"),
        _ => None,
    }
}

/// The regions that are enabled, by default or by choice.
///
/// # Errors
/// What the service said. It is asked nothing in a partition that does not have it.
pub(crate) async fn regions(session: &Session) -> Result<Vec<String>, AwsError> {
    let home = session.home_region();
    let Some(region) = region_of(aws::partition(home)) else {
        return Err(AwsError::new(ErrorKind::Permanent, LIST_REGIONS, "NoService")
            .message("this partition has no list of regions"));
    };
    let mut regions = Vec::new();
    let mut token = Value::Null;
    for _ in 0..MOST_PAGES {
        let mut input =
            json!({ "MaxResults": 50, "RegionOptStatusContains": ["ENABLED", "ENABLED_BY_DEFAULT"] });
        if let (Value::String(_), Some(input)) = (&token, input.as_object_mut()) {
            input.insert("NextToken".to_owned(), token);
        }
        let page = session.call(&LIST, region, input, None).await?;
        let named = page.get("Regions").and_then(Value::as_array).into_iter().flatten();
        let named = named.filter_map(|region| region.get("RegionName")?.as_str());
        regions.extend(named.filter(|region| is_region(region)).map(str::to_owned));
        token = page.get("NextToken").cloned().unwrap_or_default();
        if token.is_null() {
            break;
        }
    }
    Ok(regions)
}
