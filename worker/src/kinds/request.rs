// SPDX-License-Identifier: Apache-2.0
//! The kind `request`: a request, of which a run is made as `producer run --at TIME --request FILE` makes it. A schedule
//! sends such messages, or a person.

use std::{future::pending, sync::Arc};

use anyhow::anyhow;
use chrono::{DateTime, SecondsFormat, Utc};
use engine::{Attempt, BadMessage, Completed, Failed, Kind, Label, Message, Queue, Retry, Work};
use fleet::{
    AwsError, Job, Reason, RunId,
    job::Envelope,
    json::{self, kind},
};
use futures::future::BoxFuture;
use requests::{
    budget::{self, OverBudget},
    plan::{Fault, Plan, Planning},
    publish::publish,
    request::{Flags, Request, Source, Surroundings},
    run::{self, Recorded},
    scheduled,
};
use serde_json::{Map, Value};
use sinks::Delivery;
use tracing::Span;

use crate::{failure::Failure, report::Reporter};

/// The keys of such a message.
const KIND: &str = "kind";
const AT: &str = "at";
const REQUEST: &str = "request";

/// Accepts the messages that name this kind.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) reporter: Arc<Reporter>,
    pub(super) delivery: Arc<Delivery>,
    /// Where the messages come from, and the jobs go.
    pub(super) queue: Queue,
    pub(super) default_accounts: Arc<[String]>,
}

/// What a message says.
#[derive(Debug, PartialEq)]
struct Tick {
    /// The time that the schedule meant, or when the message was sent; `None` with a fault.
    at: Option<DateTime<Utc>>,
    /// Whether a copy of the message would mean another time.
    is_of_the_message: bool,
    /// The request's text; `None` with a fault.
    request: Option<String>,
    faults: Vec<String>,
}

/// The run of a request.
#[derive(Debug)]
struct Expansion {
    reporter: Arc<Reporter>,
    delivery: Arc<Delivery>,
    queue: Queue,
    default_accounts: Arc<[String]>,
    tick: Tick,
}

impl Kind for Requests {
    fn name(&self) -> &'static str {
        REQUEST
    }

    fn read(&self, message: &Message) -> Option<Result<Box<dyn Work>, BadMessage>> {
        let tick = Tick::read(message)?;
        Some(Ok(Box::new(Expansion {
            reporter: self.reporter.clone(),
            delivery: self.delivery.clone(),
            queue: self.queue.clone(),
            default_accounts: self.default_accounts.clone(),
            tick,
        })))
    }
}

impl Tick {
    /// Reads a message; `None` if it is of another kind. Its faults are kept, to be reported with those of the request.
    fn read(message: &Message) -> Option<Self> {
        let Ok(Value::Object(mut body)) = json::read(&message.body) else { return None };
        if body.shift_remove(KIND)? != REQUEST {
            return None;
        }
        let mut faults = Vec::new();
        let at = body.shift_remove(AT);
        let is_of_the_message = at.is_none();
        let at = time(at, message).map_err(|fault| faults.push(fault)).ok();
        let request = match body.shift_remove(REQUEST) {
            Some(Value::Object(request)) => Some(Value::Object(request).to_string()),
            Some(other) => {
                faults.push(format!(
                    "request is {}, not an object such as {{\"account_name\":\"data\"}}",
                    kind(&other)
                ));
                None
            }
            None => {
                faults.push("the message has no request; {} is that of the default accounts".into());
                None
            }
        };
        faults.extend(misplaced(&body));
        Some(Self { at, is_of_the_message, request, faults })
    }
}

/// The time of a run: the message's, that of an earlier copy of it, or when it was sent.
fn time(at: Option<Value>, message: &Message) -> Result<DateTime<Utc>, String> {
    match (at, message.text(AT)) {
        (Some(Value::String(text)), _) => scheduled::parse(&text).map_err(|fault| format!("at {fault}")),
        (Some(other), _) => {
            Err(format!("at is {}, not a time such as \"2026-12-02T18:00:00Z\"", kind(&other)))
        }
        (None, Some(text)) => {
            scheduled::parse(text).map_err(|fault| format!("the message attribute at {fault}"))
        }
        (None, None) => Envelope::from_message(message)
            .sent_at
            .ok_or_else(|| "the message has no at, and does not say when it was sent".to_owned()),
    }
}

/// The faults of keys that belong into the request.
fn misplaced(body: &Map<String, Value>) -> impl Iterator<Item = String> {
    body.keys().map(|key| {
        format!("{key:?} is no key of this message, which has kind, at and request; move it into request")
    })
}

impl Work for Expansion {
    fn labels(&self) -> Vec<Label> {
        let at = self.tick.at.filter(|_| self.tick.is_of_the_message);
        let value = at.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
        value.map(|value| Label { name: AT, value, is_needed: true }).into_iter().collect()
    }

    fn span(&self, message: &Message) -> Span {
        tracing::info_span!(
            "request",
            message_id = message.id,
            attempt = message.receive_count,
            at = self.tick.at.map(tracing::field::display)
        )
    }

