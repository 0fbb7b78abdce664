// SPDX-License-Identifier: Apache-2.0
//! Authenticates to an account: verifies that it is the expected one, and decides who is at fault if a
//! call is refused.

use fleet::{
    AwsError, ErrorKind,
    credentials::{BaseSource, CredentialSource, secret::GET_SECRET_VALUE},
    identity::Identity,
};

use crate::{
    account::session::{ASSUME_ROLE, ASSUME_ROLE_WITH_WEB_IDENTITY, Session},
    failure::{Failure, Misconfiguration},
};

/// Calls STS for the identity in the session's account.
///
/// # Errors
///
/// [`Failure::WrongAccount`] if that is not the expected account.
pub async fn identity(session: &Session) -> Result<Identity, Failure> {
    let identity = session.identity().await.map_err(|error| refused(session, error))?;
    match &session.account().id {
        Some(expected) if *expected != identity.account_id => {
            Err(Failure::WrongAccount { expected: expected.clone(), identity })
        }
        _ => Ok(identity),
    }
}

/// Classifies a failed authentication. A disabled region is the account's own fault: another region may
/// work.
fn refused(session: &Session, error: AwsError) -> Failure {
    if error.kind == ErrorKind::RegionDisabled && error.operation == ASSUME_ROLE {
        Failure::RegionDisabled { region: session.home_region().to_owned(), source: error }
    } else {
        error.into()
    }
}

/// Attributes a failure: errors of the process's own credentials are not the account's fault.
#[must_use]
pub fn classify(session: &Session, failure: Failure) -> Failure {
    let source = session.credentials().source();
    let is_own = matches!(source.base(), BaseSource::Default);
    let is_role = matches!(source, CredentialSource::Role { .. });
    let Failure::Aws(error) = failure else { return failure };
    let is_refused =
        matches!(error.kind, ErrorKind::Identity | ErrorKind::Expired | ErrorKind::NoCredentials);
    // The process itself reads secrets.
    if error.operation == GET_SECRET_VALUE && is_refused {
        return Misconfiguration::Credentials(error).into();
    }
    if !is_own {
        return Failure::Aws(error);
    }
    if error.operation == ASSUME_ROLE_WITH_WEB_IDENTITY && error.kind != ErrorKind::Transient {
        return Misconfiguration::Credentials(error).into();
    }
    // With a role, everything after assuming it is the account's responsibility.
    if is_role && error.operation != ASSUME_ROLE {
        return Failure::Aws(error);
    }
    match error.kind {
        ErrorKind::Identity | ErrorKind::Expired | ErrorKind::NoCredentials => {
            Misconfiguration::Credentials(error).into()
        }
        ErrorKind::Denied if is_role => Failure::RoleRefused(error),
        ErrorKind::Denied
        | ErrorKind::RegionDisabled
        | ErrorKind::NotFound
        | ErrorKind::PreconditionFailed
        | ErrorKind::Transient
        | ErrorKind::Permanent => Failure::Aws(error),
    }
}

#[cfg(test)]
mod tests {
    use fleet::{Accounts, aws};

    use super::*;
    use crate::{account::session::ends_session, usage::Usage};

    #[tokio::test]
    async fn the_account_is_not_blamed_for_errors_of_the_workers_own_credentials() {
        let text = "[[account]]\nname = 'data'\nid = '111111111111'\nrole_name = 'reader'";
        let accounts = Accounts::parse(text).expect("accounts");
        let account = accounts.iter().next().expect("one").clone();
        let session =
            Session::open(account, &aws::base().await.expect("a configuration"), None, Usage::default())
                .await
                .expect("a session");
        let blamed = |operation, kind| {
            let error = AwsError::new(kind, operation, "AccessDenied");
            assert_eq!(ends_session(&error), operation != "s3:ListAllMyBuckets", "{operation}");
            classify(&session, error.into())
        };
        let own = blamed(ASSUME_ROLE_WITH_WEB_IDENTITY, ErrorKind::Denied);
        assert!(matches!(own, Failure::WorkerMisconfigured(Misconfiguration::Credentials(_))), "{own:?}");
        let transient = blamed(ASSUME_ROLE_WITH_WEB_IDENTITY, ErrorKind::Transient);
        assert!(matches!(transient, Failure::Aws(_)), "{transient:?}");
        let refused = blamed(ASSUME_ROLE, ErrorKind::Denied);
        assert!(matches!(refused, Failure::RoleRefused(_)), "{refused:?}");
        let denied = blamed("s3:ListAllMyBuckets", ErrorKind::Denied);
        assert!(matches!(denied, Failure::Aws(_)), "{denied:?}");
    }
}
