// SPDX-License-Identifier: Apache-2.0
//! Buckets and objects. Names are unique over all accounts, as in AWS.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use hyper::header::{HeaderName, HeaderValue};
use md5::{Digest as _, Md5};

use crate::sqs::hex;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub body: Bytes,
    /// User metadata, names without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// The content type, where one was given.
    pub content_type: Option<String>,
    /// The MD5 of the body, in hex, without quotes.
    pub etag: String,
    pub modified: DateTime<Utc>,
    /// The header of the checksum that it was uploaded with, or that S3 made of it.
    pub(crate) checksum: Option<(HeaderName, HeaderValue)>,
}

impl Object {
    pub(crate) fn new(
        body: Bytes,
        metadata: BTreeMap<String, String>,
        content_type: Option<String>,
        modified: DateTime<Utc>,
    ) -> Self {
        let etag = hex(&Md5::digest(&body));
        Self { body, metadata, content_type, etag, modified, checksum: None }
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the object is not UTF-8")
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct NewBucket<'a> {
    pub(crate) account: &'a str,
    pub(crate) name: &'a str,
    pub(crate) region: &'a str,
    pub(crate) created: DateTime<Utc>,
    pub(crate) is_directory: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct StoredBucket {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) created: DateTime<Utc>,
    /// It is one of S3 Express, which `ListBuckets` does not name.
    pub(crate) is_directory: bool,
    /// `ListBuckets` gives no region for it.
    pub(crate) region_unlisted: bool,
    pub(crate) objects: BTreeMap<String, Arc<Object>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// `If-None-Match: *`.
    Absent,
    /// `If-Match: "…"`.
    Match(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotWritten {
    NoSuchBucket,
    NoSuchKey,
    PreconditionFailed,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) buckets: HashMap<String, StoredBucket>,
    by_account: HashMap<String, BTreeSet<String>>,
    /// The regions that do not have S3 Express.
    pub(crate) without_directories: HashSet<String>,
}

impl State {
    /// The account's buckets by name, from `after`, exclusive.
    pub(crate) fn of<'a>(
        &'a self,
        account: &str,
        after: &str,
    ) -> impl Iterator<Item = (&'a String, &'a StoredBucket)> {
        let from = (Bound::Excluded(after.to_owned()), Bound::Unbounded);
        self.by_account
            .get(account)
            .map(|names| names.range(from))
            .into_iter()
            .flatten()
            .filter_map(|name| self.buckets.get(name).map(|bucket| (name, bucket)))
    }

    /// How many of the account's buckets `ListBuckets` names.
    pub(crate) fn count(&self, account: &str) -> usize {
        self.of(account, "").filter(|(_, bucket)| !bucket.is_directory).count()
    }
}

#[derive(Default)]
pub(crate) struct Buckets {
    state: RwLock<State>,
}

impl Buckets {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a bucket; one of the same name is replaced, and keeps its objects.
    pub(crate) fn insert(&self, new: &NewBucket<'_>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let replaced = state.buckets.remove(new.name);
        if let Some(names) = replaced.as_ref().and_then(|old| state.by_account.get_mut(&old.account)) {
            names.remove(new.name);
        }
        let bucket = StoredBucket {
            account: new.account.to_owned(),
            region: new.region.to_owned(),
            created: new.created,
            is_directory: new.is_directory,
            region_unlisted: false,
            objects: replaced.map(|old| old.objects).unwrap_or_default(),
        };
        state.buckets.insert(new.name.to_owned(), bucket);
        state.by_account.entry(new.account.to_owned()).or_default().insert(new.name.to_owned());
    }

    pub(crate) fn remove(&self, name: &str) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = state.buckets.remove(name)
            && let Some(names) = state.by_account.get_mut(&bucket.account)
        {
            names.remove(name);
        }
    }

    /// Makes a region one that does not have S3 Express.
    pub(crate) fn without_directories(&self, region: &str) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.without_directories.insert(region.to_owned());
    }

    /// Changes a bucket, if it exists.
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut StoredBucket)) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = state.buckets.get_mut(name) {
            change(bucket);
        }
    }

    pub(crate) fn region(&self, name: &str) -> Option<String> {
        self.read().buckets.get(name).map(|bucket| bucket.region.clone())
    }

    pub(crate) fn object(&self, bucket: &str, key: &str) -> Option<Arc<Object>> {
        self.read().buckets.get(bucket)?.objects.get(key).cloned()
    }

    /// Writes an object, if its condition holds: the check and the write are one step.
    pub(crate) fn put(
        &self,
        bucket: &str,
        key: &str,
        object: Object,
        condition: Option<&Condition>,
    ) -> Result<(), NotWritten> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let bucket = state.buckets.get_mut(bucket).ok_or(NotWritten::NoSuchBucket)?;
        match (condition, bucket.objects.get(key)) {
            (None, _) | (Some(Condition::Absent), None) => {}
            // An If-Match on a key that is not there is a 404, not a 412.
            (Some(Condition::Match(_)), None) => return Err(NotWritten::NoSuchKey),
            (Some(Condition::Match(etag)), Some(there)) if *etag == there.etag => {}
            (Some(_), Some(_)) => return Err(NotWritten::PreconditionFailed),
        }
        bucket.objects.insert(key.to_owned(), Arc::new(object));
        Ok(())
    }

    pub(crate) fn delete(&self, bucket: &str, key: &str) {
        self.change(bucket, |bucket| {
            bucket.objects.remove(key);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(body: &'static str) -> Object {
        Object::new(Bytes::from_static(body.as_bytes()), BTreeMap::new(), None, Utc::now())
    }

    #[test]
    fn conditions_are_checked_against_what_is_there() {
        let buckets = Buckets::default();
        buckets.insert(&NewBucket {
            account: "1",
            name: "b",
            region: "eu-west-1",
            created: Utc::now(),
            is_directory: false,
        });
        let first = object("one").etag;
        let put = |body, condition: Condition| buckets.put("b", "k", object(body), Some(&condition));
        assert_eq!(put("one", Condition::Match(first.clone())), Err(NotWritten::NoSuchKey));
        assert_eq!(put("one", Condition::Absent), Ok(()));
        assert_eq!(put("two", Condition::Absent), Err(NotWritten::PreconditionFailed));
        assert_eq!(put("two", Condition::Match(first.clone())), Ok(()));
        assert_eq!(put("three", Condition::Match(first)), Err(NotWritten::PreconditionFailed));
        assert_eq!(buckets.object("b", "k").map(|it| it.text().to_owned()).as_deref(), Some("two"));
        assert_eq!(buckets.put("none", "k", object("x"), None), Err(NotWritten::NoSuchBucket));
    }

    #[test]
    fn an_etag_is_the_md5_of_the_body() {
        assert_eq!(object("hello").etag, "5d41402abc4b2a76b9719d911017c592");
    }
}
