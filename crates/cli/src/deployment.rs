// SPDX-License-Identifier: Apache-2.0
//! The work queue and the report bucket of a deployment: their flags, and how they are opened.

use anyhow::anyhow;
use aws_config::SdkConfig;
use clap::{
    Args,
    builder::{NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser},
};
use engine::queue::{Queue, QueueAttributes};
use fleet::{
    AccountId, aws,
    bucket_terms::{Algorithm, BucketTerms, Encryption},
    environment,
    report_bucket::{self, ReportBucket},
};

use crate::{exit::CommandError, faults::Faults};

/// The flags that select a fleet.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Deployment")]
pub struct Deployment {
    /// The URL of the work queue. SQS is called in the region and at the host of this URL, unless
    /// `AWS_ENDPOINT_URL` or `AWS_ENDPOINT_URL_SQS` is set.
    #[arg(long, env = "FLEET_QUEUE_URL", value_name = "URL", value_parser = check_queue_url)]
    queue_url: Option<String>,

    /// The bucket of reports and manifests, in any region.
    #[arg(long, env = "FLEET_REPORT_BUCKET", value_name = "BUCKET", value_parser = report_bucket::check_name)]
    report_bucket: Option<String>,

    /// The account that must own the report bucket; S3 refuses all requests if another does.
    #[arg(long, env = "FLEET_REPORT_BUCKET_OWNER", value_name = "ACCOUNT_ID")]
    report_bucket_owner: Option<AccountId>,

    /// How reports and manifests are encrypted [default: the bucket's setting].
    #[arg(long, env = "FLEET_REPORT_BUCKET_ENCRYPTION", value_name = "ALGORITHM", value_parser = algorithm())]
    report_bucket_encryption: Option<Algorithm>,

    /// With aws:kms or aws:kms:dsse: the key, by id, ARN or alias [default: the bucket's or S3's].
    #[arg(long, env = "FLEET_REPORT_BUCKET_KMS_KEY", value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    report_bucket_kms_key: Option<String>,
}

const NO_QUEUE: &str = "no work queue is named; set FLEET_QUEUE_URL or pass --queue-url";
const NO_BUCKET: &str = "no report bucket is named; set FLEET_REPORT_BUCKET or pass --report-bucket";

const KEY_ALONE: &str =
    "a KMS key needs FLEET_REPORT_BUCKET_ENCRYPTION (--report-bucket-encryption) of aws:kms or aws:kms:dsse";

/// The report bucket as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedBucket<'a> {
    pub name: &'a str,
    /// Sent with each request.
    pub terms: BucketTerms,
}

impl NamedBucket<'_> {
    /// Opens the bucket. If it does not exist, that is a configuration error.
    pub async fn open(self, config: &SdkConfig) -> Result<ReportBucket, CommandError> {
        ReportBucket::open(config, self.name, self.terms).await.map_err(CommandError::at_start)
    }
}

impl Deployment {
    /// `None` if no bucket is configured.
    #[must_use]
    pub fn named_bucket(&self) -> Option<NamedBucket<'_>> {
        let kms_key = self.report_bucket_kms_key.clone();
        let encryption = self.report_bucket_encryption.map(|algorithm| Encryption { algorithm, kms_key });
        let terms = BucketTerms { owner: self.report_bucket_owner.clone(), encryption };
        Some(NamedBucket { name: self.report_bucket.as_deref()?, terms })
    }

    /// The report bucket; adds a fault if none is configured.
    pub fn bucket(&self, faults: &mut Faults) -> Option<NamedBucket<'_>> {
        if self.report_bucket.is_none() && !faults.left_out("report_bucket") {
            faults.usage(NO_BUCKET);
        }
        if self.report_bucket_kms_key.is_some()
            && matches!(self.report_bucket_encryption, None | Some(Algorithm::Aes256))
            && !faults.left_out("report_bucket_encryption")
        {
            faults.usage(KEY_ALONE);
        }
        self.named_bucket()
    }

    /// The URL of the queue; adds a fault if none is configured.
    pub fn queue(&self, faults: &mut Faults) -> Option<&str> {
        if self.queue_url.is_none() && !faults.left_out("queue_url") {
            faults.usage(NO_QUEUE);
        }
        self.queue_url.as_deref()
    }

    /// Both; adds a fault for each that is not configured.
    pub fn queue_and_bucket(&self, faults: &mut Faults) -> Option<(&str, NamedBucket<'_>)> {
        let queue = self.queue(faults);
        queue.zip(self.bucket(faults))
    }
}

