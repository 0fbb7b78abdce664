// SPDX-License-Identifier: Apache-2.0
//! The steps of a job of the kind `collect`, in order. A dead letter names the step at which the job failed.

/// Checking for an object under the report's key.
pub const CHECK_EXISTING: &str = "check_existing";
/// Assuming the account's role, or using its keys.
pub const AUTHENTICATE: &str = "authenticate";
pub const DISCOVER: &str = "discover";
/// Querying CloudWatch.
pub const COLLECT: &str = "collect";
/// Encoding the table.
pub const RENDER: &str = "render";
pub const UPLOAD: &str = "upload";
/// Giving the stored report to the sinks.
pub const DELIVER: &str = "deliver";
