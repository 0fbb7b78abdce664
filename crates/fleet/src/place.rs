// SPDX-License-Identifier: Apache-2.0
//! Where a file of settings is, on disk or in S3, and whether it has changed since it was read.

use std::{path::PathBuf, time::SystemTime};

use anyhow::{Context, bail};
use aws_config::SdkConfig;
use aws_sdk_s3::Client;

use crate::{
    AccountId, AwsError,
    aws::s3::{read_object_unless, s3_of_bucket},
    bucket_terms::BucketTerms,
    clock::Clock,
};

/// The place of a file, and what the file is called in messages.
#[derive(Debug)]
pub struct Place {
    pub(crate) file: &'static str,
    pub(crate) at: Location,
}

#[derive(Debug)]
pub(crate) enum Location {
    Path(PathBuf),
    Object { client: Client, bucket: String, key: String, owner: Option<AccountId> },
}

/// The version of a file when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// Its modification time and its length.
    Path(Option<SystemTime>, u64),
    /// Its `ETag`.
    Object(Option<String>),
}

impl Place {
    /// Parses a path or `s3://bucket/key`. `owner` must own the bucket.
    ///
    /// # Errors
    ///
    /// If the location is neither.
    pub async fn find(
        file: &'static str,
        location: &str,
        owner: Option<&AccountId>,
        config: &SdkConfig,
    ) -> anyhow::Result<Self> {
        if location.contains(char::is_control) {
            bail!("{file} {location:?}: its name contains a control character; correct it");
        }
        let Some(rest) = location.strip_prefix("s3://") else {
            return Ok(Self { file, at: Location::Path(location.into()) });
        };
        let (bucket, key) = rest
            .split_once('/')
            .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
            .with_context(|| format!("{file} {location:?} is not of the form s3://bucket/key"))?;
        let terms = BucketTerms { owner: owner.cloned(), encryption: None };
        let (client, _) = s3_of_bucket(config, bucket, &Clock::default(), &terms).await;
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        Ok(Self { file, at: Location::Object { client, bucket, key, owner: terms.owner } })
    }

    /// The file's text and version; `None` if the version is `known` already.
    ///
    /// # Errors
    ///
    /// If it does not exist, can't be read or is not text.
    pub async fn read(&self, known: Option<&Version>) -> anyhow::Result<Option<(String, Version)>> {
        let file = self.file;
        match &self.at {
            Location::Path(path) => {
                let message = || format!("could not read the {file} {:?}", path.display().to_string());
                // Taken before reading, so that a change during the read is seen the next time.
                let found = tokio::fs::metadata(path).await.with_context(message)?;
                let version = Version::Path(found.modified().ok(), found.len());
                if known == Some(&version) {
                    return Ok(None);
                }
                Ok(Some((tokio::fs::read_to_string(path).await.with_context(message)?, version)))
            }
            Location::Object { client, bucket, key, owner } => {
                let message = || {
                    let owner = owner.as_ref().map(|owner| format!(" from a bucket of account {owner}"));
                    format!("could not read the {file} s3://{bucket}/{key}{}", owner.unwrap_or_default())
                };
                let known = match known {
                    Some(Version::Object(etag)) => etag.as_deref(),
                    _ => None,
                };
                let read = read_object_unless(client, bucket, key, known).await.with_context(message)?;
                let Some((bytes, etag)) = read else { return Ok(None) };
                let text =
                    String::from_utf8(bytes).with_context(|| format!("s3://{bucket}/{key} is not UTF-8"))?;
                Ok(Some((text, Version::Object(etag))))
            }
        }
    }
}

/// The AWS error in this one, if it is transient.
pub(crate) fn transient(error: &anyhow::Error) -> Option<AwsError> {
    let of_aws = error.chain().find_map(|cause| cause.downcast_ref::<AwsError>());
    of_aws.filter(|error| error.is_transient()).cloned()
}
