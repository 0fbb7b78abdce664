// SPDX-License-Identifier: Apache-2.0
//! Calls HTTP services that are not AWS's own, such as OpenSearch: signed as AWS asks for, with a password, or neither.
//! Connections, proxies, certificates and signatures are those of every other client. Nothing is tried again here: what a
//! status means, the caller knows.

use std::fmt;

use aws_config::SdkConfig;
use aws_runtime::auth::SigningOptions;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::orchestrator::{HttpRequest, HttpResponse},
};
use aws_smithy_types::{body::SdkBody, error::ErrorMetadata};
use aws_types::region::SigningRegion;
use base64_simd::STANDARD;
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};

use crate::{AwsError, ErrorKind, from_sdk, json_service::signing};

/// A service at a URL.
#[derive(Debug)]
pub struct HttpService {
    config: SdkConfig,
    url: String,
    access: Access,
}

/// How a request shows who sends it.
#[derive(Debug)]
pub enum Access {
    Open,
    /// A user and a password, which every request carries.
    Basic {
        user: String,
        password: SecretString,
    },
    /// A signature with the process's own credentials.
    Signed {
        /// The name of the service in signatures, such as `es`.
        service: &'static str,
        region: String,
    },
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// What errors call it, such as `opensearch:bulk`.
    pub name: &'static str,
    pub method: &'static str,
    /// With its query, if it has one.
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
}

impl HttpService {
    /// `config` is the process's own.
    #[must_use]
    pub fn new(config: SdkConfig, url: &str, access: Access) -> Self {
        Self { config, url: url.trim_end_matches('/').to_owned(), access }
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How requests show who sends them.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Sends a request once.
    ///
    /// # Errors
    ///
    /// If there is no whole answer.
    pub async fn call(&self, request: Request) -> Result<Answer, AwsError> {
        let name = request.name;
        let operation = self.operation(name).ok_or_else(|| {
            AwsError::new(ErrorKind::NoCredentials, name, "NoCredentials")
                .message("there is no credentials provider")
        })?;
        operation.invoke(request).await.map_err(|error| from_sdk(name, error))
    }

    fn operation(&self, name: &'static str) -> Option<Operation<Request, Answer, ErrorMetadata>> {
        let config = &self.config;
        let mut operation = Operation::builder()
            .service_name("http")
            .operation_name(name)
            .endpoint_url(&self.url)
            .no_retry()
            .http_client(config.http_client()?);
        operation = match &self.access {
            Access::Open | Access::Basic { .. } => operation.no_auth(),
            Access::Signed { service, region } => {
                let region = SigningRegion::from(aws_types::region::Region::new(region.clone()));
                // Serverless collections refuse a request without the hash of its body.
                let mut options = SigningOptions::default();
                options.content_sha256_header = true;
                operation.runtime_plugin(signing(config, Some(region), service, options)?)
            }
        };
        if let Some(version) = config.behavior_version() {
            operation = operation.behavior_version(version);
        }
        if let Some(timeouts) = config.timeout_config() {
            operation = operation.timeout_config(timeouts.clone());
        }
        if let Some(protection) = config.stalled_stream_protection() {
            operation = operation.stalled_stream_protection(protection);
        }
        let password = self.access.header();
        let serialize = move |request: Request| to_http(request, password.as_deref());
        Some(operation.serializer(serialize).deserializer(|response| Ok(answer(response))).build())
    }
}

impl Access {
    /// The header `Authorization` of a user with a password.
    fn header(&self) -> Option<String> {
        match self {
            Self::Basic { user, password } => {
                let pair = format!("{user}:{}", password.expose_secret());
                Some(format!("Basic {}", STANDARD.encode_to_string(pair)))
            }
            Self::Open | Self::Signed { .. } => None,
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("no credentials"),
            Self::Basic { user, .. } => write!(f, "user {user}"),
            Self::Signed { service, region } => write!(f, "signed for {service} in {region}"),
        }
    }
}

fn to_http(request: Request, authorization: Option<&str>) -> Result<HttpRequest, BoxError> {
    let length = request.body.len();
    let mut http = HttpRequest::new(SdkBody::from(request.body));
    http.set_method(request.method)?;
    http.set_uri(request.path)?;
    for (name, value) in request.headers {
        http.headers_mut().try_insert(name, value)?;
    }
    if length > 0 {
        http.headers_mut().insert("content-length", length.to_string());
    }
    if let Some(authorization) = authorization {
        http.headers_mut().try_insert("authorization", authorization.to_owned())?;
    }
    Ok(http)
}

fn answer(response: &HttpResponse) -> Answer {
    let body = response.body().bytes().map(Bytes::copy_from_slice).unwrap_or_default();
    Answer { status: response.status().as_u16(), body }
}
