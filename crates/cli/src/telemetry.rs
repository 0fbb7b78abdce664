// SPDX-License-Identifier: Apache-2.0
//! Logs on standard error: lines for people, or JSON for log collectors.

mod people;

use std::{
    collections::HashSet,
    io::{self, IsTerminal},
    sync::{Mutex, PoisonError},
};

use clap::{Args, ValueEnum, builder::BoolishValueParser};
use tracing::{Event, Level, Metadata};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    fmt,
    layer::{Context, Filter, SubscriberExt},
    util::SubscriberInitExt,
};

use self::people::People;
use crate::terminal;

/// The target of messages that are shown even by commands that otherwise log only warnings.
pub const NOTICE: &str = "notice";

/// The target of the steps of a job, which are hidden when many jobs are watched.
pub const STEP: &str = "step";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The kind of a command, which determines its default log format and level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandKind {
    /// Does one thing and ends. Its log is for the user who started it.
    OneShot,
    /// Runs until it is stopped. Its log is watched on a terminal, or collected.
    Service,
}

/// The logging flags.
#[derive(Debug, Args)]
pub struct Logging {
    /// The format of the log [default: text; json for `worker run` without a terminal].
    #[arg(long, global = true, env = "FLEET_LOG_FORMAT", value_name = "FORMAT", display_order = 100)]
    log_format: Option<LogFormat>,

    /// Log more: the effective configuration, and each step.
    #[arg(
        long,
        short,
        global = true,
        env = "FLEET_VERBOSE",
        value_parser = BoolishValueParser::new(),
        display_order = 101
    )]
    verbose: bool,
}

impl Logging {
    /// Starts logging, and returns its format, in which the error of the command must be reported too. `RUST_LOG`, if set,
    /// decides what is logged.
    ///
    /// # Panics
    ///
    /// If called twice in a process.
    pub fn start(&self, kind: CommandKind) -> LogFormat {
        let format = self.log_format.unwrap_or_else(|| match kind {
            CommandKind::Service if !io::stderr().is_terminal() => LogFormat::Json,
            CommandKind::Service | CommandKind::OneShot => LogFormat::Text,
        });
        let lines = match format {
            LogFormat::Text => {
                let has_time = kind == CommandKind::Service;
                People { has_time, is_verbose: self.verbose, write_line: terminal::say }.boxed()
            }
            LogFormat::Json => {
                fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(io::stderr).boxed()
            }
        };
        let chosen = std::env::var("RUST_LOG").ok().filter(|chosen| !chosen.is_empty());
        let parsed = chosen.as_deref().map(str::parse::<Targets>).transpose();
        let wanted = match &parsed {
            Ok(Some(chosen)) => chosen.clone(),
            _ => self.wanted(format, kind),
        };
        tracing_subscriber::registry()
            .with(lines.with_filter(RedactingFilter::default()))
            .with(wanted)
            .init();
        if let Err(error) = parsed {
            tracing::warn!("RUST_LOG is ignored: {error}; write it as info,worker=debug");
        }
        format
    }

    /// The filter if `RUST_LOG` is not set.
    fn wanted(&self, format: LogFormat, kind: CommandKind) -> Targets {
        let all = |level: Level| Targets::new().with_default(level);
        match (format, kind, self.verbose) {
            (LogFormat::Text, CommandKind::OneShot, false) => {
                all(Level::WARN).with_target(NOTICE, Level::INFO)
            }
            (LogFormat::Text, CommandKind::OneShot, true) | (LogFormat::Json, _, false) => all(Level::INFO),
            (LogFormat::Text, CommandKind::Service, false) => all(Level::INFO).with_target(STEP, Level::WARN),
            (LogFormat::Text, CommandKind::Service, true) | (LogFormat::Json, _, true) => all(Level::DEBUG),
        }
    }
}

/// Suppresses log lines that may have secrets, and repeated warnings of the SDK about a profile file, which it logs each
/// time that it reads the file.
#[derive(Debug, Default)]
struct RedactingFilter {
    logged: Mutex<HashSet<String>>,
}

impl<S> Filter<S> for RedactingFilter {
    fn enabled(&self, line: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        is_safe(line)
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let is_of_a_file = event.metadata().target().starts_with("aws_runtime::env_config");
        // The debug form has all fields.
        let is_new =
            || self.logged.lock().unwrap_or_else(PoisonError::into_inner).insert(format!("{event:?}"));
        !is_of_a_file || is_new()
    }
}

/// Below `warn`, libraries that handle credentials may log access key ids, and whole requests with the session token in a
/// header. Warnings of `aws_config` repeat the error that follows. `RUST_LOG` can't enable these lines.
fn is_safe(line: &Metadata<'_>) -> bool {
    const SENSITIVE_TARGETS: [(&str, Level); 7] = [
        ("aws_config", Level::ERROR),
        ("aws_", Level::WARN),
        ("hyper", Level::WARN),
        ("h2", Level::WARN),
        ("rustls", Level::WARN),
        ("tower", Level::WARN),
        ("http", Level::WARN),
    ];
    let target = SENSITIVE_TARGETS.iter().find(|(prefix, _)| line.target().starts_with(prefix));
    target.is_none_or(|(_, max)| line.level() <= max)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn warnings_about_a_profile_file_are_logged_once() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let to = lines.clone();
        let write_line = move |line: &str| to.lock().expect("not poisoned").push(line.to_owned());
        let people =
            People { has_time: false, is_verbose: false, write_line }.with_filter(RedactingFilter::default());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(people), || {
            for path in ["/no/such", "/no/such", "/no/other", "/no/such"] {
                tracing::warn!(target: "aws_runtime::env_config::source", path, "not found");
                tracing::warn!(path, "ours");
            }
        });
        let lines = lines.lock().expect("not poisoned");
        let count = |path: &str, message: &str| {
            lines.iter().filter(|line| line.contains(path) && line.contains(message)).count()
        };
        assert_eq!([count("/no/such", "not found"), count("/no/other", "not found")], [1, 1], "{lines:?}");
        assert_eq!(count("/no", "ours"), 4, "{lines:?}");
    }
}
