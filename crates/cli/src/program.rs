// SPDX-License-Identifier: Apache-2.0
//! From a command line to an exit status.

use std::{ffi::OsString, process::ExitCode};

use anyhow::Context;
use clap::Parser;
use fleet::{descriptors, environment};
use tokio::runtime;

use crate::{
    exit::{self, CommandError, Outcome},
    faults::Faults,
    parse::{self, Hints},
    telemetry::{LogFormat, Logging, Speaker},
};

/// A command line, and what it does.
pub trait Program: Parser {
    /// What people try for a command.
    const HINTS: Hints = &[];

    /// How it logs.
    fn logging(&self) -> &Logging;

    /// What kind of command it is.
    fn speaker(&self) -> Speaker;

    /// Carries it out, unless `faults` has some; all that it finds wrong besides is told with them.
    fn execute(self, faults: Faults) -> impl Future<Output = Result<Outcome, CommandError>>;
}

/// Runs a program on a command line, the program's name first, and says how it ended: 0 done, 1 failed, 2 wrong usage
/// or configuration, 3 not every account is complete.
///
/// Starts logging and a runtime of its own, so once in a process and outside of any other runtime.
pub fn main_with<P: Program>(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    if let Err(error) = environment::unset_empty() {
        return exit::status(Err(CommandError::Configuration(error)), LogFormat::Text);
    }
    let (program, mut faults) = match parse::parse::<P>(args, P::HINTS) {
        Ok(parsed) => parsed,
        Err(status) => return status,
    };
    let format = program.logging().start(program.speaker());
    faults.take(environment::check().map_err(CommandError::Configuration));
    descriptors::raise_limit();
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match runtime.context("could not start the async runtime") {
        Ok(runtime) => {
            let ended = runtime.block_on(program.execute(faults));
            // What was interrupted may still wait for a name server, which can't be stopped.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(error.into()),
    };
    exit::status(ended, format)
}

#[cfg(test)]
mod tests {
    use fleet::VERSION;

    /// `0.1.0` or `0.1.0 (7dbb1e9 2026-11-30)`.
    #[test]
    fn the_version_is_the_fleets_with_the_commit_if_it_is_known() {
        let rest = crate::VERSION.strip_prefix(VERSION).expect("the fleet's version");
        if let Some(commit) = rest.strip_prefix(" (").and_then(|rest| rest.strip_suffix(')')) {
            let (hash, date) = commit.split_once(' ').expect("a hash and a date");
            assert!(hash.len() >= 7 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
            assert!(date.parse::<chrono::NaiveDate>().is_ok(), "{date}");
        } else {
            assert_eq!(rest, "");
        }
    }
}
