// SPDX-License-Identifier: Apache-2.0
//! The identity of a session in an account, as reported by STS.

use crate::AccountId;

/// The identity that STS reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account of the session.
    pub account_id: AccountId,
    /// The user or role of the session.
    pub arn: String,
}
