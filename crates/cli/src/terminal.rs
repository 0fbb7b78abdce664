// SPDX-License-Identifier: Apache-2.0
//! Colours, width and progress bars of the terminal. Logs, tables, progress and the demo use the same settings, and clap
//! makes the same choice for its own messages.
//!
//! [`output::print`](crate::output::print) removes styles if colour is not enabled on standard output.

use std::{
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

use anstream::{AutoStream, ColorChoice, stream::RawStream};
use clap::builder::styling::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

/// A state that needs no action.
pub const GOOD: Style = AnsiColor::Green.on_default();

/// A state that may still become good, or is partly good.
pub const OPEN: Style = AnsiColor::Yellow.on_default();

/// A state that needs action.
pub const BAD: Style = AnsiColor::Red.on_default().bold();

/// Important text.
pub const STRONG: Style = Style::new().bold();

/// Less important text.
pub const FAINT: Style = Style::new().dimmed();

/// Text that the user types.
pub const TYPED: Style = AnsiColor::Cyan.on_default();

/// The maximum width of text on wide terminals: longer lines are hard to read.
const WIDEST: usize = 100;

/// The current progress bar.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Whether colour is enabled on a stream, by `NO_COLOR`, `CLICOLOR_FORCE`, `CLICOLOR`, `TERM`, and whether it is a terminal,
/// in this order.
pub fn is_coloured(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// A text in a style.
#[must_use]
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// The maximum width of text on standard output: that of the terminal or of `COLUMNS`, limited for readability.
#[must_use]
pub fn width() -> usize {
    let terminal = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0);
    terminal.or_else(columns).unwrap_or(WIDEST).min(WIDEST)
}

/// A progress bar on standard error, hidden unless that is a capable terminal.
///
/// # Panics
///
/// If the template is invalid.
#[must_use]
pub fn bar(template: &str, length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("cannot fail: the template is a constant");
    let bar = ProgressBar::new(length.try_into().unwrap_or(u64::MAX)).with_style(style.progress_chars("=> "));
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
    bar
}

/// Writes a line to standard error, above the current progress bar.
pub fn say(line: &str) {
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // A line that can't be written can't be reported either.
    let write = || drop(writeln!(anstream::stderr().lock(), "{line}"));
    match bar.filter(|bar| !bar.is_finished()) {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}
