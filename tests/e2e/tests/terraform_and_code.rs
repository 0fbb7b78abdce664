// SPDX-License-Identifier: Apache-2.0
//! What Terraform and Docker must know of the code, and can't look up there: the datasets, the version of the
//! image and what it is built from, the names of variables, and the form of the accounts file.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use fleet::{
    Accounts,
    datasets::{self, GET_RESOURCES},
    reserved::RESERVED_WORDS,
};
use kit::{Fleet, HOME_REGION, JOBS, days_ago, program};
use serde_json::Value;

const TERRAFORM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../terraform");

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    Ok(entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?)
}

/// All Terraform files in a folder and below.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() && !path.ends_with(".terraform") {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "tf") {
            found.push(path);
        }
    }
    Ok(found)
}

/// `producer datasets --format json` in the file that Terraform reads. `just datasets` writes it.
#[test]
fn terraform_knows_the_datasets_that_there_are() -> Result<()> {
    let output =
        Command::new(program("producer")).args(["datasets", "--format", "json"]).env_clear().output()?;
    ensure!(output.status.success(), "producer datasets: {}", output.status);
    let should = String::from_utf8(output.stdout)?;
    let path = Path::new(TERRAFORM).join("datasets.json");
    assert!(
        read(&path)? == should,
        "terraform/datasets.json is of other datasets; `just datasets` writes it anew"
    );
    Ok(())
}

/// The entries of a block, such as `parameters = {`, with what Terraform puts into them.
fn entries_of(text: &str, block: &str, values: &[(&str, &str)]) -> Result<BTreeSet<(String, String)>> {
    let (_, rest) = text.split_once(&format!("{block} = {{\n")).with_context(|| block.to_owned())?;
    let entry = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let (value, _) = value.trim().strip_prefix('"')?.split_once('"')?;
        Some((key.trim().trim_matches('"').to_owned(), filled(value, values)))
    };
    let lines = rest.lines().take_while(|line| line.trim() != "}");
    lines.map(|line| entry(line).with_context(|| line.to_owned())).collect()
}

