//! Whose fault is it? A worker that lacks its secrets, its accounts file or a permission of its own would
//! blame every account in turn, and empty the queue into the dead-letter queue. So it counts how many
//! accounts failed since it last succeeded, of each kind of thing that rests on the worker itself.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use fleet::AccountName;

/// Since the last success, of one kind of thing.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    has_succeeded: bool,
    failed: HashSet<AccountName>,
}

/// How many accounts failed one after the other, with no success between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streak {
    /// How many.
    pub accounts: usize,
    /// Whether there was a success before.
    pub has_succeeded: bool,
}

impl Breaker {
    /// It went well with an account.
    pub fn succeeded(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Known { has_succeeded: true, failed: HashSet::new() };
    }

    /// It did not with this one.
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
