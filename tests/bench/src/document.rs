// SPDX-License-Identifier: Apache-2.0
//! The figures in the documents, made of the JSON that is kept beside this crate: between two marks all of them in
//! FIGURES.md and their sum in the README, and a drawing. A test holds them together.

use std::{fs, path::Path};

use anyhow::{Context, ensure};
use cli::destination::Destination;

use crate::{
    floor,
    outcome::{Bar, Outcome},
    plot, table,
};

const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/figures.json");
const DRAWING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/figures.svg");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/FIGURES.md");
const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");

const BEGIN: &str =
    "<!-- figures: `just figures` measures them, `just bench document` writes all up to their end -->\n";
const END: &str = "<!-- end of figures -->\n";

const IMAGE: &str = "![Bars: one account's seconds, CPU and memory beside two Python programs](figures.svg)";

/// How many letters a line of prose has at most, where its words allow.
const WIDTH: usize = 115;

/// Writes the documents and the drawing, and gives the bars of the figures.
pub(crate) fn write() -> anyhow::Result<Vec<Bar>> {
    let outcomes = figures()?;
    let files = [
        (PAGE, renewed(PAGE, &section(&outcomes))?),
        (README, renewed(README, &sum(&outcomes))?),
        (DRAWING, plot::svg(&outcomes)),
    ];
    // All of them can be written, or none is.
    let files = files.map(|(path, text)| anyhow::Ok((Destination::open(Path::new(path))?, text)));
    for (to, text) in files.into_iter().collect::<anyhow::Result<Vec<_>>>()? {
        to.write(text.as_bytes())?;
    }
    Ok(outcomes.into_iter().flat_map(|outcome| outcome.bars).collect())
}

/// A document as it is, but for what is between its marks.
fn renewed(path: &str, section: &str) -> anyhow::Result<String> {
    let old = fs::read_to_string(path).with_context(|| format!("could not read {path}"))?;
    with(&old, section).with_context(|| format!("{path} has not both marks"))
}

fn figures() -> anyhow::Result<Vec<Outcome>> {
    let outcomes = Outcome::read(Path::new(FIGURES))?;
    for Outcome { scenario, short, made, .. } in &outcomes {
        ensure!(
            !short && made.is_some(),
            "{scenario} in {FIGURES} is a short form, or does not say on what it was made"
        );
    }
    Ok(outcomes)
}

fn sum(outcomes: &[Outcome]) -> String {
    let lead = table::lead(outcomes).map(|lead| format!("{}\n\n", wrapped("", &lead))).unwrap_or_default();
    let hour = table::hour(outcomes).map(|table| format!("{table}\n")).unwrap_or_default();
    format!("\n{lead}{hour}")
}

fn section(outcomes: &[Outcome]) -> String {
    let sum = sum(outcomes);
    let (floor, table) = (wrapped("", &floor::definition()), table::markdown(outcomes));
    let notes: String = table::notes(outcomes).iter().map(|note| wrapped("- ", note) + "\n").collect();
    format!("{sum}{floor}\n\n{IMAGE}\n\n{table}\n{notes}\n")
}

/// Prose in lines, the first of which begins with a mark, and the others below what comes after it.
fn wrapped(mark: &str, prose: &str) -> String {
    let below = " ".repeat(mark.chars().count());
    // A word that is longer than a line stays whole.
    let options = textwrap::Options::new(WIDTH)
        .initial_indent(mark)
        .subsequent_indent(&below)
        .break_words(false)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .word_separator(textwrap::WordSeparator::AsciiSpace);
    textwrap::fill(&prose.split_whitespace().collect::<Vec<_>>().join(" "), options)
}

/// A document with another section between the marks; `None` if it has not both.
fn with(document: &str, section: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{section}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_say_what_was_measured() {
        let outcomes = figures().expect("figures");
        let files = [
            (PAGE, renewed(PAGE, &section(&outcomes)).expect("both marks")),
            (README, renewed(README, &sum(&outcomes)).expect("both marks")),
            (DRAWING, plot::svg(&outcomes)),
        ];
        for (path, text) in files {
            let written = fs::read_to_string(path).expect("a file");
            assert!(written == text, "`just bench document` writes {path} anew");
        }
    }

    #[test]
    fn prose_is_wrapped_below_its_mark() {
        let word = "×".repeat(WIDTH - 6);
        assert_eq!(wrapped("- ", &format!("{word} two three")), format!("- {word} two\n  three"));
        assert_eq!(wrapped("", &format!("two {word} three")), format!("two {word}\nthree"));
    }

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let document = format!("before\n{BEGIN}old\n{END}after\n");
        assert_eq!(with(&document, "new\n"), Some(format!("before\n{BEGIN}new\n{END}after\n")));
        assert_eq!(with("no marks", "new\n"), None);
    }
}
