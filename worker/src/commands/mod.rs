// SPDX-License-Identifier: Apache-2.0
//! The commands, one file each.

mod check;
mod chosen;
mod collect;
mod collecting;
mod regions;
mod run;

use clap::Subcommand;
use cli::{
    Program,
    exit::{CommandError, Outcome},
    faults::Faults,
    telemetry::CommandKind,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(run::Run),
    Collect(collect::Collect),
    Check(check::Check),
}

impl Program for Command {
    const NAME: &'static str = "worker";
    const ABOUT: &'static str =
        "Takes jobs from the work queue and stores their reports in the report bucket";
    const DETAILS: &'static str = "For each job a worker authenticates to the account, collects its metrics from CloudWatch within AWS's quotas, stores the report and deletes the job. Any number of workers can share a queue.";
    const AFTER_HELP: &'static str = "\
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

    fn kind(&self) -> CommandKind {
        match self {
            Self::Run(_) => CommandKind::Service,
            Self::Collect(_) | Self::Check(_) => CommandKind::OneShot,
        }
    }

    async fn execute(self, faults: Faults) -> Result<Outcome, CommandError> {
        match self {
            Self::Run(run) => Box::pin(run.execute(faults)).await,
            Self::Collect(collect) => collect.execute(faults).await,
            Self::Check(check) => check.execute(faults).await,
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
