//! The figures in the README: a section between two marks, and a drawing, both made of the JSON that is kept
//! beside this crate. A test holds them together.

use std::{fs, path::Path};

use anyhow::{Context, ensure};

use crate::{
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

/// Writes both, and gives the bars of the figures.
pub(crate) fn write() -> anyhow::Result<Vec<Bar>> {
    let outcomes = figures()?;
    let old = fs::read_to_string(README).with_context(|| format!("could not read {README}"))?;
    let readme = with(&old, &section(&outcomes)).with_context(|| format!("{README} has not both marks"))?;
    fs::write(README, readme).with_context(|| format!("could not write {README}"))?;
    fs::write(DRAWING, plot::svg(&outcomes)).with_context(|| format!("could not write {DRAWING}"))?;
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
    let lead = table::lead(outcomes).map(|lead| format!("{lead}\n\n")).unwrap_or_default();
    let (table, notes) = (table::markdown(outcomes), table::notes(outcomes).join("\n- "));
    format!("\n{lead}{IMAGE}\n\n{table}\n- {notes}\n\n")
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
    fn only_what_is_between_the_marks_is_replaced() {
        let readme = format!("before\n{BEGIN}old\n{END}after\n");
        assert_eq!(with(&readme, "new\n"), Some(format!("before\n{BEGIN}new\n{END}after\n")));
        assert_eq!(with("no marks", "new\n"), None);
    }
}
