// SPDX-License-Identifier: Apache-2.0
//! CloudWatch: what is put is found, by exactly its name, in its region, in pages.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, DimensionFilter, Metric, MetricDataQuery, MetricDatum, MetricStat, ScanBy, Statistic,
    StatisticSet, StatusCode,
};
use chrono::{TimeDelta, Utc};

use crate::support::{Aws, contract, eventually};

pub(crate) const HOUR: i64 = 3600;

/// The beginning of the hour `hours` ago.
pub(crate) fn hours_ago(hours: i64) -> i64 {
    let now = Utc::now().timestamp();
    now - now % HOUR - hours * HOUR
}

pub(crate) fn at(seconds: i64) -> DateTime {
    DateTime::from_secs(seconds)
}

pub(crate) fn dimension(name: &str, value: &str) -> Dimension {
    Dimension::builder().name(name).value(value).build()
}

pub(crate) fn datum(name: &str, seconds: i64, value: f64) -> MetricDatum {
    MetricDatum::builder().metric_name(name).timestamp(at(seconds)).value(value).build()
}

pub(crate) async fn put(cloudwatch: &Client, namespace: &str, data: Vec<MetricDatum>) {
    let request = cloudwatch.put_metric_data().namespace(namespace).set_metric_data(Some(data));
    request.send().await.expect("put");
}

