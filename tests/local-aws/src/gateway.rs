// SPDX-License-Identifier: Apache-2.0
//! One request from its head to its answer: which service and operation, who calls, whether a fault, a denial or a
//! quota stands in the way, then the service itself, and the log.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{DATE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};

use crate::calls::{CallRecord, Service};
use crate::faults::{self, Effect, Stage, Struck, Target};
use crate::identity::{self, Caller, Signature};
use crate::opensearch::{self, OpenSearch};
use crate::permissions;
use crate::quotas::Meter;
use crate::reply::{Protocol, Reply, ServiceError, unknown_operation};
use crate::server::Line;
use crate::world::World;
use crate::{cloudwatch, ecs, lambda, regions, s3, secrets, sqs, sts, tagging};

/// What S3 takes in one `PutObject`; SQS's and CloudWatch's own limits are theirs to check.
const MAX_BODY: usize = 5 * 1024 * 1024 * 1024;

/// How far a request's date may be off: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
const MAX_SKEW: TimeDelta = TimeDelta::minutes(5);

pub(crate) enum Answer {
    Reply(Reply, Delivery),
    Reset,
    /// It is carried out, and there is silence until the fault is stopped.
    Lost(Struck),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Whole,
    Trickle(usize),
    Truncated,
}

/// A request that is understood as far as its service and operation.
pub(crate) struct Call {
    pub(crate) service: Service,
    pub(crate) protocol: Protocol,
    pub(crate) operation: String,
    pub(crate) caller: Caller,
    pub(crate) region: String,
    pub(crate) resource: Option<String>,
    pub(crate) key: Option<String>,
    /// What the service counted in it, for the log.
    pub(crate) items: usize,
    /// The messages that it is about, and the visibility timeout that it asks for, for the log.
    pub(crate) message_ids: Vec<String>,
    pub(crate) visibility: Option<i64>,
    /// The OpenSearch that is called, if it is one.
    search: Option<OpenSearch>,
}

impl Call {
    pub(crate) fn account(&self) -> &str {
        &self.caller.account
    }

    pub(crate) fn arn(&self) -> String {
        self.caller.arn(&self.region)
    }

    pub(crate) fn target(&self) -> Target<'_> {
        Target {
            service: self.service,
            operation: &self.operation,
            account: &self.caller.account,
            region: &self.region,
            access_key: &self.caller.access_key,
            resource: self.resource.as_deref(),
            key: self.key.as_deref(),
        }
    }
}

/// Answers one request and writes it to the log.
pub(crate) async fn answer(
    world: &Arc<World>,
    search: Option<OpenSearch>,
    request: Request<Incoming>,
    line: &Line,
) -> Answer {
    let (time, started) = (Utc::now(), Instant::now());
    let (parts, body) = request.into_parts();
    let signature = Signature::of(&parts.headers);
    let (service, protocol) = match &search {
        Some(_) => (Service::OpenSearch, Protocol::OpenSearch),
        None => route(&parts, signature.as_ref()),
    };
    let caller = world.identities.resolve(signature.as_ref(), service, world.now());
    let mut call = Call {
        service,
        protocol,
        operation: operation_in_head(&parts, service, protocol, signature.as_ref()),
        region: signature
            .as_ref()
            .map_or_else(|| "us-east-1".to_owned(), |signature| signature.region.to_owned()),
        caller: caller.as_ref().map_or_else(|_| unknown_caller(signature.as_ref()), Clone::clone),
        resource: None,
        key: None,
        items: 0,
        message_ids: Vec::new(),
        visibility: None,
        search,
    };
    if service == Service::S3 {
        (call.resource, call.key) = s3::target(parts.uri.path());
    }
    // Who need not sign calls an OpenSearch unsigned.
    let refusal = caller.err().filter(|_| service != Service::OpenSearch || signature.is_some());
    // A long poll that its client abandons looks the same from here as a call that hangs.
    let mut record = Recorder { world, time, started, outcome: Cow::Borrowed("abandoned"), call: &mut call };
    let (answer, outcome) = carry_out(world, &parts, body, line, refusal, record.call).await;
    record.outcome = outcome;
    answer
}

