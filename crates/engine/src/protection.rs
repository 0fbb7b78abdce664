// SPDX-License-Identifier: Apache-2.0
//! Asks Amazon ECS not to stop this task while it has a job too long for the drain timeout.
//! Source: <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html>
//!
//! Neither scaling in nor a deployment stops a protected task, and it gets no SIGTERM; while a deployment waits for
//! one, nothing is scaled in. So a job that can finish during the drain needs no protection, and protection must not
//! continue without end if one long job follows another. Without protection no job is lost: a worker that is asked to
//! stop finishes its jobs or returns them to the queue.

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
    sync::watch::{Receiver, error::RecvError},
    time::{Instant, sleep_until, timeout, timeout_at},
};

use crate::attempt::LONGEST;

/// The variable with the address of the container's ECS agent.
pub const AGENT_VARIABLE: &str = "ECS_AGENT_URI";

/// How long a protection lasts if this process can't end it, and how often it is renewed. A job may take
/// two hours.
const LASTS: Duration = Duration::from_hours(1);
const RENEWED_EVERY: Duration = Duration::from_mins(30);

/// The age from which a job needs protection. A younger one can finish during the drain, which is longer
/// by default, and most jobs take a second.
const OLD: Duration = Duration::from_mins(1);

/// How long the task stays protected without a break: as long as the job that started the protection may
/// take.
const TERM: Duration = LONGEST;

/// The length of the break in which ECS may stop the task.
const BREAK: Duration = Duration::from_mins(1);

/// The timeout of a call to the agent.
const AGENT_TIMEOUT: Duration = Duration::from_secs(5);

/// The protection of the task that this process runs in.
#[derive(Debug, Clone)]
pub struct Protection {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
}

impl Protection {
    /// The protection of this task, by the address of its agent.
    ///
    /// # Errors
    ///
    /// If `agent` is not an address.
    pub fn new(agent: &str) -> anyhow::Result<Self> {
        let uri = format!("{}/task-protection/v1/state", agent.trim_end_matches('/'));
        let uri = uri.parse().with_context(|| format!("{AGENT_VARIABLE}: {agent:?} is not an address"))?;
        Ok(Self { client: Client::builder(TokioExecutor::new()).build_http(), uri })
    }

    /// Protects the task while needed. `oldest` is when the oldest job in flight was taken, `None` if
    /// none is in flight. Once it is closed, ends the protection and returns.
    pub async fn follow(self, oldest: Receiver<Option<Instant>>) {
        let mut terms = Terms { oldest, state: State::Off };
        while let Some(enabled) = terms.next().await {
            self.set(enabled).await;
        }
    }

