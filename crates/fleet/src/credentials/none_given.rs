// SPDX-License-Identifier: Apache-2.0
//! Why a credentials provider has no credentials: set by the provider, read by the classifier of AWS
//! errors.

use aws_credential_types::provider::error::CredentialsError;

use crate::ErrorKind;

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct NoneGiven {
    pub(super) message: String,
    /// The kind of error if the message is complete by itself: the SDK's account of each part of the
    /// provider then adds nothing.
    pub(crate) known: Option<ErrorKind>,
    pub(super) source: CredentialsError,
}
