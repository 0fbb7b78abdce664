// SPDX-License-Identifier: Apache-2.0
//! Cleans up and checks the process's environment before anything reads it.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt,
    process::Command,
};

use anyhow::{Context, Result, anyhow};
use http::Uri;

use crate::account;

/// Unsets every empty variable that the programs read: compose files and CI systems set an empty
/// variable where they mean an unset one. Must be called first.
///
/// The SDK, clap, the certificate store and child processes read the environment themselves, so an empty
/// variable must be removed from it. Changing the environment of a running process is `unsafe` in Rust;
/// re-executing the program with a clean one is not, keeps the process ID, and happens only if there is
/// such a variable.
///
/// # Errors
///
/// If the program can't be re-executed.
pub fn unset_empty() -> Result<()> {
    let empty = empty_variables(env::vars_os());
    if empty.is_empty() {
        return Ok(());
    }
    let names = || {
        format!("{} can't be unset here; unset what is empty", empty.join(&OsString::from(", ")).display())
    };
    let program = env::current_exe().with_context(names)?;
    let mut arguments = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    again.args(arguments);
    for name in &empty {
        again.env_remove(name);
    }
    Err(again.exec()).with_context(names)
}

/// Checks values that end up in headers, host names and URLs, for which the SDK would panic or report a
/// network failure. No value is shown except a proxy's, without its credentials.
///
/// # Errors
///
/// All variables that can't be used, and why.
pub fn check() -> Result<()> {
    let mut faults = faults(env::vars_os());
    faults.extend(proxy_faults(variable));
    if faults.is_empty() { Ok(()) } else { Err(anyhow!(faults.join("\n  "))) }
}

/// A variable of an account; `None` if it is not set. One that is not UTF-8 has characters that no
/// credentials have.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn faults(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<String> {
    let fault = |(name, value): (OsString, OsString)| {
        let name = name.to_str()?;
        let fault = fault(name, &value.to_string_lossy())?;
        Some(format!("{name} {fault}; correct or unset it"))
    };
    variables.filter_map(fault).collect()
}

fn fault(name: &str, value: &str) -> Option<&'static str> {
    // An account's own variables are checked with the account, and an attribute may have many lines.
    let is_accounts = account::VARIABLES.iter().any(|end| name.ends_with(end));
    if !is_read_by_fleet(OsStr::new(name))
        || is_accounts && !name.starts_with("AWS_")
        || name == "FLEET_ATTRIBUTE"
    {
        return None;
    }
    // Names of files and profiles may be in any language.
    let is_free = ["FLEET_", "SSL_CERT_"].iter().any(|beginning| name.starts_with(beginning))
        || ["_FILE", "_PROFILE", "_CA_BUNDLE"].iter().any(|end| name.ends_with(end));
    if is_free {
        return value.contains(char::is_control).then_some(CONTROL);
    }
    let is_region = ["AWS_REGION", "AWS_DEFAULT_REGION"].contains(&name);
    let is_url = name.starts_with("AWS_ENDPOINT_URL") || name == "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    let is_url = is_url || name == "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    header_fault(value).or_else(|| match value {
        _ if is_region && !is_host_label(value) => Some("is not a region; write it as eu-west-1"),
        _ if is_url && !is_url_of_a_host(value) => Some("is not a URL; write it as https://host"),
        _ => None,
    })
}

const CONTROL: &str = "contains a control character, such as a line break";

/// Why a text is not valid in a header; `None` if it is.
#[must_use]
pub fn header_fault(value: &str) -> Option<&'static str> {
    if value.contains(char::is_control) {
        return Some(CONTROL);
    }
    (!value.is_ascii()).then_some("contains a character that is not ASCII")
}

/// The variables of the proxy for HTTPS requests, for HTTP requests, and for both if there is no
/// specific one.
const HTTPS_PROXY: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const HTTP_PROXY: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const ALL_PROXY: [&str; 2] = ["ALL_PROXY", "all_proxy"];

