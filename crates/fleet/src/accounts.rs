// SPDX-License-Identifier: Apache-2.0
//! The accounts file: what is known of each account beyond its name.
//!
//! The file is optional: without one, every well-formed name is an account of which nothing else is
//! known. Loading parses, validates, then builds, and reports all faults of a file at once.

mod entry;
mod file;
mod kept;

use std::collections::{HashMap, HashSet};

use anyhow::Context;

pub use self::{
    entry::{Account, CredentialKind, DEFAULT_QUOTA_SHARE, ExternalId, InvalidExternalId},
    file::role_account,
    kept::KeptAccounts,
};
use crate::{
    AccountName,
    place::{Place, Version},
};

/// All known accounts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Accounts {
    accounts: Vec<Account>,
    listed: bool,
}

/// All faults of an accounts file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the accounts file is not valid:\n  {}", .0.join("\n  "))]
pub struct InvalidAccounts(Vec<String>);

impl From<Account> for Accounts {
    /// This account and no other.
    fn from(account: Account) -> Self {
        Self { accounts: vec![account], listed: true }
    }
}

impl Accounts {
    /// Reads the accounts file and logs its warnings.
    async fn load(location: &str, place: &Place) -> anyhow::Result<(Self, Option<Version>)> {
        let (text, version) = place.read(None).await?.context("cannot fail: no version is known")?;
        let accounts = Self::parse(&text).with_context(|| format!("accounts file {location}"))?;
        accounts.log_warnings();
        Ok((accounts, Some(version)))
    }

    fn log_warnings(&self) {
        for warning in self.warnings() {
            tracing::warn!("{warning}");
        }
    }

    /// Parses the text of an accounts file.
    pub fn parse(text: &str) -> Result<Self, InvalidAccounts> {
        let (accounts, mut faults) = file::parse(text);
        let mut names = HashSet::new();
        let mut stems = HashMap::new();
        for account in &accounts {
            if !names.insert(&account.name) {
                faults.push(format!("account {}: it is listed twice; leave one out", account.name));
            } else if let Some(first) = stems.insert(account.name.variable_stem(), &account.name) {
                faults.push(collision(first, &account.name));
            }
        }
        if faults.is_empty() { Ok(Self { accounts, listed: true }) } else { Err(InvalidAccounts(faults)) }
    }

    /// The account with this name; without a file, any name is an account.
    #[must_use]
    pub fn get(&self, name: &AccountName) -> Option<Account> {
        let found = self.accounts.iter().find(|account| account.name == *name).cloned();
        if self.listed { found } else { Some(Account::named(name.clone())) }
    }

    /// Whether there is an accounts file.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.listed
    }

    /// Every account of the file, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter()
    }

    /// What is unusual but may be intended: two names with the same ID.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut names = HashMap::new();
        let mut warnings = Vec::new();
        for account in &self.accounts {
            let Some(id) = &account.id else { continue };
            if let Some(first) = names.insert(id, &account.name) {
                warnings.push(format!("accounts {first} and {} have the same id, {id}", account.name));
            }
        }
        warnings
    }
}

/// The first two of these accounts whose access keys would be in the same variables.
#[must_use]
pub fn colliding_variables<'a>(names: impl IntoIterator<Item = &'a AccountName>) -> Option<String> {
    let mut stems: HashMap<String, &AccountName> = HashMap::new();
    names.into_iter().find_map(|name| match stems.insert(name.variable_stem(), name) {
        Some(first) if first != name => Some(collision(first, name)),
        _ => None,
    })
}

