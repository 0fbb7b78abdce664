// SPDX-License-Identifier: Apache-2.0
//! The result of checking one account, or one sink.

use fleet::{AccountName, AwsError, identity::Identity};

use crate::failure::Failure;

/// The result for one account.
#[expect(clippy::struct_excessive_bools, reason = "each is of a permission of its own")]
pub(super) struct Checked {
    pub(super) account_name: AccountName,
    pub(super) identity: Result<Identity, Failure>,
    /// Each permission, with the result of its call in the home region.
    pub(super) permissions: Vec<(&'static str, Answer)>,
    /// The failures in other regions.
    pub(super) elsewhere: Vec<(String, &'static str, AwsError)>,
    /// Whether directory buckets can't be listed in at least one region. That permission is optional.
    pub(super) lacks_directory_buckets: bool,
    /// Whether the account's regions can't be listed, for a dataset that asks for them. That permission is optional too.
    pub(super) lacks_regions: bool,
    /// Whether tags can't be read, for columns of them. That permission is optional as well.
    pub(super) lacks_tags: bool,
    /// Whether functions can't be listed, for what is known of them. That permission is optional too.
    pub(super) lacks_facts: bool,
}

/// The result for one sink.
pub(super) struct CheckedSink {
    pub(super) name: String,
    /// Why it can't take reports.
    pub(super) fault: Option<String>,
}

#[derive(Debug)]
pub(super) enum Answer {
    Allowed,
    /// The dataset has nothing to query with this call.
    NothingToAsk,
    Failed(AwsError),
}

impl From<Option<AwsError>> for Answer {
    fn from(error: Option<AwsError>) -> Self {
        error.map_or(Self::Allowed, Self::Failed)
    }
}

impl Checked {
    pub(super) fn unreached(account_name: AccountName, failure: Failure) -> Self {
        Self {
            account_name,
            identity: Err(failure),
            permissions: Vec::new(),
            elsewhere: Vec::new(),
            lacks_directory_buckets: false,
            lacks_regions: false,
            lacks_tags: false,
            lacks_facts: false,
        }
    }

    pub(super) fn is_failed(&self) -> bool {
        let is_denied = |(_, answer): &(_, Answer)| matches!(answer, Answer::Failed(_));
        self.identity.is_err() || self.permissions.iter().any(is_denied) || !self.elsewhere.is_empty()
    }
}
