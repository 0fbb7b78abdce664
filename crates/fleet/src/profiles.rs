// SPDX-License-Identifier: Apache-2.0
//! AWS's shared configuration files: what must be known of them before the SDK uses them.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::anyhow;
use aws_config::{SdkConfig, profile::ProfileSet};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::{
    os_shim_internal::{Env, Fs},
    region::Region,
    service_config::ServiceConfigKey,
};

use crate::environment;

/// The services that are called, as named by the variables and keys of their endpoints.
const SERVICES: [&str; 8] =
    ["CloudWatch", "S3", "Secrets Manager", "Signin", "SQS", "SSO", "SSO OIDC", "STS"];

/// The variable for all endpoints; for a service's own, its name is appended.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// The keys of a profile whose values end up in headers, host names and URLs, or determine such values.
const KEYS: [&str; 17] = [
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "credential_process",
    "endpoint_url",
    "external_id",
    "login_session",
    "region",
    "role_arn",
    "role_session_name",
    "source_profile",
    "sso_account_id",
    "sso_region",
    "sso_role_name",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
];

/// The files with profiles: AWS's default ones, with another credentials file if given.
#[must_use]
pub(crate) fn files(shared_credentials_file: Option<&Path>) -> EnvConfigFiles {
    match shared_credentials_file {
        None => EnvConfigFiles::default(),
        Some(file) => EnvConfigFiles::builder()
            .include_default_config_file(true)
            .with_file(EnvConfigFileKind::Credentials, whole(file))
            .build(),
    }
}

/// The credentials file that a path means: if it is a folder, the file that AWS's tools use in it.
fn whole(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("credentials") } else { path.to_owned() }
}

/// Refuses the process's own profile if no request can be made with it. `config` is what the SDK made of
/// it.
///
/// # Errors
///
/// Names the key that is wrong.
pub(crate) async fn check_own(config: &SdkConfig) -> anyhow::Result<()> {
    let Some(own) = Profiles::load(None, None).await else { return Ok(()) };
    let is_set = |name: &str| env::var_os(name).is_some();
    let fault = own.fault();
    let fault = fault.or_else(|| Some(format!("{}: {}", own.place(), fault_of_config(config, is_set)?)));
    fault.map_or(Ok(()), |fault| Err(anyhow!(fault)))
}

/// The fault of the profile in the configuration that the SDK made from it and the environment. A
/// variable overrides the profile, and is checked under its own name.
fn fault_of_config(config: &SdkConfig, is_set: impl Fn(&str) -> bool) -> Option<String> {
    let is_from_profile = !is_set("AWS_REGION") && !is_set("AWS_DEFAULT_REGION");
    let region = config.region().filter(|_| is_from_profile);
    if region.is_some_and(|region| !environment::is_host_label(Region::as_ref(region))) {
        return Some("region is not a region; write it as eu-west-1".to_owned());
    }
    if is_set(ENDPOINT) {
        return None;
    }
    let of_service = |service: &str| {
        let variable = format!("{ENDPOINT}_{}", service.replace(' ', "_").to_ascii_uppercase());
        let key = ServiceConfigKey::builder().service_id(service).env(ENDPOINT).profile("endpoint_url");
        let endpoint = config.service_config()?.load_config(key.build().ok()?)?;
        (!is_set(&variable) && !environment::is_url_of_a_host(&endpoint))
            .then(|| format!("endpoint_url of {service} is not a URL; write it as https://host"))
    };
    SERVICES.into_iter().find_map(of_service)
}

/// A profile, with its files.
#[derive(Debug)]
pub(crate) struct Profiles {
    set: ProfileSet,
    file: Option<PathBuf>,
}

impl Profiles {
    /// Reads the files of a profile, the process's own if it has no name; `None` if they can't be read,
    /// which the SDK then reports itself.
    pub(crate) async fn load(name: Option<&str>, file: Option<&Path>) -> Option<Self> {
        let name = name.map(|name| name.to_owned().into());
        let set = aws_config::profile::load(&Fs::real(), &Env::real(), &files(file), name).await.ok()?;
        Some(Self { set, file: file.map(Path::to_owned) })
    }

    pub(crate) fn name(&self) -> &str {
        self.set.selected_profile()
    }

