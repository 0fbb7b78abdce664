// SPDX-License-Identifier: Apache-2.0
//! The same reports on an AWS that others wrote. It runs where `LOCAL_AWS_CONTRACT_ENDPOINT` names
//! one, which `tests/local-aws/second-opinion.sh` does; elsewhere it says that it was left out.

mod described;

use std::{collections::BTreeMap, process::Stdio};

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
    HOME, HOME_REGION, REPORTS, days_ago, finish, keys, program, report_key,
    series_zoo::{self, FAR, Zoo, published::PUBLISHED},
    zoo::{self, Listing},
};
use tempfile::TempDir;
use tokio::process::Command;

const REGIONS: [&str; 3] = ["eu-west-1", "us-east-1", "ap-southeast-2"];

/// Three accounts for a recent day, and three for one that `ListMetrics` has forgotten.
const ACCOUNTS: [[(&str, &str); 3]; 2] = [
    [("data", "111111111111"), ("opra-dev", "222222222222"), ("legacy_1", "333333333333")],
    [("data-old", "444444444444"), ("opra-old", "555555555555"), ("legacy_2", "666666666666")],
];

/// The account that has all datasets of series. There are some hundred metrics to list, and no quota to keep.
const SERIES: (&str, &str) = ("series", "777777777777");
const SERIES_FILE: &str = "[[account]]\nname = \"series\"\ncredentials = \"keys\"\nquota_share = 100.0\n";

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

/// A fleet on the AWS that others wrote.
struct Fleet {
    endpoint: String,
    home: SdkConfig,
    queue_url: String,
    bucket: String,
    folder: TempDir,
}

impl Fleet {
    /// `None`, after it has said so, if there is no such AWS. The name is that of its queue, and of its bucket.
    #[expect(clippy::print_stderr, reason = "a test that is left out says so")]
    async fn start(name: &str) -> Result<Option<Self>> {
        let Ok(endpoint) = std::env::var("LOCAL_AWS_CONTRACT_ENDPOINT") else {
            eprintln!(
                "left out: LOCAL_AWS_CONTRACT_ENDPOINT names no other AWS; see tests/local-aws/second-opinion.sh"
            );
            return Ok(None);
        };
        let home = config(&endpoint, HOME, HOME_REGION).await;
        let bucket = format!("{REPORTS}-{name}");
        create_bucket(&home, HOME_REGION, &bucket).await?;
        let sqs = aws_sdk_sqs::Client::new(&home);
        let queue =
            sqs.create_queue().queue_name(name).attributes(QueueAttributeName::VisibilityTimeout, "30");
        let queue_url = queue.send().await?.queue_url.context("a queue")?;
        Ok(Some(Self { endpoint, home, queue_url, bucket, folder: tempfile::tempdir()? }))
    }

    /// A program that has the keys of these accounts.
    fn command(&self, accounts: &[(&str, &str)], binary: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program(binary));
        for (name, id) in accounts {
            command.envs(keys(name, id));
        }
        command
            .args(arguments)
            .env("HOME", self.folder.path())
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", HOME)
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", HOME_REGION)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("FLEET_QUEUE_URL", &self.queue_url)
            .env("FLEET_REPORT_BUCKET", &self.bucket)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// The complete report under a key.
    async fn report(&self, key: &str) -> Result<String> {
        let s3 = aws_sdk_s3::config::Builder::from(&self.home).force_path_style(true).build();
        let object = aws_sdk_s3::Client::from_conf(s3).get_object().bucket(&self.bucket).key(key).send();
        let object = object.await.with_context(|| format!("no {key}"))?;
        let status = object.metadata().and_then(|all| all.get("status"));
        assert_eq!(status.map(String::as_str), Some("complete"), "{key}");
        Ok(String::from_utf8(object.body.collect().await?.to_vec())?)
    }
}

