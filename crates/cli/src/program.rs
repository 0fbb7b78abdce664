// SPDX-License-Identifier: Apache-2.0
//! From a command line to an exit status.

use std::{ffi::OsString, fmt, process::ExitCode};

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use fleet::{descriptors, environment};
use tokio::runtime;

use crate::{
    exit::{self, CommandError, Outcome},
    faults::Faults,
    generate::Generate,
    parse::{self, Hints},
    telemetry::{CommandKind, LogFormat, Logging},
};

/// The commands of a program. Each program also has those of [`Generate`], and the flags of [`Logging`].
pub trait Program: Subcommand + fmt::Debug {
    const NAME: &'static str;
    const ABOUT: &'static str;
    /// The paragraph after `ABOUT` in the long help.
    const DETAILS: &'static str;
    const AFTER_HELP: &'static str;
    const HINTS: Hints = &[];

    fn kind(&self) -> CommandKind;

    /// Runs the command, unless `faults` has some; further faults are added and reported with them.
    fn execute(self, faults: Faults) -> impl Future<Output = Result<Outcome, CommandError>>;
}

#[derive(Debug, Parser)]
#[command(
    name = P::NAME,
    version = crate::VERSION,
    about = P::ABOUT,
    long_about = format!("{}.\n\n{}", P::ABOUT, P::DETAILS),
    after_long_help = P::AFTER_HELP
)]
struct CommandLine<P: Program> {
    #[command(subcommand)]
    command: AnyCommand<P>,

    #[command(flatten)]
    logging: Logging,
}

#[derive(Debug, Subcommand)]
enum AnyCommand<P: Program> {
    #[command(flatten)]
    Own(Box<P>),
    #[command(flatten)]
    Generate(Generate),
}

impl<P: Program> CommandLine<P> {
    fn kind(&self) -> CommandKind {
        match &self.command {
            AnyCommand::Own(command) => command.kind(),
            AnyCommand::Generate(_) => CommandKind::OneShot,
        }
    }

    async fn execute(self, faults: Faults) -> Result<Outcome, CommandError> {
        match self.command {
            AnyCommand::Own(command) => command.execute(faults).await,
            AnyCommand::Generate(command) => command.execute::<Self>(faults),
        }
    }
}

/// The command line of a program, to generate documentation from.
#[must_use]
pub fn command<P: Program>() -> clap::Command {
    CommandLine::<P>::command()
}

/// Runs a program with a command line, the program's name first, and returns its exit status: 0 done, 1 failed, 2 wrong
/// usage or configuration, 3 not every account is complete.
///
/// Starts logging and a runtime, so it can be called only once in a process, and outside of any other runtime.
pub fn main_with<P: Program>(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    if let Err(error) = environment::unset_empty() {
        return exit::status(Err(CommandError::Configuration(error)), LogFormat::Text);
    }
    let (program, mut faults) = match parse::parse::<CommandLine<P>>(args, P::HINTS) {
        Ok(parsed) => parsed,
        Err(status) => return status,
    };
    let format = program.logging.start(program.kind());
    faults.take(environment::check().map_err(CommandError::Configuration));
    descriptors::raise_limit();
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match runtime.context("could not start the async runtime") {
        Ok(runtime) => {
            let ended = runtime.block_on(program.execute(faults));
            // An interrupted command may still wait for a name server, which can't be stopped.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(error.into()),
    };
    exit::status(ended, format)
}

/// Checks the command line of a program, for its tests.
///
/// # Panics
///
/// If it is not well-formed, if a note below the help is too wide, or if a flag has no environment variable of its name.
pub fn check_command_line<P: Program>() {
    let program = command::<P>();
    program.clone().debug_assert();
    for command in program.get_subcommands().chain([&program]) {
        let notes = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        for line in notes.lines() {
            assert!(line.chars().count() <= 100, "{}: {line}", command.get_name());
        }
    }
    for command in program.get_subcommands() {
        for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
            let id = arg.get_id();
            let variable = arg.get_env().map(|name| name.to_string_lossy().into_owned());
            let expected = format!("FLEET_{}", id.as_str().to_uppercase());
            assert_eq!(variable, Some(expected), "{} {id}", command.get_name());
        }
    }
}
