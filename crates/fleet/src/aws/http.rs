// SPDX-License-Identifier: Apache-2.0
//! The HTTP client of all AWS clients: one connection pool, so that a thousand accounts do not need a
//! thousand TLS handshakes, with the proxies and certificate authorities of the environment.

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{Provider, TlsContext, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    connector_metadata::ConnectorMetadata,
    dns::{DnsFuture, ResolveDns, ResolveDnsError},
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};
use hyper_util::client::proxy::matcher::Matcher;

use super::{between, connection::Way, trust};
use crate::descriptors;

/// An idle connection is closed before a server or a device in between drops it: a write to a dropped
/// connection stalls.
///
/// Source: <https://github.com/awslabs/aws-sdk-rust/issues/1417>
const LONGEST_IDLE: Duration = Duration::from_secs(20);

/// The process's HTTP client; clones share its connections.
#[derive(Clone)]
pub(super) struct Http(Arc<Inner>);

struct Inner {
    trust: TlsContext,
    /// The same proxies twice: for the connector, and to name them in errors.
    proxy_config: ProxyConfig,
    proxies: Arc<Matcher>,
    /// By connect and read timeout.
    connectors: Mutex<HashMap<[Option<Duration>; 2], SharedHttpConnector>>,
}

impl Http {
    ///
    /// # Errors
    ///
    /// If a file of certificate authorities named by the environment can't be used.
    pub(super) fn for_process() -> anyhow::Result<Self> {
        static HTTP: OnceLock<Http> = OnceLock::new();
        if let Some(http) = HTTP.get() {
            return Ok(http.clone());
        }
        let trust = trust::from_environment(|name| std::env::var_os(name))?;
        // As in the SDK's own client, which this one replaces.
        let http = Self::new(trust, ProxyConfig::from_env(), Matcher::from_env());
        Ok(HTTP.get_or_init(|| http).clone())
    }

    pub(super) fn new(trust: TlsContext, proxy_config: ProxyConfig, proxies: Matcher) -> Self {
        let (proxies, connectors) = (Arc::new(proxies), Mutex::default());
        Self(Arc::new(Inner { trust, proxy_config, proxies, connectors }))
    }

    /// The connector for these timeouts.
    pub(super) fn connector(&self, settings: &HttpConnectorSettings) -> SharedHttpConnector {
        let key = [settings.connect_timeout(), settings.read_timeout()];
        let mut connectors = self.0.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        connectors.entry(key).or_insert_with(|| self.passing_connector(settings)).clone()
    }

    /// The same, for what is asked once: it has connections and certificate authorities of its own, which go with it.
    pub(super) fn passing_connector(&self, settings: &HttpConnectorSettings) -> SharedHttpConnector {
        let inner = Connector::builder()
            .connector_settings(settings.clone())
            .pool_idle_timeout(LONGEST_IDLE)
            .pool_max_idle_per_host(descriptors::idle_per_host(descriptors::limit()))
            .proxy_config(self.0.proxy_config.clone())
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(self.0.trust.clone())
            .build_with_resolver(Resolver);
        SharedHttpConnector::new(Watched { inner, proxies: self.0.proxies.clone() })
    }
}

impl HttpClient for Http {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.connector(settings)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("hyper", Some(Cow::Borrowed("1.x"))))
    }
}

/// Leaves out the proxies' credentials.
impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

/// A connector that names the host and the proxy in its errors, and refuses HTML pages.
#[derive(Debug)]
struct Watched {
    inner: Connector,
    proxies: Arc<Matcher>,
}

impl HttpConnector for Watched {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let way = Way::from_url(request.uri(), &self.proxies);
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            match answer.await {
                Ok(answer) => between::refuse_page(way, answer).await,
                Err(error) => Err(way.failure(&error)),
            }
        })
    }
}

/// The system's resolver, with errors of a type of their own.
#[derive(Debug, Clone)]
struct Resolver;

impl ResolveDns for Resolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let found = tokio::net::lookup_host((name, 0)).await.map_err(ResolveDnsError::new)?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}
