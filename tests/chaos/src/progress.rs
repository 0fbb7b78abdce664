//! How far it is, on standard error: a bar on a terminal, elsewhere a line now and then.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use cli::terminal;
use indicatif::ProgressBar;

/// How often a line is written where there is no terminal.
const PAUSE: Duration = Duration::from_secs(15);

/// A bar over the kills.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    begun: Instant,
    told_at: Cell<Instant>,
}

impl Progress {
    pub(crate) fn begin() -> Self {
        let bar = terminal::bar("kills [{bar:30}] {pos}/{len}  {elapsed}  {msg}", 0);
        let now = Instant::now();
        Self { bar, begun: now, told_at: Cell::new(now) }
    }

    /// Shows how many were killed, of how many, and how many rounds were sent.
    pub(crate) fn show(&self, kills: usize, due: usize, rounds: usize) {
        self.bar.set_length(due as u64);
        self.bar.set_position(kills as u64);
        self.bar.set_message(format!("{rounds} rounds"));
        if self.bar.is_hidden() && self.told_at.get().elapsed() > PAUSE {
            self.told_at.set(Instant::now());
            let elapsed = self.begun.elapsed().as_secs();
            tell(&format!("{kills} of {due} kills, {rounds} rounds, {elapsed} s"));
        }
    }
}

impl Drop for Progress {
    /// Leaves the terminal to what comes next.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Writes a line to standard error.
#[expect(clippy::print_stderr, reason = "what is no figure goes to standard error")]
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
}
