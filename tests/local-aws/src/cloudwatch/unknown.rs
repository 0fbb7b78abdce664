// SPDX-License-Identifier: Apache-2.0
//! Namespaces that `ListMetrics` was asked for and of which an account has no series anywhere: who asks for a misspelt one,
//! or for one that was not seeded, is answered as AWS answers, by an empty list.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Accounts and namespaces, once they are asked for: looking for them costs time.
#[derive(Default)]
pub(crate) struct UnknownNamespaces {
    found: Mutex<Option<BTreeSet<(String, String)>>>,
}

impl UnknownNamespaces {
    pub(crate) fn begin(&self) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(BTreeSet::new());
    }

    /// Adds a namespace that an account does not have, if they are kept.
    pub(crate) fn add(&self, account: &str, namespace: &str, has: impl FnOnce() -> bool) {
        if let Some(found) = self.found.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            let pair = (account.to_owned(), namespace.to_owned());
            if !found.contains(&pair) && !has() {
                found.insert(pair);
            }
        }
    }

    pub(crate) fn all(&self) -> BTreeSet<(String, String)> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }
}
