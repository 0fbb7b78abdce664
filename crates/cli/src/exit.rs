// SPDX-License-Identifier: Apache-2.0
//! How a command of either binary ends, and the exit status that tells it.

use std::process::ExitCode;

use fleet::{AwsError, ErrorKind};

use crate::{telemetry::LogFormat, terminal};

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const INCOMPLETE: u8 = 3;

/// What clap says too after wrong usage.
const HELP: &str = "\n\nFor more information, try '--help'.";

/// How a command ended that did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is left to do.
    Done,
    /// Not every account is complete.
    Incomplete,
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum CommandError {
    /// The command line or one of its variables is wrong: trying again is no use, and the help may be.
    Usage(anyhow::Error),
    /// What the command line names is wrong, such as a file or a queue: trying again is no use.
    Configuration(anyhow::Error),
    /// Anything else.
    Failed(anyhow::Error),
}

impl CommandError {
    /// A fault of the command line.
    pub fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::Usage(error.into())
    }

    /// A fault of what the command line names.
    pub fn configuration(error: impl Into<anyhow::Error>) -> Self {
        Self::Configuration(error.into())
    }

    /// What it means that something configured can't be read or opened: a wrong name and credentials that are
    /// nowhere are a wrong configuration; a refusal, an outage of AWS and a login that has expired are not.
    pub fn at_start(error: impl Into<anyhow::Error>) -> Self {
        let error = error.into();
        match kind_of(&error) {
            None | Some(ErrorKind::NotFound | ErrorKind::NoCredentials) => Self::Configuration(error),
            Some(_) => Self::Failed(error),
        }
    }

    /// Whether the process has no credentials of its own, so that nothing can be opened.
    pub(crate) fn is_no_credentials(&self) -> bool {
        let (Self::Usage(error) | Self::Configuration(error) | Self::Failed(error)) = self;
        kind_of(error) == Some(ErrorKind::NoCredentials)
    }
}

fn kind_of(error: &anyhow::Error) -> Option<ErrorKind> {
    error.chain().find_map(|cause| cause.downcast_ref::<AwsError>()).map(|error| error.kind)
}

impl From<anyhow::Error> for CommandError {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// Prints what clap has to say, help included, and gives its status.
#[must_use]
pub fn of_clap(error: &clap::Error) -> ExitCode {
    // Where neither stream can be written to, the status is all that is left to tell.
    let _ = error.print();
    u8::try_from(error.exit_code()).unwrap_or(USAGE).into()
}

/// Says why a command failed, if it did, and gives the status.
pub fn status(ended: Result<Outcome, CommandError>, format: LogFormat) -> ExitCode {
    let (error, status, more) = match ended {
        Ok(Outcome::Done) => return ExitCode::SUCCESS,
        Ok(Outcome::Incomplete) => return INCOMPLETE.into(),
        Err(CommandError::Usage(error)) => (error, USAGE, HELP),
        Err(CommandError::Configuration(error)) => (error, USAGE, ""),
        Err(CommandError::Failed(error)) => (error, FAILED, ""),
    };
    match format {
        // Whatever `RUST_LOG` leaves out.
        LogFormat::Text => {
            terminal::say(&format!("{} {error:#}{more}", terminal::paint(terminal::BAD, "error:")));
        }
        LogFormat::Json => tracing::error!("{error:#}"),
    }
    status.into()
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn aws(kind: ErrorKind) -> anyhow::Error {
        let error = AwsError::new(kind, "s3:ListBucket", "Code");
        anyhow::Error::new(error).context("report bucket x")
    }

    #[test]
    fn a_wrong_name_is_wrong_configuration_and_an_outage_is_not() {
        assert!(matches!(CommandError::at_start(anyhow!("no file")), CommandError::Configuration(_)));
        for kind in [ErrorKind::NotFound, ErrorKind::NoCredentials] {
            assert!(matches!(CommandError::at_start(aws(kind)), CommandError::Configuration(_)), "{kind:?}");
        }
        for kind in [ErrorKind::Transient, ErrorKind::Denied, ErrorKind::Identity, ErrorKind::Expired] {
            assert!(matches!(CommandError::at_start(aws(kind)), CommandError::Failed(_)), "{kind:?}");
        }
    }
}
