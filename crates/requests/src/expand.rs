// SPDX-License-Identifier: Apache-2.0
//! Expands a request into its jobs, each with the key under which its report is expected.

use std::collections::HashMap;

use anyhow::Context;
use fleet::{
    AccountId, Accounts, Dataset, Job, KeyTemplate, RunId, Window, Windows,
    manifest::{JobState, Manifest, ManifestJob, ManifestWindows},
    report_key::{KeyError, fill},
};

use crate::request::{self, Request};

/// A job and the key of its report.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedJob {
    pub job: Job,
    /// The ID of its account, if the accounts file has it.
    pub account_id: Option<AccountId>,
    pub report_key: String,
}

/// Why a request can't be expanded with a key template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// The template does not fit these accounts and datasets.
    #[error(transparent)]
    Template(#[from] KeyError),
    /// Two jobs share a key, although the template names everything that distinguishes them.
    #[error(
        "key template {template:?}: {first} and {second} would both be written to {key}; put a '/' between the placeholders"
    )]
    SameKey {
        template: String,
        /// One job: its account and dataset.
        first: String,
        /// The other job.
        second: String,
        /// The key of both.
        key: String,
    },
}

impl PlannedJob {
    /// The windows, if they are not one day.
    fn windows(&self) -> Option<Windows> {
        Some(self.job.windows).filter(|windows| windows.day().is_none())
    }

    /// The key of each window's report.
    #[must_use]
    pub fn keys(&self) -> impl ExactSizeIterator<Item = (Window, String)> + '_ {
        self.job.windows.iter().map(|window| (window, fill(&self.report_key, window)))
    }

    /// The same job for a part of its windows.
    #[must_use]
    pub fn narrowed(&self, windows: Windows) -> Self {
        let report_key =
            if windows.is_one() { fill(&self.report_key, windows.first()) } else { self.report_key.clone() };
        Self { job: Job { windows, ..self.job.clone() }, report_key, ..self.clone() }
    }

    pub fn in_manifest(&self, state: JobState) -> ManifestJob {
        ManifestJob {
            account_name: self.job.account_name.clone(),
            account_id: self.account_id.clone(),
            dataset: self.job.dataset.name.to_owned(),
            windows: self.windows().map(ManifestWindows),
            report_key: self.report_key.clone(),
            state,
        }
    }
}

/// The jobs that a manifest lists as sent.
pub fn jobs_from_manifest(manifest: &Manifest) -> anyhow::Result<Vec<Job>> {
    let attributes = request::attributes_from_json(&manifest.request);
    let sent = manifest.jobs.iter().filter(|job| job.state == JobState::Sent);
    sent.map(|job| {
        let dataset = Dataset::find(&job.dataset).with_context(|| {
            format!("this version has no dataset {:?}, which run {} has", job.dataset, manifest.run_id)
        })?;
        Ok(Job {
            account_name: job.account_name.clone(),
            windows: job.windows_of(manifest.date),
            dataset,
            run_id: manifest.run_id.clone(),
            only_incomplete: manifest.only_incomplete,
            settle: request::settle_from_json(&manifest.request),
            attributes: attributes.clone(),
        })
    })
    .collect()
}

/// The jobs of a request, account by account.
#[expect(clippy::indexing_slicing, reason = "cannot fail: the place is one of those planned so far")]
pub fn expand(
    request: &Request,
    run_id: &RunId,
    accounts: &Accounts,
    template: &KeyTemplate,
) -> Result<Vec<PlannedJob>, ExpandError> {
    template.check(accounts, &request.datasets)?;
    let ids: HashMap<&str, &AccountId> =
        accounts.iter().filter_map(|account| Some((account.name.as_str(), account.id.as_ref()?))).collect();
    let mut planned: Vec<PlannedJob> = Vec::with_capacity(request.accounts.len() * request.datasets.len());
    let mut places: HashMap<String, usize> = HashMap::new();
    for job in request.jobs(run_id) {
        let account_id = ids.get(job.account_name.as_str()).copied();
        let report_key = template.pattern(&job, account_id)?;
        if let Some(place) = places.insert(report_key.clone(), planned.len()) {
            return Err(ExpandError::SameKey {
                template: template.to_string(),
                first: name(&planned[place].job),
                second: name(&job),
                key: report_key,
            });
        }
        planned.push(PlannedJob { job, account_id: account_id.cloned(), report_key });
    }
    Ok(planned)
}

fn name(job: &Job) -> String {
    format!("account {} dataset {}", job.account_name, job.dataset.name)
}

#[cfg(test)]
mod tests {
    use fleet::datasets;

    use super::*;
    use crate::testing::request;

    fn keys(request: &Request, accounts: &Accounts, template: &str) -> Result<Vec<String>, String> {
        let template = template.parse().expect("a template");
        let planned = expand(request, &RunId::generate(), accounts, &template);
        planned
            .map(|planned| planned.into_iter().map(|job| job.report_key).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn one_job_an_account_each_with_a_key_of_its_own() {
        let request = request(&["data", "opra-dev"]);
        let keys = |template: &str| keys(&request, &Accounts::default(), template);
        assert_eq!(
            keys(fleet::report_key::DEFAULT_TEMPLATE).expect("valid"),
            [
                "s3_daily_storage/report_date=2026-11-01/account_name=data/report.csv",
                "s3_daily_storage/report_date=2026-11-01/account_name=opra-dev/report.csv",
            ]
        );
        let error = keys("{date}.csv").expect_err("they meet");
        assert!(error.contains("two jobs of one run would have the same key; add {account}"), "{error}");
    }

    #[test]
    fn an_account_id_is_taken_from_the_accounts_file() {
        let file = "[[account]]\nname='data'\nid='111111111111'\n[[account]]\nname='b'\nid='222222222222'\n";
        let accounts = Accounts::parse(file).expect("valid");
        assert_eq!(
            keys(&request(&["b"]), &accounts, "{account_id}/{date}.csv").expect("valid"),
            ["222222222222/2026-11-01.csv"]
        );
    }

    #[test]
    fn keys_that_collide_although_the_template_names_the_account_are_refused() {
        // The same dataset twice stands in for two whose names run into those of the accounts.
        let once = request(&["data"]);
        let windows = vec![once.windows[0]; 2];
        let twice = Request { datasets: vec![*datasets::DEFAULT, *datasets::DEFAULT], windows, ..once };
        let error = keys(&twice, &Accounts::default(), "{account}-{dataset}.csv").expect_err("they meet");
        assert!(
            error.contains("would both be written to data-s3_daily_storage.csv; put a '/' between"),
            "{error}"
        );
    }
}
