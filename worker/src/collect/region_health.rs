// SPDX-License-Identifier: Apache-2.0
//! The errors of a region, and whether to continue querying it.

use fleet::{AwsError, ErrorKind, datasets::GET_METRIC_DATA};

use crate::{account::session, cloudwatch::rows::Problem};

/// The maximum number of `GetMetricData` calls in flight in a region. The quota limits their rate, and can be used up as
/// long as a response takes at most a quarter of a second. If responses are slower, this limits memory.
pub(super) const CALLS_AT_ONCE: usize = 12;

/// How many calls in a row may fail with a transient error, each after all retries of the SDK, before the last attempt
/// gives up a region. Earlier attempts give it up at the first, since the next attempt queries the rest.
const FAILURES_ON_LAST_ATTEMPT: usize = 2 * CALLS_AT_ONCE;

/// Why a collection ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interruption {
    Aws(AwsError),
    /// It had to stop.
    Stopped,
}

/// The errors of a region.
#[derive(Debug, Default)]
pub(super) struct RegionHealth {
    pub(super) errors: Vec<AwsError>,
    /// Why it is not complete, if a retry may collect more.
    pub(super) interruption: Option<Interruption>,
    /// The problem of all rows that are not queried any more.
    pub(super) stopped: Option<Problem>,
    /// Failed calls in a row.
    failures: usize,
}

impl RegionHealth {
    /// Records the error of a call, and decides whether to continue.
    pub(super) fn record_error(&mut self, region: &str, error: AwsError, is_last: bool) {
        self.failures += 1;
        let ends_session = session::ends_session(&error);
        let max_failures = if is_last { FAILURES_ON_LAST_ATTEMPT } else { 1 };
        if ends_session || (error.is_transient() && self.failures >= max_failures) {
            self.stopped.get_or_insert(problem_of(&error));
        }
        if ends_session || (error.is_transient() && !is_last) {
            self.interruption.get_or_insert_with(|| Interruption::Aws(error.clone()));
        }
        // Reported once, no matter how many calls fail.
        if !self.errors.iter().any(|known| known.code == error.code) {
            tracing::warn!(region, error = %error, "the region could not be asked");
            self.errors.push(error);
        }
    }

    /// Records that a call succeeded; `transient` is the code of a partial result in it.
    pub(super) fn record_success(&mut self, region: &str, transient: Option<String>, is_last: bool) {
        self.failures = 0;
        if let Some(code) = transient
            && !is_last
        {
            self.interruption.get_or_insert_with(|| Interruption::Aws(partial(code, region)));
        }
    }

    /// Records that the collection must end.
    pub(super) fn stop(&mut self) {
        self.stopped.get_or_insert(Problem::Transient("Stopped".into()));
        self.interruption.get_or_insert(Interruption::Stopped);
    }
}

/// The problem of the rows that a failed call was for.
pub(super) fn problem_of(error: &AwsError) -> Problem {
    match error.kind {
        ErrorKind::Denied if !session::ends_session(error) => Problem::Denied,
        ErrorKind::Transient => Problem::Transient(error.code.clone()),
        _ => Problem::Error(error.code.clone()),
    }
}

/// The error for a series with a partial result.
fn partial(code: String, region: &str) -> AwsError {
    let message = "CloudWatch returned only a part of some series";
    AwsError::new(ErrorKind::Transient, GET_METRIC_DATA, code).message(message).in_region(region)
}

/// Whether an error means that the account has not enabled the region: it refuses credentials that STS accepts. Such a
/// region has no resources.
pub(crate) fn is_not_enabled(error: &AwsError) -> bool {
    error.kind == ErrorKind::Identity && !session::ends_session(error)
}
