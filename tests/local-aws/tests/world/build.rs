// SPDX-License-Identifier: Apache-2.0
//! Worlds built by calls or by seed, read back through the API.

use std::time::{Duration, Instant};

use local_aws::{Fault, Options, Place, QueueOptions, Service, Synthetic, Trust};

use crate::support::{ACCOUNT, REGION, cloudwatch, day, error, get, keys, s3, sqs, start, sts, until};

#[tokio::test]
async fn buckets_and_datapoints_are_there_as_they_were_built() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    account.bucket("logs", REGION).size("StandardStorage", day(2), 4096.0).objects(day(2), 3.0);
    account.bucket("hidden", "us-west-2").region_unlisted();
    account.bucket("gone", REGION).objects(day(3), 1.0).deleted();
    account.unlisted_bucket("fast--euw1-az1--x-s3", REGION).size("ExpressOneZoneStorage", day(2), 9.0);

    let listed =
        s3(&aws, REGION, keys(ACCOUNT)).list_buckets().max_buckets(1000).send().await.expect("listed");
    let listed: Vec<_> =
        listed.buckets().iter().map(|it| (it.name().expect("a name"), it.bucket_region())).collect();
    assert_eq!(listed, [("hidden", None), ("logs", Some(REGION))]);

    let cloudwatch = cloudwatch(&aws, REGION, keys(ACCOUNT));
    let series = [
        ("logs", "StandardStorage"),
        ("logs", "AllStorageTypes"),
        ("fast--euw1-az1--x-s3", "ExpressOneZoneStorage"),
    ];
    let results = get(&cloudwatch, &series, day(2)).await.expect("got");
    let values: Vec<_> = results.iter().map(|it| it.values()[0]).collect();
    assert_eq!(values, [4096.0, 3.0, 9.0]);
    assert_eq!(
        get(&cloudwatch, &[("gone", "AllStorageTypes")], day(3)).await.expect("got")[0].values(),
        [1.0]
    );
    assert_eq!(account.truth(REGION, "logs", "BucketSizeBytes", "StandardStorage", day(2)), Some(4096.0));
    assert_eq!(account.truth(REGION, "logs", "BucketSizeBytes", "StandardStorage", day(1)), None);
}

#[tokio::test]
async fn a_synthetic_world_tells_the_truth_through_the_api() {
    let aws = start().await;
    let plan = Synthetic { accounts: 2, buckets: 30, regions: 2, deleted: 2, ..Synthetic::default() };
    let worlds = aws.synthetic(&plan);
    let world = &worlds[1];
    assert_eq!((world.id(), world.buckets().len(), world.deleted_buckets().len()), ("222222222222", 30, 2));
    let mut known = 0;
    for (bucket, region) in world.buckets() {
        let cloudwatch = cloudwatch(&aws, region, keys(world.id()));
        let series = [(bucket.as_str(), "StandardStorage"), (bucket.as_str(), "AllStorageTypes")];
        let results = get(&cloudwatch, &series, day(200)).await.expect("got");
        for (result, (metric, storage_type)) in results
            .iter()
            .zip([("BucketSizeBytes", "StandardStorage"), ("NumberOfObjects", "AllStorageTypes")])
        {
            let truth = world.account.truth(region, bucket, metric, storage_type, day(200));
            assert_eq!(result.values().first().copied(), truth, "{bucket} {storage_type}");
            known += usize::from(truth.is_some());
        }
    }
    assert!(known > 30, "{known}");
    let region = &world.buckets()[0].1;
    let cloudwatch = cloudwatch(&aws, region, keys(world.id()));
    let listed = cloudwatch.list_metrics().namespace("AWS/S3").send().await.expect("listed");
    let names: std::collections::BTreeSet<_> =
        listed.metrics().iter().filter_map(|it| it.dimensions()[0].value().map(str::to_owned)).collect();
    let expected: std::collections::BTreeSet<_> = world
        .buckets()
        .iter()
        .chain(world.deleted_buckets())
        .filter(|(_, lies_in)| lies_in == region)
        .map(|(name, _)| name.clone())
        .collect();
    assert_eq!(names, expected, "deleted buckets too, for two weeks");
}

