//! The commands: one file each, and one line here.

mod datasets;
mod failed;
mod replay;
mod run;
mod selection;
mod status;
mod wake;

use clap::Subcommand;
use cli::{
    exit::{CommandError, Outcome},
    faults::Faults,
    generate::Generate,
    signals,
};

use crate::command_line::CommandLine;

/// What the producer can be asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<run::RunArgs>),
    Status(status::StatusArgs),
    Failed(failed::FailedArgs),
    Replay(replay::ReplayArgs),
    Datasets(datasets::DatasetsArgs),
    #[command(flatten)]
    Generate(Generate),
}

impl Command {
    /// Does it.
    pub(crate) async fn execute(self, faults: Faults) -> Result<Outcome, CommandError> {
        match self {
            Self::Run(command) => Box::pin(command.execute(faults)).await,
            Self::Status(command) => command.execute(faults).await,
            Self::Failed(command) => command.execute(faults).await,
            Self::Replay(command) => command.execute(faults).await,
            Self::Generate(command) => command.execute::<CommandLine>(faults),
            Self::Datasets(command) => command.execute(faults),
        }
    }
}

/// What a command says that was interrupted while it had dead letters in hand.
const INTERRUPTED_LOOK: &str = "interrupted; what was in hand is back in the dead-letter queue";

/// What is said at once where a command that looks at dead letters is interrupted.
const GIVING_BACK: &str = "stopping; giving back what is in hand; Ctrl-C again leaves it hidden for a minute";

/// What is said at a second signal.
const TWICE: &str = "told to stop twice; dead letters in hand, if any, are hidden for up to a minute";

/// As [`interrupted`], and tells at once what happens to the dead letters in hand.
async fn interrupted_look() {
    signals::interrupted(Some(GIVING_BACK), TWICE).await;
}

/// Ready on Ctrl-C and on SIGTERM, from its first poll on. A second one ends the process at once.
async fn interrupted() {
    signals::interrupted(None, TWICE).await;
}
