//! Credentials that are kept while they last.
//!
//! The SDK's provider of a role asks for the process's own credentials anew every time, so that a thousand
//! accounts would be a thousand questions to IAM Identity Center, the container's endpoint or an
//! external program, each of which has limits of its own. And its cache can't be told that what it keeps
//! is no longer good.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, Result, SharedCredentialsProvider, error::CredentialsError, future},
};
use tokio::{sync::Mutex, time::timeout};

/// How long before they end credentials are fetched anew; the SDK's own caches do so as early.
const MARGIN: Duration = Duration::from_mins(5);

/// How long credentials that do not end are kept: somebody may have changed the file they are in.
const LONGEST: Duration = Duration::from_mins(15);

/// How long fetching them may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A provider that gives what it was given until that is nearly over, and, where nothing newer can be
/// had, until it is.
pub struct KeptCredentials(Mutex<Kept>);

struct Kept {
    provider: SharedCredentialsProvider,
    credentials: Option<(Credentials, SystemTime)>,
}

impl KeptCredentials {
    /// Keeps what `provider` gives.
    #[must_use]
    pub fn new(provider: SharedCredentialsProvider) -> Self {
        Self(Mutex::new(Kept { provider, credentials: None }))
    }

    /// Forgets what is kept, and keeps what `provider` gives from now on.
    pub async fn replace(&self, provider: SharedCredentialsProvider) {
        *self.0.lock().await = Kept { provider, credentials: None };
    }

    async fn credentials(&self) -> Result {
        // Held while they are fetched: whoever comes meanwhile waits, and asks nobody.
        let mut kept = self.0.lock().await;
        let now = SystemTime::now();
        if let Some((credentials, until)) = &kept.credentials
            && now < *until
        {
            return Ok(credentials.clone());
        }
        let fetched = timeout(PATIENCE, kept.provider.provide_credentials()).await;
        let fetched = fetched.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(PATIENCE)));
        match (fetched, &kept.credentials) {
            (Ok(credentials), _) => {
                let until = credentials.expiry().map_or(now + LONGEST, |end| end - MARGIN);
                kept.credentials = Some((credentials.clone(), until));
                Ok(credentials)
            }
            (Err(error), Some((old, _))) if old.expiry().is_none_or(|end| now < end) => {
                tracing::warn!("no newer credentials could be had, and the old ones are used: {error}");
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

    /// A provider that counts how often it is asked, gives credentials that last so long, and fails
    /// from the second time on where that is wanted.
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

    async fn asked_in_ten(lasts: Option<Duration>) -> usize {
        let (kept, asked) = counting(lasts, false);
        let all = futures::future::join_all((0..10).map(|_| kept.provide_credentials())).await;
        assert!(all.iter().all(std::result::Result::is_ok));
        asked.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn the_provider_is_asked_once_until_its_credentials_are_nearly_over() {
        assert_eq!(asked_in_ten(None).await, 1);
        assert_eq!(asked_in_ten(Some(Duration::from_hours(1))).await, 1);
        assert_eq!(asked_in_ten(Some(Duration::from_mins(4))).await, 10, "they are over too soon to be kept");
    }

    #[tokio::test]
    async fn what_is_still_good_is_used_where_nothing_newer_can_be_had() {
        let (kept, asked) = counting(Some(Duration::from_mins(4)), true);
        for _ in 0..3 {
            let credentials = kept.credentials().await.expect("they are good for four minutes");
            assert_eq!(credentials.access_key_id(), "AKIA0");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn what_is_replaced_is_forgotten() {
        let (kept, asked) = counting(None, false);
        kept.credentials().await.expect("credentials");
        let provider = Counting { asked: asked.clone(), lasts: None, fails: false };
        kept.replace(SharedCredentialsProvider::new(provider)).await;
        assert_eq!(kept.credentials().await.expect("credentials").access_key_id(), "AKIA1");
    }
}
