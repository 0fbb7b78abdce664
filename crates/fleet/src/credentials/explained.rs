// SPDX-License-Identifier: Apache-2.0
//! Credentials providers that explain why they have none. The SDK's own providers describe only their
//! parts, and do not name their configuration.

use std::{
    env, io,
    path::{Path, PathBuf},
};

use aws_config::imds::client::error::{ImdsError, TokenError};
use aws_credential_types::{
    Credentials,
    provider::{self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};

use super::none_given::NoneGiven;
use crate::{
    ErrorKind,
    aws_error::{chain, error_text, is_unreachable},
    environment,
    profiles::{Cause, Profiles},
};

/// A provider that explains its failures, and whose credentials are valid in a header.
#[derive(Debug)]
pub(crate) struct Explained {
    of: Owner,
    provider: SharedCredentialsProvider,
}

/// Whose credentials these are.
#[derive(Debug)]
enum Owner {
    /// The process's own, from its default chain.
    Process,
    Profile {
        name: String,
        file: Option<PathBuf>,
    },
}

/// Why there are no credentials, if known.
struct Why {
    kind: ErrorKind,
    text: String,
}

impl Why {
    /// Something that a person must set or correct.
    fn unset(text: String) -> Self {
        Self { kind: ErrorKind::NoCredentials, text }
    }
}

impl Explained {
    pub(crate) fn process(chain: SharedCredentialsProvider) -> Self {
        Self { of: Owner::Process, provider: chain }
    }

    pub(crate) fn profile(
        name: &str,
        file: Option<&Path>,
        provider: impl ProvideCredentials + 'static,
    ) -> Self {
        let of = Owner::Profile { name: name.to_owned(), file: file.map(Path::to_owned) };
        Self { of, provider: SharedCredentialsProvider::new(provider) }
    }

    async fn credentials(&self) -> provider::Result {
        match self.provider.provide_credentials().await.and_then(usable) {
            Ok(credentials) => Ok(credentials),
            Err(error) => Err(CredentialsError::provider_error(self.explain(error).await)),
        }
    }

    async fn explain(&self, source: CredentialsError) -> NoneGiven {
        tracing::debug!("no credentials: {}", crate::redact(&error_text(&source)));
        let (cause, place) = match &self.of {
            Owner::Process => (why_no_process_credentials(&source).await, "default chain".to_owned()),
            Owner::Profile { name, file } => {
                let profiles = Profiles::load(Some(name), file.as_deref()).await;
                let cause = match &profiles {
                    Some(profiles) => why_no_profile_credentials(profiles, &source, true).await,
                    None => None,
                };
                let of_file = |file: &PathBuf| format!("profile {name} of {}", file.display());
                (cause, file.as_ref().map_or_else(|| format!("profile {name}"), of_file))
            }
        };
        let known = cause.as_ref().map(|why| why.kind);
        let message = cause.map_or_else(|| format!("{place} gives no credentials"), |why| why.text);
        NoneGiven { message, known, source }
    }
}

/// The variable that names a file with a web identity token.
const TOKEN: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

/// Why the process has no credentials of its own, if known.
async fn why_no_process_credentials(error: &CredentialsError) -> Option<Why> {
    let is_set = |name: &str| env::var_os(name).is_some();
    if PAIR.into_iter().all(is_set) {
        return None;
    }
    let profiles = Profiles::load(None, None).await;
    if let Some(profiles) = &profiles
        && let Some(why) = why_no_profile_credentials(profiles, error, is_set("AWS_PROFILE")).await
    {
        let place = if is_set("AWS_PROFILE") { "AWS_PROFILE: " } else { "" };
        return Some(Why { text: format!("{place}{}", why.text), ..why });
    }
    if let Some(path) = env::var_os(TOKEN).map(PathBuf::from) {
        if let Err(error) = tokio::fs::read(&path).await {
            let path = path.display();
            return Some(Why::unset(format!("{TOKEN} names {path}, which can't be read: {error}")));
        }
        if !is_set("AWS_ROLE_ARN") {
            return Some(Why::unset(format!("{TOKEN} is set and AWS_ROLE_ARN is not; set both")));
        }
        return None;
    }
    let refusal = metadata_refusal(error);
    if refusal.is_none() && !matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
        return None;
    }
    Some(Why::unset(nothing_found(is_set, refusal)))
}

const PAIR: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

/// The message if no part of the chain has credentials; the last part, the instance metadata service,
/// may have refused to give any.
fn nothing_found(is_set: impl Fn(&str) -> bool, refusal: Option<String>) -> String {
    let [id, secret] = PAIR;
    for (there, missing) in [(id, secret), (secret, id)] {
        if is_set(there) {
            return format!("{there} is set and {missing} is not; set both");
        }
    }
    let refusal =
        refusal.map(|response| format!(", and the instance metadata service gives none ({response})"));
    format!(
        "no credentials were found{}: set {id} and {secret}, or name a profile of ~/.aws/config with AWS_PROFILE, or \
         run where a role is attached (ECS, EKS, EC2)",
        refusal.unwrap_or_default()
    )
}

