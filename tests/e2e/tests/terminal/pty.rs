// SPDX-License-Identifier: Apache-2.0
//! A terminal to run a command on.

use std::{fs::File, io::Read};

use anyhow::{Context, Result};
use nix::pty::{Winsize, openpty};
use tokio::process::Command;

/// What a command showed on a terminal, and how it ended.
pub(crate) struct Shown {
    pub(crate) code: Option<i32>,
    /// All that it wrote, to standard output and standard error.
    pub(crate) text: String,
}

/// Runs a command with standard output and standard error on a terminal of so many columns.
pub(crate) async fn on_terminal(mut command: Command, columns: u16) -> Result<Shown> {
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(&size, None).context("no terminal")?;
    command.stdout(pty.slave.try_clone()?).stderr(pty.slave);
    let mut child = command.spawn()?;
    // It holds the terminal's other end, and the reading would not come to an end.
    drop(command);
    let reading = tokio::task::spawn_blocking(move || {
        let mut written = Vec::new();
        // Reading a terminal that no process has open any more ends with an error.
        let _ = File::from(pty.master).read_to_end(&mut written);
        String::from_utf8_lossy(&written).replace("\r\n", "\n")
    });
    let status = child.wait().await?;
    Ok(Shown { code: status.code(), text: reading.await? })
}
