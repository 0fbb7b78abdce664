// SPDX-License-Identifier: Apache-2.0
//! Collects all faults of a command line before the command begins, so that they are reported together.

use std::{collections::HashSet, fmt::Display, time::Duration};

use anyhow::anyhow;
use aws_config::SdkConfig;
use fleet::{AccountId, accounts::KeptAccounts};
use tokio::time::timeout;

use crate::exit::CommandError;

/// How long to wait for the accounts file if there already is a fault.
const PATIENCE: Duration = Duration::from_secs(5);

/// The faults of a command line, its variables and what they refer to.
#[derive(Debug, Default)]
pub struct Faults {
    pub(crate) texts: Vec<String>,
    /// Whether one of them is about the command line itself.
    is_usage: bool,
    /// The ids of arguments that were invalid and removed. That they are missing is not another fault.
    pub(crate) left_out: HashSet<String>,
    /// The first error that is not a fault of the configuration.
    failed: Option<anyhow::Error>,
}

impl Faults {
    /// Adds a fault of the command line or its variables.
    pub fn usage(&mut self, fault: impl Display) {
        self.is_usage = true;
        self.texts.push(fault.to_string());
    }

    /// Returns the value, or adds the fault.
    pub fn take<T>(&mut self, result: Result<T, CommandError>) -> Option<T> {
        match result {
            Ok(value) => return Some(value),
            Err(CommandError::Usage(fault)) => self.usage(format!("{fault:#}")),
            Err(CommandError::Configuration(fault)) => self.texts.push(format!("{fault:#}")),
            Err(CommandError::Failed(error)) => self.failed = Some(self.failed.take().unwrap_or(error)),
        }
        None
    }

    /// The same for something that is read or opened at the start ([`CommandError::at_start`]).
    pub fn at_start<T>(&mut self, result: anyhow::Result<T>) -> Option<T> {
        self.take(result.map_err(CommandError::at_start))
    }

    /// Reads the accounts file. One in S3 needs `config`, and its bucket must belong to `owner`, if given.
    pub async fn take_accounts(
        &mut self,
        location: Option<&str>,
        owner: Option<&AccountId>,
        config: Option<&SdkConfig>,
    ) -> Option<KeptAccounts> {
        if config.is_none() && location.is_some_and(|location| location.starts_with("s3://")) {
            return None;
        }
        let none = SdkConfig::builder().build();
        let opening = KeptAccounts::open(location, owner, config.unwrap_or(&none));
        let opened = if self.is_empty() { opening.await } else { timeout(PATIENCE, opening).await.ok()? };
        self.at_start(opened)
    }

    /// Whether there are no faults so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.failed.is_none()
    }

    /// Whether the argument was given, but removed because clap refused it.
    #[must_use]
    pub fn left_out(&self, argument: &str) -> bool {
        self.left_out.contains(argument)
    }

    /// Ends the checks: returns the checked value, or all faults.
    pub fn end<T>(self, value: Option<T>) -> Result<T, CommandError> {
        let error = match &self.texts[..] {
            [] => {
                let failed = self.failed.map(CommandError::Failed);
                // Cannot fail: a value that is missing has left a fault.
                let unknown = || CommandError::Failed(anyhow!("an unknown check failed"));
                return match (failed, value) {
                    (None, Some(value)) => Ok(value),
                    (failed, _) => Err(failed.unwrap_or_else(unknown)),
                };
            }
            [one] => anyhow!(one.clone()),
            all => {
                let lines = all.iter().map(|fault| format!("\n  {}", fault.replace('\n', "\n  ")));
                anyhow!("{} things are wrong:{}", all.len(), lines.collect::<String>())
            }
        };
        Err(if self.is_usage { CommandError::Usage(error) } else { CommandError::Configuration(error) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_ends_the_command_with_all_of_it() {
        let text = |faults: Faults| match faults.end(Some(())) {
            Ok(()) => "ok".to_owned(),
            Err(CommandError::Usage(error)) => format!("usage: {error}"),
            Err(CommandError::Configuration(error)) => format!("configuration: {error}"),
            Err(CommandError::Failed(error)) => format!("failed: {error}"),
        };
        assert_eq!(text(Faults::default()), "ok");
        let failed = || Err::<(), _>(CommandError::Failed(anyhow!("AWS is away")));
        let mut faults = Faults::default();
        faults.take(failed());
        assert_eq!(text(faults), "failed: AWS is away");
        let mut faults = Faults::default();
        faults.take(failed());
        faults.take(Err::<(), _>(CommandError::Configuration(anyhow!("the file:\n  line"))));
        assert_eq!(text(faults), "configuration: the file:\n  line", "what is wrong goes before what failed");
        let mut faults = Faults::default();
        faults.take(Err::<(), _>(CommandError::Configuration(anyhow!("the file:\n  line"))));
        faults.usage("a flag");
        assert_eq!(text(faults), "usage: 2 things are wrong:\n  the file:\n    line\n  a flag");
    }
}