/// The variable of the proxy for requests by HTTPS, or by HTTP.
pub(crate) fn proxy_variable(is_https: bool) -> &'static str {
    let own = if is_https { HTTPS_PROXY } else { HTTP_PROXY };
    let set = own.into_iter().chain(ALL_PROXY).find(|name| env::var_os(name).is_some());
    set.unwrap_or(if is_https { "HTTPS_PROXY" } else { "HTTP_PROXY" })
}

/// The proxies that can't be used: the HTTP client speaks only HTTP to a proxy, and ignores one whose
/// URL it can't parse. AWS requests use HTTPS, so a proxy for all schemes that they do not use is not
/// checked.
fn proxy_faults(variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let set = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, variable(name)?)));
    let used = [set(HTTPS_PROXY).or_else(|| set(ALL_PROXY)), set(HTTP_PROXY)];
    let fault = |(name, value): (&str, String)| {
        // A value with a control character is reported only by the variable's name.
        if is_proxy(&value) || header_fault(&value).is_some() {
            return None;
        }
        let (scheme, rest) = value.split_once("://").map_or(("", &*value), |(scheme, rest)| (scheme, rest));
        let place = rest.rsplit('@').next().unwrap_or_default();
        let shown = if scheme.is_empty() { place.to_owned() } else { format!("{scheme}://{place}") };
        Some(format!("{name} {shown} is not an HTTP proxy; write it as http://HOST:PORT, or unset it"))
    };
    used.into_iter().flatten().filter_map(fault).collect()
}

/// Whether a text is an HTTP proxy; its scheme may be left out.
fn is_proxy(text: &str) -> bool {
    is_url_of_a_host(text) || !text.contains("://") && is_url_of_a_host(&format!("http://{text}"))
}

