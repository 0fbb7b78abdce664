//! A call of AWS that failed, as a value. What the SDK's error means is decided by the program, which has one classifier
//! for all services.

/// What an error means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Not allowed, by a policy.
    Denied,
    /// The credentials themselves are refused; in a region that the account has not enabled, good
    /// ones are too.
    Identity,
    /// The credentials were good and are no longer.
    Expired,
    /// No credentials could be had: the provider failed before anything was asked.
    NoCredentials,
    /// STS is not active in this region for the account.
    RegionDisabled,
    /// What was asked for does not exist.
    NotFound,
    /// The object is another one than it was when it was read.
    PreconditionFailed,
    /// A transient error: throttled, timed out, unreachable, or the service's own fault.
    Transient,
    /// Anything else; asking again would give it again.
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
    /// Where it was asked, if that is not the same for all calls of the operation.
    pub region: Option<String>,
    /// AWS's code, or the form of the failure if nothing answered: `Timeout`, `Unreachable`.
    pub code: String,
    /// What AWS says of it, shortened, without what may be a secret.
    pub message: String,
    pub kind: ErrorKind,
}

/// The code of an answer that AWS can't have given.
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

    /// The same error of a call in a region. A role is assumed elsewhere, so that an error of that stays as it is.
    #[must_use]
    pub fn in_region(self, region: &str) -> Self {
        let is_of_sts = self.operation.starts_with("sts:AssumeRole");
        let region = (!is_of_sts && !region.is_empty()).then(|| region.to_owned());
        Self { region, ..self }
    }

    /// A success without what AWS puts into each: something between here and AWS may have given it, so nothing is
    /// known to be done.
    #[must_use]
    pub fn unconfirmed(operation: &'static str, lacks: &str) -> Self {
        Self::new(ErrorKind::Transient, operation, NOT_FROM_AWS).message(format!(
            "the answer has no {lacks}, which AWS always gives; look at the proxy or firewall between here and AWS"
        ))
    }

    /// Whether the host of the request does not exist: the service is not in that region.
    #[must_use]
    pub fn is_unknown_host(&self) -> bool {
        self.code == "Unreachable" && self.message.contains("dns error")
    }

    /// Whether the call may succeed when it is made again later.
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
