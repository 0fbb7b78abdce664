// SPDX-License-Identifier: Apache-2.0
//! The flags that say which accounts there are, and where their reports lie.

use aws_config::SdkConfig;
use chrono::{DateTime, Utc};
use clap::{
    Args,
    builder::{NonEmptyStringValueParser, StringValueParser, TypedValueParser},
};
use cli::faults::Faults;
use fleet::{AccountId, Accounts, KeyTemplate, accounts::KeptAccounts, report_key};
use requests::{plan::Planning, request::Surroundings};

/// What a request is expanded with.
#[derive(Debug, Args)]
pub(crate) struct ExpandArgs {
    /// The accounts file: a path, or an s3:// URL. Without one, any well-formed name is sent.
    #[arg(long, env = "FLEET_ACCOUNTS", value_name = "FILE", value_parser = NonEmptyStringValueParser::new(), help_heading = "Deployment")]
    accounts: Option<String>,

    /// The account that must own the bucket of an accounts file in S3.
    #[arg(long, env = "FLEET_ACCOUNTS_OWNER", value_name = "ACCOUNT_ID", help_heading = "Deployment")]
    accounts_owner: Option<AccountId>,

    /// The accounts if none are named, with commas [default: the accounts file's].
    #[arg(
        long,
        env = "FLEET_DEFAULT_ACCOUNTS",
        value_name = "NAMES",
        value_delimiter = ',',
        value_parser = trimmed(),
        help_heading = "Deployment"
    )]
    default_accounts: Vec<String>,

    #[arg(
        long,
        env = "FLEET_KEY_TEMPLATE",
        value_name = "TEMPLATE",
        default_value_t,
        help = report_key::HELP,
        help_heading = "Deployment"
    )]
    pub(crate) key_template: KeyTemplate,
}

impl ExpandArgs {
    /// Whether the accounts file is in S3.
    pub(crate) fn is_in_s3(&self) -> bool {
        self.accounts.as_ref().is_some_and(|file| file.starts_with("s3://"))
    }

    /// Reads the accounts file; `None` if it could not be read.
    pub(crate) async fn accounts(&self, config: Option<&SdkConfig>, faults: &mut Faults) -> Option<Accounts> {
        let (file, owner) = (self.accounts.as_deref(), self.accounts_owner.as_ref());
        faults.take_accounts(file, owner, config).await.map(KeptAccounts::into_current)
    }

    /// How to plan at a time; `clock` is that of the machine, if the time is another one.
    pub(crate) fn planning<'a>(
        &'a self,
        accounts: Option<&'a Accounts>,
        now: DateTime<Utc>,
        clock: Option<DateTime<Utc>>,
    ) -> Planning<'a> {
        let around = Surroundings { now, accounts, default_accounts: &self.default_accounts };
        Planning { around, clock, template: &self.key_template }
    }
}

/// Reads one of the names of a list with commas, without the spaces around it.
pub(super) fn trimmed() -> impl TypedValueParser<Value = String> {
    StringValueParser::new().map(|name| name.trim().to_owned())
}
