// SPDX-License-Identifier: Apache-2.0
use std::{
    io::Read,
    sync::{Arc, Mutex},
};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use flate2::read::GzDecoder;
use fleet::http_service::{Access, HttpService};
use serde_json::json;

use super::*;

/// What a server answers to a request: a status and a body, or nothing.
type Said = Option<(u16, String)>;

/// What is said to a request, by its number and its documents.
type Answer = dyn Fn(usize, &[String]) -> Said + Send + Sync;

/// Answers each request by a function of its documents, and records what it was sent.
#[derive(Clone)]
struct Server {
    answer: Arc<Answer>,
    seen: Arc<Mutex<Vec<Vec<String>>>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl HttpConnector for Server {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut text = String::new();
        let body = request.body().bytes().unwrap_or_default();
        GzDecoder::new(body).read_to_string(&mut text).expect("gzip");
        let lines: Vec<&str> = text.lines().collect();
        let documents: Vec<String> = lines.chunks(2).map(|pair| pair[1].to_owned()).collect();
        let mut seen = self.seen.lock().expect("no panic");
        let said = (self.answer)(seen.len(), &documents);
        seen.push(documents);
        HttpConnectorFuture::ready(match said {
            Some((status, body)) => {
                Ok(HttpResponse::new(status.try_into().expect("a status"), SdkBody::from(body)))
            }
            None => Err(ConnectorError::io("cut".into())),
        })
    }
}

impl HttpClient for Server {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// Sends documents to a server that answers so; returns what came of it and what the server saw.
async fn send(
    documents: &[&str],
    answer: impl Fn(usize, &[String]) -> Said + Send + Sync + 'static,
) -> (anyhow::Result<(Counts, String)>, Vec<Vec<String>>) {
    let server = Server { answer: Arc::new(answer), seen: Arc::default() };
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(server.clone())
        .build();
    let client = Arc::new(Client::new(HttpService::new(config, "http://search", Access::Open), false));
    let mut bulk = Bulk::new(&client);
    for document in documents {
        let Batch { body, items } = bulk.next();
        let begin = body.len();
        body.extend_from_slice(format!("{{\"index\":{{}}}}\n{document}\n").as_bytes());
        items.push(Item { begin, end: body.len() });
    }
    let ended = bulk.end().await;
    let ended = ended.map(|(counts, rejects)| (counts, String::from_utf8(rejects).expect("UTF-8")));
    let seen = server.seen.lock().expect("no panic").clone();
    (ended, seen)
}

/// An answer that accepts the request, with a status and a reason for each of its documents.
#[expect(clippy::unnecessary_wraps, reason = "it is what a server says")]
fn items(of: &[(u16, &str)]) -> Said {
    let item = |(status, reason): &(u16, &str)| match reason {
        &"" => json!({"index": {"status": status}}),
        reason => json!({"index": {"status": status, "error": {"type": "t", "reason": reason}}}),
    };
    let errors = of.iter().any(|(status, _)| *status >= 300);
    let items: Vec<Value> = of.iter().map(item).collect();
    Some((200, json!({"errors": errors, "items": items}).to_string()))
}

#[tokio::test(start_paused = true)]
async fn only_what_may_pass_is_sent_again_and_what_never_will_is_kept_with_its_reason() {
    let (ended, seen) = send(&["1", "2", "3", "4"], |nth, _| match nth {
        0 => items(&[(201, ""), (429, "rejected"), (400, "strict"), (409, "version conflict")]),
        1 => items(&[(503, "no shard")]),
        _ => items(&[(200, "")]),
    })
    .await;
    let (counts, rejects) = ended.expect("delivered");
    assert_eq!(seen, [vec!["1", "2", "3", "4"], vec!["2"], vec!["2"]]);
    assert_eq!(counts, Counts { sent: 3, rejected: 1, ..Counts::default() });
    assert_eq!(rejects, "{\"reason\":\"400 t: strict\",\"action\":{\"index\":{}},\"document\":3}\n");
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_whole_answer_is_sent_again_as_it_was() {
    let cut = r#"{"errors":false,"items":[{"index":{"sta"#.to_owned();
    let short = items(&[(201, "")]);
    let (ended, seen) = send(&["1", "2"], move |nth, _| match nth {
        0 => None,
        1 => Some((200, cut.clone())),
        2 => short.clone(),
        3 => Some((503, "busy".to_owned())),
        4 => Some((429, r#"{"error":{"reason":"too many requests"}}"#.to_owned())),
        _ => items(&[(201, ""), (200, "")]),
    })
    .await;
    assert_eq!(ended.expect("delivered").0.sent, 2);
    assert_eq!(seen, vec![vec!["1", "2"]; 6]);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_halved_until_it_fits_or_is_one_document() {
    let (ended, seen) = send(&["1", "2", "long", "4", "5"], |_, documents| {
        let is_large = documents.len() > 2 || documents.iter().any(|it| it == "long");
        if is_large { Some((413, String::new())) } else { items(&vec![(201, ""); documents.len()]) }
    })
    .await;
    let (counts, rejects) = ended.expect("delivered");
    assert_eq!(counts, Counts { sent: 4, rejected: 1, ..Counts::default() });
    assert!(rejects.contains("413: it is larger than the endpoint accepts"), "{rejects}");
    assert_eq!(seen.last().expect("several"), &["4", "5"]);
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_has_to_fix_ends_the_delivery_and_refuses_no_document() {
    let shards = "Validation Failed: 1: this action would add [2] total shards, but this cluster currently has [1000]/[1000] maximum shards open;";
    for (answer, expected) in [
        (items(&[(400, shards)]), "raise cluster.max_shards_per_node"),
        (
            items(&[(400, "Document ID is not supported in create/index operation request")]),
            "create one of the type SEARCH",
        ),
        (items(&[(403, "index [i] blocked by: [FORBIDDEN/12/index read-only]")]), "free disk space"),
        (
            Some((403, r#"{"error":{"reason":"no permissions for [indices:data/write/bulk]"}}"#.to_owned())),
            "no permissions for",
        ),
        (Some((401, String::new())), "does not accept the credentials (no credentials)"),
        (
            items(&[(429, "rejected execution")]),
            "1 documents are not taken, after 9 attempts: 429: t: rejected execution",
        ),
        (
            Some((500, "broken".to_owned())),
            "1 documents are not taken, after 9 attempts: http://search answers 500: broken",
        ),
    ] {
        let (ended, _) = send(&["1"], move |_, _| answer.clone()).await;
        let error = format!("{:#}", ended.expect_err(expected));
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_kept_up_to_a_size_and_counted_beyond_it() {
    let long = format!("\"{}\"", "x".repeat(1024 * 1024));
    let documents = vec![&*long; 12];
    let (ended, _) = send(&documents, |_, documents| items(&vec![(400, "strict"); documents.len()])).await;
    let (counts, rejects) = ended.expect("delivered");
    assert_eq!(counts.rejected, 12);
    assert_eq!(rejects.lines().count(), 9);
    assert!(rejects.ends_with("{\"reason\":\"4 more were refused, which are not kept here\"}\n"));
}
