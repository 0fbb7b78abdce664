// SPDX-License-Identifier: Apache-2.0
//! The command line. Every flag has an environment variable.

use clap::{Parser, Subcommand};
use cli::{
    Hints, Program,
    exit::{CommandError, Outcome},
    faults::Faults,
    generate::Generate,
    telemetry::{Logging, Speaker},
};

use crate::commands::Command;

/// Sends one job per account to the workers, and shows what became of each.
///
/// A run collects the CloudWatch metrics of one day for every requested account: the producer puts a
/// job for each on the work queue, and the workers turn each job into a report in the report bucket.
#[derive(Debug, Parser)]
#[command(name = "producer", version = cli::VERSION, after_long_help = AFTER_HELP)]
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
    const HINTS: Hints = &[
        ("runs", &["status", "run"]),
        ("list", &["status", "datasets"]),
        ("ls", &["status", "datasets"]),
        ("dataset", &["datasets"]),
        ("columns", &["datasets"]),
        ("permissions", &["datasets"]),
        ("show", &["status"]),
        ("jobs", &["status"]),
        ("report", &["status", "run"]),
        ("reports", &["status"]),
        ("send", &["run"]),
        ("start", &["run"]),
        ("failures", &["failed"]),
        ("errors", &["failed"]),
        ("dlq", &["failed"]),
        ("retry", &["replay"]),
        ("redrive", &["replay"]),
    ];

    fn logging(&self) -> &Logging {
        &self.logging
    }

    fn speaker(&self) -> Speaker {
        Speaker::OneShot
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
  export FLEET_QUEUE_URL=https://sqs.eu-west-1.amazonaws.com/999999999999/jobs
  export FLEET_REPORT_BUCKET=my-reports
  producer run --account-name data --dry-run   # what would be sent, and what it costs
  producer run --account-name data --wait      # send it, and follow it to the end
  producer status                              # which accounts are complete
  producer failed                              # what could not be done, why, and how to fix it
  producer replay --account-name data          # once it is fixed: do it again

Exit status:
  0  done
  1  failed
  2  wrong usage or configuration
  3  status, or run --wait: not every account is complete";

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
