//! How the story looks: on a terminal with some weight and colour and a bar at the bottom, elsewhere
//! as plain lines.

use std::time::Duration;

use fleet::{
    output,
    terminal::{self, FAINT, STRONG, TYPED, paint},
};
use indicatif::ProgressBar;

/// How wide the lines are that programs print, before they are cut; some of them are sentences.
const WIDTH: usize = 106;

/// Where the story is told: standard output, with the bar on standard error.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    step: usize,
    bar: Option<ProgressBar>,
}

impl Screen {
    /// Begins the next step.
    pub(crate) fn step(&mut self, title: &str) -> anyhow::Result<()> {
        self.step += 1;
        let line = format!("{}  {title}", self.step);
        output::print(&format!("\n{}", paint(STRONG, &line)))
    }

    /// Explains something. A word between two asterisks is one to remember.
    pub(crate) fn explain(&self, text: &str) -> anyhow::Result<()> {
        let mut shown = String::new();
        for (at, part) in text.split('*').enumerate() {
            if at % 2 == 1 {
                shown.push_str(&paint(STRONG, part));
            } else {
                shown.push_str(part);
            }
        }
        self.indented(&shown)
    }

    /// Shows what a person would type.
    pub(crate) fn command(&self, command: &str) -> anyhow::Result<()> {
        let typed = format!("$ {command}");
        output::print(&format!("   {}", paint(TYPED, &typed)))
    }

    /// Shows what a program printed, its longest lines cut.
    pub(crate) fn printed(&self, text: &str) -> anyhow::Result<()> {
        self.indented(&text.lines().map(cut).collect::<Vec<_>>().join("\n"))
    }

    /// Shows a text, or a table.
    pub(crate) fn indented(&self, text: &str) -> anyhow::Result<()> {
        let lines: Vec<String> =
            text.trim_end().lines().map(|line| format!("   {line}").trim_end().to_owned()).collect();
        let text = lines.join("\n");
        match &self.bar {
            // The bar must not be drawn into the text.
            Some(bar) => bar.suspend(|| output::print(&text)),
            None => output::print(&text),
        }
    }

    /// A line that matters less.
    pub(crate) fn aside(&self, text: &str) -> anyhow::Result<()> {
        self.indented(&paint(FAINT, text))
    }

    /// An empty line.
    #[expect(clippy::unused_self, reason = "what is shown goes by the screen")]
    pub(crate) fn gap(&self) -> anyhow::Result<()> {
        output::print("")
    }

    /// Shows a bar over so many things, where there is a terminal for it.
    pub(crate) fn begin_bar(&mut self, what: &'static str, length: usize) {
        let bar = terminal::bar("   {prefix} [{bar:30}] {pos}/{len}  {elapsed}", length).with_prefix(what);
        bar.enable_steady_tick(Duration::from_millis(100));
        self.bar = Some(bar);
    }

    /// One more of them is done.
    pub(crate) fn advance_bar(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Takes the bar away.
    pub(crate) fn end_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(WIDTH) {
        Some(_) => line.chars().take(WIDTH - 1).chain(['…']).collect(),
        None => line.to_owned(),
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.end_bar();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_too_long_is_cut() {
        let fits = "é".repeat(WIDTH);
        assert_eq!(cut(&fits), fits);
        let shown = cut(&format!("{fits}e"));
        assert_eq!(shown.chars().count(), WIDTH);
        assert!(shown.ends_with("é…"), "{shown}");
    }
}
