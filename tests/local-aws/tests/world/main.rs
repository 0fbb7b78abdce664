// SPDX-License-Identifier: Apache-2.0
//! What `local-aws` has besides AWS's own behaviour: worlds built by calls, faults, denials, quotas and the log, each
//! seen through the AWS SDK for Rust.

mod build;
mod clock;
mod content_faults;
mod denials;
mod directory_buckets;
mod faults;
mod followed;
mod json_services;
mod publishing;
mod queues;
mod series;
mod silence;
mod support;
