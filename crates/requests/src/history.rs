// SPDX-License-Identifier: Apache-2.0
//! Finds the newest report of each account, of any day, through the manifests of the newest runs: a
//! report's key can't be derived without its day.

use std::collections::HashMap;

use fleet::{
    RunId,
    existing::{Existing, ExistingReport},
    manifest::Manifest,
    report_bucket::ReportBucket,
    report_key::fill,
};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{expand::PlannedJob, manifests, reports};

/// How many runs to go back: two years of monthly ones.
const RUNS: usize = 24;

const CONCURRENCY: usize = 8;

/// For each job, in order, the newest report of its account and dataset among those of the recent runs;
/// `None` if there is none. The report of a job that was sent without the producer is found only under
/// the job's own key.
#[expect(clippy::indexing_slicing, reason = "cannot fail: the places are those of the jobs")]
pub async fn newest_reports(
    bucket: &ReportBucket,
    jobs: &[PlannedJob],
) -> anyhow::Result<Vec<Option<ExistingReport>>> {
    let runs = manifests::newest(bucket, RUNS).await?;
    let reads: Vec<_> = runs.iter().map(|run_id| readable(bucket, run_id)).collect();
    let manifests: Vec<_> = stream::iter(reads).buffered(CONCURRENCY).try_collect().await?;
    let entries = manifests.iter().flatten().flat_map(|manifest| &manifest.jobs);
    let mut keys: HashMap<(&str, &str), Vec<String>> = HashMap::new();
    let own = jobs.iter().map(|job| {
        let account = (job.job.account_name.as_str(), job.job.dataset.name);
        (account, fill(&job.report_key, job.job.windows.last()))
    });
    // Of several windows the last.
    let earlier = entries.map(|entry| {
        let account = (entry.account_name.as_str(), entry.dataset.as_str());
        let key = entry.windows.map(|windows| fill(&entry.report_key, windows.0.last()));
        (account, key.unwrap_or_else(|| entry.report_key.clone()))
    });
    for (account, key) in earlier.chain(own) {
        let keys = keys.entry(account).or_default();
        if !keys.contains(&key) {
            keys.push(key);
        }
    }

    // Most accounts are found in the first round.
    let mut found: Vec<Option<ExistingReport>> = vec![None; jobs.len()];
    for round in 0.. {
        let mut wanted = Vec::new();
        for (index, planned) in jobs.iter().enumerate().filter(|(index, _)| found[*index].is_none()) {
            let account = (planned.job.account_name.as_str(), planned.job.dataset.name);
            if let Some(key) = keys.get(&account).and_then(|keys| keys.get(round)) {
                wanted.push((index, key.as_str()));
            }
        }
        if wanted.is_empty() {
            break;
        }
        let asked: Vec<&str> = wanted.iter().map(|(_, key)| *key).collect();
        let existing = reports::look(bucket, &asked).await?;
        for ((index, _), existing) in wanted.into_iter().zip(existing) {
            if let Existing::Report(report) = existing {
                found[index] = Some(*report).filter(|report| is_about(report, &jobs[index]));
            }
        }
    }
    Ok(found)
}

/// A run's manifest; `None` if this version can't read it, which must not block every later run.
async fn readable(bucket: &ReportBucket, run_id: &RunId) -> anyhow::Result<Option<Manifest>> {
    match manifests::read(bucket, run_id).await {
        Err(error) if error.is::<serde_json::Error>() => {
            tracing::warn!("{error:#}; its reports are not used for prices");
            Ok(None)
        }
        read => read,
    }
}

/// Whether a report is about the job's account and dataset. A template without the dataset puts another
/// dataset's report under the same key, and a name may have been another account's.
fn is_about(report: &ExistingReport, planned: &PlannedJob) -> bool {
    report.metadata.account_name == planned.job.account_name
        && report.metadata.dataset == planned.job.dataset.name
        && planned.account_id.as_ref().is_none_or(|id| *id == report.metadata.account_id)
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::{
        operation::{
            get_object::{GetObjectInput, GetObjectOutput},
            head_object::{HeadObjectInput, HeadObjectOutput},
            list_objects_v2::ListObjectsV2Output,
        },
        primitives::ByteStream,
        types::Object,
    };
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    use super::*;
    use crate::testing::{complete, manifest, planned};

    #[tokio::test]
    async fn each_account_uses_the_newest_run_with_a_report() {
        let (older, newer) = (RunId::generate(), RunId::generate());
        let manifests: Vec<Manifest> = [(&older, "october"), (&newer, "november")]
            .into_iter()
            .map(|(run_id, month)| {
                let mut manifest = manifest(run_id, &["a", "b"]);
                for job in &mut manifest.jobs {
                    job.report_key = format!("{month}/{}.csv", job.account_name);
                }
                manifest
            })
            .collect();
        // This version can't read the newest manifest.
        let keys: Vec<String> = [&older, &newer, &RunId::generate()].into_iter().map(Manifest::key).collect();
        let list = mock!(aws_sdk_s3::Client::list_objects_v2).then_output(move || {
            let objects = keys.iter().map(|key| Object::builder().key(key).build());
            ListObjectsV2Output::builder().set_contents(Some(objects.collect())).build()
        });
        let get = mock!(aws_sdk_s3::Client::get_object).then_compute_output(move |input: &GetObjectInput| {
            let wanted = |manifest: &&Manifest| Some(Manifest::key(&manifest.run_id).as_str()) == input.key();
            let manifest = manifests.iter().find(wanted);
            let body = manifest.map_or(b"{}".to_vec(), |known| serde_json::to_vec(known).expect("JSON"));
            GetObjectOutput::builder().body(ByteStream::from(body)).build()
        });
        // Account a has both reports, b only the older one, c none.
        let head = |key: &'static str, rows: u64| {
            let mut metadata = complete(&key[key.len() - 5..key.len() - 4], &older);
            metadata.rows = rows;
            let headers = metadata.to_headers();
            mock!(aws_sdk_s3::Client::head_object)
                .match_requests(move |input: &HeadObjectInput| input.key() == Some(key))
                .then_output(move || {
                    HeadObjectOutput::builder().e_tag("e").set_metadata(Some(headers.clone())).build()
                })
        };
        let (first, second, third) =
            (head("october/a.csv", 1), head("november/a.csv", 2), head("october/b.csv", 3));
        let absent =
            mock!(aws_sdk_s3::Client::head_object).sequence().http_status(404, None).repeatedly().build();
        let bucket = ReportBucket::new(
            mock_client!(aws_sdk_s3, RuleMode::MatchAny, [&list, &get, &first, &second, &third, &absent]),
            "reports",
        );
        let jobs = ["a", "b", "c"].map(|account| planned(account, "2026-12-01"));
        let found = newest_reports(&bucket, &jobs).await.expect("looked");
        let rows: Vec<_> =
            found.iter().map(|report| report.as_ref().map(|report| report.metadata.rows)).collect();
        assert_eq!(rows, [Some(2), Some(3), None]);
        assert_eq!(first.num_calls(), 0, "an older report is not read");

        // A report of another account with the same name gives no price.
        let mut of_another = planned("a", "2026-12-01");
        of_another.account_id = Some("222222222222".parse().expect("an id"));
        assert_eq!(newest_reports(&bucket, &[of_another]).await.expect("looked"), [None]);
    }
}
