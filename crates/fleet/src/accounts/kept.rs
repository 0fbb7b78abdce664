// SPDX-License-Identifier: Apache-2.0
//! The accounts file of a long-running process: it is read again while the process runs, so that a new
//! account needs no restart.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use aws_config::SdkConfig;
use tokio::{sync::Mutex, time::Instant};

use super::{Account, Accounts};
use crate::{
    AccountId, AccountName, AwsError,
    place::{Place, Version, transient},
};

/// How often to check whether the file has changed, while accounts are looked up.
const EVERY: Duration = Duration::from_mins(3);

/// The last valid version of the accounts file.
#[derive(Debug)]
pub struct KeptAccounts {
    /// The file's location; `None` if there is no file.
    place: Option<Place>,
    read: Mutex<LastRead>,
    current: RwLock<Arc<Accounts>>,
}

#[derive(Debug)]
struct LastRead {
    at: Instant,
    version: Option<Version>,
}

/// Accounts without a file that could change.
impl From<Accounts> for KeptAccounts {
    fn from(accounts: Accounts) -> Self {
        let read = Mutex::new(LastRead { at: Instant::now(), version: None });
        Self { place: None, read, current: RwLock::new(Arc::new(accounts)) }
    }
}

impl KeptAccounts {
    /// Reads the accounts file, if there is one. If it is in S3, `owner` must own its bucket.
    pub async fn open(
        location: Option<&str>,
        owner: Option<&AccountId>,
        config: &SdkConfig,
    ) -> anyhow::Result<Self> {
        let Some(location) = location else { return Ok(Accounts::default().into()) };
        let place = Place::find("accounts file", location, owner, config).await?;
        let (accounts, version) = Accounts::load(location, &place).await?;
        let read = Mutex::new(LastRead { at: Instant::now(), version });
        Ok(Self { place: Some(place), read, ..accounts.into() })
    }

