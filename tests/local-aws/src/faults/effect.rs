// SPDX-License-Identifier: Apache-2.0
//! What can go wrong, at which moment of a call's life, and the errors that some of it is answered with.

use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use crate::calls::Service;
use crate::identity;
use crate::permissions;
use crate::quotas;
use crate::reply::{Reply, ServiceError};

/// What a `GetMetricData` result is turned into by [`Fault::result`](crate::Fault::result).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultStatus {
    /// `PartialData`, without datapoints.
    PartialData,
    /// `InternalError`, without datapoints.
    InternalError,
    /// `Forbidden`, without datapoints.
    Forbidden,
    /// The query's result is not in the answer at all.
    Missing,
}

/// What a fault does to the call that it strikes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    Throttle,
    Deny,
    ServerError,
    Unavailable,
    Error { code: String, status: u16 },
    ExpiredToken,
    Foreign { status: u16, content_type: String, body: String },
    Reset,
    ResetUpload,
    ResetAnswer,
    Hang,
    HangUpload,
    LostAnswer,
    LateError,
    Hold,
    Slow(Duration),
    Trickle(usize),
    Truncate,
    Clock(TimeDelta),
    Result(ResultStatus),
    OffByOne,
    DropNextToken,
    FailEntries(Vec<usize>),
    FailItems { status: u16, kind: String, reason: String, places: Vec<usize> },
}

/// Where in a call's life an effect strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before the body is read, if there is one.
    Upload,
    /// In place of the service.
    Service,
    /// Between the service and an answer that is no error.
    Loss,
    /// While the answer is sent.
    Answer,
    /// Before signatures are looked at.
    Clock,
    /// Inside the service's answer.
    Content,
}

impl Effect {
    pub(crate) fn stage(&self) -> Stage {
        match self {
            Self::ResetUpload | Self::HangUpload => Stage::Upload,
            Self::LostAnswer | Self::ResetAnswer | Self::LateError => Stage::Loss,
            Self::Trickle(_) | Self::Truncate => Stage::Answer,
            Self::Clock(_) => Stage::Clock,
            Self::Result(_)
            | Self::OffByOne
            | Self::DropNextToken
            | Self::FailEntries(_)
            | Self::FailItems { .. } => Stage::Content,
            Self::Throttle
            | Self::Deny
            | Self::ServerError
            | Self::Unavailable
            | Self::Error { .. }
            | Self::ExpiredToken
            | Self::Foreign { .. }
            | Self::Reset
            | Self::Hang
            | Self::Hold
            | Self::Slow(_) => Stage::Service,
        }
    }

    /// The error that the effect answers with, where it is one.
    pub(crate) fn error(&self, service: Service, arn: &str, action: &str) -> Option<ServiceError> {
        let error = match self {
            Self::Throttle => throttled(service),
            Self::Deny => permissions::access_denied(service, arn, action),
            Self::ExpiredToken => identity::expired_token(service),
            Self::ServerError | Self::LateError => {
                let code = match service {
                    Service::S3 => "InternalError",
                    Service::CloudWatch | Service::SecretsManager => "InternalServiceError",
                    Service::Ecs => "ServerException",
                    Service::Lambda => "ServiceException",
                    Service::Account => "InternalServerException",
                    Service::Tagging => "InternalServiceException",
                    Service::OpenSearch => "exception",
                    Service::Sqs | Service::Sts => "InternalFailure",
                };
                ServiceError::new(code, "We encountered an internal error. Please try again.")
                    .status(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Self::Unavailable if service == Service::OpenSearch => {
                let reason = "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];";
                ServiceError::new("cluster_block_exception", reason).status(StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::Unavailable => ServiceError::new("ServiceUnavailable", "Please reduce your request rate.")
                .status(StatusCode::SERVICE_UNAVAILABLE),
            Self::Error { code, status } => ServiceError::new(code.clone(), format!("{code}, by a fault"))
                .status(StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST)),
            _ => return None,
        };
        Some(error)
    }
}

/// An answer by something between the client and AWS: without a request id or any other mark of AWS.
pub(crate) fn foreign(status: u16, content_type: &str, body: &str) -> Reply {
    let mut reply = Reply::new(Bytes::copy_from_slice(body.as_bytes()));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    if let Ok(content_type) = HeaderValue::from_str(content_type) {
        reply.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    reply
}

fn throttled(service: Service) -> ServiceError {
    match service {
        Service::CloudWatch | Service::Sts => quotas::throttled(),
        Service::SecretsManager | Service::Ecs => ServiceError::new("ThrottlingException", "Rate exceeded"),
        Service::Tagging => ServiceError::new("ThrottledException", "Rate exceeded"),
        Service::Account | Service::Lambda => ServiceError::new("TooManyRequestsException", "Rate exceeded")
            .status(StatusCode::TOO_MANY_REQUESTS),
        Service::OpenSearch => {
            let reason =
                "rejected execution on OpenSearchThreadPoolExecutor[name = write, queue capacity = 1]";
            ServiceError::new("rejected_execution_exception", reason).status(StatusCode::TOO_MANY_REQUESTS)
        }
        Service::Sqs => ServiceError::new("RequestThrottled", "Rate exceeded").status(StatusCode::FORBIDDEN),
        Service::S3 => ServiceError::new("SlowDown", "Please reduce your request rate.")
            .status(StatusCode::SERVICE_UNAVAILABLE),
    }
}
