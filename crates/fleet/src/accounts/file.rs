// SPDX-License-Identifier: Apache-2.0
//! Parses and validates the text of an accounts file.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::entry::{
    Account, CredentialKind, DEFAULT_DURATION_SECONDS, DEFAULT_QUOTA_SHARE, ExternalId, consists_of,
};
use crate::{AccountId, AccountName, aws::regions::is_region, environment};

/// The accepted shares. No quota of AWS has been raised as far as a larger one, so it would be a typo.
const QUOTA_SHARES: RangeInclusive<f64> = 0.01..=100.0;

/// The accepted lifetimes of a role's credentials.
///
/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
const DURATION_SECONDS: RangeInclusive<u32> = 900..=43_200;

/// The characters that IAM allows in names besides letters and digits.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html>
const NAME_CHARACTERS: &[u8] = b"_+=,.@-";

/// The keys whose values are strings.
const TEXTS: [&str; 12] = [
    "name",
    "id",
    "region",
    "regions",
    "credentials",
    "role_arn",
    "role_name",
    "external_id",
    "profile",
    "shared_credentials_file",
    "secret_arn",
    "endpoint",
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    defaults: Defaults,
    #[serde(default)]
    account: Vec<RawAccount>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Defaults {
    region: Option<String>,
    role_name: Option<String>,
    external_id: Option<String>,
    duration_seconds: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAccount {
    name: String,
    id: Option<String>,
    default: Option<bool>,
    region: Option<String>,
    #[serde(default)]
    regions: Vec<String>,
    quota_share: Option<f64>,
    credentials: Option<CredentialKind>,
    role_arn: Option<String>,
    role_name: Option<String>,
    external_id: Option<String>,
    duration_seconds: Option<u32>,
    profile: Option<String>,
    shared_credentials_file: Option<PathBuf>,
    secret_arn: Option<String>,
    endpoint: Option<String>,
}

/// The accounts of a file, and the faults of each alone.
pub(super) fn parse(text: &str) -> (Vec<Account>, Vec<String>) {
    let file: File = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => return (Vec::new(), vec![explain(text, &error)]),
    };
    let mut faults = Vec::new();
    if file.defaults.region.as_deref().is_some_and(|region| !is_region(region)) {
        faults.push(format!(
            "defaults: region {:?} is not a region; write it as eu-west-1",
            file.defaults.region.as_deref().unwrap_or_default()
        ));
    }
    let accounts = file.account.iter().filter_map(|raw| raw.validate(&file.defaults, &mut faults)).collect();
    (accounts, faults)
}

/// Describes a TOML error by line and key. Leaves out the line itself, which TOML's own message quotes:
/// it may contain a secret.
fn explain(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(0, |span| span.start);
    let lines_before = text.get(..at).unwrap_or_default().matches('\n').count();
    let line = text.lines().nth(lines_before).unwrap_or_default();
    let place = format!("line {}", lines_before + 1);
    let Some((key, value)) = line.split_once('=') else {
        return match line.trim() {
            "[account]" if is_of_a_key(error) => format!("{place}: {ACCOUNT}"),
            "[[defaults]]" if is_of_a_key(error) => {
                format!("{place}: write [defaults], in one pair of brackets, once")
            }
            _ => format!("{place}: {}", error.message()),
        };
    };
    let key = key.trim();
    // A number, a date, a boolean and a bare word each give a different message of TOML's, which quotes
    // the value.
    if TEXTS.contains(&key) && !value.trim_start_matches(['[', ' ', '\t']).starts_with(['"', '\'']) {
        return format!("{place}, {key}: it is a string; write it in quotes");
    }
    // Only in valid TOML is the text before the `=` certainly a key of the accounts file.
    match accepted(key).filter(|_| is_of_a_key(error)) {
        Some(wanted) => format!("{place}, {key}: {wanted}"),
        None => format!("{place}: {}", error.message()),
    }
}

/// Whether the file is valid TOML, but a key has a value of the wrong type.
fn is_of_a_key(error: &toml::de::Error) -> bool {
    ["invalid type", "invalid value", "unknown variant"]
        .iter()
        .any(|begin| error.message().starts_with(begin))
}

/// The accepted value of a key, if TOML's own message would not be clear to a user.
fn accepted(key: &str) -> Option<&'static str> {
    Some(match key {
        "account" => ACCOUNT,
        "credentials" => "it is one of \"role\", \"keys\", \"profile\" and \"default\"",
        "default" => "it is true or false, without quotes",
        "duration_seconds" => "it is a whole number; write it as 3600, without quotes",
        "quota_share" => "it is a number; write it as 0.5, without quotes",
        "regions" => "it is a list of strings; write it as [\"eu-west-1\"]",
        _ if TEXTS.contains(&key) => "it is one string; write it in quotes",
        _ => return None,
    })
}