/// Whether a text can be the region in a host name.
#[must_use]
pub fn is_host_label(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Whether a text is an http or https URL with a host.
#[must_use]
pub fn is_url_of_a_host(text: &str) -> bool {
    let Ok(url) = text.parse::<Uri>() else { return false };
    let Some(authority) = url.authority() else { return false };
    let port = authority.as_str().rsplit(['@', ']']).next().is_some_and(|end| end.contains(':'));
    header_fault(text).is_none()
        && matches!(url.scheme_str(), Some("http" | "https"))
        && authority.host().starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
        && port == authority.port_u16().is_some()
}

fn empty_variables(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<OsString> {
    variables
        .filter(|(name, value)| value.is_empty() && is_read_by_fleet(name))
        .map(|(name, _)| name)
        .collect()
}

/// Whether the programs read a variable: those of AWS, the fleet, the ECS agent, proxies, certificates
/// and accounts.
fn is_read_by_fleet(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    ["AWS_", "FLEET_", "ECS_", "SSL_CERT_"].iter().any(|beginning| name.starts_with(beginning))
        || name.to_ascii_lowercase().ends_with("_proxy")
        || account::VARIABLES.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_empty_variables_of_the_fleet_are_found() {
        let names = [
            "AWS_REGION",
            "AWS_ENDPOINT_URL_SQS",
            "FLEET_REGIONS",
            "ECS_AGENT_URI",
            "SSL_CERT_FILE",
            "HTTPS_PROXY",
            "no_proxy",
            "opra_dev_account_access_key",
            "data_secret_access_key",
            "data_session_token",
        ];
        let variables =
            |value: &str| names.map(|name| (OsString::from(name), OsString::from(value))).into_iter();
        assert_eq!(empty_variables(variables("")), names.map(OsString::from));
        assert!(empty_variables(variables(" ")).is_empty());
        let others = ["PATH", "GITHUB_HEAD_REF", "MY_AWS_REGION", "session_token_of_others"];
        let others = others.map(|name| (OsString::from(name), OsString::new()));
        assert!(empty_variables(others.into_iter()).is_empty());
    }

    #[test]
    fn invalid_headers_hosts_and_urls_are_named_but_not_shown() {
        let control = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"];
        let others =
            ["AWS_PROFILE", "AWS_EXECUTION_ENV", "AWS_SDK_UA_APP_ID", "FLEET_ACCOUNTS", "HTTPS_PROXY"];
        for name in control.into_iter().chain(others) {
            for end in ["\r", "\n", "\t", "\0", "\u{1b}", "\u{7f}", "\u{85}"] {
                let variable = (OsString::from(name), OsString::from(format!("canary{end}")));
                let faults = faults([variable].into_iter());
                assert_eq!(faults, [format!("{name} {CONTROL}; correct or unset it")], "{end:?}");
            }
        }
        for (name, value, expected) in [
            ("AWS_ACCESS_KEY_ID", "canary\u{200b}", "not ASCII"),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary\u{feff}", "not ASCII"),
            ("AWS_REGION", "eu west 1", "not a region"),
            ("AWS_DEFAULT_REGION", "eu-west-1 ", "not a region"),
            ("AWS_ENDPOINT_URL_STS", "127.0.0.1:1", "not a URL"),
            ("AWS_ENDPOINT_URL", "localhost", "not a URL"),
            ("AWS_ENDPOINT_URL_S3", "ftp://host", "not a URL"),
            ("AWS_ENDPOINT_URL_SQS", "https://", "not a URL"),
            ("AWS_ENDPOINT_URL_SQS", "https://host:99999", "not a URL"),
            ("AWS_ENDPOINT_URL_SQS", "https://host name", "not a URL"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "169.254.169.254", "not a URL"),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "/v1", "not a URL"),
        ] {
            let fault_of = fault(name, value);
            assert!(
                fault_of.is_some_and(|fault_of| fault_of.contains(expected)),
                "{name}={value}: {fault_of:?}"
            );
        }
    }

    #[test]
    fn a_proxy_that_speaks_no_http_is_refused_without_its_credentials() {
        let faults_of = |set: &[(&str, &str)]| {
            proxy_faults(|name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        for (name, value, shown) in [
            ("ALL_PROXY", "socks5://127.0.0.1:9", "socks5://127.0.0.1:9"),
            ("all_proxy", "socks://u:canary@proxy:9", "socks://proxy:9"),
            ("HTTPS_PROXY", "ftp://canary@proxy", "ftp://proxy"),
            ("https_proxy", "u:can@ary@pro xy", "pro xy"),
            ("HTTP_PROXY", "socks5h://proxy:9", "socks5h://proxy:9"),
            ("http_proxy", "http://proxy:port", "http://proxy:port"),
        ] {
            let expected =
                format!("{name} {shown} is not an HTTP proxy; write it as http://HOST:PORT, or unset it");
            assert_eq!(faults_of(&[(name, value)]), [expected]);
        }
        let none: [&str; 0] = [];
        for value in [
            "http://u:p@proxy:3128",
            "https://proxy/",
            "proxy:3128",
            "u:p@proxy:3128",
            "proxy",
            "http://[::1]:3128",
        ] {
            assert_eq!(faults_of(&[("HTTPS_PROXY", value)]), none, "{value}");
        }
        // AWS requests don't use it.
        let socks = ("ALL_PROXY", "socks5://127.0.0.1:9");
        assert_eq!(faults_of(&[socks, ("https_proxy", "http://proxy:3128")]), none);
        assert_eq!(faults_of(&[("HTTPS_PROXY", "canary\n")]), none, "only the variable is named");
    }

    #[test]
    fn valid_values_are_accepted() {
        for (name, value) in [
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
            ("AWS_ENDPOINT_URL_S3", "https://[::1]:4566/path"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_REGION", "local"),
            ("AWS_PROFILE", "prod é"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/home/é/token"),
            ("AWS_SESSION_TOKEN", "a token"),
            ("FLEET_ATTRIBUTE", "note=two\nlines"),
            // Variables of other programs are not checked.
            ("data_session_token", "token\n"),
            ("PS1", "\u{1b}[0m"),
        ] {
            assert_eq!(fault(name, value), None, "{name}={value}");
        }
    }
}
