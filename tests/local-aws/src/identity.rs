// SPDX-License-Identifier: Apache-2.0
//! Who calls: from the access key in the `SigV4` header to an account and a principal. Signatures are not verified.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use chrono::{DateTime, Utc};
use hyper::StatusCode;
use hyper::header::HeaderMap;

use crate::calls::Service;
use crate::reply::ServiceError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature<'a> {
    pub(crate) access_key: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) session_token: Option<&'a str>,
}

impl<'a> Signature<'a> {
    /// Reads `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, …`.
    pub(crate) fn of(headers: &'a HeaderMap) -> Option<Self> {
        let authorization = headers.get("authorization")?.to_str().ok()?;
        let credential = authorization.split_once("Credential=")?.1.split(',').next()?;
        let mut parts = credential.trim().split('/');
        let access_key = parts.next()?;
        let _date = parts.next()?;
        let (region, service) = (parts.next()?, parts.next()?);
        let session_token = headers.get("x-amz-security-token").and_then(|token| token.to_str().ok());
        Some(Self { access_key, region, service, session_token })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) account: String,
    pub(crate) access_key: String,
    pub(crate) principal: Principal,
}

/// The identity of an access key within its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    Root,
    User(String),
    Session { role: String, session: String },
}

impl Caller {
    pub(crate) fn arn(&self, region: &str) -> String {
        let (partition, account) = (partition(region), &self.account);
        match &self.principal {
            Principal::Root => format!("arn:{partition}:iam::{account}:root"),
            Principal::User(name) => format!("arn:{partition}:iam::{account}:user/{name}"),
            Principal::Session { role, session } => {
                format!("arn:{partition}:sts::{account}:assumed-role/{role}/{session}")
            }
        }
    }
}

/// The partition that a region lies in.
pub(crate) fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

#[derive(Debug, Clone)]
struct AccessKey {
    account: String,
    principal: Principal,
    session_token: Option<String>,
    expires: Option<DateTime<Utc>>,
}

/// The access keys that are known besides the 12-digit ones.
#[derive(Default)]
pub(crate) struct Identities {
    keys: RwLock<HashMap<String, AccessKey>>,
}

impl Identities {
    pub(crate) fn add_user_key(&self, account: &str, key: &str, session_token: Option<&str>) {
        let entry = AccessKey {
            account: account.to_owned(),
            principal: Principal::User("fleet".to_owned()),
            session_token: session_token.map(str::to_owned),
            expires: None,
        };
        self.insert(key, entry);
    }

    pub(crate) fn add_session_key(
        &self,
        key: &str,
        session_token: &str,
        account: &str,
        principal: Principal,
        expires: DateTime<Utc>,
    ) {
        let entry = AccessKey {
            account: account.to_owned(),
            principal,
            session_token: Some(session_token.to_owned()),
            expires: Some(expires),
        };
        self.insert(key, entry);
    }

    fn insert(&self, key: &str, entry: AccessKey) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), entry);
    }

    /// Forgets a key: from now on it is unknown.
    pub(crate) fn remove(&self, key: &str) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Makes every temporary key of the account expire now.
    pub(crate) fn expire_sessions(&self, account: &str, now: DateTime<Utc>) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        for key in keys.values_mut().filter(|key| key.account == account && key.expires.is_some()) {
            key.expires = Some(now);
        }
    }

    /// Who a signature belongs to, or the error that AWS would answer.
    pub(crate) fn resolve(
        &self,
        signature: Option<&Signature<'_>>,
        service: Service,
        now: DateTime<Utc>,
    ) -> Result<Caller, ServiceError> {
        let Some(signature) = signature else {
            return Err(unsigned(service));
        };
        let access_key = signature.access_key.to_owned();
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let Some(key) = keys.get(signature.access_key) else {
            if is_account_id(signature.access_key) {
                return Ok(Caller { account: access_key.clone(), access_key, principal: Principal::Root });
            }
            return Err(unknown_key(service));
        };
        if key.session_token.as_deref() != signature.session_token {
            return Err(wrong_token(service));
        }
        if key.expires.is_some_and(|expires| expires <= now) {
            return Err(expired_token(service));
        }
        Ok(Caller { account: key.account.clone(), access_key, principal: key.principal.clone() })
    }
}

