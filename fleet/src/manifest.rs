//! The manifest of a run: what was asked for and which report each account should end in. The
//! producer writes it before it sends the first job, so that nothing that was asked for can go
//! missing unseen.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{AccountName, ReportDate, RunId, report_key::MANIFEST_PREFIX};

/// A run, as `runs/{run_id}.json` holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The run.
    pub run_id: RunId,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// The version of the producer.
    pub version: String,
    /// The request, flags included.
    pub request: Map<String, Value>,
    /// The day that every job reports.
    pub date: ReportDate,
    /// One entry for each account and dataset.
    pub jobs: Vec<ManifestJob>,
}

/// One account and dataset of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestJob {
    /// The account.
    pub account_name: AccountName,
    /// The dataset.
    pub dataset: String,
    /// Where the report is expected.
    pub report_key: String,
    /// What the producer does about it.
    pub state: JobState,
}

/// What the producer does about an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// A job is sent.
    Sent,
    /// A complete report stood there already, and no job is sent.
    AlreadyComplete,
}

impl Manifest {
    /// The key of a run's manifest in the report bucket.
    #[must_use]
    pub fn key(run_id: &RunId) -> String {
        format!("{MANIFEST_PREFIX}{run_id}.json")
    }

    /// The run of a manifest's key.
    #[must_use]
    pub fn run_of_key(key: &str) -> Option<RunId> {
        key.strip_prefix(MANIFEST_PREFIX)?.strip_suffix(".json")?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_names_the_run_and_the_reverse() {
        let run = RunId::generate();
        assert_eq!(Manifest::key(&run), format!("runs/{run}.json"));
        assert_eq!(Manifest::run_of_key(&Manifest::key(&run)), Some(run));
        assert_eq!(Manifest::run_of_key("runs/x/y.json"), None);
    }
}
