// SPDX-License-Identifier: Apache-2.0
//! Faults on demand: what goes wrong, for which calls, and how often. Each counts how often it fired, since a fault
//! test that passes without its fault proves nothing.
//!
//! `effect` is what can go wrong, `armed` decides which calls it strikes.

mod armed;
mod effect;

use std::time::Duration;

use chrono::TimeDelta;

use crate::calls::Service;

pub use armed::FaultHandle;
pub(crate) use armed::{Armed, Faults, Struck, Target};
pub use effect::ResultStatus;
pub(crate) use effect::{Effect, Stage, foreign};

/// A fault to be given to [`LocalAws::fault`](crate::LocalAws::fault): what goes wrong, narrowed to the calls it is for.
///
/// Without narrowing it strikes every call. Where several faults match a call, the one set first that still fires wins.
#[derive(Debug, Clone)]
pub struct Fault {
    pub(crate) effect: Effect,
    operation: Option<String>,
    service: Option<Service>,
    account: Option<String>,
    region: Option<String>,
    resource: Option<String>,
    storage_type: Option<String>,
    key_prefixes: Vec<String>,
    access_key: Option<String>,
    after: u64,
    times: Option<u64>,
    probability: Option<(f64, u64)>,
}

impl Fault {
    fn new(effect: Effect) -> Self {
        Self {
            effect,
            operation: None,
            service: None,
            account: None,
            region: None,
            resource: None,
            storage_type: None,
            key_prefixes: Vec::new(),
            access_key: None,
            after: 0,
            times: None,
            probability: None,
        }
    }

    /// The call is throttled in the words of its service.
    pub fn throttle() -> Self {
        Self::new(Effect::Throttle)
    }

    /// The call is denied: `AccessDenied` with status 403.
    pub fn deny() -> Self {
        Self::new(Effect::Deny)
    }

    /// The call fails with status 500.
    pub fn server_error() -> Self {
        Self::new(Effect::ServerError)
    }

    /// The call fails with `ServiceUnavailable`, status 503.
    pub fn unavailable() -> Self {
        Self::new(Effect::Unavailable)
    }

    /// The call fails with any code and status.
    pub fn error(code: &str, status: u16) -> Self {
        Self::new(Effect::Error { code: code.to_owned(), status })
    }

    pub fn expired_token() -> Self {
        Self::new(Effect::ExpiredToken)
    }

    /// The answer is not AWS's but that of something in between, such as a proxy's login page: this status, content type
    /// and body, and nothing else. The log calls it `foreign`.
    pub fn foreign(status: u16, content_type: &str, body: &str) -> Self {
        let (content_type, body) = (content_type.to_owned(), body.to_owned());
        Self::new(Effect::Foreign { status, content_type, body })
    }

    /// The connection is reset after the request was read, which has no effect.
    pub fn reset() -> Self {
        Self::new(Effect::Reset)
    }

    /// The connection is reset while the request's body is still on its way, which has no effect. Requests without a
    /// body are let be. STS's operation and SQS's queue are in the body: this cannot be narrowed to them.
    pub fn reset_upload() -> Self {
        Self::new(Effect::ResetUpload)
    }

    /// The call is carried out, and then the connection is reset in place of an answer. Calls that end in an error are
    /// let be: where it fired, the effect stands.
    pub fn reset_answer() -> Self {
        Self::new(Effect::ResetAnswer)
    }

    /// The call is carried out, and then answered with status 500. Calls that end in an error are let be.
    pub fn late_error() -> Self {
        Self::new(Effect::LateError)
    }

    /// The request is read and never answered, and has no effect.
    ///
    /// The connection stays open and silent until the client gives up, or is reset when the fault is stopped.
    pub fn hang() -> Self {
        Self::new(Effect::Hang)
    }

    /// About half of the request's body is read, then nothing more happens, and nothing was done.
    ///
    /// The connection ends as that of [`Fault::hang`] does, and the fault is narrowed as [`Fault::reset_upload`] is. A
    /// body of some kilobytes comes in one piece: it is all read, and still not acted on. Of a client that dies with
    /// more on its way than its socket can get rid of, the end is not seen: such a connection lasts until the fault is
    /// stopped.
    pub fn hang_upload() -> Self {
        Self::new(Effect::HangUpload)
    }

