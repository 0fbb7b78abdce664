// SPDX-License-Identifier: Apache-2.0
//! What the terminal can show. There is one decision about colour and width for logs, tables, progress and the demo,
//! and clap makes the same one for its own messages.
//!
//! What is written through [`output::print`](crate::output::print) may hold styles: they are left out if colour is not
//! wanted on standard output.

use std::{
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

use anstream::{AutoStream, ColorChoice, stream::RawStream};
use clap::builder::styling::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

/// What is as it should be.
pub const GOOD: Style = AnsiColor::Green.on_default();

/// What may still become good, or is good in part.
pub const OPEN: Style = AnsiColor::Yellow.on_default();

/// A state that needs action.
pub const BAD: Style = AnsiColor::Red.on_default().bold();

/// What is to be noticed.
pub const STRONG: Style = Style::new().bold();

/// What matters less.
pub const FAINT: Style = Style::new().dimmed();

/// What a person types.
pub const TYPED: Style = AnsiColor::Cyan.on_default();

/// How wide text is at most, whatever the terminal's width: longer lines are hard to read.
const WIDEST: usize = 100;

/// The bar that is shown, if any.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Whether colour is wanted on a stream, by `NO_COLOR`, `CLICOLOR_FORCE`, `CLICOLOR`, `TERM`, and whether it is a
/// terminal, in this order.
pub fn is_coloured(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// A text in a style.
#[must_use]
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// How many letters a line of text on standard output has at most: those of the terminal, else `COLUMNS`, but not
/// more than are read with ease.
#[must_use]
pub fn width() -> usize {
    let terminal = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0);
    terminal.or_else(columns).unwrap_or(WIDEST).min(WIDEST)
}

/// A progress bar on standard error. Without a terminal that can move its cursor it is hidden.
///
/// # Panics
/// If the template is not one of indicatif.
#[must_use]
pub fn bar(template: &str, length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("cannot fail: the template is a constant");
    let bar = ProgressBar::new(length.try_into().unwrap_or(u64::MAX)).with_style(style.progress_chars("=> "));
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
    bar
}

/// Writes a line to standard error, above the bar that is shown there.
pub fn say(line: &str) {
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // A line that can't be written can't be reported either.
    let write = || drop(writeln!(anstream::stderr().lock(), "{line}"));
    match bar.filter(|bar| !bar.is_finished()) {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}
