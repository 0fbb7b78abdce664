// SPDX-License-Identifier: Apache-2.0
//! Secrets Manager over awsJson 1.1: `GetSecretValue` of the current version, by name or ARN.
//!
//! <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;

use crate::gateway::Call;
use crate::identity::partition;
use crate::permissions;
use crate::reply::{Reply, ServiceError, json_1_1, parse_json, unknown_operation};
use crate::synthetic::{mix, text_hash};
use crate::world::World;

/// The end of a secret's ARN, which Secrets Manager makes up: a hyphen and six characters.
const SUFFIX: usize = 7;

/// Which secret: names are unique in an account and region.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SecretId {
    account: String,
    region: String,
    name: String,
}

impl SecretId {
    fn arn(&self) -> String {
        let Self { account, region, name } = self;
        let suffix = mix(text_hash(name)) & 0xff_ffff;
        format!("arn:{}:secretsmanager:{region}:{account}:secret:{name}-{suffix:06x}", partition(region))
    }

    /// From an ARN, with the end that makes it unique or without, or from the name of one of the caller's own.
    fn parse(id: &str, account: &str, region: &str, known: impl Fn(&Self) -> bool) -> Option<Self> {
        let of = |account: &str, region: &str, name: &str| Self {
            account: account.to_owned(),
            region: region.to_owned(),
            name: name.to_owned(),
        };
        let Some(rest) = id.strip_prefix("arn:") else {
            return Some(of(account, region, id));
        };
        let parts: Vec<&str> = rest.splitn(6, ':').collect();
        let [_, "secretsmanager", region, account, "secret", name] = parts[..] else {
            return None;
        };
        let partial = of(account, region, name);
        if known(&partial) {
            return Some(partial);
        }
        let whole = of(account, region, name.get(..name.len().checked_sub(SUFFIX)?)?);
        (whole.arn() == id).then_some(whole)
    }
}

struct Secret {
    text: String,
    version: String,
    created: DateTime<Utc>,
}

#[derive(Default)]
pub(crate) struct Secrets {
    all: RwLock<HashMap<SecretId, Secret>>,
}

impl Secrets {
    /// Sets the text of a secret and gives its ARN.
    pub(crate) fn set(
        &self,
        account: &str,
        region: &str,
        name: &str,
        text: &str,
        now: DateTime<Utc>,
    ) -> String {
        let id = SecretId { account: account.to_owned(), region: region.to_owned(), name: name.to_owned() };
        let arn = id.arn();
        let version = uuid::Uuid::new_v4().to_string();
        let secret = Secret { text: text.to_owned(), version, created: now };
        self.all.write().unwrap_or_else(PoisonError::into_inner).insert(id, secret);
        arn
    }

    pub(crate) fn delete(&self, account: &str, region: &str, name: &str) {
        let id = SecretId { account: account.to_owned(), region: region.to_owned(), name: name.to_owned() };
        self.all.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    secret_id: String,
    version_id: Option<String>,
    version_stage: Option<String>,
}

/// The secret's name, for faults, denials and the log.
pub(crate) fn target(world: &World, call: &Call, body: &Bytes) -> Option<String> {
    let input: Input = serde_json::from_slice(body).ok()?;
    let all = world.secrets.all.read().unwrap_or_else(PoisonError::into_inner);
    let id = SecretId::parse(&input.secret_id, call.account(), &call.region, |id| all.contains_key(id));
    Some(id.map_or(input.secret_id, |id| id.name))
}

pub(crate) fn serve(world: &World, call: &Call, body: &Bytes) -> Result<Reply, ServiceError> {
    if call.operation != "GetSecretValue" {
        return Err(unknown_operation(&call.operation));
    }
    let input: Input = parse_json(body)?;
    let all = world.secrets.all.read().unwrap_or_else(PoisonError::into_inner);
    let known = |id: &SecretId| all.contains_key(id);
    let id = SecretId::parse(&input.secret_id, call.account(), &call.region, known).ok_or_else(not_found)?;
    if id.account != call.account() {
        // No resource policy here gives another account access.
        return Err(permissions::access_denied(call.service, &call.arn(), "secretsmanager:GetSecretValue"));
    }
    let secret = all
        .get(&id)
        .filter(|secret| input.version_id.as_ref().is_none_or(|version| *version == secret.version))
        .filter(|_| input.version_stage.as_deref().is_none_or(|stage| stage == "AWSCURRENT"))
        .filter(|_| id.region == call.region)
        .ok_or_else(not_found)?;
    Ok(json_1_1(&json!({
        "ARN": id.arn(),
        "Name": id.name,
        "VersionId": secret.version,
        "SecretString": secret.text,
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": secret.created.timestamp(),
    })))
}

fn not_found() -> ServiceError {
    ServiceError::new("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_by_its_name_or_its_arn_with_or_without_the_end() {
        let id =
            SecretId { account: "1".to_owned(), region: "eu-west-1".to_owned(), name: "team/key".to_owned() };
        let parse = |text: &str| SecretId::parse(text, "1", "eu-west-1", |known| *known == id);
        let arn = id.arn();
        assert_eq!(parse("team/key").as_ref(), Some(&id));
        assert_eq!(parse(&arn).as_ref(), Some(&id));
        assert_eq!(parse(&arn[..arn.len() - SUFFIX]).as_ref(), Some(&id));
        assert_eq!(parse("arn:aws:secretsmanager:eu-west-1:1:secret:team/key-abcdef"), None);
        assert_eq!(parse("arn:aws:sqs:eu-west-1:1:secret:team/key"), None);
    }
}
