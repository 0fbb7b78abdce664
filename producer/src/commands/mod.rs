// SPDX-License-Identifier: Apache-2.0
//! The commands: one file each, and one line here.

mod datasets;
mod failed;
mod interrupted;
mod replay;
mod run;
mod selection;
mod status;
mod wake;

use clap::Subcommand;
use cli::{
    exit::{CommandError, Outcome},
    faults::Faults,
};

/// What the producer can be asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<run::RunArgs>),
    Status(status::StatusArgs),
    Failed(failed::FailedArgs),
    Replay(replay::ReplayArgs),
    Datasets(datasets::DatasetsArgs),
}

impl Command {
    pub(crate) async fn execute(self, faults: Faults) -> Result<Outcome, CommandError> {
        match self {
            Self::Run(command) => Box::pin(command.execute(faults)).await,
            Self::Status(command) => command.execute(faults).await,
            Self::Failed(command) => command.execute(faults).await,
            Self::Replay(command) => command.execute(faults).await,
            Self::Datasets(command) => command.execute(faults),
        }
    }
}
