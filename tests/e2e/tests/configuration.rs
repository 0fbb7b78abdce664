// SPDX-License-Identifier: Apache-2.0
//! `docs/configuration.md` has every flag of both programs as their help has it. With `UPDATE_DOCS=1` this writes it.

use std::{collections::BTreeMap, env, fs};

use anyhow::{Context, Result};
use clap::{Arg, Command};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
const BEGIN: &str = "<!-- flags: made from the programs' help by `just configuration` -->";
const END: &str = "<!-- end of flags -->";

/// Each section, with the program whose own flags it has; the first has those that are the same in both.
const SECTIONS: [(&str, Option<&str>); 3] =
    [("Both programs", None), ("The producer", Some("producer")), ("The worker", Some("worker"))];

/// A flag as the table has it, but for the commands that take it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Flag {
    name: String,
    meaning: String,
    default: String,
}

/// A flag, and the commands that take it, by program.
struct Row {
    flag: Flag,
    takers: BTreeMap<String, Vec<String>>,
}

#[test]
fn the_document_has_every_flag() -> Result<()> {
    let document = fs::read_to_string(DOCUMENT)?;
    let (before, rest) = document.split_once(BEGIN).context("where the flags begin")?;
    let (_, after) = rest.split_once(END).context("where the flags end")?;
    let wanted =
        format!("{before}{BEGIN}\n\n{}\n{END}{after}", tables(producer::command(), worker::command()));
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(DOCUMENT, wanted)?;
    } else {
        assert!(
            document == wanted,
            "docs/configuration.md is not up to date; `just configuration` writes it anew"
        );
    }
    Ok(())
}

fn tables(producer: Command, worker: Command) -> String {
    let programs = [producer, worker].map(|mut program| {
        program.build();
        program
    });
    let rows = rows(&programs);
    let mut text = String::new();
    for (title, owner) in SECTIONS {
        text.push_str(&format!(
            "### {title}\n\n| flag, variable | of | meaning | default |\n| --- | --- | --- | --- |\n"
        ));
        for row in rows.iter().filter(|row| row.owner() == owner) {
            let Flag { name, meaning, default } = &row.flag;
            let of = row.commands(&programs);
            text.push_str(&format!("| {name} | {of} | {meaning} | {default} |\n"));
        }
        text.push('\n');
    }
    text.trim_end().to_owned() + "\n"
}

fn rows(programs: &[Command]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for program in programs {
        for command in commands(program) {
            let is_clap_s = |arg: &&Arg| ["help", "version"].contains(&arg.get_id().as_str());
            for flag in command.get_arguments().filter(|arg| !is_clap_s(arg)).map(Flag::of) {
                let at = rows.iter().position(|row| row.flag == flag).unwrap_or_else(|| {
                    rows.push(Row { flag, takers: BTreeMap::new() });
                    rows.len() - 1
                });
                let takers = rows[at].takers.entry(program.get_name().to_owned()).or_default();
                takers.push(command.get_name().to_owned());
            }
        }
    }
    rows
}

/// The commands that do the program's work.
fn commands(program: &Command) -> impl Iterator<Item = &Command> {
    program.get_subcommands().filter(|command| !["completions", "man", "help"].contains(&command.get_name()))
}

impl Row {
    /// The program that alone has it.
    fn owner(&self) -> Option<&str> {
        let mut programs = self.takers.keys();
        programs.next().filter(|_| programs.next().is_none()).map(String::as_str)
    }

    /// The commands that take it; a program name means all its commands.
    fn commands(&self, programs: &[Command]) -> String {
        let mut names = Vec::new();
        for program in programs {
            let Some(takers) = self.takers.get(program.get_name()) else { continue };
            let is_own = self.owner().is_some();
            match (takers.len() == commands(program).count(), is_own) {
                (true, true) => names.push("all".to_owned()),
                (true, false) => names.push(format!("`{}`", program.get_name())),
                (false, true) => names.extend(takers.iter().map(|taker| format!("`{taker}`"))),
                (false, false) => {
                    names.extend(takers.iter().map(|taker| format!("`{} {taker}`", program.get_name())));
                }
            }
        }
        names.join(", ")
    }
}

impl Flag {
    fn of(arg: &Arg) -> Self {
        let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        // A default that clap can't know is at the end of the help text.
        let (mut meaning, mut default) = match help.split_once(" [default: ") {
            Some((meaning, rest)) => {
                let (default, more) = rest.split_once(']').unwrap_or((rest, ""));
                (format!("{meaning}{more}"), default.to_owned())
            }
            None => (help, String::new()),
        };
        let takes_value = arg.get_action().takes_values();
        let values = arg.get_possible_values();
        if takes_value && !values.is_empty() {
            let values: Vec<String> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
            meaning.push_str(&format!(": {}", values.join(", ")));
        }
        if takes_value && !arg.get_default_values().is_empty() {
            let values = arg.get_default_values().iter().map(|value| format!("`{}`", value.display()));
            default = values.collect::<Vec<_>>().join(", ");
        }
        Self { name: cell(&name(arg)), meaning: cell(meaning.trim_end_matches('.')), default: cell(&default) }
    }
}

/// How a flag is written, and its variable below.
fn name(arg: &Arg) -> String {
    let value =
        arg.get_value_names().filter(|_| arg.get_action().takes_values()).unwrap_or_default().join(" ");
    let short = arg.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
    let flag = match arg.get_long() {
        Some(long) => format!("{short}`{}`", format!("--{long} {value}").trim_end()),
        None => format!("`{value}`"),
    };
    let variable = arg.get_env().map(|variable| format!("<br>`{}`", variable.display()));
    flag + &variable.unwrap_or_default()
}

/// A text as a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