    /// The call is carried out, and its answer never comes.
    ///
    /// The connection ends as that of [`Fault::hang`] does. Calls that end in an error are let be: where it fired, the
    /// effect stands, whatever becomes of the client.
    pub fn lost_answer() -> Self {
        Self::new(Effect::LostAnswer)
    }

    /// The call waits, before it is carried out, for [`FaultHandle::release`] or [`FaultHandle::stop`].
    ///
    /// It counts when it begins to wait. It is never carried out where the client gives up meanwhile.
    pub fn hold() -> Self {
        Self::new(Effect::Hold)
    }

    /// The call is carried out, this much later.
    pub fn slow(delay: Duration) -> Self {
        Self::new(Effect::Slow(delay))
    }

    /// The call is carried out, and its answer's body comes at this rate.
    pub fn trickle(bytes_per_second: usize) -> Self {
        Self::new(Effect::Trickle(bytes_per_second))
    }

    /// The call is carried out, and the connection ends half-way through its answer's body.
    pub fn truncated() -> Self {
        Self::new(Effect::Truncate)
    }

    /// AWS's clock is ahead of ours by this (behind, where negative): requests signed more than five minutes off are
    /// refused, and answers carry that clock's `Date`.
    pub fn wrong_clock(ahead: TimeDelta) -> Self {
        Self::new(Effect::Clock(ahead))
    }

    /// `GetMetricData` results have this status and no datapoints; narrow it with [`Fault::bucket`] and
    /// [`Fault::storage_type`]. Each result counts for [`Fault::times`], not each call.
    pub fn result(status: ResultStatus) -> Self {
        Self::new(Effect::Result(status)).on("GetMetricData")
    }

    /// `GetMetricData` values are one too high; narrow it with [`Fault::bucket`].
    pub fn off_by_one() -> Self {
        Self::new(Effect::OffByOne).on("GetMetricData")
    }

    /// A page's `NextToken` is withheld, so that what follows is silently lost.
    pub fn dropped_page() -> Self {
        Self::new(Effect::DropNextToken)
    }

    /// The entries at these places of a batch fail, and the rest of the batch is carried out.
    pub fn failed_entries(entries: impl IntoIterator<Item = usize>) -> Self {
        Self::new(Effect::FailEntries(entries.into_iter().collect()))
    }

    /// The items at these places of an OpenSearch `_bulk` fail with this status, type and reason, and the rest is carried
    /// out: `failed_items(429, "rejected_execution_exception", "queue is full", [0, 2])`. Each item counts for
    /// [`Fault::times`], not each call.
    pub fn failed_items(
        status: u16,
        kind: &str,
        reason: &str,
        places: impl IntoIterator<Item = usize>,
    ) -> Self {
        let (kind, reason) = (kind.to_owned(), reason.to_owned());
        let places = places.into_iter().collect();
        Self::new(Effect::FailItems { status, kind, reason, places }).on("Bulk")
    }

    /// Only calls of this operation, as AWS names it.
    pub fn on(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    pub fn service(mut self, service: Service) -> Self {
        self.service = Some(service);
        self
    }

    pub fn account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// Only calls signed for this region.
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Only calls for this bucket or, in `CloudWatch`, only the series with this `BucketName`.
    pub fn bucket(mut self, bucket: &str) -> Self {
        self.resource = Some(bucket.to_owned());
        self
    }

    /// Only the series with this `StorageType`, of faults inside `GetMetricData`'s answer.
    pub fn storage_type(mut self, storage_type: &str) -> Self {
        self.storage_type = Some(storage_type.to_owned());
        self
    }

    pub fn queue(self, queue: &str) -> Self {
        self.bucket(queue)
    }

    /// Only calls for objects whose key begins so, or as another prefix that was given says.
    pub fn key_prefix(mut self, prefix: &str) -> Self {
        self.key_prefixes.push(prefix.to_owned());
        self
    }

    /// Only calls signed with this access key.
    pub fn access_key(mut self, key: &str) -> Self {
        self.access_key = Some(key.to_owned());
        self
    }

    /// Lets this many matching calls (or series) pass first.
    pub fn after(mut self, calls: u64) -> Self {
        self.after = calls;
        self
    }

    /// Fires this many times and no more.
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Fires for this share of the matching calls, chosen by the seed and the call's number.
    pub fn probability(mut self, share: f64, seed: u64) -> Self {
        self.probability = Some((share, seed));
        self
    }
}
