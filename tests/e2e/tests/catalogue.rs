// SPDX-License-Identifier: Apache-2.0
//! `docs/datasets.md` and the pages of `docs/datasets/` have every dataset as its file has it. With `UPDATE_DOCS=1` this
//! writes them.

use std::{collections::BTreeMap, env, fmt::Write, fs, path::PathBuf};

use anyhow::{Context, Result};
use fleet::{
    Dataset,
    datasets::{self, Cell, DOLLARS_PER_METRIC, Derived, Formula, Metric, Missing, Regions, Shape, Tags},
};

const BEGIN: &str = "<!-- datasets: made from the files of datasets/ by `just datasets` -->";
const END: &str = "<!-- end of datasets -->";

/// A folder or file of the repository.
fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", name].iter().collect()
}

#[test]
fn the_documents_have_every_dataset() -> Result<()> {
    let index = path("docs/datasets.md");
    let document = fs::read_to_string(&index)?;
    let (before, rest) = document.split_once(BEGIN).context("where the datasets begin")?;
    let (_, after) = rest.split_once(END).context("where the datasets end")?;
    let mut wanted = BTreeMap::from([(index, format!("{before}{BEGIN}\n\n{}\n{END}{after}", list()?))]);
    for dataset in datasets::all() {
        wanted.insert(path("docs/datasets").join(dataset.name).with_extension("md"), page(dataset)?);
    }
    let pages = path("docs/datasets");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(&pages)?;
        for (path, text) in &wanted {
            fs::write(path, text)?;
        }
    }
    for (path, text) in &wanted {
        let found = fs::read_to_string(path).unwrap_or_default();
        assert!(found == *text, "{} is not up to date; `just datasets` writes it anew", path.display());
    }
    for page in fs::read_dir(pages)? {
        let page = page?.path();
        assert!(wanted.contains_key(&page), "{} is of no dataset; delete it", page.display());
    }
    Ok(())
}

/// A line for each dataset, by group.
fn list() -> Result<String> {
    let mut datasets: Vec<&Dataset> = datasets::all().collect();
    datasets.sort_by_key(|dataset| (&dataset.group, dataset.name));
    let mut text =
        String::from("| group | dataset | what | period | settle |\n| --- | --- | --- | --- | --- |\n");
    for dataset in &datasets {
        let Dataset { name, group, title, .. } = dataset;
        let period = duration(dataset.period.seconds().into());
        let settle = duration(dataset.settle_time().num_seconds());
        writeln!(text, "| `{group}` | [`{name}`](datasets/{name}.md) | {title} | {period} | {settle} |")?;
    }
    Ok(text)
}