/// What the instance metadata service responded instead of credentials; `None` if it was not called,
/// could not be reached, or had a transient error.
fn metadata_refusal(error: &CredentialsError) -> Option<String> {
    let refused = chain(error).find_map(|cause| cause.downcast_ref::<ImdsError>())?;
    let status = match refused {
        ImdsError::ErrorResponse(answer) => answer.response().status(),
        _ => chain(refused)
            .find_map(|cause| cause.downcast_ref::<SdkError<TokenError, HttpResponse>>())?
            .raw_response()?
            .status(),
    };
    status.is_client_error().then(|| status.as_u16().to_string())
}

/// Why a profile has no credentials, if known.
async fn why_no_profile_credentials(
    profiles: &Profiles,
    error: &CredentialsError,
    is_named: bool,
) -> Option<Why> {
    let text = match profiles.cause() {
        Cause::Missing { profile, .. } if !is_named && profile == profiles.name() => return None,
        Cause::Missing { profile, named_by } => {
            let files = profiles.files();
            let named_by = named_by.map(|by| format!(", which profile {by} names,")).unwrap_or_default();
            format!("profile {profile}{named_by} does not exist in {files}")
        }
        Cause::Nothing { profile } if is_named => {
            format!("profile {profile} has no credentials in {}", profiles.files())
        }
        // There is nothing to correct: it worked before and will work again.
        Cause::Login { profile, command } if is_of_login(error) => {
            let text = format!(
                "the login of profile {profile} has expired, or there was none; run `{command} --profile {profile}`"
            );
            return Some(Why { kind: ErrorKind::Expired, text });
        }
        Cause::TokenFile { profile, path } => {
            let error = tokio::fs::read(&path).await.err()?;
            format!("profile {profile}: web_identity_token_file names {path}, which can't be read: {error}")
        }
        Cause::Circle { profile, circle } => {
            format!(
                "profile {profile}: its source_profile leads in a circle ({circle}); name one that has credentials"
            )
        }
        Cause::AsksForCode { profile } if error_text(error).contains("AccessDenied") => format!(
            "profile {profile} has an mfa_serial, whose code only a person can type; use a profile made by `aws login` or `aws configure sso`, or keys of `aws sts get-session-token`"
        ),
        Cause::Nothing { .. } | Cause::Login { .. } | Cause::AsksForCode { .. } | Cause::Other => {
            return None;
        }
    };
    Some(Why::unset(text))
}

/// Whether the login is the cause, by the files that logins leave and by the responses to an old login;
/// not for an outage or a role that the login can't assume.
fn is_of_login(error: &CredentialsError) -> bool {
    if is_unreachable(error) {
        return false;
    }
    let is_missing = |cause: &io::Error| cause.kind() == io::ErrorKind::NotFound;
    let text = error_text(error);
    ["SSO token", "Login token", "UnauthorizedException", "AccessDeniedException"]
        .iter()
        .any(|mark| text.contains(mark))
        || chain(error).any(|cause| cause.downcast_ref::<io::Error>().is_some_and(is_missing))
}

/// Refuses credentials that are not valid in a header: the SDK would panic.
fn usable(credentials: Credentials) -> provider::Result {
    match fault(&credentials) {
        None => Ok(credentials),
        Some(fault) => Err(CredentialsError::invalid_configuration(fault)),
    }
}

/// Which part of the credentials is not valid in a header; no value is shown.
pub(super) fn fault(credentials: &Credentials) -> Option<String> {
    let parts = [
        ("access key id", Some(credentials.access_key_id())),
        ("secret access key", Some(credentials.secret_access_key())),
        ("session token", credentials.session_token()),
    ];
    let of_part = |(part, value): (_, Option<_>)| {
        Some(format!("the {part} {}; correct it", environment::header_fault(value?)?))
    };
    parts.into_iter().find_map(of_part)
}

impl ProvideCredentials for Explained {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.provider.fallback_on_interrupt()
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[tokio::test]
    async fn credentials_that_no_header_can_hold_are_refused_and_not_shown() {
        for (id, secret, token, part) in [
            ("canary\r", "s", None, "access key id"),
            ("canary\u{200b}", "s", None, "access key id"),
            ("id", "canary\n", None, "secret access key"),
            ("id", "s", Some("canary\u{1}"), "session token"),
        ] {
            let keys = Credentials::new(id, secret, token.map(str::to_owned), None, "test");
            let provider = Explained::process(SharedCredentialsProvider::new(keys));
            let error = provider.provide_credentials().await.expect_err(part);
            let message = error_text(error.source().expect("why"));
            assert!(message.contains(part), "{message}");
            assert!(!message.contains("canary"), "{message}");
        }
    }
}
