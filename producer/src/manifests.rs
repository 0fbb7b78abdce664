//! The manifests of the runs, in the report bucket: what was asked for, written before it is sent.

use anyhow::{Context, anyhow};
use fleet::{
    AwsError, ErrorKind, ReportDate, RunId, manifest::Manifest, report_bucket::ReportBucket,
    report_key::MANIFEST_PREFIX,
};

/// Writes a run's manifest. A run's manifest is never written over.
pub(crate) async fn write(bucket: &ReportBucket, manifest: &Manifest) -> anyhow::Result<()> {
    let key = Manifest::key(&manifest.run_id);
    let body = serde_json::to_vec_pretty(manifest).context("could not encode the manifest")?;
    let put = bucket
        .client
        .put_object()
        .bucket(&bucket.name)
        .key(&key)
        .content_type("application/json")
        .if_none_match("*")
        .body(body.into())
        .send()
        .await;
    let Err(error) = put else { return Ok(()) };
    let error = AwsError::new("s3:PutObject", error);
    // A first try whose answer was lost meets its own object on the second.
    if error.kind == ErrorKind::PreconditionFailed
        && read(bucket, &manifest.run_id).await?.as_ref() == Some(manifest)
    {
        return Ok(());
    }
    Err(anyhow!(error)
        .context(format!("could not write the manifest s3://{}/{key}; nothing was sent", bucket.name)))
}

/// Reads a run's manifest; none where there is no such run.
pub(crate) async fn read(bucket: &ReportBucket, run_id: &RunId) -> anyhow::Result<Option<Manifest>> {
    let key = Manifest::key(run_id);
    let Some(bytes) = bucket.read(&key).await? else {
        return Ok(None);
    };
    let manifest = serde_json::from_slice(&bytes);
    manifest.map(Some).with_context(|| format!("s3://{}/{key} is not the manifest of a run", bucket.name))
}

/// The newest runs that have a manifest, newest first, at most `most` of them.
pub(crate) async fn newest(bucket: &ReportBucket, most: usize) -> anyhow::Result<Vec<RunId>> {
    let mut pages =
        bucket.client.list_objects_v2().bucket(&bucket.name).prefix(MANIFEST_PREFIX).into_paginator().send();
    let mut runs = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page
            .map_err(|error| AwsError::new("s3:ListBucket", error))
            .with_context(|| format!("could not list the runs in s3://{}/{MANIFEST_PREFIX}", bucket.name))?;
        let keys = page.contents().iter().filter_map(|object| object.key());
        runs.extend(keys.filter_map(Manifest::run_of_key).filter(has_a_place_in_time));
    }
    // S3 lists keys in order, and these sort by time.
    runs.reverse();
    runs.truncate(most);
    Ok(runs)
}

/// The manifest of the newest run of a day; none where that day was not asked for.
pub(crate) async fn newest_of(bucket: &ReportBucket, date: ReportDate) -> anyhow::Result<Option<Manifest>> {
    for run_id in newest(bucket, usize::MAX).await? {
        let Some(manifest) = read(bucket, &run_id).await? else { continue };
        if manifest.date == date {
            return Ok(Some(manifest));
        }
        // No day is asked for before it is over, so no older run is of it.
        if ReportDate::today(manifest.created_at) <= date {
            break;
        }
    }
    Ok(None)
}