const ACCOUNT: &str = "write [[account]], in two pairs of brackets, above the lines of each account";

impl RawAccount {
    /// Builds the account, and adds its faults to `faults`.
    fn validate(&self, defaults: &Defaults, faults: &mut Vec<String>) -> Option<Account> {
        let name = self.name.parse::<AccountName>().map_err(|error| faults.push(error.to_string())).ok()?;
        let mut fault = |text: String| faults.push(format!("account {name}: {text}"));
        let id = self
            .id
            .as_deref()
            .and_then(|id| id.parse::<AccountId>().map_err(|error| fault(error.to_string())).ok());
        for region in self.region.iter().chain(&self.regions) {
            if !is_region(region) {
                fault(format!("region {region:?} is not a region; write it as eu-west-1"));
            }
        }
        let quota_share = self.quota_share.unwrap_or(DEFAULT_QUOTA_SHARE);
        if !QUOTA_SHARES.contains(&quota_share) {
            let (least, most) = QUOTA_SHARES.into_inner();
            fault(format!(
                "quota_share {quota_share} is not from {least} to {most}; 1 is AWS's default quota"
            ));
        }
        let duration_seconds =
            self.duration_seconds.or(defaults.duration_seconds).unwrap_or(DEFAULT_DURATION_SECONDS);
        if !DURATION_SECONDS.contains(&duration_seconds) {
            fault(format!("duration_seconds {duration_seconds} is not from 900 to 43200"));
        }
        if let Some(arn) = &self.role_arn {
            match role_account(arn) {
                None => fault(format!(
                    "role_arn {arn:?} is not a role's ARN, such as arn:aws:iam::111111111111:role/name"
                )),
                Some(owner) if id.as_ref().is_some_and(|id| id.as_str() != owner) => {
                    fault(format!("role_arn {arn:?} belongs to another account than id"));
                }
                Some(_) => {}
            }
        }
        if let Some(arn) = self.secret_arn.as_deref().filter(|arn| !is_secret_arn(arn)) {
            fault(format!(
                "secret_arn {arn:?} is not a secret's ARN, such as arn:aws:secretsmanager:eu-west-1:111111111111:secret:name-a1b2c3"
            ));
        }
        let role_name = self.role_name.as_ref().or(defaults.role_name.as_ref());
        if let Some(role) = role_name.filter(|role| !is_role(role)) {
            fault(format!(
                "role_name {role:?} is not a role's name; it takes 1 to 64 letters, digits and any of _+=,.@-, after its path if it has one, as team/reader"
            ));
        }
        let external_id = self.external_id.as_ref().or(defaults.external_id.as_ref());
        let external_id = external_id
            .and_then(|id| id.parse::<ExternalId>().map_err(|error| fault(error.to_string())).ok());
        if let Some(endpoint) = &self.endpoint
            && !environment::is_url_of_a_host(endpoint)
        {
            fault(format!("endpoint {endpoint:?} is not a URL; write it as https://host"));
        }
        let file = self.shared_credentials_file.as_deref();
        for (key, value) in
            [("profile", self.profile.as_deref()), ("shared_credentials_file", file.and_then(Path::to_str))]
        {
            if value.is_some_and(|value| value.is_empty() || value.contains(char::is_control)) {
                fault(format!("{key} is empty or contains a control character"));
            }
        }
        // The default profile is the only one that needs no name.
        let profile = self.profile.clone().or_else(|| file.map(|_| "default".to_owned()));
        match self.credentials {
            Some(CredentialKind::Role)
                if self.role_arn.is_none() && (id.is_none() || role_name.is_none()) =>
            {
                fault("credentials = \"role\" needs role_arn, or id with role_name".into());
            }
            Some(CredentialKind::Profile) if profile.is_none() => {
                fault("credentials = \"profile\" needs profile".into());
            }
            _ => {}
        }
        Some(Account {
            id,
            default: self.default.unwrap_or(true),
            region: self.region.as_ref().or(defaults.region.as_ref()).cloned(),
            regions: self.regions.clone(),
            quota_share,
            credentials: self.credentials,
            role_arn: self.role_arn.clone(),
            role_name: role_name.cloned(),
            external_id,
            duration_seconds,
            profile,
            shared_credentials_file: self.shared_credentials_file.clone(),
            secret_arn: self.secret_arn.clone(),
            endpoint: self.endpoint.clone(),
            name,
        })
    }
}

