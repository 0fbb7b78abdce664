//! Logs: text where a person reads them, JSON where a machine does, always on standard error.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

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
            .with_ansi(io::stderr().is_terminal())
            .boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(io::stderr).boxed(),
    };
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::registry().with(lines.with_filter(filter_fn(discreet))).with(wanted).init();
}

/// Below `warn`, the libraries that carry credentials may print access key ids, and requests whole, with
/// the session token in a header. No setting of `RUST_LOG` brings that out.
fn discreet(line: &Metadata<'_>) -> bool {
    const CARRIERS: [&str; 6] = ["aws_", "hyper", "h2", "rustls", "tower", "http"];
    let carrier = CARRIERS.iter().any(|prefix| line.target().starts_with(prefix));
    !carrier || *line.level() <= Level::WARN
}
