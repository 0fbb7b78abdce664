//! The figures in the README: a section between two marks, and a drawing, both made of the JSON that is kept
//! beside this crate. A test holds them together.

use std::{fs, path::Path};

use anyhow::{Context, ensure};
use fleet::destination::Destination;

use crate::{
    floor,
    outcome::{Bar, Outcome},
    plot, table,
};

const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/figures.json");
const DRAWING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/figures.svg");
const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");

const BEGIN: &str =
    "<!-- figures: `just figures` measures them, `just bench readme` writes all up to their end -->\n";
const END: &str = "<!-- end of figures -->\n";

const IMAGE: &str = "![Bars: seconds, CPU and memory beside two Python programs; one account's seconds beside their floor; \
    accounts a second of 1 to 8 workers; memory by size](tests/bench/figures.svg)";

/// How many letters a line of prose has at most, where its words allow.
const WIDTH: usize = 115;

/// Writes both, and gives the bars of the figures.
pub(crate) fn write() -> anyhow::Result<Vec<Bar>> {
    let outcomes = figures()?;
    let old = fs::read_to_string(README).with_context(|| format!("could not read {README}"))?;
    let readme = with(&old, &section(&outcomes)).with_context(|| format!("{README} has not both marks"))?;
    let [to_readme, to_drawing] = [README, DRAWING].map(|path| Destination::open(Path::new(path)));
    let (to_readme, to_drawing) = (to_readme?, to_drawing?);
    to_readme.write(readme.as_bytes())?;
    to_drawing.write(plot::svg(&outcomes).as_bytes())?;
    Ok(outcomes.into_iter().flat_map(|outcome| outcome.bars).collect())
}

/// The figures, which must be measurements.
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

fn section(outcomes: &[Outcome]) -> String {
    let lead = table::lead(outcomes).map(|lead| format!("{}\n\n", wrapped("", &lead))).unwrap_or_default();
    let (floor, table) = (wrapped("", &floor::definition()), table::markdown(outcomes));
    let notes: String = table::notes(outcomes).iter().map(|note| wrapped("- ", note) + "\n").collect();
    format!("\n{lead}{floor}\n\n{IMAGE}\n\n{table}\n{notes}\n")
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

/// A README with another section between the marks; none where it has not both.
fn with(readme: &str, section: &str) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{section}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_says_what_was_measured() {
        let outcomes = figures().expect("figures");
        let readme = fs::read_to_string(README).expect("a README");
        let drawing = fs::read_to_string(DRAWING).expect("a drawing");
        let is_same = with(&readme, &section(&outcomes)).expect("both marks") == readme;
        assert!(is_same && plot::svg(&outcomes) == drawing, "`just bench readme` writes them anew");
    }

    #[test]
    fn prose_is_wrapped_below_its_mark() {
        let word = "×".repeat(WIDTH - 6);
        assert_eq!(wrapped("- ", &format!("{word} two three")), format!("- {word} two\n  three"));
        assert_eq!(wrapped("", &format!("two {word} three")), format!("two {word}\nthree"));
    }

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let readme = format!("before\n{BEGIN}old\n{END}after\n");
        assert_eq!(with(&readme, "new\n"), Some(format!("before\n{BEGIN}new\n{END}after\n")));
        assert_eq!(with("no marks", "new\n"), None);
    }
}
