// SPDX-License-Identifier: Apache-2.0
//! The ID of the run that a job and its report belong to.

use std::{fmt, str::FromStr, sync::Mutex};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::{ContextV7, Timestamp, Uuid};

use crate::account::shorten;

/// The maximum length of a run ID, in characters.
const MAX_LENGTH: usize = 64;

/// Keeps the IDs of one process in order, even within the same millisecond.
static ORDER: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// The ID of a run: `^[A-Za-z0-9._-]{1,64}$`.
///
/// The producer's IDs are `UUIDv7`, so that they sort by time. A job sent without a run ID gets
/// `manual-` and the beginning of its message ID; such a run is not time-ordered: it is neither earlier
/// nor later than another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// The error for a text that is not a run ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("run id {0:?} is not well-formed; it takes 1 to 64 letters, digits, '.', '_' and '-'")]
pub struct InvalidRunId(String);

impl RunId {
    /// An ID that is never compared with those of other processes: its time is this machine's.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// The ID of a run that begins now, by the report bucket's clock: later than every ID that this
    /// process has made so before.
    #[must_use]
    pub fn generate_at(now: DateTime<Utc>) -> Self {
        let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
        let timestamp = Timestamp::from_unix(&ORDER, seconds, now.timestamp_subsec_nanos());
        Self(Uuid::new_v7(timestamp).to_string())
    }

    /// The ID of a run whose start was scheduled for this time. The same time and request give the same
    /// ID, so that a second delivery of the start finds the first one's run. `request` is a digest of
    /// the request.
    #[must_use]
    pub fn scheduled(at: DateTime<Utc>, request: [u8; 10]) -> Self {
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or_default();
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &request).into_uuid().to_string())
    }

    /// The ID for a job sent without the producer, from the first eight letters and digits of its
    /// message ID, so that each delivery of the message gives the same run ID.
    #[must_use]
    pub fn manual(message_id: &str) -> Self {
        let stem: String = message_id.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        Self(format!("manual-{stem}"))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `other`, or a run that the producer began after `other`.
    #[must_use]
    pub fn is_or_follows(&self, other: &Self) -> bool {
        self == other || self.follows(other)
    }

    /// Whether this is a run that the producer began after `other`; `false` if either is not
    /// time-ordered.
    #[must_use]
    pub fn follows(&self, other: &Self) -> bool {
        match (self.time_ordered(), other.time_ordered()) {
            (Some(this), Some(other)) => this > other,
            _ => false,
        }
    }

    /// Whether the producer made it, so that it is time-ordered.
    #[must_use]
    pub fn is_generated(&self) -> bool {
        self.time_ordered().is_some()
    }

    /// When the run began, by the report bucket's clock; `None` if the producer did not make the ID.
    #[must_use]
    pub fn time(&self) -> Option<DateTime<Utc>> {
        let (seconds, nanos) = self.time_ordered()?.get_timestamp()?.to_unix();
        DateTime::from_timestamp(seconds.try_into().ok()?, nanos)
    }

    fn time_ordered(&self) -> Option<Uuid> {
        Uuid::try_parse(&self.0).ok().filter(|id| id.get_version_num() == 7)
    }
}

/// A run as a user gives it: its ID or an unambiguous prefix, in any case if the producer made the ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunQuery(RunId);

/// Several runs have this prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "run id {beginning}… matches {number} runs; give more of it:{list}",
    number = candidates.len(),
    list = listed(candidates)
)]
pub struct AmbiguousRun {
    /// The given prefix.
    pub beginning: RunId,
    /// The runs whose IDs have this prefix.
    pub candidates: Vec<RunId>,
}

/// The maximum number of candidates to list.
const MOST_CANDIDATES: usize = 10;

fn listed(candidates: &[RunId]) -> String {
    let mut list =
        candidates.iter().take(MOST_CANDIDATES).fold(String::new(), |list, id| list + "\n  " + id.as_str());
    if candidates.len() > MOST_CANDIDATES {
        list.push_str(&format!("\n  and {} more", candidates.len() - MOST_CANDIDATES));
    }
    list
}

impl RunQuery {
    /// The minimum length of a prefix.
    pub const SHORTEST: usize = 8;

    /// The ID or prefix, in the notation of the producer's IDs.
    #[must_use]
    pub fn beginning(&self) -> String {
        self.0.as_str().to_ascii_lowercase()
    }

    /// The earliest and the latest time of a producer's ID with this prefix.
    #[must_use]
    pub fn times(&self) -> [DateTime<Utc>; 2] {
        let digits: String = self.beginning().chars().filter(char::is_ascii_hexdigit).take(12).collect();
        ['0', 'f'].map(|filler| {
            let all = format!("{digits}{}", filler.to_string().repeat(12 - digits.len()));
            let millis = i64::from_str_radix(&all, 16).unwrap_or_default();
            DateTime::from_timestamp_millis(millis).unwrap_or_default()
        })
    }

    /// Whether this may be the run.
    #[must_use]
    pub fn may_be(&self, id: &RunId) -> bool {
        self.is(id)
            || (self.0.as_str().len() >= Self::SHORTEST
                && self.written_as(id).is_some_and(|given| id.0.starts_with(&given)))
    }

    fn is(&self, id: &RunId) -> bool {
        self.written_as(id).as_deref() == Some(id.as_str())
    }

    /// The query in the notation of this ID.
    fn written_as(&self, id: &RunId) -> Option<String> {
        let given = if id.is_generated() { self.beginning() } else { self.0.0.clone() };
        (given.len() <= id.0.len()).then_some(given)
    }

