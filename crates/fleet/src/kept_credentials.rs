// SPDX-License-Identifier: Apache-2.0
//! Credentials that are cached until they expire.
//!
//! For each role, the SDK's provider requests the process's own credentials again, so that a thousand
//! accounts would mean a thousand requests to IAM Identity Center, the container's endpoint or an
//! external program, each of which has limits. And the SDK's cache can't be invalidated.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, Result, SharedCredentialsProvider, error::CredentialsError, future},
};
use tokio::{sync::Mutex, time::timeout};

/// How long before their expiry credentials are fetched again, as in the SDK's own caches.
const MARGIN: Duration = Duration::from_mins(5);

/// How long to cache credentials without an expiry: the file that they are from may have changed.
const MAX_AGE: Duration = Duration::from_mins(15);

/// The timeout for fetching credentials.
const FETCH_TIMEOUT: Duration = Duration::from_secs(20);

/// A provider that caches credentials until shortly before their expiry or, if new ones can't be
/// fetched, until their expiry.
pub struct KeptCredentials(Mutex<Kept>);

struct Kept {
    provider: SharedCredentialsProvider,
    credentials: Option<(Credentials, SystemTime)>,
}

impl KeptCredentials {
    /// Caches the credentials of `provider`.
    #[must_use]
    pub fn new(provider: SharedCredentialsProvider) -> Self {
        Self(Mutex::new(Kept { provider, credentials: None }))
    }

    /// Forgets the cached credentials, and caches those of `provider` from now on.
    pub async fn replace(&self, provider: SharedCredentialsProvider) {
        *self.0.lock().await = Kept { provider, credentials: None };
    }

    async fn credentials(&self) -> Result {
        // Locked while fetching: concurrent callers wait instead of fetching again.
        let mut kept = self.0.lock().await;
        let now = SystemTime::now();
        if let Some((credentials, until)) = &kept.credentials
            && now < *until
        {
            return Ok(credentials.clone());
        }
        let fetched = timeout(FETCH_TIMEOUT, kept.provider.provide_credentials()).await;
        let fetched = fetched.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(FETCH_TIMEOUT)));
        match (fetched, &kept.credentials) {
            (Ok(credentials), _) => {
                let until = credentials.expiry().map_or(now + MAX_AGE, |end| end - MARGIN);
                kept.credentials = Some((credentials.clone(), until));
                Ok(credentials)
            }
            (Err(error), Some((old, _))) if old.expiry().is_none_or(|end| now < end) => {
                tracing::warn!("could not fetch new credentials, so the old ones stay in use: {error}");
                Ok(old.clone())
            }
            (Err(error), _) => Err(error),
        }
    }
}

impl ProvideCredentials for KeptCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

impl fmt::Debug for KeptCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptCredentials").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// A provider that counts its calls, returns credentials with this lifetime, and, if `fails`,
    /// returns an error from the second call on.
    #[derive(Debug, Clone)]
    struct Counting {
        asked: Arc<AtomicUsize>,
        lasts: Option<Duration>,
        fails: bool,
    }

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let asked = self.asked.fetch_add(1, Ordering::SeqCst);
            if self.fails && asked > 0 {
                return future::ProvideCredentials::ready(Err(CredentialsError::provider_error("gone")));
            }
            let expiry = self.lasts.map(|lasts| SystemTime::now() + lasts);
            let id = format!("AKIA{asked}");
            future::ProvideCredentials::ready(Ok(Credentials::new(id, "s", None, expiry, "test")))
        }
    }

    fn counting(lasts: Option<Duration>, fails: bool) -> (KeptCredentials, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let provider = Counting { asked: asked.clone(), lasts, fails };
        (KeptCredentials::new(SharedCredentialsProvider::new(provider)), asked)
    }

    async fn calls_in_ten(lasts: Option<Duration>) -> usize {
        let (kept, asked) = counting(lasts, false);
        let all = futures::future::join_all((0..10).map(|_| kept.provide_credentials())).await;
        assert!(all.iter().all(std::result::Result::is_ok));
        asked.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn the_provider_is_called_once_until_its_credentials_nearly_expire() {
        assert_eq!(calls_in_ten(None).await, 1);
        assert_eq!(calls_in_ten(Some(Duration::from_hours(1))).await, 1);
        assert_eq!(calls_in_ten(Some(Duration::from_mins(4))).await, 10, "they expire too soon to be cached");
    }

    #[tokio::test]
    async fn valid_credentials_are_used_if_new_ones_cannot_be_fetched() {
        let (kept, asked) = counting(Some(Duration::from_mins(4)), true);
        for _ in 0..3 {
            let credentials = kept.credentials().await.expect("they are valid for four minutes");
            assert_eq!(credentials.access_key_id(), "AKIA0");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn replaced_credentials_are_forgotten() {
        let (kept, asked) = counting(None, false);
        kept.credentials().await.expect("credentials");
        let provider = Counting { asked: asked.clone(), lasts: None, fails: false };
        kept.replace(SharedCredentialsProvider::new(provider)).await;
        assert_eq!(kept.credentials().await.expect("credentials").access_key_id(), "AKIA1");
    }
}