/// All that there is to say of a dataset.
fn page(dataset: &Dataset) -> Result<String> {
    let file = fs::read_to_string(path("datasets").join(dataset.name).with_extension("toml"))?;
    let (about, sources) = comments(file.lines());
    let mut text = format!("# `{}`: {}\n\n", dataset.name, dataset.title);
    writeln!(text, "<!-- made from datasets/{}.toml by `just datasets` -->\n\n{about}\n", dataset.name)?;
    let resource = match &dataset.resource[..] {
        [] => "the account in a region".to_owned(),
        dimensions => dimensions.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    };
    let regions = match &dataset.regions {
        Regions::Named(regions) => regions.join(", "),
        Regions::OfResources => "those of the resources".to_owned(),
        Regions::Enabled => "all that the account has enabled".to_owned(),
        Regions::Configured => "the configured ones".to_owned(),
    };
    let each = dataset.metrics_per_resource();
    let dollars = |metrics: u32| format!("${:.2}", f64::from(metrics) * 1000.0 * DOLLARS_PER_METRIC);
    let mut price = dollars(each.typical);
    if each.all != each.typical {
        write!(price, "; {} of a day that CloudWatch no longer lists", dollars(each.all))?;
    }
    let joined =
        |actions: Vec<&str>| actions.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
    let facts = [
        ("namespace", format!("`{}`", dataset.namespace)),
        ("a resource is", resource),
        ("regions", regions),
        ("period", duration(dataset.period.seconds().into())),
        ("a report is of", duration(dataset.window.seconds().into())),
        ("values are final after", duration(dataset.settle_time().num_seconds())),
        ("1,000 resources cost", format!("about {price}, however many windows a job has")),
        ("permissions", joined(dataset.permissions().collect())),
        ("tags", dataset.tags.as_ref().map_or_else(String::new, |tags| tags_of(tags, dataset))),
        ("optional", joined(dataset.optional_permissions().collect())),
    ];
    text += "| | |\n| --- | --- |\n";
    for (name, fact) in facts.iter().filter(|(_, fact)| !fact.is_empty()) {
        writeln!(text, "| {name} | {fact} |")?;
    }
    text += "\n## Metrics\n\n| metric | unit | statistics | if CloudWatch has no value |\n| --- | --- | --- | --- |\n";
    for metric in &dataset.metrics {
        let Metric { name, unit, statistics, .. } = metric;
        let missing = match &metric.missing {
            Missing::Empty => "empty".to_owned(),
            Missing::ZeroWith(with) => format!("0 in a period in which `{with}` has one, else empty"),
        };
        let split =
            metric.split.as_ref().map(|split| format!(", by `{}`", split.dimension)).unwrap_or_default();
        let elsewhere = metric.namespace.as_ref();
        let elsewhere = elsewhere.map(|namespace| format!(", in `{namespace}`")).unwrap_or_default();
        writeln!(text, "| `{name}`{split}{elsewhere} | {unit} | {} | {missing} |", statistics.join(", "))?;
    }
    let counters = dataset.metrics.iter().filter(|metric| metric.is_counter);
    let counters: Vec<String> = counters.map(|metric| format!("`{}`", metric.name)).collect();
    if !counters.is_empty() {
        let they = "Counters, whose sum is what is read, so that no CloudWatch sink puts them twice";
        writeln!(text, "\n{they}: {}.", counters.join(", "))?;
    }
    let notes = notes(&file);
    if !notes.is_empty() {
        writeln!(text, "\n{}", notes.join("\n"))?;
    }
    let columns: Vec<String> = dataset.columns.iter().map(|column| format!("`{}`", column.name)).collect();
    writeln!(text, "\n## Columns\n\n{}", columns.join(", "))?;
    let derived = |Derived { name, formula }: &Derived| match formula {
        Formula::Ratio([of, by]) => {
            format!("- `{name}` is `{of}` / `{by}`: empty if one of them is, and where `{by}` is 0.")
        }
        Formula::OfTimeout(of) => {
            format!(
                "- `{name}` is `{of}` / (`timeout_seconds` * 1000): 1 is a timeout. Empty if one of them is."
            )
        }
        Formula::LambdaCost([requests, duration]) => format!(
            "- `{name}` is the list price of `{requests}`, and of `{duration}` by `memory_mb`, `architecture` and region, \
             in US dollars: empty if one of them is, or the price is not known."
        ),
        Formula::Arm64Saving(duration) => format!(
            "- `{name}` is what `{duration}` costs more on x86 than it would on arm64, by `memory_mb` and region: empty \
             unless `architecture` is x86_64."
        ),
    };
    if !dataset.derived.is_empty() {
        let derived: Vec<String> = dataset.derived.iter().map(derived).collect();
        writeln!(text, "\n{}", derived.join("\n"))?;
    }
    let is_measured = |cell: Cell| matches!(cell, Cell::Value | Cell::Measure | Cell::Total(_));
    let measured = dataset.columns.iter().find(|column| is_measured(column.cell)).context("a measure")?;
    let time = if dataset.shape == Shape::Series { "period_start" } else { "report_date" };
    let first = &dataset.columns.first().context("a column")?.name;
    write!(
        text,
        "\n## Try it\n\n    producer run --dry-run --dataset {name} --account-name data\n    producer run --dataset {name} --last 7d\n\n\
         In Athena:\n\n    SELECT {first}, {time}, {} FROM {name} WHERE day >= '2026-11-01' ORDER BY 3 DESC LIMIT 20\n",
        measured.name,
        name = dataset.name,
    )?;
    if !sources.is_empty() {
        writeln!(text, "\n## Sources\n\n{}", sources.join("\n"))?;
    }
    Ok(text)
}

/// The type of the resources whose tags it can have, and where a tag is found.
fn tags_of(tags: &Tags, dataset: &Dataset) -> String {
    format!("of `{}`, by the ARN that ends in `{}`", tags.resource_type, tags.arn.shown(&dataset.resource))
}

/// What the comment that a file begins with says, and its sources.
fn comments<'a>(lines: impl Iterator<Item = &'a str>) -> (String, Vec<String>) {
    let (mut about, mut sources) = (Vec::new(), Vec::new());
    for line in lines.map_while(|line| line.strip_prefix('#')).map(str::trim) {
        match line.strip_prefix("Source:").or_else(|| line.strip_prefix("Sources:")).map(str::trim) {
            Some(source) => sources
                .extend(source.split_whitespace().map(|url| format!("- <{}>", url.trim_end_matches(',')))),
            None if line.starts_with("https://") => sources.push(format!("- <{line}>")),
            None => about.push(line),
        }
    }
    (about.join("\n"), sources)
}

/// The comments above metrics, each with the metric's name.
fn notes(file: &str) -> Vec<String> {
    let lines: Vec<&str> = file.lines().collect();
    let mut notes = Vec::new();
    let places = lines.iter().enumerate().filter(|(_, line)| **line == "[[metric]]").map(|(at, _)| at);
    for at in places {
        let (before, after) = lines.split_at(at);
        let mut note: Vec<&str> =
            before.iter().rev().map_while(|line| line.strip_prefix('#')).map(str::trim).collect();
        note.reverse();
        let name = after
            .iter()
            .find_map(|line| line.strip_prefix("name"))
            .map(|rest| rest.trim_matches([' ', '=', '"']));
        if let (false, Some(name)) = (note.is_empty(), name) {
            notes.push(format!("- `{name}`: {}", note.join(" ")));
        }
    }
    notes
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
