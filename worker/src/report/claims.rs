// SPDX-License-Identifier: Apache-2.0
//! Claims on reports, so that of several jobs that complete the same windows only one pays for them: after an outage of the
//! workers a schedule has left a copy of its job for each tick. A claim is an object in the report bucket with an end, which
//! its owner keeps putting off; that of a worker which was killed ends by itself.
//!
//! Claims save money and decide nothing: what a report may replace is decided when it is written.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use engine::Attempt;
use fleet::{from_sdk, report_bucket::ReportBucket, report_key};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// How long a claim lasts if it is not renewed.
const LIFETIME: TimeDelta = TimeDelta::minutes(2);

/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(30);

/// The longest pause before a claim of another job is looked at again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a job waits for another one before it returns to the queue.
const PATIENCE: Duration = Duration::from_mins(5);

/// The maximum number of claims that are written at once.
const AT_ONCE: usize = 16;

/// What is stored of a claim.
#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    owner: String,
    until: DateTime<Utc>,
}

/// The claims of a job.
#[derive(Debug)]
pub(super) struct Claims<'a> {
    bucket: &'a ReportBucket,
    owner: String,
    held: Mutex<Vec<Held>>,
}

/// A claim, as this job has written it.
#[derive(Debug, Clone)]
struct Held {
    key: String,
    version: String,
}

impl<'a> Claims<'a> {
    pub(super) fn new(bucket: &'a ReportBucket) -> Self {
        let owner = format!("{:032x}", fastrand::u128(..));
        Self { bucket, owner, held: Mutex::default() }
    }

    /// Claims the reports under these keys, in order; each answer is whether it is claimed now. If the first is another
    /// job's, none is: that job is probably about the others as well.
    pub(super) async fn take(&self, keys: Vec<String>) -> Result<Vec<bool>, Failure> {
        let count = keys.len();
        let mut keys = keys.into_iter();
        let Some(first) = keys.next() else { return Ok(Vec::new()) };
        if !self.take_one(first).await? {
            return Ok(vec![false; count]);
        }
        let mut taken = vec![true];
        let mut rest = stream::iter(keys).map(|key| self.take_one(key)).buffered(AT_ONCE);
        while let Some(is_taken) = rest.try_next().await? {
            taken.push(is_taken);
        }
        Ok(taken)
    }

    async fn take_one(&self, key: String) -> Result<bool, Failure> {
        let key = report_key::claim(&key);
        let known = match self.write(&key, None).await? {
            Some(version) => return Ok(self.hold(key, version)),
            None => self.read(&key).await?,
        };
        let version = match known {
            Some((_, until)) if until > self.bucket.now() => return Ok(false),
            Some((version, _)) => self.write(&key, Some(&version)).await?,
            // It was released meanwhile.
            None => self.write(&key, None).await?,
        };
        Ok(version.is_some_and(|version| self.hold(key, version)))
    }

    /// Runs what is claimed, and renews the claims meanwhile. One that can't be renewed ends: the work is paid for already.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let renewing = async {
            loop {
                tokio::time::sleep(RENEWAL).await;
                self.renew().await;
            }
        };
        tokio::select! {
            done = work => done,
            () = renewing => unreachable!("it never ends"),
        }
    }

    async fn renew(&self) {
        let renewed = stream::iter(self.held()).map(|Held { key, version }| async move {
            match self.write(&key, Some(&version)).await {
                Ok(Some(version)) => Some(Held { key, version }),
                Ok(None) => None,
                Err(failure) => {
                    tracing::warn!(key, error = %failure, "a claim could not be renewed");
                    Some(Held { key, version })
                }
            }
        });
        let renewed = renewed.buffered(AT_ONCE).filter_map(|held| async move { held }).collect().await;
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
    }

    /// Deletes the claims. One that can't be deleted ends by itself.
    pub(super) async fn release(self) {
        let released = stream::iter(self.held()).map(|Held { key, .. }| async move {
            let deleted = self.bucket.client.delete_object().bucket(&self.bucket.name).key(&key).send().await;
            if let Err(error) = deleted {
                let error = from_sdk("s3:DeleteObject", error);
                tracing::warn!(key, error = %error, "a claim could not be deleted; it ends within {LIFETIME}");
            }
        });
        released.buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    /// Waits until the report under a key is not claimed any more.
    pub(super) async fn wait(bucket: &'a ReportBucket, key: &str, attempt: &Attempt) -> Result<(), Failure> {
        let claims = Self::new(bucket);
        let claim = report_key::claim(key);
        tracing::info!(key, "another job collects this report; waiting for it");
        let is_free = async {
            let mut pause = Duration::from_millis(250);
            loop {
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
                match claims.read(&claim).await? {
                    Some((_, until)) if until > bucket.now() => {}
                    _ => return Ok(()),
                }
            }
        };
        tokio::select! {
            waited = tokio::time::timeout(PATIENCE, is_free) => {
                waited.unwrap_or_else(|_| Err(Failure::Claimed(key.to_owned())))
            }
            () = attempt.stop().cancelled() => Err(Failure::Claimed(key.to_owned())),
        }
    }

    /// The version of a claim, and its end. One that can't be read has ended.
    async fn read(&self, key: &str) -> Result<Option<(String, DateTime<Utc>)>, Failure> {
        let record = self.bucket.record::<Claim>(key).await.map_err(Failure::ReportBucket)?;
        let until = |claim: Option<Claim>| claim.map_or(DateTime::UNIX_EPOCH, |claim| claim.until);
        Ok(record.map(|(version, claim)| (version, until(claim))))
    }

    /// Writes a claim if its version is this one still, and returns its new version if it was.
    async fn write(&self, key: &str, version: Option<&str>) -> Result<Option<String>, Failure> {
        let claim = Claim { owner: self.owner.clone(), until: self.bucket.now() + LIFETIME };
        self.bucket.put_record(key, version, &claim).await.map_err(Failure::ReportBucket)
    }

    fn hold(&self, key: String, version: String) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).push(Held { key, version });
        true
    }

    fn held(&self) -> Vec<Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