#[tokio::test]
async fn reports_are_right_to_the_byte_on_an_aws_that_others_wrote() -> Result<()> {
    let Some(fleet) = Fleet::start("days").await? else { return Ok(()) };
    let command =
        |binary: &str, arguments: &[&str]| fleet.command(ACCOUNTS.as_flattened(), binary, arguments);
    for (accounts, (date, recent)) in ACCOUNTS.iter().zip([(days_ago(7), true), (days_ago(120), false)]) {
        let mut expected = Vec::new();
        for account in accounts {
            expected.push(fill(&fleet.endpoint, *account, date, recent).await?);
        }
        let mut producer = command("producer", &["run", "--date", &date.to_string()]);
        producer.env("FLEET_DEFAULT_ACCOUNTS", accounts.map(|(name, _)| name).join(","));
        finish(producer).await?.status(0);
        finish(command("worker", &["run", "--exit-when-empty"])).await?.status(0);
        finish(command("producer", &["status"])).await?.status(0);
        for (account, expected) in accounts.iter().zip(expected) {
            let table = fleet.report(&report_key(account.0, date)).await?;
            assert_eq!(table, expected, "{} on {date}", account.0);
        }
    }
    Ok(())
}

/// Puts all series of a zoo into an account.
async fn publish(endpoint: &str, id: &str, zoo: &Zoo) -> Result<()> {
    let mut data: BTreeMap<(&str, &str), Vec<MetricDatum>> = BTreeMap::new();
    for (series, points) in &zoo.series {
        let dimension =
            |(name, value): &(&str, String)| Dimension::builder().name(*name).value(value).build();
        let dimensions: Vec<_> = series.dimensions.iter().map(dimension).collect();
        let of_place = data.entry((&series.region, series.namespace)).or_default();
        for (at, samples) in points {
            let datum = MetricDatum::builder()
                .metric_name(&series.metric)
                .set_dimensions(Some(dimensions.clone()))
                .timestamp(DateTime::from_secs(at.timestamp()))
                .set_values(Some(samples.clone()));
            of_place.push(datum.build());
        }
    }
    for ((region, namespace), data) in data {
        let cloudwatch = aws_sdk_cloudwatch::Client::new(&config(endpoint, id, region).await);
        // As many as AWS takes.
        for chunk in data.chunks(1000) {
            let put = cloudwatch.put_metric_data().namespace(namespace).set_metric_data(Some(chunk.to_vec()));
            put.send().await.context("PutMetricData")?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn each_dataset_has_its_own_series_and_no_others_on_an_aws_that_others_wrote() -> Result<()> {
    let Some(fleet) = Fleet::start("series").await? else { return Ok(()) };
    let date = days_ago(3);
    let datasets = described::all(&[HOME_REGION, FAR]);
    let mut zoo = Zoo::new(date);
    // Here a query without dimensions is answered with the series of all dimensions; AWS has metrics by their exact
    // dimensions. And second-opinion.sh makes it keep metrics for longer than two weeks, which lists them for as long.
    (zoo.is_exact, zoo.remembers) = (false, true);
    for (_, dataset) in &datasets {
        zoo.add(dataset)?;
    }
    publish(&fleet.endpoint, SERIES.1, &zoo).await?;

    let date_text = date.to_string();
    let mut arguments = vec!["run", "--window", "1d", "--date", &date_text, "--account-name", SERIES.0];
    arguments.extend(datasets.iter().flat_map(|(_, dataset)| ["--dataset", dataset.name]));
    finish(fleet.command(&[SERIES], "producer", &arguments)).await?.status(0);
    let accounts = fleet.folder.path().join("accounts.toml");
    std::fs::write(&accounts, SERIES_FILE)?;
    let mut worker = fleet.command(&[SERIES], "worker", &["run", "--exit-when-empty", "--concurrency", "16"]);
    worker.env("FLEET_ACCOUNTS", accounts);
    finish(worker).await?.status(0);

    for (built_in, dataset) in &datasets {
        let folder = built_in.folder("1d".parse()?);
        let key = format!("{folder}/report_date={date}/account_name={}/report.csv", SERIES.0);
        let differences = series_zoo::differences(&fleet.report(&key).await?, &zoo.report(dataset, SERIES)?)?;
        assert_eq!(differences, Vec::<String>::new(), "{key}");
    }
    assert_eq!(datasets.len(), PUBLISHED.len());
    Ok(())
}
