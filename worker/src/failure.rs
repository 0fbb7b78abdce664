//! Why a job is not done.

use std::time::Duration;

use engine::{Failed, Retry};
use fleet::{
    AccountId, AccountName, AwsError, ErrorKind, Reason, credentials::NoCredentials, identity::Identity,
    report_key::KeyError,
};

/// Why a job is not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The accounts file does not have the account.
    #[error("account {0} is not in the accounts file")]
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
    /// The account's role does not let this worker in.
    #[error(
        "the account's role could not be assumed; it must be there, and its trust policy name this worker's role, with its external id and organization where it asks for them"
    )]
    RoleRefused(#[source] AwsError),
    /// The account has not enabled the region in which its role is assumed.
    #[error(
        "STS is not active in {region} for this account: set another `region` for it, or in [defaults], in the accounts file, or enable {region} in the account"
    )]
    RegionDisabled {
        /// The region.
        region: String,
        /// What STS said.
        source: AwsError,
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
    /// An object that is no report exists under the report's key.
    #[error(
        "the object at {0} is no report of the fleet, and is kept; move it, or set FLEET_REPLACE_FOREIGN=true to replace it"
    )]
    ForeignObject(String),
    /// Others wrote under the report's key, again and again.
    #[error("the report could not be stored at {0}: others kept writing there")]
    Contended(String),
    /// A call of the report bucket failed.
    #[error("the report could not be stored")]
    ReportBucket(#[source] AwsError),
    /// The job took longer than one may.
    #[error("the job was not done in {} minutes{}{missing}", longest.as_secs() / 60, if missing.is_empty() { "" } else { "; missing: " })]
    Deadline {
        /// How long one may take.
        longest: Duration,
        /// What is missing of its report; empty if there is none.
        missing: String,
    },
    /// A fault of the program, outside of a job.
    #[error("the worker has a fault: {0}")]
    Panic(String),
    /// Nothing is wrong with the job: this worker can't do any.
    #[error(transparent)]
    Own(#[from] OwnFault),
}

/// Why this worker can't do any job.
#[derive(Debug, thiserror::Error)]
pub enum OwnFault {
    /// The process's own credentials.
    #[error("the worker's own credentials are refused or could not be had; renew or correct them")]
    Credentials(#[source] AwsError),
    /// The report bucket.
    #[error(
        "the report bucket refuses this worker; its role needs s3:GetObject and s3:PutObject there and, where it is encrypted with a key of its own, the use of that key"
    )]
    ReportBucket(#[source] AwsError),
    /// No account lets its role in.
    #[error(
        "of {accounts} accounts that were asked, none let this worker's role in; allow it sts:AssumeRole on their roles"
    )]
    EveryRole {
        /// How many accounts refused.
        accounts: usize,
        /// What the last one said.
        source: AwsError,
    },
    /// No account could be entered, for whatever reason.
    #[error(
        "{accounts} accounts one after the other could not be entered, and none before; give this worker the accounts' variables and its accounts file, then replay those that are dead letters by now"
    )]
    EveryAccount {
        /// How many accounts.
        accounts: usize,
        /// Why the last one could not.
        source: Box<Failure>,
    },
}

impl Failure {
    /// Where to look if the account could not be entered at all, to be put behind the failure.
    #[must_use]
    pub fn way_in(&self) -> &'static str {
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
                "; the role must be there, and its trust policy name who asks, with the external id of the accounts file and the organization of who asks; and who asks must be allowed sts:AssumeRole"
            }
            ErrorKind::Identity => {
                "; the access key is mistyped, deleted or of another partition, or its session token is missing"
            }
            // What could be said in our own words ends with what to do.
            ErrorKind::Expired | ErrorKind::NoCredentials
                if error.code == "NoCredentials" && error.message.contains("; ") =>
            {
                ""
            }
            ErrorKind::Expired => "; put new temporary credentials in their place",
            ErrorKind::NoCredentials => "; correct it, or say in the accounts file what else to use",
            ErrorKind::Transient => "; this may pass, try again",
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
            Self::Contended(_) => Reason::Contended,
            Self::ReportBucket(error) if error.is_transient() => Reason::Unavailable,
            Self::ReportBucket(_) => Reason::ReportBucket,
            Self::ForeignObject(_) => Reason::ForeignObject,
            Self::Deadline { .. } => Reason::Deadline,
            Self::Panic(_) => Reason::Panic,
            Self::Own(_) => Reason::OwnFault,
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
                // Keys that were made just now are not known everywhere at once.
                ErrorKind::Denied
                | ErrorKind::Identity
                | ErrorKind::NoCredentials
                | ErrorKind::RegionDisabled
                | ErrorKind::NotFound
                | ErrorKind::PreconditionFailed
                | ErrorKind::Permanent => Retry::OnceMore,
            },
            Self::ReportBucket(error) => match error.kind {
                // Those of the worker's own credentials, if they were good again a moment later.
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
            Self::Contended(_) | Self::Panic(_) => Retry::Backoff,
            Self::Own(_) => Retry::StopWorker,
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
    fn each_failure_says_whether_a_retry_may_help() {
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
            (Failure::ForeignObject(key()), Retry::Never),
            (Failure::Deadline { longest: Duration::ZERO, missing: key() }, Retry::Never),
            (Failure::Own(OwnFault::Credentials(aws(ErrorKind::Expired))), Retry::StopWorker),
        ] {
            assert_eq!(failure.retry(), retry, "{failure:?}");
            // What becomes a dead letter has a reason that a dead letter may have.
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
    fn what_to_do_is_said_once() {
        let of = |code: &str, message: &str, kind| {
            Failure::Aws(AwsError::new(kind, "sts:GetCallerIdentity", code).message(message)).way_in()
        };
        let unset = "profile p: the access key id has a control character in it; correct it";
        assert_eq!(of("NoCredentials", unset, ErrorKind::NoCredentials), "");
        let login = "the login of profile p has expired; run `aws sso login --profile p`";
        assert_eq!(of("NoCredentials", login, ErrorKind::Expired), "");
        let unknown = of("NoCredentials", "an error occurred", ErrorKind::NoCredentials);
        assert_eq!(unknown, "; correct it, or say in the accounts file what else to use");
        let expired = of("ExpiredToken", "it is expired", ErrorKind::Expired);
        assert_eq!(expired, "; put new temporary credentials in their place");
        assert!(of("InvalidClientTokenId", "invalid", ErrorKind::Identity).contains("mistyped"));
    }
}
