//! Why a job is not done. Each reason has a stable code, for logs and for whoever counts them.

use fleet::{
    AccountId, AccountName, AwsError, ErrorKind, credentials::NoCredentials, job::JobError,
    report_key::KeyError,
};

use crate::session::Identity;

/// Why a job is not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The message is no job.
    #[error(transparent)]
    BadMessage(#[from] JobError),
    /// The accounts file does not have the account.
    #[error("account {0} is not in the accounts file; add it there, or ask for another")]
    UnknownAccount(AccountName),
    /// Nothing says how to become the account.
    #[error(transparent)]
    NoCredentials(#[from] NoCredentials),
    /// We became another account than the one meant.
    #[error(
        "the credentials are of account {}, and account {expected} is meant; correct its credentials or its id in the accounts file",
        identity.account_id
    )]
    WrongAccount {
        /// The account that is meant.
        expected: AccountId,
        /// Who AWS says we are.
        identity: Identity,
    },
    /// A call of the account's AWS failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The report has no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The report is partial, and a complete one of its day stands under its key.
    #[error("the report is partial and a complete one stands at {key}, which is kept; missing: {missing}")]
    Partial {
        /// Where the complete one stands.
        key: String,
        /// What went wrong first.
        missing: String,
    },
    /// A later run's report of another day, or of what this run could get only in part, stands
    /// under the report's key.
    #[error("a later run's report stands at {0} and is kept")]
    Superseded(String),
    /// Others wrote under the report's key, again and again.
    #[error("the report could not be stored at {0}: others kept writing there")]
    Contended(String),
    /// The worker's own part failed: the report bucket.
    #[error("the report could not be stored")]
    ReportBucket(#[source] AwsError),
    /// The message may be somebody else's by now.
    #[error("the message's visibility could not be renewed in time; another worker may have it")]
    LeaseLost,
}

impl Failure {
    /// The stable code of the reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadMessage(_) => "bad_message",
            Self::UnknownAccount(_) => "unknown_account",
            Self::NoCredentials(_) => "no_credentials",
            Self::WrongAccount { .. } => "wrong_account",
            Self::Aws(error) => match error.kind {
                ErrorKind::Denied => "access_denied",
                ErrorKind::Identity | ErrorKind::NoCredentials => "no_credentials",
                ErrorKind::Expired => "expired_credentials",
                ErrorKind::Transient => "unavailable",
                ErrorKind::NotFound | ErrorKind::PreconditionFailed | ErrorKind::Permanent => "aws_error",
            },
            Self::Key(_) => "bad_key_template",
            Self::Partial { .. } => "partial",
            Self::Superseded(_) => "superseded",
            Self::Contended(_) => "contended",
            Self::ReportBucket(_) => "report_bucket",
            Self::LeaseLost => "lease_lost",
        }
    }
}