#[tokio::test]
async fn queues_are_built_with_their_dead_letter_queue_and_looked_into() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    let redrive = Some(("dead".to_owned(), 1));
    let url = account.queue("jobs", QueueOptions { redrive, ..QueueOptions::default() });
    account.send("jobs", "{}");
    let sqs = sqs(&aws, "us-east-1", keys(ACCOUNT));
    let receive = || sqs.receive_message().queue_url(&url).visibility_timeout(0).send();
    assert_eq!(receive().await.expect("received").messages().len(), 1);
    assert_eq!(account.counts("jobs").visible, 1);
    assert!(receive().await.expect("received").messages().is_empty());
    assert_eq!(account.counts("jobs").total(), 0);
    let dead = account.messages("dead");
    assert_eq!((dead[0].body.as_str(), dead[0].receive_count, dead[0].place), ("{}", 1, Place::Visible));
}

#[tokio::test]
async fn objects_are_read_and_written_from_both_sides() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    let _ = account.bucket("reports", REGION);
    account.put_object("reports", "a/1", "hello", &[("run-id", "r")]);
    let s3 = s3(&aws, REGION, keys(ACCOUNT));
    let got = s3.get_object().bucket("reports").key("a/1").send().await.expect("got");
    assert_eq!(got.metadata().expect("metadata")["run-id"], "r");
    s3.put_object().bucket("reports").key("a/2").body(b"x".to_vec().into()).send().await.expect("put");
    assert_eq!(account.keys("reports", "a/"), ["a/1", "a/2"]);
    assert_eq!(account.object("reports", "a/2").expect("there").text(), "x");
    assert!(account.object("reports", "a/3").is_none());
}

#[tokio::test]
async fn keys_with_a_token_are_none_without_it() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    account.add_access_key("AKIAPLAIN", None);
    account.add_access_key("ASIATOKEN", Some("token"));
    let plain = sts(&aws, REGION, keys("AKIAPLAIN")).get_caller_identity().send().await.expect("identity");
    assert_eq!(plain.account(), Some(ACCOUNT));
    let without = sts(&aws, REGION, keys("ASIATOKEN")).get_caller_identity().send().await;
    assert_eq!(error(without), (403, "InvalidClientTokenId".to_owned()));
    account.remove_access_key("AKIAPLAIN");
    let removed = sts(&aws, REGION, keys("AKIAPLAIN")).get_caller_identity().send().await;
    assert_eq!(error(removed).1, "InvalidClientTokenId");
}

#[tokio::test]
async fn sessions_expire_on_demand() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    let arn =
        account.role("reader", Trust { accounts: Some(vec!["222222222222".to_owned()]), ..Trust::default() });
    let assume = |base: &'static str| {
        sts(&aws, REGION, keys(base)).assume_role().role_arn(&arn).role_session_name("run").send()
    };
    assert_eq!(error(assume("333333333333").await), (403, "AccessDenied".to_owned()));
    let given = assume("222222222222").await.expect("assumed").credentials.expect("credentials");
    let token = Some(given.session_token().to_owned());
    let session = aws_credential_types::Credentials::new(
        given.access_key_id(),
        given.secret_access_key(),
        token,
        None,
        "test",
    );
    let list = || s3(&aws, REGION, session.clone()).list_buckets().send();
    list().await.expect("listed");
    account.expire_sessions();
    assert_eq!(error(list().await), (400, "ExpiredToken".to_owned()));
    let cloudwatch = cloudwatch(&aws, REGION, session.clone());
    assert_eq!(error(cloudwatch.list_metrics().send().await), (403, "ExpiredToken".to_owned()));
}

