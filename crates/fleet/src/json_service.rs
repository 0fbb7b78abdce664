// SPDX-License-Identifier: Apache-2.0
//! Calls AWS services that speak JSON and of which only one or two operations are needed. Their SDK
//! crates would take minutes to compile; signing, retries and timeouts are still the SDK's. Source:
//! <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>,
//! <https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html>

use aws_config::SdkConfig;
use aws_runtime::{
    auth::{
        SigV4OperationSigningConfig, SigningOptions,
        sigv4::{SCHEME_ID, SigV4AuthScheme},
    },
    retries::classifiers::AwsErrorCodeClassifier,
};
use aws_smithy_runtime::client::{
    orchestrator::operation::Operation,
    retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        auth::{
            AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
            static_resolver::StaticAuthSchemeOptionResolver,
        },
        identity::SharedIdentityResolver,
        interceptors::SharedInterceptor,
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
        runtime_components::RuntimeComponentsBuilder,
        runtime_plugin::StaticRuntimePlugin,
    },
};
use aws_smithy_types::{body::SdkBody, config_bag::Layer, error::ErrorMetadata};
use aws_types::{SigningName, region::SigningRegion};
use serde_json::Value;

use crate::{
    AwsError, ErrorKind,
    aws::{
        config::{endpoint_of, region},
        regions::dns_suffix,
    },
    from_sdk,
};

/// An operation of a service.
#[derive(Debug, Clone, Copy)]
pub struct JsonOperation {
    /// The service's name in host names and signatures, such as `ecs`.
    pub service: &'static str,
    /// The ID used by `AWS_ENDPOINT_URL_…` and profiles, such as `ECS`.
    pub id: &'static str,
    /// The header `X-Amz-Target`: the service's internal name and version, a dot, and the operation. For a service
    /// that speaks REST, the path instead, which begins with a slash.
    pub target: &'static str,
    /// The action as IAM names it, such as `ecs:DescribeServices`.
    pub action: &'static str,
}

impl JsonOperation {
    /// Calls the operation in the configuration's region.
    ///
    /// # Errors
    ///
    /// The service's error, or why it could not be reached, after the retries of the configuration.
    pub async fn call(&self, config: &SdkConfig, input: Value) -> Result<Value, AwsError> {
        self.call_with(config, input, None).await
    }

    /// The same, seen by interceptors.
    ///
    /// # Errors
    ///
    /// As for [`Self::call`].
    pub async fn call_with(
        &self,
        config: &SdkConfig,
        input: Value,
        interceptors: impl IntoIterator<Item = SharedInterceptor>,
    ) -> Result<Value, AwsError> {
        let operation = self.operation(config, interceptors).ok_or_else(|| {
            AwsError::new(ErrorKind::NoCredentials, self.action, "NoCredentials")
                .message("there is no credentials provider")
        })?;
        operation.invoke(input).await.map_err(|error| from_sdk(self.action, error))
    }

    fn operation(
        &self,
        config: &SdkConfig,
        interceptors: impl IntoIterator<Item = SharedInterceptor>,
    ) -> Option<Operation<Value, Value, ErrorMetadata>> {
        let target = self.target;
        let region = config.region().cloned().map(SigningRegion::from);
        let mut operation = Operation::builder()
            .service_name(self.service)
            .operation_name(target)
            .endpoint_url(&self.endpoint(config))
            .runtime_plugin(signing(config, region, self.service, SigningOptions::default())?)
            .retry_classifier(TransientErrorClassifier::<ErrorMetadata>::new())
            .retry_classifier(AwsErrorCodeClassifier::<ErrorMetadata>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .http_client(config.http_client()?);
        for interceptor in interceptors {
            operation = operation.interceptor(interceptor);
        }
        if let Some(version) = config.behavior_version() {
            operation = operation.behavior_version(version);
        }
        if let Some(retries) = config.retry_config() {
            operation = operation.standard_retry(retries);
        }
        if let Some(timeouts) = config.timeout_config() {
            operation = operation.timeout_config(timeouts.clone());
        }
        if let Some(protection) = config.stalled_stream_protection() {
            operation = operation.stalled_stream_protection(protection);
        }
        Some(operation.serializer(move |input: Value| request(target, &input)).deserializer(answer).build())
    }

    /// The configured endpoint, or AWS's.
    fn endpoint(&self, config: &SdkConfig) -> String {
        endpoint_of(config, self.id).unwrap_or_else(|| {
            let region = region(config);
            format!("https://{}.{region}.{}", self.service, dns_suffix(region))
        })
    }
}

/// The signing configuration for a service in a region, with the credentials of the configuration.
pub(crate) fn signing(
    config: &SdkConfig,
    region: Option<SigningRegion>,
    service: &'static str,
    signing_options: SigningOptions,
) -> Option<StaticRuntimePlugin> {
    let mut layer = Layer::new("signing");
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(SigV4OperationSigningConfig {
        region,
        name: Some(SigningName::from_static(service)),
        signing_options,
        ..SigV4OperationSigningConfig::default()
    });
    let schemes = StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]);
    let components = RuntimeComponentsBuilder::new("signing")
        .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
        .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(schemes)))
        .with_identity_cache(Some(config.identity_cache()?))
        .with_identity_resolver(SCHEME_ID, SharedIdentityResolver::new(config.credentials_provider()?));
    Some(StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components))
}

