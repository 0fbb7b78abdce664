// SPDX-License-Identifier: Apache-2.0
//! How both binaries reach AWS: timeouts, retries, endpoints and regions.
//!
//! Exactly two layers retry: the SDK retries requests, the queue retries jobs.

mod base;
pub(crate) mod between;
pub(crate) mod config;
pub(crate) mod connection;
mod http;
pub mod regions;
pub(crate) mod s3;
mod sqs;
mod timeouts;
mod trust;

pub use self::{
    base::{at_start, base},
    config::{for_account, has_endpoint, region, with_endpoint, with_region},
    regions::{dns_suffix, is_region, partition},
    s3::{HeadBucketAnswer, read_object, region_of_bucket, s3, s3_of_bucket},
    sqs::queue,
    timeouts::{LONGEST_CALL, upload_timeouts},
};
