// SPDX-License-Identifier: Apache-2.0
//! Distinguishes faults of accounts from faults of the worker. A worker that lacks its secrets, its
//! accounts file or a permission of its own would blame every account in turn, and move the whole queue
//! to the dead-letter queue. So it counts the accounts that failed since its last success, for each
//! capability that depends on the worker itself.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use fleet::AccountName;

/// Counts failures of one capability since its last success.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    has_succeeded: bool,
    failed: HashSet<AccountName>,
}

/// The accounts that failed in a row, without a success between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streak {
    pub accounts: usize,
    /// Whether there was a success before.
    pub has_succeeded: bool,
}

impl Breaker {
    /// Records a success.
    pub fn succeeded(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Known { has_succeeded: true, failed: HashSet::new() };
    }

    /// Records a failure for this account.
    pub fn failed(&self, account: &AccountName) -> Streak {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.failed.insert(account.clone());
        Streak { accounts: known.failed.len(), has_succeeded: known.has_succeeded }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(breaker: &Breaker, nth: usize) -> (usize, bool) {
        let streak = breaker.failed(&format!("account-{nth}").parse().expect("a name"));
        (streak.accounts, streak.has_succeeded)
    }

    #[test]
    fn accounts_are_counted_and_not_their_failures() {
        let breaker = Breaker::default();
        assert_eq!([0, 0, 1, 0, 2].map(|nth| fail(&breaker, nth).0), [1, 1, 2, 2, 3]);
    }

    #[test]
    fn a_success_ends_the_streak() {
        let breaker = Breaker::default();
        assert_eq!([0, 1].map(|nth| fail(&breaker, nth)), [(1, false), (2, false)]);
        breaker.succeeded();
        assert_eq!([0, 1].map(|nth| fail(&breaker, nth)), [(1, true), (2, true)]);
    }
}
