// SPDX-License-Identifier: Apache-2.0
//! Tells the programs which commit they are built from: `7dbb1e9 2026-11-30`. The variable `BUILD_COMMIT` says it if
//! there is no git, as in an image; without either, the version has to do.

use std::{env, fs, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs\ncargo::rerun-if-env-changed=BUILD_COMMIT");
    let given = env::var("BUILD_COMMIT").ok().filter(|commit| !commit.is_empty());
    let version = env!("CARGO_PKG_VERSION");
    match given.or_else(of_git) {
        Some(commit) => println!("cargo::rustc-env=CLI_VERSION={version} ({commit})"),
        None => println!("cargo::rustc-env=CLI_VERSION={version}"),
    }
}

fn of_git() -> Option<String> {
    // A copy inside of another repository is not built from a commit of that one.
    let root = fs::canonicalize("../..").ok()?;
    if fs::canonicalize(git(&["rev-parse", "--show-toplevel"])?).ok()? != root {
        return None;
    }
    // Whatever moves HEAD writes to one of these. What does not exist would be built anew each time.
    let branch = git(&["rev-parse", "--symbolic-full-name", "HEAD"])?;
    for name in ["HEAD", "logs/HEAD", "packed-refs", &branch] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["log", "-1", "--format=%h %cs"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
