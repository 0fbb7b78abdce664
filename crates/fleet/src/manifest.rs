// SPDX-License-Identifier: Apache-2.0
//! The manifest of a run: the request, and the report that each account should end in. The producer
//! writes it before it sends the first job, so that no requested account can go missing unnoticed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    AccountId, AccountName, ReportDate, RunId, Windows,
    report_key::{MANIFEST_PREFIX, fill},
    window::{WindowError, moment},
};

/// A run, as stored in `runs/{yyyy-mm-dd}/{run_id}.json`; the day in the key is that on which the run
/// began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub run_id: RunId,
    pub created_at: DateTime<Utc>,
    /// When all its jobs had been sent; `None` until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<DateTime<Utc>>,
    /// The version of the producer.
    pub version: String,
    /// The request, flags included.
    pub request: Map<String, Value>,
    /// The day that every job reports.
    pub date: ReportDate,
    /// Whether the run was sent only to complete what is incomplete: any complete report of the day then
    /// counts for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_incomplete: bool,
    /// One entry per account and dataset.
    pub jobs: Vec<ManifestJob>,
}

/// One account and dataset of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestJob {
    pub account_name: AccountName,
    /// The account's ID, if it was known: a report of another account does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    pub dataset: String,
    /// The windows, if they are not the run's day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<ManifestWindows>,
    /// Where the report is expected; of several windows, with placeholders for the time of each.
    pub report_key: String,
    pub state: JobState,
}

/// Some windows of a job, as a manifest has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Span", into = "Span")]
pub struct ManifestWindows(pub Windows);

#[derive(Serialize, Deserialize)]
struct Span {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    window: String,
}

impl TryFrom<Span> for ManifestWindows {
    type Error = WindowError;

    fn try_from(Span { from, to, window }: Span) -> Result<Self, Self::Error> {
        Windows::between(from, to, window.parse()?).map(Self)
    }
}

impl From<ManifestWindows> for Span {
    fn from(ManifestWindows(windows): ManifestWindows) -> Self {
        Self { from: windows.start(), to: windows.end(), window: windows.length().to_string() }
    }
}

impl ManifestJob {
    /// The windows, of a run for this day.
    #[must_use]
    pub fn windows_of(&self, date: ReportDate) -> Windows {
        self.windows.map_or(date.into(), |ManifestWindows(windows)| windows)
    }

    /// The entry of each of its windows alone.
    #[must_use]
    pub fn each(&self, date: ReportDate) -> impl ExactSizeIterator<Item = Self> + '_ {
        self.windows_of(date).iter().map(move |window| match self.windows {
            None => self.clone(),
            Some(_) => Self {
                windows: Some(ManifestWindows(window.into())),
                report_key: fill(&self.report_key, window),
                ..self.clone()
            },
        })
    }
}

/// What the producer does for an account and dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Sent,
    /// A complete report already exists, so no job is sent.
    AlreadyComplete,
}

impl Manifest {
    /// From when to when its jobs are, if they are not all of its day.
    #[must_use]
    pub fn span(&self) -> Option<[DateTime<Utc>; 2]> {
        let windows =
            || self.jobs.iter().filter_map(|job| job.windows).map(|ManifestWindows(windows)| windows);
        Some([windows().map(Windows::start).min()?, windows().map(Windows::end).max()?])
    }

    /// When its jobs are about, for people.
    #[must_use]
    pub fn when(&self) -> String {
        match self.span() {
            None => self.date.to_string(),
            Some([from, to]) => format!("{} to {}", moment(from), moment(to)),
        }
    }

    /// The key of a run's manifest in the report bucket.
    #[must_use]
    pub fn key(run_id: &RunId) -> String {
        match run_id.time() {
            Some(began_at) => format!("{}{run_id}.json", Self::folder(ReportDate::today(began_at))),
            None => Self::first_key(run_id),
        }
    }

    /// The key that the first version used for a run's manifest.
    #[must_use]
    pub fn first_key(run_id: &RunId) -> String {
        format!("{MANIFEST_PREFIX}{run_id}.json")
    }

    /// The key prefix of the manifests of runs that began on this day.
    #[must_use]
    pub fn folder(day: ReportDate) -> String {
        format!("{MANIFEST_PREFIX}{day}/")
    }

