// SPDX-License-Identifier: Apache-2.0
//! The classifier of AWS errors, for all services: a table of error codes.
//!
//! It uses codes, not the SDK's typed errors: SQS's typed errors depend on a header that not every
//! endpoint sends, and one table is easier to read than an `impl` for each operation.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::{
    assume_role::AssumeRoleError, assume_role_with_web_identity::AssumeRoleWithWebIdentityError,
};
use aws_smithy_runtime_api::client::{
    orchestrator::HttpResponse,
    result::{ConnectorError, SdkError},
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use engine::{AwsError, ErrorKind, NOT_FROM_AWS, redact};

use crate::{
    aws::{between::not_from_aws, connection::ConnectionFailure},
    credentials::none_given::NoneGiven,
};

/// The maximum length of a message of AWS that is passed on, in characters.
const MAX_MESSAGE: usize = 500;

/// The maximum length of a code that is passed on, in characters.
const MAX_CODE: usize = 64;

/// Each code whose meaning differs from its status. Old and new spellings are listed together: a service
/// that changed its protocol kept both.
const CODES: &[(ErrorKind, &[&str])] = &[
    (
        ErrorKind::Denied,
        &[
            "AccessDenied",
            "AccessDeniedException",
            "UnauthorizedOperation",
            "NotAuthorized",
            "Forbidden",
            "AllAccessDisabled",
            "KMS.AccessDeniedException",
            "KmsAccessDenied",
        ],
    ),
    (
        ErrorKind::Identity,
        &[
            "AuthFailure",
            "InvalidClientTokenId",
            "InvalidAccessKeyId",
            "UnrecognizedClientException",
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
            "RequestTimeTooSkewed",
            "NotSignedUp",
            "IncompleteSignature",
            "InvalidToken",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "OptInRequired",
            "IDPRejectedClaim",
            "IDPRejectedClaimException",
            "InvalidIdentityToken",
            "InvalidIdentityTokenException",
        ],
    ),
    (ErrorKind::RegionDisabled, &["RegionDisabledException"]),
    (
        // Their statuses, 403 and 404, would mean something else.
        ErrorKind::Permanent,
        &[
            "AccountProblem",
            "InvalidSecurity",
            "InvalidAddress",
            "InvalidIdFormat",
            "MalformedQueryString",
            "ReceiptHandleIsInvalid",
            "UnknownOperationException",
        ],
    ),
    (
        ErrorKind::Expired,
        &["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"],
    ),
    (
        ErrorKind::NotFound,
        &[
            "NoSuchBucket",
            "NoSuchKey",
            "NotFound",
            "AWS.SimpleQueueService.NonExistentQueue",
            "QueueDoesNotExist",
            "ClusterNotFoundException",
            "ServiceNotFoundException",
        ],
    ),
    (ErrorKind::PreconditionFailed, &["PreconditionFailed", "ConditionalRequestConflict"]),
    (
        ErrorKind::Transient,
        &[
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottled",
            "RequestThrottledException",
            "RequestLimitExceeded",
            "TooManyRequestsException",
            "LimitExceeded",
            "LimitExceededException",
            "SlowDown",
            "InternalError",
            "InternalFailure",
            "InternalServiceError",
            "InternalServiceFault",
            "ServiceUnavailable",
            "ServiceUnavailableException",
            "RequestTimeout",
            "RequestTimeoutException",
            "KmsThrottled",
            "KMS.ThrottlingException",
            "OverLimit",
            "OperationAborted",
            "IncompleteBody",
            "InvalidNextToken",
            "IDPCommunicationError",
            "BandwidthLimitExceeded",
            "EC2ThrottledException",
            "PriorRequestNotComplete",
            "ProvisionedThroughputExceededException",
            "TransactionInProgressException",
        ],
    ),
];

/// The error of a failed call of `operation`, which is the action's name in IAM.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "the error becomes this one")]
pub fn from_sdk<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> AwsError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    classify(operation, &error)
}

/// Whether a call failed before anything of it was sent, so that it can't have had an effect.
#[must_use]
pub fn is_unsent<E>(error: &SdkError<E, HttpResponse>) -> bool
where
    E: Error + Send + Sync + 'static,
{
    matches!(error, SdkError::ConstructionFailure(_))
        || chain(error).any(|cause| {
            cause.downcast_ref::<ConnectionFailure>().is_some_and(|failure| failure.is_unsent)
                || cause.is::<CredentialsError>()
        })
}

