//! Asks Amazon ECS not to stop this task while it has jobs in hand: scaling in and deployments then
//! choose an idle one, or wait.
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html>
//!
//! Without it nothing is lost: a worker that is told to stop finishes or gives back what it has.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Uri, header::CONTENT_TYPE};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

/// Where ECS tells a container its agent's address.
pub const AGENT_VARIABLE: &str = "ECS_AGENT_URI";

/// How long a protection lasts by itself, should this process not be able to end it, and how often it is
/// renewed. A job may take two hours.
const LASTS: Duration = Duration::from_hours(1);
const RENEWED_EVERY: Duration = Duration::from_mins(30);

/// How long a worker is idle before it gives its protection up: jobs follow each other closely.
const IDLE: Duration = Duration::from_secs(5);

/// How long the agent may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The protection of the task that this process runs in.
#[derive(Debug, Clone)]
pub struct Protection {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
}

impl Protection {
    /// The protection of this task, where `agent` is the address of its agent.
    ///
    /// # Errors
    /// Where that is no address.
    pub fn new(agent: &str) -> anyhow::Result<Self> {
        let uri = format!("{}/task-protection/v1/state", agent.trim_end_matches('/'));
        let uri = uri.parse().with_context(|| format!("{AGENT_VARIABLE}: {agent:?} is no address"))?;
        Ok(Self { client: Client::builder(TokioExecutor::new()).build_http(), uri })
    }

    /// Protects the task while jobs are in hand, until nobody counts them any more.
    pub async fn follow(self, mut in_hand: watch::Receiver<usize>) {
        loop {
            if in_hand.wait_for(|jobs| *jobs > 0).await.is_err() {
                return;
            }
            self.set(true).await;
            loop {
                // A protection that is still needed is renewed.
                match timeout(RENEWED_EVERY, idle(&mut in_hand)).await {
                    Ok(()) => break,
                    Err(_) => self.set(true).await,
                }
            }
            self.set(false).await;
            if in_hand.has_changed().is_err() {
                return;
            }
        }
    }

    /// Sets the protection; a failure costs nothing but the protection.
    async fn set(&self, enabled: bool) {
        match timeout(PATIENCE, self.ask(enabled)).await.context("no answer in time").flatten() {
            Ok(()) => tracing::debug!(enabled, "the task's protection is set"),
            Err(error) => {
                tracing::warn!(
                    enabled,
                    "the task's protection could not be set; is ecs:UpdateTaskProtection allowed to its role? {error:#}"
                );
            }
        }
    }

    async fn ask(&self, enabled: bool) -> anyhow::Result<()> {
        let state = if enabled {
            serde_json::json!({"ProtectionEnabled": true, "ExpiresInMinutes": LASTS.as_secs() / 60})
        } else {
            serde_json::json!({"ProtectionEnabled": false})
        };
        let request = Request::builder()
            .method(Method::PUT)
            .uri(self.uri.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(state.to_string()))?;
        let answer = self.client.request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        // A task that can't be protected now is told so with status 200.
        let refused = body.get("failure").or_else(|| body.get("error")).filter(|what| !what.is_null());
        match refused {
            None if status.is_success() => Ok(()),
            None => bail!("the agent answers {status}"),
            Some(what) => bail!("the agent answers {status}: {}", fleet::redact(&what.to_string())),
        }
    }
}

/// Ready when nothing has been in hand for a while, or nobody counts any more.
async fn idle(in_hand: &mut watch::Receiver<usize>) {
    loop {
        if in_hand.wait_for(|jobs| *jobs == 0).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep(IDLE) => return,
            busy = in_hand.wait_for(|jobs| *jobs > 0) => if busy.is_err() {
                return;
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        sync::mpsc,
    };

    use super::*;

    /// An agent that answers every request with `answer`, and passes on what it was asked.
    async fn agent(answer: &'static str) -> (String, mpsc::UnboundedReceiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}/api/", listener.local_addr().expect("an address"));
        let (asked, asking) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let asked = asked.clone();
                tokio::spawn(async move {
                    let mut request = vec![0; 4096];
                    while let Ok(read @ 1..) = stream.read(&mut request).await {
                        let _ = asked.send(String::from_utf8_lossy(&request[..read]).into_owned());
                        let answer =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                });
            }
        });
        (address, asking)
    }

    #[tokio::test]
    async fn a_task_is_protected_from_its_first_job_until_it_has_none() {
        let (address, mut asked) = agent(r#"{"protection":{"ProtectionEnabled":true}}"#).await;
        let (in_hand, watching) = watch::channel(0);
        let protection = Protection::new(&address).expect("an address");
        let following = tokio::spawn(protection.follow(watching));
        in_hand.send_replace(1);
        let request = asked.recv().await.expect("a request");
        assert!(request.starts_with("PUT /api/task-protection/v1/state HTTP/1.1\r\n"), "{request}");
        assert!(request.ends_with(r#"{"ProtectionEnabled":true,"ExpiresInMinutes":60}"#), "{request}");
        in_hand.send_replace(0);
        in_hand.send_replace(2);
        drop(in_hand);
        let request = asked.recv().await.expect("a request");
        assert!(request.ends_with(r#"{"ProtectionEnabled":false}"#), "{request}");
        following.await.expect("it ends with the worker");
        assert!(asked.try_recv().is_err(), "a moment without a job changes nothing");
    }

    #[tokio::test]
    async fn a_refusal_with_status_200_is_one() {
        let (address, _asked) = agent(r#"{"failure":{"Reason":"DEPLOYMENT_BLOCKED"}}"#).await;
        let refused = Protection::new(&address).expect("an address").ask(true).await;
        assert!(refused.is_err_and(|error| error.to_string().contains("DEPLOYMENT_BLOCKED")));
    }

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        let error = Protection::new("not an address").expect_err("no address");
        assert!(error.to_string().contains("ECS_AGENT_URI"), "{error}");
    }
}
