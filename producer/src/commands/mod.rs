//! The commands: one file each, and one line here.

mod run;
mod status;

use clap::Subcommand;

use fleet::exit::{CommandError, Outcome};

/// What the producer can be asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<run::RunArgs>),
    Status(status::StatusArgs),
}

impl Command {
    /// Does it.
    pub(crate) async fn execute(self) -> Result<Outcome, CommandError> {
        match self {
            Self::Run(command) => command.execute().await,
            Self::Status(command) => command.execute().await,
        }
    }
}

/// Ready on Ctrl-C.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Where the signal can't be heard, nobody is heard to interrupt.
        std::future::pending::<()>().await;
    }
}
