// SPDX-License-Identifier: Apache-2.0
//! The command line. Every flag has an environment variable.

use clap::{Parser, Subcommand};
use cli::{
    Program,
    exit::{CommandError, Outcome},
    faults::Faults,
    generate::Generate,
    telemetry::{Logging, Speaker},
};

use crate::commands::Command;

/// Takes jobs from the work queue and stores their reports in the report bucket.
///
/// For each job a worker authenticates to the account, collects its metrics from CloudWatch within
/// AWS's quotas, stores the report and deletes the job. Any number of workers can share a queue.
#[derive(Debug, Parser)]
#[command(name = "worker", version = cli::VERSION, after_long_help = AFTER_HELP)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    verb: Verb,

    #[command(flatten)]
    logging: Logging,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(flatten)]
    Work(Box<Command>),
    #[command(flatten)]
    Generate(Generate),
}

impl Program for CommandLine {
    fn logging(&self) -> &Logging {
        &self.logging
    }

    fn speaker(&self) -> Speaker {
        match &self.verb {
            Verb::Work(command) => command.speaker(),
            Verb::Generate(_) => Speaker::OneShot,
        }
    }

    async fn execute(self, faults: Faults) -> Result<Outcome, CommandError> {
        match self.verb {
            Verb::Work(command) => command.execute(faults).await,
            Verb::Generate(command) => command.execute::<Self>(faults),
        }
    }
}

const AFTER_HELP: &str = "\
First steps:
  export data_account_access_key=… data_secret_access_key=…
  worker check --account-name data             # your identity and permissions in the account
  worker collect --account-name data           # one report to standard output, without a queue

  export FLEET_QUEUE_URL=https://sqs.eu-west-1.amazonaws.com/999999999999/jobs
  export FLEET_REPORT_BUCKET=my-reports
  worker run                                   # take jobs until stopped

Exit status:
  0  done
  1  failed, or a permission is missing, or the report is not complete
  2  wrong usage or configuration";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn notes_below_the_help_fit_its_width() {
        let command = CommandLine::command();
        for command in command.get_subcommands().chain([&command]) {
            let notes = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            for line in notes.lines() {
                assert!(line.chars().count() <= 100, "{}: {line}", command.get_name());
            }
        }
    }

    #[test]
    fn every_flag_has_a_variable() {
        for command in CommandLine::command().get_subcommands() {
            for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
                let id = arg.get_id();
                let variable = arg.get_env().map(|name| name.to_string_lossy().into_owned());
                let expected = format!("FLEET_{}", id.as_str().to_uppercase());
                assert_eq!(variable, Some(expected), "{} {id}", command.get_name());
            }
        }
    }
}
