// SPDX-License-Identifier: Apache-2.0
//! `docs/datasets.md` has every dataset as its file has it. With `UPDATE_DOCS=1` this writes it.

use std::{env, fmt::Write, fs};

use anyhow::{Context, Result};
use fleet::{
    Dataset,
    datasets::{self, Cell, Regions, Shape},
};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/datasets.md");
const BEGIN: &str = "<!-- datasets: made from the files of datasets/ by `just datasets` -->";
const END: &str = "<!-- end of datasets -->";

#[test]
fn the_document_has_every_dataset() -> Result<()> {
    let document = fs::read_to_string(DOCUMENT)?;
    let (before, rest) = document.split_once(BEGIN).context("where the datasets begin")?;
    let (_, after) = rest.split_once(END).context("where the datasets end")?;
    let wanted = format!("{before}{BEGIN}\n\n{}\n{END}{after}", tables()?);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(DOCUMENT, wanted)?;
    } else {
        assert!(document == wanted, "docs/datasets.md is not up to date; `just datasets` writes it anew");
    }
    Ok(())
}

/// A line for each dataset, by group, and then the columns of each.
fn tables() -> Result<String> {
    let mut datasets: Vec<&Dataset> = datasets::all().collect();
    datasets.sort_by_key(|dataset| (&dataset.group, dataset.name));
    let mut text =
        String::from("| group | dataset | what | period | settle |\n| --- | --- | --- | --- | --- |\n");
    for dataset in &datasets {
        let Dataset { name, group, title, .. } = dataset;
        let period = duration(dataset.period.seconds().into());
        let settle = duration(dataset.settle_time().num_seconds());
        writeln!(text, "| `{group}` | [`{name}`](#{name}) | {title} | {period} | {settle} |")?;
    }
    for dataset in datasets {
        let resource: Vec<String> =
            dataset.resource.iter().map(|dimension| format!("`{dimension}`")).collect();
        let resource =
            if resource.is_empty() { "the account in a region".to_owned() } else { resource.join(", ") };
        let regions = match &dataset.regions {
            Regions::Named(regions) => format!(" Only in {}.", regions.join(", ")),
            Regions::OfResources | Regions::Configured | Regions::Enabled => String::new(),
        };
        let is_shown = |cell: Cell| dataset.shape == Shape::NewestDay || cell == Cell::Value;
        let columns: Vec<String> = dataset
            .columns
            .iter()
            .filter(|column| is_shown(column.cell))
            .map(|column| format!("`{}`", column.name))
            .collect();
        let what = if dataset.shape == Shape::NewestDay { "All columns" } else { "Measured columns" };
        write!(
            text,
            "\n### {}\n\n{}. A resource is {resource} of `{}`.{regions}\n\n{what}: {}\n",
            dataset.name,
            dataset.title,
            dataset.namespace,
            columns.join(", ")
        )?;
    }
    Ok(text)
}

/// As the file has it, in the longest unit that leaves no rest.
fn duration(seconds: i64) -> String {
    let units = [(3_600, "h"), (60, "m"), (1, "s")];
    let is_day = seconds == 86_400;
    let unit = units.into_iter().find(|(length, _)| seconds % length == 0);
    match unit {
        _ if is_day => "1d".to_owned(),
        Some((length, unit)) => format!("{}{unit}", seconds / length),
        None => format!("{seconds}s"),
    }
}
