// SPDX-License-Identifier: Apache-2.0
//! Removes secrets from texts. Errors contain texts of AWS, of programs and of files, which may repeat
//! secrets.

/// The replacement for a secret.
const GONE: &str = "…";

/// The minimum length of a run of key and token characters to be treated as a secret. A secret access
/// key has 40.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html>
const SECRET_LENGTH: usize = 40;

/// The prefixes of access key IDs, and their length.
///
/// Source:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>
const KEY_IDS: [&str; 2] = ["AKIA", "ASIA"];
const KEY_ID_LENGTH: usize = 16;

/// The prefix of a JSON web token: a brace and a quote in base64.
const TOKEN: &str = "eyJ";

/// The text without access key IDs, secret keys and tokens.
#[must_use]
pub fn redact(text: &str) -> String {
    let text = &without_tokens(&without_external_ids(text));
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let word = rest.find(|c| !is_of_a_key(c)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(word);
        redacted.push_str(if is_secret(run) { GONE } else { run });
        let other = after.find(is_of_a_key).unwrap_or(after.len());
        let (between, after) = after.split_at(other);
        redacted.push_str(between);
        rest = after;
    }
    redacted
}

/// The text without external IDs, in forms and in debug output.
fn without_external_ids(text: &str) -> String {
    const NAMES: [&str; 2] = ["ExternalId=", "external_id: Some(\""];
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = NAMES.iter().filter_map(|name| Some(rest.find(name)? + name.len())).min() {
        let (before, id) = rest.split_at(at);
        left.push_str(before);
        left.push_str(GONE);
        rest = id.trim_start_matches(|c: char| !c.is_whitespace() && !"&\"'`\\)".contains(c));
    }
    left + rest
}

/// The text without JSON web tokens, whose parts are separated by dots.
fn without_tokens(text: &str) -> String {
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(TOKEN) {
        let (before, token) = rest.split_at(at);
        let length = token.find(|c: char| !is_of_a_key(c) && !matches!(c, '-' | '_' | '.'));
        let (token, after) = token.split_at(length.unwrap_or(token.len()));
        left.push_str(before);
        left.push_str(if token.len() < SECRET_LENGTH { token } else { GONE });
        rest = after;
    }
    left + rest
}

fn is_of_a_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '/' | '+' | '=')
}

fn is_secret(run: &str) -> bool {
    let is_id = |word: &str| {
        word.len() >= KEY_ID_LENGTH
            && KEY_IDS.iter().any(|begin| word.starts_with(begin))
            && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    run.split(['/', '+', '=']).any(is_id) || is_random(run)
}

/// Whether it is long and has characters of every class. Paths and names rarely do.
fn is_random(run: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| run.bytes().any(|byte| kind(&byte));
    run.len() >= SECRET_LENGTH
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_tokens_are_gone() {
        for (text, expected) in [
            ("the key AKIAIOSFODNN7EXAMPLE, no", "the key …, no"),
            ("Credential=ASIAIOSFODNN7EXAMPLE/20261121/eu-west-1", "…-west-1"),
            ("secret wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1.", "secret …."),
            (&format!("token eyJhbGciOi.{}-_.x, no", "a".repeat(40)), "token …, no"),
            ("Action=AssumeRole&ExternalId=canary%2D1&RoleArn=r", "Action=AssumeRole&ExternalId=…&RoleArn=r"),
            ("Input { external_id: Some(\"canary-1\"), x: 1 }", "Input { external_id: Some(\"…\"), x: 1 }"),
            (&format!("x-amz-security-token:{}", "IQoJb3JpZ2luX2VjEJr".repeat(20)), "x-amz-security-token:…"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }

    #[test]
    fn names_that_an_operator_needs_stay() {
        for text in [
            "",
            "User: arn:aws:sts::111111111111:assumed-role/fleet-worker/i-0123456789abcdef0 is not authorized",
            "s3_daily_storage/report_date=2026-11-01/account_name=data/report.csv",
            "the key eyJ of it",
            "run 019a6b0c-0000-7000-8000-000000000000, account 111111111111: é\n",
            "https://sqs.eu-west-1.amazonaws.com/111111111111/cloudwatch-fleet-jobs-dead",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
