// SPDX-License-Identifier: Apache-2.0
//! All that is wrong with a command, gathered before it begins, so that one fault hides no other.

use std::{collections::HashSet, fmt::Display, time::Duration};

use anyhow::anyhow;
use aws_config::SdkConfig;
use fleet::{AccountId, accounts::KeptAccounts};
use tokio::time::timeout;

use crate::exit::CommandError;

/// How long the accounts file is waited for if something else is wrong already.
const PATIENCE: Duration = Duration::from_secs(5);

/// All that is wrong with a command line, its variables and what they name.
#[derive(Debug, Default)]
pub struct Faults {
    pub(crate) texts: Vec<String>,
    /// Whether one of them is about the command line itself.
    is_usage: bool,
    /// The ids of the arguments that were left out: that they are missing is no fault of its own.
    pub(crate) left_out: HashSet<String>,
    /// What failed although nothing is known to be wrong with it.
    failed: Option<anyhow::Error>,
}

impl Faults {
    /// Adds a fault of the command line or its variables.
    pub fn usage(&mut self, fault: impl Display) {
        self.is_usage = true;
        self.texts.push(fault.to_string());
    }

    /// Gives what is right, and remembers what is not.
    pub fn take<T>(&mut self, result: Result<T, CommandError>) -> Option<T> {
        match result {
            Ok(value) => return Some(value),
            Err(CommandError::Usage(fault)) => self.usage(format!("{fault:#}")),
            Err(CommandError::Configuration(fault)) => self.texts.push(format!("{fault:#}")),
            Err(CommandError::Failed(error)) => self.failed = Some(self.failed.take().unwrap_or(error)),
        }
        None
    }

    /// The same of what is read or opened at the start ([`CommandError::at_start`]).
    pub fn at_start<T>(&mut self, result: anyhow::Result<T>) -> Option<T> {
        self.take(result.map_err(CommandError::at_start))
    }

    /// Reads the accounts file; one in S3 only with a configuration, and from a bucket of `owner` if that is named.
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

    /// Whether nothing is wrong so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.failed.is_none()
    }

    /// Whether the argument was given, and left out since clap refused it.
    #[must_use]
    pub fn left_out(&self, argument: &str) -> bool {
        self.left_out.contains(argument)
    }

    /// The end of all checks: the value that they are about, or everything that is wrong.
    pub fn end<T>(self, value: Option<T>) -> Result<T, CommandError> {
        let error = match &self.texts[..] {
            [] => {
                let failed = self.failed.map(CommandError::Failed);
                // Cannot fail: a value that is missing has left a fault.
                let unknown = || CommandError::Failed(anyhow!("something is wrong that no check has named"));
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
