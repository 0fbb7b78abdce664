// SPDX-License-Identifier: Apache-2.0
//! Why a job failed.

use std::{io, time::Duration};

use engine::{Failed, Retry};
use fleet::{
    AccountId, AccountName, AwsError, ErrorKind, Reason, credentials::NoCredentials, identity::Identity,
    report_key::KeyError,
};

/// Why a job failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("account {0} is not in the accounts file")]
    UnknownAccount(AccountName),
    /// No setting says how to access the account.
    #[error(transparent)]
    NoCredentials(#[from] NoCredentials),
    /// The credentials belong to another account than the requested one.
    #[error(
        "the credentials belong to account {}, but account {expected} was requested; correct its credentials or its id in the accounts file",
        identity.account_id
    )]
    WrongAccount {
        expected: AccountId,
        /// The identity that STS reported.
        identity: Identity,
    },
    /// This worker can't assume the account's role.
    #[error(
        "the account's role could not be assumed; it must exist, and its trust policy must name this worker's role, and its external id and organization if required"
    )]
    RoleRefused(#[source] AwsError),
    /// The account has not enabled the region in which its role is assumed.
    #[error(
        "STS is not active in {region} for this account: set another `region` for it, or in [defaults], in the accounts file, or enable {region} in the account"
    )]
    RegionDisabled { region: String, source: AwsError },
    /// A call in the account failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The key template can't be filled in.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The report is partial, and a complete one of its day exists under its key.
    #[error("the report is partial, and the complete report at {key} is kept; missing: {missing}")]
    Partial {
        key: String,
        /// The first error of this report.
        missing: String,
    },
    /// Under the report's key exists a later run's report: of another day, or of data that this run got
    /// only in part.
    #[error("the later run's report at {0} is kept")]
    Superseded(String),
    /// An object of another program exists under the report's key.
    #[error(
        "the object at {0} is not a report of the fleet, and is kept; move it, or set FLEET_REPLACE_FOREIGN=true to replace it"
    )]
    ForeignObject(String),
    /// Other processes kept writing under the report's key.
    #[error("the report could not be stored at {0}: other processes kept writing there")]
    Contended(String),
    /// Another job collects the report under this key.
    #[error("another job is collecting the report at {0}")]
    Claimed(String),
    /// A call to the report bucket failed.
    #[error("the report could not be stored")]
    ReportBucket(#[source] AwsError),
    /// Rows are kept in a temporary file while there are many, and it can't be read or written.
    #[error("the temporary file for the report's rows failed; the worker needs room for them below TMPDIR")]
    TemporaryFile(#[source] io::Error),
    /// The job exceeded the time limit.
    #[error("the job was not done in {} minutes{}{missing}", longest.as_secs() / 60, if missing.is_empty() { "" } else { "; missing: " })]
    Deadline {
        longest: Duration,
        /// What its report lacks; empty if nothing.
        missing: String,
    },
    /// The report is stored, and a sink does not have it.
    #[error(transparent)]
    NotDelivered(#[from] sinks::NotDelivered),
    /// A panic outside of a job.
    #[error("the worker panicked: {0}")]
    Panic(String),
    /// The job is not at fault: this worker can't do any job.
    #[error(transparent)]
    WorkerMisconfigured(#[from] Misconfiguration),
}

/// Why this worker can't do any job.
#[derive(Debug, thiserror::Error)]
pub enum Misconfiguration {
    #[error("the worker's own credentials are missing or not valid; renew or correct them")]
    Credentials(#[source] AwsError),
    #[error(
        "the report bucket refuses this worker; its role needs s3:GetObject and s3:PutObject there and, if it is encrypted with a customer key, the use of that key"
    )]
    ReportBucket(#[source] AwsError),
    /// This worker's role can't assume the role of any account.
    #[error(
        "this worker's role could assume none of {accounts} accounts' roles; allow it sts:AssumeRole on them"
    )]
    EveryRole {
        accounts: usize,
        /// The error of the last one.
        source: AwsError,
    },
    /// Authentication to every account so far has failed, for any reason.
    #[error(
        "could not authenticate to the first {accounts} accounts; check this worker's environment variables and accounts file, then replay those that are dead letters by now"
    )]
    EveryAccount {
        accounts: usize,
        /// The failure of the last one.
        source: Box<Failure>,
    },
}