/// A text of Terraform's with values in place of its names.
fn filled(text: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The pairs of texts in the parentheses after a word of a statement.
fn pairs_after(statement: &str, word: &str) -> Result<BTreeSet<(String, String)>> {
    let (_, rest) = statement.split_once(&format!("{word} (\n")).with_context(|| word.to_owned())?;
    let (lines, _) = rest.split_once("\n)").context("it does not end")?;
    let pair = |line: &str| {
        let (key, value) = line.trim().trim_end_matches(',').split_once(" = ")?;
        Some((key.trim_matches('\'').to_owned(), value.trim_matches('\'').to_owned()))
    };
    lines.lines().map(|line| pair(line).with_context(|| line.to_owned())).collect()
}

/// What `producer datasets --format athena` writes is the table that main.tf makes.
#[test]
fn the_statement_for_athena_makes_the_table_that_terraform_makes() -> Result<()> {
    let text = read(&Path::new(TERRAFORM).join("modules/reports/main.tf"))?;
    let (_, text) =
        text.split_once("resource \"aws_glue_catalog_table\" \"reports\" {").context("the table")?;
    let (text, _) = text.split_once("\nresource ").context("it does not end")?;
    let known = read(&Path::new(TERRAFORM).join("datasets.json"))?;
    let known: Value = serde_json::from_str(&known)?;
    for dataset in known["datasets"].as_array().context("datasets")? {
        let name = dataset["name"].as_str().context("a name")?;
        let args = ["datasets", name, "--format", "athena", "--location", "s3://reports/"];
        let output = Command::new(program("producer")).args(args).env_clear().output()?;
        ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let statement = String::from_utf8(output.stdout)?;
        // A day is no name of Terraform's.
        let values = [
            ("$${day}", "{day}"),
            ("${local.bucket.name}", "reports"),
            ("${each.key}", name),
            ("{day}", "${day}"),
        ];
        let mut parameters = entries_of(text, "parameters", &values)?;
        // A statement says so by its first words.
        assert!(parameters.remove(&("EXTERNAL".into(), "TRUE".into())), "{parameters:?}");
        assert_eq!(pairs_after(&statement, "TBLPROPERTIES")?, parameters, "{name}");
        let (_, serde) = text.split_once("ser_de_info {").context("a SerDe")?;
        assert_eq!(
            pairs_after(&statement, "WITH SERDEPROPERTIES")?,
            entries_of(serde, "parameters", &[])?,
            "{name}"
        );
        let quoted = |key: &str| -> Result<String> {
            let (_, rest) = text.split_once(key).context(key.to_owned())?;
            let (_, rest) = rest.split_once('"').context(key.to_owned())?;
            Ok(rest.split_once('"').context(key.to_owned())?.0.to_owned())
        };
        for (word, key) in [
            ("ROW FORMAT SERDE", "serialization_library"),
            ("STORED AS INPUTFORMAT", "input_format"),
            ("OUTPUTFORMAT", "output_format"),
        ] {
            let line = format!("\n{word} '{}'\n", quoted(key)?);
            assert!(statement.contains(&line), "{name}: {line}");
        }
        let location = filled(&quoted("location ")?, &values);
        assert!(statement.contains(&format!("\nLOCATION '{location}'\n")), "{name}: {location}");
        let key = quoted("partition_keys {")?;
        assert!(
            statement.contains(&format!("\nPARTITIONED BY (\n  `{key}` string COMMENT '")),
            "{statement}"
        );
        let columns = dataset["columns"].as_array().context("columns")?.iter().map(|column| {
            Ok(format!(
                "  `{}` {}",
                column["name"].as_str().context("a name")?,
                column["type"].as_str().context("a type")?
            ))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?.join(",\n");
        assert!(
            statement.starts_with(&format!("CREATE EXTERNAL TABLE `{name}` (\n{columns}\n)\n")),
            "{statement}"
        );
    }
    Ok(())
}

/// `terraform test` holds this file equal to what the stack renders.
#[test]
fn the_configuration_file_that_terraform_renders_is_read() -> Result<()> {
    let file = Path::new(TERRAFORM).join("tests/fleet.toml");
    let mut producer = Command::new(program("producer"));
    producer.args(["setup", "none", "--config"]).arg(file).env_clear().env("AWS_REGION", "eu-west-1");
    // As ECS sets them.
    producer.env("FLEET_SINK_ARCHIVE_USER", "user").env("FLEET_SINK_ARCHIVE_PASSWORD", "password");
    let output = producer.output()?;
    let said = String::from_utf8(output.stderr)?;
    // It would set up one that there is.
    assert_eq!(output.status.code(), Some(2), "{said}");
    let wanted = "\"none\" is no sink of the configuration file, which has archive, search, serverless";
    assert!(said.contains(wanted), "{said}");
    Ok(())
}

/// What the examples ask for is in their files.
#[test]
fn the_configuration_files_of_the_examples_are_read() -> Result<()> {
    for (example, dataset) in [("ecs-forwarding", "ecs_forwarded"), ("lambda-fleet", "lambda_recent")] {
        let folder = Path::new(TERRAFORM).join("examples").join(example);
        assert!(read(&folder.join("main.tf"))?.contains(dataset), "{example} asks for no {dataset}");
        let mut producer = Command::new(program("producer"));
        producer.args(["datasets", dataset, "--config"]).arg(folder.join("fleet.toml")).env_clear();
        let output = producer.output()?;
        ensure!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Its twin, main.tf, takes them from datasets.json.
#[test]
fn the_stack_sets_template_allows_what_the_datasets_need() -> Result<()> {
    let text = read(&Path::new(TERRAFORM).join("modules/member-role/template.yaml"))?;
    let (_, actions) = text.split_once("                Action:\n").context("no actions")?;
    let (actions, _) = actions.split_once("                Resource:").context("the actions do not end")?;
    let is_action = |word: &&str| word.contains(':') && !word.ends_with(':') && *word != "AWS::NoValue";
    let (mut required, mut optional) = (BTreeSet::new(), BTreeSet::new());
    for line in actions.lines() {
        let condition = line.starts_with("                      ");
        let words = line.split_whitespace().filter(is_action).map(str::to_owned);
        if condition { &mut optional } else { &mut required }.extend(words);
    }
    let needed =
        datasets::all().flat_map(|dataset| dataset.permissions().chain(dataset.optional_permissions()));
    let (express, needed): (BTreeSet<String>, BTreeSet<String>) =
        needed.map(str::to_owned).partition(|action| action.starts_with("s3express:"));
    // For `tag_keys`, which no dataset has by itself.
    let optional_ones = &express | &BTreeSet::from([GET_RESOURCES.to_owned()]);
    assert_eq!((required, optional), (needed, optional_ones));
    Ok(())
}

#[test]
fn the_image_is_of_this_version_by_default() -> Result<()> {
    let text = read(&Path::new(TERRAFORM).join("variables.tf"))?;
    let (_, rest) = text.split_once("variable \"image_tag\" {").context("no variable image_tag")?;
    let (block, _) = rest.split_once("\n}").context("image_tag does not end")?;
    let default = block.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "default").then(|| value.trim().trim_matches('"'))
    });
    assert_eq!(default, Some(fleet::VERSION), "the default of image_tag in terraform/variables.tf");
    Ok(())
}

/// Cargo builds nothing where a member of the workspace, or a test that its manifest names, is not there.
#[test]
fn the_image_is_built_from_every_member_of_the_workspace() -> Result<()> {
    let root = Path::new(TERRAFORM).join("..");
    let ignored = read(&root.join(".dockerignore"))?;
    let lines: BTreeSet<_> =
        ignored.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let workspace: toml::Table = read(&root.join("Cargo.toml"))?.parse()?;
    for member in workspace["workspace"]["members"].as_array().context("members")? {
        let member = member.as_str().context("a member")?;
        let folder = member.split('/').next().unwrap_or_default();
        assert!(lines.contains(&*format!("!{folder}")), "{member} is not in the image's context");
    }
    let inside =
        lines.iter().filter(|line| **line != "*" && !line.starts_with('!') && !line.starts_with("**/"));
    assert_eq!(inside.collect::<Vec<_>>(), Vec::<&&str>::new(), "a part of a member is left out");
    Ok(())
}

/// The names of variables in a text.
fn variables(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let names = text.split(|c| !is_name(c)).filter(|name| name.starts_with("FLEET_"));
    names.map(str::to_owned).collect()
}

/// The variables that a program's help names.
fn known(binary: &str) -> Result<BTreeSet<String>> {
    let help = |arguments: &[&str]| -> Result<String> {
        let output = Command::new(program(binary)).args(arguments).env_clear().output()?;
        ensure!(output.status.success(), "{binary} {arguments:?}: {}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    };
    let text = help(&["--help"])?;
    let (_, commands) = text.split_once("\nCommands:\n").context("no commands")?;
    let mut known = variables(&text);
    // A command is indented by two columns, its description by more.
    for line in commands.lines().take_while(|line| !line.is_empty()) {
        let command = line.strip_prefix("  ").and_then(|line| line.split(' ').next()).unwrap_or_default();
        if !["", "help"].contains(&command) {
            known.extend(variables(&help(&[command, "--help"])?));
        }
    }
    Ok(known)
}

#[test]
fn every_variable_that_terraform_sets_is_one_that_a_program_knows() -> Result<()> {
    let known = &known("producer")? | &known("worker")?;
    assert!(known.contains("FLEET_QUEUE_URL") && known.contains("FLEET_CONCURRENCY"), "{known:?}");
    let mut unknown = Vec::new();
    for path in files(Path::new(TERRAFORM))? {
        for name in variables(&read(&path)?).difference(&known) {
            unknown.push(format!("{}: {name}", path.display()));
        }
    }
    assert!(unknown.is_empty(), "no program knows\n{}\nknown are {known:?}", unknown.join("\n"));
    Ok(())
}

#[test]
fn the_words_that_terraform_refuses_as_attributes_are_those_that_the_producer_refuses() -> Result<()> {
    let text = read(&Path::new(TERRAFORM).join("modules/schedule/variables.tf"))?;
    let (_, rest) = text.split_once("reserved_words = [").context("no list of words")?;
    let (list, _) = rest.split_once(']').context("the list does not end")?;
    let refused: BTreeSet<_> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    let reserved = RESERVED_WORDS.iter().filter(|word| !word.can_be_meant).map(|word| word.word);
    let reserved: BTreeSet<_> =
        reserved.chain(["account_name", "date", "dataset"]).map(|word| word.replace('_', "")).collect();
    assert_eq!(refused, reserved);
    Ok(())
}

/// Else an alarm for a schedule of which nothing comes would never be off.
#[tokio::test]
async fn the_filter_for_completed_windows_counts_what_workers_write() -> Result<()> {
    let text = read(&Path::new(TERRAFORM).join("modules/observability/stale.tf"))?;
    let (_, fields) = text.split_once("patterns = {").context("no patterns")?;
    let (fields, _) = fields.split_once("\n  }\n").context("the patterns do not end")?;
    let fields: BTreeSet<_> = fields
        .split("$.")
        .skip(1)
        .filter_map(|part| part.split_once(" = \\\""))
        .map(|(name, value)| (name, value.split('\\').next().unwrap_or_default()))
        .collect();
    assert_eq!(fields, BTreeSet::from([("Outcome", "complete"), ("dataset", "${dataset}")]));

    let mut fleet = Fleet::start().await?;
    fleet.variable("FLEET_METRICS_NAMESPACE", "fleet/test");
    fleet.account("data", "111111111111").bucket("b", HOME_REGION).size("StandardStorage", days_ago(4), 7.0);
    fleet.home.send(JOBS, &format!(r#"{{"account_name":"data","date":"{}"}}"#, days_ago(4)));
    let written = fleet.work(&[]).await?;
    let line: Value = serde_json::from_str(written.stdout.trim())?;
    assert_eq!(
        (&line["Outcome"], &line["dataset"]),
        (&"complete".into(), &"s3_daily_storage".into()),
        "{line}"
    );
    Ok(())
}

/// Else the month would be completed, and stay provisional.
#[test]
fn the_month_is_completed_once_every_dataset_is_settled() -> Result<()> {
    let hours =
        datasets::all().map(|dataset| dataset.settle_time().num_hours()).max().context("no dataset")?;
    // The first of the month ends when day 2 begins.
    let (day, hour) = (2 + hours / 24, hours % 24);
    let earliest = format!("var.monthly.completion_day == {day} && var.monthly.hour >= {hour})");
    let text = read(&Path::new(TERRAFORM).join("modules/schedule/variables.tf"))?;
    assert!(text.contains(&earliest), "the validation of monthly in modules/schedule says no {earliest}");
    Ok(())
}

/// `terraform test` holds this file equal to what the stack renders.
#[test]
fn the_accounts_file_that_terraform_renders_is_read() -> Result<()> {
    let accounts = Accounts::parse(&read(&Path::new(TERRAFORM).join("tests/accounts.toml"))?)?;
    assert_eq!(accounts.iter().count(), 10);
    assert_eq!(accounts.warnings(), Vec::<String>::new());
    Ok(())
}
