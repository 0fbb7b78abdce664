// SPDX-License-Identifier: Apache-2.0
//! CloudWatch: what it refuses.

use aws_sdk_cloudwatch::types::{MetricDatum, Statistic, StatisticSet};
use chrono::{TimeDelta, Utc};

use crate::cloudwatch::{HOUR, at, datum, dimension, hours_ago, put, query};
use crate::support::{code, contract};

#[tokio::test]
async fn a_call_asks_at_most_500_queries() {
    contract(|aws| async move {
        let (cloudwatch, start) = (aws.cloudwatch("eu-west-1"), hours_ago(5));
        let ask = |count: usize| {
            let queries =
                (0..count).map(|number| query(&format!("q{number}"), "N", "m", "Average", &[])).collect();
            let request = cloudwatch.get_metric_data().set_metric_data_queries(Some(queries));
            request.start_time(at(start)).end_time(at(start + HOUR)).send()
        };
        assert_eq!(ask(500).await.expect("got").metric_data_results().len(), 500);
        assert_eq!(code(ask(501).await), "ValidationError");
    })
    .await;
}

#[tokio::test]
async fn ids_are_distinct_and_begin_in_lower_case() {
    contract(|aws| async move {
        let (cloudwatch, start) = (aws.cloudwatch("eu-west-1"), hours_ago(5));
        let ask = |ids: [&str; 2]| {
            let queries = ids.into_iter().map(|id| query(id, "N", "m", "Average", &[])).collect();
            let request = cloudwatch.get_metric_data().set_metric_data_queries(Some(queries));
            request.start_time(at(start)).end_time(at(start + HOUR)).send()
        };
        assert_eq!(code(ask(["a", "a"]).await), "ValidationError");
        assert_eq!(code(ask(["a", "B"]).await), "ValidationError");
    })
    .await;
}

#[tokio::test]
async fn a_window_must_not_end_before_it_begins() {
    contract(|aws| async move {
        let (cloudwatch, start) = (aws.cloudwatch("eu-west-1"), hours_ago(5));
        let ask = |end| {
            let request =
                cloudwatch.get_metric_data().metric_data_queries(query("q", "N", "m", "Average", &[]));
            request.start_time(at(start)).end_time(at(end)).send()
        };
        assert_eq!(code(ask(start).await), "ValidationError");
        assert_eq!(code(ask(start - HOUR).await), "ValidationError");
    })
    .await;
}

#[tokio::test]
async fn a_page_holds_at_most_100800_datapoints() {
    contract(|aws| async move {
        let (cloudwatch, start) = (aws.cloudwatch("eu-west-1"), hours_ago(5));
        let ask = |max| {
            let request =
                cloudwatch.get_metric_data().metric_data_queries(query("q", "N", "m", "Average", &[]));
            request.start_time(at(start)).end_time(at(start + HOUR)).max_datapoints(max).send()
        };
        ask(100_800).await.expect("the limit");
        assert_eq!(code(ask(100_801).await), "ValidationError");
    })
    .await;
}

#[tokio::test]
async fn a_token_that_is_none_is_refused() {
    contract(|aws| async move {
        let cloudwatch = aws.cloudwatch("eu-west-1");
        let refused = code(cloudwatch.list_metrics().namespace("N").next_token("no token").send().await);
        assert!(refused.starts_with("Invalid"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn datapoints_are_at_most_two_weeks_old() {
    contract(|aws| async move {
        let (cloudwatch, namespace) = (aws.cloudwatch("eu-west-1"), aws.unique("space"));
        let try_put = |time: chrono::DateTime<Utc>| {
            let request = cloudwatch.put_metric_data().namespace(&namespace);
            request.metric_data(datum("m", time.timestamp(), 1.0)).send()
        };
        try_put(Utc::now() - TimeDelta::days(13)).await.expect("within two weeks");
        assert_eq!(code(try_put(Utc::now() - TimeDelta::days(15)).await), "InvalidParameterValue");
        assert_eq!(code(try_put(Utc::now() + TimeDelta::hours(3)).await), "InvalidParameterValue");
    })
    .await;
}

#[tokio::test]
async fn the_namespaces_of_aws_are_not_ours_to_write() {
    contract(|aws| async move {
        let cloudwatch = aws.cloudwatch("eu-west-1");
        let request =
            cloudwatch.put_metric_data().namespace("AWS/S3").metric_data(datum("m", hours_ago(1), 1.0));
        assert_eq!(code(request.send().await), "InvalidParameterValue");
    })
    .await;
}

#[tokio::test]
async fn a_put_holds_1000_metrics_of_30_dimensions() {
    contract(|aws| async move {
        let (cloudwatch, namespace, now) = (aws.cloudwatch("eu-west-1"), aws.unique("space"), hours_ago(1));
        put(&cloudwatch, &namespace, (0..1000).map(|_| datum("m", now, 1.0)).collect()).await;
        let many = (0..1001).map(|_| datum("m", now, 1.0)).collect();
        let request = cloudwatch.put_metric_data().namespace(&namespace).set_metric_data(Some(many));
        assert_eq!(code(request.send().await), "InvalidParameterValue");
        let mut wide = datum("m", now, 1.0);
        wide.dimensions = Some((0..31).map(|number| dimension(&format!("d{number}"), "v")).collect());
        let request = cloudwatch.put_metric_data().namespace(&namespace).metric_data(wide);
        assert_eq!(code(request.send().await), "InvalidParameterValue");
    })
    .await;
}

#[tokio::test]
async fn a_datum_has_values_or_one_statistic_set_within_range() {
    contract(|aws| async move {
        let (cloudwatch, namespace, now) = (aws.cloudwatch("eu-west-1"), aws.unique("space"), hours_ago(1));
        let set = |sum: f64| {
            let set = StatisticSet::builder().sample_count(2.0).minimum(1.0).maximum(2.0).sum(sum).build();
            let datum = MetricDatum::builder().metric_name("m").timestamp(at(now)).statistic_values(set);
            datum.build()
        };
        let put =
            |datum: MetricDatum| cloudwatch.put_metric_data().namespace(&namespace).metric_data(datum).send();
        put(set(3.0)).await.expect("a statistic set");
        let mut both = set(3.0);
        both.values = Some(vec![1.0, 2.0]);
        assert_eq!(code(put(both).await), "InvalidParameterCombination");
        for sum in [f64::NAN, f64::INFINITY, 2f64.powi(361)] {
            assert_eq!(code(put(set(sum)).await), "InvalidParameterValue", "{sum}");
        }
    })
    .await;
}

#[tokio::test]
async fn one_metrics_statistics_are_at_most_1440_datapoints() {
    contract(|aws| async move {
        let (cloudwatch, start) = (aws.cloudwatch("eu-west-1"), hours_ago(48));
        let ask = |minutes: i64| {
            cloudwatch
                .get_metric_statistics()
                .namespace("N")
                .metric_name("m")
                .start_time(at(start))
                .end_time(at(start + minutes * 60))
                .period(60)
                .statistics(Statistic::Average)
                .send()
        };
        ask(1440).await.expect("the limit");
        assert_eq!(code(ask(1441).await), "InvalidParameterCombination");
    })
    .await;
}
