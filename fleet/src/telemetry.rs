//! What the programs say on standard error: lines for people, or JSON for what collects logs.

mod people;

use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum, builder::BoolishValueParser};
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt,
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
    /// One JSON object each.
    Json,
}

/// How a command's last words are said.
#[derive(Debug, Clone, Copy)]
pub struct LastWords {
    /// Whether a failure is a line for people.
    pub(crate) failure_is_plain: bool,
    /// Whether it is one that the command line or the configuration is wrong, which is for who just started it.
    pub(crate) usage_is_plain: bool,
}

impl LastWords {
    /// For people, whatever there is to say.
    pub const PLAIN: Self = Self { failure_is_plain: true, usage_is_plain: true };
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
    /// How log lines are written to standard error [default: text; json for `worker run` without a terminal].
    #[arg(long, global = true, env = "FLEET_LOG_FORMAT", value_name = "FORMAT", display_order = 100)]
    log_format: Option<LogFormat>,

    /// Say more: the configuration in force, and each step.
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
    /// Starts logging, and gives how the last words are said. `RUST_LOG` chooses what is logged, if it is set.
    ///
    /// # Panics
    /// When called twice in a process.
    pub fn start(&self, speaker: Speaker) -> LastWords {
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
        let wanted = match std::env::var(EnvFilter::DEFAULT_ENV) {
            // What can't be read in it is told on standard error, and left out.
            Ok(wanted) if !wanted.is_empty() => EnvFilter::builder().parse_lossy(wanted),
            _ => EnvFilter::new(self.wanted(format, speaker)),
        };
        tracing_subscriber::registry().with(lines.with_filter(filter_fn(discreet))).with(wanted).init();
        LastWords {
            failure_is_plain: format == LogFormat::Text,
            usage_is_plain: self.log_format != Some(LogFormat::Json),
        }
    }

    /// What is logged without `RUST_LOG`.
    fn wanted(&self, format: LogFormat, speaker: Speaker) -> &'static str {
        match (format, speaker, self.verbose) {
            (LogFormat::Text, Speaker::OneShot, false) => "warn,notice=info",
            (LogFormat::Text, Speaker::OneShot, true) | (LogFormat::Json, _, false) => "info",
            (LogFormat::Text, Speaker::Service, false) => "info,step=warn",
            (LogFormat::Text, Speaker::Service, true) | (LogFormat::Json, _, true) => "debug",
        }
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
