// SPDX-License-Identifier: Apache-2.0
//! The manifests of the runs in the report bucket: each is written before the run's jobs are sent.

use std::collections::HashSet;

use anyhow::{Context, anyhow};
use fleet::{
    AwsError, ErrorKind, ReportDate, RunId, RunQuery, from_sdk, manifest::Manifest,
    report_bucket::ReportBucket, report_key::MANIFEST_PREFIX,
};

/// How many days back to list runs before listing all of them: two monthly runs.
const LATELY_DAYS: u64 = 62;

/// Writes a run's manifest, never over another one, and returns the manifest that exists then. That
/// differs only if the run is `scheduled` and its start has been delivered before.
pub async fn write(bucket: &ReportBucket, manifest: Manifest, scheduled: bool) -> anyhow::Result<Manifest> {
    let Err(error) = put(bucket, &manifest, Some("*")).await else { return Ok(manifest) };
    // If the response to a first attempt was lost, the retry finds the object that the first one wrote.
    if error.kind == ErrorKind::PreconditionFailed
        && let Some(existing) = read(bucket, &manifest.run_id).await?
        && (scheduled || existing == manifest)
    {
        return Ok(existing);
    }
    Err(anyhow!(error).context(format!(
        "could not write the manifest s3://{}/{}; nothing was sent",
        bucket.name,
        Manifest::key(&manifest.run_id)
    )))
}

/// Records in a run's manifest that all its jobs have been sent. Two deliveries of a scheduled start
/// write the same content except for the time, so it doesn't matter which is last.
pub async fn mark_sent(bucket: &ReportBucket, manifest: &mut Manifest) -> anyhow::Result<()> {
    manifest.sent_at = Some(bucket.now());
    put(bucket, manifest, None).await.context("could not record in the manifest that all jobs were sent")
}

async fn put(
    bucket: &ReportBucket,
    manifest: &Manifest,
    if_none_match: Option<&str>,
) -> Result<(), AwsError> {
    // Cannot fail: a manifest has only strings for keys.
    let body = serde_json::to_vec_pretty(manifest).unwrap_or_default();
    let put = bucket
        .client
        .put_object()
        .bucket(&bucket.name)
        .key(Manifest::key(&manifest.run_id))
        .content_type("application/json")
        .set_if_none_match(if_none_match.map(str::to_owned))
        .body(body.into());
    let put = put.send().await.map_err(|error| from_sdk("s3:PutObject", error))?;
    put.e_tag.map(drop).ok_or_else(|| AwsError::unconfirmed("s3:PutObject", "ETag"))
}

pub async fn read(bucket: &ReportBucket, run_id: &RunId) -> anyhow::Result<Option<Manifest>> {
    // The second key is where the first version wrote it.
    let mut keys = vec![Manifest::key(run_id), Manifest::first_key(run_id)];
    keys.dedup();
    for key in keys {
        if let Some(bytes) = bucket.read(&key).await? {
            let manifest = serde_json::from_slice(&bytes);
            return manifest
                .map(Some)
                .with_context(|| format!("s3://{}/{key} is not the manifest of a run", bucket.name));
        }
    }
    Ok(None)
}

/// The newest runs that have a manifest, newest first, at most `most` of them.
pub async fn newest(bucket: &ReportBucket, most: usize) -> anyhow::Result<Vec<RunId>> {
    let lately = ReportDate::today(bucket.now()).days_before(LATELY_DAYS);
    let mut runs = since(bucket, Some(lately)).await?;
    if runs.len() < most {
        runs = since(bucket, None).await?;
    }
    runs.truncate(most);
    Ok(runs)
}

/// The runs that have a manifest and match the query.
pub async fn beginning_with(bucket: &ReportBucket, query: &RunQuery) -> anyhow::Result<Vec<RunId>> {
    let beginning = query.beginning();
    // An ID begins with its time, so its prefix determines the day, or the two days around midnight.
    let mut days: Vec<ReportDate> = query.times().map(ReportDate::today).into_iter().collect();
    days.dedup();
    let mut runs = Vec::new();
    for folder in days.into_iter().map(Manifest::folder).chain([MANIFEST_PREFIX.to_owned()]) {
        runs.extend(list(bucket, &format!("{folder}{beginning}"), None).await?);
    }
    Ok(runs)
}

/// The runs that began on that day or later, or all runs if `None`; newest first.
async fn since(bucket: &ReportBucket, day: Option<ReportDate>) -> anyhow::Result<Vec<RunId>> {
    let mut runs = list(bucket, MANIFEST_PREFIX, day.map(Manifest::folder)).await?;
    runs.sort_unstable_by(|one: &RunId, other| other.as_str().cmp(one.as_str()));
    runs.dedup();
    Ok(runs)
}

