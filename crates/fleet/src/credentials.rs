// SPDX-License-Identifier: Apache-2.0
//! The credentials of an account: a pure function decides which kind an account has, and the decision
//! yields an SDK credentials provider.
//!
//! An account never falls back silently to the process's own identity, since that would report on the
//! wrong account.

mod explained;
pub(crate) mod none_given;
pub mod secret;

use std::{fmt, path::PathBuf, time::Duration};

use aws_config::{
    SdkConfig, profile::ProfileFileCredentialsProvider, provider_config::ProviderConfig,
    sts::AssumeRoleProvider,
};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use secrecy::{ExposeSecret, SecretString};

pub(crate) use self::explained::Explained;
use crate::{
    Account, RunId,
    account::VARIABLES,
    accounts::{CredentialKind, ExternalId},
    environment, profiles,
};

/// The maximum length of a role session name.
///
/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
const LONGEST_SESSION_NAME: usize = 64;

/// The role session name, under which the fleet's calls appear in the members' CloudTrail: it contains
/// the run ID.
#[must_use]
pub fn session_name(run: Option<&RunId>) -> String {
    let name = run.map_or_else(|| "cloudwatch-fleet".to_owned(), |run| format!("cloudwatch-fleet-{run}"));
    name.chars().take(LONGEST_SESSION_NAME).collect()
}

/// Where an account's credentials come from.
#[derive(Debug, Clone)]
pub enum CredentialSource {
    /// `AssumeRole` with other credentials.
    Role {
        arn: String,
        /// The external ID that its trust policy requires.
        external_id: Option<ExternalId>,
        /// The lifetime of the credentials.
        duration: Duration,
        /// The credentials that assume the role.
        base: BaseSource,
    },
    /// Credentials that need no others.
    Base(BaseSource),
}

/// Credentials that are configured, not requested from STS.
#[derive(Debug, Clone)]
pub enum BaseSource {
    /// Access keys in the account's own variables.
    Keys(AccessKeys),
    /// Access keys in the secret with this ARN.
    Secret(String),
    /// A profile.
    Profile {
        name: String,
        /// The file with the profile, if not AWS's default one.
        shared_credentials_file: Option<PathBuf>,
    },
    /// The process's default credential chain.
    Default,
}

/// An access key. Its `Debug` output is redacted.
#[derive(Debug, Clone)]
pub struct AccessKeys {
    id: SecretString,
    secret: SecretString,
    session_token: Option<SecretString>,
}

/// Why an account has no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCredentials {
    /// No kind applies.
    #[error(
        "account {account} has no credentials; set {stem}_account_access_key and {stem}_secret_access_key, or give it a role, a profile or credentials = \"default\" in the accounts file"
    )]
    Nothing {
        account: String,
        /// The stem of its variables.
        stem: String,
    },
    /// One variable of a pair is not set.
    #[error("account {account}: {missing} is not set or empty; set it, or unset the other one of the pair")]
    Variable { account: String, missing: String },
    /// A variable has a value that can't be in a header.
    #[error("account {account}: {variable} {fault}; correct it")]
    Unusable { account: String, variable: String, fault: &'static str },
}

impl CredentialSource {
    /// Decides how to access `account`: by its role, its keys, its profile or the default chain, in this
    /// order unless the accounts file sets the kind. `partition` is the process's own, and `variable`
    /// reads the environment.
    pub fn choose(
        account: &Account,
        partition: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, NoCredentials> {
        let role = || account.role_arn.clone().or_else(|| role_arn(account, partition));
        let profile = || {
            account.profile.clone().map(|name| BaseSource::Profile {
                name,
                shared_credentials_file: account.shared_credentials_file.clone(),
            })
        };
        let keys = || match &account.secret_arn {
            Some(arn) => Ok(Some(BaseSource::Secret(arn.clone()))),
            None => AccessKeys::read(account, &variable).map(|keys| keys.map(BaseSource::Keys)),
        };
        let nothing = || NoCredentials::Nothing {
            account: account.name.to_string(),
            stem: account.name.variable_stem(),
        };
        let assume = |arn| {
            let base = keys()?.or_else(profile).unwrap_or(BaseSource::Default);
            let duration = Duration::from_secs(account.duration_seconds.into());
            Ok(Self::Role { arn, external_id: account.external_id.clone(), duration, base })
        };
        match account.credentials {
            Some(CredentialKind::Role) => assume(role().ok_or_else(nothing)?),
            Some(CredentialKind::Keys) => Ok(Self::Base(keys()?.ok_or_else(nothing)?)),
            Some(CredentialKind::Profile) => Ok(Self::Base(profile().ok_or_else(nothing)?)),
            Some(CredentialKind::Default) => Ok(Self::Base(BaseSource::Default)),
            None => match role() {
                Some(arn) => assume(arn),
                None => Ok(Self::Base(keys()?.or_else(profile).ok_or_else(nothing)?)),
            },
        }
    }

    /// The credentials in use before any role is assumed.
    #[must_use]
    pub fn base(&self) -> &BaseSource {
        let (Self::Role { base, .. } | Self::Base(base)) = self;
        base
    }

    /// Forgets what is cached for all providers because it is no longer valid.
    pub fn forget(&self) {
        if let BaseSource::Secret(arn) = self.base() {
            secret::forget(arn);
        }
    }

    /// Builds the provider. `own` is the process's configuration, which reads secrets; `config`
    /// determines how and in which region STS is called, and the default chain; `session` is the [role
    /// session name](session_name).
    pub async fn provider(
        &self,
        own: &SdkConfig,
        config: &SdkConfig,
        session: &str,
    ) -> SharedCredentialsProvider {
        match self {
            Self::Base(base) => base.provider(own, config),
            Self::Role { arn, external_id, duration, base } => {
                let mut role = AssumeRoleProvider::builder(arn)
                    .configure(config)
                    .session_name(session)
                    .session_length(*duration);
                if let Some(external_id) = external_id {
                    role = role.external_id(external_id.as_str());
                }
                SharedCredentialsProvider::new(role.build_from_provider(base.provider(own, config)).await)
            }
        }
    }
}

impl fmt::Display for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role { arn, base, .. } => write!(f, "role {arn} by {base}"),
            Self::Base(base) => base.fmt(f),
        }
    }
}

