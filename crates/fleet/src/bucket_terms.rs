// SPDX-License-Identifier: Apache-2.0
//! Headers for every request to a bucket: who must own the bucket, and how written objects are
//! encrypted. A bucket policy may require both.

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextMut, dyn_dispatch_hint},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;

use crate::AccountId;

/// The terms of a bucket. An interceptor adds them to every request of a client, so that no call can
/// lack them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketTerms {
    /// The account that must own the bucket: S3 refuses requests if another account does.
    ///
    /// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>
    pub owner: Option<AccountId>,
    /// How written objects are encrypted; `None` for the bucket's default.
    pub encryption: Option<Encryption>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    pub algorithm: Algorithm,
    /// The KMS key, by ID, ARN or alias; `None` for the default key of the bucket or of S3.
    pub kms_key: Option<String>,
}

/// An algorithm of server-side encryption, as named by S3.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// With S3 managed keys.
    Aes256,
    /// With a KMS key.
    Kms,
    /// Dual-layer, with a KMS key.
    KmsDsse,
}

impl Algorithm {
    pub const ALL: [Self; 3] = [Self::Aes256, Self::Kms, Self::KmsDsse];

    /// The name in S3's API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Aes256 => "AES256",
            Self::Kms => "aws:kms",
            Self::KmsDsse => "aws:kms:dsse",
        }
    }

    /// A short description, for help.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Aes256 => "With keys of S3",
            Self::Kms => "With a key of KMS",
            Self::KmsDsse => "Twice, with a key of KMS",
        }
    }
}

#[dyn_dispatch_hint]
impl Intercept for BucketTerms {
    fn name(&self) -> &'static str {
        "BucketTerms"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        // Objects are all that is written by PUT.
        let is_write = request.method() == "PUT";
        let headers = request.headers_mut();
        if let Some(owner) = &self.owner {
            headers.try_insert("x-amz-expected-bucket-owner", owner.to_string())?;
        }
        if let Some(Encryption { algorithm, kms_key }) = self.encryption.as_ref().filter(|_| is_write) {
            headers.try_insert("x-amz-server-side-encryption", algorithm.name())?;
            if let Some(key) = kms_key {
                headers.try_insert("x-amz-server-side-encryption-aws-kms-key-id", key.clone())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
    use aws_smithy_runtime_api::{
        client::{
            http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
            orchestrator::{HttpRequest, HttpResponse},
        },
        http::StatusCode,
    };
    use aws_smithy_types::body::SdkBody;

    use super::*;
    use crate::{from_sdk, report_bucket::ReportBucket};

    /// Responds to everything and records the requests' methods and headers.
    #[derive(Debug, Clone, Default)]
    struct Asked(Arc<Mutex<Vec<Vec<String>>>>);

    impl HttpConnector for Asked {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let headers = request.headers().iter();
            let of_terms =
                headers.filter(|(name, _)| name.contains("bucket-owner") || name.contains("encryption"));
            let mut seen: Vec<String> = of_terms.map(|(name, value)| format!("{name}: {value}")).collect();
            seen.sort();
            let signed = request.headers().get("authorization").unwrap_or_default();
            assert!(
                seen.iter().all(|header| signed.contains(header.split(':').next().unwrap_or_default())),
                "{signed}"
            );
            seen.insert(0, request.method().to_owned());
            self.0.lock().expect("not poisoned").push(seen);
            let ok = StatusCode::try_from(200).expect("a status");
            HttpConnectorFuture::ready(Ok(HttpResponse::new(ok, SdkBody::empty())))
        }
    }

    async fn asked(terms: BucketTerms) -> Vec<Vec<String>> {
        let asked = Asked::default();
        let connector = SharedHttpConnector::new(asked.clone());
        let keys = Credentials::new("id", "secret", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build();
        let bucket = ReportBucket::open(&config, "reports", terms).await.expect("a bucket");
        bucket.read("k").await.expect("an object");
        let put = bucket.client.put_object().bucket(&bucket.name).key("k").send().await;
        put.map_err(|error| from_sdk("s3:PutObject", error)).expect("stored");
        asked.0.lock().expect("not poisoned").clone()
    }

    #[tokio::test]
    async fn every_request_names_the_owner_and_each_write_the_encryption() {
        let owner = "x-amz-expected-bucket-owner: 111111111111";
        let key = "arn:aws:kms:eu-west-1:111111111111:key/1";
        let terms = BucketTerms {
            owner: Some("111111111111".parse().expect("an id")),
            encryption: Some(Encryption { algorithm: Algorithm::Kms, kms_key: Some(key.into()) }),
        };
        let key = format!("x-amz-server-side-encryption-aws-kms-key-id: {key}");
        let put = ["PUT", owner, key.as_str(), "x-amz-server-side-encryption: aws:kms"].map(str::to_owned);
        let [head, get] = ["HEAD", "GET"].map(|method| vec![method.to_owned(), owner.to_owned()]);
        assert_eq!(asked(terms).await, [head, get, put.into()]);
    }

    #[tokio::test]
    async fn without_terms_nothing_is_added() {
        assert_eq!(asked(BucketTerms::default()).await, [["HEAD"], ["GET"], ["PUT"]]);
        let encryption = Some(Encryption { algorithm: Algorithm::Aes256, kms_key: None });
        let asked = asked(BucketTerms { owner: None, encryption }).await;
        assert_eq!(asked[2], ["PUT", "x-amz-server-side-encryption: AES256"]);
    }
}
