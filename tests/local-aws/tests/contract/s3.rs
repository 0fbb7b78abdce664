// SPDX-License-Identifier: Apache-2.0
//! S3: buckets in their regions, objects under conditions, listings in pages.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketLocationConstraint, ChecksumAlgorithm, ChecksumMode, CreateBucketConfiguration,
};

use crate::support::{Aws, contract};

/// A client for eu-west-1 and a bucket there.
async fn bucket(aws: &Aws) -> (Client, String) {
    let s3 = aws.s3("eu-west-1");
    let name = aws.unique("bucket");
    create(&s3, &name).await;
    (s3, name)
}

async fn create(s3: &Client, name: &str) {
    let place =
        CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::EuWest1).build();
    s3.create_bucket().bucket(name).create_bucket_configuration(place).send().await.expect("created");
}

async fn put(s3: &Client, bucket: &str, key: &str, body: &'static str) -> String {
    let request = s3.put_object().bucket(bucket).key(key).body(ByteStream::from_static(body.as_bytes()));
    request.send().await.expect("put").e_tag.expect("an ETag")
}

/// Status and code of an error.
fn error<T: std::fmt::Debug, E: ProvideErrorMetadata>(result: Result<T, SdkError<E>>) -> (u16, String) {
    let error = result.expect_err("an error");
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    (status, error.code().unwrap_or("").to_owned())
}

fn region<T: std::fmt::Debug, E>(result: Result<T, SdkError<E>>) -> (u16, Option<String>) {
    let error = result.expect_err("an error");
    let response = error.raw_response().expect("an answer");
    (response.status().as_u16(), response.headers().get("x-amz-bucket-region").map(str::to_owned))
}

#[tokio::test]
async fn an_object_is_returned_as_it_was_put() {
    contract(|aws| async move {
        let (s3, bucket) = bucket(&aws).await;
        let etag = s3
            .put_object()
            .bucket(&bucket)
            .key("a=1/b c+d/é.csv")
            .content_type("text/csv; charset=utf-8")
            .metadata("run-id", "r-1")
            .metadata("attributes", "{\"a\":\"\\u00e9\"}")
            .body(ByteStream::from_static(b"hello"))
            .send()
            .await
            .expect("put")
            .e_tag;
        assert_eq!(etag.as_deref(), Some("\"5d41402abc4b2a76b9719d911017c592\""), "the MD5 of the body");
        let got = s3.get_object().bucket(&bucket).key("a=1/b c+d/é.csv").send().await.expect("got");
        assert_eq!(got.e_tag, etag);
        assert_eq!(got.content_type(), Some("text/csv; charset=utf-8"));
        assert_eq!(got.metadata().expect("metadata")["run-id"], "r-1");
        assert_eq!(got.metadata().expect("metadata")["attributes"], "{\"a\":\"\\u00e9\"}");
        assert_eq!(got.body.collect().await.expect("body").to_vec(), b"hello");
        let head = s3.head_object().bucket(&bucket).key("a=1/b c+d/é.csv").send().await.expect("head");
        assert_eq!((head.content_length(), head.e_tag), (Some(5), etag));
        assert_eq!(head.metadata.expect("metadata")["run-id"], "r-1");
    })
    .await;
}

#[tokio::test]
async fn a_large_streamed_body_arrives_whole() {
    contract(|aws| async move {
        let (s3, bucket) = bucket(&aws).await;
        let body: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let path = std::env::temp_dir().join(aws.unique("upload"));
        std::fs::write(&path, &body).expect("written");
        let stream = ByteStream::from_path(&path).await.expect("opened");
        s3.put_object().bucket(&bucket).key("large").body(stream).send().await.expect("put");
        std::fs::remove_file(&path).expect("removed");
        let got = s3.get_object().bucket(&bucket).key("large").send().await.expect("got");
        assert!(got.body.collect().await.expect("body").to_vec() == body);
    })
    .await;
}

#[tokio::test]
async fn a_body_that_does_not_match_its_checksum_is_refused() {
    contract(|aws| async move {
        let (s3, bucket) = bucket(&aws).await;
        let request = s3.put_object().bucket(&bucket).key("k").body(ByteStream::from_static(b"hello"));
        let refused = request.checksum_crc32("AAAAAA==").send().await;
        assert_eq!(error(refused), (400, "BadDigest".to_owned()));
        assert_eq!(error(s3.get_object().bucket(&bucket).key("k").send().await).0, 404, "nothing was stored");
    })
    .await;
}