#[derive(Debug)]
pub struct Opened {
    pub queue: Queue,
    pub attributes: QueueAttributes,
    pub bucket: ReportBucket,
}

/// Opens the work queue and the report bucket, and reports the faults of both.
pub async fn open(
    config: &SdkConfig,
    (queue_url, bucket): (&str, NamedBucket<'_>),
) -> Result<Opened, CommandError> {
    let (queue, bucket) = tokio::join!(open_queue(config, queue_url), bucket.open(config));
    // Missing credentials are reported once, not for each.
    let queue = match queue {
        Err(error) if error.is_no_credentials() => return Err(error),
        queue => queue,
    };
    let mut faults = Faults::default();
    let queue = faults.take(queue);
    let ((queue, attributes), bucket) = {
        let bucket = faults.take(bucket);
        faults.end(queue.zip(bucket))?
    };
    Ok(Opened { queue, attributes, bucket })
}

/// Opens the work queue. If it does not exist, that is a configuration error.
pub async fn open_queue(config: &SdkConfig, url: &str) -> Result<(Queue, QueueAttributes), CommandError> {
    let queue = aws::queue(config, url);
    let attributes = queue.attributes().await.map_err(CommandError::at_start)?;
    Ok((queue, attributes))
}

fn algorithm() -> impl TypedValueParser<Value = Algorithm> {
    let value = |algorithm: Algorithm| PossibleValue::new(algorithm.name()).help(algorithm.meaning());
    PossibleValuesParser::new(Algorithm::ALL.map(value))
        .try_map(|name| Algorithm::ALL.into_iter().find(|known| known.name() == name).ok_or("not known"))
}

fn check_queue_url(text: &str) -> anyhow::Result<String> {
    let path =
        ["https://", "http://"].into_iter().find_map(|scheme| text.strip_prefix(scheme)?.split_once('/'));
    match path {
        Some(_) if text.rsplit_once('.').is_some_and(|(_, kind)| kind == "fifo") => Err(anyhow!(
            "FIFO queues are not supported: jobs need no order, and duplicates are possible anyway; use a standard queue"
        )),
        Some((host, path)) if !host.is_empty() && !path.is_empty() && environment::is_url_of_a_host(text) => {
            Ok(text.to_owned())
        }
        _ => Err(anyhow!(
            "a queue's URL is needed, such as https://sqs.eu-west-1.amazonaws.com/111111111111/jobs"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_missing_settings_are_reported_together() {
        let deployment = Deployment::default();
        let mut faults = Faults::default();
        assert_eq!(deployment.queue_and_bucket(&mut faults), None);
        let Err(CommandError::Usage(error)) = faults.end(Some(())) else { panic!("both are missing") };
        assert!(error.to_string().contains("FLEET_QUEUE_URL"), "{error}");
        assert!(error.to_string().contains("FLEET_REPORT_BUCKET"), "{error}");
    }

    #[test]
    fn a_key_of_kms_needs_an_algorithm_that_takes_one() {
        let with = |algorithm| Deployment {
            report_bucket: Some("reports".into()),
            report_bucket_encryption: algorithm,
            report_bucket_kms_key: Some("alias/reports".into()),
            ..Deployment::default()
        };
        for (algorithm, is_right) in [
            (None, false),
            (Some(Algorithm::Aes256), false),
            (Some(Algorithm::Kms), true),
            (Some(Algorithm::KmsDsse), true),
        ] {
            let mut faults = Faults::default();
            assert!(with(algorithm).bucket(&mut faults).is_some());
            assert_eq!(faults.is_empty(), is_right, "{algorithm:?}");
        }
    }

    #[test]
    fn a_queue_is_named_by_its_url() {
        for url in ["https://sqs.eu-west-1.amazonaws.com/1/jobs", "http://127.0.0.1:4566/1/jobs"] {
            assert_eq!(check_queue_url(url).expect("a URL"), url);
        }
        for other in [
            "",
            "jobs",
            "arn:aws:sqs:eu-west-1:1:jobs",
            "https://",
            "https:///x",
            "ftp://x/y",
            "https://x/1/jobs\n",
            "https://x y/1/jobs",
            "https://é/1/jobs",
            "https://x/1/jobs.fifo",
        ] {
            assert!(check_queue_url(other).is_err(), "{other}");
        }
    }
}
