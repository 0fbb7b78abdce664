// SPDX-License-Identifier: Apache-2.0
//! Authentication: requests are signed with the SDK's own signer.

use std::time::SystemTime;

use anyhow::{Context, Result};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use kit::http::{self, Answer};
use local_aws::{Authentication, Collection, LocalAws, OpenSearch, Trust};

use crate::{ACCOUNT, NDJSON, bulk, double, small, statuses};

/// How a request is signed.
#[derive(Clone)]
struct Signer {
    keys: Credentials,
    service: &'static str,
    region: &'static str,
    with_hash: bool,
}

impl Signer {
    fn new(service: &'static str) -> Self {
        let keys = Credentials::new(ACCOUNT, "secret", None, None, "test");
        Self { keys, service, region: "eu-west-1", with_hash: true }
    }

    fn headers(&self, method: &str, url: &str, body: &str) -> Result<Vec<(String, String)>> {
        let identity = self.keys.clone().into();
        let mut settings = SigningSettings::default();
        if self.with_hash {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(SystemTime::now())
            .settings(settings)
            .build()?
            .into();
        let body = SignableBody::Bytes(body.as_bytes());
        let request = SignableRequest::new(method, url, [NDJSON].into_iter(), body)?;
        let (instructions, _) = sign(request, &parameters)?.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Signs for one body, and sends another.
    async fn send(&self, method: &str, url: &str, signed: &str, sent: &str) -> Result<Answer> {
        self.send_with(method, url, signed, sent, &[NDJSON]).await
    }

    async fn send_with(
        &self,
        method: &str,
        url: &str,
        signed: &str,
        sent: &str,
        more: &[(&str, &str)],
    ) -> Result<Answer> {
        let headers = self.headers(method, url, signed)?;
        let mut headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        headers.extend(more);
        http::send(method, url, &headers, sent.to_owned()).await
    }

    async fn bulk(&self, search: &OpenSearch) -> Result<u16> {
        let (url, body) = (format!("{}/_bulk", search.url()), small(1));
        Ok(self.send("POST", &url, &body, &body).await?.status)
    }
}

async fn signed(service: &str) -> Result<(LocalAws, OpenSearch)> {
    let (aws, search) = double().await?;
    search.authentication(Authentication::SigV4 {
        service: service.to_owned(),
        region: "eu-west-1".to_owned(),
        secret: "secret".to_owned(),
    });
    Ok((aws, search))
}

#[tokio::test]
async fn a_domain_checks_the_signature() -> Result<()> {
    let (_aws, search) = signed("es").await?;
    let signer = Signer::new("es");
    assert_eq!(signer.bulk(&search).await?, 200);
    assert_eq!(Signer { with_hash: false, ..signer.clone() }.bulk(&search).await?, 200);
    let url = format!("{}/_bulk?filter_path=errors,items.*.status", search.url());
    assert_eq!(signer.send("POST", &url, &small(2), &small(2)).await?.status, 200);
    let url = format!("{}/sm*/_count", search.url());
    assert_eq!(signer.send("GET", &url, "", "").await?.status, 200);

    let other = Credentials::new(ACCOUNT, "other", None, None, "test");
    assert_eq!(Signer { keys: other, ..signer.clone() }.bulk(&search).await?, 403);
    assert_eq!(Signer { region: "us-east-1", ..signer.clone() }.bulk(&search).await?, 403);
    assert_eq!(Signer { service: "aoss", ..signer.clone() }.bulk(&search).await?, 403);
    let url = format!("{}/_bulk", search.url());
    for with_hash in [true, false] {
        let signer = Signer { with_hash, ..signer.clone() };
        assert_eq!(signer.send("POST", &url, &small(1), &small(2)).await?.status, 403);
    }
    assert_eq!(bulk(&search, 1).await?.status, 403);
    assert_eq!(search.documents("small").len(), 2);
    Ok(())
}

/// The session token is to be signed too.
#[tokio::test]
async fn a_domain_takes_temporary_keys() -> Result<()> {
    let (aws, search) = signed("es").await?;
    aws.account(ACCOUNT).role("writer", Trust::default());
    let form = format!(
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::{ACCOUNT}:role/writer&RoleSessionName=test"
    );
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={ACCOUNT}/20261121/eu-west-1/sts/aws4_request, Signature=0");
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", &authorization)];
    let answer = http::send("POST", &aws.endpoint(), &headers, form).await?;
    let answer = String::from_utf8(answer.body.to_vec())?;
    let element = |name: &str| {
        let rest = answer.split_once(&format!("<{name}>")).context("an element")?.1;
        anyhow::Ok(rest.split('<').next().unwrap_or("").to_owned())
    };
    let (key, secret) = (element("AccessKeyId")?, element("SecretAccessKey")?);
    let keys = |token| Credentials::new(key.clone(), secret.clone(), token, None, "test");
    let signer = Signer { keys: keys(Some(element("SessionToken")?)), ..Signer::new("es") };
    assert_eq!(signer.bulk(&search).await?, 200);
    assert_eq!(Signer { keys: keys(None), ..signer }.bulk(&search).await?, 403);
    Ok(())
}

#[tokio::test]
async fn serverless_demands_the_hash_and_has_less() -> Result<()> {
    let (_aws, search) = signed("aoss").await?;
    search.serverless(Collection::Search);
    let signer = Signer::new("aoss");
    assert_eq!(signer.bulk(&search).await?, 200);
    assert_eq!(Signer { with_hash: false, ..signer.clone() }.bulk(&search).await?, 403);
    let url = format!("{}/_bulk", search.url());
    let chunked = [NDJSON, ("transfer-encoding", "chunked")];
    assert_eq!(signer.send_with("POST", &url, &small(1), &small(1), &chunked).await?.status, 403);
    for path in ["", "/small/_refresh", "/_plugins/_alerting/monitors/_search", "/_cluster/health"] {
        let answer = signer.send("GET", &format!("{}{path}", search.url()), "", "").await?;
        assert_eq!(answer.status, 404, "{path}");
    }
    search.serverless(Collection::TimeSeries);
    let answer = signer.send("POST", &url, &small(1), &small(1)).await?.json()?;
    assert_eq!(statuses(&answer), [400]);
    let reason = "Document ID is not supported in create/index operation request";
    assert_eq!(answer["items"][0]["index"]["error"]["reason"], reason);
    Ok(())
}

#[tokio::test]
async fn a_password_lets_in() -> Result<()> {
    let (_aws, search) = double().await?;
    let (user, password) = ("fleet".to_owned(), "password".to_owned());
    search.authentication(Authentication::Basic { user, password });
    assert_eq!(bulk(&search, 1).await?.status, 401);
    for (credentials, status) in [("ZmxlZXQ6cGFzc3dvcmQ=", 200), ("ZmxlZXQ6b3RoZXI=", 401)] {
        let authorization = format!("Basic {credentials}");
        let headers = [NDJSON, ("authorization", authorization.as_str())];
        let answer = http::send("POST", &format!("{}/_bulk", search.url()), &headers, small(1)).await?;
        assert_eq!(answer.status, status);
    }
    Ok(())
}
