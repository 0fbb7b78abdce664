// SPDX-License-Identifier: Apache-2.0
//! What went wrong in a region, and whether it is asked any further.

use fleet::{AwsError, ErrorKind, datasets::GET_METRIC_DATA};

use crate::{account::session, cloudwatch::rows::Problem};

/// How many `GetMetricData` calls of one region wait for an answer at once. The quota sets the pace, and all
/// of it is kept up with while an answer takes up to a quarter of a second; this bounds what is held of
/// requests and answers where those are slow.
pub(super) const CALLS_AT_ONCE: usize = 12;

/// How many calls may fail in a row for a transient cause, each after all retries of the SDK, before a region is asked no
/// more on the last try. On earlier ones it is the first: what is left is asked for by the next try.
const FAILURES_ON_LAST_TRY: usize = 2 * CALLS_AT_ONCE;

/// Why a collection ended before all was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interruption {
    /// A call failed.
    Aws(AwsError),
    /// It was stopped.
    Stopped,
}

/// What went wrong in a region.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    pub(super) errors: Vec<AwsError>,
    /// Why it was asked no more, if another try may give more.
    pub(super) interruption: Option<Interruption>,
    /// Why it is asked no more.
    pub(super) stopped: Option<Problem>,
    /// How many calls failed in a row.
    failures: usize,
}

impl Trouble {
    /// Takes in an error of a call, and decides whether the region is asked any further.
    pub(super) fn note(&mut self, region: &str, error: AwsError, is_last: bool) {
        self.failures += 1;
        let is_over = session::is_over(&error);
        let patience = if is_last { FAILURES_ON_LAST_TRY } else { 1 };
        if is_over || (error.is_transient() && self.failures >= patience) {
            self.stopped.get_or_insert(problem_of(&error));
        }
        if is_over || (error.is_transient() && !is_last) {
            self.interruption.get_or_insert_with(|| Interruption::Aws(error.clone()));
        }
        // Reported once, however many calls it meets.
        if !self.errors.iter().any(|known| known.code == error.code) {
            tracing::warn!(region, error = %error, "the region could not be asked");
            self.errors.push(error);
        }
    }

    /// Takes in that a call was answered; `transient` is what it answered only in part.
    pub(super) fn answered(&mut self, region: &str, transient: Option<String>, is_last: bool) {
        self.failures = 0;
        if let Some(code) = transient
            && !is_last
        {
            self.interruption.get_or_insert_with(|| Interruption::Aws(unanswered(code, region)));
        }
    }

    /// Takes in that the collection is to end.
    pub(super) fn stop(&mut self) {
        self.stopped.get_or_insert(Problem::Transient("Stopped".into()));
        self.interruption.get_or_insert(Interruption::Stopped);
    }
}

/// What an error of a call means for the rows that it was about.
pub(super) fn problem_of(error: &AwsError) -> Problem {
    match error.kind {
        ErrorKind::Denied if !session::is_over(error) => Problem::Denied,
        ErrorKind::Transient => Problem::Transient(error.code.clone()),
        _ => Problem::Error(error.code.clone()),
    }
}

/// A series that `GetMetricData` answered without its values.
fn unanswered(code: String, region: &str) -> AwsError {
    let message = "CloudWatch answered some series only in part";
    AwsError::new(ErrorKind::Transient, GET_METRIC_DATA, code).message(message).in_region(region)
}

/// Whether an error says that the account has not enabled the region: credentials that STS took are refused. What
/// was never enabled holds nothing.
pub(crate) fn is_not_enabled(error: &AwsError) -> bool {
    error.kind == ErrorKind::Identity && !session::is_over(error)
}
