// SPDX-License-Identifier: Apache-2.0
use std::{sync::Arc, time::Duration};

use aws_smithy_http_client::{
    proxy::ProxyConfig,
    tls::{TlsContext, TrustStore},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorSettings},
    orchestrator::HttpRequest,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::aws::{http::Http, trust};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A client with these trusted authorities.
fn http(trust: TlsContext, proxy: Option<&str>) -> Http {
    let Some(proxy) = proxy else {
        return Http::new(trust, ProxyConfig::disabled(), Matcher::builder().build());
    };
    Http::new(trust, ProxyConfig::all(proxy).expect("a proxy"), Matcher::builder().all(proxy).build())
}

fn no_authority() -> TlsContext {
    TlsContext::builder().with_trust_store(TrustStore::empty()).build().expect("a context")
}

/// The failure of a request of `url`.
async fn failure(http: &Http, url: &str) -> ConnectionFailure {
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(Duration::from_secs(3))
        .read_timeout(Duration::from_millis(300))
        .build();
    let answer = http.connector(&settings).call(HttpRequest::get(url).expect("a request")).await;
    let error = answer.expect_err(url).into_source();
    error.downcast_ref::<ConnectionFailure>().unwrap_or_else(|| panic!("{url}: {error:?}")).clone()
}

/// A server on its own port that handles each connection with `serve`.
async fn server<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let place = format!("localhost:{}", listener.local_addr().expect("an address").port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    place
}

/// A server that reads a request and sends this response.
async fn answering(answer: &'static [u8]) -> String {
    server(move |mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(answer).await;
    })
    .await
}

/// A port without a listener.
async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    format!("localhost:{}", listener.local_addr().expect("an address").port())
}

#[tokio::test]
async fn each_failure_to_connect_or_to_answer_names_the_host() {
    let direct = http(no_authority(), None);
    let refused = nowhere().await;
    let closed = answering(b"").await;
    let cut = answering(b"HTTP/1.1 200 OK\r\ncontent-").await;
    let silent = server(|stream| async move {
        tokio::time::sleep(Duration::from_mins(1)).await;
        drop(stream);
    })
    .await;
    let plain = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    for (url, fault, code, message) in [
        (
            format!("http://{refused}/"),
            Fault::Refused,
            "Unreachable",
            format!("{refused} refuses connections"),
        ),
        (
            format!("http://{closed}/"),
            Fault::Closed,
            "Unreachable",
            format!("{closed} closed the connection before the response was complete"),
        ),
        (
            format!("http://{cut}/"),
            Fault::Closed,
            "Unreachable",
            format!("{cut} closed the connection before the response was complete"),
        ),
        (format!("http://{silent}/"), Fault::Silent, "Timeout", format!("{silent} did not answer in time")),
        (
            format!("https://{plain}/"),
            Fault::NotTls,
            "Unreachable",
            format!(
                "{plain} does not speak TLS; correct the endpoint or its port, or check for a proxy or firewall in between"
            ),
        ),
    ] {
        let failure = failure(&direct, &url).await;
        assert_eq!((&failure.fault, failure.code(), failure.to_string()), (&fault, code, message), "{url}");
        // A server that does not speak TLS will not start to.
        let is_lasting = fault == Fault::NotTls;
        let kind = if is_lasting { ErrorKind::Permanent } else { ErrorKind::Transient };
        assert_eq!(failure.kind(), kind, "{url}");
        assert_eq!(failure.is_unsent, matches!(fault, Fault::Refused | Fault::NotTls), "{url}");
    }
}

