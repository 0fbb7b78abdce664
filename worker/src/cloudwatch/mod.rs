// SPDX-License-Identifier: Apache-2.0
//! Querying CloudWatch: [`plan`] decides which series to query, [`calls`] makes the calls, [`limits`] and
//! [`rate_limiter`] limit their rate, and [`rows`] builds a row for each resource from the answers, for many days from
//! its [`history`]. `plan`, `rows` and `history` are pure.

pub mod calls;
pub mod dimensions;
pub mod history;
pub mod limits;
pub mod plan;
pub mod rate_limiter;
pub(crate) mod retry_counter;
pub mod rows;
pub mod series_query;
