// SPDX-License-Identifier: Apache-2.0
//! What the `producer` and the `worker` of cloudwatch-fleet share: the terms of their contract (account,
//! date, dataset, job, run, report) as types, and access to AWS.
//!
//! A value of these types is valid: [`AccountName`], [`AccountId`], [`RunId`] and [`ReportDate`] are
//! checked once, when they are parsed.

// No input may cause a panic.
#![warn(clippy::indexing_slicing, clippy::string_slice)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice, reason = "a test may fail"))]

pub mod account;
pub mod accounts;
pub mod aws;
pub mod aws_error;
pub mod bucket_terms;
pub mod clock;
pub mod configuration;
pub mod credentials;
pub mod datasets;
pub mod date;
pub mod dead_letter;
pub mod descriptors;
pub mod duration;
pub mod environment;
pub mod existing;
pub mod http_service;
pub mod identity;
pub mod job;
pub mod json;
pub mod json_service;
pub mod kept_credentials;
pub mod labels;
pub mod manifest;
pub mod place;
mod profiles;
pub mod reason;
pub mod report;
pub mod report_bucket;
pub mod report_key;
pub mod reserved;
pub mod run_id;
pub mod settings;
pub mod window;

pub use account::{AccountId, AccountName};
pub use accounts::{Account, Accounts};
pub use aws_error::{from_sdk, is_unsent};
pub use datasets::Dataset;
pub use date::ReportDate;
pub use engine::{AwsError, ErrorKind, VERSION, redact};
pub use job::Job;
pub use labels::Labels;
pub use reason::Reason;
pub use report_key::KeyTemplate;
pub use run_id::{RunId, RunQuery};
pub use window::{Window, WindowLength, Windows};
