// SPDX-License-Identifier: Apache-2.0
//! Access keys in AWS Secrets Manager, read when an account's session starts.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use aws_config::SdkConfig;
use aws_credential_types::{
    Credentials,
    provider::{self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use serde_json::{Value, json};

use super::explained::fault;
use crate::{
    AwsError, aws::config::with_region, json_service::JsonOperation, kept_credentials::KeptCredentials,
};

/// The IAM action that reads a secret.
pub const GET_SECRET_VALUE: &str = "secretsmanager:GetSecretValue";

const OPERATION: JsonOperation = JsonOperation {
    service: "secretsmanager",
    id: "Secrets Manager",
    target: "secretsmanager.GetSecretValue",
    action: GET_SECRET_VALUE,
};

/// The accepted names of a key's parts in a secret: as in an account's variables, or AWS's own.
const ID: [&str; 5] =
    ["access_key_id", "account_access_key", "AWS_ACCESS_KEY_ID", "aws_access_key_id", "AccessKeyId"];
const SECRET: [&str; 4] =
    ["secret_access_key", "AWS_SECRET_ACCESS_KEY", "aws_secret_access_key", "SecretAccessKey"];
const TOKEN: [&str; 4] = ["session_token", "AWS_SESSION_TOKEN", "aws_session_token", "SessionToken"];

/// The secrets read so far, cached for all jobs of the process for a quarter of an hour each.
static KEPT: LazyLock<Mutex<HashMap<String, SharedCredentialsProvider>>> = LazyLock::new(Mutex::default);

/// The keys in the secret with this ARN, read by the process itself.
pub(super) fn provider(arn: &str, own: &SdkConfig) -> SharedCredentialsProvider {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        // In the region of the ARN: a secret exists in no other.
        let config = arn.split(':').nth(3).map(|region| with_region(own, region));
        let secret = Secret { arn: arn.to_owned(), config: config.unwrap_or_else(|| own.clone()) };
        SharedCredentialsProvider::new(KeptCredentials::new(SharedCredentialsProvider::new(secret)))
    };
    kept.entry(arn.to_owned()).or_insert_with(make).clone()
}

/// Forgets a secret whose keys are no longer valid.
pub(super) fn forget(arn: &str) {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).remove(arn);
}

#[derive(Debug)]
struct Secret {
    arn: String,
    config: SdkConfig,
}

impl Secret {
    async fn credentials(&self) -> provider::Result {
        let answer = OPERATION.call(&self.config, json!({ "SecretId": self.arn })).await;
        let answer = answer.map_err(|error| unread(&self.arn, error))?;
        let text = answer.get("SecretString").and_then(Value::as_str);
        let keys = text.ok_or_else(|| "it has no text".to_owned()).and_then(keys);
        let usable = keys.and_then(|keys| fault(&keys).map_or(Ok(keys), Err));
        usable.map_err(|fault| wrong(&self.arn, &fault))
    }
}

/// Classifies the failure to read a secret. If it does not exist, the account's configuration is at
/// fault, otherwise the reader's.
fn unread(arn: &str, error: AwsError) -> CredentialsError {
    match &*error.code {
        "ResourceNotFoundException" => {
            wrong(arn, "it does not exist; correct secret_arn in the accounts file, or create it")
        }
        "InvalidRequestException" if error.message.contains("deletion") => {
            wrong(arn, "it is marked for deletion; restore it, or correct secret_arn in the accounts file")
        }
        _ => CredentialsError::provider_error(error),
    }
}

fn wrong(arn: &str, fault: &str) -> CredentialsError {
    CredentialsError::invalid_configuration(format!("secret {arn}: {fault}"))
}

impl ProvideCredentials for Secret {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

/// The keys in a secret's text, or what is wrong with it; nothing of the text is shown.
fn keys(text: &str) -> Result<Credentials, String> {
    let value: Value = serde_json::from_str(text).map_err(|_| "it is not JSON".to_owned())?;
    let part = |names: &[&str]| {
        let found = names.iter().find_map(|name| value.get(name)?.as_str());
        found.filter(|part| !part.is_empty()).map(str::to_owned)
    };
    let needed = |names: &[&'static str]| {
        let name = names.first().copied().unwrap_or_default();
        part(names).ok_or_else(|| format!("it has no {name}, which must be a string"))
    };
    Ok(Credentials::new(needed(&ID)?, needed(&SECRET)?, part(&TOKEN), None, "secret"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_under_every_name() {
        for (id, secret, token) in [
            ("access_key_id", "secret_access_key", "session_token"),
            ("account_access_key", "secret_access_key", "session_token"),
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
            ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
            ("AccessKeyId", "SecretAccessKey", "SessionToken"),
        ] {
            let text =
                format!(r#"{{"{id}":"AKIA","{secret}":"s","{token}":"t","other":{{"password":"p"}}}}"#);
            let keys = keys(&text).expect("keys");
            assert_eq!((keys.access_key_id(), keys.secret_access_key()), ("AKIA", "s"));
            assert_eq!(keys.session_token(), Some("t"));
        }
        let keys = keys(r#"{"access_key_id":"AKIA","secret_access_key":"s","session_token":""}"#);
        assert_eq!(keys.expect("keys").session_token(), None);
    }

    #[test]
    fn a_secret_that_does_not_exist_is_named_and_is_a_fault_of_the_accounts_file() {
        use std::error::Error;

        use crate::ErrorKind;

        let arn = "arn:aws:secretsmanager:eu-west-1:111111111111:secret:keys-a1b2c3";
        let deleted = "You can't perform this operation on the secret because it was marked for deletion.";
        let of = |code: &str, message: &str| {
            let error = AwsError::new(ErrorKind::Permanent, GET_SECRET_VALUE, code).message(message);
            unread(arn, error).source().expect("why").to_string()
        };
        let message =
            format!("secret {arn}: it does not exist; correct secret_arn in the accounts file, or create it");
        assert_eq!(of("ResourceNotFoundException", "no such secret"), message);
        assert!(
            of("InvalidRequestException", deleted)
                .ends_with("restore it, or correct secret_arn in the accounts file")
        );
        assert!(of("DecryptionFailure", "no").contains("DecryptionFailure"));
    }

    #[test]
    fn a_fault_of_a_secret_is_described_without_its_content() {
        for (text, message) in [
            ("canary", "not JSON"),
            (r#"["canary"]"#, "no access_key_id"),
            (r#"{"secret_access_key":"canary"}"#, "no access_key_id"),
            (r#"{"access_key_id":"canary"}"#, "no secret_access_key"),
            (r#"{"access_key_id":"canary","secret_access_key":4711}"#, "no secret_access_key"),
            (r#"{"access_key_id":"","secret_access_key":"canary"}"#, "no access_key_id"),
        ] {
            let fault = keys(text).expect_err(text);
            assert!(
                fault.contains(message) && !fault.contains("canary") && !fault.contains("4711"),
                "{fault}"
            );
        }
    }
}
