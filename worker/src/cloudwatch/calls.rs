// SPDX-License-Identifier: Apache-2.0
//! The two CloudWatch calls, each with all its pages.

mod get_metric_data;
mod list_metrics;

use std::sync::Arc;

use aws_sdk_cloudwatch::Client;
use fleet::{AwsError, ErrorKind};

pub use self::get_metric_data::{Answers, Point, Query};
use super::limits::RegionLimits;
use crate::{
    account::session::{Renewable, Session},
    usage::Usage,
};

/// CloudWatch in one account and region.
#[derive(Debug, Clone)]
pub struct CloudWatch {
    client: Client,
    credentials: Renewable,
    limits: Arc<RegionLimits>,
    usage: Usage,
}

impl CloudWatch {
    /// CloudWatch in a region of the session's account, called at most as fast as `limits` allow.
    #[must_use]
    pub fn new(session: &Session, region: &str, limits: Arc<RegionLimits>) -> Self {
        let (client, credentials) = (session.cloudwatch(region), session.credentials().clone());
        Self { client, credentials, limits, usage: session.usage().clone() }
    }

    fn region(&self) -> &str {
        self.client.config().region().map(AsRef::as_ref).unwrap_or_default()
    }
}

/// The error for a page that names itself as the next one, which would never end.
fn same_page(operation: &'static str) -> AwsError {
    AwsError::new(ErrorKind::Transient, operation, "RepeatedNextToken")
        .message("the next page is the page itself")
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_smithy_mocks::{Rule, RuleMode, mock_client};
    use fleet::AccountId;

    use super::*;
    use crate::cloudwatch::limits::Limits;

    /// CloudWatch with canned responses.
    pub(crate) fn cloudwatch(rules: &[&Rule]) -> CloudWatch {
        let client = mock_client!(aws_sdk_cloudwatch, RuleMode::Sequential, rules);
        let account: AccountId = "111111111111".parse().expect("an id");
        let limits = Limits::default().of(&account, &"eu-west-1".into(), 1.0);
        CloudWatch { client, credentials: Renewable::for_tests(), limits, usage: Usage::default() }
    }
}
