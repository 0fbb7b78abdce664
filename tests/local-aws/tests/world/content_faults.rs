// SPDX-License-Identifier: Apache-2.0
//! Faults inside an answer that is otherwise right.

use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, StatusCode};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use chrono::NaiveTime;
use local_aws::{Fault, QueueOptions, ResultStatus, Synthetic};

use crate::support::{ACCOUNT, REGION, at, cloudwatch, day, get, keys, sqs, start};

const SERIES: [(&str, &str); 2] = [("a", "StandardStorage"), ("b", "StandardStorage")];

#[tokio::test]
async fn the_results_of_one_bucket_can_be_other_than_complete() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    for (bucket, _) in SERIES {
        account.bucket(bucket, REGION).size("StandardStorage", day(1), 5.0);
    }
    let cloudwatch = cloudwatch(&aws, REGION, keys(ACCOUNT));
    for (status, code) in [
        (ResultStatus::PartialData, StatusCode::PartialData),
        (ResultStatus::InternalError, StatusCode::InternalError),
        (ResultStatus::Forbidden, StatusCode::Forbidden),
    ] {
        let handle = aws.fault(Fault::result(status).bucket("b").times(1));
        let results = get(&cloudwatch, &SERIES, day(1)).await.expect("got");
        assert_eq!(results[0].values(), [5.0]);
        assert_eq!((results[1].status_code(), results[1].values()), (Some(&code), &[][..]));
        assert_eq!(handle.fired(), 1);
    }
    let handle = aws.fault(Fault::result(ResultStatus::Missing).bucket("b").times(1));
    assert_eq!(get(&cloudwatch, &SERIES, day(1)).await.expect("got").len(), 1);
    assert_eq!(handle.fired(), 1);
    let handle = aws.fault(Fault::off_by_one().bucket("b").times(1));
    let results = get(&cloudwatch, &SERIES, day(1)).await.expect("got");
    assert_eq!((results[0].values(), results[1].values()), (&[5.0][..], &[6.0][..]));
    assert_eq!(handle.fired(), 1);
    assert_eq!(get(&cloudwatch, &SERIES, day(1)).await.expect("got")[1].values(), [5.0]);
}

#[tokio::test]
async fn the_first_results_of_one_series_can_fail() {
    let aws = start().await;
    let bucket = aws.account(ACCOUNT).bucket("b", REGION);
    bucket.size("StandardStorage", day(1), 5.0).size("GlacierStorage", day(1), 6.0);
    let fault =
        Fault::result(ResultStatus::InternalError).bucket("b").storage_type("GlacierStorage").times(2);
    let handle = aws.fault(fault);
    let cloudwatch = cloudwatch(&aws, REGION, keys(ACCOUNT));
    let series = [("b", "StandardStorage"), ("b", "GlacierStorage"), ("b", "AllStorageTypes")];
    for failures in [1, 2, 2] {
        let before = handle.fired();
        let results = get(&cloudwatch, &series, day(1)).await.expect("got");
        assert_eq!(handle.fired(), failures);
        let glacier = if before < failures {
            (&StatusCode::InternalError, None)
        } else {
            (&StatusCode::Complete, Some(6.0))
        };
        let seen = |place: usize| {
            (results[place].status_code().expect("a status"), results[place].values().first().copied())
        };
        assert_eq!(
            [seen(0), seen(1), seen(2)],
            [(&StatusCode::Complete, Some(5.0)), glacier, (&StatusCode::Complete, None)]
        );
    }
}

#[tokio::test]
async fn it_is_counted_how_often_each_series_was_answered() {
    let aws = start().await;
    aws.account(ACCOUNT).bucket("b", REGION).size("StandardStorage", day(1), 5.0);
    let cloudwatch = cloudwatch(&aws, REGION, keys(ACCOUNT));
    let ask = |series: &'static [(&str, &str)]| get(&cloudwatch, series, day(1));
    ask(&[("b", "StandardStorage")]).await.expect("before it is counted");
    aws.keep_asks();
    let failed =
        aws.fault(Fault::result(ResultStatus::InternalError).storage_type("GlacierStorage").times(1));
    for _ in 0..2 {
        ask(&[("b", "GlacierStorage"), ("b", "StandardStorage")]).await.expect("got");
    }
    let throttled = aws.fault(Fault::throttle().on("GetMetricData").times(1));
    ask(&[("b", "StandardStorage")]).await.expect_err("throttled");
    assert_eq!((failed.fired(), throttled.fired()), (1, 1));
    let asked = aws.asked_series();
    let times: Vec<_> = asked.iter().map(|it| (it.dimension("StorageType"), it.asks.len())).collect();
    assert_eq!(times, [(Some("GlacierStorage"), 1), (Some("StandardStorage"), 2)]);
    assert!(
        asked
            .iter()
            .all(|it| it.start.date_naive() == day(1) && it.account == ACCOUNT && it.region == REGION)
    );
}