/// Writes the call to the log when it is over, answered or given up by the client.
struct Recorder<'a> {
    world: &'a World,
    time: DateTime<Utc>,
    started: Instant,
    outcome: Cow<'static, str>,
    call: &'a mut Call,
}

impl Drop for Recorder<'_> {
    fn drop(&mut self) {
        self.world.calls.record(CallRecord {
            time: self.time,
            duration: self.started.elapsed(),
            service: self.call.service,
            operation: std::mem::take(&mut self.call.operation),
            account: std::mem::take(&mut self.call.caller.account),
            region: std::mem::take(&mut self.call.region),
            access_key: std::mem::take(&mut self.call.caller.access_key),
            outcome: self.outcome.to_string(),
            resource: self.call.resource.take(),
            key: self.call.key.take(),
            items: self.call.items,
            message_ids: std::mem::take(&mut self.call.message_ids),
            visibility: self.call.visibility,
        });
    }
}

type Outcome = (Answer, Cow<'static, str>);

const RESET: Outcome = (Answer::Reset, Cow::Borrowed("reset"));

async fn carry_out(
    world: &Arc<World>,
    parts: &Parts,
    body: Incoming,
    line: &Line,
    refusal: Option<ServiceError>,
    call: &mut Call,
) -> Outcome {
    if !body.is_end_stream()
        && let Some(fault) = world.faults.strike(Stage::Upload, &call.target())
    {
        return break_upload(fault, body, line).await;
    }
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return (Answer::Reset, Cow::Borrowed("incomplete"));
    };
    let body = body.to_bytes();
    match call.service {
        Service::Sts => call.operation = sts::operation(&body),
        Service::Sqs => call.resource = sqs::target(&body),
        Service::SecretsManager => call.resource = secrets::target(world, call, &body),
        Service::Ecs => call.resource = ecs::target(call, &body),
        Service::S3
        | Service::CloudWatch
        | Service::Account
        | Service::Tagging
        | Service::Lambda
        | Service::OpenSearch => {}
    }
    let latency = world.latency();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    if let Some(fault) = world.faults.strike(Stage::Service, &call.target())
        && let Some(outcome) = instead(fault, world, call).await
    {
        return outcome;
    }
    let clock = clock_fault(world, call, parts);
    let result = match (clock.error, refusal) {
        (Some(error), _) | (None, Some(error)) => Err(error),
        (None, None) => serve(world, parts, body, call).await,
    };
    let (mut answer, outcome) = finish(world, call, result);
    if let (Answer::Reply(reply, _), Some(date)) = (&mut answer, clock.date) {
        reply.headers_mut().insert(DATE, date);
    }
    (answer, outcome)
}

/// The response of a fault in place of the service; `None` if the call continues.
async fn instead(fault: Struck, world: &World, call: &Call) -> Option<Outcome> {
    match fault.effect() {
        Effect::Reset => Some(RESET),
        Effect::Hang => {
            fault.stopped().await;
            Some(RESET)
        }
        Effect::Hold => {
            fault.released().await;
            None
        }
        Effect::Slow(delay) => {
            tokio::time::sleep(*delay).await;
            None
        }
        Effect::Foreign { status, content_type, body } => {
            let reply = faults::foreign(*status, content_type, body);
            Some((Answer::Reply(reply, Delivery::Whole), Cow::Borrowed("foreign")))
        }
        effect => {
            let action = permissions::action(call.service, &call.operation);
            let error = effect.error(call.service, &call.arn(), &action)?;
            Some(finish(world, call, Err(error)))
        }
    }
}

