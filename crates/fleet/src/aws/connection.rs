// SPDX-License-Identifier: Apache-2.0
//! Connection failures: describes each kind of failure with the host and the proxy involved.

use std::{
    error::Error,
    fmt,
    io::{self, ErrorKind as Io},
    iter::successors,
};

use aws_smithy_runtime_api::client::{dns::ResolveDnsError, result::ConnectorError};
use http::Uri;
use hyper_util::client::{legacy, proxy::matcher::Matcher};
use rustls::CertificateError;

use engine::NOT_FROM_AWS;

use crate::{ErrorKind, environment};

/// How a request reaches its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    /// The host, with its port if it is in the URL.
    pub(super) host: String,
    /// The proxy's scheme, host and port, without its credentials.
    pub(super) proxy: Option<String>,
    /// Whether the proxy receives the request itself, as with plain HTTP, so that only the proxy is
    /// connected to.
    pub(super) is_forwarded: bool,
}

/// A request that got no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectionFailure {
    pub(super) way: Way,
    pub(super) fault: Fault,
    /// Whether the proxy is what could not be reached.
    pub(super) at_proxy: bool,
    /// Whether no connection was made, so that nothing was sent.
    pub(crate) is_unsent: bool,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// DNS reports that the name does not exist.
    UnknownHost,
    /// DNS did not respond, or reported something else.
    Unresolved(String),
    Refused,
    /// The connection closed before the response was complete.
    Closed,
    /// No connection or no response in time.
    Silent,
    NoRoute(String),
    /// The process has reached its limit of file descriptors.
    NoDescriptors,
    /// The certificate is not accepted.
    Certificate(String),
    /// TLS negotiation failed.
    Tls(String),
    /// The server does not speak TLS.
    NotTls,
    /// The proxy refuses to connect to the host.
    ProxyRefused,
    /// The proxy does not accept the credentials.
    ProxyCredentials,
    /// A page from something between this process and AWS.
    NotFromAws(String),
    Other(String),
}

impl Way {
    /// The route to a URL with the configured proxies.
    pub(super) fn from_url(url: &str, proxies: &Matcher) -> Self {
        let url: Uri = url.parse().unwrap_or_default();
        let host = url.host().unwrap_or_default().to_owned();
        let host = url.port().map(|port| format!("{host}:{port}")).unwrap_or(host);
        let proxy = proxies.intercept(&url).map(|proxy| {
            let proxy = proxy.uri();
            let (scheme, place) = (proxy.scheme_str(), proxy.authority().map(http::uri::Authority::as_str));
            format!("{}://{}", scheme.unwrap_or("http"), place.unwrap_or_default())
        });
        Self { host, is_forwarded: proxy.is_some() && url.scheme_str() == Some("http"), proxy }
    }

    /// Whether the proxy uses a protocol that the client doesn't support.
    pub(super) fn uses_socks(&self) -> bool {
        self.proxy.as_ref().is_some_and(|proxy| proxy.starts_with("socks"))
    }

    /// The connector error for a failure on this route; its kind decides whether the SDK retries.
    pub(super) fn failure(self, error: &ConnectorError) -> ConnectorError {
        let is_timeout = error.is_timeout();
        let (fault, at_proxy) = read(error);
        let at_proxy = at_proxy || self.is_forwarded;
        let is_unsent = chain(error)
            .any(|cause| cause.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect));
        let failure = ConnectionFailure { way: self, fault, at_proxy, is_unsent };
        if failure.kind() == ErrorKind::Permanent {
            ConnectorError::other(failure.into(), None)
        } else if is_timeout {
            ConnectorError::timeout(failure.into())
        } else {
            ConnectorError::io(failure.into())
        }
    }
}

impl ConnectionFailure {
    /// The failure for a page in place of a response from AWS.
    pub(super) fn not_from_aws(way: Way, page: String) -> Self {
        Self { way, fault: Fault::NotFromAws(page), at_proxy: false, is_unsent: false }
    }

