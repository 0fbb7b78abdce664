//! Where an accounts file lies, and whether it has changed since it was read.

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

/// Where an accounts file lies.
#[derive(Debug)]
pub(super) enum Place {
    /// On this machine.
    Path(PathBuf),
    /// In S3.
    Object { client: Client, bucket: String, key: String, owner: Option<AccountId> },
}

/// What a file was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Version {
    /// By when it was changed, and its length.
    Path(Option<SystemTime>, u64),
    /// By its `ETag`.
    Object(Option<String>),
}

impl Place {
    /// The place that a path or an `s3://bucket/key` means; `owner` must own the bucket.
    pub(super) async fn find(
        location: &str,
        owner: Option<&AccountId>,
        config: &SdkConfig,
    ) -> anyhow::Result<Self> {
        if location.contains(char::is_control) {
            bail!("accounts file {location:?}: a control character is in its name; correct it");
        }
        let Some(rest) = location.strip_prefix("s3://") else { return Ok(Self::Path(location.into())) };
        let (bucket, key) = rest
            .split_once('/')
            .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
            .with_context(|| format!("accounts file {location:?} is not of the form s3://bucket/key"))?;
        let terms = BucketTerms { owner: owner.cloned(), encryption: None };
        let (client, _) = s3_of_bucket(config, bucket, &Clock::default(), &terms).await;
        Ok(Self::Object { client, bucket: bucket.to_owned(), key: key.to_owned(), owner: terms.owner })
    }

    /// The file's text and its version; none if that is `known` already.
    pub(super) async fn read(&self, known: Option<&Version>) -> anyhow::Result<Option<(String, Version)>> {
        match self {
            Self::Path(path) => {
                let told = || format!("could not read the accounts file {:?}", path.display().to_string());
                // Before it is read: what is changed in between is seen the next time.
                let found = tokio::fs::metadata(path).await.with_context(told)?;
                let version = Version::Path(found.modified().ok(), found.len());
                if known == Some(&version) {
                    return Ok(None);
                }
                Ok(Some((tokio::fs::read_to_string(path).await.with_context(told)?, version)))
            }
            Self::Object { client, bucket, key, owner } => {
                let told = || {
                    let owner = owner.as_ref().map(|owner| format!(" from a bucket of account {owner}"));
                    format!(
                        "could not read the accounts file s3://{bucket}/{key}{}",
                        owner.unwrap_or_default()
                    )
                };
                let known = match known {
                    Some(Version::Object(etag)) => etag.as_deref(),
                    _ => None,
                };
                let read = read_object_unless(client, bucket, key, known).await.with_context(told)?;
                let Some((bytes, etag)) = read else { return Ok(None) };
                let text =
                    String::from_utf8(bytes).with_context(|| format!("s3://{bucket}/{key} is not UTF-8"))?;
                Ok(Some((text, Version::Object(etag))))
            }
        }
    }
}

/// The error of AWS in another, if it may pass.
pub(super) fn transient(error: &anyhow::Error) -> Option<AwsError> {
    let of_aws = error.chain().find_map(|cause| cause.downcast_ref::<AwsError>());
    of_aws.filter(|error| error.is_transient()).cloned()
}