pub(crate) fn query(
    id: &str,
    namespace: &str,
    name: &str,
    stat: &str,
    dimensions: &[(&str, &str)],
) -> MetricDataQuery {
    let dimensions = dimensions.iter().map(|(name, value)| dimension(name, value)).collect();
    let metric =
        Metric::builder().namespace(namespace).metric_name(name).set_dimensions(Some(dimensions)).build();
    let stat = MetricStat::builder().metric(metric).period(3600).stat(stat).build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

/// Times (hours since `start`) and values of the only query's result.
async fn get(cloudwatch: &Client, query: MetricDataQuery, start: i64, end: i64) -> Vec<(i64, f64)> {
    let request =
        cloudwatch.get_metric_data().metric_data_queries(query).start_time(at(start)).end_time(at(end));
    let answer = request.send().await.expect("got");
    let result = &answer.metric_data_results()[0];
    assert_eq!(result.status_code(), Some(&StatusCode::Complete));
    let times = result.timestamps().iter().map(|time| (time.secs() - start) / HOUR);
    times.zip(result.values().iter().copied()).collect()
}

/// A namespace with the metric `m` at the hours 0, 1 and 2 after its start, valued 10, 11 and 12.
async fn three_hours(aws: &Aws) -> (Client, String, i64) {
    let (cloudwatch, namespace, start) = (aws.cloudwatch("eu-west-1"), aws.unique("space"), hours_ago(30));
    let data = [(0, 10.0), (1, 11.0), (2, 12.0)];
    let data = data.into_iter().map(|(hour, value)| datum("m", start + hour * HOUR, value)).collect();
    put(&cloudwatch, &namespace, data).await;
    (cloudwatch, namespace, start)
}

#[tokio::test]
async fn periods_are_whole_ones_whatever_the_start() {
    contract(|aws| async move {
        let (cloudwatch, namespace, start) = three_hours(&aws).await;
        let unaligned = start - HOUR + 1234;
        let request = cloudwatch.get_metric_data().start_time(at(unaligned)).end_time(at(start + 3 * HOUR));
        let answer = request.metric_data_queries(query("q", &namespace, "m", "Sum", &[])).send().await;
        let mut times: Vec<_> = answer.expect("got").metric_data_results()[0]
            .timestamps()
            .iter()
            .map(|time| time.secs() - start)
            .collect();
        times.sort_unstable();
        assert_eq!(times, [0, HOUR, 2 * HOUR]);
    })
    .await;
}

#[tokio::test]
async fn values_of_a_period_are_folded_by_statistic() {
    contract(|aws| async move {
        let (cloudwatch, namespace, start) = (aws.cloudwatch("eu-west-1"), aws.unique("space"), hours_ago(5));
        let data = [(0, 1.0), (600, 2.0), (1200, 6.0)];
        let data = data.into_iter().map(|(later, value)| datum("m", start + later, value)).collect();
        put(&cloudwatch, &namespace, data).await;
        for (stat, value) in
            [("Average", 3.0), ("Sum", 9.0), ("Minimum", 1.0), ("Maximum", 6.0), ("SampleCount", 3.0)]
        {
            let query = query("q", &namespace, "m", stat, &[]);
            assert_eq!(get(&cloudwatch, query, start, start + HOUR).await, [(0, value)], "{stat}");
        }
    })
    .await;
}

/// A statistic, a period in seconds, and the minutes with the values that must come of both.
type Expected = (&'static str, i32, &'static [(i64, f64)]);

#[tokio::test]
async fn minutes_are_kept_apart_and_each_query_of_a_call_has_its_own_statistic_and_period() {
    contract(|aws| async move {
        let (cloudwatch, namespace, start) = (aws.cloudwatch("eu-west-1"), aws.unique("space"), hours_ago(5));
        let named = [("ClusterName", "main"), ("ServiceName", "web")];
        let dimensions: Vec<_> = named.iter().map(|(name, value)| dimension(name, value)).collect();
        let data = [(0, 1.0), (0, 3.0), (1, 5.0), (7, 9.0)].map(|(minute, value)| {
            let datum =
                MetricDatum::builder().metric_name("m").timestamp(at(start + 60 * minute)).value(value);
            datum.set_dimensions(Some(dimensions.clone())).build()
        });
        put(&cloudwatch, &namespace, data.to_vec()).await;
        let expected: [Expected; 4] = [
            ("Average", 60, &[(0, 2.0), (1, 5.0), (7, 9.0)]),
            ("Maximum", 60, &[(0, 3.0), (1, 5.0), (7, 9.0)]),
            ("Sum", 300, &[(0, 9.0), (5, 9.0)]),
            ("SampleCount", 300, &[(0, 3.0), (5, 1.0)]),
        ];
        let query = |(nth, (stat, period, _)): (usize, &Expected)| {
            let metric = Metric::builder().namespace(&namespace).metric_name("m");
            let metric = metric.set_dimensions(Some(dimensions.clone())).build();
            let asked = MetricStat::builder().metric(metric).period(*period).stat(*stat).build();
            MetricDataQuery::builder().id(format!("q{nth}")).metric_stat(asked).build()
        };
        let request = cloudwatch.get_metric_data().start_time(at(start)).end_time(at(start + HOUR));
        let request = request.scan_by(ScanBy::TimestampAscending);
        let queries = expected.iter().enumerate().map(query).collect();
        let answer = request.set_metric_data_queries(Some(queries)).send().await.expect("got");
        assert_eq!(answer.metric_data_results().len(), 4);
        for (nth, (stat, _, expected)) in expected.iter().enumerate() {
            let id = format!("q{nth}");
            let results = answer.metric_data_results();
            let result = results.iter().find(|result| result.id() == Some(&id)).expect("under its id");
            let minutes = result.timestamps().iter().map(|time| (time.secs() - start) / 60);
            let found: Vec<_> = minutes.zip(result.values().iter().copied()).collect();
            assert_eq!(found, *expected, "{stat}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_newest_come_first_unless_asked_otherwise() {
    contract(|aws| async move {
        let (cloudwatch, namespace, start) = three_hours(&aws).await;
        let query = query("q", &namespace, "m", "Average", &[]);
        let newest_first = get(&cloudwatch, query.clone(), start, start + 3 * HOUR).await;
        assert_eq!(newest_first, [(2, 12.0), (1, 11.0), (0, 10.0)]);
        let oldest_first = cloudwatch
            .get_metric_data()
            .metric_data_queries(query)
            .start_time(at(start))
            .end_time(at(start + 3 * HOUR))
            .scan_by(ScanBy::TimestampAscending)
            .send()
            .await
            .expect("got");
        assert_eq!(oldest_first.metric_data_results()[0].values(), [10.0, 11.0, 12.0]);
    })
    .await;
}

#[tokio::test]
async fn the_start_is_inclusive_and_the_end_is_not() {
    contract(|aws| async move {
        let (cloudwatch, namespace, start) = three_hours(&aws).await;
        let query = query("q", &namespace, "m", "Average", &[]);
        assert_eq!(get(&cloudwatch, query.clone(), start + HOUR, start + 2 * HOUR).await, [(0, 11.0)]);
        assert_eq!(get(&cloudwatch, query, start - HOUR, start).await, []);
    })
    .await;
}

#[tokio::test]
async fn a_metric_is_named_by_all_its_dimensions() {
    contract(|aws| async move {
        let (cloudwatch, namespace, start) = (aws.cloudwatch("eu-west-1"), aws.unique("space"), hours_ago(5));
        let with = |dimensions: &[(&str, &str)], value| {
            let dimensions = dimensions.iter().map(|(name, value)| dimension(name, value)).collect();
            let datum = MetricDatum::builder().metric_name("m").timestamp(at(start)).value(value);
            datum.set_dimensions(Some(dimensions)).build()
        };
        let pair = [("BucketName", "b"), ("StorageType", "s")];
        put(&cloudwatch, &namespace, vec![with(&pair, 2.0), with(&[("BucketName", "c")], 1.0)]).await;
        let ask = |dimensions: &'static [(&'static str, &'static str)]| {
            get(&cloudwatch, query("q", &namespace, "m", "Sum", dimensions), start, start + HOUR)
        };
        assert_eq!(ask(&[("BucketName", "b"), ("StorageType", "s")]).await, [(0, 2.0)]);
        assert_eq!(ask(&[("StorageType", "s"), ("BucketName", "b")]).await, [(0, 2.0)], "in any order");
        assert_eq!(ask(&[("BucketName", "b")]).await, [], "a part of the dimensions is another metric");
        assert_eq!(ask(&[("BucketName", "c"), ("StorageType", "s")]).await, []);
    })
    .await;
}

#[tokio::test]
async fn a_metric_without_dimensions_is_not_the_sum_of_those_with() {
    contract(|aws| async move {
        let (cloudwatch, namespace, start) = (aws.cloudwatch("eu-west-1"), aws.unique("space"), hours_ago(5));
        let mut datum = datum("m", start, 1.0);
        datum.dimensions = Some(vec![dimension("BucketName", "b")]);
        put(&cloudwatch, &namespace, vec![datum]).await;
        let query = query("q", &namespace, "m", "Sum", &[]);
        assert_eq!(get(&cloudwatch, query, start, start + HOUR).await, []);
    })
    .await;
}

#[tokio::test]
async fn every_query_is_answered_under_its_id_empty_or_not() {
    contract(|aws| async move {
        let (cloudwatch, namespace, start) = three_hours(&aws).await;
        let answer = cloudwatch
            .get_metric_data()
            .metric_data_queries(query("there", &namespace, "m", "Average", &[]))
            .metric_data_queries(query("missing", &namespace, "none", "Average", &[]))
            .start_time(at(start))
            .end_time(at(start + 3 * HOUR))
            .send()
            .await
            .expect("got");
        let result =
            |id| answer.metric_data_results().iter().find(|it| it.id() == Some(id)).expect("a result");
        assert_eq!(result("there").values().len(), 3);
        assert!(result("missing").values().is_empty());
        assert_eq!(result("missing").status_code(), Some(&StatusCode::Complete));
        assert_eq!(answer.next_token(), None);
    })
    .await;
}

#[tokio::test]
async fn results_are_paged_by_datapoints_and_none_is_lost() {
    contract(|aws| async move {
        let (cloudwatch, namespace, start) = three_hours(&aws).await;
        let ask = |token: Option<String>| {
            cloudwatch
                .get_metric_data()
                .metric_data_queries(query("a", &namespace, "m", "Average", &[]))
                .metric_data_queries(query("b", &namespace, "m", "Maximum", &[]))
                .start_time(at(start))
                .end_time(at(start + 3 * HOUR))
                .max_datapoints(2)
                .set_next_token(token)
                .send()
        };
        let (mut token, mut pages, mut values) = (None, 0, Vec::new());
        loop {
            let page = ask(token).await.expect("a page");
            pages += 1;
            let found: Vec<f64> =
                page.metric_data_results().iter().flat_map(|it| it.values().to_vec()).collect();
            assert!(found.len() <= 2, "{found:?}");
            values.extend(found);
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
            assert!(pages < 10, "no end of pages");
        }
        assert!(pages >= 3, "{pages}");
        values.sort_by(f64::total_cmp);
        assert_eq!(values, [10.0, 10.0, 11.0, 11.0, 12.0, 12.0]);
    })
    .await;
}

#[tokio::test]
async fn accounts_and_regions_keep_their_metrics_to_themselves() {
    contract(|aws| async move {
        let (_, namespace, start) = three_hours(&aws).await;
        let query = query("q", &namespace, "m", "Average", &[]);
        let elsewhere = aws.cloudwatch("us-west-2");
        assert_eq!(get(&elsewhere, query.clone(), start, start + HOUR).await, []);
        let keys = aws_credential_types::Credentials::new("999999999999", "secret", None, None, "contract");
        let other = aws.cloudwatch_with("eu-west-1", keys);
        assert_eq!(get(&other, query, start, start + HOUR).await, []);
    })
    .await;
}

#[tokio::test]
async fn metrics_are_listed_500_a_page() {
    contract(|aws| async move {
        let (cloudwatch, namespace, now) = (aws.cloudwatch("eu-west-1"), aws.unique("space"), hours_ago(1));
        // In one call, whose body the SDK packs with gzip.
        let data: Vec<_> = (0..1000)
            .map(|number| {
                let datum = MetricDatum::builder().metric_name("m").timestamp(at(now)).value(1.0);
                datum.dimensions(dimension("Number", &number.to_string())).build()
            })
            .collect();
        put(&cloudwatch, &namespace, data).await;
        put(&cloudwatch, &namespace, vec![datum("other", now, 1.0)]).await;
        let mut pages = cloudwatch.list_metrics().namespace(&namespace).into_paginator().send();
        let (mut sizes, mut names) = (Vec::new(), std::collections::BTreeSet::new());
        while let Some(page) = pages.next().await {
            let page = page.expect("a page");
            sizes.push(page.metrics().len());
            names.extend(page.metrics().iter().map(|it| format!("{:?}", it.dimensions())));
        }
        assert_eq!(sizes, [500, 500, 1]);
        assert_eq!(names.len(), 1001);
    })
    .await;
}

#[tokio::test]
async fn metrics_are_listed_by_name_and_dimension() {
    contract(|aws| async move {
        let (cloudwatch, namespace, now) = (aws.cloudwatch("eu-west-1"), aws.unique("space"), hours_ago(1));
        let with = |name: &str, dimensions: &[(&str, &str)]| {
            let dimensions = dimensions.iter().map(|(name, value)| dimension(name, value)).collect();
            let datum = MetricDatum::builder().metric_name(name).timestamp(at(now)).value(1.0);
            datum.set_dimensions(Some(dimensions)).build()
        };
        let data = vec![
            with("size", &[("BucketName", "a"), ("StorageType", "s")]),
            with("size", &[("BucketName", "b"), ("StorageType", "s")]),
            with("count", &[("BucketName", "a"), ("StorageType", "t")]),
        ];
        put(&cloudwatch, &namespace, data).await;
        let list = || cloudwatch.list_metrics().namespace(&namespace);
        let count =
            |answer: aws_sdk_cloudwatch::operation::list_metrics::ListMetricsOutput| answer.metrics().len();
        let filter = |name: &str, value: Option<&str>| {
            DimensionFilter::builder().name(name).set_value(value.map(str::to_owned)).build()
        };
        assert_eq!(count(list().send().await.expect("listed")), 3);
        assert_eq!(count(list().metric_name("size").send().await.expect("listed")), 2);
        let by_value = list().dimensions(filter("BucketName", Some("a")));
        assert_eq!(count(by_value.send().await.expect("listed")), 2);
        assert_eq!(count(list().dimensions(filter("StorageType", None)).send().await.expect("listed")), 3);
        assert_eq!(count(list().dimensions(filter("Other", None)).send().await.expect("listed")), 0);
        let both =
            list().dimensions(filter("BucketName", Some("a"))).dimensions(filter("StorageType", Some("t")));
        let both = both.send().await.expect("listed");
        assert_eq!(both.metrics()[0].metric_name(), Some("count"));
    })
    .await;
}

#[tokio::test]
async fn a_metric_silent_for_two_weeks_is_not_listed_but_still_there() {
    contract(|aws| async move {
        let (cloudwatch, namespace) = (aws.cloudwatch("eu-west-1"), aws.unique("space"));
        // Two weeks old in ten seconds; only a resolution of one second keeps a time so exactly.
        let old = (Utc::now() - TimeDelta::days(14)).timestamp() + 10;
        let mut datum = datum("m", old, 1.0);
        datum.storage_resolution = Some(1);
        put(&cloudwatch, &namespace, vec![datum]).await;
        let listed = || async {
            let answer = cloudwatch.list_metrics().namespace(&namespace).send().await.expect("listed");
            answer.metrics().len()
        };
        assert_eq!(listed().await, 1);
        tokio::time::sleep(std::time::Duration::from_secs(12)).await;
        assert_eq!(listed().await, 0);
        let query = query("q", &namespace, "m", "Average", &[]);
        let hour = old - old % HOUR;
        assert_eq!(get(&cloudwatch, query, hour, hour + HOUR).await, [(0, 1.0)]);
    })
    .await;
}

#[tokio::test]
async fn statistics_of_one_metric_can_be_asked_for_too() {
    contract(|aws| async move {
        let (cloudwatch, namespace, start) = three_hours(&aws).await;
        let answer = eventually(|| async {
            let answer = cloudwatch
                .get_metric_statistics()
                .namespace(&namespace)
                .metric_name("m")
                .start_time(at(start))
                .end_time(at(start + 3 * HOUR))
                .period(3600)
                .statistics(Statistic::Maximum)
                .statistics(Statistic::SampleCount)
                .send()
                .await
                .expect("got");
            (answer.datapoints().len() == 3).then_some(answer)
        })
        .await;
        let mut values: Vec<_> = answer
            .datapoints()
            .iter()
            .map(|it| ((it.timestamp().expect("a time").secs() - start) / HOUR, it.maximum(), it.average()))
            .collect();
        values.sort_by_key(|(hour, ..)| *hour);
        assert_eq!(values, [(0, Some(10.0), None), (1, Some(11.0), None), (2, Some(12.0), None)]);
    })
    .await;
}

#[tokio::test]
async fn what_is_put_twice_is_added_up() {
    contract(|aws| async move {
        let (cloudwatch, namespace, start) = (aws.cloudwatch("eu-west-1"), aws.unique("space"), hours_ago(5));
        for (count, sum, minimum, maximum) in [(2.0, 25.5, 12.5, 13.0), (1.0, 14.0, 14.0, 14.0)] {
            let set = StatisticSet::builder().sample_count(count).sum(sum).minimum(minimum).maximum(maximum);
            let datum =
                MetricDatum::builder().metric_name("m").timestamp(at(start)).statistic_values(set.build());
            put(&cloudwatch, &namespace, vec![datum.build()]).await;
        }
        let mut found = Vec::new();
        for stat in ["SampleCount", "Sum", "Minimum", "Maximum", "Average"] {
            let query = query("q", &namespace, "m", stat, &[]);
            found.extend(get(&cloudwatch, query, start, start + HOUR).await);
        }
        assert_eq!(found, [3.0, 39.5, 12.5, 14.0, 39.5 / 3.0].map(|value| (0, value)));
    })
    .await;
}
