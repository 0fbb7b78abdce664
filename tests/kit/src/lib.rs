// SPDX-License-Identifier: Apache-2.0
//! A fleet on the AWS on loopback: a queue, a dead-letter queue and a report bucket, and the real `producer` and `worker`
//! on them. The end-to-end tests, chaos, bench and demo share it.

#![allow(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "tests call it, and no one else"
)]

pub mod expected;
mod fleet;
pub mod http;
mod process;
pub mod search_node;
pub mod series_zoo;
pub mod zoo;

use std::sync::LazyLock;

use chrono::{Days, NaiveDate, Utc};

pub use fleet::{DEAD, Fleet, HOME, HOME_REGION, JOBS, REPORTS, Setup, keys, report_key};
pub use process::{
    Ended, PART, Variables, end, finish, play_part, program, says, terminate, until, variable,
};

/// The UTC day on which the process began: "today" stays the same if midnight passes during a test.
static TODAY: LazyLock<NaiveDate> = LazyLock::new(|| Utc::now().date_naive());

/// The UTC day so many days ago.
pub fn days_ago(days: u64) -> NaiveDate {
    *TODAY - Days::new(days)
}