impl fmt::Display for BaseSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys(_) => f.write_str("access keys"),
            Self::Secret(arn) => write!(f, "access keys in {arn}"),
            Self::Profile { name, .. } => write!(f, "profile {name}"),
            Self::Default => f.write_str("default chain"),
        }
    }
}

impl BaseSource {
    fn provider(&self, own: &SdkConfig, config: &SdkConfig) -> SharedCredentialsProvider {
        match self {
            Self::Secret(arn) => secret::provider(arn, own),
            Self::Keys(keys) => SharedCredentialsProvider::new(keys.credentials()),
            Self::Profile { name, shared_credentials_file } => {
                // A profile may name a role itself, so it needs the configuration for STS.
                let mut reach = ProviderConfig::without_region().with_region(config.region().cloned());
                if let Some(client) = config.http_client() {
                    reach = reach.with_http_client(client);
                }
                if let Some(retries) = config.retry_config() {
                    reach = reach.with_retry_config(retries.clone());
                }
                if let Some(timeouts) = config.timeout_config() {
                    reach = reach.with_timeout_config(timeouts.clone());
                }
                let profile = ProfileFileCredentialsProvider::builder()
                    .configure(&reach)
                    .profile_name(name)
                    .profile_files(profiles::files(shared_credentials_file.as_deref()));
                SharedCredentialsProvider::new(Explained::profile(
                    name,
                    shared_credentials_file.as_deref(),
                    profile.build(),
                ))
            }
            // Explained where the process's own configuration is made.
            Self::Default => {
                config.credentials_provider().expect("cannot fail: aws_config gives every process a chain")
            }
        }
    }
}

impl AccessKeys {
    /// Reads the account's own variables; `None` if neither is set.
    fn read(
        account: &Account,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, NoCredentials> {
        let stem = account.name.variable_stem();
        let [id, secret, token] = VARIABLES.map(|end| format!("{stem}{end}"));
        let read = |name: &str| match variable(name).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => match environment::header_fault(&value) {
                None => Ok(Some(SecretString::from(value))),
                Some(fault) => Err(NoCredentials::Unusable {
                    account: account.name.to_string(),
                    variable: name.to_owned(),
                    fault,
                }),
            },
        };
        let missing = |name: &str| NoCredentials::Variable {
            account: account.name.to_string(),
            missing: name.to_owned(),
        };
        match (read(&id)?, read(&secret)?) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(missing(&secret)),
            (None, Some(_)) => Err(missing(&id)),
            (Some(id), Some(secret)) => Ok(Some(Self { id, secret, session_token: read(&token)? })),
        }
    }

    fn credentials(&self) -> Credentials {
        Credentials::new(
            self.id.expose_secret(),
            self.secret.expose_secret(),
            self.session_token.as_ref().map(|token| token.expose_secret().to_owned()),
            None,
            "account variables",
        )
    }
}