    /// The run that the query matches among the known ones; `None` if there is none.
    pub fn choose<'a>(
        &self,
        known: impl IntoIterator<Item = &'a RunId>,
    ) -> Result<Option<RunId>, AmbiguousRun> {
        let mut candidates: Vec<RunId> = Vec::new();
        for id in known {
            if self.is(id) {
                return Ok(Some(id.clone()));
            }
            if self.may_be(id) && !candidates.contains(id) {
                candidates.push(id.clone());
            }
        }
        if candidates.len() > 1 {
            return Err(AmbiguousRun { beginning: self.0.clone(), candidates });
        }
        Ok(candidates.pop())
    }

    /// Refuses a query that is neither the ID of a producer's run nor a prefix of one: no other run has
    /// a manifest.
    pub fn require_producer_run(self) -> Result<Self, String> {
        const FORM: &[u8] = b"xxxxxxxx-xxxx-7xxx-xxxx-xxxxxxxxxxxx";
        let given = self.0.as_str();
        let fits = given.len() <= FORM.len()
            && given.bytes().zip(FORM).all(|(byte, form)| match form {
                b'x' => byte.is_ascii_hexdigit(),
                _ => byte == *form,
            });
        if given.starts_with("manual-") {
            Err(format!(
                "run {given} was not sent by the producer, so it has no status; `producer failed` shows its dead letters"
            ))
        } else if !fits {
            Err(format!("{given:?} is not the id of a run, such as 019a6b0c-1111-7222-8333-444455556666"))
        } else if given.len() < Self::SHORTEST {
            Err(format!(
                "{given:?} is too short; give at least {} characters of the run's id",
                Self::SHORTEST
            ))
        } else {
            Ok(self)
        }
    }
}

impl FromStr for RunQuery {
    type Err = InvalidRunId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl From<RunId> for RunQuery {
    fn from(id: RunId) -> Self {
        Self(id)
    }
}

impl fmt::Display for RunQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
    fn a_scheduled_start_has_one_run_however_often_it_is_delivered() {
        let at: DateTime<Utc> = "2026-12-02T18:00:00Z".parse().expect("a moment");
        let run = RunId::scheduled(at, [7; 10]);
        assert_eq!(run, RunId::scheduled(at, [7; 10]));
        assert_eq!((run.time(), run.is_generated()), (Some(at), true));
        assert_ne!(run, RunId::scheduled(at, [8; 10]));
        assert!(RunId::scheduled(at + chrono::TimeDelta::seconds(1), [0; 10]).follows(&run));
    }

    #[test]
    fn a_manual_run_is_not_time_ordered() {
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

    fn query(text: &str) -> RunQuery {
        text.parse().expect("well-formed")
    }

    #[test]
    fn a_run_is_found_in_any_case_and_by_its_prefix() {
        let id = |text: &str| text.parse::<RunId>().expect("a run id");
        let known = [
            id("01a22a71-058f-74e7-8000-000000000001"),
            id("01a22a71-058f-74e7-8000-000000000002"),
            id("01a22a72-0000-7000-8000-000000000000"),
            id("manual-0a1b2c3d"),
            id("R-1"),
        ];
        let chosen = |text: &str| query(text).choose(&known).map(|id| id.map(String::from));
        for (text, expected) in [
            ("01A22A71-058F-74E7-8000-000000000002", Some(1)),
            ("01A22A72", Some(2)),
            ("01a22a72-00", Some(2)),
            ("manual-0a1b2c3d", Some(3)),
            ("manual-0a", Some(3)),
            ("R-1", Some(4)),
            ("r-1", None),
            ("MANUAL-0a1b2c3d", None),
            ("01a22a7", None),
            ("01a22a73", None),
            ("01a22a72-0000-7000-8000-0000000000001", None),
        ] {
            assert_eq!(chosen(text), Ok(expected.map(|at: usize| known[at].to_string())), "{text}");
        }
        let error = chosen("01A22A71").expect_err("two begin so").to_string();
        assert_eq!(
            error,
            "run id 01A22A71… matches 2 runs; give more of it:\n  01a22a71-058f-74e7-8000-000000000001\n  01a22a71-058f-74e7-8000-000000000002"
        );
        // The whole ID of one is the prefix of another.
        let known = [id("manual-0a1b"), id("manual-0a1b2c3d")];
        assert_eq!(query("manual-0a1b").choose(&known), Ok(Some(known[0].clone())));
    }

    #[test]
    fn a_prefix_determines_the_time() {
        let id = RunId::generate();
        let at = id.time().expect("a time");
        for length in [8, 9, 11, 13, 36] {
            let [earliest, latest] = query(&id.as_str()[..length]).times();
            assert!(
                earliest <= at && at - earliest <= chrono::TimeDelta::seconds(66),
                "{length}: {earliest} {at}"
            );
            assert!(latest >= at - chrono::TimeDelta::milliseconds(1), "{length}: {latest} {at}");
        }
    }

    #[test]
    fn other_runs_than_the_producers_are_refused() {
        for text in
            ["01A22A71", "01a22a71-", "01a22a71-058f-74e7-8000-000000000001", &RunId::generate().to_string()]
        {
            assert!(query(text).require_producer_run().is_ok(), "{text}");
        }
        for (text, expected) in [
            ("notanid", "is not the id of a run"),
            ("r-1", "is not the id of a run"),
            ("01a22a71-058f-44e7", "is not the id of a run"),
            ("01a22a71-058f-74e7-8000-0000000000011", "is not the id of a run"),
            ("01a22a7", "give at least 8 characters"),
            ("manual-0a1b2c3d", "was not sent by the producer"),
        ] {
            let error = query(text).require_producer_run().expect_err(text);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn refuses_what_could_reach_a_key() {
        for text in ["", "a/b", "a b", "a\n", &"x".repeat(65)] {
            assert!(text.parse::<RunId>().is_err(), "{text:?}");
        }
    }
}
