// SPDX-License-Identifier: Apache-2.0
//! A failed AWS call as a value. The program classifies the SDK's errors, with one classifier for all
//! services.

/// What an error means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Denied by a policy.
    Denied,
    /// The credentials themselves are refused; in a region that the account has not enabled, valid ones
    /// are refused too.
    Identity,
    /// The credentials have expired.
    Expired,
    /// There are no credentials: the provider failed before the call was made.
    NoCredentials,
    /// STS is not active in this region for the account.
    RegionDisabled,
    /// The requested resource does not exist.
    NotFound,
    /// The object has changed since it was read.
    PreconditionFailed,
    /// A transient error: throttled, timed out, unreachable, or the service's own fault.
    Transient,
    /// Anything else; a retry would fail in the same way.
    Permanent,
}

/// A call that failed, after the SDK's own retries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{operation}{}{}: {code}{}{message}",
    if region.is_some() { " in " } else { "" },
    region.as_deref().unwrap_or_default(),
    if message.is_empty() { "" } else { ": " }
)]
pub struct AwsError {
    /// The action, as IAM names it: `cloudwatch:GetMetricData`.
    pub operation: &'static str,
    /// The region called, if the operation is called in several.
    pub region: Option<String>,
    /// AWS's code, or the kind of failure if there was no response: `Timeout`, `Unreachable`.
    pub code: String,
    /// AWS's message, shortened and redacted.
    pub message: String,
    pub kind: ErrorKind,
}

/// The code of a response that can't be from AWS.
pub const NOT_FROM_AWS: &str = "NotFromAws";

impl AwsError {
    #[must_use]
    pub fn new(kind: ErrorKind, operation: &'static str, code: impl Into<String>) -> Self {
        Self { operation, region: None, code: code.into(), message: String::new(), kind }
    }

    #[must_use]
    pub fn message(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// The same error with the region of the call. A role is assumed in another region, so an error of
    /// that stays as it is.
    #[must_use]
    pub fn in_region(self, region: &str) -> Self {
        let is_of_sts = self.operation.starts_with("sts:AssumeRole");
        let region = (!is_of_sts && !region.is_empty()).then(|| region.to_owned());
        Self { region, ..self }
    }

    /// A success without a header that AWS always sends: something between this process and AWS may have
    /// sent the response, so it is unknown whether the call took effect.
    #[must_use]
    pub fn unconfirmed(operation: &'static str, lacks: &str) -> Self {
        Self::new(ErrorKind::Transient, operation, NOT_FROM_AWS).message(format!(
            "the response has no {lacks}, which AWS always sends; check the proxy or firewall between here and AWS"
        ))
    }

    /// Whether the host of the request does not exist: the service is not available in that region.
    #[must_use]
    pub fn is_unknown_host(&self) -> bool {
        self.code == "Unreachable" && self.message.contains("dns error")
    }

    /// Whether a later retry may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.kind == ErrorKind::Transient
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_named_with_its_action() {
        let error =
            AwsError::new(ErrorKind::Transient, "cloudwatch:ListMetrics", "Throttling").message("slow down");
        assert_eq!(error.to_string(), "cloudwatch:ListMetrics: Throttling: slow down");
        let placed = error.in_region("eu-west-1").to_string();
        assert_eq!(placed, "cloudwatch:ListMetrics in eu-west-1: Throttling: slow down");
        let role = AwsError::new(ErrorKind::Denied, "sts:AssumeRole", "AccessDenied").in_region("eu-west-1");
        assert_eq!(role.to_string(), "sts:AssumeRole: AccessDenied");
    }
}
