//! The bucket that reports and manifests lie in.

use anyhow::{Context, bail};
use aws_config::SdkConfig;
use aws_sdk_s3::{Client, error::SdkError};

use crate::{AwsError, ErrorKind, aws};

/// The report bucket, with a client of the region that it lies in.
#[derive(Debug, Clone)]
pub struct ReportBucket {
    /// The client.
    pub client: Client,
    /// The bucket's name.
    pub name: String,
}

impl ReportBucket {
    /// Finds the bucket and the region that it lies in, which need not be the process's own.
    pub async fn open(config: &SdkConfig, name: &str) -> anyhow::Result<Self> {
        let client = aws::s3(config);
        let Err(error) = client.head_bucket().bucket(name).send().await else {
            return Ok(Self { client, name: name.to_owned() });
        };
        let region = error
            .raw_response()
            .and_then(|response| response.headers().get("x-amz-bucket-region"))
            .filter(|region| *region != aws::region(config))
            .map(str::to_owned);
        let redirected = matches!(&error, SdkError::ServiceError(context)
            if matches!(context.raw().status().as_u16(), 301 | 307 | 400));
        if let (true, Some(region)) = (redirected, region) {
            let client = aws::s3(&aws::with_region(config, &region));
            return match client.head_bucket().bucket(name).send().await {
                Ok(_) => Ok(Self { client, name: name.to_owned() }),
                Err(error) => Err(refused(name, AwsError::new("s3:ListBucket", error))),
            };
        }
        Err(refused(name, AwsError::new("s3:ListBucket", error)))
    }

    /// Reads an object whole; none where there is no such key.
    pub async fn read(&self, key: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let what = || format!("could not read s3://{}/{key}", self.name);
        match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(object) => Ok(Some(object.body.collect().await.with_context(what)?.to_vec())),
            Err(error) => match AwsError::new("s3:GetObject", error) {
                error if error.kind == ErrorKind::NotFound => Ok(None),
                error => Err(error).with_context(what),
            },
        }
    }
}

fn refused(name: &str, error: AwsError) -> anyhow::Error {
    let mend = match error.kind {
        ErrorKind::NotFound => "no such bucket: create it, or correct FLEET_REPORT_BUCKET",
        ErrorKind::Denied => "this role needs s3:ListBucket, s3:GetObject and s3:PutObject on it",
        _ => "it could not be reached",
    };
    anyhow::Error::new(error).context(format!("report bucket {name}: {mend}"))
}

/// Refuses a name that S3 could not have given a bucket.
///
/// # Errors
/// A message that names the bucket and the mend.
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
