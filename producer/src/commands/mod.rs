//! The commands: one file each, and one line here.

mod failed;
mod replay;
mod run;
mod selection;
mod status;
mod wake;

use clap::Subcommand;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use fleet::{
    command_line::Faults,
    exit::{CommandError, Outcome},
    telemetry::NOTICE,
};

/// What the producer can be asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<run::RunArgs>),
    Status(status::StatusArgs),
    Failed(failed::FailedArgs),
    Replay(replay::ReplayArgs),
}

impl Command {
    /// Does it.
    pub(crate) async fn execute(self, faults: Faults) -> Result<Outcome, CommandError> {
        match self {
            Self::Run(command) => command.execute(faults).await,
            Self::Status(command) => command.execute(faults).await,
            Self::Failed(command) => command.execute(faults).await,
            Self::Replay(command) => command.execute(faults).await,
        }
    }
}

/// What a command says that was interrupted while it had dead letters in hand.
const INTERRUPTED_LOOK: &str = "interrupted; what was in hand is back in the dead-letter queue";

/// What is said at once where a command that looks at dead letters is interrupted.
const GIVING_BACK: &str = "stopping; giving back what is in hand; Ctrl-C again leaves it hidden for a minute";

/// As [`interrupted`], and tells at once what happens to the dead letters in hand.
async fn interrupted_look() {
    interrupted_saying(Some(GIVING_BACK)).await;
}

/// Ready on Ctrl-C and on SIGTERM, from its first poll on. A second one ends the process at once.
async fn interrupted() {
    interrupted_saying(None).await;
}

async fn interrupted_saying(said: Option<&'static str>) {
    let (Ok(terminate), Ok(interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Where signals can't be heard, nobody is heard to interrupt.
        return std::future::pending().await;
    };
    let mut signals = (terminate, interrupt);
    let (tell, told) = oneshot::channel();
    // A task of its own, which listens also where the command does something that it has to finish.
    tokio::spawn(async move {
        next(&mut signals).await;
        if let Some(said) = said {
            tracing::info!(target: NOTICE, "{said}");
        }
        // Cannot fail but where the command does not wait for it any more.
        let _ = tell.send(());
        next(&mut signals).await;
        tracing::warn!("told to stop twice; dead letters in hand, if any, are hidden for up to a minute");
        std::process::exit(1);
    });
    // Cannot fail: the task ends with the process.
    let _ = told.await;
}

async fn next((terminate, interrupt): &mut (Signal, Signal)) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
