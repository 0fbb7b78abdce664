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
    exit::{CommandError, Outcome},
    faults::Faults,
    telemetry::Speaker,
};

/// The commands of the worker; each has its own help.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(run::Run),
    Collect(collect::Collect),
    Check(check::Check),
}

impl Command {
    /// Whether the command's output is for people or for logs.
    pub(crate) fn speaker(&self) -> Speaker {
        match self {
            Self::Run(_) => Speaker::Service,
            Self::Collect(_) | Self::Check(_) => Speaker::OneShot,
        }
    }

    pub(crate) async fn execute(self, faults: Faults) -> Result<Outcome, CommandError> {
        match self {
            Self::Run(run) => Box::pin(run.execute(faults)).await,
            Self::Collect(collect) => collect.execute(faults).await,
            Self::Check(check) => check.execute(faults).await,
        }
    }
}
