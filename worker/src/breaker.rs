//! Whose fault is it? A worker whose own role lacks something would blame every account in turn, and
//! empty the queue into the dead-letter queue. Until it has once succeeded at a thing, it blames itself.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use fleet::{AccountName, AwsError};

use crate::failure::{Failure, OwnFault};

/// How many accounts may refuse a worker before it takes the fault for its own. One whose role is
/// missing is common; so many, with none between, are not.
const REFUSALS: usize = 5;

/// What this worker has been able to do so far.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    has_stored: bool,
    has_assumed: bool,
    refused: HashSet<AccountName>,
}

impl Breaker {
    /// A report was stored.
    pub fn stored(&self) {
        self.known(|known| known.has_stored = true);
    }

    /// An account let the worker's own role in.
    pub fn assumed(&self) {
        self.known(|known| known.has_assumed = true);
    }

    /// The report bucket refused a report, and not this worker as such.
    pub fn report_refused(&self, error: AwsError) -> Failure {
        if self.known(|known| known.has_stored) {
            Failure::ReportBucket(error)
        } else {
            OwnFault::ReportBucket(error).into()
        }
    }

    /// An account did not let the worker's own role in.
    pub fn role_refused(&self, account: &AccountName, error: AwsError) -> Failure {
        let accounts = self.known(|known| {
            known.refused.insert(account.clone());
            if known.has_assumed { 0 } else { known.refused.len() }
        });
        if accounts < REFUSALS {
            Failure::RoleRefused(error)
        } else {
            OwnFault::EveryRole { accounts, source: error }.into()
        }
    }

    fn known<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use fleet::ErrorKind;

    use super::*;

    fn denied() -> AwsError {
        AwsError {
            operation: "sts:AssumeRole",
            code: "AccessDenied".into(),
            message: String::new(),
            kind: ErrorKind::Denied,
        }
    }

    fn refuse(breaker: &Breaker, nth: usize) -> bool {
        let account = format!("account-{nth}").parse().expect("a name");
        matches!(breaker.role_refused(&account, denied()), Failure::Own(_))
    }

    #[test]
    fn a_worker_that_no_account_lets_in_takes_the_fault_for_its_own() {
        let breaker = Breaker::default();
        assert!((0..100).all(|_| !refuse(&breaker, 0)), "one account proves nothing, however often");
        assert_eq!([1, 2, 3, 4, 5].map(|nth| refuse(&breaker, nth)), [false, false, false, true, true]);
    }

    #[test]
    fn a_worker_that_one_account_let_in_blames_the_others() {
        let breaker = Breaker::default();
        breaker.assumed();
        assert!((0..100).all(|nth| !refuse(&breaker, nth)));
    }

    #[test]
    fn a_worker_that_never_stored_a_report_blames_itself_for_one_that_is_refused() {
        let breaker = Breaker::default();
        assert!(matches!(breaker.report_refused(denied()), Failure::Own(_)));
        breaker.stored();
        assert!(matches!(breaker.report_refused(denied()), Failure::ReportBucket(_)));
    }
}
