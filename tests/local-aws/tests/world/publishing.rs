// SPDX-License-Identifier: Apache-2.0
//! Metrics that are published late: `Account::datapoint` and the methods of `Bucket` may be called at any time, in any
//! order of series and days, also for a bucket that is deleted.

use std::collections::BTreeSet;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::Metric;
use chrono::NaiveDate;

use crate::support::{ACCOUNT, REGION, cloudwatch, day, get, keys, start};

const TYPES: [&str; 3] = ["StandardStorage", "GlacierStorage", "AllStorageTypes"];

/// What a day has for each of the types.
async fn values(cloudwatch: &Client, bucket: &str, day: NaiveDate) -> Vec<Option<f64>> {
    let series = TYPES.map(|storage_type| (bucket, storage_type));
    let results = get(cloudwatch, &series, day).await.expect("got");
    results.iter().map(|result| result.values().first().copied()).collect()
}

async fn listed(cloudwatch: &Client) -> BTreeSet<String> {
    let listed = cloudwatch.list_metrics().namespace("AWS/S3").send().await.expect("listed");
    let dimensions = listed.metrics().iter().flat_map(Metric::dimensions);
    dimensions
        .filter(|it| it.name() == Some("StorageType"))
        .filter_map(|it| it.value())
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn series_of_one_bucket_are_published_apart_in_any_order() {
    let aws = start().await;
    let bucket = aws.account(ACCOUNT).bucket("b", REGION);
    let cloudwatch = cloudwatch(&aws, REGION, keys(ACCOUNT));
    bucket.size("StandardStorage", day(2), 9.0).size("GlacierStorage", day(2), 90.0).objects(day(2), 2.0);
    bucket.size("StandardStorage", day(1), 10.0).objects(day(1), 3.0);
    assert_eq!(values(&cloudwatch, "b", day(2)).await, [Some(9.0), Some(90.0), Some(2.0)]);
    assert_eq!(values(&cloudwatch, "b", day(1)).await, [Some(10.0), None, Some(3.0)]);
    bucket.size("GlacierStorage", day(0), 92.0);
    assert_eq!(
        values(&cloudwatch, "b", day(1)).await,
        [Some(10.0), None, Some(3.0)],
        "the next day came first"
    );
    bucket.size("GlacierStorage", day(1), 91.0);
    assert_eq!(values(&cloudwatch, "b", day(1)).await, [Some(10.0), Some(91.0), Some(3.0)]);
    assert_eq!(values(&cloudwatch, "b", day(2)).await, [Some(9.0), Some(90.0), Some(2.0)]);
}

#[tokio::test]
async fn a_new_bucket_is_in_no_listing_of_metrics_until_its_first_datapoint() {
    let aws = start().await;
    let bucket = aws.account(ACCOUNT).bucket("new", REGION);
    let cloudwatch = cloudwatch(&aws, REGION, keys(ACCOUNT));
    assert_eq!(values(&cloudwatch, "new", day(1)).await, [None; 3]);
    assert!(listed(&cloudwatch).await.is_empty());
    bucket.size("StandardStorage", day(1), 5.0);
    assert_eq!(values(&cloudwatch, "new", day(1)).await, [Some(5.0), None, None]);
    assert_eq!(listed(&cloudwatch).await, BTreeSet::from(["StandardStorage".to_owned()]));
}

#[tokio::test]
async fn the_last_datapoint_of_a_deleted_bucket_may_come_after_its_end() {
    let aws = start().await;
    let bucket = aws.account(ACCOUNT).bucket("gone", REGION);
    let cloudwatch = cloudwatch(&aws, REGION, keys(ACCOUNT));
    bucket.size("StandardStorage", day(2), 7.0).deleted();
    assert_eq!(values(&cloudwatch, "gone", day(1)).await, [None; 3]);
    bucket.size("StandardStorage", day(1), 7.5).objects(day(1), 1.0);
    assert_eq!(values(&cloudwatch, "gone", day(1)).await, [Some(7.5), None, Some(1.0)]);
    assert_eq!(listed(&cloudwatch).await.len(), 2);
}