/// The account of `arn:PARTITION:iam::ACCOUNT:role/NAME`.
#[must_use]
pub fn role_account(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let shaped = parts.next() == Some("arn")
        && parts.next().is_some_and(|partition| partition.starts_with("aws"))
        && parts.next() == Some("iam")
        && parts.next() == Some("");
    let account = parts.next().filter(|account| account.parse::<AccountId>().is_ok())?;
    let role = parts.next()?.strip_prefix("role/")?;
    (shaped && is_role(role)).then_some(account)
}

/// Whether a text is `arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME`.
///
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>
fn is_secret_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", partition, "secretsmanager", region, account, "secret", name] = parts[..] else {
        return false;
    };
    partition.starts_with("aws")
        && is_region(region)
        && account.parse::<AccountId>().is_ok()
        && consists_of(name, b"/_+=.@-", 1..=519)
}

/// Whether a text is a role's name, with or without a path.
fn is_role(text: &str) -> bool {
    let (path, name) = match text.rsplit_once('/') {
        Some((path, name)) => (Some(path), name),
        None => (None, text),
    };
    let is_path = |path: &str| {
        path.len() <= 510
            && path.split('/').all(|part| consists_of(part, b"!\"#$%&'()*+,-.:;<=>?@[\\]^_`{|}~", 1..=510))
    };
    consists_of(name, NAME_CHARACTERS, 1..=64) && path.is_none_or(is_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> String {
        parse(text).1.join("\n")
    }

    fn of_account(lines: &str) -> String {
        faults(&format!("[[account]]\nname = 'data'\n{lines}\n"))
    }

    #[test]
    fn values_that_iam_and_sts_would_refuse_are_refused() {
        for lines in [
            "external_id = 'two words'",
            "external_id = 'x'",
            "external_id = ''",
            "external_id = 'é-1'",
            "external_id = 'a*b'",
            "role_name = '/path/r'",
            "role_name = '/r'",
            "role_name = 'path//r'",
            "role_name = 'path/'",
            "role_name = ''",
            "role_name = 'two words'",
            "role_arn = 'arn:aws:iam::111111111111:role//path/r'",
            "role_arn = 'arn:aws:iam::111111111111:role/two words'",
            "role_arn = 'arn:aws:iam::111111111111:role/'",
            "duration_seconds = 899",
            "duration_seconds = 43201",
            "quota_share = 0.0",
            "quota_share = 100.5",
            "quota_share = inf",
            "quota_share = nan",
            "quota_share = -1",
            "profile = ''",
            "profile = \"p\\n\"",
            "shared_credentials_file = ''",
            "endpoint = 'https://host:x'",
            "endpoint = 'https://host\u{a0}'",
            "region = 'eu-west-+1'",
            "secret_arn = 'keys'",
            "secret_arn = 'arn:aws:secretsmanager:here:111111111111:secret:keys'",
            "secret_arn = 'arn:aws:secretsmanager:eu-west-1:111111111111:secret:'",
        ] {
            let key = lines.split_once(' ').expect("a key").0;
            let message = of_account(lines);
            assert!(message.starts_with(&format!("account data: {key}")), "{lines}: {message}");
            assert!(
                !message.contains("words") || !lines.contains("external_id"),
                "an external id is not shown: {message}"
            );
        }
        let long = |key: &str, length| of_account(&format!("{key} = '{}'", "x".repeat(length)));
        assert_eq!(long("external_id", 1224) + &long("role_name", 64), "");
        assert!(!long("external_id", 1225).is_empty() && !long("role_name", 65).is_empty());
    }

    #[test]
    fn values_that_iam_and_sts_accept_are_accepted() {
        for lines in [
            "external_id = 'fleet-999999999999'",
            "external_id = 'a:b/c@d=e,f+g.h_i'",
            "role_name = 'team/tools/reader'",
            "role_arn = 'arn:aws-us-gov:iam::111111111111:role/aws-reserved/sso.amazonaws.com/R_+=,.@-'",
            "duration_seconds = 43200",
            "quota_share = 2",
            "quota_share = 0.01",
            "profile = 'prod é'",
            "shared_credentials_file = '/etc/fleet'",
            "secret_arn = 'arn:aws-cn:secretsmanager:cn-north-1:111111111111:secret:fleet/keys-a1b2c3'",
        ] {
            assert_eq!(of_account(lines), "", "{lines}");
        }
    }

    #[test]
    fn a_string_without_quotes_is_reported_with_its_key_whatever_toml_takes_it_for() {
        for value in [
            "012345678901",
            "112345678901",
            "1_1",
            "0x1F",
            "1e5",
            "2026-11-01",
            "07:32:00",
            "true",
            "nan",
            "data",
            "eu-west-1",
            "arn:aws:iam::1:role/x",
            "[eu-west-1]",
            "[1]",
            "",
        ] {
            for key in TEXTS {
                let message = faults(&format!("[[account]]\n{key} = {value}\n"));
                assert_eq!(
                    message,
                    format!("line 2, {key}: it is a string; write it in quotes"),
                    "{key} = {value}"
                );
            }
        }
        let message = faults("[defaults]\nexternal_id = 4711\n");
        assert_eq!(message, "line 2, external_id: it is a string; write it in quotes");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_described_in_terms_of_the_file() {
        for (line, expected) in [
            ("quota_share = '0.5'", "quota_share: it is a number; write it as 0.5, without quotes"),
            ("duration_seconds = '900'", "duration_seconds: it is a whole number; write it as 3600"),
            ("duration_seconds = 900.5", "duration_seconds: it is a whole number"),
            ("duration_seconds = -1", "duration_seconds: it is a whole number"),
            ("default = 'true'", "default: it is true or false, without quotes"),
            ("regions = 'eu-west-1'", "regions: it is a list of strings; write it as [\"eu-west-1\"]"),
            ("region = ['eu-west-1']", "region: it is one string; write it in quotes"),
            (
                "credentials = 'foo'",
                "credentials: it is one of \"role\", \"keys\", \"profile\" and \"default\"",
            ),
        ] {
            let message = of_account(line);
            assert!(message.starts_with(&format!("line 3, {expected}")), "{line}: {message}");
        }
        assert_eq!(faults("[account]\nname = 'data'\n"), format!("line 1: {ACCOUNT}"));
        assert_eq!(faults("account = 'data'\n"), format!("line 1, account: {ACCOUNT}"));
        let message = faults("[[defaults]]\nregion = 'eu-west-1'\n");
        assert_eq!(message, "line 1: write [defaults], in one pair of brackets, once");
    }

    #[test]
    fn defaults_apply_to_accounts_without_their_own() {
        let text = "[defaults]\nregion = 'me-central-1'\n[[account]]\nname = 'a'\n[[account]]\nname = 'b'\nregion = 'eu-west-1'\n";
        let (accounts, faults) = parse(text);
        assert_eq!(faults, [""; 0]);
        let regions: Vec<_> = accounts.iter().map(|account| account.region.as_deref()).collect();
        assert_eq!(regions, [Some("me-central-1"), Some("eu-west-1")]);
        let message = self::faults("[defaults]\nregion = 'me'\n");
        assert_eq!(message, "defaults: region \"me\" is not a region; write it as eu-west-1");
    }

    #[test]
    fn a_credentials_file_without_a_profile_means_its_default_one() {
        let (accounts, faults) =
            parse("[[account]]\nname = 'a'\ncredentials = 'profile'\nshared_credentials_file = '/x'\n");
        assert_eq!(faults, [""; 0]);
        assert_eq!(accounts[0].profile.as_deref(), Some("default"));
    }
}