    /// The run of a manifest's key, of this version or the first.
    #[must_use]
    pub fn run_from_key(key: &str) -> Option<RunId> {
        let name = key.strip_prefix(MANIFEST_PREFIX)?;
        let run_id = name.rsplit('/').next()?.strip_suffix(".json")?.parse().ok()?;
        [Self::key(&run_id), Self::first_key(&run_id)].iter().any(|known| known == key).then_some(run_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_names_the_run_and_the_run_the_key() {
        let run: RunId = "019a6b0c-1111-7222-8333-444455556666".parse().expect("a run id");
        assert_eq!(Manifest::key(&run), format!("runs/2025-11-09/{run}.json"));
        assert_eq!(Manifest::first_key(&run), format!("runs/{run}.json"));
        for key in [Manifest::key(&run), Manifest::first_key(&run)] {
            assert_eq!(Manifest::run_from_key(&key), Some(run.clone()), "{key}");
        }
        let others =
            [format!("runs/2025-11-10/{run}.json"), "runs/x/y.json".into(), format!("runs/{run}.txt")];
        for key in others {
            assert_eq!(Manifest::run_from_key(&key), None, "{key}");
        }
    }

    #[test]
    fn a_manifest_of_the_first_version_stays_readable() {
        let text = r#"{
            "run_id": "019a6b0c-1111-7222-8333-444455556666",
            "created_at": "2026-11-02T18:00:00.123456789Z",
            "version": "0.1.0",
            "request": {"account_name": ["data", "web"], "date": "2026-11-01", "dataset": ["s3_daily_storage"]},
            "date": "2026-11-01",
            "jobs": [
                {"account_name": "data", "dataset": "s3_daily_storage", "report_key": "data.csv", "state": "sent"},
                {"account_name": "web", "dataset": "s3_daily_storage", "report_key": "web.csv", "state": "already_complete"}
            ]
        }"#;
        let manifest: Manifest = serde_json::from_str(text).expect("a manifest");
        assert!(!manifest.only_incomplete);
        let jobs: Vec<_> = manifest.jobs.iter().map(|job| (job.account_id.as_ref(), job.state)).collect();
        assert_eq!(jobs, [(None, JobState::Sent), (None, JobState::AlreadyComplete)]);
        // Absent values are not written, so that the first version can read it.
        let written = serde_json::to_value(&manifest).expect("JSON");
        assert_eq!(written, serde_json::from_str::<Value>(text).expect("JSON"));
    }

    #[test]
    fn the_kind_of_run_and_the_account_id_of_each_job_are_kept() {
        let at = |text: &str| -> DateTime<Utc> { text.parse().expect("a moment") };
        let windows = Windows::between(
            at("2026-11-01T13:00:00Z"),
            at("2026-11-01T15:00:00Z"),
            "1h".parse().expect("a length"),
        )
        .expect("windows");
        let manifest = Manifest {
            run_id: RunId::generate(),
            created_at: "2026-11-04T18:00:00Z".parse().expect("a moment"),
            sent_at: Some("2026-11-04T18:00:01Z".parse().expect("a moment")),
            version: "0.2.0".into(),
            request: Map::new(),
            date: "2026-11-01".parse().expect("a date"),
            only_incomplete: true,
            jobs: vec![ManifestJob {
                account_name: "data".parse().expect("a name"),
                account_id: Some("111111111111".parse().expect("an id")),
                dataset: "s3_daily_storage".into(),
                windows: Some(ManifestWindows(windows)),
                report_key: "data/{date}{time}.csv".into(),
                state: JobState::Sent,
            }],
        };
        let keys: Vec<_> = manifest.jobs[0].each(manifest.date).map(|job| job.report_key).collect();
        assert_eq!(keys, ["data/2026-11-01T1300Z.csv", "data/2026-11-01T1400Z.csv"]);
        let text = serde_json::to_string(&manifest).expect("JSON");
        assert!(text.contains(
            r#""windows":{"from":"2026-11-01T13:00:00Z","to":"2026-11-01T15:00:00Z","window":"1h"}"#
        ));
        let wrong = text.replace("\"1h\"", "\"7m\"");
        assert!(serde_json::from_str::<Manifest>(&wrong).is_err(), "windows that this version can't read");
        assert_eq!(serde_json::from_str::<Manifest>(&text).expect("a manifest"), manifest);
    }
}
