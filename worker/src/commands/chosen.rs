// SPDX-License-Identifier: Apache-2.0
//! Which accounts a command uses, and with which credentials.

use std::collections::HashSet;

use anyhow::anyhow;
use aws_config::{SdkConfig, meta::region::ProvideRegion, profile::ProfileFileRegionProvider};
use clap::{
    Args,
    builder::{BoolishValueParser, NonEmptyStringValueParser},
};
use cli::{exit::CommandError, faults::Faults, telemetry::NOTICE};
use fleet::{
    Account, AccountName, Accounts, ErrorKind,
    accounts::{CredentialKind, KeptAccounts, colliding_variables},
    aws,
};

use super::{collecting::AccountsFile, regions};
use crate::{account::authenticate, account::session::Session, failure::Failure, usage::Usage};

/// The named accounts, or the account of the user's own credentials.
#[derive(Debug, Args)]
pub(super) struct Chosen {
    /// An account; may be repeated, or be a list with commas.
    #[arg(long, env = "FLEET_ACCOUNT_NAME", value_name = "NAME", value_delimiter = ',')]
    pub(super) account_name: Vec<AccountName>,

    /// Use this profile of your AWS configuration instead of the accounts file. The account's name is
    /// --account-name, or the profile's name, or the account's id.
    #[arg(long, env = "FLEET_PROFILE", value_name = "PROFILE", value_parser = NonEmptyStringValueParser::new(), conflicts_with = "current_credentials")]
    profile: Option<String>,

    /// Use the credentials of this shell instead of the accounts file. The account's name is
    /// --account-name, or its id.
    #[arg(long, env = "FLEET_CURRENT_CREDENTIALS", value_parser = BoolishValueParser::new())]
    current_credentials: bool,
}

impl Chosen {
    /// Whether the user's own credentials are used, without the accounts file.
    pub(super) fn uses_own_credentials(&self) -> bool {
        self.profile.is_some() || self.current_credentials
    }

    /// Reads the accounts file, and checks the names and the regions against it.
    pub(super) async fn accounts(
        &self,
        faults: &mut Faults,
        file: &AccountsFile,
        regions: &[String],
        base: Option<&SdkConfig>,
    ) -> Option<Accounts> {
        if self.uses_own_credentials() {
            if self.account_name.len() > 1 {
                faults.usage("these credentials belong to one account; name at most one with --account-name");
            }
            faults.at_start(regions::check(base?, regions, []).await);
            return Some(Accounts::default());
        }
        let mut names = HashSet::new();
        for name in self.account_name.iter().filter(|name| !names.insert(*name)) {
            faults.usage(format!("account {name}: is listed twice; leave one out"));
        }
        if let Some(collision) = colliding_variables(&self.account_name) {
            faults.usage(collision);
        }
        let is_used = |name: &AccountName| self.account_name.is_empty() || self.account_name.contains(name);
        file.take(regions, is_used, base, faults).await.map(KeptAccounts::into_current)
    }

    /// Finds the account of the given credentials, and prints which it is.
    ///
    /// # Errors
    ///
    /// If they are not valid.
    pub(super) async fn reach(&self, base: &SdkConfig) -> Result<Account, CommandError> {
        let wanted = self.account_name.first().cloned();
        let of_profile = self.profile.as_ref().and_then(|profile| profile.parse().ok());
        let name = wanted.or(of_profile);
        let unnamed = || "unnamed".parse().expect("cannot fail: it is well-formed");
        let mut account = Account::named(name.clone().unwrap_or_else(unnamed));
        account.profile.clone_from(&self.profile);
        account.credentials = Some(match &self.profile {
            Some(_) => CredentialKind::Profile,
            None => CredentialKind::Default,
        });
        account.region = self.region().await;
        let who =
            self.profile.as_ref().map_or_else(|| "this shell".to_owned(), |name| format!("profile {name}"));
        let reached = async {
            let session = Session::open(account.clone(), base, None, Usage::default()).await?;
            authenticate::identity(&session).await
        };
        let identity = reached.await.map_err(|failure| {
            let has_none = matches!(&failure, Failure::Aws(error) if error.kind == ErrorKind::NoCredentials);
            // The failure says what is missing; the accounts file is not involved.
            let hint = if has_none { "" } else { failure.hint() };
            let message = format!("{:#}", anyhow!(failure));
            let message = message.trim_end_matches('.');
            let error = anyhow!("the credentials of {who} can't be used: {message}{hint}");
            if has_none { CommandError::Configuration(error) } else { CommandError::Failed(error) }
        })?;
        let id = identity.account_id;
        account.name = match name {
            Some(name) => name,
            None => id.as_str().parse().map_err(CommandError::usage)?,
        };
        tracing::info!(target: NOTICE, "account {}: {id}, as {}, by {who}", account.name, identity.arn);
        account.id = Some(id);
        Ok(account)
    }

    /// The profile's own region, if the environment sets none.
    async fn region(&self) -> Option<String> {
        let is_set = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().any(|name| std::env::var_os(name).is_some());
        let profile = self.profile.as_ref().filter(|_| !is_set)?;
        let provider = ProfileFileRegionProvider::builder().profile_name(profile).build();
        provider.region().await.map(|region| region.to_string()).filter(|region| aws::is_region(region))
    }
}
