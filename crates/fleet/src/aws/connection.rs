//! Why no answer came: each kind of failure on the way to a host, with the host's name and the proxy's.

use std::{
    error::Error,
    fmt,
    io::{self, ErrorKind as Io},
    iter::successors,
};

use aws_smithy_runtime_api::client::{dns::ResolveDnsError, result::ConnectorError};
use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use rustls::CertificateError;

use engine::NOT_FROM_AWS;

use crate::{ErrorKind, environment};

/// How a request goes to its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    /// The host, with its port if that is named.
    pub(super) host: String,
    /// The proxy's scheme, host and port, without the credentials for it.
    pub(super) proxy: Option<String>,
    /// Whether the proxy is sent the request itself, as plain HTTP is, so that it is all that is connected to.
    pub(super) is_forwarded: bool,
}

/// A request that no answer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectionFailure {
    pub(super) way: Way,
    pub(super) fault: Fault,
    /// Whether it is the proxy that was not reached.
    pub(super) at_proxy: bool,
}

/// What went wrong on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// DNS says that there is no such name.
    UnknownHost,
    /// DNS says nothing, or something else.
    Unresolved(String),
    /// Nothing listens there.
    Refused,
    /// The connection ended before the answer did.
    Closed,
    /// No connection, or no answer, in time.
    Silent,
    /// There is no way there.
    NoRoute(String),
    /// This process may open no more connections.
    NoDescriptors,
    /// The certificate is refused.
    Certificate(String),
    /// Both sides speak TLS, but not with each other.
    Tls(String),
    /// What is there does not speak TLS.
    NotTls,
    /// The proxy does not connect to the host.
    ProxyRefused,
    /// The proxy wants other credentials.
    ProxyCredentials,
    /// A page of something between here and AWS.
    NotFromAws(String),
    /// Anything else.
    Other(String),
}

impl Way {
    /// The way to a URL, by the proxies that are set.
    pub(super) fn of(url: &str, proxies: &Matcher) -> Self {
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

    /// Whether it goes by a proxy of another kind than the client can speak to.
    pub(super) fn is_by_socks(&self) -> bool {
        self.proxy.as_ref().is_some_and(|proxy| proxy.starts_with("socks"))
    }

    /// What the SDK is told of a failure on this way: its kind says whether the SDK tries again.
    pub(super) fn failure(self, error: &ConnectorError) -> ConnectorError {
        let is_timeout = error.is_timeout();
        let (fault, at_proxy) = read(error);
        let at_proxy = at_proxy || self.is_forwarded;
        let failure = ConnectionFailure { way: self, fault, at_proxy };
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
    /// A page that is not from AWS, where an answer was expected.
    pub(super) fn not_from_aws(way: Way, page: String) -> Self {
        Self { way, fault: Fault::NotFromAws(page), at_proxy: false }
    }

    /// Whether it shows that there is a host of that name, whatever is wrong with it.
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

    /// The code that stands in logs and reports in the place of AWS's.
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

    /// Whether a later try may do better. What is configured on either side does not change by itself; a
    /// name, a route and a service may come back.
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
            Some(proxy) => format!("{host}, by way of the proxy {proxy},"),
            None => host.clone(),
        };
        let variable = environment::proxy_variable(!self.way.is_forwarded);
        match &self.fault {
            Fault::UnknownHost if self.at_proxy => {
                write!(f, "{there} is not known to DNS; correct {variable}, or look at this machine's DNS")
            }
            Fault::UnknownHost => {
                write!(
                    f,
                    "{there} is not known to DNS; correct the region or the endpoint, or look at this machine's DNS"
                )
            }
            Fault::Unresolved(detail) => write!(f, "{there} could not be looked up in DNS: {detail}"),
            Fault::Refused => write!(f, "{there} refuses connections"),
            Fault::Closed => write!(f, "{there} closed the connection before it had answered"),
            Fault::Silent => write!(f, "{there} did not answer in time"),
            Fault::NoRoute(detail) => write!(f, "{there} can't be reached from here: {detail}"),
            Fault::NoDescriptors => write!(
                f,
                "no file descriptor was left to connect to {host}; raise the limit of this process (ulimit -n)"
            ),
            Fault::Certificate(detail) => write!(f, "{there} has a certificate that is refused: {detail}"),
            Fault::Tls(detail) => write!(f, "{there} does not agree on TLS: {detail}"),
            Fault::NotTls if self.at_proxy => {
                write!(f, "{there} does not speak TLS; write it as http://HOST:PORT in {variable}")
            }
            Fault::NotTls => write!(
                f,
                "{there} does not speak TLS; correct the endpoint or its port, or look at what is between"
            ),
            Fault::ProxyRefused => write!(
                f,
                "the proxy {proxy} does not connect to {host}; allow that there, or name the host in NO_PROXY"
            ),
            Fault::ProxyCredentials => write!(
                f,
                "the proxy {proxy} refuses the credentials for it, or there are none; write them into {variable}, as http://USER:PASSWORD@HOST:PORT"
            ),
            Fault::NotFromAws(page) => {
                write!(
                    f,
                    "something between here and {there} answered: {page}; look at the proxy or firewall there"
                )
            }
            Fault::Other(detail) => write!(f, "{}: {detail}", there.trim_end_matches(',')),
        }
    }
}

