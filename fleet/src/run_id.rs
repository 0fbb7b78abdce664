//! Which run a job and its report belong to.

use std::{fmt, str::FromStr, sync::Mutex};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::{ContextV7, Timestamp, Uuid};

use crate::account::shorten;

/// The longest run id, in characters.
const MAX_LENGTH: usize = 64;

/// What keeps the ids of one process in their order, also if they are of the same moment.
static ORDER: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// The name of a run: `^[A-Za-z0-9._-]{1,64}$`.
///
/// The producer's are `UUIDv7`, so that their order as text is their order in time. A job sent by
/// hand without one gets `manual-` and the beginning of its message id; such a run has no place in
/// time, and is neither earlier nor later than another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// A text that is no run id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("run id {0:?} is not well-formed; it takes 1 to 64 letters, digits, '.', '_' and '-'")]
pub struct InvalidRunId(String);

impl RunId {
    /// Names something that no run of another process is compared with: its time is that of this machine.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// Names a new run that begins now, by the report bucket's clock: later than every run that this process named
    /// so before.
    #[must_use]
    pub fn generate_at(now: DateTime<Utc>) -> Self {
        let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
        let timestamp = Timestamp::from_unix(&ORDER, seconds, now.timestamp_subsec_nanos());
        Self(Uuid::new_v7(timestamp).to_string())
    }

    /// Names the run of a job that was sent by hand, after its message: the first eight letters
    /// and digits of the message id, so that each delivery of the message gives the same name.
    #[must_use]
    pub fn manual(message_id: &str) -> Self {
        let stem: String = message_id.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        Self(format!("manual-{stem}"))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `other`, or a run that the producer began after `other`.
    #[must_use]
    pub fn is_or_follows(&self, other: &Self) -> bool {
        self == other || self.follows(other)
    }

    /// Whether this is a run that the producer began after `other`; false where either has no
    /// place in time.
    #[must_use]
    pub fn follows(&self, other: &Self) -> bool {
        match (self.time_ordered(), other.time_ordered()) {
            (Some(this), Some(other)) => this > other,
            _ => false,
        }
    }

    /// Whether the producer made it, so that it has a place in time.
    #[must_use]
    pub fn is_generated(&self) -> bool {
        self.time_ordered().is_some()
    }

    /// When the run was named, by the report bucket's clock; `None` if the producer did not name it.
    #[must_use]
    pub fn time(&self) -> Option<DateTime<Utc>> {
        let (seconds, nanos) = self.time_ordered()?.get_timestamp()?.to_unix();
        DateTime::from_timestamp(seconds.try_into().ok()?, nanos)
    }

    fn time_ordered(&self) -> Option<Uuid> {
        Uuid::try_parse(&self.0).ok().filter(|id| id.get_version_num() == 7)
    }
}

impl FromStr for RunId {
    type Err = InvalidRunId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = (1..=MAX_LENGTH).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if well_formed { Ok(Self(text.to_owned())) } else { Err(InvalidRunId(shorten(text))) }
    }
}

impl TryFrom<String> for RunId {
    type Error = InvalidRunId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_ids_sort_by_time() {
        let ids: Vec<_> = (0..1000).map(|_| RunId::generate()).collect();
        assert!(ids.windows(2).all(|pair| pair[1].follows(&pair[0]) && !pair[0].follows(&pair[1])));
        assert!(ids.windows(2).all(|pair| pair[1].as_str() > pair[0].as_str()));
        assert!(ids[0].is_or_follows(&ids[0]));
    }

    #[test]
    fn ids_of_a_moment_have_its_time_and_keep_their_order() {
        let now: DateTime<Utc> = "2026-11-04T12:00:00.123Z".parse().expect("a moment");
        let mut ids: Vec<_> = (0..1000).map(|_| RunId::generate_at(now)).collect();
        assert!(ids.iter().all(|id| id.time() == Some(now)));
        // A clock that is set back does not make a later run an earlier one.
        ids.push(RunId::generate_at(now - chrono::TimeDelta::hours(1)));
        assert!(ids.windows(2).all(|pair| pair[1].follows(&pair[0]) && pair[1].as_str() > pair[0].as_str()));
        let later = RunId::generate_at(now + chrono::TimeDelta::milliseconds(1));
        assert!(later.follows(&ids[1000]));
        assert_eq!(RunId::manual("0a1b2c3d").time(), None);
    }

    #[test]
    fn a_manual_run_has_no_place_in_time() {
        let manual = RunId::manual("e2f1c0de-1111-2222-3333-444455556666");
        let run = RunId::generate();
        assert_eq!(manual.as_str(), "manual-e2f1c0de");
        assert!(!manual.follows(&run) && !run.follows(&manual));
        assert!(manual.is_or_follows(&manual));
    }

    #[test]
    fn a_manual_run_is_well_formed_whatever_the_message_id() {
        for id in ["", "../../..", "é\n", "0123456789"] {
            assert!(RunId::manual(id).as_str().parse::<RunId>().is_ok(), "{id:?}");
        }
    }

    #[test]
    fn refuses_what_could_reach_a_key() {
        for text in ["", "a/b", "a b", "a\n", &"x".repeat(65)] {
            assert!(text.parse::<RunId>().is_err(), "{text:?}");
        }
    }
}