fn classify<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> AwsError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let make = |code: &str, message: &str, kind| {
        let message: String = redact(message).chars().take(MAX_MESSAGE).collect();
        AwsError::new(kind, operation, code).message(message)
    };
    match error {
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            let (code, message) = (context.err().code(), context.err().message().unwrap_or_default());
            match (code, not_from_aws(context.raw())) {
                (Some(code), _) => make(word(code), message, kind_of(code, status)),
                (None, Some(what)) => make(NOT_FROM_AWS, &what, ErrorKind::Transient),
                // A HEAD request is answered without a body, and therefore without a code.
                (None, None) => {
                    make(code_of_status(status), message, kind_of(code_of_status(status), status))
                }
            }
        }
        SdkError::TimeoutError(_) => {
            make("Timeout", "no response in time, after all attempts", ErrorKind::Transient)
        }
        SdkError::DispatchFailure(_) if !chain(error).any(shows_request) => {
            credentials_failure(operation, error).unwrap_or_else(|| {
                match chain(error).find_map(|cause| cause.downcast_ref::<ConnectionFailure>()) {
                    Some(failure) => make(failure.code(), &failure.to_string(), failure.kind()),
                    None => make("Unreachable", &error_text(error), ErrorKind::Transient),
                }
            })
        }
        // The request could not even be built, because of the configuration. Its causes may contain the
        // whole request.
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => {
            credentials_failure(operation, error)
                .unwrap_or_else(|| make("InvalidRequest", CANNOT_BUILD, ErrorKind::Permanent))
        }
        _ => match error.raw_response().and_then(not_from_aws) {
            Some(what) => make(NOT_FROM_AWS, &what, ErrorKind::Transient),
            None => make("BrokenAnswer", &error_text(error), ErrorKind::Transient),
        },
    }
}

fn kind_of(code: &str, status: u16) -> ErrorKind {
    let listed = CODES.iter().find(|(_, codes)| codes.contains(&code)).map(|(kind, _)| *kind);
    listed.unwrap_or(match status {
        408 | 429 | 500.. => ErrorKind::Transient,
        403 => ErrorKind::Denied,
        404 => ErrorKind::NotFound,
        _ => ErrorKind::Permanent,
    })
}

/// The code, if it is a single word as AWS's codes are: it is shown unchanged in logs, cells and
/// messages.
fn word(code: &str) -> &str {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    let is_code = code.starts_with(|first: char| first.is_ascii_alphabetic()) && code.bytes().all(is_word);
    if is_code && code.len() <= MAX_CODE { code } else { "UnreadableCode" }
}

fn code_of_status(status: u16) -> &'static str {
    match status {
        301 | 307 | 308 => "PermanentRedirect",
        400 => "BadRequest",
        401 | 403 => "Forbidden",
        404 => "NotFound",
        409 => "ConditionalRequestConflict",
        412 => "PreconditionFailed",
        429 => "TooManyRequestsException",
        500.. => "ServiceUnavailable",
        _ => "UnknownError",
    }
}

pub(crate) fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// The message for a request that can't be built.
const CANNOT_BUILD: &str = "the request can't be built; check the endpoint";