#[tokio::test]
async fn a_conditional_put_writes_only_if_its_condition_holds() {
    contract(|aws| async move {
        let (s3, bucket) = bucket(&aws).await;
        let put = |body: &'static str| {
            s3.put_object().bucket(&bucket).key("k").body(ByteStream::from_static(body.as_bytes()))
        };
        let first = put("one").if_none_match("*").send().await.expect("absent").e_tag.expect("an ETag");
        let refused = put("two").if_none_match("*").send().await;
        assert_eq!(error(refused), (412, "PreconditionFailed".to_owned()));
        let second = put("two").if_match(&first).send().await.expect("matches").e_tag;
        let refused = put("three").if_match(&first).send().await;
        assert_eq!(error(refused), (412, "PreconditionFailed".to_owned()));
        let there = s3.head_object().bucket(&bucket).key("k").send().await.expect("head").e_tag;
        assert_eq!(there, second);
        let missing = s3.put_object().bucket(&bucket).key("missing").if_match(&first).send().await;
        assert_eq!(error(missing).0, 404);
    })
    .await;
}

#[tokio::test]
async fn of_two_puts_that_ask_for_absence_one_wins() {
    contract(|aws| async move {
        let (s3, bucket) = bucket(&aws).await;
        let put = |body: &'static str| {
            let request = s3.put_object().bucket(&bucket).key("k").if_none_match("*");
            request.body(ByteStream::from_static(body.as_bytes())).send()
        };
        let (one, two) = tokio::join!(put("one"), put("two"));
        assert!(one.is_ok() != two.is_ok());
    })
    .await;
}

