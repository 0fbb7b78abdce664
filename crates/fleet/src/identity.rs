//! Who AWS says that we are, once a session is in an account.

use crate::AccountId;

/// Who AWS says we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account that we act in.
    pub account_id: AccountId,
    /// The user or role that we act as.
    pub arn: String,
}