/// Whether an error's text contains a request with its form and headers. The SDK has one such error, for
/// an endpoint that is not valid.
fn shows_request(error: &(dyn Error + 'static)) -> bool {
    error.to_string().contains("Request {")
}

/// The text of an error and of each of its causes, without repetitions. The SDK's own format adds the
/// debug output, which may contain a whole response of STS with its credentials.
pub(crate) fn error_text(error: &(dyn Error + 'static)) -> String {
    let text = |cause: &(dyn Error + 'static)| {
        // A program's output ends with a line break.
        if shows_request(cause) { CANNOT_BUILD.to_owned() } else { cause.to_string().trim_end().to_owned() }
    };
    chain(error).map(text).fold(String::new(), |so_far, cause| {
        if so_far.contains(&cause) {
            so_far
        } else if so_far.is_empty() {
            cause
        } else {
            so_far + ": " + &cause
        }
    })
}

/// The error of the credentials provider: a response of STS, or the provider's own error.
fn credentials_failure(operation: &'static str, error: &(dyn Error + 'static)) -> Option<AwsError> {
    let failure = chain(error).find_map(|error| error.downcast_ref::<CredentialsError>())?;
    let explained = chain(failure).find_map(|cause| cause.downcast_ref::<NoneGiven>());
    if let Some((explained, kind)) = explained.and_then(|explained| Some((explained, explained.known?))) {
        let message = redact(&explained.to_string());
        return Some(AwsError::new(kind, operation, "NoCredentials").message(message));
    }
    for cause in chain(failure) {
        // From a secret with access keys.
        if let Some(error) = cause.downcast_ref::<AwsError>() {
            return Some(error.clone());
        }
        if let Some(refused) = cause.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>() {
            let mut error = classify("sts:AssumeRole", refused);
            // Whether a role assumes this one is known only here.
            if error.message.contains("DurationSeconds") {
                error.message += "; lower duration_seconds in the accounts file: a role that a role assumes gets 3600 at most, any other its own maximum session duration";
            }
            return Some(error);
        }
        if let Some(refused) = cause.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError, HttpResponse>>()
        {
            return Some(classify("sts:AssumeRoleWithWebIdentity", refused));
        }
    }
    let message: String =
        redact(&error_text(failure.source().unwrap_or(failure))).chars().take(MAX_MESSAGE).collect();
    if let Some(cause) = chain(failure).find_map(|cause| cause.downcast_ref::<ConnectionFailure>()) {
        return Some(AwsError::new(cause.kind(), operation, cause.code()).message(message));
    }
    let (code, kind) = if is_unreachable(failure) {
        ("Unreachable", ErrorKind::Transient)
    } else {
        ("NoCredentials", ErrorKind::NoCredentials)
    };
    Some(AwsError::new(kind, operation, code).message(message))
}

/// Whether a credentials provider, such as a container's, is temporarily unreachable.
pub(crate) fn is_unreachable(failure: &CredentialsError) -> bool {
    chain(failure).any(|cause| {
        cause.downcast_ref::<ConnectorError>().is_some_and(|cause| cause.is_io() || cause.is_timeout())
            || matches!(cause.downcast_ref(), Some(CredentialsError::ProviderTimedOut(_)))
    })
}

#[cfg(test)]
mod tests {
    use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};

    use super::*;

    #[test]
    fn a_code_is_in_one_row() {
        let mut seen = std::collections::HashSet::new();
        for code in CODES.iter().flat_map(|(_, codes)| *codes) {
            assert!(seen.insert(code), "{code} is listed twice");
        }
    }

    #[test]
    fn what_the_sdk_retries_is_transient() {
        for code in THROTTLING_ERRORS.iter().chain(TRANSIENT_ERRORS) {
            assert_eq!(kind_of(code, 400), ErrorKind::Transient, "{code}");
        }
    }

    #[test]
    fn a_programs_message_ends_without_its_line_break() {
        let error = CredentialsError::provider_error("the program said: no such user\n");
        assert_eq!(
            error_text(&error),
            "an error occurred while loading credentials: the program said: no such user"
        );
    }

    #[test]
    fn a_code_is_a_word() {
        for code in ["AccessDenied", "AWS.SimpleQueueService.NonExistentQueue", "KMS.ThrottlingException"] {
            assert_eq!(word(code), code);
        }
        for code in ["", "=1+1", "Access Denied", "a,b", "é", "a\nb", "7", &"x".repeat(65)] {
            assert_eq!(word(code), "UnreadableCode", "{code:?}");
        }
    }

    /// The documented errors of the operations that the fleet calls.
    ///
    /// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>,
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>,
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>,
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>,
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
    #[test]
    fn documented_errors_of_sts_cloudwatch_and_sqs_are_classified() {
        for (kind, status, codes) in [
            (ErrorKind::RegionDisabled, 403, &["RegionDisabledException"][..]),
            (
                ErrorKind::Permanent,
                400,
                &["MalformedPolicyDocument", "PackedPolicyTooLarge", "ValidationError"],
            ),
            (ErrorKind::Identity, 403, &["IDPRejectedClaim", "InvalidClientTokenId", "OptInRequired"]),
            (ErrorKind::Identity, 400, &["InvalidIdentityToken", "IncompleteSignature"]),
            (ErrorKind::Expired, 400, &["ExpiredTokenException", "RequestExpired"]),
            (
                ErrorKind::Transient,
                400,
                &["IDPCommunicationError", "ThrottlingException", "InvalidNextToken"],
            ),
            (ErrorKind::Transient, 403, &["OverLimit", "RequestThrottled", "KmsThrottled"]),
            (ErrorKind::Transient, 500, &["InternalServiceFault", "InternalFailure"]),
            (
                ErrorKind::Permanent,
                404,
                &["MalformedQueryString", "ReceiptHandleIsInvalid", "InvalidIdFormat"],
            ),
            (ErrorKind::Permanent, 403, &["InvalidSecurity"]),
            (
                ErrorKind::Permanent,
                400,
                &["InvalidParameterValue", "MissingParameter", "KmsDisabled", "KmsNotFound"],
            ),
            (ErrorKind::Denied, 400, &["AccessDeniedException", "NotAuthorized", "KmsAccessDenied"]),
            (ErrorKind::NotFound, 400, &["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"]),
        ] {
            for code in codes {
                assert_eq!(kind_of(code, status), kind, "{code}");
            }
        }
    }

    #[test]
    fn codes_first_then_the_status() {
        assert_eq!(kind_of("AccessDenied", 403), ErrorKind::Denied);
        assert_eq!(kind_of("Throttling", 400), ErrorKind::Transient);
        assert_eq!(kind_of("NobodyKnows", 503), ErrorKind::Transient);
        assert_eq!(kind_of("NobodyKnows", 400), ErrorKind::Permanent);
        assert_eq!(kind_of(code_of_status(412), 412), ErrorKind::PreconditionFailed);
        assert_eq!(kind_of(code_of_status(403), 403), ErrorKind::Denied);
    }
}
