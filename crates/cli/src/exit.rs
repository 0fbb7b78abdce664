// SPDX-License-Identifier: Apache-2.0
//! The results of commands, and their exit statuses.

use std::process::ExitCode;

use fleet::{AwsError, ErrorKind};

use crate::{telemetry::LogFormat, terminal};

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const INCOMPLETE: u8 = 3;

/// The hint that clap adds after wrong usage.
const HELP: &str = "\n\nFor more information, try '--help'.";

/// The result of a successful command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Not every account is complete.
    Incomplete,
}

/// Why a command failed.
#[derive(Debug)]
pub enum CommandError {
    /// The command line or one of its variables is wrong. A retry can't succeed; the help may be useful.
    Usage(anyhow::Error),
    /// Something that the command line refers to is wrong, such as a file or a queue. A retry can't succeed.
    Configuration(anyhow::Error),
    /// Anything else.
    Failed(anyhow::Error),
}

impl CommandError {
    pub fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::Usage(error.into())
    }

    pub fn configuration(error: impl Into<anyhow::Error>) -> Self {
        Self::Configuration(error.into())
    }

    /// Classifies a failure to read or open something configured: a wrong name and missing credentials are configuration
    /// errors; denied access, an outage of AWS and an expired login are not.
    pub fn at_start(error: impl Into<anyhow::Error>) -> Self {
        let error = error.into();
        match kind_of(&error) {
            None | Some(ErrorKind::NotFound | ErrorKind::NoCredentials) => Self::Configuration(error),
            Some(_) => Self::Failed(error),
        }
    }

    /// Whether the process has no credentials, so that nothing can be opened.
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

/// Prints an error or the help of clap, and returns the exit status.
#[must_use]
pub fn print_clap_error(error: &clap::Error) -> ExitCode {
    // If neither stream can be written, only the status remains.
    let _ = error.print();
    u8::try_from(error.exit_code()).unwrap_or(USAGE).into()
}

/// Reports the error of a failed command, and returns the exit status.
pub fn status(ended: Result<Outcome, CommandError>, format: LogFormat) -> ExitCode {
    let (error, status, more) = match ended {
        Ok(Outcome::Done) => return ExitCode::SUCCESS,
        Ok(Outcome::Incomplete) => return INCOMPLETE.into(),
        Err(CommandError::Usage(error)) => (error, USAGE, HELP),
        Err(CommandError::Configuration(error)) => (error, USAGE, ""),
        Err(CommandError::Failed(error)) => (error, FAILED, ""),
    };
    match format {
        // Regardless of `RUST_LOG`.
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