/// Whether a text is an account id, and so an access key that needs no registration.
pub(crate) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn unsigned(service: Service) -> ServiceError {
    match service {
        Service::S3 => ServiceError::new("AccessDenied", "Access Denied"),
        _ => ServiceError::new("MissingAuthenticationToken", "Request is missing Authentication Token")
            .shape("MissingAuthenticationTokenException"),
    }
    .status(StatusCode::FORBIDDEN)
}

/// The key is unknown, or, in an opt-in region, unknown there.
pub(crate) fn unknown_key(service: Service) -> ServiceError {
    match service {
        Service::S3 => ServiceError::new(
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        ),
        _ => ServiceError::new(
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
        )
        .shape("UnrecognizedClientException"),
    }
    .status(StatusCode::FORBIDDEN)
}

fn wrong_token(service: Service) -> ServiceError {
    match service {
        Service::S3 => {
            ServiceError::new("InvalidToken", "The provided token is malformed or otherwise invalid.")
        }
        _ => unknown_key(service),
    }
}

pub(crate) fn expired_token(service: Service) -> ServiceError {
    match service {
        Service::S3 => ServiceError::new("ExpiredToken", "The provided token has expired."),
        _ => ServiceError::new("ExpiredToken", "The security token included in the request is expired")
            .shape("ExpiredTokenException")
            .status(StatusCode::FORBIDDEN),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn signed(key: &'static str, token: Option<&'static str>) -> Signature<'static> {
        Signature { access_key: key, region: "eu-west-1", service: "sqs", session_token: token }
    }

    fn code(result: Result<Caller, ServiceError>) -> String {
        result.map_or_else(|error| error.code.into_owned(), |caller| caller.account)
    }

    #[test]
    fn the_credential_scope_gives_key_region_and_service() {
        let mut headers = HeaderMap::new();
        let value =
            "AWS4-HMAC-SHA256 Credential=AKIAX/20261121/cn-north-1/monitoring/aws4_request, SignedHeaders=a";
        headers.insert("authorization", HeaderValue::from_static(value));
        let signature = Signature::of(&headers).expect("signed");
        assert_eq!((signature.access_key, signature.region), ("AKIAX", "cn-north-1"));
        assert_eq!(signature.service, "monitoring");
    }

    #[test]
    fn keys_tokens_and_expiry_are_distinguished() {
        let (identities, now) = (Identities::default(), Utc::now());
        identities.add_user_key("222222222222", "AKIAUSER", None);
        let session = Principal::Session { role: "reader".to_owned(), session: "s".to_owned() };
        identities.add_session_key("ASIAOLD", "token", "222222222222", session, now);
        let resolve = |key, token| {
            let signature = signed(key, token);
            code(identities.resolve(Some(&signature), Service::Sqs, now))
        };
        assert_eq!(resolve("111111111111", None), "111111111111");
        assert_eq!(resolve("AKIAUSER", None), "222222222222");
        assert_eq!(resolve("AKIAUSER", Some("stray")), "InvalidClientTokenId");
        assert_eq!(resolve("AKIAOTHER", None), "InvalidClientTokenId");
        assert_eq!(resolve("ASIAOLD", None), "InvalidClientTokenId");
        assert_eq!(resolve("ASIAOLD", Some("token")), "ExpiredToken");
    }

    #[test]
    fn arns_follow_the_partition() {
        let principal = Principal::Session { role: "reader".to_owned(), session: "run".to_owned() };
        let caller = Caller { account: "111111111111".to_owned(), access_key: String::new(), principal };
        assert_eq!(caller.arn("eu-west-1"), "arn:aws:sts::111111111111:assumed-role/reader/run");
        assert_eq!(caller.arn("cn-north-1"), "arn:aws-cn:sts::111111111111:assumed-role/reader/run");
        assert_eq!(caller.arn("us-gov-west-1"), "arn:aws-us-gov:sts::111111111111:assumed-role/reader/run");
    }
}
