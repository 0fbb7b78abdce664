//! Entering an account: making sure that it is the one that is meant, and telling whose fault it is if a call in it
//! is refused.

use fleet::{
    AwsError, ErrorKind,
    credentials::{BaseSource, CredentialSource, secret::GET_SECRET_VALUE},
    identity::Identity,
};

use crate::{
    account::session::{ASSUME_ROLE, ASSUME_ROLE_WITH_WEB_IDENTITY, Session},
    failure::{Failure, OwnFault},
};

/// Asks who we are in the account of a session.
///
/// # Errors
/// [`Failure::WrongAccount`] where that is not the account that it should be.
pub async fn identity(session: &Session) -> Result<Identity, Failure> {
    let identity = session.identity().await.map_err(|error| refused(session, error))?;
    match &session.account().id {
        Some(expected) if *expected != identity.account_id => {
            Err(Failure::WrongAccount { expected: expected.clone(), identity })
        }
        _ => Ok(identity),
    }
}

/// What it means that the account could not be entered. Another region may do, which the account alone is to blame for.
fn refused(session: &Session, error: AwsError) -> Failure {
    if error.kind == ErrorKind::RegionDisabled && error.operation == ASSUME_ROLE {
        Failure::RegionDisabled { region: session.home_region().to_owned(), source: error }
    } else {
        error.into()
    }
}

/// A failure with its blame: what the process's own credentials are refused for is no fault of the
/// account's.
#[must_use]
pub fn blame(session: &Session, failure: Failure) -> Failure {
    let source = session.credentials().source();
    let is_own = matches!(source.base(), BaseSource::Default);
    let is_role = matches!(source, CredentialSource::Role { .. });
    let Failure::Aws(error) = failure else { return failure };
    let is_refused =
        matches!(error.kind, ErrorKind::Identity | ErrorKind::Expired | ErrorKind::NoCredentials);
    // Secrets are read by the process itself.
    if error.operation == GET_SECRET_VALUE && is_refused {
        return OwnFault::Credentials(error).into();
    }
    if !is_own {
        return Failure::Aws(error);
    }
    if error.operation == ASSUME_ROLE_WITH_WEB_IDENTITY && error.kind != ErrorKind::Transient {
        return OwnFault::Credentials(error).into();
    }
    // With a role, whatever comes after it was assumed is the account's.
    if is_role && error.operation != ASSUME_ROLE {
        return Failure::Aws(error);
    }
    match error.kind {
        ErrorKind::Identity | ErrorKind::Expired | ErrorKind::NoCredentials => {
            OwnFault::Credentials(error).into()
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
    use crate::{account::session::is_over, usage::Usage};

    #[tokio::test]
    async fn the_account_is_to_blame_for_nothing_that_its_worker_may_not_become_itself() {
        let text = "[[account]]\nname = 'data'\nid = '111111111111'\nrole_name = 'reader'";
        let accounts = Accounts::parse(text).expect("accounts");
        let account = accounts.iter().next().expect("one").clone();
        let session =
            Session::open(account, &aws::base().await.expect("a configuration"), None, Usage::default())
                .await
                .expect("a session");
        let blamed = |operation, kind| {
            let error = AwsError::new(kind, operation, "AccessDenied");
            assert_eq!(is_over(&error), operation != "s3:ListAllMyBuckets", "{operation}");
            blame(&session, error.into())
        };
        let own = blamed(ASSUME_ROLE_WITH_WEB_IDENTITY, ErrorKind::Denied);
        assert!(matches!(own, Failure::Own(OwnFault::Credentials(_))), "{own:?}");
        let passing = blamed(ASSUME_ROLE_WITH_WEB_IDENTITY, ErrorKind::Transient);
        assert!(matches!(passing, Failure::Aws(_)), "{passing:?}");
        let refused = blamed(ASSUME_ROLE, ErrorKind::Denied);
        assert!(matches!(refused, Failure::RoleRefused(_)), "{refused:?}");
        let denied = blamed("s3:ListAllMyBuckets", ErrorKind::Denied);
        assert!(matches!(denied, Failure::Aws(_)), "{denied:?}");
    }
}
