// SPDX-License-Identifier: Apache-2.0
//! One HTTP request to something on loopback, on a connection of its own.

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("not JSON: {}", String::from_utf8_lossy(&self.body)))
    }
}

/// Sends a request to `http://HOST:PORT/…`, and gives its answer.
pub async fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> anyhow::Result<Answer> {
    let rest = url.strip_prefix("http://").with_context(|| format!("{url} is not http://"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut request = Request::builder().method(method).uri(format!("/{path}")).header("host", host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into()))?;
    let stream = TcpStream::connect(host).await.with_context(|| format!("could not connect to {host}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await;
    let answer = async {
        let response = response?;
        let status = response.status().as_u16();
        anyhow::Ok(Answer { status, body: response.into_body().collect().await?.to_bytes() })
    };
    let answer = answer.await.with_context(|| format!("{method} {url}"));
    connection.abort();
    answer
}

/// Sends a request with a JSON body, and gives status and JSON.
pub async fn json(method: &str, url: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = send(method, url, &[("content-type", "application/json")], body).await?;
    Ok((answer.status, answer.json()?))
}
