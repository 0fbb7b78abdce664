//! The process's own credentials, fetched once for all accounts.
//!
//! A role is assumed with them for each account. The SDK's provider of a role asks for them anew
//! every time, so that a thousand accounts would be a thousand questions to IAM Identity Center, the
//! container's endpoint or an external program, each of which has limits of its own.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, Result, SharedCredentialsProvider, future},
};
use tokio::sync::Mutex;

/// How long before they end credentials are fetched anew; the SDK's own caches do so as early.
const MARGIN: Duration = Duration::from_mins(5);

/// How long credentials that do not end are kept: somebody may have changed the file they are in.
const LONGEST: Duration = Duration::from_mins(15);

/// A provider that gives what it was given until that is nearly over.
pub(crate) struct OwnCredentials {
    chain: SharedCredentialsProvider,
    kept: Mutex<Option<(Credentials, SystemTime)>>,
}

impl OwnCredentials {
    /// Keeps what `chain` gives.
    pub(crate) fn new(chain: SharedCredentialsProvider) -> Self {
        Self { chain, kept: Mutex::new(None) }
    }

    async fn credentials(&self) -> Result {
        // Held while they are fetched: whoever comes meanwhile waits, and asks nobody.
        let mut kept = self.kept.lock().await;
        let now = SystemTime::now();
        if let Some((credentials, until)) = &*kept
            && now < *until
        {
            return Ok(credentials.clone());
        }
        let credentials = self.chain.provide_credentials().await?;
        let until = credentials.expiry().map_or(now + LONGEST, |end| end - MARGIN);
        *kept = Some((credentials.clone(), until));
        Ok(credentials)
    }
}

impl ProvideCredentials for OwnCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

impl fmt::Debug for OwnCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnCredentials").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// A chain that counts how often it is asked, and gives credentials that last so long.
    #[derive(Debug, Clone)]
    struct Counting(Arc<AtomicUsize>, Option<Duration>);

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let asked = self.0.fetch_add(1, Ordering::SeqCst);
            let expiry = self.1.map(|lasts| SystemTime::now() + lasts);
            future::ProvideCredentials::ready(Ok(Credentials::new(
                format!("AKIA{asked}"),
                "s",
                None,
                expiry,
                "test",
            )))
        }
    }

    async fn asked_in_ten(lasts: Option<Duration>) -> usize {
        let count = Arc::new(AtomicUsize::new(0));
        let own = OwnCredentials::new(SharedCredentialsProvider::new(Counting(count.clone(), lasts)));
        let all = futures::future::join_all((0..10).map(|_| own.provide_credentials())).await;
        assert!(all.iter().all(std::result::Result::is_ok));
        count.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn the_chain_is_asked_once_until_its_credentials_are_nearly_over() {
        assert_eq!(asked_in_ten(None).await, 1);
        assert_eq!(asked_in_ten(Some(Duration::from_hours(1))).await, 1);
        assert_eq!(asked_in_ten(Some(Duration::from_mins(4))).await, 10, "they are over too soon to be kept");
    }
}