/// The runs whose manifests have keys with this prefix, after the key `after`.
async fn list(bucket: &ReportBucket, prefix: &str, after: Option<String>) -> anyhow::Result<Vec<RunId>> {
    let mut pages = bucket
        .client
        .list_objects_v2()
        .bucket(&bucket.name)
        .prefix(prefix)
        .set_start_after(after)
        .into_paginator()
        .send();
    let mut runs = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page
            .map_err(|error| from_sdk("s3:ListBucket", error))
            .with_context(|| format!("could not list the runs in s3://{}/{prefix}", bucket.name))?;
        let keys = page.contents().iter().filter_map(|object| object.key());
        runs.extend(keys.filter_map(Manifest::run_from_key).filter(RunId::is_generated));
    }
    Ok(runs)
}

/// The manifest of the newest run for a report date; `None` if there is none.
pub async fn newest_for_date(bucket: &ReportBucket, date: ReportDate) -> anyhow::Result<Option<Manifest>> {
    let mut seen = HashSet::new();
    // Manifests of the first version are found only in the list of all runs.
    for day in [Some(date), None] {
        for run_id in since(bucket, day).await? {
            // A day is reported only after its end, so no older run is for this day.
            if run_id.time().is_some_and(|began_at| ReportDate::today(began_at) <= date) {
                break;
            }
            if !seen.insert(run_id.clone()) {
                continue;
            }
            if let Some(manifest) =
                read(bucket, &run_id).await?.filter(|it| it.date == date && it.span().is_none())
            {
                return Ok(Some(manifest));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::{
        operation::{
            get_object::GetObjectOutput,
            list_objects_v2::{ListObjectsV2Input, ListObjectsV2Output},
            put_object::PutObjectOutput,
        },
        primitives::ByteStream,
        types::Object,
    };
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use chrono::{DateTime, TimeDelta, Utc};
    use serde_json::Map;

    use super::*;
    use crate::testing::run_at;

    fn bucket(rules: &[&Rule]) -> ReportBucket {
        ReportBucket::new(mock_client!(aws_sdk_s3, RuleMode::MatchAny, rules), "reports")
    }

    fn manifest() -> Manifest {
        Manifest {
            run_id: RunId::generate(),
            created_at: Utc::now(),
            sent_at: None,
            version: "0.1.0".into(),
            request: Map::new(),
            date: "2026-11-01".parse().expect("a date"),
            only_incomplete: false,
            jobs: Vec::new(),
        }
    }

    #[tokio::test]
    async fn is_written_under_its_run_and_never_over_another() {
        let manifest = manifest();
        let key = Manifest::key(&manifest.run_id);
        let put = mock!(aws_sdk_s3::Client::put_object)
            .match_requests(move |put| put.if_none_match() == Some("*") && put.key() == Some(&key))
            .then_output(|| PutObjectOutput::builder().e_tag("e").build());
        let written = write(&bucket(&[&put]), manifest.clone(), false).await.expect("written");
        assert_eq!(written, manifest);
        assert_eq!(put.num_calls(), 1);
    }

    #[tokio::test]
    async fn finds_its_own_object_if_the_first_response_was_lost() {
        let manifest = manifest();
        let put =
            mock!(aws_sdk_s3::Client::put_object).sequence().http_status(412, None).repeatedly().build();
        let body = serde_json::to_vec(&manifest).expect("JSON");
        let own = mock!(aws_sdk_s3::Client::get_object)
            .then_output(move || GetObjectOutput::builder().body(ByteStream::from(body.clone())).build());
        let written = write(&bucket(&[&put, &own]), manifest.clone(), false).await.expect("it is its own");
        assert_eq!(written, manifest);

        let other = mock!(aws_sdk_s3::Client::get_object)
            .then_output(|| GetObjectOutput::builder().body(ByteStream::from_static(b"{}")).build());
        let error = write(&bucket(&[&put, &other]), manifest, false).await.expect_err("another's");
        assert!(format!("{error:#}").contains("is not the manifest of a run"), "{error:#}");
    }

    #[tokio::test]
    async fn a_scheduled_run_finds_the_manifest_of_its_first_delivery() {
        let first = manifest();
        let second = Manifest { created_at: Utc::now() + TimeDelta::hours(1), ..first.clone() };
        let put =
            mock!(aws_sdk_s3::Client::put_object).sequence().http_status(412, None).repeatedly().build();
        let body = serde_json::to_vec(&first).expect("JSON");
        let get = mock!(aws_sdk_s3::Client::get_object)
            .then_output(move || GetObjectOutput::builder().body(ByteStream::from(body.clone())).build());
        let bucket = bucket(&[&put, &get]);
        assert_eq!(write(&bucket, second.clone(), true).await.expect("met"), first);
        let error = write(&bucket, second, false).await.expect_err("another run has the id");
        assert!(format!("{error:#}").contains("nothing was sent"), "{error:#}");
    }

    /// A bucket that lists these keys as S3 does, and the rule of the listing.
    fn listing(mut keys: Vec<String>, others: &[&Rule]) -> (ReportBucket, Rule) {
        keys.sort();
        let list = mock!(aws_sdk_s3::Client::list_objects_v2).then_compute_output(
            move |input: &ListObjectsV2Input| {
                let after = input.continuation_token().or(input.start_after()).unwrap_or_default();
                let left = keys.iter().filter(|key| key.as_str() > after);
                let page: Vec<_> =
                    left.clone().take(3).map(|key| Object::builder().key(key).build()).collect();
                let last = page.last().and_then(Object::key).map(str::to_owned);
                let next = last.filter(|_| left.count() > page.len());
                ListObjectsV2Output::builder()
                    .set_contents(Some(page))
                    .is_truncated(next.is_some())
                    .set_next_continuation_token(next)
                    .build()
            },
        );
        (bucket(&[&[&list], others].concat()), list)
    }

    /// Runs that began this many hours ago, the oldest first.
    fn runs(hours_ago: &[i64]) -> Vec<RunId> {
        let now = Utc::now();
        hours_ago.iter().map(|hours| run_at(now - TimeDelta::hours(*hours))).collect()
    }

    #[tokio::test]
    async fn the_newest_run_of_a_day_is_found_behind_runs_of_other_days() {
        let of = |date: &str, created_at: &str| {
            let created_at: DateTime<Utc> = created_at.parse().expect("a moment");
            let date = date.parse().expect("a date");
            Manifest { run_id: run_at(created_at), date, created_at, ..manifest() }
        };
        let all = [
            of("2027-10-01", "2027-10-02T18:00:00Z"),
            of("2027-11-01", "2027-11-02T18:00:00Z"),
            of("2027-11-01", "2027-11-04T18:00:00Z"),
            of("2027-03-01", "2027-11-04T19:00:00Z"),
        ];
        // Where this version writes them, and where the first one did.
        for key in [Manifest::key, Manifest::first_key] {
            let gets: Vec<Rule> = all
                .iter()
                .map(|run| {
                    let (key, body) = (key(&run.run_id), serde_json::to_vec(run).expect("JSON"));
                    mock!(aws_sdk_s3::Client::get_object)
                        .match_requests(move |get| get.key() == Some(&key))
                        .then_output(move || {
                            GetObjectOutput::builder().body(ByteStream::from(body.clone())).build()
                        })
                })
                .collect();
            let absent =
                mock!(aws_sdk_s3::Client::get_object).sequence().http_status(404, None).repeatedly().build();
            let gets: Vec<&Rule> = gets.iter().chain([&absent]).collect();
            let (bucket, _) = listing(all.iter().map(|run| key(&run.run_id)).collect(), &gets);
            let newest = |date: &str| newest_for_date(&bucket, date.parse().expect("a date"));
            let found = newest("2027-11-01").await.expect("read").expect("there is one");
            assert_eq!(found.run_id, all[2].run_id);
            // Runs from before the end of the day are not read, and no run is read twice.
            assert_eq!(newest("2027-11-02").await.expect("read"), None);
            assert_eq!(gets[..4].iter().map(|get| get.num_calls()).collect::<Vec<_>>(), [0, 0, 2, 2]);
        }
    }

    #[tokio::test]
    async fn the_newest_run_is_found_over_pages_and_among_other_objects() {
        let runs = runs(&[72, 48, 24, 0]);
        let mut keys: Vec<String> = runs.iter().map(Manifest::key).collect();
        keys.extend(["runs/manual-0a1b2c3d.json".to_owned(), "runs/notes.txt".to_owned()]);
        let (bucket, _) = listing(keys, &[]);
        let newest = newest(&bucket, 3).await.expect("listed");
        assert_eq!(newest, [&runs[3], &runs[2], &runs[1]].map(Clone::clone));
    }

    #[tokio::test]
    async fn only_recent_days_are_listed_unless_they_have_too_few_runs() {
        let runs = runs(&[24 * 300, 24 * 200, 24 * 100, 24, 0]);
        let keys: Vec<String> = runs.iter().map(Manifest::key).collect();
        let (bucket, list) = listing(keys.clone(), &[]);
        assert_eq!(newest(&bucket, 2).await.expect("listed"), [runs[4].clone(), runs[3].clone()]);
        assert_eq!(list.num_calls(), 1, "one page");
        let all: Vec<RunId> = runs.iter().rev().cloned().collect();
        assert_eq!(newest(&bucket, 24).await.expect("listed"), all);

        // Those that the first version wrote are listed in order of time as well.
        let mixed = [Manifest::first_key(&runs[0]), Manifest::first_key(&runs[1])];
        let (bucket, _) = listing(mixed.into_iter().chain(keys[2..].to_vec()).collect(), &[]);
        assert_eq!(newest(&bucket, 24).await.expect("listed"), all);
    }
}
