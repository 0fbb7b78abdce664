// SPDX-License-Identifier: Apache-2.0
//! The flags for the accounts, and for how to collect them.

use anyhow::anyhow;
use aws_config::SdkConfig;
use clap::{Args, builder::NonEmptyStringValueParser};
use cli::faults::Faults;
use fleet::{AccountId, AccountName, Dataset, accounts::KeptAccounts, aws, datasets, date::LISTED_DAYS};

use super::regions;
use crate::{account::breaker::Breaker, cloudwatch::limits::Limits, report::Collector};

/// The location of the accounts file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Accounts")]
pub(super) struct AccountsFile {
    /// The accounts file: a path, or an s3:// URL. Without one, any account whose access keys are in
    /// the environment can be collected.
    #[arg(long, env = "FLEET_ACCOUNTS", value_name = "FILE", value_parser = NonEmptyStringValueParser::new())]
    pub(super) accounts: Option<String>,

    /// The account that must own the bucket of an accounts file in S3.
    #[arg(long, env = "FLEET_ACCOUNTS_OWNER", value_name = "ACCOUNT_ID")]
    accounts_owner: Option<AccountId>,
}

impl AccountsFile {
    /// Reads the accounts, and checks that the regions configured for those that `is_used` exist.
    pub(super) async fn take(
        &self,
        regions: &[String],
        is_used: impl Fn(&AccountName) -> bool,
        base: Option<&SdkConfig>,
        faults: &mut Faults,
    ) -> Option<KeptAccounts> {
        let accounts =
            faults.take_accounts(self.accounts.as_deref(), self.accounts_owner.as_ref(), base).await?;
        let current = accounts.current();
        let used = current.iter().filter(|account| is_used(&account.name));
        faults.at_start(regions::check(base?, regions, used).await);
        Some(accounts)
    }
}

/// How accounts are collected.
#[derive(Debug, Args)]
#[command(next_help_heading = "Accounts")]
pub(super) struct Collecting {
    #[command(flatten)]
    pub(super) file: AccountsFile,

    /// Regions to query in all accounts that have enabled them, in addition to those of their buckets.
    #[arg(long, env = "FLEET_REGIONS", value_name = "REGION,…", value_delimiter = ',', value_parser = region)]
    pub(super) regions: Vec<String>,

    /// How many days older a value may be if a later one is not published yet, at most 30.
    #[arg(
        long,
        env = "FLEET_LOOKBACK_DAYS",
        value_name = "DAYS",
        default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(0..=30)
    )]
    pub(super) lookback_days: u32,
}

impl Collecting {
    /// The collector for these accounts.
    pub(super) fn collector(&self, base: SdkConfig, accounts: KeptAccounts) -> Collector {
        if i64::from(self.lookback_days) > LISTED_DAYS {
            tracing::warn!(
                lookback_days = self.lookback_days,
                "CloudWatch lists a series only for two weeks after its last datapoint: one without newer data is not \
                 found, whatever --lookback-days is"
            );
        }
        Collector {
            base,
            accounts,
            lookback_days: self.lookback_days,
            regions: self.regions.clone(),
            limits: Limits::default(),
            authentication: Breaker::default(),
        }
    }
}

pub(super) fn region(text: &str) -> anyhow::Result<String> {
    if aws::is_region(text) {
        Ok(text.to_owned())
    } else {
        Err(anyhow!("{text:?} is not a region; write it as eu-west-1, several with a comma between"))
    }
}

pub(super) fn dataset(name: &str) -> anyhow::Result<&'static Dataset> {
    Dataset::find(name).ok_or_else(|| anyhow!(datasets::unknown(name)))
}