impl Failure {
    /// What to check if authentication to the account failed, to append to the failure.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        let error = match self {
            Self::UnknownAccount(_) => return "; add it there",
            Self::NoCredentials(NoCredentials::Nothing { .. }) => {
                return "; to use what this shell has, pass --profile NAME or --current-credentials";
            }
            Self::Aws(error) => error,
            _ => return "",
        };
        match error.kind {
            ErrorKind::Denied if error.operation == "sts:AssumeRole" => {
                "; the role must exist, its trust policy must name the caller, with the external id of the accounts file and the caller's organization, and the caller needs sts:AssumeRole"
            }
            ErrorKind::Identity => {
                "; the access key is mistyped, deleted or from another partition, or its session token is missing"
            }
            // A complete message of the fleet already says what to do.
            ErrorKind::Expired | ErrorKind::NoCredentials
                if error.code == "NoCredentials" && error.message.contains("; ") =>
            {
                ""
            }
            ErrorKind::Expired => "; replace them with new temporary credentials",
            ErrorKind::NoCredentials => "; correct it, or configure other credentials in the accounts file",
            ErrorKind::Transient => "; the error may be transient, so try again",
            _ => "",
        }
    }

    /// The stable reason.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::UnknownAccount(_) => Reason::UnknownAccount,
            Self::NoCredentials(_) => Reason::NoCredentials,
            Self::WrongAccount { .. } => Reason::WrongAccount,
            Self::RoleRefused(_) => Reason::AccessDenied,
            Self::RegionDisabled { .. } => Reason::AwsError,
            Self::Aws(error) => match error.kind {
                ErrorKind::Denied => Reason::AccessDenied,
                ErrorKind::Identity | ErrorKind::NoCredentials => Reason::NoCredentials,
                ErrorKind::Expired => Reason::ExpiredCredentials,
                ErrorKind::Transient => Reason::Unavailable,
                ErrorKind::RegionDisabled
                | ErrorKind::NotFound
                | ErrorKind::PreconditionFailed
                | ErrorKind::Permanent => Reason::AwsError,
            },
            Self::Key(_) => Reason::BadKeyTemplate,
            Self::Partial { .. } => Reason::Partial,
            Self::Superseded(_) => Reason::Superseded,
            Self::Contended(_) | Self::Claimed(_) => Reason::Contended,
            Self::NotDelivered(_) => Reason::NotDelivered,
            Self::TemporaryFile(_) => Reason::Unavailable,
            Self::ReportBucket(error) if error.is_transient() => Reason::Unavailable,
            Self::ReportBucket(_) => Reason::ReportBucket,
            Self::ForeignObject(_) => Reason::ForeignObject,
            Self::Deadline { .. } => Reason::Deadline,
            Self::Panic(_) => Reason::Panic,
            Self::WorkerMisconfigured(_) => Reason::WorkerMisconfigured,
        }
    }

    /// Whether a retry may help.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::UnknownAccount(_)
            | Self::NoCredentials(_)
            | Self::WrongAccount { .. }
            | Self::Key(_)
            | Self::Partial { .. }
            | Self::Superseded(_)
            | Self::ForeignObject(_)
            | Self::Deadline { .. } => Retry::Never,
            Self::RoleRefused(_) | Self::RegionDisabled { .. } => Retry::OnceMore,
            Self::Aws(error) => match error.kind {
                ErrorKind::Transient => Retry::Backoff,
                ErrorKind::Expired => Retry::Never,
                // New keys take a while to be known everywhere.
                ErrorKind::Denied
                | ErrorKind::Identity
                | ErrorKind::NoCredentials
                | ErrorKind::RegionDisabled
                | ErrorKind::NotFound
                | ErrorKind::PreconditionFailed
                | ErrorKind::Permanent => Retry::OnceMore,
            },
            Self::ReportBucket(error) => match error.kind {
                // The retry policy if the worker's own credentials worked again a moment later.
                ErrorKind::Transient
                | ErrorKind::Identity
                | ErrorKind::NoCredentials
                | ErrorKind::Expired => Retry::Backoff,
                ErrorKind::Denied
                | ErrorKind::RegionDisabled
                | ErrorKind::NotFound
                | ErrorKind::PreconditionFailed
                | ErrorKind::Permanent => Retry::OnceMore,
            },
            Self::Contended(_)
            | Self::Claimed(_)
            | Self::NotDelivered(_)
            | Self::TemporaryFile(_)
            | Self::Panic(_) => Retry::Backoff,
            Self::WorkerMisconfigured(_) => Retry::StopWorker,
        }
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { reason: failure.reason().code(), retry: failure.retry(), source: failure.into() }
    }
}

