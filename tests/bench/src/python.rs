// SPDX-License-Identifier: Apache-2.0
//! The peers' Python: a virtual environment of their own, made once.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use tokio::process::Command;

/// The versions that the peers' figures are of.
const PACKAGES: [&str; 2] = ["boto3==1.44.5", "opensearch-py==3.2.0"];

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");

pub(crate) fn peer(name: &str) -> PathBuf {
    Path::new(PEERS).join(name)
}

/// The interpreter that has what the peers need. The environment lies in the build's folder and is made where
/// it is not there.
pub(crate) async fn interpreter() -> anyhow::Result<PathBuf> {
    let own = env::current_exe().context("could not find the program's own binary")?;
    let target = own.ancestors().find(|folder| folder.ends_with("target"));
    let folder = target.context("the program does not lie in a build's folder")?.join("bench-venv");
    let python = folder.join("bin/python");
    let is_there = Command::new(&python).args(["-c", "import boto3, opensearchpy"]).output().await;
    if !is_there.is_ok_and(|output| output.status.success()) {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).await?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES)).await?;
    }
    Ok(python)
}

async fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{:?}", command.as_std());
    let output = command.output().await.with_context(|| format!("could not start {shown}"))?;
    ensure!(output.status.success(), "{shown} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