/// The ARN of the role, from the account's ID and the role's name.
fn role_arn(account: &Account, partition: &str) -> Option<String> {
    let (id, role) = (account.id.as_ref()?, account.role_name.as_ref()?);
    Some(format!("arn:{partition}:iam::{id}:role/{role}"))
}

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::ProvideCredentials;

    use super::*;
    use crate::Accounts;

    fn choose(account: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let text = format!("[[account]]\n{account}\n");
        let accounts = Accounts::parse(&text).expect("valid");
        let account = accounts.iter().next().expect("one account");
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        CredentialSource::choose(account, "aws", variable)
            .map(|source| source.to_string())
            .map_err(|error| error.to_string())
    }

    const KEYS: [(&str, &str); 2] = [("a_b_account_access_key", "AKIA1"), ("a_b_secret_access_key", "s")];

    #[test]
    fn each_kind_alone() {
        let role = "role arn:aws:iam::111111111111:role/r by default chain";
        assert_eq!(choose("name='a'\nid='111111111111'\nrole_name='r'", &[]).as_deref(), Ok(role));
        assert_eq!(choose("name='a'\nrole_arn='arn:aws:iam::111111111111:role/r'", &[]).as_deref(), Ok(role));
        assert_eq!(choose("name='a-b'", &KEYS).as_deref(), Ok("access keys"));
        assert_eq!(choose("name='a_b'", &KEYS).as_deref(), Ok("access keys"));
        assert_eq!(choose("name='a'\nprofile='p'", &[]).as_deref(), Ok("profile p"));
        let secret = "name='a-b'\nsecret_arn='arn:aws:secretsmanager:eu-west-1:111111111111:secret:keys-a1b2c3'\nprofile='p'";
        let keys = "access keys in arn:aws:secretsmanager:eu-west-1:111111111111:secret:keys-a1b2c3";
        assert_eq!(choose(secret, &KEYS).as_deref(), Ok(keys), "before the variables");
        assert_eq!(choose("name='a'\ncredentials='default'", &[]).as_deref(), Ok("default chain"));
    }

    #[test]
    fn the_order_if_more_than_one_applies_and_the_choice_of_the_file() {
        let all = "name='a-b'\nid='111111111111'\nrole_name='r'\nprofile='p'";
        let role = "role arn:aws:iam::111111111111:role/r by";
        assert_eq!(choose(all, &KEYS), Ok(format!("{role} access keys")));
        assert_eq!(choose(all, &[]), Ok(format!("{role} profile p")));
        let chosen = |kind: &str| choose(&format!("{all}\ncredentials='{kind}'"), &KEYS);
        assert_eq!(chosen("keys").as_deref(), Ok("access keys"));
        assert_eq!(chosen("profile").as_deref(), Ok("profile p"));
        assert_eq!(chosen("default").as_deref(), Ok("default chain"));
        assert_eq!(choose("name='a-b'\nprofile='p'", &KEYS).as_deref(), Ok("access keys"));
    }

    #[test]
    fn never_silently_the_process_itself() {
        let error = choose("name='a-b'\nid='111111111111'", &[]).expect_err("nothing applies");
        assert!(error.contains("set a_b_account_access_key and a_b_secret_access_key"), "{error}");
        let error = choose("name='a-b'\ncredentials='keys'\nprofile='p'", &[]).expect_err("no keys");
        assert!(error.contains("has no credentials"), "{error}");
        let error = choose("name='a-b'\nprofile='p'", &KEYS[..1]).expect_err("half a pair");
        assert_eq!(
            error,
            "account a-b: a_b_secret_access_key is not set or empty; set it, or unset the other one of the pair"
        );
    }

    /// No AWS emulator checks signatures, so a secret taken from the wrong variable would not be noticed
    /// there.
    #[tokio::test]
    async fn each_part_of_an_access_key_is_its_own_variable() {
        let account = Account::named("a-b".parse().expect("a name"));
        let variable = |name: &str| Some(format!("value of {name}"));
        let source = CredentialSource::choose(&account, "aws", variable).expect("keys");
        let provider = {
            let config = SdkConfig::builder().build();
            source.provider(&config, &config, "test").await
        };
        let given = provider.provide_credentials().await.expect("static");
        assert_eq!(given.access_key_id(), "value of a_b_account_access_key");
        assert_eq!(given.secret_access_key(), "value of a_b_secret_access_key");
        assert_eq!(given.session_token(), Some("value of a_b_session_token"));
    }

    #[test]
    fn values_that_no_header_can_hold_are_named_but_not_shown() {
        for variable in ["a_b_account_access_key", "a_b_secret_access_key", "a_b_session_token"] {
            let value = |name: &str| Some(format!("canary{}", if name == variable { "\r" } else { "" }));
            let account = Account::named("a-b".parse().expect("a name"));
            let error = CredentialSource::choose(&account, "aws", value).expect_err(variable).to_string();
            assert!(
                error.contains(&format!("account a-b: {variable} contains a control character")),
                "{error}"
            );
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_session_name_contains_the_run_and_is_valid_for_sts() {
        assert_eq!(session_name(None), "cloudwatch-fleet");
        let generated = RunId::generate();
        assert_eq!(session_name(Some(&generated)), format!("cloudwatch-fleet-{generated}"));
        let long: RunId = "A.b_9-".repeat(11)[..64].parse().expect("a run id");
        let name = session_name(Some(&long));
        assert_eq!(name.len(), 64);
        assert!(
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)),
            "{name}"
        );
    }

    #[test]
    fn secrets_do_not_print() {
        let account = Account::named("a-b".parse().expect("a name"));
        let variable = |name: &str| Some(format!("canary-{name}"));
        let source = CredentialSource::choose(&account, "aws", variable).expect("keys");
        assert!(!format!("{source:?} {source}").contains("canary"));
        let text =
            "[[account]]\nname='a'\nrole_arn='arn:aws:iam::111111111111:role/r'\nexternal_id='canary-1'";
        let accounts = Accounts::parse(text).expect("valid");
        let account = accounts.iter().next().expect("one");
        let source = CredentialSource::choose(account, "aws", |_| None).expect("a role");
        assert!(!format!("{account:?} {source:?} {source}").contains("canary"));
    }
}