fn request(target: &'static str, input: &Value) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(input.to_string()));
    request.set_method("POST")?;
    if target.starts_with('/') {
        request.set_uri(target)?;
        request.headers_mut().insert("content-type", "application/json");
    } else {
        request.set_uri("/")?;
        request.headers_mut().insert("content-type", "application/x-amz-json-1.1");
        request.headers_mut().insert("x-amz-target", target);
    }
    Ok(request)
}

fn answer(response: &HttpResponse) -> Result<Value, OrchestratorError<ErrorMetadata>> {
    let body = response.body().bytes().unwrap_or_default();
    let value: Result<Value, _> = serde_json::from_slice(body);
    if response.status().is_success() {
        return value.map_err(|error| OrchestratorError::response(error.into()));
    }
    let value = value.unwrap_or_default();
    let field = |name: &str| value.get(name).and_then(Value::as_str);
    // A code may have a namespace before it and a link after it.
    let code = field("__type").or_else(|| response.headers().get("x-amzn-errortype"));
    let code = code.map(|code| code.rsplit('#').next().unwrap_or(code).split(':').next().unwrap_or(code));
    let mut error = ErrorMetadata::builder();
    if let Some(code) = code {
        error = error.code(code);
    }
    if let Some(message) = field("message").or_else(|| field("Message")) {
        error = error.message(message);
    }
    Err(OrchestratorError::operation(error.build()))
}

#[cfg(test)]
mod tests {
    use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
    use aws_smithy_runtime_api::client::{
        http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        runtime_components::RuntimeComponents,
    };
    use aws_smithy_types::retry::RetryConfig;
    use serde_json::json;
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use super::*;

    const DESCRIBE: JsonOperation = JsonOperation {
        service: "ecs",
        id: "ECS",
        target: "AmazonEC2ContainerServiceV20141113.DescribeServices",
        action: "ecs:DescribeServices",
    };

    /// Sends its responses in turn, and records the requests.
    #[derive(Debug, Clone, Default)]
    struct Server {
        answers: Arc<Mutex<Vec<(u16, &'static str)>>>,
        seen: Arc<Mutex<Vec<(String, String, String)>>>,
    }

    impl HttpConnector for Server {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let header = |name: &str| request.headers().get(name).unwrap_or_default().to_owned();
            let body = String::from_utf8(request.body().bytes().unwrap_or_default().to_vec()).expect("text");
            let seen = (
                format!("{} {} {body}", request.method(), request.uri()),
                header("x-amz-target"),
                header("authorization"),
            );
            self.seen.lock().expect("no panic").push(seen);
            let (status, body) = self.answers.lock().expect("no panic").remove(0);
            let status = status.try_into().expect("a status");
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
        }
    }

    impl HttpClient for Server {
        fn http_connector(
            &self,
            _settings: &HttpConnectorSettings,
            _components: &RuntimeComponents,
        ) -> SharedHttpConnector {
            SharedHttpConnector::new(self.clone())
        }
    }

    fn server(answers: &[(u16, &'static str)]) -> (Server, SdkConfig) {
        let server = Server { answers: Arc::new(Mutex::new(answers.to_vec())), ..Server::default() };
        let config = SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
            .region(aws_types::region::Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .identity_cache(aws_config::identity::IdentityCache::no_cache())
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
            .http_client(server.clone())
            .build();
        (server, config)
    }

    #[tokio::test]
    async fn a_call_is_signed_sent_to_its_service_and_read() {
        let (server, config) = server(&[(200, r#"{"services":[]}"#)]);
        let answer = DESCRIBE.call(&config, json!({"cluster": "c"})).await.expect("answered");
        assert_eq!(answer, json!({"services": []}));
        let seen = server.seen.lock().expect("no panic");
        let [(request, target, authorization)] = &seen[..] else { panic!("one request: {seen:?}") };
        assert_eq!(request, r#"POST https://ecs.eu-west-1.amazonaws.com/ {"cluster":"c"}"#);
        assert_eq!(target, DESCRIBE.target);
        assert!(authorization.contains("/eu-west-1/ecs/aws4_request"), "{authorization}");
        assert!(authorization.contains("x-amz-target"), "the target is signed: {authorization}");
    }

    #[tokio::test]
    async fn a_service_that_speaks_rest_is_called_at_its_path() {
        let (server, config) = server(&[(200, r#"{"Regions":[]}"#)]);
        let list = JsonOperation {
            service: "account",
            id: "Account",
            target: "/listRegions",
            action: "account:ListRegions",
        };
        list.call(&config, json!({})).await.expect("answered");
        let seen = server.seen.lock().expect("no panic");
        let [(request, target, authorization)] = &seen[..] else { panic!("one request: {seen:?}") };
        assert_eq!(request, "POST https://account.eu-west-1.amazonaws.com/listRegions {}");
        assert!(target.is_empty() && authorization.contains("/eu-west-1/account/aws4_request"));
    }

    #[tokio::test]
    async fn a_failure_is_classified_and_a_transient_one_is_tried_again() {
        let denied = r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"no"}"#;
        let (_, config) = server(&[(400, denied)]);
        let error = DESCRIBE.call(&config, json!({})).await.expect_err("denied");
        assert_eq!(
            (error.kind, error.to_string().as_str()),
            (ErrorKind::Denied, "ecs:DescribeServices: AccessDeniedException: no")
        );

        let throttled = r#"{"__type":"ThrottlingException","message":"slow"}"#;
        let (server, config) = server(&[(400, throttled), (503, "busy"), (200, "{}")]);
        assert_eq!(DESCRIBE.call(&config, json!({})).await, Ok(json!({})));
        assert_eq!(server.seen.lock().expect("no panic").len(), 3);
    }
}
