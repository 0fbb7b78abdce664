//! The two things that a deployment must say, the queue and the bucket, and how they are opened.

use anyhow::{Context, anyhow};
use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use clap::Args;

use crate::{
    aws,
    command_line::Faults,
    environment,
    exit::CommandError,
    queue::{self, QueueAttributes, QueueCounts, QueueError},
    report_bucket::{self, ReportBucket},
};

/// Which fleet is meant.
#[derive(Debug, Args)]
#[command(next_help_heading = "Deployment")]
pub struct Deployment {
    /// The URL of the work queue; SQS is asked in its region and at its host.
    #[arg(long, env = "FLEET_QUEUE_URL", value_name = "URL", value_parser = check_queue_url)]
    queue_url: Option<String>,

    /// The bucket that reports and manifests lie in.
    #[arg(long, env = "FLEET_REPORT_BUCKET", value_name = "BUCKET", value_parser = report_bucket::check_name)]
    report_bucket: Option<String>,
}

const NO_QUEUE: &str = "no work queue is named; set FLEET_QUEUE_URL or pass --queue-url";
const NO_BUCKET: &str = "no report bucket is named; set FLEET_REPORT_BUCKET or pass --report-bucket";

/// The work queue.
#[derive(Debug, Clone)]
pub struct Queue {
    /// A client of the queue's region.
    pub client: Client,
    /// The queue's URL.
    pub url: String,
}

impl Deployment {
    /// The report bucket's name, if one is named.
    #[must_use]
    pub fn named_bucket(&self) -> Option<&str> {
        self.report_bucket.as_deref()
    }

    /// The report bucket's name; a fault if none is named.
    pub fn bucket(&self, faults: &mut Faults) -> Option<&str> {
        if self.report_bucket.is_none() && !faults.left_out("report_bucket") {
            faults.usage(NO_BUCKET);
        }
        self.named_bucket()
    }

    /// The queue's URL; a fault if none is named.
    pub fn queue(&self, faults: &mut Faults) -> Option<&str> {
        if self.queue_url.is_none() && !faults.left_out("queue_url") {
            faults.usage(NO_QUEUE);
        }
        self.queue_url.as_deref()
    }

    /// Both; a fault for each that is not named.
    pub fn queue_and_bucket(&self, faults: &mut Faults) -> Option<(&str, &str)> {
        let queue = self.queue(faults);
        queue.zip(self.bucket(faults))
    }
}

/// What a deployment names, opened.
#[derive(Debug)]
pub struct Opened {
    /// The work queue.
    pub queue: Queue,
    /// What is read off it.
    pub attributes: QueueAttributes,
    /// The report bucket.
    pub bucket: ReportBucket,
}

/// Opens the work queue and the report bucket, and tells what is wrong with either of them.
pub async fn open(config: &SdkConfig, (queue_url, bucket): (&str, &str)) -> Result<Opened, CommandError> {
    let (queue, bucket) = tokio::join!(Queue::open(config, queue_url), open_bucket(config, bucket));
    let mut faults = Faults::default();
    let queue = faults.take(queue);
    let ((queue, attributes), bucket) = {
        let bucket = faults.take(bucket);
        faults.end(queue.zip(bucket))?
    };
    Ok(Opened { queue, attributes, bucket })
}

/// Opens the report bucket; one that does not exist is a wrong configuration.
pub async fn open_bucket(config: &SdkConfig, name: &str) -> Result<ReportBucket, CommandError> {
    let opened = ReportBucket::open(config, name).await;
    opened.map_err(CommandError::at_start)
}

impl Queue {
    /// Opens the work queue and reads its attributes; one that does not exist is a wrong configuration.
    pub async fn open(config: &SdkConfig, url: &str) -> Result<(Self, QueueAttributes), CommandError> {
        let queue = Self { client: aws::sqs(config, url), url: url.to_owned() };
        let attributes = queue.attributes().await.map_err(CommandError::at_start)?;
        Ok((queue, attributes))
    }

    /// The queue where this one's dead letters go; none where it has none.
    #[must_use]
    pub fn dead_letters(&self, attributes: &QueueAttributes) -> Option<Self> {
        let url = queue::dead_letter_url(&self.url, attributes.redrive.as_ref()?)?;
        Some(Self { client: self.client.clone(), url })
    }

    /// Reads the queue's attributes.
    pub async fn attributes(&self) -> Result<QueueAttributes, QueueError> {
        queue::attributes(&self.client, &self.url).await
    }

    /// Reads how much is on the queue.
    pub async fn counts(&self) -> anyhow::Result<QueueCounts> {
        Ok(self.attributes().await.context("could not read the work queue's counts")?.counts)
    }
}

fn check_queue_url(text: &str) -> anyhow::Result<String> {
    let path =
        ["https://", "http://"].into_iter().find_map(|scheme| text.strip_prefix(scheme)?.split_once('/'));
    match path {
        Some(_) if text.rsplit_once('.').is_some_and(|(_, kind)| kind == "fifo") => Err(anyhow!(
            "a FIFO queue is not for this: its order is not needed, and it does not keep a job from coming twice; name a standard one"
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
    fn all_that_is_missing_is_told_at_once() {
        let deployment = Deployment { queue_url: None, report_bucket: None };
        let mut faults = Faults::default();
        assert_eq!(deployment.queue_and_bucket(&mut faults), None);
        let Err(CommandError::Usage(error)) = faults.end(Some(())) else { panic!("both are missing") };
        assert!(error.to_string().contains("FLEET_QUEUE_URL"), "{error}");
        assert!(error.to_string().contains("FLEET_REPORT_BUCKET"), "{error}");
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