    #[must_use]
    pub fn current(&self) -> Arc<Accounts> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The current accounts, for a process that needs no later version.
    #[must_use]
    pub fn into_current(self) -> Accounts {
        Arc::unwrap_or_clone(self.current.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks up an account. Checks the file first if that is due, and at once if the account is unknown.
    ///
    /// # Errors
    ///
    /// If the account is unknown and the file can't be read now.
    pub async fn find(&self, name: &AccountName) -> Result<Option<Account>, AwsError> {
        let asked = Instant::now();
        let Some(place) = &self.place else { return Ok(self.current().get(name)) };
        // Another call that reads it now is enough.
        if let Ok(mut read) = self.read.try_lock()
            && read.at.elapsed() >= EVERY
        {
            // An account that is known is used, whatever the result of the check.
            let _ = self.read_again(place, &mut read).await;
        }
        if let Some(account) = self.current().get(name) {
            return Ok(Some(account));
        }
        let mut read = self.read.lock().await;
        if read.at < asked {
            self.read_again(place, &mut read).await?;
        }
        Ok(self.current().get(name))
    }

    /// The accounts as the file has them now. A file that is invalid changes nothing.
    ///
    /// # Errors
    ///
    /// If it can't be read now.
    pub async fn latest(&self) -> Result<Arc<Accounts>, AwsError> {
        if let Some(place) = &self.place {
            let mut read = self.read.lock().await;
            self.read_again(place, &mut read).await?;
        }
        Ok(self.current())
    }

    /// Reads the file if it has changed. A file that can't be read or is invalid changes nothing.
    async fn read_again(&self, place: &Place, read: &mut LastRead) -> Result<(), AwsError> {
        read.at = Instant::now();
        match place.read(read.version.as_ref()).await {
            Ok(None) => {}
            Ok(Some((text, version))) => match Accounts::parse(&text) {
                Ok(accounts) => {
                    accounts.log_warnings();
                    tracing::info!(accounts = accounts.iter().count(), "the accounts file has changed");
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(accounts);
                    read.version = Some(version);
                }
                Err(invalid) => tracing::error!(
                    "the accounts file has changed but is not valid, so the previous version stays in use: {invalid}"
                ),
            },
            Err(error) => {
                tracing::error!(
                    "the accounts file can't be read now, so the previous version stays in use: {error:#}"
                );
                return transient(&error).map_or(Ok(()), Err);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::{Client, operation::get_object::GetObjectOutput};
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use aws_smithy_runtime_api::{client::orchestrator::HttpResponse, http::StatusCode};
    use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
    use tokio::time::advance;

    use super::*;
    use crate::place::Location;

    fn accounts(names: &[&str]) -> String {
        names.iter().fold(String::new(), |text, name| format!("{text}[[account]]\nname = '{name}'\n"))
    }

    async fn knows(kept: &KeptAccounts, name: &str) -> bool {
        kept.find(&name.parse().expect("a name")).await.expect("read").is_some()
    }

    #[tokio::test]
    async fn an_account_added_to_a_file_is_known_at_once_and_an_invalid_file_changes_nothing() {
        let folder = std::env::temp_dir().join(format!("kept-accounts-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("accounts.toml");
        let write = |text: &str| std::fs::write(&path, text).expect("written");
        write(&accounts(&["a"]));
        let location = path.to_str().expect("UTF-8");
        let kept =
            KeptAccounts::open(Some(location), None, &SdkConfig::builder().build()).await.expect("valid");
        assert!(knows(&kept, "a").await && !knows(&kept, "b").await);
        write(&accounts(&["a", "b"]));
        assert!(knows(&kept, "b").await);
        write("[[account]]\nname = 'c/d'\n");
        assert!(!knows(&kept, "c").await && knows(&kept, "a").await && knows(&kept, "b").await);
        std::fs::remove_file(&path).expect("removed");
        assert!(!knows(&kept, "c").await && knows(&kept, "b").await);
        write(&accounts(&["c"]));
        assert!(knows(&kept, "c").await && !knows(&kept, "a").await);
        write(&accounts(&["c", "d"]));
        assert_eq!(kept.latest().await.expect("read").iter().count(), 2, "without asking for either");
        std::fs::remove_dir_all(&folder).expect("removed");
    }

    fn object_at(client: Client) -> Place {
        let at = Location::Object { client, bucket: "b".into(), key: "k".into(), owner: None };
        Place { file: "accounts file", at }
    }

    fn object(etag: &str, names: &[&str]) -> GetObjectOutput {
        let body = ByteStream::from(accounts(names).into_bytes());
        GetObjectOutput::builder().e_tag(etag).body(body).build()
    }

    /// A response of S3, which always has a request ID.
    fn answer(status: u16) -> HttpResponse {
        let mut answer = HttpResponse::new(StatusCode::try_from(status).expect("a status"), SdkBody::empty());
        answer.headers_mut().insert("x-amz-request-id", "ABCDEF0123456789");
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_is_asked_for_by_its_etag_every_few_minutes() {
        let first = mock!(Client::get_object)
            .match_requests(|request| request.if_none_match().is_none())
            .then_output(|| object("one", &["a"]));
        let again = mock!(Client::get_object)
            .match_requests(|request| request.if_none_match() == Some("one"))
            .sequence()
            .http_status(304, None)
            .output(|| object("two", &["a", "b"]))
            .build();
        let broken = mock!(Client::get_object)
            .match_requests(|request| request.if_none_match() == Some("two"))
            .then_http_response(|| answer(403));
        let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&first, &again, &broken]);
        let place = object_at(client);
        let (current, version) = Accounts::load("s3://b/k", &place).await.expect("valid");
        let read = Mutex::new(LastRead { at: Instant::now(), version });
        let kept = KeptAccounts { place: Some(place), read, current: RwLock::new(Arc::new(current)) };

        advance(EVERY.saturating_sub(Duration::from_secs(1))).await;
        assert!(knows(&kept, "a").await);
        assert_eq!(again.num_calls(), 0, "it is not due");
        advance(Duration::from_secs(1)).await;
        assert!(knows(&kept, "a").await);
        assert_eq!((again.num_calls(), kept.current().iter().count()), (1, 1), "it has not changed");
        advance(EVERY).await;
        assert!(knows(&kept, "a").await);
        assert_eq!((again.num_calls(), kept.current().iter().count()), (2, 2));
        advance(EVERY).await;
        assert!(knows(&kept, "b").await, "the previous version is used");
        assert_eq!(broken.num_calls(), 1);
        advance(Duration::from_millis(1)).await;
        assert!(!knows(&kept, "c").await, "it is looked for at once");
        assert_eq!((first.num_calls(), broken.num_calls()), (1, 2));
    }

    #[tokio::test]
    async fn an_unknown_account_is_a_transient_error_while_the_file_cannot_be_read() {
        let first = mock!(Client::get_object)
            .match_requests(|request| request.if_none_match().is_none())
            .then_output(|| object("one", &["a"]));
        let outage = mock!(Client::get_object)
            .match_requests(|request| request.if_none_match().is_some())
            .then_http_response(|| answer(503));
        let client = mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&first, &outage]);
        let place = object_at(client);
        let (current, version) = Accounts::load("s3://b/k", &place).await.expect("valid");
        let read = Mutex::new(LastRead { at: Instant::now(), version });
        let kept = KeptAccounts { place: Some(place), read, current: RwLock::new(Arc::new(current)) };
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(kept.find(&"b".parse().expect("a name")).await.is_err_and(|error| error.is_transient()));
        assert!(knows(&kept, "a").await);
    }
}