#[tokio::test]
async fn statistics_of_a_series_in_one_call_are_asked_for_once_and_in_two_calls_twice() {
    let midnight = |ago| day(ago).and_time(NaiveTime::MIN).and_utc();
    let aws = start().await;
    aws.account(ACCOUNT).samples(REGION, "N", "M", &[("D", "d")], midnight(1), &[2.0, 4.0, 9.0]);
    aws.keep_asks();
    let cloudwatch = cloudwatch(&aws, REGION, keys(ACCOUNT));
    for statistics in [&["Average", "Maximum"][..], &["Minimum"]] {
        let query = |(nth, statistic): (usize, &&str)| {
            let dimension = Dimension::builder().name("D").value("d").build();
            let metric = Metric::builder().namespace("N").metric_name("M").dimensions(dimension).build();
            let stat = MetricStat::builder().metric(metric).period(60).stat(*statistic).build();
            MetricDataQuery::builder().id(format!("q{nth}")).metric_stat(stat).build()
        };
        let queries = statistics.iter().enumerate().map(query).collect();
        let request = cloudwatch.get_metric_data().set_metric_data_queries(Some(queries));
        let results = request.start_time(at(day(1))).end_time(at(day(0))).send().await.expect("got");
        let values: Vec<f64> =
            results.metric_data_results().iter().map(|result| result.values()[0]).collect();
        assert_eq!(values, if statistics.len() == 2 { vec![5.0, 9.0] } else { vec![2.0] });
    }
    let [series] = &aws.asked_series()[..] else { panic!("one series") };
    assert_eq!((&*series.metric, series.dimension("D"), series.asks.len()), ("M", Some("d"), 2));
    assert_eq!((series.start, series.end), (midnight(1), midnight(0)));
}

#[tokio::test]
async fn a_page_can_be_dropped() {
    let aws = start().await;
    aws.synthetic(&Synthetic { buckets: 400, regions: 1, ..Synthetic::default() });
    let cloudwatch = cloudwatch(&aws, REGION, keys(ACCOUNT));
    let handle = aws.fault(Fault::dropped_page().on("ListMetrics").times(1));
    let first = || cloudwatch.list_metrics().namespace("AWS/S3").send();
    assert_eq!(first().await.expect("listed").next_token(), None);
    assert_eq!(handle.fired(), 1);
    assert!(first().await.expect("listed").next_token().is_some());
}

#[tokio::test]
async fn entries_of_a_batch_can_fail_by_place() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    let url = account.queue("jobs", QueueOptions::default());
    let handle = aws.fault(Fault::failed_entries([0, 2]).on("SendMessageBatch").queue("jobs").times(1));
    let sqs = sqs(&aws, "us-east-1", keys(ACCOUNT));
    let send = || {
        let entry = |id: &str| {
            SendMessageBatchRequestEntry::builder().id(id).message_body(id).build().expect("an entry")
        };
        let entries = ["a", "b", "c"].into_iter().map(entry).collect();
        sqs.send_message_batch().queue_url(&url).set_entries(Some(entries)).send()
    };
    let answer = send().await.expect("200");
    let failed: Vec<_> = answer.failed().iter().map(|it| (it.id(), it.sender_fault())).collect();
    assert_eq!(failed, [("a", false), ("c", false)]);
    assert_eq!(answer.successful()[0].id(), "b");
    assert_eq!(account.counts("jobs").visible, 1);
    assert_eq!(handle.fired(), 1);
    assert!(send().await.expect("200").failed().is_empty());
}
