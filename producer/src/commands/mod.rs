// SPDX-License-Identifier: Apache-2.0
//! The commands: one file each, and one line here.

mod datasets;
mod deliver;
mod expand;
mod failed;
mod interrupted;
mod policy;
mod replay;
mod run;
mod selection;
mod setup;
mod status;
mod wake;
mod when;

use clap::Subcommand;
use cli::{
    Hints, Program,
    exit::{CommandError, Outcome},
    faults::Faults,
    telemetry::CommandKind,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<run::RunArgs>),
    Status(status::StatusArgs),
    Failed(failed::FailedArgs),
    Replay(replay::ReplayArgs),
    Datasets(datasets::DatasetsArgs),
    Policy(policy::PolicyArgs),
    Deliver(Box<deliver::DeliverArgs>),
    Setup(setup::SetupArgs),
}

impl Program for Command {
    const NAME: &'static str = "producer";
    const ABOUT: &'static str = "Sends one job per account to the workers, and shows their results";
    const DETAILS: &'static str = "A run collects the CloudWatch metrics of one day for all requested accounts: the producer sends a job for each to the work queue, and the workers store a report for each job in the report bucket.";
    const HINTS: Hints = &[
        ("runs", &["status", "run"]),
        ("list", &["status", "datasets"]),
        ("ls", &["status", "datasets"]),
        ("dataset", &["datasets"]),
        ("columns", &["datasets"]),
        ("permissions", &["policy", "datasets"]),
        ("role", &["policy"]),
        ("iam", &["policy"]),
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
        ("sink", &["deliver"]),
        ("rebuild", &["deliver"]),
        ("init", &["setup"]),
        ("template", &["setup"]),
    ];
    const AFTER_HELP: &'static str = "\
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

    fn kind(&self) -> CommandKind {
        CommandKind::OneShot
    }

    async fn execute(self, faults: Faults) -> Result<Outcome, CommandError> {
        match self {
            Self::Run(command) => Box::pin(command.execute(faults)).await,
            Self::Status(command) => command.execute(faults).await,
            Self::Failed(command) => command.execute(faults).await,
            Self::Replay(command) => command.execute(faults).await,
            Self::Datasets(command) => command.execute(faults).await,
            Self::Policy(command) => command.execute(faults).await,
            Self::Deliver(command) => Box::pin(command.execute(faults)).await,
            Self::Setup(command) => command.execute(faults).await,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed_and_every_flag_has_a_variable() {
        cli::check_command_line::<super::Command>();
    }
}
