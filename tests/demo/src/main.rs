//! The whole fleet on one machine, with no AWS account: an AWS on 127.0.0.1, the real producer and
//! the real workers on it, and a word of explanation where a new word comes up.
//!
//! [`cli`] reads the flags. [`cast`] is who plays, [`world`] the AWS that they lie in. [`program`]
//! runs the producer and the workers as processes of their own, [`workforce`] listens to the workers
//! with the ears of [`worker_log`], [`fetched`] takes their reports out of the bucket and reads them
//! with the eyes of [`csv_report`]. [`story`] tells it all in order, in [`words`] and [`tables`] on a
//! [`screen`].
//!
//! `cast`, `worker_log`, `csv_report` and `tables` are plain functions over values.

mod cast;
mod cli;
mod csv_report;
mod fetched;
mod program;
mod screen;
mod story;
mod tables;
mod words;
mod worker_log;
mod workforce;
mod world;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// What a shell takes for the end of a program by Ctrl-C.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    // First of all: this very binary is also the producer and the workers that it starts.
    if let Some(ended) = program::play_part() {
        return ended;
    }
    let cli = cli::Cli::parse();
    match run(&cli) {
        Ok(ended) => ended,
        Err(error) => {
            complain(&format!("demo: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(cli: &cli::Cli) -> anyhow::Result<ExitCode> {
    let cannot_listen = "could not listen for signals";
    let mut interrupt = signal(SignalKind::interrupt()).context(cannot_listen)?;
    let mut terminate = signal(SignalKind::terminate()).context(cannot_listen)?;
    // Dropping the story kills its processes and stops its AWS.
    tokio::select! {
        told = story::tell(cli) => told.map(|()| ExitCode::SUCCESS),
        _ = interrupt.recv() => Ok(ExitCode::from(INTERRUPTED)),
        _ = terminate.recv() => Ok(ExitCode::FAILURE),
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a program that failed")]
fn complain(text: &str) {
    eprintln!("{text}");
}