#[cfg(test)]
mod tests {
    use engine::delivery;

    use super::*;

    fn aws(kind: ErrorKind) -> AwsError {
        AwsError::new(kind, "s3:ListAllMyBuckets", "Code")
    }

    #[test]
    fn each_failure_has_a_retry_policy() {
        let key = || "k".to_owned();
        for (failure, retry) in [
            (Failure::UnknownAccount("x".parse().expect("a name")), Retry::Never),
            (Failure::RoleRefused(aws(ErrorKind::Denied)), Retry::OnceMore),
            (Failure::Aws(aws(ErrorKind::Denied)), Retry::OnceMore),
            (Failure::Aws(aws(ErrorKind::Permanent)), Retry::OnceMore),
            (Failure::Aws(aws(ErrorKind::Identity)), Retry::OnceMore),
            (Failure::Aws(aws(ErrorKind::NoCredentials)), Retry::OnceMore),
            (Failure::Aws(aws(ErrorKind::Expired)), Retry::Never),
            (Failure::Aws(aws(ErrorKind::Transient)), Retry::Backoff),
            (Failure::ReportBucket(aws(ErrorKind::Transient)), Retry::Backoff),
            (Failure::ReportBucket(aws(ErrorKind::Denied)), Retry::OnceMore),
            (Failure::ReportBucket(aws(ErrorKind::Expired)), Retry::Backoff),
            (Failure::Partial { key: key(), missing: key() }, Retry::Never),
            (Failure::Superseded(key()), Retry::Never),
            (Failure::Contended(key()), Retry::Backoff),
            (Failure::Claimed(key()), Retry::Backoff),
            (Failure::TemporaryFile(io::ErrorKind::StorageFull.into()), Retry::Backoff),
            (
                Failure::NotDelivered(sinks::NotDelivered { sink: key(), source: anyhow::anyhow!("no") }),
                Retry::Backoff,
            ),
            (Failure::ForeignObject(key()), Retry::Never),
            (Failure::Deadline { longest: Duration::ZERO, missing: key() }, Retry::Never),
            (
                Failure::WorkerMisconfigured(Misconfiguration::Credentials(aws(ErrorKind::Expired))),
                Retry::StopWorker,
            ),
        ] {
            assert_eq!(failure.retry(), retry, "{failure:?}");
            // A failure that is dead-lettered has a reason that a dead letter may have.
            assert_eq!(retry == Retry::StopWorker, failure.reason().is_of_the_worker(), "{failure:?}");
        }
    }

    #[test]
    fn the_reasons_of_the_engine_are_known() {
        for (code, reason) in [
            (delivery::BAD_MESSAGE, Reason::BadMessage),
            (delivery::DEADLINE, Reason::Deadline),
            (delivery::PANIC, Reason::Panic),
            (delivery::LEASE_LOST, Reason::LeaseLost),
        ] {
            assert_eq!(Reason::from_code(code), Some(reason));
        }
    }

    #[test]
    fn advice_is_given_once() {
        let of = |code: &str, message: &str, kind| {
            Failure::Aws(AwsError::new(kind, "sts:GetCallerIdentity", code).message(message)).hint()
        };
        let unset = "profile p: the access key id contains a control character; correct it";
        assert_eq!(of("NoCredentials", unset, ErrorKind::NoCredentials), "");
        let login = "the login of profile p has expired; run `aws sso login --profile p`";
        assert_eq!(of("NoCredentials", login, ErrorKind::Expired), "");
        let unknown = of("NoCredentials", "an error occurred", ErrorKind::NoCredentials);
        assert_eq!(unknown, "; correct it, or configure other credentials in the accounts file");
        let expired = of("ExpiredToken", "it is expired", ErrorKind::Expired);
        assert_eq!(expired, "; replace them with new temporary credentials");
        assert!(of("InvalidClientTokenId", "invalid", ErrorKind::Identity).contains("mistyped"));
    }
}
