// SPDX-License-Identifier: Apache-2.0
//! The bucket with the reports and manifests.

use anyhow::{Context, bail};
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use chrono::{DateTime, Utc};

use crate::{AwsError, ErrorKind, aws, bucket_terms::BucketTerms, clock::Clock, from_sdk};

/// The report bucket, with a client for its region.
#[derive(Debug, Clone)]
pub struct ReportBucket {
    pub client: Client,
    pub name: String,
    clock: Clock,
}

impl ReportBucket {
    #[must_use]
    pub fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.to_owned(), clock: Clock::default() }
    }

    /// Finds the bucket, whatever its region, and checks that listing it is allowed.
    pub async fn open(config: &SdkConfig, name: &str, terms: BucketTerms) -> anyhow::Result<Self> {
        let clock = Clock::default();
        let (client, answer) = aws::s3_of_bucket(config, name, &clock, &terms).await;
        let bucket = Self { clock, ..Self::new(client, name) };
        match answer {
            Ok(_) => Ok(bucket),
            Err(error) => {
                let error = from_sdk("s3:ListBucket", error);
                // A HEAD response has no body, so a wrong key looks like a missing permission.
                if error.kind == ErrorKind::Denied && error.code == "Forbidden" {
                    match why_forbidden(&bucket.client, name).await {
                        None => Ok(bucket),
                        Some(error) => Err(refused(name, error, &terms)),
                    }
                } else {
                    Err(refused(name, error, &terms))
                }
            }
        }
    }

    /// The time by the bucket's clock, which all processes of a fleet share.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Reads an object whole; `None` if the key does not exist.
    pub async fn read(&self, key: &str) -> anyhow::Result<Option<Vec<u8>>> {
        match aws::read_object(&self.client, &self.name, key).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("could not read s3://{}/{key}", self.name)),
        }
    }
}

/// Why a listing is refused; `None` if it is not.
async fn why_forbidden(client: &Client, name: &str) -> Option<AwsError> {
    let answer = client.list_objects_v2().bucket(name).max_keys(1).send().await;
    answer.err().map(|error| from_sdk("s3:ListBucket", error))
}

fn refused(name: &str, error: AwsError, terms: &BucketTerms) -> anyhow::Error {
    let advice = match error.kind {
        ErrorKind::NotFound => "no such bucket: create it, or correct FLEET_REPORT_BUCKET",
        // The error itself says what is missing or has expired.
        _ if error.code == "NoCredentials" => "there are no credentials for it",
        ErrorKind::Identity | ErrorKind::Expired => {
            "these credentials are not valid: renew or correct AWS_PROFILE, AWS_ACCESS_KEY_ID or the role"
        }
        ErrorKind::Denied => "this role needs s3:ListBucket, s3:GetObject and s3:PutObject on it",
        _ => "it could not be reached",
    };
    let owner = terms.owner.as_ref().filter(|_| error.kind == ErrorKind::Denied);
    let owner = owner.map(|owner| format!(", and the bucket must be account {owner}'s")).unwrap_or_default();
    anyhow::Error::new(error).context(format!("report bucket {name}: {advice}{owner}"))
}

/// Refuses a name that is not valid for a bucket.
///
/// # Errors
///
/// A message that names the bucket and what to do.
pub fn check_name(name: &str) -> anyhow::Result<String> {
    let shaped = (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte));
    if !shaped {
        bail!("{name:?} is not a bucket's name; give the name alone, without s3:// and without a path");
    }
    Ok(name.to_owned())
}
