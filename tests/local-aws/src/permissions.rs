// SPDX-License-Identifier: Apache-2.0
//! Denials that stay until they are lifted: by account, action, region and bucket, and regions that are not enabled.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use hyper::StatusCode;

use crate::calls::Service;
use crate::reply::ServiceError;

/// One denial: an IAM action, and where it is denied.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Denial {
    pub(crate) account: String,
    /// As in IAM, such as `s3:ListAllMyBuckets`; `s3:*` denies a whole service.
    pub(crate) action: String,
    /// Only in this region, or everywhere.
    pub(crate) region: Option<String>,
    /// Only on this bucket or queue, or on all.
    pub(crate) resource: Option<String>,
}

#[derive(Default)]
pub(crate) struct Permissions {
    denials: RwLock<HashSet<Denial>>,
    disabled_regions: RwLock<HashSet<(String, String)>>,
}

impl Permissions {
    pub(crate) fn deny(&self, denial: Denial) {
        self.denials.write().unwrap_or_else(PoisonError::into_inner).insert(denial);
    }

    /// Lifts every denial of the action in the account.
    pub(crate) fn allow(&self, account: &str, action: &str) {
        let mut denials = self.denials.write().unwrap_or_else(PoisonError::into_inner);
        denials.retain(|denial| !(denial.account == account && denial.action == action));
    }

    pub(crate) fn disable_region(&self, account: &str, region: &str) {
        let mut regions = self.disabled_regions.write().unwrap_or_else(PoisonError::into_inner);
        regions.insert((account.to_owned(), region.to_owned()));
    }

    pub(crate) fn is_region_disabled(&self, account: &str, region: &str) -> bool {
        let regions = self.disabled_regions.read().unwrap_or_else(PoisonError::into_inner);
        !regions.is_empty() && regions.contains(&(account.to_owned(), region.to_owned()))
    }

    pub(crate) fn is_denied(
        &self,
        account: &str,
        action: &str,
        region: &str,
        resource: Option<&str>,
    ) -> bool {
        let denials = self.denials.read().unwrap_or_else(PoisonError::into_inner);
        denials.iter().any(|denial| {
            denial.account == account
                && covers(&denial.action, action)
                && denial.region.as_deref().is_none_or(|only| only == region)
                && denial.resource.as_deref().is_none_or(|only| Some(only) == resource)
        })
    }
}

fn covers(pattern: &str, action: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == action, |prefix| action.starts_with(prefix))
}

/// The IAM action that an operation needs.
pub(crate) fn action(service: Service, operation: &str) -> String {
    let name = match (service, operation) {
        (Service::S3, "ListDirectoryBuckets") => return "s3express:ListAllMyDirectoryBuckets".to_owned(),
        (Service::S3, "ListBuckets") => "ListAllMyBuckets",
        (Service::S3, "HeadBucket" | "ListObjectsV2" | "ListObjects") => "ListBucket",
        (Service::S3, "HeadObject") => "GetObject",
        // A batch is allowed by its single form.
        (Service::Sqs, "SendMessageBatch") => "SendMessage",
        (Service::Sqs, "DeleteMessageBatch") => "DeleteMessage",
        (Service::Sqs, "ChangeMessageVisibilityBatch") => "ChangeMessageVisibility",
        (_, name) => name,
    };
    format!("{}:{name}", service.prefix())
}

/// `AccessDenied` in the words and the shape of the service.
pub(crate) fn access_denied(service: Service, arn: &str, action: &str) -> ServiceError {
    let message = format!(
        "User: {arn} is not authorized to perform: {action} because no identity-based policy allows the {action} action"
    );
    let error = |code| ServiceError::new(code, message);
    match service {
        Service::Sqs | Service::CloudWatch => {
            error("AccessDenied").shape("AccessDeniedException").status(StatusCode::FORBIDDEN)
        }
        Service::S3 | Service::Sts => error("AccessDenied").status(StatusCode::FORBIDDEN),
        Service::SecretsManager | Service::Ecs | Service::Tagging => error("AccessDeniedException"),
        Service::Account | Service::Lambda => error("AccessDeniedException").status(StatusCode::FORBIDDEN),
        Service::OpenSearch => error("security_exception").status(StatusCode::FORBIDDEN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_covers_its_action_region_and_resource_only() {
        let permissions = Permissions::default();
        let denial = Denial {
            account: "1".to_owned(),
            action: "cloudwatch:*".to_owned(),
            region: Some("eu-west-1".to_owned()),
            resource: None,
        };
        permissions.deny(denial);
        assert!(permissions.is_denied("1", "cloudwatch:GetMetricData", "eu-west-1", None));
        assert!(!permissions.is_denied("1", "cloudwatch:GetMetricData", "eu-west-2", None));
        assert!(!permissions.is_denied("2", "cloudwatch:GetMetricData", "eu-west-1", None));
        assert!(!permissions.is_denied("1", "s3:GetObject", "eu-west-1", None));
        permissions.allow("1", "cloudwatch:*");
        assert!(!permissions.is_denied("1", "cloudwatch:GetMetricData", "eu-west-1", None));
    }

    #[test]
    fn operations_need_the_actions_that_iam_names() {
        assert_eq!(action(Service::S3, "HeadBucket"), "s3:ListBucket");
        assert_eq!(action(Service::S3, "ListDirectoryBuckets"), "s3express:ListAllMyDirectoryBuckets");
        assert_eq!(action(Service::Sqs, "DeleteMessageBatch"), "sqs:DeleteMessage");
        assert_eq!(action(Service::CloudWatch, "GetMetricData"), "cloudwatch:GetMetricData");
    }
}
