//! How the story looks: on a terminal with some weight and colour and a bar at the bottom, elsewhere
//! as plain lines.

use std::time::Duration;

use cli::{
    output,
    terminal::{self, FAINT, STRONG, TYPED, paint},
};
use indicatif::ProgressBar;

/// What every line but a step's title begins with.
const INDENT: &str = "   ";

/// How many letters a line has after its indent.
pub(crate) fn width() -> usize {
    terminal::width().saturating_sub(INDENT.len()).max(20)
}

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
        for (at, part) in text.replace('\n', " ").split('*').enumerate() {
            if at % 2 == 1 {
                shown.push_str(&paint(STRONG, part));
            } else {
                shown.push_str(part);
            }
        }
        self.indented(&wrapped(&shown, width(), "").join("\n"))
    }

    /// Shows what a person would type.
    pub(crate) fn command(&self, command: &str) -> anyhow::Result<()> {
        let lines = wrapped(&format!("$ {command}"), width().saturating_sub(2), "    ").join(" \\\n");
        let typed: Vec<String> = lines.lines().map(|line| paint(TYPED, line)).collect();
        self.indented(&typed.join("\n"))
    }

    /// Shows what a program printed, its longest lines broken between words.
    pub(crate) fn printed(&self, text: &str) -> anyhow::Result<()> {
        let lines = text.lines().flat_map(|line| {
            let begins_at = line.len() - line.trim_start().len();
            wrapped(line, width(), &" ".repeat(begins_at + 2))
        });
        self.indented(&lines.collect::<Vec<_>>().join("\n"))
    }

    /// Shows a text, or a table.
    pub(crate) fn indented(&self, text: &str) -> anyhow::Result<()> {
        let lines: Vec<String> =
            text.trim_end().lines().map(|line| format!("{INDENT}{line}").trim_end().to_owned()).collect();
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

/// A line in lines of a width, of which the later ones are indented. What is longer than a line, such as a path, stays
/// whole: it is there to be copied.
fn wrapped(line: &str, width: usize, indent: &str) -> Vec<String> {
    let options = textwrap::Options::new(width)
        .subsequent_indent(indent)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
    textwrap::wrap(line, options).into_iter().map(|line| line.trim_end().to_owned()).collect()
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
    fn lines_are_broken_between_words_alone() {
        let path = format!("/{}", "x".repeat(40));
        let shown = wrapped(&format!("  one two {} {path} end", paint(STRONG, "three")), 16, "    ");
        assert_eq!(
            shown,
            [
                "  one two three".replace("three", &paint(STRONG, "three")),
                format!("    {path}"),
                "    end".into()
            ]
        );
        assert_eq!(wrapped("", 16, "    "), [""]);
    }
}