/// Reads a part of the body, so that the client is in mid-upload, and then ends the connection or falls silent.
async fn break_upload(fault: Struck, mut body: Incoming, line: &Line) -> Outcome {
    if *fault.effect() == Effect::ResetUpload {
        let _ = body.frame().await;
        return RESET;
    }
    let half = body.size_hint().lower() / 2;
    let silence = async {
        let mut read = 0;
        while read <= half {
            let Some(Ok(frame)) = body.frame().await else { return };
            read += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        line.stall(&mut body).await;
    };
    tokio::select! {
        () = fault.stopped() => RESET,
        () = silence => (Answer::Reset, Cow::Borrowed("abandoned")),
    }
}

fn finish(world: &World, call: &Call, result: Result<Reply, ServiceError>) -> Outcome {
    let (mut reply, outcome) = match result {
        Ok(reply) => {
            let outcome = s3::outcome(call.service, &reply);
            (reply, outcome)
        }
        Err(error) => {
            let code = error.code.clone();
            (error.render(call.protocol, call.service.namespace()), code)
        }
    };
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::now_v7().to_string()) {
        let name = if call.service == Service::S3 { "x-amz-request-id" } else { "x-amzn-requestid" };
        reply.headers_mut().entry(name).or_insert(id);
    }
    if let Some(date) = http_date(world.now()) {
        reply.headers_mut().insert(DATE, date);
    }
    let struck = |stage| world.faults.strike(stage, &call.target());
    if outcome == "ok"
        && let Some(fault) = struck(Stage::Loss)
    {
        if let Some(error) = fault.effect().error(call.service, &call.arn(), &call.operation) {
            return finish(world, call, Err(error));
        }
        let lost = *fault.effect() == Effect::LostAnswer;
        return (if lost { Answer::Lost(fault) } else { Answer::Reset }, Cow::Borrowed("lost"));
    }
    let delivery = match struck(Stage::Answer).as_ref().map(Struck::effect) {
        Some(Effect::Trickle(rate)) => Delivery::Trickle(*rate),
        Some(Effect::Truncate) => {
            let outcome = if outcome == "ok" { Cow::Borrowed("lost") } else { outcome };
            return (Answer::Reply(reply, Delivery::Truncated), outcome);
        }
        _ => Delivery::Whole,
    };
    (Answer::Reply(reply, delivery), outcome)
}

async fn serve(
    world: &Arc<World>,
    parts: &Parts,
    body: Bytes,
    call: &mut Call,
) -> Result<Reply, ServiceError> {
    if call.service != Service::S3 && world.permissions.is_region_disabled(call.account(), &call.region) {
        return Err(identity::unknown_key(call.service));
    }
    let action = permissions::action(call.service, &call.operation);
    if world.permissions.is_denied(call.account(), &action, &call.region, call.resource.as_deref()) {
        let error = permissions::access_denied(call.service, &call.arn(), &action);
        return Err(s3::with_bucket_region(world, call, error));
    }
    if let Some(meter) = Meter::calls(&call.operation) {
        world.quotas.take(meter, call.account(), &call.region, 1)?;
        // Calls that are released together all take theirs before the first of them computes its answer, during which
        // the quota would fill up again.
        tokio::task::yield_now().await;
    }
    match call.service {
        Service::Sqs => sqs::serve(world, call, &body).await,
        Service::CloudWatch => cloudwatch::serve(world, call, &parts.headers, &body),
        Service::Sts => sts::serve(world, call, &body),
        Service::SecretsManager => secrets::serve(world, call, &body),
        Service::Ecs => ecs::serve(world, call, &body),
        Service::Account => regions::serve(world, call, &body),
        Service::Tagging => tagging::serve(world, call, &body),
        Service::Lambda => lambda::serve(world, call, &parts.uri),
        Service::S3 => s3::serve(world, call, parts, body).await,
        Service::OpenSearch => match call.search.clone() {
            Some(search) => opensearch::serve(world, &search, call, parts, &body),
            None => Err(unknown_operation(&call.operation)),
        },
    }
}

