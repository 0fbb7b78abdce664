// SPDX-License-Identifier: Apache-2.0
//! Shell completions and man pages, generated from the command line.

use std::{fs, io, path::PathBuf};

use anyhow::Context;
use clap::{Command, CommandFactory, Subcommand};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::{
    VERSION,
    exit::{CommandError, Outcome},
    faults::Faults,
    output,
};

/// The commands that generate them.
#[derive(Debug, Subcommand)]
pub enum Generate {
    /// Prints the completion script for a shell.
    Completions { shell: Shell },
    /// Prints the man page of the program, or writes those of all commands to a folder.
    Man {
        /// The folder, such as ~/.local/share/man/man1; it is created if it does not exist.
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
}

impl Generate {
    pub fn execute<P: CommandFactory>(self, faults: Faults) -> Result<Outcome, CommandError> {
        faults.end(Some(()))?;
        match self {
            Self::Completions { shell } => output::write(&completions(shell, P::command()))?,
            Self::Man { folder: None } => {
                // The last one is the program's own.
                let page = pages(P::command()).pop().map(|(_, page)| page);
                output::print(page.context("a program has a page")?.trim_end())?;
            }
            Self::Man { folder: Some(folder) } => {
                let write = || -> io::Result<()> {
                    fs::create_dir_all(&folder)?;
                    pages(P::command()).iter().try_for_each(|(name, page)| fs::write(folder.join(name), page))
                };
                write().with_context(|| format!("could not write the man pages to {}", folder.display()))?;
            }
        }
        Ok(Outcome::Done)
    }
}

fn completions(shell: Shell, mut command: Command) -> Vec<u8> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    script
}

/// The man pages with their file names: those of the commands, then the program's own.
fn pages(command: Command) -> Vec<(String, String)> {
    let source = format!("{} {VERSION}", command.get_name());
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let commands: Vec<Command> = command.get_subcommands().cloned().collect();
    let page = |command: Command| {
        let man = Man::new(command).source(&source);
        let mut page = Vec::new();
        man.render(&mut page).expect("cannot fail: a vector takes all");
        (man.get_filename(), keep_lines(&String::from_utf8_lossy(&page)))
    };
    commands.into_iter().chain([command]).map(page).collect()
}

/// Keeps the lines of the notes after the help: they are examples and lists, and must not be filled as paragraphs.
fn keep_lines(page: &str) -> String {
    let Some((before, after)) = page.split_once("\n.SH EXTRA\n") else { return page.to_owned() };
    let (notes, rest) = after.split_once("\n.SH ").map_or((after, None), |(notes, rest)| (notes, Some(rest)));
    let rest = rest.map_or(String::new(), |rest| format!("\n.SH {rest}"));
    format!("{before}\n.SH NOTES\n.nf\n{notes}\n.fi{rest}")
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    fn program() -> Command {
        let go = Command::new("go").about("Goes").arg(Arg::new("far").long("far").env("FLEET_FAR"));
        Command::new("program").about("Does").subcommand(go).after_long_help("First:\n  one\n\nThen:\n  .two")
    }

    #[test]
    fn every_command_has_a_page_and_its_notes_keep_their_lines() {
        let pages = pages(program());
        assert_eq!(pages.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["program-go.1", "program.1"]);
        let [(_, go), (_, program)] = &*pages else { panic!("two pages") };
        assert!(go.contains("FLEET_FAR"), "{go}");
        assert!(go.contains(&format!("\"program {VERSION}\"")), "{go}");
        let notes = ".SH NOTES\n.nf\nFirst:\n  one\n\nThen:\n  .two\n\n.fi";
        assert!(program.contains(notes), "{program}");
        assert!(!program.contains("program\\-help(1)"), "{program}");
    }

    #[test]
    fn every_shell_has_completions() {
        use clap::ValueEnum;

        for shell in Shell::value_variants() {
            let script = String::from_utf8(completions(*shell, program())).expect("UTF-8");
            assert!(script.contains("program") && script.contains("far"), "{shell}: {script}");
        }
    }
}