/// Whether the producer named this run, so that newer and older mean something.
fn has_a_place_in_time(run_id: &RunId) -> bool {
    let first = "00000000-0000-7000-8000-000000000000".parse::<RunId>();
    first.is_ok_and(|first| run_id.follows(&first))
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::{
        operation::{
            get_object::GetObjectOutput, list_objects_v2::ListObjectsV2Output, put_object::PutObjectOutput,
        },
        primitives::ByteStream,
        types::Object,
    };
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use serde_json::Map;

    use super::*;

    fn bucket(rules: &[&Rule]) -> ReportBucket {
        ReportBucket::new(mock_client!(aws_sdk_s3, RuleMode::MatchAny, rules), "reports")
    }

    fn manifest() -> Manifest {
        Manifest {
            run_id: RunId::generate(),
            created_at: "2026-11-21T10:00:00Z".parse().expect("a moment"),
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
            .then_output(|| PutObjectOutput::builder().build());
        write(&bucket(&[&put]), &manifest).await.expect("written");
        assert_eq!(put.num_calls(), 1);
    }

    #[tokio::test]
    async fn meets_its_own_object_where_the_first_answer_was_lost() {
        let manifest = manifest();
        let put =
            mock!(aws_sdk_s3::Client::put_object).sequence().http_status(412, None).repeatedly().build();
        let body = serde_json::to_vec(&manifest).expect("JSON");
        let own = mock!(aws_sdk_s3::Client::get_object)
            .then_output(move || GetObjectOutput::builder().body(ByteStream::from(body.clone())).build());
        write(&bucket(&[&put, &own]), &manifest).await.expect("it is its own");

        let other = mock!(aws_sdk_s3::Client::get_object)
            .then_output(|| GetObjectOutput::builder().body(ByteStream::from_static(b"{}")).build());
        let error = write(&bucket(&[&put, &other]), &manifest).await.expect_err("another's");
        assert!(format!("{error:#}").contains("is not the manifest of a run"), "{error:#}");
    }

    #[tokio::test]
    async fn the_newest_run_of_a_day_is_found_behind_runs_of_other_days() {
        let of = |date: &str, created_at: &str| Manifest {
            date: date.parse().expect("a date"),
            created_at: created_at.parse().expect("a moment"),
            ..manifest()
        };
        let all = [
            of("2026-10-01", "2026-10-02T18:00:00Z"),
            of("2026-11-01", "2026-11-02T18:00:00Z"),
            of("2026-11-01", "2026-11-04T18:00:00Z"),
            of("2026-03-01", "2026-11-04T19:00:00Z"),
        ];
        let objects = all.iter().map(|run| Object::builder().key(Manifest::key(&run.run_id)).build());
        let listed = ListObjectsV2Output::builder().set_contents(Some(objects.collect())).build();
        let list = mock!(aws_sdk_s3::Client::list_objects_v2).then_output(move || listed.clone());
        let gets: Vec<Rule> = all
            .iter()
            .map(|run| {
                let (key, body) = (Manifest::key(&run.run_id), serde_json::to_vec(run).expect("JSON"));
                mock!(aws_sdk_s3::Client::get_object)
                    .match_requests(move |get| get.key() == Some(&key))
                    .then_output(move || {
                        GetObjectOutput::builder().body(ByteStream::from(body.clone())).build()
                    })
            })
            .collect();
        let bucket = bucket(&[&list, &gets[0], &gets[1], &gets[2], &gets[3]]);
        let newest = |date: &str| newest_of(&bucket, date.parse().expect("a date"));
        let found = newest("2026-11-01").await.expect("read").expect("there is one");
        assert_eq!(found.run_id, all[2].run_id);
        // What was there before the day was over is not looked at.
        assert_eq!(newest("2026-11-02").await.expect("read"), None);
        assert_eq!(gets.iter().map(Rule::num_calls).collect::<Vec<_>>(), [0, 1, 2, 2]);
    }

    #[tokio::test]
    async fn the_newest_run_is_found_over_pages_and_among_strangers() {
        let runs: Vec<RunId> = (0..4).map(|_| RunId::generate()).collect();
        let page = |keys: Vec<String>, next: Option<&str>| {
            let objects = keys.into_iter().map(|key| Object::builder().key(key).build()).collect();
            ListObjectsV2Output::builder()
                .set_contents(Some(objects))
                .is_truncated(next.is_some())
                .set_next_continuation_token(next.map(str::to_owned))
                .build()
        };
        let first = vec![Manifest::key(&runs[0]), Manifest::key(&runs[1])];
        let second = vec![
            Manifest::key(&runs[2]),
            Manifest::key(&runs[3]),
            "runs/manual-0a1b2c3d.json".to_owned(),
            "runs/notes.txt".to_owned(),
        ];
        let list = mock!(aws_sdk_s3::Client::list_objects_v2)
            .sequence()
            .output(move || page(first.clone(), Some("next")))
            .output(move || page(second.clone(), None))
            .build();
        let newest = newest(&bucket(&[&list]), 3).await.expect("listed");
        assert_eq!(newest, [&runs[3], &runs[2], &runs[1]].map(Clone::clone));
    }
}
