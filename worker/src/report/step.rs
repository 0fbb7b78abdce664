// SPDX-License-Identifier: Apache-2.0
//! The steps of a job of the kind `collect`, in their order. A dead letter names the one at which the job failed.

/// Looking at what exists under the report's key.
pub const CHECK_EXISTING: &str = "check_existing";
/// Assuming the account's role, or using its keys.
pub const AUTHENTICATE: &str = "authenticate";
pub const DISCOVER: &str = "discover";
/// Asking CloudWatch.
pub const COLLECT: &str = "collect";
/// Making the table.
pub const RENDER: &str = "render";
pub const UPLOAD: &str = "upload";
/// Giving the stored report to the sinks.
pub const DELIVER: &str = "deliver";
