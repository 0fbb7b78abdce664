// SPDX-License-Identifier: Apache-2.0
//! Values for tests, of this crate and of those that use it: requests, jobs, manifests and reports.

use chrono::{DateTime, Utc};
use fleet::{
    Job, ReportDate, RunId, datasets,
    existing::{Existing, ExistingReport},
    manifest::{JobState, Manifest, ManifestJob},
    report::ReportMetadata,
};
use serde_json::Map;

use crate::{
    expand::PlannedJob,
    request::{AccountsFrom, Request},
    when::When,
};

/// The day of these values.
const DATE: &str = "2026-11-01";

/// The job of an account on a day.
#[must_use]
pub fn planned(account: &str, date: &str) -> PlannedJob {
    PlannedJob {
        job: Job {
            account_name: account.parse().expect("a name"),
            windows: date.parse::<ReportDate>().expect("a date").into(),
            dataset: *datasets::DEFAULT,
            run_id: RunId::generate(),
            only_incomplete: false,
            settle: None,
            attributes: Map::new(),
        },
        account_id: None,
        report_key: format!("{date}/{account}.csv"),
    }
}

/// A request for these accounts.
#[must_use]
pub fn request(accounts: &[&str]) -> Request {
    Request {
        accounts: accounts.iter().map(|name| name.parse().expect("a name")).collect(),
        accounts_from: AccountsFrom::Request,
        when: When::default(),
        datasets: vec![*datasets::DEFAULT],
        windows: vec![DATE.parse::<ReportDate>().expect("a date").into()],
        only_incomplete: false,
        max_usd: None,
        attributes: Map::new(),
    }
}

/// A complete report's metadata, written for this account and run.
#[must_use]
pub fn complete(account: &str, run_id: &RunId) -> ReportMetadata {
    let job = Job {
        account_name: account.parse().expect("a name"),
        windows: DATE.parse::<ReportDate>().expect("a date").into(),
        dataset: *datasets::DEFAULT,
        run_id: run_id.clone(),
        only_incomplete: false,
        settle: None,
        attributes: Map::new(),
    };
    ReportMetadata {
        rows: 200,
        bytes: Some(7_000_000_000_000),
        objects: Some(1_200),
        api_calls: 14,
        metrics_requested: 5_800,
        estimated_cost_usd: 0.058,
        ..ReportMetadata::new(
            &job,
            "111111111111".parse().expect("an id"),
            "2026-11-21T10:00:30Z".parse().expect("a moment"),
        )
    }
}

/// An existing report with this metadata.
#[must_use]
pub fn existing(metadata: ReportMetadata) -> Existing {
    let written_at = "2026-11-21T10:01:00Z".parse().expect("a moment");
    Existing::Report(Box::new(ExistingReport { etag: "e".into(), written_at, metadata }))
}

/// The manifest of a run over these accounts, all of them sent.
#[must_use]
pub fn manifest(run_id: &RunId, accounts: &[&str]) -> Manifest {
    let job = |account: &&str| ManifestJob {
        account_name: account.parse().expect("a name"),
        account_id: None,
        dataset: "s3_daily_storage".into(),
        windows: None,
        report_key: format!("{account}.csv"),
        state: JobState::Sent,
    };
    Manifest {
        run_id: run_id.clone(),
        created_at: "2026-11-21T10:00:00Z".parse().expect("a moment"),
        sent_at: None,
        version: "0.1.0".into(),
        request: Map::new(),
        date: DATE.parse().expect("a date"),
        only_incomplete: false,
        jobs: accounts.iter().map(job).collect(),
    }
}

/// The run that began at this moment; not by `generate_at`, whose IDs never go back.
#[must_use]
pub fn run_at(moment: DateTime<Utc>) -> RunId {
    let hex = format!("{:012x}", moment.timestamp_millis());
    format!("{}-{}-7000-8000-000000000000", &hex[..8], &hex[8..]).parse().expect("a run id")
}