#[tokio::test]
async fn faults_of_a_proxy_are_fixed_in_its_variable() {
    let failure_by = async |proxy: &str| {
        failure(&http(no_authority(), Some(proxy)), "https://sts.eu-west-1.amazonaws.com/").await
    };
    let plain = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let variable = environment::proxy_variable(true);
    let way = "on the way to sts.eu-west-1.amazonaws.com,";
    let failure = failure_by(&format!("https://{plain}")).await;
    let message = format!(
        "the proxy https://{plain}, {way} does not speak TLS; write it as http://HOST:PORT in {variable}"
    );
    assert_eq!((failure.to_string(), failure.kind()), (message, ErrorKind::Permanent));
    let mut failure = failure_by("http://proxy.invalid:3128").await;
    assert!(failure.at_proxy, "{failure:?}");
    // Without DNS, no response says that the name does not exist.
    failure.fault = Fault::UnknownHost;
    let message = format!(
        "the proxy http://proxy.invalid:3128, {way} is unknown to DNS; correct {variable}, or check this machine's DNS"
    );
    assert_eq!(failure.to_string(), message);
    failure.fault = Fault::Other("why".into());
    let message = "the proxy http://proxy.invalid:3128, on the way to sts.eu-west-1.amazonaws.com: why";
    assert_eq!(failure.to_string(), message);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_named() {
    // A name that never exists; without DNS it is not looked up at all.
    //
    // Source: <https://datatracker.ietf.org/doc/html/rfc6761#section-6.4>
    let failure = failure(&http(no_authority(), None), "https://monitoring.us-east-3.invalid/").await;
    assert!(matches!(failure.fault, Fault::UnknownHost | Fault::Unresolved(_)), "{failure:?}");
    assert!(
        failure.is_unsent && failure.to_string().starts_with("monitoring.us-east-3.invalid "),
        "{failure}"
    );
    assert_eq!((failure.code(), failure.kind()), ("Unreachable", ErrorKind::Transient));
}

#[test]
fn a_name_that_does_not_exist_is_distinguished_from_no_dns_response() {
    let of = |message: &str| fault_from_dns(&ResolveDnsError::new(io::Error::other(message.to_owned())));
    let lookup = |message: &str| of(&format!("failed to lookup address information: {message}"));
    assert_eq!(lookup("Name or service not known"), Fault::UnknownHost);
    assert_eq!(lookup("Name does not resolve"), Fault::UnknownHost);
    assert!(matches!(lookup("Temporary failure in name resolution"), Fault::Unresolved(_)));
    assert!(matches!(lookup("Try again"), Fault::Unresolved(_)));
}

#[test]
fn system_errors_are_read_through_any_wrapper() {
    let of = |error: io::Error| read(&ConnectorError::io(io::Error::other(error).into())).0;
    assert_eq!(of(io::Error::from_raw_os_error(24)), Fault::NoDescriptors);
    assert_eq!(of(Io::HostUnreachable.into()), Fault::NoRoute("host unreachable".into()));
    assert_eq!(of(Io::ConnectionReset.into()), Fault::Closed);
    assert_eq!(of(Io::TimedOut.into()), Fault::Silent);
    assert_eq!(of(io::Error::other("something new")), Fault::Other("something new".into()));
}

/// An authority, and a server with a certificate of it.
async fn certified(name: &str, from: i32, until: i32) -> (String, String) {
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = || KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(authority, key()).expect("an authority");
    let mut certificate = CertificateParams::new([name.to_owned()]).expect("parameters");
    certificate.not_before = date_time_ymd(from, 1, 1);
    certificate.not_after = date_time_ymd(until, 1, 1);
    let server_key = key();
    let certificate = certificate.signed_by(&server_key, &authority).expect("a certificate");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(server_key.serialize_der()).expect("a key"),
        )
        .expect("a certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let place = server(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(ANSWER).await;
        }
    })
    .await;
    (place, authority.pem())
}

/// Trusts the authority in a file that the environment names.
fn trusting(pem: &str) -> TlsContext {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), pem).expect("written");
    let path = file.path().as_os_str().to_owned();
    trust::from_environment(|name| (name == "AWS_CA_BUNDLE").then(|| path.clone())).expect("an authority")
}

#[tokio::test]
async fn a_private_authority_of_the_bundle_is_trusted_and_others_are_not() {
    let (place, pem) = certified("localhost", 2020, 2120).await;
    let settings = HttpConnectorSettings::builder().read_timeout(Duration::from_secs(5)).build();
    let request = || HttpRequest::get(format!("https://{place}/")).expect("a request");
    let answer = http(trusting(&pem), None).connector(&settings).call(request()).await;
    assert_eq!(answer.expect("an answer").status().as_u16(), 200);
    let (_, other) = certified("localhost", 2020, 2120).await;
    let refused = failure(&http(trusting(&other), None), &format!("https://{place}/")).await;
    assert_eq!(refused.code(), "CertificateRefused");
}