#[tokio::test]
async fn calls_are_counted_and_logged_by_what_they_were() {
    let aws = start().await;
    let cloudwatch = cloudwatch(&aws, REGION, keys(ACCOUNT));
    get(&cloudwatch, &[("a", "StandardStorage"), ("b", "StandardStorage")], day(1)).await.expect("got");
    cloudwatch.list_metrics().next_token("none").send().await.expect_err("refused");
    s3(&aws, "us-east-1", keys("222222222222")).list_buckets().send().await.expect("listed");
    assert_eq!(aws.calls().count(), 3);
    assert_eq!(aws.calls().service(Service::CloudWatch).region(REGION).account(ACCOUNT).count(), 2);
    assert_eq!(aws.calls().operation("ListMetrics").outcome("InvalidNextToken").count(), 1);
    assert_eq!(aws.calls().ok().count(), 2);
    assert_eq!(aws.calls().failed().count(), 1);
    let records = aws.calls().operation("GetMetricData").records();
    assert_eq!((records[0].items, records[0].outcome.as_str()), (2, "ok"));
    aws.reset_calls();
    assert_eq!(aws.calls().count(), 0);
}

#[tokio::test]
async fn quotas_throttle_by_account_and_region() {
    let aws = start().await;
    aws.quotas(true);
    // The calls arrive one by one, and are let go together: apart, the quota would fill up between them.
    let gate = aws.fault(Fault::hold().on("ListMetrics"));
    let ask = |account: &'static str, region: &'static str| {
        let cloudwatch = cloudwatch(&aws, region, keys(account));
        async move {
            let calls = (0..40).map(|_| cloudwatch.list_metrics().namespace("N").send());
            let results = futures::future::join_all(calls).await;
            results
                .into_iter()
                .filter_map(Result::err)
                .map(|failure| error::<(), _>(Err(failure)))
                .collect::<Vec<_>>()
        }
    };
    let release = async {
        until("all are held", || gate.fired() == 120).await;
        gate.stop();
    };
    let (here, elsewhere, another, ()) =
        tokio::join!(ask(ACCOUNT, REGION), ask(ACCOUNT, "us-west-2"), ask("222222222222", REGION), release);
    for (throttled, whose) in [(here, "here"), (elsewhere, "another region"), (another, "another account")] {
        let count = throttled.len();
        assert!((5..=15).contains(&count), "{whose}: {count} of 40 above a burst of 25");
        assert!(throttled.iter().all(|error| *error == (400, "Throttling".to_owned())), "{throttled:?}");
    }
}

#[tokio::test]
async fn latency_is_added_to_every_call() {
    let latency = Duration::from_millis(120);
    let aws = local_aws::LocalAws::start(Options { latency, ..Options::default() }).await.expect("started");
    let s3 = s3(&aws, REGION, keys(ACCOUNT));
    let list = || async {
        let start = Instant::now();
        s3.list_buckets().send().await.expect("listed");
        start.elapsed()
    };
    assert!(list().await >= latency);
    aws.latency(2 * latency);
    assert!(list().await >= 2 * latency);
    // No client waits for that long: what is set later holds, and none is none.
    aws.latency(Duration::from_hours(1));
    aws.latency(Duration::ZERO);
    list().await;
}

#[tokio::test]
async fn a_port_is_free_again_after_the_shutdown() {
    let aws = start().await;
    let port = aws.address().port();
    s3(&aws, REGION, keys(ACCOUNT)).list_buckets().send().await.expect("listed");
    aws.shutdown();
    let again =
        local_aws::LocalAws::start(Options { port, ..Options::default() }).await.expect("the same port");
    assert_eq!(again.address().port(), port);
}

#[tokio::test]
async fn an_account_of_more_than_10000_buckets_must_page() {
    let aws = start().await;
    aws.synthetic(&Synthetic { buckets: 10_001, ..Synthetic::default() });
    let s3 = s3(&aws, REGION, keys(ACCOUNT));
    assert_eq!(error(s3.list_buckets().send().await).0, 400);
    let mut pages = s3.list_buckets().max_buckets(10_000).into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.expect("a page").buckets().len());
    }
    assert_eq!(sizes, [10_000, 1]);
}

#[tokio::test]
async fn no_account_of_many_takes_the_name_of_another_ones_bucket() {
    let aws = start().await;
    for world in aws.synthetic(&Synthetic { accounts: 40, buckets: 20, ..Synthetic::default() }) {
        let listed = s3(&aws, REGION, keys(world.id())).list_buckets().send().await.expect("listed");
        assert_eq!(listed.buckets().len(), 20, "{}", world.id());
    }
}
