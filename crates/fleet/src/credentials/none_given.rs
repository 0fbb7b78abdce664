//! Why a provider of credentials has none to give: the provider says it, and the classifier of AWS errors reads it.

use aws_credential_types::provider::error::CredentialsError;

use crate::ErrorKind;

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct NoneGiven {
    pub(super) message: String,
    /// What it means, if the message says all: what the SDK says of each part of the provider adds nothing then.
    pub(crate) known: Option<ErrorKind>,
    pub(super) source: CredentialsError,
}