    /// Sets the protection. A failure has no other effect.
    async fn set(&self, enabled: bool) {
        match timeout(AGENT_TIMEOUT, self.ask(enabled)).await.context("no response in time").flatten() {
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
        // If a task can't be protected now, the response has status 200 nevertheless.
        let refused = body.get("failure").or_else(|| body.get("error")).filter(|what| !what.is_null());
        match refused {
            None if status.is_success() => Ok(()),
            None => bail!("the agent responded {status}"),
            Some(what) => bail!("the agent responded {status}: {}", crate::redact(&what.to_string())),
        }
    }
}

/// The periods during which the task is protected.
#[derive(Debug)]
struct Terms {
    oldest: Receiver<Option<Instant>>,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Off,
    On { until: Instant },
    Break { until: Instant },
}

impl Terms {
    /// The next state to set, once it is due; `None` when no more jobs will come.
    async fn next(&mut self) -> Option<bool> {
        if let State::Break { until } = self.state {
            timeout_at(until, closed(&mut self.oldest)).await.err()?;
            self.state = State::Off;
        }
        if let State::On { until } = self.state {
            let renewal = until.min(Instant::now() + RENEWED_EVERY);
            let is_over = timeout_at(renewal, no_old_job(&mut self.oldest)).await.is_ok();
            self.state = match () {
                () if is_over => State::Off,
                () if until <= Instant::now() => State::Break { until: until + BREAK },
                () => return Some(true),
            };
            return Some(false);
        }
        an_old_job(&mut self.oldest).await.ok()?;
        self.state = State::On { until: Instant::now() + TERM };
        Some(true)
    }
}

/// Completes when a job in flight is old enough, or when there will be none.
async fn an_old_job(oldest: &mut Receiver<Option<Instant>>) -> Result<(), RecvError> {
    loop {
        let Some(taken) = *oldest.wait_for(Option::is_some).await? else { continue };
        tokio::select! {
            () = sleep_until(taken + OLD) => return Ok(()),
            younger = oldest.wait_for(|oldest| *oldest != Some(taken)) => younger.map(drop)?,
        }
    }
}

/// Completes when no job in flight is old.
async fn no_old_job(oldest: &mut Receiver<Option<Instant>>) {
    // An error means that no more jobs will come, and none is left.
    let _ = oldest.wait_for(|oldest| oldest.is_none_or(|taken| taken.elapsed() < OLD)).await;
}

/// Completes when no more jobs will come.
async fn closed(oldest: &mut Receiver<Option<Instant>>) {
    let _ = oldest.wait_for(|_| false).await;
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        sync::{mpsc, watch},
        time::sleep,
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

    const JOB: Duration = Duration::from_mins(5);

    /// What the protection was set to, and how many seconds after the beginning, while `jobs` come and go.
    async fn set_during(jobs: impl AsyncFnOnce(&watch::Sender<Option<Instant>>)) -> Vec<(u64, bool)> {
        let (sending, oldest) = watch::channel(None);
        let begun = Instant::now();
        let following = tokio::spawn(async move {
            let mut terms = Terms { oldest, state: State::Off };
            let mut set = Vec::new();
            while let Some(enabled) = terms.next().await {
                set.push((begun.elapsed().as_secs(), enabled));
            }
            set
        });
        jobs(&sending).await;
        drop(sending);
        timeout(Duration::from_secs(1), following).await.expect("it ends with the worker").expect("no panic")
    }

    #[tokio::test(start_paused = true)]
    async fn jobs_that_the_drain_has_room_for_are_never_protected_however_many_there_are() {
        let set = set_during(async |jobs| {
            for _ in 0..1000 {
                jobs.send_replace(Some(Instant::now()));
                sleep(Duration::from_millis(59_999)).await;
            }
            jobs.send_replace(None);
        })
        .await;
        assert_eq!(set, []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_is_protected_once_it_is_a_minute_old_to_its_end_however_long_it_takes() {
        let set = set_during(async |jobs| {
            jobs.send_replace(Some(Instant::now()));
            sleep(LONGEST).await;
            jobs.send_replace(None);
            sleep(JOB).await;
        })
        .await;
        assert_eq!(set, [(60, true), (1860, true), (3660, true), (5460, true), (7200, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_younger_job_that_is_left_waits_for_its_own_minute() {
        let set = set_during(async |jobs| {
            jobs.send_replace(Some(Instant::now()));
            sleep(Duration::from_secs(100)).await;
            jobs.send_replace(Some(Instant::now() - Duration::from_secs(20)));
            sleep(JOB).await;
            jobs.send_replace(None);
        })
        .await;
        assert_eq!(set, [(60, true), (100, false), (140, true), (400, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_of_long_jobs_that_is_never_empty_leaves_ecs_a_break_in_which_to_stop_the_task() {
        let set = set_during(async |jobs| {
            // Two at a time, so that one is always old.
            for _ in 0..100 {
                jobs.send_replace(Some(Instant::now() - JOB / 2));
                sleep(JOB / 2).await;
            }
        })
        .await;
        let changes: Vec<_> = set.chunk_by(|one, other| one.1 == other.1).map(|same| same[0]).collect();
        let term = TERM.as_secs();
        assert_eq!(changes[..4], [(0, true), (term, false), (term + 60, true), (2 * term + 60, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_leaves_in_a_break_waits_for_nothing() {
        let set = set_during(async |jobs| {
            jobs.send_replace(Some(Instant::now()));
            sleep(OLD + TERM + BREAK / 2).await;
        })
        .await;
        assert_eq!(set.last(), Some(&(7260, false)));
    }

    #[tokio::test]
    async fn a_task_is_protected_by_its_agent_and_no_longer_than_it_has_an_old_job() {
        let (address, mut asked) = agent(r#"{"protection":{"ProtectionEnabled":true}}"#).await;
        let (jobs, oldest) = watch::channel(None);
        let protection = Protection::new(&address).expect("an address");
        let following = tokio::spawn(protection.follow(oldest));
        jobs.send_replace(Instant::now().checked_sub(OLD));
        let request = asked.recv().await.expect("a request");
        assert!(request.starts_with("PUT /api/task-protection/v1/state HTTP/1.1\r\n"), "{request}");
        assert!(request.ends_with(r#"{"ProtectionEnabled":true,"ExpiresInMinutes":60}"#), "{request}");
        jobs.send_replace(Some(Instant::now()));
        let request = asked.recv().await.expect("a request");
        assert!(request.ends_with(r#"{"ProtectionEnabled":false}"#), "{request}");
        drop(jobs);
        following.await.expect("it ends with the worker");
        assert!(asked.try_recv().is_err(), "a job that is young changes nothing");
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
