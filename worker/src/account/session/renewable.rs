// SPDX-License-Identifier: Apache-2.0
//! The credentials of an account, fetched again when AWS reports them as expired.
//!
//! The SDK neither repeats a call that was refused because of expired credentials nor drops those
//! credentials. Keys that are rotated early, and clock differences, would end a job half-way.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, future};
use fleet::{
    AwsError, ErrorKind,
    credentials::{BaseSource, CredentialSource},
    kept_credentials::KeptCredentials,
};
use tokio::sync::OnceCell;

use crate::connections;

/// A credentials provider that can fetch new credentials; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Renewable(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: CredentialSource,
    /// How the process reaches AWS with its own credentials, and with those of the account.
    own: SdkConfig,
    config: SdkConfig,
    /// The role session name.
    session: String,
    kept: KeptCredentials,
    /// Set once the credentials have been fetched again. Once is enough: if new credentials are refused
    /// too, others will be as well.
    renewed: OnceCell<()>,
}

impl Renewable {
    /// The credentials from `source`; `config` determines how AWS is reached.
    pub(super) async fn new(
        source: CredentialSource,
        own: SdkConfig,
        config: SdkConfig,
        session: String,
    ) -> Self {
        // Boxed: the future is large and short-lived.
        let provider = Box::pin(source.provider(&own, &config, &session)).await;
        let kept = KeptCredentials::new(provider);
        Self(Arc::new(Inner { source, own, config, session, kept, renewed: OnceCell::new() }))
    }

    /// Credentials for a client with canned responses.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
        let keys = Credentials::new("id", "secret", None, None, "test");
        let provider = SharedCredentialsProvider::new(keys);
        let config = SdkConfig::builder().credentials_provider(provider.clone()).build();
        let source = CredentialSource::Base(BaseSource::Default);
        let kept = KeptCredentials::new(provider);
        let session = "test".to_owned();
        Self(Arc::new(Inner { source, own: config.clone(), config, session, kept, renewed: OnceCell::new() }))
    }

    pub(crate) fn source(&self) -> &CredentialSource {
        &self.0.source
    }

    /// Makes a call, and repeats it with new credentials if its credentials have expired.
    pub(crate) async fn call<T, Call>(&self, call: impl Fn() -> Call) -> Result<T, AwsError>
    where
        Call: Future<Output = Result<T, AwsError>>,
    {
        let _permit = connections::permit().await;
        let was_renewed = self.0.renewed.initialized();
        match call().await {
            Err(error) if !was_renewed && self.may_be_expired_or_rotated(&error) => {
                // Unless another call is already fetching them.
                self.0.renewed.get_or_init(|| self.renew(&error)).await;
                call().await
            }
            result => result,
        }
    }

    /// Whether new credentials may help. A secret may have been rotated since it was read.
    fn may_be_expired_or_rotated(&self, error: &AwsError) -> bool {
        let is_of_secret = matches!(self.0.source.base(), BaseSource::Secret(_));
        may_be_expired(error) || is_of_secret && error.kind == ErrorKind::Identity
    }

    async fn renew(&self, error: &AwsError) {
        tracing::warn!(error = %error, "the credentials have expired; fetching new ones");
        // A new provider: the old one may cache what it has read.
        self.0.source.forget();
        let provider = self.0.source.provider(&self.0.own, &self.0.config, &self.0.session);
        let provider = Box::pin(provider).await;
        self.0.kept.replace(provider).await;
    }
}

/// Whether new credentials may help. A refused HEAD request has no error code: S3 responds with status
/// 400 to a request signed with an expired token, and to few others.
fn may_be_expired(error: &AwsError) -> bool {
    error.kind == ErrorKind::Expired || error.code == "BadRequest"
}

impl ProvideCredentials for Renewable {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.0.kept.provide_credentials()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;

    fn error(kind: ErrorKind, code: &str) -> AwsError {
        AwsError::new(kind, "s3:ListBucket", code)
    }

    #[tokio::test]
    async fn a_call_with_expired_credentials_is_repeated_once() {
        for (kind, code) in [(ErrorKind::Expired, "ExpiredToken"), (ErrorKind::Permanent, "BadRequest")] {
            let (renewable, calls) = (Renewable::for_tests(), AtomicUsize::new(0));
            let calls = &calls;
            let refuse = || async move {
                calls.fetch_add(1, Ordering::SeqCst);
                Err::<(), _>(error(kind, code))
            };
            assert_eq!(renewable.call(refuse).await, Err(error(kind, code)));
            assert_eq!(calls.load(Ordering::SeqCst), 2);
            assert_eq!(renewable.call(refuse).await, Err(error(kind, code)));
            assert_eq!(calls.load(Ordering::SeqCst), 3, "the new ones are refused too");
        }
    }

    #[tokio::test]
    async fn concurrent_calls_with_expired_credentials_are_all_repeated() {
        let (renewable, calls) = (Renewable::for_tests(), AtomicUsize::new(0));
        let calls = &calls;
        let call = || async move {
            let nth = calls.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            if nth < 8 { Err(error(ErrorKind::Expired, "ExpiredToken")) } else { Ok(()) }
        };
        let all = join_all((0..8).map(|_| renewable.call(call))).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
        assert_eq!(calls.load(Ordering::SeqCst), 16);
    }

    #[tokio::test]
    async fn other_errors_are_returned() {
        let denied = error(ErrorKind::Denied, "AccessDenied");
        let refuse = || std::future::ready(Err::<(), _>(denied.clone()));
        assert_eq!(Renewable::for_tests().call(refuse).await, Err(denied.clone()));
    }
}