/// The service and the protocol, from the head of a request.
fn route(parts: &Parts, signature: Option<&Signature<'_>>) -> (Service, Protocol) {
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    match target.and_then(|target| target.split_once('.')) {
        Some(("AmazonSQS", _)) => return (Service::Sqs, Protocol::AwsJson),
        Some(("secretsmanager", _)) => return (Service::SecretsManager, Protocol::AwsJson11),
        Some(("AmazonEC2ContainerServiceV20141113", _)) => return (Service::Ecs, Protocol::AwsJson11),
        Some(("ResourceGroupsTaggingAPI_20170126", _)) => return (Service::Tagging, Protocol::AwsJson11),
        Some(("GraniteServiceVersion20100801", _)) => return (Service::CloudWatch, Protocol::AwsJson),
        _ => {}
    }
    if parts.uri.path().starts_with("/service/GraniteServiceVersion20100801/") {
        return (Service::CloudWatch, Protocol::Cbor);
    }
    if signature.is_some_and(|signature| signature.service == "account") {
        return (Service::Account, Protocol::AwsJson11);
    }
    if signature.is_some_and(|signature| signature.service == "lambda") {
        return (Service::Lambda, Protocol::AwsJson11);
    }
    let form = parts.headers.get("content-type").is_some_and(|value| {
        value.as_bytes().starts_with(b"application/x-www-form-urlencoded") && parts.uri.path() == "/"
    });
    if form || signature.is_some_and(|signature| signature.service == "sts") {
        return (Service::Sts, Protocol::Query);
    }
    (Service::S3, Protocol::Rest)
}

/// The operation, if it is in the headers; STS has it in the body.
fn operation_in_head(
    parts: &Parts,
    service: Service,
    protocol: Protocol,
    signature: Option<&Signature<'_>>,
) -> String {
    let name = match (service, protocol) {
        (Service::S3, _) => {
            s3::operation(&parts.method, &parts.uri, signature.map_or("s3", |signature| signature.service))
        }
        (Service::Sts, _) => "",
        (Service::OpenSearch, _) => opensearch::operation(parts),
        (Service::Account, _) if parts.uri.path() == "/listRegions" => "ListRegions",
        (Service::Lambda, _) => lambda::operation(&parts.uri),
        (_, Protocol::Cbor) => parts.uri.path().rsplit('/').next().unwrap_or(""),
        _ => parts
            .headers
            .get("x-amz-target")
            .and_then(|target| target.to_str().ok()?.split_once('.'))
            .map_or("", |(_, operation)| operation),
    };
    name.to_owned()
}

/// The caller for the log if the access key is unknown.
fn unknown_caller(signature: Option<&Signature<'_>>) -> Caller {
    Caller {
        account: String::new(),
        access_key: signature.map_or_else(String::new, |signature| signature.access_key.to_owned()),
        principal: identity::Principal::Root,
    }
}

#[derive(Default)]
struct ClockFault {
    error: Option<ServiceError>,
    date: Option<HeaderValue>,
}

/// What a wrong clock does to the call: a date of its own in the answer, and a refusal where the request's is off.
fn clock_fault(world: &World, call: &Call, parts: &Parts) -> ClockFault {
    let Some(fault) = world.faults.matching(Stage::Clock, &call.target(), true).into_iter().next() else {
        return ClockFault::default();
    };
    let Effect::Clock(ahead) = *fault.effect() else {
        return ClockFault::default();
    };
    let now = Utc::now() + ahead;
    let date = http_date(world.now() + ahead);
    let signed = parts
        .headers
        .get("x-amz-date")
        .and_then(|date| NaiveDateTime::parse_from_str(date.to_str().ok()?, "%Y%m%dT%H%M%SZ").ok())
        .map(|date| date.and_utc());
    let off = signed.is_some_and(|signed| (signed - now).abs() > MAX_SKEW);
    let error = (off && fault.strikes()).then(|| skewed(call.service));
    ClockFault { error, date }
}

/// <https://www.rfc-editor.org/rfc/rfc9110#name-date-time-formats>
fn http_date(time: DateTime<Utc>) -> Option<HeaderValue> {
    HeaderValue::from_str(&time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()).ok()
}

fn skewed(service: Service) -> ServiceError {
    let message = "The difference between the request time and the current time is too large.";
    let error = match service {
        Service::S3 => ServiceError::new("RequestTimeTooSkewed", message),
        _ => ServiceError::new("SignatureDoesNotMatch", message).shape("InvalidSignatureException"),
    };
    error.status(StatusCode::FORBIDDEN)
}
