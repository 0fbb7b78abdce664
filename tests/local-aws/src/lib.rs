// SPDX-License-Identifier: Apache-2.0
//! An AWS on loopback: the part of SQS, S3, CloudWatch, STS, Secrets Manager and ECS that the fleet uses, in memory, on
//! one port of 127.0.0.1.
//!
//! It is what the end-to-end tests and the demo run on. A test builds a world by plain method calls,
//! points real AWS clients at [`LocalAws::endpoint`], breaks things with [`Fault`]s and reads back what was called
//! ([`LocalAws::calls`]) and what was written ([`Account::object`], [`Account::messages`]):
//!
//! ```
//! # async fn example() -> anyhow::Result<()> {
//! use local_aws::{Fault, LocalAws, Options};
//!
//! let aws = LocalAws::start(Options::default()).await?;
//! let account = aws.account("111111111111");
//! let day = "2026-11-01".parse()?;
//! account.bucket("logs", "eu-west-1").size("StandardStorage", day, 4096.0).objects(day, 3.0);
//! let throttle = aws.fault(Fault::throttle().on("GetMetricData").account("111111111111").times(3));
//! // … run something against aws.endpoint() with the access key 111111111111 …
//! assert_eq!(aws.calls().operation("GetMetricData").outcome("Throttling").count(), throttle.fired());
//! # Ok(())
//! # }
//! ```
//!
//! What a [`Fault`] leaves behind depends on when it strikes:
//!
//! | when | faults | the call |
//! | --- | --- | --- |
//! | while the request comes in | [`Fault::reset_upload`], [`Fault::hang_upload`] | is not carried out |
//! | in place of the service | [`Fault::throttle`] and every other error, [`Fault::foreign`], [`Fault::reset`], [`Fault::hang`] | is not carried out |
//! | before the service | [`Fault::hold`] until it is released, [`Fault::slow`] | is carried out later |
//! | after the service | [`Fault::lost_answer`], [`Fault::reset_answer`] | **is** carried out, unanswered |
//! | after the service | [`Fault::late_error`] | **is** carried out, answered with 500 |
//! | while the answer goes out | [`Fault::truncated`], [`Fault::trickle`] | **is** carried out |
//! | inside an answer | [`Fault::result`], [`Fault::off_by_one`], [`Fault::dropped_page`], [`Fault::failed_entries`], [`Fault::failed_items`] | is carried out, but for what it says |
//!
//! Each is narrowed to a service, operation, account, region, bucket and so on, fires for some calls
//! ([`Fault::after`], [`Fault::times`]) or until [`FaultHandle::stop`], and counts how often it did. A region that is
//! down for a while: `Fault::unavailable().service(Service::CloudWatch).region("me-central-1").times(5)`. One series that
//! fails inside an answer: `Fault::result(ResultStatus::InternalError).bucket("b").storage_type("GlacierStorage").times(8)`.
//!
//! Time: [`LocalAws::set_clock`] sets AWS's own clock, which `Date` headers and all that ages go by: the machine that runs
//! the program under test is wrong by the difference, and days go by in no time. Datapoints may be published by
//! [`Account::datapoint`], [`Bucket::size`] and [`Bucket::objects`] at any moment and in any order, those of one bucket
//! apart in time and those of a deleted one late (`tests/world/publishing.rs`).
//!
//! Of an answer that is lost or reset [`FaultHandle::fired`] counts once the effect stands: a test that has seen it may
//! kill the client. A queue's hours go by in no time with [`Account::pass_time`].
//!
//! Besides queues and buckets an account has directory buckets ([`Account::directory_bucket`]), secrets
//! ([`Account::secret`]) and ECS services ([`Account::ecs_service`], [`Account::desired_count`]). A region may be one that
//! an account has not enabled ([`Account::disable_region`]), for its roles too, or one without directory buckets
//! ([`LocalAws::without_directory_buckets`]). [`LocalAws::opensearch`] starts an OpenSearch on a port of its own
//! ([`OpenSearch`]).
//!
//! What it does is what AWS documents; `tests/contract` holds it to that, and runs against ministack too. What it does
//! **not** do:
//! - signatures are not verified, but by an [`OpenSearch`]: the access key id alone says who calls. A 12-digit access key is
//!   the account of that id; any other must be registered ([`Account::add_access_key`]) or come from `AssumeRole`;
//! - there is no policy language: everything in an account is allowed but for [`Account::deny`];
//! - FIFO queues, message moves, multipart uploads, objects in directory buckets, metric math and virtual-hosted buckets
//!   are left out.
//!
//! A request's life: `server` (connection) → `gateway` (who calls what; faults, denials, quotas; the log) → `sqs`,
//! `s3`, `cloudwatch`, `sts`, `secrets`, `ecs`, `lambda` or `opensearch` → `reply` (the protocol's answer or error shape).

#![allow(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "tests call it, and no one else"
)]

mod account;
mod aws;
mod calls;
mod cloudwatch;
mod ecs;
mod faults;
mod gateway;
mod identity;
mod lambda;
mod opensearch;
mod permissions;
mod quotas;
mod regions;
mod reply;
mod s3;
mod secrets;
mod server;
mod sqs;
mod sts;
mod synthetic;
mod synthetic_series;
mod tagging;
mod world;

pub use account::{Account, Bucket, QueueOptions};
pub use aws::{LocalAws, Options};
pub use calls::{CallQuery, CallRecord, Service};
pub use cloudwatch::{Ask, AskedSeries};
pub use faults::{Fault, FaultHandle, ResultStatus};
pub use lambda::{FUNCTION_SECRET, Function};
pub use opensearch::{Authentication, Collection, Document, OpenSearch};
pub use s3::Object;
pub use sqs::{Message, Place, QueueCounts};
pub use sts::Trust;
pub use synthetic::{STORAGE_TYPES, Synthetic, SyntheticAccount};
pub use synthetic_series::{SyntheticMetric, SyntheticSeries};
