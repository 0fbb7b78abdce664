// SPDX-License-Identifier: Apache-2.0
//! Colour is shown where it is wanted, by all commands alike.

use anyhow::Result;
use kit::{Fleet, finish};
use tokio::process::Command;

use super::{DATA, day, pty::on_terminal};

/// Variables, and what they ask for.
type Wish = (&'static [(&'static str, &'static str)], bool, bool);

/// Variables of a person's shell, and whether they want colour on a terminal and in a pipe.
const WISHES: [Wish; 7] = [
    (&[("TERM", "xterm-256color")], true, false),
    (&[("TERM", "xterm-256color"), ("NO_COLOR", "")], true, false),
    (&[("TERM", "xterm-256color"), ("NO_COLOR", "1")], false, false),
    (&[("TERM", "xterm-256color"), ("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], false, false),
    (&[("TERM", "dumb")], false, false),
    (&[("TERM", "dumb"), ("CLICOLOR_FORCE", "1")], true, true),
    (&[], false, false),
];

/// Whether a text has a colour or a weight in it.
fn is_styled(text: &str) -> bool {
    let mut codes = text.split("\x1b[").skip(1);
    codes.any(|code| code.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'))
}

/// One command for each kind of output: a table, an error, a warning and the messages of clap.
fn commands(fleet: &Fleet, twins: &str) -> [(&'static str, Command); 4] {
    [
        ("status", fleet.producer(&["status", "--watch"])),
        ("error", fleet.worker(&["collect", "--account-name", "forgotten"])),
        ("logs", fleet.worker(&["check", "--accounts", twins, "--log-format", "text"])),
        ("clap", fleet.worker(&["--halp"])),
    ]
}

#[tokio::test]
async fn one_decision_holds_for_all_that_is_shown() -> Result<()> {
    let mut fleet = Fleet::start().await?;
    let _ = fleet.account("data", DATA);
    let day = day().to_string();
    finish(fleet.producer(&["run", "--account-name", "data", "--date", &day])).await?.status(0);
    finish(fleet.worker(&["run", "--exit-when-empty"])).await?.status(0);
    // Two names of one id are warned of.
    let twin = |name: &str| format!("[[account]]\nname = '{name}'\nid = '{DATA}'\n");
    let twins = fleet.file("accounts.toml", &["one", "two"].map(twin).concat())?;
    for (variables, on_a_terminal, in_a_pipe) in WISHES {
        for (name, mut command) in commands(&fleet, &twins) {
            command.envs(variables.iter().copied());
            let shown = on_terminal(command, 80).await?;
            assert_eq!(is_styled(&shown.text), on_a_terminal, "{name}, {variables:?}: {:?}", shown.text);
        }
        for (name, mut command) in commands(&fleet, &twins) {
            command.envs(variables.iter().copied());
            let ended = finish(command).await?;
            let said = ended.stdout + &ended.stderr;
            assert_eq!(is_styled(&said), in_a_pipe, "{name}, {variables:?}: {said:?}");
        }
    }
    Ok(())
}