fn collision(first: &AccountName, second: &AccountName) -> String {
    let stem = first.variable_stem();
    format!(
        "accounts {first} and {second}: both have their access keys in {stem}_account_access_key, since '-' is written '_' there; rename one"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with accounts of several kinds.
    const SAMPLE: &str = r#"
        [defaults]
        role_name   = "cloudwatch-fleet-reader"
        external_id = "e-1"

        [[account]]
        name = "data"
        id = "111111111111"
        region = "us-east-1"
        regions = ["eu-west-1"]

        [[account]]
        name = "legacy"
        default = false
        credentials = "profile"
        profile = "legacy"
        quota_share = 1.5
    "#;

    #[test]
    fn reads_a_file_with_defaults() {
        let accounts = Accounts::parse(SAMPLE).expect("valid");
        let data = accounts.get(&"data".parse().expect("a name")).expect("listed");
        assert_eq!(data.role_name.as_deref(), Some("cloudwatch-fleet-reader"));
        assert_eq!(data.external_id.as_ref().map(ExternalId::as_str), Some("e-1"));
        assert!(data.default);
        assert!((data.quota_share - 0.5).abs() < f64::EPSILON);
        let legacy = accounts.get(&"legacy".parse().expect("a name")).expect("listed");
        assert!(!legacy.default);
        assert_eq!(legacy.credentials, Some(CredentialKind::Profile));
        assert!(accounts.get(&"other".parse().expect("a name")).is_none());
        assert!(Accounts::default().get(&"other".parse().expect("a name")).is_some());
    }

    #[test]
    fn reads_the_file_of_the_documents() {
        let document = include_str!("../../../docs/accounts-file.md");
        let (_, sample) = document.split_once("```toml\n").expect("a sample");
        let (sample, _) = sample.split_once("```\n").expect("its end");
        let accounts = Accounts::parse(sample).expect("valid");
        let names: Vec<_> = accounts.iter().map(|account| account.name.as_str()).collect();
        assert_eq!(names, ["data", "legacy"]);
    }

    #[test]
    fn reports_every_fault_at_once() {
        let error = Accounts::parse(
            r#"
            [[account]]
            name = "data"
            id = "1"
            quota_share = 200
            region = "EU"
            [[account]]
            name = "data"
            role_arn = "arn:aws:iam::222222222222:user/x"
            credentials = "profile"
            [[account]]
            name = "a/b"
            [[account]]
            name = "opra-dev"
            endpoint = "localhost"
            [[account]]
            name = "opra_dev"
            duration_seconds = 60
            "#,
        )
        .expect_err("invalid")
        .to_string();
        for expected in [
            "account data: account id \"1\" is not twelve digits",
            "account data: quota_share 200 is not from 0.01 to 100; 1 is AWS's default quota",
            "account data: region \"EU\" is not a region",
            "account data: it is listed twice",
            "account data: role_arn \"arn:aws:iam::222222222222:user/x\" is not a role's ARN",
            "account data: credentials = \"profile\" needs profile",
            "account name \"a/b\" is not well-formed",
            "account opra-dev: endpoint \"localhost\" is not a URL",
            "accounts opra-dev and opra_dev: both have their access keys in opra_dev_account_access_key",
            "account opra_dev: duration_seconds 60 is not from 900",
        ] {
            assert!(error.contains(expected), "{error}\nshould contain {expected}");
        }
    }

    #[test]
    fn refuses_an_unknown_key_by_name() {
        let text = "[[account]]\nname = \"data\"\nsecret_access_key = \"canary\"\n";
        let error = Accounts::parse(text).expect_err("no such key").to_string();
        assert!(error.contains("line 3: unknown field `secret_access_key`"), "{error}");
        let number =
            Accounts::parse("[[account]]\nname = \"data\"\nid = 111111111111\n").expect_err("a number");
        assert!(number.to_string().contains("line 3, id: it is a string; write it in quotes"), "{number}");
        assert!(!error.contains("canary"), "a secret that does not belong there is not shown: {error}");
        let pasted =
            Accounts::parse("[[account]]\nname = \"data\"\ncanary/K7MDENG==\n").expect_err("no TOML");
        assert!(pasted.to_string().contains("line 3: "), "{pasted}");
        assert!(!pasted.to_string().contains("canary"), "nor one that is pasted bare: {pasted}");
    }

    #[test]
    fn warns_of_two_names_with_the_same_id() {
        let text = "[[account]]\nname='a'\nid='111111111111'\n[[account]]\nname='b'\nid='111111111111'\n";
        let warnings = Accounts::parse(text).expect("valid").warnings();
        assert_eq!(warnings, ["accounts a and b have the same id, 111111111111"]);
    }

    #[test]
    fn finds_colliding_variables_and_no_others() {
        let names =
            |texts: &[&str]| texts.iter().map(|t| t.parse().expect("a name")).collect::<Vec<AccountName>>();
        assert_eq!(colliding_variables(&names(&["a-b", "a-c", "a-b"])), None);
        assert!(colliding_variables(&names(&["a-b", "a_b"])).expect("they collide").contains("a-b and a_b"));
    }
}
