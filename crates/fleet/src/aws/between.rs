// SPDX-License-Identifier: Apache-2.0
//! Detects responses that are not from AWS: a login page, a proxy's refusal, a firewall's notice.
//!
//! Every AWS service sends a request ID, and none responds with an HTML page.

use std::net::IpAddr;

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::ConnectorError};
use aws_smithy_types::{byte_stream::ByteStream, retry::ErrorKind};

use super::connection::{ConnectionFailure, Way};

/// The headers in which services send the request ID.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/get-request-ids.html>
const REQUEST_IDS: [&str; 4] = ["x-amzn-requestid", "x-amz-request-id", "x-amz-id-2", "x-amzn-request-id"];

/// How much of a page is read, in bytes, and quoted, in characters.
const LOOKED_AT: usize = 4096;
const MAX_QUOTED: usize = 80;

/// Returns the response, unless it is a page that no AWS service sent. Its status does not matter: by a
/// status alone, a report would count as stored although it is not.
pub(super) async fn refuse_page(way: Way, mut answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    if !is_page(&answer) || names_its_request(&answer) || is_metadata_service(&way.host) {
        // For a caller that detects the page later, when the request is gone.
        answer.add_extension(way);
        return Ok(answer);
    }
    let (status, kind) = (answer.status().as_u16(), content_type(&answer).to_owned());
    let (mut body, mut begins) = (ByteStream::new(answer.into_body()), Vec::new());
    while let Some(Ok(bytes)) = body.next().await {
        begins.extend_from_slice(&bytes);
        if begins.len() >= LOOKED_AT {
            break;
        }
    }
    let page = ConnectionFailure::not_from_aws(way, describe(status, &kind, &begins));
    Err(ConnectorError::other(page.into(), Some(ErrorKind::TransientError)))
}

/// A description of a response that is not from AWS; `None` if it may be. Another vendor's S3 may report
/// by a status alone that an object does not exist or has changed.
pub(crate) fn not_from_aws(answer: &HttpResponse) -> Option<String> {
    let body = answer.body().bytes().unwrap_or_default();
    let status = answer.status().as_u16();
    let is_bare = body.is_empty() && !is_page(answer) && matches!(status, 404 | 412);
    if is_bare || names_its_request(answer) {
        return None;
    }
    let page = describe(status, content_type(answer), body);
    // Every response received by the process's client has it.
    Some(match answer.extension::<Way>() {
        Some(way) => ConnectionFailure::not_from_aws(way.clone(), page).to_string(),
        None => format!("something other than AWS answered: {page}"),
    })
}

fn names_its_request(answer: &HttpResponse) -> bool {
    REQUEST_IDS.iter().any(|name| answer.headers().contains_key(name))
}

fn content_type(answer: &HttpResponse) -> &str {
    answer.headers().get("content-type").unwrap_or_default()
}

fn is_page(answer: &HttpResponse) -> bool {
    let kind = content_type(answer).to_ascii_lowercase();
    kind.starts_with("text/html") || kind.starts_with("application/xhtml+xml")
}

/// Whether a host is a service that gives a machine or a container its credentials: these send no
/// request IDs, and may respond with a page.
///
/// Source: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>
fn is_metadata_service(host: &str) -> bool {
    let name = host.strip_prefix('[').and_then(|host| host.split(']').next());
    let name = name.or_else(|| host.split(':').next()).unwrap_or_default();
    match name.parse() {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        Ok(IpAddr::V6(address)) => matches!(address.segments(), [0xfd00, 0x0ec2, ..]),
        Err(_) => false,
    }
}

/// The status, the content type and the first words of the body.
fn describe(status: u16, kind: &str, body: &[u8]) -> String {
    let kind = if kind.is_empty() { "no content type" } else { kind };
    let words = first_words(&String::from_utf8_lossy(body));
    if words.is_empty() { format!("{status}, {kind}") } else { format!("{status}, {kind}, {words:?}") }
}

