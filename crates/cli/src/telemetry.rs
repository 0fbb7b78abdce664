// SPDX-License-Identifier: Apache-2.0
//! What the programs say on standard error: lines for people, or JSON for what collects logs.

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

/// The target of what a person is told even by a command that otherwise says only what is wrong.
pub const NOTICE: &str = "notice";

/// The target of the steps of a job, of which a person who watches many jobs wants to see nothing.
pub const STEP: &str = "step";

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What kind of command says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// Does one thing and ends: what it says is for who started it.
    OneShot,
    /// Works until it is told to stop: what it says is watched on a terminal, and collected elsewhere.
    Service,
}

/// How the programs say what they do.
#[derive(Debug, Args)]
pub struct Logging {
    /// How the log is written [default: text; json for `worker run` without a terminal].
    #[arg(long, global = true, env = "FLEET_LOG_FORMAT", value_name = "FORMAT", display_order = 100)]
    log_format: Option<LogFormat>,

    /// Log more: the configuration in force, and each step.
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
    /// Starts logging, and gives its format, in which a failure is reported too. `RUST_LOG` chooses what is logged, if it is set.
    ///
    /// # Panics
    /// When called twice in a process.
    pub fn start(&self, speaker: Speaker) -> LogFormat {
        let format = self.log_format.unwrap_or_else(|| match speaker {
            Speaker::Service if !io::stderr().is_terminal() => LogFormat::Json,
            Speaker::Service | Speaker::OneShot => LogFormat::Text,
        });
        let lines = match format {
            LogFormat::Text => {
                let has_time = speaker == Speaker::Service;
                People { has_time, is_verbose: self.verbose, say: terminal::say }.boxed()
            }
            LogFormat::Json => {
                fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(io::stderr).boxed()
            }
        };
        let chosen = std::env::var("RUST_LOG").ok().filter(|chosen| !chosen.is_empty());
        let parsed = chosen.as_deref().map(str::parse::<Targets>).transpose();
        let wanted = match &parsed {
            Ok(Some(chosen)) => chosen.clone(),
            _ => self.wanted(format, speaker),
        };
        tracing_subscriber::registry().with(lines.with_filter(Discreet::default())).with(wanted).init();
        if let Err(error) = parsed {
            tracing::warn!("RUST_LOG is ignored: {error}; write it as info,worker=debug");
        }
        format
    }

    /// What is logged without `RUST_LOG`.
    fn wanted(&self, format: LogFormat, speaker: Speaker) -> Targets {
        let all = |level: Level| Targets::new().with_default(level);
        match (format, speaker, self.verbose) {
            (LogFormat::Text, Speaker::OneShot, false) => all(Level::WARN).with_target(NOTICE, Level::INFO),
            (LogFormat::Text, Speaker::OneShot, true) | (LogFormat::Json, _, false) => all(Level::INFO),
            (LogFormat::Text, Speaker::Service, false) => all(Level::INFO).with_target(STEP, Level::WARN),
            (LogFormat::Text, Speaker::Service, true) | (LogFormat::Json, _, true) => all(Level::DEBUG),
        }
    }
}

/// Lets no secret out, and says once what the SDK finds wrong with a file of profiles: it says so each time that it
/// reads the file.
#[derive(Debug, Default)]
struct Discreet {
    said: Mutex<HashSet<String>>,
}

impl<S> Filter<S> for Discreet {
    fn enabled(&self, line: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        discreet(line)
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let is_of_a_file = event.metadata().target().starts_with("aws_runtime::env_config");
        // Its debug form has all that it says.
        let is_new = || self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(format!("{event:?}"));
        !is_of_a_file || is_new()
    }
}

/// Below `warn`, the libraries that carry credentials may print access key ids, and requests whole, with
/// the session token in a header; what `aws_config` warns of, the error that follows says in a line. No
/// setting of `RUST_LOG` brings that out.
fn discreet(line: &Metadata<'_>) -> bool {
    const CARRIERS: [(&str, Level); 7] = [
        ("aws_config", Level::ERROR),
        ("aws_", Level::WARN),
        ("hyper", Level::WARN),
        ("h2", Level::WARN),
        ("rustls", Level::WARN),
        ("tower", Level::WARN),
        ("http", Level::WARN),
    ];
    let carrier = CARRIERS.iter().find(|(prefix, _)| line.target().starts_with(prefix));
    carrier.is_none_or(|(_, most)| line.level() <= most)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_of_profiles_is_said_once() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let to = lines.clone();
        let say = move |line: &str| to.lock().expect("not poisoned").push(line.to_owned());
        let people = People { has_time: false, is_verbose: false, say }.with_filter(Discreet::default());
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