    fn run<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Completed, Failed>> {
        Box::pin(async {
            attempt.enter("read_request");
            let plan = self.plan().await?;
            let bucket = &self.reporter.bucket;
            attempt.enter("check_existing");
            let todo =
                run::look(bucket, &plan.jobs, plan.request.only_incomplete, &self.delivery.named()).await;
            let todo = todo.map_err(of_the_bucket)?;
            budget::check(bucket, &plan, &todo, None).await.map_err(of_the_budget)?;
            attempt.enter("record");
            let recorded = run::record(bucket, &plan, todo, true).await.map_err(of_the_bucket)?;
            attempt.enter("send");
            self.send(&recorded).await?;
            let orders = &recorded.todo.undelivered;
            run::send_orders(&self.queue, orders).await.map_err(not_sent)?;
            run::mark_sent(bucket, &recorded).await;
            Ok(Completed {
                outcome: if recorded.jobs.is_empty() && orders.is_empty() { "duplicate" } else { "sent" },
            })
        })
    }
}

impl Expansion {
    /// Checks the request by the report bucket's clock and the accounts of now.
    async fn plan(&self) -> Result<Plan, Failed> {
        let accounts = self.reporter.collector.accounts.latest().await.map_err(Failure::Aws)?;
        let clock = self.reporter.bucket.now();
        let at = self.tick.at.unwrap_or(clock);
        let mut faults = self.tick.faults.clone();
        faults.extend(scheduled::check(AT, at, clock).err());
        let Some(text) = &self.tick.request else { return Err(not_valid(&faults)) };
        let source = Source { name: "the request".to_owned(), text: Ok(text.clone()) };
        let flags = Flags::default();
        let around =
            Surroundings { now: at, accounts: Some(&accounts), default_accounts: &self.default_accounts };
        let planning = Planning { around, clock: Some(clock), template: &self.reporter.template };
        // As `producer run --at` names the run of this text.
        let run_id = RunId::scheduled(at, Request::digest(Some(&source), &flags));
        match Plan::new(Some(&source), &flags, planning, run_id) {
            Ok(plan) if faults.is_empty() => Ok(plan),
            Ok(_) => Err(not_valid(&faults)),
            Err(more) => {
                faults.extend(more.into_iter().map(|(Fault::Request(fault) | Fault::Setting(fault))| fault));
                Err(not_valid(&faults))
            }
        }
    }

    /// Sends the jobs. If one may not have been sent, the message is retried, and all are sent again.
    async fn send(&self, Recorded { manifest, todo, jobs }: &Recorded) -> Result<(), Failed> {
        let jobs: Vec<&Job> = jobs.iter().collect();
        let published = publish(&self.queue, &jobs, |_| (), pending()).await;
        if let Some(why) = published.explain(&jobs) {
            let source = anyhow!("run {}: {why}", manifest.run_id);
            return Err(match published.failed {
                Some(error) => blamed(&Failure::Aws(error), source),
                None => Failed { reason: Reason::Unavailable.code(), retry: Retry::Backoff, source },
            });
        }
        tracing::info!(
            run_id = %manifest.run_id,
            date = %manifest.date,
            sent = jobs.len(),
            deliveries = todo.undelivered.len(),
            already_complete = todo.already_complete(),
            "{}",
            match (manifest.sent_at, jobs.is_empty()) {
                (Some(_), _) => "the request's jobs were sent before; nothing is sent again",
                (None, true) => "the request has nothing to send",
                (None, false) => "the request's jobs are sent",
            }
        );
        Ok(())
    }
}

/// A request that can never be sent, with all its faults.
fn not_valid(faults: &[String]) -> Failed {
    let source = anyhow!("the request is not valid: {}", faults.join("; "));
    Failed { reason: Reason::BadMessage.code(), retry: Retry::Never, source }
}

/// Deliveries that may not have been sent. The message is retried, and what sinks lack is looked up again.
fn not_sent(source: anyhow::Error) -> Failed {
    Failed { reason: Reason::Unavailable.code(), retry: Retry::Backoff, source }
}

/// A failure with the reason and the retry policy of another.
fn blamed(failure: &Failure, source: anyhow::Error) -> Failed {
    Failed { reason: failure.reason().code(), retry: failure.retry(), source }
}

/// The failure of a call to the report bucket.
fn of_the_bucket(error: anyhow::Error) -> Failed {
    let of_aws = error.chain().find_map(|cause| cause.downcast_ref::<AwsError>());
    match of_aws.cloned() {
        Some(of_aws) => blamed(&Failure::ReportBucket(of_aws), error),
        // A manifest or a report that this version can't read.
        None => Failed { reason: Reason::ForeignObject.code(), retry: Retry::Never, source: error },
    }
}