    /// The value of a key of the profile.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.set.get_profile(self.name())?.get(key)
    }

    /// The fault of the profile, with its name and that of the key.
    pub(crate) fn fault(&self) -> Option<String> {
        let of_key = |key| Some((key, environment::header_fault(self.get(key)?)?));
        let (key, fault) = KEYS.into_iter().find_map(of_key)?;
        Some(format!("{}: {key} {fault}; correct it", self.place()))
    }

    /// The profile as named in messages.
    pub(crate) fn place(&self) -> String {
        match &self.file {
            Some(file) => format!("profile {} of {}", self.name(), file.display()),
            None => format!("profile {}", self.name()),
        }
    }

    /// Its files as named in messages.
    pub(crate) fn files(&self) -> String {
        let variable = |name: &str| env::var_os(name).map(PathBuf::from);
        let config = variable("AWS_CONFIG_FILE").unwrap_or_else(|| "~/.aws/config".into());
        let credentials = self.file.as_deref().map(whole).or_else(|| variable("AWS_SHARED_CREDENTIALS_FILE"));
        let credentials = credentials.unwrap_or_else(|| "~/.aws/credentials".into());
        format!("{} and {}", config.display(), credentials.display())
    }

    /// Where its credentials come from, to explain why there are none. If the profile assumes a role
    /// with another profile, follows that.
    pub(crate) fn cause(&self) -> Cause {
        let (mut name, mut named_by, mut seen) = (self.name(), None, Vec::new());
        loop {
            let profile = name.to_owned();
            let Some(found) = self.set.get_profile(name) else { return Cause::Missing { profile, named_by } };
            let has = |key| found.get(key).is_some();
            if has("role_arn") && has("mfa_serial") {
                return Cause::AsksForCode { profile };
            }
            if let Some(path) = found.get("web_identity_token_file") {
                return Cause::TokenFile { profile, path: path.to_owned() };
            }
            if let Some(next) = found.get("source_profile").filter(|next| has("role_arn") && *next != name) {
                let is_circle = next == self.name() || seen.contains(&next);
                seen.push(next);
                if is_circle {
                    let circle = [&[self.name()], &seen[..]].concat().join(", ");
                    return Cause::Circle { profile: self.name().to_owned(), circle };
                }
                (name, named_by) = (next, Some(profile));
                continue;
            }
            return match () {
                () if has("credential_source") || has("aws_access_key_id") => Cause::Other,
                () if has("sso_session") || has("sso_start_url") => {
                    Cause::Login { profile, command: "aws sso login" }
                }
                () if has("login_session") => Cause::Login { profile, command: "aws login" },
                () if has("credential_process") || has("role_arn") => Cause::Other,
                () => Cause::Nothing { profile },
            };
        }
    }
}

/// Why a profile may have no credentials.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The profile does not exist; another profile may name it as its source.
    Missing { profile: String, named_by: Option<String> },
    /// The profile has no credential settings.
    Nothing { profile: String },
    /// A person must log in with this command.
    Login { profile: String, command: &'static str },
    /// A file with a token.
    TokenFile { profile: String, path: String },
    /// Its sources form a cycle; all names in order.
    Circle { profile: String, circle: String },
    /// A person must enter a code.
    AsksForCode { profile: String },
    /// The SDK's own error explains it.
    Other,
}

#[cfg(test)]
mod tests {
    use aws_types::service_config::LoadServiceConfig;

    use super::*;

    /// The endpoint that the SDK uses for every service.
    #[derive(Debug)]
    struct Endpoint(&'static str);

    impl LoadServiceConfig for Endpoint {
        fn load_config(&self, _: ServiceConfigKey<'_>) -> Option<String> {
            Some(self.0.to_owned())
        }
    }

    #[tokio::test]
    async fn sources_that_form_a_cycle_are_listed_by_name() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let profile = |name: &str, source: &str| {
            format!("[{name}]\nrole_arn = arn:aws:iam::111111111111:role/r\nsource_profile = {source}\n")
        };
        let text = [profile("a", "b"), profile("b", "c"), profile("c", "b")].concat();
        std::fs::write(file.path(), text).expect("written");
        for (name, circle) in [("a", "a, b, c, b"), ("b", "b, c, b")] {
            let profiles = Profiles::load(Some(name), Some(file.path())).await.expect("profiles");
            let expected = Cause::Circle { profile: name.into(), circle: circle.into() };
            assert_eq!(profiles.cause(), expected);
        }
    }

    #[test]
    fn a_fault_of_a_variable_is_not_attributed_to_the_profile() {
        let fault = |config: &SdkConfig, set: &[&str]| fault_of_config(config, |name| set.contains(&name));
        let config = SdkConfig::builder().region(Region::new("us-east-1\n")).build();
        let of_region = "region is not a region; write it as eu-west-1";
        assert_eq!(fault(&config, &["AWS_ENDPOINT_URL"]).as_deref(), Some(of_region));
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            assert_eq!(fault(&config, &[name]), None, "{name}");
        }
        let config = SdkConfig::builder().service_config(Endpoint("127.0.0.1:1")).build();
        let of = |service: &str| format!("endpoint_url of {service} is not a URL; write it as https://host");
        assert_eq!(fault(&config, &["AWS_REGION"]), Some(of("CloudWatch")));
        assert_eq!(fault(&config, &["AWS_ENDPOINT_URL_CLOUDWATCH"]), Some(of("S3")));
        assert_eq!(fault(&config, &["AWS_ENDPOINT_URL"]), None);
        let all = SERVICES.map(|name| format!("AWS_ENDPOINT_URL_{}", name.to_uppercase().replace(' ', "_")));
        assert_eq!(fault_of_config(&config, |name| all.iter().any(|set| set == name)), None);
    }
}
