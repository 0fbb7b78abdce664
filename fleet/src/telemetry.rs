//! Logs: text where a person reads them, JSON where a machine does, always on standard error.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{LevelFilter, filter_fn},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::terminal;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line each.
    Text,
    /// One JSON object each.
    Json,
}

/// Starts logging. Without a format it is text on a terminal and JSON elsewhere; `RUST_LOG`
/// chooses what is logged, which is `info` where it is not set.
///
/// # Panics
/// When called twice in a process.
pub fn init(format: Option<LogFormat>) {
    let text_here = if io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json };
    let lines = match format.unwrap_or(text_here) {
        LogFormat::Text => fmt::layer()
            .with_writer(io::stderr)
            .with_target(false)
            .with_ansi(terminal::is_coloured(&io::stderr()))
            .boxed(),
        LogFormat::Json => {
            fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(io::stderr).boxed()
        }
    };
    // What can't be read in `RUST_LOG` is told on standard error, and left out.
    let wanted = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    tracing_subscriber::registry().with(lines.with_filter(filter_fn(discreet))).with(wanted).init();
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
