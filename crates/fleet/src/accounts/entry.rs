// SPDX-License-Identifier: Apache-2.0
//! One account, as the accounts file has it.

use std::{fmt, ops::RangeInclusive, path::PathBuf, str::FromStr};

use serde::Deserialize;

use crate::{AccountId, AccountName};

/// The default share of an account's CloudWatch quota that the fleet uses. The rest is left to the
/// owners' dashboards.
pub const DEFAULT_QUOTA_SHARE: f64 = 0.5;

/// The default lifetime of a role's credentials: an hour is the maximum for a chained role. Source:
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
pub(super) const DEFAULT_DURATION_SECONDS: u32 = 3600;

/// What is known of one account.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    pub name: AccountName,
    /// Its AWS ID, if known: STS must confirm it.
    pub id: Option<AccountId>,
    /// Whether a request that names no account includes this one.
    pub default: bool,
    /// The home region: where STS and `ListBuckets` are called, if not in the process's own region.
    pub region: Option<String>,
    /// Regions to query even if they have no bucket any more.
    pub regions: Vec<String>,
    /// The share of AWS's default CloudWatch quota to use; more than 1 if the account's quota was
    /// raised.
    pub quota_share: f64,
    /// The kind of credentials to use, if more than one could be meant.
    pub credentials: Option<CredentialKind>,
    /// The ARN of the role to assume.
    pub role_arn: Option<String>,
    /// The name of the role to assume in the account `id`.
    pub role_name: Option<String>,
    /// The external ID that the role's trust policy requires.
    pub external_id: Option<ExternalId>,
    /// The lifetime of the role's credentials, in seconds.
    pub duration_seconds: u32,
    /// A profile of the shared configuration.
    pub profile: Option<String>,
    /// The file with the profile's credentials, if not AWS's default one.
    pub shared_credentials_file: Option<PathBuf>,
    /// The secret with its access keys, if they are not in variables.
    pub secret_arn: Option<String>,
    /// An AWS endpoint for this account.
    pub endpoint: Option<String>,
}

/// A kind of credentials, as named in the accounts file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CredentialKind {
    /// A role in the account.
    Role,
    /// Access keys in environment variables.
    Keys,
    /// A profile of the shared configuration.
    Profile,
    /// The process's default credential chain.
    Default,
}

/// The external ID that a role's trust policy requires. Its `Debug` output is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct ExternalId(String);

/// The error for a text that is not an external ID.
///
/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("external_id is not well-formed; it takes 2 to 1224 letters, digits and any of _+=,.@:/-")]
pub struct InvalidExternalId;

impl ExternalId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ExternalId {
    type Err = InvalidExternalId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = consists_of(text, b"_+=,.@:/-", 2..=1224);
        if well_formed { Ok(Self(text.to_owned())) } else { Err(InvalidExternalId) }
    }
}

impl fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExternalId(…)")
    }
}

impl Account {
    /// An account of which only the name is known.
    #[must_use]
    pub fn named(name: AccountName) -> Self {
        Self {
            name,
            id: None,
            default: true,
            region: None,
            regions: Vec::new(),
            quota_share: DEFAULT_QUOTA_SHARE,
            credentials: None,
            role_arn: None,
            role_name: None,
            external_id: None,
            duration_seconds: DEFAULT_DURATION_SECONDS,
            profile: None,
            shared_credentials_file: None,
            secret_arn: None,
            endpoint: None,
        }
    }
}

/// Whether a text consists of letters, digits and the characters in `others`, and has a length in
/// `lengths`.
pub(super) fn consists_of(text: &str, others: &[u8], lengths: RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}
