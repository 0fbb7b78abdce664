//! A provider of credentials that says which one it is when it fails: AWS's own do not name what they were
//! made of.

use std::error::Error;

use aws_credential_types::{
    Credentials,
    provider::{self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};

use crate::environment;

/// A provider under a name that messages use, whose credentials can be in a header.
#[derive(Debug)]
pub(crate) struct Explained {
    name: String,
    provider: SharedCredentialsProvider,
}

/// Why a provider has nothing to give.
#[derive(Debug, thiserror::Error)]
#[error("{name} gives no credentials")]
struct NothingGiven {
    name: String,
    source: Option<CredentialsError>,
}

impl Explained {
    /// The same provider under a name.
    pub(crate) fn new(name: String, provider: SharedCredentialsProvider) -> Self {
        Self { name, provider }
    }

    async fn credentials(&self) -> provider::Result {
        let given = self.provider.provide_credentials().await.and_then(usable);
        given.map_err(|source| {
            // Alone, this says no more than the name does.
            let bare =
                matches!(source, CredentialsError::CredentialsNotLoaded(_)) && source.source().is_none();
            let name = self.name.clone();
            CredentialsError::provider_error(NothingGiven { name, source: (!bare).then_some(source) })
        })
    }
}

/// Refuses credentials that can't be in a header, with which the SDK would panic.
fn usable(credentials: Credentials) -> provider::Result {
    match fault(&credentials) {
        None => Ok(credentials),
        Some(fault) => Err(CredentialsError::invalid_configuration(fault)),
    }
}

fn fault(credentials: &Credentials) -> Option<String> {
    let parts = [
        ("access key id", Some(credentials.access_key_id())),
        ("secret access key", Some(credentials.secret_access_key())),
        ("session token", credentials.session_token()),
    ];
    let of_part = |(part, value): (_, Option<_>)| {
        Some(format!("the {part} {}; correct it", environment::header_fault(value?)?))
    };
    parts.into_iter().find_map(of_part)
}

impl ProvideCredentials for Explained {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.provider.fallback_on_interrupt()
    }
}

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::error::CredentialsError;

    use super::*;

    #[tokio::test]
    async fn credentials_that_no_header_can_hold_are_refused_and_not_shown() {
        for (id, secret, token, part) in [
            ("canary\r", "s", None, "access key id"),
            ("canary\u{200b}", "s", None, "access key id"),
            ("id", "canary\n", None, "secret access key"),
            ("id", "s", Some("canary\u{1}"), "session token"),
        ] {
            let keys = Credentials::new(id, secret, token.map(str::to_owned), None, "test");
            let provider = Explained::new("profile p".into(), SharedCredentialsProvider::new(keys));
            let error = provider.provide_credentials().await.expect_err(part);
            assert!(matches!(error, CredentialsError::ProviderError(_)), "{error:?}");
            let source = error.source().expect("the provider").source().expect("its fault");
            let said = format!("{source} {:?}", source.source().map(ToString::to_string));
            assert!(said.contains(part), "{said}");
            assert!(!said.contains("canary"), "{said}");
        }
    }
}
