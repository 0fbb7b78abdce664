//! The credentials of an account: kept while they last, and fetched anew when AWS calls them expired.
//!
//! The SDK neither repeats a call that was refused as expired nor forgets the credentials that it was
//! made with. Keys that are replaced early, and clocks that disagree, would end a job half-way.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use aws_credential_types::{
    Credentials,
    provider::{self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use fleet::{AwsError, ErrorKind, credentials::CredentialSource};
use tokio::{sync::Mutex, time::timeout};

/// How long before they end credentials are fetched anew.
const MARGIN: Duration = Duration::from_mins(5);

/// How long fetching them may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A provider that can be told that what it gave is no longer good; clones share it.
#[derive(Clone)]
pub(crate) struct Renewable(Arc<Inner>);

struct Inner {
    source: CredentialSource,
    config: SdkConfig,
    kept: Mutex<Kept>,
    /// Whether it has been told so. Once is enough: what is fetched anew and refused again is refused
    /// for ever.
    is_renewed: AtomicBool,
}

struct Kept {
    provider: SharedCredentialsProvider,
    credentials: Option<Credentials>,
}

impl Renewable {
    /// The credentials from `source`, for which `config` says how AWS is reached.
    pub(super) async fn new(source: CredentialSource, config: SdkConfig) -> Self {
        // On the heap: it is large, and soon over.
        let provider = Box::pin(source.provider(&config)).await;
        let kept = Mutex::new(Kept { provider, credentials: None });
        Self(Arc::new(Inner { source, config, kept, is_renewed: AtomicBool::new(false) }))
    }

    /// Credentials for a client with canned answers.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        let provider = SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test"));
        let config = SdkConfig::builder().credentials_provider(provider.clone()).build();
        let source = CredentialSource::Base(fleet::credentials::BaseSource::Default);
        let kept = Mutex::new(Kept { provider, credentials: None });
        Self(Arc::new(Inner { source, config, kept, is_renewed: AtomicBool::new(false) }))
    }

    /// What the credentials come from.
    pub(super) fn source(&self) -> &CredentialSource {
        &self.0.source
    }

    /// Makes a call, and once more with new credentials where those it was made with have expired.
    pub(crate) async fn ask<T, Call>(&self, call: impl Fn() -> Call) -> Result<T, AwsError>
    where
        Call: Future<Output = Result<T, AwsError>>,
    {
        let was_renewed = self.0.is_renewed.load(Ordering::Acquire);
        match call().await {
            Err(error) if !was_renewed && may_be_expired(&error) => {
                self.renew(&error).await;
                call().await
            }
            answered => answered,
        }
    }

    /// Begins anew, unless another call has seen to it already.
    async fn renew(&self, error: &AwsError) {
        let mut kept = self.0.kept.lock().await;
        if !self.0.is_renewed.load(Ordering::Acquire) {
            tracing::warn!(error = %error, "the account's credentials have expired; fetching them anew");
            // A new provider: the old one may keep what it once read.
            let provider = Box::pin(self.0.source.provider(&self.0.config)).await;
            *kept = Kept { provider, credentials: None };
            self.0.is_renewed.store(true, Ordering::Release);
        }
    }

    async fn credentials(&self) -> provider::Result {
        // Held while they are fetched: whoever comes meanwhile waits, and asks nobody.
        let mut kept = self.0.kept.lock().await;
        let is_good = |credentials: &&Credentials| {
            credentials.expiry().is_none_or(|end| SystemTime::now() + MARGIN < end)
        };
        if let Some(credentials) = kept.credentials.as_ref().filter(is_good) {
            return Ok(credentials.clone());
        }
        let fetching = kept.provider.provide_credentials();
        let fetched = timeout(PATIENCE, fetching).await;
        let credentials = fetched.map_err(|_| CredentialsError::provider_timed_out(PATIENCE))??;
        kept.credentials = Some(credentials.clone());
        Ok(credentials)
    }
}

/// Whether new credentials may help. A refusal of a HEAD request has no code: S3 says 400 to one
/// that was signed with an expired token, and not much else.
fn may_be_expired(error: &AwsError) -> bool {
    error.kind == ErrorKind::Expired || error.code == "BadRequest"
}

impl ProvideCredentials for Renewable {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

impl fmt::Debug for Renewable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewable").field("source", &self.0.source.to_string()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::future::join_all;

    use super::*;

    fn error(kind: ErrorKind, code: &str) -> AwsError {
        AwsError { operation: "s3:ListBucket", code: code.into(), message: String::new(), kind }
    }

    #[tokio::test]
    async fn a_call_that_is_refused_as_expired_is_made_once_more_and_no_oftener() {
        for (kind, code) in [(ErrorKind::Expired, "ExpiredToken"), (ErrorKind::Permanent, "BadRequest")] {
            let (renewable, calls) = (Renewable::for_tests(), AtomicUsize::new(0));
            let calls = &calls;
            let refuse = || async move {
                calls.fetch_add(1, Ordering::SeqCst);
                Err::<(), _>(error(kind, code))
            };
            assert_eq!(renewable.ask(refuse).await, Err(error(kind, code)));
            assert_eq!(calls.load(Ordering::SeqCst), 2);
            assert_eq!(renewable.ask(refuse).await, Err(error(kind, code)));
            assert_eq!(calls.load(Ordering::SeqCst), 3, "the new ones are no good either");
        }
    }

    #[tokio::test]
    async fn calls_that_are_refused_together_are_all_made_once_more() {
        let (renewable, calls) = (Renewable::for_tests(), AtomicUsize::new(0));
        let calls = &calls;
        let call = || async move {
            let nth = calls.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            if nth < 8 { Err(error(ErrorKind::Expired, "ExpiredToken")) } else { Ok(()) }
        };
        let all = join_all((0..8).map(|_| renewable.ask(call))).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
        assert_eq!(calls.load(Ordering::SeqCst), 16);
    }

    #[tokio::test]
    async fn another_refusal_is_passed_on() {
        let denied = error(ErrorKind::Denied, "AccessDenied");
        let refuse = || std::future::ready(Err::<(), _>(denied.clone()));
        assert_eq!(Renewable::for_tests().ask(refuse).await, Err(denied.clone()));
    }
}
