// SPDX-License-Identifier: Apache-2.0
//! The bucket with the reports and manifests.

use anyhow::{Context, bail};
use aws_config::SdkConfig;
use aws_sdk_s3::{Client, primitives::ByteStream};
use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};

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

impl ReportBucket {
    /// A small record in JSON, with its version; one that can't be read is `None`.
    ///
    /// # Errors
    ///
    /// The error of S3, unless there is none under the key.
    pub async fn record<T: DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<Option<(String, Option<T>)>, AwsError> {
        const OPERATION: &str = "s3:GetObject";
        let answer = self.client.get_object().bucket(&self.name).key(key).send().await;
        let object = match answer.map_err(|error| from_sdk(OPERATION, error)) {
            Ok(object) => object,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let version = object.e_tag.ok_or_else(|| AwsError::unconfirmed(OPERATION, "ETag"))?;
        let body = object.body.collect().await.map_err(|error| {
            AwsError::new(ErrorKind::Transient, OPERATION, "BrokenAnswer").message(error.to_string())
        })?;
        Ok(Some((version, serde_json::from_slice(&body.into_bytes()).ok())))
    }

    /// Writes a record if it has this version still, or is not there if that is `None`. Returns its new version; `None` if it
    /// has changed.
    ///
    /// # Errors
    ///
    /// The error of S3.
    pub async fn put_record(
        &self,
        key: &str,
        version: Option<&str>,
        record: &impl Serialize,
    ) -> Result<Option<String>, AwsError> {
        const OPERATION: &str = "s3:PutObject";
        let put = self.client.put_object().bucket(&self.name).key(key).content_type("application/json");
        let put = match version {
            Some(version) => put.if_match(version),
            None => put.if_none_match("*"),
        };
        let body = serde_json::to_vec(record).expect("cannot fail: a record has texts and numbers");
        let answer = put.body(ByteStream::from(body)).send().await;
        match answer.map_err(|error| from_sdk(OPERATION, error)) {
            Ok(put) => put.e_tag.map(Some).ok_or_else(|| AwsError::unconfirmed(OPERATION, "ETag")),
            Err(error) if error.kind == ErrorKind::PreconditionFailed || error.code == "NoSuchKey" => {
                Ok(None)
            }
            Err(error) => Err(error),
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