    /// Whether the failure shows that the host exists.
    pub(super) fn shows_host(&self) -> bool {
        !self.at_proxy
            && matches!(
                self.fault,
                Fault::Refused
                    | Fault::Closed
                    | Fault::Certificate(_)
                    | Fault::Tls(_)
                    | Fault::NotTls
                    | Fault::NotFromAws(_)
            )
    }

    /// The code for logs and reports, where other errors have AWS's code.
    pub(crate) fn code(&self) -> &'static str {
        match self.fault {
            Fault::Silent => "Timeout",
            Fault::Certificate(_) => "CertificateRefused",
            Fault::ProxyRefused | Fault::ProxyCredentials => "ProxyRefused",
            Fault::NotFromAws(_) => NOT_FROM_AWS,
            Fault::UnknownHost
            | Fault::Unresolved(_)
            | Fault::Refused
            | Fault::Closed
            | Fault::NoRoute(_)
            | Fault::NoDescriptors
            | Fault::Tls(_)
            | Fault::NotTls
            | Fault::Other(_) => "Unreachable",
        }
    }

    /// Whether a retry may succeed. Configuration on either side does not change by itself; a name, a
    /// route or a service may come back.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self.fault {
            Fault::Certificate(_) | Fault::Tls(_) | Fault::NotTls | Fault::ProxyCredentials => {
                ErrorKind::Permanent
            }
            Fault::UnknownHost
            | Fault::Unresolved(_)
            | Fault::Refused
            | Fault::Closed
            | Fault::Silent
            | Fault::NoRoute(_)
            | Fault::NoDescriptors
            | Fault::ProxyRefused
            | Fault::NotFromAws(_)
            | Fault::Other(_) => ErrorKind::Transient,
        }
    }
}

impl fmt::Display for ConnectionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.way.host;
        let proxy = self.way.proxy.as_deref().unwrap_or("of the environment");
        let there = match &self.way.proxy {
            Some(proxy) if self.at_proxy => format!("the proxy {proxy}, on the way to {host},"),
            Some(proxy) => format!("{host}, through the proxy {proxy},"),
            None => host.clone(),
        };
        let variable = environment::proxy_variable(!self.way.is_forwarded);
        match &self.fault {
            Fault::UnknownHost if self.at_proxy => {
                write!(f, "{there} is unknown to DNS; correct {variable}, or check this machine's DNS")
            }
            Fault::UnknownHost => {
                write!(
                    f,
                    "{there} is unknown to DNS; correct the region or the endpoint, or check this machine's DNS"
                )
            }
            Fault::Unresolved(detail) => write!(f, "{there} could not be looked up in DNS: {detail}"),
            Fault::Refused => write!(f, "{there} refuses connections"),
            Fault::Closed => write!(f, "{there} closed the connection before the response was complete"),
            Fault::Silent => write!(f, "{there} did not answer in time"),
            Fault::NoRoute(detail) => write!(f, "{there} can't be reached from here: {detail}"),
            Fault::NoDescriptors => write!(
                f,
                "no file descriptor is left to connect to {host}; raise the limit of this process (ulimit -n)"
            ),
            Fault::Certificate(detail) => {
                write!(f, "{there} has a certificate that is not accepted: {detail}")
            }
            Fault::Tls(detail) => write!(f, "{there} failed to negotiate TLS: {detail}"),
            Fault::NotTls if self.at_proxy => {
                write!(f, "{there} does not speak TLS; write it as http://HOST:PORT in {variable}")
            }
            Fault::NotTls => write!(
                f,
                "{there} does not speak TLS; correct the endpoint or its port, or check for a proxy or firewall in between"
            ),
            Fault::ProxyRefused => write!(
                f,
                "the proxy {proxy} does not connect to {host}; allow that there, or name the host in NO_PROXY"
            ),
            Fault::ProxyCredentials => write!(
                f,
                "the proxy {proxy} does not accept its credentials, or none are set; write them into {variable}, as http://USER:PASSWORD@HOST:PORT"
            ),
            Fault::NotFromAws(page) => {
                write!(
                    f,
                    "something between here and {there} answered: {page}; check the proxy or firewall there"
                )
            }
            Fault::Other(detail) => write!(f, "{}: {detail}", there.trim_end_matches(',')),
        }
    }
}