/// A page's title or, without one, its beginning.
fn first_words(body: &str) -> String {
    let title = body.split_once("<title>").and_then(|(_, rest)| rest.split("</title>").next());
    let mut words = String::new();
    let mut in_tag = false;
    for letter in title.unwrap_or(body).chars() {
        match letter {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                words.push(' ');
            }
            _ if in_tag => {}
            letter => words.push(if letter.is_control() { ' ' } else { letter }),
        }
    }
    let words: Vec<&str> = words.split_whitespace().collect();
    words.join(" ").chars().take(MAX_QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> HttpResponse {
        let mut answer =
            HttpResponse::new(StatusCode::try_from(status).expect("a status"), SdkBody::from(body));
        for (name, value) in headers {
            answer.headers_mut().insert(*name, *value);
        }
        answer
    }

    fn way(host: &str) -> Way {
        Way { host: host.into(), proxy: None, is_forwarded: false }
    }

    const PAGE: &str =
        "<!DOCTYPE html><html><head><style>p{}</style><title>Please\n log in</title></head><p>x</p></html>";

    #[tokio::test]
    async fn a_page_is_refused_whatever_its_status() {
        for status in [200, 302, 403, 407, 503] {
            for kind in ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml"] {
                let page = answer(status, &[("content-type", kind)], PAGE);
                let refused =
                    refuse_page(way("sts.eu-west-1.amazonaws.com"), page).await.expect_err("a page");
                let text = refused.into_source().to_string();
                assert_eq!(
                    text,
                    format!(
                        "something between here and sts.eu-west-1.amazonaws.com answered: {status}, {kind}, \"Please log in\"; check the proxy or firewall there"
                    )
                );
            }
        }
    }

    #[tokio::test]
    async fn responses_with_a_request_id_and_of_metadata_services_are_accepted() {
        let html = ("content-type", "text/html");
        for id in REQUEST_IDS {
            let stored = answer(200, &[html, (id, "1")], PAGE);
            assert!(refuse_page(way("s3.eu-west-1.amazonaws.com"), stored).await.is_ok(), "{id}");
        }
        for host in ["169.254.169.254", "169.254.170.2:80", "[fd00:ec2::254]", "[fd00:ec2::23]:80"] {
            assert!(refuse_page(way(host), answer(404, &[html], PAGE)).await.is_ok(), "{host}");
        }
        for host in ["127.0.0.1:80", "10.0.0.1", "[2001:db8::1]", "localhost"] {
            assert!(refuse_page(way(host), answer(404, &[html], PAGE)).await.is_err(), "{host}");
        }
    }

    #[test]
    fn a_response_without_a_request_id_is_not_from_aws_unless_its_status_alone_says_that_an_object_is_gone() {
        for status in [302, 400, 401, 403, 407, 500, 502] {
            let message = not_from_aws(&answer(status, &[], "")).expect("not from AWS");
            assert_eq!(message, format!("something other than AWS answered: {status}, no content type"));
        }
        assert_eq!(not_from_aws(&answer(403, &[("x-amz-request-id", "1")], "")), None);
        for status in [404, 412] {
            assert_eq!(not_from_aws(&answer(status, &[], "")), None);
            assert!(not_from_aws(&answer(status, &[("content-type", "text/html")], "")).is_some());
        }
        let json = answer(403, &[("content-type", "application/json")], "{\"blocked\":\"by policy\"}");
        let text = "403, application/json, \"{\\\"blocked\\\":\\\"by policy\\\"}\"";
        assert!(not_from_aws(&json).is_some_and(|message| message.ends_with(text)));
    }

    #[tokio::test]
    async fn the_host_is_named_for_any_response() {
        let text = ("content-type", "text/plain");
        for (status, headers, body, text) in [
            (302, &[][..], "", "302, no content type"),
            (200, &[], "", "200, no content type"),
            (500, &[text], "no route", "500, text/plain, \"no route\""),
        ] {
            let way = way("sts.eu-west-1.amazonaws.com");
            let passed = refuse_page(way, answer(status, headers, body)).await.expect("no page");
            let message = format!(
                "something between here and sts.eu-west-1.amazonaws.com answered: {text}; check the proxy or firewall there"
            );
            assert_eq!(not_from_aws(&passed), Some(message));
        }
    }

    #[test]
    fn the_first_words_are_short_and_without_tags_and_control_characters() {
        assert_eq!(
            first_words("<h1>Access\u{1b}[31m denied</h1>\r\n<p>by  policy"),
            "Access [31m denied by policy"
        );
        assert_eq!(first_words(&"word ".repeat(100)).chars().count(), MAX_QUOTED);
        assert_eq!(first_words("a > b < c"), "a > b");
        assert_eq!(first_words(""), "");
    }
}
