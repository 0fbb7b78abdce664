// SPDX-License-Identifier: Apache-2.0
//! The same reports on an AWS that others wrote. It runs where `LOCAL_AWS_CONTRACT_ENDPOINT` names
//! one, which `tests/local-aws/second-opinion.sh` does; elsewhere it says that it was left out.

use std::process::Stdio;

use anyhow::{Context, Result};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_cloudwatch::{
    primitives::DateTime,
    types::{Dimension, MetricDatum},
};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use chrono::{NaiveDate, Utc};
use kit::{
    HOME, HOME_REGION, REPORTS, days_ago, finish, program, report_key,
    zoo::{self, Listing},
};
use tokio::process::Command;

const REGIONS: [&str; 3] = ["eu-west-1", "us-east-1", "ap-southeast-2"];

/// Three accounts for a recent day, and three for one that `ListMetrics` has forgotten.
const ACCOUNTS: [[(&str, &str); 3]; 2] = [
    [("data", "111111111111"), ("opra-dev", "222222222222"), ("legacy_1", "333333333333")],
    [("data-old", "444444444444"), ("opra-old", "555555555555"), ("legacy_2", "666666666666")],
];

async fn config(endpoint: &str, account: &str, region: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new(account, "secret", None, None, "test"))
        .region(Region::new(region.to_owned()))
        .load()
        .await
}

async fn create_bucket(config: &SdkConfig, region: &str, name: &str) -> Result<()> {
    let builder = aws_sdk_s3::config::Builder::from(config).force_path_style(true);
    let place = BucketLocationConstraint::from(region);
    let place = CreateBucketConfiguration::builder().location_constraint(place).build();
    aws_sdk_s3::Client::from_conf(builder.build())
        .create_bucket()
        .bucket(name)
        .set_create_bucket_configuration(Some(place).filter(|_| region != "us-east-1"))
        .send()
        .await
        .with_context(|| format!("bucket {name}"))?;
    Ok(())
}

/// Fills an account for a day; gives the report that must come of it.
async fn fill(endpoint: &str, account: (&str, &str), date: NaiveDate, recent: bool) -> Result<String> {
    let mut all = Vec::new();
    for region in REGIONS {
        let config = config(endpoint, account.1, region).await;
        let cloudwatch = aws_sdk_cloudwatch::Client::new(&config);
        let created = Utc::now().date_naive();
        let place = zoo::Setting { account, region, date, created, recent };
        let mut metric_data = Vec::new();
        for bucket in zoo::buckets(&place) {
            if bucket.listing == Listing::Buckets {
                create_bucket(&config, region, &bucket.name).await?;
            }
            for (storage_type, day, value) in &bucket.datapoints {
                let counts = *storage_type == zoo::ALL;
                let dimension =
                    |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
                let midnight = day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp();
                let datum = MetricDatum::builder()
                    .metric_name(if counts { "NumberOfObjects" } else { "BucketSizeBytes" })
                    .dimensions(dimension("BucketName", &bucket.name))
                    .dimensions(dimension("StorageType", storage_type))
                    .timestamp(DateTime::from_secs(midnight))
                    .value(*value);
                metric_data.push(datum.build());
            }
            all.push(if bucket.listing == Listing::DirectoryBuckets {
                unlisted(bucket, recent)
            } else {
                bucket
            });
        }
        for chunk in metric_data.chunks(20) {
            let put = cloudwatch.put_metric_data().namespace("AWS/S3").set_metric_data(Some(chunk.to_vec()));
            put.send().await.context("PutMetricData")?;
        }
    }
    Ok(zoo::report(&all))
}

/// A directory bucket here, where their listing answers and names none: CloudWatch alone knows it, as a deleted one.
fn unlisted(bucket: zoo::Specimen, recent: bool) -> zoo::Specimen {
    let row =
        bucket.row.filter(|_| recent).map(|row| row.cell("creation_date", "").cell("status", "deleted"));
    zoo::Specimen { row, ..bucket }
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
async fn reports_are_right_to_the_byte_on_an_aws_that_others_wrote() -> Result<()> {
    let Ok(endpoint) = std::env::var("LOCAL_AWS_CONTRACT_ENDPOINT") else {
        eprintln!(
            "left out: LOCAL_AWS_CONTRACT_ENDPOINT names no other AWS; see tests/local-aws/second-opinion.sh"
        );
        return Ok(());
    };
    let home = config(&endpoint, HOME, HOME_REGION).await;
    create_bucket(&home, HOME_REGION, REPORTS).await?;
    let sqs = aws_sdk_sqs::Client::new(&home);
    let queue = sqs.create_queue().queue_name("jobs").attributes(QueueAttributeName::VisibilityTimeout, "30");
    let queue_url = queue.send().await?.queue_url.context("a queue")?;
    let folder = tempfile::tempdir()?;
    let command = |binary: &str, arguments: &[&str]| {
        let mut command = Command::new(program(binary));
        for (name, id) in ACCOUNTS.as_flattened() {
            let stem = name.replace('-', "_");
            command
                .env(format!("{stem}_account_access_key"), id)
                .env(format!("{stem}_secret_access_key"), "s");
        }
        command
            .args(arguments)
            .env("HOME", folder.path())
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env("AWS_ACCESS_KEY_ID", HOME)
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", HOME_REGION)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("FLEET_QUEUE_URL", &queue_url)
            .env("FLEET_REPORT_BUCKET", REPORTS)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    };

    for (accounts, (date, recent)) in ACCOUNTS.iter().zip([(days_ago(7), true), (days_ago(120), false)]) {
        let mut expected = Vec::new();
        for account in accounts {
            expected.push(fill(&endpoint, *account, date, recent).await?);
        }
        let mut producer = command("producer", &["run", "--date", &date.to_string()]);
        producer.env("FLEET_DEFAULT_ACCOUNTS", accounts.map(|(name, _)| name).join(","));
        finish(producer).await?.status(0);
        finish(command("worker", &["run", "--exit-when-empty"])).await?.status(0);
        finish(command("producer", &["status"])).await?.status(0);
        let s3 = aws_sdk_s3::Client::from_conf(
            aws_sdk_s3::config::Builder::from(&home).force_path_style(true).build(),
        );
        for (account, expected) in accounts.iter().zip(expected) {
            let object = s3.get_object().bucket(REPORTS).key(report_key(account.0, date)).send().await?;
            assert_eq!(
                object.metadata().and_then(|all| all.get("status")).map(String::as_str),
                Some("complete")
            );
            let body = object.body.collect().await?.to_vec();
            assert_eq!(String::from_utf8(body)?, expected, "{} on {date}", account.0);
        }
    }
    Ok(())
}