#[tokio::test]
async fn user_metadata_holds_two_kilobytes() {
    contract(|aws| async move {
        let (s3, bucket) = bucket(&aws).await;
        let put = |bytes: usize| {
            let request = s3.put_object().bucket(&bucket).key("k").metadata("name", "x".repeat(bytes - 4));
            request.body(ByteStream::from_static(b"hello")).send()
        };
        put(2048).await.expect("two kilobytes, names and values together");
        assert_eq!(error(put(2049).await), (400, "MetadataTooLarge".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_missing_object_or_bucket_is_reported_as_such() {
    contract(|aws| async move {
        let (s3, bucket) = bucket(&aws).await;
        assert_eq!(
            error(s3.get_object().bucket(&bucket).key("k").send().await),
            (404, "NoSuchKey".to_owned())
        );
        assert_eq!(error(s3.head_object().bucket(&bucket).key("k").send().await).0, 404);
        let none = aws.unique("none");
        assert_eq!(error(s3.list_objects_v2().bucket(&none).send().await), (404, "NoSuchBucket".to_owned()));
        assert_eq!(
            error(s3.put_object().bucket(&none).key("k").send().await),
            (404, "NoSuchBucket".to_owned())
        );
        assert_eq!(error(s3.head_bucket().bucket(&none).send().await).0, 404);
        s3.delete_object().bucket(&bucket).key("k").send().await.expect("deleting nothing is no error");
    })
    .await;
}

#[tokio::test]
async fn a_bucket_tells_its_region_in_its_own_and_in_another() {
    contract(|aws| async move {
        let (s3, bucket) = bucket(&aws).await;
        let head = s3.head_bucket().bucket(&bucket).send().await.expect("there");
        assert_eq!(head.bucket_region(), Some("eu-west-1"));
        let elsewhere = aws.s3("us-west-2");
        let redirected = region(elsewhere.head_bucket().bucket(&bucket).send().await);
        assert_eq!(redirected, (301, Some("eu-west-1".to_owned())));
        let redirected = error(elsewhere.put_object().bucket(&bucket).key("k").send().await);
        assert_eq!(redirected, (301, "PermanentRedirect".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn us_east_1_knows_the_location_of_every_bucket() {
    contract(|aws| async move {
        let (s3, bucket) = bucket(&aws).await;
        let us_east_1 = aws.s3("us-east-1");
        for client in [&s3, &us_east_1] {
            let location = client.get_bucket_location().bucket(&bucket).send().await.expect("a location");
            assert_eq!(location.location_constraint(), Some(&BucketLocationConstraint::EuWest1));
        }
        let home = aws.unique("home");
        us_east_1.create_bucket().bucket(&home).send().await.expect("created");
        let location = us_east_1.get_bucket_location().bucket(&home).send().await.expect("a location");
        let constraint = location.location_constraint().map_or("", BucketLocationConstraint::as_str);
        assert_eq!(constraint, "", "us-east-1 is not named");
    })
    .await;
}

#[tokio::test]
async fn an_upload_is_answered_with_its_checksum() {
    contract(|aws| async move {
        let (s3, bucket) = bucket(&aws).await;
        let put = |key: &'static str| {
            s3.put_object().bucket(&bucket).key(key).body(ByteStream::from_static(b"123456789"))
        };
        // The check values of the algorithms, for these nine digits.
        let (crc32, crc32c) = ("y/Q5Jg==", "4waSgw==");
        assert_eq!(put("by-default").send().await.expect("put").checksum_crc32(), Some(crc32));
        let algorithm = ChecksumAlgorithm::Crc32C;
        let chosen = put("chosen").checksum_algorithm(algorithm).send().await.expect("put");
        assert_eq!((chosen.checksum_crc32(), chosen.checksum_crc32_c()), (None, Some(crc32c)));
        let head = s3.head_object().bucket(&bucket).key("chosen").checksum_mode(ChecksumMode::Enabled);
        assert_eq!(head.send().await.expect("there").checksum_crc32_c(), Some(crc32c));
        let got = s3.get_object().bucket(&bucket).key("by-default").send().await.expect("got");
        assert_eq!(got.checksum_crc32(), Some(crc32), "this SDK asks for it");
        assert_eq!(got.body.collect().await.expect("compared by this SDK").to_vec(), b"123456789");
    })
    .await;
}

#[tokio::test]
async fn another_accounts_bucket_is_refused_with_its_region() {
    contract(|aws| async move {
        let (_, bucket) = bucket(&aws).await;
        let keys = aws_credential_types::Credentials::new("999999999999", "secret", None, None, "contract");
        let other = aws.s3_with("eu-west-1", keys);
        let refused = region(other.head_bucket().bucket(&bucket).send().await);
        assert_eq!(refused, (403, Some("eu-west-1".to_owned())));
        assert_eq!(error(other.get_object().bucket(&bucket).key("k").send().await).1, "AccessDenied");
    })
    .await;
}

#[tokio::test]
async fn buckets_are_listed_with_their_region_only_to_a_request_with_a_parameter() {
    contract(|aws| async move {
        let (s3, bucket) = bucket(&aws).await;
        let bare = s3.list_buckets().send().await.expect("listed");
        assert_eq!(bare.buckets()[0].name(), Some(bucket.as_str()));
        assert_eq!(bare.buckets()[0].bucket_region(), None);
        assert!(bare.buckets()[0].creation_date().is_some());
        let asked = s3.list_buckets().max_buckets(1000).send().await.expect("listed");
        assert_eq!(asked.buckets()[0].bucket_region(), Some("eu-west-1"));
    })
    .await;
}

#[tokio::test]
async fn buckets_are_listed_in_pages_and_by_prefix() {
    contract(|aws| async move {
        let s3 = aws.s3("eu-west-1");
        let mut names: Vec<String> = (0..5).map(|number| aws.unique(&format!("page{number}"))).collect();
        for name in &names {
            create(&s3, name).await;
        }
        names.sort();
        let mut pages = s3.list_buckets().max_buckets(2).into_paginator().send();
        let (mut found, mut sizes) = (Vec::new(), Vec::new());
        while let Some(page) = pages.next().await {
            let page = page.expect("a page");
            sizes.push(page.buckets().len());
            found.extend(page.buckets().iter().filter_map(|bucket| bucket.name().map(str::to_owned)));
        }
        assert_eq!(sizes, [2, 2, 1]);
        assert_eq!(found, names);
        let some = s3.list_buckets().prefix("page3").send().await.expect("listed");
        assert_eq!(some.buckets().len(), 1);
        assert!(some.buckets()[0].bucket_region().is_some());
    })
    .await;
}

#[tokio::test]
async fn objects_are_listed_in_pages_by_prefix_and_after_a_key() {
    contract(|aws| async move {
        let (s3, bucket) = bucket(&aws).await;
        for key in ["a/1", "a/2", "a/3", "a/4", "a/5", "b/1"] {
            put(&s3, &bucket, key, "x").await;
        }
        let list = || s3.list_objects_v2().bucket(&bucket);
        let keys = |page: &aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output| {
            page.contents().iter().filter_map(|it| it.key().map(str::to_owned)).collect::<Vec<_>>()
        };
        let mut pages = list().prefix("a/").max_keys(2).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            found.push(keys(&page.expect("a page")));
        }
        assert_eq!(found, [vec!["a/1", "a/2"], vec!["a/3", "a/4"], vec!["a/5"]]);
        let after = list().start_after("a/4").send().await.expect("listed");
        assert_eq!(keys(&after), ["a/5", "b/1"]);
        let folded = list().delimiter("/").send().await.expect("listed");
        let prefixes: Vec<_> = folded.common_prefixes().iter().filter_map(|it| it.prefix()).collect();
        assert_eq!(prefixes, ["a/", "b/"]);
        assert!(folded.contents().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_bucket_is_made_in_the_region_asked_and_once() {
    contract(|aws| async move {
        let (s3, name) = bucket(&aws).await;
        let place = || {
            let place = BucketLocationConstraint::EuWest1;
            CreateBucketConfiguration::builder().location_constraint(place).build()
        };
        let again = s3.create_bucket().bucket(&name).create_bucket_configuration(place()).send().await;
        assert_eq!(error(again), (409, "BucketAlreadyOwnedByYou".to_owned()));
        let elsewhere = aws.s3("us-west-2").create_bucket().bucket(aws.unique("elsewhere"));
        let refused = elsewhere.create_bucket_configuration(place()).send().await;
        assert_eq!(error(refused), (400, "IllegalLocationConstraintException".to_owned()));
    })
    .await;
}