impl Error for ConnectionFailure {}

/// How a proxy's tunnel begins to say what is wrong; its error has no public type.
const TUNNEL: &str = "tunnel error: ";

/// What an error of the HTTP client means, and whether it is the proxy that was not reached.
fn read(error: &ConnectorError) -> (Fault, bool) {
    let tunnel = chain(error).map(ToString::to_string).find(|told| told.starts_with(TUNNEL));
    let tunnel = tunnel.as_deref().and_then(|told| told.strip_prefix(TUNNEL));
    match tunnel {
        Some("proxy authorization required") => return (Fault::ProxyCredentials, true),
        Some("unsuccessful") => return (Fault::ProxyRefused, true),
        Some("unexpected end of file" | "io error establishing tunnel") => return (Fault::Closed, true),
        _ => {}
    }
    let typed = chain(error).find_map(|cause| {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return Some(of_tls(tls));
        }
        if let Some(dns) = cause.downcast_ref::<ResolveDnsError>() {
            return Some(of_dns(dns));
        }
        None
    });
    let fault = typed
        .or_else(|| error.is_timeout().then_some(Fault::Silent))
        .or_else(|| chain(error).find_map(|cause| of_io(cause.downcast_ref::<io::Error>()?)))
        // So the client says that the server ended in the middle of an answer.
        .or_else(|| error.as_other().map(|_| Fault::Closed))
        .unwrap_or_else(|| Fault::Other(chain(error).last().map(ToString::to_string).unwrap_or_default()));
    (fault, tunnel.is_some())
}

fn of_tls(error: &rustls::Error) -> Fault {
    match error {
        rustls::Error::InvalidCertificate(why) => Fault::Certificate(match why {
            CertificateError::UnknownIssuer => {
                "its issuer is not among the authorities that are trusted here; name a file with it in AWS_CA_BUNDLE"
                    .into()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "it is for another name".into()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "it has expired, if this machine's clock is right".into()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "it is not valid yet, if this machine's clock is right".into()
            }
            other => other.to_string(),
        }),
        rustls::Error::InvalidMessage(_) => Fault::NotTls,
        other => Fault::Tls(other.to_string()),
    }
}

fn of_dns(error: &ResolveDnsError) -> Fault {
    /// How the resolvers of glibc, musl and macOS say that there is no such name.
    const NO_SUCH_NAME: [&str; 4] = [
        "Name or service not known",
        "No address associated with hostname",
        "Name does not resolve",
        "nodename nor servname provided, or not known",
    ];
    let told = error.source().map(ToString::to_string).unwrap_or_default();
    if NO_SUCH_NAME.iter().any(|known| told.contains(known)) {
        Fault::UnknownHost
    } else {
        Fault::Unresolved(told)
    }
}

fn of_io(error: &io::Error) -> Option<Fault> {
    /// This process, or the machine, has no file descriptor left, on Linux and macOS alike.
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

/// An error and its causes. What an `io::Error` wraps is one of them, which its `source` leaves out.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(wrapper) => wrapper.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    })
}

#[cfg(test)]
mod tests;