impl Error for ConnectionFailure {}

/// The prefix of a proxy tunnel's error, which has no public type.
const TUNNEL: &str = "tunnel error: ";

/// Interprets an error of the HTTP client, and whether it is the proxy that was not reached.
fn read(error: &ConnectorError) -> (Fault, bool) {
    let tunnel = chain(error).map(ToString::to_string).find(|text| text.starts_with(TUNNEL));
    let tunnel = tunnel.as_deref().and_then(|text| text.strip_prefix(TUNNEL));
    match tunnel {
        Some("proxy authorization required") => return (Fault::ProxyCredentials, true),
        Some("unsuccessful") => return (Fault::ProxyRefused, true),
        Some("unexpected end of file" | "io error establishing tunnel") => return (Fault::Closed, true),
        _ => {}
    }
    let typed = chain(error).find_map(|cause| {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return Some(fault_from_tls(tls));
        }
        if let Some(dns) = cause.downcast_ref::<ResolveDnsError>() {
            return Some(fault_from_dns(dns));
        }
        None
    });
    let fault = typed
        .or_else(|| error.is_timeout().then_some(Fault::Silent))
        .or_else(|| chain(error).find_map(|cause| fault_from_io(cause.downcast_ref::<io::Error>()?)))
        // The client's message if the server closed the connection in the middle of a response.
        .or_else(|| error.as_other().map(|_| Fault::Closed))
        .unwrap_or_else(|| Fault::Other(chain(error).last().map(ToString::to_string).unwrap_or_default()));
    (fault, tunnel.is_some())
}

fn fault_from_tls(error: &rustls::Error) -> Fault {
    match error {
        rustls::Error::InvalidCertificate(why) => Fault::Certificate(match why {
            CertificateError::UnknownIssuer => {
                "its issuer is not a trusted authority here; name a file with the issuer in AWS_CA_BUNDLE"
                    .into()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "it is for another name".into()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "it has expired, unless this machine's clock is wrong".into()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "it is not valid yet, unless this machine's clock is wrong".into()
            }
            other => other.to_string(),
        }),
        rustls::Error::InvalidMessage(_) => Fault::NotTls,
        other => Fault::Tls(other.to_string()),
    }
}

fn fault_from_dns(error: &ResolveDnsError) -> Fault {
    /// How the resolvers of glibc, musl and macOS report that a name does not exist.
    const NO_SUCH_NAME: [&str; 4] = [
        "Name or service not known",
        "No address associated with hostname",
        "Name does not resolve",
        "nodename nor servname provided, or not known",
    ];
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    if NO_SUCH_NAME.iter().any(|known| text.contains(known)) {
        Fault::UnknownHost
    } else {
        Fault::Unresolved(text)
    }
}

fn fault_from_io(error: &io::Error) -> Option<Fault> {
    /// The process, or the machine, is out of file descriptors (Linux and macOS use the same numbers).
    const NO_DESCRIPTORS: [i32; 2] = [23, 24];
    if error.raw_os_error().is_some_and(|code| NO_DESCRIPTORS.contains(&code)) {
        return Some(Fault::NoDescriptors);
    }
    match error.kind() {
        Io::ConnectionRefused => Some(Fault::Refused),
        Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe | Io::UnexpectedEof => {
            Some(Fault::Closed)
        }
        Io::TimedOut => Some(Fault::Silent),
        Io::HostUnreachable | Io::NetworkUnreachable | Io::NetworkDown | Io::AddrNotAvailable => {
            Some(Fault::NoRoute(error.to_string()))
        }
        _ => None,
    }
}

/// An error and its causes. The error inside an `io::Error` is one of them, although `source` skips it.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(wrapper) => wrapper.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    })
}

#[cfg(test)]
mod tests;