fn of_the_budget(error: anyhow::Error) -> Failed {
    if error.is::<OverBudget>() {
        return Failed { reason: Reason::OverBudget.code(), retry: Retry::Never, source: error };
    }
    of_the_bucket(error)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine::message::Attribute;
    use fleet::ErrorKind;

    use super::*;

    fn message(body: &str) -> Message {
        let sent_at = DateTime::from_timestamp_millis(1_796_234_400_123);
        Message {
            id: "0a1b2c3d-4e5f".into(),
            body: body.into(),
            receive_count: 1,
            sent_at,
            ..Message::default()
        }
    }

    fn read(body: &str) -> Tick {
        Tick::read(&message(body)).expect("of this kind")
    }

    #[test]
    fn only_messages_of_this_kind_are_accepted() {
        for body in [r#"{"kind":"deliver"}"#, r#"{"account_name":"data"}"#, r#"["request"]"#, "request", ""] {
            assert_eq!(Tick::read(&message(body)), None, "{body}");
        }
    }

    #[test]
    fn spaces_in_the_request_make_no_other_run() {
        let tick = read(
            "{\"kind\": \"request\", \"at\": \"2026-12-02T19:00:00+01:00\", \"request\": { \"b\": 1.50,\n \"a\": [] }}",
        );
        assert_eq!(tick.at.map(|at| at.to_rfc3339()).as_deref(), Some("2026-12-02T18:00:00+00:00"));
        assert_eq!((tick.request.as_deref(), tick.faults), (Some(r#"{"b":1.5,"a":[]}"#), Vec::new()));
    }

    #[test]
    fn a_message_without_a_time_keeps_the_one_at_which_it_was_sent() {
        let mut sent = message(r#"{"kind":"request","request":{}}"#);
        let tick = Tick::read(&sent).expect("of this kind");
        assert!(tick.is_of_the_message && tick.at == sent.sent_at && tick.faults.is_empty());
        // A copy was sent later, and has it in its attributes.
        let at = sent.sent_at.take().expect("it was sent").to_rfc3339_opts(SecondsFormat::Millis, true);
        sent.attributes.insert("at".into(), Attribute::from(at.as_str()));
        sent.sent_at = tick.at.map(|at| at + Duration::from_hours(1));
        assert_eq!(Tick::read(&sent).expect("of this kind"), tick);
        let unsent = Message { sent_at: None, attributes: engine::message::Attributes::new(), ..sent };
        let faults = Tick::read(&unsent).expect("of this kind").faults;
        assert_eq!(faults, ["the message has no at, and does not say when it was sent"]);
    }

    #[test]
    fn every_fault_of_a_message_is_found() {
        let tick = read(r#"{"kind":"request","at":"noon","request":[],"dataset":"ecs"}"#);
        assert_eq!(
            tick.faults,
            [
                "at \"noon\" is not a time; write it as 2026-12-02T18:00:00Z",
                "request is a list, not an object such as {\"account_name\":\"data\"}",
                "\"dataset\" is no key of this message, which has kind, at and request; move it into request",
            ]
        );
        let tick = read(r#"{"kind":"request","at":5}"#);
        assert_eq!(
            tick.faults,
            [
                "at is a number, not a time such as \"2026-12-02T18:00:00Z\"",
                "the message has no request; {} is that of the default accounts",
            ]
        );
    }

    #[test]
    fn the_messages_of_the_documents_are_valid() {
        let documents =
            [include_str!("../../../docs/operations.md"), include_str!("../../../docs/report-format.md")];
        let lines = documents.iter().flat_map(|document| document.lines()).map(str::trim);
        let bodies: Vec<&str> = lines.filter(|line| line.starts_with(r#"{"kind": "request""#)).collect();
        assert_eq!(bodies.len(), 3, "{bodies:?}");
        for body in bodies {
            let tick = read(&body.replace("<aws.scheduler.scheduled-time>", "2026-12-02T18:00:00Z"));
            assert_eq!(tick.faults, Vec::<String>::new(), "{body}");
            let source = Source { name: "the request".into(), text: Ok(tick.request.expect("a request")) };
            let default_accounts = &["data".to_owned()];
            let now = tick.at.expect("a time");
            let around = Surroundings { now, accounts: Some(&fleet::Accounts::default()), default_accounts };
            let request = Request::read(Some(&source), &Flags::default(), around).expect("valid");
            assert!(request.only_incomplete && request.attributes.is_empty(), "{body}");
        }
    }

    #[test]
    fn what_may_pass_is_retried_and_the_rest_says_why() {
        let aws =
            |kind| anyhow::Error::new(AwsError::new(kind, "s3:PutObject", "Code")).context("no manifest");
        let end = |failed: Failed| (failed.reason, failed.retry);
        assert_eq!(end(of_the_bucket(aws(ErrorKind::Transient))), ("unavailable", Retry::Backoff));
        assert_eq!(end(of_the_bucket(aws(ErrorKind::Denied))), ("report_bucket", Retry::OnceMore));
        assert_eq!(end(of_the_bucket(anyhow!("no JSON"))), ("foreign_object", Retry::Never));
        let over = OverBudget { estimate: 2.0, max_usd: 1.0 };
        assert_eq!(end(of_the_budget(over.into())), ("over_budget", Retry::Never));
        assert_eq!(end(of_the_budget(aws(ErrorKind::Transient))), ("unavailable", Retry::Backoff));
    }
}