#[tokio::test]
async fn a_refused_certificate_is_permanent_and_names_host_and_cause() {
    for (name, from, until, cause) in [
        ("localhost", 2020, 2021, "it has expired, unless this machine's clock is wrong"),
        ("localhost", 2119, 2120, "it is not valid yet, unless this machine's clock is wrong"),
        ("elsewhere.example", 2020, 2120, "it is for another name"),
    ] {
        let (place, pem) = certified(name, from, until).await;
        let failure = failure(&http(trusting(&pem), None), &format!("https://{place}/")).await;
        assert_eq!(failure.to_string(), format!("{place} has a certificate that is not accepted: {cause}"));
        assert_eq!((failure.code(), failure.kind()), ("CertificateRefused", ErrorKind::Permanent));
    }
    let (place, _) = certified("localhost", 2020, 2120).await;
    let failure = failure(&http(no_authority(), None), &format!("https://{place}/")).await;
    assert!(
        failure.to_string().contains(&place) && failure.to_string().contains("AWS_CA_BUNDLE"),
        "{failure}"
    );
    assert_eq!(failure.kind(), ErrorKind::Permanent);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_and_its_credentials_are_not() {
    let denied = answering(b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
    let unknown = answering(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    let closed = answering(b"").await;
    let down = nowhere().await;
    let refused =
        "does not connect to sts.eu-west-1.amazonaws.com; allow that there, or name the host in NO_PROXY";
    for (proxy, scheme, message, code, kind) in [
        (
            &denied,
            "https",
            format!("the proxy http://{denied} {refused}"),
            "ProxyRefused",
            ErrorKind::Transient,
        ),
        (
            &unknown,
            "https",
            format!("the proxy http://{unknown} does not accept its credentials"),
            "ProxyRefused",
            ErrorKind::Permanent,
        ),
        (
            &closed,
            "https",
            format!("the proxy http://{closed}, on the way to"),
            "Unreachable",
            ErrorKind::Transient,
        ),
        (
            &down,
            "https",
            format!(
                "the proxy http://{down}, on the way to sts.eu-west-1.amazonaws.com, refuses connections"
            ),
            "Unreachable",
            ErrorKind::Transient,
        ),
        (
            &down,
            "http",
            format!(
                "the proxy http://{down}, on the way to sts.eu-west-1.amazonaws.com, refuses connections"
            ),
            "Unreachable",
            ErrorKind::Transient,
        ),
    ] {
        let http = http(no_authority(), Some(&format!("http://user:hunter2@{proxy}")));
        let failure = failure(&http, &format!("{scheme}://sts.eu-west-1.amazonaws.com/")).await;
        assert!(failure.to_string().starts_with(&message), "{failure}");
        assert!(!format!("{failure} {failure:?}").contains("hunter2"), "{failure:?}");
        assert_eq!((failure.code(), failure.kind()), (code, kind), "{failure}");
    }
}

#[test]
fn a_file_of_authorities_that_can_not_be_used_is_refused_by_its_variable() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.into_os_string()
    };
    let absent = folder.path().join("absent").into_os_string();
    let broken = "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
    let empty = file("empty", "# nothing\n");
    for (variable, value, message) in [
        ("AWS_CA_BUNDLE", &absent, "No such file"),
        ("AWS_CA_BUNDLE", &empty, "it contains no PEM certificate"),
        ("AWS_CA_BUNDLE", &file("broken", broken), "its certificate number 1"),
        ("SSL_CERT_FILE", &absent, "No such file"),
        ("SSL_CERT_FILE", &empty, "it contains no PEM certificate"),
        ("SSL_CERT_DIR", &absent, "No such file"),
    ] {
        let refused = trust::from_environment(|name| (name == variable).then(|| value.clone()));
        let error = format!("{:#}", refused.expect_err(message));
        assert!(error.starts_with(&format!("{variable}: ")) && error.contains(message), "{error}");
    }
}
