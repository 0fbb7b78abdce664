// SPDX-License-Identifier: Apache-2.0
//! Series of any namespace by seed, read back through the API.

use std::collections::BTreeSet;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, RecentlyActive};
use chrono::{TimeDelta, Utc};
use local_aws::{SyntheticMetric, SyntheticSeries};

use crate::support::{ACCOUNT, cloudwatch, keys, start};

const STATISTICS: [&str; 5] = ["Average", "Minimum", "Maximum", "Sum", "SampleCount"];

fn plan(resources: usize) -> SyntheticSeries {
    let metric = |name: &str| SyntheticMetric {
        namespace: "AWS/Test".to_owned(),
        name: name.to_owned(),
        unit: "Count".to_owned(),
        split: None,
        dimensions: None,
    };
    SyntheticSeries {
        dimensions: vec!["Cluster".to_owned(), "Service".to_owned()],
        metrics: vec![metric("One"), metric("Two")],
        resources,
        regions: 2,
        period: 60,
        days: 20,
        seed: 3,
    }
}

#[tokio::test]
async fn series_are_listed_by_pages_and_tell_the_truth() {
    let aws = start().await;
    let (account, plan) = (aws.account(ACCOUNT), plan(1201));
    account.synthetic_series(&plan);
    let mut listed = BTreeSet::new();
    for region in plan.regions() {
        let cloudwatch = cloudwatch(&aws, region, keys(ACCOUNT));
        let mut token = None;
        loop {
            let request = cloudwatch.list_metrics().namespace("AWS/Test").metric_name("Two");
            let request = request.recently_active(RecentlyActive::Pt3H).set_next_token(token);
            let page = request.send().await.expect("listed");
            assert!(page.metrics().len() <= 500);
            for metric in page.metrics() {
                let values = metric.dimensions().iter().filter_map(|it| it.value().map(str::to_owned));
                assert!(listed.insert((*region, values.collect::<Vec<_>>())), "{metric:?} twice");
            }
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
    }
    assert_eq!(listed, plan.resources().collect());

    let (region, values) = plan.resources().last().expect("some");
    let hour = Utc::now().timestamp() / 3600 * 3600 - 7200;
    let named = [("Cluster", values[0].as_str()), ("Service", values[1].as_str())];
    for period in [60, 300] {
        let query = |(nth, statistic): (usize, &&str)| {
            let dimension =
                |(name, value): &(&str, &str)| Dimension::builder().name(*name).value(*value).build();
            let metric = Metric::builder().namespace("AWS/Test").metric_name("One");
            let metric = metric.set_dimensions(Some(named.iter().map(dimension).collect())).build();
            let stat = MetricStat::builder().metric(metric).period(period).stat(*statistic).build();
            MetricDataQuery::builder().id(format!("q{nth}")).metric_stat(stat).build()
        };
        let request = cloudwatch(&aws, region, keys(ACCOUNT)).get_metric_data();
        let request =
            request.set_metric_data_queries(Some(STATISTICS.iter().enumerate().map(query).collect()));
        let request =
            request.start_time(DateTime::from_secs(hour)).end_time(DateTime::from_secs(hour + 3600));
        let answered = request.send().await.expect("got");
        for (result, statistic) in answered.metric_data_results().iter().zip(STATISTICS) {
            assert_eq!(result.values().len(), usize::try_from(3600 / period).expect("a count"));
            for (at, value) in result.timestamps().iter().zip(result.values()) {
                let at = chrono::DateTime::from_timestamp(at.secs(), 0).expect("a time");
                let seconds = u32::try_from(period).expect("a period");
                let wanted = ("AWS/Test", "One", statistic);
                let truth = account.statistic(region, wanted, &named, at, seconds);
                assert_eq!(truth, Some(*value), "{statistic} at {at}");
            }
        }
    }
}

#[tokio::test]
async fn a_million_resources_are_there_at_once_and_old_minutes_are_forgotten() {
    let aws = start().await;
    let (account, plan) = (aws.account(ACCOUNT), plan(1_000_000));
    account.synthetic_series(&plan);
    let (region, values) = plan.resources().last().expect("some");
    assert_eq!(values, ["cluster-49999", "service-0999999"]);
    let cloudwatch = cloudwatch(&aws, region, keys(ACCOUNT));
    for (days_ago, points) in [(1, 1), (16, 0)] {
        let from = (Utc::now() - TimeDelta::days(days_ago)).timestamp() / 60 * 60;
        let dimension = |(name, value): (&str, &String)| Dimension::builder().name(name).value(value).build();
        let dimensions = ["Cluster", "Service"].into_iter().zip(&values).map(dimension).collect();
        let metric = Metric::builder().namespace("AWS/Test").metric_name("One");
        let metric = metric.set_dimensions(Some(dimensions)).build();
        let stat = MetricStat::builder().metric(metric).period(60).stat("Sum").build();
        let query = MetricDataQuery::builder().id("q").metric_stat(stat).build();
        let request = cloudwatch.get_metric_data().metric_data_queries(query);
        let request = request.start_time(DateTime::from_secs(from)).end_time(DateTime::from_secs(from + 60));
        let answered = request.send().await.expect("got");
        assert_eq!(answered.metric_data_results()[0].values().len(), points, "{days_ago} days ago");
    }
}

#[tokio::test]
async fn a_namespace_of_which_there_is_no_series_is_told() {
    let aws = start().await;
    let plan = plan(3);
    aws.account(ACCOUNT).synthetic_series(&plan);
    aws.keep_unknown_namespaces();
    // Of a region without series, too, the one is known.
    for region in [plan.regions()[0], "me-south-1"] {
        for namespace in ["AWS/Test", "AWS/Tset"] {
            let cloudwatch = cloudwatch(&aws, region, keys(ACCOUNT));
            cloudwatch.list_metrics().namespace(namespace).send().await.expect("listed");
        }
    }
    let unknown: Vec<_> = aws.unknown_namespaces().into_iter().collect();
    assert_eq!(unknown, [(ACCOUNT.to_owned(), "AWS/Tset".to_owned())]);
}
