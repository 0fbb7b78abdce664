// SPDX-License-Identifier: Apache-2.0
//! The two identifiers of an account, its name and AWS's twelve-digit ID, and the environment variables
//! derived from the name.

use std::{borrow::Borrow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The maximum length of an account name, in characters.
const MAX_NAME: usize = 63;

/// The suffixes of the variables with an account's own credentials; the
/// [stem](AccountName::variable_stem) precedes them.
pub const VARIABLES: [&str; 3] = ["_account_access_key", "_secret_access_key", "_session_token"];

/// The name of an account in this fleet: `^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`.
///
/// It needs no escaping in an S3 key, an HTTP header, a file path or, with `-` as `_`, the name of an
/// environment variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountName(String);

/// The error for a text that is not an account name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "account name {0:?} is not well-formed; it takes 1 to 63 letters, digits, '_' and '-', and begins with a letter or digit"
)]
pub struct InvalidAccountName(String);

impl AccountName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The stem of the environment variables with the account's access keys: the name with `-` replaced
    /// by `_`, since a variable's name can't contain `-`.
    #[must_use]
    pub fn variable_stem(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl FromStr for AccountName {
    type Err = InvalidAccountName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = text.len() <= MAX_NAME
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if well_formed { Ok(Self(text.to_owned())) } else { Err(InvalidAccountName(shorten(text))) }
    }
}

impl TryFrom<String> for AccountName {
    type Error = InvalidAccountName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AccountName> for String {
    fn from(name: AccountName) -> Self {
        name.0
    }
}

impl Borrow<str> for AccountName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An AWS account ID: twelve digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(String);

/// The error for a text that is not an account ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("account id {0:?} is not twelve digits; write it as text, such as id = \"111111111111\"")]
pub struct InvalidAccountId(String);

impl AccountId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountId {
    type Err = InvalidAccountId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidAccountId(shorten(text)))
        }
    }
}

impl TryFrom<String> for AccountId {
    type Error = InvalidAccountId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AccountId> for String {
    fn from(id: AccountId) -> Self {
        id.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// At most 80 characters of untrusted input, for an error message.
#[must_use]
pub fn shorten(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", text.split_at(end).0),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::accounts::colliding_variables;

    #[test]
    fn takes_the_names_people_use() {
        for name in ["data", "opra-dev", "a", "0", "A_b-9", &"x".repeat(63)] {
            assert_eq!(name.parse::<AccountName>().expect(name).as_str(), name);
        }
        assert_eq!("opra-dev".parse::<AccountName>().expect("well-formed").variable_stem(), "opra_dev");
    }

    #[test]
    fn refuses_what_could_reach_a_key_a_path_or_a_variable() {
        let hostile = [
            "",
            "-a",
            "_a",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            "a b",
            " a",
            "a ",
            "a\n",
            "\na",
            "a\r",
            "a\0",
            "a=b",
            "a,b",
            "a'b",
            "a.b",
            "$HOME",
            "${AWS_SECRET_ACCESS_KEY}",
            "$(id)",
            "%2e%2e",
            "é",
            "d\u{430}ta",
            "\u{ff44}ata",
            "a\u{200b}",
            "\u{202e}atad",
            "\u{feff}data",
            "١",
            "\u{1b}[2J",
        ];
        let long = ["x".repeat(64), "x".repeat(2048), "\u{1b}".repeat(2048), "\u{10ffff}".repeat(2048)];
        for name in hostile.into_iter().map(str::to_owned).chain(long) {
            let error = name.parse::<AccountName>().expect_err(&name).to_string();
            assert!(error.len() < 1100, "the message stays short: {error}");
            assert!(!error.contains(char::is_control), "{error:?}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_pattern(text in "\\PC{0,70}") {
            let mut characters = text.chars();
            let expected = text.chars().count() <= 63
                && characters.next().is_some_and(|c| c.is_ascii_alphanumeric())
                && characters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            prop_assert_eq!(text.parse::<AccountName>().is_ok(), expected);
        }

        #[test]
        fn a_name_gives_variables_of_its_own_or_collides(
            (first, second) in ("[A-Za-z0-9][a_-]{0,2}", "[A-Za-z0-9][a_-]{0,2}")
        ) {
            let names = [&first, &second].map(|text| text.parse::<AccountName>().expect("well-formed"));
            let [stem, other] = [0, 1].map(|at: usize| names[at].variable_stem());
            prop_assert!(!stem.is_empty() && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
            let collide = first != second && stem == other;
            prop_assert_eq!(colliding_variables(&names).is_some(), collide);
        }
    }

    #[test]
    fn an_id_is_twelve_digits() {
        assert!("111111111111".parse::<AccountId>().is_ok());
        for id in ["", "11111111111", "1111111111111", "11111111111a", "١١١١١١"] {
            assert!(id.parse::<AccountId>().is_err(), "{id}");
        }
    }
}
