// SPDX-License-Identifier: Apache-2.0
//! What AWS documents, asked of an endpoint with the AWS SDK for Rust and nothing else.
//!
//! It runs against `local-aws` or, with `LOCAL_AWS_CONTRACT_ENDPOINT=http://127.0.0.1:4566`, against another AWS on
//! loopback; `second-opinion.sh` does that with ministack. What ministack can't do is listed in [`support::GAPS`], and a
//! listed case must fail there: the list neither hides a case nor outlives its reason.

mod cloudwatch;
mod cloudwatch_limits;
mod s3;
mod sqs;
mod sqs_limits;
mod sts;
mod support;
