// SPDX-License-Identifier: Apache-2.0
//! Directory buckets: listed region by region, apart from the others.

use aws_sdk_s3::operation::list_directory_buckets::ListDirectoryBucketsOutput;
use chrono::{DateTime, Utc};

use crate::support::{ACCOUNT, REGION, cloudwatch, day, error, get, keys, s3, start};

const NAMES: [&str; 3] = ["a--euw1-az1--x-s3", "b--euw1-az1--x-s3", "c--euw1-az3--x-s3"];

fn names(listed: &ListDirectoryBucketsOutput) -> Vec<&str> {
    listed.buckets().iter().filter_map(|bucket| bucket.name()).collect()
}

#[tokio::test]
async fn directory_buckets_are_listed_in_their_region_and_by_no_other_listing() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    let created: DateTime<Utc> = "2026-02-03T04:05:06Z".parse().expect("a time");
    for name in NAMES {
        account.directory_bucket(name, REGION).created(created);
    }
    account.directory_bucket("d--use1-az4--x-s3", "us-east-1");
    aws.account("222222222222").directory_bucket("e--euw1-az1--x-s3", REGION);
    let _ = account.bucket("plain", REGION);

    let s3 = s3(&aws, REGION, keys(ACCOUNT));
    let mut pages = s3.list_directory_buckets().max_directory_buckets(2).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.expect("a page");
        assert!(
            page.buckets()
                .iter()
                .all(|it| it.creation_date().is_some_and(|at| at.secs() == created.timestamp()))
        );
        found.push(names(&page).join(" "));
    }
    assert_eq!(found, [NAMES[..2].join(" "), NAMES[2].to_owned()]);
    let listed = s3.list_directory_buckets().send().await.expect("listed");
    let arn = listed.buckets()[0].bucket_arn().expect("an ARN");
    assert_eq!(arn, format!("arn:aws:s3express:{REGION}:{ACCOUNT}:bucket/{}", NAMES[0]));
    let plain = s3.list_buckets().send().await.expect("listed");
    assert_eq!(plain.buckets().iter().filter_map(|it| it.name()).collect::<Vec<_>>(), ["plain"]);
    assert_eq!(aws.calls().operation("ListDirectoryBuckets").region(REGION).ok().count(), 3);
    account.directory_bucket(NAMES[0], REGION).deleted();
    assert_eq!(names(&s3.list_directory_buckets().send().await.expect("listed")), NAMES[1..]);
}

#[tokio::test]
async fn their_sizes_are_in_cloudwatch() {
    let aws = start().await;
    let bucket = aws.account(ACCOUNT).directory_bucket(NAMES[0], REGION);
    bucket.size("ExpressOneZoneStorage", day(1), 1e15).objects(day(1), 8.0);
    let cloudwatch = cloudwatch(&aws, REGION, keys(ACCOUNT));
    let series = [(NAMES[0], "ExpressOneZoneStorage"), (NAMES[0], "AllStorageTypes")];
    let results = get(&cloudwatch, &series, day(1)).await.expect("got");
    assert_eq!((results[0].values(), results[1].values()), (&[1e15][..], &[8.0][..]));
}

#[tokio::test]
async fn listing_them_has_a_permission_of_its_own_and_not_every_region_has_them() {
    let aws = start().await;
    let account = aws.account(ACCOUNT);
    aws.without_directory_buckets("eu-west-2");
    let list = |region| {
        let s3 = s3(&aws, region, keys(ACCOUNT));
        async move { s3.list_directory_buckets().send().await }
    };
    assert_eq!(error(list("eu-west-2").await), (400, "AuthorizationHeaderMalformed".to_owned()));
    s3(&aws, "eu-west-2", keys(ACCOUNT)).list_buckets().send().await.expect("other buckets are there");
    account.deny("s3express:ListAllMyDirectoryBuckets");
    assert_eq!(error(list(REGION).await), (403, "AccessDenied".to_owned()));
    s3(&aws, REGION, keys(ACCOUNT)).list_buckets().send().await.expect("another action");
    account.allow("s3express:ListAllMyDirectoryBuckets");
    assert!(list(REGION).await.expect("listed").buckets().is_empty());
}
